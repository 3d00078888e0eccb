# SPDX-License-Identifier: Apache-2.0
"""What attaches a volume to a server, and from which microversion on Nova takes which field. Pure.

`server` builds on it, `origin` names the disks with which a server is made.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Entry
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.policy import Content, Known, Mark, carried, changed, ignored
from unterbau.verdict import Reason

if TYPE_CHECKING:
    from unterbau.tenant.kinds.origin import Source

NEWER = "the target's Nova is too old to take it"
OF_A_NEWER_NOVA = changed(NEWER, replaced=False)
"""The policy of what Nova takes only from some microversion on."""
SINCE = {
    "description": "2.19", "tag": "2.49", "tags": "2.52", "max_server_per_host": "2.64", "locked_reason": "2.73",
    "delete_on_termination": "2.79", "hostname": "2.90",
}  # fmt: skip
"""Fields -> the microversion from which on Nova takes them (its REST API version history)."""


def untaken(resource: ResourceBase, target: Side, fields: Mapping[str, str]) -> list[Change]:
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
        return self.carry(ground, *untaken(self, ground.target, fields))

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


def place_on_server(attachment: Attachment) -> tuple[object, ...]:
    """What disks are sorted by."""
    return (attachment.boot_index != 0, len(attachment.device), attachment.device, attachment.id)
