# SPDX-License-Identifier: Apache-2.0
"""What a cloud makes of each kind, fills in, drops, refuses and takes away: as the simulator asks it of the kinds.

That a real cloud does the same, the contract tests show, on both.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_planning import cloud

from unterbau.tenant.kinds import (
    AddressGroup,
    Attachment,
    Container,
    FixedIp,
    Flavor,
    FloatingIp,
    Image,
    Keypair,
    Kind,
    Network,
    Offering,
    Port,
    Resource,
    Route,
    Router,
    RouterInterface,
    Secret,
    SecurityGroup,
    SecurityGroupRule,
    Segment,
    Server,
    ServerGroup,
    Snapshot,
    Source,
    StoredObject,
    Subnet,
    Volume,
    VolumeType,
)
from unterbau.tenant.kinds.origin import NOTHING

AT = datetime(2026, 11, 26, tzinfo=UTC)
FLAVOR = Flavor(name="m", vcpus=2, ram_mib=2048, disk_gib=0)
NET = Network(id="n", name="n")
SUBNET = Subnet(id="u", name="u", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None)
ROUTER = Router(id="r", name="r", external_network_id="x")
LEG = RouterInterface(id="l", router_id="r", network_id="n", fixed_ips=(FixedIp(subnet_id="u", ip_address="10.0.0.1"),))
PORT = Port(
    id="p", name="p", network_id="n", mac_address="m", fixed_ips=(FixedIp(subnet_id="u", ip_address="10.0.0.5"),)
)
WWW = FloatingIp(id="f", address="198.51.100.1", external_network_id="x", port_id="p")
GROUP = SecurityGroup(id="g", name="g")
DEFAULT = SecurityGroup(id="d", name="default")
RULE = SecurityGroupRule(id="q", security_group_id="g", direction="ingress", ethertype="IPv4")
SERVER = Server(id="s", name="s", status="SHUTOFF", flavor=FLAVOR, port_ids=("p",), locked=True)
VOLUME = Volume(id="v", name="v", status="available", size_gib=3)
SNAPSHOT = Snapshot(id="t", name="t", status="available", volume_id="v", size_gib=3)
IMAGE = Image(id="i", name="i", status="active", owner_id="pa", hash_algo="sha512", hash_value="aa", size_bytes=5 << 20)
BOX = Container(id="box", name="box")
OBJECT = StoredObject(id="box/o", name="o", container="box", size_bytes=7, etag="e")
SECRET = Secret(id="e", name="e", content_type="text/plain", metadata={"Who": "We"})
TEAM = ServerGroup(id="a", name="a", policy="anti-affinity", max_server_per_host=2, member_ids=("s", "s2"))
KEY = Keypair(id="k", name="k", public_key="ssh-ed25519 AAAA", fingerprint="f")


def disk(volume: str, boot_index: int | None = None, **fields: Any) -> Attachment:
    return Attachment(id=f"s/{volume}", server_id="s", volume_id=volume, boot_index=boot_index, **fields)


def changed(one: Resource, **fields: Any) -> Any:
    return one.model_copy(update=fields)


# --- what is filled in, and what is dropped


def test_a_cloud_fills_in_what_was_left_open_and_nothing_else() -> None:
    here = cloud("a", NET, SUBNET, PORT, offering=Offering(
        compute_zones=("c1", "c2"), volume_zones=("v1",),
        volume_types=(VolumeType(id="1", name="slow"), VolumeType(id="2", name="fast", is_default=True)),
    ))  # fmt: skip
    assert NET.completed(here, AT).mtu == 1450 and changed(NET, mtu=9000).completed(here, AT).mtu == 1450
    assert changed(NET, mtu=1300).completed(here, AT).mtu == 1300
    assert WWW.completed(here, AT).fixed_ip_address == "10.0.0.5"
    for left in (changed(WWW, port_id=None), changed(WWW, port_id="gone"), changed(WWW, fixed_ip_address="10.0.0.6")):
        assert left.completed(here, AT) == left
    made = VOLUME.completed(here, AT)
    assert (made.volume_type, made.availability_zone, made.created_at) == ("fast", "v1", AT)
    kept = changed(VOLUME, volume_type="slow", availability_zone="v9").completed(here, AT)
    assert (kept.volume_type, kept.availability_zone) == ("slow", "v9")
    bare = VOLUME.completed(cloud("a"), AT)
    assert (bare.volume_type, bare.availability_zone) == (None, "")
    up = SERVER.completed(here, AT)
    assert (up.availability_zone, up.host_id, up.created_at) == ("c1", "host", AT)
    assert changed(SERVER, availability_zone="c2").completed(here, AT).availability_zone == "c2"
    assert SERVER.completed(cloud("a"), AT).availability_zone == ""
    picture = changed(IMAGE, owner_id="").completed(here, AT)
    assert (picture.owner_id, picture.hash_algo, picture.hash_value, picture.created_at) == ("pa", None, None, AT)
    assert BOX.completed(here, AT).storage_policy == "Policy-0"
    assert changed(BOX, storage_policy="gold").completed(here, AT).storage_policy == "gold"
    written = changed(OBJECT, metadata={"a": " b ", "c_d": "x"}).completed(here, AT)
    assert (written.last_modified, written.metadata) == (AT, {"a": "b"})


def test_a_cloud_drops_what_a_member_cannot_decide_when_it_makes_a_thing() -> None:
    wide = changed(ROUTER, routes=(Route(destination="10.9.0.0/16", nexthop="10.0.0.9"),), ha=True, distributed=True)
    made = wide.born(NOTHING, 7)
    assert (made.routes, made.ha, made.distributed) == ((), None, None)
    assert (made.enable_snat, made.external_fixed_ips) == (True, ("203.0.113.7",))
    inner = changed(wide, external_network_id=None).born(NOTHING, 7)
    assert (inner.enable_snat, inner.external_fixed_ips) == (None, ())
    assert WWW.born(NOTHING, 251).address == "198.51.100.1" and WWW.born(NOTHING, 7).address == "198.51.100.7"
    started = SERVER.born(NOTHING, 1)
    assert (started.status, started.locked, started.power(), SERVER.power()) == ("ACTIVE", False, "", "SHUTOFF")
    blank = changed(VOLUME, status="", encrypted=True, multiattach=True).born(NOTHING, 1)
    assert (blank.status, blank.encrypted, blank.multiattach) == ("available", False, False)
    assert changed(SNAPSHOT, status="").born(NOTHING, 1).status == "available"
    empty = changed(IMAGE, visibility="shared", protected=True).born(NOTHING, 1)
    assert (empty.status, empty.visibility, empty.protected) == ("queued", "private", False)
    assert not empty.is_filled() and empty.filled(9).is_filled() and empty.filled(9).size_bytes == 9
    assert IMAGE.born(Source(volume_id="v"), 1) == IMAGE, "from a volume it is filled at once"
    assert TEAM.born(NOTHING, 1).max_server_per_host == 2
    assert changed(TEAM, policy="affinity").born(NOTHING, 1).max_server_per_host is None
    full = changed(BOX, object_count=3, bytes_used=4, sync_to="//x", metadata={"a": " b ", "c": " ", "d_e": "f"})
    fresh = full.born(NOTHING, 1)
    assert (fresh.object_count, fresh.bytes_used, fresh.sync_to, fresh.metadata) == (0, 0, None, {"a": "b"})


def test_a_secret_has_its_payload_and_the_type_of_it_later_and_its_metadata_in_lower_case() -> None:
    made = SECRET.born(NOTHING, 1)
    assert (made.content_type, made.metadata, made.has_content()) == (None, {"who": "We"}, False)
    assert made.with_payload(SECRET).content_type == "text/plain"
    assert made.with_payload(changed(SECRET, content_type=None)).content_type == "application/octet-stream"
    assert made.with_payload(NET).content_type == "application/octet-stream"


# --- what is refused


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (changed(NET, name="x" * 256), "longer than 255"), (changed(NET, name="x" * 255), ""),
        (changed(NET, tags=("x",) * 50), "more than 50 tags"), (changed(NET, tags=("x",) * 49), ""),
        (changed(NET, tags=("x" * 256,)), "longer than 255"), (changed(NET, tags=("x" * 255,)), ""),
        (changed(SERVER, metadata={"k" * 256: "v"}), "metadata longer"), (changed(SERVER, metadata={"k": "v" * 256}), "metadata longer"),
        (changed(SERVER, metadata={"k" * 255: "v" * 255}), ""),
        (AddressGroup(id="a", name="a", addresses=("10.0.0.0/8", "10.0.0.1")), "10.0.0.1 is no network"),
        (AddressGroup(id="a", name="a", addresses=("10.0.0.0/8",)), ""), (AddressGroup(id="a", name="x" * 256), "longer than 255"),
        (changed(TEAM, policy="together"), "no such policy"), (TEAM, ""), (changed(TEAM, name="x" * 256), "longer than 255"),
        (changed(SECRET, expiration=AT), "it has ended"), (changed(SECRET, expiration=AT + timedelta(seconds=1)), ""),
        (changed(SECRET, name="x" * 256, expiration=AT + timedelta(1)), "longer than 255"),
        (changed(OBJECT, delete_at=AT), "it has ended"), (changed(OBJECT, delete_at=AT + timedelta(seconds=1)), ""),
        (changed(OBJECT, name="ä" * 513), "longer than 1024 bytes"), (changed(OBJECT, name="ä" * 512), ""),
        (changed(OBJECT, metadata={str(n): "" for n in range(90)}), "more than 90 metadata"),
        (changed(OBJECT, metadata={str(n): "" for n in range(89)}), ""),
        (changed(BOX, metadata={"k" * 129: ""}), "a name of metadata"), (changed(BOX, metadata={"k": "v" * 257}), "or a value"),
        (changed(BOX, metadata={"k" * 128: "v" * 256}), ""), (changed(BOX, name="a/b"), "has a slash"),
        (changed(BOX, name="ä" * 129), "longer than 256 bytes"), (changed(BOX, name="ä" * 128), ""),
    ],
    ids=lambda v: v if isinstance(v, str) else v.own_kind.value,
)  # fmt: skip
def test_no_cloud_makes_what_is_beyond_its_limits_or_has_ended(one: Any, said: str) -> None:
    told = one.unfit(AT)
    assert said in told and bool(told) is bool(said)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (NET, ""), (changed(NET, shared=True), "cannot share"), (changed(NET, external=True), "external"),
        (ROUTER, ""), (changed(ROUTER, enable_snat=False), "SNAT"), (changed(ROUTER, enable_snat=True), ""),
        (changed(ROUTER, enable_snat=False, external_network_id=None), ""),
        (IMAGE, ""), (changed(IMAGE, visibility="public"), "publish"),
        (changed(SERVER, metadata={str(n): "" for n in range(129)}), "128 metadata"),
        (changed(SERVER, metadata={str(n): "" for n in range(128)}), ""),
    ],
    ids=lambda v: v if isinstance(v, str) else v.own_kind.value,
)  # fmt: skip
def test_a_member_may_not_have_what_is_an_administrators(one: Any, said: str) -> None:
    told = one.denied()
    assert said in told and bool(told) is bool(said)


def test_a_public_address_is_reachable_only_by_a_router_that_leads_out() -> None:
    for whole, lacking in (
        ((NET, SUBNET, ROUTER, LEG, PORT), False), ((NET, SUBNET, ROUTER, PORT), True),
        ((NET, SUBNET, changed(ROUTER, external_network_id=None), LEG, PORT), True), ((NET, SUBNET, LEG, PORT), True),
        ((NET, SUBNET, ROUTER, changed(LEG, network_id="m"), PORT), True),
    ):  # fmt: skip
        assert bool(WWW.lacks(cloud("a", *whole))) is lacking, whole
    assert changed(WWW, port_id=None).lacks(cloud("a")) == ""


@pytest.mark.parametrize(
    ("one", "there", "takes"),
    [
        (PORT, changed(PORT, id="p2", fixed_ips=()), True), (PORT, changed(PORT, id="p2", mac_address="m2"), True),
        (PORT, changed(PORT, id="p2", mac_address="m2", fixed_ips=()), False), (PORT, changed(PORT, id="p2", network_id="n2"), False),
        (PORT, NET, False), (SUBNET, changed(SUBNET, id="u2"), True), (SUBNET, changed(SUBNET, network_id="n2"), False),
        (SUBNET, changed(SUBNET, cidr="10.1.0.0/24"), False), (SUBNET, NET, False),
        (LEG, changed(LEG, id="l2"), True), (LEG, changed(LEG, fixed_ips=()), False), (LEG, PORT, False),
        (WWW, changed(WWW, id="f2"), True), (WWW, changed(WWW, port_id="p2"), False), (WWW, PORT, False),
        (changed(WWW, port_id=None), changed(WWW, port_id=None), False),
        (DEFAULT, changed(DEFAULT, id="d2"), True), (GROUP, changed(GROUP, id="g2"), False), (DEFAULT, GROUP, False),
        (GROUP, DEFAULT, False), (DEFAULT, NET, False),
        (RULE, changed(RULE, id="q2", description="other words"), True), (RULE, changed(RULE, direction="egress"), False),
        (RULE, GROUP, False), (BOX, changed(BOX, metadata={"a": "b"}), True), (BOX, changed(BOX, name="b2"), False), (BOX, NET, False),
        (KEY, changed(KEY, public_key="ssh-rsa BBBB"), True), (KEY, changed(KEY, name="k2"), False), (KEY, changed(BOX, name="k"), False),
        (SERVER, changed(SERVER, id="s2"), True), (SERVER, changed(SERVER, port_ids=("p2",)), False), (SERVER, PORT, False),
        (SERVER, disk("v"), True), (SERVER, disk("v2"), False),
        (disk("v"), changed(disk("v"), server_id="s2"), True), (disk("v"), disk("v2"), False), (disk("v"), VOLUME, False),
    ],
)  # fmt: skip
def test_what_can_be_had_only_once_is_taken_by_whoever_has_it(one: Any, there: Any, takes: bool) -> None:
    assert one.takes(there, Source(disks=(disk("v", 0),))) is takes


# --- from what a thing is made, and how its content is read


def test_a_content_is_drawn_from_an_image_a_snapshot_or_a_volume() -> None:
    assert VOLUME.draws(Source(image_id="1")) == "image:1" and VOLUME.draws(Source(snapshot_id="1")) == "snapshot:1"
    assert VOLUME.draws(Source(volume_id="1")) == "volume:1" and VOLUME.draws(NOTHING) is None
    assert IMAGE.draws(Source(volume_id="1")) == "volume:1" and IMAGE.draws(NOTHING) is None
    assert SNAPSHOT.draws(NOTHING) == "volume:v" and NET.draws(NOTHING) is None


def test_a_volume_in_use_is_snapshot_only_by_force_and_never_uploaded() -> None:
    busy = VOLUME.occupied(by_another=True)
    assert busy.is_occupied() and not busy.is_unattached() and not busy.occupied(by_another=False).is_occupied()
    assert SNAPSHOT.too_busy(busy, NOTHING) and not SNAPSHOT.too_busy(busy, Source(force=True))
    assert not SNAPSHOT.too_busy(VOLUME, NOTHING)
    assert IMAGE.too_busy(busy, Source(volume_id="v")) and not IMAGE.too_busy(VOLUME, Source(volume_id="v"))
    assert (
        changed(VOLUME, updated_at=AT).unattached_since() == AT
        and changed(busy, updated_at=AT).unattached_since() is None
    )
    assert VOLUME.touched(AT).updated_at == AT


@pytest.mark.parametrize(
    ("status", "backed", "way"),
    [("available", False, ["image"]), ("available", True, ["clone", "image"]), ("in-use", False, ["snapshot", "copy", "image"]),
     ("in-use", True, ["snapshot", "copy", "image"])],
)  # fmt: skip
def test_a_disk_is_read_by_copies_that_disturb_nobody(status: str, backed: bool, way: list[str]) -> None:
    one = changed(VOLUME, status=status, volume_type="fast")
    passages = one.passages(backed=backed)
    assert [p.what for p in passages] == way and [p.readable for p in passages] == [w == "image" for w in way]
    origin = "v"
    for passage in passages:
        made, source = passage.make("name", origin)
        assert (made.name, made.own_kind) == ("name", passage.kind)
        if isinstance(made, Snapshot):
            assert (made.volume_id, made.size_gib, source) == ("v", 3, Source(force=True))
        elif isinstance(made, Volume):
            from_snapshot = passage.what == "copy"
            assert (made.size_gib, made.volume_type) == (3, "fast")
            assert source == (Source(snapshot_id=origin) if from_snapshot else Source(volume_id=origin))
        else:
            assert (made.visibility, made.disk_format, made.container_format) == ("private", "raw", "bare")
            assert source == Source(volume_id=origin)
        origin = f"id of {passage.what}"
    arriving, nothing = one.passage("arrival").make("name", "-")
    assert isinstance(arriving, Image) and arriving.visibility == "private" and nothing == NOTHING
    assert {k: n for _, k, n in one.passing()} == {"volumes": 1, "snapshots": 1, "gigabytes": 6}
    with pytest.raises(TypeError, match="is not exported"):
        NET.passage("image")


def test_a_volume_with_snapshots_has_something_standing_on_it() -> None:
    assert VOLUME.backed(cloud("a", VOLUME, SNAPSHOT).relations) and not VOLUME.backed(cloud("a", VOLUME).relations)


def test_what_a_linked_object_consists_of_is_read_in_its_place_and_anothers_is_not() -> None:
    segments = tuple(Segment(path=f"box/{n}", size_bytes=1, etag=f"e{n}") for n in (2, 1))
    large, link = changed(OBJECT, segments=segments), changed(OBJECT, symlink_to="box/x", symlink_etag="ex")
    abroad = changed(OBJECT, symlink_to="box/x", symlink_account="AUTH_x")
    joined = changed(OBJECT, id="box/j", name="j", dlo_prefix="box/p")
    inline = changed(OBJECT, segments=(
        Segment(path="", size_bytes=2, etag="i"), segments[0], Segment(path="", size_bytes=3, etag="j"),
    ))  # fmt: skip
    parts = [changed(OBJECT, id=f"box/{n}", name=n) for n in ("p2", "p1", "q")]
    here, whole = cloud("a", joined, *parts), slice(None)
    assert [one.parts(here) for one in (OBJECT, large, link, abroad, joined, inline)] == [
        (("object:box/o", whole),), (("object:box/2", whole), ("object:box/1", whole)), (("object:box/x", whole),), None,
        (("object:box/p1", whole), ("object:box/p2", whole)),
        (("object:box/o", slice(0, 2)), ("object:box/2", whole), ("object:box/o", slice(2, 5))),
    ]  # fmt: skip
    assert [one.own_size() for one in (OBJECT, large, inline, changed(joined, body_bytes=4))] == [0, 0, 5, 4]
    assert list(large.pinned()) == [("object:box/2", "e2"), ("object:box/1", "e1")]
    assert list(link.pinned()) == [("object:box/x", "ex")] and list(OBJECT.pinned()) == []
    dynamic = changed(OBJECT, dlo_prefix="box/p")
    assert [one.is_linked() for one in (OBJECT, large, link, dynamic, changed(OBJECT, segments=()))] == [
        False,
        True,
        True,
        True,
        True,
    ]
    assert [one.has_content() for one in (OBJECT, large, link)] == [True, True, False]
    assert [[n for *_, n in one.uses()] for one in (OBJECT, large, link)] == [[7, 1], [0, 1], [0, 1]]


def test_what_is_stamped_the_same_has_the_same_content() -> None:
    assert changed(OBJECT, last_modified=AT).stamp() == {"etag": "e", "last_modified": AT.isoformat(), "bytes": 7}
    assert OBJECT.stamp() == {} and changed(OBJECT, last_modified=AT, dlo_prefix="box/p").stamp() == {}
    assert IMAGE.stamp() == {"hash_algo": "sha512", "hash_value": "aa"}
    assert (
        changed(IMAGE, status="queued").stamp() == {}
        and changed(IMAGE, hash_value=None).stamp() == {}
        and NET.stamp() == {}
    )


# --- what goes with what


def test_a_things_going_changes_those_that_used_it_by_itself() -> None:
    gone = {"port:p", "server:s", "router:r", "image:i"}
    assert WWW.undone(WWW, gone) == {"port_id": None, "fixed_ip_address": None} and WWW.undone(WWW, {"server:s"}) == {}
    used = changed(PORT, device_id="s", device_owner="compute:nova", dns_name="s")
    assert (
        used.undone(used, gone) == {"device_id": "", "device_owner": "", "dns_name": ""}
        and used.undone(used, {"port:p"}) == {}
    )
    assert ROUTER.undone(ROUTER, gone) == {"routes": ()} and ROUTER.undone(ROUTER, ()) == {}
    assert IMAGE.undone(IMAGE, gone) == {"protected": False} and IMAGE.undone(IMAGE, ()) == {}
    assert SERVER.undone(SERVER, gone) == {"locked": False, "locked_reason": ""} and SERVER.undone(SERVER, ()) == {}
    assert (
        disk("v").undone(disk("v"), gone) == {"delete_on_termination": False}
        and disk("v").undone(disk("v"), {"volume:v"}) == {}
    )
    rest = changed(TEAM, member_ids=("s2",))
    assert TEAM.undone(rest, gone) == {"member_ids": ("s2",)} and TEAM.undone(rest, ()) == {}, "it left by itself"
    assert TEAM.undone(changed(TEAM, member_ids=("s2", "s3")), gone) == {}, "another came"
    assert TEAM.undone(NET, gone) == {}


def test_a_cloud_deletes_the_rules_with_their_group_and_the_disks_that_were_to_go_with_their_server() -> None:
    both = (disk("v", delete_on_termination=True), disk("w"))
    side = cloud("a", GROUP, RULE, SERVER, *both)
    assert GROUP.along(side) == ["security_group_rule:q"] and NET.along(side) == []
    assert set(SERVER.along(side)) == {"attachment:s/v", "attachment:s/w", "volume:v"}
    assert SERVER.doomed(side.relations) == ("attachment:s/v",)


def test_disks_stand_in_the_order_of_their_devices_with_the_root_first() -> None:
    disks = (
        disk("1", device="/dev/vdaa"),
        disk("2", device="/dev/vdb"),
        disk("3", 0, device="/dev/vdz"),
        disk("4", device="/dev/vdc"),
    )
    side = cloud("a", SERVER, *disks)
    assert [a.volume_id for a in SERVER.attachments(side)] == ["3", "2", "4", "1"]
    volumes = tuple(changed(VOLUME, id=n, name=f"disk {n}") for n in "1234")
    whole = cloud("a", SERVER, *disks, *volumes)
    assert SERVER.belongings(whole, lambda r: whole.by_ref[r].name) == ["disk 3", "disk 2", "disk 4", "disk 1"]
    assert [disk("1", n).leaves_with_another() for n in (0, 1, None)] == [True, False, False]
    assert (disk("1").holder(), disk("1").occupies(), disk("1").place()) == ("server:s", "volume:1", "s/1")


def test_what_is_protected_says_by_what() -> None:
    assert (SERVER.protection(), changed(SERVER, locked=False).protection()) == ("locked", "")
    assert (changed(IMAGE, protected=True).protection(), IMAGE.protection(), NET.protection()) == ("protected", "", "")


def test_what_another_project_has_is_rightly_in_no_listing() -> None:
    assert [
        NET.elsewhere("pa"),
        changed(NET, shared=True).elsewhere("pa"),
        changed(NET, external=True).elsewhere("pa"),
    ] == [False, True, True]
    assert (IMAGE.elsewhere("pa"), IMAGE.elsewhere("pb"), SUBNET.elsewhere("pa")) == (False, True, "network:n")
    assert PORT.elsewhere("pa") is False


def test_a_port_of_a_server_is_claimed_by_it_and_another_is_not() -> None:
    used = changed(PORT, device_id="s", device_owner="compute:nova")
    assert list(used.claims()) == [("server:s", "port_ids")] and ("device_id", "server:s", False) in list(used.ties())
    for other in (PORT, changed(used, device_owner="network:dhcp"), changed(used, device_id="")):
        assert list(other.claims()) == [] and "device_id" not in [field for field, *_ in other.ties()]


def test_the_group_default_is_never_without_its_rules() -> None:
    assert DEFAULT.born_with() == (Kind.SECURITY_GROUP_RULE, "security_group_id") and GROUP.born_with() is None


@pytest.mark.parametrize(
    ("one", "extensions"),
    [
        (NET, []), (changed(NET, port_security_enabled=False, dns_domain="x.", vlan_transparent=True, tags=("t",)),
                    ["port-security", "dns-integration", "vlan-transparent", "standard-attr-tag"]),
        (SUBNET, []), (changed(SUBNET, service_types=("x",), dns_publish_fixed_ip=True, tags=("t",)),
                       ["subnet-service-types", "subnet-dns-publish-fixed-ip", "standard-attr-tag"]),
        (PORT, []), (changed(PORT, port_security_enabled=False, allowed_address_pairs=("x",), extra_dhcp_opts=("x",), tags=("t",)),
                     ["port-security", "allowed-address-pairs", "extra_dhcp_opt", "standard-attr-tag"]),
        (ROUTER, []), (changed(ROUTER, routes=("x",), enable_snat=False, tags=("t",)), ["extraroute", "ext-gw-mode", "standard-attr-tag"]),
        (GROUP, []), (changed(GROUP, stateful=False, tags=("t",)), ["stateful-security-group", "standard-attr-tag"]),
        (AddressGroup(id="a", name="a"), ["address-group"]), (SERVER, []),
    ],
)  # fmt: skip
def test_a_thing_names_the_extensions_that_it_makes_use_of(one: Any, extensions: list[str]) -> None:
    """Aliases: Networking API v2.0, Extensions."""
    assert list(one.extensions()) == extensions
