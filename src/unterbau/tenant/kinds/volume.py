# SPDX-License-Identifier: Apache-2.0
"""Volumes, snapshots, backups (Block Storage API v3), and how a volume's content is exported. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field, JsonValue

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, kind_of, ref
from unterbau.tenant.kinds.fate import Change, Check, Entry
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.image import Image
from unterbau.tenant.kinds.offering import VolumeType
from unterbau.tenant.kinds.origin import NOTHING, Source
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, carried, changed, ignored, left
from unterbau.verdict import Outcome, Reason, Words, joined, later

GIB = 2**30
QCOW2: Final = "qcow2"
"""Glance's name of the form in which only what is in use of a disk passes."""
MULTIATTACH = "<is> True"
"""What the extra spec `multiattach` of a type says (Cinder, volume multi-attach); members are told it."""
ORIGIN = ("image_id", "image_name", "checksum")
"""Keys of a volume's image metadata that say which image it was made from, and nothing of the volume itself."""
ENCRYPTED = "scs:encrypted"
"""The aspect of a volume type that encrypts (scs-0114)."""


MADE_AT = ignored("the moment of its making in this cloud")
"""The policy of `created_at`."""


class Volume(ResourceBase):
    """A volume. `image_metadata` is what it took over from its image (volume_image_metadata), without `image_origin`: which
    image that was (`ORIGIN`).

    `updated_at` changes when it is attached, detached, uploaded to an image, restored or reset, and not when a guest
    writes, when it is cloned, or with its metadata (Cinder's volumes table): while it is the same and the volume
    stands unattached, nobody wrote.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes", quota=("block_storage", "volumes"),
        counted=False, marker=Mark.BORN, content=Content.DISK, id_is_name=False, personal=False,
        usable=("available", "in-use"), beyond={},
    )  # fmt: skip
    kind: Literal["volume"] = "volume"
    description: Annotated[str, carried()] = ""
    status: Annotated[str, ignored("whether it is usable is compared; who uses it, its attachments tell", moment=True)]
    size_gib: Annotated[int, carried()]
    volume_type: Annotated[str | None, changed("the target has no type of that name: its default", replaced=True)] = (
        None
    )
    bootable: Annotated[bool, carried()] = False
    encrypted: Annotated[bool, carried(member=False, opens=[Opened.ENCRYPTION])] = False
    multiattach: Annotated[bool, carried(member=False)] = False
    read_only: Annotated[bool, carried()] = False
    availability_zone: Annotated[str, changed("the target has no such zone: it chooses one", replaced=True)] = ""
    metadata: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    image_metadata: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    image_origin: Annotated[
        dict[str, str], ignored("history: which image it was once made from; it is mapped where that image comes along")
    ] = later({})
    snapshot_id: Annotated[str | None, ignored("where its content once came from; the content itself is compared")] = (
        None
    )
    source_volume_id: Annotated[
        str | None, ignored("where its content once came from; the content itself is compared")
    ] = None
    created_at: Annotated[datetime | None, MADE_AT] = None
    updated_at: Annotated[
        datetime | None, ignored("the moment of its last change of state in this cloud", moment=True)
    ] = later(None)

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"volume {self.name}"

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """Also whether it is usable."""
        return {**super().facts(side, key), "usable": self.status in self.KNOWN.usable or self.status}

    def fate(self, ground: Ground) -> Entry:
        """Carried on a type of the same name, else the default one; never unencrypted if it was encrypted."""
        if self.status not in self.KNOWN.usable:
            return self.leave(
                Reason.of("plan.status", status=self.status), Reason.of("do.bring-to", states="available, in-use")
            )
        type_ = _type_for(self.volume_type, ground.target)
        if self.encrypted and not (type_ and ENCRYPTED in type_.description):
            return self.leave(Reason.of("plan.volume.encrypted"), Reason.of("do.agree-unencrypted"))  # fmt: skip
        changes = []
        name = type_.name if type_ else None
        if name != self.volume_type:
            why = Reason.of("plan.volume.type", type=self.volume_type)
            changes.append(Change(field="volume_type", was=self.volume_type, to=name, why=why))
        zone = self.availability_zone
        if zone and zone not in ground.target.offering.volume_zones:
            why = Reason.of("plan.volume.zone", zone=zone)
            changes.append(Change(field="availability_zone", was=zone, to="", why=why))
        notes: list[Words] = [c.why for c in changes]
        origin = self.image_origin.get("image_id", "")
        if origin and not Image.comes_along(origin, ground):
            told = self.image_origin.get("image_name") or origin
            notes.append(Reason.of("plan.volume.origin", name=told))
        return self.carry(ground, *changes, why=joined(notes), size=self.size_gib * GIB)

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Also the image that it was made from; without one that is not there its history says nothing there."""
        moved, origin = super().with_ids(new_id), self.image_origin.get("image_id")
        there = new_id(ref(Kind.IMAGE, origin)) if origin else None
        return moved.model_copy(update={"image_origin": {**self.image_origin, "image_id": there} if there else {}})

    def planned(self, new_id: Callable[[Ref], str | None], target: Side) -> Self | None:
        """Encrypted only on a type that encrypts."""
        types = {t.name: ENCRYPTED in t.description for t in target.offering.volume_types}
        return self.with_ids(new_id).model_copy(
            update={"encrypted": self.encrypted and types.get(self.volume_type or "", False)}
        )

    def uses(self) -> Iterator[tuple[str, str, int]]:
        """Also its size."""
        yield from super().uses()
        yield "block_storage", "gigabytes", self.size_gib

    def passing(self) -> Iterator[tuple[str, str, int]]:
        """A snapshot and a copy."""
        yield "block_storage", "volumes", 1
        yield "block_storage", "snapshots", 1
        yield "block_storage", "gigabytes", 2 * self.size_gib

    def shares(self) -> Iterator[tuple[str, str, str]]:
        """Each counts for its type, too."""
        for resource in ("volumes", "gigabytes", "snapshots") if self.volume_type else ():
            yield "block_storage", resource, f"{resource}_{self.volume_type}"

    def alone(self) -> Iterator[tuple[str, str, int]]:
        """Its own size."""
        yield "block_storage", "per_volume_gigabytes", self.size_gib

    @classmethod
    def remarks(cls, ground: Ground) -> Iterator[Words]:
        """How they travel."""
        yield from _journey(ground)

    @classmethod
    def checks(cls, ground: Ground) -> Iterator[Check]:
        """Whether what several servers have will have a type that allows it."""
        relations = ground.source.relations
        shared = [v for v in ground.source.of(Volume) if len(relations.naming(Kind.ATTACHMENT, "volume_id", v.id)) > 1]
        if not shared:
            return
        specs = {v.ref: t.extra_specs if (t := _type_for(v.volume_type, ground.target)) else {} for v in shared}
        lacking = [v.name or v.id for v in shared if specs[v.ref].get("multiattach") != MULTIATTACH]
        name, told = "volumes of several servers", [v.name or v.id for v in shared]
        if not lacking:
            yield Check(name=name, outcome=Outcome.HELD, text=Reason.of("check.multiattach", things=told[:5]))
        elif not _tells_specs(ground.target):
            text = Reason.of("check.multiattach.unknown", count=len(lacking), things=lacking[:5])
            yield Check(name=name, outcome=Outcome.NOT_SHOWN, text=text)
        else:
            text = Reason.of("check.multiattach.lacking", count=len(lacking), things=lacking[:5])
            yield Check(name=name, outcome=Outcome.FAILED, text=text, remedy=Reason.of("do.multiattach"))

    def disk_gib(self) -> int:
        """Its size."""
        return self.size_gib

    def is_unattached(self) -> bool:
        """By its status."""
        return self.status == "available"

    def unattached_since(self) -> datetime | None:
        """Its `updated_at`, if nobody has attached it."""
        return self.updated_at if self.is_unattached() else None

    def writers(self, side: Side) -> list[Ref]:
        """To which it is attached."""
        held = (side.by_ref.get(one) for one in side.relations.naming(Kind.ATTACHMENT, "volume_id", self.id))
        return [r for one in held if one is not None for r in one.references() if kind_of(r) is Kind.SERVER]

    def backed(self, relations: Relations) -> bool:
        """By its snapshots."""
        return bool(relations.naming(Kind.SNAPSHOT, "volume_id", self.id))

    def passages(self, *, backed: bool) -> list[Passage]:
        """From a copy of a snapshot if it is in use, from a clone if it has snapshots; in the end an image."""
        before = ["snapshot", "copy"] if self.status == "in-use" else ["clone"] if backed else []
        return [self.passage(what) for what in (*before, "image")]

    def passage(self, what: str) -> Passage:
        """One of them by its name (see `PASSAGES`)."""

        def make(name: str, origin: str) -> tuple[Image | Volume | Snapshot, Source]:
            size, type_ = self.size_gib, self.volume_type
            image = of_disk(name)
            copy = Volume(id="-", name=name, status="", size_gib=size, volume_type=type_)
            snapshot = Snapshot(id="-", name=name, status="", volume_id=self.id, size_gib=size)
            made: dict[str, tuple[Image | Volume | Snapshot, Source]] = {
                "snapshot": (snapshot, Source(force=True)), "copy": (copy, Source(snapshot_id=origin)),
                "clone": (copy, Source(volume_id=origin)), "image": (image, Source(volume_id=origin)),
                ARRIVAL: (image, NOTHING),
            }  # fmt: skip
            return made[what]

        return Passage(what, PASSAGES[what], make)

    def born(self, origin: Source, number: int) -> Self:
        """Available; whether it is encrypted or may have several servers is its type's to say."""
        return self.model_copy(update={"status": "available", "encrypted": False, "multiattach": False})

    def completed(self, side: Side, at: datetime) -> Self:
        """With a type, a zone and the time of its making."""
        types = [t.name for t in side.offering.volume_types if t.is_default]
        told = {
            "volume_type": self.volume_type or next(iter(types), None),
            "availability_zone": self.availability_zone or next(iter(side.offering.volume_zones), ""),
            "created_at": at,
        }
        return self.model_copy(update=told)

    def draws(self, origin: Source) -> Ref | None:
        """An image's, a snapshot's or a volume's."""
        origins = (Kind.IMAGE, origin.image_id), (Kind.SNAPSHOT, origin.snapshot_id), (Kind.VOLUME, origin.volume_id)
        return next((ref(kind, id_) for kind, id_ in origins if id_), None)

    def occupied(self, by_another: bool) -> Self:
        """By its status."""
        return self.model_copy(update={"status": "in-use" if by_another else "available"})

    def is_occupied(self) -> bool:
        """By its status."""
        return self.status == "in-use"

    def touched(self, at: datetime) -> Self:
        """See the class."""
        return self.model_copy(update={"updated_at": at})

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """Kept for itself it keeps its attachments."""
        uses = relations.naming(Kind.ATTACHMENT, "volume_id", self.id) if itself else []
        return [*super().upheld(relations, itself), *uses]


