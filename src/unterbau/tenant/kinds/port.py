# SPDX-License-Identifier: Apache-2.0
"""Ports and floating IPs (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Self

from pydantic import model_validator

from unterbau.tenant.kinds.base import Kind, Ref, ResourceBase, ref
from unterbau.verdict import Model


class FixedIp(Model):
    """An address of a port; `subnet_id` is an id of the same cloud."""

    subnet_id: str
    ip_address: str


class AddressPair(Model):
    """Allowed address pair: `ip_address` is an address or CIDR; `mac_address` None means the port's own."""

    ip_address: str
    mac_address: str | None = None


class DhcpOption(Model):
    """Extra DHCP option of a port."""

    name: str
    value: str
    ip_version: int = 4


class Port(ResourceBase):
    """A port that the project made or that a server uses; never a router's or a DHCP port.

    `device_id` is the server's id if `device_owner` starts with `compute:`. It is not compared: the
    server's `port_ids` are.
    """

    REFERS = {"network_id": Kind.NETWORK, "security_group_ids": Kind.SECURITY_GROUP}
    OWN = frozenset({"security_group_ids"})
    VOLATILE = frozenset({"id", "device_id", "device_owner", "status"})
    kind: Literal["port"] = "port"
    description: str = ""
    network_id: str
    fixed_ips: tuple[FixedIp, ...] = ()
    mac_address: str
    admin_state_up: bool = True
    security_group_ids: tuple[str, ...] = ()
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    device_id: str = ""
    device_owner: str = ""
    dns_name: str = ""
    vnic_type: str = "normal"
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    qos_policy_id: str | None = None
    status: str = ""
    tags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _closed_ports_have_no_groups(self) -> Self:
        if not self.port_security_enabled and (self.security_group_ids or self.allowed_address_pairs):
            raise ValueError("a port without port security has neither security groups nor address pairs")
        return self

    def references(self) -> tuple[Ref, ...]:
        """Network, security groups, and the subnets of its addresses."""
        return (*super().references(), *subnets_of(self.fixed_ips))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """Also the subnets of its addresses, and the server that it belongs to."""
        yield from super().ties()
        yield from (("fixed_ips", subnet, False) for subnet in subnets_of(self.fixed_ips))
        if self.device_id and self.device_owner.startswith("compute:"):
            yield "device_id", ref(Kind.SERVER, self.device_id), False

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Also rewrites the subnets of the addresses."""
        moved = super().with_ids(new_id)
        return moved.model_copy(update={"fixed_ips": moved_ips(self.fixed_ips, new_id)})


class FloatingIp(ResourceBase):
    """A public address. A member cannot keep the address in another cloud."""

    REFERS = {"port_id": Kind.PORT}
    VOLATILE = frozenset({"id", "address", "external_network_id", "status"})
    kind: Literal["floating_ip"] = "floating_ip"
    description: str = ""
    address: str
    external_network_id: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    status: str = ""
    tags: tuple[str, ...] = ()


def subnets_of(ips: tuple[FixedIp, ...]) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(ref(Kind.SUBNET, ip.subnet_id) for ip in ips))


def moved_ips(ips: tuple[FixedIp, ...], new_id: Callable[[Ref], str | None]) -> tuple[FixedIp, ...]:
    moved = ((new_id(ref(Kind.SUBNET, ip.subnet_id)), ip.ip_address) for ip in ips)
    return tuple(FixedIp(subnet_id=subnet, ip_address=address) for subnet, address in moved if subnet)
