# SPDX-License-Identifier: Apache-2.0
"""Read crowded containers of both sides into manifests: a line an object, with our own hash of its bytes. `contents` calls it.

Nothing of them is held but a batch. What cannot be read is one line that says why. What two manifests mean together is judged
in `holding`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from unterbau import files
from unterbau.cloud.content import content
from unterbau.cloud.paging import PAUSES
from unterbau.cloud.port import ByteStream, Cloud, said
from unterbau.errors import CloudError, Interrupted
from unterbau.switch.manifest import Line, Manifest, Sum, head
from unterbau.tenant.kinds import Ref, Resource, ref
from unterbau.tenant.kinds.object import STORE, STORED
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Observation, Reason, Source, Words

T = TypeVar("T")
BATCH = 1000
"""How many objects are under way at once."""
OBJECT = f"{STORED.value}:"
WHAT = "objects"
"""What an observation of a container is of."""
SUFFIX = ".jsonl"


def crowded(sides: Mapping[str, Cloud]) -> tuple[str, ...]:
    """Containers that are so on either side. A side that does not say so is read as if it had none."""
    found: set[str] = set()
    with ThreadPoolExecutor(max_workers=2) as pool:
        for told in [pool.submit(cloud.crowded) for cloud in sides.values()]:
            with suppress(CloudError):
                found.update(told.result())
    return tuple(sorted(found))


def beside(place: Path, side: str) -> Path:
    """Where the manifest of a side stands that belongs to the verdicts in the file `place`."""
    return place.with_name(f"{place.name.removesuffix('.json')}.contents-{side}{SUFFIX}")


@dataclass
class _Reading:
    """Of one container: its objects so far, how many it listed, and how many it counts."""

    sums: Sum = field(default_factory=Sum)
    listed: int = 0
    total: int | None = None


@dataclass
class Containers:
    """The crowded containers `names` of both sides. `place`: the file of the verdicts, beside which the manifests are written.

    `hash` hashes a stream of the object that it is told (side, name).
    """

    sides: Mapping[str, Cloud]
    names: Sequence[str]
    place: Path
    hash: Callable[[str, str, ByteStream], str]
    now: Callable[[], datetime]
    count: Callable[[str, int, int], None]
    workers: int
    pause: Callable[[float], None] = time.sleep
    told: Callable[[str], AbstractContextManager[dict[str, float]]] = lambda step: nullcontext({})
    """What tells how long a step took; see `contents`."""
    _abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def manifests(self) -> dict[str, Manifest]:
        """Side -> what was written of it."""
        return {side: Manifest.at(beside(self.place, side)) for side in self.sides} if self.names else {}

    def abandon(self) -> None:
        """Let a reading end that is under way: nobody wants it any more."""
        self._abandoned.set()

    def _both(self, work: Callable[[str], T]) -> dict[str, T]:
        with ThreadPoolExecutor(max_workers=2) as pool:
            told = {side: pool.submit(work, side) for side in self.sides}
            return {side: future.result() for side, future in told.items()}

    def read(self) -> tuple[dict[tuple[str, Ref], Observation], dict[str, list[NotShown]]]:
        """Write both manifests. Returns what each container holds, and what was not understood of its objects."""
        if not self.names:
            for side in self.sides:
                beside(self.place, side).unlink(missing_ok=True)
            return {}, {}
        told = self._both(self._write)
        return {key: seen for found, _ in told.values() for key, seen in found.items()}, {
            s: n for s, (_, n) in told.items()
        }

    def _write(self, side: str) -> tuple[dict[tuple[str, Ref], Observation], list[NotShown]]:
        found: dict[tuple[str, Ref], Observation] = {}
        notes: dict[str, NotShown] = {}
        path, done = beside(self.place, side), 0
        with files.translated(path), open(path, "wb", opener=_private) as file:
            for name in self.names:
                reference = ref(STORE, name)
                with self.told(f"content of {side} {reference}") as amount:
                    sums, doubt = self._container(side, name, file, notes, done)
                    amount["bytes"], amount["times"] = sums.size_bytes // max(1, sums.objects), max(1, sums.objects)
                done += sums.objects
                where = Source(where=f"{side}: {reference}", at=self.now())
                found[side, reference] = Observation(what=WHAT, value=sums.told(), source=where, reason=doubt)
        return found, [*notes.values()]

    def _container(
        self, side: str, name: str, file: BinaryIO, notes: dict[str, NotShown], done: int
    ) -> tuple[Sum, Words]:
        """Its lines; and why they may not be all.

        A count that follows its writes late is waited for. If the container lists more or less by then, it is read anew.
        """
        begun, found = file.tell(), _Reading()
        try:
            self._lines(side, name, file, notes, done, found)
            for seconds in PAUSES:
                if found.total in (None, found.listed):
                    break
                self.pause(seconds)
                listed, found.total = self._counted(side, name)
                if listed != found.listed:
                    file.seek(begun)
                    file.truncate()
                    found = _Reading()
                    self._lines(side, name, file, notes, done, found)
        except CloudError as error:
            return found.sums, said(error)
        if found.total not in (None, found.listed):
            return found.sums, Reason.of("census.counted", count=found.listed, total=found.total)
        return found.sums, ""

    def _counted(self, side: str, name: str) -> tuple[int, int | None]:
        """How many objects a container lists, and how many it counts."""
        listed, total = 0, None
        for page in self.sides[side].pages(name):
            listed, total = listed + len(page.plain) + len(page.others), page.total
        return listed, total

    def _lines(
        self, side: str, name: str, file: BinaryIO, notes: dict[str, NotShown], done: int, found: _Reading
    ) -> None:
        """Read all of its objects. Raises as the cloud does; what was read by then is in the file and in `found`."""
        file.write(head(name) + b"\n")
        for page in self.sides[side].pages(name):
            found.listed, found.total = found.listed + len(page.plain) + len(page.others), page.total
            notes.update((n.what, n) for n in page.not_shown if not n.what.startswith(OBJECT) and n.what not in notes)
            objects = sorted((*page.plain, *page.others), key=lambda r: r.name)
            for start in range(0, len(objects), BATCH):
                if self._abandoned.is_set():
                    raise Interrupted("nobody waits for this reading any more", "Run the same command again.")
                for line in self._batch(side, objects[start : start + BATCH], notes):
                    if not line.gone:
                        found.sums.add(line)
                    file.write(line.bytes() + b"\n")
                here = done + found.sums.objects
                self.count(f"objects read of {side}", here, max(here, done + (page.total or 0)))

    def _batch(self, side: str, objects: Sequence[Resource], notes: dict[str, NotShown]) -> Iterator[Line]:
        """Lines of these objects as they are now, in their order."""
        hashes: dict[Ref, tuple[Resource, str]] = {}

        def seen(thing: Resource, stream: ByteStream) -> None:
            hashes[thing.ref] = thing, self.hash(side, thing.name, stream)

        told = self.sides[side].read_again(objects, seen)
        there = {r.ref: r for r in told.resources}
        unread = {n.what: n.reason for n in told.not_shown}
        notes.update((n.what, n) for n in told.not_shown if not n.what.startswith(OBJECT) and n.what not in notes)
        rest = [r for r in there.values() if r.has_content() and hashes.get(r.ref, (None, ""))[0] != r]
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            later = dict(zip([r.ref for r in rest], pool.map(lambda r: self._content(side, r), rest), strict=True))
        for listed in objects:
            thing = there.get(listed.ref)
            if thing is not None:
                known = hashes[thing.ref][1] if thing.ref in hashes and thing.has_content() else ""
                yield Line.of(thing, *later.get(thing.ref, (known, "")))
            elif listed.ref in unread:
                yield Line.unread_of(listed.id.partition("/")[0], listed.name, unread[listed.ref])
            else:
                yield Line.gone_of(listed.id.partition("/")[0], listed.name)

    def _content(self, side: str, thing: Resource) -> tuple[str, Words]:
        """The hash of its bytes, or why there is none."""
        try:
            with content(self.sides[side], thing) as stream:
                return self.hash(side, thing.name, stream), ""
        except CloudError as error:
            return "", said(error)


def with_notes(workload: Workload, notes: Iterable[NotShown]) -> Workload:
    """The census with what else was not shown, each thing once."""
    more = {n.what: n for n in notes if n.what not in workload.reasons}
    if not more:
        return workload
    told = sorted((*workload.not_shown, *more.values()), key=lambda n: n.what)
    return workload.model_copy(update={"not_shown": tuple(told)})


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
