# SPDX-License-Identifier: Apache-2.0
"""Two judgements side by side: what a change request does to each rule, and what changed since an earlier judging.

Pure. `cli` calls it. A step of a ladder is no failure: it is compared as the step reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from unterbau.catalogue.model import Catalogue, Fact
from unterbau.judge.engine import Measures, judge
from unterbau.judge.judgement import (
    Change,
    Coverage,
    Difference,
    FactChange,
    Finding,
    Group,
    Judgement,
    RuleChange,
    StepChange,
)
from unterbau.judge.rule import RuleSet
from unterbau.judge.seeing import tell
from unterbau.judge.summary import Sorted, Step
from unterbau.judge.words import reached
from unterbau.stack.model import Stack
from unterbau.verdict import Outcome, Reason, conjoin
from unterbau.verdict.exhibit import Exhibit

_RANK = {Outcome.HELD: 0, Outcome.NOT_SHOWN: 1, Outcome.FAILED: 2}


def difference(old: Judgement, new: Judgement) -> Difference:
    """Findings are paired by rule and technology; several versions of one technology are conjoined."""
    before, after = _findings(old), _findings(new)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        left, right = before.get(key), after.get(key)
        if left is None or right is None or (left.outcome, left.path) != (right.outcome, right.path):
            changes.append(_change(key, left, right))
    left_names, right_names = _versions(old), _versions(new)
    return Difference(
        old=old.stack,
        new=new.stack,
        at=new.at,
        added=tuple(sorted(right_names.keys() - left_names.keys())),
        removed=tuple(sorted(left_names.keys() - right_names.keys())),
        changed=tuple(
            f"{n}: {_told(left_names[n])} -> {_told(right_names[n])}"
            for n in sorted(left_names.keys() & right_names.keys())
            if left_names[n] != right_names[n]
        ),
        changes=tuple(sorted(changes, key=lambda c: (not c.worse, c.rule, c.subject))),
        covered=_gained(old, new),
        uncovered=_gained(new, old),
        steps=tuple(sorted(_steps(old, new), key=lambda c: (not c.worse, c.rule_set, c.objective, c.subject))),
    )


class Basis(NamedTuple):
    """What a judgement is made of."""

    stack: Stack
    catalogue: Catalogue
    rule_sets: Sequence[RuleSet]
    at: date
    measures: Measures
    evidence: Sequence[Exhibit] = ()


class Causes(NamedTuple):
    """The effect of each cause by itself."""

    parts: Difference
    facts: Difference
    rules: Difference
    day: Difference


def causes(then: Basis, now: Basis) -> Causes:
    """From then to now in four steps: first the parts are today's, then the facts, the rules, the day."""
    ways = [
        then,
        then._replace(stack=now.stack, measures=now.measures, evidence=now.evidence),
        now._replace(rule_sets=then.rule_sets, at=then.at),
        now._replace(at=then.at),
        now,
    ]
    made = [judge(w.stack, w.catalogue, w.rule_sets, w.at, w.measures, w.evidence) for w in ways]
    return Causes(*(difference(a, b) for a, b in pairwise(made)))


def fact_changes(then: Basis, now: Basis) -> tuple[FactChange, ...]:
    """Of the technologies in either stack, and in both catalogues."""
    named = {p.technology for s in (then.stack, now.stack) for p in s.parts} - {None}
    found: list[FactChange] = []
    for name in sorted(n for n in named if n is not None):
        old, new = (b.catalogue[name].facts if name in b.catalogue else () for b in (then, now))
        found += _facts(name, old, new)
    return tuple(found)


def _facts(technology: str, old: Sequence[Fact], new: Sequence[Fact]) -> Iterator[FactChange]:
    before, after = _by_what(old), _by_what(new)
    gone = [before[k] for k in before.keys() - after.keys()]
    come = [after[k] for k in after.keys() - before.keys()]
    places = Counter((f.kind, f.versions) for f in gone), Counter((f.kind, f.versions) for f in come)
    for fact in sorted(come, key=_order):
        where = (fact.kind, fact.versions)
        if places[0][where] == places[1][where] == 1:
            other = next(f for f in gone if (f.kind, f.versions) == where)
            gone.remove(other)
            yield _change_of(technology, "changed", other, fact)
        else:
            yield _change_of(technology, "new", None, fact)
    for fact in sorted(gone, key=_order):
        yield _change_of(technology, "gone", fact, None)
    for key in sorted(before.keys() & after.keys()):
        if after[key].expires > before[key].expires:
            yield _change_of(technology, "read anew", before[key], after[key])


