# SPDX-License-Identifier: Apache-2.0
"""What may be deleted at a source after a move, what is kept and why, and the record of it. Pure.

`close` decides by it before it deletes, `evidence` decides once more by the record. A thing may go if a verification of
both sides *now* holds all its claims, if nothing goes with it that a person did not accept by name, and if nothing that
stays stands on it. How things are deleted, and the look just before, is `steps`.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Container as Holding
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from pydantic import JsonValue

from unterbau import canonical
from unterbau.errors import UsageError
from unterbau.switch.manifest import Chunk, Index, Line
from unterbau.switch.plan import Plan, losses
from unterbau.switch.verify import Contents, observed
from unterbau.tenant.kinds import KINDS, Kind, Loss, Ref, Resource, id_of, kind_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Observation, Outcome, Reason, Verdict, Words, joined, later, told_as

Rows: TypeAlias = Sequence[Mapping[str, JsonValue]]
"""Rows of a journal as `Journal.export` gives them."""
DELETE = "delete "
LOCAL_DISK = "local_disk"
"""The loss of a disk on its host that nobody saw arrive."""
PART = "empty part of "
"""How the step of a part is called, before the Ref of its container and its number."""
STEPS = (DELETE, *sorted({one.BONDS for one in KINDS.values() if one.BONDS}))
"""What the steps of an emptying are called, before the Ref."""


class Attempt(Model):
    """One run of `close --source`: what was accepted, what was seen before its first deletion, and its journal.

    `look.source` is the source as it was seen, with what earlier attempts took put back (`put_back`), so that what
    remains can be compared as meaning. `unpaired` are hashes of contents without a counterpart.
    """

    started: datetime
    accepted: tuple[str, ...]
    look: Contents
    unpaired: tuple[Observation, ...] = ()
    put_back: tuple[Ref, ...] = ()
    journal: tuple[dict[str, JsonValue], ...] = ()
    chain: int = later(1)
    """How the rows of its journal follow one another (`canonical.chained`)."""
    held: dict[str, str] = later({})
    """Of the manifests of crowded containers that are decided of in parts (see `parts`): side -> SHA-256. None: each object is a thing of `look`."""
    lines: int = later(0)
    """How many lines of a manifest a part has at most."""

    def hashes(self) -> dict[tuple[str, Ref], Observation]:
        """Every content that was seen, by side and object (and what else was observed beside the censuses)."""
        found = observed(self.look.verdicts)
        for observation in self.unpaired:
            side, _, reference = observation.source.where.partition(": ")
            found[side, reference] = observation
        return found


class Closing(Model):
    """How a source was emptied. `kept`: what stays and why; `after`: the source at the end, if it was looked at."""

    attempts: tuple[Attempt, ...]
    complete: bool
    ended: datetime
    kept: dict[Ref, Words]
    after: Workload | None = None


@dataclass(frozen=True)
class Sealed:
    """What a verified bundle says of a move: by it alone anything may be deleted."""

    source: Workload
    plan: Plan
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Part:
    """Objects of a container that stand together in the source's manifest: `going` of them may go, those of `kept` stay.

    The others are gone already. `losses`, `accepted` and `drifted` as of a `Decision`, without the objects that have none.
    """

    container: Ref
    number: int
    chunk: Chunk
    going: int
    kept: dict[Ref, Words] = field(default_factory=dict)
    losses: dict[Ref, tuple[Loss, ...]] = field(default_factory=dict)
    accepted: tuple[Loss, ...] = ()
    drifted: dict[Ref, frozenset[str]] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """How the step is called that deletes them."""
        return f"{PART}{self.container}/{self.number}"

    def lines(self, source: Index) -> Iterator[Line]:
        """Those that may go, by the manifest of the source. Raises Damaged, OSError."""
        for line in source.lines(id_of(self.container), self.chunk):
            if not line.gone and line.ref not in self.kept:
                yield line

    def intent(self) -> dict[str, JsonValue]:
        """What stands in the journal before any of them goes: which lines of the manifest, and which of them not."""
        but: list[JsonValue] = [*sorted(id_of(one).partition("/")[2] for one in self.kept)]
        return {
            "of": self.container, "number": self.number, "at": self.chunk.at, "count": self.chunk.count, "going": self.going,
            "but": but,
        }  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """`chosen` may go, `kept` stays for the reason told. `losses`: of everything that was moved and is not kept anyway.

    `accepted` are the losses of chosen things; `drifted` the fields (`content` among them) in which a person let the
    target's counterpart differ.
    """

    chosen: tuple[Ref, ...]
    kept: dict[Ref, Words]
    losses: dict[Ref, tuple[Loss, ...]]
    accepted: tuple[Loss, ...] = ()
    drifted: dict[Ref, frozenset[str]] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    """Of crowded containers, whose objects are none of `chosen`; what stays of them is among `kept`."""

    @property
    def objects(self) -> dict[Ref, int]:
        """Container -> how many objects of its parts may go."""
        found: dict[Ref, int] = {}
        for part in self.parts:
            found[part.container] = found.get(part.container, 0) + part.going
        return {container: count for container, count in found.items() if count}


def decide(
    sealed: Sealed,
    look: Contents,
    pairs: Mapping[Ref, Ref],
    accepted: Sequence[str],
    put_back: Holding[Ref] = (),
    stays: Mapping[Ref, Words] = {},
) -> Decision:
    """The decision for every object of the source.

    `accepted`: ids of losses, or `KIND.FIELD`; `pairs`: counterparts; `put_back`: what is not there any more (see
    `put_back`), which neither goes nor stays; `stays`: what stays for a reason that is found elsewhere.
    """
    judge = _Judge(sealed, look, pairs)
    kept: dict[Ref, Words] = {}
    known: dict[Ref, tuple[Loss, ...]] = {}
    drifted: dict[Ref, frozenset[str]] = {}
    for resource in look.source.resources:
        if resource.ref in put_back:
            known[resource.ref] = judge.losses(resource)
            continue
        reason = judge.obstacle(resource)
        if not reason:
            drift = judge.drift[resource.ref]
            known[resource.ref] = (*drift, *judge.losses(resource))
            missing = [one for one in known[resource.ref] if not _is_accepted(one, resource, accepted)]
            reason = _lost(resource, missing)
            if drift:
                drifted[resource.ref] = frozenset(one.field for one in drift)
        reason = reason or stays.get(resource.ref, "")
        if reason:
            kept[resource.ref] = reason
    if kept:
        look.source.relations.keep_what_is_needed(kept, put_back)
    kept = {r: why for r, why in kept.items() if r not in put_back}
    chosen = tuple(r.ref for r in look.source.resources if r.ref not in kept and r.ref not in put_back)
    going = tuple(one for reference in chosen for one in known.get(reference, ()))
    return Decision(chosen, kept, known, going, {r: f for r, f in drifted.items() if r not in kept})


def demand_known(accepted: Iterable[str], decision: Decision) -> None:
    """Raises UsageError naming the nearest for a name that is no loss of this move."""
    ids = {one.id for found in decision.losses.values() for one in found}
    classes = {f"{kind_of(r).value}.{one.field}" for r, found in decision.losses.items() for one in found}
    for name in accepted:
        if name not in ids | classes:
            near = difflib.get_close_matches(name, sorted(classes) + sorted(ids), n=3, cutoff=0.5)
            shown = near or sorted(classes)[:8]
            raise UsageError(
                f"{name} is no loss of this move; " + (f"nearest: {', '.join(shown)}" if shown else "there is none"),
                "Name a loss by its id (REF.FIELD), or all of a kind (KIND.FIELD); `unterbau plan` announces them.",
            )


def _is_accepted(loss: Loss, resource: Resource, accepted: Sequence[str]) -> bool:
    return loss.id in accepted or f"{resource.own_kind.value}.{loss.field}" in accepted


def _lost(resource: Resource, missing: Sequence[Loss]) -> Words:
    """The reason for which a thing with losses that nobody accepted is kept."""
    if not missing:
        return ""
    told = joined(Reason.of("about", what=one.id, reason=one.why) for one in missing)
    names = " ".join(f"--accept-loss {resource.own_kind.value}.{one.field}" for one in missing)
    return Reason.of("close.lost", losses=told, options=names)


class _Judge:
    """Asks of each object why it may not go, whatever a person accepts; and what would be lost with it."""

    def __init__(self, sealed: Sealed, look: Contents, pairs: Mapping[Ref, Ref]) -> None:
        self.sealed, self.look, self.pairs = sealed, look, pairs
        self.now: dict[Ref, list[Verdict]] = defaultdict(list)
        for verdict in look.verdicts:
            if verdict.claim.kind in ("structure", "content"):
                self.now[verdict.claim.subject].append(verdict)
        self.then = {v.claim.id: v for v in sealed.verdicts}
        self.drift: dict[Ref, tuple[Loss, ...]] = {}

    def obstacle(self, resource: Resource) -> Words:
        """Why it stays, or ""."""
        given = resource.from_birth(self.look.source)
        if given:
            return given
        entry = self.sealed.plan.entry_of(resource.ref)
        if entry is None:
            return Reason.of("close.after-census")
        if not entry.fate.moves:
            return Reason.of("close.not-moved", why=entry.why)
        return self._unheld(resource)

    def _unheld(self, resource: Resource) -> Words:
        """The first claim that does not hold now and is no change of the target's alone."""
        if not self.now[resource.ref]:
            return Reason.of("close.unjudged")
        drift: list[Loss] = []
        for verdict in self.now[resource.ref]:
            if verdict.outcome is Outcome.HELD:
                continue
            found = self._hidden(resource, verdict) or self._own_disk(resource, verdict) or self._only_there(verdict)
            if not found:
                return Reason.of("close.not-verified", why=verdict.reason)
            drift += found
        self.drift[resource.ref] = tuple(drift)
        return ""

    def _hidden(self, resource: Resource, verdict: Verdict) -> list[Loss]:
        """All that was shown is equal: the fields that a side did not show."""
        values = [o.value for o in verdict.evidence]
        if verdict.claim.kind != "structure" or len(values) != 2 or values[0] is None or values[0] != values[1]:
            return []
        there = self.look.target.by_ref.get(self.pairs.get(resource.ref, ""))
        named = {**(self.look.target.hidden_fields(there) if there else {}), **self.look.source.hidden_fields(resource)}
        return [Loss.of(resource.ref, f, why) for f, why in sorted(named.items())]

    def _own_disk(self, resource: Resource, verdict: Verdict) -> list[Loss]:
        """Of the disk that it has on its host it is not shown that it arrived: what is on it may be lost with it."""
        entry = self.sealed.plan.entry_of(resource.ref)
        if (
            entry is None
            or verdict.claim.kind != "content"
            or not entry.carries_disk
            or verdict.outcome is not Outcome.NOT_SHOWN
        ):
            return []
        return [Loss.of(resource.ref, LOCAL_DISK, verdict.reason)]

    def _only_there(self, verdict: Verdict) -> list[Loss]:
        """It arrived whole and the source is as it was then: what the target changed since, field by field; else ()."""
        then = self.then.get(verdict.claim.id)
        if verdict.outcome is not Outcome.FAILED or len(verdict.evidence) != 2 or then is None:
            return []
        left, right = (o.value for o in verdict.evidence)
        if then.outcome is not Outcome.HELD or then.evidence[0].value != left:
            return []
        subject, why = verdict.claim.subject, Reason.of("loss.drift")
        if verdict.claim.kind == "content":
            return [Loss.of(subject, "content", why)]
        if not isinstance(left, dict) or not isinstance(right, dict):
            return []
        fields = sorted(f for f in left.keys() | right.keys() if left.get(f) != right.get(f))
        return [Loss.of(subject, f, why) for f in fields]

    def losses(self, resource: Resource) -> tuple[Loss, ...]:
        """What the plan announced, and what was not shown of it now on either side."""
        found: dict[str, Loss] = {}
        if (entry := self.sealed.plan.by_ref.get(resource.ref)) is not None:
            found |= {one.id: one for one in losses(entry, self.sealed.source.by_ref[resource.ref], self.sealed.source)}
        there = self.look.target.hidden.get(self.pairs.get(resource.ref, ""), {})
        for name, why in {**there, **self.look.source.hidden.get(resource.ref, {})}.items():
            found.setdefault(f"{resource.ref}.{name}", Loss.of(resource.ref, name, why))
        return tuple(found.values())


