# SPDX-License-Identifier: Apache-2.0
"""A whole cloud in a directory, behind the port: for tests, and for the crash suite, which kills the mover.

Every change is on disk when the call returns, so the world outlives a killed process. It behaves like
OpenStack where that matters to a mover: a new security group comes with two egress rules (which `ensure`
removes), each project has a `default` group, a volume in use cannot be uploaded and goes with its server if it is
attached so, a volume's `updated_at` changes with its state and its uploads and not with its bytes, protected and public
images are refused, a volume is uploaded as raw or qcow2 and made from either, a server's disk is its image's until somebody writes it, names of server groups and secrets are not unique, a container must be empty to be deleted. A GiB is
64 KiB here. ACLs are told to the role member only, as Swift does, and what `private` names is another user's. It has no
addresses to give, no schedulers, and knows nothing of other projects.

Requests outlive their client: one whose answer is lost, or whose client was killed, stands on disk until it is due, and
whoever looks next finds it carried out, as a request and not as a call of the port: half-made where that takes several.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretBytes, TypeAdapter

from unterbau import qcow2
from unterbau.cloud.content import content
from unterbau.cloud.port import LOOKED_AT, Listing, Marker, Page, Power, Surroundings, Take, owner_only
from unterbau.cloud.waiting import wait
from unterbau.errors import Broken, CloudError, Conflict, Forbidden, NotFound, Unreachable, Unsupported
from unterbau.tenant.kinds import (
    KINDS,
    NOTHING,
    CloudIdentity,
    Content,
    ExternalNetwork,
    Flavor,
    Kind,
    Mark,
    Offering,
    Ref,
    Resource,
    Source,
    VolumeType,
    id_of,
    ref,
)
from unterbau.tenant.kinds.object import TRIED, told_to_owners
from unterbau.tenant.kinds.security_group import from_birth
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Reason

GIB = 64 * 1024
"""What a GiB of volume is here, in bytes."""
PAGE = 1000
"""How many objects it lists at once."""
FORMS = ("qcow2", "raw")
WITH = {one.KNOWN.content: kind for kind, one in KINDS.items()}
"""The kind that holds a content."""
_RESOURCE: TypeAdapter[Resource] = TypeAdapter(Resource)
_FLAVORS = (("SCS-2V-4-20s", 2, 4096, 20), ("SCS-2V-8", 2, 8192, 0))


def _box(one: Resource) -> str:
    """The container of an object."""
    return one.id.partition("/")[0]


class Bytes:
    """A `ByteStream` over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size_bytes(self) -> int | None:
        """Their number."""
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), 1 << 20):
            yield self._data[start : start + (1 << 20)]


class _GivenUp(Exception):
    """Cinder accepted an upload and failed."""


