# SPDX-License-Identifier: Apache-2.0
"""The marks of what a move makes for a moment only, on the way of a disk, and for its helper guests. Pure.

`move` makes these things. Who looks at two sides (`verify`, and the check of a bundle) knows them by the plan alone, so
that what a failed move left is not taken for the tenant's.
"""

from __future__ import annotations

from unterbau.saga import Marker
from unterbau.switch.helper import HELPS, SIDES
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import KINDS, Content, kind_of
from unterbau.tenant.kinds.volume import EARLIER, PASSAGES


def markers(plan: Plan | None) -> frozenset[str]:
    """The marks of all that the move of this plan makes for a moment."""
    if plan is None:
        return frozenset()
    disks = [
        e.ref
        for e in plan.entries
        if e.fate.moves and (e.carries_disk or KINDS[kind_of(e.ref)].KNOWN.content is Content.DISK)
    ]
    nodes = [f"{what} of {disk}" for disk in disks for what in (*PASSAGES, *map(EARLIER.__add__, PASSAGES))]
    nodes += [f"{what} of {side}" for what in HELPS for side in SIDES]
    return frozenset(Marker(run=plan.run, node=node).tag() for node in nodes)
