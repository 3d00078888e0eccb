# SPDX-License-Identifier: Apache-2.0
"""Read everything that a project owns in one cloud, read-only, and say what could not be read.

`plan`, `verify`, `close` and the command `census` call `take`. It holds a `Reader` and writes nothing. An error
of one service becomes a `NotShown` with its reason; only an unreachable identity service ends the census.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from unterbau import canonical
from unterbau.cloud.port import Listing, Reader, Surroundings, Take, said
from unterbau.errors import CloudError
from unterbau.switch.agreement import Loose, is_elsewhere, loose_ends, notes
from unterbau.switch.crowd import Crowd
from unterbau.tenant.kinds import CloudIdentity, Kind, Offering, Ref, Resource, kind_of
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Reason

T = TypeVar("T")
AGAIN = (0.0, 1.0, 4.0)
"""Seconds before each further reading of what does not agree."""


def take(
    reader: Reader,
    *,
    now: Callable[[], datetime],
    workers: int = 8,
    progress: Callable[[str, int, int], None] = lambda label, done, total: None,
    pause: Callable[[float], None] = time.sleep,
    seen: Take | None = None,
    told: Callable[[Listing], None] = lambda listing: None,
    brief: bool = False,
    without: Collection[str] = (),
    place: Path | None = None,
) -> Workload:
    """A census. `progress(label, done, total)` counts kinds; it is called from worker threads.

    With `seen` what is small is read with it (`Reader.listing_read`), and perhaps more than once; `told` gets each listing as soon as
    it is there, from worker threads, and again what does not agree. `brief`: of many objects only what the listings tell (`Reader.listing_brief`). `without`: containers whose objects `seen` does not get, nor the census. `place`:
    where of a brief census the manifest of crowded containers goes, whose plain objects are then no things of their own.

    Kinds whose listings do not agree (see `agreement`) are read again, with `pause` between; what still does not agree
    is not shown. Raises AuthFailed, Unreachable, ... if not even the identity could be read.
    """
    identity = reader.identity()
    taken_at = now()
    crowd = Crowd(reader, place, pause) if brief and place is not None else None
    if crowd is not None:
        without = crowd.find()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        listing = _listing_of(seen, without, brief=brief)
        reading = _Reading(reader, identity, pool, progress, lambda view, kind: _telling(listing(view, kind), told))
        reading.read(reader.kinds(), f"census of {identity.name}")
        loose = reading.settle(pause)
    missing = [k for k in Kind if k not in reading.listings]
    not_shown = [NotShown(what=k.value, reason=Reason.of("census.no-service")) for k in missing]
    not_shown += [n for found in reading.listings.values() for n in _notes(found)]
    not_shown += [*_notes(reading.around), *_notes(reading.unknown), *reading.failed, *notes(loose)]
    resources = [r for listing in reading.listed().values() for r in listing.resources]
    if crowd is not None:
        resources = crowd.completed(resources)
        known = {n.what for n in not_shown}
        not_shown += [n for n in crowd.notes.values() if n.what not in known]
    if count := sum(r.in_brief() for r in resources):
        not_shown.append(NotShown(what="object.headers", reason=Reason.of("census.by-listing", count=count)))
    return Workload(
        identity=identity,
        taken_at=taken_at,
        resources=tuple(sorted(resources, key=lambda r: (list(Kind).index(r.own_kind), r.name, r.id))),
        offering=reading.offering,
        not_shown=tuple(sorted({(n.what, n.reason): n for n in not_shown}.values(), key=lambda n: n.what)),
    )


def _listing_of(seen: Take | None, without: Collection[str], *, brief: bool) -> Callable[[Reader, Kind], Listing]:
    if seen is not None:
        return lambda reader, kind: reader.listing_read(kind, seen, without)
    if brief:
        return lambda reader, kind: reader.listing_brief(kind, without)
    return lambda reader, kind: reader.listing(kind)


def _telling(found: Listing, told: Callable[[Listing], None]) -> Listing:
    told(found)
    return found


class _Reading:
    """What one census read, and what it takes to make it agree."""

    def __init__(
        self,
        reader: Reader,
        identity: CloudIdentity,
        pool: ThreadPoolExecutor,
        progress: Callable[[str, int, int], None],
        listing: Callable[[Reader, Kind], Listing],
    ) -> None:
        self.reader, self.identity, self.pool, self.progress = reader, identity, pool, progress
        self._listing = listing
        self.listings: dict[Kind, Listing | NotShown] = {}
        self.around: Surroundings | NotShown = Surroundings(offering=Offering())
        self.unknown: tuple[NotShown, ...] | NotShown = ()
        self.elsewhere: set[Ref] = set()
        """What was named, not listed, and found to be another's or gone."""
        self.failed: list[NotShown] = []
        """Why a kind could not be read again; what was read of it before stays."""

    def listed(self) -> dict[Kind, Listing]:
        """The listings that could be read."""
        return {kind: found for kind, found in self.listings.items() if isinstance(found, Listing)}

    @property
    def offering(self) -> Offering:
        """What surrounds the project, as far as it was read."""
        return Offering() if isinstance(self.around, NotShown) else self.around.offering

    def read(self, kinds: Collection[Kind], label: str, *, beside: bool = True) -> None:
        """List these kinds and look at what is `beside` the listings, all at the same time."""
        done: list[Kind] = []
        view = self.reader.once()

        def one(kind: Kind) -> Listing | NotShown:
            found = _or_reason(kind.value, lambda: self._listing(view, kind))
            done.append(kind)
            self.progress(label, len(done), len(kinds))
            return found

        around = self.pool.submit(_or_reason, "offering", view.surroundings) if beside else None
        unknown = self.pool.submit(_or_reason, "unknown services", view.not_understood) if beside else None
        for kind, found in zip(kinds, self.pool.map(one, kinds), strict=True):
            if isinstance(found, NotShown) and isinstance(self.listings.get(kind), Listing):
                self.failed.append(found)
            else:
                self.listings[kind] = found
        self.around = around.result() if around else self.around
        self.unknown = unknown.result() if unknown else self.unknown

    def settle(self, pause: Callable[[float], None]) -> list[Loose]:
        """Read again what does not agree, a few times; returns what still does not."""
        for seconds in AGAIN:
            loose = [one for one in self._loose() if not (one.is_hunch and seconds)]
            if not loose:
                return []
            pause(seconds)
            again = sorted({k for one in loose for k in one.kinds}, key=list(Kind).index)
            label = f"census of {self.identity.name}: what does not agree, again"
            self.read(again, label, beside=not all(one.is_hunch for one in loose))
        return self._loose()

    def _loose(self) -> list[Loose]:
        """The disagreements, without what is named and rightly not listed."""
        loose = loose_ends(self.listed(), self.offering)
        unsure = [one.missing for one in loose if not one.sure]
        elsewhere = {one for one, told in zip(unsure, self.pool.map(self._is_elsewhere, unsure), strict=True) if told}
        return [one for one in loose if one.missing not in elsewhere]

    def _is_elsewhere(self, reference: Ref) -> bool:
        """Whether it is another's or gone; that it is so was asked once and is not asked again."""
        if reference in self.elsewhere:
            return True
        try:
            found = self.reader.read(reference)
            told = is_elsewhere(found, self.identity.project_id)
            if isinstance(told, str):  # it is where that one is
                told = not self._is_listed(told) and self._is_elsewhere(told)
        except CloudError:
            return False
        if told:
            self.elsewhere.add(reference)
        return told

    def _is_listed(self, reference: Ref) -> bool:
        listing = self.listed().get(kind_of(reference))
        return listing is not None and any(r.ref == reference for r in listing.resources)


