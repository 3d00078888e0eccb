# SPDX-License-Identifier: Apache-2.0
"""Swift (Object Storage API v1) behind the port: containers, objects and their bytes. Called by `cloud`.

The marker is metadata of container or object. Containers and objects are named by the user: one that exists
without our marker is never overwritten (Conflict).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote

from unterbau.cloud.openstack.http import Json, Stream, measured, number, parallel
from unterbau.cloud.openstack.service import from_metadata, gone, short
from unterbau.cloud.openstack.swift import Answer, Swift, header_text, quoted, text_of_header
from unterbau.cloud.paging import PAUSES, Listed, Page, Start, whole
from unterbau.cloud.port import Listing, Marker, Source, carries, marked, owner_only, said
from unterbau.errors import Broken, CloudError, Conflict, NotFound, Unsupported
from unterbau.tenant.kinds import Container, Kind, Quota, Resource, Segment, StoredObject, ref
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason

PARALLEL = 16
_CONTAINER_META, _OBJECT_META = "x-container-meta-", "x-object-meta-"
_KEYS = frozenset({"temp-url-key", "temp-url-key-2"})
"""Container metadata that are secrets; neither read nor carried."""
_OWNERS = frozenset(
    {"x-container-read", "x-container-write", "x-container-sync-to", "x-container-sync-key", "x-account-access-control"}
    | {f"x-{level}-meta-{key}" for level in ("account", "container") for key in _KEYS}
)
"""Headers that Swift's proxy takes out of answers to anybody but an owner (`swift_owner_headers`)."""


class ObjectService:
    """The project's account."""

    KINDS = (Kind.CONTAINER, Kind.OBJECT)

    def __init__(self, swift: Swift) -> None:
        self._swift = swift

    # --- reading

    def listing(self, kind: Kind) -> Listing:
        """All containers, or all objects of all containers."""
        account = self._containers()
        names = [_name(entry) for entry in account.entries]
        notes = (
            short(kind.value, kind, Reason.of("about", what="containers", reason=account.doubt))
            if account.doubt
            else []
        )
        if kind is Kind.CONTAINER:
            return _join([self._told(names), _hidden(notes)])
        listed = self._objects_of(names)
        unread = [NotShown(what=ref(Kind.CONTAINER, n), reason=one.doubt) for n, one in listed.items() if one.doubt]
        if unread:
            reason = Reason.of("object.unread", count=len(unread), first=unread[0].what, why=unread[0].reason)
            notes += [NotShown(what=kind.value, reason=reason), *unread]
        places = [(container, _name(entry)) for container, one in listed.items() for entry in one.entries]
        found = parallel(lambda place: self._object(*place), places, PARALLEL)
        return Listing(resources=tuple(o for o in found if o is not None), not_shown=tuple(notes))

    def _objects_of(self, containers: Sequence[str]) -> dict[str, Listed[Json]]:
        """The listing of each container. Counts that follow late are waited for together, not one after the other."""
        listed = dict(zip(containers, parallel(self._objects, containers, PARALLEL), strict=True))
        for seconds in PAUSES:
            again = [name for name, one in listed.items() if one.doubt]
            if not again:
                break
            time.sleep(seconds)
            listed |= zip(again, parallel(self._objects, again, PARALLEL), strict=True)
        return listed

    def _told(self, names: list[str]) -> Listing:
        """All containers, and whether what only an owner is told was seen at all."""
        found = [x for x in parallel(self._container, names, PARALLEL) if x is not None]
        account = self._head("") or {}
        notes: list[NotShown] = []
        if not any(_owned(headers) for headers in (account, *(headers for _, headers in found))):
            notes += owner_only(containers=bool(found))
        if account.get("x-account-access-control"):
            reason = Reason.of("object.account-access")
            notes.append(NotShown(what="account.access_control", reason=reason))
        return _join([*(listing for listing, _ in found), _hidden(notes)])

    def _objects(self, container: str) -> Listed[Json]:
        """The names in a container; the doubt is also why it could not be listed."""
        try:
            return self._listed(quoted(container), "X-Container-Object-Count", pauses=())
        except NotFound:  # removed since the account was listed
            return Listed(())
        except CloudError as error:
            return Listed((), said(error))

    def _listed(
        self,
        path: str,
        count: str = "",
        *,
        hidden: Callable[[Sequence[Json]], int] = lambda entries: 0,
        pauses: Sequence[float] = PAUSES,
        **query: str,
    ) -> Listed[Json]:
        """A listing to its end, compared with the header `count`. No page size is asked for: too large a one is refused."""
        what = f"object-store: GET {path[:80]}"

        def ask(place: Start[Json]) -> Page[Json]:
            asked = {"format": "json", **query} | ({} if place.after is None else _behind(place.after))
            answer = self._swift.request("GET", path, query=asked)
            return Page(_array(answer, what), total=number(answer.headers.get(count)))

        name = _version if "versions" in query else _name
        return whole(ask, name, what=what, pause=time.sleep, lagging=True, hidden=hidden, pauses=pauses)

    def _containers(self, count: str = "X-Account-Container-Count") -> Listed[Json]:
        try:
            return self._listed("", count, hidden=self._version_stores)
        except NotFound:  # an account that was never written to
            return Listed(())

    def _version_stores(self, containers: Sequence[Json]) -> int:
        """How many hidden containers there are: one for each that ever kept versions, and Swift counts them."""
        heads = parallel(lambda entry: self._head(quoted(_name(entry))) or {}, containers, PARALLEL)
        return sum("x-versions-enabled" in head for head in heads)

    def _head(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, str] | None:
        try:
            response = self._swift.request("HEAD", path, query=query)
        except NotFound:
            return None
        return {k.lower(): text_of_header(v) for k, v in response.headers.items()}

    def _container(self, name: str) -> tuple[Listing, dict[str, str]] | None:
        """A container, what of it is not carried, and its headers; None if it is gone."""
        headers = self._head(quoted(name))
        if headers is None:
            return None
        keys = sorted(k for k in _KEYS if _CONTAINER_META + k in headers)
        notes = tuple(
            NotShown(what=f"{ref(Kind.CONTAINER, name)}.keys", reason=Reason.of("object.key", name=k)) for k in keys
        )
        if headers.get("x-container-sync-key"):
            reason = Reason.of("object.sync-key")
            notes += (NotShown(what=f"{ref(Kind.CONTAINER, name)}.keys", reason=reason),)
        return Listing(resources=(_container(name, headers),), not_shown=notes), headers

    def _object(self, container: str, name: str) -> StoredObject | None:
        path = quoted(container, name)
        headers = self._head(path, {"symlink": "get"})
        if headers is None:  # expired, or removed since the listing
            return None
        segments = None
        if headers.get("x-static-large-object", "").lower() == "true":
            answer = self._swift.request("GET", path, query={"multipart-manifest": "get", "format": "json"})
            segments = tuple(_segment(s) for s in _array(answer, f"object-store: GET {path[:80]}"))
        return _object(container, name, headers, segments, self._swift.account())

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        if kind is Kind.CONTAINER:
            found = self._container(id_)
            return found[0].resources[0] if found else None
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
        for name in map(_name, self._containers(count="").entries):
            headers = self._head(quoted(name)) or {}
            if headers.get("x-versions-enabled", "").lower() != "true":
                continue
            listed = self._listed(quoted(name), versions="true").entries
            versions = sum(1 for e in listed if not e.get("is_latest", True))
            if versions:
                reason = Reason.of("object.versions", count=versions)
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
            headers |= _link_headers(wish)
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


