# SPDX-License-Identifier: Apache-2.0
"""What a thing of each kind says of those beside it on its side: what belongs to it, what must wait, what stays with it."""

from __future__ import annotations

from test_kinds_in_a_cloud import (
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
    Check,
    Container,
    Ground,
    Kind,
    Offering,
    Ref,
    Resource,
    Route,
    SecurityGroupRule,
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
