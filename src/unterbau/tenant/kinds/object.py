# SPDX-License-Identifier: Apache-2.0
"""Object containers and objects (Swift API v1). Pure."""

from __future__ import annotations

import re
from collections.abc import Container as Holding
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, JsonValue

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, id_of, kind_of, ref
from unterbau.tenant.kinds.fate import Change, Entry
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, Told, carried, changed, ignored, left
from unterbau.verdict import Model, Reason, Words, later

if TYPE_CHECKING:
    from unterbau.tenant.kinds.origin import Source

ACLS = ("read_acl", "write_acl")
LOCATIONS = ("versions_location", "history_location")
OTHERS = "grants to others of the source cloud stay shut"

KEPT_HEADERS = ("cache-control", "content-language", "expires", "x-robots-tag")
"""What Swift keeps of an object beside its metadata, encoding and disposition (object server, `allowed_headers`)."""
CROWD = 100
"""A container with more objects than that is crowded: they are content of it, and no things of their own."""
LONGEST_CONTAINER, LONGEST_OBJECT, MOST_METADATA = 256, 1024, 90
MOST_METADATA_BYTES, MARK_BYTES = 4096, 96
"""Bytes of a name; metadata of one thing, and their names and values together: Swift's defaults, which /info tells. Bytes that
our mark takes at most."""


_MD5 = re.compile(r"[0-9a-f]{32}")


def is_md5(text: str) -> bool:
    """Whether an ETag may be the MD5 of the bytes (32 hexadecimal digits), and not one of joined parts."""
    return _MD5.fullmatch(text) is not None


class Holds(Model):
    """What a container holds that is no thing of its own in a census: how many objects, their bytes, the root of their listing's tree."""

    objects: int
    size_bytes: int
    tree: str


