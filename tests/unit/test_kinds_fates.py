# SPDX-License-Identifier: Apache-2.0
"""What becomes of a thing of each kind on a target that cannot have it so: what changes, what is said, what a person does."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue
from test_planning import NOW, cloud

from unterbau.errors import PlanError
from unterbau.switch import planning
from unterbau.tenant.kinds import (
    Attachment,
    Backup,
    Change,
    Container,
    Entry,
    ExternalNetwork,
    Fate,
    Flavor,
    FloatingIp,
    Image,
    Keypair,
    Network,
    Offering,
    Port,
    Resource,
    Router,
    RouterInterface,
    Secret,
    SecurityGroup,
    SecurityGroupRule,
    Segment,
    Server,
    Snapshot,
    StoredObject,
    Subnet,
    Volume,
    VolumeType,
)
from unterbau.tenant.kinds.flavor import size_of
from unterbau.verdict import Outcome, Reason, Words

say = Reason.of
TARGETS = "chosen by the target"
SMALL, WIDE = (Flavor(id=n, name=n, vcpus=c, ram_mib=1024 * c, disk_gib=0) for n, c in (("small", 1), ("wide", 2)))
HUGE = WIDE.model_copy(update={"id": "huge", "name": "huge", "vcpus": 64})
OURS = Image(id="theirs", name="debian", status="active", hash_algo="sha512", hash_value="aa")
RARE = OURS.model_copy(update={"id": "rare", "name": "rare one", "hash_value": "cc"})
TWIN = OURS.model_copy(update={"id": "twin", "name": "Debian 13"})
HERE = Offering(
    external_networks=(ExternalNetwork(id="x", name="public"), ExternalNetwork(id="w", name="wan")), images=(OURS, RARE),
)  # fmt: skip
THERE = Offering(
    flavors=(WIDE,), external_networks=(ExternalNetwork(id="y", name="public"), ExternalNetwork(id="z", name="lab")),
    images=(TWIN,), volume_types=(VolumeType(id="t", name="fast", is_default=True), VolumeType(id="s", name="slow")),
    network_zones=("n1",), compute_zones=("c1",), volume_zones=("v1",), object_features=("slo",),
)  # fmt: skip


def fate(one: Resource, *beside: Resource, there: tuple[Resource, ...] = (), **offered: Any) -> Entry:
    """Its entry in a plan of it and what is beside it."""
    target = cloud("b", *there, offering=THERE.model_copy(update=offered))
    others = (r for r in beside if r.ref != one.ref)
    return planning.make(cloud("a", one, *others, offering=HERE), target, run="r", now=NOW).by_ref[one.ref]


def server(**fields: Any) -> Server:
    return Server(**{"id": "s", "name": "web", "status": "ACTIVE", "flavor": WIDE, **fields})


def volume(**fields: Any) -> Volume:
    return Volume(**{"id": "v", "name": "v", "status": "available", "size_gib": 2, "volume_type": "fast", **fields})


def stored(name: str, **fields: Any) -> StoredObject:
    return StoredObject(
        **{"id": f"box/{name}", "name": name, "container": "box", "size_bytes": 7, "etag": "e", **fields}
    )


BOX = Container(id="box", name="box")
NET = Network(id="n", name="n")
KEY = Keypair(id="k", name="k", public_key="ssh-ed25519 AAAA me@here", fingerprint="f")
OTHER_KEY = KEY.model_copy(update={"public_key": "ssh-ed25519 BBBB me@here"})
WAY_OUT = SecurityGroupRule(id="o", security_group_id="e", direction="egress", ethertype="IPv4")
DEFAULT = SecurityGroup(id="d", name="default")


def each(why: Words) -> list[Words]:
    """The reasons that stand one after the other."""
    told = why.values["each"] if isinstance(why, Reason) and why.id == "list" else None
    return [Reason.model_validate(one) for one in told] if isinstance(told, list) else [why]


def leg(id_: str, network: str) -> RouterInterface:
    return RouterInterface(id=id_, router_id="r", network_id=network, fixed_ips=())


@pytest.mark.parametrize(
    ("one", "beside", "why", "remedy"),
    [
        (FloatingIp(id="f", address="198.51.100.1", external_network_id="w"), (),
         say("plan.network.no-external-of-name", name="wan"),
         say("do.choose-network", names=["lab", "public"], option="plan --map external:wan=NAME")),
        (Port(id="p", network_id="n", mac_address="m", device_owner="network:dhcp"), (NET,),
         say("plan.port.cloud", owner="network:dhcp"), say("do.nothing")),
        (Port(id="p", network_id="q", mac_address="m"), (), say("plan.port.foreign", network="network:q"), say("do.connect")),
        (SecurityGroupRule(id="r", security_group_id="d", direction="ingress", ethertype="IPv4", remote_group_id="q"),
         (DEFAULT,), say("plan.rule.foreign", thing="security_group:q"), say("do.rule-with-remote")),
        (Image(id="i", name="i", status="queued"), (), say("plan.status", status="queued"), say("do.finish")),
        (volume(status="error"), (), say("plan.status", status="error"), say("do.bring-to", states="available, in-use")),
        (volume(encrypted=True), (), say("plan.volume.encrypted"), say("do.agree-unencrypted")),
        (Snapshot(id="t", name="t", status="available", volume_id="v", size_gib=1), (volume(),), say("plan.snapshot"),
         say("do.volume-from-it")),
        (Backup(id="b", name="b", status="available", volume_id="v", size_gib=1), (), say("plan.backup"), say("do.restore")),
        (Secret(id="e", name="e", status="ERROR", content_type="text/plain"), (), say("plan.status", status="ERROR"),
         say("do.renew")),
        (server(status="ERROR"), (), say("plan.status", status="ERROR"), say("do.bring-to", states="ACTIVE, SHUTOFF")),
        (server(flavor=HUGE), (), say("plan.server.no-flavor", name="huge"), say("do.ask-or-shrink")),
        (server(image_id="gone"), (), say("plan.server.image", image="gone"), say("do.copy-image")),
        (server(image_id="rare"), (), say("plan.server.image", image="rare one"), say("do.copy-image")),
        (KEY, (), say("plan.keypair.another"), say("do.rename-key")),
        (stored("a", symlink_to="box/b"), (BOX,), say("plan.object.feature", feature="symlink"), say("do.store-as-one")),
        (stored("a", symlink_account="AUTH_x"), (BOX,), say("plan.object.other-account", account="AUTH_x"),
         say("do.link-by-hand")),
        (stored("a", segments=(Segment(path="box/no", size_bytes=1, etag="e"),)), (BOX,),
         say("plan.dangling", thing="object:box/no"), say("do.mend")),
        (stored("a", segments=(Segment(path="box/a", size_bytes=1, etag="e"),)), (BOX,), say("plan.object.circle"),
         say("do.point-elsewhere")),
    ],
    ids=lambda v: getattr(v, "ref", ""),
)  # fmt: skip
def test_what_stays_says_why_and_what_a_person_does(
    one: Any, beside: tuple[Any, ...], why: Words, remedy: Words
) -> None:
    entry = fate(one, *beside, there=(OTHER_KEY,))
    assert (entry.fate, entry.why, entry.remedy, entry.changes) == (Fate.LEFT, why, remedy, ())


@pytest.mark.parametrize(
    ("one", "changes"),
    [
        (Network(id="n", name="n", shared=True, external=True),
         [("shared", True, False, say("plan.network.private")), ("external", True, False, say("plan.network.internal"))]),
        (Network(id="n", name="n", shared_with=("p1", "p2")), [("shared_with", ["p1", "p2"], [], say("plan.shared", count=2))]),
        (Network(id="n", name="n", availability_zone_hints=("n1", "n2")),
         [("availability_zone_hints", ["n1", "n2"], ["n1"], say("plan.network.zone", zones="n2"))]),
        (Network(id="n", name="n", availability_zone_hints=("n1",)), []),
        (Subnet(id="u", name="u", network_id="n", ip_version=4, cidr="10.0.0.0/24", gateway_ip=None, subnetpool_id="pool"),
         [("subnetpool_id", "pool", None, say("plan.subnet.pool"))]),
        (Router(id="r", name="r", external_network_id="w", enable_snat=False),
         [("external_network_id", "w", None, say("plan.router.no-gateway", why=say("plan.network.no-external-of-name", name="wan"))),
          ("enable_snat", False, None, say("plan.router.no-snat"))]),
        (Router(id="r", name="r", external_network_id="w"),
         [("external_network_id", "w", None, say("plan.router.no-gateway", why=say("plan.network.no-external-of-name", name="wan")))]),
        (Router(id="r", name="r", external_network_id="x", external_fixed_ips=("198.51.100.9",), enable_snat=False),
         [("external_fixed_ips", ["198.51.100.9"], TARGETS, say("plan.router.address")),
          ("enable_snat", False, True, say("plan.router.snat"))]),
        (FloatingIp(id="f", address="198.51.100.1", external_network_id="x"),
         [("address", "198.51.100.1", TARGETS, say("plan.floating-ip.address"))]),
        (SecurityGroup(id="d", name="default"), [("name", "default", "default-a", say("plan.group.default"))]),
        (Image(id="i", name="i", status="active", visibility="public", members=("pa", "px")),
         [("visibility", "public", "private", say("plan.image.private")),
          ("members", ["pa", "px"], [], say("plan.shared", count=1))]),
        (volume(volume_type="odd", availability_zone="v9"),
         [("volume_type", "odd", "fast", say("plan.volume.type", type="odd")),
          ("availability_zone", "v9", "", say("plan.volume.zone", zone="v9"))]),
        (volume(volume_type="slow", availability_zone="v1"), []),
        (server(availability_zone="c9"), [("availability_zone", "c9", "", say("plan.server.zone", zone="c9"))]),
        (Container(id="c", name="c", read_acl=" pa:*, .r:*,px:bob", write_acl="py:*", versions_enabled=True),
         [("read_acl", " pa:*, .r:*,px:bob", "pa:*,.r:*", say("plan.container.grants", grants=["px:bob"])),
          ("write_acl", "py:*", "", say("plan.container.grants", grants=["py:*"])),
          ("versions_enabled", True, True, say("plan.container.versions"))]),
        (Secret(id="e", name="e", acl_users=("u1", "u2")),
         [("acl_users", ["u1", "u2"], [], say("plan.secret.users", count=2))]),
    ],
    ids=lambda v: getattr(v, "ref", ""),
)  # fmt: skip
def test_what_cannot_be_there_as_it_is_here_is_a_change_with_what_it_was_and_becomes(
    one: Any, changes: list[tuple[str, JsonValue, JsonValue, Words]]
) -> None:
    entry = fate(one, NET, there=(SecurityGroup(id="e", name="default"), WAY_OUT))
    found = [(c.field, c.was, TARGETS if c.chosen_by_target else c.to, c.why) for c in entry.changes]
    assert found == changes and entry.fate.moves
    assert all(str(why) in str(entry.why) for _, _, _, why in changes)


def test_a_server_on_another_flavor_says_what_it_gets_and_had() -> None:
    entry = fate(server(flavor=SMALL))
    (change,) = entry.changes
    assert (change.field, change.was, change.to) == ("flavor", "small", WIDE.model_dump(mode="json"))
    assert change.why == say(
        "plan.flavor.nearest", name="small", nearest="wide", size=size_of(WIDE), was=size_of(SMALL)
    )  # fmt: skip
    odd = server(flavor=SMALL.model_copy(update={"name": "wide", "extra_specs": {"hw:x": "1"}}))
    assert fate(odd).changes[0].why.id == "plan.flavor.another"  # type: ignore[union-attr]
    assert "hw:x=1" in str(fate(odd).why)


def test_a_server_of_the_providers_image_starts_from_the_same_bytes_on_the_target_whatever_they_are_called() -> None:
    source, target = cloud("a", server(image_id="theirs"), offering=HERE), cloud("b", offering=THERE)
    made = planning.make(source, target, run="r", now=NOW)
    assert made.by_ref["server:s"].fate.moves and made.translate["image:theirs"] == "twin"
    for other in ({"hash_value": "bb"}, {"hash_value": None}, {"hash_algo": "md5"}):
        assert fate(server(image_id="theirs"), images=(TWIN.model_copy(update=other),)).fate is Fate.LEFT


def test_a_server_with_its_root_on_a_volume_needs_that_volume_and_loses_no_local_disk() -> None:
    root = Attachment(id="s/v", server_id="s", volume_id="v", boot_index=0)
    image = Image(id="i", name="i", status="active")
    alone = fate(server(image_id="i"), image)
    assert alone.needs == ("image:i",) and say("plan.server.own-disk") in each(alone.why)
    rooted = fate(server(image_id="i"), image, volume(status="in-use"), root)
    assert rooted.needs == ("image:i", "volume:v")
    assert each(rooted.why) == [say("plan.server.user-data")]


def test_a_public_address_needs_the_legs_on_its_ports_network_and_says_which_network_was_chosen() -> None:
    port = Port(id="p", network_id="n", mac_address="m")
    address = FloatingIp(id="f", address="198.51.100.1", external_network_id="w", port_id="p")
    beside = (NET, port, Router(id="r", name="r"), leg("l1", "n"), leg("l2", "other"))
    source, target = cloud("a", address, *beside, offering=HERE), cloud("b", offering=THERE)
    entry = planning.make(source, target, run="r", now=NOW, choices=("external:wan=lab",)).by_ref["floating_ip:f"]
    assert entry.needs == ("port:p", "router_interface:l1")
    assert each(entry.why) == [
        say("plan.floating-ip.address"), say("plan.network.chosen", network="lab", instead_of="wan")
    ]  # fmt: skip


def test_a_key_of_the_same_name_stands_in_whatever_its_comment_and_another_does_not() -> None:
    same = KEY.model_copy(update={"public_key": "ssh-ed25519 AAAA somebody@else"})
    assert fate(KEY, there=(same,)).stands_in == "k" and fate(KEY).stands_in is None
    assert fate(KEY, there=(OTHER_KEY.model_copy(update={"id": "j", "name": "j"}),)).fate is Fate.CARRIED


def test_what_crosses_the_wire_is_the_content_and_a_link_has_none() -> None:
    links = (
        stored("b"),
        stored("l", symlink_to="box/b"),
        stored("m", segments=(Segment(path="box/b", size_bytes=7, etag="e"),)),
    )
    assert [fate(one, BOX, *links, object_features=()).bytes for one in (stored("a"), *links[1:])] == [7, 0, 0]
    assert fate(volume()).bytes == 2 * 2**30
    assert fate(Image(id="i", name="i", status="active", size_bytes=9)).bytes == 9


def test_a_change_that_a_person_wrote_must_fit_the_thing() -> None:
    entry = fate(NET)
    for change, said, remedy in (
        (Change(field="mtu", to="wide", why="x"), "plan: network:n: ", "Mend the change in the plan."),
        (
            Change(field="colour", to="red", why="x"),
            "plan: network:n changes colour, which it does not have",
            "Name fields",
        ),
    ):
        with pytest.raises(PlanError) as caught:
            entry.model_copy(update={"changes": (change,)}).wish(NET)
        assert caught.value.what.startswith(said) and caught.value.remedy.startswith(remedy)
    wider = entry.model_copy(update={"changes": (Change(field="mtu", to=9000, why="x"),)}).wish(NET)
    assert wider == NET.model_copy(update={"mtu": 9000})


def test_subnets_that_overlap_one_of_the_target_fail_a_check_by_their_addresses() -> None:
    def subnet(id_: str, cidr: str, version: Any = 4) -> Subnet:
        return Subnet(id=id_, name=id_, network_id="n", ip_version=version, cidr=cidr, gateway_ip=None)

    source = cloud("a", NET, subnet("1", "10.0.0.0/24"), subnet("2", "10.1.0.0/24"), subnet("3", "fd00::/64", 6))
    for theirs, hit in (
        ("10.0.0.128/25", ["10.0.0.0/24"]),
        ("10.0.0.0/8", ["10.0.0.0/24", "10.1.0.0/24"]),
        ("10.2.0.0/16", []),
    ):
        made = planning.make(source, cloud("b", NET, subnet("x", theirs)), run="r", now=NOW)
        (check,) = [c for c in made.checks if c.name == "addresses"]
        assert check.outcome is (Outcome.FAILED if hit else Outcome.HELD)
        assert check.text == (say("check.overlap", subnets=hit) if hit else say("check.no-overlap"))
