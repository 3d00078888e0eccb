# SPDX-License-Identifier: Apache-2.0
"""The journal of one run: an append-only, hash-chained table in a SQLite file, durable when `append` returns.

`engine` writes it, the evidence takes `export()`. The only module that speaks SQL. One process at a time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import JsonValue, SecretBytes, SecretStr, ValidationError

from unterbau import files
from unterbau.canonical import CHAIN, GENESIS, chained
from unterbau.errors import LocalError, Refused
from unterbau.saga.status import Event, JsonObject, Status
from unterbau.verdict import Model

SECRET_WORDS = ("payload", "password", "passwd", "secret", "token")
REFERENCE_ENDS = ("_id", "_ids", "_ref", "_hash", "_sha256")
"""A key such as `secret_id` names a secret without holding it; so does a Ref (`secret:<id>`)."""


class Row(Model):
    """One journal entry; `hash` follows from it and from `prev` (`canonical.chained`)."""

    seq: int
    at: str
    event: Event
    prev: str
    hash: str


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces, ASCII only, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def refuse_secrets(value: object, where: str = "data") -> None:
    """Refused if a value is a secret (or bytes) by type, or stands under a key that is named like one."""
    if isinstance(value, SecretStr | SecretBytes | bytes):
        raise Refused(f"journal: {where} holds a secret; secrets are never written down")
    if isinstance(value, dict):
        for key, inner in value.items():
            name = str(key).lower()
            if any(w in name for w in SECRET_WORDS) and ":" not in name and not name.endswith(REFERENCE_ENDS):
                raise Refused(f"journal: {where}.{key} is named like a secret; secrets are never written down")
            refuse_secrets(inner, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            refuse_secrets(inner, f"{where}[{index}]")


class Journal:
    """An open journal; a context manager. `append`, `rows` and `export` may be called from any thread.

    on_write(seq) is called after each durable write (tests kill the process there).
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_write: Callable[[int], None] = lambda seq: None,
    ) -> None:
        self.path, self._now, self._on_write = path, now, on_write
        self._mutex = threading.RLock()
        self._failed = False
        self._lock = _locked(path)
        try:
            self._db = self._connect()
            self._last, self.status = GENESIS, Status()
            self.doubts: dict[str, datetime] = {}
            """When a write of a step last got no answer, for each step of which there is one; until the next `swept`."""
            self._seq = 0
            for row in self.rows():
                self.status.apply(row.event)
                self._doubt(row.event, row.at)
                self._seq, self._last = row.seq, row.hash
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        with self._translated():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, at TEXT NOT NULL,"
                " event TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL) STRICT"
            )
            if not self._db.execute("SELECT 1 FROM journal").fetchone():
                self._db.execute(f"PRAGMA user_version={CHAIN}")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            self.chain = int(version) or 1  # the journals of chain 1 name none
            return self._db

    def append(self, event: Event) -> int:
        """Write one event durably and return its number (from 1).

        Illegal order: LocalError. A secret inside: Refused. Disk full or not writable: LocalError.
        """
        refuse_secrets(event.data)
        with self._mutex:
            if self._failed:
                raise LocalError(f"journal {self.path}: an earlier write failed", "run the command again")
            self.status.apply(event)
            self._failed = True
            seq, at = self._seq + 1, self._now().astimezone(UTC).isoformat()
            plain = event.model_dump(mode="json")
            with self._translated():
                digest = chained(self.chain, self._last, seq, at, plain)
                self._db.execute(
                    "INSERT INTO journal VALUES (?, ?, ?, ?, ?)", (seq, at, canonical(plain), self._last, digest)
                )
            self._seq, self._last, self._failed = seq, digest, False
            self._doubt(event, at)
            self._on_write(seq)
            return seq

    def _doubt(self, event: Event, at: str) -> None:
        if event.kind == "uncertain":
            self.doubts[event.node] = datetime.fromisoformat(at)
        elif event.kind == "swept":
            self.doubts.clear()

    def doubt(self, node: str, seconds: float) -> float:
        """For how many seconds from now the cloud may still finish a write of this step that it did not answer."""
        with self._mutex:
            since = self.doubts.get(node)
        return 0.0 if since is None else max(0.0, min(seconds, seconds - (self._now() - since).total_seconds()))

    def rows(self) -> tuple[Row, ...]:
        """All entries in order, the chain checked. A broken chain is a LocalError naming the entry."""
        with self._mutex, self._translated():
            raw = self._db.execute("SELECT seq, at, event, prev, hash FROM journal ORDER BY seq").fetchall()
        prev, found = GENESIS, []
        for number, (seq, at, text, before, digest) in enumerate(raw, 1):
            try:
                expected = chained(self.chain, before, seq, at, json.loads(text))
                row = Row(seq=seq, at=at, event=Event.model_validate_json(text), prev=before, hash=digest)
            except (ValidationError, ValueError, TypeError, KeyError) as error:
                raise _broken(self.path, number) from error
            if row.seq != number or row.prev != prev or row.hash != expected:
                raise _broken(self.path, number)
            found.append(row)
            prev = row.hash
        return tuple(found)

    def events(self) -> tuple[Event, ...]:
        """All events in order."""
        return tuple(row.event for row in self.rows())

    def export(self) -> list[dict[str, JsonValue]]:
        """The rows as plain JSON objects, for the bundle."""
        return [row.model_dump(mode="json") for row in self.rows()]

    @property
    def outputs(self) -> Mapping[str, JsonObject]:
        """Outputs of the steps that are done, at each look those of that moment. Any thread may go through them."""
        return _Now(self.status.outputs)

    def close(self) -> None:
        """Give back the file and the lock."""
        if hasattr(self, "_db"):
            self._db.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise LocalError(
                f"journal {self.path}: {error}",
                "free space on the disk, check permissions, or restore the file; then run the command again",
            ) from error


