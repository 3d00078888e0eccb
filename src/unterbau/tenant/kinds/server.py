# SPDX-License-Identifier: Apache-2.0
"""Keypairs, server groups and servers (Compute API 2.1, microversion >= 2.47). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue

from unterbau.tenant.kinds.attachment import NEWER, OF_A_NEWER_NOVA, SINCE, Attachment, Disks, place_on_server, untaken
from unterbau.tenant.kinds.base import MOST_TAGS, Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Entry, Guests
from unterbau.tenant.kinds.flavor import Flavor, nearest, size_of
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.image import Image, twin
from unterbau.tenant.kinds.origin import NOTHING, Source
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, carried, changed, ignored
from unterbau.tenant.kinds.volume import ARRIVAL, GIB, PASSAGES, Passage, of_disk
from unterbau.verdict import Reason, Words, joined, later


class Keypair(ResourceBase):
    """A public key; id = name (unique per user). The private half is never with the cloud."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/compute/#keypairs-keypairs", quota=("compute", "key_pairs"),
        counted=False, marker=Mark.UNIQUE, content=Content.NONE, id_is_name=True, personal=True, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["keypair"] = "keypair"
    type: Annotated[str, carried()] = "ssh"
    public_key: Annotated[str, carried()]
    fingerprint: Annotated[str, carried()]

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"keypair {self.name}"

    def fate(self, ground: Ground) -> Entry:
        """Carried; the same key of the same name stands in."""
        there = next((k for k in ground.target.of(Keypair) if k.name == self.name), None)
        if there is None:
            return self.carry(ground)
        if there.public_key.split()[:2] == self.public_key.split()[:2]:
            return self.carry(ground).model_copy(update={"stands_in": there.id})
        return self.leave(Reason.of("plan.keypair.another"), Reason.of("do.rename-key"))

    def alike(self, there: ResourceBase) -> bool:
        """By its name, which is unique."""
        return isinstance(there, Keypair) and self.name == there.name

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """The name of another one."""
        return self.alike(there)


SAID_BEFORE = (Reason.of("plan.server.local-disk"), Reason.of("loss.local-disk"))
"""What bundles of earlier versions say of local disks: their words are kept, so that they are told in every language."""
POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
MOST_METADATA = 128
"""Of a server: the quota that Nova gives (`metadata_items`)."""
HOSTNAMES_WITH_DOTS = "2.94"


class ServerGroup(ResourceBase):
    """A placement policy for servers: affinity, anti-affinity, soft-affinity, soft-anti-affinity."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/compute/#server-groups-os-server-groups",
        quota=("compute", "server_groups"), counted=True, marker=Mark.NEVER, content=Content.NONE, id_is_name=False,
        personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["server_group"] = "server_group"
    policy: Annotated[str, carried()]
    max_server_per_host: Annotated[int | None, OF_A_NEWER_NOVA] = None
    member_ids: Annotated[tuple[str, ...], ignored("each server names its group")] = ()

    def unfit(self, at: datetime) -> str:
        """It has one of four policies."""
        return super().unfit(at) or ("" if self.policy in POLICIES else "there is no such policy")

    def born(self, origin: Source, number: int) -> Self:
        """A limit for each host goes with anti-affinity only."""
        limit = self.max_server_per_host if self.policy == "anti-affinity" else None
        return self.model_copy(update={"max_server_per_host": limit})

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"server_group {self.name}"

    def fate(self, ground: Ground) -> Entry:
        """Carried."""
        field = "max_server_per_host"
        return self.carry(ground, *untaken(self, ground.target, {field: SINCE[field]}))

    def alone(self) -> Iterator[tuple[str, str, int]]:
        """Its members."""
        yield "compute", "server_group_members", len(self.member_ids)

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its members leave with themselves."""
        if not isinstance(now, ServerGroup):
            return {}
        left = {m for m in self.member_ids if ref(Kind.SERVER, m) not in gone}
        return {"member_ids": now.member_ids} if left <= set(now.member_ids) <= set(self.member_ids) else {}


