# SPDX-License-Identifier: Apache-2.0
"""A bundle is judged again from its contents, and any change of it is rejected.

The bundles were sealed by real drills between two embedded clouds (see `kept_bundles`).
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kept_bundles import FIRST, KEPT, checked, sign_anew, stated
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau.errors import BundleError, Failed, LocalError
from unterbau.evidence import signing_key
from unterbau.evidence.core import STATEMENT
from unterbau.switch import evidence
from unterbau.verdict import Outcome

ASSET = FIRST
REAL = ASSET.read_bytes()
SEALED = "c1a4af4c7e831b96ba58cd1178fb2a5b3b8c55ffb174164f4caec010e4ba2343"
"""SHA-256 of the first bundle: evidence of its time, which is checked for ever and never sealed anew."""
Members = dict[str, bytes]


def members(data: bytes = REAL) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Members) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def edited(name: str, change: Callable[[Any], Any], *, resign: bool) -> bytes:
    """The bundle with one member changed; with `resign` by an attacker who seals it with a key of his own."""
    files = members()
    plain = json.loads(files[name])
    files[name] = json.dumps(change(plain) or plain).encode()
    if not resign:
        return packed(files)
    statement = stated(files)
    del files[STATEMENT]
    if name == "journal.json":
        rows = json.loads(files[name])
        statement["predicate"]["journal"] = {"rows": len(rows), "last": rows[-1]["hash"]}
    return packed({**files, STATEMENT: sign_anew(files, statement, CryptoSigner.generate_ed25519())})


@pytest.mark.thorough
def test_a_sentence_in_a_bundle_is_neither_compared_nor_believed() -> None:
    """Words may be mended after a bundle was sealed; whoever changes them in the bundle changes nothing that is told."""

    def reworded(plain: Any) -> None:
        for verdict in plain["verdicts"]:
            verdict["reason"] = verdict["claim"]["text"] = "all is well"

    told = evidence.check(edited("verification.json", reworded, resign=True))
    assert told.verdicts == checked(FIRST).verdicts and "all is well" not in {str(v.reason) for v in told.verdicts}


@pytest.mark.thorough
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_bundle_that_is_kept_is_whole_and_nothing_in_it_failed(path: Path) -> None:
    assert checked(path).outcome is Outcome.NOT_SHOWN
    told = checked(path)
    own, whole = told.bundle.verification.verdicts, tuple(evidence.of_the_whole(told.bundle))
    assert [v.substance() for v in (*own, *whole)] == [v.substance() for v in told.verdicts]


def test_the_first_bundle_is_as_it_was_sealed() -> None:
    assert hashlib.sha256(REAL).hexdigest() == SEALED


@pytest.mark.thorough
def test_the_real_bundle_is_judged_again_to_the_same_verdicts() -> None:
    checked = evidence.check(REAL)
    assert checked.outcome is Outcome.NOT_SHOWN
    assert not checked.signer_trusted
    assert {v.outcome for v in checked.verdicts if v.claim.kind == "content"} == {Outcome.HELD}
    assert evidence.check(REAL, trusted_key=checked.signer).signer_trusted


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(members()))
def test_a_changed_byte_in_any_member_is_rejected(name: str) -> None:
    files = members()
    middle = len(files[name]) // 2
    files[name] = files[name][:middle] + bytes([files[name][middle] ^ 1]) + files[name][middle + 1 :]
    with pytest.raises(BundleError):
        evidence.check(packed(files))


def _drop_not_shown(plain: Any) -> None:
    plain["verdicts"] = [v for v in plain["verdicts"] if v["outcome"] != "not shown"]


def _beautify(plain: Any) -> None:
    for verdict in plain["verdicts"]:
        verdict["outcome"] = "held"


def _other_hash(plain: Any) -> None:
    content = next(v for v in plain["verdicts"] if v["claim"]["kind"] == "content")
    content["evidence"][1]["value"] = "0" * 64


def _lost_object(plain: Any) -> None:
    plain["target"]["resources"] = [r for r in plain["target"]["resources"] if r["kind"] != "floating_ip"]


def _other_project(plain: Any) -> None:
    plain["target"]["identity"]["project_id"] = "another"


def _other_fate(plain: Any) -> None:
    next(e for e in plain["entries"] if e["fate"] == "carried")["fate"] = "left"


def _smaller_census(plain: Any) -> None:
    plain["resources"].pop()


def _row_removed(plain: Any) -> None:
    del plain[5]


def _rows_swapped(plain: Any) -> None:
    plain[5], plain[6] = plain[6], plain[5]


def _row_edited(plain: Any) -> None:
    plain[3]["event"]["data"]["name"] = "something else"


def _cut(plain: Any) -> None:
    del plain[-1]


def _other_run(plain: Any) -> None:
    plain["run"] = "another"


def _no_rehearsal(plain: Any) -> None:
    plain["rehearsal"] = not plain["rehearsal"]


def _other_closed(plain: Any) -> None:
    plain["identity"]["project_id"] = "another"


ATTACKS = [
    ("context.json", _other_run), ("context.json", _no_rehearsal), ("target-census-closed.json", _other_closed),
    ("verification.json", _drop_not_shown), ("verification.json", _beautify), ("verification.json", _other_hash),
    ("verification.json", _lost_object), ("verification.json", _other_project), ("plan.json", _other_fate),
    ("source-census.json", _smaller_census), ("journal.json", _row_removed), ("journal.json", _rows_swapped),
    ("journal.json", _row_edited),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("resign", [False, True], ids=["unsigned", "resigned"])
@pytest.mark.parametrize(("name", "change"), ATTACKS, ids=[c.__name__ for _, c in ATTACKS])
def test_tampering_is_rejected_even_when_sealed_anew(name: str, change: Callable[[Any], Any], resign: bool) -> None:
    with pytest.raises(BundleError):
        evidence.check(edited(name, change, resign=resign))


@pytest.mark.thorough
def test_another_key_is_rejected_when_one_is_named() -> None:
    with pytest.raises(BundleError, match="signed by key"):
        evidence.check(edited("context.json", lambda plain: None, resign=True), trusted_key=evidence.check(REAL).signer)


@pytest.mark.thorough
def test_a_claimed_key_id_proves_nothing() -> None:
    victim = evidence.check(REAL).signer
    files = members(edited("context.json", lambda plain: {**plain, "not_tested": []}, resign=True))
    told = json.loads(files[STATEMENT])
    told["public_key"]["keyid"] = victim
    for signature in told["envelope"]["signatures"]:
        signature["keyid"] = victim
    files[STATEMENT] = json.dumps(told).encode()
    with pytest.raises(BundleError, match="its id"):
        evidence.check(packed(files), trusted_key=victim)


def test_members_may_be_neither_added_nor_removed_nor_doubled() -> None:
    with pytest.raises(BundleError, match="not stated"):
        evidence.check(packed({**members(), "extra.json": b"{}"}))
    with pytest.raises(BundleError, match="missing"):
        evidence.check(packed({n: d for n, d in members().items() if n != "journal.json"}))
    with pytest.raises(BundleError, match=STATEMENT):
        evidence.check(packed({n: d for n, d in members().items() if n != STATEMENT}))
    out = io.BytesIO(REAL)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr("plan.json", b"{}")
    with pytest.raises(BundleError, match="twice"):
        evidence.check(out.getvalue())


@pytest.mark.parametrize("data", [b"", b"no zip", REAL[: len(REAL) // 2], REAL[:-30]])
def test_a_truncated_bundle_is_named_so(data: bytes) -> None:
    with pytest.raises(BundleError, match="truncated"):
        evidence.check(data)


def test_bytes_that_belong_to_no_member_are_rejected() -> None:
    for data in (b"#!/bin/sh\n" + REAL, REAL + b"\0"):
        with pytest.raises(BundleError):
            evidence.check(data)
    out = io.BytesIO(REAL)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"trust me"
    with pytest.raises(BundleError, match="no member"):
        evidence.check(out.getvalue())


@pytest.mark.thorough
def test_a_journal_that_was_cut_is_rejected_even_when_sealed_anew() -> None:
    done = json.loads(members()["journal.json"])
    for length in range(1, len(done), max(1, len(done) // 12)):

        def cut(plain: Any, length: int = length) -> None:
            del plain[length:]

        with pytest.raises(BundleError, match=r"journal|summary"):
            evidence.check(edited("journal.json", cut, resign=True))


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unterbau.evidence.limits.LARGEST", 1000)
    with pytest.raises(BundleError, match="larger than 1000"):
        evidence.check(REAL)


@pytest.mark.thorough
def test_another_catalog_at_the_verification_is_not_shown() -> None:
    from unterbau.switch.evidence import bundle as room

    whole = evidence.check(REAL).bundle
    told = whole.verification
    identity = told.target.identity.model_copy(update={"catalog_digest": "other"})
    verification = told.model_copy(update={"target": told.target.model_copy(update={"identity": identity})})
    found = list(room._surroundings(whole.model_copy(update={"verification": verification})))
    assert [(v.claim.id, v.outcome) for v in found] == [("coverage target catalog_digest", Outcome.NOT_SHOWN)]


def closed_with(*things: Any, **fields: Any) -> Any:
    """The real rehearsal's bundle, judged for its remainder, with these things in the census after the clean-up."""
    whole = evidence.check(REAL).bundle
    assert whole.closed is not None
    closed = whole.closed.model_copy(update={"resources": (*whole.closed.resources, *things), **fields})
    verification = whole.verification.model_copy(update={"judging": ("remainder",)})
    bundle = whole.model_copy(update={"closed": closed, "verification": verification})
    (found,) = [v for v in evidence.of_the_whole(bundle) if v.claim.id == "completeness closed target"]
    return found