def _by_what(facts: Iterable[Fact]) -> dict[tuple[str, str, str], Fact]:
    """By what is said of which versions, whoever says it; the one that counts longest."""
    found: dict[tuple[str, str, str], Fact] = {}
    for fact in facts:
        key = (fact.kind, fact.versions, str(tell(fact)))
        if key not in found or found[key].expires < fact.expires:
            found[key] = fact
    return found


def _order(fact: Fact) -> tuple[str, str, str]:
    return fact.kind, fact.versions, str(tell(fact))


def _change_of(technology: str, what: str, old: Fact | None, new: Fact | None) -> FactChange:
    """One of the two is there."""
    (fact, *_) = [f for f in (new, old) if f is not None]
    return FactChange.model_validate({
        "technology": technology, "kind": fact.kind, "versions": fact.versions, "what": what,
        "before": str(tell(old)) if old else "", "after": str(tell(new)) if new else "", "source": fact.source.url,
    })  # fmt: skip


def rule_changes(old: Sequence[RuleSet], new: Sequence[RuleSet]) -> tuple[RuleChange, ...]:
    """Rules by their ids; one that asks by other words or paths is changed."""
    before, after = ({f"{s.id}/{r.id}": (s.define, r) for s in sets for r in s.rules} for sets in (old, new))
    found = [RuleChange(rule=i, what="new", text=after[i][1].text) for i in sorted(after.keys() - before.keys())]
    found += [RuleChange(rule=i, what="gone", text=before[i][1].text) for i in sorted(before.keys() - after.keys())]
    found += [
        RuleChange(rule=i, what="changed", text=after[i][1].text)
        for i in sorted(before.keys() & after.keys())
        if before[i] != after[i]
    ]
    return tuple(found)


def _steps(old: Judgement, new: Judgement) -> Iterator[StepChange]:
    before, after = _climbed(old), _climbed(new)
    for key in before.keys() | after.keys():
        left, right = before.get(key), after.get(key)
        told = tuple("" if s is None else reached(s) for s in (left, right))
        if told[0] == told[1]:
            continue
        worse = right is not None and left is not None and _height(right) < _height(left)
        sure = right is not None and right.exact
        yield StepChange(
            rule_set=key[0], objective=key[1], subject=key[2], before=told[0], after=told[1], worse=worse,
            outcome=Outcome.FAILED if sure else Outcome.NOT_SHOWN,
        )  # fmt: skip


def _climbed(judgement: Judgement) -> dict[tuple[str, str, str], Step]:
    """The lowest step of each objective and technology, and of the stack."""
    found: dict[tuple[str, str, str], Step] = {}
    for step in Sorted(judgement).steps:
        subject = "the stack" if step.group is None else _name(judgement.groups[step.group])
        key = (step.rule_set, step.objective, subject)
        if key not in found or _height(step) < _height(found[key]):
            found[key] = step
    return found


def _height(step: Step) -> int:
    return -1 if step.reached is None else step.reached


def _findings(judgement: Judgement) -> Mapping[tuple[str, str], Finding]:
    """The worst finding of each rule and technology."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in Sorted(judgement).plain:
        subject = "the stack" if finding.group is None else _name(judgement.groups[finding.group])
        known = found.get((finding.rule, subject))
        if known is None or conjoin([known.outcome, finding.outcome]) is not known.outcome:
            found[finding.rule, subject] = finding
    return found


def _name(group: Group) -> str:
    return group.technology or "what was not recognised"


def _versions(judgement: Judgement) -> dict[str, frozenset[str]]:
    """Per technology its versions; parts that were not recognised by their own names."""
    found: dict[str, set[str]] = {}
    for group in judgement.groups:
        if group.technology is not None:
            found.setdefault(group.technology, set()).update(group.versions)
        else:
            for number in group.parts:
                part = judgement.parts[number]
                found.setdefault(part.name, set()).update([part.version] if part.version else [])
    return {n: frozenset(v) for n, v in found.items()}


def _told(versions: frozenset[str]) -> str:
    return ", ".join(sorted(versions)) or "no version"


def _change(key: tuple[str, str], left: Finding | None, right: Finding | None) -> Change:
    rank_before = _RANK[left.outcome] if left else 0
    return Change(
        rule=key[0],
        subject=key[1],
        before=left.outcome if left else None,
        after=right.outcome if right else None,
        path_before=left.path if left else "",
        path_after=right.path if right else "",
        reason=right.reason if right else Reason.of("judge.gone"),
        worse=right is not None and _RANK[right.outcome] > rank_before,
    )


def _gained(old: Judgement, new: Judgement) -> tuple[Coverage, ...]:
    had = {(c.kind, c.name) for c in old.coverage if c.outcome is Outcome.HELD}
    return tuple(c for c in new.coverage if c.outcome is Outcome.HELD and (c.kind, c.name) not in had)
