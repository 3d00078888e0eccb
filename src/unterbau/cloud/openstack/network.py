# SPDX-License-Identifier: Apache-2.0
"""Neutron (Networking API v2.0) behind the port. Called by `cloud`; knows nothing of servers.

The marker is a tag. Neutron tags by a request of its own, so until they are finished things carry the marker as their
description: whatever still has it there is half-made and ours. Only ports are tagged as they are made, in one transaction, by clouds with
`tag-ports-during-bulk-creation`. Rules and address groups have no tags: a finished
address group is told by `before`, a rule, which takes no update either, is unique by content within its group.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from unterbau.cloud.openstack.closed import LOST, Reading, Table, Told, ignorable, lost, one, truth
from unterbau.cloud.openstack.gathered import Gathered
from unterbau.cloud.openstack.http import Api, Json, by_id, entries, named_by
from unterbau.cloud.openstack.service import eldest, from_tags, gone, only, settled, short, wait_gone
from unterbau.cloud.paging import Listed
from unterbau.cloud.port import Listing, Marker, is_marker, said
from unterbau.errors import CloudError, Conflict, Forbidden, NotFound, OverQuota
from unterbau.tenant.kinds import (
    AddressGroup,
    AddressPair,
    AllocationPool,
    DhcpOption,
    FixedIp,
    FloatingIp,
    Kind,
    Network,
    Port,
    Resource,
    Route,
    Router,
    RouterInterface,
    SecurityGroup,
    SecurityGroupRule,
    Source,
    Subnet,
    ref,
)
from unterbau.tenant.kinds.network import AUTO_MODES
from unterbau.tenant.kinds.port import own_role
from unterbau.tenant.workload import NotShown

ROUTER_INTERFACE = "network:router_interface"
ROUTER_OWNERS = frozenset(
    {ROUTER_INTERFACE, "network:router_interface_distributed", "network:ha_router_replicated_interface"}
)
_RULE_SOUGHT = (
    "security_group_id",
    "direction",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)
"""What a listing of rules is narrowed by: what Neutron keeps as it was sent."""
_RULE_IDENTITY = (
    "security_group_id",
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "remote_address_group_id",
)
_PATHS: Mapping[Kind, tuple[str, str]] = {
    Kind.NETWORK: ("networks", "network"),
    Kind.SUBNET: ("subnets", "subnet"),
    Kind.ROUTER: ("routers", "router"),
    Kind.ROUTER_INTERFACE: ("ports", "port"),
    Kind.PORT: ("ports", "port"),
    Kind.FLOATING_IP: ("floatingips", "floatingip"),
    Kind.ADDRESS_GROUP: ("address-groups", "address_group"),
    Kind.SECURITY_GROUP: ("security-groups", "security_group"),
    Kind.SECURITY_GROUP_RULE: ("security-group-rules", "security_group_rule"),
}
_RULES = "/v2.0/security-group-rules"
TAGGED_AT_BIRTH = "tag-ports-during-bulk-creation"
"""The extension (Neutron 16) by which a port gets its tags in the transaction that makes it; without it they are passed over."""
LEGS_OF_AGENTS = "l3-port-ip-change-not-allowed"
"""The extension (Neutron 15) of routers whose legs an agent serves, which keep the addresses that they were made with; OVN's have none."""
SHARED_KINDS = frozenset({Kind.NETWORK, Kind.SECURITY_GROUP, Kind.ADDRESS_GROUP})
"""Kinds that RBAC policies share and that are modelled; a policy names the kind as we do."""