@pytest.mark.thorough
def test_what_stands_on_the_target_after_the_clean_up_and_not_before_has_failed() -> None:
    from unterbau.tenant.kinds import Network, SecurityGroup, SecurityGroupRule, ServerGroup
    from unterbau.tenant.workload import NotShown

    assert closed_with().outcome is Outcome.HELD
    left = closed_with(Network(id="n", name="fv-intern"), ServerGroup(id="g", name="fv-web", policy="affinity"))
    assert left.outcome is Outcome.FAILED
    assert str(left.reason) == "new: network:n fv-intern, server_group:g fv-web"
    default = SecurityGroup(id="d", name="default")
    rule = SecurityGroupRule(id="r", security_group_id="d", direction="egress", ethertype="IPv4")
    assert closed_with(default, rule).outcome is Outcome.HELD
    blind = closed_with(not_shown=(NotShown(what="network", reason="Forbidden: no"),))
    assert (blind.outcome, str(blind.reason)) == (Outcome.NOT_SHOWN, "network: Forbidden: no")


@pytest.mark.thorough
def test_an_older_bundle_makes_no_claim_on_its_remainder() -> None:
    whole = evidence.check(REAL).bundle
    assert whole.verification.judging == ()
    assert [v.claim.id for v in evidence.of_the_whole(whole) if v.claim.kind == "completeness"] == []