# --- what our own deletions change in what is left


def as_before(before: Resource, now: Resource, gone: Holding[Ref]) -> Resource:
    """`now` without what deleting the things of `gone` does to it by itself: that is no change of the user's."""
    undone = before.undone(now, gone)
    restored = {f: getattr(before, f) for f, value in undone.items() if getattr(now, f, None) == value}
    return now.model_copy(update=restored)


def put_back(now: Workload, before: Workload, gone: Holding[Ref]) -> tuple[Workload, tuple[Ref, ...]]:
    """The source with what earlier attempts took (`gone`, as `before` knew it), and what that was."""
    there = [as_before(before.by_ref[r.ref], r, gone) if r.ref in before.by_ref else r for r in now.resources]
    missing = [r for r in before.resources if r.ref in gone and r.ref not in now.by_ref]
    order = list(Kind)
    resources = sorted([*there, *missing], key=lambda r: (order.index(r.own_kind), r.name, r.id))
    return now.model_copy(update={"resources": tuple(resources)}), tuple(r.ref for r in missing)


# --- what the journal of an attempt tells


def touched(journal: Rows) -> set[Ref]:
    """The objects that an attempt was about: in its journal's first row."""
    nodes = _data(journal[0]).get("nodes") if journal else {}
    names = nodes if isinstance(nodes, dict) else {}
    return {n.removeprefix(start) for n in names for start in STEPS if n.startswith(start)}