_API = "https://docs.openstack.org/api-ref/network/v2/index.html#"
_ITS_OWN = ignorable(
    _API + "standard-attributes", "the project is that of the credentials; dates and revision are this cloud's",
    "tenant_id", "project_id", "created_at", "updated_at", "revision_number",
)  # fmt: skip
_PORT: Table = {
    **_ITS_OWN,
    **ignorable(_API + "ports", "where and how this cloud plugged it in, for administrators",
                "binding:host_id", "binding:vif_type", "binding:vif_details", "data_plane_status", "resource_request"),
    **ignorable(_API + "ports", "follows from its name and addresses", "dns_assignment"),
    **ignorable(_API + "ports", "how it came to its addresses, which are carried", "ip_allocation"),
    **ignorable(_API + "ports", "that of its network", "qos_network_policy_id"),
    **ignorable(_API + "trunk-networking", "each trunk is named by itself", "trunk_details"),
    **lost(_API + "ports", "a binding profile is not carried", "binding:profile", {}),
    **lost(_API + "ports", "its accelerator (device profile) is not carried", "device_profile"),
    **lost(_API + "ports", "its own DNS domain is not carried", "dns_domain", ""),
    **lost(_API + "ports", "its hints are not carried", "hints", {}),
    **lost(_API + "ports", "its hardware offload is not carried", "hardware_offload_type"),
    **lost(_API + "ports", "its NUMA affinity is not carried", "numa_affinity_policy"),
    **lost(_API + "ports", "MAC learning is not carried", "mac_learning_enabled", False),
    **lost(_API + "ports", "that it is trusted is not carried", "trusted", False),
    **lost(_API + "ports", "its uplink's state is not shown to it, which is not carried", "propagate_uplink_status", True),
    **lost(_API + "ports", "its type of a private VLAN is not carried", "pvlan_type"),
    **lost(_API + "ports", "its community of a private VLAN is not carried", "pvlan_community"),
}  # fmt: skip
TABLES: Mapping[Kind, Table] = {
    Kind.NETWORK: {
        **_ITS_OWN,
        **ignorable(_API + "networks", "each subnet is a thing of its own", "subnets"),
        **ignorable(_API + "networks", "this cloud's state of it", "status", "availability_zones", "l2_adjacency"),
        **ignorable(_API + "networks", "follows from the pools of its subnets",
                    "ipv4_address_scope", "ipv6_address_scope"),
        **ignorable(_API + "networks", "how the provider carries it, for administrators to see and set",
                    "provider:network_type", "provider:physical_network", "provider:segmentation_id", "segments"),
        **ignorable(_API + "auto-allocated-topology", "of a provider's external network", "is_default"),
        **lost(_API + "networks", "that it is the project's default is not carried", "project_default", False),
        **lost(_API + "networks", "its private VLANs are not carried", "pvlan", False),
        **lost(_API + "networks", "VLANs in VLANs (QinQ) are not carried", "qinq", False),
    },
    Kind.SUBNET: {
        **_ITS_OWN,
        **ignorable(_API + "subnets", "that of its network", "router:external"),
        **lost(_API + "subnets", "its segment is not carried", "segment_id"),
        **lost(_API + "subnets", "that its routes are announced (BGP) is not carried", "leak_routes", False),
    },
    Kind.ROUTER: {
        **_ITS_OWN,
        **ignorable(_API + "routers", "this cloud's state of it", "status", "availability_zones"),
        **ignorable(_API + "routers", "as in external_gateway_info", "enable_snat"),
        **ignorable(_API + "routers", "the first is external_gateway_info, the others are named by themselves",
                    "external_gateways"),
        **ignorable(_API + "routers", "a subnet of the provider's", "external_gateway_info.external_fixed_ips[].subnet_id"),
        **lost(_API + "routers", "its flavor is not carried", "flavor_id"),
        **lost(_API + "routers", "its type of service is not carried", "service_type_id"),
        **lost(_API + "routers", "its conntrack helpers are not carried", "conntrack_helpers", []),
        **lost(_API + "routers", "its NDP proxy is not carried", "enable_ndp_proxy", False),
        **lost(_API + "routers", "BFD of its default routes is not carried", "enable_default_route_bfd", False),
        **lost(_API + "routers", "ECMP of its default routes is not carried", "enable_default_route_ecmp", False),
        **lost(_API + "routers", "its EVPN is not carried", "evpn_vni"),
    },
    Kind.PORT: _PORT,
    Kind.ROUTER_INTERFACE: {
        **_PORT,
        **ignorable(_API + "ports", "this cloud's state of it", "status"),
        **ignorable(_API + "ports", "a router's leg has none", "port_security_enabled", "security_groups"),
        **ignorable(_API + "ports", "how this cloud plugged it in", "binding:vnic_type"),
        **lost(_API + "ports", "that it is switched off is not carried", "admin_state_up", True),
        **lost(_API + "ports", "its address pairs are not carried", "allowed_address_pairs", []),
        **lost(_API + "ports", "its DHCP options are not carried", "extra_dhcp_opts", []),
        **lost(_API + "ports", "its DNS name is not carried", "dns_name", ""),
    },
    Kind.FLOATING_IP: {
        **_ITS_OWN,
        **ignorable(_API + "floating-ips-floatingips", "follows from its port", "router_id", "port_details"),
        **ignorable(_API + "floating-ips-floatingips", "that of its network", "qos_network_policy_id"),
        **ignorable(_API + "floating-ips-port-forwarding", "named by themselves", "port_forwardings"),
        **ignorable(_API + "floating-ips-floatingips", "how this cloud does it, for administrators", "distributed"),
        **lost(_API + "floating-ips-floatingips", "its DNS name is not carried", "dns_name", ""),
        **lost(_API + "floating-ips-floatingips", "its DNS domain is not carried", "dns_domain", ""),
    },
    Kind.ADDRESS_GROUP: {
        **_ITS_OWN,
        **ignorable(_API + "address-groups", "each sharing is read from its RBAC policy", "shared"),
    },
    Kind.SECURITY_GROUP: {
        **_ITS_OWN,
        **ignorable(_API + "security-groups-security-groups", "each rule is a thing of its own", "security_group_rules"),
        **ignorable(_API + "security-groups-security-groups", "each sharing is read from its RBAC policy", "shared"),
    },
    Kind.SECURITY_GROUP_RULE: {
        **_ITS_OWN,
        **ignorable(_API + "security-group-rules-security-group-rules", "follows from the rest of it",
                    "normalized_cidr", "belongs_to_default_sg"),
        **lost(_API + "standard-attributes-tag-extension", "its tags are not carried", "tags", []),
    },
}  # fmt: skip
"""What the translations below do not read."""


