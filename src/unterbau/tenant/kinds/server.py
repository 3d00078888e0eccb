# SPDX-License-Identifier: Apache-2.0
"""Keypairs, server groups, servers and their attachments (Compute API 2.1, microversion >= 2.47). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from unterbau.tenant.kinds.base import Kind, ResourceBase
from unterbau.verdict import Model


class Flavor(Model):
    """What a server gets. RAM and swap in MiB, disks in GiB. `id` is empty where nova embeds the flavor."""

    id: str = ""
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    extra_specs: dict[str, str] = Field(default_factory=dict)


class Keypair(ResourceBase):
    """A public key; id = name (unique per user). The private half is never with the cloud."""

    kind: Literal["keypair"] = "keypair"
    type: str = "ssh"
    public_key: str
    fingerprint: str


class ServerGroup(ResourceBase):
    """A placement policy for servers: affinity, anti-affinity, soft-affinity, soft-anti-affinity."""

    VOLATILE = frozenset({"id", "member_ids"})
    kind: Literal["server_group"] = "server_group"
    policy: str
    max_server_per_host: int | None = None
    member_ids: tuple[str, ...] = ()


class Server(ResourceBase):
    """A server. `port_ids` are in the order of its interfaces. `image_id` None means booted from volume.

    `key_name` is the id of a keypair. `status` is nova's (ACTIVE, SHUTOFF, ...).
    `user_data` cannot be read with tenant rights: the census names that for each server.
    """

    REFERS = {
        "image_id": Kind.IMAGE,
        "key_name": Kind.KEYPAIR,
        "server_group_id": Kind.SERVER_GROUP,
        "port_ids": Kind.PORT,
    }
    OWN = frozenset({"server_group_id", "port_ids"})
    VOLATILE = frozenset({"id", "host_id", "created_at"})
    kind: Literal["server"] = "server"
    description: str = ""
    status: str
    flavor: Flavor
    image_id: str | None = None
    key_name: str | None = None
    server_group_id: str | None = None
    port_ids: tuple[str, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    config_drive: bool = False
    availability_zone: str = ""
    locked: bool = False
    host_id: str = ""
    created_at: datetime | None = None


class Attachment(ResourceBase):
    """A volume on a server; id = `server id/volume id`. `boot_index` 0 is the root disk."""

    REFERS = {"server_id": Kind.SERVER, "volume_id": Kind.VOLUME}
    OWN = frozenset(REFERS)
    VOLATILE = frozenset({"id"})
    kind: Literal["attachment"] = "attachment"
    server_id: str
    volume_id: str
    device: str = ""
    boot_index: int | None = None
    delete_on_termination: bool = False
    tag: str | None = None
