# SPDX-License-Identifier: Apache-2.0
"""What a cloud offers to a project, and what of the project we do not carry. Called by `cloud`.

Each part is read on its own; one that cannot be read is named in `not_shown` and the others stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.http import Api, Json
from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.openstack.network import NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.port import Surroundings
from unterbau.errors import CloudError
from unterbau.workload import ExternalNetwork, NotShown, Offering, Quota

T = TypeVar("T")
UNDERSTOOD = frozenset(
    {
        "identity",
        "compute",
        "placement",
        "network",
        "image",
        "block-storage",
        "object-store",
        "key-manager",
        "s3",
    }
)
"""Service types whose contents we read, or which hold nothing of a tenant's (identity, placement, s3)."""
_COMPUTE_QUOTAS = {"instances": "instances", "cores": "cores", "ram": "ram_mib"}
_COMPUTE_QUOTAS |= {"server_groups": "server_groups", "key_pairs": "key_pairs"}
_VOLUME_QUOTAS = ("volumes", "gigabytes", "snapshots", "backups", "backup_gigabytes")
_NETWORK_QUOTAS = (
    "network", "subnet", "router", "port", "floatingip", "security_group", "security_group_rule",
)  # fmt: skip


class Around:
    """The surroundings of one project, read through the services' modules."""

    def __init__(
        self,
        api: Callable[[str], Api],
        project: Callable[[], str],
        types: Callable[[], Iterable[str]],
        network: NetworkService,
        compute: ComputeService,
        volumes: BlockStorageService,
        images: ImageService,
        objects: ObjectService,
    ) -> None:
        self._api, self._project, self._types = api, project, types
        self._network, self._compute, self._volumes = network, compute, volumes
        self._images, self._objects = images, objects

    def offering(self) -> Surroundings:
        """All parts at once."""
        parts: dict[str, Callable[[], Any]] = {
            "flavors": self._compute.flavors,
            "images": self._images.others,
            "volume_types": self._volumes.volume_types,
            "external_networks": self._external_networks,
            "compute_zones": self._compute_zones,
            "volume_zones": self._volume_zones,
            "network_zones": self._network_zones,
            "network_extensions": lambda: tuple(sorted(self._network.extensions())),
            "object_features": self._objects.features,
        }
        quotas = {"compute": self._compute_quotas, "block-storage": self._volume_quotas}
        quotas["network"] = self._network_quotas
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = {name: pool.submit(_or_reason, f"offering.{name}", read) for name, read in parts.items()}
            limits = [pool.submit(_or_reason, f"offering.quotas.{n}", read) for n, read in quotas.items()]
        values = {name: future.result() for name, future in found.items()}
        told = [future.result() for future in limits]
        notes = tuple(v for v in [*values.values(), *told] if isinstance(v, NotShown))
        seen = {name: value for name, value in values.items() if not isinstance(value, NotShown)}
        counted = tuple(q for group in told if not isinstance(group, NotShown) for q in group)
        return Surroundings(offering=Offering(**seen, quotas=counted), not_shown=notes)

    def _external_networks(self) -> tuple[ExternalNetwork, ...]:
        api = self._api("network")
        networks = list(api.pages("/v2.0/networks", "networks", **{"router:external": "true"}))
        subnets = list(api.pages("/v2.0/subnets", "subnets"))
        return tuple(
            ExternalNetwork(
                id=n["id"],
                name=n.get("name") or "",
                is_default=bool(n.get("is_default")),
                cidrs=tuple(sorted(s["cidr"] for s in subnets if s["network_id"] == n["id"])),
            )
            for n in networks
        )

    def _compute_zones(self) -> tuple[str, ...]:
        found = self._api("compute").get("/os-availability-zone")["availabilityZoneInfo"]
        return tuple(sorted(z["zoneName"] for z in found if z["zoneState"]["available"]))

    def _volume_zones(self) -> tuple[str, ...]:
        found = self._api("block-storage").get("/os-availability-zone")["availabilityZoneInfo"]
        return tuple(sorted(z["zoneName"] for z in found if z["zoneState"]["available"]))

    def _network_zones(self) -> tuple[str, ...]:
        if "availability_zone" not in self._network.extensions():
            return ()
        found = self._api("network").pages("/v2.0/availability_zones", "availability_zones")
        return tuple(sorted({z["name"] for z in found}))

    def _compute_quotas(self) -> tuple[Quota, ...]:
        found = self._api("compute").get(f"/os-quota-sets/{self._project()}/detail")["quota_set"]
        return tuple(_quota("compute", ours, found.get(theirs)) for theirs, ours in _COMPUTE_QUOTAS.items())

    def _volume_quotas(self) -> tuple[Quota, ...]:
        path = f"/os-quota-sets/{self._project()}"
        found = self._api("block-storage").get(path, usage="true")["quota_set"]
        return tuple(_quota("block-storage", name, found.get(name)) for name in _VOLUME_QUOTAS)

    def _network_quotas(self) -> tuple[Quota, ...]:
        if "quota_details" not in self._network.extensions():
            return ()
        found = self._api("network").get(f"/v2.0/quotas/{self._project()}/details")["quota"]
        return tuple(_quota("network", name, found.get(name)) for name in _NETWORK_QUOTAS)

    # --- what we do not carry

    def not_understood(self) -> tuple[NotShown, ...]:
        """Unknown services, and things in use that we know and do not carry."""
        notes = [
            NotShown(
                what=f"service {type_}", reason="Unterbau does not know this service; nothing of it was read"
            )
            for type_ in sorted(set(self._types()) - UNDERSTOOD)
        ]
        probes: list[tuple[str, Callable[[], list[NotShown]]]] = [
            ("trunks", lambda: self._network_things("trunk", "trunks", "trunks are not carried")),
            (
                "QoS policies",
                lambda: self._network_things("qos", "policies", "QoS policies are not carried", "qos/"),
            ),
            (
                "RBAC shares",
                lambda: self._network_things("rbac-policies", "rbac-policies", "shares are not carried"),
            ),
            ("subnet pools", lambda: self._network_things("subnet_allocation", "subnetpools", "not carried")),
            ("port forwardings", self._port_forwardings),
            ("object versions", self._objects.old_versions),
            ("volume groups", lambda: self._volume_things("groups", "volume groups are not carried")),
        ]
        with ThreadPoolExecutor(max_workers=8) as pool:
            results = list(pool.map(lambda probe: _or_reason(probe[0], probe[1]), probes))
        for result in results:
            notes += [result] if isinstance(result, NotShown) else result
        return tuple(notes)

    def _network_things(
        self, extension: str, collection: str, reason: str, prefix: str = ""
    ) -> list[NotShown]:
        if extension not in self._network.extensions():
            return []
        key = collection.replace("-", "_")
        owner = {"project_id": self._project()}
        entries: Iterable[Json] = self._api("network").pages(f"/v2.0/{prefix}{collection}", key, **owner)
        return [NotShown(what=f"{key} {e['id']}", reason=reason) for e in entries]

    def _port_forwardings(self) -> list[NotShown]:
        if "floating-ip-port-forwarding" not in self._network.extensions():
            return []
        notes = []
        for entry in self._network.raw("floatingips"):
            if entry.get("port_forwardings"):
                reason = "its port forwardings are not carried; they stay closed"
                notes.append(NotShown(what=f"floating_ip:{entry['id']}.port_forwardings", reason=reason))
        return notes

    def _volume_things(self, collection: str, reason: str) -> list[NotShown]:
        return [
            NotShown(what=f"{collection} {e['id']}", reason=reason) for e in self._volumes.raw(collection)
        ]


def _quota(service: str, resource: str, told: Json | int | None) -> Quota:
    """Nova, Cinder and Neutron tell {limit, in_use or used, reserved}."""
    entry = told if isinstance(told, dict) else {"limit": -1 if told is None else told}
    used = int(entry.get("in_use", entry.get("used", 0)) or 0) + int(entry.get("reserved", 0) or 0)
    return Quota(service=service, resource=resource, limit=int(entry["limit"]), used=used)


def _or_reason(what: str, read: Callable[[], T]) -> T | NotShown:
    try:
        return read()
    except CloudError as error:
        return NotShown(what=what, reason=f"{error.kind}: {error.what}")
