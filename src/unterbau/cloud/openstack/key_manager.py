# SPDX-License-Identifier: Apache-2.0
"""Barbican (Key Manager API v1) behind the port: secrets, their payloads, and containers. Called by `cloud`.

A secret carries the marker as user metadata, set directly after the POST; one that was made but not yet
marked is told by `before`, as a container is, which has no place for a marker. Barbican makes everything open to the
project, and its list of access (ACL) is set by a second request: a secret's before its payload is written, a generic
container's before anything is in it. The containers of type rsa and certificate take their entries only at birth, so
the names of these (not what they are) are open to the project until the next request. No text of the cloud reaches
an error where a payload is in play.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from pydantic import SecretBytes

from unterbau.cloud.openstack.closed import Reading, Table, Told, ignorable, one
from unterbau.cloud.openstack.errors import clean
from unterbau.cloud.openstack.http import Api, Json, moment, parallel
from unterbau.cloud.openstack.service import from_metadata, gone, short
from unterbau.cloud.paging import Listed
from unterbau.cloud.port import Listing, Marker, marked, our_keys, said
from unterbau.errors import Broken, CloudError, Conflict, Forbidden, NotFound, Unsupported
from unterbau.tenant.kinds import Kind, Resource, Secret, SecretContainer, SecretEntry, Source, id_of, kind_of, ref
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason

S = TypeVar("S", Secret, SecretContainer)

PAGE = 100
_REFERENCE = re.compile(r"/(?:secrets|containers)/([\w-]+)/?$")
_PATHS: Mapping[Kind, tuple[str, str]] = {
    Kind.SECRET: ("secrets", "secret_ref"),
    Kind.SECRET_CONTAINER: ("containers", "container_ref"),
}
_API = "https://docs.openstack.org/barbican/latest/api/reference/"
_ACL = ignorable(_API + "acls.html", "its history here", "acl.read.created", "acl.read.updated")
TABLES: Mapping[Kind, Table] = {
    Kind.SECRET: {**_ACL, **ignorable(_API + "secrets.html", "its history here", "updated")},
    Kind.SECRET_CONTAINER: {
        **_ACL, **ignorable(_API + "containers.html", "its history here", "created", "updated"),
    },
}  # fmt: skip
"""What the translations below do not read. An entry has its user metadata as `metadata` and its list of access as `acl`."""
_UNREADABLE = Reason.of("secret.unreadable")


class Access(NamedTuple):
    """Who may read: the project's members, and users by id. Barbican's default is `Access()`."""

    project: bool = True
    users: tuple[str, ...] = ()


OPEN = Access()


class KeyService:
    """Secrets and containers of secrets. `user` gives our own user id."""

    KINDS = tuple(_PATHS)

    def __init__(self, api: Callable[[], Api], user: Callable[[], str]) -> None:
        self._api, self._user = api, user
        self._making = threading.Lock()
        self._claimed: dict[str, Marker] = {}
        """Of what this process made or found for a marker: twins take none of each other's."""

    # --- reading

    def _listed(self, kind: Kind, count: str = "total", **query: Any) -> Listed[Json]:
        """A listing; Barbican pages by offset and tells how many there are."""
        collection, key = _PATHS[kind]
        return self._api().listed(
            f"/v1/{collection}", collection, entry_name=lambda e: _id_in(e, key), by="offset", count=count, limit=PAGE,
            **query,
        )  # fmt: skip

    def _raw(self, kind: Kind, **query: Any) -> tuple[Json, ...]:
        return self._listed(kind, "", **query).entries

    def listing(self, kind: Kind) -> Listing:
        """Everything of the kind, with user metadata and access of each, and what of it is not carried."""
        listed, reading = self._listed(kind), Reading(kind.value, TABLES[kind])
        notes = short(kind.value, kind, listed.doubt) if listed.doubt else []
        found = parallel(lambda entry: self._seen(kind, entry, reading), listed.entries)
        return Listing(
            resources=tuple(resource for resource, _ in found if resource is not None),
            not_shown=(*notes, *(note for _, more in found for note in more), *reading.notes()),
        )

    def _seen(
        self, kind: Kind, entry: Json, reading: Reading | None
    ) -> tuple[Secret | SecretContainer | None, tuple[NotShown, ...]]:
        """One entry of a listing in full. What another user keeps private is listed, and no more of it is told.

        Without a `reading` it raises Broken for what does not fit.
        """
        collection, key = _PATHS[kind]
        id_ = _id_in(entry, key)
        reference = ref(kind, id_)
        notes = list[NotShown]()
        told: Json = {**entry, "metadata": {}, "acl": _SHUT}
        try:
            if kind is Kind.SECRET:
                told["metadata"] = self._api().get(f"/v1/secrets/{id_}/metadata").get("metadata") or {}
            told["acl"] = self._api().get(f"/v1/{collection}/{id_}/acl")
            notes += self._creator(reference, told)
        except NotFound:
            return None, ()
        except Forbidden:
            told["acl"] = _SHUT
            notes.append(NotShown(what=reference, reason=_UNREADABLE))
        except CloudError as error:
            if reading is None:
                raise
            told["acl"] = _SHUT
            notes.append(NotShown(what=reference, reason=said(error)))

        def made(of: Told) -> Secret | SecretContainer:
            access, strange = _access(reference, of["acl"])
            notes.extend([*_consumers(reference, of), *strange])
            return _secret(of, access) if kind is Kind.SECRET else _container(of, access)

        resource = reading.take(reference, told, made) if reading else one(reference, told, made)
        return resource, tuple(notes)

    def _creator(self, reference: str, entry: Json) -> Iterable[NotShown]:
        """Of what is private its creator reads it without being in the list: on the target that is the mover.

        Raises Forbidden if we may read the list, but not what it is about (Barbican's policies before 2021).
        """
        creator = entry.get("creator_id")
        if creator and creator != self._user() and not _is_open(entry["acl"]):
            self._api().get(f"/v1/{_PATHS[kind_of(reference)][0]}/{id_of(reference)}")
            reason = Reason.of("secret.creator", user=clean(str(creator)))
            yield NotShown(what=f"{reference}.creator", reason=reason)

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None. Raises Forbidden for what another user keeps private."""
        entry = self._api().find(f"/v1/{_PATHS[kind][0]}/{id_}")
        return None if entry is None else self._seen(kind, entry, None)[0]

    def payload(self, secret_id: str) -> SecretBytes | None:
        """The payload as stored, or None if the secret has none."""
        entry = self._api().find(f"/v1/secrets/{secret_id}")
        if entry is None:
            raise NotFound(f"key-manager: secret {secret_id} does not exist")
        told = entry.get("content_types") or {}
        type_ = told.get("default") if isinstance(told, dict) else told
        if type_ is None:
            return None
        if not isinstance(type_, str):
            raise Broken(f"key-manager: secret {secret_id}: its answer does not fit: content_types")
        path = f"/v1/secrets/{secret_id}/payload"
        response = self._api().request("GET", path, headers={"Accept": type_.partition(";")[0]}, quiet=True)
        return SecretBytes(response.content)

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """Ids of the same kind and name."""
        key = _PATHS[resource.own_kind][1]
        entries = self._raw(resource.own_kind, **({"name": resource.name} if resource.name else {}))
        return tuple(_id_in(e, key) for e in entries if (e.get("name") or "") == resource.name)

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Find by marker, else by content not in `before`, complete, or create."""
        if isinstance(resource, SecretContainer):
            return self._ensure_container(resource, marker, before)
        if not isinstance(resource, Secret):
            raise Unsupported(f"key-manager: a {resource.own_kind} cannot be made here")
        there = self._find(resource, marker, before)
        id_ = there.id if there else self._made(marker, lambda: self._create(resource))
        if there is None or there.marker != marker:
            self._mark(id_, resource, marker, made=there is None)
        self._close(Kind.SECRET, id_, _access_of(there) if there else OPEN, _access_of(resource))
        return id_

    def _mark(self, id_: str, wish: Secret, marker: Marker, *, made: bool) -> None:
        """Directly after the POST. One that was just made and takes no marker goes again: nobody could tell it later."""
        body: Json = {"metadata": marked(wish.metadata, marker)}
        try:
            self._api().json("PUT", f"/v1/secrets/{id_}/metadata", body)
        except CloudError:
            if made:
                with suppress(CloudError):  # the first error is the one to tell
                    self.delete(Kind.SECRET, id_, timedelta())
            raise

    def _close(self, kind: Kind, id_: str, is_: Access, wanted: Access) -> None:
        """Make the access what it is to be."""
        if is_ != wanted:
            acl = {"users": list(wanted.users), "project-access": wanted.project}
            self._api().json("PUT", f"/v1/{_PATHS[kind][0]}/{id_}/acl", {"read": acl})

    def _free(self, resource: Secret | SecretContainer, marker: Marker, before: frozenset[str]) -> list[str]:
        """Look-alikes that were not there before, and that no other marker has."""
        ids = [id_ for id_ in self.lookalikes(resource) if id_ not in before]
        with self._making:  # whatever was listed is claimed by now, if it was made here
            return [id_ for id_ in ids if self._claimed.get(id_, marker) == marker]

    def _made(self, marker: Marker, make: Callable[[], str]) -> str:
        """A new thing's id, claimed before anybody can list it and take it for his own."""
        with self._making:
            id_ = make()
            self._claimed[id_] = marker
            return id_

    def _first(self, found: Iterable[S], marker: Marker) -> S | None:
        """The first of them that no other marker has taken meanwhile; it is ours from now on.

        Of several without a marker either would do, since nothing is in them yet. One that stays is named by the sweep.
        """
        with self._making:
            for one in found:
                if self._claimed.setdefault(one.id, marker) == marker:
                    return one
            return None

    def _readable(self, kind: Kind, id_: str) -> Resource | None:
        with suppress(Forbidden):  # another user's, and private: not what we made
            return self.read(kind, id_)
        return None

    def _find(self, wish: Secret, marker: Marker, before: frozenset[str]) -> Secret | None:
        there = parallel(lambda id_: self._readable(Kind.SECRET, id_), self._free(wish, marker, before))
        found = [s for s in there if isinstance(s, Secret)]
        ours = sorted((s for s in found if s.marker == marker), key=lambda s: (str(s.created_at), s.id))
        return self._first([*ours, *(s for s in found if s.marker is None and _same(s, wish))], marker)

    def _create(self, wish: Secret) -> str:
        optional = {
            "name": wish.name,
            "secret_type": wish.secret_type,
            "algorithm": wish.algorithm,
            "bit_length": wish.bit_length,
            "mode": wish.mode,
            "expiration": wish.expiration.replace(tzinfo=None).isoformat() if wish.expiration else None,
        }
        body = {k: v for k, v in optional.items() if v}
        return _id(self._api().json("POST", "/v1/secrets", body)["secret_ref"])

    def _ensure_container(self, wish: SecretContainer, marker: Marker, before: frozenset[str]) -> str:
        """Made empty, closed, then filled, where the type allows it; else made whole, then closed."""
        filled = _is_filled_later(wish)
        there = self._half_made(wish, marker, before, filled)
        if there is None:
            entries = () if filled else wish.entries
            id_ = self._made(marker, lambda: self._create_container(wish, entries))
            update = {"id": id_, "entries": entries, "acl_project_access": True, "acl_users": ()}
            there = wish.model_copy(update=update)
        self._close(Kind.SECRET_CONTAINER, there.id, _access_of(there), _access_of(wish))
        for entry in _in_order(wish)[len(there.entries) :]:
            self._add(there.id, entry)
        return there.id

    def _half_made(
        self, wish: SecretContainer, marker: Marker, before: frozenset[str], filled: bool
    ) -> SecretContainer | None:
        """What an earlier call made of the wish, the most complete first. Entries are added in order."""
        wanted, access = _in_order(wish), _access_of(wish)
        found = []
        for id_ in self._free(wish, marker, before):
            there = self._readable(Kind.SECRET_CONTAINER, id_)
            if not isinstance(there, SecretContainer) or there.type != wish.type:
                continue
            entries, is_ = _in_order(there), _access_of(there)
            begun = entries == wanted[: len(entries)] if filled else entries == wanted
            if begun and (is_ == access or (is_ == OPEN and not (filled and entries))):
                found.append((is_ == access, len(entries), there.id, there))
        return self._first([there for *_, there in sorted(found, reverse=True)], marker)

    def _add(self, container_id: str, entry: SecretEntry) -> None:
        try:
            self._api().json("POST", f"/v1/containers/{container_id}/secrets", self._entry(entry))
        except Conflict:  # perhaps because it is in there: an answer was lost
            there = self.read(Kind.SECRET_CONTAINER, container_id)
            if not isinstance(there, SecretContainer) or entry not in there.entries:
                raise

    def _create_container(self, wish: SecretContainer, entries: Iterable[SecretEntry]) -> str:
        body: Json = {"name": wish.name, "type": wish.type, "secret_refs": [self._entry(e) for e in entries]}
        return _id(self._api().json("POST", "/v1/containers", body)["container_ref"])

    def _entry(self, entry: SecretEntry) -> Json:
        """By the address under which the service knows the secret: it takes no other, whatever clouds.yaml calls it."""
        path = f"/v1/secrets/{entry.secret_id}"
        told = (self._api().find(path) or {}).get("secret_ref")
        own = told if isinstance(told, str) and _id(told) == entry.secret_id else ""
        return {"name": entry.name, "secret_ref": own or self._api().endpoint().rstrip("/") + path}

    def write(self, secret_id: str, wish: Secret, payload: SecretBytes) -> None:
        """Give the secret its payload; one that has a payload is left alone."""
        try:
            self._api().json(
                "PUT",
                f"/v1/secrets/{secret_id}",
                data=payload.get_secret_value(),
                headers={"Content-Type": wish.content_type or "application/octet-stream"},
                quiet=True,
            )
        except Conflict:
            entry = self._api().find(f"/v1/secrets/{secret_id}")
            if not (entry and entry.get("content_types")):
                raise

    # --- waiting and deleting

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """Barbican's answers are final."""
        found = self.read(kind, id_)
        if found is None or getattr(found, "status", "") == "ERROR":
            raise Broken(f"{ref(kind, id_)} is not usable")
        return found

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """An item of a secret's user metadata."""
        path = f"/v1/secrets/{resource.id}/metadata"
        for key in our_keys(self._api().get(path).get("metadata") or {}, marker):
            gone(lambda k=key: self._api().json("DELETE", f"{path}/{quote(k)}"))  # type: ignore[misc]

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete."""
        gone(lambda: self._api().json("DELETE", f"/v1/{_PATHS[kind][0]}/{id_}"))


def _id_in(entry: Json, key: str) -> str:
    """The id of an entry, "" if it refers to nothing."""
    found = _REFERENCE.search(str(entry.get(key)).partition("?")[0]) if isinstance(entry, dict) else None
    return found.group(1) if found else ""


def _id(reference: object) -> str:
    """The id at the end of a reference. Its host is not asked: it may be one behind a proxy, or anybody's."""
    found = _REFERENCE.search(reference.partition("?")[0]) if isinstance(reference, str) else None
    if found is None:
        raise Broken(f"key-manager: {clean(repr(reference))} refers to no secret and no container")
    return found.group(1)