def _or_reason(what: str, read: Callable[[], T]) -> T | NotShown:
    try:
        return read()
    except CloudError as error:
        return NotShown(what=what, reason=said(error))


def _notes(found: Listing | Surroundings | NotShown | tuple[NotShown, ...]) -> tuple[NotShown, ...]:
    if isinstance(found, NotShown):
        return (found,)
    return found if isinstance(found, tuple) else found.not_shown


def own(workload: Workload, run: str) -> tuple[Resource, ...]:
    """The resources that this run did not make itself (its temporaries carry its marker)."""
    prefix = f"unterbau.{run}."
    return tuple(r for r in workload.resources if not (r.marker or "").startswith(prefix))


def is_brief(workload: Workload) -> bool:
    """Whether of some objects only the listing was read: it compares with a census that was taken so."""
    return any(r.is_brief() for r in workload.resources)


def digest(workload: Workload, run: str = "") -> str:
    """What the project owns, as one digest: the same until something of it changes. `sha256:…`.

    States that change by themselves do not count, nor does what the run `run` made.
    """
    resources = own(workload, run) if run else workload.resources
    plain: dict[str, JsonValue] = {r.ref: r.model_dump(mode="json", exclude=set(r.MOMENT)) for r in resources}
    return canonical.digest(plain)


def difference(old: Workload, new: Workload, run: str = "") -> tuple[str, ...]:
    """What a person should know that changed between two censuses of the same project, a line a thing.

    What is gone by its own word, since its end had come, is no change of anybody's.
    """
    before = {r.ref: r for r in (own(old, run) if run else old.resources)}
    after = {r.ref: r for r in (own(new, run) if run else new.resources)}
    missing = (before[one] for one in before.keys() - after.keys())
    lines = [f"gone: {r.ref} {r.name}" for r in missing if not r.has_ended(new.taken_at)]
    lines += [f"new: {one} {after[one].name}" for one in after.keys() - before.keys()]
    for one in before.keys() & after.keys():
        fields = [
            name
            for name in type(before[one]).model_fields
            if name not in before[one].MOMENT and getattr(before[one], name) != getattr(after[one], name)
        ]
        if fields:
            lines.append(f"changed: {one} {after[one].name} ({', '.join(fields)})")
    return tuple(sorted(lines))
