# SPDX-License-Identifier: Apache-2.0
"""List crowded containers of a source into a manifest, for the plan. `census.take` calls it; the move reads what it wrote.

The plain objects of such a container are its content: a line each, as the listing tells them, in a file. What is a link, joins
others or is named by such a one, is a thing of the census as everywhere. Nothing of the rest is held but a page. Not here: what
the verifier reads (`verify.containers`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from unterbau import files
from unterbau.cloud.paging import PAUSES
from unterbau.cloud.port import Reader, said
from unterbau.errors import CloudError
from unterbau.switch.manifest import Line, Sum, head
from unterbau.tenant.kinds import Container, Holds, Kind, Ref, Resource, StoredObject, id_of, kind_of, ref
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words

WORKERS = 16


@dataclass
class Crowd:
    """The crowded containers of one side, and where their manifest goes."""

    reader: Reader
    place: Path
    pause: Callable[[float], None] = time.sleep
    names: tuple[str, ...] = ()
    notes: dict[str, NotShown] = field(default_factory=dict)
    _apart: dict[Ref, Resource] = field(default_factory=dict)
    _under: tuple[Ref, ...] = ()
    """Beginnings of the Refs of what large objects join."""

    def find(self) -> tuple[str, ...]:
        """Their names. A store that does not tell has none."""
        with suppress(CloudError):
            self.names = tuple(sorted(self.reader.crowded()))
        return self.names

    def completed(self, resources: Iterable[Resource]) -> list[Resource]:
        """These resources of a census without the objects of the containers: with what each container holds, and what stands apart."""
        found = list(resources)
        if not self.names:
            self.place.unlink(missing_ok=True)
            return found
        self._stand_apart([r for r in found if isinstance(r, StoredObject)])
        held = self._write()
        told = [
            r.model_copy(update={"holds": held[r.name]}) if isinstance(r, Container) and r.name in held else r
            for r in found
        ]
        return [*told, *self._apart.values()]

    # --- what stands apart

    def _stand_apart(self, known: list[StoredObject]) -> None:
        """Read what the listings do not tell whole, what it names, and so on."""
        ahead = {reference for name in self.names for reference in self._others(name)} | self._named_by(known)
        asked = set[Ref]()
        while ahead:
            asked |= ahead
            with ThreadPoolExecutor(max_workers=WORKERS) as pool:
                found = [r for r in pool.map(self._read, sorted(ahead)) if r is not None]
            self._apart |= {r.ref: r for r in found}
            known += [r for r in found if isinstance(r, StoredObject)]
            ahead = self._named_by(known) - asked

    def _named_by(self, known: list[StoredObject]) -> set[Ref]:
        """What these show or join of the containers' objects, be they in one of them or elsewhere."""
        self._under = tuple(sorted({
            start for r in known if r.dlo_prefix is not None and self._is_ours(start := ref(Kind.OBJECT, r.dlo_prefix))
        }))  # fmt: skip
        return {one for r in known for one in r.references() if self._is_ours(one)} | self._joined()

    def _others(self, name: str) -> set[Ref]:
        """What a container lists and does not tell whole; a count that follows its writes late is waited for."""
        for seconds in (*PAUSES, None):
            others, here, counted = set[Ref](), 0, None
            with suppress(CloudError):  # it is told when it is written
                for page in self.reader.pages(name):
                    others.update(r.ref for r in page.others)
                    here, counted = here + len(page.plain) + len(page.others), page.total
            if counted in (None, here) or seconds is None:
                break
            self.pause(seconds)
        return others

    def _joined(self) -> set[Ref]:
        found = set[Ref]()
        for name in sorted({id_of(start).partition("/")[0] for start in self._under}):
            with suppress(CloudError):
                for page in self.reader.pages(name):
                    found.update(r.ref for r in page.plain if r.ref.startswith(self._under))
        return found

    def _is_ours(self, reference: Ref) -> bool:
        return kind_of(reference) is Kind.OBJECT and id_of(reference).partition("/")[0] in self.names

    def _read(self, reference: Ref) -> Resource | None:
        try:
            return self.reader.read(reference)
        except CloudError as error:
            self._note(reference, said(error))
            return None

    # --- the manifest

    def _write(self) -> dict[str, Holds]:
        """A line an object; what each container holds. One that could not be listed whole holds nothing, and says why."""
        found: dict[str, Holds] = {}
        with files.translated(self.place), open(self.place, "wb", opener=_private) as file:
            for name in self.names:
                begun, sums, listed, total = file.tell(), Sum(listed=True), 0, None
                file.write(head(name) + b"\n")
                try:
                    for page in self.reader.pages(name):
                        listed, total = listed + len(page.plain) + len(page.others), page.total
                        for note in page.not_shown:
                            self._note(note.what, note.reason)
                        for thing in page.plain:
                            if isinstance(thing, StoredObject) and not self._is_apart(thing.ref):
                                line = Line.of(thing, "")
                                sums.add(line)
                                file.write(line.bytes() + b"\n")
                except CloudError as error:
                    file.seek(begun)
                    file.truncate()
                    self._unlisted(name, said(error))
                    continue
                if total is not None and total != listed:
                    self._unlisted(name, Reason.of("census.counted", count=listed, total=total))
                found[name] = Holds(objects=sums.objects, size_bytes=sums.size_bytes, tree=sums.tree)
            file.flush()
            os.fsync(file.fileno())
        return found

    def _is_apart(self, reference: Ref) -> bool:
        return reference in self._apart or bool(self._under and reference.startswith(self._under))

    def _unlisted(self, name: str, why: Words) -> None:
        reference = ref(Kind.CONTAINER, name)
        self._note(reference, why)
        self._note(Kind.OBJECT.value, Reason.of("object.unread", count=1, first=reference, why=why))

    def _note(self, what: str, why: Words) -> None:
        self.notes.setdefault(what, NotShown(what=what, reason=why))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
