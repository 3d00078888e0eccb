# SPDX-License-Identifier: Apache-2.0
"""A bundle: one file that says what a drill saw, and can be judged again by somebody who trusts nobody.

`drill` seals one; `evidence check` opens it on any machine. The check believes no verdict: it recomputes all
of them from the censuses, the plan and the hashes in the bundle. Who may lie about what is written in
docs/design/evidence-threat-model.md. Needs pydantic and securesystemslib, and no cloud.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, Field, JsonValue

from unterbau import canonical, files
from unterbau.errors import BundleError, LocalError, PlanError
from unterbau.evidence.container import pack_into, refuse_secrets
from unterbau.evidence.core import (
    FORMAT,
    PREDICATE_TYPE,
    STATEMENT,
    WITH_MANIFESTS,
    WITH_PARTS,
    check_chain,
    sign,
)
from unterbau.evidence.keys import Signer
from unterbau.evidence.limits import LINES, NOT_OURS, decode
from unterbau.evidence.long import Long, Member, sha256
from unterbau.evidence.opening import Opened, open_bundle
from unterbau.evidence.reading import Reading, spelled_in
from unterbau.saga.status import Event, fold
from unterbau.switch import closing, temporaries
from unterbau.switch.closing import Closing, Sealed, deleted, parts
from unterbau.switch.evidence.closing import NAME as CLOSING
from unterbau.switch.evidence.closing import Grounds, check_closing
from unterbau.switch.evidence.looks import check_pair, events_of, judge_again
from unterbau.switch.manifest import Damaged, Manifest
from unterbau.switch.plan import Plan
from unterbau.switch.probes.outage import Watched
from unterbau.switch.verify import Contents, compare, judgings, lost, observed
from unterbau.switch.verify import expanded as look_expanded
from unterbau.switch.verify.holding import side_words
from unterbau.switch.verify.structure import LOSSES, REMAINDER
from unterbau.tenant.kinds import Kind, Ref, kind_of
from unterbau.tenant.workload import Workload
from unterbau.verdict import Claim, Model, Observation, Outcome, Reason, Source, Verdict, Words, conjoin, joined, later

NOT_TESTED = (
    Reason.of("not-tested.contracts"),
    Reason.of("not-tested.people"),
    Reason.of("not-tested.licences"),
    Reason.of("not-tested.dns"),
    Reason.of("not-tested.load"),
    Reason.of("not-tested.guests"),
    Reason.of("not-tested.ephemeral-disks"),
    Reason.of("not-tested.user-data"),
    Reason.of("not-tested.writes"),
)

SAID_BEFORE = Reason.of("not-tested.local-disks")
"""What bundles of earlier versions say: its words are kept, so that they are told in every language."""
_OF_THE_MOMENT = frozenset(
    {"marker", "status", "used", "bytes_used", "object_count", "last_modified", "host_id", "updated_at"}
)
"""Fields that format 1 leaves out of the digest of a census, of every kind."""


OPTIONAL = (
    ("closed", "target-census-closed.json"), ("closing", "source-closing.json"), ("redaction", "redaction.json"),
    ("outage", "outage.json"),
)  # fmt: skip
"""Fields of a bundle that it may lack, and their members."""
_LOOKED = re.compile(r"closing-([0-9]+)-(source|target)\.jsonl")
MANIFESTS = {side: f"contents-{side}{LINES}" for side in ("source", "target")}
"""Members that a bundle has if there were crowded containers: one of each side."""


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


class Redaction(Model):
    """What a redacted bundle says of its original; its check believes none of it (see `redact`)."""

    original: str
    """The digest of the original's file."""
    signer: str
    sealed: datetime
    outcome: Outcome
    """Of the original, as the redactor's check found it."""
    commitment: str
    """The digest of the salt."""
    withheld: tuple[str, ...]
    """Claims that come out otherwise without the names."""
    openings: bool
    """Whether openings are judged; they are not where some were allowed by name."""
    probes: bool = later(True)
    """Whether what the application answered is judged; it is not where probes were asked."""
    closing: bool
    """Whether nothing is left out; else how the source was emptied is."""