def _same(there: Secret, wish: Secret) -> bool:
    fields = ("name", "secret_type", "algorithm", "bit_length", "mode", "expiration")
    return all(getattr(there, f) == getattr(wish, f) for f in fields)


def _access_of(resource: Secret | SecretContainer) -> Access:
    return Access(resource.acl_project_access, tuple(sorted(resource.acl_users)))


_SHUT: Json = {"read": {"project-access": False, "users": []}}


def _is_open(acl: Json) -> bool:
    read = acl.get("read")
    return isinstance(read, dict) and read.get("project-access") is True


def _access(reference: str, told: Told) -> tuple[Access, list[NotShown]]:
    """Barbican's ACL (`{"read": {"project-access": true, "users": [...]}}`); what it does not tell is shut."""
    read = told.get("read") or {}
    notes = list[NotShown]()
    project, users = read.get("project-access"), tuple(sorted(read.get("users") or ()))
    if not isinstance(project, bool):
        notes.append(NotShown(what=reference, reason=Reason.of("secret.access-unknown")))
        return Access(project=False), notes
    return Access(project, users), notes


def _consumers(reference: str, entry: Told) -> Iterable[NotShown]:
    """Other services that registered that they use it. They do so anew when they use what is on the target."""
    registered = [str(c.get("URL") or f"{c.get('resource_type')} {c.get('resource_id')}")
                  for c in entry.get("consumers") or ()]  # fmt: skip
    if registered:
        reason = Reason.of("secret.consumers", count=len(registered), users=sorted(registered)[:3])
        yield NotShown(what=f"{reference}.consumers", reason=reason)