class Simulator:
    """Implements `port.Cloud`. One process at a time; safe from several threads.

    `lost(request)` (such as `create volume`, `delete port`, `write object`) gives the seconds after which a request is
    carried out that gets no answer, None for one that gets one. Each request takes `pace` seconds; that of a client which is
    killed meanwhile is carried out `outlive` seconds after it was sent.
    """

    def __init__(
        self, folder: Path, *, name: str = "simulated", role: str = "member",
        lost: Callable[[str], float | None] = lambda request: None, pace: float = 0.0, outlive: float = 0.0,
    ) -> None:  # fmt: skip
        self.folder, self.name, self.role = folder, name, role
        self.hides_acls, self.private = False, set[Ref]()
        """Whether members are no owners either; secrets and their containers that another user keeps private."""
        self.uploads, self.takes, self.unpacks = set(FORMS), set(FORMS), set(FORMS)
        """The forms of images in which its Cinder gives volumes, which its Glance takes, and which Cinder makes volumes from."""
        self.mislabels = False
        """Whether its Cinder gives raw, whatever it is asked for, and calls it what it was asked for."""
        self.images_of_servers = True
        """Whether its Nova gives the disks that servers have on their hosts; else their images stay empty for ever."""
        self.consoles: Callable[[Resource], str] = lambda server: ""
        """What guests write to their consoles."""
        self.stuck = False
        """Whether guests never give a disk back; a server that is deleted does."""
        self._claimed: dict[str, Marker] = {}
        self._given_up = set[Ref]()
        """Images that Cinder began and deleted."""
        self.lost, self.pace, self.outlive = lost, pace, outlive
        self._lock = threading.RLock()
        self._late, self._catching_up = folder / "late", False
        self._own = folder / "own"
        """A file for each subnet: the address that its DHCP has."""
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        self._late.mkdir(exist_ok=True)
        self._own.mkdir(exist_ok=True)
        self._file = folder / "world.json"
        self._world: dict[str, dict[str, Any]] = {}
        self._known: dict[Ref, tuple[dict[str, Any], Resource]] = {}
        if self._file.exists():
            self._world = json.loads(self._file.read_text())
        else:
            self._put(from_birth(self._new()))

    # --- the world on disk

    def _save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._world))
        os.replace(fresh, self._file)

    def _put(self, resource: Resource) -> str:
        with self._lock:
            self._may_write()
            self._world[resource.ref] = resource.touched(datetime.now(UTC)).model_dump(mode="json")
            self._save()
        return resource.id

    def _drop(self, reference: Ref) -> None:
        with self._lock:
            self._may_write()
            self._world.pop(reference, None)
            self._save()
            self._blob(reference).unlink(missing_ok=True)

    def _may_write(self) -> None:
        if self.role != "member":
            raise Forbidden(f"{self.name}: the role {self.role} may not write")

    def _blob(self, reference: Ref) -> Path:
        return self.folder / "blobs" / hashlib.sha256(reference.encode()).hexdigest()

    def _content(self, reference: Ref) -> bytes:
        path = self._blob(reference)
        return path.read_bytes() if path.exists() else b""

    def _new(self) -> str:
        return str(uuid.uuid4())

    def enumerate_all(self) -> dict[Ref, str]:
        """Everything there is, raw: Ref -> name. Not part of the port; the tests count with it."""
        with self._lock:
            self._catch_up()
            return {r: str(v.get("name", "")) for r, v in self._world.items()}

    # --- requests that outlive their client

    def _send(self, what: str, request: Callable[[], tuple[Any, ...]]) -> None:
        """A request is on its way. Raises Unreachable (uncertain) if its answer gets lost."""
        after = self.lost(what)
        if after is None and not self.pace:
            return
        due = time.time() + (self.outlive if after is None else after)
        path = self._late / f"{due:020.6f} {self._new()}"
        fresh = self._late / f"new {path.name}"
        fresh.write_text(json.dumps(request()))
        os.replace(fresh, path)
        if after is None:
            time.sleep(self.pace)
            with suppress(FileNotFoundError):
                path.unlink()
                return
        error = Unreachable(f"{self.name}: {what}: no answer")
        error.uncertain = True
        raise error

    def _catch_up(self) -> None:
        """Carry out what is due. What is not possible any more is refused, and nobody hears of it."""
        if self._catching_up:
            return
        self._catching_up = True
        try:
            for path in sorted(p for p in self._late.iterdir() if not p.name.startswith("new ")):
                if float(path.name.partition(" ")[0]) <= time.time():
                    taken = path.with_name(f"new {path.name}")
                    try:
                        os.replace(path, taken)
                    except FileNotFoundError:  # its client, which was slow, takes it back at this moment
                        continue
                    what, *arguments = json.loads(taken.read_text())
                    taken.unlink()
                    with suppress(CloudError):
                        getattr(self, f"_late_{what}")(*arguments)
        finally:
            self._catching_up = False

    def _late_create(self, wish: Any, marker: Marker, source: Any) -> None:
        resource, origin = _RESOURCE.validate_python(wish), Source.model_validate(source)
        self._refuse(resource, origin)
        self._make(resource, marker, origin, finished=False)

    def _late_delete(self, reference: Ref) -> None:
        self._delete(reference)

    def _late_write(self, wish: Any, content: str, marker: Marker) -> None:
        self._store(_RESOURCE.validate_python(wish), base64.b64decode(content), marker)

    # --- reading

    def once(self) -> Simulator:
        """See the port."""
        return self

    def identity(self) -> CloudIdentity:
        """See the port."""
        url = f"https://{self.name}.invalid/v3"
        return CloudIdentity(name=self.name, auth_url=url, region="R", project_id=f"project-{self.name}",
                             project_name=self.name, user_id="u", roles=(self.role,))  # fmt: skip

    def kinds(self) -> tuple[Kind, ...]:
        """See the port."""
        return tuple(Kind)

    def _all(self) -> list[Resource]:
        with self._lock:
            self._catch_up()
            return [self._parsed(reference) for reference in self._world]

    def _parsed(self, reference: Ref) -> Resource:
        """What stands in the world under a Ref; it is read once as long as it stays the same."""
        plain = self._world[reference]
        known = self._known.get(reference)
        if known is None or known[0] is not plain:
            known = self._known[reference] = plain, _RESOURCE.validate_python(plain)
        return known[1]

    def listing(self, kind: Kind) -> Listing:
        """See the port."""
        found = tuple(self._as_told(r) for r in self._all() if r.own_kind is kind)
        private = sorted(r.ref for r in found if r.ref in self.private)
        notes = tuple(NotShown(what=r, reason=Reason.of("secret.private")) for r in private)
        if kind is TRIED and not any(told_to_owners(r) for r in found):
            notes += owner_only(containers=bool(found))
        return Listing(resources=found, not_shown=notes)

    def listing_read(self, kind: Kind, seen: Take, without: Collection[str] = ()) -> Listing:
        """See the port."""
        found = self._listed_without(kind, without)
        self._show(found.resources, seen)
        return found

    def _listed_without(self, kind: Kind, without: Collection[str]) -> Listing:
        found = self.listing(kind)
        if not without:
            return found
        kept = (r for r in found.resources if r.KNOWN.content is not Content.STORED or _box(r) not in without)
        return found.model_copy(update={"resources": tuple(kept)})

    def _show(self, things: Iterable[Resource], seen: Take) -> None:
        for one in things:
            if one.KNOWN.content is Content.STORED and one.has_content() and not one.is_linked():
                with suppress(CloudError), content(self, one) as stream:
                    if stream.size_bytes:
                        seen(one, stream)

    def crowded(self) -> tuple[str, ...]:
        """See the port."""
        counts = Counter(_box(r) for r in self.listing(WITH[Content.STORED]).resources)
        return tuple(sorted(name for name, count in counts.items() if count > LOOKED_AT))

    def pages(self, container: str) -> Iterator[Page]:
        """See the port."""
        held = [r for r in self.listing(WITH[Content.STORED]).resources if _box(r) == container]
        held.sort(key=lambda r: r.name)
        for start in range(0, len(held), PAGE):
            listed = [r.as_listed() for r in held[start : start + PAGE]]
            plain = tuple(r for r in listed if r.is_brief())
            yield Page(plain, tuple(r.as_named() for r in listed if not r.is_brief()), len(held))

    def read_again(self, things: Sequence[Resource], seen: Take) -> Listing:
        """See the port."""
        found = [there for one in things if (there := self.read(one.ref)) is not None]
        self._show(found, seen)
        return Listing(resources=tuple(found))

    def listing_brief(self, kind: Kind, without: Collection[str] = ()) -> Listing:
        """See the port."""
        found = self._listed_without(kind, without)
        if len(found.resources) <= LOOKED_AT:
            return found
        return found.model_copy(update={"resources": tuple(r.as_listed() for r in found.resources)})

    def _as_told(self, resource: Resource) -> Resource:
        """Without what is kept from us."""
        if resource.ref in self.private:
            return resource.model_copy(update={"acl_project_access": False, "acl_users": ()})
        if resource.own_kind is TRIED and (self.role != "member" or self.hides_acls):
            fields = type(resource).model_fields
            return resource.model_copy(update={name: fields[name].default for name in resource.HIDEABLE})
        return resource

    def _refuse_private(self, reference: Ref) -> None:
        if reference in self.private:
            raise Forbidden(f"{self.name}: {reference} is private to another user")

    def surroundings(self) -> Surroundings:
        """See the port."""
        flavors = tuple(Flavor(id=n, name=n, vcpus=c, ram_mib=r, disk_gib=d) for n, c, r, d in _FLAVORS)
        offering = Offering(
            flavors=flavors,
            volume_types=(VolumeType(id="t", name="default", is_default=True),),
            external_networks=(ExternalNetwork(id=f"public-{self.name}", name="public", is_default=True),),
            compute_zones=("nova",), volume_zones=("nova",), object_features=("slo", "symlink", "dlo"),
            image_formats=tuple(sorted(self.takes)),
        )  # fmt: skip
        return Surroundings(offering=offering)

    def not_understood(self) -> tuple[NotShown, ...]:
        """See the port."""
        return ()

    def read(self, reference: Ref) -> Resource | None:
        """See the port."""
        self._refuse_private(reference)
        with self._lock:
            self._catch_up()
            found = self._parsed(reference) if reference in self._world else None
        return self._as_told(found) if found else None

    def _must(self, reference: Ref) -> Resource:
        found = self.read(reference)
        if found is None:
            raise NotFound(f"{self.name}: {reference} does not exist")
        return found

    def _by_id(self, id_: str) -> Resource:
        with self._lock:
            reference = next((r for r in self._world if id_of(r) == id_), id_)
        return self._must(reference)

    @contextmanager
    def object_bytes(self, container: str, name: str) -> Iterator[Bytes]:
        """See the port."""
        found = self._must(ref(WITH[Content.STORED], f"{container}/{name}"))
        parts = found.parts(self._side()) if found.is_linked() else ((found.ref, slice(None)),)
        if parts is None:
            raise Forbidden(f"{self.name}: {found.ref} leads into another account")
        yield Bytes(b"".join(self._content(part)[which] for part, which in parts))

    @contextmanager
    def object_whole(self, container: str, name: str) -> Iterator[tuple[Resource, Bytes]]:
        """See the port."""
        found = self._must(ref(WITH[Content.STORED], f"{container}/{name}"))
        if found.is_linked():
            raise Conflict(f"{self.name}: {found.ref} is more than its listing tells")
        with self.object_bytes(container, name) as stream:
            yield found, stream

    @contextmanager
    def own_bytes(self, container: str, name: str) -> Iterator[Bytes]:
        """See the port."""
        yield Bytes(self._content(self._must(ref(WITH[Content.STORED], f"{container}/{name}")).ref))

    @contextmanager
    def image_bytes(self, image_id: str) -> Iterator[Bytes]:
        """See the port."""
        yield Bytes(self._content(self._must(ref(WITH[Content.FIXED], image_id)).ref))

    def image_start(self, image_id: str, length: int) -> bytes:
        """See the port."""
        return self._content(self._must(ref(WITH[Content.FIXED], image_id)).ref)[:length]

    def secret_payload(self, secret_id: str) -> SecretBytes | None:
        """See the port."""
        reference = self._must(ref(WITH[Content.PAYLOAD], secret_id)).ref
        return SecretBytes(self._content(reference)) if self._blob(reference).exists() else None

    # --- writing

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """See the port."""
        if resource.KNOWN.marker is Mark.BORN:
            return ()
        return tuple(r.id for r in self._all() if resource.alike(r))

    def ensure(
        self, resource: Resource, marker: Marker, *, before: tuple[str, ...] = (), source: Source = NOTHING
    ) -> str:
        """See the port."""
        with self._lock:
            self._may_write()
            found = self._found(resource, marker, before)
            if found is not None:
                return found
            self._refuse(resource, source)
        request = ("create", resource.model_dump(mode="json"), marker, source.model_dump(mode="json"))
        self._send(f"create {resource.own_kind}", lambda: request)
        with self._lock:
            self._refuse(resource, source)
            made = self._make(resource, marker, source)
            self._claimed[made] = marker
            return made

    def _found(self, wish: Resource, marker: Marker, before: tuple[str, ...]) -> str | None:
        marked = wish.KNOWN.marker
        if marked is Mark.PLACE:
            return wish.place() if self.read(ref(wish.own_kind, wish.place())) else None
        there = [r for r in self._all() if r.own_kind is wish.own_kind]
        ours = [r.id for r in there if r.marker == marker]
        if ours or marked is Mark.BORN:
            if ours and marked is Mark.LATER:  # half-made: finish it
                self._finish(wish, ours[0], marker)
            return ours[0] if ours else None
        free = [r for r in there if r.id not in before and self._claimed.get(r.id, marker) == marker]
        alike = [r.id for r in free if r.marker is None and wish.alike(r)]
        if len(alike) > 1 and not wish.any_of_alike():
            raise Conflict(
                f"{self.name}: {len(alike)} things look like {wish.own_kind} {wish.name}: {', '.join(alike)}"
            )
        if not alike:
            return None
        self._claimed[alike[0]] = marker
        if marked is Mark.LATER:
            self._finish(wish, alike[0], marker)
        return alike[0]

    def _finish(self, wish: Resource, id_: str, marker: Marker) -> None:
        """It gets its marker after it was made."""
        marked = {"id": id_, "marker": marker}
        made = wish.born(NOTHING, 0).completed(self._side(), datetime.now(UTC)).model_copy(update=marked)
        self._put(made.with_payload(wish) if self._blob(made.ref).exists() else made)

    def _refuse(self, wish: Resource, source: Source) -> None:
        for reference in wish.references():
            if reference not in self._world:
                raise NotFound(f"{self.name}: {wish.own_kind} {wish.name} refers to {reference}, which does not exist")
        self._refuse_unfit(wish)
        for ip in getattr(wish, "fixed_ips", ()):
            own = self._own / ip.subnet_id
            if own.exists() and own.read_text() == ip.ip_address:
                raise Conflict(f"{self.name}: IP address {ip.ip_address} already allocated in subnet {ip.subnet_id}")
        taken = next((there for there in self._all() if wish.takes(there, source)), None)
        if taken is not None:
            raise Conflict(f"{self.name}: {wish.own_kind} {wish.name} would take what {taken.ref} has")
        lacks = wish.lacks(self._side())
        if lacks:
            raise NotFound(f"{self.name}: {lacks}")

    def _refuse_unfit(self, wish: Resource) -> None:
        form = getattr(wish, "disk_format", None) or "raw"
        if form in set(FORMS) - self.takes:
            raise Conflict(f"{self.name}: HTTP 400: Invalid disk format '{form}' for image.")
        denied, unfit = wish.denied(), wish.unfit(datetime.now(UTC))
        if denied:
            raise Forbidden(f"{self.name}: {wish.own_kind} {wish.name}: {denied}")
        if unfit:
            raise Conflict(f"{self.name}: {wish.own_kind} {wish.name[:80]}: {unfit}")

    def _side(self) -> Workload:
        """What is there, to be asked who names whom."""
        return Workload.model_construct(
            identity=self.identity(), taken_at=datetime.now(UTC), resources=tuple(self._all()), not_shown=(),
            offering=self.surroundings().offering,
        )  # fmt: skip

    def _make(self, wish: Resource, marker: Marker, source: Source, *, finished: bool = True) -> str:
        """`finished` False: by its first request only."""
        id_ = wish.place() or self._new()
        marks = wish.KNOWN.marker
        bare = not (marks.at_birth or (finished and marks.lasting))
        made = wish.model_copy(update={"id": id_, "marker": None if bare else marker}).born(source, len(self._world))
        try:
            self._put(self._drawn(made.completed(self._side(), datetime.now(UTC)), source))
        except _GivenUp:
            self._given_up.add(made.ref)
            return id_
        pools = getattr(made, "allocation_pools", ())
        if pools and getattr(made, "enable_dhcp", False):
            (self._own / id_).write_text(pools[0].start)
        for disk in source.disks:
            attached = disk.model_copy(update={"server_id": id_})
            self._put(attached.model_copy(update={"id": attached.place()}))
        for one in (made, *source.disks):
            self._occupy(one, True)
        return id_

    def _drawn(self, made: Resource, source: Source) -> Resource:
        """With the content that it takes over; a disk is as long as it was asked for."""
        origin = made.draws(source)
        if origin is None and made.KNOWN.content is not Content.DISK:
            return made
        drawn = self._must(origin) if origin else None
        busy = made.too_busy(drawn, source) if drawn is not None else ""
        if busy:
            raise Conflict(f"{self.name}: {origin}: {busy}")
        data = self._content(origin) if origin else b""
        if source.server_id and not self.images_of_servers:
            return made
        if drawn is not None and made.KNOWN.content is Content.FIXED:
            self._put(drawn)  # its status was `uploading` for a while
            data = self._packed(made, data)
        if made.KNOWN.content is Content.NONE:
            return self._booted(made, drawn, data)
        if made.KNOWN.content is Content.DISK:
            data, made = self._unpacked(made, drawn, data)
        return self._filled(made, data)

    def _booted(self, server: Resource, image: Resource | None, data: bytes) -> Resource:
        """A server with a disk of its own from its image, as long as its flavor says; what is no qcow2 is taken as it lies there."""
        if getattr(image, "disk_format", None) == "qcow2":
            with suppress(qcow2.Unreadable):
                pieces = qcow2.Disk([data], server.disk_gib() << 30, io.BytesIO)
                data = b"".join(bytes(piece) for piece in pieces)
        return self._filled(server, data.ljust(server.disk_gib() * GIB, b"\0"))

    def _packed(self, image: Resource, data: bytes) -> bytes:
        """A volume in the form of its image. Raises _GivenUp if Cinder does not give it so."""
        form = getattr(image, "disk_format", None) or "raw"
        if form not in self.uploads:
            raise _GivenUp
        if form == "raw" or self.mislabels:
            return data
        clusters = qcow2.in_use([(0, len(data))], lambda at, length: data[at : at + length])
        return b"".join(qcow2.Written(len(data), clusters, lambda at, length: data[at : at + length]))

    def _unpacked(self, disk: Resource, drawn: Resource | None, data: bytes) -> tuple[bytes, Resource]:
        """The bytes of a new disk, and the disk: in error if Cinder makes none of that image."""
        room = getattr(disk, "size_gib", 0) * GIB
        form = getattr(drawn, "disk_format", None) or "raw"
        if form not in self.unpacks:
            return bytes(room), disk.model_copy(update={"status": "error"})
        if form != "raw":
            try:
                pieces = qcow2.Disk([data], getattr(disk, "size_gib", 0) << 30, io.BytesIO)
                data = b"".join(bytes(piece) for piece in pieces)
            except qcow2.Unreadable:
                return bytes(room), disk.model_copy(update={"status": "error"})
        return data.ljust(room, b"\0"), disk

    def _filled(self, made: Resource, data: bytes) -> Resource:
        """With its content, and the hash of what is written once."""
        self._blob(made.ref).write_bytes(data)
        made = made.filled(len(data))
        if made.KNOWN.content is not Content.FIXED:
            return made
        return made.model_copy(update={"hash_algo": "sha512", "hash_value": hashlib.sha512(data).hexdigest()})

    def _occupy(self, resource: Resource, by_another: bool) -> None:
        """What it keeps in use is so from now on, or free."""
        disk = resource.occupies()
        if disk is not None:
            self._put(self._must(disk).occupied(by_another))

    def settle(self, reference: Ref, deadline: timedelta) -> Resource:
        """See the port."""
        if reference in self._given_up:
            raise Broken(f"{self.name}: {reference} vanished while it was being made")
        found = self._must(reference)
        if found.KNOWN.content is Content.FIXED and not found.is_filled():
            raise Broken(f"{self.name}: {reference} was made and got no bytes")
        if getattr(found, "status", "") == "error":
            raise Broken(f"{self.name}: {reference} ended in status error")
        return found

    def write_image(self, image: Resource, data: Iterable[bytes], size_bytes: int | None) -> None:
        """See the port."""
        there = self._must(image.ref)
        if not there.is_filled():
            there = self._filled(there, b"".join(data))
        settled = ("visibility", "members", "protected", "hidden", *(["name"] if image.name else []))
        update = {f: getattr(image, f) for f in settled}
        self._put(there.model_copy(update=update))

    def write_object(self, wish: Resource, data: Iterable[bytes], marker: Marker) -> None:
        """See the port."""
        self._demand_stored(wish)
        self._refuse_unfit(wish)
        content = b"".join(data)
        self._refuse_foreign(wish, marker)
        if wish.md5() not in ("", hashlib.md5(content, usedforsecurity=False).hexdigest()):
            raise Broken(f"{self.name}: {wish.ref}: other bytes arrived than were announced")
        thing = wish.model_dump(mode="json")
        self._send("write object", lambda: ("write", thing, base64.b64encode(content).decode(), marker))
        self._store(wish, content, marker)

    def _store(self, wish: Resource, content: bytes, marker: Marker) -> None:
        self._demand_stored(wish)
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        id_ = wish.place()
        self._blob(ref(wish.own_kind, id_)).write_bytes(content)
        stored = wish.completed(self._side(), datetime.now(UTC))
        self._put(stored.model_copy(update={"id": id_, "etag": etag, "size_bytes": len(content), "marker": marker}))

    def write_manifest(self, wish: Resource, marker: Marker, own: Iterable[bytes] = ()) -> None:
        """See the port."""
        self._demand_stored(wish)
        self._refuse_unfit(wish)
        self._refuse_foreign(wish, marker)
        held = b"".join(own)
        if len(held) != wish.own_size():
            raise Conflict(f"{self.name}: {wish.ref} holds {wish.own_size()} bytes itself, and {len(held)} came")
        for part, etag in wish.pinned():
            if getattr(self._must(part), "etag", etag) != etag:
                raise Conflict(f"{self.name}: {part} has another content")
        stored = wish.completed(self._side(), datetime.now(UTC))
        body = (
            hashlib.md5(held, usedforsecurity=False).hexdigest()
            if held and getattr(wish, "dlo_prefix", None) is not None
            else ""
        )
        made = stored.model_copy(update={"id": wish.place(), "marker": marker, "body_etag": body})
        self._blob(made.ref).write_bytes(held)
        self._put(made)

    def _demand_stored(self, wish: Resource) -> None:
        """It is something that is written so, and what it lies in is there."""
        if wish.KNOWN.content is not Content.STORED:
            raise Unsupported(f"{self.name}: {wish.own_kind} is no object")
        for holder in wish.held():
            self._must(holder)

    def _refuse_foreign(self, wish: Resource, marker: Marker) -> None:
        there = self.read(ref(wish.own_kind, wish.place()))
        if there is not None and there.marker != marker:
            raise Conflict(f"{self.name}: {there.ref} exists already and is not ours")

    def write_secret(self, secret_id: str, wish: Resource, payload: SecretBytes) -> None:
        """See the port."""
        there = self._must(ref(WITH[Content.PAYLOAD], secret_id))
        if not self._blob(there.ref).exists():
            self._blob(there.ref).write_bytes(payload.get_secret_value())
            self._put(there.with_payload(wish))

    def set_bonds(self, wish: Resource) -> None:
        """See the port."""
        self._put(self._must(wish.ref).bound(wish))

    def set_power(self, server_id: str, power: Power) -> None:
        """See the port."""
        self._put(self._unlocked(server_id).model_copy(update={"status": power}))

    def console(self, server_id: str) -> str:
        """See the port."""
        there = self._by_id(server_id)
        if not there.runs():
            raise Conflict(f"{self.name}: {there.own_kind} {there.name} does not run")
        return self.consoles(there)

    def set_lock(self, server_id: str, locked: bool, reason: str = "") -> None:
        """See the port."""
        there = self._by_id(server_id)
        if there.protection() != "locked" or not locked:  # a second lock does not change the reason of the first
            self._put(there.model_copy(update={"locked": locked, "locked_reason": reason if locked else ""}))

    def keep_disk(self, attachment: Ref) -> None:
        """See the port."""
        self._put(self._must(attachment).model_copy(update={"delete_on_termination": False}))

    def unmark(self, resource: Resource) -> None:
        """See the port."""
        self._put(self._must(resource.ref).model_copy(update={"marker": None}))

    def _unlocked(self, server_id: str) -> Resource:
        there = self._by_id(server_id)
        if there.protection() == "locked":
            raise Conflict(f"{self.name}: {there.own_kind} {there.name} is locked")
        return there

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        """See the port."""
        self._may_write()
        there = self.read(reference)
        if there is None:
            return
        self._refuse_deletion(there)
        self._send(f"delete {there.own_kind}", lambda: ("delete", reference))
        if there.holder() and self.stuck:
            wait(lambda: None if self.read(reference) else True, deadline, Reason.of("wait.deletion", thing=reference))
        self._delete(reference)

    def _delete(self, reference: Ref) -> None:
        with self._lock:
            there = self.read(reference)
            if there is None:
                return
            self._refuse_deletion(there)
            side = self._side()
            for one in (*(side.by_ref[r] for r in there.along(side) if r in side.by_ref), there):
                self._occupy(one, False)
                self._drop(one.ref)

    def _refuse_deletion(self, there: Resource) -> None:
        protected = there.protection()
        if protected == "locked":
            raise Conflict(f"{self.name}: {there.own_kind} {there.name} is locked")
        if protected:
            raise Forbidden(f"{self.name}: {there.own_kind} {there.name} is {protected}")
        if there.is_occupied():
            raise Conflict(f"{self.name}: {there.own_kind} {there.name} is in use")
        user = next((r.ref for r in self._all() if there.ref in r.held()), None)
        if user is not None:
            raise Conflict(f"{self.name}: {there.ref} is used by {user}")
