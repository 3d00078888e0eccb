# SPDX-License-Identifier: Apache-2.0
"""Steps that carry what crowded containers hold, some hundred objects each, by the manifest that the census wrote. `cutting` adds them.

An object has no step, no intent and no output of its own: a part has, and each of its objects carries the mark of the part. To
write one anew is to write the same, so a part that was cut off begins again. What it cannot carry it passes over; then the
step fails and names it, as an object's own step would. Taken back is what carries the mark, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unterbau.errors import Broken, CloudError, Conflict, LocalError, NotFound, Unsupported
from unterbau.saga import Attempt, JsonObject, Outputs, Status, Step
from unterbau.switch import manifest
from unterbau.switch.manifest import Damaged, Line
from unterbau.switch.move.steps import BondsStep, LedgerLine, Move, Passed, carry, remove
from unterbau.tenant.kinds import Ref, id_of
from unterbau.tenant.kinds.object import STORED

PART = "part of "
"""How a step is called, before the Ref of its container and its number."""
LEAST, MOST, PARTS = 25, 250, 64
"""Objects of a part, at least and at most; parts of a container that has not more objects than that."""
ODD = (Broken, Conflict, NotFound, Unsupported)
"""Errors of one object, which say nothing of the next."""
NAMED = 3
ANEW = "Start the drill anew: unterbau plan SOURCE TARGET."


def _all(references: Iterator[Ref]) -> Iterator[Ref]:
    return references


@dataclass(frozen=True)
class PartStep:
    """Some objects of a container: `count` lines of the manifest from the offset `at` on.

    `live`: of a source that lives, where what is gone is not carried. `allowed` gives of its objects on those that undoing may delete.
    """

    move: Move
    container: Ref
    number: int
    at: int
    count: int
    needs: tuple[str, ...]
    live: bool = False
    allowed: Callable[[Iterator[Ref]], Iterator[Ref]] = _all

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{PART}{self.container}/{self.number}"

    @property
    def mark(self) -> str:
        """The tag of each of its objects."""
        return self.move.marker(self.name)

    def lines(self) -> Iterator[Line]:
        """Its objects as the census listed them. Raises LocalError."""
        try:
            yield from manifest.part(self.move.listed or Path(), id_of(self.container), self.at, self.count)
        except (Damaged, OSError) as error:
            raise LocalError(f"{self.move.listed} is damaged ({error})", ANEW) from None

    def refs(self) -> Iterator[Ref]:
        """Theirs."""
        return (line.ref for line in self.lines())

    def intend(self, done: Outputs) -> JsonObject:
        """The tag; which objects they are stands in the manifest."""
        return {"side": "target", "of": self.container, "number": self.number, "mark": self.mark}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """How many, and how many bytes; `etags` of those that were others than was listed. An attempt after one of this process goes on behind what that one carried."""
        told = self.move.passed.setdefault(self.name, Passed())
        failed: dict[str, CloudError] = {}
        for number, line in enumerate(self.lines()):
            if number < told.at:
                continue
            progress(told.size_bytes, None)
            try:
                self._carry(line, str(intent["mark"]), done, told, progress)
            except ODD as error:
                if error.transient or error.uncertain:
                    raise
                failed[line.name] = error
            told.at = number + 1
        self.move.passed.pop(self.name)
        if failed:
            raise self._failed(failed)
        more: JsonObject = {"gone": told.gone, "etags": told.etags}
        return {"objects": told.objects, "bytes": told.size_bytes, **{k: v for k, v in more.items() if v}}

    def _carry(self, line: Line, mark: str, done: Outputs, told: Passed, progress: Attempt) -> None:
        before = told.size_bytes
        try:
            found = carry(
                self.move, line.thing(by_listing=True), mark, done, lambda size, of: progress(before + size, None)
            )
        except NotFound:
            if not self.live or self.move.source.read(line.ref) is not None:
                raise
            told.gone += 1
            return
        if "etag" in found:
            told.etags[line.name] = found["etag"]
        size = found.get("bytes", 0)
        told.objects += 1
        told.size_bytes += size if isinstance(size, int) else 0

    def _failed(self, failed: dict[str, CloudError]) -> Conflict:
        first = [f"{name}: {error.what}" for name, error in list(failed.items())[:NAMED]]
        more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        what = f"{len(failed)} of {self.count} objects of {self.container} were not carried: {'; '.join(first)}{more}"
        return Conflict(what, next(iter(failed.values())).remedy)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete what carries the mark, but for what may not go."""
        for reference in self.allowed(self.refs()):
            remove_marked(self.move, reference, str(intent["mark"]))


def remove_marked(move: Move, reference: Ref, mark: str) -> None:
    """Delete an object of the target if it still carries our mark."""
    there = move.target.read(reference)
    if there is not None and there.marker == mark:
        remove(move.target, STORED, id_of(reference))


def size(objects: int) -> int:
    """How many objects of so many one part has."""
    return min(MOST, max(LEAST, -(-objects // PARTS)))


def parts(move: Move) -> list[PartStep]:
    """Those of all crowded containers that move. Raises LocalError if the manifest is not that of the plan."""
    boxes = {id_of(e.ref): e for e in move.plan.entries if e.objects and e.fate.moves and e.stands_in is None}
    if not boxes:
        return []
    try:
        if move.listed is None:
            raise Damaged("there is none")
        found = manifest.parts(move.listed, lambda name: size(boxes[name].objects) if name in boxes else MOST)
    except (Damaged, OSError) as error:
        raise LocalError(f"the list of the objects of {', '.join(boxes)} cannot be read ({error})", ANEW) from None
    made = []
    for name, entry in boxes.items():
        held = found.get(name, [])
        if sum(count for _, count in held) != entry.objects:
            raise LocalError(f"the list of the objects of {name} is of another census than the plan", ANEW)
        made += [PartStep(move, entry.ref, n, at, count, (entry.ref,)) for n, (at, count) in enumerate(held, start=1)]
    return made


def with_parts(move: Move, steps: Iterable[Step]) -> list[Step]:
    """The steps of a move with those of its crowded containers, before what waits for all objects of one."""
    added = parts(move)
    of: dict[Ref, tuple[str, ...]] = {}
    for part in added:
        of[part.container] = (*of.get(part.container, ()), part.name)
    waiting: list[Any] = list(steps)
    return [
        *(replace(s, needs=(*s.needs, *of[s.reference])) if isinstance(s, BondsStep) and s.reference in of else s for s in waiting),
        *added,
    ]  # fmt: skip


def begun(steps: Iterable[Step], status: Status) -> Iterator[PartStep]:
    """The parts whose objects a run wrote, or may have, and did not take back."""
    for step in steps:
        if isinstance(step, PartStep) and step.name in status.intents and status.states[step.name] != "undone":
            yield step


def written(steps: Iterable[Step], status: Status) -> Iterator[tuple[Ref, str]]:
    """(Ref, mark) of each of these objects."""
    for step in begun(steps, status):
        yield from ((reference, step.mark) for reference in step.refs())


def lines_of(steps: Iterable[Step], status: Status, concerned: Collection[str]) -> Iterator[LedgerLine]:
    """The ledger's lines of the objects of these parts."""
    for step in steps:
        if isinstance(step, PartStep) and step.name in concerned and step.name in status.intents:
            state = status.states[step.name]
            for reference in step.refs():
                yield LedgerLine(
                    step=reference, side="target", kind=STORED.value, name=id_of(reference), marker=step.mark,
                    id=id_of(reference) if state == "done" else None, state=state, by=step.name,
                )  # fmt: skip
