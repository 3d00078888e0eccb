# SPDX-License-Identifier: Apache-2.0
"""A redacted bundle still checks, says as much as it can, and no name, address, id or guessable hash stands in it."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kept_bundles import FIRST
from pydantic import BaseModel
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from test_evidence import members

from unterbau.cli import cli
from unterbau.errors import BundleError, Refused
from unterbau.evidence.core import STATEMENT
from unterbau.evidence.opening import open_bundle
from unterbau.switch import evidence
from unterbau.switch.evidence import redact as room
from unterbau.switch.plan import Interval, Plan, Prediction, Share
from unterbau.switch.verify import compare, observed
from unterbau.tenant.kinds import Container, FixedIp, Flavor, Guests, Network, Port, Server, StoredObject, Subnet
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome

GOLDEN = Path(__file__).parents[1] / "assets" / "golden" / "format-2-drill.unterbau"
NOW = datetime(2026, 11, 26, 14, tzinfo=UTC)
SALT = b"s" * room.SALT_BYTES
AUDITED = CryptoSigner.generate_ed25519()
BOTH = pytest.mark.parametrize("path", [FIRST, GOLDEN], ids=lambda path: path.stem)


def redacted(path: Path, salt: bytes = SALT) -> bytes:
    return room.redact(open_bundle(path.read_bytes()), salt, AUDITED, NOW)


def everything(data: bytes) -> str:
    """All that a reader of the bundle finds, the statement decoded."""
    found = members(data)
    statement = json.loads(found.pop(STATEMENT))
    return "\n".join(
        [*(m.decode() for m in found.values()), base64.b64decode(statement["envelope"]["payload"]).decode()]
    )


def strings(value: Any, field: str = "") -> Iterator[str]:
    """What a user or a provider wrote: names, addresses, ids, tags, metadata, hashes."""
    if isinstance(value, dict):
        for name, one in value.items():
            if field in room.BY_USERS:
                yield name
            if name not in (room.KEPT | {"reason", "what"}):
                yield from strings(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one, field)
    elif isinstance(value, str) and value:
        yield value


@pytest.mark.thorough
@BOTH
def test_no_name_address_id_or_hash_of_the_tenant_is_left(path: Path) -> None:
    found = members(path.read_bytes())
    original = evidence.check(path.read_bytes()).bundle
    texts = {s for name in found if "census" in name for s in strings(json.loads(found[name]))}
    verdicts = original.verification.verdicts
    texts |= {
        str(o.value) for v in verdicts if v.claim.kind == "content" for o in v.evidence if isinstance(o.value, str)
    }
    made = everything(redacted(path)).replace("opened.public-address", "")  # the id of a kind of openings
    words = "default https application key network compute port image net rule data root disk leg public private generic images text"
    common = {
        *words.split(),
        "router_gateway",
        "network:router_gateway",
        "0.0.0." + "0",
        "0.0.0.0/0",
    }  # the API's words and those of our sentences
    tokens = set(re.split(r"[^\w.@-]+", made))
    looked = {word for text in texts for word in re.split(r"[/:,]", text) if len(word) > 2} - common
    looked = {word for word in looked if not re.fullmatch(r"\d+", word)}
    assert len(looked) > 60
    assert looked & tokens == set()
    assert [t for t in texts if len(t) > 7 and t in made and t not in common] == []
    for text in texts:
        for guess in (hashlib.sha256(text.encode()), hashlib.md5(text.encode(), usedforsecurity=False)):
            assert guess.hexdigest() not in made, "whoever guesses a name must not find its digest"


@pytest.mark.thorough
@BOTH
def test_it_still_checks_and_says_what_the_original_said(path: Path) -> None:
    original, made = evidence.check(path.read_bytes()), evidence.check(redacted(path))
    outcomes = [v.outcome for v in made.verdicts if not v.claim.id.startswith("coverage redacted")]
    assert outcomes == [v.outcome for v in original.verdicts]
    assert made.bundle.redaction is not None and made.bundle.redaction.withheld == ()
    (told,) = [v for v in made.verdicts if v.claim.id == "coverage redacted original"]
    assert told.outcome is made.outcome is Outcome.NOT_SHOWN, "the redactor's word alone holds nothing"
    assert hashlib.sha256(path.read_bytes()).hexdigest() in str(told.reason)


@pytest.mark.thorough
def test_who_has_the_salt_makes_the_same_members_again_and_who_has_not_does_not() -> None:
    first, again, other = redacted(FIRST), redacted(FIRST), redacted(FIRST, b"t" * room.SALT_BYTES)
    assert first == again
    names = set(re.findall(r"x[0-9a-f]{20}", everything(first)))
    assert len(names) > 50 and not names & set(re.findall(r"x[0-9a-f]{20}", everything(other)))
    assert evidence.check(first).bundle.redaction.commitment == room.commitment(SALT)  # type: ignore[union-attr]


@pytest.mark.thorough
def test_what_failed_still_fails() -> None:
    """The original tells that an object of the target has another hash; so does the redacted one."""
    whole = evidence.check(FIRST.read_bytes()).bundle
    told = whole.verification
    content = next(v for v in told.verdicts if v.claim.kind == "content")
    other = content.evidence[1].model_copy(update={"value": "0" * 64})
    hashes = {**observed(told.verdicts)}
    side, _, ref = other.source.where.partition(": ")
    hashes[side, ref] = other
    verdicts = compare(told.source, told.target, whole.plan, hashes, told.judging)
    bad = whole.model_copy(update={"verification": told.model_copy(update={"verdicts": verdicts})})
    sealed = evidence.seal(bad, AUDITED)
    made = evidence.check(room.redact(open_bundle(sealed), SALT, AUDITED, NOW))
    assert made.outcome is evidence.check(sealed).outcome is Outcome.FAILED


@pytest.mark.thorough
def test_a_redactor_can_withhold_and_cannot_hold() -> None:
    whole = evidence.check(redacted(FIRST)).bundle
    assert whole.redaction is not None
    first = whole.verification.verdicts[0].claim.id
    withheld = whole.redaction.model_copy(update={"withheld": (first,)})
    found = evidence.check(evidence.seal(whole.model_copy(update={"redaction": withheld}), AUDITED)).verdicts
    assert next(v for v in found if v.claim.id == first).outcome is Outcome.NOT_SHOWN
    told = whole.verification
    nicer = tuple(v.model_copy(update={"outcome": Outcome.HELD}) for v in told.verdicts)
    lied = whole.model_copy(update={"verification": told.model_copy(update={"verdicts": nicer})})
    with pytest.raises(BundleError, match="does not follow"):
        evidence.check(evidence.seal(lied, AUDITED))


def test_the_same_name_is_the_same_digest_and_addresses_keep_their_network() -> None:
    mask = room._Mask(SALT)
    things = [
        Server(id="i", name="anna", status="ACTIVE", metadata={"mail": "anna@example.org"}, tags=("geheim",),
               flavor=Flavor(id="f", name="gross", vcpus=1, ram_mib=1, disk_gib=1)),
        Container(id="akten", name="akten", read_acl="p1:anna,.r:*"),
        StoredObject(id="akten/a b/ü.pdf", name="a b/ü.pdf", container="akten", size_bytes=1, etag="e"),
        Network(id="n", name="anna", description="Büro von Anna"),
        Subnet(id="s", name="v4", network_id="n", ip_version=4, cidr="10.1.2.0/24", gateway_ip="10.1.2.1"),
        Port(id="p", network_id="n", mac_address="fa:16:3e:00:00:01", fixed_ips=(FixedIp(subnet_id="s", ip_address="10.1.2.77"),)),
    ]  # fmt: skip
    server, box, stored, network, subnet, port = (mask.plain(r.model_dump(mode="json")) for r in things)
    text = json.dumps([server, box, stored, network, subnet, port], ensure_ascii=False)
    for secret in (
        "anna",
        "Anna",
        "example.org",
        "mail",
        "geheim",
        "gross",
        "akten",
        "ü.pdf",
        "10.1.2",
        "fa:16",
        "Büro",
        "p1",
    ):
        assert secret not in text
    assert server["name"] == network["name"] and box["read_acl"].endswith(",.r:*")
    assert stored["id"].split("/", 1) == [stored["container"], stored["name"]] and stored["container"] == box["id"]
    lan = ipaddress.ip_network(subnet["cidr"])
    assert lan.prefixlen == 24
    assert all(ipaddress.ip_address(a) in lan for a in (subnet["gateway_ip"], port["fixed_ips"][0]["ip_address"]))
    assert mask.text("0.0.0.0/0") == "0.0.0.0/0" and mask.text("::/0") == "::/0"


@pytest.mark.thorough
def test_the_command_makes_bundle_and_salt_and_refuses_what_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    out, salt = tmp_path / "audit.unterbau", tmp_path / "audit.unterbau.salt"
    done = CliRunner().invoke(cli, ["evidence", "redact", str(FIRST), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert salt.stat().st_mode & 0o777 == 0o600
    first = members(out.read_bytes())
    CliRunner().invoke(cli, ["evidence", "redact", str(FIRST), "-o", str(out), "--salt", str(salt)])
    again = members(out.read_bytes())
    for name in first.keys() - {STATEMENT, "context.json"}:
        assert first[name] == again[name]
    twice = CliRunner().invoke(cli, ["evidence", "redact", str(out), "-o", str(tmp_path / "twice")])
    assert isinstance(twice.exception, Refused)
    other = CliRunner().invoke(
        cli, ["evidence", "redact", str(GOLDEN.with_name("format-2-stack.unterbau")), "-o", str(out)]
    )
    assert isinstance(other.exception, BundleError)


def _said_by_us(schema: Any, field: str = "") -> Iterator[str]:
    """Fields whose words a model lists itself (enumerations, literals)."""
    if isinstance(schema, dict):
        if field and any(isinstance(one, str) for one in (*schema.get("enum", ()), schema.get("const"))):
            yield field
        for name, one in schema.get("properties", {}).items():
            yield from _said_by_us(one, name)
        for word in ("anyOf", "allOf", "oneOf", "items", "prefixItems", "additionalProperties"):
            for one in value if isinstance(value := schema.get(word, ()), list) else [value]:
                yield from _said_by_us(one, field)


@pytest.mark.parametrize("model", [Workload, Plan])
def test_a_word_that_a_model_lists_itself_is_no_name_and_stays(model: type[BaseModel]) -> None:
    """Masked it would be no such word, and the redaction would end in an error."""
    told = model.model_json_schema()
    enums = {name for name, one in told["$defs"].items() if "enum" in one}
    fields = set(_said_by_us(told))
    for one in [told, *told["$defs"].values()]:
        fields |= set(_said_by_us(one))
        fields |= {
            name for name, field in one.get("properties", {}).items()
            if any(f'"#/$defs/{enum}"' in json.dumps(field) for enum in enums)
        }  # fmt: skip
    left_out = {"probes", "openings", "checks", "remarks"}  # not in a redacted plan
    inside = {"outcome", "opens", "body", "banner", "certificate", "output", "step"}  # of those
    assert len(fields) >= 4
    assert fields - room.KEPT - left_out - inside == set()


def test_a_plan_of_a_rehearsal_and_of_a_cut_over_keeps_what_it_says() -> None:
    plan = evidence.check(GOLDEN.read_bytes()).bundle.plan
    server = next(e.ref for e in plan.entries if e.ref.startswith("server:"))
    told = Prediction(
        lower_seconds=1,
        upper_seconds=2,
        runs=("20261126-aaaa",),
        slowest=(Share(step="server", share=1),),
        verification=Interval(lower_seconds=3, upper_seconds=6, runs=("20261126-aaaa",)),
    )
    for guests in Guests:
        masked = room._plan(
            room._Mask(SALT), plan.model_copy(update={"guests": guests, "cut_over": (server,), "prediction": told})
        )
        assert masked.guests is guests
        assert masked.cut_over and masked.cut_over[0] in masked.by_ref and masked.cut_over[0] != server