class Bundle(Model):
    """Everything in a bundle. `closed` is the target after the clean-up of a rehearsal, `closing` how the source was emptied.

    `outage` is what was seen from outside while the application went from one to the other; nothing is judged by it.
    """

    source: Workload
    target: Workload
    plan: Plan
    journal: tuple[dict[str, JsonValue], ...]
    verification: Contents
    context: Context
    chain: int = canonical.CHAIN
    """How the rows of `journal` follow one another (`canonical.chained`)."""
    closed: Workload | None = None
    closing: Closing | None = None
    redaction: Redaction | None = None
    outage: Watched | None = None
    held: dict[str, Long] = Field(default={}, exclude=True)
    """What the crowded containers of each side held at the verification: side -> a manifest's text (`switch.manifest`)."""

    looked: tuple[dict[str, Long], ...] = Field(default=(), exclude=True)
    """The same of each attempt at emptying the source, as far as it decided of containers in parts."""

    @property
    def manifests(self) -> dict[str, Manifest]:
        """The same, to be read."""
        return {side: Manifest.read(text.open) for side, text in self.held.items()}

    def members(self) -> dict[str, bytes]:
        """File name -> bytes, but for the manifests."""
        found: dict[str, bytes] = {
            "source-census.json": _json(self.source),
            "target-census.json": _json(self.target),
            "plan.json": spelled_plan(self.plan),
            "journal.json": json.dumps({"chain": self.chain, "rows": self.journal}, ensure_ascii=False).encode(),
            "verification.json": _json(self.verification),
            "context.json": _json(self.context),
        }
        optional = {name: getattr(self, field) for field, name in OPTIONAL}
        found |= {name: _json(member) for name, member in optional.items() if member is not None}
        return found


class CheckResult(Model):
    """What a check found. `verdicts` were recomputed, not read."""

    bundle: Bundle = Field(exclude=True)
    members: dict[str, Member] = Field(exclude=True)
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""
    today: tuple[Verdict, ...] = ()
    """Where the judgings of this version come to another outcome than those by which the bundle was judged."""
    not_tested: tuple[Words, ...] = NOT_TESTED
    """What no drill tests, by this program's word, and what the bundle names besides."""


def seal(
    bundle: Bundle, signer: Signer, *, stored: Mapping[str, Member] | None = None, secrets: Iterable[str] = ()
) -> bytes:
    """The bundle as bytes; see `seal_into`."""
    out = io.BytesIO()
    seal_into(out, bundle, signer, stored=stored, secrets=secrets)
    return out.getvalue()


def seal_into(
    out: BinaryIO, bundle: Bundle, signer: Signer, *, stored: Mapping[str, Member] | None = None,
    secrets: Iterable[str] = (),
) -> None:  # fmt: skip
    """Write the bundle. Raises Failed if one of the known secrets stands in it (law 8).

    `stored`: members that exist as files already, and from which the models were read; they go in byte by byte.
    """
    held = {MANIFESTS[side]: text for side, text in bundle.held.items()}
    looked = {
        looked_name(n, side): text for n, texts in enumerate(bundle.looked, start=1) for side, text in texts.items()
    }
    members: dict[str, Member] = {**bundle.members(), **held, **looked, **(stored or {})}
    refuse_secrets(members, secrets)
    plain = {name: decode(name, data) for name, data in members.items() if isinstance(data, bytes)}
    format_ = WITH_PARTS if looked else WITH_MANIFESTS if bundle.held else FORMAT
    pack_into(out, members, sign(members, {"format": format_, **_predicate(bundle, plain, format_)}, signer))


def looked_name(number: int, side: str) -> str:
    """The member with what attempt `number` (from 1) at emptying the source saw in crowded containers of a side."""
    return f"closing-{number}-{side}{LINES}"


def of_closing(name: str) -> bool:
    """Whether a member tells how the source was emptied."""
    return name == CLOSING or _LOOKED.fullmatch(name) is not None


