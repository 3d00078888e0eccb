# SPDX-License-Identifier: Apache-2.0
"""Swift (Object Storage API v1) behind the port: containers, objects and their bytes. Called by `cloud`.

The marker is metadata of container or object. Containers and objects are named by the user: one that exists
without our marker is never overwritten (Conflict).
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from unterbau.cloud.openstack import wire
from unterbau.cloud.openstack.closed import Reading, Table, Told, ignorable, one, truth
from unterbau.cloud.openstack.http import Json, Stream, measured, named_by, number, parallel
from unterbau.cloud.openstack.service import from_metadata, gone, short
from unterbau.cloud.openstack.swift import (
    Answer,
    Swift,
    header_text,
    headers_of,
    quoted,
    text_of_header,
)
from unterbau.cloud.paging import PAUSES, Listed, Start, whole
from unterbau.cloud.paging import Page as Answered
from unterbau.cloud.port import (
    LOOKED_AT,
    ByteStream,
    Listing,
    Marker,
    Page,
    Take,
    carries,
    marked,
    our_keys,
    owner_only,
    said,
)
from unterbau.cloud.waiting import stoppable
from unterbau.defaults import SMALL_OBJECT
from unterbau.errors import AuthFailed, Broken, CloudError, Conflict, Elsewhere, NotFound, Unreachable, Unsupported
from unterbau.tenant.kinds import Container, Kind, Quota, Resource, Segment, Source, StoredObject, ref
from unterbau.tenant.kinds.object import KEPT_HEADERS, is_md5
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words

T = TypeVar("T")
PARALLEL = 16
PAGE = 1000
"""Objects of a container that are told at once (`port.Page`); Swift lists ten times as many."""
MOST_UNREACHABLE = 25
"""Headers of things that may not come in time; with more of them the service is down, and each would take as long."""
_ACCOUNT_META, _CONTAINER_META, _OBJECT_META = "x-account-meta-", "x-container-meta-", "x-object-meta-"
_LINKS = frozenset({"x-symlink-target", "x-symlink-target-account", "x-symlink-target-etag"})
_RESENT = _LINKS | {
    "content-type",
    "content-encoding",
    "content-disposition",
    *KEPT_HEADERS,
    "x-delete-at",
    "x-object-manifest",
}
"""Headers of an object, beside its metadata, that a POST without them takes away (Swift, Object API: POST object)."""
_NOT_PLAIN = _LINKS | {"x-object-manifest", "x-static-large-object", "content-location"}
"""Headers of an object that is not told wholly by the answer to a plain request for it."""
_KEYS = frozenset({"temp-url-key", "temp-url-key-2"})
"""Metadata of account or container that are secrets; neither read nor carried."""
_OWNERS = frozenset(
    {"x-container-read", "x-container-write", "x-container-sync-to", "x-container-sync-key", "x-account-access-control"}
    | {f"x-{level}-meta-{key}" for level in ("account", "container") for key in _KEYS}
)
"""Headers that Swift's proxy takes out of answers to anybody but an owner (`swift_owner_headers`)."""

