# SPDX-License-Identifier: Apache-2.0
"""What the modules of the services have in common: the shape of a service, and how markers stand in its data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Protocol, cast

from unterbau.cloud.openstack.http import Json
from unterbau.cloud.port import Listing, Marker, is_marker, markers
from unterbau.cloud.waiting import LONGEST_PAUSE, wait
from unterbau.errors import Broken, Conflict, NotFound
from unterbau.tenant.kinds import Kind, Resource, Source, ref
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words


class Service(Protocol):
    """One service of the cloud: the part of the port that concerns its kinds."""

    @property
    def KINDS(self) -> tuple[Kind, ...]:  # noqa: N802 - a constant of each class
        """The kinds that it serves."""

    def listing(self, kind: Kind) -> Listing:
        """As `Reader.listing`."""

    def read(self, kind: Kind, id_: str) -> Resource | None:
        """As `Reader.read`."""

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """As `Cloud.lookalikes`."""

    def ensure(self, resource: Resource, marker: Marker, before: frozenset[str], source: Source) -> str:
        """As `Cloud.ensure`."""

    def settle(self, kind: Kind, id_: str, deadline: timedelta) -> Resource:
        """As `Cloud.settle`."""

    def unmark(self, resource: Resource, marker: Marker) -> None:
        """As `Cloud.unmark`, of a thing that carries this marker."""

    def delete(self, kind: Kind, id_: str, deadline: timedelta) -> None:
        """As `Cloud.delete`."""


def from_tags(tags: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """The marker among the tags, and the other tags, sorted."""
    listed = sorted(tags)
    marker = next((t for t in listed if is_marker(t)), None)
    return marker, tuple(t for t in listed if t != marker)


def from_metadata(metadata: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The marker in the metadata, and the rest, sorted by key. Of several markers the latest; the others are the user's."""
    key, marker = next(reversed(markers(metadata).items()), (None, None))
    return marker, {k: str(v) for k, v in sorted(metadata.items()) if k != key}


def eldest(found: Iterable[Json]) -> Json | None:
    """Which of several things with one marker is gone on with: one that is not in error, the first made; None of none.

    There are several when a lost request was carried out after all. The others are the sweep's, which knows this one's id.
    """
    made = ("created_at", "created")
    return min(
        found,
        key=lambda e: ("error" in str(e.get("status", "")).lower(), *(str(e.get(k) or "") for k in made), str(e["id"])),
        default=None,
    )


def only(what: str, ids: Iterable[str]) -> str | None:
    """The one thing that looks like ours, None of none. Raises Conflict for several: they carry no marker to choose by."""
    found = sorted(ids)
    if len(found) > 1:
        raise Conflict(
            f"{what}: {len(found)} look like the one that was asked for, and none tells whose it is: {', '.join(found)}",
            "Delete those that nothing uses, then run the same command again.",
        )
    return found[0] if found else None


def short(place: str, kind: Kind, doubt: Words) -> list[NotShown]:
    """That a listing at `place` may be not the whole: the place, and the kind, whose completeness nobody can tell then.

    `place` is the kind itself where the whole kind is one listing.
    """
    if place == kind.value:
        return [NotShown(what=place, reason=doubt)]
    return [
        NotShown(what=place, reason=doubt),
        NotShown(what=kind.value, reason=Reason.of("about", what=place, reason=doubt)),
    ]


def settled(
    kind: Kind,
    id_: str,
    deadline: timedelta,
    read: Callable[[], Resource | None],
    good: Iterable[str],
    bad: Iterable[str] = (),
    underway: Callable[[], str] = lambda: "",
    longest: float = LONGEST_PAUSE,
) -> Resource:
    """Wait for one of the good states. Raises Broken for a bad one or if it vanishes.

    `underway`: the status that is known without reading it, as long as it is none of these. `longest`: as of `wait`.
    """
    good, bad, last = frozenset(good), frozenset(bad), ""

    def look() -> Resource | None:
        nonlocal last
        if known := underway():
            last = known
            return None
        found = read()
        if found is None:
            raise Broken(f"{ref(kind, id_)} vanished while it was being made")
        last = getattr(found, "status", "") or ""
        if last in bad:
            raise Broken(f"{ref(kind, id_)} ended in status {last}")
        return found if not good or last in good else None

    return cast("Resource", wait(look, deadline, ref(kind, id_), last=lambda: last, longest=longest))


def gone(request: Callable[[], object]) -> None:
    """Ask for a deletion; gone already is success."""
    try:
        request()
    except NotFound:
        return


def wait_gone(kind: Kind, id_: str, deadline: timedelta, state: Callable[[], str | None]) -> None:
    """Wait until `state` gives None. Raises Broken if the deletion ended in error."""

    last = ""

    def look() -> bool | None:
        nonlocal last
        found = state()
        if found and "error" in found.lower():
            raise Broken(f"{ref(kind, id_)}: deletion ended in status {found}")
        last = found or ""
        return True if found is None else None

    wait(look, deadline, Reason.of("wait.deletion", thing=ref(kind, id_)), last=lambda: last)
