# SPDX-License-Identifier: Apache-2.0
"""What a project uses and Unterbau does not carry: named with a reason, so that it is never lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.errors import MALFORMED, malformed
from unterbau.cloud.openstack.http import Api, Json, by_id, named_by, parallel
from unterbau.cloud.openstack.network import SHARED_KINDS, NetworkService
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.paging import By, Listed
from unterbau.cloud.port import said
from unterbau.errors import CloudError, NotFound, Unsupported
from unterbau.tenant.kinds import Kind, ref
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason

CARRIED = frozenset({"compute", "network", "image", "block-storage", "object-store", "key-manager"})
NOTHING_TO_CARRY = frozenset({"identity", "placement", "s3"})
"""Services in which a tenant owns nothing that a move could carry."""

_NETWORK: Mapping[str, tuple[str, Reason]] = {
    "trunks": ("trunk", Reason.of("unknown.trunk")),
    "qos/policies": ("qos", Reason.of("unknown.qos")),
    "rbac-policies": ("rbac-policies", Reason.of("unknown.rbac")),
    "subnetpools": ("subnet_allocation", Reason.of("unknown.subnet-pool")),
    "address-scopes": ("address-scope", Reason.of("unknown.address-scope")),
    "metering/metering-labels": ("metering", Reason.of("unknown.metering")),
    "vpn/ipsec-site-connections": ("vpnaas", Reason.of("unknown.vpn")),
    "fwaas/firewall_groups": ("fwaas_v2", Reason.of("unknown.firewall")),
    "bgpvpn/bgpvpns": ("bgpvpn", Reason.of("unknown.bgpvpn")),
    "log/logs": ("logging", Reason.of("unknown.log")),
    "ndp_proxies": ("l3-ndp-proxy", Reason.of("unknown.ndp-proxy")),
}
_VOLUMES: Mapping[str, tuple[str, Reason]] = {
    "/groups": ("groups", Reason.of("unknown.volume-group")),
    "/group_snapshots": ("group_snapshots", Reason.of("unknown.group-snapshot")),
    "/os-volume-transfer": ("transfers", Reason.of("unknown.transfer")),
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
        volumes: BlockStorageService,
        objects: ObjectService,
    ) -> None:
        self._api, self._services = api, services
        self._compute, self._network, self._volumes, self._objects = compute, network, volumes, objects

    def not_understood(self) -> tuple[NotShown, ...]:
        """All of it; a place that could not be looked at is named too."""
        present = set(self._services())
        looks = [(name, look) for service, name, look in self._looks() if service in present]
        found = parallel(self._look, looks)
        strange = sorted(present - CARRIED - NOTHING_TO_CARRY)
        missing = sorted(CARRIED - present)
        return (
            *(NotShown(what=f"service:{s}", reason=Reason.of("unknown.service")) for s in strange),
            *(NotShown(what=f"service:{s}", reason=Reason.of("unknown.no-service")) for s in missing),
            *(note for notes in found for note in notes),
        )

    def _look(self, what: tuple[str, Callable[[], list[NotShown]]]) -> list[NotShown]:
        name, look = what
        try:
            return look()
        except (NotFound, Unsupported):  # the feature is absent, so nothing of it is in use
            return []
        except CloudError as error:
            return [NotShown(what=name, reason=said(error))]
        except MALFORMED as error:
            return [NotShown(what=name, reason=said(malformed("its answer", error)))]

    def _looks(self) -> Iterable[tuple[str, str, Callable[[], list[NotShown]]]]:
        for path, (extension, reason) in _NETWORK.items():
            yield "network", path, partial(self._in_network, path, extension, reason)
        yield "network", "port_forwardings", self._forwardings
        yield "network", "external_gateways", self._further_gateways
        for path, (key, reason) in _VOLUMES.items():
            yield "block-storage", key, partial(self._in_volumes, path, key, reason)
        yield "block-storage", "volume_encryption", self._encrypted
        yield "compute", "server_states", self._odd_servers
        yield "object-store", "object_versions", self._objects.old_versions
        yield "key-manager", "orders", self._orders
        yield "key-manager", "secret_stores", self._secret_store

    def _in_network(self, path: str, extension: str, reason: Reason) -> list[NotShown]:
        if extension not in self._network.extensions():
            return []
        key = path.rpartition("/")[2].replace("-", "_")
        listed = self._network.listed(path)
        return _notes(key, listed, reason, lambda entry: entry.get("object_type") not in SHARED_KINDS)

    def _forwardings(self) -> list[NotShown]:
        if "floating-ip-port-forwarding" not in self._network.extensions():
            return []
        return [
            NotShown(
                what=f"{ref(Kind.FLOATING_IP, by_id(entry))}.port_forwardings",
                reason=Reason.of("unknown.port-forwardings", count=len(entry["port_forwardings"])),
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
                what=f"{ref(Kind.ROUTER, by_id(entry))}.external_gateways",
                reason=Reason.of("unknown.gateways", count=len(entry["external_gateways"]) - 1),
            )
            for entry in self._network.raw("routers")
            if len(entry.get("external_gateways") or ()) > 1
        ]

    def _in_volumes(self, path: str, key: str, reason: Reason) -> list[NotShown]:
        api = self._api("block-storage")
        # Of transfers Cinder knows no marker under this path, and the links that it gives lead in a circle.
        by: By = "offset" if key == "transfers" else "marker"
        return _notes(key, api.listed(path, key, by=by), reason)

    def _encrypted(self) -> list[NotShown]:
        return [
            NotShown(
                what=f"{ref(Kind.VOLUME, by_id(entry))}.encryption",
                reason=Reason.of("unknown.encrypted"),
            )
            for entry in self._volumes.listed("volumes").entries
            if entry.get("encrypted")
        ]

    def _odd_servers(self) -> list[NotShown]:
        return [
            NotShown(
                what=f"{ref(Kind.SERVER, by_id(entry))}.status",
                reason=Reason.of("unknown.state", state=str(entry.get("status"))),
            )
            for entry in self._compute.raw()
            if entry.get("status") in _ODD_STATES
        ]

    def _orders(self) -> list[NotShown]:
        listed = self._api("key-manager").listed(
            "/v1/orders",
            "orders",
            entry_name=named_by("order_ref"),
            by="offset",
            count="total",
            limit=100,
        )
        notes = [NotShown(what="orders", reason=listed.doubt)] if listed.doubt else []
        if listed.entries:
            notes.append(NotShown(what="orders", reason=Reason.of("unknown.orders", count=len(listed.entries))))
        return notes

    def _secret_store(self) -> list[NotShown]:
        """The store that the project chose, where Barbican has several (404 where it has one, or none was chosen)."""
        chosen = self._api("key-manager").get("/v1/secret-stores/preferred")
        return [NotShown(what="secret_stores", reason=Reason.of("unknown.secret-store", name=str(chosen.get("name"))))]


def _notes(
    key: str, listed: Listed[Json], reason: Reason, counts: Callable[[Json], bool] = lambda entry: True
) -> list[NotShown]:
    """One for each thing of a listing."""
    doubt = [NotShown(what=key, reason=listed.doubt)] if listed.doubt else []
    things = [NotShown(what=f"{key}:{by_id(e)}", reason=reason) for e in listed.entries if counts(e)]
    return [*doubt, *things]