class Container(ResourceBase):
    """An object container; id = name. ACLs are Swift's text; project ids in them are those of this cloud.

    `metadata` are the X-Container-Meta-* headers, names in lower case without the prefix.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/object-store/#containers", quota=None, counted=False, marker=Mark.BORN,
        content=Content.NONE, id_is_name=True, personal=False, usable=(), beyond={
            "versions": "earlier versions of its objects are not carried",
            "keys": "keys of temporary URLs and of synchronisation are secrets, and are not carried",
        },
    )  # fmt: skip
    kind: Literal["container"] = "container"
    read_acl: Annotated[str, changed(OTHERS, replaced=False, told=Told.HIDDEN, opens=[Opened.CONTAINER_ACL])] = ""
    write_acl: Annotated[str, changed(OTHERS, replaced=False, told=Told.HIDDEN, opens=[Opened.CONTAINER_ACL])] = ""
    versions_enabled: Annotated[bool, changed("earlier versions of its objects are not carried", replaced=False)] = (
        False
    )
    versions_location: Annotated[str | None, carried()] = None
    history_location: Annotated[str | None, carried()] = None
    sync_to: Annotated[
        str | None, left(Reason.of("plan.container.sync"), told=Told.HIDDEN, opens=[Opened.CONTAINER_SYNC])
    ] = None
    storage_policy: Annotated[str, ignored("a name of the provider's")] = ""
    object_count: Annotated[int, ignored("its objects are compared one by one", moment=True)] = 0
    bytes_used: Annotated[int, ignored("its objects are compared one by one", moment=True)] = 0
    metadata: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    holds: Annotated[Holds | None, ignored("its objects are compared by a claim of their own")] = later(None)
    """Of a crowded one in a brief census: its plain objects, which no census lists (`switch.crowd`)."""

    def full(self) -> Words:
        """Its metadata."""
        return no_room(self.metadata)

    def is_brief(self) -> bool:
        """Whether of its objects only the listing was read."""
        return self.holds is not None

    def in_brief(self) -> int:
        """The objects that it holds."""
        return self.holds.objects if self.holds is not None else 0

    def counted(self) -> int:
        """The objects that it counts itself."""
        return self.object_count

    def uses(self) -> Iterator[tuple[str, str, int]]:
        """What the objects take that it holds."""
        if self.holds is not None:
            yield "object_store", "bytes", self.holds.size_bytes
            yield "object_store", "objects", self.holds.objects

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"container {self.name}"

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """ACLs as sets of grants, in which the own project is called the same on both sides."""
        plain, own = super().facts(side, key), side.identity.project_id
        for field in ACLS:
            grants = str(plain[field]).replace(f"{own}:", "own project:").split(",")
            plain[field] = [*sorted(g.strip() for g in grants if g.strip())]
        return plain

    def translated(self, translate: Mapping[str, str], projects: tuple[str, str]) -> Self:
        """With the target's own project in its ACLs."""
        old, new = projects
        return self.model_copy(update={f: getattr(self, f).replace(f"{old}:", f"{new}:") for f in ACLS})

    def fate(self, ground: Ground) -> Entry:
        """Carried; what others of the source cloud may do stays shut."""
        changes = []
        for field in ACLS:
            was = getattr(self, field)
            kept, dropped = _own(was, ground.source.identity.project_id)
            if dropped:
                why = Reason.of("plan.container.grants", grants=[*dropped])
                changes.append(Change(field=field, was=was, to=kept, why=why))
        if self.versions_enabled:  # the census names those that there are: they are a loss of their own
            why = Reason.of("plan.container.versions")
            changes.append(Change(field="versions_enabled", was=True, to=True, why=why))
        entry = self.carry(ground, *changes, size=self.holds.size_bytes if self.holds else 0)
        return entry.model_copy(update={"objects": self.holds.objects if self.holds else 0})

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """Kept for itself it keeps its objects."""
        objects = relations.naming(Kind.OBJECT, "container", self.id) if itself else []
        return [*super().upheld(relations, itself), *objects]

    BONDS = "versioning of "
    """Made last and taken away first: what is written or deleted meanwhile leaves no version behind."""

    def unbound(self) -> Self | None:
        """Without keeping versions; None if it keeps none."""
        bare = self.model_copy(update=dict.fromkeys(LOCATIONS) | {"versions_enabled": False})
        return bare if bare != self else None

    def bound(self, wish: ResourceBase) -> Self:
        """With the keeping of versions."""
        return self.model_copy(update={f: getattr(wish, f) for f in ("versions_enabled", *LOCATIONS)})

    def bonds(self) -> int:
        """One, if it keeps versions."""
        return int(self.unbound() is not None)

    def held_by(self, relations: Relations) -> list[Ref]:
        """Its objects."""
        return relations.naming(Kind.OBJECT, "container", self.id)

    def undone(self, now: ResourceBase, gone: Holding[Ref]) -> dict[str, object]:
        """It keeps no versions of what is deleted before it."""
        return dict.fromkeys(LOCATIONS) | {"versions_enabled": False} if self.ref in gone else {}

    def unfit(self, at: datetime) -> str:
        """Its name is part of an address; Swift's limits of metadata (`max_meta_count`, ...), of which our marker takes one."""
        if "/" in self.name or len(self.name.encode()) > LONGEST_CONTAINER:
            return f"its name has a slash or is longer than {LONGEST_CONTAINER} bytes"
        return too_much(self.metadata)

    def born(self, origin: Source, number: int) -> Self:
        """It counts for itself, synchronises with nobody, and keeps versions only when that is set (`bound`)."""
        sums = {"object_count": 0, "bytes_used": 0, "sync_to": None, "versions_enabled": False, "holds": None}
        sums |= dict.fromkeys(LOCATIONS)
        kept = {k: v for k, v in as_headers(self.metadata).items() if v}
        return self.model_copy(update={**sums, "metadata": kept})

    def completed(self, side: Side, at: datetime) -> Self:
        """With a storage policy."""
        return self.model_copy(update={"storage_policy": self.storage_policy or "Policy-0"})

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """The name of another one."""
        return isinstance(there, Container) and self.name == there.name


def as_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """What is kept of metadata that travel as headers: no name with an underscore, no blanks around a value."""
    return {k: v.strip() for k, v in metadata.items() if "_" not in k}


def no_room(metadata: Mapping[str, str]) -> Words:
    """Why our mark does not fit beside these, or "": an object store has no second place for it."""
    if len(metadata) >= MOST_METADATA or _size(metadata) + MARK_BYTES > MOST_METADATA_BYTES:
        return Reason.of("plan.full", count=len(metadata), what="metadata")
    return ""


def _size(metadata: Mapping[str, str]) -> int:
    return sum(len(text.encode()) for pair in metadata.items() for text in pair)


