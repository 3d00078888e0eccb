# SPDX-License-Identifier: Apache-2.0
"""The signed bundle of a proof of conformance: the inventory of a cloud and what follows from it, judged again by its check.

`cli.prove` seals one; `evidence check` opens it on any machine. The check believes no verdict: it judges the inventory in
the bundle again, by the question in the bundle and the data about the standards that it has itself, and compares. It binds
the verdicts to one cloud (auth URL, region, project, catalog, certificates) and to every request's digest. That the cloud
really answered so, only its operator or a second look can show. Needs pydantic and securesystemslib, and no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from pydantic import JsonValue, TypeAdapter

from unterbau.canonical import digest
from unterbau.errors import BundleError, UsageError
from unterbau.evidence.container import pack, refuse_secrets
from unterbau.evidence.core import STATEMENT, sign
from unterbau.evidence.keys import Signer
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.opening import Opened, open_bundle
from unterbau.evidence.reading import Reading, alike, spelled_in, without_words
from unterbau.places import is_loopback, place
from unterbau.prove.data import load
from unterbau.prove.inventory import Inventory
from unterbau.prove.proof import Proof, Question, prove
from unterbau.prove.verdicts import OUTCOMES, CaseVerdict, Report
from unterbau.verdict import Model, Outcome, Reason, conjoin, joined
from unterbau.verdict.exhibit import Exhibit, Showing

KIND = "https://unterbau.example/evidence/conformance/v1"
INVENTORY, QUESTION, REPORT, SECURE = "inventory.json", "question.json", "report.json", "secure.json"
JUDGING = "conformance"
"""The name of the judging by which a cloud is judged; the data about the standards have a digest of their own."""
WORDS = frozenset({"reason", "title", "observed", "required", "mend", "note", "notes", "why", "what", "data"})
_CHANGE = ("when", "case", "outcome", "breaks")
_SECURE = TypeAdapter(tuple[CaseVerdict, ...])


class Then(Model):
    """How a bundle was judged by data about the standards that this program does not have."""

    data: str
    """As of when they were."""
    digest: str
    outcome: Outcome
    versions: dict[str, str]
    """Version -> outcome, then."""


class ProofCheck(Model):
    """What a check found. `proof` was made again, not read."""

    proof: Proof
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""
    sealed: datetime
    then: Then | None = None
    """What the bundle was judged by other data about the standards; None: by the same as this program's."""
    left_out: tuple[str, ...] = ()
    """Fields of a newer version, which this one could not read: what they say is not shown."""


def seal_proof(proof: Proof, *, signer: Signer, sealed: datetime, secrets: Iterable[str] = ()) -> bytes:
    """The bundle as bytes. Raises Failed if one of the known secrets stands in it (law 8)."""
    members = {
        INVENTORY: proof.inventory.to_json().encode(),
        QUESTION: proof.question.model_dump_json(indent=1).encode(),
        REPORT: proof.report.model_dump_json(indent=1).encode(),
        SECURE: _SECURE.dump_json(proof.secure, indent=1),
    }
    refuse_secrets(members, secrets)
    return pack(members, sign(members, _predicate(proof, sealed), signer, KIND))


def check_proof(data: bytes, *, trusted_key: str | None = None) -> ProofCheck:
    """Open a bundle and judge the inventory in it again. `trusted_key` is the id of the key that must have signed it.

    Raises BundleError for anything that is not as it was sealed, or does not follow from the contents.
    """
    return check_opened(open_bundle(data, trusted_key=trusted_key))


