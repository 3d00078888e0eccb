# SPDX-License-Identifier: Apache-2.0
"""Barbican (Key Manager API v1) behind the port: secrets, their payloads, and containers. Called by `cloud`.

A secret carries the marker as user metadata, set directly after the POST; one that was made but not yet
marked is told by `before`. Access is closed before a payload is written. No text of the cloud reaches an error
where a payload is in play.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pydantic import SecretBytes

from unterbau.cloud.openstack.http import Api, Json, moment, parallel
from unterbau.cloud.openstack.service import eldest, from_metadata, gone, only
from unterbau.cloud.port import Listing, Marker, Source, marked
from unterbau.errors import Broken, CloudError, Conflict, Forbidden, NotFound, Unsupported
from unterbau.workload import Kind, NotShown, Resource, Secret, SecretContainer, SecretEntry, ref

PAGE = 100
_PATHS: Mapping[Kind, tuple[str, str]] = {
    Kind.SECRET: ("secrets", "secret_ref"),
    Kind.SECRET_CONTAINER: ("containers", "container_ref"),
}


class KeyService:
    """Secrets and containers of secrets."""

    KINDS = tuple(_PATHS)

    def __init__(self, api: Callable[[], Api]) -> None:
        self._api = api

    # --- reading

    def _raw(self, collection: str, **query: Any) -> Iterator[Json]:
        """A listing; Barbican pages by offset."""
        offset = 0
        while True:
            answer = self._api().get(f"/v1/{collection}", limit=PAGE, offset=offset, **query)
            page = answer.get(collection)
            if not isinstance(page, list):
                raise Broken(f"key-manager: no {collection} in the answer")
            yield from page
            offset += len(page)
            if not page or offset >= int(answer.get("total", 0)):
                return

    def listing(self, kind: Kind) -> Listing:
        """Everything of the kind, with user metadata and ACL of each secret."""
        if kind is Kind.SECRET_CONTAINER:
            return Listing(resources=tuple(_container(e) for e in self._raw("containers")))
        found = parallel(self._secret, list(self._raw("secrets")))
        return Listing(
            resources=tuple(secret for secret, _ in found if secret is not None),
            not_shown=tuple(note for _, notes in found for note in notes),
        )

    def _secret(self, entry: Json) -> tuple[Secret | None, tuple[NotShown, ...]]:
        id_ = _id(entry["secret_ref"])
        try:
            metadata = self._api().get(f"/v1/secrets/{id_}/metadata").get("metadata") or {}
            acl = self._api().get(f"/v1/secrets/{id_}/acl").get("read") or {}
        except NotFound:
            return None, ()
        except Forbidden as error:
            note = NotShown(what=f"{ref(Kind.SECRET, id_)}.acl", reason=error.what)
            return _secret(entry, {}, {"project-access": False}), (note,)
        return _secret(entry, metadata, acl), ()

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """One of them, or None."""
        entry = self._api().find(f"/v1/{_PATHS[kind][0]}/{id_}")
        if entry is None:
            return None
        return self._secret(entry)[0] if kind is Kind.SECRET else _container(entry)

    def payload(self, secret_id: str) -> SecretBytes | None:
        """The payload as stored, or None if the secret has none."""
        entry = self._api().find(f"/v1/secrets/{secret_id}")
        if entry is None:
            raise NotFound(f"key-manager: secret {secret_id} does not exist")
        type_ = (entry.get("content_types") or {}).get("default")
        if type_ is None:
            return None
        path = f"/v1/secrets/{secret_id}/payload"
        response = self._api().request("GET", path, headers={"Accept": type_.partition(";")[0]}, quiet=True)
        return SecretBytes(response.content)

    # --- creating

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """Ids of the same kind and name."""
        collection, key = _PATHS[resource.own_kind]
        entries = self._raw(collection, **({"name": resource.name} if resource.name else {}))
        return tuple(_id(e[key]) for e in entries if (e.get("name") or "") == resource.name)

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """Find by marker, else by content not in `before`, complete, or create."""
        if isinstance(resource, SecretContainer):
            return self._ensure_container(resource, before)
        if not isinstance(resource, Secret):
            raise Unsupported(f"key-manager: a {resource.own_kind} cannot be made here")
        there = self._find(resource, marker, before)
        id_ = there.id if there else self._create(resource)
        if there is None or there.marker != marker:
            self._mark(id_, resource, marker, made=there is None)
        wanted = (resource.acl_project_access, tuple(sorted(resource.acl_users)))
        if (there.acl_project_access, there.acl_users) != wanted if there else wanted != (True, ()):
            acl = {"users": list(resource.acl_users), "project-access": resource.acl_project_access}
            self._api().json("PUT", f"/v1/secrets/{id_}/acl", {"read": acl})
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

    def _find(self, wish: Secret, marker: Marker, before: frozenset[str]) -> Secret | None:
        ids = [id_ for id_ in self.lookalikes(wish) if id_ not in before]
        found = {s.id: s for s in parallel(lambda id_: self.read(Kind.SECRET, id_), ids) if isinstance(s, Secret)}
        ours = eldest({"id": s.id, "created": s.created_at} for s in found.values() if s.marker == marker)
        if ours is not None:
            return found[ours["id"]]
        alike = (s.id for s in found.values() if s.marker is None and _same(s, wish))
        return found.get(only(f"key-manager: secret {wish.name}", alike) or "")

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

    def _ensure_container(self, wish: SecretContainer, before: frozenset[str]) -> str:
        entries = [_container(entry) for entry in self._raw("containers")]
        alike = (c.id for c in entries if c.id not in before and _what(c) == _what(wish))
        found = only(f"key-manager: container {wish.name}", alike)
        if found is not None:
            return found
        base = self._api().endpoint().rstrip("/")
        refs = [{"name": e.name, "secret_ref": f"{base}/v1/secrets/{e.secret_id}"} for e in wish.entries]
        body: Json = {"name": wish.name, "type": wish.type, "secret_refs": refs}
        return _id(self._api().json("POST", "/v1/containers", body)["container_ref"])

    def write(self, secret_id: str, wish: Secret, payload: SecretBytes) -> None:
        """Give the secret its payload; one that has a payload is left alone."""
        try:
            self._api().request(
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

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """Delete."""
        gone(lambda: self._api().request("DELETE", f"/v1/{_PATHS[kind][0]}/{id_}"))


def _id(reference: str) -> str:
    return reference.rstrip("/").rpartition("/")[2]


def _what(container: SecretContainer) -> tuple[str, str, frozenset[tuple[str, str]]]:
    return container.name, container.type, frozenset((e.name, e.secret_id) for e in container.entries)


def _same(there: Secret, wish: Secret) -> bool:
    fields = ("name", "secret_type", "algorithm", "bit_length", "mode", "expiration")
    return all(getattr(there, f) == getattr(wish, f) for f in fields)


def _secret(entry: Json, user_metadata: Mapping[str, str], acl: Json) -> Secret:
    marker, metadata = from_metadata(user_metadata)
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
        acl_project_access=bool(acl.get("project-access", True)),
        acl_users=tuple(sorted(acl.get("users") or ())),
        created_at=moment(entry.get("created")),
    )


def _container(entry: Json) -> SecretContainer:
    refs = (SecretEntry(name=r.get("name") or "", secret_id=_id(r["secret_ref"])) for r in entry["secret_refs"])
    return SecretContainer(
        id=_id(entry["container_ref"]),
        name=entry.get("name") or "",
        type=entry["type"],
        entries=tuple(sorted(refs, key=lambda e: (e.name, e.secret_id))),
        status=entry.get("status") or "ACTIVE",
    )