_HTTP, _SWIFT = "https://www.rfc-editor.org/rfc/rfc9110", "https://docs.openstack.org/api-ref/object-store/"
_RGW = "https://docs.ceph.com/en/latest/radosgw/swift/"
_OF_THE_ANSWER: Table = {
    **ignorable(_HTTP, "of the answer and its way", "date", "server", "connection", "keep-alive", "via", "age", "vary",
                "accept-ranges", "transfer-encoding", "content-length", "content-location", "allow", "alt-svc"),
    **ignorable(_HTTP, "what a browser may do with the answer", "strict-transport-security", "x-content-type-options",
                "x-frame-options", "x-xss-protection", "content-security-policy", "referrer-policy"),
    **ignorable(_SWIFT, "number of the request, and when the thing was written", "x-trans-id", "x-openstack-request-id",
                "x-timestamp", "x-put-timestamp"),
    **ignorable(_RGW, "of Ceph's gateway", "x-amz-request-id", "x-rgw-object-type", "x-container-bytes-used-actual"),
}  # fmt: skip
_LISTED: Table = ignorable(
    _SWIFT + "#show-container-details-and-list-objects", "told by its own headers", "hash", "bytes", "count",
    "last_modified", "content_type", "symlink_path", "symlink_bytes", "symlink_etag", "slo_etag", "version_id",
    "is_latest", "storage_policy",
)  # fmt: skip
ACCOUNT: Table = {
    **_OF_THE_ANSWER,
    **ignorable(_SWIFT + "#show-account-metadata", "sums and when it was made", "x-account-container-count",
                "x-account-object-count", "x-account-bytes-used", "x-account-bytes-used-actual", "content-type",
                "last-modified"),
    **ignorable(_SWIFT + "#show-account-metadata", "the project is that of the credentials",
                "x-account-project-domain-id"),
    **ignorable(_SWIFT + "#show-account-metadata", "counted among the quotas", "x-account-meta-quota-bytes",
                "x-account-quota-bytes", "x-account-quota-count"),
}  # fmt: skip
_QUOTAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "bytes": (("x-account-quota-bytes", "x-account-meta-quota-bytes"), "x-account-bytes-used"),
    "objects": (("x-account-quota-count",), "x-account-object-count"),
}
"""Limits of the account: the headers that tell it, the newer name first, and the one that tells the use."""
TABLES: Mapping[Kind, Table] = {
    Kind.CONTAINER: {
        **_OF_THE_ANSWER,
        **ignorable(_SWIFT + "#show-container-metadata", "of its listing", "content-type", "last-modified", "etag"),
        **ignorable(_SWIFT + "#show-container-metadata", "how this cloud keeps it", "x-container-sharding"),
    },
    Kind.OBJECT: {
        **_OF_THE_ANSWER,
        **ignorable(_SWIFT + "#show-object-metadata", "follows from its segments or its link", "x-manifest-etag",
                    "x-symlink-target-bytes", "segments[].content_type", "segments[].last_modified",
                    "segments[].sub_slo"),
        **ignorable(_SWIFT + "#show-object-metadata", "earlier versions are named by themselves", "x-object-version-id"),
        **ignorable(_RGW, "how this cloud keeps it", "x-storage-class"),
    },
}  # fmt: skip
"""What the translations below do not read."""


