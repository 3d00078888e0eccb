# SPDX-License-Identifier: Apache-2.0
"""What a project uses and Unterbau does not carry: named with a reason, so that it is never lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.http import Api, Json, parallel
from unterbau.cloud.openstack.network import SHARED_KINDS, NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.paging import By
from unterbau.errors import CloudError, NotFound, Unsupported
from unterbau.tenant.kinds import Kind, ref
from unterbau.tenant.workload import NotShown

CARRIED = frozenset({"compute", "network", "image", "block-storage", "object-store", "key-manager"})
NOTHING_TO_CARRY = frozenset({"identity", "placement", "s3"})
"""Services in which a tenant owns nothing that a move could carry."""

_NETWORK: Mapping[str, tuple[str, str]] = {
    "trunks": ("trunk", "a trunk and its sub-ports"),
    "qos/policies": ("qos", "a QoS policy"),
    "rbac-policies": ("rbac-policies", "a sharing with other projects (RBAC policy)"),
    "subnetpools": ("subnet_allocation", "a subnet pool"),
    "address-scopes": ("address-scope", "an address scope"),
    "metering/metering-labels": ("metering", "a metering label"),
    "vpn/ipsec-site-connections": ("vpnaas", "a VPN connection"),
    "fwaas/firewall_groups": ("fwaas_v2", "a firewall group"),
    "bgpvpn/bgpvpns": ("bgpvpn", "a BGP VPN"),
    "log/logs": ("logging", "a packet log"),
    "ndp_proxies": ("l3-ndp-proxy", "an NDP proxy (a public IPv6 address)"),
}
_VOLUMES: Mapping[str, tuple[str, str]] = {
    "/groups": ("groups", "a group of volumes"),
    "/group_snapshots": ("group_snapshots", "a snapshot of a group of volumes"),
    "/os-volume-transfer": ("transfers", "a volume that is offered for transfer"),
}
_ODD_STATES = frozenset({"SHELVED", "SHELVED_OFFLOADED", "RESCUE", "PAUSED", "SUSPENDED", "ERROR", "SOFT_DELETED"})


class Unknown:
    """Looks for what we do not carry, in the services that the catalog has."""

    def __init__(
        self,
        api: Callable[[str], Api],
        services: Callable[[], Iterable[str]],
        compute: ComputeService,
        network: NetworkService,
        objects: ObjectService,
        project_id: Callable[[], str],
    ) -> None:
        self._api, self._services, self._project = api, services, project_id
        self._compute, self._network, self._objects = compute, network, objects

    def not_understood(self) -> tuple[NotShown, ...]:
        """All of it; a place that could not be looked at is named too."""
        present = set(self._services())
        looks = [(name, look) for service, name, look in self._looks() if service in present]
        found = parallel(self._look, looks)
        strange = sorted(present - CARRIED - NOTHING_TO_CARRY)
        missing = sorted(CARRIED - present)
        return (
            *(NotShown(what=f"service:{s}", reason="this service is not understood") for s in strange),
            *(NotShown(what=f"service:{s}", reason="the catalog has no such service") for s in missing),
            *(note for notes in found for note in notes),
        )

    def _look(self, what: tuple[str, Callable[[], list[NotShown]]]) -> list[NotShown]:
        name, look = what
        try:
            return look()
        except (NotFound, Unsupported):  # the feature is absent, so nothing of it is in use
            return []
        except CloudError as error:
            return [NotShown(what=name, reason=error.what)]

    def _looks(self) -> Iterable[tuple[str, str, Callable[[], list[NotShown]]]]:
        for path, (extension, noun) in _NETWORK.items():
            yield "network", path, partial(self._in_network, path, extension, noun)
        yield "network", "port_forwardings", self._forwardings
        yield "network", "external_gateways", self._further_gateways
        for path, (key, noun) in _VOLUMES.items():
            yield "block-storage", key, partial(self._in_volumes, path, key, noun)
        yield "block-storage", "volume_encryption", self._encrypted
        yield "compute", "server_states", self._odd_servers
        yield "object-store", "object_versions", self._objects.old_versions
        yield "key-manager", "orders", self._orders
        yield "key-manager", "secret_stores", self._secret_store

    def _in_network(self, path: str, extension: str, noun: str) -> list[NotShown]:
        if extension not in self._network.extensions():
            return []
        key = path.rpartition("/")[2].replace("-", "_")
        entries = self._api("network").pages(f"/v2.0/{path}", key, project_id=self._project())
        return [_note(key, entry, noun) for entry in entries if entry.get("object_type") not in SHARED_KINDS]

    def _forwardings(self) -> list[NotShown]:
        if "floating-ip-port-forwarding" not in self._network.extensions():
            return []
        return [
            NotShown(
                what=f"{ref(Kind.FLOATING_IP, entry['id'])}.port_forwardings",
                reason=f"{len(entry['port_forwardings'])} port forwardings are not carried",
            )
            for entry in self._network.raw("floatingips")
            if entry.get("port_forwardings")
        ]

    def _further_gateways(self) -> list[NotShown]:
        """Of routers on several external networks (external-gateway-multihoming) the first gateway is carried."""
        if "external-gateway-multihoming" not in self._network.extensions():
            return []
        return [
            NotShown(
                what=f"{ref(Kind.ROUTER, entry['id'])}.external_gateways",
                reason=f"{len(entry['external_gateways']) - 1} further external gateways are not carried",
            )
            for entry in self._network.raw("routers")
            if len(entry.get("external_gateways") or ()) > 1
        ]

    def _in_volumes(self, path: str, key: str, noun: str) -> list[NotShown]:
        api = self._api("block-storage")
        # Of transfers Cinder knows no marker under this path, and the links that it gives lead in a circle.
        by: By = "offset" if key == "transfers" else "marker"
        return [_note(key, entry, noun) for entry in api.pages(path, key, by=by)]

    def _encrypted(self) -> list[NotShown]:
        entries = self._api("block-storage").pages("/volumes/detail", "volumes")
        return [
            NotShown(
                what=f"{ref(Kind.VOLUME, entry['id'])}.encryption",
                reason="its key stays with the cloud; its content arrives as the target's type has it",
            )
            for entry in entries
            if entry.get("encrypted")
        ]

    def _odd_servers(self) -> list[NotShown]:
        return [
            NotShown(
                what=f"{ref(Kind.SERVER, entry['id'])}.status",
                reason=f"its state {entry['status']} is not carried",
            )
            for entry in self._compute.raw()
            if entry["status"] in _ODD_STATES
        ]

    def _orders(self) -> list[NotShown]:
        listed = self._api("key-manager").listed(
            "/v1/orders",
            "orders",
            entry_name=lambda e: str(e.get("order_ref") or ""),
            by="offset",
            count="total",
            limit=100,
        )
        notes = [NotShown(what="orders", reason=listed.doubt)] if listed.doubt else []
        if listed.entries:
            notes.append(NotShown(what="orders", reason=f"{len(listed.entries)} orders of keys are not carried"))
        return notes

    def _secret_store(self) -> list[NotShown]:
        """The store that the project chose, where Barbican has several (404 where it has one, or none was chosen)."""
        chosen = self._api("key-manager").get("/v1/secret-stores/preferred")
        return [NotShown(what="secret_stores", reason=f"its choice of the store {chosen.get('name')} is not carried")]


def _note(key: str, entry: Json, noun: str) -> NotShown:
    return NotShown(what=f"{key}:{entry['id']}", reason=f"{noun} is not carried")