def too_much(metadata: Mapping[str, str]) -> str:
    """Why Swift does not take these metadata and our marker (https://docs.openstack.org/api-ref/object-store/), or ""."""
    if no_room(metadata):
        return f"it has more than {MOST_METADATA} metadata with ours, or more than {MOST_METADATA_BYTES} bytes of them"
    if any(len(k.encode()) > 128 or len(v.encode()) > 256 for k, v in metadata.items()):
        return "it has a name of metadata longer than 128 bytes, or a value longer than 256"
    return ""


def _own(acl: str, project_id: str) -> tuple[str, list[str]]:
    """Swift's ACL: referrers and the own project stay, anybody else's grant is dropped."""
    parts = [p.strip() for p in acl.split(",") if p.strip()]
    kept = [p for p in parts if p.startswith(".r") or p == f"{project_id}:*"]
    return ",".join(kept), [p for p in parts if p not in kept]


class Segment(Model):
    """One segment of a static large object. `path` is `container/name` without leading slash; "" for bytes that stand in the
    manifest itself (`etag` is their MD5 then).
    """

    path: str
    size_bytes: int
    etag: str
    range: str | None = None


class StoredObject(ResourceBase):
    """An object; id = `container/name` (name as UTF-8 text, untouched). `etag` is the cloud's, not evidence.

    `segments` is the SLO manifest (in order) or None; for such an object `size_bytes` is that of the joined
    content. `dlo_prefix` is the DLO's `container/prefix`, `body_bytes` and `body_etag` are of the body that it has beside
    its segments and that only a request for the manifest gives. `symlink_to` the target `container/name`, in the
    account `symlink_account` (None: the object's own account; another one is not ours to follow or to carry).
    `symlink_etag` is of a static link only: the ETag that its target must have for the link to be readable.
    `metadata` are the X-Object-Meta-* headers, names in lower case without the prefix.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/object-store/#objects", quota=None, counted=False, marker=Mark.BORN,
        content=Content.STORED, id_is_name=True, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["object"] = "object"
    container: Annotated[str, carried(refers=Kind.CONTAINER, own=True)]
    size_bytes: Annotated[int, carried()]
    etag: Annotated[str, ignored("the cloud's own hash; the verifier takes one of its own")]
    content_type: Annotated[str, carried()] = "application/octet-stream"
    content_encoding: Annotated[str | None, carried()] = None
    content_disposition: Annotated[str | None, carried()] = None
    headers: Annotated[dict[str, str], carried()] = later({})
    """Those of `KEPT_HEADERS`, names in lower case."""
    delete_at: Annotated[datetime | None, carried()] = None
    segments: Annotated[tuple[Segment, ...] | None, carried()] = None
    dlo_prefix: Annotated[str | None, carried()] = None
    body_bytes: Annotated[int, carried()] = later(0)
    body_etag: Annotated[str, carried()] = later("")
    symlink_to: Annotated[str | None, carried()] = None
    symlink_account: Annotated[str | None, carried()] = later(None)
    symlink_etag: Annotated[
        str | None, changed("the ETag of a large object's manifest is the cloud's own", replaced=False)
    ] = later(None)
    metadata: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    last_modified: Annotated[datetime | None, ignored("the moment of its writing in this cloud", moment=True)] = None
    by_listing: Annotated[bool, ignored("who reads its bytes reads its headers")] = later(False)
    """Whether only the listing of its container was read, which tells neither headers nor metadata."""

    @classmethod
    def named(cls, container: str, name: str) -> Self:
        """One of which only the name is known."""
        return cls(id=f"{container}/{name}", name=name, container=container, size_bytes=0, etag="", by_listing=True)

    def references(self) -> tuple[Ref, ...]:
        """The container, and the segments or the symlink's target, if that is in the own account."""
        link = [self.symlink_to] if self.symlink_to and self.symlink_account is None else []
        others = [s.path for s in self.segments or () if s.path] + link
        return (*super().references(), *dict.fromkeys(ref(Kind.OBJECT, path) for path in others))

    def is_linked(self) -> bool:
        """A manifest joins others, a symlink shows one."""
        return bool(self.segments is not None or self.symlink_to or self.dlo_prefix is not None)

    def is_brief(self) -> bool:
        """Neither its headers nor its metadata."""
        return self.by_listing

    def as_named(self) -> Self:
        """Of a container's listing."""
        return self.named(self.container, self.name)

    def as_listed(self) -> Self:
        """A plain one as Swift lists it: neither headers nor metadata. A DLO's manifest with a body looks like one, too."""
        fields = ["id", "name", "container", "size_bytes", "etag", "content_type", "last_modified"]
        told = {field: getattr(self, field) for field in fields}
        if self.dlo_prefix is not None:
            told |= {"size_bytes": self.body_bytes, "etag": self.body_etag}
        if self.segments is not None or self.symlink_to or not told["size_bytes"] or not is_md5(told["etag"]):
            return self
        return type(self)(**told, by_listing=True)

    def place(self) -> str:
        """Its container, and its name."""
        return f"{self.container}/{self.name}"

    def unfit(self, at: datetime) -> str:
        """Nothing is stored that has ended; Swift's limits of names and metadata."""
        if len(self.name.encode()) > LONGEST_OBJECT:
            return f"its name is longer than {LONGEST_OBJECT} bytes"
        if self.delete_at is not None and self.delete_at <= at:
            return "it has ended"
        return too_much(self.metadata)

    def completed(self, side: Side, at: datetime) -> Self:
        """With the time at which it was written, and the metadata that come through."""
        return self.model_copy(update={"last_modified": at, "metadata": as_headers(self.metadata)})

    def full(self) -> Words:
        """Its metadata."""
        return no_room(self.metadata)

    def natural_key(self, key: Key) -> str:
        """Its place."""
        return f"object {self.id}"

    def fate(self, ground: Ground) -> Entry:
        """Carried, unless it shows what is not there or not the project's own."""
        features = ground.target.offering.object_features
        for needed, wanted in (("slo", self.segments), ("symlink", self.symlink_to)):  # no /info tells of DLOs
            if wanted and features and needed not in features:
                return self.leave(Reason.of("plan.object.feature", feature=needed), Reason.of("do.store-as-one"))  # fmt: skip
        if self.symlink_account is not None:
            return self.leave(
                Reason.of("plan.object.other-account", account=self.symlink_account), Reason.of("do.link-by-hand")
            )
        foreign = self.foreign(ground)
        if foreign:
            return self.leave(Reason.of("plan.dangling", thing=foreign[0]), Reason.of("do.mend"))
        if self._circles(ground.source):
            return self.leave(Reason.of("plan.object.circle"), Reason.of("do.point-elsewhere"))
        size = self.own_size() if self.is_linked() else self.size_bytes
        return self.carry(ground, *self._pinned(ground.source), size=size, more=self._segments(ground.source))

    def _segments(self, side: Side) -> list[Ref]:
        """What a DLO comes after and goes before, so that its content is whole when it is compared.

        Plain objects only: of two manifests under one prefix neither waits for the other.
        """
        there = (side.by_ref.get(one) for one in self.joined(side.relations))
        return [one.ref for one in there if isinstance(one, StoredObject) and not one.is_linked()]

    def _pinned(self, side: Side) -> list[Change]:
        """A static link names the ETag of its target, which for a static large object is another in each cloud."""
        there = side.by_ref.get(ref(Kind.OBJECT, self.symlink_to or "-"))
        if self.symlink_etag is None or not isinstance(there, StoredObject) or there.segments is None:
            return []
        why = Reason.of("plan.object.etag")
        return [Change(field="symlink_etag", was=self.symlink_etag, to=None, why=why)]

    def _circles(self, side: Side) -> bool:
        """Whether symlinks and manifests lead from the object back to itself."""
        ahead, behind = [self.ref], set[Ref]()
        while ahead:
            there = side.by_ref.get(ahead.pop())
            if not isinstance(there, StoredObject) or there.ref in behind:
                continue
            behind.add(there.ref)
            ahead += [r for r in there.references() if kind_of(r) is Kind.OBJECT]
            if self.ref in ahead:
                return True
        return False

    def parts(self, side: Side) -> tuple[tuple[Ref, slice], ...] | None:
        """Its segments, or what it shows; what another account has is not ours to read."""
        whole = slice(None)
        if self.symlink_account:
            return None
        if self.symlink_to:
            return ((ref(Kind.OBJECT, self.symlink_to), whole),)
        if self.dlo_prefix is not None:
            return tuple((o, whole) for o in sorted(self.joined(side.relations)))
        if self.segments is None:
            return ((self.ref, whole),)
        found, at = [], 0
        for one in self.segments:
            found.append(
                (ref(Kind.OBJECT, one.path), whole) if one.path else (self.ref, slice(at, at + one.size_bytes))
            )
            at += 0 if one.path else one.size_bytes
        return tuple(found)

    def joined(self, relations: Relations) -> list[Ref]:
        """The segments of a DLO: what stands under its prefix."""
        if self.dlo_prefix is None:
            return []
        start = ref(Kind.OBJECT, self.dlo_prefix)
        beside = relations.naming(Kind.OBJECT, "container", self.dlo_prefix.partition("/")[0])
        return [o for o in beside if o.startswith(start) and o != self.ref]

    def own_size(self) -> int:
        """The body of a DLO, what stands in an SLO's manifest."""
        return self.body_bytes + sum(s.size_bytes for s in self.segments or () if not s.path)

    def md5(self) -> str:
        """Of its content (hex), where its ETag is one: Swift's of a plain object, not of what was uploaded in parts."""
        return self.etag if not self.is_linked() and is_md5(self.etag) else ""

    def pinned(self) -> Iterator[tuple[Ref, str]]:
        """Its segments, and what a static link shows."""
        yield from ((ref(Kind.OBJECT, s.path), s.etag) for s in self.segments or () if s.path)
        if self.symlink_etag is not None:
            yield ref(Kind.OBJECT, self.symlink_to or "-"), self.symlink_etag

    def uses(self) -> Iterator[tuple[str, str, int]]:
        """Its bytes, and itself."""
        yield "object_store", "bytes", self.own_size() if self.is_linked() else self.size_bytes
        yield "object_store", "objects", 1

    def has_content(self) -> bool:
        """A symlink has none, and what it leads to may be another's."""
        return not self.symlink_to

    def stamp(self) -> dict[str, JsonValue]:
        """Swift gives an object another time (and mostly another ETag) with each PUT. A DLO's content is what its segments are."""
        if not self.last_modified or self.dlo_prefix is not None:
            return {}
        return {"etag": self.etag, "last_modified": self.last_modified.isoformat(), "bytes": self.size_bytes}

    def under(self, relations: Relations) -> list[Ref]:
        """Also the segments of a DLO."""
        return [*super().under(relations), *self.joined(relations)]

    def goes_at(self) -> datetime | None:
        """When Swift deletes it."""
        return self.delete_at