class ObjectService:
    """The project's account."""

    KINDS = (Kind.CONTAINER, Kind.OBJECT)

    def __init__(self, swift: Swift) -> None:
        self._swift = swift
        self._with_versions: dict[str, bool] = {}
        """Whether a container keeps versions, or did: asked once."""
        self._refuses: bool | None = None
        """Whether the store keeps `If-None-Match: *` at a PUT, as Swift does; None: not seen yet."""

    # --- reading

    def listing(
        self, kind: Kind, seen: Take | None = None, *, brief: bool = False, without: Collection[str] = ()
    ) -> Listing:
        """All containers, or all objects of all containers; with `seen` their small contents, too (`port.listing_read`).

        `brief`: see `port.listing_brief`; `without`: containers whose objects are left out.
        """
        account = self._containers()
        names = [_name(entry) for entry in account.entries]
        if kind is Kind.OBJECT:
            names = [name for name in names if name not in without]
        notes = (
            short(kind.value, kind, Reason.of("about", what="containers", reason=account.doubt))
            if account.doubt
            else []
        )
        reading = Reading(kind.value, TABLES[kind])
        if kind is Kind.CONTAINER:
            entries = Reading(kind.value, _LISTED)
            for entry in account.entries:
                entries.take(ref(kind, _name(entry)), entry, _listed)
            return _join([self._told(names, reading), _hidden([*notes, *entries.notes()])])
        listed = self._objects_of(names)
        unread = [NotShown(what=ref(Kind.CONTAINER, n), reason=one.doubt) for n, one in listed.items() if one.doubt]
        if unread:
            reason = Reason.of("object.unread", count=len(unread), first=unread[0].what, why=unread[0].reason)
            notes += [NotShown(what=kind.value, reason=reason), *unread]
        entries = Reading(kind.value, _LISTED)
        brief = brief and sum(len(one.entries) for one in listed.values()) > LOOKED_AT
        places, told = list[tuple[str, Json]](), list[StoredObject]()
        for container, one_listing in listed.items():
            short_of = brief and bool(one_listing.entries) and not self._has_versions(container)
            for entry in one_listing.entries:
                reference = ref(kind, f"{container}/{_name(entry)}")
                plain = entries.take(reference, entry, partial(_from_listing, container)) if short_of else None
                if plain is not None:
                    told.append(plain)
                    continue
                places.append((container, entry))
                entries.take(reference, entry, _listed)
        patience = _Patience()

        def taken(place: tuple[str, Json]) -> StoredObject | None:
            container, entry = place
            name = _name(entry)

            def work() -> StoredObject | None:
                read = self._read_whole(container, entry, reading, seen) if seen else None
                return read or self._object(container, name, reading)

            return patience.ask(reading, ref(Kind.OBJECT, f"{container}/{name}"), work)

        found = parallel(taken, places, PARALLEL)
        notes += [*entries.notes(), *reading.notes()]
        return Listing(resources=(*told, *(o for o in found if o is not None)), not_shown=tuple(notes))

    def crowded(self) -> tuple[str, ...]:
        """See `port.Reader.crowded`. Each container is asked: what the account counts of it follows its writes late."""

        def count(name: str) -> int:
            try:
                return number((self._head(quoted(name)) or {}).get("x-container-object-count")) or 0
            except CloudError:  # it is named where it is read itself
                return 0

        names = [_name(entry) for entry in self._containers(count="").entries]
        return tuple(
            name for name, held in zip(names, parallel(count, names, PARALLEL), strict=True) if held > LOOKED_AT
        )

    def pages(self, container: str) -> Iterator[Page]:
        """See `port.Reader.pages`. A page that has nothing new ends it, as `paging.whole` has it."""
        path, last, what = quoted(container), "", f"object-store: GET {quoted(container)[:80]}"
        with_versions, between = self._has_versions(container), stoppable(f"reading {what}")
        while True:
            between()
            query = {"format": "json"} | ({"marker": last} if last else {})
            try:
                answer = self._swift.request("GET", path, query=query)
            except NotFound:  # removed since the account was listed
                return
            listed = _array(answer, what)
            names = [_name(entry) for entry in listed]
            if any(a >= b for a, b in pairwise([last, *names])):
                raise Broken(f"{what}: its listing is not in the order of names")
            total = number(answer.headers.get("X-Container-Object-Count"))
            for start in range(0, max(1, len(listed)), PAGE):
                yield self._page(container, listed[start : start + PAGE], total, with_versions)
            if not listed:
                return
            last = names[-1]

    def _page(self, container: str, listed: Sequence[Json], total: int | None, with_versions: bool) -> Page:
        entries, plain, others = Reading(Kind.OBJECT.value, _LISTED), list[StoredObject](), list[StoredObject]()
        for entry in listed:
            reference = ref(Kind.OBJECT, f"{container}/{_name(entry)}")
            made = None if with_versions else entries.take(reference, entry, partial(_from_listing, container))
            if made is not None:
                plain.append(made)
            else:
                entries.take(reference, entry, _listed)
                others.append(StoredObject.named(container, _name(entry)))
        return Page(tuple(plain), tuple(others), total, tuple(entries.notes()))

    def read_again(self, things: Sequence[StoredObject], seen: Take) -> Listing:
        """See `port.Reader.read_again`."""
        reading, patience = Reading(Kind.OBJECT.value, TABLES[Kind.OBJECT]), _Patience()

        def taken(thing: StoredObject) -> StoredObject | None:
            def work() -> StoredObject | None:
                entry = {"name": thing.name, "bytes": thing.size_bytes, "hash": thing.etag}
                read = self._read_whole(thing.container, entry, reading, seen)
                return read or self._object(thing.container, thing.name, reading)

            return patience.ask(reading, thing.ref, work)

        found = parallel(taken, things, PARALLEL)
        return Listing(resources=tuple(o for o in found if o is not None), not_shown=tuple(reading.notes()))

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

    def _told(self, names: list[str], reading: Reading) -> Listing:
        """All containers, and whether what only an owner is told was seen at all."""
        patience = _Patience()
        seen: list[dict[str, str]] = []

        def taken(name: str) -> Listing:
            headers = patience.ask(reading, ref(Kind.CONTAINER, name), lambda: self._head(quoted(name)))
            if headers is None:
                return Listing(resources=())
            seen.append(headers)
            return self._container(name, headers, reading)

        found = parallel(taken, names, PARALLEL)
        account = self._head("") or {}
        notes: list[NotShown] = []
        if not any(_owned(headers) for headers in (account, *seen)):
            notes += owner_only(containers=bool(seen))
        of_account = Reading("account", ACCOUNT)
        of_account.take("account", account, _account)
        return _join([*found, _hidden([*notes, *_keys("account", _ACCOUNT_META, account), *of_account.notes(),
                                       *reading.notes()])])  # fmt: skip

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
        between = stoppable(f"reading {what}")

        def ask(place: Start[Json]) -> Answered[Json]:
            between()
            asked = {"format": "json", **query} | ({} if place.after is None else _behind(place.after))
            answer = self._swift.request("GET", path, query=asked)
            return Answered(_array(answer, what), total=number(answer.headers.get(count)))

        name = _version if "versions" in query else _name
        return whole(ask, name, what=what, pause=time.sleep, lagging=True, hidden=hidden, pauses=pauses)

    def _containers(self, count: str = "X-Account-Container-Count") -> Listed[Json]:
        try:
            return self._listed("", count, hidden=self._version_stores)
        except NotFound:  # an account that was never written to
            return Listed(())

    def _version_stores(self, containers: Sequence[Json]) -> int:
        """How many hidden containers there are: one for each that ever kept versions, and Swift counts them."""

        def keeps(entry: Json) -> bool:
            try:
                return "x-versions-enabled" in (self._head(quoted(_name(entry))) or {})
            except CloudError:  # it is named where it is read itself; the numbers differ by it
                return False

        return sum(parallel(keeps, containers, PARALLEL))

    def _head(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, str] | None:
        """The headers by names in lower case, as the wire has them; None if there is no such thing."""
        try:
            return headers_of(self._swift.request("HEAD", path, query=query))
        except NotFound:
            return None

    def _container(self, name: str, headers: Mapping[str, str], reading: Reading) -> Listing:
        """A container, and what of it is not carried."""
        reference = ref(Kind.CONTAINER, name)
        found = reading.take(reference, headers, lambda told: _container(name, told))
        notes = list(_keys(reference, _CONTAINER_META, headers))
        if headers.get("x-container-sync-key"):
            reason = Reason.of("object.sync-key")
            notes.append(NotShown(what=f"{reference}.keys", reason=reason))
        return Listing(resources=() if found is None else (found,), not_shown=tuple(notes))

    def _object(self, container: str, name: str, reading: Reading | None) -> StoredObject | None:
        """An object, None if it is gone. Without a `reading` it raises Broken for what does not fit."""
        path, reference = quoted(container, name), ref(Kind.OBJECT, f"{container}/{name}")
        headers: Json | None = self._itself(path)
        if headers is None:
            headers = self._head(path, {"symlink": "get", "multipart-manifest": "get"})
            if headers is None:  # expired, or removed since the listing
                return None
            if reading is not None:
                reading.odd(reference, Reason.of("object.no-segments"))
        if "x-object-manifest" in headers:
            own = self._head(path, {"symlink": "get", "multipart-manifest": "get"}) or {}
            headers |= {"body-length": own.get("content-length", "0"), "body-etag": own.get("etag", "")}
        if headers.get("x-static-large-object", "").lower() == "true":
            answer = self._swift.request("GET", path, query={"multipart-manifest": "get", "format": "json"})
            headers = {**headers, "segments": _array(answer, f"object-store: GET {path[:80]}")}

        def made(told: Told) -> StoredObject:
            return _object(container, name, told, self._swift.account())

        return reading.take(reference, headers, made) if reading else one(reference, headers, made)

    def _read_whole(self, container: str, entry: Json, reading: Reading, seen: Take) -> StoredObject | None:
        """A small object by one request, headers and content; None where that does not tell what it is.

        The listing says so: a link's entry has other sums than what it leads to, a large object's other than what it joins.
        """
        size, etag = entry.get("bytes"), entry.get("hash")
        if not (isinstance(size, int) and 0 < size <= SMALL_OBJECT) or "symlink_path" in entry:
            return None
        name, found = _name(entry), None
        try:
            if self._has_versions(container):
                return None
            with self._swift.stream(quoted(container, name)) as stream:
                headers = stream.headers
                if (
                    headers.get("etag") != etag
                    or headers.get("content-length") != str(size)
                    or _NOT_PLAIN & headers.keys()
                ):
                    return None
                reference = ref(Kind.OBJECT, f"{container}/{name}")
                found = reading.take(
                    reference, headers, lambda told: _object(container, name, told, self._swift.account())
                )
                if found is not None:
                    seen(found, stream)
        except (AuthFailed, Elsewhere, Unreachable):
            if found is None:
                raise
        except CloudError:  # it is asked for by itself, and says then what is wrong with it
            pass
        return found

    def _itself(self, path: str) -> dict[str, str] | None:
        """The headers of an object, or of a link itself; of one that keeps versions those of the version that is current."""
        headers = self._head(path, {"symlink": "get"})
        version = _version_of(headers or {})
        return self._head(path, {"symlink": "get", "version-id": version}) if version else headers

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        if kind is Kind.CONTAINER:
            headers = self._head(quoted(id_))
            return None if headers is None else one(ref(kind, id_), headers, lambda told: _container(id_, told))
        container, _, name = id_.partition("/")
        return self._object(container, name, None)

    @contextmanager
    def bytes_of(self, container: str, name: str) -> Iterator[Stream]:
        """The content as stored; of a large object the joined content."""
        with self._swift.stream(quoted(container, name)) as stream:
            yield stream

    @contextmanager
    def whole_of(self, container: str, name: str) -> Iterator[tuple[StoredObject, Stream]]:
        """A plain object and its content, from one answer. Raises Conflict if it is no plain one."""
        reference = ref(Kind.OBJECT, f"{container}/{name}")
        with self._swift.stream(quoted(container, name)) as stream:
            if more := sorted(_NOT_PLAIN & stream.headers.keys()):
                raise Conflict(
                    f"object-store: {reference} is more than its listing tells ({more[0]})",
                    "Make a new plan with --headers, for which the headers of every object are read.",
                )
            yield (
                one(reference, stream.headers, lambda told: _object(container, name, told, self._swift.account())),
                stream,
            )

    @contextmanager
    def own_bytes_of(self, container: str, name: str) -> Iterator[ByteStream]:
        """What a large object holds itself: a DLO's body; of an SLO what stands in its manifest, which Swift keeps small."""
        path, query = quoted(container, name), {"multipart-manifest": "get"}
        answer = self._swift.request("HEAD", path, query=query)
        if answer.headers.get("X-Static-Large-Object", "").lower() != "true":
            with self._swift.stream(path, query=query) as stream:
                yield stream
            return
        what = f"object-store: GET {path[:80]}"
        told = _array(self._swift.request("GET", path, query={**query, "format": "json"}), what)
        yield _Held([_inline(entry) for entry in told])

    def features(self) -> tuple[str, ...]:
        """Middleware that /info names."""
        return tuple(sorted(self._swift.info()))

    def quotas(self) -> list[Quota]:
        """The account's own limits of bytes and of objects, if it has any (middleware `account_quotas`)."""
        headers, found = self._head("") or {}, []
        for resource, (names, count) in _QUOTAS.items():
            limit = next((headers[n] for n in names if headers.get(n)), "-1")
            used = headers.get(count) or "0"
            if number(used) is None or number(limit.removeprefix("-")) is None:
                raise Broken(f"object-store: the account's quota of {resource} or its use is no number")
            found.append(Quota(service="object_store", resource=resource, limit=int(limit), used=int(used)))
        return found

    def old_versions(self) -> list[NotShown]:
        """Containers that keep earlier versions of objects."""
        notes = []
        for name in map(_name, self._containers(count="").entries):
            try:
                reason = self._old_versions_in(name)
            except CloudError as error:
                reason = said(error)
            if reason:
                notes.append(NotShown(what=f"{ref(Kind.CONTAINER, name)}.versions", reason=reason))
        return notes

    def _old_versions_in(self, name: str) -> Words:
        headers = self._head(quoted(name)) or {}
        if headers.get("x-versions-enabled", "").lower() != "true":
            return ""
        listed = self._listed(quoted(name), versions="true").entries
        versions = sum(1 for e in listed if not e.get("is_latest", True))
        return Reason.of("object.versions", count=versions) if versions else ""

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
        """One PUT with all headers, streamed if it is large; Swift compares what arrives with the ETag of the source."""
        path, headers = quoted(wish.container, wish.name), _object_headers(wish, marker)
        headers["Content-Length"] = str(wish.size_bytes)
        if wish.md5():
            headers["ETag"] = wish.md5()
        chunks = measured(data, wish.size_bytes, wish.ref)
        if wish.size_bytes > SMALL_OBJECT:
            self._refuse_foreign(wish, marker)
            self._swift.request("PUT", path, headers=headers, body=chunks)
        else:
            self._write_small(wish, path, headers, b"".join(chunks), marker)

    def _write_small(
        self, wish: StoredObject, path: str, headers: Mapping[str, str], body: bytes, marker: Marker
    ) -> None:
        """Where the store refuses to replace, nothing is asked beforehand: whether it does, our own first object shows."""
        if self._refuses and self._swift.create(path, headers, body):
            return
        self._refuse_foreign(wish, marker)
        self._swift.request("PUT", path, headers=headers, body=body)
        if self._refuses is None:
            try:
                self._refuses = not self._swift.create(path, headers, body)
            except CloudError as error:
                if error.uncertain or error.transient:
                    raise
                self._refuses = False  # it does not know such a condition

    def write_manifest(self, wish: StoredObject, marker: Marker, own: Iterable[bytes]) -> None:
        """An SLO manifest (whose segments Swift checks), a DLO manifest with its body, or a symlink."""
        self._refuse_foreign(wish, marker)
        headers, query = _object_headers(wish, marker), None
        body: bytes | Iterable[bytes] = b""
        held = measured(own, wish.own_size(), wish.ref)
        if wish.segments is not None:
            query = {"multipart-manifest": "put"}
            body = _manifest(wish.segments, b"".join(held))
        elif wish.dlo_prefix is not None:
            headers["X-Object-Manifest"] = quote(wish.dlo_prefix)
            if wish.body_bytes:
                headers["Content-Length"], body = str(wish.body_bytes), held
        elif wish.symlink_to is not None:
            headers |= _link_headers(wish)
        else:
            raise Unsupported(f"object-store: {wish.ref} is neither a large object nor a symlink")
        self._swift.request("PUT", quoted(wish.container, wish.name), query=query, headers=headers, body=body)

    def set_versioning(self, wish: Container) -> None:
        """Whether and where it keeps versions, all three ways of it: an empty location is none."""
        headers = {
            "X-Versions-Location": quote(wish.versions_location or ""),
            "X-History-Location": quote(wish.history_location or ""),
        }
        there = self._head(quoted(wish.id)) or {}
        if wish.versions_enabled or "x-versions-enabled" in there:  # a store without these versions refuses the word
            headers["X-Versions-Enabled"] = str(wish.versions_enabled).lower()
        self._swift.request("POST", quoted(wish.id), headers={k: header_text(v) for k, v in headers.items()})

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """A header. What a POST leaves out is lost with some headers, so all that stay are sent with it."""
        if isinstance(resource, Container):
            path = quoted(resource.name)
            keys = _our_headers(self._head(path) or {}, _CONTAINER_META, marker)
            if keys:
                headers = {k.replace("x-container-meta-", "X-Remove-Container-Meta-"): "x" for k in keys}
                self._swift.request("POST", path, headers=headers)
        elif isinstance(resource, StoredObject):
            path = quoted(resource.container, resource.name)
            there = self._head(path, {"symlink": "get"}) or {}
            ours = _our_headers(there, _OBJECT_META, marker)
            stays = {k: v for k, v in there.items() if k not in ours and (k in _RESENT or k.startswith(_OBJECT_META))}
            if ours and "x-symlink-target" in there:  # a POST would go to where it leads
                self._swift.request("PUT", path, headers=stays, body=b"")
            elif ours:
                self._swift.request("POST", path, headers={k: v for k, v in stays.items() if k not in _LINKS})

    # --- waiting and deleting

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """Swift's answers are final."""
        found = self.read(kind, id_)
        if found is None:
            raise Broken(f"{ref(kind, id_)} is not there")
        return found

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete (of a large object the manifest only; its segments are objects of their own).

        Of an object that keeps versions it is the current one: to delete the object would keep its bytes as an older one.
        """
        container, _, name = id_.partition("/")
        path = quoted(id_) if kind is Kind.CONTAINER else quoted(container, name)
        with_versions = kind is Kind.OBJECT and self._has_versions(container)
        version = _version_of(self._head(path, {"symlink": "get"}) or {}) if with_versions else ""
        query = {"version-id": version} if version else None
        gone(lambda: self._swift.request("DELETE", path, query=query))

    def _has_versions(self, container: str) -> bool:
        if container not in self._with_versions:
            self._with_versions[container] = "x-versions-enabled" in (self._head(quoted(container)) or {})
        return self._with_versions[container]


class _Held:
    """A `ByteStream` of what is in memory."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks, self.size_bytes = chunks, sum(map(len, chunks))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


