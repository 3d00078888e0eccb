# SPDX-License-Identifier: Apache-2.0
"""A whole cloud in a directory, behind the port: for tests, and for the crash suite, which kills the mover.

Every change is on disk when the call returns, so the world outlives a killed process. It behaves like
OpenStack where that matters to a mover: a new security group comes with two egress rules (which `ensure`
removes), each project has a `default` group, a volume in use cannot be uploaded and goes with its server if it is
attached so, a volume's `updated_at` changes with its state and its uploads and not with its bytes, protected and public
images are refused, names of server groups and secrets are not unique, a container must be empty to be deleted. A GiB is
64 KiB here. ACLs are told to the role member only, as Swift does, and what `private` names is another user's. It has no
addresses to give, no schedulers, and knows nothing of other projects.

Requests outlive their client: one whose answer is lost, or whose client was killed, stands on disk until it is due, and
whoever looks next finds it carried out, as a request and not as a call of the port: half-made where that takes several.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretBytes, TypeAdapter

from unterbau.cloud.port import NOTHING, Listing, Marker, Power, Source, Surroundings, owner_only
from unterbau.errors import CloudError, Conflict, Forbidden, NotFound, Unreachable, Unsupported
from unterbau.tenant.kinds import (
    AddressGroup,
    Attachment,
    CloudIdentity,
    Container,
    ExternalNetwork,
    Flavor,
    FloatingIp,
    Image,
    Keypair,
    Kind,
    Offering,
    Port,
    Ref,
    Resource,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    ServerGroup,
    Snapshot,
    StoredObject,
    Subnet,
    Volume,
    VolumeType,
    kind_of,
    ref,
)
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason

GIB = 64 * 1024
"""What a GiB of volume is here, in bytes."""
NEVER_MARKED = (Keypair, ServerGroup, SecurityGroupRule, SecretContainer, Attachment)
UNMARKED = (*NEVER_MARKED, AddressGroup)
"""Kinds that carry no marker when they are finished."""
_RESOURCE: TypeAdapter[Resource] = TypeAdapter(Resource)
_FLAVORS = (("SCS-2V-4-20s", 2, 4096, 20), ("SCS-2V-8", 2, 8192, 0))


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


def _told_to_owners(container: Container) -> bool:
    return bool(container.read_acl or container.write_acl or container.sync_to)


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
        self._claimed: dict[str, Marker] = {}
        self.lost, self.pace, self.outlive = lost, pace, outlive
        self._lock = threading.RLock()
        self._late, self._catching_up = folder / "late", False
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        self._late.mkdir(exist_ok=True)
        self._file = folder / "world.json"
        self._world: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            self._world = json.loads(self._file.read_text())
        else:
            self._put(SecurityGroup(id=self._new(), name="default"))

    # --- the world on disk

    def _save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._world))
        os.replace(fresh, self._file)

    def _put(self, resource: Resource) -> str:
        with self._lock:
            self._may_write()
            if isinstance(resource, Volume):
                resource = resource.model_copy(update={"updated_at": datetime.now(UTC)})
            self._world[resource.ref] = resource.model_dump(mode="json")
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
                    what, *arguments = json.loads(path.read_text())
                    path.unlink()
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
        thing = _RESOURCE.validate_python(wish)
        assert isinstance(thing, StoredObject)  # noqa: S101 - by `write_object`
        self._store(thing, base64.b64decode(content), marker)

    # --- reading

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
            return [_RESOURCE.validate_python(v) for v in self._world.values()]

    def listing(self, kind: Kind) -> Listing:
        """See the port."""
        found = tuple(self._as_told(r) for r in self._all() if r.own_kind is kind)
        private = sorted(r.ref for r in found if r.ref in self.private)
        notes = tuple(NotShown(what=r, reason=Reason.of("secret.private")) for r in private)
        if kind is Kind.CONTAINER and not any(isinstance(r, Container) and _told_to_owners(r) for r in found):
            notes += owner_only(containers=bool(found))
        return Listing(resources=found, not_shown=notes)

    def _as_told(self, resource: Resource) -> Resource:
        """Without what is kept from us."""
        if resource.ref in self.private:
            return resource.model_copy(update={"acl_project_access": False, "acl_users": ()})
        if isinstance(resource, Container) and (self.role != "member" or self.hides_acls):
            return resource.model_copy(update={"read_acl": "", "write_acl": "", "sync_to": None})
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
            found = self._world.get(reference)
        return self._as_told(_RESOURCE.validate_python(found)) if found else None

    def _must(self, reference: Ref) -> Resource:
        found = self.read(reference)
        if found is None:
            raise NotFound(f"{self.name}: {reference} does not exist")
        return found

    @contextmanager
    def object_bytes(self, container: str, name: str) -> Iterator[Bytes]:
        """See the port."""
        found = self._must(ref(Kind.OBJECT, f"{container}/{name}"))
        assert isinstance(found, StoredObject)  # noqa: S101 - by its kind
        if found.symlink_account:
            raise Forbidden(f"{self.name}: {found.ref} leads into another account")
        if found.symlink_to:
            yield Bytes(self._content(ref(Kind.OBJECT, found.symlink_to)))
        elif found.segments is not None:
            yield Bytes(b"".join(self._content(ref(Kind.OBJECT, s.path)) for s in found.segments))
        else:
            yield Bytes(self._content(found.ref))

    @contextmanager
    def image_bytes(self, image_id: str) -> Iterator[Bytes]:
        """See the port."""
        yield Bytes(self._content(self._must(ref(Kind.IMAGE, image_id)).ref))

    def secret_payload(self, secret_id: str) -> SecretBytes | None:
        """See the port."""
        reference = self._must(ref(Kind.SECRET, secret_id)).ref
        return SecretBytes(self._content(reference)) if self._blob(reference).exists() else None

    # --- writing

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """See the port."""
        if isinstance(resource, (*UNMARKED, Secret)):
            return tuple(r.id for r in self._all() if r.own_kind is resource.own_kind and self._same(r, resource))
        return ()

    def _same(self, there: Resource, wish: Resource) -> bool:
        if isinstance(wish, Secret):
            return there.name == wish.name
        if isinstance(wish, Keypair):
            return there.name == wish.name
        skipped = {"id", "marker", "member_ids", "fingerprint", "device"}
        return there.model_dump(exclude=skipped) == wish.model_dump(exclude=skipped)

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
        if isinstance(wish, Attachment):
            return self._id_of(wish) if self.read(ref(Kind.ATTACHMENT, self._id_of(wish))) else None
        there = [r for r in self._all() if r.own_kind is wish.own_kind]
        ours = [r.id for r in there if r.marker == marker]
        if ours or not isinstance(wish, (*UNMARKED, Secret)):
            if ours and isinstance(wish, AddressGroup | Secret):  # half-made: finish it
                self._finish(wish, ours[0], marker)
            return ours[0] if ours else None
        free = [r for r in there if r.id not in before and self._claimed.get(r.id, marker) == marker]
        alike = [r.id for r in free if r.marker is None and self._same(r, wish)]
        if len(alike) > 1 and not isinstance(wish, Secret | SecretContainer):
            raise Conflict(
                f"{self.name}: {len(alike)} things look like {wish.own_kind} {wish.name}: {', '.join(alike)}"
            )
        if not alike:
            return None
        self._claimed[alike[0]] = marker
        if isinstance(wish, Secret):
            self._finish(wish, alike[0], marker)
        return alike[0]

    def _finish(self, wish: Resource, id_: str, marker: Marker) -> None:
        """A secret gets its marker after it was made, an address group loses it."""
        self._put(wish.model_copy(update={"id": id_, "marker": marker if isinstance(wish, Secret) else None}))

    def _refuse(self, wish: Resource, source: Source) -> None:
        for reference in wish.references():
            if reference not in self._world:
                raise NotFound(f"{self.name}: {wish.own_kind} {wish.name} refers to {reference}, which does not exist")
        if isinstance(wish, SecurityGroup) and wish.is_default:
            raise Conflict(f"{self.name}: a default security group exists already")
        if isinstance(wish, Image) and wish.visibility == "public":
            raise Forbidden(f"{self.name}: a member cannot publish an image")
        if isinstance(wish, Keypair) and any(k.name == wish.name for k in self._all() if isinstance(k, Keypair)):
            raise Conflict(f"{self.name}: keypair {wish.name} exists")
        self._refuse_twin(wish, source)
        if isinstance(wish, Container) and ref(Kind.CONTAINER, wish.name) in self._world:
            raise Conflict(f"{self.name}: a container of the name {wish.name} exists already")
        if isinstance(wish, FloatingIp) and wish.port_id:
            self._demand_way_out(wish.port_id)

    def _refuse_twin(self, wish: Resource, source: Source) -> None:
        """What can be there only once, whoever asks for it."""
        disks = {d.volume_id for d in source.disks}
        for there in self._all():
            match wish, there:
                case Server(), Server():
                    taken = bool(set(wish.port_ids) & set(there.port_ids))
                case Server(), Attachment():
                    taken = there.volume_id in disks
                case Attachment(), Attachment():
                    taken = wish.volume_id == there.volume_id
                case Port(), Port():
                    same = wish.mac_address == there.mac_address or bool(set(wish.fixed_ips) & set(there.fixed_ips))
                    taken = wish.network_id == there.network_id and same
                case Subnet(), Subnet():
                    taken = wish.network_id == there.network_id and wish.cidr == there.cidr
                case RouterInterface(), RouterInterface():
                    taken = bool(set(wish.fixed_ips) & set(there.fixed_ips))
                case FloatingIp(), FloatingIp():
                    taken = wish.port_id is not None and wish.port_id == there.port_id
                case SecurityGroupRule(), SecurityGroupRule():
                    taken = self._same(there.model_copy(update={"description": wish.description}), wish)
                case _:
                    taken = False
            if taken:
                raise Conflict(f"{self.name}: {wish.own_kind} {wish.name} would take what {there.ref} has")

    def _demand_way_out(self, port_id: str) -> None:
        port = self._must(ref(Kind.PORT, port_id))
        assert isinstance(port, Port)  # noqa: S101 - by its kind
        legs = [i for i in self._all() if isinstance(i, RouterInterface) and i.network_id == port.network_id]
        routers = [self._must(ref(Kind.ROUTER, i.router_id)) for i in legs]
        if not any(isinstance(r, Router) and r.external_network_id for r in routers):
            raise NotFound(f"{self.name}: the external network is not reachable from the port's subnet")

    def _make(self, wish: Resource, marker: Marker, source: Source, *, finished: bool = True) -> str:
        """`finished` False: by its first request only."""
        id_ = self._id_of(wish)
        bare = isinstance(wish, UNMARKED) if finished else isinstance(wish, (*NEVER_MARKED, Secret))
        made = wish.model_copy(update={"id": id_, "marker": None if bare else marker})
        if isinstance(made, Volume):
            self._fill_volume(made, source)
            made = made.model_copy(update={"status": "available"})
        elif isinstance(made, Snapshot):
            volume = self._must(ref(Kind.VOLUME, made.volume_id))
            if isinstance(volume, Volume) and volume.status == "in-use" and not source.force:
                raise Conflict(f"{self.name}: the volume is in use")
            self._blob(made.ref).write_bytes(self._content(volume.ref))
            made = made.model_copy(update={"status": "available"})
        elif isinstance(made, Image):
            made = self._new_image(made, source)
        elif isinstance(made, Server):
            made = made.model_copy(update={"status": "ACTIVE", "locked": False})
        elif isinstance(made, FloatingIp):
            made = made.model_copy(update={"address": f"198.51.100.{len(self._world) % 250}"})
        elif isinstance(made, Attachment):
            self._set_status(made.volume_id, "in-use")
        self._put(made)
        for disk in source.disks:
            self._put(disk.model_copy(update={"id": f"{id_}/{disk.volume_id}", "server_id": id_}))
            self._set_status(disk.volume_id, "in-use")
        return id_

    def _id_of(self, wish: Resource) -> str:
        if isinstance(wish, Attachment):
            return f"{wish.server_id}/{wish.volume_id}"
        if isinstance(wish, Container | Keypair):
            return wish.name
        return self._new()

    def _fill_volume(self, volume: Volume, source: Source) -> None:
        origins = ((Kind.IMAGE, source.image_id), (Kind.SNAPSHOT, source.snapshot_id), (Kind.VOLUME, source.volume_id))
        data = b""
        for kind, id_ in origins:
            if id_:
                data = self._content(self._must(ref(kind, id_)).ref)
        self._blob(volume.ref).write_bytes(data.ljust(volume.size_gib * GIB, b"\0"))

    def _new_image(self, image: Image, source: Source) -> Image:
        if source.volume_id is None:
            return image.model_copy(update={"status": "queued", "visibility": "private", "protected": False})
        volume = self._must(ref(Kind.VOLUME, source.volume_id))
        if isinstance(volume, Volume) and volume.status != "available":
            raise Conflict(f"{self.name}: the volume's status must be available")
        data = self._content(volume.ref)
        self._blob(image.ref).write_bytes(data)
        self._put(volume)  # its status was `uploading` for a while
        return image.model_copy(update={"status": "active", "size_bytes": len(data)})

    def _set_status(self, volume_id: str, status: str) -> None:
        volume = self._must(ref(Kind.VOLUME, volume_id))
        self._put(volume.model_copy(update={"status": status}))

    def settle(self, reference: Ref, deadline: timedelta) -> Resource:
        """See the port."""
        return self._must(reference)

    def write_image(self, image: Resource, data: Iterable[bytes], size_bytes: int | None) -> None:
        """See the port."""
        there = self._must(image.ref)
        if isinstance(there, Image) and isinstance(image, Image):
            if there.status == "queued":
                content = b"".join(data)
                self._blob(there.ref).write_bytes(content)
                there = there.model_copy(update={"status": "active", "size_bytes": len(content)})
            update = {f: getattr(image, f) for f in ("visibility", "members", "protected", "hidden")}
            self._put(there.model_copy(update=update))

    def write_object(self, wish: Resource, data: Iterable[bytes], marker: Marker) -> None:
        """See the port."""
        if not isinstance(wish, StoredObject):
            raise Unsupported(f"{self.name}: {wish.own_kind} is no object")
        self._must(ref(Kind.CONTAINER, wish.container))
        content = b"".join(data)
        self._refuse_foreign(wish, marker)
        thing = wish.model_dump(mode="json")
        self._send("write object", lambda: ("write", thing, base64.b64encode(content).decode(), marker))
        self._store(wish, content, marker)

    def _store(self, wish: StoredObject, content: bytes, marker: Marker) -> None:
        self._must(ref(Kind.CONTAINER, wish.container))
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        id_ = f"{wish.container}/{wish.name}"
        self._blob(ref(Kind.OBJECT, id_)).write_bytes(content)
        self._put(wish.model_copy(update={"id": id_, "etag": etag, "size_bytes": len(content), "marker": marker}))

    def write_manifest(self, wish: Resource, marker: Marker) -> None:
        """See the port."""
        if not isinstance(wish, StoredObject):
            raise Unsupported(f"{self.name}: {wish.own_kind} is no object")
        self._refuse_foreign(wish, marker)
        for segment in wish.segments or ():
            there = self._must(ref(Kind.OBJECT, segment.path))
            if isinstance(there, StoredObject) and there.etag != segment.etag:
                raise Conflict(f"{self.name}: segment {segment.path} has another content")
        if wish.symlink_etag is not None:
            there = self._must(ref(Kind.OBJECT, wish.symlink_to or "-"))
            if isinstance(there, StoredObject) and there.etag != wish.symlink_etag:
                raise Conflict(f"{self.name}: the link's target has another content")
        id_ = f"{wish.container}/{wish.name}"
        self._put(wish.model_copy(update={"id": id_, "marker": marker}))

    def _refuse_foreign(self, wish: StoredObject, marker: Marker) -> None:
        there = self.read(ref(Kind.OBJECT, f"{wish.container}/{wish.name}"))
        if there is not None and there.marker != marker:
            raise Conflict(f"{self.name}: {there.ref} exists already and is not ours")

    def write_secret(self, secret_id: str, wish: Resource, payload: SecretBytes) -> None:
        """See the port."""
        reference = self._must(ref(Kind.SECRET, secret_id)).ref
        if not self._blob(reference).exists():
            self._blob(reference).write_bytes(payload.get_secret_value())

    def set_routes(self, wish: Resource) -> None:
        """See the port."""
        there = self._must(wish.ref)
        if isinstance(wish, Router):
            self._put(there.model_copy(update={"routes": wish.routes}))

    def set_power(self, server_id: str, power: Power) -> None:
        """See the port."""
        self._put(self._unlocked(server_id).model_copy(update={"status": power}))

    def set_lock(self, server_id: str, locked: bool) -> None:
        """See the port."""
        self._put(self._must(ref(Kind.SERVER, server_id)).model_copy(update={"locked": locked}))

    def keep_disk(self, attachment: Ref) -> None:
        """See the port."""
        self._put(self._must(attachment).model_copy(update={"delete_on_termination": False}))

    def _unlocked(self, server_id: str) -> Resource:
        there = self._must(ref(Kind.SERVER, server_id))
        if isinstance(there, Server) and there.locked:
            raise Conflict(f"{self.name}: server {there.name} is locked")
        return there

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        """See the port."""
        self._may_write()
        there = self.read(reference)
        if there is None:
            return
        self._refuse_deletion(there)
        self._send(f"delete {there.own_kind}", lambda: ("delete", reference))
        self._delete(reference)

    def _delete(self, reference: Ref) -> None:
        with self._lock:
            there = self.read(reference)
            if there is None:
                return
            self._refuse_deletion(there)
            if isinstance(there, Server):
                for disk in [a for a in self._all() if isinstance(a, Attachment) and a.server_id == there.id]:
                    self._detach(disk)
                    if disk.delete_on_termination:
                        self._drop(ref(Kind.VOLUME, disk.volume_id))
            if isinstance(there, Attachment):
                self._detach(there)
            if isinstance(there, SecurityGroup):
                for rule in [r for r in self._all() if isinstance(r, SecurityGroupRule)]:
                    if rule.security_group_id == there.id:
                        self._drop(rule.ref)
            self._drop(reference)

    def _detach(self, attachment: Attachment) -> None:
        self._set_status(attachment.volume_id, "available")
        self._drop(attachment.ref)

    def _refuse_deletion(self, there: Resource) -> None:
        if isinstance(there, Image) and there.protected:
            raise Forbidden(f"{self.name}: image {there.name} is protected")
        if isinstance(there, Server):
            self._unlocked(there.id)
        if isinstance(there, Volume) and there.status == "in-use":
            raise Conflict(f"{self.name}: volume {there.name} is in use")
        users = [
            r.ref for r in self._all()
            if there.ref in r.references() and kind_of(r.ref) not in (Kind.SECURITY_GROUP_RULE, Kind.ATTACHMENT)
            and not isinstance(there, Image | Keypair | ServerGroup | Server | Secret | StoredObject)
        ]  # fmt: skip
        if users:
            raise Conflict(f"{self.name}: {there.ref} is used by {users[0]}")
