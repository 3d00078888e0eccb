# SPDX-License-Identifier: Apache-2.0
"""Object containers and objects (Swift API v1). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from unterbau.tenant.kinds.base import Kind, Ref, ResourceBase, ref
from unterbau.verdict import Model, later


class Container(ResourceBase):
    """An object container; id = name. ACLs are Swift's text; project ids in them are those of this cloud.

    `metadata` are the X-Container-Meta-* headers, names in lower case without the prefix.
    """

    VOLATILE = frozenset({"id", "object_count", "bytes_used", "storage_policy"})
    HIDEABLE = frozenset({"read_acl", "write_acl", "sync_to"})
    kind: Literal["container"] = "container"
    read_acl: str = ""
    write_acl: str = ""
    versions_enabled: bool = False
    versions_location: str | None = None
    history_location: str | None = None
    sync_to: str | None = None
    storage_policy: str = ""
    object_count: int = 0
    bytes_used: int = 0
    metadata: dict[str, str] = Field(default_factory=dict)


class Segment(Model):
    """One segment of a static large object. `path` is `container/name` without leading slash."""

    path: str
    size_bytes: int
    etag: str
    range: str | None = None


class StoredObject(ResourceBase):
    """An object; id = `container/name` (name as UTF-8 text, untouched). `etag` is the cloud's, not evidence.

    `segments` is the SLO manifest (in order) or None; for such an object `size_bytes` is that of the joined
    content. `dlo_prefix` is the DLO's `container/prefix`; `symlink_to` the target `container/name`, in the
    account `symlink_account` (None: the object's own account; another one is not ours to follow or to carry).
    `symlink_etag` is of a static link only: the ETag that its target must have for the link to be readable.
    `metadata` are the X-Object-Meta-* headers, names in lower case without the prefix.
    """

    REFERS = {"container": Kind.CONTAINER}
    OWN = frozenset(REFERS)
    VOLATILE = frozenset({"id", "etag", "last_modified"})
    kind: Literal["object"] = "object"
    container: str
    size_bytes: int
    etag: str
    content_type: str = "application/octet-stream"
    content_encoding: str | None = None
    content_disposition: str | None = None
    delete_at: datetime | None = None
    segments: tuple[Segment, ...] | None = None
    dlo_prefix: str | None = None
    symlink_to: str | None = None
    symlink_account: str | None = later(None)
    symlink_etag: str | None = later(None)
    metadata: dict[str, str] = Field(default_factory=dict)
    last_modified: datetime | None = None

    def references(self) -> tuple[Ref, ...]:
        """The container, and the segments or the symlink's target, if that is in the own account."""
        link = [self.symlink_to] if self.symlink_to and self.symlink_account is None else []
        others = [s.path for s in self.segments or ()] + link
        return (*super().references(), *dict.fromkeys(ref(Kind.OBJECT, path) for path in others))


OWNER_ONLY = ("container.read_acl", "container.write_acl", "container.sync_to", "container.keys",
              "account.keys", "account.access_control")  # fmt: skip
"""What an object store tells an owner of the account alone, as `NotShown.what` (Swift: `swift_owner_headers`).

Nobody else gets these headers at all, so that what is hidden looks like what is empty. Whoever is not known to be an
owner has seen none of them; one of them seen anywhere in the account shows that he is, and that the others are empty.
"""
