# SPDX-License-Identifier: Apache-2.0
"""Cinder (Block Storage API v3) behind the port: volumes, snapshots, backups. Called by `cloud`.

The marker is metadata. What can be set only on a volume that is available (bootable, image metadata, the
read-only flag) is set by `ensure` if it is available already, otherwise by the `settle` that follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from unterbau.cloud.openstack.http import Api, Json, moment
from unterbau.cloud.openstack.service import eldest, from_metadata, gone, only, settled, short, wait_gone
from unterbau.cloud.openstack.session import at_least
from unterbau.cloud.port import Listing, Marker, Source, carries, marked, our_keys
from unterbau.errors import Unsupported
from unterbau.tenant.kinds import Backup, Kind, Resource, Snapshot, Volume, VolumeType

_PATHS: Mapping[Kind, tuple[str, str]] = {
    Kind.VOLUME: ("volumes", "volume"),
    Kind.SNAPSHOT: ("snapshots", "snapshot"),
    Kind.BACKUP: ("backups", "backup"),
}
_BAD = ("error", "error_deleting", "error_extending", "error_restoring", "error_managing", "error_backing-up")
_FROM_IMAGE = ("signature_verified",)
"""Keys that Cinder itself adds to the image metadata of a volume."""


class BlockStorageService:
    """Volumes and their copies."""

    KINDS = tuple(_PATHS)

    def __init__(self, api: Callable[[], Api]) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._unfinished: dict[str, Volume] = {}

    # --- reading

    def listing(self, kind: Kind) -> Listing:
        """Everything of the kind that the project owns."""
        collection, _ = _PATHS[kind]
        counts = at_least(self._api().microversion, "3.45")
        counted: Json = {"count": "count", "with_count": "true"} if counts else {}
        listed = self._api().listed(f"/{collection}/detail", collection, **counted)
        notes = short(kind.value, kind, listed.doubt) if listed.doubt else ()
        return Listing(resources=tuple(_MODELS[kind](e) for e in listed.entries), not_shown=tuple(notes))

    def raw(self, collection: str, **query: Any) -> list[Json]:
        """All entries of a collection, in detail."""
        return list(self._api().pages(f"/{collection}/detail", collection, **query))

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        entry = self._entry(kind, id_)
        return _MODELS[kind](entry) if entry else None

    def _entry(self, kind: Kind, id_: str) -> Json | None:
        collection, single = _PATHS[kind]
        found = self._api().find(f"/{collection}/{id_}")
        return found[single] if found else None

    def volume_types(self) -> tuple[VolumeType, ...]:
        """All types that the project sees; the default one is asked for separately."""
        default = self._api().find("/types/default") or {}
        default_id = (default.get("volume_type") or {}).get("id")
        return tuple(
            VolumeType(
                id=t["id"],
                name=t["name"],
                description=t.get("description") or "",
                is_default=t["id"] == default_id,
                extra_specs={k: str(v) for k, v in sorted((t.get("extra_specs") or {}).items())},
            )
            for t in self._api().pages("/types", "volume_types")
        )

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """None: all have metadata from birth, except backups on clouds before 3.43."""
        if isinstance(resource, Backup) and not at_least(self._api().microversion, "3.43"):
            return tuple(b["id"] for b in self.raw("backups", name=resource.name))
        return ()

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Find by marker or create."""
        kind = resource.own_kind
        collection, single = _PATHS[kind]
        found = self._find(resource, marker, before)
        if found is None:
            body = self._body(resource, marker, source)
            found = self._api().json("POST", f"/{collection}", {single: body})[single]
        id_ = str(found["id"])
        if isinstance(resource, Volume):
            self._finish_or_remember(id_, resource)
        return id_

    def _find(self, wish: Resource, marker: Marker, before: frozenset[str]) -> Json | None:
        kind = wish.own_kind
        entries = self.raw(_PATHS[kind][0])
        found = eldest(e for e in entries if carries(e.get("metadata") or {}, marker))
        if found is not None or kind is not Kind.BACKUP or at_least(self._api().microversion, "3.43"):
            return found
        alike = {str(e["id"]): e for e in entries if e["id"] not in before and e.get("name") == wish.name}
        return alike.get(only(f"block-storage: backup {wish.name}", alike) or "")

    def _body(self, wish: Resource, marker: Marker, source: Source) -> Json:
        if isinstance(wish, Volume):
            body = _volume_body(wish, source)
        elif isinstance(wish, Snapshot):
            body = {"volume_id": source.volume_id or wish.volume_id, "force": source.force}
        elif isinstance(wish, Backup):
            body = {
                "volume_id": source.volume_id or wish.volume_id,
                "incremental": wish.incremental,
                "force": source.force,
                "snapshot_id": source.snapshot_id,
            }
        else:
            raise Unsupported(f"block-storage: a {wish.own_kind} cannot be made here")
        body |= {"name": wish.name, "description": wish.description}
        if isinstance(wish, Backup) and not at_least(self._api().microversion, "3.43"):
            return body
        return body | {"metadata": marked(wish.metadata, marker)}

    def _finish_or_remember(self, id_: str, wish: Volume) -> None:
        entry = self._entry(Kind.VOLUME, id_)
        if entry and entry["status"] in ("available", "in-use"):
            self._finish(entry, wish)
            return
        with self._lock:
            self._unfinished[id_] = wish

    def _finish(self, entry: Json, wish: Volume) -> None:
        there, path = _volume(entry), f"/volumes/{entry['id']}/action"
        missing = {k: v for k, v in wish.image_metadata.items() if there.image_metadata.get(k) != v}
        if missing:
            self._api().json("POST", path, {"os-set_image_metadata": {"metadata": missing}})
        for key in there.image_metadata.keys() - wish.image_metadata.keys():
            self._api().json("POST", path, {"os-unset_image_metadata": {"key": key}})
        if there.bootable != wish.bootable:
            self._api().json("POST", path, {"os-set_bootable": {"bootable": wish.bootable}})
        if there.read_only != wish.read_only:
            self._api().json("POST", path, {"os-update_readonly_flag": {"readonly": wish.read_only}})

    def restore(self, backup_id: str, volume_id: str) -> None:
        """Restore a backup onto an existing volume of its size; `settle` the volume afterwards."""
        body: Json = {"restore": {"volume_id": volume_id}}
        self._api().json("POST", f"/backups/{backup_id}/restore", body)

    # --- waiting and deleting

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """Until available (or in-use); then what had to wait for that is set."""
        found = settled(kind, id_, deadline, lambda: self.read(kind, id_), ("available", "in-use"), _BAD)
        with self._lock:
            wish = self._unfinished.pop(id_, None)
        if wish is None:
            return found
        entry = self._entry(kind, id_)
        if entry:
            self._finish(entry, wish)
        return self.read(kind, id_) or found

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """An item of metadata."""
        entry = self._entry(resource.own_kind, resource.id) or {}
        for key in our_keys(entry.get("metadata") or {}, marker):
            path = f"/{_PATHS[resource.own_kind][0]}/{resource.id}/metadata/{quote(key)}"
            gone(lambda p=path: self._api().json("DELETE", p))  # type: ignore[misc]

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete and wait until it is gone."""
        gone(lambda: self._api().json("DELETE", f"/{_PATHS[kind][0]}/{id_}"))
        wait_gone(kind, id_, deadline, lambda: (self._entry(kind, id_) or {}).get("status"))


def _volume_body(wish: Volume, source: Source) -> Json:
    body: Json = {"size": wish.size_gib}
    optional = {
        "volume_type": wish.volume_type,
        "availability_zone": wish.availability_zone,
        "imageRef": source.image_id,
        "snapshot_id": source.snapshot_id,
        "source_volid": source.volume_id,
    }
    return body | {k: v for k, v in optional.items() if v}


def _volume(entry: Json) -> Volume:
    marker, metadata = from_metadata(entry.get("metadata") or {})
    image = entry.get("volume_image_metadata") or {}
    return Volume(
        id=entry["id"],
        name=entry.get("name") or "",
        marker=marker,
        description=entry.get("description") or "",
        status=entry["status"],
        size_gib=entry["size"],
        volume_type=entry.get("volume_type"),
        bootable=str(entry.get("bootable")).lower() == "true",
        encrypted=bool(entry.get("encrypted")),
        multiattach=bool(entry.get("multiattach")),
        read_only=str(metadata.pop("readonly", "")).lower() == "true",
        availability_zone=entry.get("availability_zone") or "",
        metadata=metadata,
        image_metadata={k: str(v) for k, v in sorted(image.items()) if k not in _FROM_IMAGE},
        snapshot_id=entry.get("snapshot_id"),
        source_volume_id=entry.get("source_volid"),
        created_at=moment(entry.get("created_at")),
        updated_at=moment(entry.get("updated_at")),
    )


def _snapshot(entry: Json) -> Snapshot:
    marker, metadata = from_metadata(entry.get("metadata") or {})
    return Snapshot(
        id=entry["id"],
        name=entry.get("name") or "",
        marker=marker,
        description=entry.get("description") or "",
        status=entry["status"],
        volume_id=entry["volume_id"],
        size_gib=entry["size"],
        metadata=metadata,
        created_at=moment(entry.get("created_at")),
    )


def _backup(entry: Json) -> Backup:
    marker, metadata = from_metadata(entry.get("metadata") or {})
    return Backup(
        id=entry["id"],
        name=entry.get("name") or "",
        marker=marker,
        description=entry.get("description") or "",
        status=entry["status"],
        volume_id=entry["volume_id"],
        snapshot_id=entry.get("snapshot_id"),
        size_gib=entry["size"],
        incremental=bool(entry.get("is_incremental")),
        metadata=metadata,
        created_at=moment(entry.get("created_at")),
    )


_MODELS: Mapping[Kind, Callable[[Json], Resource]] = {
    Kind.VOLUME: _volume,
    Kind.SNAPSHOT: _snapshot,
    Kind.BACKUP: _backup,
}
