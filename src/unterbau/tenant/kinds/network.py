# SPDX-License-Identifier: Apache-2.0
"""Networks and subnets (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Literal, Self

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Check, Entry
from unterbau.tenant.kinds.ground import Ground, Relations, Side, missing
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, Told, carried, changed, left
from unterbau.verdict import Model, Outcome, Reason, later

if TYPE_CHECKING:
    from datetime import datetime

    from unterbau.tenant.kinds.origin import Source

NOT_CARRIED = Reason.of("plan.qos")
IN_ZONES = changed("the target has no such network zone", replaced=True)
"""The policy of zone hints."""
SHARED_WITH = changed(
    "it names projects of the source cloud, which the target does not know", replaced=False, told=Told.ASKED,
    opens=[Opened.SHARED],
)  # fmt: skip
"""The policy of `shared_with`."""


def zones(ground: Ground, hints: tuple[str, ...]) -> list[Change]:
    """The change of zone hints that the target does not know."""
    offered = ground.target.offering.network_zones
    kept = [z for z in hints if z in offered]
    if kept == list(hints):
        return []
    why = Reason.of("plan.network.zone", zones=missing(hints, offered))
    return [Change(field="availability_zone_hints", was=list(hints), to=[*kept], why=why)]


def unshared(shared_with: tuple[str, ...]) -> list[Change]:
    """RBAC policies name projects of the source cloud: what they gave stays shut."""
    if not shared_with:
        return []
    why = Reason.of("plan.shared", count=len(shared_with))
    return [Change(field="shared_with", was=list(shared_with), to=[], why=why)]


class AllocationPool(Model):
    """Addresses that DHCP may give out, both ends included."""

    start: str
    end: str


class Route(Model):
    """`destination` is a CIDR, `nexthop` an address."""

    destination: str
    nexthop: str


USUAL_MTU = 1450
"""Bytes: what a cloud with VXLAN gives a network that asks for none, and no more to one that asks for more."""


class Network(ResourceBase):
    """A network that the project owns.

    `shared_with` are those to whom an RBAC policy of the project gives it: a project id, `*` for all;
    `external:<project id>` or `external:*` may use it as an external network.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#networks", quota=("network", "network"), counted=True,
        marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["network"] = "network"
    description: Annotated[str, carried()] = ""
    admin_state_up: Annotated[bool, carried(opens=[Opened.SWITCHED_ON])] = True
    mtu: Annotated[int | None, carried()] = None
    """Bytes. Nobody can tell one that was chosen from the largest of its cloud; a smaller largest is the target's to give."""
    port_security_enabled: Annotated[bool, carried(opens=[Opened.PORT_SECURITY])] = True
    shared: Annotated[bool, changed("a tenant cannot share a network", replaced=False, opens=[Opened.SHARED])] = False
    external: Annotated[
        bool, changed("a tenant cannot make a network external", replaced=False, opens=[Opened.SHARED])
    ] = False
    dns_domain: Annotated[str, carried()] = ""
    availability_zone_hints: Annotated[tuple[str, ...], IN_ZONES] = ()
    qos_policy_id: Annotated[str | None, left(NOT_CARRIED)] = None
    vlan_transparent: Annotated[bool, carried()] = False
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()
    shared_with: Annotated[tuple[str, ...], SHARED_WITH] = later(())

    def brings(self) -> Iterator[tuple[str, str, int]]:
        """The port of its DHCP agent, or of OVN's metadata agent: both are the project's."""
        yield "network", "port", 1

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"network {self.name}"

    def belongings(self, side: Side, key: Key) -> list[str]:
        """Its subnets."""
        subnets = (side.by_ref[r] for r in side.relations.naming(Kind.SUBNET, "network_id", self.id))
        return [s.cidr for s in subnets if isinstance(s, Subnet)]

    def fate(self, ground: Ground) -> Entry:
        """Carried, and private."""
        changes = []
        if self.shared:
            why = Reason.of("plan.network.private")
            changes.append(Change(field="shared", was=True, to=False, why=why))
        if self.external:
            why = Reason.of("plan.network.internal")
            changes.append(Change(field="external", was=True, to=False, why=why))
        changes += unshared(self.shared_with)
        return self.carry(ground, *changes, *zones(ground, self.availability_zone_hints))

    def denied(self) -> str:
        """A member shares none with everybody and makes none external."""
        return "a member cannot share it or make it external" if self.shared or self.external else ""

    def completed(self, side: Side, at: datetime) -> Self:
        """With an MTU, and never one that is larger than the largest."""
        return self.model_copy(update={"mtu": min(self.mtu or USUAL_MTU, USUAL_MTU)})

    def at_most(self, there: ResourceBase) -> frozenset[str]:
        """Its MTU."""
        less = isinstance(there, Network) and self.mtu and there.mtu and there.mtu < self.mtu
        return frozenset({"mtu"} if less else ())

    def extensions(self) -> Iterator[str]:
        """See `ResourceBase`."""
        if not self.port_security_enabled:
            yield "port-security"
        if self.dns_domain:
            yield "dns-integration"
        if self.vlan_transparent:
            yield "vlan-transparent"
        if self.tags:
            yield "standard-attr-tag"

    def elsewhere(self, project_id: str) -> bool:
        """One that another project shares, or the provider's."""
        return self.shared or self.external

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """Also its subnets."""
        return [*super().upheld(relations, itself), *relations.naming(Kind.SUBNET, "network_id", self.id)]


