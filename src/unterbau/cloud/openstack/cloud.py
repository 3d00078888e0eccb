# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack cloud behind the port: one identity in one project. Made by `connect`; does no HTTP itself.

Each kind belongs to one service module; this class sends every call to it.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import urlsplit

from pydantic import JsonValue, SecretBytes

from unterbau import canonical
from unterbau.cloud.openstack import compute
from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.errors import translated
from unterbau.cloud.openstack.http import Api
from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.openstack.key_manager import KeyService
from unterbau.cloud.openstack.network import NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.openstack.service import Service
from unterbau.cloud.openstack.session import Session, find_session
from unterbau.cloud.openstack.surroundings import Around
from unterbau.cloud.openstack.swift import Swift
from unterbau.cloud.port import NOTHING, ByteStream, Cloud, Listing, Marker, Power, Source, Surroundings
from unterbau.errors import Unsupported
from unterbau.workload import (
    CloudIdentity,
    Image,
    Kind,
    NotShown,
    Ref,
    Resource,
    Router,
    Secret,
    StoredObject,
    id_of,
    kind_of,
)

_CEILINGS = {"compute": compute.CEILING, "block-storage": "3.70"}
_POWER_DEADLINE = timedelta(minutes=5)
T = TypeVar("T")


class OpenStackCloud:
    """Implements `port.Cloud`. Nothing is asked of the cloud before the first call."""

    def __init__(self, session: Session) -> None:
        self._session = session

        def api(service: str) -> Api:
            return session.api(service, ceiling=_CEILINGS.get(service))

        def project() -> str:
            return session.project_id

        self._network = NetworkService(lambda: api("network"), project)
        self._compute = ComputeService(
            lambda: api("compute"), lambda **query: self._network.raw("ports", **query)
        )
        self._volumes = BlockStorageService(lambda: api("block-storage"))
        self._images = ImageService(lambda: api("image"), lambda: api("block-storage"), project)
        self._keys = KeyService(lambda: api("key-manager"))
        self._objects = ObjectService(
            Swift(
                lambda: api("object-store").endpoint(), session.token, session.renew, lambda: session.verify
            )
        )
        services: dict[str, Service] = {
            "compute": self._compute,
            "network": self._network,
            "image": self._images,
            "block-storage": self._volumes,
            "key-manager": self._keys,
            "object-store": self._objects,
        }
        self._service_of: dict[Kind, tuple[str, Service]] = {
            kind: (type_, service) for type_, service in services.items() for kind in service.KINDS
        }
        self._around = Around(
            api, project, session.catalog, self._network, self._compute, self._volumes, self._images, self._objects
        )  # fmt: skip

    def _for(self, kind: Kind) -> Service:
        return self._service_of[kind][1]

    # --- reading

    def identity(self) -> CloudIdentity:
        """See the port."""
        token = self._session.access()
        catalog = self._session.catalog()
        plain = {
            type_: sorted(
                [str(e.get("region")), str(e.get("interface")), str(e.get("url"))] for e in endpoints
            )
            for type_, endpoints in catalog.items()
        }
        return CloudIdentity(
            name=self._session.name,
            auth_url=self._session.auth_url,
            region=self._session.region.get_region_name() or "",
            project_id=self._session.project_id,
            project_name=token.project_name or "",
            user_id=token.user_id or "",
            roles=tuple(sorted(token.role_names or ())),
            catalog_digest=canonical.digest(cast("JsonValue", plain)),
            certificate_sha256=self._certificate(),
            services=self._versions(catalog),
        )

    def _versions(self, catalog: Iterable[str]) -> dict[str, str]:
        told = {}
        for type_ in sorted(catalog):
            ceiling = _CEILINGS.get(type_)
            version = self._session.api(type_, ceiling=ceiling).microversion if ceiling else None
            told[type_] = version or ""
        return told

    def _certificate(self) -> str:
        url = urlsplit(self._session.auth_url)
        if url.scheme != "https" or url.hostname is None:
            return ""
        verify = self._session.verify
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
        if verify is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        with (
            translated(f"cloud {self._session.name}: {self._session.auth_url}"),
            socket.create_connection((url.hostname, url.port or 443), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=url.hostname) as tls,
        ):
            return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()

    def kinds(self) -> tuple[Kind, ...]:
        """See the port."""
        types = set(self._session.catalog())
        return tuple(k for k in Kind if self._service_of[k][0] in types)

    def listing(self, kind: Kind) -> Listing:
        """See the port."""
        return self._for(kind).listing(kind)

    def surroundings(self) -> Surroundings:
        """See the port."""
        return self._around.offering()

    def not_understood(self) -> tuple[NotShown, ...]:
        """See the port."""
        notes = self._around.not_understood()
        if self._session.verify is False:
            reason = (
                "certificates are not verified (verify: false in clouds.yaml): anyone on the way could answer"
            )
            return (NotShown(what="transport", reason=reason), *notes)
        return notes

    def read(self, reference: Ref) -> Resource | None:
        """See the port."""
        kind = kind_of(reference)
        return self._for(kind).read(kind, id_of(reference))

    def object_bytes(self, container: str, name: str) -> AbstractContextManager[ByteStream]:
        """See the port."""
        return self._objects.bytes_of(container, name)

    def image_bytes(self, image_id: str) -> AbstractContextManager[ByteStream]:
        """See the port."""
        return self._images.bytes_of(image_id)

    def secret_payload(self, secret_id: str) -> SecretBytes | None:
        """See the port."""
        return self._keys.payload(secret_id)

    # --- writing

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """See the port."""
        return self._for(resource.own_kind).lookalikes(resource)

    def ensure(
        self, resource: Resource, marker: Marker, *, before: tuple[str, ...] = (), source: Source = NOTHING
    ) -> str:
        """See the port."""
        return self._for(resource.own_kind).ensure(resource, marker, frozenset(before), source)

    def settle(self, reference: Ref, deadline: timedelta) -> Resource:
        """See the port."""
        kind = kind_of(reference)
        return self._for(kind).settle(kind, id_of(reference), deadline)

    def write_image(self, image: Resource, data: Iterable[bytes], size_bytes: int | None) -> None:
        """See the port."""
        self._images.write(_as(Image, image), data, size_bytes)

    def write_object(self, wish: Resource, data: Iterable[bytes], marker: Marker) -> None:
        """See the port."""
        self._objects.write(_as(StoredObject, wish), data, marker)

    def write_manifest(self, wish: Resource, marker: Marker) -> None:
        """See the port."""
        self._objects.write_manifest(_as(StoredObject, wish), marker)

    def write_secret(self, secret_id: str, wish: Resource, payload: SecretBytes) -> None:
        """See the port."""
        self._keys.write(secret_id, _as(Secret, wish), payload)

    def set_routes(self, wish: Resource) -> None:
        """See the port."""
        self._network.set_routes(_as(Router, wish))

    def set_power(self, server_id: str, power: Power) -> None:
        """See the port."""
        self._compute.set_power(server_id, power, _POWER_DEADLINE)

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        """See the port."""
        kind = kind_of(reference)
        self._for(kind).delete(kind, id_of(reference), deadline)


def _as(type_: type[T], value: object) -> T:
    if not isinstance(value, type_):
        raise Unsupported(f"{type(value).__name__} where {type_.__name__} belongs")
    return value


def connect(name: str, *, config_files: Sequence[Path] = ()) -> Cloud:
    """The cloud of that name in the user's clouds.yaml or in one of the given files.

    Raises ConfigError (none, malformed, unknown: the nearest names are offered).
    """
    return OpenStackCloud(find_session(name, config_files))