def spelled_census(workload: Workload) -> bytes:
    """A census as `Bundle.members` stores it."""
    return _json(workload)


def spelled_plan(plan: Plan) -> bytes:
    """The plan as it is stored when a move begins: what its journal names by the digest of these bytes."""
    return _json(plan)


def check(data: bytes | Path, *, trusted_key: str | None = None) -> CheckResult:
    """Open and judge a bundle, or that of a file. `trusted_key` is the id of the key that must have signed it.

    Raises BundleError for anything that is not as it was sealed, or that contradicts itself.
    """
    return check_opened(open_bundle(data, trusted_key=trusted_key))


def check_opened(opened: Opened) -> CheckResult:
    """Judge a bundle that was opened. Raises BundleError for what is of another kind, or contradicts itself.

    What links its members is compared as it is stored; every claim is judged anew, by the judgings that the bundle names
    and by those of this version.
    """
    opened.demand(PREDICATE_TYPE)
    bundle, plain, reading = _read(opened)
    if opened.predicate != {"format": opened.format, **_predicate(bundle, plain, opened.format)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    _consistent(bundle, reading)
    told, hashes = bundle.verification, observed(bundle.verification.verdicts)
    verdicts = judge_again(told, bundle.plan, hashes, "verification.json", reading, bundle.manifests)
    if bundle.closing is not None:
        verdicts += _closing(bundle, bundle.closing, verdicts, plain["digests"], reading)
    verdicts += (*of_the_whole(bundle), *reading.verdict())
    if bundle.redaction is not None:
        verdicts = tuple(_as_redacted(verdicts, bundle.redaction))
    today = () if bundle.redaction is not None else tuple(_today(bundle, hashes, verdicts))
    return CheckResult(
        bundle=bundle,
        members={**opened.members, **opened.long},
        verdicts=verdicts,
        outcome=conjoin(v.outcome for v in (*verdicts, *today)),
        signer=opened.signer,
        signer_trusted=opened.trusted,
        today=today,
        not_tested=_not_tested(bundle.context.not_tested),
    )


def _closing(
    bundle: Bundle, record: Closing, verdicts: tuple[Verdict, ...], digests: Sequence[str], reading: Reading
) -> tuple[Verdict, ...]:
    """Verdicts about how the source was emptied; `verdicts`: those about the move."""
    told = bundle.verification

    def sealed(boxes: tuple[str, ...]) -> Sealed:
        then = verdicts if not bundle.held else look_expanded(told, bundle.plan, bundle.manifests, boxes).verdicts
        return Sealed(bundle.source, bundle.plan, then)

    rehearsal = bundle.closed is not None
    if not any(bundle.looked):
        return check_closing(record, Grounds(sealed(()), told), digests=digests, reading=reading, rehearsal=rehearsal)
    with files.passing("check") as name:
        try:
            then = texts(bundle, name)
            seen = tuple(
                parts.texts_of(held, name / str(number), one.lines)
                for number, (held, one) in enumerate(zip(bundle.looked, record.attempts, strict=True))
            )
            boxes = plain(bundle, then)
            grounds = Grounds(sealed(boxes), told, then, boxes, seen, None if all(bundle.looked) else sealed(()))
            return check_closing(record, grounds, digests=digests, reading=reading, rehearsal=rehearsal)
        except Damaged as error:
            raise BundleError(f"{CLOSING}: what the containers held is damaged: {error}", NOT_OURS) from None


def texts(bundle: Bundle, work: Path) -> closing.Texts:
    """What crowded containers held at the verification, to be read from any name on; `work`: a folder for it. Raises Damaged."""
    return parts.texts_of(bundle.held, work)


def plain(bundle: Bundle, then: closing.Texts) -> tuple[str, ...]:
    """Crowded containers that may be emptied in parts."""
    return parts.plain(bundle.plan, (bundle.source, bundle.verification.source), then)


def expanded(checked: CheckResult, but: Collection[str] = ()) -> CheckResult:
    """The same result, in which crowded containers are told object by object, `but` these: for who decides of each by itself."""
    bundle = checked.bundle
    if not bundle.held:
        return checked
    told = look_expanded(bundle.verification, bundle.plan, bundle.manifests, but)
    before = {v.claim.id for v in bundle.verification.verdicts}
    rest = (v for v in checked.verdicts if v.claim.id not in before)
    bundle = bundle.model_copy(update={"verification": told})
    return checked.model_copy(update={"bundle": bundle, "verdicts": (*told.verdicts, *rest)})


def _as_redacted(verdicts: Iterable[Verdict], redaction: Redaction) -> Iterator[Verdict]:
    """What cannot be judged without the names is not shown, and whose word it is that the rest was so."""
    withheld = frozenset(redaction.withheld)
    for verdict in verdicts:
        if verdict.claim.id in withheld:
            why = Reason.of("evidence.redacted.withheld")
            yield verdict.model_copy(update={"outcome": Outcome.NOT_SHOWN, "reason": why})
        else:
            yield verdict
    told = {
        "original": Reason.of(
            "evidence.redacted.original", original=redaction.original, signer=redaction.signer,
            outcome=redaction.outcome.value,
        ),
        "openings": None if redaction.openings else Reason.of("evidence.redacted.openings"),
        "probes": None if redaction.probes else Reason.of("evidence.redacted.probes"),
        "closing": None if redaction.closing else Reason.of("evidence.redacted.closing"),
    }  # fmt: skip
    for name, reason in told.items():
        if reason is not None:
            claim = Claim(
                id=f"coverage redacted {name}", kind="coverage", subject="bundle",
                text=Reason.of("evidence.redacted.claim"),
            )  # fmt: skip
            yield Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=reason)


