# SPDX-License-Identifier: Apache-2.0
"""The file of a bundle, its statement and one spelling for plain data, each rule at its edge."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tracemalloc
import zipfile
from typing import Any

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau import canonical, nesting
from unterbau.errors import BundleError, Failed
from unterbau.evidence import core, limits
from unterbau.evidence.container import Archive, pack, refuse_secrets
from unterbau.evidence.core import STATEMENT, Stated, check_chain, sign, verify
from unterbau.evidence.limits import Limits

SIGNER = CryptoSigner.generate_ed25519()
MEMBERS = {"b.json": b"{}", "a.json": b"[1]"}
ROOM = Limits(10**6, 10**6)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **of_info: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            for field, value in of_info.items():
                setattr(info, field, value)
            archive.writestr(info, data, compress_type=method)
    return out.getvalue()


# --- the file


def test_the_same_contents_are_the_same_bytes_whatever_their_order_with_the_statement_last() -> None:
    data = pack(MEMBERS, b"signed")
    assert data == pack(dict(reversed(MEMBERS.items())), b"signed") != pack(MEMBERS, b"other")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["a.json", "b.json", STATEMENT]
        assert {(i.date_time, i.compress_type) for i in archive.infolist()} == {
            ((2020, 1, 1, 0, 0, 0), zipfile.ZIP_DEFLATED)
        }


def test_an_archive_tells_its_members_and_reads_those_that_are_asked_for() -> None:
    archive = Archive(pack(MEMBERS, b"signed"))
    assert archive.names == {"a.json", "b.json", STATEMENT}
    assert archive.read(["b.json", "a.json"], ROOM) == MEMBERS and archive.read([STATEMENT], ROOM) == {
        STATEMENT: b"signed"
    }


def test_members_are_read_up_to_the_limit_in_sum_and_not_beyond() -> None:
    archive = Archive(pack(MEMBERS, b"signed"))
    assert archive.read(MEMBERS, Limits(5, 10)) == MEMBERS
    with pytest.raises(BundleError, match=r"larger than 4 bytes in all \(5\)") as caught:
        archive.read(MEMBERS, Limits(4, 10))
    assert caught.value.remedy
    assert archive.read(["b.json"], Limits(4, 10)) == {"b.json": b"{}"}


@pytest.mark.parametrize("name", ["A.json", "a/b", "../a", ".a", "-a", "", "a" * 65, "ä", "a b", "a\n"])
def test_a_member_has_a_plain_name(name: str) -> None:
    with pytest.raises(BundleError, match="is no name of a member") as caught:
        Archive(zipped({name: b""}))
    assert caught.value.remedy
    assert Archive(zipped({"a" * 64: b"", "0.a-b": b""})).names == {"a" * 64, "0.a-b"}


def test_a_member_is_stored_or_deflated_and_nothing_else() -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert Archive(zipped(MEMBERS, method)).read(MEMBERS, ROOM) == MEMBERS
    with pytest.raises(BundleError, match=r"b\.json is compressed in a way that no bundle is"):
        Archive(zipped(MEMBERS, zipfile.ZIP_BZIP2))


def test_a_hundred_members_are_taken_and_one_more_is_not() -> None:
    assert len(Archive(zipped({f"m{n}": b"" for n in range(100)})).names) == 100
    with pytest.raises(BundleError, match="more than 100 members"):
        Archive(zipped({f"m{n}": b"" for n in range(101)}))


def test_a_file_holds_nothing_but_its_members() -> None:
    whole = zipped(MEMBERS)
    for data in (
        b"x" + whole,
        whole + b"x",
        zipped(MEMBERS, extra=b"\x01\x00\x01\x00x"),
        zipped(MEMBERS, comment=b"x"),
    ):
        with pytest.raises(BundleError, match="the file holds bytes that belong to no member") as caught:
            Archive(data)
        assert caught.value.remedy == limits.NOT_OURS
    assert Archive(whole).read(MEMBERS, ROOM) == MEMBERS


def test_a_file_of_no_members_is_whole() -> None:
    assert Archive(zipped({})).names == frozenset()


@pytest.mark.parametrize("at", [4, 6, 8, 10])
def test_a_directory_that_says_something_untrue_of_itself_is_refused(at: int) -> None:
    data = bytearray(zipped(MEMBERS))
    data[len(data) - 22 + at] ^= 1
    with pytest.raises(BundleError, match="belong to no member"):
        Archive(bytes(data))


@pytest.mark.parametrize("data", [b"", b"PK", zipped(MEMBERS)[:-22], zipped(MEMBERS)[:-23], b"x" * 100])
def test_what_has_no_directory_at_its_end_is_truncated_or_no_bundle(data: bytes) -> None:
    with pytest.raises(BundleError, match="truncated or no bundle") as caught:
        Archive(data)
    assert "Fetch it again" in caught.value.remedy


def test_a_directory_that_cannot_be_read_is_told_with_what_is_wrong_with_it() -> None:
    data = zipped(MEMBERS).replace(b"PK\1\2", b"PK\7\7")
    with pytest.raises(BundleError, match=r"truncated or no bundle \(Bad magic number"):
        Archive(data)


def test_a_member_whose_bytes_are_damaged_is_named_so() -> None:
    data = bytearray(zipped({"a.json": b"x" * 50}, zipfile.ZIP_STORED))
    data[40] ^= 1
    with pytest.raises(BundleError, match="truncated or no bundle"):
        Archive(bytes(data)).read(["a.json"], ROOM)


@pytest.mark.parametrize("stated", [49, 51])
def test_a_member_has_the_size_that_it_states(stated: int) -> None:
    data = bytearray(zipped({"a.json": b"x" * 50}, zipfile.ZIP_DEFLATED))
    for at in [i for i in range(len(data) - 3) if data[i : i + 4] == (50).to_bytes(4, "little")]:
        data[at : at + 4] = stated.to_bytes(4, "little")
    with pytest.raises(BundleError):
        Archive(bytes(data)).read(["a.json"], ROOM)


@pytest.mark.thorough
def test_a_member_that_holds_more_than_it_states_is_not_unpacked_to_its_end() -> None:
    held = 32 * 2**20
    data = zipped({"a.json": bytes(held)}).replace(held.to_bytes(4, "little"), (50).to_bytes(4, "little"))
    archive = Archive(data)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError):
            archive.read(["a.json"], ROOM)
        assert tracemalloc.get_traced_memory()[1] < held / 8
    finally:
        tracemalloc.stop()


def test_a_secret_is_found_however_json_spells_it_and_a_short_one_is_not_looked_for() -> None:
    secret = 'gehe"im\tä'
    for spelled in (secret.encode(), json.dumps(secret).encode(), json.dumps(secret, ensure_ascii=False).encode()):
        with pytest.raises(Failed, match=r"^a, c holds a secret; nothing was sealed") as caught:
            refuse_secrets({"a": spelled, "b": b"", "c": b"<" + spelled + b">"}, ["unknown", secret])
        assert secret not in str(caught.value) and "report it" in caught.value.remedy
    refuse_secrets({"a": json.dumps(secret[1:]).encode(), "b": json.dumps(secret[:-1]).encode()}, [secret])
    refuse_secrets({"a": b"12345 and more"}, ["12345"])
    with pytest.raises(Failed):
        refuse_secrets({"a": b"123456 and more"}, ["123456"])


# --- the statement


def stated(change: Any = lambda plain: plain, payload_type: str = core.PAYLOAD_TYPE) -> bytes:
    """A statement whose payload is another, signed as it is."""
    told = json.loads(sign(MEMBERS, {"x": 1}, SIGNER))
    payload = json.loads(base64.b64decode(told["envelope"]["payload"]))
    changed = change(payload)
    data = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    envelope = Envelope(data, payload_type, {})
    envelope.sign(SIGNER)
    return json.dumps({**told, "envelope": envelope.to_dict()}).encode()


def test_a_statement_says_what_was_signed_and_by_whose_key() -> None:
    made = sign(MEMBERS, {"x": 1.0}, SIGNER)
    told = verify(made)
    assert (told.kind, told.format, told.predicate) == (core.PREDICATE_TYPE, 2, {"format": 2, "x": 1})
    assert told.subjects == {n: hashlib.sha256(d).hexdigest() for n, d in MEMBERS.items()}
    assert told.key.keyid == SIGNER.public_key.keyid
    assert verify(sign(MEMBERS, {}, SIGNER, "https://unterbau.example/other")).kind.endswith("/other")
    plain = json.loads(made)
    payload = base64.b64decode(plain["envelope"]["payload"])
    assert payload == canonical.spelled(json.loads(payload)) and b'"x":1}' in payload, "RFC 8785"
    assert json.loads(payload)["_type"] == "https://in-toto.io/Statement/v1"
    assert [s["name"] for s in json.loads(payload)["subject"]] == ["a.json", "b.json"]
    assert plain["envelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert plain["public_key"]["keyid"] == SIGNER.public_key.keyid
    assert made == json.dumps(plain, indent=1, sort_keys=True).encode()


def test_all_formats_are_known_and_what_is_none_asks_for_a_newer_program() -> None:
    for version in (1, 2, 3, 4):
        assert verify(stated(lambda p, v=version: {**p, "predicate": {"format": v}})).format == version
    others: tuple[object, ...] = (0, 5, True, "2", None)
    for other in others:
        with pytest.raises(BundleError, match="this program knows format 1 and 2 and 3 and 4") as caught:
            verify(stated(lambda p, v=other: {**p, "predicate": {"format": v}}))
        assert "newer Unterbau" in caught.value.remedy and repr(other) in caught.value.what
    with pytest.raises(BundleError, match="this program knows"):
        verify(stated(lambda p: {**p, "predicateType": 7}))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: b"no json", lambda p: [], lambda p: {**p, "_type": "https://in-toto.io/Statement/v2"}, lambda p: {**p, "subject": None},
        lambda p: {**p, "subject": [{"name": "a"}]}, lambda p: {**p, "subject": p["subject"] * 2}, lambda p: {**p, "predicate": {}},
        *(lambda p, k=key: {n: v for n, v in p.items() if n != k} for key in ("_type", "subject", "predicate", "predicateType")),
    ],
)  # fmt: skip
def test_a_payload_that_is_no_statement_is_refused(change: Any) -> None:
    with pytest.raises(BundleError, match="the payload is no in-toto statement") as caught:
        verify(stated(change))
    assert caught.value.remedy


def test_a_statement_of_another_payload_type_is_refused() -> None:
    with pytest.raises(BundleError, match="payload type 'application/json'") as caught:
        verify(stated(payload_type="application/json"))
    assert caught.value.remedy == limits.NOT_OURS


def test_what_is_no_envelope_with_a_key_is_refused() -> None:
    whole = json.loads(stated())
    key = whole["public_key"]
    for broken in (
        b"", b"[]", b"7", {"envelope": whole["envelope"]}, {"public_key": key}, {**whole, "envelope": {}},
        {**whole, "public_key": {k: v for k, v in key.items() if k != "keyid"}},
        {**whole, "public_key": {**key, "keyval": {"public": "zz"}}}, {**whole, "public_key": {**key, "keyval": {"public": "00"}}},
        {**whole, "public_key": {**key, "keyval": {}}}, {**whole, "public_key": []},
    ):  # fmt: skip
        with pytest.raises(BundleError, match="not a DSSE envelope with its key") as caught:
            verify(broken if isinstance(broken, bytes) else json.dumps(broken).encode())
        assert caught.value.remedy
    for other in ({"keyid": "00"}, {"scheme": "rsassa-pss-sha256"}):
        with pytest.raises(BundleError, match="the key is not the one that its id"):
            verify(json.dumps({**whole, "public_key": {**key, **other}}).encode())


def test_a_statement_that_another_key_signed_does_not_fit() -> None:
    whole, other = json.loads(stated()), json.loads(sign(MEMBERS, {"x": 1}, CryptoSigner.generate_ed25519()))
    with pytest.raises(BundleError, match="the signature does not fit the statement") as caught:
        verify(json.dumps({**whole, "public_key": other["public_key"]}).encode())
    assert caught.value.remedy


def test_members_are_compared_byte_by_byte_and_by_their_names() -> None:
    told = verify(stated())
    told.compare(MEMBERS)
    with pytest.raises(BundleError, match=r"^b\.json: changed since it was signed") as changed:
        told.compare({**MEMBERS, "b.json": b"{ }"})
    assert changed.value.remedy == limits.NOT_OURS
    for names, said in (
        ({"a.json"}, "members of the bundle: missing b.json"), ({*MEMBERS, "d", "c"}, "members of the bundle: not stated c, d"),
        ({"b.json", "c"}, "members of the bundle: missing a.json; not stated c"),
    ):  # fmt: skip
        with pytest.raises(BundleError) as caught:
            told.compare_names(names)
        assert caught.value.what == said and caught.value.remedy
    empty = Stated("k", 2, {}, {}, told.key)
    empty.compare({})
    with pytest.raises(BundleError, match="not stated a"):
        empty.compare({"a": b""})


# --- the journal's chain


def rows(count: int, chain: int = 2) -> list[dict[str, Any]]:
    found, before = [], canonical.GENESIS
    for number in range(1, count + 1):
        event = {"kind": "swept", "node": "", "data": {"n": number}}
        row = {"seq": number, "at": "2026-11-26T10:00:00+00:00", "event": event, "prev": before}
        before = canonical.chained(chain, before, number, str(row["at"]), event)
        found.append({**row, "hash": before})
    return found


@pytest.mark.parametrize("chain", [1, 2])
def test_rows_that_follow_one_another_are_taken_and_a_chain_is_not_another(chain: int) -> None:
    check_chain([], chain)
    check_chain(rows(3, chain), chain)
    with pytest.raises(BundleError, match="row 1: does not follow"):
        check_chain(rows(3, chain), 3 - chain)
    if chain == 1:
        check_chain(rows(3, chain))


@pytest.mark.parametrize("field", ["seq", "at", "event", "prev", "hash"])
def test_a_row_that_was_changed_or_lacks_something_is_named_by_its_number(field: str) -> None:
    for number in (1, 3):
        for change in ({field: "x"}, None):
            told = rows(3)
            if change is None:
                del told[number - 1][field]
            else:
                told[number - 1].update(change)
            with pytest.raises(
                BundleError, match=rf"journal\.json, row {number}: does not follow from the row before it"
            ) as caught:
                check_chain(told, 2)
            assert caught.value.remedy
    cut = rows(3)
    del cut[1]
    with pytest.raises(BundleError, match="row 2"):
        check_chain(cut, 2)


# --- one spelling


def test_the_old_spelling_is_sorted_dense_and_keeps_text_as_it_is() -> None:
    assert (
        canonical.canonical_bytes({"b": [1, 1.0, None, True], "a": "ä\u2028"})
        == '{"a":"ä\u2028","b":[1,1.0,null,true]}'.encode()
    )
    for bad in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):
            canonical.canonical_bytes(bad)
    assert (
        canonical.digest({"a": 1})
        == "sha256:" + hashlib.sha256(b'{"a":1}').hexdigest()
        == canonical.digest_bytes(b'{"a":1}')
    )


def test_rfc_8785_spells_numbers_as_ecmascript_and_sorts_by_utf_16() -> None:
    """https://www.rfc-editor.org/rfc/rfc8785: 3.2.2.3 and 3.2.3."""
    assert canonical.spelled([1.0, 1e21, 1e-7, -0.0]) == b"[1,1e+21,1e-7,0]"
    assert canonical.spelled({"\ufb33": 1, "\U0001f600": 2, "a": 3}) == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()
    for bad in (float("nan"), 2**53, "\ud800"):
        with pytest.raises(ValueError):
            canonical.spelled(bad)


