# SPDX-License-Identifier: Apache-2.0
"""The chain of owners above a steward or rights holder, followed to its end. Pure; `seeing` asks it.

A link is an organisation with the seat that a fact gives it. Foundations, associations, public bodies and people have
no owner: there the chain ends. Above a company stands who its facts name as `parent`, or, where that is itself, nobody
(`ultimate_parent`: its shares are spread). What no fact says is a gap, by the name of whose owner is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from unterbau.catalogue.model import OrganisationFact, ParentFact, SeatFact
from unterbau.judge.judgement import KnownFact

ABOVE = ("parent", "ultimate_parent")


class Link(NamedTuple):
    """One organisation of the chain; `fact` says that it stands there."""

    name: str
    seat: str
    form: str
    fact: KnownFact


class Owners(NamedTuple):
    """All links from the first upwards, and whose owner nobody named."""

    links: tuple[Link, ...]
    gaps: tuple[str, ...]


def owners(first: Sequence[KnownFact], above: Sequence[KnownFact], seats: Sequence[KnownFact]) -> Owners:
    """The chain from the organisations of `first`; `above` are facts of the kinds `ABOVE`, `seats` of `seat`."""
    links: dict[tuple[str, str, str], Link] = {}
    gaps: list[str] = []
    ended = False
    queue = [Link(f.fact.value.name, f.fact.value.seat, f.fact.value.form, f)
             for f in first if isinstance(f.fact, OrganisationFact)]  # fmt: skip
    while queue:
        link = queue.pop(0)
        if links.setdefault((link.name, link.seat, link.fact.id), link) is not link:
            continue
        for known in seats:
            if isinstance(known.fact, SeatFact) and known.fact.value.of == link.name:
                more = Link(link.name, known.fact.value.seat, link.form, known)
                links.setdefault((more.name, more.seat, known.id), more)
        if link.form != "company":
            ended = True
        else:
            over = [f for f in above if isinstance(f.fact, ParentFact) and f.fact.value.of == link.name]
            queue += _over(link, over, gaps)
    if not ended and not gaps and links:
        gaps.append(next(iter(links.values())).name)  # they own one another
    return Owners(tuple(links.values()), tuple(dict.fromkeys(gaps)))


def _over(link: Link, over: Sequence[KnownFact], gaps: list[str]) -> list[Link]:
    """The owners of a company; an `ultimate_parent` alone leaves open who stands between."""
    found: list[Link] = []
    for known in over:
        if not isinstance(known.fact, ParentFact):
            continue
        owner = known.fact.value
        found.append(Link(owner.name, owner.seat, "" if owner.name == link.name else owner.form or "company", known))
    if not any(link.name == f.name or f.fact.fact.kind == "parent" for f in found):
        gaps.append(link.name)
    return found
