# SPDX-License-Identifier: Apache-2.0
"""What may go of the objects of crowded containers, some hundred at a time, by manifests on disk. `close` and `evidence` decide by it.

An object is decided of by itself, as `decide` does of everything; but nothing of it is held but what makes it an exception. So
it is of containers whose objects nobody names and which name none (`plain`); the others' objects are things like all others.
What nobody knows to be plain, or is needed by what stays, stays. Reads files, asks no cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from unterbau.evidence.long import Long
from unterbau.evidence.long import sha256 as digest_of
from unterbau.switch import temporaries
from unterbau.switch.closing.decide import PART, Closing, Decision, Part, Rows, Sealed, decide, intended, outputs
from unterbau.switch.manifest import Chunk, Damaged, Index, Line
from unterbau.switch.plan import Plan
from unterbau.switch.verify import OF_ANSWERS, OPENINGS, Contents, compare, counterparts, with_objects
from unterbau.tenant.kinds import Ref, Resource, id_of, ref
from unterbau.tenant.kinds.object import STORE, links, store_of, stored
from unterbau.tenant.workload import Workload
from unterbau.verdict import Observation, Reason, Words, told_as

COUNTED = "census.counted"
"""The reason of a container that counts other objects than it lists."""
LONGEST = 1000
"""How many lines a part may have."""
Texts: TypeAlias = Mapping[str, Index]
"""What crowded containers hold, by side."""
NOTHING: Texts = MappingProxyType({})


def plain(plan: Plan, told: Sequence[Workload], then: Texts) -> tuple[str, ...]:
    """Crowded containers of a move whose objects name nothing, are named by nothing, and are no things of the plan.

    `told`: censuses of the source of the move.
    """
    if not then:
        return ()
    names = set(then["source"].chunks) & set(then["target"].chunks)
    names -= {store_of(reference) for reference in plan.by_ref}
    for index in then.values():
        names -= {line.container for line in index.linked}
        names -= {box for line in index.linked for box in _named(line.thing())}
    for workload in told:
        for thing in workload.resources:
            names -= {store_of(thing.ref), *_named(thing)}
    found = []
    for name in sorted(names):
        entry = plan.by_ref.get(ref(STORE, name))
        boxes = [workload.by_ref.get(ref(STORE, name)) for workload in told]
        bare = all(box is not None and box.unbound() is None for box in boxes)
        if entry is not None and entry.objects and entry.fate.moves and entry.stands_in is None and bare:
            found.append(name)
    return tuple(found)


def _named(thing: Resource) -> set[str]:
    """The containers in which what an object shows or joins is."""
    others, start = links(thing)
    return {store_of(one) for one in (*others, start) if one}


def bare(look: Contents, boxes: Collection[str]) -> Contents:
    """A look without what it claims of the objects of these containers all together: of each is decided by itself."""
    refs = {ref(STORE, name) for name in boxes}
    if not refs:
        return look
    kept = tuple(v for v in look.verdicts if v.claim.kind != "content" or v.claim.subject not in refs)
    return look.model_copy(update={"verdicts": kept})


def texts_of(held: Mapping[str, Long], work: Path, lines: int = LONGEST) -> Texts:
    """What manifests hold, to be read from anywhere; `work`: a folder for them; `lines`: of a part.

    Raises Damaged, and as reading them does.
    """
    found = {}
    work.mkdir(exist_ok=True)
    for side, text in held.items():
        path = work / side
        with path.open("wb") as file:
            for chunk in text.chunks():
                file.write(chunk)
        found[side] = Index.of(path, lines)
    return found


def digests_of(now: Texts) -> dict[str, str]:
    """Side -> SHA-256 of its manifest."""
    return {side: digest_of(Long.at(index.path)) for side, index in now.items()}


@dataclass(frozen=True)
class Crowds:
    """Four manifests: of both sides as the bundle of the move has them, and now. `boxes`: of which containers it is."""

    sealed: Sealed
    verification: Contents
    then: Texts
    boxes: tuple[str, ...]
    now: Texts
    accepted: tuple[str, ...]
    go_on: Callable[[], None] = lambda: None
    """Called before each part; may raise."""

    def decide(
        self, look: Contents, pairs: Mapping[Ref, Ref], hashes: Mapping[tuple[str, Ref], Observation],
        put_back: Collection[Ref] = (),
    ) -> Decision:  # fmt: skip
        """The decision for every thing of the source, and for every object of these containers. Raises Damaged, OSError.

        Of a container that stays for a reason of its own no object goes. One of which an object stays, stays.
        """
        seen = bare(look, self.boxes)
        doubted = self._doubted(seen, hashes)
        first = decide(self.sealed, seen, pairs, self.accepted, put_back, doubted)
        if not self.boxes:
            return first
        needed = self._needed(seen)
        parts = [p for name in self.boxes if ref(STORE, name) in first.chosen for p in self._parts(name, look, needed)]
        stays = {p.container: Reason.of("close.needed", by=next(iter(p.kept))) for p in reversed(parts) if p.kept}
        whole = decide(self.sealed, seen, pairs, self.accepted, put_back, {**stays, **doubted})
        return Decision(
            chosen=whole.chosen,
            kept={**whole.kept, **{r: why for p in parts for r, why in p.kept.items()}},
            losses={**whole.losses, **{r: found for p in parts for r, found in p.losses.items()}},
            accepted=(*whole.accepted, *(one for p in parts for one in p.accepted)),
            drifted={**whole.drifted, **{r: fields for p in parts for r, fields in p.drifted.items()}},
            parts=tuple(parts),
        )

    def _doubted(self, look: Contents, hashes: Mapping[tuple[str, Ref], Observation]) -> dict[Ref, Words]:
        """Containers whose listing at the source broke off."""
        found: dict[Ref, Words] = {}
        for name in self.boxes:
            reference = ref(STORE, name)
            if reference in look.source.by_ref and (why := broken_off(hashes, reference)):
                found[reference] = Reason.of("close.not-verified", why=why)
        return found

    def _needed(self, look: Contents) -> dict[Ref, Ref]:
        """What is named by objects that show or join others -> by which: those came after the move, and stay."""
        found: dict[Ref, Ref] = {}
        for thing in (*look.source.resources, *(line.thing() for line in self.now["source"].linked)):
            others, start = links(thing)
            found.update((one, thing.ref) for one in others)
            if start:
                box, _, first = id_of(start).partition("/")
                joined = self.now["source"].between(box, first, f"{first}\U0010ffff")
                found.update((line.ref, thing.ref) for line in joined)
        return found

    def _parts(self, name: str, look: Contents, needed: Mapping[Ref, Ref]) -> Iterator[Part]:
        for number, chunk in enumerate(self.now["source"].chunks.get(name, ()), start=1):
            self.go_on()
            yield self._part(name, number, chunk, look, needed)

    def _part(self, name: str, number: int, chunk: Chunk, look: Contents, needed: Mapping[Ref, Ref]) -> Part:
        reference = ref(STORE, name)
        kept: dict[Ref, Words] = {}
        lines = dict[Ref, Line]()
        for line in self.now["source"].lines(name, chunk):
            if line.gone:
                continue
            if line.is_linked:
                kept[line.ref] = Reason.of("close.after-census")
            elif line.ref in needed:
                kept[line.ref] = Reason.of("close.needed", by=needed[line.ref])
            else:
                lines[line.ref] = line
        told, pairs = self._judged(look, self.now, name, chunk, lines)
        found = decide(Sealed(self.sealed.source, self.sealed.plan, ()), told, pairs, self.accepted)
        if any(r in lines for r in found.kept):  # what differs may be the target's change alone: by what was then
            then, _ = self._judged(self.verification, self.then, name, chunk, lines)
            found = decide(Sealed(self.sealed.source, self.sealed.plan, then.verdicts), told, pairs, self.accepted)
        kept |= {r: why for r, why in found.kept.items() if r in lines}
        going = [r for r in lines if r not in kept]
        return Part(
            container=reference, number=number, chunk=chunk, going=len(going), kept=kept,
            losses={r: losses for r, losses in found.losses.items() if r in lines and losses},
            accepted=tuple(one for r in going for one in found.losses.get(r, ())),
            drifted={r: fields for r, fields in found.drifted.items() if r in lines and r not in kept},
        )  # fmt: skip

    def _judged(
        self, look: Contents, texts: Texts, name: str, chunk: Chunk, lines: Mapping[Ref, Line]
    ) -> tuple[Contents, dict[Ref, Ref]]:
        """Both sides of a part as a look saw them, and whose counterpart each is."""
        hashes: dict[tuple[str, Ref], Observation] = {}
        sides = {}
        for side, workload in (("source", look.source), ("target", look.target)):
            held = (line for line in texts[side].between(name, chunk.first, chunk.last) if line.ref in lines)
            box = workload.by_ref.get(ref(STORE, name))
            bound = workload.model_copy(update={"resources": (box,) if box is not None else ()})
            sides[side] = with_objects(side, bound, held, hashes)
        plan = self.sealed.plan
        judging = tuple(one for one in look.judging if one not in (OPENINGS, *OF_ANSWERS))
        verdicts = compare(sides["source"], sides["target"], plan, hashes, judging, temporary=temporaries.markers(plan))
        pairs = counterparts(sides["source"], sides["target"], plan, hashes)
        own = tuple(r for r in sides["source"].resources if r.ref in lines)  # the container is decided of elsewhere
        source = sides["source"].model_copy(update={"resources": own})
        return look.model_copy(update={"source": source, "target": sides["target"], "verdicts": verdicts}), pairs


def broken_off(hashes: Mapping[tuple[str, Ref], Observation], container: Ref) -> Words:
    """Why the source's manifest may not have every object that a container lists, or "". That a store counts otherwise says nothing."""
    seen = hashes.get(("source", container))
    if seen is None:
        return Reason.of("verify.not-read")
    return "" if getattr(seen.reason, "id", "") == COUNTED else seen.reason