def test_a_row_of_either_chain_hashes_to_what_it_did_ever() -> None:
    event = {"kind": "opened", "node": "", "data": {"ä": 1.0}}
    one = hashlib.sha256(
        (canonical.GENESIS + '{"at":"t","data":{"\\u00e4":1.0},"kind":"opened","node":"","seq":1}').encode()
    ).hexdigest()
    two = hashlib.sha256(
        (
            '{"at":"t","event":{"data":{"ä":1},"kind":"opened","node":""},"prev":"' + canonical.GENESIS + '","seq":1}'
        ).encode()
    ).hexdigest()
    assert canonical.chained(1, canonical.GENESIS, 1, "t", event) == one
    assert canonical.chained(2, canonical.GENESIS, 1, "t", event) == two and canonical.GENESIS == "0" * 64
    for chain in (0, 3):
        with pytest.raises(ValueError, match=f"chain {chain}"):
            canonical.chained(chain, canonical.GENESIS, 1, "t", event)
    for broken in ({"node": "", "data": {}}, {"kind": "", "data": {}}, {"kind": "", "node": ""}):
        with pytest.raises(KeyError):
            canonical.chained(1, canonical.GENESIS, 1, "t", broken)
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical.chained(1, canonical.GENESIS, 1, "t", {"kind": "", "node": "", "data": float("nan")})


