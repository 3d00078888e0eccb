# SPDX-License-Identifier: Apache-2.0
"""What all kinds of resources have in common: their names, how they refer to each other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

from pydantic import Field

from unterbau.verdict import Model

Ref: TypeAlias = str
"""`kind:id`, unique within one cloud, e.g. `server:0d4c…`, `object:box/päth`."""


class Kind(StrEnum):
    """The kinds of resources that we understand, in the order in which they can be created."""

    KEYPAIR = "keypair"
    SERVER_GROUP = "server_group"
    ADDRESS_GROUP = "address_group"
    SECURITY_GROUP = "security_group"
    SECURITY_GROUP_RULE = "security_group_rule"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    ROUTER_INTERFACE = "router_interface"
    PORT = "port"
    FLOATING_IP = "floating_ip"
    IMAGE = "image"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    SECRET_CONTAINER = "secret_container"  # noqa: S105 - the name of a kind
    SERVER = "server"
    ATTACHMENT = "attachment"
    CONTAINER = "container"
    OBJECT = "object"


def ref(kind: Kind, id_: str) -> Ref:
    """The Ref of an id of a kind."""
    return f"{kind.value}:{id_}"


def kind_of(reference: Ref) -> Kind:
    """The kind that a Ref names. Raises ValueError for something that is not a Ref."""
    return Kind(reference.partition(":")[0])


def id_of(reference: Ref) -> str:
    """The id that a Ref names."""
    return reference.partition(":")[2]


class ResourceBase(Model):
    """Common to all resources. `REFERS` maps a field (an id or a tuple of ids) to the kind it points to."""

    REFERS: ClassVar[Mapping[str, Kind]] = {}
    OWN: ClassVar[frozenset[str]] = frozenset()
    """Fields of `REFERS` whose target is the project's own for certain; that of the others may be another's, or gone."""
    VOLATILE: ClassVar[frozenset[str]] = frozenset({"id"})
    """Fields that another cloud chooses anew; they are never compared between clouds."""
    HIDEABLE: ClassVar[frozenset[str]] = frozenset()
    """Fields that a cloud keeps from some who may read the rest (see `Workload.hidden_fields`)."""

    id: str = Field(min_length=1)
    name: str = ""
    marker: str | None = None
    """The tag of the drill that created this (`unterbau.<run>.<node>`), taken out of tags and metadata."""

    @property
    def own_kind(self) -> Kind:
        """The kind of this resource."""
        return Kind(self.kind)  # type: ignore[attr-defined]

    @property
    def ref(self) -> Ref:
        """`kind:id`."""
        return ref(self.own_kind, self.id)

    def comparable(self) -> dict[str, Any]:
        """Plain data of what must be equal in another cloud, after `with_ids` made the ids comparable."""
        return self.model_dump(mode="json", exclude={"id", "marker", *self.VOLATILE})

    def references(self) -> tuple[Ref, ...]:
        """The Refs this resource points to, without duplicates, in the order of the fields."""
        return tuple(dict.fromkeys(target for _, target, _ in ResourceBase.ties(self)))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """(field, Ref, whether its target must be the project's own) of what a whole census has beside this resource."""
        for field, kind in self.REFERS.items():
            value = getattr(self, field)
            for one in value if isinstance(value, tuple) else (value,):
                if one:
                    yield field, ref(kind, one), field in self.OWN

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """A copy whose references are those of another cloud: `new_id(ref)`; None drops the reference."""
        update: dict[str, Any] = {}
        for field, kind in self.REFERS.items():
            value = getattr(self, field)
            if isinstance(value, tuple):
                mapped = (new_id(ref(kind, one)) for one in value)
                update[field] = tuple(m for m in mapped if m is not None)
            elif value:
                update[field] = new_id(ref(kind, value))
        return self.model_copy(update=update)


R = TypeVar("R", bound=ResourceBase)