# --- what the journals of attempts tell of parts


def ended(journal: Rows) -> dict[str, Mapping[str, object]]:
    """What the steps of parts told at their end, by name."""
    return {name: told for name, told in outputs(journal).items() if name.startswith(PART)}


def begun(journal: Rows) -> set[str]:
    """Steps of parts of which something may have been deleted."""
    nothing = {name for name, told in ended(journal).items() if not told.get("deleted") and not told.get("gone")}
    return {name for name in intended(journal) if name.startswith(PART)} - nothing


def kept_late(journal: Rows) -> dict[Ref, Words]:
    """Objects that were to go and were kept by the look just before, in all parts."""
    found: dict[Ref, Words] = {}
    for told in ended(journal).values():
        stayed = told.get("stayed")
        if isinstance(stayed, dict):
            found |= {reference: told_as(why) for reference, why in stayed.items()}
    return found


def recorded(journal: Rows, source: Index) -> Iterator[Part]:
    """The parts that an attempt began, by the intents of its journal. Raises Damaged."""
    for name, intent in intended(journal).items():
        if not name.startswith(PART):
            continue
        box, number, but = id_of(str(intent.get("of"))), intent.get("number"), intent.get("but")
        chunks = source.chunks.get(box, ())
        if not isinstance(number, int) or not 0 < number <= len(chunks) or not isinstance(but, list):
            raise Damaged(f"{name} is no part")
        kept: dict[Ref, Words] = {stored(box, str(one)): "" for one in but}
        going = intent.get("going")
        part = Part(ref(STORE, box), number, chunks[number - 1], going if isinstance(going, int) else 0, kept)
        if part.intent() != intent or part.step != name:
            raise Damaged(f"{name} is no part")
        yield part


