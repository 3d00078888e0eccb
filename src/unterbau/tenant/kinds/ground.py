# SPDX-License-Identifier: Apache-2.0
"""What kinds are told when they are asked: one side, both sides of a plan, who hangs on whom. Pure.

`Workload` is a `Side`, `switch.planning` makes a `Ground`, each side has its `Relations`. Here, beneath them, so that
kinds need not know a workload.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Container as Holding
from typing import Any, Protocol, TypeVar

from unterbau.tenant.kinds.base import Kind, R, Ref, ResourceBase
from unterbau.tenant.kinds.offering import CloudIdentity, Offering
from unterbau.verdict import Reason, Words

T = TypeVar("T")


class Side(Protocol):
    """A project in one cloud, as a census saw it."""

    @property
    def identity(self) -> CloudIdentity:
        """Which cloud and project it is."""

    @property
    def offering(self) -> Offering:
        """What that cloud offers."""

    @property
    def by_ref(self) -> Mapping[Ref, ResourceBase]:
        """All resources by their Ref."""

    @property
    def reasons(self) -> Mapping[str, Words]:
        """What was not shown -> why."""

    @property
    def relations(self) -> Relations:
        """Who names whom."""

    def of(self, type_: type[R]) -> tuple[R, ...]:
        """The resources of one class."""


class Relations:
    """Who names whom on one side."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._naming: dict[tuple[Kind, str, str], list[Ref]] = defaultdict(list)
        for resource in side.by_ref.values():
            for field in resource.REFERS:
                value = getattr(resource, field)
                for one in value if isinstance(value, tuple) else (value,):
                    if one:
                        self._naming[resource.own_kind, field, one].append(resource.ref)

    def naming(self, kind: Kind, field: str, id_: str) -> list[Ref]:
        """The things of a kind that name this id in that field."""
        return list(self._naming.get((kind, field, id_), ()))

    def under(self, resource: ResourceBase) -> list[Ref]:
        """What must not go before it."""
        return resource.under(self)

    def keep_what_is_needed(self, kept: dict[Ref, Words], gone: Holding[Ref] = ()) -> None:
        """Add to `kept` whatever a kept thing needs, and what that needs; what is `gone` already needs nothing."""
        ahead, own = list(kept), frozenset(kept)
        while ahead:
            reference = ahead.pop()
            resource = self.side.by_ref.get(reference)
            for need in resource.upheld(self, reference in own) if resource is not None else ():
                if need not in kept and need not in gone:
                    kept[need] = Reason.of("close.needed", by=reference)
                    ahead.append(need)


class Ground:
    """The two sides of a plan, what a person chose, and what is found on the way: the target's for the source's things.

    `translate`: `external_network:<id>` -> id and so on (see `Plan.translate`); kinds add to it.
    """

    def __init__(self, source: Side, target: Side, chosen: Mapping[tuple[str, str], str]) -> None:
        self.source, self.target, self._chosen = source, target, chosen
        self.translate: dict[str, str] = {f"project:{source.identity.project_id}": target.identity.project_id}
        self._known: dict[Callable[[Any], Any], Any] = {}

    def has(self, reference: Ref) -> bool:
        """Whether it is the project's own, or something of the target serves instead."""
        return reference in self.source.by_ref or reference in self.translate

    def once(self, look: Callable[[Ground], T]) -> T:
        """What this function says of both sides, asked once."""
        if look not in self._known:
            self._known[look] = look(self)
        known: T = self._known[look]
        return known

    def external(self, id_: str) -> str | None:
        """The target's external network: the one that a person chose, else the one of the same name.

        A name is all that a tenant sees of what such a network is; any other one is for a person to choose.
        """
        key, name = f"external_network:{id_}", _name_of(self.source, id_)
        chosen = (self._chosen.get(("external", given)) for given in (id_, name))
        found = next(filter(None, chosen), None) or external_by_name(self.target).get(name or "-")
        if found is not None:
            self.translate[key] = found
        return found

    def another(self, ours: str, theirs: str) -> list[Words]:
        """What to say of an external network that is not of the same name."""
        name, other = _name_of(self.source, ours), _name_of(self.target, theirs)
        return [] if name == other else [Reason.of("plan.network.chosen", network=other, instead_of=name)]

    def no_external(self, id_: str) -> tuple[Words, Words]:
        """Why there is none, and what a person does."""
        theirs = sorted(n.name for n in self.target.offering.external_networks)
        if not theirs:
            return Reason.of("plan.network.no-external"), Reason.of("do.ask-for-one")
        name = _name_of(self.source, id_) or id_
        option = f"plan --map {shlex.quote(f'external:{name}=NAME')}"
        return (
            Reason.of("plan.network.no-external-of-name", name=name),
            Reason.of("do.choose-network", names=[*theirs], option=option),
        )


def external_by_name(side: Side) -> dict[str, str]:
    """Names, and ids, of the external networks -> ids; of two of one name the default one."""
    theirs = sorted(side.offering.external_networks, key=lambda n: n.is_default)
    return {n.id: n.id for n in theirs} | {n.name: n.id for n in theirs if n.name}


def missing(wanted: Iterable[str], offered: Iterable[str]) -> str:
    """What is wanted and not offered, in words."""
    return ", ".join(sorted(set(wanted) - set(offered)))


def _name_of(side: Side, id_: str) -> str:
    return next((n.name for n in side.offering.external_networks if n.id == id_), "")