def _journey(ground: Ground) -> Iterator[Words]:
    """What passes of the volumes, as far as it can be told before: whether a Cinder gives and takes qcow2 is seen by trying."""
    volumes = [v for v in ground.source.of(Volume) if v.status in v.KNOWN.usable]
    if not volumes:
        return
    formats = {s.identity.name: s.offering.image_formats for s in (ground.source, ground.target)}
    whole = [name for name, known in formats.items() if known and QCOW2 not in known]
    size = sum(v.size_gib for v in volumes)
    text = Reason.of("check.passing", size=size)
    if whole:
        text = Reason.of("check.passing.whole", size=size, clouds=whole)
    yield text


ARRIVAL = "arrival"
PASSAGES = {
    "snapshot": Kind.SNAPSHOT, "copy": Kind.VOLUME, "clone": Kind.VOLUME, "image": Kind.IMAGE, ARRIVAL: Kind.IMAGE,
}  # fmt: skip
"""What the temporary things are called; `arrival` is on the target: an image to make the volume from."""
EARLIER: Final = "earlier "
"""Before these names: of a copy that was made while the source lived, and of which later only blocks are carried."""


def of_disk(name: str) -> Image:
    """The wish for the image by which a disk travels; its form is whoever makes it to say."""
    return Image(
        id="-", name=name, status="queued", disk_format="raw", container_format="bare", visibility="private"
    )  # fmt: skip


