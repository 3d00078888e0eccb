# SPDX-License-Identifier: Apache-2.0
"""The bundle of a proof: its check judges again, and takes nothing that was changed or does not follow."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prove_world import NOW, good_items, inventory
from pydantic import TypeAdapter
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau.errors import BundleError, Failed
from unterbau.evidence import signing_key
from unterbau.evidence.container import pack
from unterbau.evidence.core import sign
from unterbau.judge import evidence as judgements
from unterbau.prove import evidence as conformance
from unterbau.prove import evidence as proofs
from unterbau.prove.inventory import Inventory
from unterbau.prove.proof import Proof, Question, prove
from unterbau.prove.verdicts import CaseVerdict, Report
from unterbau.switch import evidence
from unterbau.verdict import Outcome

SEALED = datetime(2026, 11, 23, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> CryptoSigner:
    return signing_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def proof() -> Proof:
    items = good_items()
    items["flavors"] = [f for f in items["flavors"] if f["name"] != "SCS-1V-4"]
    return prove(inventory(items), Question(version="v5.1", at=NOW))


@pytest.fixture(scope="module")
def sealed(proof: Proof, signer: CryptoSigner) -> bytes:
    return proofs.seal_proof(proof, signer=signer, sealed=SEALED)


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forged(data: bytes, name: str, change: Callable[[Any], Any], signer: CryptoSigner) -> bytes:
    """A member changed, and everything signed anew, summary included, by somebody who has a key."""
    found = members(data)
    del found["statement.dsse.json"]
    plain = json.loads(found[name])
    change(plain)
    found[name] = json.dumps(plain).encode()
    told = Proof(
        question=Question.model_validate_json(found["question.json"]),
        inventory=Inventory.model_validate_json(found["inventory.json"]),
        report=Report.model_validate_json(found["report.json"]),
        secure=TypeAdapter(tuple[CaseVerdict, ...]).validate_json(found["secure.json"]),
    )
    statement = sign(found, conformance._predicate(told, SEALED), signer, conformance.KIND)
    return pack(found, statement)


@pytest.mark.thorough
def test_a_bundle_is_judged_again(sealed: bytes, proof: Proof, signer: CryptoSigner) -> None:
    checked = proofs.check_proof(sealed)
    assert checked.proof == proof
    assert (checked.outcome, checked.signer_trusted, checked.sealed) == (Outcome.FAILED, False, SEALED)
    assert proofs.check_proof(sealed, trusted_key=signer.public_key.keyid).signer_trusted


def test_the_same_proof_gives_the_same_bytes(proof: Proof, signer: CryptoSigner, sealed: bytes) -> None:
    assert proofs.seal_proof(proof, signer=signer, sealed=SEALED) == sealed


def test_another_key_is_refused(sealed: bytes) -> None:
    with pytest.raises(BundleError, match="signed by key"):
        proofs.check_proof(sealed, trusted_key="0" * 64)


@pytest.mark.thorough
def test_the_cloud_is_bound(sealed: bytes) -> None:
    statement = json.loads(members(sealed)["statement.dsse.json"])
    assert set(statement) == {"envelope", "public_key"}
    checked = proofs.check_proof(sealed)
    assert checked.proof.inventory.subject.auth_url == "https://keystone.example/v3"


@pytest.mark.parametrize("name", ["inventory.json", "question.json", "report.json", "secure.json"])
def test_a_changed_byte_shows(sealed: bytes, name: str) -> None:
    found = members(sealed)
    statement = found.pop("statement.dsse.json")
    found[name] = found[name] + b" "
    with pytest.raises(BundleError, match=f"{name}: changed"):
        proofs.check_proof(pack(found, statement))


def _hold(report: dict[str, Any]) -> None:
    for case in report["cases"]:
        if case["outcome"] == "failed":
            case["outcome"], case["findings"] = "held", []


def _drop(report: dict[str, Any]) -> None:
    report["cases"] = [c for c in report["cases"] if c["outcome"] != "failed"]


def _pass(report: dict[str, Any]) -> None:
    report["versions"][0]["outcome"] = "held"


def _soften(report: dict[str, Any]) -> None:
    report["notes"] = []


@pytest.mark.thorough
@pytest.mark.parametrize("change", [_hold, _drop, _pass, _soften])
def test_verdicts_that_do_not_follow_are_refused(
    sealed: bytes, signer: CryptoSigner, change: Callable[[Any], Any]
) -> None:
    with pytest.raises(BundleError, match=r"does not follow from inventory\.json"):
        proofs.check_proof(forged(sealed, "report.json", change, signer))


def _reword(report: dict[str, Any]) -> None:
    for case in report["cases"]:
        case["reason"]["text"] = "as another version says it"


def _say_bare(report: dict[str, Any]) -> None:
    """As a version wrote it whose reasons were sentences."""
    for case in report["cases"]:
        case["reason"] = f"then: {case['reason']['text']}"
        for finding in case["findings"]:
            finding["observed"] = finding["observed"]["text"]
    report["coming"].reverse()
    report["coming"].sort(key=lambda change: change["when"] or "9999")


@pytest.mark.thorough
@pytest.mark.parametrize("change", [_reword, _say_bare])
def test_other_words_are_no_other_verdicts(sealed: bytes, signer: CryptoSigner, change: Callable[[Any], Any]) -> None:
    checked = proofs.check_proof(forged(sealed, "report.json", change, signer))
    assert (checked.outcome, checked.then) == (Outcome.FAILED, None)


def test_a_changed_inventory_changes_the_verdicts(sealed: bytes, signer: CryptoSigner) -> None:
    def mend(plain: dict[str, Any]) -> None:
        plain["sections"]["images"]["items"] = []

    with pytest.raises(BundleError, match="does not follow"):
        proofs.check_proof(forged(sealed, "inventory.json", mend, signer))


def test_another_cloud_in_the_inventory_is_refused(sealed: bytes, signer: CryptoSigner) -> None:
    def swap(plain: dict[str, Any]) -> None:
        plain["subject"]["auth_url"] = "https://other.example/v3"

    with pytest.raises(BundleError, match="does not follow"):
        proofs.check_proof(forged(sealed, "inventory.json", swap, signer))


@pytest.mark.thorough
def test_other_data_about_the_standards_is_named(sealed: bytes, signer: CryptoSigner) -> None:
    def older(report: dict[str, Any]) -> None:
        report["data_digest"] = "sha256:" + "0" * 64

    checked = proofs.check_proof(forged(sealed, "report.json", older, signer))
    assert checked.then is not None
    assert (checked.then.digest, checked.then.outcome) == ("sha256:" + "0" * 64, Outcome.FAILED)


def test_a_member_too_many_or_too_few(sealed: bytes, signer: CryptoSigner) -> None:
    found = members(sealed)
    statement = found.pop("statement.dsse.json")
    for broken in ({**found, "more.txt": b""}, {k: v for k, v in found.items() if k != "secure.json"}):
        with pytest.raises(BundleError, match="members of the bundle"):
            proofs.check_proof(pack(broken, statement))


def test_a_bundle_with_a_secret_is_not_sealed(proof: Proof, signer: CryptoSigner) -> None:
    proofs.seal_proof(proof, signer=signer, sealed=SEALED, secrets=["a password that stands nowhere"])
    with pytest.raises(Failed, match=r"inventory\.json"):
        proofs.seal_proof(proof, signer=signer, sealed=SEALED, secrets=["keystone.example"])


def test_other_kinds_are_told_apart(sealed: bytes) -> None:
    drill = (Path(__file__).parents[1] / "assets" / "drill.unterbau").read_bytes()
    for check, data in (
        (judgements.check_stack, sealed), (proofs.check_proof, drill), (evidence.check, sealed)
    ):  # fmt: skip
        with pytest.raises(BundleError, match="is not"):
            check(data)
