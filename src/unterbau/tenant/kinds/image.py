# SPDX-License-Identifier: Apache-2.0
"""Images (Image API v2). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, JsonValue

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Entry
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, Told, carried, changed, ignored
from unterbau.verdict import Reason

if TYPE_CHECKING:
    from unterbau.tenant.kinds.ground import Ground, Side
    from unterbau.tenant.kinds.origin import Source

MIB = 2**20
MOST_IMAGE_TAGS = 128
_HARDWARE = ("hw_", "os_")
_ALSO_HARDWARE = ("architecture", "hypervisor_type", "vm_mode", "img_config_drive", "img_hide_hypervisor_id")
"""Glance's default (`image_tag_quota`)."""


BY_NAME_TOO = "md5"
"""A hash that alone pairs nothing: two contents of one hash can be made."""


class Image(ResourceBase):
    """An image that the project owns, or one of the provider's (see `Offering.images`).

    `hash_value` is what the cloud tells (os_hash_value; of an older Glance `checksum`), never our evidence of a content.
    `members` are project ids to which it is shared (visibility `shared`).
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/image/v2/#images", quota=("image", "image_count_total"), counted=False,
        marker=Mark.BORN, content=Content.FIXED, id_is_name=False, personal=False, usable=("active",), beyond={},
    )  # fmt: skip
    TAGS_AT_MOST = MOST_IMAGE_TAGS
    kind: Literal["image"] = "image"
    status: Annotated[str, ignored("whether it is usable is compared", moment=True)]
    disk_format: Annotated[str | None, carried()] = None
    container_format: Annotated[str | None, carried()] = None
    visibility: Annotated[str, changed("a tenant cannot publish an image", replaced=False, opens=[Opened.IMAGE])] = (
        "shared"
    )
    protected: Annotated[bool, carried()] = False
    hidden: Annotated[bool, carried()] = False
    min_disk_gib: Annotated[int, carried()] = 0
    min_ram_mib: Annotated[int, carried()] = 0
    size_bytes: Annotated[int | None, carried()] = None
    hash_algo: Annotated[str | None, ignored("the cloud's own hash; the verifier takes one of its own")] = None
    hash_value: Annotated[str | None, ignored("the cloud's own hash; the verifier takes one of its own")] = None
    owner_id: Annotated[str, ignored("the project, which is another in each cloud")] = ""
    members: Annotated[
        tuple[str, ...],
        changed("they are projects of the source cloud, which the target does not know", replaced=False, unordered=True,
                told=Told.ASKED, opens=[Opened.IMAGE]),
    ] = ()  # fmt: skip
    properties: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()
    created_at: Annotated[datetime | None, ignored("the moment of its making in this cloud")] = None

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"image {self.name}"

    def provided(self) -> str:
        """What an image of the provider's is called on both sides: its hash as the cloud tells it; "" without one."""
        if not self.hash_value:
            return ""
        name = f" {self.name}" if self.hash_algo == BY_NAME_TOO else ""
        return f"image{name} of the provider, by the {self.hash_algo} that Glance tells: {self.hash_value}"

    @staticmethod
    def comes_along(id_: str, ground: Ground) -> bool:
        """Whether the image of this id of the source will be on the target, or is there under another id."""
        there = ground.source.by_ref.get(ref(Kind.IMAGE, id_))
        return there.status in Image.KNOWN.usable if isinstance(there, Image) else twin(id_, ground) is not None

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """Also whether it is usable."""
        return {**super().facts(side, key), "usable": self.status in self.KNOWN.usable or self.status}

    def fate(self, ground: Ground) -> Entry:
        """Carried, and never more widely than its project."""
        if self.status not in self.KNOWN.usable:
            return self.leave(Reason.of("plan.status", status=self.status), Reason.of("do.finish"))
        changes = []
        if self.visibility == "public":
            why = Reason.of("plan.image.private")
            changes.append(Change(field="visibility", was="public", to="private", why=why))
        foreign = tuple(m for m in self.members if m != ground.source.identity.project_id)
        if foreign:
            why = Reason.of("plan.shared", count=len(foreign))
            changes.append(Change(field="members", was=list(self.members), to=[], why=why))
        return self.carry(ground, *changes, size=self.size_bytes or 0)

    def uses(self) -> Iterator[tuple[str, str, int]]:
        """Also its size."""
        yield from super().uses()
        yield "image", "image_size_total", -(-(self.size_bytes or 0) // MIB)

    def stamp(self) -> dict[str, JsonValue]:
        """Glance takes no data into an active image."""
        if self.status != "active" or not self.hash_value:
            return {}
        return {"hash_algo": self.hash_algo, "hash_value": self.hash_value}

    def is_filled(self) -> bool:
        """By its status."""
        return self.status == "active"

    def denied(self) -> str:
        """A member cannot publish one."""
        return "a member cannot publish it" if self.visibility == "public" else ""

    def born(self, origin: Source, number: int) -> Self:
        """Empty, and private until it is filled; from a volume or a server it is filled at once."""
        if origin.volume_id is not None or origin.server_id is not None:
            return self
        return self.model_copy(update={"status": "queued", "visibility": "private", "protected": False})

    def completed(self, side: Side, at: datetime) -> Self:
        """The project's; its hash is known once it is filled."""
        return self.model_copy(
            update={"owner_id": side.identity.project_id, "hash_algo": None, "hash_value": None, "created_at": at}
        )

    def draws(self, origin: Source) -> Ref | None:
        """A volume's, or that of a server's own disk."""
        if origin.server_id:
            return ref(Kind.SERVER, origin.server_id)
        return ref(Kind.VOLUME, origin.volume_id) if origin.volume_id else None

    def too_busy(self, drawn: ResourceBase, origin: Source) -> str:
        """A volume is uploaded only when it stands unattached."""
        return "" if origin.server_id or drawn.is_unattached() else "its status must be available"

    def filled(self, size_bytes: int) -> Self:
        """Active."""
        return self.model_copy(update={"status": "active", "size_bytes": size_bytes})

    def elsewhere(self, project_id: str) -> bool:
        """One of another project."""
        return self.owner_id != project_id

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its protection is taken away before it goes."""
        return {"protected": False} if self.ref in gone else {}

    def protection(self) -> str:
        """Its own."""
        return "protected" if self.protected else ""


def of_its_hardware(properties: Mapping[str, str]) -> dict[str, str]:
    """What a guest's hardware is like by the properties of its image (Nova, useful image properties), and nothing else.

    Nova adds to an image of a server whose it is and where it comes from: that is of the source's cloud.
    """
    return {k: v for k, v in properties.items() if k.startswith(_HARDWARE) or k in _ALSO_HARDWARE}


def twin(id_: str, ground: Ground) -> Image | None:
    """The target's image of its provider that is the source's one of this id, by hash; the plan then knows the pair."""
    ours = next((i for i in ground.source.offering.images if i.id == id_), None)
    called = ours.provided() if ours else ""
    found = next((i for i in ground.target.offering.images if called and i.provided() == called), None)
    if found is not None:
        ground.translate[f"image:{id_}"] = found.id
    return found
