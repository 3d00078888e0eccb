# SPDX-License-Identifier: Apache-2.0
"""What a cloud offers to the project: flavors, images, types, zones, external networks, quotas with usage.

Each part is read on its own, several at a time; one that cannot be read is named and leaves the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.http import Api, Json, parallel
from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.openstack.network import NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.port import Surroundings, said
from unterbau.errors import CloudError, NotFound
from unterbau.tenant.kinds import ExternalNetwork, Offering, Quota
from unterbau.tenant.workload import NotShown

_COMPUTE = {
    "instances": "totalInstancesUsed",
    "cores": "totalCoresUsed",
    "ram_mib": "totalRAMUsed",
    "server_groups": "totalServerGroupsUsed",
}
_COMPUTE_LIMITS = {
    "instances": "maxTotalInstances",
    "cores": "maxTotalCores",
    "ram_mib": "maxTotalRAMSize",
    "server_groups": "maxServerGroups",
}


class Surveyor:
    """Reads the offering part by part through the services of one cloud."""

    def __init__(
        self,
        api: Callable[[str], Api],
        project_id: Callable[[], str],
        compute: ComputeService,
        network: NetworkService,
        image: ImageService,
        volumes: BlockStorageService,
        objects: ObjectService,
    ) -> None:
        self._api, self._project = api, project_id
        self._compute, self._network, self._image = compute, network, image
        self._volumes, self._objects = volumes, objects

    def surroundings(self, services: Collection[str]) -> Surroundings:
        """The offering of those services, and what of it could not be read."""
        parts = [(name, read) for service, name, read in self._parts() if service in services]
        found, hidden = dict[str, Any](), list[NotShown]()
        for name, value in parallel(self._read, parts):
            if isinstance(value, NotShown):
                hidden.append(value)
            elif name.startswith("quotas"):
                found["quotas"] = (*found.get("quotas", ()), *value)
            else:
                found[name] = value
        return Surroundings(offering=Offering(**found), not_shown=tuple(hidden))

    def _read(self, part: tuple[str, Callable[[], Any]]) -> tuple[str, Any]:
        name, read = part
        try:
            return name, tuple(read())
        except CloudError as error:
            return name, NotShown(what=f"offering.{name}", reason=said(error))

    def _parts(self) -> Iterable[tuple[str, str, Callable[[], Iterable[Any]]]]:
        return (
            ("compute", "flavors", self._compute.flavors),
            ("compute", "compute_zones", self._compute_zones),
            ("compute", "quotas.compute", self._compute_quotas),
            ("image", "images", self._image.others),
            ("image", "quotas.image", self._image_quotas),
            ("key-manager", "quotas.key_manager", self._key_quotas),
            ("block-storage", "volume_types", self._volumes.volume_types),
            ("block-storage", "volume_zones", self._volume_zones),
            ("block-storage", "quotas.block_storage", self._volume_quotas),
            ("network", "external_networks", self._external_networks),
            ("network", "network_zones", self._network_zones),
            ("network", "network_extensions", lambda: sorted(self._network.extensions())),
            ("network", "quotas.network", self._network_quotas),
            ("object-store", "object_features", self._objects.features),
            ("object-store", "quotas.object_store", self._objects.quotas),
        )

    def _compute_zones(self) -> list[str]:
        answer = self._api("compute").get("/os-availability-zone")
        return _zones(answer.get("availabilityZoneInfo", ()))

    def _volume_zones(self) -> list[str]:
        return _zones(self._api("block-storage").get("/os-availability-zone").get("availabilityZoneInfo", ()))

    def _network_zones(self) -> list[str]:
        try:
            answer = self._api("network").get("/v2.0/availability_zones")
        except NotFound:  # the extension is absent: there are no zones to choose from
            return []
        return sorted({z["name"] for z in answer["availability_zones"] if z["state"] == "available"})

    def _external_networks(self) -> list[ExternalNetwork]:
        api = self._api("network")
        wanted: Json = {"router:external": True}
        networks = api.pages("/v2.0/networks", "networks", **wanted)
        if not networks:
            return []
        subnets = api.pages("/v2.0/subnets", "subnets", network_id=[n["id"] for n in networks])
        return [
            ExternalNetwork(
                id=n["id"],
                name=n.get("name") or "",
                is_default=bool(n.get("is_default")),
                cidrs=tuple(sorted(s["cidr"] for s in subnets if s["network_id"] == n["id"])),
            )
            for n in networks
        ]

    def _compute_quotas(self) -> list[Quota]:
        limits = self._api("compute").get("/limits")["limits"]["absolute"]
        keys = len(self._compute.keypairs())  # the limits do not tell how many there are
        return [
            Quota(service="compute", resource=name, limit=limits[_COMPUTE_LIMITS[name]], used=limits[used])
            for name, used in _COMPUTE.items()
            if used in limits and _COMPUTE_LIMITS[name] in limits
        ] + [
            Quota(service="compute", resource="key_pairs", limit=limits[known], used=keys)
            for known in ("maxTotalKeypairs",)
            if known in limits
        ]

    def _image_quotas(self) -> list[Quota]:
        """Glance tells usage and limits only where unified limits are in force (sizes in MiB)."""
        try:
            usage = self._api("image").get("/v2/info/usage").get("usage") or {}
        except NotFound:
            return []
        return [Quota(service="image", resource=n, limit=q["limit"], used=q["usage"]) for n, q in sorted(usage.items())]

    def _key_quotas(self) -> list[Quota]:
        api = self._api("key-manager")
        limits = api.get("/v1/quotas")["quotas"]
        return [
            Quota(service="key_manager", resource=name, limit=limits[name],
                  used=int(api.get(f"/v1/{name}", limit=1).get("total", 0)))
            for name in ("secrets", "containers")
            if name in limits
        ]  # fmt: skip

    def _volume_quotas(self) -> list[Quota]:
        """A quota set names more than the limits do (per type), but not every role may read it."""
        path = f"/os-quota-sets/{self._project()}"
        answer = self._api("block-storage").get(path, usage="True")["quota_set"]
        return _quotas("block_storage", answer, "in_use")

    def _network_quotas(self) -> list[Quota]:
        answer = self._api("network").get(f"/v2.0/quotas/{self._project()}/details.json")["quota"]
        return _quotas("network", answer, "used")


def _zones(entries: Iterable[Json]) -> list[str]:
    return sorted(z["zoneName"] for z in entries if z["zoneState"]["available"])


def _quotas(service: str, sets: Json, used: str) -> list[Quota]:
    return [
        Quota(service=service, resource=name, limit=q["limit"], used=q[used] + int(q.get("reserved") or 0))
        for name, q in sorted(sets.items())
        if isinstance(q, dict)
    ]
