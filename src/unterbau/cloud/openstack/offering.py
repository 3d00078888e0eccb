# SPDX-License-Identifier: Apache-2.0
"""What a cloud offers to the project: flavors, images, types, zones, external networks, quotas with usage.

Each part is read on its own, several at a time; one that cannot be read is named and leaves the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, TypeAlias

from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.closed import Reading, Table, Told, ignorable, truth
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.errors import MALFORMED, malformed
from unterbau.cloud.openstack.http import Api, Json, by_id, named_by, parallel
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
_COMPUTE_ALONE = {"server_group_members": "maxServerGroupMembers", "metadata_items": "maxServerMeta"}
"""Limits of a single thing, of which nothing is used up."""
Part: TypeAlias = tuple[Iterable[Any], Iterable[NotShown]]
"""Values of one field of the offering, and what of them is not shown."""
_NETWORKS, _COMPUTE_API = (
    "https://docs.openstack.org/api-ref/network/v2/",
    "https://docs.openstack.org/api-ref/compute/",
)
_ZONE: Table = {
    **ignorable(_COMPUTE_API + "#availability-zones-os-availability-zone", "hosts, for administrators", "hosts"),
    **ignorable(_NETWORKS + "#list-all-availability-zones", "of which service it is", "resource"),
}
_QUOTA: Table = {}
_EXTERNAL: Table = ignorable(
    _NETWORKS + "#networks", "the provider's", "admin_state_up", "availability_zone_hints", "availability_zones",
    "created_at", "description", "dns_domain", "ipv4_address_scope", "ipv6_address_scope", "l2_adjacency", "mtu",
    "port_security_enabled", "project_id", "provider:network_type", "provider:physical_network",
    "provider:segmentation_id", "qos_policy_id", "revision_number", "router:external", "segments", "shared", "status",
    "subnets", "tags", "tenant_id", "updated_at", "vlan_transparent", "project_default", "pvlan", "qinq",
)  # fmt: skip


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
        for name, values, notes in parallel(self._read, parts):
            hidden += notes
            if name.startswith("quotas"):
                found["quotas"] = (*found.get("quotas", ()), *values)
            else:
                found[name] = values
        return Surroundings(offering=Offering(**found), not_shown=tuple(hidden))

    def _read(self, part: tuple[str, Callable[[], Part]]) -> tuple[str, tuple[Any, ...], list[NotShown]]:
        name, read = part
        try:
            values, notes = read()
        except CloudError as error:
            return name, (), [NotShown(what=f"offering.{name}", reason=said(error))]
        except MALFORMED as error:
            return name, (), [NotShown(what=f"offering.{name}", reason=said(malformed("its answer", error)))]
        return name, tuple(values), list(notes)

    def _parts(self) -> Iterable[tuple[str, str, Callable[[], Part]]]:
        return (
            ("compute", "flavors", self._compute.flavors),
            ("compute", "compute_zones", self._compute_zones),
            ("compute", "quotas.compute", self._compute_quotas),
            ("image", "images", self._image.others),
            ("image", "image_formats", lambda: (self._image.formats(), ())),
            ("image", "quotas.image", self._image_quotas),
            ("key-manager", "quotas.key_manager", self._key_quotas),
            ("block-storage", "volume_types", self._volumes.volume_types),
            ("block-storage", "volume_zones", self._volume_zones),
            ("block-storage", "quotas.block_storage", self._volume_quotas),
            ("network", "external_networks", self._external_networks),
            ("network", "network_zones", self._network_zones),
            ("network", "network_extensions", lambda: (sorted(self._network.extensions()), ())),
            ("network", "quotas.network", self._network_quotas),
            ("object-store", "object_features", lambda: (self._objects.features(), ())),
            ("object-store", "quotas.object_store", lambda: (self._objects.quotas(), ())),
        )

    def _compute_zones(self) -> Part:
        return _zones("compute_zones", self._api("compute").get("/os-availability-zone"))

    def _volume_zones(self) -> Part:
        return _zones("volume_zones", self._api("block-storage").get("/os-availability-zone"))

    def _network_zones(self) -> Part:
        try:
            answer = self._api("network").get("/v2.0/availability_zones")
        except NotFound:  # the extension is absent: there are no zones to choose from
            return (), ()
        reading = Reading("offering.network_zones", _ZONE)
        told = [
            reading.take(reading.kind, z, lambda t: (str(t["name"]), t["state"])) for z in answer["availability_zones"]
        ]
        return sorted({z[0] for z in told if z and z[1] == "available"}), reading.notes()

    def _external_networks(self) -> Part:
        """The provider's; of the rest of their fields a tenant decides nothing."""
        api = self._api("network")
        wanted: Json = {"router:external": True}
        networks = api.listed("/v2.0/networks", "networks", **wanted)
        if not networks.entries:
            return (), ()
        ids = [by_id(n) for n in networks.entries]
        cidrs: dict[str, set[str]] = {}
        for subnet in api.pages("/v2.0/subnets", "subnets", network_id=ids):
            if cidr := named_by("cidr")(subnet):
                cidrs.setdefault(named_by("network_id")(subnet), set()).add(cidr)

        def made(told: Told) -> ExternalNetwork:
            return ExternalNetwork(
                id=told["id"],
                name=told.get("name") or "",
                is_default=truth(told.get("is_default")),
                cidrs=tuple(sorted(cidrs.get(told["id"], ()))),
            )

        return Reading("offering.external_networks", _EXTERNAL).each(networks, made)

    def _compute_quotas(self) -> Part:
        limits = self._api("compute").get("/limits")["limits"]["absolute"]
        keys = len(self._compute.keypairs())  # the limits do not tell how many there are
        told = {
            name: {"limit": limits[_COMPUTE_LIMITS[name]], "used": limits[used]}
            for name, used in _COMPUTE.items()
            if used in limits and _COMPUTE_LIMITS[name] in limits
        }
        told |= {name: {"limit": limits[limit], "used": 0} for name, limit in _COMPUTE_ALONE.items() if limit in limits}
        if "maxTotalKeypairs" in limits:
            told["key_pairs"] = {"limit": limits["maxTotalKeypairs"], "used": keys}
        return _quotas("compute", told, "used")

    def _image_quotas(self) -> Part:
        """Glance tells usage and limits only where unified limits are in force (sizes in MiB)."""
        try:
            usage = self._api("image").get("/v2/info/usage").get("usage") or {}
        except NotFound:
            return (), ()
        return _quotas("image", usage, "usage")

    def _key_quotas(self) -> Part:
        api = self._api("key-manager")
        limits = api.get("/v1/quotas")["quotas"]
        names = [name for name in ("secrets", "containers") if name in limits]
        told = {
            name: {"limit": limits[name], "used": api.get(f"/v1/{name}", limit=1).get("total", 0)} for name in names
        }
        return _quotas("key_manager", told, "used")

    def _volume_quotas(self) -> Part:
        """A quota set names more than the limits do (per type), but not every role may read it."""
        path = f"/os-quota-sets/{self._project()}"
        answer = self._api("block-storage").get(path, usage="True")["quota_set"]
        return _quotas("block_storage", answer, "in_use")

    def _network_quotas(self) -> Part:
        answer = self._api("network").get(f"/v2.0/quotas/{self._project()}/details.json")["quota"]
        return _quotas("network", answer, "used")


def _zones(part: str, answer: Json) -> Part:
    """The zones that Nova and Cinder say are available."""
    reading = Reading(f"offering.{part}", _ZONE)
    told = [
        reading.take(reading.kind, z, lambda t: (str(t["zoneName"]), t["zoneState"]["available"]))
        for z in answer.get("availabilityZoneInfo") or ()
    ]
    return sorted(z[0] for z in told if z and z[1] is True), reading.notes()


def _quotas(service: str, sets: Json, used: str) -> Part:
    """One quota each; what is not an object (the set's id) is none."""
    reading = Reading(f"offering.quotas.{service}", _QUOTA)

    def made(told: Told, name: str) -> Quota:
        return Quota(
            service=service, resource=name, limit=told["limit"], used=told[used] + int(told.get("reserved") or 0)
        )

    found = [
        reading.take(f"{reading.kind}.{name}", q, partial(made, name=name))
        for name, q in sorted(sets.items())
        if isinstance(q, dict)
    ]
    return [q for q in found if q is not None], reading.notes()
