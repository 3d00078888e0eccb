# SPDX-License-Identifier: Apache-2.0
"""Runs that make things for a moment only: their journals in one folder, and the removal of what a killed one left.

`verify` and `prove --write` use it. A journal's name begins with a verb and the place that its things are in, and a
later run of the same takes up what a killed one left there. That of a living process is left alone. How a thing is
removed says the caller; this knows no cloud.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from unterbau.errors import CloudError, LocalError, Refused
from unterbau.saga.engine import note_killed
from unterbau.saga.journal import Journal, peek
from unterbau.saga.late import wait_out
from unterbau.saga.status import Event, JsonObject

Remove: TypeAlias = Callable[[JsonObject, JsonObject | None], None]
"""Deletes what a step with this intent made: by its output if there is one, else by the marker. Gone already is done."""


@dataclass(frozen=True)
class Momentary:
    """The runs of one verb at one place. `place` tells it from the others whose journals lie in `folder`."""

    folder: Path
    place: str
    remove: Remove
    now: Callable[[], datetime]
    stop: threading.Event
    late_seconds: float
    say: Callable[[str], None]

    def journal(self, run: str) -> Path:
        """Where the journal of a run is."""
        return self.folder / f"{self.place}-{run}.db"

    def take_up(self) -> tuple[list[Path], list[str]]:
        """Remove what killed runs made here: their journals, for `finish`, and what would not go."""
        killed: list[Path] = []
        left: list[str] = []
        for path in sorted(self.folder.glob(f"{self.place}-*.db")):
            with suppress(Refused), Journal(path, now=self.now) as journal:  # another process is at it right now
                note_killed(journal)
                killed.append(path)
                left += self._removed(journal)
        return killed, left

    def finish(self, killed: Iterable[Path]) -> list[str]:
        """Wait for what killed runs may have asked for, look once more, and forget them. What would not go."""
        left: list[str] = []
        for path in killed:
            with suppress(Refused):
                with Journal(path, now=self.now) as journal:
                    rest = [*self.sweep(journal), *self._removed(journal)]
                if not rest:
                    forget(path)
                left += rest
        return left

    def sweep(self, journal: Journal) -> list[str]:
        """Remove what requests without an answer made after all, once they can make nothing any more. What would not go."""
        if not wait_out(journal, self.late_seconds, now=self.now, stop=self.stop, say=self.say):
            return []
        left: list[str] = []
        for name in journal.doubts:
            left += self._gone(journal.status.intents[name], None)
        if not left:
            journal.append(Event(kind="swept"))
        return left

    def _removed(self, journal: Journal) -> Iterator[str]:
        status = journal.status
        for name, intent in reversed(list(status.intents.items())):
            if status.states[name] != "undone":
                yield from self._gone(intent, status.outputs.get(name))

    def _gone(self, intent: JsonObject, output: JsonObject | None) -> Sequence[str]:
        if "marker" not in intent:
            return ()
        try:
            self.remove(intent, output)
        except CloudError as error:
            return (f"{intent['name']} ({error.what})",)
        return ()


def remaining(journal: Journal) -> list[str]:
    """All that was meant to be made and is not surely gone: what would not go, and what that kept from going."""
    states = journal.status.states
    return [str(i["name"]) for n, i in journal.status.intents.items() if "marker" in i and states[n] != "undone"]


def markers(folder: Path, verb: str) -> set[str]:
    """The markers of all things that runs of a verb made or mean to make, whoever runs them, at whatever place."""
    found: set[str] = set()
    for path in folder.glob(f"{verb}-*.db"):
        with suppress(LocalError):  # forgotten meanwhile
            found |= {str(i["marker"]) for i in peek(path).intents.values() if "marker" in i}
    return found


def forget(path: Path) -> None:
    """Remove a journal whose run left nothing."""
    for suffix in ("", "-wal", "-shm", ".lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
