# SPDX-License-Identifier: Apache-2.0
"""Compare two censuses as meaning, and hashes with hashes: claims in, verdicts out. Pure.

Objects of the two sides are paired by what they are, never by ids or tags: names, addresses, places. Ids in
their fields are replaced by these natural keys on both sides, so that what is left must be equal. A plan, if
given, declares differences: then the left side of a comparison is the object as the plan wants it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

from pydantic import JsonValue

from unterbau import canonical
from unterbau.switch.manifest import Manifest
from unterbau.switch.plan import Plan
from unterbau.switch.probes.judging import Places, answering, services
from unterbau.switch.probes.model import Answer, SideName
from unterbau.switch.verify import lost
from unterbau.switch.verify.holding import Judge, side_words
from unterbau.switch.verify.opened import openings
from unterbau.tenant.kinds import OWNER_ONLY, Fate, Guests, Kind, Ref, Resource, kind_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Observation, Outcome, Reason, Source, Verdict, Words, joined, judge_equal, words

ABSENT = "absent"
HIDDEN = "hidden fields"
"""What a census names as not shown of an object, or knows only to be there, holds and fails nothing."""
OWNED = OWNER_ONLY[0]
"""Under this the observation stands by which the verifier knows that it is an owner (see `verify.ownership`)."""
OPENINGS = "openings"
"""What is open on the target and was closed on the source fails, unless it is allowed by name."""
LOSSES = "losses"
"""Each field that will not be there as it was has a claim of its own; what a member cannot decide fails nothing."""
REMAINDER = "remainder"
"""What a rehearsal left on its target fails (`evidence.remainder`, since that is known only after the clean-up)."""
TEMPORARIES = "temporaries"
"""What a move left that it made for a moment is told apart: neither missing nor surplus."""
PROVIDED = "provided images"
"""An image of the provider is the same on both sides if both clouds tell the same hash of it."""
COUNTS = "counts of containers"
"""A container of which fewer objects are told than it counts is not held by what both sides tell alike."""
JUDGINGS: tuple[str, ...] = (HIDDEN, OPENINGS, REMAINDER, LOSSES, TEMPORARIES, PROVIDED, COUNTS)
"""Names of the judgings that came after format 1; a bundle is judged by those that it names."""
PROBES = "probes"
"""What the application answered on both sides; named only where a plan has probes and they were asked."""
WRITERS = "writers"
"""Another content of a disk fails nothing if a guest that has it answered: it has booted, and writes. Named with `PROBES`."""
OF_ANSWERS = (PROBES, WRITERS)
"""Judgings by what was answered."""


ROOT_DISKS = "root disks"
"""The disk that a server has on its host is the same on both sides; named only where a plan carries one."""
MADE_FROM = "sha256 of the image that it was made from"
"""What is observed of a server's own disk on the target of a rehearsal; elsewhere of the disk itself."""
NO_DISK = "verify.disk.none"
"""The reason of a claim on a server's own disk that a cloud gave nobody."""


def judgings(plan: Plan | None, *, probes: bool) -> tuple[str, ...]:
    """Those by which two sides are judged today; `probes`: what the plan asks was asked."""
    own_disks = plan is not None and any(e.carries_disk for e in plan.entries)
    return (*JUDGINGS, *([ROOT_DISKS] if own_disks else []), *(OF_ANSWERS if probes else ()))


def rehearsed(guests: Guests) -> Reason:
    """Why a rehearsal does not show something of what its servers do."""
    return Reason.of("rehearsal.still") if guests is Guests.STILL else Reason.of("rehearsal.confined")


