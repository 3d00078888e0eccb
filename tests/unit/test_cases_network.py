# SPDX-License-Identifier: Apache-2.0
"""Situations of real users around networks: what the plan names, and what a verification says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_planning import NOW, cloud

from unterbau.cloud.simulator import Simulator
from unterbau.switch import move, planning
from unterbau.switch.plan import Plan
from unterbau.switch.verify import compare
from unterbau.tenant.kinds import (
    ExternalNetwork,
    Fate,
    FixedIp,
    FloatingIp,
    Network,
    Offering,
    Port,
    Resource,
    Route,
    Router,
    RouterInterface,
    Subnet,
)
from unterbau.tenant.kinds.port import own_role
from unterbau.verdict import Outcome, words

NET = Network(id="n", name="net", mtu=1450)
SUBNET = Subnet(id="u", name="sub", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None)
OFFERING = Offering(external_networks=(ExternalNetwork(id="x", name="public"),))
MAC = "fa:16:3e:00:00:01"


def plan(*resources: Resource) -> Plan:
    return planning.make(cloud("a", *resources, offering=OFFERING), cloud("b", offering=OFFERING), run="r", now=NOW)


def leg(id_: str, network: str, subnet: str, address: str) -> RouterInterface:
    return RouterInterface(
        id=id_, router_id="r", network_id=network, fixed_ips=(FixedIp(subnet_id=subnet, ip_address=address),)
    )


def test_a_leg_on_a_slaac_subnet_is_made_after_its_routers_other_legs_there(tmp_path: Path) -> None:
    """OVN takes no leg beside one that has an address of its subnet, and each that is to become one has such an address first."""
    slaac = Subnet(id="six", name="six", network_id="n", ip_version=6, cidr="2001:db8::/64", gateway_ip="2001:db8::1",
                   ipv6_address_mode="slaac", ipv6_ra_mode="slaac")  # fmt: skip
    other = Router(id="other", name="other")
    legs = (leg("a", "n", "six", "2001:db8::1"), leg("b", "n", "u", "10.0.0.1"), leg("c", "n", "u", "10.0.0.2"),
            leg("d", "n", "u", "10.0.0.3").model_copy(update={"router_id": "other"}))  # fmt: skip
    things = (NET, SUBNET, slaac, Router(id="r", name="router"), other, *legs)
    made, sides = plan(*things), (Simulator(tmp_path / "a"), Simulator(tmp_path / "b"))
    needs = {s.name: s.needs for s in move.steps(made, cloud("a", *things), *sides)}
    ours = {name.removeprefix("router_interface:"): found for name, found in needs.items() if "interface" in name}
    assert {n for n in ours["a"] if "interface" in n} == {"router_interface:b", "router_interface:c"}
    assert not any("interface" in n for name in "bcd" for n in ours[name])
    left = tuple(e.model_copy(update={"fate": Fate.LEFT}) if e.ref == "router_interface:b" else e for e in made.entries)
    steps = move.steps(made.model_copy(update={"entries": left}), cloud("a", *things), *sides)
    (six,) = (s for s in steps if s.name == "router_interface:a")
    assert "router_interface:c" in six.needs and "router_interface:b" not in six.needs, (
        "one that is left holds up nobody"
    )


# --- MTU


def mtu(ours: int | None, theirs: int | None) -> dict[str, tuple[Outcome, str]]:
    """Outcomes of what was carried from one to the other."""
    here, there = (NET.model_copy(update={"mtu": m}) for m in (ours, theirs))
    found = compare(cloud("a", here), cloud("b", there), plan(here), {})
    return {v.claim.id: (v.outcome, words(v.reason)) for v in found if v.claim.kind in ("structure", "loss")}


@pytest.mark.holds("network.mtu")
def test_an_mtu_that_the_target_does_not_reach_is_a_loss_by_name_and_fails_nothing() -> None:
    found = mtu(1450, 1350)
    assert found["structure network:n"][0] is Outcome.HELD
    assert found["lost network:n.mtu"] == (
        Outcome.NOT_SHOWN, "the target decided otherwise, and a member cannot: 1450 -> 1350"
    )  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), [(1400, 1450), (None, 1450), (1450, None)])
def test_an_mtu_that_is_larger_than_it_was_or_not_told_fails(ours: int | None, theirs: int | None) -> None:
    assert mtu(ours, theirs)["structure network:n"][0] is Outcome.FAILED


# --- QoS policies


@pytest.mark.holds("router.gateway_qos_policy_id", "router_interface.qos_policy_id", "floating_ip.qos_policy_id")
@pytest.mark.parametrize(
    ("ours", "field"),
    [
        (Router(id="r", name="r", external_network_id="x", gateway_qos_policy_id="q"), "gateway_qos_policy_id"),
        (FloatingIp(id="f", address="203.0.113.1", external_network_id="x", qos_policy_id="q"), "qos_policy_id"),
        (leg("l", "n", "u", "10.0.0.1").model_copy(update={"qos_policy_id": "q"}), "qos_policy_id"),
        (Port(id="p", name="p", network_id="n", mac_address=MAC, qos_policy_id="q"), "qos_policy_id"),
        (NET.model_copy(update={"qos_policy_id": "q"}), "qos_policy_id"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.own_kind.value,
)
def test_a_qos_policy_is_a_loss_wherever_it_is_set(ours: Any, field: str) -> None:
    around = [r for r in (NET, SUBNET, Router(id="r", name="r")) if r.ref != ours.ref]
    entry = plan(*around, ours).by_ref[ours.ref]
    assert entry.fate is Fate.CHANGED and "QoS policies are not carried" in entry.why
    assert f"{ours.ref}.{field}" in {one.id for one in entry.losses}
    assert getattr(entry.wish(ours), field) is None


# --- what stands on a network of the provider's

ROUTES = (Route(destination="10.9.0.0/16", nexthop="10.0.0.9"), Route(destination="10.8.0.0/16", nexthop="172.16.0.9"))


@pytest.mark.holds("router.routes")
def test_a_leg_on_a_shared_network_of_the_provider_is_left_with_the_routes_that_need_it() -> None:
    router = Router(id="r", name="r", routes=ROUTES)
    made = plan(NET, SUBNET, router, leg("own", "n", "u", "10.0.0.1"), leg("theirs", "shared", "s", "172.16.0.1"))
    left = made.by_ref["router_interface:theirs"]
    assert left.fate is Fate.LEFT and "network:shared, which is not the project's own" in left.why and left.remedy
    entry = made.by_ref["router:r"]
    assert [(c.field, c.to) for c in entry.changes] == [("routes", [ROUTES[0].model_dump()])]
    assert "10.8.0.0/16 via 172.16.0.9" in entry.why
    assert "router:r.routes" in {one.id for one in entry.losses}
    assert made.by_ref["router_interface:own"].fate is Fate.CARRIED
    assert entry.wish(router).routes == ROUTES[:1]


def test_routes_over_own_networks_are_carried() -> None:
    router = Router(id="r", name="r", routes=ROUTES[:1])
    assert plan(NET, SUBNET, router, leg("own", "n", "u", "10.0.0.1")).by_ref["router:r"].fate is Fate.CARRIED


def test_what_refers_to_another_projects_thing_is_left_and_named() -> None:
    address = FloatingIp(id="f", address="203.0.113.1", external_network_id="x", port_id="of-another")
    entry = plan(address).by_ref["floating_ip:f"]
    assert entry.fate is Fate.LEFT and "port:of-another" in entry.why and entry.remedy


# --- ports that nothing is bound to


@pytest.mark.parametrize(
    ("owner", "device", "role"),
    [
        ("vip:keepalived", "", "vip:keepalived"),
        ("", "", ""),
        ("network:dhcp", "", ""),
        ("compute:nova", "", ""),
        ("Octavia", "lb-1", ""),
        ("Octavia", "", ""),
        ("vip:keepalived", "pair-1", ""),
    ],
)
def test_a_word_of_the_users_own_is_told_from_a_services(owner: str, device: str, role: str) -> None:
    assert own_role(owner, device) == role


@pytest.mark.holds("port.role")
def test_an_address_that_moves_between_servers_is_carried_with_its_role() -> None:
    port = Port(
        id="p", name="vip", network_id="n", mac_address=MAC, device_owner="vip:keepalived", role="vip:keepalived"
    )
    entry = plan(NET, port).by_ref["port:p"]
    assert entry.fate is Fate.CARRIED and entry.wish(port).role == "vip:keepalived"


@pytest.mark.parametrize(
    ("owner", "device", "said"),
    [
        ("Octavia", "lb-1", "made by the cloud for Octavia"),
        ("vip:x", "pair", "used by vip:x pair, which is not carried"),
    ],
)
def test_a_port_that_something_else_uses_is_left_with_its_name(owner: str, device: str, said: str) -> None:
    port = Port(id="p", name="p", network_id="n", mac_address=MAC, device_owner=owner, device_id=device)
    entry = plan(NET, port).by_ref["port:p"]
    assert entry.fate is Fate.LEFT and words(entry.why) == said and entry.remedy