class NetworkService:
    """Networks, subnets, routers and their legs, ports, floating IPs, security and address groups."""

    KINDS = tuple(_PATHS)

    def __init__(self, api: Callable[[], Api], project_id: Callable[[], str]) -> None:
        self._api, self._project = api, project_id
        self._lock = threading.Lock()
        self._extensions: frozenset[str] | None = None
        self._modes: dict[str, str | None] = {}
        self._rules: dict[str, Gathered[Json, str | None]] = {}
        """By security group: Neutron makes many rules at once of one group only."""
        self._legs = threading.Lock()
        self._told: dict[str, Json] = {}
        """What the last write of a thing answered, by its id, for the `settle` that follows."""

    # --- reading

    def extensions(self) -> frozenset[str]:
        """Aliases of the extensions, asked once."""
        with self._lock:
            if self._extensions is None:
                answer = self._api().get("/v2.0/extensions", fields="alias")
                named = map(named_by("alias"), entries(answer, "extensions"))
                self._extensions = frozenset(alias for alias in named if alias)
            return self._extensions

    def raw(self, collection: str, **query: Any) -> list[Json]:
        """All entries of a collection that the project owns, as the API tells them."""
        return list(self.listed(collection, **query).entries)

    def listed(self, collection: str, **query: Any) -> Listed[Json]:
        """As `raw`, with a doubt if it may not be the whole."""
        key = collection.rpartition("/")[2].replace("-", "_")
        return self._api().listed(f"/v2.0/{collection}", key, **{"project_id": self._project(), **query})

    def listing(self, kind: Kind) -> Listing:
        """Everything of the kind that the project owns."""
        if kind is Kind.ADDRESS_GROUP and "address-group" not in self.extensions():
            return Listing(resources=())
        listed, reading = self.listed(_PATHS[kind][0]), Reading(kind, TABLES[kind])
        found: list[Resource] = []
        for entry in listed.entries:
            made: Resource | None = reading.take(ref(kind, by_id(entry)), entry, partial(self._model, kind))
            found += [made] if made is not None else []
        notes = [*reading.notes(), *(short(kind.value, kind, listed.doubt) if listed.doubt else [])]
        try:
            shares = self._shares(kind)
        except Forbidden as error:
            shares = {}
            notes.append(NotShown(what="rbac-policies", reason=said(error)))
        resources = tuple(_shared(r, shares) for r in found)
        return Listing(resources=resources, not_shown=tuple(notes), entries=len(listed.entries))

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        found: Resource | None = self._read(kind, id_)
        return _shared(found, self._shares(kind, object_id=id_)) if found is not None else None

    def _read(self, kind: Kind, id_: str) -> Resource | None:
        entry = self._entry(kind, id_)
        return one(ref(kind, id_), entry, lambda told: self._model(kind, told)) if entry else None

    def _shares(self, kind: Kind, **query: str) -> Mapping[str, tuple[str, ...]]:
        """Id -> to whom the project's RBAC policies give it. One request, none where there can be no policies."""
        if kind not in SHARED_KINDS or "rbac-policies" not in self.extensions():
            return {}
        found: dict[str, set[str]] = {}
        for policy in self.raw("rbac-policies", object_type=kind.value, **query):
            way = "external:" if policy.get("action") == "access_as_external" else ""
            whom = policy.get("target_project") or policy.get("target_tenant")  # the older name goes, some day
            found.setdefault(str(policy.get("object_id")), set()).add(f"{way}{whom}")
        return {id_: tuple(sorted(whom)) for id_, whom in found.items()}

    def _entry(self, kind: Kind, id_: str) -> Json | None:
        collection, single = _PATHS[kind]
        return self._api().entry(f"/v2.0/{collection}/{id_}", single)

    def _model(self, kind: Kind, entry: Told) -> Resource | None:
        if kind is Kind.PORT:
            return _port(entry) if _is_plain(entry) else None
        if kind is Kind.ROUTER_INTERFACE:
            return _interface(entry) if _is_interface(entry) else None
        return _MODELS[kind](entry)

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """Rules of the same content in the group; address groups of the same name."""
        if isinstance(resource, SecurityGroupRule):
            return tuple(r["id"] for r in self._same_rules(resource))
        if isinstance(resource, AddressGroup):
            return tuple(g["id"] for g in self.raw("address-groups", name=resource.name))
        return ()

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Find by marker (or content), complete, or create."""
        if isinstance(resource, SecurityGroupRule):
            return self._ensure_rule(resource, before)
        if isinstance(resource, AddressGroup):
            return self._ensure_address_group(resource, marker, before)
        kind = resource.own_kind
        if isinstance(resource, Port) and resource.mac_address:
            entry = self._port(resource, marker)
        else:
            entry = self._find(kind, marker) or self._create(kind, resource, marker)
        id_ = str(entry["id"])
        told = self._finish(kind, entry, resource, marker)
        if told is not None:
            self._told[id_] = told
        return id_

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """The one tag (DELETE ../tags/TAG); a router interface's is its port's, an address group's its description."""
        if isinstance(resource, AddressGroup):
            self.set_description(resource)
            return
        path = f"/v2.0/{_PATHS[resource.own_kind][0]}/{resource.id}/tags/{quote(marker)}"
        gone(lambda: self._api().json("DELETE", path))

    def _find(self, kind: Kind, marker: Marker) -> Json | None:
        collection = _PATHS[kind][0]
        tagged = self.raw(collection, tags=marker) if "standard-attr-tag" in self.extensions() else []
        return eldest(tagged or self.raw(collection, description=marker))

    def _port(self, wish: Port, marker: Marker) -> Json:
        """Neutron refuses a second port with its MAC on the network, so it is looked for only then."""
        try:
            return self._create(Kind.PORT, wish, marker)
        except (Conflict, OverQuota):
            found = self._find(Kind.PORT, marker)
            if found is None:
                raise
            return found

    def _create(self, kind: Kind, wish: Resource, marker: Marker) -> Json:
        collection, single = _PATHS[kind]
        body = self._body(wish)
        if isinstance(wish, Port) and TAGGED_AT_BIRTH in self.extensions():
            body["tags"] = [marker, *wish.tags]
        else:
            body["description"] = marker
        return dict(self._api().json("POST", f"/v2.0/{collection}", {single: body})[single])

    def _finish(self, kind: Kind, entry: Json, wish: Resource, marker: Marker) -> Json | None:
        """The second steps, each done only if it is not done yet; the description comes last.

        What Neutron tells of it then, None if that is not known.
        """
        path = f"/v2.0/{_PATHS[kind][0]}/{entry['id']}"
        tagged = marker in entry.get("tags", ())
        if not tagged and "standard-attr-tag" in self.extensions():
            self._api().json("PUT", f"{path}/tags", {"tags": [marker, *getattr(wish, "tags", ())]})
        if isinstance(wish, RouterInterface):
            return self._finish_leg(wish, entry, path, marker)
        if entry.get("description") != marker:
            return entry if tagged else None
        if kind is Kind.SECURITY_GROUP:
            self._remove_rules(str(entry["id"]))
        last: Json = {"description": getattr(wish, "description", "")}
        if isinstance(wish, Network) and wish.mtu and wish.mtu < (entry.get("mtu") or wish.mtu + 1):
            last["mtu"] = wish.mtu
        single = _PATHS[kind][1]
        return dict(self._api().json("PUT", path, {single: last})[single])

    def _finish_leg(self, wish: RouterInterface, entry: Json, path: str, marker: Marker) -> Json | None:
        """Attached, with its own addresses only. One after another, since none of OVN's is taken beside one that has more."""
        with self._legs:
            if not entry.get("device_id"):
                self._add_interface(wish, str(entry["id"]))
            if entry.get("description") != marker:
                return None
            last: Json = {"description": wish.description}
            if LEGS_OF_AGENTS not in self.extensions():
                last["fixed_ips"] = [ip.model_dump() for ip in wish.fixed_ips]
            return dict(self._api().json("PUT", path, {"port": last})["port"])

    def _remove_rules(self, group_id: str) -> None:
        rules = self.raw("security-group-rules", security_group_id=group_id)
        for rule in rules:
            self.delete(Kind.SECURITY_GROUP_RULE, rule["id"], timedelta(seconds=30))

    def _add_interface(self, wish: RouterInterface, port_id: str) -> None:
        """Make the port a leg. A refusal (an overlapping subnet, a second leg there) leaves no port behind."""
        try:
            self._api().json("PUT", f"/v2.0/routers/{wish.router_id}/add_router_interface", {"port_id": port_id})
        except Conflict:
            gone(lambda: self._api().json("DELETE", f"/v2.0/ports/{port_id}"))
            raise

    def _same_rules(self, wish: SecurityGroupRule) -> list[Json]:
        """The rules of its group that are like it; asked for by what it has, since a group may hold thousands."""
        told = {f: getattr(wish, f) for f in _RULE_SOUGHT if getattr(wish, f) is not None}
        rules = self.raw("security-group-rules", **told)
        return [r for r in rules if all(r.get(f) == getattr(wish, f) for f in _RULE_IDENTITY)]

    def _ensure_rule(self, wish: SecurityGroupRule, before: frozenset[str]) -> str:
        """Neutron refuses a second one like it, so it is looked for only then. Rules of a group go together (bulk).

        It makes all of them or none; of those that it refused together each is asked for by itself.
        """
        body = {f: getattr(wish, f) for f in _RULE_IDENTITY if getattr(wish, f) is not None}
        if wish.remote_address_group_id:
            self._refuse_unless("security-groups-remote-address-group", "rules with a remote address group")
        body["description"] = wish.description
        together = self._rules.setdefault(wish.security_group_id, Gathered(self._make_rules))
        try:
            return together(body) or self._make_rule(body)
        except (Conflict, OverQuota):
            there = [str(rule["id"]) for rule in self._same_rules(wish)]
            if before.intersection(there):
                raise Conflict(f"network: security group {wish.security_group_id} has this rule already") from None
            if not there:
                raise
            return there[0]

    def _make_rule(self, body: Json) -> str:
        answer = self._api().json("POST", _RULES, {"security_group_rule": body})
        return str(answer["security_group_rule"]["id"])

    def _make_rules(self, bodies: Sequence[Json]) -> list[str | None]:
        """Their ids; None for all if they were refused, or if not each is told at its place."""
        if len(bodies) == 1:
            return [self._make_rule(bodies[0])]
        try:
            made = entries(
                self._api().json("POST", _RULES, {"security_group_rules": list(bodies)}), "security_group_rules"
            )
        except CloudError as error:
            if error.uncertain or error.transient:
                raise
            made = []
        alike = (all(m.get(f) == b.get(f) for f in _RULE_SOUGHT) for m, b in zip(made, bodies, strict=False))
        return [by_id(m) for m in made] if len(made) == len(bodies) and all(alike) else [None] * len(bodies)

    def _refuse_unless(self, extension: str, what: str) -> None:
        if extension not in self.extensions():
            raise Conflict(f"network: this cloud has no {what} (extension {extension})")

    def _ensure_address_group(self, wish: AddressGroup, marker: Marker, before: frozenset[str]) -> str:
        """It carries the marker as its description until it gets its own (`set_description`)."""
        self._refuse_unless("address-group", "address groups")
        there = [
            g for g in self.raw("address-groups", name=wish.name)
            if g["id"] not in before and sorted(g.get("addresses", ())) == sorted(wish.addresses)
        ]  # fmt: skip
        half_made = eldest(g for g in there if g.get("description") == marker)
        if half_made is None:
            alike = [str(g["id"]) for g in there if g.get("description", "") == wish.description]
            found = only(f"network: address group {wish.name}", alike)
            if found is not None:
                return found
            body = {"name": wish.name, "description": marker, "addresses": list(wish.addresses)}
            half_made = self._api().json("POST", "/v2.0/address-groups", {"address_group": body})["address_group"]
        return str(half_made["id"])

    def _body(self, wish: Resource) -> Json:
        """The body of the POST, without description and tags where they come later."""
        if isinstance(wish, Port):
            return self._port_body(wish)
        if isinstance(wish, RouterInterface):
            return self._interface_body(wish)
        return _BODIES[wish.own_kind](wish)

    def _port_body(self, wish: Port) -> Json:
        body: Json = {
            "name": wish.name,
            "description": wish.description,
            "network_id": wish.network_id,
            "admin_state_up": wish.admin_state_up,
            "security_groups": list(wish.security_group_ids),
        }
        if wish.mac_address:  # else both are Neutron's to choose
            body |= {"mac_address": wish.mac_address, "fixed_ips": [self._fixed_ip(ip) for ip in wish.fixed_ips]}
        if "port-security" in self.extensions():
            body["port_security_enabled"] = wish.port_security_enabled
        body |= _some(
            allowed_address_pairs=[p.model_dump(exclude_none=True) for p in wish.allowed_address_pairs],
            extra_dhcp_opts=[
                {"opt_name": o.name, "opt_value": o.value, "ip_version": o.ip_version} for o in wish.extra_dhcp_opts
            ],
            dns_name=wish.dns_name,
            qos_policy_id=wish.qos_policy_id,
            device_owner=wish.role,
        )
        if wish.vnic_type != "normal":
            body["binding:vnic_type"] = wish.vnic_type
        return body

    def _fixed_ip(self, ip: FixedIp) -> Json:
        """A SLAAC address follows from the MAC: Neutron refuses to be told it, and gives the same again."""
        if self._mode(ip) in AUTO_MODES:
            return {"subnet_id": ip.subnet_id}
        return {"subnet_id": ip.subnet_id, "ip_address": ip.ip_address}

    def _mode(self, ip: FixedIp) -> str | None:
        if ipaddress.ip_address(ip.ip_address).version == 4:
            return None
        if ip.subnet_id not in self._modes:
            subnet = self._entry(Kind.SUBNET, ip.subnet_id)
            if subnet is None:
                raise NotFound(f"network: subnet {ip.subnet_id} does not exist")
            self._modes[ip.subnet_id] = subnet.get("ipv6_address_mode")
        return self._modes[ip.subnet_id]

    def _interface_body(self, wish: RouterInterface) -> Json:
        """A port that becomes a leg afterwards.

        Where legs are an agent's it is known as a router's from birth: else a SLAAC subnet that stands on its network, or comes
        there meanwhile, gives it an address beside its own, and Neutron then refuses the leg that is to have one. OVN's Neutron
        (2023.2 and later, 29.0.0 among them) answers 500 to a router's port that has no router yet, and lets a leg's addresses be
        changed: there it gets its own once it is one.
        """
        body: Json = {
            "name": wish.name,
            "network_id": wish.network_id,
            "security_groups": [],
        }
        if "port-security" in self.extensions():
            body["port_security_enabled"] = False
        if LEGS_OF_AGENTS in self.extensions():
            own = {"device_owner": ROUTER_INTERFACE, "fixed_ips": [ip.model_dump() for ip in wish.fixed_ips]}
        else:
            own = {"fixed_ips": [self._fixed_ip(ip) for ip in wish.fixed_ips]}
        return body | own

    # --- changing and deleting

    def set_routes(self, wish: Router) -> None:
        """Make the static routes of router `wish.id` those of the wish."""
        routes = [r.model_dump() for r in wish.routes]
        self._api().json("PUT", f"/v2.0/routers/{wish.id}", {"router": {"routes": routes}})

    def set_description(self, wish: AddressGroup) -> None:
        """Give address group `wish.id` its description, in the marker's place."""
        self._api().json("PUT", f"/v2.0/address-groups/{wish.id}", {"address_group": {"description": wish.description}})

    def set_pools(self, wish: Subnet) -> None:
        """Let DHCP give out of subnet `wish.id` what the wish says."""
        self._api().json("PUT", f"/v2.0/subnets/{wish.id}", {"subnet": {"allocation_pools": _pools(wish)}})

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """Neutron's answers are final, those to a write, too: only ERROR is waited out."""
        told = self._told.pop(id_, None)
        model = partial(self._model, kind)
        look = partial(self._read, kind, id_) if told is None else partial(one, ref(kind, id_), told, model)
        return settled(kind, id_, deadline, look, (), ("ERROR",))

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete; a leg that is attached is detached (which deletes its port)."""
        if kind is Kind.ROUTER_INTERFACE:
            self._delete_interface(id_)
        else:
            gone(lambda: self._api().json("DELETE", f"/v2.0/{_PATHS[kind][0]}/{id_}"))
        wait_gone(kind, id_, deadline, lambda: "" if self._entry(kind, id_) else None)

    def _delete_interface(self, id_: str) -> None:
        port = self._entry(Kind.PORT, id_)
        if port is None:
            return
        if not port.get("device_id"):
            gone(lambda: self._api().json("DELETE", f"/v2.0/ports/{id_}"))
            return
        path = f"/v2.0/routers/{port['device_id']}/remove_router_interface"
        gone(lambda: self._api().json("PUT", path, {"port_id": id_}))


def _some(**values: Any) -> Json:
    return {k: v for k, v in values.items() if v}


def _is_interface(entry: Json) -> bool:
    return entry.get("device_owner") in ROUTER_OWNERS and bool(entry.get("device_id"))


def _is_plain(entry: Json) -> bool:
    """A port of the project itself; a leg that was made but not yet added counts (it is left over)."""
    owner = entry.get("device_owner") or ""
    return not owner.startswith("network:") or (owner in ROUTER_OWNERS and not entry.get("device_id"))


# --- JSON to model


def _base(entry: Json) -> dict[str, Any]:
    marker, tags = from_tags(entry.get("tags") or ())
    description = entry.get("description") or ""
    if marker is None and is_marker(description):
        marker, description = description, ""
    elif marker is not None and description == marker:
        description = ""
    return {
        "id": entry["id"],
        "name": entry.get("name") or "",
        "marker": marker,
        "description": description,
        "tags": tags,
    }


def _shared(resource: Resource, shares: Mapping[str, tuple[str, ...]]) -> Resource:
    whom = shares.get(resource.id)
    return resource.model_copy(update={"shared_with": whom}) if whom else resource


def _network(entry: Json) -> Network:
    return Network(
        **_base(entry),
        admin_state_up=entry.get("admin_state_up", True),
        mtu=entry.get("mtu"),
        port_security_enabled=entry.get("port_security_enabled", True),
        shared=entry.get("shared", False),
        external=entry.get("router:external", False),
        dns_domain=entry.get("dns_domain") or "",
        availability_zone_hints=tuple(entry.get("availability_zone_hints") or ()),
        qos_policy_id=entry.get("qos_policy_id"),
        vlan_transparent=truth(entry.get("vlan_transparent")),
    )


def _routes(entries: list[Json] | None) -> tuple[Route, ...]:
    routes = (Route(destination=r["destination"], nexthop=r["nexthop"]) for r in entries or ())
    return tuple(sorted(routes, key=lambda r: (r.destination, r.nexthop)))


def _subnet(entry: Json) -> Subnet:
    pools = (AllocationPool(start=p["start"], end=p["end"]) for p in entry.get("allocation_pools") or ())
    return Subnet(
        **_base(entry),
        network_id=entry["network_id"],
        ip_version=entry["ip_version"],
        cidr=entry["cidr"],
        gateway_ip=entry.get("gateway_ip"),
        enable_dhcp=entry.get("enable_dhcp", True),
        allocation_pools=tuple(sorted(pools, key=lambda p: ipaddress.ip_address(p.start))),
        dns_nameservers=tuple(entry.get("dns_nameservers") or ()),
        host_routes=_routes(entry.get("host_routes")),
        ipv6_address_mode=entry.get("ipv6_address_mode"),
        ipv6_ra_mode=entry.get("ipv6_ra_mode"),
        service_types=tuple(sorted(entry.get("service_types") or ())),
        dns_publish_fixed_ip=entry.get("dns_publish_fixed_ip") or False,
        subnetpool_id=entry.get("subnetpool_id"),
    )


def _router(entry: Json) -> Router:
    gateway = entry.get("external_gateway_info") or {}
    return Router(
        **_base(entry),
        admin_state_up=entry.get("admin_state_up", True),
        external_network_id=gateway.get("network_id"),
        external_fixed_ips=tuple(ip["ip_address"] for ip in gateway.get("external_fixed_ips") or ()),
        enable_snat=gateway.get("enable_snat"),
        gateway_qos_policy_id=gateway.get("qos_policy_id"),
        routes=_routes(entry.get("routes")),
        distributed=entry.get("distributed"),
        ha=entry.get("ha"),
        availability_zone_hints=tuple(entry.get("availability_zone_hints") or ()),
    )


def _fixed_ips(entry: Json) -> tuple[FixedIp, ...]:
    ips = (FixedIp(subnet_id=i["subnet_id"], ip_address=i["ip_address"]) for i in entry.get("fixed_ips") or ())
    return tuple(sorted(ips, key=lambda i: (ipaddress.ip_address(i.ip_address).version, i.ip_address)))


def _interface(entry: Told) -> RouterInterface:
    return RouterInterface(
        **_base(entry),
        router_id=entry["device_id"],
        network_id=entry["network_id"],
        fixed_ips=_fixed_ips(entry),
        mac_address=entry.get("mac_address"),
        qos_policy_id=entry.get("qos_policy_id"),
    )


def _port(entry: Json) -> Port:
    secure = entry.get("port_security_enabled", True)
    mac = entry["mac_address"]
    pairs = (
        AddressPair(
            ip_address=p["ip_address"],
            mac_address=None if p.get("mac_address") == mac else p.get("mac_address"),
        )
        for p in entry.get("allowed_address_pairs") or ()
    )
    options = (
        DhcpOption(name=o["opt_name"], value=o["opt_value"], ip_version=int(o.get("ip_version", 4)))
        for o in entry.get("extra_dhcp_opts") or ()
    )
    return Port(
        **_base(entry),
        network_id=entry["network_id"],
        fixed_ips=_fixed_ips(entry),
        mac_address=mac,
        admin_state_up=entry.get("admin_state_up", True),
        security_group_ids=tuple(sorted(entry.get("security_groups") or ())),
        port_security_enabled=secure,
        allowed_address_pairs=tuple(sorted(pairs, key=lambda p: (p.ip_address, p.mac_address or ""))),
        device_id=entry.get("device_id") or "",
        device_owner=entry.get("device_owner") or "",
        role=own_role(entry.get("device_owner") or "", entry.get("device_id") or ""),
        dns_name=entry.get("dns_name") or "",
        vnic_type=entry.get("binding:vnic_type") or "normal",
        extra_dhcp_opts=tuple(sorted(options, key=lambda o: (o.name, o.ip_version))),
        qos_policy_id=entry.get("qos_policy_id"),
        status=entry.get("status") or "",
    )


def _floating_ip(entry: Json) -> FloatingIp:
    return FloatingIp(
        **_base(entry),
        address=entry["floating_ip_address"],
        external_network_id=entry["floating_network_id"],
        port_id=entry.get("port_id"),
        fixed_ip_address=entry.get("fixed_ip_address"),
        qos_policy_id=entry.get("qos_policy_id"),
        status=entry.get("status") or "",
    )


def _address_group(entry: Told) -> AddressGroup:
    base = _base(entry)
    if base["tags"]:
        entry.lose("tags", LOST)
    return AddressGroup(
        id=base["id"],
        name=base["name"],
        marker=base["marker"],
        description=base["description"],
        addresses=tuple(sorted(entry.get("addresses") or ())),
    )


def _security_group(entry: Json) -> SecurityGroup:
    return SecurityGroup(**_base(entry), stateful=entry.get("stateful", True))


def _rule(entry: Json) -> SecurityGroupRule:
    return SecurityGroupRule(
        id=entry["id"],
        description=entry.get("description") or "",
        **{field: entry.get(field) for field in _RULE_IDENTITY},
    )


_MODELS: Mapping[Kind, Callable[[Told], Resource]] = {
    Kind.NETWORK: _network,
    Kind.SUBNET: _subnet,
    Kind.ROUTER: _router,
    Kind.FLOATING_IP: _floating_ip,
    Kind.ADDRESS_GROUP: _address_group,
    Kind.SECURITY_GROUP: _security_group,
    Kind.SECURITY_GROUP_RULE: _rule,
}


# --- model to the body of a POST


def _network_body(wish: Network) -> Json:
    """Without its MTU: what Neutron gives by itself is its largest, and a larger one is refused with the whole network."""
    body: Json = {
        "name": wish.name,
        "description": wish.description,
        "admin_state_up": wish.admin_state_up,
        "port_security_enabled": wish.port_security_enabled,
    }
    return body | _some(
        **{
            "shared": wish.shared,
            "router:external": wish.external,
            "dns_domain": wish.dns_domain,
            "availability_zone_hints": list(wish.availability_zone_hints),
            "qos_policy_id": wish.qos_policy_id,
            "vlan_transparent": wish.vlan_transparent,
        }
    )


def _pools(wish: Subnet) -> list[Json]:
    return [p.model_dump() for p in wish.allocation_pools]


def _subnet_body(wish: Subnet) -> Json:
    body: Json = {
        "name": wish.name,
        "description": wish.description,
        "network_id": wish.network_id,
        "ip_version": wish.ip_version,
        "cidr": wish.cidr,
        "gateway_ip": wish.gateway_ip,
        "enable_dhcp": wish.enable_dhcp,
        "allocation_pools": _pools(wish),
        "dns_nameservers": list(wish.dns_nameservers),
        "host_routes": [r.model_dump() for r in wish.host_routes],
    }
    return body | _some(
        ipv6_address_mode=wish.ipv6_address_mode,
        ipv6_ra_mode=wish.ipv6_ra_mode,
        service_types=list(wish.service_types),
        dns_publish_fixed_ip=wish.dns_publish_fixed_ip,
    )


def _router_body(wish: Router) -> Json:
    body: Json = {
        "name": wish.name,
        "description": wish.description,
        "admin_state_up": wish.admin_state_up,
    }
    if wish.external_network_id:
        gateway: Json = {"network_id": wish.external_network_id}
        if wish.enable_snat is False:
            gateway["enable_snat"] = False
        body["external_gateway_info"] = gateway
    return body | _some(availability_zone_hints=list(wish.availability_zone_hints))


def _floating_ip_body(wish: FloatingIp) -> Json:
    body: Json = {"floating_network_id": wish.external_network_id, "description": wish.description}
    return body | _some(port_id=wish.port_id, fixed_ip_address=wish.fixed_ip_address if wish.port_id else None)


def _security_group_body(wish: SecurityGroup) -> Json:
    body: Json = {"name": wish.name, "description": wish.description}
    return body | ({} if wish.stateful else {"stateful": False})


_BODIES: Mapping[Kind, Callable[[Any], Json]] = {
    Kind.NETWORK: _network_body,
    Kind.SUBNET: _subnet_body,
    Kind.ROUTER: _router_body,
    Kind.FLOATING_IP: _floating_ip_body,
    Kind.SECURITY_GROUP: _security_group_body,
}
