# SPDX-License-Identifier: Apache-2.0
"""Images (Image API v2). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from unterbau.tenant.kinds.base import ResourceBase


class Image(ResourceBase):
    """An image that the project owns. `hash_value` is the cloud's own (os_hash_value), never our evidence.

    `members` are project ids to which it is shared (visibility `shared`).
    """

    VOLATILE = frozenset({"id", "hash_value", "hash_algo", "status", "created_at", "owner_id"})
    kind: Literal["image"] = "image"
    status: str
    disk_format: str | None = None
    container_format: str | None = None
    visibility: str = "shared"
    protected: bool = False
    hidden: bool = False
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    size_bytes: int | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    owner_id: str = ""
    members: tuple[str, ...] = ()
    properties: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
