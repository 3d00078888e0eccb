# SPDX-License-Identifier: Apache-2.0
"""Claims on what is lost: one for each field or content that will not be there as it was. Pure; `structure` calls it.

A loss that the plan announced ends *not shown*, "lost, as the plan says"; one that it did not announce *failed*; neither
is ever held. What a member cannot decide on the target is *not shown* where the target decided otherwise. Not here: what
is left altogether (its own claim says so), and what was only not shown to us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import Entry, Ref, ResourceBase
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Observation, Outcome, Reason, Source, Verdict, Words

KIND = "loss"
LEFT = "verify.left"


def is_left(verdict: Verdict) -> bool:
    """Whether it is on an object that was left altogether, as the plan says."""
    return isinstance(verdict.reason, Reason) and verdict.reason.id == LEFT


def of_object(
    plan: Plan, source: Workload, resource: ResourceBase, key: str, structure: Verdict, decided: Verdict | None
) -> Iterator[Verdict]:
    """The verdicts on the losses of one object that moves.

    `structure` is the verdict on its facts, `decided` that on the facts that a member cannot decide (None: there are none).
    """
    entry = plan.by_ref.get(resource.ref)
    if entry is None or not entry.fate.moves or resource.ref not in source.by_ref:
        return
    said = _said(entry, resource)
    yield from announced(plan, resource, key)
    for field, why in source.by_ref[resource.ref].lost_with(entry, source):
        if field not in said:
            reason = Reason.of("verify.lost.unannounced", why=why)
            yield _verdict(plan, resource.ref, key, field, Outcome.FAILED, reason)
    for field, before, after in _differing(structure):
        reason = Reason.of("verify.lost.changed", before=before, after=after)
        yield _verdict(plan, resource.ref, key, field, Outcome.FAILED, reason)
    for field, before, after in _differing(decided):
        reason = Reason.of("verify.lost.decided", before=before, after=after)
        yield _verdict(plan, resource.ref, key, field, Outcome.NOT_SHOWN, reason)


def announced(plan: Plan, resource: ResourceBase, key: str) -> Iterator[Verdict]:
    """Those on the losses of an object that its entry in the plan announces."""
    for field, why in _said(plan.by_ref[resource.ref], resource).items():
        yield _verdict(plan, resource.ref, key, field, Outcome.NOT_SHOWN, Reason.of("verify.lost.announced", why=why))


def _said(entry: Entry, resource: ResourceBase) -> Mapping[str, Words]:
    """What the plan says will be lost: what it announces, and what whoever edited it takes away by a change."""
    found: dict[str, Words] = {one.field: one.why for one in entry.losses}
    for change in entry.changes:
        if change.takes_away and not resource.replaces(change.field):
            found.setdefault(change.field, change.why)
    return found


def _differing(verdict: Verdict | None) -> Iterator[tuple[str, str, str]]:
    """(field, before, after) of a verdict that failed for its fields."""
    if verdict is None or verdict.outcome is not Outcome.FAILED or len(verdict.evidence) != 2:
        return
    left, right = (o.value for o in verdict.evidence)
    if isinstance(left, dict) and isinstance(right, dict):
        for field in sorted(left.keys() | right.keys()):
            if left.get(field) != right.get(field):
                yield field, _short(left.get(field)), _short(right.get(field))


def _short(value: JsonValue, limit: int = 160) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _verdict(plan: Plan, reference: Ref, key: str, field: str, outcome: Outcome, reason: Reason) -> Verdict:
    claim = Claim(
        id=f"lost {reference}.{field}", kind=KIND, subject=reference, text=Reason.of("claim.lost", field=field, key=key)
    )
    seen = Observation(what="loss", value=f"{reference}.{field}", source=Source(where="plan", at=plan.made_at))
    return Verdict(claim=claim, outcome=outcome, reason=reason, evidence=(seen,))