class Keys:
    """The natural key of every object of one side: the same on both sides if the object is the same.

    Twins (objects of one kind that are called the same) are numbered in the order of what they are and contain,
    so that the first here is the first there. `contents` are the hashes of this side's contents by Ref. `provided`: whether
    images of the provider are called by what they are. `chosen`: (kind, field) of what the target chooses and tells no twins apart.
    """

    def __init__(
        self, workload: Workload, contents: Mapping[Ref, JsonValue] | None = None, *, provided: bool = True,
        chosen: Collection[tuple[Kind, str]] = (),
    ) -> None:  # fmt: skip
        self.workload, self._contents, self._chosen = workload, contents or {}, frozenset(chosen)
        self._provided = {i.ref: i.provided() for i in workload.offering.images} if provided else {}
        self._known: dict[Ref, str] = {}
        self.by_key: dict[str, Resource] = {}
        # In the order of creation: whatever an object refers to has its key before it.
        for kind in Kind:
            by_base: dict[str, list[Resource]] = defaultdict(list)
            for resource in workload.resources:
                if resource.own_kind is kind:
                    by_base[self._base(resource)].append(resource)
            for base, twins in by_base.items():
                self._number(base, twins)

    def _number(self, base: str, twins: list[Resource]) -> None:
        for number, resource in enumerate(sorted(twins, key=self._nature) if len(twins) > 1 else twins, start=1):
            key = base if number == 1 else f"{base} ({number})"
            self._known[resource.ref] = key
            self.by_key[key] = resource

    def __call__(self, reference: Ref) -> str:
        """The key of an object of this side; what is not the project's own keeps its Ref's kind."""
        if reference in self._known:
            return self._known[reference]
        resource = self.workload.by_ref.get(reference)
        if resource is not None:
            return self._base(resource)
        return self._provided.get(reference) or f"foreign {reference}"

    def _base(self, r: Resource) -> str:
        return r.natural_key(self)

    def _nature(self, r: Resource) -> tuple[bytes, str]:
        """What tells twins apart: what they are with what belongs to them, then their content."""
        belongings = r.belongings(self.workload, self)
        plain = {**r.with_ids(self).comparable(), "belongings": sorted(belongings)}
        plain = {field: value for field, value in plain.items() if (r.own_kind, field) not in self._chosen}
        return canonical.canonical_bytes(plain), str(self._contents.get(r.ref, ""))


def facts(resource: Resource, keys: Keys) -> dict[str, JsonValue]:
    """What must be equal on both sides, in plain data with natural keys for ids."""
    return resource.facts(keys.workload, keys)


def _told(hidden: Mapping[str, Words]) -> Words:
    """The reasons, each with the fields that it is about."""
    fields = {why: ", ".join(sorted(f for f in hidden if hidden[f] == why)) for why in hidden.values()}
    return joined(Reason.of("about", what=fields[why], reason=why) for why in sorted(fields, key=words))


def _less(these: list[JsonValue], those: list[JsonValue]) -> list[str]:
    return sorted({str(t) for t in these} - {str(t) for t in those})


def compare(
    source: Workload,
    target: Workload,
    plan: Plan | None,
    hashes: Mapping[tuple[str, Ref], Observation],
    judging: Sequence[str] = JUDGINGS,
    *,
    temporary: Collection[str] = (),
    answers: Sequence[Answer] = (),
    manifests: Mapping[str, Manifest] = {},
) -> tuple[Verdict, ...]:
    """All verdicts. `hashes` maps (`source` or `target`, Ref) to what was seen of a content.

    `manifests`: what the crowded containers of each side hold, whose objects the censuses leave out. Raises Damaged.

    `judging` names the judgings beside that of format 1 (see `JUDGINGS`); `temporary` are the marks of what the move of
    the plan makes for a moment; `answers` what the plan's probes were answered.
    """
    at = max(source.taken_at, target.taken_at)
    source, target = (_lasting(w, at) for w in (source, target))
    apart = [_parted(w, temporary if TEMPORARIES in judging else ()) for w in (source, target)]
    (source, ours), (target, theirs) = apart
    if plan is not None and plan.guests:  # what a rehearsal's servers were made from goes with them
        made_from = {reference for r in target.resources for reference in r.references()}
        theirs = [r for r in theirs if ROOT_DISKS not in judging or r.ref not in made_from]
    found = _Comparison(source, target, plan, hashes, judging, answers)
    left = [found.left_over(side, rest) for side, rest in (("source", ours), ("target", theirs)) if rest]
    held = Judge(source, target, plan, at, LOSSES in judging, COUNTS in judging).verdicts(hashes, manifests)
    return (*found.verdicts(), *held, *found.services(), *left)


def _lasting(workload: Workload, at: datetime) -> Workload:
    """The side without what had ended by its own word when the later side was looked at: it is on one of them by chance."""
    if not any(r.has_ended(at) for r in workload.resources):
        return workload
    return workload.model_copy(update={"resources": tuple(r for r in workload.resources if not r.has_ended(at))})


