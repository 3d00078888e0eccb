# SPDX-License-Identifier: Apache-2.0
"""Empty a source after a verified move: what may be deleted, and the steps that do it. `drill` calls it.

Taking back what a drill made on the target is `saga.unwind` of the move's own steps and needs nothing here.
Only objects of the census whose claims all held, and which are unchanged since, are deleted; the others stay
and are named. The demand for the signed bundle and the typed confirmation is the command's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from unterbau.census import STATUS_FIELDS
from unterbau.cloud.port import Cloud
from unterbau.errors import Conflict
from unterbau.plan import Plan
from unterbau.saga import JsonObject, Outputs, Progress, Step
from unterbau.verdict import Outcome, Verdict, conjoin
from unterbau.workload import Attachment, Ref, Resource, Router, SecurityGroup, SecurityGroupRule, Workload

WAIT = timedelta(minutes=30)


def deletable(workload: Workload, plan: Plan, verdicts: Iterable[Verdict]) -> tuple[tuple[Ref, ...], dict[Ref, str]]:
    """(what may be deleted, what is kept and why), for every object of the census."""
    outcomes: dict[Ref, list[Verdict]] = {}
    for verdict in verdicts:
        outcomes.setdefault(verdict.claim.subject, []).append(verdict)
    kept: dict[Ref, str] = {}
    for resource in workload.resources:
        reason = _keep(resource, plan, outcomes.get(resource.ref, []), workload)
        if reason:
            kept[resource.ref] = reason
    changed = True
    while changed:
        changed = False
        for resource in workload.resources:
            if resource.ref in kept:
                for need in resource.references():
                    if need in workload.by_ref and need not in kept:
                        kept[need] = f"{resource.ref} needs it and is kept"
                        changed = True
    return tuple(r.ref for r in workload.resources if r.ref not in kept), kept


def _keep(resource: Resource, plan: Plan, verdicts: list[Verdict], workload: Workload) -> str:
    default = {g.id for g in workload.of(SecurityGroup) if g.is_default}
    if isinstance(resource, SecurityGroup) and resource.is_default:
        return "every project has this group from birth"
    if isinstance(resource, SecurityGroupRule) and resource.security_group_id in default:
        return "it belongs to the default group"
    entry = plan.by_ref.get(resource.ref)
    if entry is None or not entry.fate.moves:
        return "it was not moved" + (f": {entry.why}" if entry else "")
    if conjoin(v.outcome for v in verdicts) is not Outcome.HELD:
        failing = next((v for v in verdicts if v.outcome is not Outcome.HELD), None)
        return f"not verified: {failing.reason if failing else 'no claim was judged'}"
    return ""


def emptying_steps(workload: Workload, refs: Iterable[Ref], source: Cloud) -> list[Step]:
    """Steps that delete these objects, each after all that refer to it."""
    chosen = set(refs)
    dependants: dict[Ref, list[str]] = {r: [] for r in chosen}
    for reference in chosen:
        for need in workload.by_ref[reference].references():
            if need in chosen:
                dependants[need].append(f"delete {reference}")
    return [DeleteStep(workload.by_ref[r], source, tuple(dependants[r])) for r in sorted(chosen)]


@dataclass(frozen=True)
class DeleteStep:
    """Delete one object of the source, if it is still what the census saw."""

    resource: Resource
    source: Cloud
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"delete {self.resource.ref}"

    def intend(self, done: Outputs) -> JsonObject:
        """What is to be deleted."""
        return {"ref": self.resource.ref, "name": self.resource.name}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Compare with the census, then delete. Gone already is done."""
        if isinstance(self.resource, Attachment) and self.resource.boot_index == 0:
            return {}  # a root disk leaves with its server
        there = self.source.read(self.resource.ref)
        if there is None:
            return {}
        if _facts(there) != _facts(self.resource):
            raise Conflict(
                f"{self.resource.ref} ({self.resource.name}) changed since the census and stays",
                "Look at it, then make a new drill.",
            )
        if isinstance(there, Router) and there.routes:
            self.source.set_routes(there.model_copy(update={"routes": ()}))
        self.source.delete(self.resource.ref, WAIT)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What is deleted does not come back."""


def _facts(resource: Resource) -> dict[str, object]:
    """What must be unchanged. Deleting what refers to a thing changes some of its fields: those do not count."""
    changing = {
        *STATUS_FIELDS,
        "member_ids",
        "device_id",
        "device_owner",
        "routes",
        "port_id",
        "fixed_ip_address",
    }
    return resource.model_dump(mode="json", exclude=changing)
