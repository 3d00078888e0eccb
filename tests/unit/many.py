# SPDX-License-Identifier: Apache-2.0
"""A simulated cloud whose objects stand in SQLite and not in memory: what is left of a process's memory is the program's.

Its containers and everything else are the simulator's. An object is looked up and written by itself, a container listed by
pages, so that a hundred thousand cost what a hundred thousand cost.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from unterbau.cloud.port import LOOKED_AT, Listing, Marker, Page
from unterbau.cloud.simulator import PAGE, Bytes, Simulator
from unterbau.errors import Broken, Conflict, NotFound
from unterbau.tenant.kinds import Container, Kind, Ref, Resource, StoredObject, id_of, kind_of, ref

BOX = "viele"
WRITTEN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_OBJECT: TypeAdapter[StoredObject] = TypeAdapter(StoredObject)


class Many(Simulator):
    """See the module."""

    def __init__(self, folder: Path, *, name: str = "simulated") -> None:
        super().__init__(folder, name=name)
        self._db = sqlite3.connect(folder / "objects.db", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS objects (box TEXT, name TEXT, plain TEXT, data BLOB, PRIMARY KEY (box, name))"
            " WITHOUT ROWID"
        )

    def fill(self, count: int, box: str = BOX) -> None:
        """A container of so many objects, each of its name's bytes."""
        self._put(Container(id=box, name=box))
        self._db.execute("BEGIN")
        for number in range(count):
            self._write_object(made := planted(box, f"{number % 100:02}/object-{number:07}"), made.name.encode())
        self._db.execute("COMMIT")

    def objects(self, box: str = BOX) -> int:
        """How many a container holds."""
        (count,) = self._ask("SELECT count(*) FROM objects WHERE box = ?", box)[0]
        return int(count)

    def _ask(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _write_object(self, one: StoredObject, data: bytes) -> None:
        plain = one.model_dump_json(exclude_defaults=True)
        self._ask("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", one.container, one.name, plain, data)

    def _object(self, reference: Ref) -> tuple[StoredObject, bytes] | None:
        box, _, name = id_of(reference).partition("/")
        found = self._ask("SELECT plain, data FROM objects WHERE box = ? AND name = ?", box, name)
        return (_OBJECT.validate_json(found[0][0]), found[0][1]) if found else None

    # --- the port, as far as objects go

    def listing(self, kind: Kind) -> Listing:
        """See the port."""
        return self._listed_without(kind, ())

    def _listed_without(self, kind: Kind, without: Collection[str]) -> Listing:
        if kind is Kind.OBJECT:
            rows = self._db.execute("SELECT box, plain FROM objects")
            return Listing(resources=tuple(_OBJECT.validate_json(plain) for box, plain in rows if box not in without))
        found = super().listing(kind)
        if kind is not Kind.CONTAINER:
            return found
        return found.model_copy(update={"resources": tuple(self._counted(r) for r in found.resources)})

    def _counted(self, one: Resource) -> Resource:
        return one.model_copy(update={"object_count": self.objects(one.id)}) if isinstance(one, Container) else one

    def crowded(self) -> tuple[str, ...]:
        """See the port."""
        found = self._ask("SELECT box FROM objects GROUP BY box HAVING count(*) > ? ORDER BY box", LOOKED_AT)
        return tuple(box for (box,) in found)

    def pages(self, container: str) -> Iterator[Page]:
        """See the port."""
        total, after = self.objects(container), ""
        while True:
            found = self._ask(
                "SELECT name, plain FROM objects WHERE box = ? AND name > ? ORDER BY name LIMIT ?", container, after, PAGE
            )  # fmt: skip
            yield Page(tuple(_OBJECT.validate_json(plain).as_listed() for _, plain in found), (), total)
            if len(found) < PAGE:
                return
            after = found[-1][0]

    def read(self, reference: Ref) -> Resource | None:
        """See the port."""
        if kind_of(reference) is Kind.OBJECT:
            found = self._object(reference)
            return found[0] if found else None
        there = super().read(reference)
        return self._counted(there) if there is not None else None

    @contextmanager
    def object_bytes(self, container: str, name: str) -> Iterator[Bytes]:
        """See the port."""
        found = self._object(ref(Kind.OBJECT, f"{container}/{name}"))
        if found is None:
            raise NotFound(f"{self.name}: {container}/{name} does not exist")
        yield Bytes(found[1])

    own_bytes = object_bytes

    @contextmanager
    def object_whole(self, container: str, name: str) -> Iterator[tuple[Resource, Bytes]]:
        """See the port."""
        found = self._object(ref(Kind.OBJECT, f"{container}/{name}"))
        if found is None:
            raise NotFound(f"{self.name}: {container}/{name} does not exist")
        yield found[0], Bytes(found[1])

    def write_object(self, wish: Resource, data: Iterable[bytes], marker: Marker) -> None:
        """See the port."""
        assert isinstance(wish, StoredObject)
        content, there = b"".join(data), self.read(ref(Kind.OBJECT, wish.place()))
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if there is not None and there.marker != marker:
            raise Conflict(f"{self.name}: {there.ref} exists already and is not ours")
        if wish.md5() not in ("", etag):
            raise Broken(f"{self.name}: {wish.ref}: other bytes arrived than were announced")
        told = {"id": wish.place(), "etag": etag, "size_bytes": len(content), "marker": marker, "by_listing": False}
        self._write_object(wish.model_copy(update={**told, "last_modified": datetime.now(UTC)}), content)

    def unmark(self, resource: Resource) -> None:
        """See the port."""
        found = self._object(resource.ref) if kind_of(resource.ref) is Kind.OBJECT else None
        if found is None:
            super().unmark(resource)
        else:
            self._write_object(found[0].model_copy(update={"marker": None}), found[1])

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        """See the port."""
        if kind_of(reference) is Kind.OBJECT:
            box, _, name = id_of(reference).partition("/")
            self._ask("DELETE FROM objects WHERE box = ? AND name = ?", box, name)
            return
        if kind_of(reference) is Kind.CONTAINER and self.objects(id_of(reference)):
            raise Conflict(f"{self.name}: {reference} is not empty")
        super().delete(reference, deadline)


def planted(box: str, name: str, **fields: Any) -> StoredObject:
    """An object of its name's bytes."""
    etag = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return StoredObject(
        id=f"{box}/{name}", name=name, container=box, size_bytes=len(name.encode()), etag=etag, last_modified=WRITTEN,
        **fields,
    )  # fmt: skip
