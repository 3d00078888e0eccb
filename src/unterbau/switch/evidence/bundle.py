# SPDX-License-Identifier: Apache-2.0
"""A bundle: one file that says what a drill saw, and can be judged again by somebody who trusts nobody.

`drill` seals one; `evidence check` opens it on any machine. The check believes no verdict: it recomputes all
of them from the censuses, the plan and the hashes in the bundle. Who may lie about what is written in
docs/design/evidence-threat-model.md. Needs pydantic and securesystemslib, and no cloud.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from pydantic import BaseModel, Field, JsonValue, ValidationError

from unterbau.errors import BundleError, LocalError, PlanError
from unterbau.evidence.container import pack, refuse_secrets
from unterbau.evidence.core import PREDICATE_TYPE, STATEMENT, check_chain, sign
from unterbau.evidence.keys import Signer
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.opening import Opened, open_bundle
from unterbau.saga.status import Event, fold
from unterbau.switch import census
from unterbau.switch.closing import Closing, deleted
from unterbau.switch.evidence.closing import check_closing
from unterbau.switch.evidence.looks import check_pair, judge_again
from unterbau.switch.plan import Plan
from unterbau.switch.verify import Contents, observed
from unterbau.switch.verify.structure import REMAINDER, side_words
from unterbau.tenant.kinds import Kind, kind_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Model, Observation, Outcome, Reason, Source, Verdict, Words, conjoin, joined

NOT_TESTED = (
    Reason.of("not-tested.contracts"),
    Reason.of("not-tested.people"),
    Reason.of("not-tested.licences"),
    Reason.of("not-tested.dns"),
    Reason.of("not-tested.load"),
    Reason.of("not-tested.guests"),
    Reason.of("not-tested.local-disks"),
    Reason.of("not-tested.user-data"),
    Reason.of("not-tested.writes"),
)


class PhaseTime(Model):
    """When a phase ran (UTC)."""

    name: str
    started: datetime
    ended: datetime


class Context(Model):
    """The circumstances of a drill."""

    run: str
    command: str
    rehearsal: bool
    sealed: datetime
    versions: dict[str, str]
    phases: tuple[PhaseTime, ...] = ()
    not_tested: tuple[Words, ...] = NOT_TESTED


class Bundle(Model):
    """Everything in a bundle. `closed` is the target after the clean-up of a rehearsal, `closing` how the source was emptied."""

    source: Workload
    target: Workload
    plan: Plan
    journal: tuple[dict[str, JsonValue], ...]
    verification: Contents
    context: Context
    closed: Workload | None = None
    closing: Closing | None = None

    def members(self) -> dict[str, bytes]:
        """File name -> bytes."""
        found: dict[str, bytes] = {
            "source-census.json": _json(self.source),
            "target-census.json": _json(self.target),
            "plan.json": _json(self.plan),
            "journal.json": json.dumps(self.journal, indent=1, ensure_ascii=False).encode(),
            "verification.json": _json(self.verification),
            "context.json": _json(self.context),
        }
        optional = {"target-census-closed.json": self.closed, "source-closing.json": self.closing}
        return {**found, **{name: _json(member) for name, member in optional.items() if member is not None}}


class CheckResult(Model):
    """What a check found. `verdicts` were recomputed, not read."""

    bundle: Bundle = Field(exclude=True)
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""
    not_tested: tuple[Words, ...] = NOT_TESTED
    """What no drill tests, by this program's word, and what the bundle names besides."""


def seal(bundle: Bundle, signer: Signer, *, secrets: Iterable[str] = ()) -> bytes:
    """The bundle as bytes. Raises Failed if one of the known secrets stands in it (law 8)."""
    members = bundle.members()
    refuse_secrets(members, secrets)
    return pack(members, sign(members, _predicate(bundle), signer))


def check(data: bytes, *, trusted_key: str | None = None) -> CheckResult:
    """Open and judge a bundle. `trusted_key` is the id of the key that must have signed it.

    Raises BundleError for anything that is not as it was sealed, or that contradicts itself.
    """
    return check_opened(open_bundle(data, trusted_key=trusted_key))


