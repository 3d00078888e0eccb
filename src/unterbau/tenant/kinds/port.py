# SPDX-License-Identifier: Apache-2.0
"""Ports (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import model_validator

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Entry, Guests
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.network import NOT_CARRIED
from unterbau.tenant.kinds.policy import (
    TRAFFIC,
    Content,
    Known,
    Mark,
    Opened,
    carried,
    ignored,
    left,
)
from unterbau.verdict import Model, Reason, later

if TYPE_CHECKING:
    from unterbau.tenant.kinds.origin import Source


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


OF_THE_CLOUD = ("network:", "compute:", "neutron:", "trunk:", "baremetal:", "octavia", "Octavia")
"""How the owners begin that a cloud's own services write."""


def own_role(device_owner: str, device_id: str) -> str:
    """What of a port's `device_owner` is its user's own word: services bind a port, and name what to."""
    return "" if device_id or device_owner.startswith(OF_THE_CLOUD) else device_owner


def same_address(one: Iterable[FixedIp], other: Iterable[FixedIp]) -> bool:
    """Whether they have an address in common."""
    return bool(set(one) & set(other))


class Port(ResourceBase):
    """A port that the project made or that a server uses; never a router's or a DHCP port.

    `device_id` is the server's id if `device_owner` starts with `compute:`. It is not compared: the
    server's `port_ids` are.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#ports", quota=("network", "port"), counted=True,
        marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["port"] = "port"
    description: Annotated[str, carried()] = ""
    network_id: Annotated[str, carried(refers=Kind.NETWORK, opens=[Opened.ATTACHED])]
    fixed_ips: Annotated[
        tuple[FixedIp, ...],
        carried(refers=Kind.SUBNET, within="subnet_id", unordered=True),
    ] = ()
    mac_address: Annotated[str, carried()]
    admin_state_up: Annotated[bool, carried(opens=[Opened.SWITCHED_ON])] = True
    security_group_ids: Annotated[
        tuple[str, ...],
        carried(refers=Kind.SECURITY_GROUP, own=True, unordered=True, opens=[*TRAFFIC, Opened.REPLIES]),
    ] = ()
    port_security_enabled: Annotated[bool, carried(opens=[Opened.PORT_SECURITY])] = True
    allowed_address_pairs: Annotated[
        tuple[AddressPair, ...], carried(unordered=True, opens=[Opened.ADDRESS_PAIRS])
    ] = ()
    device_id: Annotated[str, ignored("the server names its ports, in their order")] = ""
    device_owner: Annotated[
        str,
        ignored(
            "the cloud's word for who uses it: a server, which names its ports itself; a word of the user's is `role`"
        ),
    ] = ""
    dns_name: Annotated[str, carried()] = ""
    vnic_type: Annotated[str, carried()] = "normal"
    extra_dhcp_opts: Annotated[tuple[DhcpOption, ...], carried(unordered=True)] = ()
    qos_policy_id: Annotated[str | None, left(NOT_CARRIED)] = None
    role: Annotated[str, carried()] = later("")
    """What its owner wrote as `device_owner` of a port that nothing is bound to (an address that moves between servers)."""
    status: Annotated[str, ignored("it follows from what uses the port", moment=True)] = ""
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()

    @model_validator(mode="after")
    def _closed_ports_have_no_groups(self) -> Self:
        if not self.port_security_enabled and (self.security_group_ids or self.allowed_address_pairs):
            raise ValueError("a port without port security has neither security groups nor address pairs")
        return self

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """Also the server that it belongs to."""
        yield from super().ties()
        yield from (("device_id", server, False) for server, _ in self.claims())

    def speaks_for(self) -> Iterator[str]:
        """Also those that it shares with others, as a virtual IP."""
        yield from (ip.ip_address for ip in self.fixed_ips)
        yield from (pair.ip_address for pair in self.allowed_address_pairs)

    def called(self) -> str:
        """Its name with its addresses."""
        ips = ", ".join(ip.ip_address for ip in self.fixed_ips) or self.mac_address
        return f"{self.name} ({ips})" if self.name else ips

    def natural_key(self, key: Key) -> str:
        """Its name, its addresses and its network; its MAC address where it has no other."""
        ips = ",".join(sorted(ip.ip_address for ip in self.fixed_ips)) or self.mac_address
        return f"port {self.name} {ips} on {key(ref(Kind.NETWORK, self.network_id))}"

    def fate(self, ground: Ground) -> Entry:
        """Carried, unless the cloud made it, or it stands on another's network."""
        if self.device_owner and not self.role and not self.device_owner.startswith("compute:"):
            told = Reason.of("plan.port.used", owner=self.device_owner, device=self.device_id)
            of_the_cloud = self.device_owner.startswith(OF_THE_CLOUD)
            why = Reason.of("plan.port.cloud", owner=self.device_owner) if of_the_cloud else told
            return self.leave(why, Reason.of("do.nothing" if of_the_cloud else "do.connect"))
        foreign = self.foreign(ground)
        if foreign:
            return self.leave(Reason.of("plan.port.foreign", network=foreign[0]), Reason.of("do.connect"))  # fmt: skip
        return self.carry(ground)

    def extensions(self) -> Iterator[str]:
        """See `ResourceBase`."""
        if not self.port_security_enabled:
            yield "port-security"
        if self.allowed_address_pairs:
            yield "allowed-address-pairs"
        if self.extra_dhcp_opts:
            yield "extra_dhcp_opt"
        if self.tags:
            yield "standard-attr-tag"

    def rehearsed(self, guests: Guests, side: Side) -> Self:
        """Switched off, if a guest has it that is to be still. Nova waits for no such port (`_build_vif_model`)."""
        taken = [*self.claims(), *side.relations.naming(Kind.SERVER, "port_ids", self.id)]
        return self.model_copy(update={"admin_state_up": False}) if guests is Guests.STILL and taken else self

    def claims(self) -> Iterator[tuple[Ref, str]]:
        """Its server."""
        if self.device_id and self.device_owner.startswith("compute:"):
            yield ref(Kind.SERVER, self.device_id), "port_ids"

    def under(self, relations: Relations) -> list[Ref]:
        """Also the legs on its network, and the rules of its groups: it is reached as it was until it goes."""
        found = [*super().under(relations), *relations.naming(Kind.ROUTER_INTERFACE, "network_id", self.network_id)]
        for group in self.security_group_ids:
            found += relations.naming(Kind.SECURITY_GROUP_RULE, "security_group_id", group)
        return found

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """Also its public addresses."""
        return [*super().upheld(relations, itself), *relations.naming(Kind.FLOATING_IP, "port_id", self.id)]

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its server's going sets it free."""
        freed = ref(Kind.SERVER, self.device_id or "-") in gone
        return {"device_id": "", "device_owner": "", "dns_name": ""} if freed else {}

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """A MAC address or an address of another one on its network."""
        if not isinstance(there, Port) or self.network_id != there.network_id:
            return False
        return self.mac_address == there.mac_address or same_address(self.fixed_ips, there.fixed_ips)
