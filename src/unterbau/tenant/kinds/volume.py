# SPDX-License-Identifier: Apache-2.0
"""Volumes, snapshots, backups (Block Storage API v3). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from unterbau.tenant.kinds.base import Kind, ResourceBase
from unterbau.verdict import later


class Volume(ResourceBase):
    """A volume. `image_metadata` is what it took over from its image (volume_image_metadata).

    `updated_at` changes when it is attached, detached, uploaded to an image, restored or reset, and not when a guest
    writes, when it is cloned, or with its metadata (Cinder's volumes table): while it is the same and the volume
    stands unattached, nobody wrote.
    """

    VOLATILE = frozenset({"id", "status", "snapshot_id", "source_volume_id", "created_at", "updated_at"})
    kind: Literal["volume"] = "volume"
    description: str = ""
    status: str
    size_gib: int
    volume_type: str | None = None
    bootable: bool = False
    encrypted: bool = False
    multiattach: bool = False
    read_only: bool = False
    availability_zone: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    image_metadata: dict[str, str] = Field(default_factory=dict)
    snapshot_id: str | None = None
    source_volume_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = later(None)


class Snapshot(ResourceBase):
    """A snapshot of a volume: content as of then, which no API carries to another cloud as a snapshot."""

    REFERS = {"volume_id": Kind.VOLUME}
    OWN = frozenset(REFERS)
    VOLATILE = frozenset({"id", "status", "created_at"})
    kind: Literal["snapshot"] = "snapshot"
    description: str = ""
    status: str
    volume_id: str
    size_gib: int
    metadata: dict[str, str] = Field(default_factory=dict)
    created_at: datetime | None = None


class Backup(ResourceBase):
    """A backup of a volume in the provider's backup store."""

    VOLATILE = frozenset({"id", "status", "created_at", "volume_id", "snapshot_id"})
    kind: Literal["backup"] = "backup"
    description: str = ""
    status: str
    volume_id: str
    snapshot_id: str | None = None
    size_gib: int
    incremental: bool = False
    metadata: dict[str, str] = Field(default_factory=dict)
    created_at: datetime | None = None
