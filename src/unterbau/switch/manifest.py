# SPDX-License-Identifier: Apache-2.0
"""The objects of many containers of one side, a line each: how a line is written and read, and the tree hash of a container.

The verifier writes one such text a side, a bundle keeps it, whoever checks reads it again; none of them holds more of it
than a line. Containers stand in the order of their names, each begun by a line of its own; within one its objects, in the
order of theirs. Not here: what it means if two sides differ (`verify.holding`), and how objects are read. Pure.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from pydantic import JsonValue, TypeAdapter, ValidationError

from unterbau.tenant.kinds import Ref, Resource, StoredObject
from unterbau.tenant.kinds.object import stored
from unterbau.verdict import Words

LONGEST = 2**18
"""Bytes of a line: names, headers and metadata that a store takes are shorter, however they are spelled."""
RUN = 10_000
"""How many lines are sorted in memory."""
_Sorted: TypeAlias = tuple[str, str, str]
"""Container, name, and line; the line that begins a container has no name."""
_OWN = ("sha256", "unread")
_APART = ("etag", "last_modified", "marker")
"""Fields of a line in which the same object differs from cloud to cloud."""
_WORDS: TypeAdapter[Words] = TypeAdapter(Words)


class Damaged(ValueError):
    """It is no such text."""


@dataclass(frozen=True)
class Line:
    """One object: `plain` are its fields that are not as by default, and `sha256` (of its content), or `unread`: why not."""

    container: str
    plain: dict[str, Any]

    @classmethod
    def of(cls, thing: Resource, sha256: str, unread: Words = "") -> Line:
        """Of an object and what was found of its content."""
        if not isinstance(thing, StoredObject):
            raise TypeError(f"{thing.ref} is no object")
        plain = thing.model_dump(mode="json", exclude_defaults=True, exclude={"id", "kind", "container", "by_listing"})
        plain["name"] = thing.name
        return cls(thing.container, plain | ({"sha256": sha256} if sha256 else {}) | _told(unread))

    @classmethod
    def unread_of(cls, container: str, name: str, why: Words) -> Line:
        """Of an object of which no more is known."""
        return cls(container, {"name": name, **_told(why)})

    @classmethod
    def gone_of(cls, container: str, name: str) -> Line:
        """Of an object that was listed and is not there."""
        return cls(container, {"name": name, "gone": True})

    @property
    def gone(self) -> bool:
        """Whether it was listed and is not there: the container counts it, and holds it no more."""
        return self.plain.get("gone") is True

    @property
    def is_linked(self) -> bool:
        """Whether it joins others or shows one."""
        return any(self.plain.get(field) is not None for field in ("segments", "dlo_prefix", "symlink_to"))

    @property
    def name(self) -> str:
        """Its name within the container."""
        return str(self.plain["name"])

    @property
    def ref(self) -> Ref:
        """Of the object."""
        return stored(self.container, self.name)

    @property
    def sha256(self) -> str:
        """Of its content (hex), or ""."""
        return str(self.plain.get("sha256", ""))

    @property
    def size_bytes(self) -> int:
        """Its length, 0 if that is not known."""
        return int(self.plain.get("size_bytes", 0))

    @property
    def unread(self) -> Words:
        """Why it, or its content, was not read; or ""."""
        try:
            why: Words = _WORDS.validate_python(self.plain["unread"]) if "unread" in self.plain else ""
        except ValidationError:
            raise Damaged(f"a line of {self.container} does not say why") from None
        return why

    @property
    def facts(self) -> dict[str, Any]:
        """What must be the same on both sides, its content among it."""
        return {name: value for name, value in self.plain.items() if name not in _APART}

    @property
    def listed(self) -> dict[str, Any]:
        """What stays the same in one cloud as long as nobody writes it anew."""
        return {name: value for name, value in self.plain.items() if name not in ("last_modified", "marker")}

    def thing(self, *, by_listing: bool = False) -> StoredObject:
        """The object; `by_listing`: of a line that a listing told. Raises Damaged."""
        told = {name: value for name, value in self.plain.items() if name not in _OWN}
        try:
            place = {"id": f"{self.container}/{self.name}", "container": self.container, "by_listing": by_listing}
            return StoredObject.model_validate({"size_bytes": 0, "etag": "", **told, **place})
        except ValidationError:
            raise Damaged(f"a line of {self.container} is no object") from None

    def has_ended(self, at: datetime) -> bool:
        """Whether it is gone by its own word at a time."""
        return "delete_at" in self.plain and self.thing().has_ended(at)

    def bytes(self) -> bytes:
        """The line as it is written."""
        return _spelled(self.plain)


@dataclass
class Sum:
    """What a container holds, in one: objects, bytes, and the root of the tree of their lines.

    The tree is that of RFC 6962, 2.1, with SHA-256; a leaf is what of a line must be the same on both sides (`Line.facts`).
    So two containers with the same objects have the same root. `listed`: a leaf is what a listing tells, of one cloud.
    """

    listed: bool = False

    objects: int = 0
    size_bytes: int = 0
    _roots: list[tuple[int, bytes]] = field(default_factory=list)
    """(how many leaves, root) of the perfect trees so far, the largest first."""

    def add(self, line: Line) -> None:
        """One more, behind those before."""
        self.objects += 1
        self.size_bytes += line.size_bytes
        leaf = line.listed if self.listed else line.facts
        count, root = 1, hashlib.sha256(b"\0" + _spelled(leaf)).digest()
        while self._roots and self._roots[-1][0] == count:
            count, root = 2 * count, hashlib.sha256(b"\1" + self._roots.pop()[1] + root).digest()
        self._roots.append((count, root))

    @property
    def tree(self) -> str:
        """The root, `sha256:…`."""
        found = self._roots[-1][1] if self._roots else hashlib.sha256(b"").digest()
        for _, root in reversed(self._roots[:-1]):
            found = hashlib.sha256(b"\1" + root + found).digest()
        return f"sha256:{found.hex()}"

    def told(self) -> dict[str, JsonValue]:
        """As a verdict tells it."""
        return {"objects": self.objects, "bytes": self.size_bytes, "tree": self.tree}


@dataclass(frozen=True)
class Manifest:
    """The text of one side. `lines` gives it anew each time, line by line without their ends."""

    lines: Callable[[], Iterable[bytes]]

    @classmethod
    def read(cls, opened: Callable[[], BinaryIO]) -> Manifest:
        """Of what gives its bytes anew each time, which are not held."""

        def lines() -> Iterator[bytes]:
            with opened() as file:
                while line := file.readline(LONGEST + 1):
                    yield line.removesuffix(b"\n")

        return cls(lines)

    @classmethod
    def at(cls, path: Path) -> Manifest:
        """Of a file."""
        return cls.read(lambda: path.open("rb"))

    @classmethod
    def of(cls, data: bytes) -> Manifest:
        """Of its bytes."""
        return cls.read(lambda: io.BytesIO(data))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its containers."""
        return tuple(container for container, _ in self.containers())

    def containers(self) -> Iterator[tuple[str, Iterator[Line]]]:
        """Each container with its lines, which are to be taken before the next one is. Raises Damaged."""
        lines = (_read(line) for line in self.lines())
        head = next(lines, None)
        before = None
        while head is not None:
            container = head.get("container")
            if not isinstance(container, str) or len(head) != 1 or (before is not None and container <= before):
                raise Damaged("its containers do not stand in their order")
            ahead: list[dict[str, Any]] = []
            held = _within(container, lines, ahead)
            yield container, held
            for _ in held:
                pass
            head, before = ahead[0] if ahead else None, container


