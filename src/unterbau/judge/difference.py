# SPDX-License-Identifier: Apache-2.0
"""What a change request does to each rule: two judgements of the same day side by side. Pure. `cli` calls it."""

from __future__ import annotations

from collections.abc import Mapping

from unterbau.judge.judgement import Change, Coverage, Difference, Finding, Group, Judgement
from unterbau.verdict import Outcome, conjoin

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
    )


def _findings(judgement: Judgement) -> Mapping[tuple[str, str], Finding]:
    """The worst finding of each rule and technology."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in judgement.findings:
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
        reason=right.reason if right else "it is no longer in the stack",
        worse=right is not None and _RANK[right.outcome] > rank_before,
    )


def _gained(old: Judgement, new: Judgement) -> tuple[Coverage, ...]:
    had = {(c.kind, c.name) for c in old.coverage if c.outcome is Outcome.HELD}
    return tuple(c for c in new.coverage if c.outcome is Outcome.HELD and (c.kind, c.name) not in had)
