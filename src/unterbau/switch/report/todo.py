# SPDX-License-Identifier: Apache-2.0
"""What a person has to do with what did not come out as it was: one answer for the terminal, the JSON and the page. Pure.

`ending` and `html` ask here. A remedy that the plan names comes first; else why it is changed or lost decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from unterbau.switch.plan import Plan
from unterbau.switch.verify.lost import KIND as LOSS
from unterbau.switch.verify.lost import is_left
from unterbau.switch.verify.opened import KIND as OPENING
from unterbau.tenant.kinds import Entry, Fate, Loss
from unterbau.verdict import Outcome, Reason, Verdict, Words, joined, told_as

LEFT, LOST, ALLOWED = Reason.of("ending.left"), Reason.of("ending.lost"), Reason.of("ending.allowed")
OPEN, ANYTHING, BLIND = Reason.of("ending.open"), Reason.of("ending.mend"), Reason.of("ending.blind")
FAILED: Mapping[str, Reason] = {
    "structure": Reason.of("ending.structure"),
    "content": Reason.of("ending.content"),
    "completeness": Reason.of("ending.completeness"),
    "service": Reason.of("ending.service"),
}
"""What to do with a claim of a kind that failed; `ANYTHING` with any other."""
CHECK, ASK = Reason.of("todo.check"), Reason.of("todo.ask")
_ADDRESS, _SHARE, _DISK, _DATA = (
    Reason.of("todo.tell-address"), Reason.of("todo.share"), Reason.of("todo.local-disk"), Reason.of("todo.user-data")
)  # fmt: skip
BY_CAUSE = {
    "plan.router.address": _ADDRESS, "plan.floating-ip.address": Reason.of("todo.dns"),
    "plan.server.local-disk": _DISK, "loss.local-disk": _DISK, "plan.server.own-disk": _DISK, "loss.own-disk": _DISK,
    "verify.disk.none": _DISK, "verify.disk.ran": Reason.of("todo.look-at-disk"), "verify.disk.runs": Reason.of("todo.look-at-disk"),
    "plan.server.user-data": _DATA, "loss.user-data": _DATA,
    "plan.shared": _SHARE, "plan.container.grants": _SHARE, "plan.secret.users": _SHARE,
    "plan.image.private": ASK, "plan.network.private": ASK,
    "plan.container.versions": LOST,
    "service.lost.host-key": Reason.of("todo.host-key"), "service.lost.certificate": Reason.of("todo.certificate"),
    "service.lost.address": Reason.of("todo.dns"), "verify.writes": Reason.of("todo.writes"),
}  # fmt: skip
"""Id of the reason why something is changed or lost -> what to do."""


def of_entry(entry: Entry) -> Words:
    """What to do with an object by its fate; "" if it is carried as it is."""
    if entry.fate is Fate.CARRIED:
        return ""
    if not entry.fate.moves:
        return entry.remedy or LEFT
    return joined([entry.remedy, *_by_cause(entry.why)]) or CHECK


def of_loss(entry: Entry, loss: Loss) -> Words:
    """What to do about one thing that goes with the source."""
    return joined(_by_cause(loss.why)) or entry.remedy or LOST


def of_verdict(verdict: Verdict, plan: Plan | None) -> Words:
    """What to do with a claim that is not held."""
    entry = plan.by_ref.get(verdict.claim.subject) if plan is not None else None
    if verdict.claim.kind == LOSS:
        if verdict.outcome is Outcome.FAILED:
            return FAILED["structure"]
        announced = [e for e in entry.losses if verdict.claim.id == f"lost {e.id}"] if entry is not None else []
        if entry is not None and announced:
            return of_loss(entry, announced[0])
        return joined(_by_cause(verdict.reason)) or LOST
    if is_left(verdict):
        return of_entry(entry) if entry is not None else LEFT
    if verdict.outcome is Outcome.FAILED:
        return OPEN if verdict.claim.kind == OPENING else FAILED.get(verdict.claim.kind, ANYTHING)
    return joined(_by_cause(verdict.reason)) or BLIND


def _by_cause(why: Words) -> Iterator[Words]:
    yield from (BY_CAUSE[i] for i in _ids(why) if i in BY_CAUSE)


def _ids(why: Words) -> Iterable[str]:
    """The ids of a reason, or of those that are told one after the other."""
    if isinstance(why, str):
        return
    each = why.values.get("each")
    if isinstance(each, list):
        for one in each:
            yield from _ids(told_as(one))
    else:
        yield why.id