NONE = Manifest(tuple)
_HEAD = b'{"container":'


def parts(path: Path, size_of: Callable[[str], int]) -> dict[str, list[tuple[int, int]]]:
    """Of a manifest's file: container -> (offset of its first line, how many) of each part. `size_of` tells how many lines one has.

    Raises Damaged, OSError.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    size, here = 1, list[tuple[int, int]]()
    with path.open("rb") as file:
        at = 0
        while line := file.readline(LONGEST + 1):
            if line.startswith(_HEAD):
                name = str(_read(line)["container"])
                size, here = size_of(name), found.setdefault(name, [])
            elif here and here[-1][1] < size:
                here[-1] = (here[-1][0], here[-1][1] + 1)
            else:
                here.append((at, 1))
            at += len(line)
    return found


def part(path: Path, container: str, at: int, count: int) -> Iterator[Line]:
    """The lines of one part. Raises Damaged, OSError."""
    with path.open("rb") as file:
        file.seek(at)
        lines = (_read(file.readline(LONGEST + 1)) for _ in range(count))
        yield from _within(container, lines, [])


@dataclass(frozen=True)
class Chunk:
    """Some lines of a container that stand together: the names of the first and the last, the first one's offset, how many."""

    first: str
    last: str
    at: int
    count: int


@dataclass(frozen=True)
class Index:
    """A file in which one reads from any name on. `linked`: its lines that show or join others, which are few."""

    path: Path
    chunks: Mapping[str, tuple[Chunk, ...]]
    linked: tuple[Line, ...]

    @classmethod
    def of(cls, path: Path, size: int) -> Index:
        """Of a file, after one reading of it: the names of every `size` lines. Raises Damaged, OSError."""
        found: dict[str, list[Chunk]] = {}
        linked, here = list[Line](), [0, 0]

        def lines() -> Iterator[bytes]:
            with path.open("rb") as file:
                while line := file.readline(LONGEST + 1):
                    here[:] = here[1], here[1] + len(line)
                    yield line.removesuffix(b"\n")

        for container, held in Manifest(lines).containers():
            chunks = found.setdefault(container, [])
            for line in held:
                if chunks and chunks[-1].count < size:
                    chunks[-1] = replace(chunks[-1], last=line.name, count=chunks[-1].count + 1)
                else:
                    chunks.append(Chunk(line.name, line.name, here[0], 1))
                if line.is_linked:
                    linked.append(line)
        return cls(path, {name: tuple(chunks) for name, chunks in found.items()}, tuple(linked))

    def lines(self, container: str, chunk: Chunk) -> Iterator[Line]:
        """Those of a chunk. Raises Damaged, OSError."""
        return part(self.path, container, chunk.at, chunk.count)

    def between(self, container: str, first: str, last: str) -> Iterator[Line]:
        """The objects of a container with names from `first` to `last`. Raises Damaged, OSError."""
        chunks = self.chunks.get(container, ())
        for chunk in chunks[bisect_left(chunks, first, key=lambda one: one.last) :]:
            if chunk.first > last:
                return
            yield from (line for line in self.lines(container, chunk) if first <= line.name <= last)


