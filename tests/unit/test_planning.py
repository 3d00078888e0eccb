# SPDX-License-Identifier: Apache-2.0
"""Fates: one for each object, nothing closed is opened, and a plan edited into nonsense is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from world import World

from unterbau.errors import PlanError, Refused
from unterbau.switch import census, helper, planning
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import (
    Check,
    CloudIdentity,
    Container,
    Fate,
    Flavor,
    Image,
    Keypair,
    Network,
    Offering,
    Quota,
    Resource,
    Secret,
    SecretContainer,
    SecretEntry,
    SecurityGroup,
    SecurityGroupRule,
    Segment,
    Server,
    Snapshot,
    StoredObject,
    Volume,
    VolumeType,
)
from unterbau.tenant.kinds.flavor import nearest
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def cloud(name: str, *resources: Resource, offering: Offering | None = None) -> Workload:
    identity = CloudIdentity(
        name=name,
        auth_url=f"https://{name}/v3",
        region="R",
        project_id=f"p{name}",
        project_name=name,
        user_id="u",
        roles=("member",),
    )
    return Workload(identity=identity, taken_at=NOW, resources=resources, offering=offering or Offering())


def plan(*resources: Resource, target: Workload | None = None) -> Plan:
    return planning.make(cloud("a", *resources), target or cloud("b"), run="r", now=NOW)


@pytest.mark.thorough
def test_every_object_of_the_tenant_has_exactly_one_fate(world: World) -> None:
    assert sorted(e.ref for e in world.plan.entries) == sorted(r.ref for r in world.workload.resources)
    world.plan.check_against(world.workload)
    fates = {e.name: e.fate for e in world.plan.entries}
    assert fates["fv-archiv-q3"] is Fate.LEFT
    assert all(e.why for e in world.plan.entries if e.fate is not Fate.CARRIED)
    assert all(e.remedy for e in world.plan.entries if e.fate is Fate.LEFT)


def test_the_file_holds_the_whole_plan(world: World) -> None:
    assert planning.load(planning.dump(world.plan)) == world.plan


@pytest.mark.thorough
@settings(deadline=None)  # a busy machine is no defect
@example("next\x85line", "\u2028\u2029\x07")
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_name_survives_the_file(name: str, description: str) -> None:
    made = plan(
        Network(
            id="n1",
            name=name.encode("utf-8", "ignore").decode(),
            description=description.encode("utf-8", "ignore").decode(),
        )
    )
    assert planning.load(planning.dump(made)) == made


def test_the_same_project_is_refused() -> None:
    with pytest.raises(Refused, match="same project"):
        planning.make(cloud("a"), cloud("a"), run="r", now=NOW)


def test_a_rule_whose_remote_is_foreign_stays_shut() -> None:
    rule = SecurityGroupRule(
        id="r1",
        security_group_id="g1",
        direction="ingress",
        ethertype="IPv4",
        protocol="tcp",
        remote_address_group_id="elsewhere",
    )
    entry = plan(SecurityGroup(id="g1", name="web"), rule).by_ref[rule.ref]
    assert entry.fate is Fate.LEFT and "open" in entry.why


def test_a_rule_never_loses_its_remote() -> None:
    rule = SecurityGroupRule(
        id="r", security_group_id="g", direction="ingress", ethertype="IPv4", remote_group_id="other"
    )
    with pytest.raises(ValueError, match="would open"):
        rule.with_ids(lambda reference: "new" if reference == "security_group:g" else None)


def test_grants_to_others_stay_shut_and_are_named() -> None:
    box = Container(id="c", name="c", read_acl="pa:*,pother:*,.r:*,.rlistings")
    entry = plan(box).by_ref[box.ref]
    change = entry.changes[0]
    assert change.to == "pa:*,.r:*,.rlistings" and "pother:*" in change.why


def test_what_is_known_only_to_be_there_is_not_shown_and_what_needs_it_is_left() -> None:
    source = cloud("a", Secret(id="s", name="s", acl_project_access=False),
                   SecretContainer(id="c", type="generic", entries=(SecretEntry(name="a", secret_id="s"),)),
                   SecretContainer(id="lost", type="generic", entries=(SecretEntry(name="a", secret_id="x"),)))  # fmt: skip
    source = source.model_copy(update={"not_shown": (NotShown(what="secret:s", reason="another's"),)})
    made = planning.make(source, cloud("b"), run="r", now=NOW).by_ref
    assert (made["secret:s"].fate, made["secret:s"].why) == (Fate.NOT_SHOWN, "another's") and made["secret:s"].remedy
    assert made["secret_container:c"].fate is Fate.LEFT and "not shown: another's" in made["secret_container:c"].why
    assert made["secret_container:lost"].fate is Fate.LEFT and "secret:x" in made["secret_container:lost"].why


def test_read_rights_of_users_stay_shut_on_secrets_and_their_containers() -> None:
    box = SecretContainer(id="c", type="generic", acl_project_access=False, acl_users=("u1", "u2"))
    made = plan(Secret(id="s", acl_users=("u1",)), box)
    for resource in (Secret(id="s"), box):
        entry = made.by_ref[resource.ref]
        assert [c.field for c in entry.changes] == ["acl_users"]
        wish = entry.wish(resource)
        assert isinstance(wish, Secret | SecretContainer) and wish.acl_users == ()
        assert wish.acl_project_access == (resource is not box)


def test_a_symlink_into_another_account_is_left_even_if_its_path_exists_here() -> None:
    box, there = Container(id="b", name="b"), _object("o")
    abroad = _object("l", symlink_to="b/o", symlink_account="AUTH_other")
    made = plan(box, there, abroad, _object("m", symlink_to="b/o"))
    assert abroad.references() == ("container:b",)
    assert made.by_ref["object:b/l"].fate is Fate.LEFT and "AUTH_other" in made.by_ref["object:b/l"].why
    assert made.by_ref["object:b/m"].needs == ("container:b", "object:b/o")


def test_a_static_link_to_a_large_object_follows_its_name() -> None:
    part = Segment(path="b/o", size_bytes=1, etag="e")
    made = plan(Container(id="b", name="b"), _object("o"), _object("large", segments=(part,)),
                _object("l", symlink_to="b/large", symlink_etag="e1"), _object("k", symlink_to="b/o", symlink_etag="e"))  # fmt: skip
    assert [c.field for c in made.by_ref["object:b/l"].changes] == ["symlink_etag"]
    assert made.by_ref["object:b/k"].fate is Fate.CARRIED


def _object(name: str, **fields: Any) -> StoredObject:
    return StoredObject(id=f"b/{name}", name=name, container="b", size_bytes=1, etag="e", **fields)


def test_a_public_image_stays_private() -> None:
    image = Image(id="i", name="i", status="active", visibility="public")
    assert plan(image).by_ref[image.ref].changes[0].to == "private"


def test_what_needs_a_left_thing_is_left_too() -> None:
    image = Image(id="i", name="i", status="queued")
    server = Server(
        id="s", name="s", status="ACTIVE", flavor=Flavor(name="f", vcpus=1, ram_mib=1, disk_gib=1), image_id="i"
    )
    target = cloud("b", offering=Offering(flavors=(server.flavor,)))
    entry = plan(image, server, target=target).by_ref[server.ref]
    assert entry.fate is Fate.LEFT and "image:i" in entry.why


def flavor(name: str, vcpus: int, ram: int, disk: int = 0, **specs: str) -> Flavor:
    return Flavor(
        name=name,
        vcpus=vcpus,
        ram_mib=ram,
        disk_gib=disk,
        extra_specs={f"scs:{k.replace('_', '-')}": v for k, v in specs.items()},
    )


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-2V-4", 2, 4096), flavor("SCS-4V-8", 4, 8192)], "SCS-2V-4"),
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-4V-8", 4, 8192), flavor("SCS-8V-16", 8, 16384)], "SCS-4V-8"),
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-2L-4", 2, 4096)], None),
        (flavor("SCS-2L-4", 2, 4096), [flavor("SCS-2V-4", 2, 4096)], "SCS-2V-4"),
        (flavor("x", 2, 4096, cpu_type="dedicated-core"), [flavor("y", 2, 4096, cpu_type="shared-core")], None),
        (flavor("x", 2, 4096, 20, disk0_type="ssd"), [flavor("y", 2, 4096, 20, disk0_type="hdd")], None),
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-2V-4", 1, 4096)], None),
        (flavor("x", 1, 1), [], None),
        (flavor("SCS-2V-4-20s", 2, 4096, 20), [flavor("SCS-2V-4-20", 2, 4096, 20)], None),
        (flavor("SCS-2V-4-20s", 2, 4096, 20), [flavor("SCS-2V-4-20p", 2, 4096, 20)], "SCS-2V-4-20p"),
        (flavor("SCS-2V-4-20n", 2, 4096, 20), [flavor("SCS-2V-4-20p", 2, 4096, 20)], None),
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-2Vi-4", 2, 4096)], None),
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-2V-4o", 2, 4096)], None),
        (flavor("SCS-2V-4", 2, 4096), [flavor("SCS-2V-4u", 2, 4096)], None),
        (flavor("SCS-2C-4", 2, 4096), [flavor("SCS-2T-4", 2, 4096)], None),
        (flavor("SCS-2V-4", 2, 4096), [flavor("m1.medium", 2, 4096)], None),
        (flavor("m1.medium", 2, 4096), [flavor("SCS-2V-4", 2, 4096)], "SCS-2V-4"),
    ],
)
def test_the_nearest_flavor_covers_by_scs_meaning(wanted: Flavor, offered: list[Flavor], chosen: str | None) -> None:
    found = nearest(wanted, offered)
    assert (found.name if found else None) == chosen


def test_a_target_that_is_not_empty_fails_a_check() -> None:
    made = plan(target=cloud("b", Network(id="x", name="there")))
    check = next(c for c in made.checks if c.name == "target is empty")
    assert check.outcome is Outcome.FAILED and "there" in check.text


def test_an_equal_default_group_stands_in_and_another_is_renamed() -> None:
    def default(id_: str, prefix: str | None) -> tuple[Resource, ...]:
        rule = SecurityGroupRule(
            id=f"r{id_}", security_group_id=id_, direction="egress", ethertype="IPv4", remote_ip_prefix=prefix
        )
        return SecurityGroup(id=id_, name="default"), rule

    same = plan(*default("g1", None), target=cloud("b", *default("g2", None))).by_ref["security_group:g1"]
    other = plan(*default("g1", None), target=cloud("b", *default("g2", "10.0.0.0/8"))).by_ref["security_group:g1"]
    assert same.stands_in == "g2"
    assert other.stands_in is None and other.changes[0].to == "default-a"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ref: network:n1", "ref: network:n9", "not an object of the source"),
        ("fate: carried", "fate: perhaps", "fate"),
        ("entries:", "entries: [", "line"),
        ("made_at:", "made_ad:", "made_a"),
    ],
)
def test_a_plan_edited_into_nonsense_says_where(old: str, new: str, said: str) -> None:
    source = cloud("a", Network(id="n1", name="n"))
    text = planning.dump(planning.make(source, cloud("b"), run="r", now=NOW)).replace(old, new, 1)
    with pytest.raises(PlanError, match=said):
        planning.load(text).check_against(source)


def test_gaps_and_circles_are_named() -> None:
    a, b = Network(id="a", name="a"), Network(id="b", name="b")
    made = plan(a, b)
    circle = made.model_copy(
        update={
            "entries": tuple(
                e.model_copy(update={"needs": ("network:b" if e.name == "a" else "network:a",)}) for e in made.entries
            )
        }
    )
    with pytest.raises(PlanError, match="circle"):
        circle.check_against(cloud("a", a, b))
    gap = made.model_copy(update={"entries": tuple(e.model_copy(update={"needs": ("image:x",)}) for e in made.entries)})
    with pytest.raises(PlanError, match="image:x"):
        gap.check_against(cloud("a", a, b))


def test_volume_types_and_snapshots_and_staleness() -> None:
    made = plan(Snapshot(id="s", name="s", status="available", volume_id="v", size_gib=1))
    assert made.entries[0].fate is Fate.LEFT
    assert Offering(volume_types=(VolumeType(id="t", name="t"),)).volume_types[0].name == "t"
    old, new = cloud("a", Network(id="n", name="n")), cloud("a", Network(id="n", name="n", mtu=1400), Network(id="m"))
    assert census.digest(old) != census.digest(new)
    assert census.difference(old, new) == ("changed: network:n n (mtu)", "new: network:m ")


def server(wanted: Flavor) -> Server:
    return Server(id="s", name="s", status="ACTIVE", flavor=wanted)


@pytest.mark.parametrize(
    "offered",
    [Flavor(name="m1", vcpus=4, ram_mib=8192, disk_gib=0), flavor("m1", 2, 4096, cpu_type="shared-core")],
)
def test_a_flavor_that_is_only_called_the_same_is_declared(offered: Flavor) -> None:
    wanted = Flavor(name="m1", vcpus=2, ram_mib=4096, disk_gib=0)
    entry = plan(server(wanted), target=cloud("b", offering=Offering(flavors=(offered,)))).by_ref["server:s"]
    assert entry.fate is Fate.CHANGED and entry.changes[0].field == "flavor"


def quota(service: str, resource: str, limit: int, used: int = 0) -> Offering:
    return Offering(quotas=(Quota(service=service, resource=resource, limit=limit, used=used),))


SECRET = Secret(id="x", name="x")
KEY = Keypair(id="k", name="k", public_key="ssh-ed25519 b", fingerprint="f")
IMAGE = Image(id="i", name="i", status="active", size_bytes=3 << 20)
OBJECT = StoredObject(id="c/o", name="o", container="c", size_bytes=10, etag="")


@pytest.mark.parametrize(
    ("resources", "service", "resource", "limit", "outcome"),
    [
        ((SECRET,), "key_manager", "secrets", 0, Outcome.FAILED),
        ((SECRET,), "key_manager", "secrets", -1, Outcome.HELD),
        ((KEY,), "compute", "key_pairs", 0, Outcome.FAILED),
        ((IMAGE,), "image", "image_size_total", 2, Outcome.FAILED),
        ((IMAGE,), "image", "image_size_total", 3, Outcome.HELD),
        ((Container(id="c", name="c"), OBJECT), "object_store", "bytes", 9, Outcome.FAILED),
        ((Volume(id="v", name="v", status="in-use", size_gib=5),), "block_storage", "snapshots", 0, Outcome.FAILED),
        ((Volume(id="v", name="v", status="in-use", size_gib=5),), "block_storage", "gigabytes", 14, Outcome.FAILED),
        ((Volume(id="v", name="v", status="in-use", size_gib=5),), "block_storage", "gigabytes", 15, Outcome.HELD),
    ],
)
def test_a_quota_that_does_not_suffice_fails_a_check(
    resources: tuple[Resource, ...], service: str, resource: str, limit: int, outcome: Outcome
) -> None:
    made = plan(*resources, target=cloud("b", offering=quota(service, resource, limit)))
    assert {c.outcome for c in made.checks if c.name == f"quota {resource}"} == {outcome}


def test_a_source_without_room_for_temporaries_fails_a_check() -> None:
    volume = Volume(id="v", name="v", status="in-use", size_gib=5)
    source = cloud("a", volume, offering=quota("block_storage", "snapshots", 10, 10))
    made = planning.make(source, cloud("b"), run="r", now=NOW)
    found = {c.name: c.outcome for c in made.checks}
    assert found["quota snapshots of the source, for a while"] is Outcome.FAILED
    assert found["quota volumes of the source, for a while"] is Outcome.NOT_SHOWN


@pytest.mark.parametrize(
    ("extensions", "outcome"),
    [(("port-security",), Outcome.HELD), (("router",), Outcome.FAILED), ((), Outcome.NOT_SHOWN)],
)
def test_an_extension_that_the_target_lacks_fails_a_check(extensions: tuple[str, ...], outcome: Outcome) -> None:
    target = cloud("b", offering=Offering(network_extensions=extensions))
    made = plan(Network(id="n", name="n", port_security_enabled=False), target=target)
    assert {c.name: c.outcome for c in made.checks}["network extension port-security"] is outcome


# --- the guests by which a cut-over carries blocks

PLACE = helper.Place(
    image="i", flavor="m1", network="n", address="public", key_pair="k", reached_from="192.0.2.1/32", image_ref="image:i",
    network_ref="network:n", external_network_id="e",
)  # fmt: skip
HELPER = helper.Helper(user="root", source=PLACE, target=PLACE)
WANTED = {("compute", "instances"): 1, ("compute", "cores"): 2, ("compute", "ram_mib"): 4096, ("network", "port"): 1,
          ("network", "floatingip"): 1, ("network", "security_group"): 1, ("network", "security_group_rule"): 2}  # fmt: skip


def helped(free: dict[tuple[str, str], int], *resources: Resource) -> dict[str, Check]:
    """The checks of the helpers, where so much more is left of each quota on both sides than one of them takes."""
    offering = Offering(
        flavors=(Flavor(name="m1", vcpus=2, ram_mib=4096, disk_gib=0),),
        quotas=tuple(
            Quota(service=service, resource=name, limit=10_000, used=10_000 - WANTED[service, name] - more)
            for (service, name), more in free.items()
        ),
    )
    sides = cloud("a", *resources, offering=offering), cloud("b", offering=offering)
    made = planning.make(*sides, run="r", now=NOW).model_copy(update={"helper": HELPER})
    return {c.name: c for c in planning.judged(made, *sides).checks if c.name.startswith("helper")}


def test_a_helper_guest_that_fits_both_sides_is_held() -> None:
    found = helped(dict.fromkeys(WANTED, 0))
    assert [(n, c.outcome) for n, c in found.items()] == [
        ("helper guest of the source", Outcome.HELD),
        ("helper guest of the target", Outcome.HELD),
    ]


@pytest.mark.parametrize("key", WANTED)
def test_a_helper_guest_without_a_quota_is_not_shown_and_refuses_nothing(key: tuple[str, str]) -> None:
    for check in helped(dict.fromkeys(WANTED, 0) | {key: -1}).values():
        assert check.outcome is Outcome.NOT_SHOWN and check.remedy and key[1] in str(check.text)
    untold = {k: 0 for k in WANTED if k != key}
    for check in helped(untold).values():
        assert check.outcome is Outcome.NOT_SHOWN and not check.remedy and key[1] in str(check.text)


def test_the_targets_helper_stands_beside_what_the_move_makes() -> None:
    group = SecurityGroup(id="g", name="g")
    found = helped(dict.fromkeys(WANTED, 0), group)
    assert found["helper guest of the source"].outcome is Outcome.HELD
    assert found["helper guest of the target"].outcome is Outcome.NOT_SHOWN
    room = helped(dict.fromkeys(WANTED, 0) | {("network", "security_group"): 1}, group)
    assert room["helper guest of the target"].outcome is Outcome.HELD