def _before_its_stop(resource: Resource, stopped: Collection[Ref]) -> Resource:
    """As it was before the move stopped it, which the plan says."""
    return resource.as_running() if resource.ref in stopped else resource


def _parted(workload: Workload, temporary: Collection[str]) -> tuple[Workload, list[Resource]]:
    """The side without what carries one of these marks (or is still called so), and that."""
    rest = [r for r in workload.resources if r.marker in temporary or r.name in temporary]
    if not rest:
        return workload, rest
    refs = {r.ref for r in rest}
    return workload.model_copy(update={"resources": tuple(r for r in workload.resources if r.ref not in refs)}), rest


def counterparts(
    source: Workload, target: Workload, plan: Plan | None, hashes: Mapping[tuple[str, Ref], Observation]
) -> dict[Ref, Ref]:
    """Objects of the source -> those of the target with which `compare` compares them; without those that have none."""
    return _Comparison(source, target, plan, hashes, ()).pairs


def observed(verdicts: Iterable[Verdict]) -> dict[tuple[str, Ref], Observation]:
    """What was observed beside the censuses (hashes, mostly), by side and subject (`source: volume:…` as it says)."""
    found: dict[tuple[str, Ref], Observation] = {}
    for verdict in verdicts:
        if verdict.claim.kind in ("content", "coverage"):
            for observation in verdict.evidence:
                side, _, reference = observation.source.where.partition(": ")
                found[side, reference] = observation
    return found