OWNER_ONLY = ("container.read_acl", "container.write_acl", "container.sync_to", "container.keys",
              "account.keys", "account.access_control")  # fmt: skip
"""What an object store tells an owner of the account alone, as `NotShown.what` (Swift: `swift_owner_headers`).

Nobody else gets these headers at all, so that what is hidden looks like what is empty. Whoever is not known to be an
owner has seen none of them; one of them seen anywhere in the account shows that he is, and that the others are empty.
"""
REFUSING = ".r:-unterbau.invalid"
"""An ACL that refuses one host that does not exist (RFC 2606), and grants nothing."""

TRIED = Kind.CONTAINER
"""The kind of a trial."""
STORE, STORED = Kind.CONTAINER, Kind.OBJECT
"""The kind that things are stored in, and theirs: while a source lives they change by themselves."""


def stored(container: str, name: str) -> Ref:
    """The Ref of an object."""
    return ref(STORED, f"{container}/{name}")


def store_of(reference: Ref) -> str:
    """The container of the object of a Ref, "" if that is of another kind."""
    return id_of(reference).partition("/")[0] if kind_of(reference) is STORED else ""


def links(resource: ResourceBase) -> tuple[tuple[Ref, ...], str]:
    """What an object that joins or shows others names: Refs, and the beginning of the Refs of what it joins, or ""; nothing of any other thing."""
    if not isinstance(resource, StoredObject) or not resource.is_linked():
        return (), ""
    others = tuple(one for one in resource.references() if kind_of(one) is STORED)
    return others, ref(STORED, resource.dlo_prefix) if resource.dlo_prefix is not None else ""


def trial(name: str) -> Container:
    """A container by which one finds out whether he is an owner: if so he is told its ACL."""
    return Container(id=name, name=name, read_acl=REFUSING)


def told_to_owners(resource: ResourceBase | None) -> str:
    """What of a container only an owner is told, "" if nothing."""
    if not isinstance(resource, Container):
        return ""
    return resource.read_acl or resource.write_acl or resource.sync_to or ""
