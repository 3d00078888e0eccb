# SPDX-License-Identifier: Apache-2.0
"""What a new resource starts from, beside its fields. Pure; the port's `ensure` takes it."""

from __future__ import annotations

from unterbau.tenant.kinds.attachment import Attachment
from unterbau.verdict import Model, later


class Source(Model):
    """What a new resource starts from; at most one of the ids is set. Ids of the same cloud.

    For a Volume: `image_id`, `snapshot_id` or `volume_id`. For an Image: `volume_id` (upload-to-image; with
    `force` also of one that is attached, which many clouds forbid: Conflict or Forbidden then), or `server_id` (of the disk
    that the server has on its host, in whatever form the cloud gives).
    For a Snapshot: `force` allows a volume in use. For a Server: `disks`, its volumes at creation, root first (boot_index 0),
    and `user_data`, the text for its first boot.
    """

    image_id: str | None = None
    snapshot_id: str | None = None
    volume_id: str | None = None
    server_id: str | None = later(None)
    force: bool = False
    disks: tuple[Attachment, ...] = ()
    user_data: str = ""


NOTHING = Source()
