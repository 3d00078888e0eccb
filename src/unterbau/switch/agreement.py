# SPDX-License-Identifier: Apache-2.0
"""Whether the listings of one census agree with each other: what one names and none has, what was counted and not listed. Pure.

`census` asks, and reads the kinds again that do not agree. A listing can be short without any sign of its own: Neutron
leaves out what its policy cannot judge yet, a project's first look makes its group `default` between two listings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from unterbau.cloud.port import Listing
from unterbau.tenant.kinds import KINDS, Kind, Offering, Ref, Resource, kind_of
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words, joined

COUNTED: Mapping[Kind, tuple[str, str]] = {
    kind: one.KNOWN.quota for kind, one in KINDS.items() if one.KNOWN.counted and one.KNOWN.quota is not None
}
"""Kinds whose listing gives no count, and the quota whose use is one: everything of the project that exists."""


@dataclass(frozen=True)
class Loose:
    """One disagreement: what is to be read again, and what is not shown if it stays."""

    kinds: frozenset[Kind]
    reason: Words
    missing: Ref = ""
    """What was named and not listed; empty for other disagreements."""
    place: str = ""
    """Where the disagreement is seen, if nothing is missing: a kind, or a Ref with a field."""
    sure: bool = True
    """Whether the missing thing is the project's own. If not it must be looked at first (see `is_elsewhere`)."""

    @property
    def is_hunch(self) -> bool:
        """Nothing that would not be shown, but worth one more look."""
        return not (self.missing or self.place)


def notes(loose: Iterable[Loose]) -> Iterator[NotShown]:
    """What is not shown if these stay: each place, and each kind of which something is missing."""
    kinds: dict[str, list[Words]] = {}
    missing: dict[str, list[Ref]] = {}
    for one in loose:
        if one.missing:
            yield NotShown(what=one.missing, reason=one.reason)
            missing.setdefault(kind_of(one.missing).value, []).append(one.missing)
        elif one.place:
            kinds.setdefault(one.place, []).append(one.reason)
    for kind, refs in missing.items():
        kinds.setdefault(kind, []).append(Reason.of("census.unlisted", count=len(refs), first=refs[0]))
    for place, reasons in kinds.items():
        yield NotShown(what=place, reason=joined(reasons))


def loose_ends(read: Mapping[Kind, Listing], offering: Offering) -> tuple[Loose, ...]:
    """All disagreements between the listings that were read, each missing thing once."""
    resources = [r for listing in read.values() for r in listing.resources]
    known = {r.ref for r in resources}
    provided = set(offering.provided())
    doubted = {n.what for listing in read.values() for n in listing.not_shown}
    readable = {k for k in read if k.value not in doubted}
    named = _named(resources, known | provided | doubted, readable)
    return (*named.values(), *_unclaimed(resources), *_uncounted(read, offering), *_barren(read))


def _named(resources: Iterable[Resource], known: set[Ref], readable: set[Kind]) -> dict[Ref, Loose]:
    """What something names and no listing has; not of kinds that were not read whole anyway."""
    found: dict[Ref, Loose] = {}
    for resource in resources:
        for field, target, sure in resource.ties():
            kind = kind_of(target)
            if target in known or kind not in readable or (target in found and found[target].sure):
                continue
            reason = Reason.of("census.named", by=resource.ref, field=field)
            found[target] = Loose(frozenset({resource.own_kind, kind}), reason, missing=target, sure=sure)
    return found


def _unclaimed(resources: Sequence[Resource]) -> Iterator[Loose]:
    """Things that say that they are another's which does not name them."""
    known = {r.ref: r for r in resources}
    for resource in resources:
        for target, field in resource.claims():
            owner = known.get(target)
            if owner is not None and resource.id not in getattr(owner, field):
                reason = Reason.of("census.claims", by=resource.ref)
                yield Loose(frozenset({owner.own_kind, resource.own_kind}), reason, place=f"{target}.{field}")


def _uncounted(read: Mapping[Kind, Listing], offering: Offering) -> Iterator[Loose]:
    """Kinds of which the project uses more, by its quota, than the listing has."""
    used = {(q.service, q.resource): q.used for q in offering.quotas}
    for kind, listing in read.items():
        count = used.get(COUNTED[kind], 0) if kind in COUNTED else 0
        entries = len(listing.resources) if listing.entries is None else listing.entries
        if count > entries:
            reason = Reason.of("census.in-use", count=entries, used=count)
            yield Loose(frozenset({kind}), reason, place=kind.value)


def _barren(read: Mapping[Kind, Listing]) -> Iterator[Loose]:
    """Things without any of what they are never without: those may have been listed just before."""
    named: dict[tuple[Kind, str], set[str]] = {}
    for listing in read.values():
        for resource in listing.resources:
            born = resource.born_with()
            if born is None or born[0] not in read:
                continue
            kind, field = born
            if born not in named:
                named[born] = {str(getattr(r, field)) for r in read[kind].resources}
            if resource.id not in named[born]:
                yield Loose(frozenset({resource.own_kind, kind}), "")


def is_elsewhere(found: Resource | None, project_id: str) -> bool | Ref:
    """Whether what is named and not listed is rightly so: gone, or another project's that this one may use.

    A Ref: if that one is.
    """
    return True if found is None else found.elsewhere(project_id)
