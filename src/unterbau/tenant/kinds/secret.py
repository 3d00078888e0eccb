# SPDX-License-Identifier: Apache-2.0
"""Secrets and their containers (Key Manager API v1). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from unterbau.tenant.kinds.base import Kind, Ref, ResourceBase, ref
from unterbau.verdict import Model, later


class Secret(ResourceBase):
    """A secret's description. The payload is never part of the model. `content_type` None: no payload.

    `acl_users` are user ids with read access, `acl_project_access` False closes it to the project.
    """

    VOLATILE = frozenset({"id", "status", "created_at"})
    HIDEABLE = frozenset({"acl_project_access", "acl_users"})
    kind: Literal["secret"] = "secret"
    secret_type: str = "opaque"  # noqa: S105 - the type's name
    algorithm: str | None = None
    bit_length: int | None = None
    mode: str | None = None
    content_type: str | None = None
    expiration: datetime | None = None
    status: str = "ACTIVE"
    metadata: dict[str, str] = Field(default_factory=dict)
    acl_project_access: bool = True
    acl_users: tuple[str, ...] = ()
    created_at: datetime | None = None


class SecretEntry(Model):
    """A named member of a secret container."""

    name: str
    secret_id: str


class SecretContainer(ResourceBase):
    """A container of secrets: generic, rsa or certificate. `acl_*` as for `Secret`; they close the list of
    its entries, not the secrets, which have ACLs of their own.
    """

    VOLATILE = frozenset({"id", "status"})
    HIDEABLE = frozenset({"acl_project_access", "acl_users"})
    kind: Literal["secret_container"] = "secret_container"
    type: str
    entries: tuple[SecretEntry, ...] = ()
    status: str = "ACTIVE"
    acl_project_access: bool = later(True)
    acl_users: tuple[str, ...] = later(())

    def references(self) -> tuple[Ref, ...]:
        """The secrets in it."""
        return tuple(dict.fromkeys(ref(Kind.SECRET, e.secret_id) for e in self.entries))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """The secrets in it, which may be deleted already."""
        yield from (("entries", secret, False) for secret in self.references())

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """Rewrites the ids of its secrets; an entry without counterpart is dropped."""
        moved = ((e.name, new_id(ref(Kind.SECRET, e.secret_id))) for e in self.entries)
        kept = tuple(SecretEntry(name=name, secret_id=new) for name, new in moved if new is not None)
        return self.model_copy(update={"entries": kept})
