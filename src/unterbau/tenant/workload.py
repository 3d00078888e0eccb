# SPDX-License-Identifier: Apache-2.0
"""A census: everything that one project owns in one cloud at one time, and what was not shown. Pure.

`switch/census` assembles it from the port's listings; `plan`, `move`, `verify` and `evidence` work on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from unterbau.tenant.kinds import CloudIdentity, Offering, R, Ref, Relations, Resource, ResourceBase
from unterbau.verdict import Model, Words

SCHEMA = "https://unterbau.example/schema/workload/v1"


class NotShown(Model):
    """Something that could not be read, and why.

    `what` is a service, a kind (`secret`: none of the kind), a Ref (that one, of which no more may be known than
    its name), a Ref with a field (`image:….members`), or a kind with a field (`container.read_acl`: that field of
    every one of the kind). `Workload.hidden_fields` finds those that make a field of the model say nothing.
    """

    what: str
    reason: Words


class Workload(Model):
    """A census: everything that one project owns in one cloud at one time, and what was not shown."""

    schema_: str = Field(default=SCHEMA, alias="schema")
    model_config = {**Model.model_config, "serialize_by_alias": True}

    identity: CloudIdentity
    taken_at: datetime
    resources: tuple[Resource, ...] = ()
    offering: Offering = Offering()
    not_shown: tuple[NotShown, ...] = ()

    @model_validator(mode="after")
    def _refs_are_unique(self) -> Self:
        doubled = [r for r, n in Counter(x.ref for x in self.resources).items() if n > 1]
        if doubled:
            raise ValueError(f"listed twice: {', '.join(doubled[:5])}")
        return self

    @cached_property
    def by_ref(self) -> Mapping[Ref, Resource]:
        """All resources by their Ref."""
        return {r.ref: r for r in self.resources}

    @cached_property
    def relations(self) -> Relations:
        """Who names whom among the resources."""
        return Relations(self)

    @cached_property
    def reasons(self) -> Mapping[str, Words]:
        """`NotShown.what` -> why."""
        return {n.what: n.reason for n in self.not_shown}

    def hidden_fields(self, resource: ResourceBase) -> dict[str, Words]:
        """Fields that were not shown of a resource of this workload -> why. Their values in it say nothing."""
        named = ((f, f"{o}.{f}") for o in (resource.own_kind.value, resource.ref) for f in sorted(resource.HIDEABLE))
        return {field: self.reasons[what] for field, what in named if what in self.reasons}

    @cached_property
    def hidden(self) -> Mapping[Ref, Mapping[str, Words]]:
        """Of each resource: field -> why it was not shown (a `NotShown` whose `what` is `REF.FIELD`, or `REF`: all)."""
        found: dict[Ref, dict[str, Words]] = {}
        for note in self.not_shown:
            whose, _, field = note.what.rpartition(".") if note.what not in self.by_ref else (note.what, "", "contents")
            if whose in self.by_ref:
                found.setdefault(whose, {})[field] = note.reason
        return found

    def of(self, type_: type[R]) -> tuple[R, ...]:
        """The resources of one class, e.g. `workload.of(Server)`."""
        return tuple(r for r in self.resources if isinstance(r, type_))
