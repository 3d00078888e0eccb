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

from unterbau.cloud.openstack.closed import Reading, Table, Told, ignorable, lost, one, truth
from unterbau.cloud.openstack.http import Api, Json, by_id
from unterbau.cloud.openstack.service import eldest, from_metadata, gone, only, settled, short, wait_gone
from unterbau.cloud.openstack.session import at_least
from unterbau.cloud.paging import Listed
from unterbau.cloud.port import Listing, Marker, carries, marked, our_keys
from unterbau.errors import Conflict, Unsupported
from unterbau.tenant.kinds import Backup, Kind, Resource, Snapshot, Source, Volume, VolumeType, ref
from unterbau.tenant.kinds.volume import ORIGIN
from unterbau.tenant.workload import NotShown

_PATHS: Mapping[Kind, tuple[str, str]] = {
    Kind.VOLUME: ("volumes", "volume"),
    Kind.SNAPSHOT: ("snapshots", "snapshot"),
    Kind.BACKUP: ("backups", "backup"),
}
_API = "https://docs.openstack.org/api-ref/block-storage/v3/index.html#"
_VOLUMES, _SNAPSHOTS = _API + "list-accessible-volumes-with-details", _API + "list-snapshots-and-details"
_BACKUPS = _API + "list-backups-with-detail"
TABLES: Mapping[Kind, Table] = {
    Kind.VOLUME: {
        **ignorable(_VOLUMES, "whose it is, and addresses of this API", "user_id", "os-vol-tenant-attr:tenant_id", "links"),
        **ignorable(_VOLUMES, "each attachment is a thing of its own", "attachments"),
        **ignorable(_VOLUMES, "where and how this cloud keeps it, for administrators", "os-vol-host-attr:host",
                    "os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id", "migration_status",
                    "service_uuid", "shared_targets", "cluster_name", "provider_id"),
        **ignorable(_VOLUMES, "follows from its type, whose name is carried", "volume_type_id", "replication_status"),
        **ignorable(_VOLUMES, "how it is counted here", "consumes_quota"),
        **ignorable(_VOLUMES, "encryption is named for each volume", "encryption_key_id"),
        **lost(_VOLUMES, "its group is not carried", "group_id"),
        **lost(_VOLUMES, "its consistency group is not carried", "consistencygroup_id"),
    },
    Kind.SNAPSHOT: {
        **ignorable(_SNAPSHOTS, "whose it is, and its history here", "user_id", "updated_at",
                    "os-extended-snapshot-attributes:project_id", "os-extended-snapshot-attributes:progress"),
        **ignorable(_SNAPSHOTS, "how it is counted here", "consumes_quota"),
        **lost(_SNAPSHOTS, "its snapshot of a group is not carried", "group_snapshot_id"),
    },
    Kind.BACKUP: {
        **ignorable(_BACKUPS, "whose it is, its history and addresses of this API", "user_id", "updated_at", "links",
                    "os-backup-project-attr:project_id", "data_timestamp", "fail_reason"),
        **ignorable(_BACKUPS, "where and how this cloud keeps it", "availability_zone", "container", "object_count",
                    "has_dependent_backups", "encryption_key_id"),
    },
}  # fmt: skip
"""What the translations below do not read."""
_TYPE: Table = ignorable(
    _API + "list-all-volume-types", "the provider's", "is_public", "os-volume-type-access:is_public", "qos_specs_id"
)
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
        listed = self.listed(_PATHS[kind][0])
        reading = Reading(kind.value, TABLES[kind])
        taken = [reading.take(ref(kind, by_id(e)), e, _MODELS[kind]) for e in listed.entries]
        notes = [*(short(kind.value, kind, listed.doubt) if listed.doubt else ()), *reading.notes()]
        return Listing(resources=tuple(r for r in taken if r is not None), not_shown=tuple(notes))

    def listed(self, collection: str) -> Listed[Json]:
        """All entries of a collection, in detail, with a doubt if it may not be the whole."""
        counts = at_least(self._api().microversion, "3.45")
        counted: Json = {"count": "count", "with_count": "true"} if counts else {}
        return self._api().listed(f"/{collection}/detail", collection, **counted)

    def raw(self, collection: str, **query: Any) -> list[Json]:
        """All entries of a collection, in detail."""
        return list(self._api().pages(f"/{collection}/detail", collection, **query))

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        entry = self._entry(kind, id_)
        return one(ref(kind, id_), entry, _MODELS[kind]) if entry else None

    def _entry(self, kind: Kind, id_: str) -> Json | None:
        collection, single = _PATHS[kind]
        return self._api().entry(f"/{collection}/{id_}", single)

    def volume_types(self) -> tuple[tuple[VolumeType, ...], list[NotShown]]:
        """All types that the project sees; the default one is asked for separately."""
        default = by_id(self._api().entry("/types/default", "volume_type") or {})

        def made(told: Told) -> VolumeType:
            return VolumeType(
                id=told["id"],
                name=told["name"],
                description=told.get("description") or "",
                is_default=told["id"] == default,
                extra_specs={k: str(v) for k, v in sorted((told.get("extra_specs") or {}).items())},
            )

        return Reading("offering.volume_types", _TYPE).each(self._api().listed("/types", "volume_types"), made)

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
        entries = self._sought(wish, marker)
        found = eldest(e for e in entries if carries(e.get("metadata") or {}, marker))
        if found is not None or kind is not Kind.BACKUP or at_least(self._api().microversion, "3.43"):
            return found
        alike = {str(e["id"]): e for e in entries if e["id"] not in before and e.get("name") == wish.name}
        return alike.get(only(f"block-storage: backup {wish.name}", alike) or "")

    def _sought(self, wish: Resource, marker: Marker) -> list[Json]:
        """What may be it: by its marker, of a backup by its name, since a project may hold thousands.

        By what may be asked the provider says (resource_filters.json): where a filter is passed over or refused, all of them.
        """
        collection = _PATHS[wish.own_kind][0]
        if isinstance(wish, Backup):
            narrowed = {"name": wish.name} if wish.name else {}
        else:
            (key,) = our_keys(marked(getattr(wish, "metadata", {}), marker), marker)
            narrowed = {"metadata": str({key: marker})}
        try:
            return self.raw(collection, **narrowed)
        except Conflict:
            return self.raw(collection)

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
        there, path = _volume(Told(entry)), f"/volumes/{entry['id']}/action"
        told, wanted = ({**v.image_metadata, **v.image_origin} for v in (there, wish))
        missing = {k: v for k, v in wanted.items() if told.get(k) != v}
        if missing:
            self._api().json("POST", path, {"os-set_image_metadata": {"metadata": missing}})
        for key in told.keys() - wanted.keys():
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


def _volume(entry: Told) -> Volume:
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
        bootable=truth(entry.get("bootable")),
        encrypted=truth(entry.get("encrypted")),
        multiattach=truth(entry.get("multiattach")),
        read_only=str(metadata.pop("readonly", "")).lower() == "true",
        availability_zone=entry.get("availability_zone") or "",
        metadata=metadata,
        image_metadata={k: str(v) for k, v in sorted(image.items()) if k not in (*_FROM_IMAGE, *ORIGIN)},
        image_origin={k: str(v) for k, v in sorted(image.items()) if k in ORIGIN},
        snapshot_id=entry.get("snapshot_id"),
        source_volume_id=entry.get("source_volid"),
        created_at=entry.date("created_at"),
        updated_at=entry.date("updated_at"),
    )


def _snapshot(entry: Told) -> Snapshot:
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
        created_at=entry.date("created_at"),
    )


def _backup(entry: Told) -> Backup:
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
        incremental=truth(entry.get("is_incremental")),
        metadata=metadata,
        created_at=entry.date("created_at"),
    )


_MODELS: Mapping[Kind, Callable[[Told], Resource]] = {
    Kind.VOLUME: _volume,
    Kind.SNAPSHOT: _snapshot,
    Kind.BACKUP: _backup,
}