VERSION = "?version-id="


def _version_of(headers: Mapping[str, str]) -> str:
    """The version that an object of a container with versions is a link to; no link of the user's has such a target."""
    return headers.get("x-symlink-target", "").partition(VERSION)[2]


def _inline(entry: Json) -> bytes:
    """The bytes that stand in an SLO's manifest; of a segment that is an object none. Raises ValueError."""
    return base64.b64decode(str(entry["data"]), validate=True) if "data" in entry else b""


def _our_headers(headers: Mapping[str, str], prefix: str, marker: Marker) -> list[str]:
    """The headers in which our marker stands."""
    return [
        prefix + k
        for k in our_keys({h.removeprefix(prefix): v for h, v in headers.items() if h.startswith(prefix)}, marker)
    ]


def _array(answer: Answer, what: str) -> list[Json]:
    """The body as a list; an answer without content is an empty one."""
    if answer.status == 204:
        return []
    told = wire.decoded(answer.data, what)
    if not isinstance(told, list) or not all(isinstance(entry, dict) for entry in told):
        raise Broken(f"{what}: the answer is not a list of objects")
    return told


_name = named_by("name")


def _listed(told: Told) -> str:
    return str(told["name"])


def _version(entry: Json) -> str:
    """What tells the versions of an object apart; no name holds a null character."""
    return f"{_name(entry)}\0{entry.get('version_id', '')}" if _name(entry) else ""


