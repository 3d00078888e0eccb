# SPDX-License-Identifier: Apache-2.0
"""Laws of planning over arbitrary tenants: one fate for each object, no gap, and nothing closed is opened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unterbau.switch import planning
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import (
    AddressGroup,
    Attachment,
    CloudIdentity,
    Container,
    Fate,
    Flavor,
    FloatingIp,
    Image,
    Network,
    Offering,
    Port,
    Resource,
    Router,
    RouterInterface,
    Secret,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Snapshot,
    StoredObject,
    Subnet,
    Volume,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Reason

NOW = datetime(2026, 11, 23, tzinfo=UTC)
IDS = st.sampled_from(["1", "2", "3", "foreign"])
FLAVORS = [Flavor(name=f"f{n}", vcpus=n, ram_mib=n * 1024, disk_gib=0) for n in (1, 2, 4)]
STATES = st.sampled_from(["ACTIVE", "SHUTOFF", "ERROR", "available", "in-use", "error", "active", "queued"])


def _rule(id_: str) -> st.SearchStrategy[Resource]:
    remote: st.SearchStrategy[dict[str, str]] = st.one_of(
        st.just({}), st.fixed_dictionaries({"remote_group_id": IDS}),
        st.fixed_dictionaries({"remote_address_group_id": IDS}), st.just({"remote_ip_prefix": "10.0.0.0/8"}),
    )  # fmt: skip
    return st.builds(
        lambda group, far: SecurityGroupRule(
            id=id_, security_group_id=group, direction="ingress", ethertype="IPv4", **far
        ),
        IDS,
        remote,
    )


def _kinds(id_: str) -> list[st.SearchStrategy[Resource]]:
    just, maybe = st.just(id_), st.one_of(st.none(), IDS)
    return [
        st.builds(Network, id=just, name=just, shared=st.booleans()),
        st.builds(
            Subnet, id=just, network_id=IDS, ip_version=st.just(4), cidr=st.just("10.0.0.0/24"), gateway_ip=st.none()
        ),
        st.builds(Router, id=just, external_network_id=maybe),
        st.builds(RouterInterface, id=just, router_id=IDS, network_id=IDS, fixed_ips=st.just(())),
        st.builds(Port, id=just, network_id=IDS, mac_address=just, security_group_ids=st.lists(IDS).map(tuple)),
        st.builds(FloatingIp, id=just, address=just, external_network_id=IDS, port_id=maybe),
        st.builds(SecurityGroup, id=just, name=st.sampled_from(["web", "default"])),
        st.builds(AddressGroup, id=just, name=just),
        _rule(id_),
        st.builds(Image, id=just, name=just, status=STATES, visibility=st.sampled_from(["public", "private", "shared"])),
        st.builds(Volume, id=just, name=just, status=STATES, size_gib=st.integers(1, 9), encrypted=st.booleans()),
        st.builds(Snapshot, id=just, status=STATES, volume_id=IDS, size_gib=st.just(1)),
        st.builds(
            Server, id=just, name=just, status=STATES, flavor=st.sampled_from([*FLAVORS, FLAVORS[0]]), image_id=maybe,
            port_ids=st.lists(IDS, unique=True).map(tuple),
        ),
        st.builds(Attachment, id=just, server_id=IDS, volume_id=IDS, boot_index=st.sampled_from([None, 0])),
        st.builds(Secret, id=just, name=just, status=st.sampled_from(["ACTIVE", "ERROR"]), acl_users=st.just(("u",))),
        st.builds(Container, id=just, name=just, read_acl=st.sampled_from(["", "pother:*", "pa:*,.r:*", "other:bob"])),
        st.builds(StoredObject, id=just, name=just, container=IDS, size_bytes=st.just(1), etag=just, symlink_to=maybe),
    ]  # fmt: skip


@st.composite
def tenants(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Some objects of every kind, which refer to each other, to themselves, and to nothing that is there."""
    found = []
    for id_ in ("1", "2", "3"):
        for kind in _kinds(id_):
            if draw(st.booleans()):
                found.append(draw(kind))
    return tuple(found)


def _cloud(name: str, resources: tuple[Resource, ...] = ()) -> Workload:
    identity = CloudIdentity(
        name=name, auth_url=f"https://{name}", region="R", project_id=f"p{name}", project_name=name, user_id="u"
    )
    return Workload(identity=identity, taken_at=NOW, resources=resources, offering=Offering(flavors=tuple(FLAVORS[1:])))


@pytest.mark.thorough
@settings(max_examples=50, deadline=None)
@given(tenants())
def test_one_fate_for_each_object_and_nothing_is_opened(resources: tuple[Resource, ...]) -> None:
    source = _cloud("a", resources)
    plan = planning.make(source, _cloud("b"), run="r", now=NOW)
    plan.check_against(source)
    assert plan.openings == ()
    assert all(isinstance(c.text, Reason) and (not c.remedy or isinstance(c.remedy, Reason)) for c in plan.checks)
    assert len(plan.entries) == len(resources) and plan.by_ref.keys() == source.by_ref.keys()
    for entry in plan.entries:
        assert entry.fate is not Fate.LEFT or (entry.why and entry.remedy), entry
        assert (entry.fate is Fate.CHANGED) == bool(entry.why) or entry.fate is Fate.LEFT, entry
        assert all(change.why for change in entry.changes)
        told = [entry.why, entry.remedy, *(c.why for c in entry.changes), *(one.why for one in entry.losses)]
        assert all(isinstance(one, Reason) for one in told if one), "what a plan says is typed"
        if entry.fate.moves:
            _closed(plan, source.by_ref[entry.ref])


def _closed(plan: Plan, resource: Resource) -> None:
    """What moves is on the target at most as open as it was."""
    wish = plan.by_ref[resource.ref].wish(resource)
    match wish:
        case SecurityGroupRule():
            assert isinstance(resource, SecurityGroupRule)
            assert (wish.remote_group_id, wish.remote_address_group_id, wish.remote_ip_prefix) == (
                resource.remote_group_id, resource.remote_address_group_id, resource.remote_ip_prefix,
            )  # fmt: skip
            assert all(r in plan.by_ref for r in wish.references())
        case Container():
            assert isinstance(resource, Container)
            mine, was = (set(filter(None, x.read_acl.split(","))) for x in (wish, resource))
            assert mine <= was and not {g for g in mine if "other" in g}
        case Secret():
            assert wish.acl_users == ()
        case Image():
            assert wish.visibility != "public"
        case Network():
            assert not wish.shared
        case Volume():
            assert not wish.encrypted
        case Port():
            assert all(f"security_group:{g}" in plan.by_ref for g in wish.security_group_ids)
