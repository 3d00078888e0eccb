# SPDX-License-Identifier: Apache-2.0
"""Find out whether we are owner of an account, where a census could not tell. `verify.contents` runs the trials.

An object store tells ACLs and keys to owners only, and takes them out of its answers to anybody else: hidden looks
like empty. So the verifier makes a container of its own with an ACL that grants nothing, and looks whether it is
told that ACL. The container stands in a journal before it is made, is deleted at the end, and is deleted by the next
verification if this one is killed. Who may not write does not find out. Not here: what follows for the verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from unterbau.cloud.port import Cloud
from unterbau.saga import JsonObject, Marker, Outputs, Progress, Step
from unterbau.tenant.kinds import OWNER_ONLY, Ref, ref
from unterbau.tenant.kinds.object import TRIED, told_to_owners, trial
from unterbau.tenant.workload import Workload
from unterbau.verdict import Observation, Reason, Source, Words

WAIT = timedelta(minutes=5)


@dataclass(frozen=True)
class _Trial:
    """A container with a known ACL, read back; deleted by undo. Its name is its marker."""

    cloud: Cloud
    side: str
    run_id: str
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"owner of {self.side}"

    def intend(self, done: Outputs) -> JsonObject:
        marker = Marker(run=self.run_id, node=self.name).tag()
        return {"side": self.side, "kind": TRIED.value, "name": marker, "marker": marker}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        name = str(intent["name"])
        id_ = self.cloud.ensure(trial(name), str(intent["marker"]))
        there = self.cloud.read(ref(TRIED, id_))
        return {"id": id_, "told": told_to_owners(there)}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        container = ref(TRIED, str(intent["name"]))
        if output or self.cloud.read(container) is not None:
            self.cloud.delete(container, WAIT)


def trials(sides: Mapping[str, Cloud], seen: Mapping[str, Workload], run_id: str) -> list[Step]:
    """One for each side whose census does not show whether we are owner."""
    return [_Trial(sides[side], side, run_id) for side, w in seen.items() if OWNER_ONLY[-1] in w.reasons]


def told(
    steps: Iterable[Step], outputs: Outputs, errors: Mapping[str, JsonObject], at: datetime
) -> dict[tuple[str, Ref], Observation]:
    """What the trials among these steps, which were run, found: the ACL that was told, or None with the reason."""
    return {(t.side, OWNER_ONLY[0]): _observed(t, outputs, errors, at) for t in steps if isinstance(t, _Trial)}


def _observed(trial: _Trial, outputs: Outputs, errors: Mapping[str, JsonObject], at: datetime) -> Observation:
    acl = str(outputs.get(trial.name, {}).get("told", ""))
    reason: Words = "" if acl else Reason.of("verify.owner.not-told")
    if trial.name in errors:
        reason = Reason.of("cloud.said", kind=errors[trial.name]["kind"], what=errors[trial.name]["message"])
    where = f"{trial.side}: {OWNER_ONLY[0]}"
    return Observation(what="ACL of a container of the verifier's own", value=acl or None,
                       source=Source(where=where, at=at), reason=reason)  # fmt: skip


def known(workload: Workload, found: Observation | None) -> Workload:
    """The census without what was not shown only because it might have been hidden from us, if it was not."""
    if found is None or not found.value:
        return workload
    kept = tuple(n for n in workload.not_shown if n.what not in OWNER_ONLY)
    return workload.model_copy(update={"not_shown": kept})