class _Patience:
    """One thing that does not answer as it should costs itself; a service that does not answer at all is not waited for."""

    def __init__(self) -> None:
        self._unreachable = 0

    def ask(self, reading: Reading, reference: str, work: Callable[[], T]) -> T | None:
        """What `work` gives, None for an error of the cloud, which is then a reason of `reading`."""
        try:
            return work()
        except (AuthFailed, Elsewhere):  # of the service, not of the thing
            raise
        except CloudError as error:
            self._unreachable += isinstance(error, Unreachable)
            if self._unreachable > MOST_UNREACHABLE:
                raise
            reading.odd(reference, said(error))
            return None


def _keys(place: str, prefix: str, headers: Mapping[str, str]) -> Iterable[NotShown]:
    """The keys of temporary URLs: links that were made with them end."""
    for key in sorted(k for k in _KEYS if prefix + k in headers):
        yield NotShown(what=f"{place}.keys", reason=Reason.of("object.key", name=key))


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


def _metadata(told: Told, prefix: str) -> tuple[str | None, dict[str, str]]:
    found = {}
    for name in told.names():
        if name.startswith(prefix):
            value = told[name]
            if prefix == _OBJECT_META or name.removeprefix(prefix) not in _KEYS:
                found[text_of_header(name.removeprefix(prefix))] = text_of_header(value)
    return from_metadata(found)