class _Now(Mapping[str, JsonObject]):
    """A mapping that grows meanwhile: who goes through it sees the names that there were when he began."""

    def __init__(self, growing: Mapping[str, JsonObject]) -> None:
        self._growing = growing

    def __getitem__(self, name: str) -> JsonObject:
        return self._growing[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._growing))

    def __len__(self) -> int:
        return len(self._growing)


def peek(path: Path) -> Status:
    """Where the run of a journal stands, which another process may be writing. Raises LocalError without a readable one."""
    status = Status()
    with _looked_at(path, "SELECT event FROM journal ORDER BY seq") as rows:
        for (text,) in rows:
            status.apply(Event.model_validate_json(text))
    return status


def timeline(path: Path) -> list[tuple[datetime, str, str]]:
    """(when, kind of event, step) of each entry of a journal, which another process may be writing. Raises LocalError."""
    told = "SELECT at, json_extract(event, '$.kind'), coalesce(json_extract(event, '$.node'), '') FROM journal ORDER BY seq"
    with _looked_at(path, told) as rows:
        return [(datetime.fromisoformat(at), kind, node) for at, kind, node in rows]


@contextmanager
def _looked_at(path: Path, query: str) -> Iterator[Iterator[tuple[str, ...]]]:
    """What a query of the entries finds. A file whose maker was killed before the first of them holds none, be it empty itself."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'journal'").fetchone()
            yield db.execute(query) if made else iter(())
    except (sqlite3.Error, ValueError, TypeError) as error:  # pydantic's is a ValueError
        raise LocalError(f"journal {path}: cannot be read ({error})") from None


def _locked(path: Path) -> int:
    beside = path.with_name(path.name + ".lock")
    handle = files.take(beside)
    if handle is None:
        raise Refused(f"run {path.parent.name} is already active (pid {files.holder(beside)})", "wait for it")
    return handle


def _broken(path: Path, number: int) -> LocalError:
    return LocalError(
        f"journal {path}: entry {number} does not follow from the one before; it was damaged or changed",
        "restore the file from a copy; it is not trusted as it is",
    )