def test_a_newer_format_asks_for_a_newer_program() -> None:
    from unterbau.evidence import core

    files = members()
    files.pop(STATEMENT)
    known, core.FORMAT = core.FORMAT, 99
    try:
        statement = core.sign(files, {}, CryptoSigner.generate_ed25519())
    finally:
        core.FORMAT = known
    with pytest.raises(BundleError) as caught:
        evidence.check(packed({**files, STATEMENT: statement}))
    assert "99" in caught.value.what and "newer" in caught.value.remedy


@pytest.mark.thorough
def test_a_known_secret_is_never_sealed() -> None:
    bundle = evidence.check(REAL).bundle
    with pytest.raises(Failed, match="secret") as caught:
        evidence.seal(bundle, CryptoSigner.generate_ed25519(), secrets=["fv-db-zugang"])
    assert "fv-db-zugang" not in str(caught.value)


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    first, second = signing_key(tmp_path / "keys"), signing_key(tmp_path / "keys")
    assert first.public_key.keyid == second.public_key.keyid
    key = tmp_path / "keys" / "signing.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in key.parent.iterdir()] == ["signing.pem"]
    key.chmod(0o640)
    with pytest.raises(LocalError, match="others can read"):
        signing_key(key.parent)


@pytest.mark.thorough
def test_the_check_loads_no_library_that_speaks_to_a_cloud() -> None:
    program = (
        "import sys; from unterbau.switch import evidence; from pathlib import Path; "
        f"evidence.check(Path({str(ASSET)!r}).read_bytes()); "
        "print([m for m in ('openstack', 'keystoneauth1', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