def _text(told: Told, name: str) -> str | None:
    value = told.get(name)
    return None if value is None else text_of_header(value)


def _count(told: Told, name: str) -> int:
    """A sum that only tells the state here: one that is no number costs the field and not the thing."""
    found = number(told.get(name, "0"))
    if found is None:
        told.lose(name, Reason.of("field.no-number"))
    return found or 0


def _account(told: Told) -> bool:
    """What of an account is not carried."""
    if told.get("x-account-access-control"):
        told.lose("access_control", Reason.of("object.account-access"))
    _, metadata = _metadata(Told(dict(told.items_of(_ACCOUNT_META))), _ACCOUNT_META)
    if names := sorted(metadata.keys() - {"quota-bytes"}):
        told.lose("metadata", Reason.of("object.account-metadata", names=names))
    for name in told.names():
        if name.startswith("x-account-storage-policy-"):  # sums by the policies of this cloud
            told.get(name)
    return True


def _container(name: str, told: Told) -> Container:
    marker, metadata = _metadata(told, _CONTAINER_META)
    told.get("x-container-sync-key")  # named with the other keys
    return Container(
        id=name,
        name=name,
        marker=marker,
        read_acl=_text(told, "x-container-read") or "",
        write_acl=_text(told, "x-container-write") or "",
        versions_enabled=truth(told.get("x-versions-enabled")),
        versions_location=_unquoted(told.get("x-versions-location")),
        history_location=_unquoted(told.get("x-history-location")),
        sync_to=_text(told, "x-container-sync-to"),
        storage_policy=_text(told, "x-storage-policy") or "",
        object_count=_count(told, "x-container-object-count"),
        bytes_used=_count(told, "x-container-bytes-used"),
        metadata=metadata,
    )


