# SPDX-License-Identifier: Apache-2.0
"""Security groups, their rules, address groups (Networking API v2.0). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import JsonValue, model_validator

from unterbau import canonical
from unterbau.tenant.kinds.base import Key, Kind, Ref, ResourceBase, id_of, ref
from unterbau.tenant.kinds.fate import Change, Entry
from unterbau.tenant.kinds.ground import Ground, Relations, Side
from unterbau.tenant.kinds.network import SHARED_WITH, unshared
from unterbau.tenant.kinds.policy import TRAFFIC, Content, Known, Mark, Opened, carried
from unterbau.verdict import Reason, Words, later

if TYPE_CHECKING:
    from datetime import datetime

    from unterbau.tenant.kinds.origin import Source


class AddressGroup(ResourceBase):
    """A named set of CIDRs that rules refer to. `shared_with` as for `Network`."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#address-groups", quota=None, counted=False,
        marker=Mark.BRIEFLY, content=Content.NONE, id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["address_group"] = "address_group"
    description: Annotated[str, carried()] = ""
    addresses: Annotated[tuple[str, ...], carried(unordered=True, opens=TRAFFIC)] = ()
    shared_with: Annotated[tuple[str, ...], SHARED_WITH] = later(())

    BONDS = "description of "

    def at_first(self, side: Side) -> Self:
        """With the marker where its description will be."""
        return self.model_copy()

    def bound(self, wish: ResourceBase) -> Self:
        """With its description, and no marker."""
        return self.model_copy(update={"description": getattr(wish, "description", ""), "marker": None})

    def unfit(self, at: datetime) -> str:
        """Its addresses are networks."""
        alone = [a for a in self.addresses if "/" not in a]
        return super().unfit(at) or (f"{alone[0]} is no network" if alone else "")

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"address_group {self.name}"

    def fate(self, ground: Ground) -> Entry:
        """Carried, and private."""
        return self.carry(ground, *unshared(self.shared_with))

    def extensions(self) -> Iterator[str]:
        """See `ResourceBase`."""
        yield "address-group"


class SecurityGroup(ResourceBase):
    """A security group; its rules are resources of their own. `is_default` is the project's `default`.

    `shared_with` as for `Network`.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#security-groups-security-groups",
        quota=("network", "security_group"), counted=True, marker=Mark.BORN, content=Content.NONE, id_is_name=False,
        personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["security_group"] = "security_group"
    description: Annotated[str, carried()] = ""
    stateful: Annotated[bool, carried(opens=[Opened.REPLIES])] = True
    tags: Annotated[tuple[str, ...], carried(unordered=True)] = ()
    shared_with: Annotated[tuple[str, ...], SHARED_WITH] = later(())

    @property
    def is_default(self) -> bool:
        """Each project has exactly one group named `default`, made by the cloud."""
        return self.name == "default"

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"security_group {self.name}"

    def belongings(self, side: Side, key: Key) -> list[str]:
        """Its rules."""
        update = {"id": "-", "security_group_id": "-", "remote_group_id": None}
        return [rule.model_copy(update=update).model_dump_json() for rule in _rules_of(side, self.id)]

    def from_birth(self, side: Side) -> Words:
        """The group `default`."""
        return Reason.of("close.from-birth") if self.is_default else ""

    def fate(self, ground: Ground) -> Entry:
        """Carried; the group `default` stands for the target's if both mean the same."""
        twin = ground.once(_default_group).get(self.ref)
        if twin is not None:
            return self.carry(ground, *unshared(self.shared_with)).model_copy(update={"stands_in": twin})
        if self.is_default:
            name = f"default-{ground.source.identity.project_name}"
            why = Reason.of("plan.group.default")
            return self.carry(
                ground, Change(field="name", was="default", to=name, why=why), *unshared(self.shared_with)
            )
        return self.carry(ground, *unshared(self.shared_with))

    def extensions(self) -> Iterator[str]:
        """See `ResourceBase`."""
        if not self.stateful:
            yield "stateful-security-group"
        if self.tags:
            yield "standard-attr-tag"

    def born_with(self) -> tuple[Kind, str] | None:
        """The group `default` is made with rules, so they may have been listed just before."""
        return (Kind.SECURITY_GROUP_RULE, "security_group_id") if self.is_default else None

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """Also its rules."""
        rules = relations.naming(Kind.SECURITY_GROUP_RULE, "security_group_id", self.id)
        return [*super().upheld(relations, itself), *rules]

    def along(self, side: Side) -> list[Ref]:
        """Its rules."""
        return side.relations.naming(Kind.SECURITY_GROUP_RULE, "security_group_id", self.id)

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """The place of the group `default`."""
        return isinstance(there, SecurityGroup) and self.is_default and there.is_default


