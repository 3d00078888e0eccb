# SPDX-License-Identifier: Apache-2.0
"""A look whose crowded containers are told object by object, as those of few objects are. Pure. `close` and its check ask for it.

Who deletes decides of each object by itself, by what was seen of it. So this holds every object in memory that it is given:
`closing` gives it those of a part at a time, and whole containers only where objects name one another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from unterbau.switch import temporaries
from unterbau.switch.manifest import NONE, Line, Manifest
from unterbau.switch.plan import Plan
from unterbau.switch.verify.contents import Contents
from unterbau.switch.verify.structure import compare, observed
from unterbau.tenant.kinds import Kind, Ref, Resource, kind_of
from unterbau.tenant.kinds.object import STORE
from unterbau.tenant.workload import NotShown, Workload
from unterbau.verdict import Observation, Source


def expanded(
    told: Contents, plan: Plan | None, manifests: Mapping[str, Manifest], but: Collection[str] = ()
) -> Contents:
    """The same look, with a verdict on each object in place of those on containers. Raises `manifest.Damaged`.

    `but`: containers that are not expanded; nothing is said of what they hold.
    """
    if all(name in but for manifest in manifests.values() for name in manifest.names):
        return told
    hashes = {
        key: seen for key, seen in observed(told.verdicts).items() if not _is_of_a_container(key[1])
    }  # fmt: skip
    sides = {
        side: with_objects(side, workload, _lines(manifests.get(side, NONE), but), hashes)
        for side, workload in (("source", told.source), ("target", told.target))
    }
    verdicts = compare(
        sides["source"],
        sides["target"],
        plan,
        hashes,
        told.judging,
        temporary=temporaries.markers(plan),
        answers=told.answers,
    )
    return told.model_copy(update={**sides, "verdicts": verdicts})


def _is_of_a_container(reference: str) -> bool:
    return reference.startswith(f"{STORE.value}:") and kind_of(reference) is STORE


def _lines(manifest: Manifest, but: Collection[str]) -> Iterator[Line]:
    return (line for name, lines in manifest.containers() if name not in but for line in lines)


def with_objects(
    side: str, workload: Workload, lines: Iterable[Line], hashes: dict[tuple[str, Ref], Observation]
) -> Workload:
    """A census with the objects of these lines; `hashes` gets what was seen of their contents. Raises Damaged."""
    more, notes = list[Resource](), list[NotShown]()
    for line in lines:
        if line.gone:
            continue
        thing, why = line.thing(), line.unread
        more.append(thing)
        if why and not line.sha256 and "etag" not in line.plain:
            notes.append(NotShown(what=thing.ref, reason=why))
        elif thing.has_content():
            where = Source(where=f"{side}: {thing.ref}", at=workload.taken_at)
            hashes[side, thing.ref] = Observation(what="sha256", value=line.sha256 or None, source=where, reason=why)
    order = list(Kind)
    resources = sorted((*workload.resources, *more), key=lambda r: (order.index(r.own_kind), r.name, r.id))
    told = sorted((*workload.not_shown, *notes), key=lambda n: n.what)
    return workload.model_copy(update={"resources": tuple(resources), "not_shown": tuple(told)})
