# SPDX-License-Identifier: Apache-2.0
"""Floating IPs (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, ref
from unterbau.tenant.kinds.fate import Change, Entry, Guests
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.network import NOT_CARRIED
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, carried, chosen, ignored, left
from unterbau.tenant.kinds.port import Port
from unterbau.tenant.kinds.router import Router, RouterInterface
from unterbau.verdict import Reason, joined, later

if TYPE_CHECKING:
    from datetime import datetime

    from unterbau.tenant.kinds.origin import Source


class FloatingIp(ResourceBase):
    """A public address. A member cannot keep the address in another cloud."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#floating-ips-floatingips", quota=("network", "floatingip"),
        counted=True, marker=Mark.BORN, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["floating_ip"] = "floating_ip"
    description: Annotated[str, carried()] = ""
    address: Annotated[str, chosen("a tenant cannot keep a public address")]
    external_network_id: Annotated[
        str, chosen("a network of the provider: that of the same name, or as a person chooses",
                    opens=[Opened.PUBLIC_ADDRESS])
    ]  # fmt: skip
    port_id: Annotated[str | None, carried(refers=Kind.PORT, opens=[Opened.PUBLIC_ADDRESS])] = None
    fixed_ip_address: Annotated[str | None, carried()] = None
    qos_policy_id: Annotated[str | None, left(NOT_CARRIED)] = later(None)
    status: Annotated[str, ignored("it follows from what uses the address", moment=True)] = ""
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()

    def rehearsed(self, guests: Guests, side: Side) -> Self:
        """For nothing, if guests are confined: there is no router that leads to them from outside."""
        if guests is not Guests.CONFINED:
            return self
        return self.model_copy(update={"port_id": None, "fixed_ip_address": None})

    def called(self) -> str:
        """Its description, or the address it leads to."""
        return self.description or self.fixed_ip_address or "without a description"

    def natural_key(self, key: Key) -> str:
        """Its description, and its port."""
        port = key(ref(Kind.PORT, self.port_id)) if self.port_id else "nothing"
        return f"floating ip {self.description} for {port}"

    def translated(self, translate: Mapping[str, str], projects: tuple[str, str]) -> Self:
        """With the target's external network."""
        if not self.external_network_id:
            return self
        return self.model_copy(
            update={"external_network_id": translate.get(f"external_network:{self.external_network_id}")}
        )

    def fate(self, ground: Ground) -> Entry:
        """Carried, with another address; it needs the legs on its port's network."""
        external = ground.external(self.external_network_id)
        if external is None:
            return self.leave(*ground.no_external(self.external_network_id))
        change = Change(
            field="address", was=self.address, chosen_by_target=True,
            why=Reason.of("plan.floating-ip.address"),
        )  # fmt: skip
        notes = ground.another(self.external_network_id, external)
        return self.carry(ground, change, why=joined([change.why, *notes]), more=self._legs(ground.source.relations))

    def _legs(self, relations: Relations) -> list[Ref]:
        """The legs on its port's network, by which it is reached."""
        port = relations.side.by_ref.get(ref(Kind.PORT, self.port_id or "-"))
        return relations.naming(Kind.ROUTER_INTERFACE, "network_id", port.network_id) if isinstance(port, Port) else []

    def lacks(self, side: Side) -> str:
        """A router on its port's network that leads out."""
        legs = (side.by_ref[leg] for leg in self._legs(side.relations))
        ways = (side.by_ref.get(ref(Kind.ROUTER, leg.router_id)) for leg in legs if isinstance(leg, RouterInterface))
        if not self.port_id or any(isinstance(way, Router) and way.external_network_id for way in ways):
            return ""
        return "the external network is not reachable from the port's subnet"

    def born(self, origin: Source, number: int) -> Self:
        """With an address of the cloud's."""
        return self.model_copy(update={"address": f"198.51.100.{number % 250}"})

    def completed(self, side: Side, at: datetime) -> Self:
        """With the first address of its port, if none was asked for."""
        port = side.by_ref.get(ref(Kind.PORT, self.port_id or "-"))
        ips = getattr(port, "fixed_ips", ())
        if self.port_id is None or self.fixed_ip_address is not None or not ips:
            return self
        return self.model_copy(update={"fixed_ip_address": ips[0].ip_address})

    def under(self, relations: Relations) -> list[Ref]:
        """Also the legs on its port's network."""
        return [*super().under(relations), *self._legs(relations)]

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Its port's going sets it free."""
        freed = ref(Kind.PORT, self.port_id or "-") in gone
        return {"port_id": None, "fixed_ip_address": None} if freed else {}

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """The port of another one."""
        return isinstance(there, FloatingIp) and self.port_id is not None and self.port_id == there.port_id
