# SPDX-License-Identifier: Apache-2.0
"""Security groups, their rules, address groups (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from pydantic import model_validator

from unterbau.tenant.kinds.base import Kind, Ref, ResourceBase
from unterbau.verdict import later


class AddressGroup(ResourceBase):
    """A named set of CIDRs that rules refer to. `shared_with` as for `Network`."""

    kind: Literal["address_group"] = "address_group"
    description: str = ""
    addresses: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = later(())


class SecurityGroup(ResourceBase):
    """A security group; its rules are resources of their own. `is_default` is the project's `default`.

    `shared_with` as for `Network`.
    """

    kind: Literal["security_group"] = "security_group"
    description: str = ""
    stateful: bool = True
    tags: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = later(())

    @property
    def is_default(self) -> bool:
        """Each project has exactly one group named `default`, made by the cloud."""
        return self.name == "default"


class SecurityGroupRule(ResourceBase):
    """One rule. At most one of the three remotes is set; none means any address: never drop a remote."""

    REFERS = {
        "security_group_id": Kind.SECURITY_GROUP,
        "remote_group_id": Kind.SECURITY_GROUP,
        "remote_address_group_id": Kind.ADDRESS_GROUP,
    }
    OWN = frozenset({"security_group_id"})
    kind: Literal["security_group_rule"] = "security_group_rule"
    description: str = ""
    security_group_id: str
    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None

    @model_validator(mode="after")
    def _one_remote(self) -> Self:
        remotes = (self.remote_ip_prefix, self.remote_group_id, self.remote_address_group_id)
        if sum(r is not None for r in remotes) > 1:
            raise ValueError("a rule has at most one remote")
        return self

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """As everywhere, but refuses to lose a remote: a rule without its remote is open to the world."""
        moved = super().with_ids(new_id)
        for field in ("remote_group_id", "remote_address_group_id"):
            if getattr(self, field) is not None and getattr(moved, field) is None:
                raise ValueError(f"{self.ref}: {field} has no counterpart; the rule would open to any address")
        return moved
