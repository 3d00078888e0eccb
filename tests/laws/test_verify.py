# SPDX-License-Identifier: Apache-2.0
"""The verifier finds every seeded fault, and raises no alarm where there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from world import World

from unterbau.cloud.port import Listing
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Conflict, LocalError
from unterbau.switch import census, verify
from unterbau.switch.verify import Contents
from unterbau.tenant.kinds import (
    Attachment,
    Container,
    FixedIp,
    Image,
    Kind,
    Port,
    Ref,
    Resource,
    Router,
    Secret,
    SecurityGroupRule,
    Server,
    StoredObject,
    Volume,
    ref,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome, Verdict

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
GONE = timedelta(seconds=1)


def look(world: World, *, planned: bool = True, **more: Any) -> tuple[Verdict, ...]:
    plan = world.plan if planned else None
    return verify.look(world.source, world.target, plan, work=world.root, now=lambda: NOW, **more).verdicts


def failed(verdicts: tuple[Verdict, ...]) -> list[str]:
    return [f"{v.claim.id}: {v.reason}" for v in verdicts if v.outcome is Outcome.FAILED]


@pytest.mark.parametrize("attempt", range(5))
def test_a_clean_move_raises_no_alarm(world: World, attempt: int) -> None:
    before = world.source.enumerate_all(), world.target.enumerate_all()
    verdicts = look(world)
    assert failed(verdicts) == []
    assert {v.outcome for v in verdicts if v.claim.kind == "content"} == {Outcome.HELD}
    assert (world.source.enumerate_all(), world.target.enumerate_all()) == before, "a temporary was left behind"


def test_without_a_plan_what_is_missing_has_failed(world: World) -> None:
    assert any("snapshot" in line for line in failed(look(world, planned=False)))


def test_with_reader_rights_volumes_are_not_shown_and_the_rest_holds(world: World) -> None:
    world.source.role = world.target.role = "reader"
    verdicts = look(world)
    assert failed(verdicts) == []
    volumes = [v for v in verdicts if v.claim.id.startswith("content volume:")]
    assert volumes and {v.outcome for v in volumes} == {Outcome.NOT_SHOWN}


class Target:
    """Breaks things on the target, by the back door."""

    def __init__(self, world: World) -> None:
        self.cloud = world.target

    def one(self, kind: Kind, name: str = "") -> Resource:
        return next(r for r in self.cloud.listing(kind).resources if name in (r.name, ""))

    def put(self, resource: Resource, **update: Any) -> None:
        self.cloud._put(resource.model_copy(update=update))

    def objects(self) -> list[StoredObject]:
        return [o for o in self.cloud.listing(Kind.OBJECT).resources if isinstance(o, StoredObject)]

    def flip(self, reference: Ref) -> None:
        blob = self.cloud._blob(reference)
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(bytes(data))

    def rule(self) -> SecurityGroupRule:
        groups = [g.id for g in self.cloud.listing(Kind.SECURITY_GROUP).resources if g.name == "fv-db"]
        rules = self.cloud.listing(Kind.SECURITY_GROUP_RULE).resources
        return next(r for r in rules if isinstance(r, SecurityGroupRule) and r.security_group_id in groups)


def _flipped_volume(t: Target) -> None:
    t.flip(t.one(Kind.VOLUME, "fv-archiv").ref)


def _flipped_image(t: Target) -> None:
    t.flip(t.one(Kind.IMAGE).ref)


def _flipped_object(t: Target) -> None:
    t.flip("object:fv-akten/groß.bin")


def _flipped_segment(t: Target) -> None:
    t.flip("object:fv-akten-segmente/scan/0001")


def _lost_object(t: Target) -> None:
    t.cloud._drop("object:fv-akten/leer.txt")


def _lost_acl(t: Target) -> None:
    t.put(t.one(Kind.CONTAINER, "fv-akten"), read_acl="")


def _opened_acl(t: Target) -> None:
    box = t.one(Kind.CONTAINER, "fv-akten")
    assert isinstance(box, Container)
    t.put(box, read_acl=f"{box.read_acl},.r:*")


def _opened_container_of_secrets(t: Target) -> None:
    t.put(t.one(Kind.SECRET_CONTAINER, "fv-siegel"), acl_project_access=True)


def _stranger_lists_secrets(t: Target) -> None:
    t.put(t.one(Kind.SECRET_CONTAINER, "fv-zugaenge"), acl_users=("somebody",))


def _link_to_another_account(t: Target) -> None:
    t.put(next(o for o in t.objects() if o.name == "aktuell"), symlink_account="AUTH_other")


def _link_no_longer_static(t: Target) -> None:
    t.put(next(o for o in t.objects() if o.symlink_etag), symlink_etag=None)


def _lost_metadata(t: Target) -> None:
    t.put(t.one(Kind.SERVER, "fv-web-1"), metadata={"verfahren": "FV-1"})


def _lost_rule(t: Target) -> None:
    t.cloud._drop(t.rule().ref)


def _rule_without_remote(t: Target) -> None:
    t.put(t.rule(), remote_group_id=None, remote_address_group_id=None)


def _lost_route(t: Target) -> None:
    t.put(t.one(Kind.ROUTER, "fv-edge"), routes=())


def _lost_gateway(t: Target) -> None:
    router = t.one(Kind.ROUTER, "fv-edge")
    assert isinstance(router, Router)
    t.put(router, external_network_id=None)


def _lost_pair(t: Target) -> None:
    t.put(t.one(Kind.PORT, "fv-web-1-front"), allowed_address_pairs=())


def _other_address(t: Target) -> None:
    port = t.one(Kind.PORT, "fv-db-back")
    assert isinstance(port, Port)
    t.put(port, fixed_ips=(FixedIp(subnet_id=port.fixed_ips[0].subnet_id, ip_address="10.10.2.31"),))


def _port_security_on(t: Target) -> None:
    t.put(t.one(Kind.PORT, "fv-waechter"), port_security_enabled=True)


def _lost_tag(t: Target) -> None:
    t.put(t.one(Kind.SERVER, "fv-web-1"), tags=("web",))


def _lost_attachment(t: Target) -> None:
    disks = [a for a in t.cloud.listing(Kind.ATTACHMENT).resources if isinstance(a, Attachment)]
    t.cloud._drop(next(a for a in disks if a.boot_index != 0).ref)


def _lost_secret(t: Target) -> None:
    t.cloud._drop(t.one(Kind.SECRET, "fv-db-zugang").ref)


def _other_payload(t: Target) -> None:
    t.flip(t.one(Kind.SECRET, "fv-schluessel").ref)


def _swapped_interfaces(t: Target) -> None:
    server = t.one(Kind.SERVER, "fv-web-1")
    assert isinstance(server, Server)
    t.put(server, port_ids=tuple(reversed(server.port_ids)))


def _wrong_flavor(t: Target) -> None:
    server = t.one(Kind.SERVER, "fv-web-1")
    assert isinstance(server, Server)
    t.put(server, flavor=server.flavor.model_copy(update={"ram_mib": 2048}))


def _running_again(t: Target) -> None:
    t.put(t.one(Kind.SERVER, "fv-web-2"), status="ACTIVE")


def _published_image(t: Target) -> None:
    image = t.one(Kind.IMAGE)
    assert isinstance(image, Image)
    t.put(image, visibility="community")


def _stale_volume(t: Target) -> None:
    volume = t.one(Kind.VOLUME, "fv-daten")
    assert isinstance(volume, Volume)
    blob = t.cloud._blob(volume.ref)
    blob.write_bytes(b"as it was last week".ljust(blob.stat().st_size, b"\0"))


def _surplus_object(t: Target) -> None:
    there = t.one(Kind.OBJECT, "leer.txt")
    assert isinstance(there, StoredObject)
    t.put(there, id="fv-leer/fremd", name="fremd", container="fv-leer")


def _surplus_default_rule(t: Target) -> None:
    group = t.one(Kind.SECURITY_GROUP, "default")
    t.put(
        SecurityGroupRule(
            id="open", security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp",
            port_range_min=22, port_range_max=22,
        )
    )  # fmt: skip


def _stranger_reads_secret(t: Target) -> None:
    t.put(t.one(Kind.SECRET, "fv-db-zugang"), acl_users=("stranger",))


def _stranger_reads_image(t: Target) -> None:
    t.put(t.one(Kind.IMAGE), members=("stranger",))


def _project_reads_secret(t: Target) -> None:
    secret = t.one(Kind.SECRET, "fv-db-zugang")
    assert isinstance(secret, Secret)
    t.put(secret, acl_project_access=not secret.acl_project_access)


def _volume_in_error(t: Target) -> None:
    t.put(t.one(Kind.VOLUME, "fv-archiv"), status="error")


def _port_without_groups(t: Target) -> None:
    t.put(t.one(Kind.PORT, "fv-db-back"), security_group_ids=())


def _other_content_type(t: Target) -> None:
    t.put(t.one(Kind.OBJECT, "leer.txt"), content_type="x/y")


def _segments_in_other_order(t: Target) -> None:
    large = next(o for o in t.objects() if o.segments)
    t.put(large, segments=tuple(reversed(large.segments or ())))


def _never_expires(t: Target) -> None:
    t.put(next(o for o in t.objects() if o.delete_at), delete_at=None)


EXPECTED: dict[Callable[[Target], None], set[str]] = {
    _flipped_image: {"content image fv-web-debian-13"},
    _flipped_object: {"content object groß.bin"},
    _flipped_segment: {"content object scan.tiff", "content object scan/0001"},
    _flipped_volume: {"content volume fv-archiv"},
    _link_no_longer_static: {"structure object geprüft"},
    _link_to_another_account: {"structure object aktuell"},
    _lost_acl: {"structure container fv-akten"},
    _lost_attachment: {"completeness attachment", "structure attachment", "structure server fv-db"},
    _lost_gateway: {"structure router fv-edge"},
    _lost_metadata: {"structure server fv-web-1"},
    _lost_object: {"completeness object", "structure object leer.txt"},
    _lost_pair: {"structure port fv-web-1-front"},
    _lost_route: {"structure router fv-edge"},
    _lost_rule: {"completeness security_group_rule", "structure security_group_rule"},
    _lost_secret: {"completeness secret", "structure secret fv-db-zugang", "structure secret_container fv-zugaenge"},
    _lost_tag: {"structure server fv-web-1"},
    _never_expires: {"structure object vorläufig.txt"},
    _opened_acl: {"structure container fv-akten", "opening container ACLs", "opening container fv-akten"},
    _opened_container_of_secrets: {
        "structure secret_container fv-siegel",
        "opening secret ACLs",
        "opening secret_container fv-siegel",
    },
    _other_address: {"completeness port", "structure port fv-db-back", "structure server fv-db"},
    _other_content_type: {"structure object leer.txt"},
    _other_payload: {"content secret fv-schluessel"},
    _port_security_on: {"structure port fv-waechter"},
    _port_without_groups: {"structure port fv-db-back"},
    _project_reads_secret: {"structure secret fv-db-zugang"},
    _published_image: {
        "structure image fv-web-debian-13",
        "opening image visibility",
        "opening image fv-web-debian-13",
    },
    _rule_without_remote: {
        "completeness security_group_rule",
        "structure security_group_rule",
        "opening traffic in",
        "opening port fv-db-back",
    },
    _running_again: {"structure server fv-web-2"},
    _segments_in_other_order: {"content object scan.tiff", "structure object scan.tiff"},
    _stale_volume: {"content volume fv-daten"},
    _stranger_reads_image: {"structure image fv-web-debian-13"},
    _stranger_lists_secrets: {
        "structure secret_container fv-zugaenge",
        "opening secret ACLs",
        "opening secret_container fv-zugaenge",
    },
    _stranger_reads_secret: {
        "structure secret fv-db-zugang",
        "opening secret ACLs",
        "opening secret fv-db-zugang",
    },
    _surplus_default_rule: {
        "completeness security_group_rule",
        "opening traffic in",
        "opening security_group default",
    },
    _surplus_object: {"completeness object"},
    _swapped_interfaces: {"structure server fv-web-1"},
    _volume_in_error: {"structure volume fv-archiv"},
    _wrong_flavor: {"structure server fv-web-1"},
}
"""Every fault, and each claim that must fail by it: no more, no less. A name stands where the object has one."""


@pytest.mark.parametrize("fault", EXPECTED, ids=[f.__name__ for f in EXPECTED])
@pytest.mark.holds("image.content", "volume.content", "object.content", "secret.content")
def test_every_seeded_fault_fails_its_claims_and_no_others(world: World, fault: Callable[[Target], None]) -> None:
    names = {r.ref: r.name for r in world.workload.resources}
    fault(Target(world))
    verdicts = [v.claim for v in look(world) if v.outcome is Outcome.FAILED]
    told = {f"{c.kind} {c.subject.partition(':')[0]} {names.get(c.subject, '')}".strip() for c in verdicts}
    losses = {line for line in told if line.startswith("loss ")}
    assert told - losses == EXPECTED[fault]
    assert {line.replace("loss ", "structure ") for line in losses} <= told


def _tags(t: Target) -> None:
    server = t.one(Kind.SERVER, "fv-web-1")
    assert isinstance(server, Server) and len(server.tags) > 1
    t.put(server, tags=tuple(reversed(server.tags)))


def _pairs(t: Target) -> None:
    port = t.one(Kind.PORT, "fv-web-1-front")
    assert isinstance(port, Port)
    t.put(port, allowed_address_pairs=tuple(reversed(port.allowed_address_pairs)))


@pytest.mark.parametrize("reorder", [_tags, _pairs])
def test_an_order_that_means_nothing_raises_no_alarm(world: World, reorder: Callable[[Target], None]) -> None:
    reorder(Target(world))
    assert failed(look(world)) == []


def test_twins_are_paired_by_their_content(world: World) -> None:
    """Two volumes, equal but for content, made in the other order on the target."""
    for cloud, order in ((world.source, "xy"), (world.target, "yx")):
        archive = next(v for v in cloud.listing(Kind.VOLUME).resources if v.name == "fv-archiv")
        for number, content in enumerate(order):
            twin = archive.model_copy(update={"id": f"twin{number}", "name": "twin", "marker": None})
            cloud._put(twin)
            cloud._blob(twin.ref).parent.mkdir(exist_ok=True, parents=True)
            cloud._blob(twin.ref).write_bytes(content.encode() * 4096)
    assert [line for line in failed(look(world, planned=False)) if "twin" in line] == []
    world.target._blob("volume:twin0").write_bytes(b"z" * 4096)
    assert any("twin" in line for line in failed(look(world, planned=False)))


def test_every_fault_stands_in_the_table() -> None:
    here = {f for n, f in globals().items() if n.startswith("_") and getattr(f, "__module__", "") == __name__}
    assert here - {_tags, _pairs, _acls} == set(EXPECTED)
    assert len(EXPECTED) >= 15


def _acls(verdicts: tuple[Verdict, ...]) -> dict[str, Outcome]:
    told = ("structure container:fv-akten", "structure container:fv-leer", "coverage target container.read_acl",
            "coverage target owner", "coverage source owner")  # fmt: skip
    return {v.claim.id: v.outcome for v in verdicts if v.claim.id in told}


def test_an_acl_that_may_be_hidden_is_neither_held_nor_failed(world: World) -> None:
    """The source tells its ACL. The target tells none, not even to who makes a container of his own."""
    world.target.hides_acls = True
    verdicts = look(world)
    assert failed(verdicts) == []
    hidden = dict.fromkeys(_acls(verdicts), Outcome.NOT_SHOWN)
    assert _acls(verdicts) == hidden and len(hidden) == 4
    world.target._put(world.target._must("container:fv-akten").model_copy(update={"metadata": {}}))
    assert failed(look(world)) == [
        "structure container:fv-akten: metadata: {'verfahren': 'FV-1'} -> {}",
        "lost container:fv-akten.metadata: lost, and the plan does not say so: {'verfahren': 'FV-1'} -> {}",
    ]


def test_an_acl_that_was_lost_has_failed_though_nothing_else_shows_who_is_owner(world: World) -> None:
    _lost_acl(Target(world))
    verdicts = look(world)
    assert _acls(verdicts) == {
        "structure container:fv-akten": Outcome.FAILED, "structure container:fv-leer": Outcome.HELD,
        "coverage target owner": Outcome.HELD,
    }  # fmt: skip
    assert [c for c in world.target.enumerate_all().values() if c.startswith("unterbau")] == []


@pytest.mark.parametrize("hides", [True, False])
def test_what_was_found_out_about_acls_is_judged_again_from_the_evidence(world: World, hides: bool) -> None:
    _lost_acl(Target(world))
    world.target.hides_acls = hides
    seen = verify.look(world.source, world.target, world.plan, work=world.root, now=lambda: NOW)
    told = Contents.model_validate_json(seen.model_dump_json())
    assert (
        verify.compare(told.source, told.target, world.plan, verify.observed(told.verdicts), told.judging)
        == seen.verdicts
    )


def test_a_secret_of_another_is_not_shown_nor_what_is_in_it(world: World) -> None:
    secret = next(r for r in world.source.listing(Kind.SECRET).resources if r.name == "fv-db-zugang")
    world.source.private = {secret.ref}
    verdicts = look(world, planned=False)
    undeclared = ("snapshot", "image_id")  # what is left, and that a server is made from the image of its own disk
    assert [line for line in failed(verdicts) if not any(one in line for one in undeclared)] == []
    told = {v.claim.id: v.outcome for v in verdicts if v.claim.subject == secret.ref}
    opening = next(i for i in told if i.startswith("opening secret-acl-"))
    names = (f"structure {secret.ref}", f"content {secret.ref}", f"coverage source {secret.ref}", opening)
    assert told == dict.fromkeys(names, Outcome.NOT_SHOWN)


def test_a_container_of_a_killed_verification_is_removed_by_the_next(world: World) -> None:
    """Killed after the container was made and before it was known to be."""
    from unterbau.saga import Event, Journal, Marker

    node = "owner of target"
    marker = Marker(run="vdead", node=node).tag()
    with Journal(journal_of(world, "vdead")) as journal:
        journal.append(Event(kind="opened", data={"plan": "vdead", "nodes": {node: []}}))
        data = {"side": "target", "kind": "container", "name": marker, "marker": marker}
        journal.append(Event(kind="intended", node=node, data=dict(data)))
    world.target.ensure(Container(id=marker, name=marker), marker)
    look(world, late_seconds=0)
    assert world.target.read(ref(Kind.CONTAINER, marker)) is None
    assert list(world.root.glob("verify-*")) == []


def journal_of(world: World, run: str) -> Path:
    """Of a verification of these two."""
    return world.root / f"verify-{verify.pair(world.source.identity(), world.target.identity())}-{run}.db"


def killed_verification(world: World) -> tuple[Image, str]:
    """A journal of one that was killed while it asked for an image; the image, not made yet, and its marker."""
    from unterbau.saga import Event, Journal, Marker

    marker = Marker(run="vdead", node="image of source volume:x").tag()
    with Journal(journal_of(world, "vdead")) as journal:
        journal.append(Event(kind="opened", data={"plan": "vdead", "nodes": {"image of source volume:x": []}}))
        data = {"side": "source", "kind": "image", "name": marker, "marker": marker}
        journal.append(Event(kind="intended", node="image of source volume:x", data=dict(data)))
    return Image(id="-", name=marker, status="queued", disk_format="raw", container_format="bare"), marker


def test_temporaries_of_a_killed_verification_are_removed_by_the_next(world: World) -> None:
    stray, marker = killed_verification(world)
    id_ = world.source.ensure(stray, marker)
    look(world, late_seconds=0)
    assert world.source.read(ref(Kind.IMAGE, id_)) is None
    assert list(world.root.glob("verify-*")) == []


def test_what_a_killed_verification_left_waits_for_the_next_one_of_its_pair(world: World) -> None:
    """The verification of another pair neither looks for it nor forgets it, whatever it is called."""
    stray, marker = killed_verification(world)
    id_ = world.source.ensure(stray, marker)
    others = {name: Simulator(world.root / name, name=name) for name in "cd"}
    verify.look(others["c"], others["d"], None, work=world.root, now=lambda: NOW, late_seconds=0)
    assert world.source.read(ref(Kind.IMAGE, id_)) is not None and journal_of(world, "vdead").exists()
    look(world, late_seconds=0)
    assert world.source.read(ref(Kind.IMAGE, id_)) is None and list(world.root.glob("verify-*")) == []


@pytest.mark.parametrize("pair", ["the same", "another"])
def test_what_a_verification_that_runs_at_the_same_time_made_is_nobodys(world: World, pair: str) -> None:
    from unterbau.saga import Event, Journal, Marker

    node = "image of source volume:x"
    marker = Marker(run="v0a1b2c3d", node=node).tag()
    stray = Image(id="-", name=marker, status="queued", disk_format="raw", container_format="bare")
    path = journal_of(world, "v0a1b2c3d") if pair == "the same" else world.root / "verify-0123456789ab-v0a1b2c3d.db"
    with Journal(path) as journal:  # held by us: it lives
        journal.append(Event(kind="opened", data={"plan": "x", "nodes": {node: []}}))
        data = {"side": "source", "kind": "image", "name": marker, "marker": marker}
        journal.append(Event(kind="intended", node=node, data=dict(data)))
        id_ = world.source.ensure(stray, marker)
        assert failed(look(world, late_seconds=0)) == []
        assert world.source.read(ref(Kind.IMAGE, id_)) is not None, "it is not ours to remove"
    assert path.exists()


def test_what_is_merely_called_like_a_temporary_is_of_the_tenant(world: World) -> None:
    """Whoever moved it could hide things by such a name."""
    name = "unterbau.v0a1b2c3d.0123456789abcdef"
    world.target.ensure(Image(id="-", name=name, status="queued", disk_format="raw", container_format="bare"), name)
    assert any("completeness" in line and "image" in line for line in failed(look(world, late_seconds=0)))


def test_a_volume_that_somebody_else_reads_is_waited_for(world: World) -> None:
    """Cinder takes one upload of a volume at a time."""
    volume = next(v for v in world.source.listing(Kind.VOLUME).resources if getattr(v, "status", "") == "available")
    ensure, settle, busy = world.source.ensure, world.source.settle, [volume.ref]

    def refusing(resource: Resource, marker: str, **more: Any) -> str:
        if busy and getattr(more.get("source"), "volume_id", None) == volume.id:
            raise Conflict("Invalid volume: Volume status must be available/in-use, but current status is: uploading")
        return ensure(resource, marker, **more)

    def settling(reference: Ref, deadline: timedelta) -> Resource:
        if reference in busy:
            busy.remove(reference)
        return settle(reference, deadline)

    world.source.ensure, world.source.settle = refusing, settling  # type: ignore[method-assign]
    seen = look(world, late_seconds=0)
    assert not busy
    assert [v.outcome for v in seen if v.claim.id == f"content {volume.ref}"] == [Outcome.HELD]


def test_what_a_killed_verification_asked_for_may_come_during_the_next_one(world: World) -> None:
    """It comes after the clean-up and before the census; neither is it taken for the tenant's, nor does it stay."""
    stray, marker = killed_verification(world)
    before = [c.enumerate_all() for c in (world.source, world.target)]
    census_of_images = world.source.listing
    made: list[str] = []

    def listing(kind: Kind) -> Listing:
        if kind is Kind.NETWORK and not made:
            made.append(world.source.ensure(stray, marker))
        return census_of_images(kind)

    world.source.listing = listing  # type: ignore[method-assign]
    seen = look(world, late_seconds=0.5)
    assert made
    assert {v.outcome for v in seen if v.claim.kind == "completeness"} == {Outcome.HELD}
    assert [c.enumerate_all() for c in (world.source, world.target)] == before
    assert list(world.root.glob("verify-*")) == []


