# SPDX-License-Identifier: Apache-2.0
"""What is open there and was closed here: by effect. Traffic is compared with a firewall that tries every packet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unterbau.tenant import openings
from unterbau.tenant.kinds import (
    AddressGroup,
    AddressPair,
    CloudIdentity,
    Container,
    ExternalNetwork,
    FixedIp,
    Flavor,
    FloatingIp,
    Image,
    Network,
    Offering,
    Opened,
    Port,
    Resource,
    Route,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Volume,
)
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import NotShown, Workload

NOW = datetime(2026, 11, 25, tzinfo=UTC)
NETWORKS = (ExternalNetwork(id="e1", name="public", is_default=True), ExternalNetwork(id="e2", name="intern-wan"))


def cloud(*resources: Resource, name: str = "a", not_shown: tuple[NotShown, ...] = ()) -> Workload:
    identity = CloudIdentity(
        name=name, auth_url=f"https://{name}/v3", region="R", project_id=f"p{name}", project_name=name, user_id="u"
    )
    offering = Offering(external_networks=NETWORKS)
    return Workload(identity=identity, taken_at=NOW, resources=resources, offering=offering, not_shown=not_shown)


def judged(here: Workload, there: Workload) -> openings.Judged:
    """Things are each other's counterpart by their ids."""
    return openings.judge(here, there, {r.ref: r.ref for r in here.resources if r.ref in there.by_ref})


def opened(here: tuple[Resource, ...], there: tuple[Resource, ...]) -> list[tuple[str, str, tuple[str, ...]]]:
    found = judged(cloud(*here), cloud(*there, name="b")).found
    return [(o.kind.name, o.what, o.subjects) for o in found]


def rule(id_: str = "r", group: str = "g", **fields: Any) -> SecurityGroupRule:
    plain = {"direction": "ingress", "ethertype": "IPv4", **fields}
    return SecurityGroupRule(id=id_, security_group_id=group, **plain)


def guarded(rules: Iterable[Mapping[str, Any]]) -> tuple[Resource, ...]:
    """A port in a group with these rules."""
    return (G, port("p", "g"), *(rule(str(n), **r) for n, r in enumerate(rules)))


def port(id_: str = "p", *groups: str, ip: str = "10.0.0.1", **fields: Any) -> Port:
    return Port(id=id_, name=id_, network_id="n", mac_address=f"mac-{id_}", security_group_ids=groups,
                fixed_ips=(FixedIp(subnet_id="s", ip_address=ip),), **fields)  # fmt: skip


G, H = SecurityGroup(id="g", name="g"), SecurityGroup(id="h", name="h")
TCP: dict[str, Any] = {"protocol": "tcp", "port_range_min": 5432, "port_range_max": 5432}


def tcp(low: int, high: int, **fields: Any) -> dict[str, Any]:
    return {"protocol": "tcp", "port_range_min": low, "port_range_max": high, **fields}