def _container_headers(wish: Container, marker: Marker) -> dict[str, str]:
    """All headers but those of versions (`set_versioning`), empty ones included: sent again they take back what changed."""
    headers = {
        "X-Container-Read": wish.read_acl,
        "X-Container-Write": wish.write_acl,
        **{f"X-Container-Meta-{k}": v for k, v in marked(wish.metadata, marker).items()},
    }
    return {k: header_text(v) for k, v in headers.items()}


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None


def _owned(headers: Mapping[str, str]) -> bool:
    """Whether one of the headers is told to owners only."""
    return any(headers.get(name) for name in _OWNERS)


def _object(container: str, name: str, told: Told, own_account: str) -> StoredObject:
    marker, metadata = _metadata(told, _OBJECT_META)
    target, account = told.get("x-symlink-target"), _unquoted(told.get("x-symlink-target-account"))
    etag = told.get("x-symlink-target-etag")
    size = number(told.get("content-length", "0"))
    if size is None:
        raise ValueError("no length")
    is_large = truth(told.get("x-static-large-object"))
    body, body_etag = number(told.get("body-length", "0")) or 0, told.get("body-etag", "").strip('"')
    return StoredObject(
        id=f"{container}/{name}",
        name=name,
        marker=marker,
        container=container,
        size_bytes=size,
        etag=told.get("etag", "").strip('"'),
        content_type=_text(told, "content-type") or "application/octet-stream",
        content_encoding=_text(told, "content-encoding"),
        content_disposition=_text(told, "content-disposition"),
        headers={name: text for name in KEPT_HEADERS if (text := _text(told, name))},
        delete_at=_second(told.get("x-delete-at")),
        segments=tuple(_segment(s) for s in told["segments"]) if is_large else None,
        dlo_prefix=_unquoted(told.get("x-object-manifest")),
        body_bytes=body,
        body_etag=body_etag if body else "",
        symlink_to=_unquoted(target),
        symlink_account=account if target and account != own_account else None,
        symlink_etag=etag if target else None,
        metadata=metadata,
        last_modified=_modified(told),
    )


