# SPDX-License-Identifier: Apache-2.0
"""The signed bundle of a proof of conformance: the inventory of a cloud and what follows from it, judged again by its check.

`cli.prove` seals one; `evidence check` opens it on any machine. The check believes no verdict: it judges the inventory in
the bundle again, by the question in the bundle and the data about the standards that it has itself, and compares. It binds
the verdicts to one cloud (auth URL, region, project, catalog, certificates) and to every request's digest. That the cloud
really answered so, only its operator or a second look can show. Needs pydantic and securesystemslib, and no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import JsonValue, TypeAdapter, ValidationError

from unterbau.errors import BundleError, UsageError
from unterbau.evidence.container import pack, refuse_secrets
from unterbau.evidence.core import STATEMENT, sign
from unterbau.evidence.keys import Signer
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.opening import Opened, open_bundle
from unterbau.prove.data import load
from unterbau.prove.inventory import Inventory
from unterbau.prove.proof import Proof, Question, prove
from unterbau.prove.verdicts import CaseVerdict, Report
from unterbau.verdict import Model, Outcome

KIND = "https://unterbau.example/evidence/conformance/v1"
INVENTORY, QUESTION, REPORT, SECURE = "inventory.json", "question.json", "report.json", "secure.json"
_SECURE = TypeAdapter(tuple[CaseVerdict, ...])


class ProofCheck(Model):
    """What a check found. `proof` was made again, not read."""

    proof: Proof
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""
    sealed: datetime


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
    members, predicate = opened.members, opened.predicate
    told, sealed = _read(members, predicate)
    again = _again(told)
    if predicate != {"format": 1, **_predicate(told, sealed)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    return ProofCheck(
        proof=again,
        outcome=again.outcome,
        signer=opened.signer,
        signer_trusted=opened.trusted,
        sealed=sealed,
    )


def _predicate(proof: Proof, sealed: datetime) -> dict[str, JsonValue]:
    """Whose cloud, asked what, seen when; outcomes by version and case, never as a number of merit."""
    report = proof.report
    outcomes: dict[str, JsonValue] = {case.case: case.outcome.value for case in proof.cases}
    return {
        "cloud": proof.inventory.subject.model_dump(mode="json"),
        "scope": report.scope,
        "at": proof.question.at.isoformat(),
        "collected": proof.inventory.collected_at.isoformat(),
        "sealed": sealed.isoformat(),
        "tool": proof.inventory.tool,
        "inventory": report.inventory,
        "data": report.data_digest,
        "versions": {v.version: v.outcome.value for v in report.versions},
        "cases": outcomes,
    }


def _read(members: Mapping[str, bytes], predicate: Mapping[str, JsonValue]) -> tuple[Proof, datetime]:
    for name in sorted(members.keys() ^ {INVENTORY, QUESTION, REPORT, SECURE}):
        raise BundleError(f"{name} is {'missing' if name not in members else 'not part of a bundle'}", NOT_OURS)
    try:
        proof = Proof(
            question=Question.model_validate_json(members[QUESTION]),
            inventory=Inventory.model_validate_json(members[INVENTORY]),
            report=Report.model_validate_json(members[REPORT]),
            secure=_SECURE.validate_json(members[SECURE]),
        )
        return proof, datetime.fromisoformat(str(predicate["sealed"]))
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        count = error.error_count() if isinstance(error, ValidationError) else 1
        raise BundleError(f"the contents do not fit the format ({count} faults)", NOT_OURS) from None


def _again(told: Proof) -> Proof:
    """Everything anew from inventory and question; it must be what the bundle tells."""
    data = load()
    if told.report.data_digest != data.digest():
        raise BundleError(
            f"judged by data about the standards of {told.report.data} ({told.report.data_digest[:19]}…); this program has "
            f"{data.seen} ({data.digest()[:19]}…)",
            f"Check it with the version that made it: {told.inventory.tool}.",
        )
    try:
        again = prove(told.inventory, told.question)
    except (UsageError, ValueError) as error:
        raise BundleError(f"{QUESTION}: {error}", NOT_OURS) from None
    wrong = _differing(told.cases, again.cases)
    wrong += [f"version {v.version}" for v in told.report.versions if v not in again.report.versions]
    if not wrong and told != again:
        wrong = [name for name in Report.model_fields if getattr(told.report, name) != getattr(again.report, name)]
    if wrong:
        raise BundleError(f"{REPORT}: {', '.join(wrong[:3])} does not follow from {INVENTORY}", NOT_OURS)
    return again


def _differing(told: tuple[CaseVerdict, ...], again: tuple[CaseVerdict, ...]) -> list[str]:
    left, right = ({case.case: case for case in cases} for cases in (told, again))
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