NOTHING_OPENS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "the same": ([TCP], [TCP]),
    "a rule fewer": ([TCP, {"protocol": "udp"}], [TCP]),
    "a number for a name": ([{"protocol": "tcp"}], [{"protocol": "6"}]),
    "a name for a number": ([{"protocol": "58", "ethertype": "IPv6"}], [{"protocol": "ipv6-icmp", "ethertype": "IPv6"}]),
    "icmp is icmpv6 in IPv6": ([{"protocol": "icmp", "ethertype": "IPv6"}], [{"protocol": "icmpv6", "ethertype": "IPv6"}]),
    "any is no protocol": ([{}], [{"protocol": "any"}]),
    "all are any": ([{"protocol": str(n)} for n in range(256)], [{}]),
    "anywhere written out": ([TCP], [{**TCP, "remote_ip_prefix": "0.0.0.0/0"}]),
    "anywhere in two halves": (
        [{**TCP, "remote_ip_prefix": "0.0.0.0/1"}, {**TCP, "remote_ip_prefix": "128.0.0.0/1"}], [TCP],
    ),
    "host bits": ([{**TCP, "remote_ip_prefix": "10.1.2.3/8"}], [{**TCP, "remote_ip_prefix": "10.0.0.0/8"}]),
    "a smaller net": ([{**TCP, "remote_ip_prefix": "10.0.0.0/8"}], [{**TCP, "remote_ip_prefix": "10.2.0.0/16"}]),
    "a net of single addresses": (
        [{**TCP, "remote_ip_prefix": f"10.0.0.{n}"} for n in range(8)], [{**TCP, "remote_ip_prefix": "10.0.0.0/29"}],
    ),
    "fewer ports": ([tcp(1, 65535)], [tcp(22, 22), tcp(80, 443)]),
    "ports of two rules": ([tcp(1, 100), tcp(101, 200)], [tcp(50, 150)]),
    "all ports of a protocol": ([{}], [{"protocol": "udp"}]),
    "ports here, nets there": (
        [tcp(1, 9, remote_ip_prefix="10.0.0.0/9"), tcp(1, 9, remote_ip_prefix="10.128.0.0/9"), tcp(5, 9)],
        [tcp(2, 8, remote_ip_prefix="10.0.0.0/8")],
    ),
    "one icmp type of all": ([{"protocol": "icmp"}], [{"protocol": "icmp", "port_range_min": 8}]),
    "one icmp code of a type": (
        [{"protocol": "icmp", "port_range_min": 3}], [{"protocol": "icmp", "port_range_min": 3, "port_range_max": 4}],
    ),
    "a prefix of the other version lets nothing through": ([], [{**TCP, "remote_ip_prefix": "2001:db8::/32"}]),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTHING_OPENS)
def test_what_lets_no_more_through_opens_nothing(case: str) -> None:
    here, there = NOTHING_OPENS[case]
    assert opened(guarded(here), guarded(there)) == []


OPENS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "a rule": ([], [TCP], "tcp 5432 from anywhere (IPv4)"),
    "another port": ([tcp(22, 22)], [tcp(22, 23)], "tcp 22-23 from anywhere (IPv4)"),
    "a port between": ([tcp(1, 10), tcp(12, 20)], [tcp(5, 15)], "tcp 5-15 from anywhere (IPv4)"),
    "a wider net": (
        [{**TCP, "remote_ip_prefix": "10.0.0.0/16"}], [{**TCP, "remote_ip_prefix": "10.0.0.0/8"}],
        "tcp 5432 from 10.0.0.0/8",
    ),
    "the other version": ([TCP], [{**TCP, "ethertype": "IPv6"}], "tcp 5432 from anywhere (IPv6)"),
    "the other direction": ([TCP], [{**TCP, "direction": "egress"}], "tcp 5432 to anywhere (IPv4)"),
    "any protocol": ([{"protocol": str(n)} for n in range(255)], [{}], "any protocol from anywhere (IPv4)"),
    "another icmp type": (
        [{"protocol": "icmp", "port_range_min": 8}], [{"protocol": "1", "port_range_min": 5}],
        "icmp type 5 from anywhere (IPv4)",
    ),
    "an icmp type and not only one code": (
        [{"protocol": "icmp", "port_range_min": 3, "port_range_max": 4}], [{"protocol": "icmp", "port_range_min": 3}],
        "icmp type 3 from anywhere (IPv4)",
    ),
    "a protocol that nobody knows": ([{"protocol": "tcp"}], [{"protocol": "l2tp"}], "protocol l2tp from anywhere (IPv4)"),
    "a net at one port only": (
        [tcp(1, 5, remote_ip_prefix="10.0.0.0/9"), tcp(1, 9, remote_ip_prefix="10.128.0.0/9")],
        [tcp(1, 9, remote_ip_prefix="10.0.0.0/8")], "tcp 1-9 from 10.0.0.0/8",
    ),
    "a remote that is no address": ([], [{**TCP, "remote_ip_prefix": "nonsense"}], "tcp 5432 from what nobody here can see (IPv4)"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPENS)
