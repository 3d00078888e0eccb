# SPDX-License-Identifier: Apache-2.0
"""The steps of a move that ends with a cut-over: what is copied while the source lives, its stop, and what changed until then.

`steps` makes them of a plan that says so (`Plan.cut_over`); `drill` runs first those that wait for no stop (`held_back`).
The order is in the steps' needs: all that can be copied beforehand, then the source's servers stop, then what became of the
objects meanwhile, disks, servers. A step that failed beforehand keeps the source running. Undone, the servers run again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from unterbau.cloud.port import Cloud
from unterbau.errors import NotFound
from unterbau.saga import JsonObject, Outputs, Progress, Step
from unterbau.switch.manifest import Line
from unterbau.switch.move.helping import GuestStep, HelperStep, with_blocks
from unterbau.switch.move.parts import PartStep, parts, remove_marked, with_parts
from unterbau.switch.move.steps import BondsStep, CreateStep, Move, TemporaryStep, WriteStep, carry, etag_of
from unterbau.switch.move.steps import steps as copying
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import KINDS, Ref, Resource, id_of, kind_of, ref
from unterbau.tenant.kinds.object import STORE, STORED
from unterbau.tenant.workload import Workload

COPIED, STOPPED = "all that is copied beforehand", "all that is stopped"
LATER, LOOK, CHANGES = "place of what comes later", "look at the objects again", "changes of the objects"
"""Names of steps."""
OBJECTS_AT_ONCE = 8
_ENDED: tuple[Line | None, str] = (None, "")


@dataclass(frozen=True)
class Gate:
    """What others wait for; it does nothing."""

    name: str
    needs: tuple[str, ...]

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Nothing."""
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Nothing was made."""


@dataclass(frozen=True)
class StopStep:
    """A server of the source is stopped; undone, it runs again. What it was is durable before."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"stop of {self.reference}"

    def intend(self, done: Outputs) -> JsonObject:
        """Whether it ran, and was locked."""
        there = self.move.source.read(self.reference)
        if there is None:
            return {"ran": False, "locked": False}
        return {"ran": there.runs(), "locked": there.protection() == "locked", "reason": there.protected_for()}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Stop it."""
        if intent["ran"]:
            self._power("SHUTOFF", intent)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Start it, if it ran."""
        if intent["ran"]:
            self._power("ACTIVE", intent)

    def _power(self, power: Any, intent: JsonObject) -> None:
        source, id_ = self.move.source, id_of(self.reference)
        with suppress(NotFound):  # it is gone: it does not run, and nobody brings it back
            if intent["locked"]:
                source.set_lock(id_, False)
            source.set_power(id_, power)
            if intent["locked"]:
                source.set_lock(id_, True, str(intent.get("reason", "")))


class LiveWriteStep(WriteStep):
    """An object of a source that lives: as it is now, or not at all."""

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """The id, and what passed; or that it is gone."""
        listed = self.resource.is_brief()  # then one request tells what it is now, with its bytes
        there = self.resource if listed else self.move.source.read(self.reference)
        return _as_it_is(self.move, self.reference, there, str(intent["marker"]), done, progress)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete it by its mark: it may have gone meanwhile, and its place be another's."""
        super().undo(intent, None, done)