class _Comparison:
    def __init__(
        self,
        source: Workload,
        target: Workload,
        plan: Plan | None,
        hashes: Mapping[tuple[str, Ref], Observation],
        judging: Sequence[str],
        answers: Sequence[Answer] = (),
    ) -> None:
        self.source, self.target, self.plan, self.hashes = source, target, plan, hashes
        self.judging = frozenset(judging)
        self.wished = self._as_declared()
        self.birth_counts = any(r.from_birth(self.wished) for r in self.wished.resources)
        """What every project has from birth concerns the tenant if the source's is meant by it."""
        provided = PROVIDED in self.judging
        entries = plan.entries if plan is not None and ROOT_DISKS in self.judging else ()
        self.own_disks = {e.ref: e.chosen() for e in entries if e.carries_disk}
        """Servers whose own disk is carried -> fields that the target chooses with it."""
        chosen = {(kind_of(r), field) for r, fields in self.own_disks.items() for field in fields}
        self.left_keys = Keys(self.wished, self._contents("source"), provided=provided, chosen=chosen)
        self.right_keys = Keys(target, self._contents("target"), provided=provided, chosen=chosen)
        self.answers = answers
        self.answering: dict[SideName, frozenset[Ref]] = {"source": frozenset(), "target": frozenset()}
        if plan is not None and WRITERS in self.judging:
            self.answering = answering(plan.probes, answers, self._places())

    def _contents(self, side: str) -> dict[Ref, JsonValue]:
        return {reference: seen.value for (at, reference), seen in self.hashes.items() if at == side}

    def _as_declared(self) -> Workload:
        """The source with the plan's declared changes."""
        if self.plan is None:
            return self.source
        plan, stopped = self.plan, frozenset(self.plan.cut_over or ())
        resources = tuple(plan.wish(_before_its_stop(r, stopped), self.source) for r in self.source.resources)
        return self.source.model_copy(update={"resources": resources})

    def verdicts(self) -> tuple[Verdict, ...]:
        found: list[Verdict] = []
        for resource in self.wished.resources:
            found += self._of_object(resource)
        found += [self._completeness(kind) for kind in Kind if self._present(kind)]
        found += [self._not_seen(side, w) for side, ws in (("source", self.source), ("target", self.target))
                  for w in self._unseen(ws)]  # fmt: skip
        if HIDDEN in self.judging:
            found += [self._owner(side) for side in ("source", "target") if (side, OWNED) in self.hashes]
        if OPENINGS in self.judging:
            found += openings(self.source, self.target, self.plan, self.pairs)
        return (*found, *self._guests())

    def _guests(self) -> Iterator[Verdict]:
        """Whether what ran runs: a rehearsal shows it of no guest."""
        entries = self.plan.by_ref if self.plan else {}
        moving = [r for r in self.source.resources if r.is_guest() and r.ref in entries and entries[r.ref].fate.moves]
        if self.plan is not None and self.plan.guests and moving:
            claim = Claim(
                id="guests", kind="coverage", subject="guests", text=Reason.of("claim.guests", count=len(moving))
            )
            yield Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=rehearsed(self.plan.guests))

    def _places(self) -> Places:
        left = {e.ref: e.why for e in self.plan.entries if not e.fate.moves} if self.plan is not None else {}
        return Places(self.source, self.target, self.pairs, left)

    def services(self) -> tuple[Verdict, ...]:
        """Whether the application answers as it did."""
        if PROBES not in self.judging or self.plan is None:
            return ()
        found = services(self.plan.probes, self.answers, self._places())
        if not self.plan.guests:
            return found
        unseen: dict[str, object] = {"outcome": Outcome.NOT_SHOWN, "reason": rehearsed(self.plan.guests)}
        return tuple(v.model_copy(update=unseen) for v in found)

    def left_over(self, side: str, rest: Sequence[Resource]) -> Verdict:
        """That the move left none of what it made for a moment."""
        claim = Claim(
            id=f"completeness temporaries {side}", kind="completeness", subject="temporaries",
            text=Reason.of("claim.temporaries", side=side_words(side)),
        )  # fmt: skip
        refs = sorted(r.ref for r in rest)
        at = (self.source if side == "source" else self.target).taken_at
        seen = self._seen(side, at, "temporaries", [*refs])
        reason = Reason.of("verify.temporaries", things=refs[:5], count=len(refs))
        return Verdict(claim=claim, outcome=Outcome.FAILED, reason=reason, evidence=(seen,))

    def _owner(self, side: str) -> Verdict:
        """Whether what an owner alone is told was told to the verifier, so that what is empty is empty."""
        claim = Claim(
            id=f"coverage {side} owner", kind="coverage", subject=OWNED,
            text=Reason.of("claim.owner", side=side_words(side)),
        )  # fmt: skip
        seen = self.hashes[side, OWNED]
        if seen.value:
            reason = Reason.of("verify.owner.told")
            return Verdict(claim=claim, outcome=Outcome.HELD, reason=reason, evidence=(seen,))
        return Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=seen.reason, evidence=(seen,))

    @cached_property
    def pairs(self) -> dict[Ref, Ref]:
        """Refs of the source -> those of the target that are called the same."""
        pairs = ((r.ref, self.right_keys.by_key.get(self.left_keys(r.ref))) for r in self.wished.resources)
        return {ours: theirs.ref for ours, theirs in pairs if theirs is not None}

    def _unseen(self, workload: Workload) -> list[tuple[str, Words]]:
        return [(n.what, n.reason) for n in workload.not_shown]

    def _of_object(self, resource: Resource) -> list[Verdict]:
        key = self.left_keys(resource.ref)
        claim = Claim(
            id=f"structure {resource.ref}", kind="structure", subject=resource.ref,
            text=Reason.of("claim.structure", key=key),
        )  # fmt: skip
        there = self.right_keys.by_key.get(key)
        hidden = self._hidden(resource, there)
        theirs = self._theirs(resource, there)
        passed_over = theirs | self.own_disks.get(resource.ref, frozenset())
        left = self._facts("source", resource, hidden, passed_over)
        declared = self._declared(resource)
        if declared and not declared[0]:
            return [Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=declared[1], evidence=(left,))]
        unseen = self._kind_unseen(resource.own_kind) if there is None else ""
        value = None if unseen else ABSENT
        absent = self._seen("target", self.target.taken_at, key, value, unseen)
        verdict = judge_equal(
            claim, left, absent if there is None else self._facts("target", there, hidden, passed_over)
        )
        if there is None and verdict.outcome is Outcome.FAILED:
            verdict = verdict.model_copy(update={"reason": Reason.of("verify.missing-there")})
        elif hidden and verdict.outcome is Outcome.HELD:
            verdict = verdict.model_copy(update={"outcome": Outcome.NOT_SHOWN, "reason": _told(hidden)})
        elif declared and verdict.outcome is Outcome.HELD:
            verdict = verdict.model_copy(update={"reason": declared[1]})
        found = [verdict, *self._content(resource, there, key)]
        if LOSSES in self.judging and self.plan is not None:
            decided = self._decided(claim, resource, there, theirs)
            found += lost.of_object(self.plan, self.source, resource, key, verdict, decided)
        return found

    def _theirs(self, resource: Resource, there: Resource | None) -> frozenset[str]:
        """Fields that the target decided: nobody with these roles can, or it has no more to give."""
        if LOSSES not in self.judging:
            return frozenset()
        most = resource.at_most(there) if there is not None else frozenset[str]()
        return resource.undecided(self.target.identity.roles) | most

    def _decided(
        self, claim: Claim, resource: Resource, there: Resource | None, fields: frozenset[str]
    ) -> Verdict | None:
        """The same of what the target decided."""
        if there is None or not fields:
            return None
        left, right = facts(resource, self.left_keys), facts(there, self.right_keys)
        return judge_equal(
            claim,
            self._seen("source", self.source.taken_at, resource.ref, {f: left[f] for f in fields}),
            self._seen("target", self.target.taken_at, there.ref, {f: right[f] for f in fields}),
        )

    def _hidden(self, resource: Resource, there: Resource | None) -> dict[str, Words]:
        """Fields that one side did not show -> the reason."""
        if HIDDEN not in self.judging:
            return {}
        right = self.target.hidden_fields(there) if there is not None else {}
        return {**right, **self.wished.hidden_fields(resource)}

    def _facts(
        self, side: str, resource: Resource, hidden: Mapping[str, Words], passed_over: frozenset[str]
    ) -> Observation:
        """What must be equal, without what one of the sides did not show; no value if only its being is known."""
        workload, keys = (self.wished, self.left_keys) if side == "source" else (self.target, self.right_keys)
        unseen = workload.reasons.get(resource.ref, "") if HIDDEN in self.judging else ""
        plain = {k: v for k, v in facts(resource, keys).items() if k not in hidden and k not in passed_over}
        return self._seen(side, workload.taken_at, resource.ref, None if unseen else plain, unseen)

    def _declared(self, resource: Resource) -> tuple[bool, Words] | None:
        """(whether it moves, what the plan declares), or None if it declares nothing."""
        entry = self.plan.by_ref.get(resource.ref) if self.plan else None
        if entry is None:
            return None
        if not entry.fate.moves:
            return False, Reason.of("verify.left", why=entry.why)
        told = [entry.why] if entry.fate is Fate.CHANGED else []
        plan, before = self.plan, self.source.by_ref.get(resource.ref)
        if plan and plan.guests and before is not None and entry.wish(before) != resource:
            told.append(rehearsed(plan.guests))
        return (True, Reason.of("verify.changed", why=joined(told))) if told else None

    def _kind_unseen(self, kind: Kind) -> Words:
        return next((n.reason for n in self.target.not_shown if n.what == kind.value), "")

    def _content(self, resource: Resource, there: Resource | None, key: str) -> list[Verdict]:
        if there is not None and resource.ref in self.own_disks:
            return [self._own_disk(resource, there, key)]
        if there is None or not resource.has_content():
            return []
        claim = Claim(
            id=f"content {resource.ref}", kind="content", subject=resource.ref,
            text=Reason.of("claim.content", key=key),
        )  # fmt: skip
        left, right = self.hashes.get(("source", resource.ref)), self.hashes.get(("target", there.ref))
        found = judge_equal(claim, left, right)
        if found.outcome is Outcome.FAILED and (writing := self._writing(resource, there)):
            found = found.model_copy(update={"outcome": Outcome.NOT_SHOWN, "reason": writing})
        return [found]

    def _writing(self, resource: Resource, there: Resource) -> Words:
        """Which guests that answered have this content as their disk, or ""."""
        both: tuple[tuple[SideName, Resource, Workload], ...] = (
            ("source", resource, self.source), ("target", there, self.target)
        )  # fmt: skip
        sides = [
            side_words(name) for name, disk, side in both
            if any(w in self.answering[name] and side.by_ref[w].runs() for w in disk.writers(side) if w in side.by_ref)
        ]  # fmt: skip
        return Reason.of("verify.writes", sides=joined(sides)) if sides else ""

    def _own_disk(self, resource: Resource, there: Resource, key: str) -> Verdict:
        """Whether the disk that a server has on its host arrived. Equal is equal; what differs may do so by its nature.

        A guest that runs writes, and the target's has run before anybody could look at its disk. Only an image that a guest was
        made from, of a source that stands still, can be another one.
        """
        claim = Claim(
            id=f"content {resource.ref}",
            kind="content",
            subject=resource.ref,
            text=Reason.of("claim.own-disk", key=key),
        )
        left, right = self.hashes.get(("source", resource.ref)), self.hashes.get(("target", there.ref))
        verdict = judge_equal(claim, left, right)
        if verdict.outcome is Outcome.HELD:
            made_from = right is not None and right.what == MADE_FROM
            return verdict.model_copy(update={"reason": Reason.of("verify.disk.made-from")}) if made_from else verdict
        if (left is None or left.value is None) and self._same_image(resource, there):
            why = left.reason if left is not None else Reason.of("verify.not-read")
            return verdict.model_copy(update={"reason": Reason.of("verify.disk.none", why=why)})
        if verdict.outcome is not Outcome.FAILED:
            return verdict
        if self._same_image(resource, there):
            return verdict.model_copy(update={"reason": Reason.of("verify.disk.from-its-image")})
        before, writing = self.source.by_ref.get(resource.ref), self._writing(resource, there)
        if writing:
            why = writing
        elif before is None or before.runs():
            why = Reason.of("verify.disk.runs", side=side_words("source"))
        elif right is None or right.what != MADE_FROM:
            why = Reason.of("verify.disk.ran")
        else:
            return verdict
        return verdict.model_copy(update={"outcome": Outcome.NOT_SHOWN, "reason": why})

    def _same_image(self, resource: Resource, there: Resource) -> bool:
        """Whether the target's server says that it was made from what the source's was booted from."""
        ours, theirs = facts(resource, self.left_keys), facts(there, self.right_keys)
        fields = self.own_disks[resource.ref]
        return bool(fields) and all(ours.get(f) == theirs.get(f) for f in fields)

    def _present(self, kind: Kind) -> bool:
        return any(r.own_kind is kind for w in (self.source, self.target) for r in w.resources)

    def _completeness(self, kind: Kind) -> Verdict:
        claim = Claim(
            id=f"completeness {kind.value}", kind="completeness", subject=kind.value,
            text=Reason.of("claim.completeness", kind=kind.value),
        )  # fmt: skip
        left = self._keys(self.wished, self.left_keys, kind, moving=True)
        right = self._keys(self.target, self.right_keys, kind, moving=False)
        unseen = [next((n.reason for n in w.not_shown if n.what == kind.value), "") for w in (self.source, self.target)]
        seen = judge_equal(
            claim,
            self._seen("source", self.source.taken_at, kind.value, None if unseen[0] else left, unseen[0]),
            self._seen("target", self.target.taken_at, kind.value, None if unseen[1] else right, unseen[1]),
        )
        if seen.outcome is Outcome.FAILED:
            missing, surplus = _less(left, right), _less(right, left)
            parts = [Reason.of("verify.missing", things=missing[:5])] if missing else []
            parts += [Reason.of("verify.surplus", things=surplus[:5])] if surplus else []
            return seen.model_copy(update={"reason": joined(parts)})
        return seen

    def _keys(self, workload: Workload, keys: Keys, kind: Kind, *, moving: bool) -> list[JsonValue]:
        found = []
        for resource in workload.resources:
            if resource.own_kind is not kind:
                continue
            if (
                moving
                and self.plan
                and resource.ref in self.plan.by_ref
                and not self.plan.by_ref[resource.ref].fate.moves
            ):
                continue
            if not self.birth_counts and resource.from_birth(workload):
                continue
            if resource.KNOWN.personal and not moving and keys(resource.ref) not in self.left_keys.by_key:
                continue  # it belongs to the user, who may have others there
            found.append(keys(resource.ref))
        return [*sorted(found)]

    def _not_seen(self, side: str, note: tuple[str, Words]) -> Verdict:
        what, reason = note
        claim = Claim(
            id=f"coverage {side} {what}", kind="coverage", subject=what,
            text=Reason.of("claim.coverage", what=what, side=side_words(side)),
        )  # fmt: skip
        return Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=reason)

    def _seen(self, side: str, at: datetime, what: str, value: JsonValue, reason: Words = "") -> Observation:
        workload = self.source if side == "source" else self.target
        where = f"{side}: {workload.identity.name} {what}"
        return Observation(what="facts", value=value, source=Source(where=where, at=at), reason=reason)