AUTO_MODES = frozenset({"slaac", "dhcpv6-stateless"})
"""IPv6 address modes of subnets of which every port of the network has an address that follows from its MAC, but for routers' legs."""


class Subnet(ResourceBase):
    """A subnet; `gateway_ip` None means that it has no gateway (which must be sent explicitly)."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#subnets", quota=("network", "subnet"), counted=True,
        marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["subnet"] = "subnet"
    description: Annotated[str, carried()] = ""
    network_id: Annotated[str, carried(refers=Kind.NETWORK)]
    ip_version: Annotated[Literal[4, 6], carried()]
    cidr: Annotated[str, carried()]
    gateway_ip: Annotated[str | None, carried()]
    enable_dhcp: Annotated[bool, carried()] = True
    allocation_pools: Annotated[tuple[AllocationPool, ...], carried(unordered=True)] = ()
    dns_nameservers: Annotated[tuple[str, ...], carried()] = ()
    host_routes: Annotated[tuple[Route, ...], carried(unordered=True)] = ()
    ipv6_address_mode: Annotated[str | None, carried()] = None
    ipv6_ra_mode: Annotated[str | None, carried()] = None
    service_types: Annotated[tuple[str, ...], carried()] = ()
    dns_publish_fixed_ip: Annotated[bool, carried()] = False
    subnetpool_id: Annotated[str | None, left(Reason.of("plan.subnet.pool"))] = None
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()

    def natural_key(self, key: Key) -> str:
        """Its addresses, and its network."""
        return f"subnet {self.cidr} of {key(ref(Kind.NETWORK, self.network_id))}"

    def fate(self, ground: Ground) -> Entry:
        """Carried."""
        return self.carry(ground)

    @classmethod
    def checks(cls, ground: Ground) -> Iterator[Check]:
        """Whether addresses of the target overlap."""
        theirs = [ip_network(s.cidr, strict=False) for s in ground.target.of(Subnet)]
        overlaps = [
            s.cidr for s in ground.source.of(Subnet)
            if any(t.version == s.ip_version and t.overlaps(ip_network(s.cidr, strict=False)) for t in theirs)
        ]  # fmt: skip
        text = Reason.of("check.overlap", subnets=[*overlaps]) if overlaps else Reason.of("check.no-overlap")
        yield Check(name="addresses", outcome=Outcome.FAILED if overlaps else Outcome.HELD, text=text)

    def extensions(self) -> Iterator[str]:
        """See `ResourceBase`."""
        if self.service_types:
            yield "subnet-service-types"
        if self.dns_publish_fixed_ip:
            yield "subnet-dns-publish-fixed-ip"
        if self.tags:
            yield "standard-attr-tag"

    def elsewhere(self, project_id: str) -> Ref:
        """It is where its network is."""
        return ref(Kind.NETWORK, self.network_id)

    BONDS = "pools of "

    def at_first(self, side: Side) -> Self:
        """With pools that lack the addresses of the tenant's things.

        As soon as it is there the cloud takes an address for itself (DHCP, metadata, SNAT of a distributed router), any that is free.
        """
        if self.ipv6_address_mode in AUTO_MODES:
            return self
        hangs = (side.by_ref[r] for r in self.held_by(side.relations))
        pools = tuple(_without(self.allocation_pools, (a for one in hangs for a in one.speaks_for())))
        return self if pools == self.allocation_pools else self.model_copy(update={"allocation_pools": pools})

    def bound(self, wish: ResourceBase) -> Self:
        """With its pools."""
        return self.model_copy(update={"allocation_pools": getattr(wish, "allocation_pools", ())})

    def held_by(self, relations: Relations) -> list[Ref]:
        """What has addresses on its network."""
        return [
            one for kind in (Kind.PORT, Kind.ROUTER_INTERFACE) for one in relations.naming(kind, "network_id", self.network_id)
        ]  # fmt: skip

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """The same addresses on the same network."""
        return isinstance(there, Subnet) and (there.network_id, there.cidr) == (self.network_id, self.cidr)


def _without(pools: tuple[AllocationPool, ...], addresses: Iterable[str]) -> Iterator[AllocationPool]:
    """What is left of them."""
    alone = {address for a in addresses if (address := _alone(a)) is not None}
    taken = sorted(alone, key=lambda a: (a.version, int(a)))
    for pool in pools:
        start, end = ip_address(pool.start), ip_address(pool.end)
        for address in taken:
            if address.version != start.version or not int(start) <= int(address) <= int(end):
                continue
            if int(start) < int(address):
                yield AllocationPool(start=str(start), end=str(address - 1))
            if address == end:
                break
            start = address + 1
        else:
            yield AllocationPool(start=str(start), end=str(end))


def _alone(text: str) -> IPv4Address | IPv6Address | None:
    """The address that it is; None for a CIDR of several, which names no one's own, and for what is no address."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return network.network_address if network.num_addresses == 1 else None
