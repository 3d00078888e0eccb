# SPDX-License-Identifier: Apache-2.0
"""Measure how long nobody answers: a full copy with the source stopped, and a cut-over after a pre-copy. `python -m bench.outage`

Between two clouds with guests (as root, with the packages of `--with guests,ovn`), of the tenant that serves, with 2 GB of objects
besides of which 20 MB change between pre-copy and cut-over. Seen from outside, every 0.2 s, by `unterbau probe --to`. The table
goes into bench/README.md between its markers.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import page
from bench.cloud import yardstick

SOURCE, TARGET = "bench-outage-a", "bench-outage-b"
OBJECTS, CHANGED, SIZE = 200, 2, 10_000_000
PATIENCE = 300.0


def unterbau(*arguments: str, typed: str = "") -> str:
    """The output of a command, which must end well."""
    argv = [sys.executable, "-m", "unterbau", *arguments]
    done = subprocess.run(argv, input=typed, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"unterbau {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def tenant(name: str) -> Any:
    """A connection of openstacksdk."""
    import openstack

    from unterbau import reference

    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(name))], load_envvars=False)
    return openstack.connection.Connection(config=config.get_one(cloud=name))


def put(cloud: Any, numbers: range) -> None:
    """Objects of random bytes."""
    for number in numbers:
        cloud.object_store.create_object("bench", f"{number:04}", data=os.urandom(SIZE))


def runs(cloud: Any, status: str) -> None:
    """Start or stop the one server."""
    server = next(iter(cloud.compute.servers()))
    if server.status != status:
        (cloud.compute.start_server if status == "ACTIVE" else cloud.compute.stop_server)(server)
        cloud.compute.wait_for_server(server, status=status, wait=PATIENCE)


def serves(cloud: Any) -> None:
    """Wait until the page is there."""
    address, end = str(next(iter(cloud.network.ips())).floating_ip_address), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(address, timeout=5)) as asked:
            asked.request("GET", "/cgi-bin/index.cgi")
            if asked.getresponse().status == 200:
                return
        time.sleep(0.5)
    raise SystemExit(f"no page at {address} within {PATIENCE:.0f} s")


def boot(cloud: Any, seen: Any) -> float:
    """Seconds from when Nova said that the target's server runs to its first answer."""
    launched = datetime.fromisoformat(next(iter(cloud.compute.servers())).launched_at).replace(tzinfo=UTC)
    return max(0.0, (seen.courses[0].target.first - launched).total_seconds())


def full_copy(plan: str, work: Path) -> Any:
    """The source is stopped, all is moved, and somebody watches from outside."""
    from unterbau.switch.probes.outage import Watched

    outage = work / "outage.json"
    watch = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "unterbau",
            "probe",
            SOURCE,
            "--to",
            TARGET,
            "--plan",
            plan,
            "-o",
            str(outage),
            "--quiet",
        ],
        stdout=subprocess.DEVNULL,
    )
    while not outage.exists() or not json.loads(outage.read_text())["courses"][0]["source"]["answered"]:
        time.sleep(0.2)
    with tenant(SOURCE) as old:
        runs(old, "SHUTOFF")
    unterbau("move", plan)
    watch.wait(PATIENCE)
    return Watched.model_validate_json(outage.read_bytes())


def measure(work: Path) -> list[tuple[str, str, str]]:
    """What, figure, and what is aimed at."""
    from unterbau import reference
    from unterbau.reference import extras
    from unterbau.switch import folders
    from unterbau.switch.probes.outage import Watched

    speeds = [yardstick()]
    for name in (SOURCE, TARGET):
        reference.up(name, progress=lambda line: None, with_=extras.ALL)
    unterbau("cloud", "seed", SOURCE)
    with tenant(SOURCE) as old:
        old.object_store.create_container("bench")
        put(old, range(OBJECTS))
    plan = str(work / "plan.yaml")
    unterbau("plan", SOURCE, TARGET, "--probe", "-o", plan)
    whole = full_copy(plan, work)
    with tenant(TARGET) as new:
        whole_boot = boot(new, whole)
    (folder,) = (f for f, _ in folders.drills())
    unterbau("close", folder.run, "--target", typed=f"{TARGET}\n")
    with tenant(SOURCE) as old:
        runs(old, "ACTIVE")
        serves(old)
    unterbau("plan", SOURCE, TARGET, "--probe", "-o", plan)
    unterbau("move", plan, "--pre-copy")
    with tenant(SOURCE) as old:
        put(old, range(CHANGED))
    unterbau("move", plan, "--cut-over", "--probe-wait", str(PATIENCE))
    (folder,) = (f for f, s in folders.drills() if f.outage.exists())
    cut = Watched.model_validate_json(folder.outage.read_bytes())
    with tenant(TARGET) as new:
        cut_boot = boot(new, cut)
    speeds.append(yardstick())
    seconds = [(seen.seconds() or float("nan"), booted) for seen, booted in ((whole, whole_boot), (cut, cut_boot))]
    rest = [away - booted for away, booted in seconds]
    rows = [
        (what, f"{away:.1f} s, of it {booted:.1f} s the guest's boot", "")
        for what, (away, booted) in zip(("full copy, the source stopped before it", "cut-over after a pre-copy"), seconds, strict=True)
    ]  # fmt: skip
    rows.append(
        (
            "without the boot, cut-over / full copy",
            f"{rest[1]:.1f} / {rest[0]:.1f} s = {rest[1] / rest[0]:.2f}",
            "<= 0.2",
        )
    )
    rows.append(
        (
            "questions to the source, to the target",
            ", ".join(f"{c.source.asked} and {c.target.asked}" for s in (whole, cut) for c in s.courses),
            "",
        )
    )
    rows.append(("ten million additions in Python, before and after", ", ".join(f"{s:.2f}" for s in speeds) + " s", ""))
    return rows


def publish(rows: list[tuple[str, str, str]]) -> None:
    """The section of the README."""
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.outage`, one run, load {os.getloadavg()[1]:.1f} at its end: "
        f"{OBJECTS * SIZE / 1e9:.0f} GB of objects of which {CHANGED * SIZE / 1e6:.0f} MB change, and the tenant's two volumes (3 GiB, "
        "about 110 MB of it in use), which go whole after the stop."
    )
    page.publish("outage", head, ("what", "measured", "aim"), rows)


def main() -> None:
    """Measure with a state of our own, and remove both clouds."""
    from unterbau import reference

    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_STATE_HOME"] = place
        try:
            rows = measure(Path(place))
        finally:
            for name in (SOURCE, TARGET):
                reference.wipe(name)
    publish(rows)
    print(*(" | ".join(row) for row in rows), sep="\n")


if __name__ == "__main__":
    main()