def _array(answer: Answer, what: str) -> list[Json]:
    """The body as a list; an answer without content is an empty one."""
    if answer.status == 204:
        return []
    try:
        told = json.loads(answer.data)
    except ValueError:
        raise Broken(f"{what}: the answer is not JSON") from None
    if not isinstance(told, list) or not all(isinstance(entry, dict) for entry in told):
        raise Broken(f"{what}: the answer is not a list of objects")
    return told


def _name(entry: Json) -> str:
    return str(entry.get("name", entry.get("subdir", "")))


def _version(entry: Json) -> str:
    """What tells the versions of an object apart; no name holds a null character."""
    return f"{_name(entry)}\0{entry.get('version_id', '')}"


def _behind(entry: Json) -> dict[str, str]:
    """The query for what comes behind an entry of a listing, or of one of versions."""
    version = entry.get("version_id")
    return {"marker": _name(entry)} | ({"version_marker": str(version)} if version else {})


def _hidden(notes: Iterable[NotShown]) -> Listing:
    return Listing(resources=(), not_shown=tuple(notes))


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


def _owned(headers: Mapping[str, str]) -> bool:
    """Whether one of the headers is told to owners only."""
    return any(headers.get(name) for name in _OWNERS)


def _object(
    container: str, name: str, headers: Mapping[str, str], segments: tuple[Segment, ...] | None, own_account: str
) -> StoredObject:
    marker, metadata = _metadata(headers, _OBJECT_META)
    expires = headers.get("x-delete-at")
    target, account = headers.get("x-symlink-target"), _unquoted(headers.get("x-symlink-target-account"))
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
        symlink_account=account if target and account != own_account else None,
        symlink_etag=headers.get("x-symlink-target-etag") if target else None,
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


def _link_headers(wish: StoredObject) -> dict[str, str]:
    """Of a symlink. With an ETag Swift makes it only if its target is there and has that one (409 otherwise)."""
    found = {
        "X-Symlink-Target": quote(wish.symlink_to or ""),
        "X-Symlink-Target-Account": quote(wish.symlink_account or ""),
        "X-Symlink-Target-Etag": wish.symlink_etag or "",
    }
    return {k: v for k, v in found.items() if v}


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