@dataclass(frozen=True)
class Passage:
    """One temporary thing on the way of a content. Each is made from the one before, the first from the thing itself."""

    what: str
    kind: Kind
    make: Callable[[str, str], tuple[Image | Volume | Snapshot, Source]]
    """(name, id of the one before) -> what to make, and from what."""

    @property
    def readable(self) -> bool:
        """Whether its bytes can be read."""
        return self.kind is Kind.IMAGE


def _tells_specs(target: Side) -> bool:
    """Whether this Cinder tells members of extra specs at all (3.66 and newer do, and whoever told one)."""
    told = [int(n) for n in target.identity.services.get("block-storage", "").split(".") if n.isdecimal()]
    return told >= [3, 66] or any(t.extra_specs for t in target.offering.volume_types)


def _type_for(name: str | None, target: Side) -> VolumeType | None:
    types = target.offering.volume_types
    same = [t for t in types if t.name == name]
    return next(iter(same or [t for t in types if t.is_default]), None)


NO_SNAPSHOT = Reason.of("plan.snapshot")
NO_BACKUP = Reason.of("plan.backup")


class Snapshot(ResourceBase):
    """A snapshot of a volume: content as of then, which no API carries to another cloud as a snapshot."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/block-storage/v3/#volume-snapshots-snapshots",
        quota=("block_storage", "snapshots"), counted=False, marker=Mark.BORN, content=Content.NONE, id_is_name=False,
        personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["snapshot"] = "snapshot"
    description: Annotated[str, left(NO_SNAPSHOT)] = ""
    status: Annotated[str, ignored("a state of this cloud", moment=True)]
    volume_id: Annotated[str, left(NO_SNAPSHOT, refers=Kind.VOLUME, own=True)]
    size_gib: Annotated[int, left(NO_SNAPSHOT)]
    metadata: Annotated[dict[str, str], left(NO_SNAPSHOT)] = Field(default_factory=dict)
    created_at: Annotated[datetime | None, MADE_AT] = None

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"snapshot {self.name}"

    def born(self, origin: Source, number: int) -> Self:
        """Available."""
        return self.model_copy(update={"status": "available"})

    def draws(self, origin: Source) -> Ref | None:
        """Its volume's."""
        return ref(Kind.VOLUME, self.volume_id)

    def too_busy(self, drawn: ResourceBase, origin: Source) -> str:
        """Of a volume in use only by force."""
        return "it is in use" if drawn.is_occupied() and not origin.force else ""

    def fate(self, ground: Ground) -> Entry:
        """Left."""
        return self.leave(NO_SNAPSHOT, Reason.of("do.volume-from-it"))


class Backup(ResourceBase):
    """A backup of a volume in the provider's backup store."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/block-storage/v3/#backups-backups", quota=("block_storage", "backups"),
        counted=False, marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["backup"] = "backup"
    description: Annotated[str, left(NO_BACKUP)] = ""
    status: Annotated[str, ignored("a state of this cloud", moment=True)]
    volume_id: Annotated[str, ignored("the volume may be gone, and the backup is not carried")]
    snapshot_id: Annotated[str | None, ignored("the snapshot may be gone, and the backup is not carried")] = None
    size_gib: Annotated[int, left(NO_BACKUP)]
    incremental: Annotated[bool, left(NO_BACKUP)] = False
    metadata: Annotated[dict[str, str], left(NO_BACKUP)] = Field(default_factory=dict)
    created_at: Annotated[datetime | None, MADE_AT] = None

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"backup {self.name}"

    def fate(self, ground: Ground) -> Entry:
        """Left."""
        return self.leave(NO_BACKUP, Reason.of("do.restore"))