def check_opened(opened: Opened) -> ProofCheck:
    """Judge the inventory in a bundle that was opened. Raises BundleError."""
    opened.demand(KIND)
    reading = Reading(made_by=str(opened.predicate.get("tool", "")))
    told, plain, sealed = _read(opened, reading)
    again, then = _again(told, plain, reading)
    if opened.predicate != {"format": opened.format, **_predicate(told, sealed, opened)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    return ProofCheck(
        proof=again,
        outcome=conjoin([again.outcome, told.outcome, *(v.outcome for v in reading.verdict())]),
        signer=opened.signer,
        signer_trusted=opened.trusted,
        sealed=sealed,
        then=then,
        left_out=tuple(reading.unknown),
    )


def exhibit(checked: ProofCheck, opened: Opened, name: str) -> Exhibit:
    """What the bundle shows to `judge`. It was checked: `checked` is of `opened`."""
    subject, report = checked.proof.inventory.subject, checked.proof.report
    where = f"{subject.name} ({place(subject.auth_url)}, project {subject.project_id or '-'})"
    versions = [Reason.of("exhibit.version", version=v.version, outcome=OUTCOMES[v.outcome]) for v in report.versions]
    why = Reason.of("about", what=report.scope_name, reason=joined(versions) or Reason.of("exhibit.no-version"))
    seen = checked.proof.inventory.collected_at
    return Exhibit(
        name=name, digest=opened.digest, kind="proof", signer=checked.signer, trusted=checked.signer_trusted,
        seen=seen, clouds=(where,), one_machine=is_loopback(subject.auth_url),
        shows={"conformant": Showing(outcome=checked.outcome, why=why)},
    )  # fmt: skip


def _predicate(proof: Proof, sealed: datetime, opened: Opened | None = None) -> dict[str, JsonValue]:
    """Whose cloud, asked what, seen when; outcomes by version and case, never as a number of merit.

    Since format 2 with the name of the judging: that of `opened`, or this version's.
    """
    report = proof.report
    outcomes: dict[str, JsonValue] = {case.case: case.outcome.value for case in proof.cases}
    return {
        "cloud": proof.inventory.subject.model_dump(mode="json") if opened is None else opened.predicate.get("cloud"),
        "scope": report.scope,
        "at": proof.question.at.isoformat(),
        "collected": proof.inventory.collected_at.isoformat(),
        "sealed": sealed.isoformat(),
        "tool": proof.inventory.tool,
        "inventory": report.inventory,
        "data": report.data_digest,
        "versions": {v.version: v.outcome.value for v in report.versions},
        "cases": outcomes,
        **({"judging": [JUDGING]} if opened is None or opened.format > 1 else {}),
    }


def _read(opened: Opened, reading: Reading) -> tuple[Proof, dict[str, Any], datetime]:
    """The models, the members as they are stored, and when it was sealed."""
    for name in sorted(opened.names ^ {INVENTORY, QUESTION, REPORT, SECURE}):
        raise BundleError(f"{name} is {'missing' if name not in opened.names else 'not part of a bundle'}", NOT_OURS)
    if opened.predicate.get("judging", [JUDGING]) != [JUDGING]:
        raise BundleError(f"{REPORT}: judged in a way that this version does not know", "Check it with a newer one.")
    plain = {name: opened.json(name) for name in opened.members}
    stored = {**deepcopy({name: plain[name] for name in (REPORT, SECURE)}), INVENTORY: _digest(plain[INVENTORY])}
    try:
        fits = opened.predicate["cloud"] == plain[INVENTORY]["subject"]
        sealed = datetime.fromisoformat(str(opened.predicate["sealed"]))
    except (TypeError, KeyError, ValueError):
        raise BundleError("the contents do not fit the format (1 faults)", NOT_OURS) from None
    if not fits:
        raise BundleError(f"{STATEMENT}: its summary does not follow from {INVENTORY}", NOT_OURS)
    reading.spelled = spelled_in(plain[REPORT], (REPORT,)) | spelled_in(plain[SECURE], (SECURE,))
    proof = Proof(
        question=reading.model(Question, plain[QUESTION], QUESTION),
        inventory=reading.model(Inventory, plain[INVENTORY], INVENTORY),
        report=reading.model(Report, plain[REPORT], REPORT),
        secure=reading.model(_SECURE, plain[SECURE], SECURE),
    )
    return proof, stored, sealed


def _digest(plain: JsonValue) -> str:
    try:
        return digest(plain)
    except ValueError:
        raise BundleError("the contents do not fit the format (1 faults)", NOT_OURS) from None


def _again(told: Proof, stored: Mapping[str, Any], reading: Reading) -> tuple[Proof, Then | None]:
    """Everything anew from inventory and question; it must be what the bundle tells, if that was judged by the same data."""
    if told.report.inventory != stored[INVENTORY]:
        raise BundleError(f"{REPORT}: it does not follow from {INVENTORY}", NOT_OURS)
    try:
        again = prove(told.inventory, told.question)
    except (UsageError, ValueError) as error:
        raise BundleError(f"{QUESTION}: {error}", NOT_OURS) from None
    if told.report.data_digest != load().digest():
        versions = {v.version: v.outcome.value for v in told.report.versions}
        return again, Then(
            data=told.report.data, digest=told.report.data_digest, outcome=told.outcome, versions=versions
        )
    left = {REPORT: stored[REPORT], SECURE: stored[SECURE]}
    right = {REPORT: again.report.model_dump(mode="json"), SECURE: _SECURE.dump_python(again.secure, mode="json")}
    wrong = [one for name in left for one in _differing(left[name], right[name], reading, (name,))]
    if wrong:
        raise BundleError(f"{REPORT}: {', '.join(wrong[:3])} does not follow from {INVENTORY}", NOT_OURS)
    return again, None


def _differing(told: Any, again: Any, reading: Reading, place: tuple[str, ...]) -> list[str]:
    """Cases, versions and fields that were told otherwise than they follow; sentences are not compared."""
    left, right = (without_words(one, WORDS) for one in (told, again))
    if isinstance(left, dict):
        for one in (left, right):  # those of one day stand in the order of their sentences
            one["coming"] = sorted(one["coming"], key=lambda c: [str(c.get(k)) for k in _CHANGE])
        wrong = _differing(left["cases"], right["cases"], reading, (*place, "cases"))
        wrong += [] if wrong else _differing(left["versions"], right["versions"], reading, (*place, "versions"))
        rest, other = (
            {k: v for k, v in one.items() if k not in ("cases", "versions", "inventory")} for one in (left, right)
        )
        return wrong or ([] if alike(rest, other, reading, place) else ["the rest of it"])
    cases, others = ({one.get("case") or f"version {one['version']}": one for one in ones} for ones in (left, right))
    named = cases.keys() | others.keys()
    return sorted(n for n in named if not alike(cases.get(n), others.get(n), reading, place))