def _today(bundle: Bundle, hashes: Mapping[tuple[str, Ref], Observation], then: Iterable[Verdict]) -> Iterator[Verdict]:
    """What this version judges otherwise: another outcome, or a claim of its own that is not held.

    A plan of before losses were announced could announce none: that they were not told is *not shown*.
    """
    told = bundle.verification
    today = judgings(bundle.plan, probes=bool(bundle.plan.probes))
    if set(told.judging) >= set(today):
        return
    before = {v.claim.id: v.outcome for v in then}
    judged = bundle.model_copy(update={"verification": told.model_copy(update={"judging": today})})
    for verdict in (
        *compare(
            told.source,
            told.target,
            bundle.plan,
            hashes,
            today,
            temporary=temporaries.markers(bundle.plan),
            answers=told.answers,
            manifests=bundle.manifests,
        ),
        *of_the_whole(judged),
    ):
        if verdict.claim.kind == lost.KIND and LOSSES not in told.judging:
            verdict = verdict.model_copy(update={"outcome": Outcome.NOT_SHOWN})
        if before.get(verdict.claim.id, Outcome.HELD) is not verdict.outcome:
            yield verdict


def _not_tested(told: Iterable[Words]) -> tuple[Words, ...]:
    """What no drill tests: by this program, and what the bundle's own version says besides."""
    known = {str(one) for one in NOT_TESTED}
    return (*NOT_TESTED, *(one for one in told if str(one) not in known))


def _predicate(bundle: Bundle, plain: Mapping[str, Any], format_: int) -> dict[str, JsonValue]:
    """The summary: whose clouds, which outcomes (as lists of claims, never as a number of merit), as they are stored."""
    verdicts = plain["verification.json"]["verdicts"]
    by_outcome: dict[str, JsonValue] = {
        o.value: [v["claim"]["id"] for v in verdicts if v["outcome"] == o.value]
        for o in (Outcome.FAILED, Outcome.NOT_SHOWN)
    }
    judged: dict[str, JsonValue] = {
        "judging": [*bundle.verification.judging], "made_by": bundle.context.versions.get("unterbau", "")
    }  # fmt: skip
    return {
        "run": bundle.context.run,
        "sealed": bundle.context.sealed.isoformat(),
        "source": plain["source-census.json"]["identity"],
        "target": plain["target-census.json"]["identity"],
        "outcome": conjoin(Outcome(v["outcome"]) for v in verdicts).value,
        "claims": len(verdicts),
        "journal": {"rows": len(bundle.journal), "last": bundle.journal[-1].get("hash") if bundle.journal else None},
        **by_outcome,
        **_of_closing(bundle.closing),
        **(judged if format_ > 1 else {}),
    }


