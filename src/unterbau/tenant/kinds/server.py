# SPDX-License-Identifier: Apache-2.0
"""Keypairs, server groups, servers and their attachments (Compute API 2.1, microversion >= 2.47). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import Field, JsonValue

from unterbau.tenant.kinds.base import MOST_TAGS, Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Entry, Guests
from unterbau.tenant.kinds.flavor import Flavor, nearest, size_of
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.image import twin
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, carried, changed, ignored
from unterbau.verdict import Reason, Words, joined, later

if TYPE_CHECKING:
    from unterbau.tenant.kinds.origin import Source


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
NEWER = "the target's Nova is too old to take it"
OF_A_NEWER_NOVA = changed(NEWER, replaced=False)
"""The policy of what Nova takes only from some microversion on."""
POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
MOST_METADATA = 128
"""Of a server: the quota that Nova gives (`metadata_items`)."""
SINCE = {
    "description": "2.19", "tag": "2.49", "tags": "2.52", "max_server_per_host": "2.64", "locked_reason": "2.73",
    "delete_on_termination": "2.79", "hostname": "2.90",
}  # fmt: skip
"""Fields -> the microversion from which on Nova takes them (its REST API version history)."""
HOSTNAMES_WITH_DOTS = "2.94"


def _untaken(resource: ResourceBase, target: Side, fields: Mapping[str, str]) -> list[Change]:
    """What an older Nova takes from nobody; one that does not tell its version takes all, or the move says so."""
    told = [int(n) for n in target.identity.services.get("compute", "").split(".") if n.isdecimal()]
    found = []
    for field, since in fields.items():
        was, unset = getattr(resource, field), type(resource).model_fields[field].default
        if told and was != unset and told < [int(n) for n in since.split(".")]:
            why = Reason.of("plan.server.microversion", field=field, since=since)
            plain = {"was": [*was] if isinstance(was, tuple) else was, "to": [] if unset == () else unset}
            found.append(Change(field=field, why=why, **plain))
    return found


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
        return self.carry(ground, *_untaken(self, ground.target, {field: SINCE[field]}))

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
            "local_disk": "what was written to a disk on its host is not carried: no image is made of it",
            "user_data": "it is not readable with tenant rights",
        },
    )  # fmt: skip
    kind: Literal["server"] = "server"
    description: Annotated[str, OF_A_NEWER_NOVA] = ""
    status: Annotated[str, carried(moment=True)]
    flavor: Annotated[Flavor, changed("the target has no such flavor: the nearest that covers it", replaced=True)]
    image_id: Annotated[str | None, carried(refers=Kind.IMAGE, holds=False)] = None
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
        return sorted((a for a in found if isinstance(a, Attachment)), key=_place_on_server)

    def fate(self, ground: Ground) -> Entry:
        """Carried on a flavor that covers its own; its local disk is made anew."""
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
        changes += [*self._without_key(ground), *_untaken(self, ground.target, fields)]
        obstacle = self._image(ground)
        if obstacle is not None:
            return obstacle
        roots = [a for a in self.attachments(ground.source) if a.boot_index == 0]
        notes = [c.why for c in changes]
        if self.image_id and not roots:
            notes.append(Reason.of("plan.server.own-disk"))
        notes.append(Reason.of("plan.server.user-data"))
        return self.carry(ground, *changes, why=joined(notes), more=[ref(Kind.VOLUME, a.volume_id) for a in roots])

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

    def unread(self, side: Side) -> Words:
        """A disk that lives on its host: only an image that a member makes of it could be read."""
        from_volume = any(a.boot_index == 0 for a in self.attachments(side))
        local = self.flavor.ephemeral_gib > 0 or (self.image_id is not None and not from_volume)
        return Reason.of("close.local-disk", server=self.ref, name=self.name) if local else ""

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


class Attachment(ResourceBase):
    """A volume on a server; id = `server id/volume id`. `boot_index` 0 is the root disk."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/compute/#servers-with-volume-attachments-servers-os-volume-attachments",
        quota=None, counted=False, marker=Mark.PLACE, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["attachment"] = "attachment"
    server_id: Annotated[str, carried(refers=Kind.SERVER, own=True, holds=False)]
    volume_id: Annotated[str, carried(refers=Kind.VOLUME, own=True, holds=False)]
    device: Annotated[
        str, ignored("a name that the guest may not even use; the server's disks are compared in their order")
    ] = ""
    boot_index: Annotated[int | None, carried()] = None
    delete_on_termination: Annotated[bool, OF_A_NEWER_NOVA] = False
    tag: Annotated[str | None, OF_A_NEWER_NOVA] = None

    @property
    def disk(self) -> Ref:
        """Its volume."""
        return ref(Kind.VOLUME, self.volume_id)

    def place(self) -> str:
        """Its server, and its volume."""
        return f"{self.server_id}/{self.volume_id}"

    def leaves_with_another(self) -> bool:
        """A root disk leaves with its server."""
        return self.boot_index == 0

    def holder(self) -> Ref:
        """Its server: a guest that runs may refuse to give a disk back, for ever."""
        return ref(Kind.SERVER, self.server_id)

    def natural_key(self, key: Key) -> str:
        """Its volume, and its server."""
        return f"{key(ref(Kind.VOLUME, self.volume_id))} on {key(ref(Kind.SERVER, self.server_id))}"

    def fate(self, ground: Ground) -> Entry:
        """Carried. A root disk is made with its server, for which every Nova takes all of it."""
        fields = {} if self.leaves_with_another() else {f: SINCE[f] for f in ("tag", "delete_on_termination")}
        return self.carry(ground, *_untaken(self, ground.target, fields))

    def under(self, relations: Relations) -> list[Ref]:
        """Not its server: it goes with it."""
        return [n for n in super().under(relations) if n != ref(Kind.SERVER, self.server_id)]

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its volume is kept from going with the server."""
        return {"delete_on_termination": False} if ref(Kind.SERVER, self.server_id) in gone else {}

    def occupies(self) -> Ref | None:
        """Its volume."""
        return self.disk

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """A volume that is attached."""
        return isinstance(there, Attachment) and self.volume_id == there.volume_id


Disks: TypeAlias = list[Attachment]
"""In the order of their devices, root first."""


def _place_on_server(attachment: Attachment) -> tuple[object, ...]:
    return (attachment.boot_index != 0, len(attachment.device), attachment.device, attachment.id)
