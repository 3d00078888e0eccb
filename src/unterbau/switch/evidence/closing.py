# SPDX-License-Identifier: Apache-2.0
"""The check of how a source was emptied: every decision made anew from what was seen before it. `bundle` calls it.

It believes no decision: whether a thing might go follows from the look that stands in the record, from the plan and
from what a person accepted; that nothing else went follows from the journals. Asks nobody; reads the manifests that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from unterbau.errors import BundleError, LocalError
from unterbau.evidence.core import check_chain
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.reading import Reading
from unterbau.saga.status import fold
from unterbau.switch import closing
from unterbau.switch.closing import Attempt, Closing, Crowds, Decision, Sealed, Texts, parts
from unterbau.switch.evidence.looks import check_pair, events_of, judge_again
from unterbau.switch.manifest import Manifest
from unterbau.switch.verify import Contents, counterparts
from unterbau.tenant.kinds import KINDS, Content, Loss, Ref, kind_of, ref
from unterbau.tenant.kinds.object import STORE, store_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Observation, Outcome, Reason, Source, Verdict, Words

NAME = "source-closing.json"


@dataclass(frozen=True)
class Grounds:
    """What a closing is judged by: the move as it was sealed and verified, and of crowded containers that are decided of in parts what each attempt saw.

    `then`: what they held at the verification, `boxes`: which they are, `seen`: of each attempt (none: it decided of no parts, and is
    judged by `whole`, in which every object is told by itself).
    """

    sealed: Sealed
    verification: Contents
    then: Texts = field(default_factory=dict)
    boxes: tuple[str, ...] = ()
    seen: tuple[Texts, ...] = ()
    whole: Sealed | None = None

    def of(self, number: int, accepted: tuple[str, ...]) -> Crowds:
        """By what attempt `number` (from 0) is judged. Raises BundleError."""
        now = self.seen[number] if self.seen else {}
        if not now:
            return Crowds(self.whole or self.sealed, self.verification, {}, (), {}, accepted)
        if now.keys() != {"source", "target"} or any(tuple(index.chunks) != self.boxes for index in now.values()):
            raise BundleError(f"{NAME}: other containers were emptied in parts than could be", NOT_OURS)
        return Crowds(self.sealed, self.verification, self.then, self.boxes, now, accepted)


def check_closing(
    record: Closing, grounds: Grounds, *, digests: Sequence[str], reading: Reading, rehearsal: bool
) -> tuple[Verdict, ...]:
    """Verdicts about the closing: that what went was held, and every loss that was accepted. Raises BundleError, Damaged.

    `digests` are those of the attempts as they are stored, `rehearsal` whether the drill's target was cleaned.
    """
    if rehearsal:
        raise BundleError(f"{NAME}: nothing may be deleted after a rehearsal", NOT_OURS)
    checks = [
        _Check(grounds.of(number, attempt.accepted), attempt, digest, reading)
        for number, (attempt, digest) in enumerate(zip(record.attempts, digests, strict=True))
    ]
    for check in checks:
        check.journal()
        check.deletions()
    last = checks[-1] if checks else None
    if last is None or record.kept.keys() != last.decision.kept.keys() | last.kept_late().keys():
        raise BundleError(f"{NAME}: what was kept does not follow from what was seen", NOT_OURS)
    if record.after is not None:
        check_pair(grounds.sealed.plan, record.after, last.attempt.look.target)
    gone = frozenset(closing.deleted(record))
    emptied = _Emptied.of(record, checks)
    lost = {one.id: _loss(one, check.attempt) for check in checks for one in check.lost(gone | emptied.lossy)}
    return (*_told(record, gone, emptied), *lost.values())


@dataclass(frozen=True)
class _Emptied:
    """The objects of crowded containers that went: how many of each; those with losses; and those that are there again."""

    counts: dict[Ref, int]
    lossy: frozenset[Ref]
    there: tuple[Ref, ...]

    @classmethod
    def of(cls, record: Closing, checks: Sequence[_Check]) -> _Emptied:
        lossy = {r for check in checks for part in check.decision.parts for r, found in part.losses.items() if found}
        after = record.after.by_ref if record.after is not None else {}
        counts, lost, there = dict[Ref, int](), set[Ref](), list[Ref]()
        for reference in parts.deleted(record, [check.crowds.now for check in checks]):
            box = ref(STORE, store_of(reference))
            counts[box] = counts.get(box, 0) + 1
            lost.update({reference} & lossy)
            there += [reference] if reference in after else []
        return cls(counts, frozenset(lost), tuple(there))


class _Check:
    """One attempt against what it saw. Made from a look that contradicts itself, it raises BundleError."""

    def __init__(self, crowds: Crowds, attempt: Attempt, digest: str, reading: Reading) -> None:
        self.crowds, sealed = crowds, crowds.sealed
        self.attempt, self.hashes, self.digest = attempt, attempt.hashes(), digest
        self.reading = reading
        look = attempt.look
        check_pair(sealed.plan, look.source, look.target)
        held = {side: Manifest.at(index.path) for side, index in crowds.now.items()}
        judge_again(look, sealed.plan, self.hashes, NAME, reading, held)
        back = frozenset(attempt.put_back)
        if any(sealed.plan.entry_of(reference) is None for reference in back):
            raise BundleError(f"{NAME}: what was put back was never at the source", NOT_OURS)
        self.pairs = counterparts(look.source, look.target, sealed.plan, self.hashes)
        self.look = parts.bare(look, crowds.boxes)
        self.decision: Decision = crowds.decide(look, self.pairs, self.hashes, back)
        self.gone = closing.deletions(attempt.journal)

    def kept_late(self) -> dict[Ref, Words]:
        """What was to go, and stayed by the look just before."""
        return closing.kept_late(self.attempt.journal) | parts.kept_late(self.attempt.journal)

    def journal(self) -> None:
        """Its chain is whole, it is of this attempt, and it is about nothing that had to stay."""
        rows = self.attempt.journal
        if not rows:
            return
        check_chain(rows, self.attempt.chain)
        try:
            status = fold(events_of(rows, self.reading))
        except LocalError as error:
            what = f"a journal tells what cannot have happened ({type(error).__name__})"
            raise BundleError(f"{NAME}: {what}", NOT_OURS) from None
        if status.plan != self.digest:
            raise BundleError(f"{NAME}: a journal is of another attempt", NOT_OURS)
        surplus = closing.touched(rows) - set(self.decision.chosen)
        if surplus:
            raise BundleError(f"{NAME}: {min(surplus)} was to go, and by what was seen it had to stay", NOT_OURS)
        intents = {part.step: part.intent() for part in self.decision.parts if part.going}
        wrong = [n for n in status.needs if n.startswith(closing.PART) and n not in intents]
        wrong += [n for n, told in status.intents.items() if n.startswith(closing.PART) and told != intents.get(n)]
        if wrong:
            raise BundleError(f"{NAME}: by what was seen other objects had to stay: {wrong[0]}", NOT_OURS)

    def deletions(self) -> None:
        """What was shown of each content just before it went fits what was hashed before."""
        claimed = {v.claim.subject for v in self.look.verdicts if v.claim.kind == "content"}
        for reference in self.gone.keys() & claimed:
            if closing.LOCAL_DISK in self.decision.drifted.get(reference, ()):
                continue  # a person gave it up by name
            sides = [("source", reference)]
            if _content(reference) is not Content.PAYLOAD and "content" not in self.decision.drifted.get(reference, ()):
                sides.append(("target", self.pairs[reference]))
            for side, whose in sides:
                if not self._fits(side, whose, self.gone[reference].get(side)):
                    raise BundleError(f"{NAME}: it is not shown that {reference} was whole when it went", NOT_OURS)
        ended = parts.ended(self.attempt.journal)
        for part in self.decision.parts:
            if part.step in ended and parts.not_shown(part, ended[part.step], **self.crowds.now):
                raise BundleError(f"{NAME}: it is not shown that {part.step} took only what was whole", NOT_OURS)

    def _fits(self, side: str, whose: Ref, shown: JsonValue) -> bool:
        if not isinstance(shown, dict) or not shown:
            return False
        if "sha256" in shown:
            return (side, whose) in self.hashes and shown == {"sha256": self.hashes[side, whose].value}
        if _content(whose) is Content.PAYLOAD:
            return shown == {"compared": "equal"}
        if _content(whose) is Content.DISK:
            at = self.look.stamps.get(f"{side} {whose}")
            return at is not None and shown == {"updated_at": at.isoformat()}
        seen: Workload = {"source": self.look.source, "target": self.look.target}[side]
        return shown == seen.by_ref[whose].stamp()

    def lost(self, gone: frozenset[Ref]) -> tuple[Loss, ...]:
        """The accepted losses of what this attempt began to delete and is gone."""
        begun, journal = parts.begun(self.attempt.journal), self.attempt.journal
        went = gone & closing.begun(journal)
        went |= {r for part in self.decision.parts if part.step in begun for r in part.losses if r in gone}
        return tuple(one for one in self.decision.accepted if one.id.removesuffix(f".{one.field}") in went)


def _content(reference: Ref) -> Content:
    return KINDS[kind_of(reference)].KNOWN.content


def _told(record: Closing, gone: frozenset[Ref], emptied: _Emptied) -> Iterator[Verdict]:
    """What follows from the record as a whole."""
    objects = [f"{count} objects of {container}" for container, count in sorted(emptied.counts.items())]
    total = len(gone) + sum(emptied.counts.values())
    where = Source(where=f"the journals in {NAME}", at=record.ended)
    seen = Observation(what="deleted", value=[*sorted(gone), *objects], source=where)
    yield _verdict(
        "held", Reason.of("claim.closing-held"), Outcome.HELD, Reason.of("close.deleted", count=total), seen,
    )  # fmt: skip
    claim = Reason.of("claim.closing-gone")
    if record.after is None:
        outcome, reason = Outcome.NOT_SHOWN, Reason.of("close.stopped")
    else:
        there = [*(r for r in sorted(gone) if r in record.after.by_ref), *emptied.there]
        outcome = Outcome.FAILED if there else Outcome.HELD
        reason = Reason.of("close.there-again", things=[*there[:5]]) if there else Reason.of("close.gone")
    yield _verdict("gone", claim, outcome, reason, seen)


def _verdict(name: str, text: Words, outcome: Outcome, reason: Words, seen: Observation) -> Verdict:
    claim = Claim(id=f"closing {name}", kind="completeness", subject="closing", text=text)
    return Verdict(claim=claim, outcome=outcome, reason=reason, evidence=(seen,))


def _loss(one: Loss, attempt: Attempt) -> Verdict:
    """A loss that a person accepted: it is not shown that nothing was lost, and it will never be."""
    reference = one.id.removesuffix(f".{one.field}")
    claim = Claim(
        id=f"loss {one.id}", kind="coverage", subject=reference,
        text=Reason.of("claim.loss-accepted", field=one.field, thing=reference),
    )  # fmt: skip
    where = Source(where=f"a person: --accept-loss {' '.join(attempt.accepted)}", at=attempt.started)
    seen = Observation(what="accepted", value=one.id, source=where)
    return Verdict(
        claim=claim, outcome=Outcome.NOT_SHOWN, reason=Reason.of("close.accepted", why=one.why), evidence=(seen,)
    )
