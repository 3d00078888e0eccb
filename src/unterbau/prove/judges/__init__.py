# SPDX-License-Identifier: Apache-2.0
"""The table test case -> judge, one module a standard, and `decide`, which asks the judge of a case. Pure.

`prove.evaluate` calls `decide` for each case. A case whose sections were not seen is *not shown*, and the judge is
not asked, but for the few that decide themselves what an absent section means.
"""

from __future__ import annotations

from unterbau.prove.inventory import Status
from unterbau.prove.judges import (
    scs_0100,
    scs_0101,
    scs_0102,
    scs_0103,
    scs_0104,
    scs_0114,
    scs_0115,
    scs_0116,
    scs_0117,
    scs_0121,
    scs_0123,
)
from unterbau.prove.judges.frame import Decision, Judge, View, not_applicable, not_shown
from unterbau.verdict import Reason

JUDGES: dict[str, Judge] = {
    **scs_0100.JUDGES,
    **scs_0101.JUDGES,
    **scs_0102.JUDGES,
    **scs_0103.JUDGES,
    **scs_0104.JUDGES,
    **scs_0114.JUDGES,
    **scs_0115.JUDGES,
    **scs_0116.JUDGES,
    **scs_0117.JUDGES,
    **scs_0121.JUDGES,
    **scs_0123.JUDGES,
}
"""Test case -> judge."""

FAMILIES: dict[str, Judge] = {**scs_0103.FAMILIES, **scs_0104.FAMILIES}
"""Beginning of an id -> judge of all such cases, which the data tells apart."""

TOLERANT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(scs_0115.JUDGES, (scs_0115.SECTION,)),
    **dict.fromkeys(scs_0121.JUDGES, ("compute_zones", "volume_zones")),
    "scs-0116-permissions": ("write_results",),
    "scs-0123-swift-s3": ("s3_probe",),
}
"""Case -> sections whose absence its judge weighs itself."""


def judge_of(case: str) -> Judge | None:
    """The judge of a test case; None if there is none."""
    return JUDGES.get(case) or next((judge for prefix, judge in FAMILIES.items() if case.startswith(prefix)), None)


def decide(view: View) -> Decision:
    """The decision on one case."""
    case = view.case
    if case.retired:
        return not_applicable(Reason.of("prove.retired")).but(None, Reason.of("prove.suite.no-implementation"))
    needed = [name for name in case.needs if name not in TOLERANT.get(case.id, ())]
    if case.writes and view.inventory.section("write_results").status is Status.ERROR and "write_results" in needed:
        reason = view.inventory.sections["write_results"].reason if "write_results" in view.inventory.sections else ""
        return not_shown(reason or Reason.of("prove.write.needed"))
    unseen = view.inventory.unseen(needed)
    if unseen:
        return not_shown(unseen)
    judge = judge_of(case.id)
    return judge(view) if judge else not_shown(Reason.of("prove.no-judge"))
