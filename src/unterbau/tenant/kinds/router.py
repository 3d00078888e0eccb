# SPDX-License-Identifier: Apache-2.0
"""Routers and their legs (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import JsonValue

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Entry, Guests
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.network import AUTO_MODES, IN_ZONES, NOT_CARRIED, Route, Subnet, zones
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, carried, changed, chosen, ignored, left
from unterbau.tenant.kinds.port import FixedIp, same_address
from unterbau.verdict import Reason, Words, joined, later

if TYPE_CHECKING:
    from unterbau.tenant.kinds.origin import Source


class Router(ResourceBase):
    """A router. `external_network_id` is a network of the provider (see `Offering.external_networks`)."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#routers-routers", quota=("network", "router"), counted=True,
        marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["router"] = "router"
    description: Annotated[str, carried()] = ""
    admin_state_up: Annotated[bool, carried(opens=[Opened.SWITCHED_ON])] = True
    external_network_id: Annotated[
        str | None,
        chosen("a network of the provider: that of the same name, or as a person chooses; whether there is one is compared",
               opens=[Opened.GATEWAY]),
    ] = None  # fmt: skip
    external_fixed_ips: Annotated[tuple[str, ...], chosen("the target chooses its public address")] = ()
    enable_snat: Annotated[
        bool | None,
        changed("there is no gateway, or only an admin may switch SNAT off", replaced=False, opens=[Opened.SNAT]),
    ] = None
    gateway_qos_policy_id: Annotated[str | None, left(NOT_CARRIED)] = later(None)
    routes: Annotated[
        tuple[Route, ...],
        changed(
            "a next hop is on no network that goes with it", replaced=False, unordered=True, opens=[Opened.CONNECTED]
        ),
    ] = ()
    distributed: Annotated[bool | None, carried(member=False)] = None
    ha: Annotated[bool | None, carried(member=False)] = None
    availability_zone_hints: Annotated[tuple[str, ...], IN_ZONES] = ()
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()

    def rehearsed(self, guests: Guests, side: Side) -> Self:
        """Without its gateway, if guests are confined; with the routes to next hops on its legs' own networks."""
        if guests is not Guests.CONFINED:
            return self
        legs = [ip_network(s.cidr) for leg in self.held_by(side.relations) for s in _subnets(leg, side)]
        near = tuple(r for r in self.routes if any(ip_address(r.nexthop) in cidr for cidr in legs))
        update = {"external_network_id": None, "external_fixed_ips": (), "enable_snat": None, "routes": near}
        return self.model_copy(update=update)

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"router {self.name}"

    def denied(self) -> str:
        """Only an administrator switches SNAT off."""
        return "a member cannot switch SNAT off" if self.external_network_id and self.enable_snat is False else ""

    def born(self, origin: Source, number: int) -> Self:
        """Without routes, whose next hops need its legs; how it is built is neither a member's to say nor to see."""
        out = self.external_network_id is not None
        told = {
            "enable_snat": True if out else None,
            "external_fixed_ips": (f"203.0.113.{number % 250}",) if out else (),
        }
        return self.model_copy(update={"routes": (), "distributed": None, "ha": None, **told})

    def belongings(self, side: Side, key: Key) -> list[str]:
        """The addresses of its legs."""
        legs = (side.by_ref[r] for r in self.held_by(side.relations))
        return [ip.ip_address for leg in legs if isinstance(leg, RouterInterface) for ip in leg.fixed_ips]

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """Also whether it leads out."""
        return {**super().facts(side, key), "has_gateway": self.external_network_id is not None}

    def translated(self, translate: Mapping[str, str], projects: tuple[str, str]) -> Self:
        """With the target's external network."""
        if not self.external_network_id:
            return self
        return self.model_copy(
            update={"external_network_id": translate.get(f"external_network:{self.external_network_id}")}
        )

    def fate(self, ground: Ground) -> Entry:
        """Carried; without its gateway if the target has no such network."""
        changes = zones(ground, self.availability_zone_hints)
        external = self.external_network_id
        notes: list[Words] = []
        remedy: Words = ""
        if external is not None:
            found = ground.external(external)
            if found is None:
                why, remedy = ground.no_external(external)
                why = Reason.of("plan.router.no-gateway", why=why)
                changes.append(Change(field="external_network_id", was=external, to=None, why=why))
                if self.enable_snat is not None:
                    why = Reason.of("plan.router.no-snat")
                    changes.append(Change(field="enable_snat", was=self.enable_snat, to=None, why=why))
            else:
                why = Reason.of("plan.router.address")
                changes.append(Change(field="external_fixed_ips", was=list(self.external_fixed_ips),
                                      chosen_by_target=True, why=why))  # fmt: skip
                notes = ground.another(external, found)
                if self.enable_snat is False and "admin" not in ground.target.identity.roles:
                    why = Reason.of("plan.router.snat")
                    changes.append(Change(field="enable_snat", was=False, to=True, why=why))
                    remedy = Reason.of("do.snat-off", change="external_network_id: null")
        changes += self._routes_lost(ground.source)
        entry = self.carry(ground, *changes, why=joined([*(c.why for c in changes), *notes]))
        return entry.model_copy(update={"remedy": remedy})

    def alone(self) -> Iterator[tuple[str, str, int]]:
        """Its routes."""
        yield "network", "router_route", len(self.routes)

    def _routes_lost(self, side: Side) -> list[Change]:
        """Neutron takes a route only if a leg, or the gateway, is on the network of its next hop."""
        near = [ip_network(s.cidr, strict=False) for leg in self.held_by(side.relations) for s in _subnets(leg, side)]
        kept = [r for r in self.routes if any(ip_address(r.nexthop) in cidr for cidr in near)]
        if len(kept) == len(self.routes):
            return []
        gone = [f"{r.destination} via {r.nexthop}" for r in self.routes if r not in kept]
        was, to = ([r.model_dump() for r in routes] for routes in (self.routes, kept))
        return [Change(field="routes", was=was, to=to, why=Reason.of("plan.router.routes", routes=gone))]

    def extensions(self) -> Iterator[str]:
        """See `ResourceBase`."""
        if self.routes:
            yield "extraroute"
        if self.enable_snat is False:
            yield "ext-gw-mode"
        if self.tags:
            yield "standard-attr-tag"

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """Also its legs."""
        return [*super().upheld(relations, itself), *self.held_by(relations)]

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its routes go first, since they hold its legs."""
        return {"routes": ()} if self.ref in gone else {}

    BONDS = "routes of "

    def unbound(self) -> Self | None:
        """Without its routes."""
        return self.model_copy(update={"routes": ()})

    def bound(self, wish: ResourceBase) -> Self:
        """With its routes."""
        return self.model_copy(update={"routes": getattr(wish, "routes", ())})

    def bonds(self) -> int:
        """Its routes."""
        return len(self.routes)

    def held_by(self, relations: Relations) -> list[Ref]:
        """Its legs."""
        return relations.naming(Kind.ROUTER_INTERFACE, "router_id", self.id)


def _subnets(leg: Ref, side: Side) -> list[Subnet]:
    """The project's own subnets on which a leg stands."""
    there = side.by_ref.get(leg)
    ips = there.fixed_ips if isinstance(there, RouterInterface) else ()
    found = (side.by_ref.get(ref(Kind.SUBNET, ip.subnet_id)) for ip in ips)
    return [s for s in found if isinstance(s, Subnet)]


