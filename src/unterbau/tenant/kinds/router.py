# SPDX-License-Identifier: Apache-2.0
"""Routers and their legs (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Self

from unterbau.tenant.kinds.base import Kind, Ref, ResourceBase
from unterbau.tenant.kinds.network import Route
from unterbau.tenant.kinds.port import FixedIp, moved_ips, subnets_of


class Router(ResourceBase):
    """A router. `external_network_id` is a network of the provider (see `Offering.external_networks`)."""

    VOLATILE = frozenset({"id", "external_network_id", "external_fixed_ips"})
    kind: Literal["router"] = "router"
    description: str = ""
    admin_state_up: bool = True
    external_network_id: str | None = None
    external_fixed_ips: tuple[str, ...] = ()
    enable_snat: bool | None = None
    routes: tuple[Route, ...] = ()
    distributed: bool | None = None
    ha: bool | None = None
    availability_zone_hints: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class RouterInterface(ResourceBase):
    """A leg of a router: the router's port on a network (id = that port's id)."""

    REFERS = {"router_id": Kind.ROUTER, "network_id": Kind.NETWORK}
    OWN = frozenset({"router_id"})
    VOLATILE = frozenset({"id", "mac_address"})
    kind: Literal["router_interface"] = "router_interface"
    router_id: str
    network_id: str
    fixed_ips: tuple[FixedIp, ...]
    mac_address: str | None = None

    def references(self) -> tuple[Ref, ...]:
        """Router, network, and the subnets of its addresses."""
        return (*super().references(), *subnets_of(self.fixed_ips))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """Also the subnets of its addresses."""
        yield from super().ties()
        yield from (("fixed_ips", subnet, False) for subnet in subnets_of(self.fixed_ips))

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Also rewrites the subnets of the addresses."""
        moved = super().with_ids(new_id)
        return moved.model_copy(update={"fixed_ips": moved_ips(self.fixed_ips, new_id)})