@dataclass(frozen=True)
class LaterStep(Gate):
    """Before any object is written: it makes nothing, and its undoing takes away what `ChangesStep` made.

    So that goes after what was carried before and may join it, as large objects do.
    """

    move: Move
    spared: frozenset[Ref] = frozenset()

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete what was carried at the cut-over, by its mark, but for what is spared."""
        for reference, marker in _marks(done.get(LOOK, {}), "made").items():
            if reference not in self.spared:
                remove_marked(self.move, reference, marker)


@dataclass(frozen=True)
class LookStep(Gate):
    """What became of the objects since the census, by ETag, size and time of the listings: durable before anything is written."""

    move: Move

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """What is to be carried (`made`) and what goes (`gone`), each with its mark; `by`: the step that does so.

        What was not listed whole takes nothing away that is still there. What was gone, or another, when it was copied is
        carried even if it is now as the census had it: it was so twice within a second, or its store tells no time.
        """
        listing = self.move.source.listing_brief(STORED, self.boxes)
        now = {r.ref: r for r in listing.resources}
        before = {
            r.ref: r for r in self.move.workload.resources
            if r.own_kind is STORED and r.id.partition("/")[0] not in self.boxes
        }  # fmt: skip
        made = [
            r.ref for r in now.values()
            if self._is_ours(r) and (_stamp(r) != _stamp(before.get(r.ref)) or _was_other(done.get(r.ref, {}), r))
        ]  # fmt: skip
        gone = [r.ref for r in before.values() if self._is_ours(r) and r.ref not in now]
        unseen = {n.what for n in listing.not_shown}
        if unseen:
            gone = [r for r in gone if self.move.source.read(r) is None]
        marks = {r: self.move.marker(r) for r in (*made, *gone)}
        for box, held in self.boxes.items():
            self._look_into(box, held, made, gone, marks, done)
        return {"by": CHANGES, "made": {r: marks[r] for r in made}, "gone": {r: marks[r] for r in gone}}

    @cached_property
    def boxes(self) -> Mapping[str, Sequence[PartStep]]:
        """Crowded containers, with the parts by which they are carried."""
        found: dict[str, list[PartStep]] = {}
        for part in parts(self.move):
            found.setdefault(id_of(part.container), []).append(part)
        return found

    def _look_into(
        self, box: str, held: Sequence[PartStep], made: list[Ref], gone: list[Ref], marks: dict[Ref, str], done: Outputs
    ) -> None:
        """The same of a crowded container: its listing beside the manifest, both in the order of names."""
        apart = {r.ref: r for r in self.move.workload.resources if r.own_kind is STORED and r.id.startswith(f"{box}/")}
        there = set[Ref]()
        lacking = {part.mark for part in held if done.get(part.name, {}).get("gone")}
        others = _others(held, done)
        listed = ((line, part.mark) for part in held for line in part.lines())
        line, mark = next(listed, _ENDED)
        for page in self.move.source.pages(box):
            for one in sorted((*page.plain, *page.others), key=lambda r: r.name):
                while line is not None and line.name < one.name:
                    gone.append(reference := ref(STORED, f"{box}/{line.name}"))
                    marks[reference] = mark
                    line, mark = next(listed, _ENDED)
                before: Resource | None = apart.get(one.ref)
                if before is not None:
                    there.add(one.ref)
                known = line is not None and line.name == one.name
                if line is not None and known:
                    before = line.thing(by_listing=True)
                now = self.move.source.read(one.ref) if one in page.others else one
                was_gone = (mark in lacking if known else done.get(one.ref, {}).get("gone")) and self.move.target.read(
                    one.ref
                ) is None
                was_other = now is not None and (
                    others.get(one.name, etag_of(now)) != etag_of(now)
                    if known
                    else _was_other(done.get(one.ref, {}), now)
                )
                if now is not None and self._is_ours(now) and (was_gone or was_other or _stamp(now) != _stamp(before)):
                    made.append(one.ref)
                    marks[one.ref] = mark if known else self.move.marker(one.ref)
                if known:
                    line, mark = next(listed, _ENDED)
        while line is not None:
            gone.append(reference := ref(STORED, f"{box}/{line.name}"))
            marks[reference] = mark
            line, mark = next(listed, _ENDED)
        left = [r.ref for r in apart.values() if self._is_ours(r) and r.ref not in there]
        gone += left
        marks.update((r, self.move.marker(r)) for r in left)

    def _is_ours(self, one: Resource) -> bool:
        """Whether its container is carried, and itself not left; of a later one that shows another account's nobody carries it."""
        own = self.move.plan.by_ref.get(one.ref)
        if own is not None:
            return own.fate.moves
        entries = [self.move.plan.by_ref.get(holder) for holder in one.held()]
        return all(e is not None and e.fate.moves for e in entries) and one.parts(self.move.workload) is not None


@dataclass(frozen=True)
class ChangesStep(Gate):
    """New and changed objects are carried, those that are gone go, if we made them. `LaterStep` takes it back."""

    move: Move

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """How many were carried and went. Plain ones first: what joins or shows others needs them."""
        made, gone = _marks(done[LOOK], "made"), _marks(done[LOOK], "gone")
        linked: list[Ref] = []

        def plain(reference: Ref) -> JsonObject:
            there = self.move.source.read(reference)
            if there is not None and there.is_linked():
                linked.append(reference)
                return {}
            return _as_it_is(self.move, reference, there, made[reference], done, progress)

        with ThreadPoolExecutor(max_workers=OBJECTS_AT_ONCE) as pool:
            told = list(pool.map(plain, made))
        for one in sorted(linked, key=self._depth):
            told.append(_as_it_is(self.move, one, self.move.source.read(one), made[one], done, progress))
        for reference, marker in gone.items():
            remove_marked(self.move, reference, marker)
        sizes = (one.get("bytes", 0) for one in told)
        return {"carried": len(made), "removed": len(gone), "bytes": sum(n for n in sizes if isinstance(n, int))}

    def _depth(self, reference: Ref) -> int:
        """Symlinks after what they show, large objects before those."""
        there = self.move.source.read(reference)
        return int(there is not None and not there.has_content())


def _as_it_is(
    move: Move, reference: Ref, there: Resource | None, marker: str, done: Outputs, progress: Progress
) -> JsonObject:
    """Carry the object as the source has it now. One that is gone meanwhile, or goes while it is read, is not carried."""
    if there is None:
        return {"gone": True}
    try:
        return carry(move, there, marker, done, progress)
    except NotFound:
        if move.source.read(reference) is None:
            return {"gone": True}
        raise


def _was_other(output: JsonObject, now: Resource) -> bool:
    """Whether what was copied was gone, or another than is there now."""
    return bool(output.get("gone")) or output.get("etag", etag_of(now)) != etag_of(now)


