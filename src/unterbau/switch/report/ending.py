# SPDX-License-Identifier: Apache-2.0
"""How a verified move ended, for a person: what was lost, what opened, what failed, what was not shown. Pure.

`cli` gives it to the terminal (`terminal.ending`), ten lines of each, and whole to whoever asked for JSON. It judges
nothing: it sorts what the plan announced and the verdicts say, puts together what is one thing to a person (the same
of many objects, for the same reason), and says what to do with each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from unterbau.switch.plan import Plan
from unterbau.switch.report import todo
from unterbau.switch.verify.lost import KIND as LOSS
from unterbau.switch.verify.lost import is_left
from unterbau.switch.verify.opened import opening_of
from unterbau.switch.verify.structure import NO_DISK
from unterbau.tenant.kinds import Opened
from unterbau.verdict import Model, Outcome, Reason, Verdict, Words


class Item(Model):
    """One thing to a person. `what`: a kind, a field of it, or in words; `things`: the objects, by name where they have one."""

    what: Words
    things: tuple[str, ...]
    why: Words
    todo: Words


class Ending(Model):
    """The four, in the order in which they are told."""

    lost: tuple[Item, ...]
    opened: tuple[Item, ...]
    failed: tuple[Item, ...]
    not_shown: tuple[Item, ...]


def ending(plan: Plan | None, verdicts: Iterable[Verdict], steps: Mapping[str, str] | None = None) -> Ending:
    """The ending of a move by this plan. `steps`: those that failed, and why; what they did not make is missing, too."""
    found = list(verdicts)
    names = {e.ref: e.name for e in plan.entries} if plan is not None else {}
    lost = [v for v in found if is_loss(v)]
    opened = [v for v in found if is_opening(v)]
    rest = [v for v in found if not is_loss(v)]
    failed = [v for v in rest if v.outcome is Outcome.FAILED and not is_opening(v)]
    tried = [
        Item(what=Reason.of("ending.step"), things=(called(n, names),), why=w, todo=todo.ANYTHING)
        for n, w in (steps or {}).items()
    ]
    return Ending(
        lost=_together(_lost(plan, lost) if plan is not None else ()),
        opened=_together(_opening(v) for v in opened if v.outcome is not Outcome.NOT_SHOWN),
        failed=_together([*tried, *(_item(v, names, plan) for v in failed)]),
        not_shown=_together(_item(v, names, plan) for v in rest if v.outcome is Outcome.NOT_SHOWN),
    )


def called(step: str, names: Mapping[str, str]) -> str:
    """A step of a move by the name of its object: `arrival of volume data`."""
    what, of, reference = step.rpartition(" ")
    return f"{what}{of}{_kind(reference)} {names.get(reference) or reference.partition(':')[2]}"


def is_opening(verdict: Verdict) -> bool:
    """Whether it is on a single opening: something that is open on the target and was not on the source."""
    return verdict.claim.kind == "opening" and verdict.claim.subject not in {k.value for k in Opened}


def is_loss(verdict: Verdict) -> bool:
    """Whether it is on something that is lost, or left altogether."""
    return verdict.claim.kind == LOSS or is_left(verdict) or _is_lost_disk(verdict)


def _is_lost_disk(verdict: Verdict) -> bool:
    """Whether it is on a server's own disk that its cloud gave nobody."""
    return isinstance(verdict.reason, Reason) and verdict.reason.id == NO_DISK


def _lost(plan: Plan, verdicts: Iterable[Verdict]) -> Iterable[Item]:
    """What the plan leaves behind whole, and what goes with the source of that which it moves, announced or not."""
    told = {v.claim.id: v for v in verdicts}
    for entry in plan.entries:
        kind, name = _kind(entry.ref), entry.name or entry.ref.partition(":")[2]
        if not entry.fate.moves:
            yield Item(what=kind, things=(name,), why=entry.why, todo=todo.of_entry(entry))
        for one in entry.losses:
            told.pop(f"lost {one.id}", None)
            do = todo.of_loss(entry, one)
            yield Item(what=f"{kind}.{one.field}", things=(name,), why=one.why, todo=do)
    for verdict in (v for v in told.values() if v.claim.kind == LOSS or _is_lost_disk(v)):
        subject = plan.by_ref[verdict.claim.subject]
        field = "local_disk" if _is_lost_disk(verdict) else verdict.claim.id.removeprefix(f"lost {subject.ref}.")
        name = subject.name or subject.ref.partition(":")[2]
        do = todo.of_verdict(verdict, plan)
        yield Item(what=f"{_kind(subject.ref)}.{field}", things=(name,), why=verdict.reason, todo=do)


def _opening(verdict: Verdict) -> Item:
    do = todo.ALLOWED if verdict.outcome is Outcome.HELD else todo.OPEN
    return Item(
        what=Reason.of("ending.opening"),
        things=(verdict.claim.id.removeprefix("opening "),),
        why=opening_of(verdict.claim),
        todo=do,
    )


def _item(verdict: Verdict, names: dict[str, str], plan: Plan | None) -> Item:
    subject = verdict.claim.subject
    kind, colon, id_ = subject.partition(":")
    name = names.get(subject) or id_ or subject
    what = Reason.of("ending.claim", claim=verdict.claim.kind, kind=kind) if colon else verdict.claim.kind
    return Item(what=what, things=(name,), why=verdict.reason, todo=todo.of_verdict(verdict, plan))


def _together(items: Iterable[Item]) -> tuple[Item, ...]:
    """Items that differ in their objects only become one; in the order in which they first came."""
    found: dict[tuple[Words, Words, Words], dict[str, None]] = {}
    for item in items:
        found.setdefault((item.what, item.why, item.todo), {}).update(dict.fromkeys(item.things))
    return tuple(Item(what=w, things=tuple(t), why=why, todo=do) for (w, why, do), t in found.items())


def _kind(reference: str) -> str:
    return reference.partition(":")[0]