def check_opened(opened: Opened) -> CheckResult:
    """Judge a bundle that was opened. Raises BundleError for what is of another kind, or contradicts itself."""
    opened.demand(PREDICATE_TYPE)
    bundle = _bundle(opened)
    if opened.predicate != {"format": 1, **_predicate(bundle)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    verdicts = _judge_again(bundle)
    if bundle.closing is not None:
        verdicts += check_closing(
            bundle.closing, bundle.source, bundle.plan, verdicts, rehearsal=bundle.closed is not None
        )
    verdicts += tuple(of_the_whole(bundle))
    return CheckResult(
        bundle=bundle,
        verdicts=verdicts,
        outcome=conjoin(v.outcome for v in verdicts),
        signer=opened.signer,
        signer_trusted=opened.trusted,
        not_tested=_not_tested(bundle.context.not_tested),
    )


def _not_tested(told: Iterable[Words]) -> tuple[Words, ...]:
    """What no drill tests: by this program, and what the bundle's own version says besides."""
    known = {str(one) for one in NOT_TESTED}
    return (*NOT_TESTED, *(one for one in told if str(one) not in known))


def _predicate(bundle: Bundle) -> dict[str, JsonValue]:
    """The summary: whose clouds, which outcomes (as lists of claims, never as a number of merit)."""
    verdicts = bundle.verification.verdicts
    by_outcome: dict[str, JsonValue] = {
        o.value: [v.claim.id for v in verdicts if v.outcome is o] for o in (Outcome.FAILED, Outcome.NOT_SHOWN)
    }
    return {
        "run": bundle.context.run,
        "sealed": bundle.context.sealed.isoformat(),
        "source": _json_object(bundle.source.identity),
        "target": _json_object(bundle.target.identity),
        "outcome": conjoin(v.outcome for v in verdicts).value,
        "claims": len(verdicts),
        "journal": {"rows": len(bundle.journal), "last": bundle.journal[-1].get("hash") if bundle.journal else None},
        **by_outcome,
        **_of_closing(bundle.closing),
    }


def _of_closing(record: Closing | None) -> dict[str, JsonValue]:
    if record is None:
        return {}
    accepted = sorted({name for attempt in record.attempts for name in attempt.accepted})
    told: dict[str, JsonValue] = {"complete": record.complete, "deleted": len(deleted(record)), "accepted": [*accepted]}
    return {"closing": told}


def _bundle(opened: Opened) -> Bundle:
    members = opened.members
    names = {"source": "source-census.json", "target": "target-census.json", "plan": "plan.json"}
    names |= {"journal": "journal.json", "verification": "verification.json", "context": "context.json"}
    for field, name in (("closed", "target-census-closed.json"), ("closing", "source-closing.json")):
        if name in members:
            names[field] = name
    for name in sorted(members.keys() ^ set(names.values())):
        raise BundleError(f"{name} is {'missing' if name not in members else 'not part of a bundle'}", NOT_OURS)
    try:
        return Bundle.model_validate({field: opened.json(name) for field, name in names.items()})
    except (ValidationError, ValueError, RecursionError) as error:
        count = error.error_count() if isinstance(error, ValidationError) else 1
        raise BundleError(f"the contents do not fit the format ({count} faults)", NOT_OURS) from None


def _judge_again(bundle: Bundle) -> tuple[Verdict, ...]:
    """Every verdict anew, from censuses, plan and hashes; they must be those that the bundle tells."""
    _consistent(bundle)
    return judge_again(bundle.verification, bundle.plan, observed(bundle.verification.verdicts), "verification.json")


def remainder(before: Workload, closed: Workload, made: Collection[Kind]) -> Verdict:
    """Whether a clean-up left something: the target's census after it against the one before the move.

    `made` are the kinds of which the move made something. The project's default group may come late, and is no remainder.
    """
    claim = Claim(
        id="completeness closed target", kind="completeness", subject="target",
        text=Reason.of("claim.remainder"),
    )  # fmt: skip
    new: list[JsonValue] = [
        f"{r.ref} {r.name}".rstrip()
        for r in closed.resources
        if r.ref not in before.by_ref and not r.from_birth(closed)
    ]
    unseen = [Reason.of("about", what=n.what, reason=n.reason) for n in closed.not_shown if n.what in set(made)]
    where = Source(where=f"target: {closed.identity.name} after the clean-up", at=closed.taken_at)
    seen = (Observation(what="new since the census before", value=new, source=where, reason=joined(unseen)),)
    if new:
        return Verdict(claim=claim, outcome=Outcome.FAILED, reason=Reason.of("verify.new", things=new), evidence=seen)
    if unseen:
        return Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=joined(unseen), evidence=seen)
    return Verdict(claim=claim, outcome=Outcome.HELD, reason=Reason.of("verify.nothing-new"), evidence=seen)


