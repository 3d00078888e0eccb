# SPDX-License-Identifier: Apache-2.0
"""Swift (Object Storage API v1) behind the port: containers, objects and their bytes. Called by `cloud`.

The marker is metadata of container or object. Containers and objects are named by the user: one that exists
without our marker is never overwritten (Conflict).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote

from unterbau.cloud.openstack.http import Json, Stream, measured, parallel
from unterbau.cloud.openstack.service import from_metadata, gone
from unterbau.cloud.openstack.swift import Swift, header_text, quoted, text_of_header
from unterbau.cloud.port import Listing, Marker, Source, carries, marked
from unterbau.errors import Broken, Conflict, Forbidden, NotFound, Unsupported
from unterbau.workload import Container, Kind, NotShown, Quota, Resource, Segment, StoredObject, ref

PAGE = 10_000
PARALLEL = 16
_CONTAINER_META, _OBJECT_META = "x-container-meta-", "x-object-meta-"
_KEYS = frozenset({"temp-url-key", "temp-url-key-2"})
"""Container metadata that are secrets; neither read nor carried."""


class ObjectService:
    """The project's account."""

    KINDS = (Kind.CONTAINER, Kind.OBJECT)

    def __init__(self, swift: Swift) -> None:
        self._swift = swift

    # --- reading

    def listing(self, kind: Kind) -> Listing:
        """All containers, or all objects of all containers."""
        names = self._container_names()
        if kind is Kind.CONTAINER:
            found = parallel(self._container, names, PARALLEL)
            return _join(found)
        return _join([self._objects(name) for name in names])

    def _entries(self, path: str, **query: str) -> Iterator[Json]:
        """A listing, page by page."""
        marker = ""
        while True:
            asked = {"format": "json", "limit": str(PAGE), "marker": marker, **query}
            page = self._json("GET", path, asked)
            yield from page
            if not page or len(page) < PAGE:
                return
            last = str(page[-1].get("name", page[-1].get("subdir", "")))
            if last == marker:
                raise Broken(f"object-store: the listing of {path[:80]} does not go on after {marker[:80]!r}")
            marker = last

    def _json(self, method: str, path: str, query: Mapping[str, str]) -> list[Json]:
        response = self._swift.request(method, path, query=query)
        if response.status == 204:
            return []
        try:
            answer = json.loads(response.data)
        except ValueError:
            raise Broken(f"object-store: {method} {path[:80]}: the answer is not JSON") from None
        if not isinstance(answer, list):
            raise Broken(f"object-store: {method} {path[:80]}: the answer is not a list")
        return answer

    def _container_names(self) -> list[str]:
        try:
            return [e["name"] for e in self._entries("")]
        except NotFound:  # an account that was never written to
            return []

    def _head(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, str] | None:
        try:
            response = self._swift.request("HEAD", path, query=query)
        except NotFound:
            return None
        return {k.lower(): text_of_header(v) for k, v in response.headers.items()}

    def _container(self, name: str) -> Listing:
        headers = self._head(quoted(name))
        if headers is None:
            return Listing(resources=())
        keys = sorted(k for k in _KEYS if _CONTAINER_META + k in headers)
        notes = tuple(
            NotShown(what=f"{ref(Kind.CONTAINER, name)}.metadata", reason=f"{k} is a secret and is not carried")
            for k in keys
        )
        return Listing(resources=(_container(name, headers),), not_shown=notes)

    def _objects(self, container: str) -> Listing:
        try:
            names = [e["name"] for e in self._entries(quoted(container))]
        except NotFound:
            return Listing(resources=())
        except Forbidden as error:
            return Listing(resources=(), not_shown=(NotShown(what=ref(Kind.CONTAINER, container), reason=str(error)),))
        found = parallel(lambda name: self._object(container, name), names, PARALLEL)
        return Listing(resources=tuple(o for o in found if o is not None))

    def _object(self, container: str, name: str) -> StoredObject | None:
        path = quoted(container, name)
        headers = self._head(path, {"symlink": "get"})
        if headers is None:  # expired, or removed since the listing
            return None
        segments = None
        if headers.get("x-static-large-object", "").lower() == "true":
            manifest = self._json("GET", path, {"multipart-manifest": "get", "format": "json"})
            segments = tuple(_segment(s) for s in manifest)
        return _object(container, name, headers, segments)

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        if kind is Kind.CONTAINER:
            return next(iter(self._container(id_).resources), None)
        container, _, name = id_.partition("/")
        return self._object(container, name)

    @contextmanager
    def bytes_of(self, container: str, name: str) -> Iterator[Stream]:
        """The content as stored; of a large object the joined content."""
        with self._swift.stream(quoted(container, name)) as stream:
            yield stream

    def features(self) -> tuple[str, ...]:
        """Middleware that /info names."""
        return tuple(sorted(self._swift.info()))

    def quotas(self) -> list[Quota]:
        """The account's own limit of bytes, if it has one."""
        headers = self._head("") or {}
        limit = headers.get("x-account-meta-quota-bytes")
        used = int(headers.get("x-account-bytes-used", 0))
        return [Quota(service="object_store", resource="bytes", limit=int(limit or -1), used=used)]

    def old_versions(self) -> list[NotShown]:
        """Containers that keep earlier versions of objects."""
        notes = []
        for name in self._container_names():
            headers = self._head(quoted(name)) or {}
            if headers.get("x-versions-enabled", "").lower() != "true":
                continue
            versions = sum(1 for e in self._entries(quoted(name), versions="true") if not e.get("is_latest", True))
            if versions:
                reason = f"{versions} earlier versions of its objects are not carried"
                notes.append(NotShown(what=f"{ref(Kind.CONTAINER, name)}.versions", reason=reason))
        return notes

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """None: containers carry metadata from birth, objects are written by name."""
        return ()

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Make the container with all its headers in one request, which also completes it."""
        if not isinstance(resource, Container):
            raise Unsupported("object-store: objects are written by write_object or write_manifest")
        there = self._head(quoted(resource.name))
        if there is not None and not _carries(there, _CONTAINER_META, marker):
            raise Conflict(f"object-store: a container of the name {resource.name} exists already")
        self._swift.request("PUT", quoted(resource.name), headers=_container_headers(resource, marker), body=b"")
        return resource.name

    def _refuse_foreign(self, wish: StoredObject, marker: Marker) -> None:
        there = self._head(quoted(wish.container, wish.name), {"symlink": "get"})
        if there is not None and not _carries(there, _OBJECT_META, marker):
            raise Conflict(f"object-store: {wish.ref} exists already and is not ours")

    def write(self, wish: StoredObject, data: Iterable[bytes], marker: Marker) -> None:
        """One streamed PUT with all headers."""
        self._refuse_foreign(wish, marker)
        headers = {**_object_headers(wish, marker), "Content-Length": str(wish.size_bytes)}
        chunks = measured(data, wish.size_bytes, wish.ref)
        body: bytes | Iterable[bytes] = chunks if wish.size_bytes else b"".join(chunks)
        self._swift.request("PUT", quoted(wish.container, wish.name), headers=headers, body=body)

    def write_manifest(self, wish: StoredObject, marker: Marker) -> None:
        """An SLO manifest (whose segments Swift checks), a DLO manifest, or a symlink."""
        self._refuse_foreign(wish, marker)
        headers, query, body = _object_headers(wish, marker), None, b""
        if wish.segments is not None:
            query = {"multipart-manifest": "put"}
            body = json.dumps([_manifest_entry(s) for s in wish.segments]).encode()
        elif wish.dlo_prefix is not None:
            headers["X-Object-Manifest"] = quote(wish.dlo_prefix)
        elif wish.symlink_to is not None:
            headers["X-Symlink-Target"] = quote(wish.symlink_to)
        else:
            raise Unsupported(f"object-store: {wish.ref} is neither a large object nor a symlink")
        self._swift.request("PUT", quoted(wish.container, wish.name), query=query, headers=headers, body=body)

    # --- waiting and deleting

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """Swift's answers are final."""
        found = self.read(kind, id_)
        if found is None:
            raise Broken(f"{ref(kind, id_)} is not there")
        return found

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete (of a large object the manifest only; its segments are objects of their own)."""
        container, _, name = id_.partition("/")
        path = quoted(id_) if kind is Kind.CONTAINER else quoted(container, name)
        gone(lambda: self._swift.request("DELETE", path))


def _join(listings: Iterable[Listing]) -> Listing:
    listed = list(listings)
    return Listing(
        resources=tuple(r for one in listed for r in one.resources),
        not_shown=tuple(n for one in listed for n in one.not_shown),
    )


def _carries(headers: Mapping[str, str], prefix: str, marker: Marker) -> bool:
    return carries({k.removeprefix(prefix): v for k, v in headers.items() if k.startswith(prefix)}, marker)


def _metadata(headers: Mapping[str, str], prefix: str) -> tuple[str | None, dict[str, str]]:
    found = {k.removeprefix(prefix): v for k, v in headers.items() if k.startswith(prefix)}
    return from_metadata({k: v for k, v in found.items() if prefix == _OBJECT_META or k not in _KEYS})


def _container(name: str, headers: Mapping[str, str]) -> Container:
    marker, metadata = _metadata(headers, _CONTAINER_META)
    return Container(
        id=name,
        name=name,
        marker=marker,
        read_acl=headers.get("x-container-read", ""),
        write_acl=headers.get("x-container-write", ""),
        versions_enabled=headers.get("x-versions-enabled", "").lower() == "true",
        versions_location=_unquoted(headers.get("x-versions-location")),
        history_location=_unquoted(headers.get("x-history-location")),
        sync_to=headers.get("x-container-sync-to"),
        storage_policy=headers.get("x-storage-policy", ""),
        object_count=int(headers.get("x-container-object-count", 0)),
        bytes_used=int(headers.get("x-container-bytes-used", 0)),
        metadata=metadata,
    )


def _container_headers(wish: Container, marker: Marker) -> dict[str, str]:
    """All headers, empty ones included: sent again they also take back what was changed meanwhile."""
    headers = {
        "X-Container-Read": wish.read_acl,
        "X-Container-Write": wish.write_acl,
        **{f"X-Container-Meta-{k}": v for k, v in marked(wish.metadata, marker).items()},
    }
    optional = {
        "X-Versions-Enabled": "true" if wish.versions_enabled else None,
        "X-Versions-Location": quote(wish.versions_location) if wish.versions_location else None,
        "X-History-Location": quote(wish.history_location) if wish.history_location else None,
    }
    headers |= {k: v for k, v in optional.items() if v}
    return {k: header_text(v) for k, v in headers.items()}


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None


def _object(
    container: str, name: str, headers: Mapping[str, str], segments: tuple[Segment, ...] | None
) -> StoredObject:
    marker, metadata = _metadata(headers, _OBJECT_META)
    expires = headers.get("x-delete-at")
    target = headers.get("x-symlink-target")
    modified = headers.get("last-modified")
    if target and "?version-id=" in target:  # how versioned containers keep their objects, no link of the user's
        target = None
    return StoredObject(
        id=f"{container}/{name}",
        name=name,
        marker=marker,
        container=container,
        size_bytes=int(headers.get("content-length", 0)),
        etag=headers.get("etag", "").strip('"'),
        content_type=headers.get("content-type", "application/octet-stream"),
        content_encoding=headers.get("content-encoding"),
        content_disposition=headers.get("content-disposition"),
        delete_at=datetime.fromtimestamp(int(expires), UTC) if expires else None,
        segments=segments,
        dlo_prefix=_unquoted(headers.get("x-object-manifest")),
        symlink_to=_unquoted(target),
        metadata=metadata,
        last_modified=parsedate_to_datetime(modified) if modified else None,
    )


def _object_headers(wish: StoredObject, marker: Marker) -> dict[str, str]:
    headers = {
        "Content-Type": wish.content_type,
        **{f"X-Object-Meta-{k}": v for k, v in marked(wish.metadata, marker).items()},
    }
    optional = {
        "Content-Encoding": wish.content_encoding,
        "Content-Disposition": wish.content_disposition,
        "X-Delete-At": str(int(wish.delete_at.timestamp())) if wish.delete_at else None,
    }
    headers |= {k: v for k, v in optional.items() if v}
    return {header_text(k): header_text(v) for k, v in headers.items()}


def _segment(entry: Json) -> Segment:
    return Segment(
        path=str(entry["name"]).lstrip("/"),
        size_bytes=int(entry["bytes"]),
        etag=str(entry["hash"]),
        range=entry.get("range"),
    )


def _manifest_entry(segment: Segment) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "path": f"/{segment.path}",
        "size_bytes": segment.size_bytes,
        "etag": segment.etag,
    }
    return entry | ({"range": segment.range} if segment.range else {})