def _of_closing(record: Closing | None) -> dict[str, JsonValue]:
    if record is None:
        return {}
    accepted = sorted({name for attempt in record.attempts for name in attempt.accepted})
    told: dict[str, JsonValue] = {"complete": record.complete, "deleted": len(deleted(record)), "accepted": [*accepted]}
    objects = [told for one in record.attempts if one.held for told in parts.ended(one.journal).values()]
    if objects:  # of parts that ended
        told["objects"] = sum(n for n in (one.get("deleted") for one in objects) if isinstance(n, int))
    return {"closing": told}


def _read(opened: Opened) -> tuple[Bundle, dict[str, Any], Reading]:
    """The models; of the plain data what is compared as it is stored; and what was left out in reading."""
    members = opened.members | opened.long
    names = {"source": "source-census.json", "target": "target-census.json", "plan": "plan.json"}
    names |= {"journal": "journal.json", "verification": "verification.json", "context": "context.json"}
    names |= {field: name for field, name in OPTIONAL if name in members}
    held = {side: opened.long[name] for side, name in MANIFESTS.items() if name in opened.long}
    expected = {*names.values(), *(MANIFESTS.values() if opened.format >= WITH_MANIFESTS else ())}
    if opened.format >= WITH_PARTS:
        expected |= {name for name in opened.long if _LOOKED.fullmatch(name)}
    for name in sorted(members.keys() ^ expected):
        raise BundleError(f"{name} is {'missing' if name not in members else 'not part of a bundle'}", NOT_OURS)
    plain = {name: opened.json(name) for name in names.values()}
    try:
        chain, rows = _rows(plain["journal.json"])
        digests = _linked(opened, plain, rows)
        looks = [
            plain["verification.json"],
            *(a["look"] for a in plain.get("source-closing.json", {}).get("attempts", ())),
        ]
        kept: dict[str, Any] = {
            "verification.json": {"verdicts": [
                {"claim": {"id": v["claim"]["id"]}, "outcome": v["outcome"]} for v in looks[0]["verdicts"]
            ]},
            **{n: {"identity": plain[n]["identity"].copy()} for n in ("source-census.json", "target-census.json")},
            "digests": digests,
        }  # fmt: skip
        reading = Reading(
            made_by=str(plain["context.json"].get("versions", {}).get("unterbau", "")),
            spelled={
                place
                for look in looks
                for side in ("source", "target")
                for one in look[side]["resources"]
                for place in spelled_in(one, (str(one["kind"]),))
            },
        )
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        raise BundleError("the contents do not fit the format (1 faults)", NOT_OURS) from None
    types: dict[str, Any] = {name: field.annotation for name, field in Bundle.model_fields.items()}
    read = {
        field: reading.model(types[field], plain[name], name) for field, name in names.items() if field != "journal"
    }
    read["journal"] = reading.model(types["journal"], rows, "journal.json")
    looked = _looked(opened, read.get("closing"))
    return Bundle(chain=chain, held=held, looked=looked, **read), kept, reading


def _looked(opened: Opened, record: Closing | None) -> tuple[dict[str, Long], ...]:
    """What each attempt at emptying the source saw in crowded containers. Raises BundleError if that is not what the record names."""
    attempts = record.attempts if record is not None else ()
    named = {looked_name(n, side): (n, side) for n, one in enumerate(attempts, start=1) for side in one.held}
    for name in sorted(named.keys() ^ {name for name in opened.long if _LOOKED.fullmatch(name)}):
        raise BundleError(f"{name} is {'missing' if name in named else 'not part of a bundle'}", NOT_OURS)
    if any(one.held and not 0 < one.lines <= parts.LONGEST for one in attempts):
        raise BundleError(f"{CLOSING}: parts of so many lines are none", NOT_OURS)
    for name, (number, side) in named.items():
        if sha256(opened.long[name]) != attempts[number - 1].held[side]:
            raise BundleError(f"{name} is not what {CLOSING} names", NOT_OURS)
    return tuple(
        {side: opened.long[looked_name(n, side)] for side in one.held} for n, one in enumerate(attempts, start=1)
    )