def test_what_lets_more_through_is_named(case: str) -> None:
    here, there, what = OPENS[case]
    found = opened(guarded(here), guarded(there))
    assert [(w, s) for _, w, s in found] == [(what, ("port:p", "security_group:g"))]
    assert found[0][0] == ("EGRESS" if " to " in what else "INGRESS")


# --- a firewall that tries every packet of a small world

PORTS = (1, 2, 3, 9)
ADDRESSES = [f"10.0.0.{n}" for n in range(4)]
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "47": 47, "6": 6, "17": 17}
PREFIXES = (None, "0.0.0.0/0", "10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/31", *ADDRESSES)


def _rule_fields() -> st.SearchStrategy[dict[str, Any]]:
    ranges = st.sampled_from([(None, None), (1, 1), (1, 2), (2, 3), (1, 3), (3, 3)])
    ported = st.builds(lambda p, r: {"protocol": p, "port_range_min": r[0], "port_range_max": r[1]},
                       st.sampled_from(["tcp", "6", "udp"]), ranges)  # fmt: skip
    plain = st.sampled_from([{}, {"protocol": "icmp"}, {"protocol": "47"}, {"protocol": "any"}])
    remote = st.one_of(
        st.sampled_from(PREFIXES).map(lambda p: {"remote_ip_prefix": p}),
        st.sampled_from(["g", "h"]).map(lambda g: {"remote_group_id": g}), st.just({"remote_address_group_id": "ag"}),
    )  # fmt: skip
    return st.builds(lambda a, b, d: {**a, **b, "direction": d}, st.one_of(ported, plain), remote,
                     st.sampled_from(["ingress", "egress"]))  # fmt: skip