def deletions(journal: Rows) -> dict[Ref, dict[str, JsonValue]]:
    """What was deleted, and what was shown just before."""
    return {r: told for r, told in _ended(journal).items() if "deleted" in told}


def begun(journal: Rows) -> set[Ref]:
    """What an attempt began to delete, or deleted: all but what it then kept."""
    return {n.removeprefix(DELETE) for n in intended(journal) if n.startswith(DELETE)} - kept_late(journal).keys()


def kept_late(journal: Rows) -> dict[Ref, Words]:
    """What was to go and was kept by the look just before."""
    return {r: told_as(told["kept"]) for r, told in _ended(journal).items() if "kept" in told}


def deleted(record: Closing) -> tuple[Ref, ...]:
    """All that the attempts deleted; of one that was killed also what was begun and is gone since."""
    found: dict[Ref, None] = {}
    for number, attempt in enumerate(record.attempts, start=1):
        later = {r for one in record.attempts[number:] for r in one.put_back}
        ended = _ended(attempt.journal)
        for reference in sorted(begun(attempt.journal)):
            missing = reference in later or (record.after is not None and reference not in record.after.by_ref)
            if "deleted" in ended[reference] if reference in ended else missing:
                found[reference] = None
    return tuple(found)


def digest(attempt: Attempt) -> str:
    """What the journal of an attempt names it by."""
    return stored_digest(attempt.model_dump(mode="json"))


def stored_digest(plain: Mapping[str, JsonValue]) -> str:
    """The same of an attempt as it is stored: an older or newer version finds the same."""
    return canonical.digest({name: value for name, value in plain.items() if name not in ("journal", "chain")})


def intended(journal: Rows) -> dict[str, dict[str, JsonValue]]:
    """The steps that an attempt began, with what stood in the journal before."""
    return _events(journal, "intended")


def outputs(journal: Rows) -> dict[str, dict[str, JsonValue]]:
    """The steps that ended, with what they told."""
    return _events(journal, "done")


def _ended(journal: Rows) -> dict[Ref, dict[str, JsonValue]]:
    return {n.removeprefix(DELETE): told for n, told in outputs(journal).items() if n.startswith(DELETE)}


def _events(journal: Rows, kind: str) -> dict[str, dict[str, JsonValue]]:
    found = {}
    for row in journal:
        event = row["event"]
        if isinstance(event, dict) and event["kind"] == kind:
            found[str(event["node"])] = _data(row)
    return found


def _data(row: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    event = row["event"]
    data = event["data"] if isinstance(event, dict) else {}
    return data if isinstance(data, dict) else {}