def _from_listing(container: str, told: Told) -> StoredObject | None:
    """A plain object as the listing of its container tells it; None for what wants its headers.

    That is what has no bytes of its own (a DLO's manifest mostly, a link), what the listing shows to be joined, and what it
    tells in another way than Swift's. Raises for nothing of these.
    """
    size, etag, kind = told.plain_or("bytes"), told.plain_or("hash"), told.plain_or("content_type")
    if not (type(size) is int and size > 0 and isinstance(etag, str) and isinstance(kind, str)):
        return None
    if not is_md5(etag) or told.plain_or("slo_etag") or told.plain_or("symlink_path") or told.plain_or("version_id"):
        return None
    name = str(told["name"])
    return StoredObject(
        id=f"{container}/{name}", name=name, container=container, size_bytes=size, etag=etag, content_type=kind,
        last_modified=told.date("last_modified"), by_listing=True,
    )  # fmt: skip


def _second(told: str | None) -> datetime | None:
    """A moment in seconds since 1970. Raises ValueError for what is none."""
    if told is None:
        return None
    seconds = number(told)
    if seconds is None or seconds > 253402300799:  # the last one of the year 9999
        raise ValueError("no time")
    return datetime.fromtimestamp(seconds, UTC)


def _modified(told: Told) -> datetime | None:
    text = told.get("last-modified")
    try:
        return parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, OverflowError):
        told.lose("last-modified", Reason.of("field.no-time"))
        return None


def _object_headers(wish: StoredObject, marker: Marker) -> dict[str, str]:
    headers = {
        "Content-Type": wish.content_type,
        **{f"X-Object-Meta-{k}": v for k, v in marked(wish.metadata, marker).items()},
    }
    optional = {
        "Content-Encoding": wish.content_encoding,
        "Content-Disposition": wish.content_disposition,
        **{name.title(): text for name, text in wish.headers.items()},
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


def _segment(entry: Told) -> Segment:
    if "data" in entry:
        data = _inline(entry)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return Segment(path="", size_bytes=len(data), etag=etag)
    return Segment(
        path=entry["name"].lstrip("/"),
        size_bytes=entry["bytes"],
        etag=entry["hash"],
        range=entry.get("range"),
    )


def _manifest(segments: Sequence[Segment], held: bytes) -> bytes:
    """The body of its PUT; `held`: what stands in the manifest itself, one after the other."""
    found, at = [], 0
    for segment in segments:
        data = base64.b64encode(held[at : at + segment.size_bytes]).decode()
        found.append(_manifest_entry(segment) if segment.path else {"data": data})
        at += 0 if segment.path else segment.size_bytes
    return json.dumps(found).encode()


def _manifest_entry(segment: Segment) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "path": f"/{segment.path}",
        "size_bytes": segment.size_bytes,
        "etag": segment.etag,
    }
    return entry | ({"range": segment.range} if segment.range else {})
