# SPDX-License-Identifier: Apache-2.0
"""Volumes from cloud to cloud: one that is nearly empty, and one full of random data. `python -m bench.volumes [small]`

On two embedded clouds, by the commands of a user: first as raw, which is how every volume travelled before, then as qcow2.
Bytes are those of the images that the move copied, by its journal. Takes half an hour and 25 GB for a while; writes its
section of bench/README.md. `small`: less of it, for a machine that is busy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.page import publish

GIB, MIB = 1 << 30, 1 << 20
WAIT = timedelta(minutes=30)
SOURCE, TARGET = "bench-volumes-a", "bench-volumes-b"


@dataclass(frozen=True)
class Case:
    """A volume of a size with random data, at its beginning and in its middle, half of it each."""

    name: str
    size_gib: int
    used: int
    forms: tuple[str, ...] = ("raw", "qcow2")


CASES = (Case("10 GiB, 8 MiB in use", 10, 8 * MIB), Case("5 GiB, all of it random", 5, 5 * GIB))
SMALL = (
    Case("10 GiB, 8 MiB in use", 10, 8 * MIB, ("qcow2",)),
    Case("1 GiB, all of it random", 1, GIB),
    Case("2 GiB, 8 MiB in use", 2, 8 * MIB),
)


@dataclass(frozen=True)
class Row:
    """One case in one form: seconds, and bytes."""

    case: Case
    form: str
    move: float
    verify: float
    bytes: int


def plant(case: Case) -> None:
    """Write it straight into the file of an empty volume of the embedded cloud."""
    from unterbau import reference, wiring
    from unterbau.tenant.kinds import Kind, Volume, ref

    cloud = wiring.open_cloud(SOURCE)
    wish = Volume(id="-", name="bench", status="", size_gib=case.size_gib)
    made = cloud.ensure(wish, "unterbau.bench.0123456789abcdef")
    cloud.unmark(cloud.settle(ref(Kind.VOLUME, made), WAIT))
    (path,) = (reference.clouds_file(SOURCE).parent / "var" / "volumes").glob(f"*{made}")
    with path.open("r+b") as file:
        for start in (0, case.size_gib * GIB // 2):
            file.seek(start)
            for _ in range(case.used // 2 // MIB):
                file.write(os.urandom(MIB))


def empty(name: str) -> None:
    """Delete all volumes and images."""
    from unterbau import wiring
    from unterbau.tenant.kinds import Kind

    cloud = wiring.open_cloud(name)
    for kind in (Kind.VOLUME, Kind.IMAGE):
        for one in cloud.listing(kind).resources:
            cloud.delete(one.ref, WAIT)


RAW = (
    "from unterbau.cloud.disks import Forms; Forms.can = lambda self, what: False; from unterbau.cli import cli; cli()"
)
"""The program, which asks no cloud for qcow2."""


def unterbau(form: str, *arguments: str) -> str:
    """A command that must not fail; what it says."""
    program = ["-c", RAW] if form == "raw" else ["-m", "unterbau"]
    done = subprocess.run([sys.executable, *program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"unterbau {' '.join(arguments)}: {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def passed(state: Path, run: str) -> int:
    """Bytes of images that the move copied, by its journal."""
    from unterbau.saga.journal import peek

    (path,) = state.rglob(f"{run}/journal.db")
    return sum(int(str(o["bytes"])) for o in peek(path).outputs.values() if "bytes" in o)


def carried(home: Path, case: Case, form: str) -> Row:
    """A move, and a verification of it, by somebody who knows of no other drill."""
    state = home / f"state-{form}-{case.size_gib}"
    os.environ["XDG_STATE_HOME"] = str(state)
    plan = home / f"{form}-{case.size_gib}.yaml"
    told = unterbau(form, "plan", SOURCE, TARGET, "--output", str(plan), "--format", "json")
    move = seconds(lambda: unterbau(form, "move", str(plan), "--quiet"))
    verify = seconds(lambda: unterbau(form, "verify", SOURCE, TARGET, "--plan", str(plan), "--quiet"))
    return Row(case, form, move, verify, passed(state, json.loads(told)["run"]))


def measure(home: Path, cases: tuple[Case, ...]) -> list[Row]:
    """Each case in its forms, in one run."""
    from unterbau import reference

    rows: list[Row] = []
    for name in (SOURCE, TARGET):
        reference.up(name, progress=print)
    for case in cases:
        plant(case)
        for form in case.forms:
            rows.append(carried(home, case, form))
            print(rows[-1], flush=True)
            empty(TARGET)
        empty(SOURCE)
    return rows


def table(rows: list[Row]) -> Iterator[list[str]]:
    """Each case, with what qcow2 takes of raw."""
    raw = {row.case: row for row in rows if row.form == "raw"}
    for row in rows:
        before = raw.get(row.case)
        share = f"{(row.move + row.verify) / (before.move + before.verify):.2f}" if before else ""
        yield [row.case.name, row.form, f"{row.bytes / 1e6:.1f}", f"{row.bytes / row.case.used:.2f}", f"{row.move:.1f}",
               f"{row.verify:.1f}", share]  # fmt: skip


def main() -> None:
    """Measure and publish; the clouds are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as home:
        os.environ["XDG_DATA_HOME"] = f"{home}/data"
        from unterbau import reference

        try:
            rows = measure(Path(home), SMALL if "small" in sys.argv[1:] else CASES)
        finally:
            for name in (SOURCE, TARGET):
                reference.wipe(name)
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.volumes`: one run, two clouds and the client on {os.cpu_count()} cores and one disk,"
        f" load {os.getloadavg()[2]:.1f} in the last quarter of an hour."
        " Bytes: of images from source to target, at the move; a verification reads as many on each side. `raw` is how all volumes travelled before."
    )
    columns = ("volume", "form", "MB moved", "bytes a byte in use", "move, s", "verify, s", "time against raw")
    publish("volumes", head, columns, list(table(rows)))


if __name__ == "__main__":
    main()