def _listed(plain: Mapping[str, Any]) -> str:
    """What format 1 names a census by: the digest of what it lists, without what changes by itself (`census.digest`)."""
    kept: dict[str, JsonValue] = {
        f"{one['kind']}:{one['id']}": {name: value for name, value in one.items() if name not in _OF_THE_MOMENT}
        for one in plain["resources"]
    }
    return canonical.digest(kept)


def _rows(plain: Any) -> tuple[int, list[Any]]:
    """Chain and rows of a journal; format 1 stored the rows alone."""
    if isinstance(plain, list):
        return 1, plain
    if plain.keys() != {"chain", "rows"}:
        raise ValueError
    return int(plain["chain"]), list(plain["rows"])


def _linked(opened: Opened, plain: Mapping[str, Any], rows: list[Any]) -> list[str]:
    """Plan, census and journal belong together, by digests of what is stored. Returns those of the closing's attempts."""
    plan = plain["plan.json"]
    whole, census_file = opened.members["plan.json"], opened.members["source-census.json"]
    if named := opened.format > 1 and plan.get("source_census"):
        fits = named == canonical.digest_bytes(census_file)
    else:
        fits = plan["source_digest"] == _listed(plain["source-census.json"])
    if not fits:
        raise BundleError("plan.json was not made from source-census.json", NOT_OURS)
    names = {canonical.digest(plan)} | ({canonical.digest_bytes(whole)} if opened.format > 1 else set())
    if not rows or rows[0]["event"]["data"]["plan"] not in names:
        raise BundleError("journal.json is of another plan", NOT_OURS)
    return [closing.stored_digest(one) for one in plain.get("source-closing.json", {}).get("attempts", ())]


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


def _consistent(bundle: Bundle, reading: Reading) -> None:
    """The members speak of the same clouds, the same plan, the same run."""
    check_chain(bundle.journal, bundle.chain)
    plan, told = bundle.plan, bundle.verification
    if bundle.context.run != plan.run:
        raise BundleError(f"context.json is of drill {bundle.context.run}, plan.json of {plan.run}", NOT_OURS)
    if bundle.context.rehearsal != (bundle.closed is not None):
        raise BundleError("context.json and the members differ on whether it was a rehearsal", NOT_OURS)
    if plan.guests and not bundle.context.rehearsal:
        raise BundleError("plan.json keeps guests from running, which only a rehearsal does", NOT_OURS)
    for source, target in ((bundle.source, bundle.target), (told.source, told.target)):
        check_pair(plan, source, target)
    if bundle.closed is not None:
        check_pair(plan, bundle.source, bundle.closed)
    _ended(events_of(bundle.journal, reading), taken_back=bundle.closed is not None)
    try:
        plan.check_against(bundle.source)
    except PlanError as error:
        raise BundleError(f"plan.json: {error.what}", NOT_OURS) from None


def _ended(events: Sequence[Event], *, taken_back: bool) -> None:
    """The journal goes to the end of the run: no step stands between its beginning and its end."""
    try:
        states = fold(events).states
    except LocalError as error:
        raise BundleError(f"journal.json tells what cannot have happened ({type(error).__name__})", NOT_OURS) from None
    ends = {"undone"} if taken_back else {"done", "failed"}
    if any(event.kind == "failed" for event in events):
        ends.add("planned")  # what needed the failed step was never begun
    open_ = [name for name, state in states.items() if state not in ends]
    if open_:
        raise BundleError(f"journal.json ends before {open_[0]} had ended", NOT_OURS)


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json(indent=1).encode()
