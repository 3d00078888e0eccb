# SPDX-License-Identifier: Apache-2.0
"""Networks and subnets (Networking API v2.0). Pure."""

from __future__ import annotations

from typing import Literal

from unterbau.tenant.kinds.base import Kind, ResourceBase
from unterbau.verdict import Model, later


class AllocationPool(Model):
    """Addresses that DHCP may give out, both ends included."""

    start: str
    end: str


class Route(Model):
    """`destination` is a CIDR, `nexthop` an address."""

    destination: str
    nexthop: str


class Network(ResourceBase):
    """A network that the project owns.

    `shared_with` are those to whom an RBAC policy of the project gives it: a project id, `*` for all;
    `external:<project id>` or `external:*` may use it as an external network.
    """

    kind: Literal["network"] = "network"
    description: str = ""
    admin_state_up: bool = True
    mtu: int | None = None
    port_security_enabled: bool = True
    shared: bool = False
    external: bool = False
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()
    qos_policy_id: str | None = None
    vlan_transparent: bool = False
    tags: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = later(())


class Subnet(ResourceBase):
    """A subnet; `gateway_ip` None means that it has no gateway (which must be sent explicitly)."""

    REFERS = {"network_id": Kind.NETWORK}
    kind: Literal["subnet"] = "subnet"
    description: str = ""
    network_id: str
    ip_version: Literal[4, 6]
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool = True
    allocation_pools: tuple[AllocationPool, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None
    service_types: tuple[str, ...] = ()
    dns_publish_fixed_ip: bool = False
    subnetpool_id: str | None = None
    tags: tuple[str, ...] = ()
