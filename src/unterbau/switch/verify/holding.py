# SPDX-License-Identifier: Apache-2.0
"""Claims on what crowded containers hold: two manifests joined by name, what differs named, the rest counted. Pure.

One claim a container. It is held if both sides have the same objects with the same bytes; what differs, or could not be
read, is told by its first names, and all of it follows from the manifests. What the plan says of single objects is heeded
as for any other. `structure` calls it, and `evidence` through that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from unterbau.switch.manifest import NONE, Damaged, Line, Manifest, Sum
from unterbau.switch.plan import Plan
from unterbau.switch.verify import lost
from unterbau.tenant.kinds import Entry, Fate, Ref, id_of, ref
from unterbau.tenant.kinds.object import CROWD, STORE, STORED, stored
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Observation, Outcome, Reason, Verdict, Words, joined

SIDES = ("source", "target")
NAMED = 5
"""How many names of one exception a verdict tells."""


@dataclass
class _Exceptions:
    """Objects that are not the same on both sides: how many, and the first of them."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= NAMED:
            self.names.append(name)


@dataclass
class Holding:
    """What a container holds on both sides, joined."""

    left: Sum = field(default_factory=Sum)
    right: Sum = field(default_factory=Sum)
    lines: dict[str, int] = field(default_factory=lambda: {"source": 0, "target": 0})
    """How many each side's manifest has, of objects that are gone as well."""
    missing: _Exceptions = field(default_factory=_Exceptions)
    surplus: _Exceptions = field(default_factory=_Exceptions)
    differing: _Exceptions = field(default_factory=_Exceptions)
    unread: _Exceptions = field(default_factory=_Exceptions)
    stayed: _Exceptions = field(default_factory=_Exceptions)
    """What the plan leaves at the source."""
    gone: _Exceptions = field(default_factory=_Exceptions)
    """What a side listed and had no more when it was read."""
    changed: _Exceptions = field(default_factory=_Exceptions)
    """What the plan changes, and is as it says."""
    fields: dict[str, None] = field(default_factory=dict)
    """In which those differ that differ."""
    why: Words = ""
    """Why the first of `unread` was not read."""

    def outcome(self, doubts: Iterable[Words], short: Iterable[Words] = ()) -> tuple[Outcome, Words]:
        """The outcome and its reason; `doubts`: why a side may have more objects than it listed; `short`: that it told fewer than it counts."""
        unsure = [doubt for doubt in doubts if doubt]
        missing, surplus, wrong = self.missing, self.surplus, list[Words]()
        if missing.count:
            wrong.append(Reason.of("verify.objects.missing", count=missing.count, things=[*missing.names]))
        if surplus.count:
            wrong.append(Reason.of("verify.objects.surplus", count=surplus.count, things=[*surplus.names]))
        if self.differing.count:
            things, fields = [*self.differing.names], [*self.fields]
            wrong.append(Reason.of("verify.objects.differ", count=self.differing.count, things=things, fields=fields))
        open_: list[Words] = [*unsure, *short]
        if self.unread.count:
            names = [*self.unread.names]
            open_.append(Reason.of("verify.objects.unread", count=self.unread.count, things=names, why=self.why))
        if self.stayed.count:
            open_.append(Reason.of("verify.objects.left", count=self.stayed.count, things=[*self.stayed.names]))
        if self.differing.count or (wrong and not unsure):
            return Outcome.FAILED, joined([*wrong, *open_])
        if open_:
            return Outcome.NOT_SHOWN, joined([*wrong, *open_])
        told: list[Words] = [Reason.of("verify.objects.same", count=self.left.objects)]
        if self.changed.count:
            things = [*self.changed.names]
            told = [Reason.of("verify.objects.changed", count=self.changed.count, things=things)]
        if self.gone.count:
            told.append(Reason.of("verify.objects.gone", count=self.gone.count, things=[*self.gone.names]))
        return Outcome.HELD, joined(told)


