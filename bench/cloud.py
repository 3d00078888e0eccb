# SPDX-License-Identifier: Apache-2.0
"""Measure the embedded cloud: starts, memory, time to the first server. `python -m bench.cloud`

It works in a data directory of its own, so that nothing of the user's is touched and the first start is a
first start; the package cache is warm (the environment is installed before and not counted). The table goes
into bench/README.md between its markers.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- cloud: begin -->", "<!-- cloud: end -->"
FIRST, SECOND = "bench-one", "bench-two"
SERVERS = 5
LATER = 5
"""How often a later start is measured."""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of the call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def yardstick() -> float:
    """Seconds of ten million additions on one core: how fast the machine is now (others may share it)."""

    def add() -> None:
        total = 0
        for number in range(10**7):
            total += number

    return seconds(add)


def boot(name: str) -> list[float]:
    """Seconds from the request to ACTIVE for each of a few servers, one after the other."""
    import openstack

    from unterbau import reference

    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(name))], load_envvars=False)
    with openstack.connection.Connection(config=config.get_one(cloud=name)) as tenant:
        network = tenant.network.create_network(name="bench")
        tenant.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
        image = tenant.image.find_image("unterbau-tiny", ignore_missing=False)
        flavor = tenant.compute.find_flavor("SCS-2V-4-20s", ignore_missing=False)
        taken = []
        for number in range(SERVERS):
            began = time.perf_counter()
            server = tenant.compute.create_server(
                name=f"bench-{number}",
                image_id=image.id,
                flavor_id=flavor.id,
                networks=[{"uuid": network.id}],
            )
            tenant.compute.wait_for_server(server, interval=0.1, wait=120)
            taken.append(time.perf_counter() - began)
    return taken


def measure() -> list[tuple[str, str, str]]:
    """What, figure, and what is aimed at."""
    from unterbau import reference
    from unterbau.reference import install

    def up(name: str) -> float:
        return seconds(lambda: reference.up(name, progress=lambda line: print(f"  {line}")))

    rows = [("install the services, package cache warm", f"{seconds(lambda: install.ensure(print)):.1f} s", "")]
    rows.append(("first start ever, schemas created", f"{up(FIRST):.1f} s", "<= 45 s"))
    rows.append(("first start of a further cloud, one running", f"{up(SECOND):.1f} s", ""))
    for label in ("first server ACTIVE", "later servers ACTIVE, mean"):
        if label.startswith("first"):
            taken = boot(FIRST)
        figure = taken[0] if label.startswith("first") else sum(taken[1:]) / len(taken[1:])
        rows.append((label, f"{figure:.2f} s", ""))
    for name in (FIRST, SECOND):
        found = reference.status(name)
        rows.append((f"memory (PSS) of {name}", f"{found.memory_bytes / 2**20:.0f} MiB", "<= 1.2 GB"))
        parts = sorted(found.services, key=lambda s: -s.memory_bytes)
        each = ", ".join(f"{s.name} {s.memory_bytes / 2**20:.0f}" for s in parts)
        rows.append(("  of it", each, ""))
    rows.append(("down", f"{seconds(lambda: reference.down(FIRST)):.1f} s", ""))
    rows.append(("later start, another cloud running", f"{up(FIRST):.1f} s", ""))
    reference.down(SECOND)
    taken, speeds = [], [yardstick()]
    for _ in range(LATER):
        reference.down(FIRST)
        taken.append(up(FIRST))
        speeds.append(yardstick())
    middle = f"{statistics.median(taken):.1f} s ({', '.join(f'{t:.1f}' for t in taken)})"
    rows.append((f"later start, nothing else running, median of {LATER}", middle, "<= 10 s"))
    told = ", ".join(f"{s:.2f}" for s in speeds)
    rows.append(("  ten million additions in Python before and after each of them", f"{told} s", ""))
    rows.append(("up of a running cloud", f"{up(FIRST):.2f} s", ""))
    return rows


def publish(rows: list[tuple[str, str, str]]) -> None:
    """Put the table between the markers of the README, which keeps everything else."""
    memory = psutil.virtual_memory().total / 2**30
    where = f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.cloud` on {where}; one run."
    lines = [BEGIN, "## cloud", "", head, "", "| what | measured | aim |", "|---|---|---|"]
    text = "\n".join([*lines, *(f"| {a} | {b} | {c} |" for a, b, c in rows), END])
    old = README.read_text(encoding="utf-8") if README.exists() else "# Measurements\n"
    if BEGIN in old:
        new = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: text, old, flags=re.DOTALL)
    else:
        new = f"{old.rstrip()}\n\n{text}\n"
    README.write_text(new, encoding="utf-8")


def main() -> None:
    """Measure and publish; the clouds are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        os.environ["XDG_DATA_HOME"] = home
        from unterbau import reference

        try:
            rows = measure()
        finally:
            for found in reference.names():
                reference.wipe(found.name)
    publish(rows)
    for row in rows:
        print("  ".join(row))


if __name__ == "__main__":
    main()
