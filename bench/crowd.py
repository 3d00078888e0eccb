# SPDX-License-Identifier: Apache-2.0
"""A container of many objects, seconds and memory of each phase by itself. `python -m bench.crowd [real] [COUNT...]`

Between two simulated clouds that hold their objects in SQLite, so what is measured is the program's own, each phase a process
of its own; its memory is its high-water mark (proc(5), VmHWM), the clouds' own included. `real`: between two embedded clouds,
whose one process a service is the limit then, and without what comes after the report; planted by rclone. Each writes its
section of bench/README.md. Without numbers: 1,000, 10,000 and 100,000 objects, on embedded clouds an hour.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.objects import CONTAINER, KIB, SOURCE, TARGET, Rclone, Told, plant, run
from bench.page import installed, publish

COUNTS = (1_000, 10_000, 100_000)
UP_TO_THE_REPORT = ("both censuses", "plan", "move", "verify", "seal", "check and report")
AFTER_IT = ("redact", "close --marks", "close --source")
REAL = "real"
"""The file in a folder of phases that says that its clouds are embedded ones."""


def fill(root: Path, count: int) -> None:
    """The source's one container."""
    from many import Many

    Many(root / "a", name="a").fill(count)


def phases(root: Path) -> dict[str, Callable[[], object]]:
    """Name -> what is done in its process."""
    from many import Many

    from unterbau import files, wiring
    from unterbau.evidence import signing_key
    from unterbau.evidence.opening import open_bundle
    from unterbau.face import Face
    from unterbau.switch import drill, folders, verify
    from unterbau.switch.close import MarksClosing, SourceClosing
    from unterbau.switch.evidence.redact import SALT_BYTES, redact_into

    real = (root / REAL).exists()
    source, target = (SOURCE, TARGET) if real else "ab"
    clouds = {name: wiring.open_cloud(name) if real else Many(root / name, name=name) for name in (source, target)}
    tools = drill.Tools(
        connect=clouds.__getitem__, now=lambda: datetime.now(UTC), face=Face(quiet=True), stop=threading.Event(),
        keys=root / "keys", versions=dict, secrets=lambda name: (), late_seconds=0.0,
    )  # fmt: skip
    begun = folders.drills()
    folder = begun[0][0] if begun else folders.begin(source, target, True, tools.now())
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
        assert isinstance(simulated := clouds[source], Many) and not simulated.objects()

    return {
        "both censuses": work.census, "plan": work.plan, "move": moved, "verify": verified, "seal": sealed,
        "check and report": lambda: work.report("en"), "redact": redacted, "close --marks": MarksClosing(folder, tools).take_off, "close --source": emptied,
    }  # fmt: skip


def measure(count: int, root: Path, names: tuple[str, ...]) -> dict[str, Told]:
    """One tenant, which stands; phase -> what it took."""
    env = installed() | {"XDG_STATE_HOME": str(root / "state")}
    found = {}
    for phase in names:
        found[phase] = run([sys.executable, "-m", "bench.crowd", "--phase", phase, str(root)], env)
        print(count, phase, found[phase], flush=True)
    return found


def simulated(count: int) -> dict[str, Told]:
    """A tenant of a simulated cloud."""
    with tempfile.TemporaryDirectory(prefix="unterbau-bench-") as name:
        fill(Path(name), count)
        return measure(count, Path(name), (*UP_TO_THE_REPORT, *AFTER_IT))


def embedded(counts: list[int]) -> dict[int, dict[str, Told]]:
    """The same tenants of an embedded one, one after the other."""
    from unterbau import reference

    with tempfile.TemporaryDirectory(prefix="unterbau-bench-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.environ["XDG_DATA_HOME"] = f"{home}/data"
        rows = {}
        try:
            for cloud in (SOURCE, TARGET):
                reference.up(cloud, progress=print)
            rclone = Rclone(home)
            for count in counts:
                plant(rclone, home, ((count, KIB),))
                root = home / str(count)
                root.mkdir()
                (root / REAL).touch()
                rows[count] = measure(count, root, UP_TO_THE_REPORT)
                if count != counts[-1]:
                    for remote in "ab":
                        rclone("purge", f"{remote}:{CONTAINER}")
        finally:
            for cloud in (SOURCE, TARGET):
                reference.wipe(cloud)
    return rows


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
    real = sys.argv[1:2] == [REAL]
    counts = [int(told) for told in sys.argv[1 + real :]] or list(COUNTS)
    rows = embedded(counts) if real else {count: simulated(count) for count in counts}
    between = "embedded clouds on the same cores, planted by rclone" if real else "simulated clouds"
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.crowd{f' {REAL}' * real}` on {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} at "
        f"its end: one container of so many objects{' of 1 KiB' * real} between two {between}, each phase a process with its start, seconds and "
        "the most memory. Growth: seconds an object at the most against those at the fewest; 1 or less is linear."
    )
    columns = ["phase", *(f"{count:,} objects" for count in sorted(rows)), "growth"]
    publish(f"crowd-{REAL}" if real else "crowd", head, columns, table(rows))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit"))
    if sys.argv[1:2] == ["--phase"]:
        phases(Path(sys.argv[3]))[sys.argv[2]]()
    else:
        main()
