# SPDX-License-Identifier: Apache-2.0
"""The target as a plan would make it, and what that opens. Pure.

The plan is taken as it stands, whoever wrote it: its changes, its stand-ins, its translations. What the target adds
by itself is in it as far as it does so: the rules that Neutron gives a new group are taken away by the move before
a port is in it, and a port without groups is made so, by an empty list; the group `default` with the rules that the
provider gives it stands in the target's census.
"""

from __future__ import annotations

from unterbau.switch.plan import Entry, Plan
from unterbau.tenant.kinds import Kind, Ref, Resource, RouterInterface, SecurityGroupRule, Volume, id_of, kind_of, ref
from unterbau.tenant.openings.judge import judge
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload

BY_NAME = (Kind.CONTAINER, Kind.KEYPAIR)
"""Kinds whose id is their name."""


def of_plan(plan: Plan, source: Workload, target: Workload) -> tuple[Opening, ...]:
    """What the target would have open, once the plan is carried out, that the source has closed. Raises PlanError."""
    there = {r.ref: r for r in target.resources}
    counterpart: dict[Ref, Ref] = {}
    for entry in plan.entries:
        if not entry.fate.moves or entry.ref not in source.by_ref or kind_of(entry.ref) is Kind.OBJECT:
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
    wish = entry.wish(resource)
    try:
        moved = wish.with_ids(lambda reference: _id(plan, reference))
    except ValueError:  # a rule would lose its remote: the move refuses it; until then it counts as open
        assert isinstance(wish, SecurityGroupRule)  # noqa: S101 - no other kind refuses
        group = _id(plan, ref(Kind.SECURITY_GROUP, wish.security_group_id)) or "-"
        update = {"security_group_id": group, "remote_group_id": None, "remote_address_group_id": None}
        moved = wish.model_copy(update=update)
    if isinstance(moved, RouterInterface) and not (moved.router_id and moved.network_id):
        return None  # one of its ends is not there
    if isinstance(moved, Volume):
        types = {t.name: "scs:encrypted" in t.description for t in target.offering.volume_types}
        moved = moved.model_copy(update={"encrypted": moved.encrypted and types.get(moved.volume_type or "", False)})
    id_ = resource.id if resource.own_kind in BY_NAME else f"planned {resource.id}"
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
    return id_of(reference) if kind_of(reference) in BY_NAME else f"planned {id_of(reference)}"