def deleted(record: Closing, texts: Sequence[Texts]) -> Iterator[Ref]:
    """The objects that the attempts deleted; of a part that did not end those that the next look did not see.

    `texts`: of each attempt. Raises Damaged, OSError.
    """
    for place, (attempt, text) in enumerate(zip(record.attempts, texts, strict=True)):
        told = ended(attempt.journal)
        for part in recorded(attempt.journal, text["source"]) if text else ():
            if part.step in told:
                but = _names(told[part.step], "stayed") | _names(told[part.step], "gone")
                yield from (line.ref for line in part.lines(text["source"]) if line.ref not in but)
            else:
                yield from _missing(part, text["source"], record, place, texts)


def _names(told: Mapping[str, object], what: str) -> set[str]:
    found = told.get(what)
    return {str(one) for one in found} if isinstance(found, dict | list) else set()


def _missing(part: Part, source: Index, record: Closing, place: int, texts: Sequence[Texts]) -> Iterator[Ref]:
    """What of a part that did not end is not there any more, as the next look or the last one saw."""
    box = id_of(part.container)
    for attempt, text in zip(record.attempts[place + 1 :], texts[place + 1 :], strict=True):
        if text and box in text["source"].chunks and not broken_off(attempt.hashes(), part.container):
            seen = text["source"].between(box, part.chunk.first, part.chunk.last)
            there = {line.name for line in seen if not line.gone}
            yield from (line.ref for line in part.lines(source) if line.name not in there)
            return
    if record.after is not None:
        yield from (line.ref for line in part.lines(source) if line.ref not in record.after.by_ref)


def counted(gone: Iterable[Ref]) -> dict[Ref, int]:
    """Container -> how many of these objects were of it."""
    found: dict[Ref, int] = {}
    for reference in gone:
        box = ref(STORE, store_of(reference))
        found[box] = found.get(box, 0) + 1
    return found


def not_shown(part: Part, told: Mapping[str, object], source: Index, target: Index) -> bool:
    """Whether it is not shown of each object that a part deleted that it was whole on both sides when it went.

    It is by the stamps of the look, or by a hash made anew that is that of the look.
    """
    stayed, gone, read = _names(told, "stayed"), _names(told, "gone"), told.get("read", {})
    going = {line.ref: line for line in part.lines(source)}
    if not isinstance(read, dict) or not (stayed | gone | read.keys()) <= going.keys():
        return True
    if told.get("deleted") != len(going.keys() - stayed - gone):
        return True
    there = {x.ref: x for x in target.between(id_of(part.container), part.chunk.first, part.chunk.last)}
    for reference in going.keys() - stayed - gone:
        sides = [("source", going[reference])]
        if "content" not in part.drifted.get(reference, frozenset()):
            sides.append(("target", there.get(reference, _NOBODY)))
        if not all(_shown(line, read.get(reference), side) for side, line in sides):
            return True
    return False


def _shown(line: Line, read: object, side: str) -> bool:
    if isinstance(read, dict) and side in read:
        return bool(line.sha256) and read[side] == line.sha256
    return line is not _NOBODY and bool(line.thing().stamp())


_NOBODY = Line("", {"name": ""})