def of_the_whole(bundle: Bundle) -> Iterator[Verdict]:
    """The claims that only a whole drill can be judged by, beside those of its verification."""
    if bundle.closed is not None and REMAINDER in bundle.verification.judging:
        made = {kind_of(e.ref) for e in bundle.plan.entries if e.fate.moves}
        yield remainder(bundle.target, bundle.closed, made)
    yield from _surroundings(bundle)


def _surroundings(bundle: Bundle) -> Iterator[Verdict]:
    """Whether the same cloud answered before and after: its catalog and its certificate."""
    for side, before, after in (
        ("source", bundle.source, bundle.verification.source),
        ("target", bundle.target, bundle.verification.target),
    ):
        same = (
            Reason.of("claim.same-catalog", side=side_words(side)),
            Reason.of("claim.same-certificate", side=side_words(side)),
        )
        for what, text in zip(("catalog_digest", "certificate_sha256"), same, strict=True):
            seen = [getattr(w.identity, what) for w in (before, after)]
            if seen[0] != seen[1]:
                claim = Claim(id=f"coverage {side} {what}", kind="coverage", subject=what, text=text)
                why = Reason.of("verify.became", before=seen[0], after=seen[1])
                yield Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=why)


def _consistent(bundle: Bundle) -> None:
    """The members speak of the same clouds, the same plan, the same run."""
    check_chain(bundle.journal)
    plan, told = bundle.plan, bundle.verification
    if bundle.context.run != plan.run:
        raise BundleError(f"context.json is of drill {bundle.context.run}, plan.json of {plan.run}", NOT_OURS)
    if bundle.context.rehearsal != (bundle.closed is not None):
        raise BundleError("context.json and the members differ on whether it was a rehearsal", NOT_OURS)
    for source, target in ((bundle.source, bundle.target), (told.source, told.target)):
        check_pair(plan, source, target)
    if bundle.closed is not None:
        check_pair(plan, bundle.source, bundle.closed)
    if plan.source_digest != census.digest(bundle.source):
        raise BundleError("plan.json was not made from source-census.json", NOT_OURS)
    opened = bundle.journal[0].get("event") if bundle.journal else None
    data = opened.get("data") if isinstance(opened, dict) else None
    if not isinstance(data, dict) or data.get("plan") != plan.digest():
        raise BundleError("journal.json is of another plan", NOT_OURS)
    _ended(bundle.journal, taken_back=bundle.closed is not None)
    try:
        plan.check_against(bundle.source)
    except PlanError as error:
        raise BundleError(f"plan.json: {error.what}", NOT_OURS) from None


def _ended(rows: Iterable[Mapping[str, JsonValue]], *, taken_back: bool) -> None:
    """The journal goes to the end of the run: no step stands between its beginning and its end."""
    try:
        events = [Event.model_validate(row["event"]) for row in rows]
        states = fold(events).states
    except (LocalError, ValidationError) as error:
        raise BundleError(f"journal.json tells what cannot have happened ({type(error).__name__})", NOT_OURS) from None
    ends = {"undone"} if taken_back else {"done", "failed"}
    if any(event.kind == "failed" for event in events):
        ends.add("planned")  # what needed the failed step was never begun
    open_ = [name for name, state in states.items() if state not in ends]
    if open_:
        raise BundleError(f"journal.json ends before {open_[0]} had ended", NOT_OURS)


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json(indent=1).encode()


def _json_object(model: BaseModel) -> dict[str, JsonValue]:
    plain: dict[str, JsonValue] = model.model_dump(mode="json")
    return plain