class SecurityGroupRule(ResourceBase):
    """One rule. At most one of the three remotes is set; none means any address: never drop a remote."""

    KNOWN = Known(
        api="https://docs.openstack.org/api-ref/network/v2/#security-group-rules-security-group-rules",
        quota=("network", "security_group_rule"), counted=True, marker=Mark.UNIQUE, content=Content.NONE,
        id_is_name=False, personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["security_group_rule"] = "security_group_rule"
    description: Annotated[str, carried()] = ""
    security_group_id: Annotated[str, carried(refers=Kind.SECURITY_GROUP, own=True, holds=False, opens=TRAFFIC)]
    direction: Annotated[Literal["ingress", "egress"], carried(opens=TRAFFIC)]
    ethertype: Annotated[Literal["IPv4", "IPv6"], carried(opens=TRAFFIC)]
    protocol: Annotated[str | None, carried(opens=TRAFFIC)] = None
    port_range_min: Annotated[int | None, carried(opens=TRAFFIC)] = None
    port_range_max: Annotated[int | None, carried(opens=TRAFFIC)] = None
    remote_ip_prefix: Annotated[str | None, carried(opens=TRAFFIC)] = None
    remote_group_id: Annotated[str | None, carried(refers=Kind.SECURITY_GROUP, holds=False, opens=TRAFFIC)] = None
    remote_address_group_id: Annotated[str | None, carried(refers=Kind.ADDRESS_GROUP, opens=TRAFFIC)] = None

    @model_validator(mode="after")
    def _one_remote(self) -> Self:
        remotes = (self.remote_ip_prefix, self.remote_group_id, self.remote_address_group_id)
        if sum(r is not None for r in remotes) > 1:
            raise ValueError("a rule has at most one remote")
        return self

    def within(self) -> Ref:
        """Its group."""
        return ref(Kind.SECURITY_GROUP, self.security_group_id)

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """As everywhere, but refuses to lose a remote: a rule without its remote is open to the world."""
        moved = super().with_ids(new_id)
        for field in ("remote_group_id", "remote_address_group_id"):
            if getattr(self, field) is not None and getattr(moved, field) is None:
                raise ValueError(f"{self.ref}: {field} has no counterpart; the rule would open to any address")
        return moved

    def natural_key(self, key: Key) -> str:
        """All that it says but its description."""
        plain: dict[str, JsonValue] = self.model_dump(
            mode="json", exclude={"id", "name", "marker", "kind", "description"}
        )
        for field, kind in self.REFERS.items():
            if plain[field]:
                plain[field] = key(ref(kind, str(plain[field])))
        return "rule " + canonical.canonical_bytes(plain).decode()

    def from_birth(self, side: Side) -> Words:
        """A rule of the group `default`."""
        group = side.by_ref.get(ref(Kind.SECURITY_GROUP, self.security_group_id))
        return Reason.of("close.default-group") if isinstance(group, SecurityGroup) and group.is_default else ""

    def fate(self, ground: Ground) -> Entry:
        """Carried, unless its remote is not there: without it the rule would open."""
        twin = ground.once(_default_group).get(self.ref)
        if twin is not None:
            return self.carry(ground).model_copy(update={"stands_in": twin})
        foreign = self.foreign(ground)
        if foreign:
            return self.leave(Reason.of("plan.rule.foreign", thing=foreign[0]), Reason.of("do.rule-with-remote"))
        return self.carry(ground)

    def planned(self, new_id: Callable[[Ref], str | None], target: Side) -> Self | None:
        """A rule that would lose its remote: the move refuses it; until then it counts as open."""
        try:
            return self.with_ids(new_id)
        except ValueError:
            group = new_id(ref(Kind.SECURITY_GROUP, self.security_group_id)) or "-"
            update = {"security_group_id": group, "remote_group_id": None, "remote_address_group_id": None}
            return self.model_copy(update=update)

    def meaning(self) -> tuple[object, ...]:
        """What it lets through, the same for the same rule of another group `default`."""
        remote = "self" if self.remote_group_id == self.security_group_id else self.remote_group_id
        return (self.direction, self.ethertype, self.protocol, self.port_range_min, self.port_range_max,
                self.remote_ip_prefix, remote, self.remote_address_group_id)  # fmt: skip

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """What it says is said already, whatever the description."""
        return isinstance(there, SecurityGroupRule) and self.alike(
            there.model_copy(update={"description": self.description})
        )


def _default_group(ground: Ground) -> dict[Ref, str]:
    """The source's default group and its rules -> the target's, if both mean the same."""
    ours, left = _default_of(ground.source)
    theirs, right = _default_of(ground.target)
    if ours is None or theirs is None or left.keys() != right.keys():
        return {}
    return {ours: id_of(theirs), **{left[m].ref: right[m].id for m in left}}


def _default_of(side: Side) -> tuple[Ref | None, dict[tuple[object, ...], SecurityGroupRule]]:
    """A side's group `default`, and its rules by their meaning."""
    group = next((g for g in side.of(SecurityGroup) if g.is_default), None)
    if group is None:
        return None, {}
    return group.ref, {r.meaning(): r for r in _rules_of(side, group.id)}


def _rules_of(side: Side, group_id: str) -> list[SecurityGroupRule]:
    found = (side.by_ref[r] for r in side.relations.naming(Kind.SECURITY_GROUP_RULE, "security_group_id", group_id))
    return [r for r in found if isinstance(r, SecurityGroupRule)]


def from_birth(id_: str) -> SecurityGroup:
    """The group that each project has."""
    return SecurityGroup(id=id_, name="default")