class RouterInterface(ResourceBase):
    """A leg of a router: the router's port on a network (id = that port's id)."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#add-interface-to-router", quota=("network", "port"),
        counted=True, marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    HALF_MADE = (Kind.PORT,)
    kind: Literal["router_interface"] = "router_interface"
    router_id: Annotated[str, carried(refers=Kind.ROUTER, own=True, opens=[Opened.CONNECTED])]
    network_id: Annotated[str, carried(refers=Kind.NETWORK, opens=[Opened.CONNECTED])]
    fixed_ips: Annotated[tuple[FixedIp, ...], carried(refers=Kind.SUBNET, within="subnet_id", unordered=True)]
    mac_address: Annotated[str | None, ignored("nothing of the tenant's depends on the MAC address of a gateway")] = (
        None
    )
    description: Annotated[str, carried()] = later("")
    qos_policy_id: Annotated[str | None, left(NOT_CARRIED)] = later(None)
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = later(())

    def speaks_for(self) -> Iterator[str]:
        """Its own."""
        yield from (ip.ip_address for ip in self.fixed_ips)

    def called(self) -> str:
        """Its addresses."""
        return ", ".join(ip.ip_address for ip in self.fixed_ips)

    def natural_key(self, key: Key) -> str:
        """Its addresses, and its router."""
        ips = ",".join(ip.ip_address for ip in self.fixed_ips)
        return f"leg {ips} of {key(ref(Kind.ROUTER, self.router_id))}"

    def fate(self, ground: Ground) -> Entry:
        """Carried, unless it stands on another's network."""
        network = ref(Kind.NETWORK, self.network_id)
        if network not in ground.source.by_ref:
            return self.leave(Reason.of("plan.port.foreign", network=network), Reason.of("do.connect"))
        return self.carry(ground)

    def after(self, side: Side) -> list[Ref]:
        """On a SLAAC subnet: its router's other legs there. Until they are legs they have an address of that subnet (Neutron)."""
        if not any(subnet.ipv6_address_mode in AUTO_MODES for subnet in _subnets(self.ref, side)):
            return []
        legs = side.relations.naming(Kind.ROUTER_INTERFACE, "router_id", self.router_id)
        there = (side.by_ref[leg] for leg in legs)
        return [
            leg.ref for leg in there if isinstance(leg, RouterInterface) and leg.network_id == self.network_id
            and not any(s.ipv6_address_mode in AUTO_MODES for s in _subnets(leg.ref, side))
        ]  # fmt: skip

    def planned(self, new_id: Callable[[Ref], str | None], target: Side) -> Self | None:
        """Not without one of its ends."""
        moved = self.with_ids(new_id)
        return moved if moved.router_id and moved.network_id else None

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """An address of another leg."""
        return isinstance(there, RouterInterface) and same_address(self.fixed_ips, there.fixed_ips)
