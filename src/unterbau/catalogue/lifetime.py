# SPDX-License-Identifier: Apache-2.0
"""How long a fact of each kind counts, and why: its expiry is counted from the age of the copy that was read. Pure.

`catalogue` asks it for every fact that names no expiry itself. The lifetimes were set before any expiry was counted
by them, and do not depend on which facts would survive.
"""

from __future__ import annotations

from datetime import date, timedelta

from unterbau.catalogue.versions import within

YEAR = 365
BEYOND = "1000000000"
"""A version that no range with an end holds."""

LIFETIMES: dict[str, tuple[int, str]] = {
    "licence": (2 * YEAR, "a new major version may bring another; what has come out keeps its own"),
    "source_code": (2 * YEAR, "repositories move with their owners, seldom, and leave a pointer"),
    "standard": (3 * YEAR, "an interface that others use is not taken away soon"),
    "contributor_rule": (2 * YEAR, "it changes with the steward"),
    "end_of_life": (540, "announced ends move with the next releases, about yearly, mostly outwards"),
    "end_of_active_support": (540, "as the end of life"),
    "end_of_extended_support": (540, "as the end of life"),
    "release": (10 * YEAR, "what came out came out"),
    "rights_holder": (2 * YEAR, "rights change hands by a sale or a foundation"),
    "steward": (2 * YEAR, "it changes by a sale, a fork or a foundation"),
    "seat": (2 * YEAR, "companies move seldom, by an entry in a register"),
    "parent": (YEAR, "companies are sold; a sale takes months and is told in the yearly accounts"),
    "ultimate_parent": (YEAR, "as the parent"),
    "maturity": (10 * YEAR, "a stage that was reached was reached on its day"),
    "decision": (10 * YEAR, "what was decided was decided on its day"),
    "foreign_law": (2 * YEAR, "it follows from a seat, and laws change slowly"),
    "foreign_control": (YEAR, "bylaws and terms are revised about yearly"),
    "eu_support": (YEAR, "offers come and go within a year"),
    "eu_operator": (YEAR, "offers come and go within a year"),
    "alternative": (3 * YEAR, "what a technology is for changes slowly"),
    "fork_of": (10 * YEAR, "it is history"),
    "forked_as": (10 * YEAR, "it is history"),
    "successor": (3 * YEAR, "a successor may be given up, too"),
    "depends_on": (2 * YEAR, "a major version may drop a need"),
    "sovereignty_claim": (YEAR, "marketing changes within a year"),
}
"""Kind of fact -> days, and the reason."""

EVIDENCE: dict[str, tuple[int, str]] = {
    "drill": (
        YEAR,
        "DORA, Art. 11(6)(a) asks for tests of continuity plans at least once a year; tenants change within it",
    ),
    "proof": (180, "clouds are upgraded about twice a year"),
}
"""Kind of bundle -> days from when the clouds were looked at, and the reason."""

CLOSED: dict[str, tuple[int, str]] = {"licence": (10 * YEAR, "what has come out keeps its licence")}
"""The same for versions that have an end: nothing new can belong to them."""

UNDATED = 4
"""Of a copy whose age nobody knows, the fact lives this fraction of its time, from the day of reading."""


def expires(kind: str, as_of: date, *, dated: bool, versions: str = "*") -> date:
    """The last day on which a fact of this kind counts. Raises KeyError for a kind that is none."""
    days, _ = CLOSED[kind] if kind in CLOSED and within(BEYOND, versions) is False else LIFETIMES[kind]
    return as_of + timedelta(days=days if dated else days // UNDATED)