# --- what is held in memory


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"7", 0),
        (b"[]", 1),
        (b"{}", 1),
        (b"[1,2]", 2),
        (b'{"a":[{}]}', 3),
        (b'["a,[{b","\\",["]', 2),
        (b'"[[,,"', 0),
        (b'"\\\n[,"', 0),
        (b"", 0),
    ],
)
def test_values_are_counted_by_what_parts_them_and_strings_hold_none(text: bytes, values: int) -> None:
    limits.measure({"a": text}, Limits(10, values))
    if values:
        with pytest.raises(BundleError, match=f"b: more than {values} values in all") as caught:
            limits.measure({"a": text, "b": b"[]"}, Limits(10, values))
        assert "--key" in caught.value.remedy


def test_json_nests_a_hundred_deep_each_member_by_itself_and_brackets_fit() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        limits.measure(dict.fromkeys(("a", "b"), opening * 100 + b"1" + closing * 100), ROOM)
        with pytest.raises(BundleError, match="b: nested deeper than 100, or no JSON") as caught:
            limits.measure({"a": b"[]", "b": opening * 101 + b"1" + closing * 101}, ROOM)
        assert caught.value.remedy == limits.NOT_OURS
    for broken in (b"[", b"]", b"[}", b"}{"):
        with pytest.raises(BundleError, match="no JSON"):
            limits.measure({"a": broken}, ROOM)


