# SPDX-License-Identifier: Apache-2.0
"""What a thing of each kind says of those beside it on its side: what belongs to it, what must wait, what stays with it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_kinds_in_a_cloud import (
    AT,
    DEFAULT,
    GROUP,
    LEG,
    NET,
    PORT,
    ROUTER,
    RULE,
    SERVER,
    SNAPSHOT,
    SUBNET,
    VOLUME,
    WWW,
    changed,
    disk,
)
from test_planning import cloud

from unterbau.tenant.kinds import (
    NOTHING,
    AddressPair,
    AllocationPool,
    Check,
    Container,
    ExternalNetwork,
    Fate,
    FixedIp,
    Ground,
    Image,
    Kind,
    Mark,
    Offering,
    Opened,
    Ref,
    Resource,
    ResourceBase,
    Route,
    SecurityGroupRule,
    Segment,
    ServerGroup,
    StoredObject,
    Subnet,
    Volume,
    VolumeType,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Reason, Words

BOX = Container(id="box", name="box")
PARTS = [StoredObject(id=f"box/{n}", name=n, container="box", size_bytes=1, etag="e") for n in ("p1", "p2", "q")]
JOINED = StoredObject(id="box/j", name="j", container="box", size_bytes=2, etag="e", dlo_prefix="box/p")
OTHER_NET = changed(NET, id="m", name="m")
WHOLE: tuple[Resource, ...] = (
    NET, OTHER_NET, SUBNET, changed(SUBNET, id="w", network_id="m", cidr="10.8.0.0/24"), ROUTER, changed(ROUTER, id="r2"), LEG,
    changed(LEG, id="l2", network_id="m", router_id="r2"), changed(PORT, security_group_ids=("g",)), changed(PORT, id="p2", network_id="m"),
    WWW, changed(WWW, id="f2", port_id="p2"), GROUP, DEFAULT, RULE, changed(RULE, id="q2", security_group_id="d"), SERVER,
    disk("v", 0), changed(disk("w"), server_id="s2", id="s2/w"), VOLUME, changed(VOLUME, id="w"), SNAPSHOT, BOX, *PARTS, JOINED,
)  # fmt: skip
SIDE = cloud("a", *WHOLE)


def test_what_belongs_to_a_thing_is_its_own_and_no_others() -> None:
    def key(reference: Ref) -> str:
        return reference

    assert NET.belongings(SIDE, key) == ["10.0.0.0/24"] and OTHER_NET.belongings(SIDE, key) == ["10.8.0.0/24"]
    assert ROUTER.belongings(SIDE, key) == ["10.0.0.1"] and changed(ROUTER, id="r3").belongings(SIDE, key) == []
    assert SERVER.belongings(SIDE, key) == ["volume:v"] and VOLUME.belongings(SIDE, key) == []
    (rule,) = GROUP.belongings(SIDE, key)
    assert rule == changed(RULE, id="-", security_group_id="-").model_dump_json()


def test_whose_rules_they_are_does_not_tell_two_groups_apart_but_what_they_let_through_does() -> None:
    def belongings(**rule: object) -> list[str]:
        return GROUP.belongings(cloud("a", GROUP, changed(RULE, **rule)), lambda r: r)

    assert belongings(id="other", remote_group_id="g") == belongings()
    assert belongings(direction="egress") != belongings()


def test_what_must_go_first_hangs_on_a_thing_itself() -> None:
    relations = SIDE.relations
    port = SIDE.by_ref["port:p"]
    assert set(port.under(relations)) == {
        "network:n",
        "subnet:u",
        "security_group:g",
        "router_interface:l",
        "security_group_rule:q",
    }
    assert set(WWW.under(relations)) == {"port:p", "router_interface:l"}
    assert set(SERVER.under(relations)) == {"port:p", "attachment:s/v", "floating_ip:f"}
    assert disk("v", 0).under(relations) == ["volume:v"]
    assert set(JOINED.under(relations)) == {"container:box", "object:box/p1", "object:box/p2"}
    assert NET.under(relations) == [] and changed(SUBNET, network_id="gone").under(relations) == []


def test_what_is_kept_keeps_what_it_is_made_of_and_for_itself_also_what_is_in_it() -> None:
    relations = SIDE.relations
    both = {
        "network:n": {"subnet:u"}, "router:r": {"router_interface:l"}, "security_group:g": {"security_group_rule:q"},
        "port:p": {"floating_ip:f", "network:n", "subnet:u", "security_group:g", "router_interface:l", "security_group_rule:q"},
    }  # fmt: skip
    for reference, needs in both.items():
        for itself in (True, False):
            assert set(SIDE.by_ref[reference].upheld(relations, itself)) == needs, reference
    assert set(VOLUME.upheld(relations, True)) == {"attachment:s/v"} and VOLUME.upheld(relations, False) == []
    assert set(BOX.upheld(relations, True)) == {"object:box/p1", "object:box/p2", "object:box/q", "object:box/j"}
    assert BOX.upheld(relations, False) == []


def test_what_is_kept_and_is_not_there_keeps_nothing() -> None:
    kept: dict[Ref, Words] = {"volume:gone": "somebody wants it"}
    SIDE.relations.keep_what_is_needed(kept)
    assert kept == {"volume:gone": "somebody wants it"}


def test_who_names_a_thing_is_known_by_kind_field_and_id() -> None:
    relations = SIDE.relations
    assert relations.naming(Kind.FLOATING_IP, "port_id", "p") == ["floating_ip:f"]
    assert relations.naming(Kind.PORT, "security_group_ids", "g") == ["port:p"]
    assert relations.naming(Kind.PORT, "port_id", "p") == relations.naming(Kind.FLOATING_IP, "port_id", "") == []


def test_routes_and_the_keeping_of_versions_hold_others_and_are_made_last() -> None:
    routes = tuple(Route(destination=f"10.{n}.0.0/16", nexthop="10.0.0.9") for n in (8, 9))
    tied = changed(ROUTER, routes=routes)
    assert (tied.bonds(), ROUTER.bonds(), tied.unbound().routes) == (2, 0, ())
    assert ROUTER.bound(tied).routes == routes and ROUTER.held_by(SIDE.relations) == ["router_interface:l"]
    for field, value in (("versions_enabled", True), ("versions_location", "old"), ("history_location", "old")):
        keeping = changed(BOX, **{field: value})
        assert (keeping.bonds(), keeping.unbound(), BOX.bound(keeping)) == (1, BOX, keeping)
    assert (BOX.bonds(), BOX.unbound(), VOLUME.unbound(), VOLUME.bonds()) == (0, None, None, 0)
    assert set(BOX.held_by(SIDE.relations)) == {"object:box/p1", "object:box/p2", "object:box/q", "object:box/j"}
    gone = {"container:box", "router:r"}
    assert BOX.undone(BOX, gone) == {"versions_location": None, "history_location": None, "versions_enabled": False}
    assert BOX.undone(BOX, ()) == {}


# --- as it would be on the target


def there(reference: Ref) -> str | None:
    """Everything has an id there but what is gone."""
    return None if "gone" in reference else f"new-{reference}"


def _span(one: Subnet) -> set[int]:
    """The addresses of its pools, each once."""
    spans = [range(int(ip_address(p.start)), int(ip_address(p.end)) + 1) for p in one.allocation_pools]
    numbers = [n for span in spans for n in span]
    assert len(numbers) == len(set(numbers)) and all(spans)
    return set(numbers)


POOLS = (AllocationPool(start="10.0.0.10", end="10.0.0.14"), AllocationPool(start="10.0.0.20", end="10.0.0.20"),
         AllocationPool(start="10.0.0.30", end="10.0.0.39"))  # fmt: skip


@given(taken=st.sets(st.integers(8, 41)), paired=st.sets(st.integers(8, 41)))
def test_a_subnet_is_made_with_pools_that_lack_the_addresses_of_what_stands_in_it(
    taken: set[int], paired: set[int]
) -> None:
    subnet = changed(SUBNET, allocation_pools=POOLS)
    ips = tuple(FixedIp(subnet_id="u", ip_address=f"10.0.0.{n}") for n in sorted(taken))
    pairs = (*(AddressPair(ip_address=f"10.0.0.{n}") for n in sorted(paired)), AddressPair(ip_address="10.0.0.0/8"))
    port = changed(
        PORT,
        fixed_ips=ips,
        allowed_address_pairs=(*pairs, AddressPair(ip_address="2001:db8::1"), AddressPair(ip_address="nowhere")),
    )
    other = changed(PORT, id="q", network_id="m", fixed_ips=(FixedIp(subnet_id="w", ip_address="10.0.0.12"),))
    side = cloud("a", NET, OTHER_NET, subnet, port, other, changed(LEG, fixed_ips=()))
    first = subnet.at_first(side)
    base = int(ip_address("10.0.0.0"))
    assert _span(first) == _span(subnet) - {base + n for n in taken | paired}
    assert (first is subnet) == (not _span(subnet) & {base + n for n in taken | paired})
    assert first.bound(subnet) == subnet


def test_pools_of_a_subnet_whose_addresses_follow_from_cards_are_as_they_are() -> None:
    pools = (AllocationPool(start="2001:db8::2", end="2001:db8::9"),)
    six = changed(SUBNET, ip_version=6, cidr="2001:db8::/64", allocation_pools=pools)
    leg = changed(LEG, fixed_ips=(FixedIp(subnet_id="u", ip_address="2001:db8::2"),))
    assert six.at_first(cloud("a", NET, six, ROUTER, leg)).allocation_pools[0].start == "2001:db8::3"
    slaac = changed(six, ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    assert slaac.at_first(cloud("a", NET, slaac, ROUTER, leg)) is slaac


def test_a_rule_that_would_lose_its_remote_counts_as_open_in_its_group_there() -> None:
    target = cloud("b")
    kept = changed(RULE, remote_group_id="d").planned(there, target)
    assert (kept.security_group_id, kept.remote_group_id) == ("new-security_group:g", "new-security_group:d")
    for field in ("remote_group_id", "remote_address_group_id"):
        opened = changed(RULE, **{field: "gone"}).planned(there, target)
        assert isinstance(opened, SecurityGroupRule) and opened.security_group_id == "new-security_group:g"
        assert (opened.remote_group_id, opened.remote_address_group_id, opened.remote_ip_prefix) == (None, None, None)
    assert (
        changed(RULE, security_group_id="gone", remote_group_id="gone").planned(there, target).security_group_id == "-"
    )


def test_a_leg_without_one_of_its_ends_is_not_made() -> None:
    assert changed(LEG).planned(there, SIDE).network_id == "new-network:n"
    assert changed(LEG, router_id="gone").planned(there, SIDE) is None
    assert changed(LEG, network_id="gone").planned(there, SIDE) is None


def types(**extra: str) -> Offering:
    """Of which one encrypts."""
    return Offering(volume_types=(VolumeType(id="1", name="plain", is_default=True, extra_specs=extra),
                                  VolumeType(id="2", name="luks", description="[scs:encrypted] LUKS")))  # fmt: skip


def test_a_volume_is_encrypted_there_only_on_a_type_that_encrypts() -> None:
    target = cloud("b", offering=types())
    for encrypted, type_, then in ((True, "luks", True), (True, "plain", False), (False, "luks", False), (True, "odd", False),
                                   (True, None, False)):  # fmt: skip
        one = changed(VOLUME, encrypted=encrypted, volume_type=type_, image_origin={"image_id": "i", "checksum": "c"})
        planned = one.planned(there, target)
        assert (planned.encrypted, planned.image_origin) == (then, {"image_id": "new-image:i", "checksum": "c"})
    assert changed(VOLUME, image_origin={"image_id": "gone", "checksum": "c"}).planned(there, target).image_origin == {}


# --- what is looked at before anything is written


def checks(source: Workload, target: Workload) -> dict[str, Check]:
    return {check.name: check for check in Volume.checks(Ground(source, target, {}))}


def test_how_volumes_travel_is_told_with_their_size_and_the_clouds_that_pass_all_of_a_disk() -> None:
    two = (VOLUME, changed(VOLUME, id="w", size_gib=4), changed(VOLUME, id="x", size_gib=9, status="error"))
    raw, sparse = Offering(image_formats=("raw",)), Offering(image_formats=("raw", "qcow2"))
    for ours, theirs, whole in ((sparse, sparse, []), (Offering(), Offering(), []), (raw, sparse, ["a"]), (sparse, raw, ["b"]),
                                (raw, raw, ["a", "b"])):  # fmt: skip
        ground = Ground(cloud("a", *two, offering=ours), cloud("b", offering=theirs), {})
        told = Reason.of("check.passing.whole", size=7, clouds=whole) if whole else Reason.of("check.passing", size=7)
        assert list(Volume.remarks(ground)) == [told]
    nothing = Ground(cloud("a", two[2]), cloud("b"), {})
    assert list(Volume.remarks(nothing)) == list(Subnet.remarks(nothing)) == []


def test_volumes_of_several_servers_need_a_type_that_allows_it_and_a_cinder_that_tells() -> None:
    shared = (VOLUME, disk("v"), changed(disk("v"), id="s2/v", server_id="s2"))
    source = cloud("a", *shared)

    def said(offering: Offering, version: str = "3.59") -> tuple[Outcome, str, str]:
        target = cloud("b", offering=offering)
        identity = target.identity.model_copy(update={"services": {"block-storage": version}})
        check = checks(source, target.model_copy(update={"identity": identity}))["volumes of several servers"]
        assert isinstance(check.text, Reason) and check.text.values["things"] == ["v"]
        return check.outcome, check.text.id, check.remedy.id if isinstance(check.remedy, Reason) else ""

    assert said(types(multiattach="<is> True")) == (Outcome.HELD, "check.multiattach", "")
    lacking = (Outcome.FAILED, "check.multiattach.lacking", "do.multiattach")
    assert said(types(multiattach="<is> False")) == said(types(), "3.66") == said(types(), "4.0") == lacking
    unknown = (Outcome.NOT_SHOWN, "check.multiattach.unknown", "")
    assert said(types(), "3.65") == said(types(), "") == said(Offering()) == unknown
    assert "volumes of several servers" not in checks(cloud("a", VOLUME, disk("v")), cloud("b"))


# --- quotas, versions, words


def test_what_a_thing_takes_of_quotas_is_told_by_service_and_resource() -> None:
    def takes(one: ResourceBase) -> list[tuple[str, str, int]]:
        return [*one.uses(), *one.alone()]

    team = ServerGroup(id="t", name="t", policy="affinity", member_ids=("a", "b"))
    assert takes(team) == [("compute", "server_groups", 1), ("compute", "server_group_members", 2)]
    routes = tuple(Route(destination=f"10.{n}.0.0/16", nexthop="10.0.0.9") for n in (8, 9))
    assert takes(changed(ROUTER, routes=routes)) == [("network", "router", 1), ("network", "router_route", 2)]
    assert takes(changed(SERVER, metadata={"a": "b"})) == [
        ("compute", "instances", 1), ("compute", "cores", 2), ("compute", "ram_mib", 2048), ("compute", "metadata_items", 2),
    ]  # fmt: skip
    assert takes(VOLUME) == [
        ("block_storage", "volumes", 1), ("block_storage", "gigabytes", 3), ("block_storage", "per_volume_gigabytes", 3),
    ]  # fmt: skip
    assert list(changed(VOLUME, volume_type="fast").shares()) == [
        ("block_storage", one, f"{one}_fast") for one in ("volumes", "gigabytes", "snapshots")
    ]
    assert list(VOLUME.shares()) == list(NET.shares()) == []
    assert list(NET.alone()) == list(NET.passing()) == []
    assert takes(PARTS[0]) == [("object_store", "bytes", 1), ("object_store", "objects", 1)]
    image = Image(id="i", name="i", status="active", size_bytes=2**20 + 1)
    assert takes(image) == [("image", "image_count_total", 1), ("image", "image_size_total", 2)]


@pytest.mark.parametrize(
    ("one", "field", "since"),
    [
        (changed(SERVER, description="d"), "description", "2.19"), (changed(SERVER, tags=("t",)), "tags", "2.52"),
        (changed(SERVER, locked_reason="r"), "locked_reason", "2.73"), (changed(SERVER, hostname="h"), "hostname", "2.90"),
        (changed(SERVER, hostname="h.x"), "hostname", "2.94"),
        (ServerGroup(id="t", name="t", policy="anti-affinity", max_server_per_host=2), "max_server_per_host", "2.64"),
        (disk("v", tag="t"), "tag", "2.49"), (disk("v", delete_on_termination=True), "delete_on_termination", "2.79"),
    ],
)  # fmt: skip
def test_what_an_older_nova_takes_from_nobody_changes_to_what_says_nothing(one: Any, field: str, since: str) -> None:
    def found(version: str) -> list[tuple[str, object, object, object]]:
        target = cloud("b", offering=Offering(flavors=(SERVER.flavor,)))
        identity = target.identity.model_copy(update={"services": {"compute": version}})
        ground = Ground(cloud("a", SERVER, PORT, VOLUME, one) if one.id != "s" else cloud("a", one, PORT),
                        target.model_copy(update={"identity": identity}), {})  # fmt: skip
        return [(c.field, c.was, c.to, c.why) for c in one.fate(ground).changes]

    major, _, minor = since.partition(".")
    unset = type(one).model_fields[field].default
    was = getattr(one, field)
    told = (field, [*was] if isinstance(was, tuple) else was, [] if unset == () else unset)
    assert found(f"{major}.{int(minor) - 1}") == [
        (*told, Reason.of("plan.server.microversion", field=field, since=since))
    ]
    assert found(since) == found("") == found("3.1") == []


def test_what_a_person_calls_a_kind_of_opening_has_words() -> None:
    told = {kind: str(kind.words) for kind in Opened}
    assert len(set(told.values())) == len(Opened)
    assert all(kind.words.id.startswith("opened.") and kind.words.id not in told[kind] for kind in Opened)


def test_where_a_mark_stands_decides_by_what_a_thing_is_told_to_be_ours() -> None:
    assert {mark for mark in Mark if mark.lasting} == {Mark.BORN, Mark.LATER}
    assert {mark for mark in Mark if mark.at_birth} == {Mark.BORN, Mark.BRIEFLY}
    assert len({mark.value for mark in Mark}) == len(Mark) == 6


def test_a_locked_server_is_born_unlocked_and_without_a_reason() -> None:
    made = changed(SERVER, locked_reason="ours").born(NOTHING, 1)
    assert (made.locked, made.locked_reason) == (False, "")


def test_a_route_whose_next_hop_is_on_a_leg_goes_along_and_another_does_not() -> None:
    near, far = (Route(destination="10.9.0.0/16", nexthop=hop) for hop in ("10.0.0.9", "10.7.0.9"))
    odd = changed(SUBNET, cidr="10.0.0.5/24")
    for routes, kept in (((near, far), (near,)), ((near,), None), ((far,), ())):
        one = changed(ROUTER, routes=routes, external_network_id=None)
        for subnet in (SUBNET, odd):
            changes = {c.field: c for c in one.fate(Ground(cloud("a", NET, subnet, one, LEG), cloud("b"), {})).changes}
            assert ("routes" in changes) is (kept is not None)
            if kept is not None:
                assert changes["routes"].was == [r.model_dump() for r in routes]
                assert changes["routes"].to == [r.model_dump() for r in kept]
                assert changes["routes"].why == Reason.of("plan.router.routes", routes=["10.9.0.0/16 via 10.7.0.9"])


def test_an_object_that_is_joined_needs_a_store_that_joins_unless_the_store_does_not_say() -> None:
    joined = changed(PARTS[2], segments=(Segment(path="box/p1", size_bytes=1, etag="e"),))
    linked = changed(PARTS[2], symlink_to="box/p1")
    for one, feature in ((joined, "slo"), (linked, "symlink"), (PARTS[2], None)):
        for features, moves in (
            ((), True),
            (("slo", "symlink"), True),
            (("tempurl",), feature is None),
            (("slo",), feature != "symlink"),
        ):
            source = cloud("a", BOX, *PARTS[:2], one)
            entry = one.fate(Ground(source, cloud("b", offering=Offering(object_features=features)), {}))
            assert entry.fate.moves is moves
            assert moves or entry.why == Reason.of("plan.object.feature", feature=feature)


def test_a_thing_that_others_hold_on_the_target_is_not_taken_by_what_has_no_port() -> None:
    free = changed(WWW, port_id=None)
    assert not free.takes(changed(WWW, id="f3", port_id=None), NOTHING) and not free.takes(PORT, NOTHING)
    assert not WWW.takes(free, NOTHING) and not WWW.takes(changed(PORT, id="p"), NOTHING)


def test_what_has_no_room_for_our_mark_stays_and_says_of_what_it_has_too_many() -> None:
    ground = Ground(cloud("a", BOX), cloud("b"), {})
    for one, count, what in (
        (changed(NET, tags=("x",) * 50), 50, "tags"), (changed(BOX, metadata={str(n): "" for n in range(90)}), 90, "metadata"),
        (changed(Image(id="i", name="i", status="active"), tags=("x",) * 128), 128, "tags"),
        (changed(PARTS[0], metadata={str(n): "" for n in range(90)}), 90, "metadata"),
        (changed(BOX, metadata={str(n): "v" * 255 for n in range(16)}), 16, "metadata"),
    ):  # fmt: skip
        entry = one.fate(ground)
        assert (entry.fate, entry.why) == (Fate.LEFT, Reason.of("plan.full", count=count, what=what))
        assert entry.remedy == Reason.of("do.make-room")


# --- what it is called, and what most kinds are not


@pytest.mark.parametrize(
    ("one", "called"),
    [
        (NET, "network n"), (SUBNET, "subnet 10.0.0.0/24 of <network:n>"), (ROUTER, "router r"), (LEG, "leg 10.0.0.1 of <router:r>"),
        (PORT, "port p 10.0.0.5 on <network:n>"), (changed(PORT, fixed_ips=()), "port p m on <network:n>"),
        (WWW, "floating ip  for <port:p>"), (changed(WWW, port_id=None, description="d"), "floating ip d for nothing"),
        (GROUP, "security_group g"), (SERVER, "server s"), (disk("v"), "<volume:v> on <server:s>"), (VOLUME, "volume v"),
        (SNAPSHOT, "snapshot t"), (BOX, "container box"), (PARTS[0], "object box/p1"),
        (Image(id="i", name="i", status="active"), "image i"), (ServerGroup(id="t", name="t", policy="affinity"), "server_group t"),
        (changed(RULE, remote_group_id="g", id="x", description="d"),
         'rule {"direction":"ingress","ethertype":"IPv4","port_range_max":null,"port_range_min":null,"protocol":null,'
         '"remote_address_group_id":null,"remote_group_id":"<security_group:g>","remote_ip_prefix":null,'
         '"security_group_id":"<security_group:g>"}'),
    ],
    ids=lambda v: getattr(v, "ref", ""),
)  # fmt: skip
def test_a_thing_is_called_on_both_sides_by_what_its_user_gave_it_and_by_what_it_hangs_on(
    one: Any, called: str
) -> None:
    assert one.natural_key(lambda reference: f"<{reference}>") == called


def test_what_is_so_of_few_kinds_is_not_so_of_the_others() -> None:
    one: ResourceBase = NET
    relations = SIDE.relations
    assert not (
        one.backed(relations) or one.is_unattached() or one.leaves_with_another() or one.is_filled() or one.is_linked()
    )
    assert not (
        one.any_of_alike() or one.is_occupied() or one.has_content() or one.takes(NET, NOTHING) or one.has_ended(AT)
    )
    assert (one.passages(backed=True), one.attachments(SIDE), one.along(SIDE), one.held_by(relations)) == (
        [],
        [],
        [],
        [],
    )
    assert (one.draws(NOTHING), one.occupies(), one.unattached_since(), one.goes_at(), one.born_with()) == (None,) * 5
    told = (
        one.holder(),
        one.power(),
        one.protection(),
        one.protected_for(),
        one.place(),
        one.lacks(SIDE),
        one.md5(),
        one.denied(),
    )
    assert set(told) == {""} and (one.bonds(), one.own_size(), one.doomed(relations), one.at_most(one)) == (
        0,
        0,
        (),
        frozenset(),
    )
    assert one.parts(SIDE) == (("network:n", slice(None)),) and (one.from_birth(SIDE), one.unread(SIDE)) == ("", "")
    assert (list(one.beyond(SIDE)), list(one.pinned()), list(one.claims()), one.undone(one, {"network:n"})) == (
        [],
        [],
        [],
        {},
    )
    same = (
        one.born(NOTHING, 1),
        one.touched(AT),
        one.filled(1),
        one.occupied(by_another=True),
        one.bound(one),
        one.with_payload(one),
    )
    assert (
        all(made is one for made in same)
        and one.alike(changed(NET, id="x"))
        and not one.alike(changed(NET, description="x"))
    )


SPOKEN_OF = (
    "snapshot:t",
    "floating_ip:f",
    "floating_ip:f2",
    "server:s",
    "router:r",
    "router:r2",
    "security_group:d",
    "attachment:s2/w",
)
"""What is left, gets another address or another name, or loses something."""


@pytest.mark.parametrize("one", [r for r in WHOLE if r.ref not in SPOKEN_OF], ids=lambda r: r.ref)
def test_of_a_thing_that_the_target_can_have_as_it_is_nothing_is_said(one: Resource) -> None:
    ground = Ground(SIDE, cloud("b", offering=types()), {})
    wished = changed(one, volume_type="plain") if isinstance(one, Volume) else one
    entry = wished.fate(ground)
    assert (entry.fate, entry.why, entry.remedy, entry.changes, entry.stands_in) == (Fate.CARRIED, "", "", (), None)


def test_an_external_network_that_nobody_names_is_told_by_its_id() -> None:
    named = Offering(external_networks=(ExternalNetwork(id="y", name="public"),))
    why, remedy = Ground(cloud("a"), cloud("b", offering=named), {}).no_external("x")
    assert why == Reason.of("plan.network.no-external-of-name", name="x")
    assert remedy == Reason.of("do.choose-network", names=["public"], option="plan --map external:x=NAME")
    ground = Ground(cloud("a"), cloud("b", offering=named), {("external", "x"): "y"})
    assert (ground.external("x"), ground.external("w"), ground.translate["external_network:x"]) == ("y", None, "y")
    assert ground.another("x", "y") == [Reason.of("plan.network.chosen", network="public", instead_of="")]
