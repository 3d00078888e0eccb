# SPDX-License-Identifier: Apache-2.0
"""A container of many objects, seconds and memory of each phase by itself. `python -m bench.crowd [COUNT...]`

Between two simulated clouds that hold their objects in SQLite, so what is measured is the program's own: on embedded clouds
their one process a service is the limit, and planting 100,000 takes them half an hour (`bench.objects` is of those). Each phase
is a process of its own; its memory is its high-water mark (proc(5), VmHWM), the clouds' own included. Writes its section of
bench/README.md. Without numbers: 1,000, 10,000 and 100,000 objects.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.objects import Told, run
from bench.page import installed, publish

COUNTS = (1_000, 10_000, 100_000)


def fill(root: Path, count: int) -> None:
    """The source's one container."""
    from many import Many

    Many(root / "a", name="a").fill(count)


def phases(root: Path) -> dict[str, Callable[[], object]]:
    """Name -> what is done in its process."""
    from many import Many

    from unterbau import files
    from unterbau.evidence import signing_key
    from unterbau.evidence.opening import open_bundle
    from unterbau.face import Face
    from unterbau.switch import drill, folders, verify
    from unterbau.switch.close import MarksClosing, SourceClosing
    from unterbau.switch.evidence.redact import SALT_BYTES, redact_into

    clouds = {name: Many(root / name, name=name) for name in "ab"}
    tools = drill.Tools(
        connect=clouds.__getitem__, now=lambda: datetime.now(UTC), face=Face(quiet=True), stop=threading.Event(),
        keys=root / "keys", versions=dict, secrets=lambda name: (), late_seconds=0.0,
    )  # fmt: skip
    begun = folders.drills()
    folder = begun[0][0] if begun else folders.begin("a", "b", True, tools.now())
    work = drill.Drill(folder, tools)

    def moved() -> None:
        assert work.move().complete

    def verified() -> None:
        seen = verify.look(*work.clouds(), work.load_plan(), work=folder.path, now=tools.now, place=folder.verdicts)
        files.write(folder.verdicts, seen.model_dump_json(indent=1).encode())

    def sealed() -> None:
        work.seal()
        folder.save(folder.load().model_copy(update={"finished": True}))

    def redacted() -> None:
        with (root / "redacted.unterbau").open("wb") as out:
            redact_into(out, open_bundle(folder.bundle), b"s" * SALT_BYTES, signing_key(tools.keys), tools.now())

    def emptied() -> None:
        closing = SourceClosing(folder, tools)
        closing.empty(folder.bundle, (), lambda question: None)
        assert not clouds["a"].objects()

    return {
        "both censuses": work.census, "plan": work.plan, "move": moved, "verify": verified, "seal": sealed,
        "check and report": lambda: work.report("en"), "redact": redacted, "close --marks": MarksClosing(folder, tools).take_off, "close --source": emptied,
    }  # fmt: skip


def measure(count: int) -> dict[str, Told]:
    """One tenant; phase -> what it took."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-") as name:
        root = Path(name)
        env = installed() | {"XDG_STATE_HOME": str(root / "state")}
        fill(root, count)
        names = ("both censuses", "plan", "move", "verify", "seal", "check and report", "redact", "close --marks",
                 "close --source")  # fmt: skip
        found = {}
        for phase in names:
            found[phase] = run([sys.executable, "-m", "bench.crowd", "--phase", phase, str(root)], env)
            print(count, phase, found[phase], flush=True)
        return found


def table(rows: Mapping[int, Mapping[str, Told]]) -> list[list[str]]:
    """A phase a row, a tenant a column; growth of seconds beyond the growth of objects in the last."""
    counts = sorted(rows)
    few, most = counts[0], counts[-1]
    made = []
    for phase in rows[few]:
        growth = rows[most][phase].seconds / rows[few][phase].seconds / (most / few)
        made.append([phase, *(str(rows[count][phase]) for count in counts), f"{growth:.2f}"])
    return made


def main() -> None:
    """Measure and publish."""
    counts = [int(told) for told in sys.argv[1:]] or list(COUNTS)
    rows = {count: measure(count) for count in counts}
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.crowd` on {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} at "
        "its end: one container of so many objects between two simulated clouds, each phase a process with its start, seconds and "
        "the most memory. Growth: seconds an object at the most against those at the fewest; 1 or less is linear."
    )
    publish("crowd", head, ["phase", *(f"{count:,} objects" for count in sorted(rows)), "growth"], table(rows))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit"))
    if sys.argv[1:2] == ["--phase"]:
        phases(Path(sys.argv[3]))[sys.argv[2]]()
    else:
        main()