class Server(ResourceBase):
    """A server. `port_ids` are in the order of its interfaces. `image_id` None means booted from volume.

    `key_name` is the id of a keypair. `status` is nova's (ACTIVE, SHUTOFF, ...). `hostname` is set where it is another than
    Nova makes of the name by itself. `disk_config` AUTO: its file system grows with its flavor.
    `user_data` cannot be read with tenant rights: the census names that for each server.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/compute/#servers-servers", quota=("compute", "instances"), counted=True,
        marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=("ACTIVE", "SHUTOFF"),
        beyond={
            "local_disk": "an ephemeral disk is in no image; a root disk travels as an image, where its cloud gives one",
            "user_data": "it is not readable with tenant rights",
        },
    )  # fmt: skip
    kind: Literal["server"] = "server"
    description: Annotated[str, OF_A_NEWER_NOVA] = ""
    status: Annotated[str, carried(moment=True)]
    flavor: Annotated[Flavor, changed("the target has no such flavor: the nearest that covers it", replaced=True)]
    image_id: Annotated[
        str | None, changed("it is made from the image of its own disk", replaced=False, refers=Kind.IMAGE, holds=False)
    ] = None
    key_name: Annotated[
        str | None, changed("it is of another user, or deleted", replaced=False, refers=Kind.KEYPAIR, holds=False)
    ] = None
    server_group_id: Annotated[str | None, carried(refers=Kind.SERVER_GROUP, own=True, holds=False)] = None
    port_ids: Annotated[tuple[str, ...], carried(refers=Kind.PORT, own=True, opens=[Opened.ATTACHED])] = ()
    metadata: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    tags: Annotated[tuple[str, ...], changed(NEWER, replaced=False, unordered=True)] = ()
    config_drive: Annotated[bool, carried()] = False
    availability_zone: Annotated[str, changed("the target has no such zone: it chooses one", replaced=True)] = ""
    locked: Annotated[bool, carried()] = False
    locked_reason: Annotated[str, OF_A_NEWER_NOVA] = later("")
    hostname: Annotated[str, OF_A_NEWER_NOVA] = later("")
    disk_config: Annotated[Literal["AUTO", "MANUAL"], carried()] = later("MANUAL")
    host_id: Annotated[str, ignored("the provider's host", moment=True)] = ""
    created_at: Annotated[datetime | None, ignored("the moment of its making in this cloud")] = None

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"server {self.name}"

    def belongings(self, side: Side, key: Key) -> list[str]:
        """Its disks."""
        return [str(disk) for disk in self._disks(side, key)]

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """Also its disks in their order; its flavor by what it gives."""
        flavor = self.flavor.model_dump(mode="json", exclude={"id"})
        return {**super().facts(side, key), "flavor": flavor, "disks": [*self._disks(side, key)]}

    def _disks(self, side: Side, key: Key) -> list[str]:
        return [key(ref(Kind.VOLUME, a.volume_id)) for a in self.attachments(side)]

    def attachments(self, side: Side) -> Disks:
        """What attaches volumes to it."""
        found = (side.by_ref[r] for r in side.relations.naming(Kind.ATTACHMENT, "server_id", self.id))
        return sorted((a for a in found if isinstance(a, Attachment)), key=place_on_server)

    def after(self, side: Side) -> list[Ref]:
        """Its volumes: a guest begins when it is made, and finds them within seconds, not when the last of their bytes has come."""
        return [a.disk for a in self.attachments(side) if a.disk in side.by_ref]

    def fate(self, ground: Ground) -> Entry:
        """Carried on a flavor that covers its own, with the disk that it has on its host."""
        if self.status not in self.KNOWN.usable:
            return self.leave(
                Reason.of("plan.status", status=self.status), Reason.of("do.bring-to", states="ACTIVE, SHUTOFF")
            )
        changes: list[Change] = []
        flavor = nearest(self.flavor, ground.target.offering.flavors)
        if flavor is None:
            return self.leave(Reason.of("plan.server.no-flavor", name=self.flavor.name),
                              Reason.of("do.ask-or-shrink"))  # fmt: skip
        if flavor.model_dump(exclude={"id"}) != self.flavor.model_dump(exclude={"id"}):
            same = flavor.name == self.flavor.name
            why = Reason.of(
                "plan.flavor.another" if same else "plan.flavor.nearest", name=self.flavor.name, nearest=flavor.name,
                size=size_of(flavor), was=size_of(self.flavor),
            )  # fmt: skip
            to = flavor.model_dump(mode="json")
            changes.append(Change(field="flavor", was=self.flavor.name, to=to, why=why))
        zone = self.availability_zone
        if zone and zone not in ground.target.offering.compute_zones:
            why = Reason.of("plan.server.zone", zone=zone)
            changes.append(Change(field="availability_zone", was=zone, to="", why=why))
        fields = {f: SINCE[f] for f in ("description", "tags", "locked_reason", "hostname")}
        fields["hostname"] = HOSTNAMES_WITH_DOTS if "." in self.hostname else fields["hostname"]
        changes += [*self._without_key(ground), *untaken(self, ground.target, fields)]
        obstacle = self._image(ground)
        if obstacle is not None:
            return obstacle
        roots = [a for a in self.attachments(ground.source) if a.boot_index == 0]
        own_disk = self._of_its_disk(ground)
        changes += own_disk
        notes = [c.why for c in changes]
        if self.image_id and not roots and not own_disk:
            notes.append(Reason.of("plan.server.own-disk"))
        notes.append(Reason.of("plan.server.user-data"))
        entry = self.carry(
            ground, *changes, why=joined(notes), more=[ref(Kind.VOLUME, a.volume_id) for a in roots],
            size=self.flavor.disk_gib * GIB if own_disk else 0,
        )  # fmt: skip
        return entry.model_copy(update={"carries_disk": bool(own_disk) and entry.fate.moves})

    def _of_its_disk(self, ground: Ground) -> list[Change]:
        """That it is made from an image of its disk; none if it has no disk of its own that an image could hold.

        What boots with a kernel beside its image (`kernel_id`) is not made of its disk alone.
        """
        image = self._booted_from(ground.source)
        if not self.is_exported(ground.source) or (image is not None and "kernel_id" in image.properties):
            return []
        why = Reason.of("plan.server.disk", image=(image and image.name) or self.image_id or "")
        return [Change(field="image_id", was=self.image_id, chosen_by_target=True, why=why)]

    def _booted_from(self, side: Side) -> Image | None:
        """The image that it was booted from, if the project sees it."""
        own = side.by_ref.get(ref(Kind.IMAGE, self.image_id or ""))
        return own if isinstance(own, Image) else next((i for i in side.offering.images if i.id == self.image_id), None)

    @classmethod
    def remarks(cls, ground: Ground) -> Iterator[Words]:
        """How the disks on their hosts travel; whether a cloud gives any is seen by trying."""
        own = [s for s in ground.source.of(Server) if s.status in s.KNOWN.usable and s._of_its_disk(ground)]
        if own:
            size, running = sum(s.flavor.disk_gib for s in own), sum(s.runs() for s in own)
            yield Reason.of("check.disks", count=len(own), size=size)
            if running:
                yield Reason.of("check.disks.running", count=running)

    def _without_key(self, ground: Ground) -> list[Change]:
        """A key pair is its user's: that of a colleague is seen by name only, and goes with nobody."""
        if self.key_name is None or ref(Kind.KEYPAIR, self.key_name) in ground.source.by_ref:
            return []
        return [
            Change(field="key_name", was=self.key_name, to=None, why=Reason.of("plan.server.key", name=self.key_name))
        ]

    def _image(self, ground: Ground) -> Entry | None:
        """None if the image is the project's own or has a twin on the target; else the server is left."""
        if self.image_id is None or ref(Kind.IMAGE, self.image_id) in ground.source.by_ref:
            return None
        if twin(self.image_id, ground) is None:
            ours = next((i for i in ground.source.offering.images if i.id == self.image_id), None)
            return self.leave(Reason.of("plan.server.image", image=ours.name if ours else self.image_id),
                              Reason.of("do.copy-image"))  # fmt: skip
        return None

    def beyond(self, side: Side) -> Iterator[tuple[str, Words]]:
        """Its local disk and its user_data."""
        if self.unread(side):
            yield "local_disk", Reason.of("loss.own-disk")
        yield "user_data", Reason.of("loss.user-data")

    def lost_with(self, entry: Entry, side: Side) -> Iterator[tuple[str, Words]]:
        """Of its local disks nothing, if that is its root disk alone and is carried."""
        carried_whole = entry.carries_disk and not self.flavor.ephemeral_gib
        yield from ((f, why) for f, why in self.beyond(side) if f != "local_disk" or not carried_whole)

    def unread(self, side: Side) -> Words:
        """A disk that lives on its host: only an image that a member makes of it can be read."""
        local = self.flavor.ephemeral_gib > 0 or self._is_rooted_here(side)
        return Reason.of("close.local-disk", server=self.ref, name=self.name) if local else ""

    def _is_rooted_here(self, side: Side) -> bool:
        return self.image_id is not None and all(a.boot_index != 0 for a in self.attachments(side))

    def is_exported(self, side: Side) -> bool:
        """If it was booted from an image, and onto a disk whose length its flavor says."""
        return self._is_rooted_here(side) and self.flavor.disk_gib > 0

    def writers(self, side: Side) -> list[Ref]:
        """It writes its own disk."""
        return [self.ref] if self.is_exported(side) else []

    def disk_gib(self) -> int:
        """Its flavor's."""
        return self.flavor.disk_gib if self.image_id is not None else 0

    def passages(self, *, backed: bool) -> list[Passage]:
        """An image, which Nova makes of it also while it runs."""
        return [self.passage("image")]

    def passage(self, what: str) -> Passage:
        """One of them by its name (see `PASSAGES`)."""

        def make(name: str, origin: str) -> tuple[Image, Source]:
            return of_disk(name), NOTHING if what == ARRIVAL else Source(server_id=origin)

        return Passage(what, PASSAGES[what], make)

    def is_unattached(self) -> bool:
        """Stopped, nobody writes its own disk."""
        return self.status == "SHUTOFF"

    def draws(self, origin: Source) -> Ref | None:
        """Its image's."""
        return ref(Kind.IMAGE, self.image_id) if self.image_id else None

    def uses(self) -> Iterator[tuple[str, str, int]]:
        """Also cores and memory."""
        yield from super().uses()
        yield "compute", "cores", self.flavor.vcpus
        yield "compute", "ram_mib", self.flavor.ram_mib

    def under(self, relations: Relations) -> list[Ref]:
        """Also its attachments, and the addresses of its ports."""
        found = [*super().under(relations), *relations.naming(Kind.ATTACHMENT, "server_id", self.id)]
        for port in self.port_ids:
            found += relations.naming(Kind.FLOATING_IP, "port_id", port)
        return found

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its lock is taken away before it goes, and with it the reason."""
        return {"locked": False, "locked_reason": ""} if self.ref in gone else {}

    RUNS = True

    def runs(self) -> bool:
        """ACTIVE (Nova, server status)."""
        return self.status == "ACTIVE"

    def as_running(self) -> Self:
        """ACTIVE."""
        return self.model_copy(update={"status": "ACTIVE"})

    def rehearsed(self, guests: Guests, side: Side) -> Self:
        """Stopped, if it is to be still."""
        return self.model_copy(update={"status": "SHUTOFF"}) if guests is Guests.STILL else self

    def power(self) -> Literal["", "SHUTOFF"]:
        """A server is made running."""
        return "SHUTOFF" if self.status == "SHUTOFF" else ""

    def protection(self) -> str:
        """Its lock."""
        return "locked" if self.locked else ""

    def protected_for(self) -> str:
        """The reason of its lock."""
        return self.locked_reason

    def doomed(self, relations: Relations) -> tuple[Ref, ...]:
        """Attachments whose volumes the cloud deletes with it."""
        return tuple(a.ref for a in self.attachments(relations.side) if a.delete_on_termination)

    def born(self, origin: Source, number: int) -> Self:
        """It is made running."""
        return self.model_copy(update={"status": "ACTIVE", "locked": False, "locked_reason": ""})

    def marked_by_tag(self) -> bool:
        """Whether its metadata leave no room for our mark, which is a tag then."""
        return len(self.metadata) >= MOST_METADATA

    def full(self) -> Words:
        """Neither its metadata nor its tags have room for one more."""
        if not self.marked_by_tag() or len(self.tags) < MOST_TAGS:
            return ""
        return Reason.of("plan.full", count=len(self.metadata) + len(self.tags), what="metadata, tags")

    def alone(self) -> Iterator[tuple[str, str, int]]:
        """Its metadata, with our mark."""
        yield "compute", "metadata_items", len(self.metadata) + (not self.marked_by_tag())

    def denied(self) -> str:
        """Nova's quota of metadata."""
        return f"it has more than {MOST_METADATA} metadata" if len(self.metadata) > MOST_METADATA else ""

    def completed(self, side: Side, at: datetime) -> Self:
        """In a zone, on a host."""
        zone = self.availability_zone or next(iter(side.offering.compute_zones), "")
        return self.model_copy(update={"availability_zone": zone, "host_id": "host", "created_at": at})

    def along(self, side: Side) -> list[Ref]:
        """Its attachments, and the disks that were to go with it."""
        found = self.attachments(side)
        return [*(a.ref for a in found), *(a.disk for a in found if a.delete_on_termination)]

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """A port of another one, or a volume that is attached."""
        if isinstance(there, Attachment):
            return there.volume_id in {d.volume_id for d in origin.disks}
        return isinstance(there, Server) and bool(set(self.port_ids) & set(there.port_ids))
