# SPDX-License-Identifier: Apache-2.0
"""Read everything that a project owns in one cloud, read-only, and say what could not be read.

`plan`, `verify`, `close` and the command `census` call `take`. It holds a `Reader` and writes nothing. An error
of one service becomes a `NotShown` with its reason; only an unreachable identity service ends the census.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from pydantic import JsonValue

from unterbau import canonical
from unterbau.cloud.port import Listing, Reader, Surroundings
from unterbau.errors import CloudError
from unterbau.workload import Kind, NotShown, Offering, Resource, Workload

T = TypeVar("T")
STATUS_FIELDS = frozenset({"marker", "status", "used", "bytes_used", "object_count", "last_modified", "host_id"})
"""Fields that change by themselves and say nothing about what the project owns."""


def take(
    reader: Reader,
    *,
    now: Callable[[], datetime],
    workers: int = 8,
    progress: Callable[[str, int, int], None] = lambda label, done, total: None,
) -> Workload:
    """A census. `progress(label, done, total)` counts kinds; it is called from worker threads.

    Raises AuthFailed, Unreachable, ... if not even the identity could be read.
    """
    identity = reader.identity()
    taken_at = now()
    kinds = reader.kinds()
    done: list[Kind] = []

    def one(kind: Kind) -> Listing | NotShown:
        found = _or_reason(kind.value, lambda: reader.listing(kind))
        done.append(kind)
        progress(f"census of {identity.name}", len(done), len(kinds))
        return found

    with ThreadPoolExecutor(max_workers=workers) as pool:
        around = pool.submit(_or_reason, "offering", reader.surroundings)
        unknown = pool.submit(_or_reason, "unknown services", reader.not_understood)
        listings = list(pool.map(one, kinds))
    resources, not_shown = _split(listings)
    missing = [k for k in Kind if k not in kinds]
    not_shown += [NotShown(what=k.value, reason="the cloud has no service for it") for k in missing]
    not_shown += _reasons(unknown.result())
    offering, more = _offering(around.result())
    return Workload(
        identity=identity,
        taken_at=taken_at,
        resources=tuple(sorted(resources, key=lambda r: (list(Kind).index(r.own_kind), r.name, r.id))),
        offering=offering,
        not_shown=tuple(sorted({(n.what, n.reason): n for n in [*not_shown, *more]}.values(), key=lambda n: n.what)),
    )


def _or_reason(what: str, read: Callable[[], T]) -> T | NotShown:
    try:
        return read()
    except CloudError as error:
        return NotShown(what=what, reason=f"{error.kind}: {error.what}")


def _split(listings: Iterable[Listing | NotShown]) -> tuple[list[Resource], list[NotShown]]:
    resources: list[Resource] = []
    not_shown: list[NotShown] = []
    for found in listings:
        if isinstance(found, NotShown):
            not_shown.append(found)
        else:
            resources += found.resources
            not_shown += found.not_shown
    return resources, not_shown


def _reasons(found: tuple[NotShown, ...] | NotShown) -> list[NotShown]:
    return [found] if isinstance(found, NotShown) else list(found)


def _offering(found: Surroundings | NotShown) -> tuple[Offering, list[NotShown]]:
    if isinstance(found, NotShown):
        return Offering(), [found]
    return found.offering, list(found.not_shown)


def own(workload: Workload, run: str) -> tuple[Resource, ...]:
    """The resources that this run did not make itself (its temporaries carry its marker)."""
    prefix = f"unterbau.{run}."
    return tuple(r for r in workload.resources if not (r.marker or "").startswith(prefix))


def digest(workload: Workload, run: str = "") -> str:
    """What the project owns, as one digest: the same until something of it changes. `sha256:…`.

    States that change by themselves do not count, nor does what the run `run` made.
    """
    resources = own(workload, run) if run else workload.resources
    plain: dict[str, JsonValue] = {r.ref: r.model_dump(mode="json", exclude=set(STATUS_FIELDS)) for r in resources}
    return canonical.digest(plain)


def difference(old: Workload, new: Workload, run: str = "") -> tuple[str, ...]:
    """What a person should know that changed between two censuses of the same project, a line a thing."""
    before = {r.ref: r for r in (own(old, run) if run else old.resources)}
    after = {r.ref: r for r in (own(new, run) if run else new.resources)}
    lines = [f"gone: {ref} {before[ref].name}" for ref in before.keys() - after.keys()]
    lines += [f"new: {ref} {after[ref].name}" for ref in after.keys() - before.keys()]
    for ref in before.keys() & after.keys():
        fields = [
            name
            for name in type(before[ref]).model_fields
            if name not in STATUS_FIELDS and getattr(before[ref], name) != getattr(after[ref], name)
        ]
        if fields:
            lines.append(f"changed: {ref} {after[ref].name} ({', '.join(fields)})")
    return tuple(sorted(lines))