@st.composite
def sides(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Two groups with rules, two ports in some of them, an address group."""
    found: list[Resource] = [
        G,
        H,
        AddressGroup(id="ag", name="ag", addresses=tuple(draw(st.sets(st.sampled_from(ADDRESSES))))),
    ]
    for number in range(draw(st.integers(0, 5))):
        found.append(rule(str(number), draw(st.sampled_from(["g", "h"])), **draw(_rule_fields())))
    pairs = st.sampled_from([(), (AddressPair(ip_address="10.0.0.2/31"),)])
    for name, ip in (("p", "10.0.0.1"), ("q", "10.0.0.2")):
        groups = draw(st.sets(st.sampled_from(["g", "h"])))
        found.append(port(name, *sorted(groups), ip=ip, allowed_address_pairs=draw(pairs)))
    return tuple(found)


def passing(side: tuple[Resource, ...], which: str) -> set[tuple[str, int, int, str]]:
    """Every packet that a port lets through: (direction, protocol, port, address)."""
    return {
        (r.direction, number, at, far)
        for r in side if isinstance(r, SecurityGroupRule)
        for p in side if isinstance(p, Port) and p.id == which and r.security_group_id in p.security_group_ids
        for number in (6, 17, 1, 47, 99)
        for at in (PORTS if number in (6, 17) else (0,))
        for far in _far(side, r)
        if r.protocol in (None, "any") or NUMBERS[r.protocol] == number
        if r.port_range_min is None or r.port_range_min <= at <= (r.port_range_max or 0)
    }  # fmt: skip


def _far(side: tuple[Resource, ...], r: SecurityGroupRule) -> Iterator[str]:
    if r.remote_group_id:
        texts = [t for p in side if isinstance(p, Port) and r.remote_group_id in p.security_group_ids
                 for t in (*(i.ip_address for i in p.fixed_ips), *(a.ip_address for a in p.allowed_address_pairs))]  # fmt: skip
    elif r.remote_address_group_id:
        texts = [t for a in side if isinstance(a, AddressGroup) for t in a.addresses]
    else:
        texts = [r.remote_ip_prefix or "0.0.0.0/0"]
    return (
        far for far in [*ADDRESSES, "192.0.2.7"] if any(ip_address(far) in ip_network(t, strict=False) for t in texts)
    )


@pytest.mark.thorough
@settings(max_examples=40, deadline=None)
@given(sides(), sides())
def test_a_firewall_that_tries_every_packet_finds_the_same(
    here: tuple[Resource, ...], there: tuple[Resource, ...]
) -> None:
    found = opened(here, there)
    for which in ("p", "q"):
        for direction, kind in (("ingress", "INGRESS"), ("egress", "EGRESS")):
            new = {x for x in passing(there, which) - passing(here, which) if x[0] == direction}
            told = any(k == kind and f"port:{which}" in s for k, _, s in found)
            assert told == bool(new), (which, direction, new, found)


@pytest.mark.thorough
@settings(max_examples=25, deadline=None)
@given(sides(), st.data())
def test_nothing_opens_by_itself_nor_by_a_rule_fewer(here: tuple[Resource, ...], data: st.DataObject) -> None:
    assert opened(here, here) == []
    rules = [r for r in here if isinstance(r, SecurityGroupRule)]
    if rules:
        dropped = data.draw(st.sampled_from(rules))
        assert opened(here, tuple(r for r in here if r is not dropped)) == []


def test_a_new_member_of_a_remote_group_is_named_by_its_address() -> None:
    here = (
        G,
        H,
        rule(**TCP, remote_group_id="h"),
        port("p", "g"),
        port("q", "h", ip="10.0.0.2"),
        port("x", ip="10.0.0.3"),
    )
    there = (*here[:-1], port("x", "h", ip="10.0.0.3"))
    assert opened(here, there) == [("INGRESS", "tcp 5432 from 10.0.0.3 (in h)", ("port:p",))]


def test_a_member_with_another_address_is_the_same_member() -> None:
    here = (G, H, rule(**TCP, remote_group_id="h"), port("p", "g"), port("q", "h", ip="10.0.0.2"))
    assert opened(here, (*here[:-1], port("q", "h", ip="10.0.0.9"))) == []


def test_a_group_for_its_members_opens_nothing_at_a_port_and_is_named_at_the_group() -> None:
    here = (G, H, rule(**TCP, remote_ip_prefix="10.0.0.0/24"), port("p", "g"), port("q", "h", ip="10.0.0.2"))
    there = (G, H, rule(**TCP, remote_group_id="h"), port("p", "g"), port("q", "h", ip="10.0.0.2"))
    assert opened(here, there) == []
    alone = (G, H, rule(**TCP, remote_group_id="h"))
    assert opened((G, H), alone) == [("INGRESS", "tcp 5432 from members of h (IPv4)", ("security_group:g",))]


def test_rules_that_only_moved_to_another_group_of_the_port_open_nothing_there() -> None:
    here = (G, H, rule("1", "g", **TCP), port("p", "g", "h"))
    there = (G, H, rule("1", "h", **TCP), port("p", "g", "h"))
    assert opened(here, there) == [("INGRESS", "tcp 5432 from anywhere (IPv4)", ("security_group:h",))]


def test_a_port_in_another_group_is_judged_by_what_that_lets_through() -> None:
    here = (G, H, rule("1", "h"), port("p", "g"))
    assert opened(here, (G, H, rule("1", "h"), port("p", "h"))) == [
        ("INGRESS", "any protocol from anywhere (IPv4)", ("port:p",))
    ]


def test_the_default_group_counts_under_whatever_name_it_was_carried() -> None:
    default, theirs = SecurityGroup(id="d", name="default"), SecurityGroup(id="t", name="default")
    carried = SecurityGroup(id="d", name="default-a")
    here = (default, rule("1", "d", direction="egress"), rule("2", "d", remote_group_id="d"))
    there = (carried, rule("1", "d", direction="egress"), rule("2", "d", remote_group_id="d"), theirs)
    same = (rule("3", "t", direction="egress"), rule("4", "t", remote_group_id="t"))
    assert opened(here, (*there, *same)) == []
    found = judged(cloud(*here), cloud(*there, *same, rule("5", "t", **TCP), name="b")).found
    assert [str(o.text) for o in found] == [
        "tcp 5432 from anywhere (IPv4) reaches whatever is put into security group default, only on the target"
    ]


def test_a_port_without_groups_lets_nothing_through_and_one_without_port_security_everything() -> None:
    here = (G, rule(), port("p", "g"))
    assert opened(here, (G, rule(), port("p"))) == []
    assert opened(here, (G, rule(), port("p", port_security_enabled=False))) == [("PORT_SECURITY", "off", ("port:p",))]
    assert opened((G, port("p", port_security_enabled=False)), (G, rule(), port("p", "g")))[0][2] == (
        "security_group:g",
    )


def test_stateful_groups_let_replies_through() -> None:
    less = SecurityGroup(id="g", name="g", stateful=False)
    assert ("REPLIES", "replies", ("port:p", "security_group:g")) in opened(
        (less, rule(), port("p", "g")), (G, rule(), port("p", "g"))
    )
    assert opened((G, rule(), port("p", "g")), (less, rule(), port("p", "g"))) == []
    everything = [rule(f"{d}{v}", direction=d, ethertype=v) for d in ("ingress", "egress") for v in ("IPv4", "IPv6")]
    assert opened((less, *everything, port("p", "g")), (G, *everything, port("p", "g"))) == []


@pytest.mark.parametrize(
    ("here", "there", "what"),
    [
        ((), ("10.0.0.0/24",), ["10.0.0.0/24"]),
        ((), ("10.0.0.1",), []),
        (("10.0.0.0/24",), ("10.0.0.7", "10.0.0.0/25"), []),
        (("10.0.0.0/25", "10.0.0.128/25"), ("10.0.0.0/24",), []),
        (("10.0.0.0/24",), ("0.0.0.0/0", "::/0"), ["0.0.0.0/0", "::/0"]),
    ],
)
def test_address_pairs_may_only_become_fewer(here: tuple[str, ...], there: tuple[str, ...], what: list[str]) -> None:
    def one(texts: tuple[str, ...], mac: str | None = None) -> tuple[Resource, ...]:
        pairs = tuple(AddressPair(ip_address=t, mac_address=mac) for t in texts)
        return (port("p", allowed_address_pairs=pairs),)

    assert [w for _, w, _ in opened(one(here), one(there))] == what
    assert [w for _, w, _ in opened(one(here), one(("10.0.0.7",), "fa:16"))] == ["10.0.0.7 with fa:16"]


# --- everything else


def router(external: str | None = None, snat: bool | None = None, **fields: Any) -> Router:
    return Router(id="r", name="edge", external_network_id=external, enable_snat=snat, **fields)


def fip(id_: str, external: str, port_id: str | None = "p", inner: str | None = None) -> FloatingIp:
    return FloatingIp(id=id_, address=f"addr-{id_}", external_network_id=external, port_id=port_id,
                      fixed_ip_address=inner, description="www")  # fmt: skip


def box(read: str = "", write: str = "", **fields: Any) -> Container:
    return Container(id="c", name="akten", read_acl=read, write_acl=write, **fields)


def server(*ports: str) -> Server:
    return Server(
        id="v", name="app", status="ACTIVE", flavor=Flavor(name="f", vcpus=1, ram_mib=1, disk_gib=1), port_ids=ports
    )


N = Network(id="n", name="inner")
LEG = RouterInterface(id="l", router_id="r", network_id="n", fixed_ips=())
IMAGE = Image(id="i", name="i", status="active", visibility="private")
UUID = "6e3fb47a4f5b4f6d9a7b2b3c4d5e6f70"

CASES: dict[str, tuple[tuple[Resource, ...], tuple[Resource, ...], list[tuple[str, str]]]] = {
    "another external network": ((router("e2"),), (router("e1"),), [("GATEWAY", "public")]),
    "the same external network": ((router("e2"),), (router("e2"),), []),
    "a gateway fewer": ((router("e1"),), (router(),), []),
    "a gateway where none was": ((router(),), (router("e1"),), [("GATEWAY", "public"), ("SNAT", "SNAT")]),
    "a gateway without SNAT where none was": ((router(),), (router("e1", snat=False),), [("GATEWAY", "public")]),
    "SNAT": ((router("e1", snat=False),), (router("e1", snat=True),), [("SNAT", "SNAT")]),
    "SNAT that is not told": ((router("e1"),), (router("e1", snat=True),), []),
    "no SNAT": ((router("e1", snat=True),), (router("e1", snat=False),), []),
    "a router on": ((router(admin_state_up=False),), (router(),), [("SWITCHED_ON", "on")]),
    "a route": (
        (router(),), (router(routes=(Route(destination="10.9.0.0/16", nexthop="10.0.0.2"),)),),
        [("CONNECTED", "the route to 10.9.0.0/16 by 10.0.0.2")],
    ),
    "a leg": ((router(), N), (router(), N, LEG), [("CONNECTED", "router edge")]),
    "a leg fewer": ((router(), N, LEG), (router(), N), []),
    "a public address": ((port(),), (port(), fip("f", "e1")), [("PUBLIC_ADDRESS", "on public, for 10.0.0.1")]),
    "the same public address": ((port(), fip("f", "e1")), (port(), fip("x", "e1", inner="10.0.0.1")), []),
    "a public address elsewhere": ((port(), fip("f", "e2")), (port(), fip("f", "e1")), [("PUBLIC_ADDRESS", "on public, for 10.0.0.1")]),
    "one of no port elsewhere": ((fip("f", "e2", None),), (fip("f", "e1", None),), [("PUBLIC_ADDRESS", "on public")]),
    "one of no port": ((fip("f", "e1", None),), (fip("f", "e1", None),), []),
    "a shared network": ((N,), (N.model_copy(update={"shared": True}),), [("SHARED", "with everybody")]),
    "an external network": ((N,), (N.model_copy(update={"external": True}),), [("SHARED", "as an external network with everybody")]),
    "a network shared with one": ((N,), (N.model_copy(update={"shared_with": ("q",)}),), [("SHARED", "with q")]),
    "one of everybody": ((N.model_copy(update={"shared_with": ("*",)}),), (N.model_copy(update={"shared_with": ("q",)}),), []),
    "a shared group": ((G,), (G.model_copy(update={"shared_with": ("q",)}),), [("SHARED", "with q")]),
    "a network without port security": ((N,), (N.model_copy(update={"port_security_enabled": False}),), [("PORT_SECURITY", "off")]),
    "a server on another network": (
        (N, Network(id="m", name="m"), port("p"), port("q").model_copy(update={"network_id": "m"}), server("p")),
        (N, Network(id="m", name="m"), port("p"), port("q").model_copy(update={"network_id": "m"}), server("p", "q")),
        [("ATTACHED", "network m")],
    ),
    "a port on a network of the provider": (
        (N, port("p")), (N, port("p").model_copy(update={"network_id": "far"})),
        [("ATTACHED", "something that is not the project's own")],
    ),
    "a readable container": ((box(),), (box(".r:*"),), [("CONTAINER_ACL", "reading by everybody (.r:*)")]),
    "a listable container": ((box(".r:*"),), (box(".r:*,.rlistings"),), [("CONTAINER_ACL", "reading by everybody who lists it (.rlistings)")]),
    "listing without reading": ((box(),), (box(".rlistings"),), []),
    "a referrer of all": ((box(".r:*"),), (box(".r:.example.com"),), []),
    "a referrer more": (
        (box(".r:.example.com,.r:-thief.example.com"),), (box(".r:.example.com"),),
        [("CONTAINER_ACL", "reading by everybody (.r:.example.com)")],
    ),
    "another order of referrers": (
        (box(".r:*,.r:-.evil.com"),), (box(".r:-.evil.com,.r:*"),), [("CONTAINER_ACL", "reading by everybody (.r:-.evil.com,.r:*)")],
    ),
    "referrers spelled otherwise": ((box(".r:*.example.com"),), (box(".referrer : .example.com"),), []),
    "the own project": ((box("pa:*"),), (box("pb:*"),), []),
    "the own project where it was not": ((box(),), (box("pb:*"),), [("CONTAINER_ACL", "reading by own project:*")]),
    "one user of the own project": ((box("pa:*"),), (box(f"pb:{UUID}"),), []),
    "everybody with a token": ((box("pa:*"),), (box("*:*"),), [("CONTAINER_ACL", "reading by *:*")]),
    "one of everybody with a token": ((box("*:*"),), (box(f"{UUID}:*"),), []),
    "the same id": ((box(f"{UUID}:*"),), (box(f"{UUID}:*"),), []),
    "a name that is another's there": ((box("sales:bob"),), (box("sales:bob"),), [("CONTAINER_ACL", "reading by sales:bob")]),
    "a role": ((box(write=""),), (box(write="writer"),), [("CONTAINER_ACL", "writing by writer")]),
    "a copy elsewhere": ((box(),), (box(sync_to="//realm/x"),), [("CONTAINER_SYNC", "//realm/x")]),
    "a secret for its project": (
        (Secret(id="x", name="x", acl_project_access=False),), (Secret(id="x", name="x"),), [("SECRET_ACL", "its whole project")],
    ),
    "a secret for its creator": ((Secret(id="x", name="x"),), (Secret(id="x", name="x", acl_project_access=False),), []),
    "a secret for a user": (
        (Secret(id="x", name="x", acl_users=("u",)),), (Secret(id="x", name="x", acl_users=("u", "v")),), [("SECRET_ACL", "user v")],
    ),
    "a container of secrets": (
        (SecretContainer(id="x", name="x", type="generic", acl_project_access=False),),
        (SecretContainer(id="x", name="x", type="generic", acl_users=("v",)),),
        [("SECRET_ACL", "its whole project"), ("SECRET_ACL", "user v")],
    ),
    "a public image": ((IMAGE,), (IMAGE.model_copy(update={"visibility": "public"}),), [("IMAGE", "everybody (public)")]),
    "a community image": (
        (IMAGE.model_copy(update={"visibility": "shared"}),), (IMAGE.model_copy(update={"visibility": "community"}),),
        [("IMAGE", "everybody who knows its id (community)")],
    ),
    "an image for a project": (
        (IMAGE.model_copy(update={"visibility": "shared", "members": ("q",)}),),
        (IMAGE.model_copy(update={"visibility": "shared", "members": ("q", "w", "pb")}),), [("IMAGE", "project w")],
    ),
    "a private image": ((IMAGE.model_copy(update={"visibility": "public"}),), (IMAGE,), []),
    "bytes that were encrypted": (
        (Volume(id="v", status="", size_gib=1, encrypted=True),), (Volume(id="v", status="", size_gib=1),),
        [("ENCRYPTION", "unencrypted")],
    ),
    "what the source has not": ((), (box(".r:*"), router("e1")), [
        ("GATEWAY", "public"), ("SNAT", "SNAT"), ("CONTAINER_ACL", "reading by everybody (.r:*)"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_opening_and_what_is_none(case: str) -> None:
    here, there, what = CASES[case]
    assert [(kind, w) for kind, w, _ in opened(here, there)] == what
    assert judged(cloud(*here), cloud(*here)).found == ()


def test_every_kind_is_tried_and_says_a_sentence() -> None:
    tried = {Opened[kind] for _, _, found in CASES.values() for kind, _ in found}
    assert set(Opened) - tried == {Opened.INGRESS, Opened.EGRESS, Opened.REPLIES, Opened.ADDRESS_PAIRS}
    for kind in Opened:
        text = str(Opening.of(kind, "THIS", {str(n): f"name {n}" for n in range(7)}).text)
        assert text.count("name ") == 5 and "and 2 more" in text


def test_an_id_stands_for_its_content_and_depends_on_no_id_of_the_target() -> None:
    first = judged(cloud(router("e2")), cloud(router("e1"), name="b")).found
    again = openings.judge(
        cloud(router("e2")), cloud(router("e1").model_copy(update={"id": "zz"}), name="c"), {"router:r": "router:zz"}
    )
    assert [o.id for o in first] == [o.id for o in again.found] == [first[0].id]
    assert first[0].id.startswith("gateway-")
    with pytest.raises(ValueError, match="not the id of this opening"):
        Opening.model_validate(first[0].model_dump() | {"what": "more"})


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("security_group_rule", Opened.INGRESS), ("container:c.read_acl", Opened.CONTAINER_ACL), ("secret:x.acl", Opened.SECRET_ACL),
        ("image:i.members", Opened.IMAGE), ("container.read_acl", Opened.CONTAINER_ACL), ("secret:x", Opened.SECRET_ACL), ("floating_ip:f.port_forwardings", Opened.PUBLIC_ADDRESS),
        ("offering.external_networks", Opened.GATEWAY), ("rbac-policies", Opened.SHARED),
        ("router:r.external_gateways", Opened.GATEWAY), ("ndp_proxies:x", Opened.PUBLIC_ADDRESS), ("trunks:t", Opened.ATTACHED),
        ("ipsec_site_connections:v", Opened.CONNECTED), ("volume", Opened.ENCRYPTION),
    ],
)  # fmt: skip
def test_what_the_target_hides_is_told(what: str, kind: Opened) -> None:
    found = judged(cloud(), cloud(name="b", not_shown=(NotShown(what=what, reason="hidden"),))).unseen
    assert kind in {u.kind for u in found} and {u.side for u in found} == {"target"}
    assert (
        judged(cloud(), cloud(name="b", not_shown=(NotShown(what="server:v.user_data", reason="hidden"),))).unseen == ()
    )


def test_a_copy_forgets_what_was_derived_from_the_old_fields() -> None:
    side = cloud(N)
    assert "network:n" in side.by_ref
    assert side.model_copy(update={"resources": (G,)}).by_ref.keys() == {"security_group:g"}


def test_a_network_whose_name_is_not_told_is_not_compared() -> None:
    found = judged(cloud(router("strange")), cloud(router("e1"), name="b"))
    assert found.found == () and {(u.kind, u.what) for u in found.unseen} == {(Opened.GATEWAY, "router edge")}


def test_a_port_in_a_group_of_another_project_is_not_compared_in_silence() -> None:
    there = judged(cloud(port()), cloud(port("p", "shared"), name="b"))
    assert {(u.kind, u.side) for u in there.unseen} == {
        (k, "target") for k in (Opened.INGRESS, Opened.EGRESS, Opened.REPLIES)
    }


@pytest.mark.thorough
def test_hundreds_of_ports_and_rules_are_judged_by_their_groups() -> None:
    """Linear: ports of the same groups share one judgement, and a rule that both sides have is not looked into."""
    rules = tuple(rule(f"r{n}", f"g{n % 20}", **tcp(n + 1, n + 1), remote_group_id=f"g{n % 20}") for n in range(600))
    groups = tuple(SecurityGroup(id=f"g{n}", name=f"g{n}") for n in range(20))
    ports = tuple(port(f"p{n}", f"g{n % 20}", ip=f"10.0.{n // 250}.{n % 250}") for n in range(600))
    assert opened((*groups, *rules, *ports), (*groups, *rules, *ports, rule("new", "g7", **TCP)))[0][1:] == (
        "tcp 5432 from anywhere (IPv4)",
        (*sorted(f"port:p{n}" for n in range(600) if n % 20 == 7), "security_group:g7"),
    )