def _in_order(container: SecretContainer) -> tuple[SecretEntry, ...]:
    """The order in which entries are added."""
    return tuple(sorted(container.entries, key=lambda e: (e.name, e.secret_id)))


def _is_filled_later(wish: SecretContainer) -> bool:
    """Whether entries are added one by one: to what is shut, and where a POST refuses a name or a secret twice."""
    doubled = any(len({getattr(e, f) for e in wish.entries}) < len(wish.entries) for f in ("name", "secret_id"))
    return wish.type == "generic" and (doubled or _access_of(wish) != OPEN)


def _secret(entry: Told, access: Access) -> Secret:
    marker, metadata = from_metadata(entry["metadata"])
    entry.get("creator_id")  # by `_creator`
    return Secret(
        id=_id(entry["secret_ref"]),
        name=entry.get("name") or "",
        marker=marker,
        secret_type=entry.get("secret_type") or "opaque",
        algorithm=entry.get("algorithm"),
        bit_length=entry.get("bit_length"),
        mode=entry.get("mode"),
        content_type=(entry.get("content_types") or {}).get("default"),
        expiration=moment(entry.get("expiration")),
        status=entry.get("status") or "ACTIVE",
        metadata=metadata,
        acl_project_access=access.project,
        acl_users=access.users,
        created_at=entry.date("created"),
    )


def _container(entry: Told, access: Access) -> SecretContainer:
    entry.get("metadata"), entry.get("creator_id")  # Barbican has no metadata of containers; the other by `_creator`
    refs = (SecretEntry(name=r.get("name") or "", secret_id=_id(r["secret_ref"])) for r in entry["secret_refs"])
    return SecretContainer(
        id=_id(entry["container_ref"]),
        name=entry.get("name") or "",
        type=entry["type"],
        entries=tuple(sorted(refs, key=lambda e: (e.name, e.secret_id))),
        status=entry.get("status") or "ACTIVE",
        acl_project_access=access.project,
        acl_users=access.users,
    )
