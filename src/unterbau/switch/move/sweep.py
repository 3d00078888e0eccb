# SPDX-License-Identifier: Apache-2.0
"""The last look of a run at both clouds: what a request that got no answer made after all. `drill` calls it.

A thing is ours by the marker of a step in the ledger and by its kind, never by its looks. The things that the ledger holds by
id stay; any other with the marker is a twin, or an orphan, and goes. What carries no marker and merely looks like what
a step asked for is named and stays: whose it is, nobody can tell. Here is no clock: the caller has waited.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from unterbau.cloud.port import Cloud
from unterbau.errors import CloudError, Failed, Interrupted
from unterbau.saga import RetryPolicy, Status
from unterbau.switch.move.parts import lines_of, parts
from unterbau.switch.move.steps import LedgerLine, Move, ledger, marked, remove
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import KINDS, Kind, Ref, Resource, kind_of, ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model

_WITHOUT = frozenset(k for k, one in KINDS.items() if not (one.KNOWN.marker.lasting or one.KNOWN.marker.at_birth))
"""Kinds on which no marker ever stands."""
_ORDER = {kind: place for place, kind in enumerate(Kind)}


class Swept(Model):
    """What a sweep found, a line a thing: `side: kind:id name`."""

    removed: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    """These look like ours, carry no marker, and stay."""


@dataclass(frozen=True)
class _Find:
    side: str
    cloud: Cloud
    kind: Kind
    resource: Resource

    def __str__(self) -> str:
        return f"{self.side}: {ref(self.kind, self.resource.id)} {self.resource.name}".rstrip()


def sweep(
    plan: Plan,
    workload: Workload,
    source: Cloud,
    target: Cloud,
    status: Status,
    steps: Collection[str],
    *,
    stop: threading.Event,
    retry: RetryPolicy | None = None,
    listed: Path | None = None,
) -> Swept:
    """Remove what these steps made and the ledger does not hold by id, on both sides; name what only looks alike.

    Raises Failed if something of ours would not go, Interrupted, AuthFailed, Unreachable, ...
    """
    clouds = {"source": source, "target": target}
    policy = retry or RetryPolicy()
    move = Move(plan, workload, source, target, None, listed)
    lines = [*ledger(status), *lines_of(parts(move), status, steps)]
    held = {(x.side, x.kind, x.id) for x in lines if x.id and x.state not in ("undone", "tidied")}
    concerned = [x for x in lines if x.step in steps or x.by in steps]
    finds: list[_Find] = []
    for side, cloud in clouds.items():
        for kind in sorted({Kind(x.kind) for x in concerned if x.side == side} - _WITHOUT, key=_ORDER.__getitem__):
            own = [x for x in concerned if (x.side, x.kind) == (side, kind)]
            found = policy.call(lambda c=cloud, k=kind, o=own: _carrying(c, k, o), stop)  # type: ignore[misc]
            finds += [_Find(side, cloud, kind, r) for r in found if (side, kind, r.id) not in held]
    removed = _removed(finds, policy, stop)
    alike = [name for line in concerned for name in policy.call(lambda x=line: _alike(move, status, x, held), stop)]  # type: ignore[misc]
    return Swept(removed=removed, named=tuple(dict.fromkeys(alike)))


def temporaries(status: Status) -> tuple[str, ...]:
    """The steps that made something for a moment only."""
    return tuple(step for step, intent in status.intents.items() if intent.get("temporary"))


def left_over(status: Status, closed: Workload) -> tuple[str, ...]:
    """The steps whose markers stand on the target although everything was taken back."""
    steps = {line.marker: line.step for line in ledger(status)}
    steps |= {str(intent["mark"]): step for step, intent in status.intents.items() if "mark" in intent}
    return tuple(dict.fromkeys(steps[r.marker] for r in closed.resources if r.marker in steps))


def _carrying(cloud: Cloud, kind: Kind, lines: Iterable[LedgerLine]) -> list[Resource]:
    listed = list(lines)
    return marked(cloud, kind, {x.marker for x in listed}, [x.step for x in listed])


def _removed(finds: Iterable[_Find], policy: RetryPolicy, stop: threading.Event) -> tuple[str, ...]:
    """Delete them, what was made last first; what something else still uses is tried again after that is gone."""
    left = sorted(finds, key=lambda f: -_ORDER[f.kind])
    gone: list[str] = []
    while left:
        stuck: list[tuple[_Find, CloudError]] = []
        for find in left:
            if stop.is_set():
                raise Interrupted("the clean-up was stopped", "Run the same command again.")
            try:
                policy.call(lambda f=find: remove(f.cloud, f.kind, f.resource.id), stop)  # type: ignore[misc]
                gone.append(str(find))
            except CloudError as error:
                stuck.append((find, error))
        if len(stuck) == len(left):
            raise Failed(
                f"{len(stuck)} things that a request without an answer made could not be removed",
                "Mend the cause, then run the same command again.",
                [f"{find} ({error.what})" for find, error in stuck],
            )
        left = [find for find, _ in stuck]
    return tuple(gone)


def _alike(move: Move, status: Status, line: LedgerLine, held: Collection[tuple[str, str, str | None]]) -> list[str]:
    """What carries no marker and looks like what a step asked for, was not there before, and is of no other step."""
    resource = move.workload.by_ref.get(line.step)
    if line.step not in move.plan.by_ref or resource is None or not resource.KNOWN.marker.doubtful:
        return []
    reference: Ref = line.step
    before = status.intents[line.step].get("before")
    known = {str(i) for i in before} if isinstance(before, list) else set()
    wish = move.wish(reference, status.outputs)
    kind = kind_of(reference)
    found = []
    for id_ in move.target.lookalikes(wish):
        if id_ not in known and (line.side, line.kind, id_) not in held:
            there = move.target.read(ref(kind, id_))
            if there is not None and there.marker is None:
                found.append(f"{line.side}: {ref(kind, id_)} {there.name}".rstrip())
    return found
