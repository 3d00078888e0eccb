# SPDX-License-Identifier: Apache-2.0
"""Secrets and their containers (Key Manager API v1). Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, JsonValue

from unterbau.tenant.kinds.base import Key, Kind, ResourceBase
from unterbau.tenant.kinds.fate import Change, Entry, Fate
from unterbau.tenant.kinds.ground import Ground, Side
from unterbau.tenant.kinds.policy import Content, Known, Mark, Opened, Told, carried, changed, ignored
from unterbau.verdict import Model, Reason, later

if TYPE_CHECKING:
    from unterbau.tenant.kinds.origin import Source

USERS = changed(
    "the target does not know users of the source cloud", replaced=False, unordered=True, told=Told.HIDDEN,
    opens=[Opened.SECRET_ACL],
)  # fmt: skip
"""The policy of `acl_users`."""
PROJECT = carried(told=Told.HIDDEN, opens=[Opened.SECRET_ACL])
"""The policy of `acl_project_access`."""


def _shut_users(who: tuple[str, ...]) -> tuple[Change, ...]:
    """Read rights of single users: the target does not know them."""
    why = Reason.of("plan.secret.users", count=len(who))
    return (Change(field="acl_users", was=list(who), to=[], why=why),) if who else ()


def _hidden(resource: ResourceBase, ground: Ground) -> Entry | None:
    """What is known to be there, and no more: it is not made, for nobody knows how closed it must be."""
    if resource.ref not in ground.source.reasons:
        return None
    return Entry(ref=resource.ref, name=resource.name, fate=Fate.NOT_SHOWN, why=ground.source.reasons[resource.ref],
                 remedy=Reason.of("do.owner-opens"))  # fmt: skip


class Secret(ResourceBase):
    """A secret's description. The payload is never part of the model. `content_type` None: no payload.

    `acl_users` are user ids with read access, `acl_project_access` False closes it to the project.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/barbican/latest/api/reference/secrets.html", quota=("key_manager", "secrets"),
        counted=False, marker=Mark.LATER, content=Content.PAYLOAD, id_is_name=False, personal=False, usable=("ACTIVE",),
        beyond={"consumers": "services that are registered as its users are not carried"},
    )  # fmt: skip
    kind: Literal["secret"] = "secret"
    secret_type: Annotated[str, carried()] = "opaque"  # noqa: S105 - the type's name
    algorithm: Annotated[str | None, carried()] = None
    bit_length: Annotated[int | None, carried()] = None
    mode: Annotated[str | None, carried()] = None
    content_type: Annotated[str | None, carried()] = None
    expiration: Annotated[datetime | None, carried()] = None
    status: Annotated[str, ignored("whether it is usable is compared", moment=True)] = "ACTIVE"
    metadata: Annotated[dict[str, str], carried()] = Field(default_factory=dict)
    acl_project_access: Annotated[bool, PROJECT] = True
    acl_users: Annotated[tuple[str, ...], USERS] = ()
    created_at: Annotated[datetime | None, ignored("the moment of its making in this cloud")] = None

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"secret {self.name}"

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """Also whether it is usable."""
        return {**super().facts(side, key), "usable": self.status in self.KNOWN.usable or self.status}

    def fate(self, ground: Ground) -> Entry:
        """Carried, unless no more is known than that it is there."""
        hidden = _hidden(self, ground)
        if hidden is not None:
            return hidden
        if self.status not in self.KNOWN.usable and self.content_type is not None:
            return self.leave(Reason.of("plan.status", status=self.status), Reason.of("do.renew"))
        return self.carry(ground, *_shut_users(self.acl_users))

    def has_content(self) -> bool:
        """Not without a payload."""
        return self.content_type is not None

    def any_of_alike(self) -> bool:
        """Without a payload each is as good as the other."""
        return True

    def unfit(self, at: datetime) -> str:
        """None is made that has ended."""
        return super().unfit(at) or ("it has ended" if self.expiration is not None and self.expiration <= at else "")

    def born(self, origin: Source, number: int) -> Self:
        """Without its payload, so without a type of it; Barbican writes the names of metadata in lower case."""
        return self.model_copy(
            update={"content_type": None, "metadata": {k.lower(): v for k, v in self.metadata.items()}}
        )

    def with_payload(self, wish: ResourceBase) -> Self:
        """With the type of it."""
        told = getattr(wish, "content_type", None) or "application/octet-stream"
        return self.model_copy(update={"content_type": told})

    def alike(self, there: ResourceBase) -> bool:
        """By its name, which is not unique: the rest comes with the payload."""
        return isinstance(there, Secret) and self.name == there.name


class SecretEntry(Model):
    """A named member of a secret container."""

    name: str
    secret_id: str


class SecretContainer(ResourceBase):
    """A container of secrets: generic, rsa or certificate. `acl_*` as for `Secret`; they close the list of
    its entries, not the secrets, which have ACLs of their own.
    """

    KNOWN = Known(
        api="https://docs.openstack.org/barbican/latest/api/reference/containers.html",
        quota=("key_manager", "containers"), counted=False, marker=Mark.NEVER, content=Content.NONE, id_is_name=False,
        personal=False, usable=(), beyond={},
    )  # fmt: skip
    kind: Literal["secret_container"] = "secret_container"
    type: Annotated[str, carried()]
    entries: Annotated[
        tuple[SecretEntry, ...], carried(refers=Kind.SECRET, within="secret_id", holds=False, unordered=True)
    ] = ()
    status: Annotated[str, ignored("a state of this cloud", moment=True)] = "ACTIVE"
    acl_project_access: Annotated[bool, PROJECT] = later(True)
    acl_users: Annotated[tuple[str, ...], USERS] = later(())

    def natural_key(self, key: Key) -> str:
        """Its name."""
        return f"secret_container {self.name}"

    def fate(self, ground: Ground) -> Entry:
        """Carried, unless no more is known than that it is there, or a secret of it is gone."""
        hidden = _hidden(self, ground)
        if hidden is not None:
            return hidden
        foreign = self.foreign(ground)
        if foreign:
            return self.leave(Reason.of("plan.dangling", thing=foreign[0]), Reason.of("do.mend"))
        return self.carry(ground, *_shut_users(self.acl_users))

    def any_of_alike(self) -> bool:
        """Of those with the same entries each is as good as the other."""
        return True