def test_a_temporary_whose_request_got_no_answer_is_swept_when_it_comes(world: World) -> None:
    before = [c.enumerate_all() for c in (world.source, world.target)]
    lost: list[str] = []

    def losing(request: str) -> float | None:
        """The first snapshot is asked for again before the cloud has made it: two come."""
        if request == "create snapshot" and not lost:
            lost.append(request)
            return 0.9
        return None

    world.source.lost = losing
    said: list[str] = []
    seen = look(world, late_seconds=1.5, say=said.append)
    assert lost
    assert [line for line in said if line.startswith("waiting") and "--late-writes" in line]
    assert {v.outcome for v in seen if v.claim.kind == "content"} == {Outcome.HELD}
    assert [c.enumerate_all() for c in (world.source, world.target)] == before
    assert list(world.root.glob("verify-*")) == []


def large_only(*clouds: Simulator) -> None:
    """No content comes with what a census tells, as if none were small."""
    for cloud in clouds:
        cloud._show = lambda things, seen: None  # type: ignore[method-assign]


def test_contents_are_read_while_the_rest_is_still_listed(world: World) -> None:
    large_only(world.source)
    read, opened = threading.Event(), world.source.object_bytes
    listed, waited = world.source.listing, list[bool]()

    def object_bytes(container: str, name: str) -> Any:
        read.set()
        return opened(container, name)

    def listing(kind: Kind) -> Listing:
        if kind is Kind.NETWORK:
            waited.append(read.wait(60))
        return listed(kind)

    world.source.object_bytes, world.source.listing = object_bytes, listing  # type: ignore[method-assign]
    world.source.role = world.target.role = "reader"
    assert failed(look(world)) == []
    assert all(waited) and waited