def test_brackets_belong_together_however_far_apart_they_are() -> None:
    far = b" " * 2 * nesting._STEP
    limits.measure({"a": b"[" * 100 + far + b"]" * 100}, ROOM)
    with pytest.raises(BundleError, match="nested deeper"):
        limits.measure({"a": b"[" * 60 + far + b"[" * 60 + far + b"]" * 120}, ROOM)
    with pytest.raises(BundleError, match="no JSON"):
        limits.measure({"a": b"[" + far + b"[]"}, ROOM)


def test_who_trusts_the_signer_has_room_for_a_large_tenant_and_a_stranger_has_64_mib() -> None:
    assert (limits.strangers().size, limits.strangers().values) == (64 * 2**20, 1_200_000)
    assert limits.TRUSTED.size > 2**30 and limits.TRUSTED.values > 10**8
    with pytest.raises(BundleError) as caught:
        Archive(pack(MEMBERS, b"")).read(MEMBERS, Limits(0, 0))
    assert "--key" in caught.value.remedy
    assert limits.too_much(limits.TRUSTED) == limits.NOT_OURS
    assert limits.decode("a", b"[1]") == [1]
    for broken in (b"[", b"\xff", b"[" * 10**5):
        with pytest.raises(BundleError, match=r"^a: no JSON"):
            limits.decode("a", broken)