@dataclass(frozen=True)
class Judge:
    """Joins the manifests of both sides. `at`: what had ended by then is on neither."""

    source: Workload
    target: Workload
    plan: Plan | None
    at: datetime
    losses: bool
    """Whether each loss that the plan announces has a claim of its own."""
    counts: bool
    """Whether a container must tell as many objects as its census counts: else what neither side tells would be held."""

    def verdicts(
        self, hashes: Mapping[tuple[str, Ref], Observation], manifests: Mapping[str, Manifest]
    ) -> Iterator[Verdict]:
        """One of each container that both sides have, and those on losses. Raises Damaged."""
        sides = [manifests.get(side, NONE).containers() for side in SIDES]
        told = set[str]()
        while (pair := [next(side, None) for side in sides]) != [None, None]:
            (name, left), (same, right) = (one or ("", iter(())) for one in pair)
            if name != same:
                raise Damaged("the sides are not of the same containers")
            told.add(name)
            reference = ref(STORE, name)
            found, lost_ones = self._joined(name, left, right)
            seen = [hashes.get((side, reference)) for side in SIDES]
            if reference not in self.source.by_ref or reference not in self.target.by_ref or None in seen:
                continue
            yield self._verdict(reference, found, [one for one in seen if one is not None])
            yield from lost_ones
        if self.counts:
            yield from self._untold(told)

    def _untold(self, told: Collection[str]) -> Iterator[Verdict]:
        """One of each other crowded container of which neither side tells an object."""
        with_objects = {
            id_of(r.ref).partition("/")[0] for side in self._sides for r in side.resources if r.own_kind is STORED
        }
        for container in self.source.resources:
            if container.own_kind is not STORE or container.name in told or container.name in with_objects:
                continue
            if short := self._short(container.ref, dict.fromkeys(SIDES, 0), CROWD):
                yield Verdict(claim=_claim(container.ref), outcome=Outcome.NOT_SHOWN, reason=joined(short))

    @property
    def _sides(self) -> tuple[Workload, Workload]:
        return self.source, self.target

    def _short(self, container: Ref, lines: Mapping[str, int], more_than: int = 0) -> list[Words]:
        """Of each side that tells fewer objects of a container than it counts (and counts `more_than`), that it does."""
        if not self.counts:
            return []
        counted = {
            side: there.counted()
            for side, workload in zip(SIDES, self._sides, strict=True)
            if (there := workload.by_ref.get(container)) is not None
        }
        return [
            Reason.of("verify.objects.short", side=side_words(side), count=lines[side], total=total)
            for side, total in counted.items()
            if max(lines[side], more_than) < total
        ]

    def _verdict(self, reference: Ref, found: Holding, seen: list[Observation]) -> Verdict:
        told = zip(seen, (found.left, found.right), strict=True)
        evidence = tuple(one.model_copy(update={"value": sums.told()}) for one, sums in told)
        outcome, reason = found.outcome((one.reason for one in seen), self._short(reference, found.lines))
        entry = self._entry(reference)
        if entry is not None and not entry.fate.moves:
            outcome, reason = Outcome.NOT_SHOWN, Reason.of("verify.left", why=entry.why)
        return Verdict(claim=_claim(reference), outcome=outcome, reason=reason, evidence=evidence)

    def _joined(self, container: str, left: Iterator[Line], right: Iterator[Line]) -> tuple[Holding, list[Verdict]]:
        found, told = Holding(), list[Verdict]()
        ours, theirs = next(left, None), next(right, None)
        while ours is not None or theirs is not None:
            mine = ours is not None and (theirs is None or ours.name <= theirs.name)
            yours = theirs is not None and (ours is None or theirs.name <= ours.name)
            one, other = ours if mine else None, theirs if yours else None
            for side, line, sums in (("source", one, found.left), ("target", other, found.right)):
                if line is not None:
                    found.lines[side] += 1
                    if not line.gone:
                        sums.add(line)
            if gone := next((line.name for line in (one, other) if line is not None and line.gone), ""):
                found.gone.add(gone)
            one, other = (None if line is None or line.gone else line for line in (one, other))
            self._pair(container, found, *(x if x is None or not x.has_ended(self.at) else None for x in (one, other)))
            if one is not None and self.losses:
                told += self._losses(one)
            ours, theirs = (next(left, None) if mine else ours), (next(right, None) if yours else theirs)
        return found, told

    def _pair(self, container: str, found: Holding, one: Line | None, other: Line | None) -> None:
        """Judge an object by its lines; the plan may leave it, or change it."""
        entry = self._entry(stored(container, (one or other or _NOBODY).name))
        if one is not None and entry is not None and not entry.fate.moves:
            found.stayed.add(one.name)
            one = None
        if one is None and other is None:
            return
        if other is None and one is not None:
            found.missing.add(one.name)
        elif one is None and other is not None:
            found.surplus.add(other.name)
        elif one is not None and other is not None:
            self._both(found, one, other, entry)

    def _both(self, found: Holding, one: Line, other: Line, entry: Entry | None) -> None:
        why = one.unread or other.unread
        wished = one
        if entry is not None and entry.fate is Fate.CHANGED and len(one.plain) > 2:
            wished = Line.of(entry.wish(one.thing()), one.sha256, one.unread)
        left, right = wished.facts, other.facts
        if why:
            found.unread.add(one.name)
            found.why = found.why or why
        elif left == right:
            if wished is not one:
                found.changed.add(one.name)
        else:
            found.differing.add(one.name)
            fields = (f for f in sorted(left.keys() | right.keys()) if left.get(f) != right.get(f))
            found.fields.update(dict.fromkeys("content" if f == "sha256" else f for f in fields))

    def _losses(self, line: Line) -> Iterator[Verdict]:
        """What the plan says will be lost of it."""
        reference = line.ref
        entry = self._entry(reference)
        if self.plan is not None and entry is not None and entry.fate.moves and (entry.losses or entry.changes):
            yield from lost.announced(self.plan, line.thing(), f"object {reference.partition(':')[2]}")

    def _entry(self, reference: Ref) -> Entry | None:
        return self.plan.by_ref.get(reference) if self.plan is not None else None


def _claim(container: Ref) -> Claim:
    text = Reason.of("claim.objects", container=container)
    return Claim(id=f"content {container}", kind="content", subject=container, text=text)


def side_words(side: str) -> Reason:
    """What a person calls one of the two."""
    return Reason.of("side.source") if side == "source" else Reason.of("side.target")


_NOBODY = Line("", {"name": ""})
