# SPDX-License-Identifier: Apache-2.0
"""Laws that any saga passes, and a toy world on disk to show them on.

A caller gives `make(folder)`, the steps against a fresh or kept world in that folder, and `look(folder)`,
which counts what stands there without the ledger. Run as a program, it is the child that gets killed:
`saga_laws.py FOLDER run|unwind SEQ` ends itself with SIGKILL after journal entry SEQ (0: never).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unterbau.errors import Forbidden
from unterbau.saga import Attempt, Journal, JsonObject, Marker, Outputs, Progress, Step, run, unwind

Make = Callable[[Path], Sequence[Step]]
Look = Callable[[Path], object]
Command = Callable[[Path, str, int], Sequence[str]]
JOURNAL = "journal.db"


@dataclass(frozen=True)
class Wrapped:
    """A step that acts or undoes twice, or fails once before or after it acted."""

    step: Step
    twice: bool = False
    fails: str = ""

    @property
    def name(self) -> str:
        return self.step.name

    @property
    def needs(self) -> tuple[str, ...]:
        return self.step.needs

    def intend(self, done: Outputs) -> JsonObject:
        if self.fails == "intend":
            raise Forbidden("injected")
        return self.step.intend(done)

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        if self.fails == "before":
            raise Forbidden("injected")
        output = self.step.act(intent, done, progress)
        if self.twice:
            again = self.step.act(intent, done, progress)
            assert again.get("id") == output.get("id")  # the rest are notes of what passed, and when
        if self.fails == "after":
            raise Forbidden("injected")
        return output

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        self.step.undo(intent, output, done)
        if self.twice:
            self.step.undo(intent, output, done)
            self.step.undo(intent, None, done)


def each_twice(make: Make, look: Look, folder: Path) -> None:
    """Every act and every undo run twice equals once; the world ends as it began."""
    folder.mkdir()
    steps = [Wrapped(s, twice=True) for s in make(folder)]
    before = look(folder)
    with Journal(folder / JOURNAL) as journal:
        assert run(steps, journal).complete
        assert look(folder) == expected(make, look, folder.with_name(folder.name + "-plain"))
        assert unwind(steps, journal).complete
    assert look(folder) == before


def failure_at_each(make: Make, look: Look, root: Path) -> None:
    """A failure before the intent, before and after the act of each node; the rerun ends as if none was."""
    want = expected(make, look, root / "plain")
    for number in range(len(make(root / "plain"))):
        for moment in ("intend", "before", "after"):
            folder = root / f"{moment}-{number}"
            folder.mkdir()
            steps = list(make(folder))
            broken: list[Step] = [*steps]
            broken[number] = Wrapped(steps[number], fails=moment)
            with Journal(folder / JOURNAL) as journal:
                assert run(broken, journal).failed == (steps[number].name,)
            with Journal(folder / JOURNAL) as journal:
                assert run(steps, journal).complete
            assert look(folder) == want
            shutil.rmtree(folder)  # a copy of two clouds each


def expected(make: Make, look: Look, folder: Path) -> object:
    """What an undisturbed run leaves."""
    folder.mkdir()
    with Journal(folder / JOURNAL) as journal:
        assert run(make(folder), journal).complete
    return look(folder)


def killed_after_each_write(command: Command, look: Look, root: Path) -> int:
    """SIGKILL after each journal entry of a run, and of the unwinding; returns the number of kills."""
    plain = root / "plain"
    plain.mkdir()
    nothing = look(plain)
    _child(command(plain, "run", 0))
    want, written = look(plain), _entries(plain)
    _child(command(plain, "unwind", 0))
    assert look(plain) == nothing
    total = _entries(plain)
    for seq in range(1, total + 1):
        folder = root / f"killed-{seq}"
        folder.mkdir()
        if seq <= written:
            _child(command(folder, "run", seq), killed=True)
        _child(command(folder, "run", 0))
        assert look(folder) == want
        if seq > written:
            _child(command(folder, "unwind", seq), killed=True)
        _child(command(folder, "unwind", 0))
        assert look(folder) == nothing
        shutil.rmtree(folder)
    return total


def _child(command: Sequence[str], *, killed: bool = False) -> None:
    ended = subprocess.run(command, timeout=60, capture_output=True, check=False)
    assert ended.returncode == (-signal.SIGKILL if killed else 0), ended.stderr.decode()


def _entries(folder: Path) -> int:
    with Journal(folder / JOURNAL) as journal:
        return len(journal.rows())


@dataclass(frozen=True)
class ToyStep:
    """Makes one file, atomically; its name is the marker and a random id. Find-or-create by the marker."""

    world: Path
    name: str
    needs: tuple[str, ...] = ()

    def intend(self, done: Outputs) -> JsonObject:
        return {"tag": Marker(run="toy", node=self.name).tag()}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        progress(0, 1)
        assert all(need in done for need in self.needs)
        found = self._mine(intent)
        if not found:
            found = [self.world / f"{intent['tag']}~{uuid.uuid4()}"]
            found[0].touch()
        return {"id": found[0].name}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        for path in self._mine(intent):
            path.unlink(missing_ok=True)

    def _mine(self, intent: JsonObject) -> list[Path]:
        return list(self.world.glob(f"{intent['tag']}~*"))


def toy(folder: Path) -> list[Step]:
    """A diamond and a lone node."""
    world = folder / "world"
    world.mkdir(exist_ok=True)
    shape = {"net": (), "subnet": ("net",), "router": ("net",), "port": ("subnet", "router"), "key": ()}
    return [ToyStep(world, name, needs) for name, needs in shape.items()]


def toy_look(folder: Path) -> object:
    """The markers that stand in the world, doubles included."""
    return sorted(p.name.split("~")[0] for p in (folder / "world").glob("*"))


def toy_command(folder: Path, what: str, seq: int) -> Sequence[str]:
    """The child for `killed_after_each_write`."""
    return (sys.executable, __file__, str(folder), what, str(seq))


def main() -> None:
    """The child."""
    folder, what, fatal = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def on_write(seq: int) -> None:
        if seq == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    with Journal(folder / JOURNAL, on_write=on_write) as journal:
        result = (run if what == "run" else unwind)(toy(folder), journal)
    sys.exit(0 if result.complete else 1)


if __name__ == "__main__":
    main()
