# SPDX-License-Identifier: Apache-2.0
"""Claims on what is open on the target and was closed on the source. Pure; `structure.compare` calls it.

One claim a kind of opening: nothing of it is there, but for what a person allowed by name. And one claim for each
opening: that somebody allowed it. Differences that a plan declares as changes count for nothing here; only the ids
that it allows do, each for exactly what it names. What the source did not show makes an opening *not shown*, never
held; what the target did not show does so for the whole kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import Opened, Ref
from unterbau.tenant.openings import Judged, Unseen, judge
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Observation, Outcome, Reason, Source, Verdict, Words, joined, told_as

KIND = "opening"
TOLD_AT_MOST = 5


def openings(
    source: Workload, target: Workload, plan: Plan | None, counterpart: Mapping[Ref, Ref]
) -> tuple[Verdict, ...]:
    """All verdicts on openings. `counterpart` maps Refs of the source to those of the target."""
    judged = judge(source, target, counterpart)
    allowed, shut = _parted(judged.found, plan)
    made: list[Verdict] = []
    for kind in Opened:
        of_kind = [_one(o, False, judged, source, target) for o in shut if o.kind is kind]
        of_kind += [_one(o, True, judged, source, target) for o in allowed if o.kind is kind]
        made += [_all(kind, of_kind, judged, source, target), *of_kind]
    return tuple(made)


def opening_of(claim: Claim) -> Words:
    """What the claim on one opening is about, in words of its own."""
    told = claim.text.values.get("opening") if isinstance(claim.text, Reason) else None
    return claim.text if told is None else told_as(told)


def _parted(found: Iterable[Opening], plan: Plan | None) -> tuple[list[Opening], list[Opening]]:
    """What was allowed, and what was not; an opening of which a part was allowed is in both."""
    allowed = plan.allows() if plan is not None else frozenset()
    parts: tuple[list[Opening], list[Opening]] = [], []
    for opening in found:
        names = dict(zip(opening.subjects, opening.names, strict=True))
        sides: dict[bool, dict[str, str]] = defaultdict(dict)
        for kind, what, subject in opening.atoms():
            sides[(kind, what, subject) not in allowed][subject] = names[subject]
        for shut, who in sides.items():
            parts[shut].append(Opening.of(opening.kind, opening.what, who))
    return parts


def _one(opening: Opening, allowed: bool, judged: Judged, source: Workload, target: Workload) -> Verdict:
    claim = Claim(
        id=f"opening {opening.id}", kind=KIND, subject=opening.subjects[0],
        text=Reason.of("claim.opening", opening=opening.text),
    )  # fmt: skip
    hidden = [u for u in judged.unseen if u.kind is opening.kind and u.side == "source"
              and u.subject in ("", *opening.subjects)]  # fmt: skip
    evidence = (_seen(source, "source", opening.id, None if hidden else False, hidden),
                _seen(target, "target", opening.id, True, ()))  # fmt: skip
    outcome: Outcome
    reason: Words
    if allowed:
        outcome, reason = Outcome.HELD, Reason.of("verify.opened.allowed", id=opening.id)
    elif hidden:
        outcome, reason = Outcome.NOT_SHOWN, Reason.of("verify.opened.unseen", why=hidden[0].reason)
    else:
        outcome, reason = Outcome.FAILED, Reason.of("verify.opened.shut", id=opening.id)
    return Verdict(claim=claim, outcome=outcome, reason=reason, evidence=evidence)


def _all(kind: Opened, ones: Sequence[Verdict], judged: Judged, source: Workload, target: Workload) -> Verdict:
    """Over the whole kind."""
    claim = Claim(
        id=f"opening {kind.value}", kind=KIND, subject=kind.value,
        text=Reason.of("claim.openings", kind=kind.words),
    )  # fmt: skip
    hidden = [u for u in judged.unseen if u.kind is kind and u.side == "target"]
    outcomes = {v.outcome for v in ones}
    evidence = (_seen(source, "source", kind.value, "looked at", ()),
                _seen(target, "target", kind.value, None if hidden else "looked at", hidden))  # fmt: skip
    if Outcome.FAILED in outcomes:
        outcome, reason = Outcome.FAILED, joined(v.reason for v in ones if v.outcome is Outcome.FAILED)
    elif hidden or Outcome.NOT_SHOWN in outcomes:
        told: list[Words] = [Reason.of("about", what=u.what, reason=u.reason) for u in hidden[:TOLD_AT_MOST]]
        told += [v.reason for v in ones if v.outcome is Outcome.NOT_SHOWN][: TOLD_AT_MOST - len(told)]
        outcome, reason = Outcome.NOT_SHOWN, joined(told)
    elif ones:
        outcome, reason = Outcome.HELD, joined(v.reason for v in ones)
    else:
        outcome, reason = Outcome.HELD, Reason.of("verify.opened.nothing")
    return Verdict(claim=claim, outcome=outcome, reason=reason, evidence=evidence)


def _seen(workload: Workload, side: str, what: str, value: bool | str | None, hidden: Sequence[Unseen]) -> Observation:
    where = Source(where=f"{side}: {workload.identity.name} {what}", at=workload.taken_at)
    return Observation(what="open", value=value, source=where, reason=joined(u.reason for u in hidden[:TOLD_AT_MOST]))
