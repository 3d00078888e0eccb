# SPDX-License-Identifier: Apache-2.0
"""Each field of each kind becomes what its policy says; docs/coverage.md says so, and by which test it is held."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from coverage_table import ANSWERS, IGNORABLE, LOST, TABLE, besides, held, rows, sources, table
from test_planning import cloud

from unterbau.switch.verify import compare
from unterbau.tenant.kinds import (
    KINDS,
    AddressGroup,
    AddressPair,
    AllocationPool,
    Attachment,
    Backup,
    Becomes,
    Container,
    DhcpOption,
    FixedIp,
    Flavor,
    FloatingIp,
    Image,
    Keypair,
    Kind,
    Network,
    Port,
    Route,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecretEntry,
    SecurityGroup,
    SecurityGroupRule,
    Segment,
    Server,
    ServerGroup,
    Snapshot,
    StoredObject,
    Subnet,
    Volume,
)
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ONES: tuple[Any, ...] = (
    Keypair(id="k", name="k", public_key="ssh-ed25519 AAAA", fingerprint="f"),
    ServerGroup(id="g", name="g", policy="affinity"),
    AddressGroup(id="a", name="a"),
    SecurityGroup(id="s", name="s"),
    SecurityGroupRule(id="r", security_group_id="s", direction="ingress", ethertype="IPv4"),
    Network(id="n", name="n"),
    Subnet(id="u", name="u", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None),
    Router(id="o", name="o"),
    RouterInterface(id="l", router_id="o", network_id="n", fixed_ips=(FixedIp(subnet_id="u", ip_address="10.0.0.1"),)),
    Port(id="p", name="p", network_id="n", mac_address="fa:16:3e:00:00:01"),
    FloatingIp(id="f", address="203.0.113.7", external_network_id="x"),
    Image(id="i", name="i", status="active"),
    Volume(id="v", name="v", status="available", size_gib=1),
    Snapshot(id="t", name="t", status="available", volume_id="v", size_gib=1),
    Backup(id="b", name="b", status="available", volume_id="v", size_gib=1),
    Secret(id="e", name="e"),
    SecretContainer(id="c", name="c", type="generic"),
    Server(id="w", name="w", status="ACTIVE", flavor=Flavor(name="m", vcpus=1, ram_mib=1, disk_gib=0)),
    Attachment(id="w/v", server_id="w", volume_id="v"),
    Container(id="box", name="box"),
    StoredObject(id="box/x", name="x", container="box", size_bytes=1, etag="1"),
)
"""One of each kind."""
ANOTHER: dict[str, Any] = {
    "flavor": Flavor(name="m", vcpus=2, ram_mib=1, disk_gib=0), "direction": "egress", "ethertype": "IPv6", "ip_version": 6,
    "fixed_ips": (FixedIp(subnet_id="u", ip_address="10.0.0.9"),), "entries": (SecretEntry(name="x", secret_id="e"),),
    "segments": (Segment(path="box/y", size_bytes=1, etag="2"),), "delete_at": NOW, "expiration": NOW, "created_at": NOW,
    "updated_at": NOW, "last_modified": NOW, "mtu": 9000, "max_server_per_host": 7, "bit_length": 256, "boot_index": 3,
    "port_range_min": 22, "port_range_max": 22, "size_bytes": 77, "enable_snat": False,
    "allocation_pools": (AllocationPool(start="10.0.0.8", end="10.0.0.9"),),
    "host_routes": (Route(destination="10.1.0.0/16", nexthop="10.0.0.9"),),
    "routes": (Route(destination="10.1.0.0/16", nexthop="10.0.0.9"),),
    "allowed_address_pairs": (AddressPair(ip_address="10.0.0.9"),),
    "extra_dhcp_opts": (DhcpOption(name="mtu", value="9000"),),
    "ha": True, "distributed": True,
}  # fmt: skip


def another(field: str, value: Any) -> Any:
    """A value that differs."""
    if field in ANOTHER:
        return ANOTHER[field]
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case tuple():
            return ("another",)
        case dict():
            return {"another": "x"}
        case _:
            return f"{value or ''}another"


def fields(*becomes: Becomes, member: bool = True) -> list[Any]:
    return [
        pytest.param(one, field, id=f"{one.own_kind.value}.{field}")
        for one in ONES
        for field, policy in one.POLICY.items()
        if policy.becomes in becomes and (policy.member or not member)
    ]


def judged(one: Any, field: str) -> Outcome:
    """The verdict on a thing that is the same on the target but for one field."""
    value = another(field, getattr(one, field))
    there = tuple(r.model_copy(update={field: value}) if r is one else r for r in ONES)
    assert value != getattr(one, field)
    found = compare(cloud("a", *ONES), cloud("b", *there), None, {})
    (verdict,) = (v for v in found if v.claim.id == f"structure {one.ref}")
    return verdict.outcome


@pytest.mark.thorough
@pytest.mark.holds("carried", "carried, or changed", "left")
@pytest.mark.parametrize(("one", "field"), fields(Becomes.CARRIED, Becomes.CHANGED, Becomes.LEFT))
def test_a_difference_in_a_compared_field_fails(one: Any, field: str) -> None:
    assert judged(one, field) is Outcome.FAILED


@pytest.mark.thorough
@pytest.mark.holds("ignored", "chosen by the target")
@pytest.mark.parametrize(("one", "field"), fields(Becomes.IGNORED, Becomes.CHOSEN, member=False))
def test_a_difference_in_a_field_that_is_not_compared_fails_nothing(one: Any, field: str) -> None:
    if field in ("id", "external_network_id"):  # ids are another in each cloud; whether there is a gateway is compared
        return
    unusable = field == "status" and bool(one.KNOWN.usable)  # whether it is usable is compared
    assert judged(one, field) is (Outcome.FAILED if unusable else Outcome.HELD)


def test_what_no_field_shows_stands_in_the_table() -> None:
    told = {(one.own_kind, what) for one in ONES for what, _ in one.beyond(cloud("a", *ONES))}
    assert told and all(what in KINDS[kind].KNOWN.beyond for kind, what in told)


def test_one_of_each_kind_is_tried() -> None:
    assert {one.own_kind for one in ONES} == set(Kind)


@pytest.mark.thorough
def test_the_committed_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(held(sources())), "make coverage-table"


@pytest.mark.thorough
def test_every_field_is_held_by_a_test() -> None:
    tests = held(sources())
    free = [f"{kind.value}.{row[0]}" for kind, one in KINDS.items() for row in rows(one, tests) if not row[3]]
    assert free == []


@pytest.mark.thorough
def test_a_mark_names_what_there_is() -> None:
    known = {f"{kind.value}.{row[0]}" for kind, one in KINDS.items() for row in rows(one, {})}
    assert held(sources()).keys() <= known | {b.value for b in Becomes}


@pytest.mark.thorough
def test_deleting_a_test_changes_the_table() -> None:
    files = sources()
    path = next(p for p in files if p.endswith("test_losses.py"))
    name = "test_what_no_field_shows_is_lost_too_and_a_plan_that_keeps_silent_failed"
    assert name in table(held(files))
    less = {**files, path: files[path].replace(f"def {name}", "def gone")}
    assert name not in table(held(less)) and table(held(less)) != table(held(files))


def test_each_field_of_an_answer_that_nobody_reads_names_why_and_by_which_reference() -> None:
    assert ANSWERS.keys() == set(Kind)
    for kind, fields in ANSWERS.items():
        for path, known in fields.items():
            assert " " in known.why and known.reference.startswith("https://"), f"{kind.value}: {path}"
            assert "*" not in path or path.startswith("addresses.*"), f"{kind.value}: a wildcard would hide what is new"


def test_how_many_fields_of_answers_are_ignorable_stands_in_the_table() -> None:
    assert besides(Kind.ADDRESS_GROUP) == {IGNORABLE: 6} and besides(Kind.SECURITY_GROUP_RULE)[LOST] == 1
    head, *_ = TABLE.read_text(encoding="utf-8").partition("## ")
    (total,) = [line for line in head.splitlines() if line.startswith("| all |")]
    counts = [sum(besides(kind)[what] for kind in Kind) for what in (IGNORABLE, LOST)]
    assert total.endswith(f"| {counts[0]} | {counts[1]} |")