def test_what_was_read_early_counts_only_for_the_thing_that_the_census_ends_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    large_only(world.source, world.target)
    world.source.role = world.target.role = "reader"
    take = census.take

    def late(cloud: Any, **more: Any) -> Workload:
        found = take(cloud, **more)
        if cloud is world.target:
            target = Target(world)
            thing = next(o for o in target.objects() if o.ref == "object:fv-akten/groß.bin")
            _flipped_object(target)
            world.target.role = "member"
            target.put(thing, etag="0" * 32)
            found = take(cloud, now=more["now"])
        return found

    monkeypatch.setattr(census, "take", late)
    assert any(line.startswith("content object:") for line in failed(look(world)))


def test_what_is_read_beside_a_census_ends_with_it(world: World) -> None:
    large_only(world.source)
    chunks, reading = list[int](), threading.Event()

    class Endless:
        size_bytes = None

        def __iter__(self) -> Iterator[bytes]:
            for number in range(100_000):
                chunks.append(number)
                reading.set()
                time.sleep(0.001)
                yield b"x"

    def listing(kind: Kind) -> Listing:
        if kind is Kind.NETWORK:
            assert reading.wait(60)
            raise LocalError("the disk is full", "Make room.")
        return listed(kind)

    listed = world.source.listing
    world.source.object_bytes = lambda container, name: nullcontext(Endless())  # type: ignore[method-assign,assignment,return-value]
    world.source.listing = listing  # type: ignore[method-assign]
    with pytest.raises(LocalError, match="the disk is full"):
        look(world)
    assert len(chunks) < 50_000