def _others(held: Sequence[PartStep], done: Outputs) -> dict[str, JsonValue]:
    """The same of the objects of parts, by name: the ETags of those that were others than was listed."""
    told = (done.get(part.name, {}).get("etags") for part in held)
    return {name: etag for one in told if isinstance(one, dict) for name, etag in one.items()}


def _stamp(one: Resource | None) -> tuple[object, ...]:
    """What a listing tells of an object's content and time, which a header has in whole seconds, rounded up."""
    if one is None:
        return ()
    at = getattr(one, "last_modified", None)
    second = at and (at + timedelta(microseconds=999_999)).replace(microsecond=0)
    return getattr(one, "etag", ""), getattr(one, "size_bytes", 0), second


def _marks(output: JsonObject, field: str) -> dict[Ref, str]:
    told = output.get(field)
    return {str(r): str(m) for r, m in told.items()} if isinstance(told, dict) else {}


def steps(
    plan: Plan, workload: Workload, source: Cloud, target: Cloud, work: Path | None = None, listed: Path | None = None
) -> list[Step]:
    """All steps of the move. `workload` is the census that the plan was made from; `work`: a folder for temporary files.

    `listed`: the manifest that this census wrote of crowded containers. Raises LocalError if it is none.
    """
    move = Move(plan, workload, source, target, work, listed)
    made = with_parts(move, copying(move))
    if plan.cut_over is None:
        return made
    return _with_stop(move, made, plan.cut_over)


def until_stop(steps: Sequence[Step]) -> frozenset[str]:
    """Names of the steps that wait for the stop of the source, or are it, or make the helpers that must be there before it."""
    return _held_back(steps, {s.name for s in steps if isinstance(s, StopStep | HelperStep) or s.name == STOPPED})


def sparing(steps: Iterable[Step], spared: Collection[Ref]) -> list[Step]:
    """The steps, whose undoing leaves these objects where they are, if they came later."""
    kept = frozenset(spared)
    return [replace(s, spared=kept) if isinstance(s, LaterStep) else s for s in steps]


def _with_stop(move: Move, steps: Sequence[Step], stopped: Iterable[Ref]) -> list[Step]:
    """The steps of a move between which the source's servers `stopped` stop."""
    live, helps = [_live(s) for s in steps], list[Step]()
    volumes = move.plan.by_blocks(move.workload)
    if move.plan.helper and volumes:
        live, helps = with_blocks(move, move.plan.helper, live, volumes, COPIED)
    late = _held_back([*live, *helps], {s.name for s in live if _waits(s)} | {s.name for s in helps})
    early = tuple(s.name for s in live if s.name not in late)
    ready = tuple(s.name for s in helps if isinstance(s, GuestStep))
    stops = [StopStep(move, reference, (COPIED, *ready)) for reference in stopped]
    gate = Gate(STOPPED, (COPIED, *(s.name for s in stops)))
    containers = tuple(s.name for s in live if isinstance(s, CreateStep) and kind_of(s.reference) is STORE)
    made: list[Step] = [LaterStep(LATER, containers, move), Gate(COPIED, (LATER, *early)), *helps, *stops, gate]
    made += [LookStep(LOOK, (STOPPED,), move), ChangesStep(CHANGES, (LOOK,), move)]
    for step in live:
        made.append(_waiting(step) if _waits(step) else step)
    return made


def _held_back(steps: Sequence[Step], roots: Collection[str]) -> frozenset[str]:
    """These steps, and all that need them."""
    waiting: dict[str, list[str]] = {}
    for step in steps:
        for need in step.needs:
            waiting.setdefault(need, []).append(step.name)
    found, ahead = set(roots), list(roots)
    while ahead:
        more = [name for name in waiting.get(ahead.pop(), ()) if name not in found]
        found.update(more)
        ahead += more
    return frozenset(found)


def _live(step: Step) -> Step:
    """Objects are carried as they are, after the place of those that come later."""
    if isinstance(step, PartStep):
        return replace(step, needs=(*step.needs, LATER), live=True)
    return LiveWriteStep(step.move, step.reference, (*step.needs, LATER)) if isinstance(step, WriteStep) else step


def _waits(step: Step) -> bool:
    """Whether the step itself wants a stopped source: the first on the way of a disk, a server, the versions of a container."""
    if isinstance(step, TemporaryStep):
        return not step.needs and not step.when
    if isinstance(step, BondsStep):
        return kind_of(step.reference) is STORE
    return isinstance(step, CreateStep) and KINDS[kind_of(step.reference)].RUNS


def _waiting(step: Step) -> Step:
    more = CHANGES if isinstance(step, BondsStep) else STOPPED
    waiting: Any = step
    made: Step = replace(waiting, needs=(*step.needs, more))
    return made


def running(resources: Iterable[Resource]) -> list[Ref]:
    """The servers that run."""
    return [r.ref for r in resources if r.runs()]
