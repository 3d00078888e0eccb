# SPDX-License-Identifier: Apache-2.0
"""What a move makes for a moment only, on the way of a volume, and the marks by which anybody knows it. Pure.

`move` makes these things. Who looks at two sides (`verify`, and the check of a bundle) knows them by the plan alone, so
that what a failed move left is not taken for the tenant's.
"""

from __future__ import annotations

from unterbau.saga import Marker
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import Kind, kind_of

TEMPORARY = {
    "snapshot": Kind.SNAPSHOT, "copy": Kind.VOLUME, "clone": Kind.VOLUME, "image": Kind.IMAGE, "arrival": Kind.IMAGE,
}  # fmt: skip
"""What each of them is; its step is called `WHAT of REF`."""


def markers(plan: Plan | None) -> frozenset[str]:
    """The marks of all that the move of this plan makes for a moment."""
    volumes = [e.ref for e in plan.entries if e.fate.moves and kind_of(e.ref) is Kind.VOLUME] if plan else []
    run = plan.run if plan else ""
    return frozenset(
        Marker(run=run, node=f"{what} of {reference}").tag() for reference in volumes for what in TEMPORARY
    )