def head(container: str) -> bytes:
    """The line that begins a container."""
    return _spelled({"container": container})


def put_in_order(file: BinaryIO, held: Iterable[tuple[str, Iterable[Line]]], work: Path) -> None:
    """Write a whole text. `held`: each container with its objects, in any order; `work`: a folder for what is sorted of them."""
    runs, here = list[Path](), list[_Sorted]()

    def end() -> None:
        runs.append(work / f"run-{len(runs)}")
        with runs[-1].open("w", encoding="utf-8") as out:
            out.writelines(f"{json.dumps(one)}\n" for one in sorted(here))
        here.clear()

    for container, lines in held:
        here.append((container, "", head(container).decode()))
        for line in lines:
            here.append((container, line.name, line.bytes().decode()))
            if len(here) >= RUN:
                end()
    end()
    with ExitStack() as files:
        opened = [files.enter_context(run.open("rb")) for run in runs]
        for _, _, told in heapq.merge(*(map(_sorted, run) for run in opened)):
            file.write(told.encode() + b"\n")


def _sorted(line: bytes) -> _Sorted:
    container, name, told = json.loads(line)
    return container, name, told


def _within(container: str, lines: Iterator[dict[str, Any]], ahead: list[dict[str, Any]]) -> Iterator[Line]:
    """The objects of a container; the line that ends them goes to `ahead`."""
    before = None
    for plain in lines:
        if "container" in plain:
            ahead.append(plain)
            return
        name, size, digest = plain.get("name"), plain.get("size_bytes", 0), plain.get("sha256", "")
        if not (isinstance(name, str) and type(size) is int and size >= 0 and isinstance(digest, str)):
            raise Damaged(f"a line of {container} is no object")
        if before is not None and name <= before:
            raise Damaged(f"the objects of {container} do not stand in their order")
        before = name
        yield Line(container, plain)


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST:
        raise Damaged(f"a line is longer than {LONGEST} bytes")
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError):
        raise Damaged("a line is no JSON") from None
    if not isinstance(plain, dict):
        raise Damaged("a line is no JSON object")
    return plain


def _spelled(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _told(why: Words) -> dict[str, Any]:
    return {"unread": _WORDS.dump_python(why, mode="json")} if why else {}
