# SPDX-License-Identifier: Apache-2.0
"""The port for a real OpenStack: one session, one module a service, dispatched by kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic import SecretBytes

from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.errors import MALFORMED, malformed
from unterbau.cloud.openstack.http import Api, Json, Once, Stream
from unterbau.cloud.openstack.identity import identity
from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.openstack.key_manager import KeyService
from unterbau.cloud.openstack.network import NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.openstack.offering import Surveyor
from unterbau.cloud.openstack.service import Service
from unterbau.cloud.openstack.session import Session
from unterbau.cloud.openstack.swift import Swift
from unterbau.cloud.openstack.unknown import Unknown
from unterbau.cloud.port import ByteStream, Listing, Marker, Page, Power, Surroundings, Take
from unterbau.errors import Unsupported
from unterbau.tenant.kinds import (
    NOTHING,
    AddressGroup,
    CloudIdentity,
    Container,
    Image,
    Kind,
    Ref,
    Resource,
    ResourceBase,
    Router,
    Secret,
    Source,
    StoredObject,
    Subnet,
    id_of,
    kind_of,
)
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason

R = TypeVar("R", bound=ResourceBase)
POWER_DEADLINE = timedelta(minutes=5)


class OpenStack:
    """A real cloud; implements `unterbau.cloud.port.Cloud`."""

    def __init__(self, session: Session) -> None:
        self._session = session

        volumes = partial(self._api, "block-storage")
        swift = Swift(
            lambda: session.own(session.api("object-store").endpoint()),
            session.token,
            session.renew,
            lambda: session.verify,
            session.limits,
        )
        self._apis: Callable[[str], Api] = session.api
        self._network = NetworkService(partial(self._api, "network"), lambda: session.project_id)
        self._compute = ComputeService(partial(self._api, "compute"), self._ports)
        self._image = ImageService(
            partial(self._api, "image"), volumes, partial(self._api, "compute"), lambda: session.project_id
        )
        self._volumes = BlockStorageService(volumes)
        self._objects = ObjectService(swift)
        self._keys = KeyService(partial(self._api, "key-manager"), lambda: session.user_id)
        self._services = self._named()

    def _named(self) -> Mapping[str, Service]:
        return {
            "network": self._network,
            "compute": self._compute,
            "image": self._image,
            "block-storage": self._volumes,
            "object-store": self._objects,
            "key-manager": self._keys,
        }

    def _ports(self, *, again: bool = False, **query: Any) -> list[Json]:
        """The raw ports; `again`: not as they may have been seen before."""
        return self._network.raw("ports", **query)

    def _service(self, kind: Kind) -> Service:
        name, service = next((n, s) for n, s in self._services.items() if kind in s.KINDS)
        if name not in self._session.catalog():
            raise Unsupported(f"{name}: this cloud has no such service, so no {kind.value}")
        return service

    # --- reading

    def once(self) -> OpenStack:
        """As `Reader.once`: the services of which several answers want the same listings."""
        view, lock, known = copy(self), threading.Lock(), dict[str, Api]()

        def api(service: str) -> Api:
            with lock:
                if service not in known:
                    known[service] = Once(self._api(service))
                return known[service]

        network = NetworkService(partial(api, "network"), lambda: self._session.project_id)

        def ports(*, again: bool = False, **query: Any) -> list[Json]:  # naming no view: what it listed goes with it
            return (self._network if again else network).raw("ports", **query)

        view._apis, view._network = api, network
        view._compute = ComputeService(partial(api, "compute"), ports)
        view._volumes = BlockStorageService(partial(api, "block-storage"))
        view._services = view._named()
        return view

    def identity(self) -> CloudIdentity:
        """As `Reader.identity`."""
        return identity(self._session)

    def kinds(self) -> tuple[Kind, ...]:
        """As `Reader.kinds`."""
        catalog = self._session.catalog()
        present = {kind for name, s in self._services.items() if name in catalog for kind in s.KINDS}
        return tuple(kind for kind in Kind if kind in present)

    def listing(self, kind: Kind) -> Listing:
        """As `Reader.listing`."""
        with _edge(kind.value):
            found = self._service(kind).listing(kind)
        return _once(found)

    def listing_read(self, kind: Kind, seen: Take, without: Collection[str] = ()) -> Listing:
        """As `Reader.listing_read`: of objects; all other contents want more than a request, or are few."""
        with _edge(kind.value):
            service = self._service(kind)
            if isinstance(service, ObjectService):
                return _once(service.listing(kind, seen, without=without))
            return _once(service.listing(kind))

    def crowded(self) -> tuple[str, ...]:
        """As `Reader.crowded`."""
        with _edge(Kind.CONTAINER.value):
            self._service(Kind.CONTAINER)
            return self._objects.crowded()

    def pages(self, container: str) -> Iterator[Page]:
        """As `Reader.pages`."""
        with _edge(Kind.OBJECT.value):
            yield from self._objects.pages(container)

    def read_again(self, things: Sequence[Resource], seen: Take) -> Listing:
        """As `Reader.read_again`."""
        with _edge(Kind.OBJECT.value):
            return self._objects.read_again([_is(one, StoredObject) for one in things], seen)

    def listing_brief(self, kind: Kind, without: Collection[str] = ()) -> Listing:
        """As `Reader.listing_brief`."""
        with _edge(kind.value):
            service = self._service(kind)
            if isinstance(service, ObjectService):
                return _once(service.listing(kind, brief=True, without=without))
            return _once(service.listing(kind))

    def surroundings(self) -> Surroundings:
        """As `Reader.surroundings`."""
        surveyor = Surveyor(
            self._api,
            lambda: self._session.project_id,
            self._compute,
            self._network,
            self._image,
            self._volumes,
            self._objects,
        )
        return surveyor.surroundings(self._session.catalog().keys())

    def not_understood(self) -> tuple[NotShown, ...]:
        """As `Reader.not_understood`; a connection that is not verified is named `transport`."""
        unknown = Unknown(
            self._api,
            self._session.catalog,
            self._compute,
            self._network,
            self._volumes,
            self._objects,
        )
        return (*self._transport(), *unknown.not_understood())

    def _transport(self) -> tuple[NotShown, ...]:
        if not self._session.auth_url.startswith("https"):
            reason = Reason.of("cloud.plain-http")
        elif self._session.verify is False:
            reason = Reason.of("cloud.unverified")
        elif plain := [s for s in sorted(self._services) if self._session.is_plain(s)]:
            reason = Reason.of("cloud.plain-services", services=plain)
        else:
            return ()
        return (NotShown(what="transport", reason=reason),)

    def _api(self, service: str) -> Api:
        return self._apis(service)

    def read(self, reference: Ref) -> Resource | None:
        """As `Reader.read`."""
        kind = kind_of(reference)
        with _edge(reference):
            return self._service(kind).read(kind, id_of(reference))

    def object_bytes(self, container: str, name: str) -> AbstractContextManager[Stream]:
        """As `Reader.object_bytes`."""
        return self._objects.bytes_of(container, name)

    def object_whole(self, container: str, name: str) -> AbstractContextManager[tuple[StoredObject, Stream]]:
        """As `Reader.object_whole`."""
        return self._objects.whole_of(container, name)

    def own_bytes(self, container: str, name: str) -> AbstractContextManager[ByteStream]:
        """As `Reader.own_bytes`."""
        return self._objects.own_bytes_of(container, name)

    def image_bytes(self, image_id: str) -> AbstractContextManager[ByteStream]:
        """As `Reader.image_bytes`."""
        return self._image.bytes_of(image_id)

    def image_start(self, image_id: str, length: int) -> bytes:
        """As `Reader.image_start`."""
        return self._image.start_of(image_id, length)

    def secret_payload(self, secret_id: str) -> SecretBytes | None:
        """As `Reader.secret_payload`."""
        return self._keys.payload(secret_id)

    # --- writing

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """As `Cloud.lookalikes`."""
        with _edge(resource.ref):
            return self._service(resource.own_kind).lookalikes(resource)

    def ensure(
        self, resource: Resource, marker: Marker, *, before: tuple[str, ...] = (), source: Source = NOTHING
    ) -> str:
        """As `Cloud.ensure`."""
        with _edge(resource.ref, write=True):
            return self._service(resource.own_kind).ensure(resource, marker, frozenset(before), source)

    def settle(self, reference: Ref, deadline: timedelta) -> Resource:
        """As `Cloud.settle`."""
        kind = kind_of(reference)
        with _edge(reference):
            return self._service(kind).settle(kind, id_of(reference), deadline)

    def write_image(self, image: Resource, data: Iterable[bytes], size_bytes: int | None) -> None:
        """As `Cloud.write_image`."""
        self._image.write(_is(image, Image), data, size_bytes)

    def write_object(self, wish: Resource, data: Iterable[bytes], marker: Marker) -> None:
        """As `Cloud.write_object`."""
        self._objects.write(_is(wish, StoredObject), data, marker)

    def write_manifest(self, wish: Resource, marker: Marker, own: Iterable[bytes] = ()) -> None:
        """As `Cloud.write_manifest`."""
        self._objects.write_manifest(_is(wish, StoredObject), marker, own)

    def write_secret(self, secret_id: str, wish: Resource, payload: SecretBytes) -> None:
        """As `Cloud.write_secret`."""
        self._keys.write(secret_id, _is(wish, Secret), payload)

    def set_bonds(self, wish: Resource) -> None:
        """As `Cloud.set_bonds`."""
        if isinstance(wish, Container):
            self._objects.set_versioning(wish)
        elif isinstance(wish, Subnet):
            self._network.set_pools(wish)
        elif isinstance(wish, AddressGroup):
            self._network.set_description(wish)
        else:
            self._network.set_routes(_is(wish, Router))

    def set_power(self, server_id: str, power: Power) -> None:
        """As `Cloud.set_power`."""
        with _edge(f"server {server_id}", write=True):
            self._compute.set_power(server_id, power, POWER_DEADLINE)

    def set_lock(self, server_id: str, locked: bool, reason: str = "") -> None:
        """As `Cloud.set_lock`."""
        self._compute.set_lock(server_id, locked, reason)

    def keep_disk(self, attachment: Ref) -> None:
        """As `Cloud.keep_disk`."""
        self._compute.keep_disk(id_of(attachment))

    def unmark(self, resource: Resource) -> None:
        """As `Cloud.unmark`."""
        if resource.marker is not None:
            self._service(resource.own_kind).unmark(resource, resource.marker)

    def restore(self, backup_id: str, volume_id: str) -> None:
        """As `prove.write.Trial.restore`."""
        self._volumes.restore(backup_id, volume_id)

    def console(self, server_id: str) -> str:
        """As `Cloud.console`."""
        return self._compute.console(server_id)

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        """As `Cloud.delete`."""
        kind = kind_of(reference)
        with _edge(reference, write=True):
            self._service(kind).delete(kind, id_of(reference), deadline)


@contextmanager
def _edge(what: str, *, write: bool = False) -> Iterator[None]:
    """The port raises no foreign exception: here what no service expected of an answer becomes Broken."""
    try:
        yield
    except MALFORMED as error:
        broken = malformed(what, error)
        broken.uncertain = write
        raise broken from None


def _is(resource: Resource, wanted: type[R]) -> R:
    """The resource as the class that the method is for. Raises Unsupported for another one."""
    if not isinstance(resource, wanted):
        raise Unsupported(f"this is not possible for a {resource.own_kind.value}")
    return resource


def _once(listing: Listing) -> Listing:
    """Each thing once, by id."""
    once = {resource.ref: resource for resource in listing.resources}
    return listing.model_copy(update={"resources": tuple(sorted(once.values(), key=lambda r: r.id))})
