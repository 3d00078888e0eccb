# SPDX-License-Identifier: Apache-2.0
"""The target as a plan would make it, and what that opens. Pure.

The plan is taken as it stands, whoever wrote it: its changes, its stand-ins, its translations. What the target adds
by itself is in it as far as it does so: the rules that Neutron gives a new group are taken away by the move before
a port is in it, and a port without groups is made so, by an empty list; the group `default` with the rules that the
provider gives it stands in the target's census.
"""

from __future__ import annotations

from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import KINDS, Entry, Ref, Resource, id_of, kind_of, ref
from unterbau.tenant.openings.judge import CAN_OPEN, judge
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload


def of_plan(plan: Plan, source: Workload, target: Workload) -> tuple[Opening, ...]:
    """What the target would have open, once the plan is carried out, that the source has closed. Raises PlanError."""
    there = {r.ref: r for r in target.resources}
    counterpart: dict[Ref, Ref] = {}
    for entry in plan.entries:
        if not entry.fate.moves or entry.ref not in source.by_ref or kind_of(entry.ref) not in CAN_OPEN:
            continue
        if entry.stands_in is not None:
            counterpart[entry.ref] = ref(kind_of(entry.ref), entry.stands_in)
            continue
        made = _made(plan, entry, source.by_ref[entry.ref], target)
        if made is not None:
            there[made.ref] = made
            counterpart[entry.ref] = made.ref
    wished = target.model_copy(update={"resources": tuple(there.values())})
    return judge(source, wished, counterpart).found


def _made(plan: Plan, entry: Entry, resource: Resource, target: Workload) -> Resource | None:
    """The resource as it will be there, under an id that nothing else has; None if it cannot be made."""
    moved = entry.wish(resource).planned(lambda reference: _id(plan, reference), target)
    if moved is None:
        return None
    id_ = resource.id if resource.KNOWN.id_is_name else f"planned {resource.id}"
    return plan.translated(moved).model_copy(update={"id": id_})


def _id(plan: Plan, reference: Ref) -> str | None:
    """The id there of an object of the source."""
    entry = plan.by_ref.get(reference)
    if entry is None:
        return plan.translate.get(reference)
    if entry.stands_in is not None:
        return entry.stands_in
    if not entry.fate.moves:
        return None
    return id_of(reference) if KINDS[kind_of(reference)].KNOWN.id_is_name else f"planned {id_of(reference)}"
