# SPDX-License-Identifier: Apache-2.0
"""What changed on the map since it was last built: technologies, licences, verdicts, facts, rule sets. Pure.

`cli` keeps the record beside the site (`map.json`) and hands the earlier one in. A build that changes nothing keeps the
changes that the last one told, so that the same catalogue gives the same bytes however often it is built.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import ValidationError

from unterbau.errors import UsageError
from unterbau.judge.seeing import tell
from unterbau.map.chart import Chart, Sheet
from unterbau.verdict import Model


class Entry(Model):
    """One technology, as it was told."""

    name: str
    licences: dict[str, str]
    """Versions -> licence; empty: not shown."""
    verdicts: dict[str, dict[str, str]]
    """Rule set -> versions -> path."""
    facts: tuple[str, ...]
    """`kind (versions): value`, without what is only read anew."""


class Snapshot(Model):
    """The map on a day."""

    at: date
    rule_sets: dict[str, str]
    """Id -> name, and as of when."""
    technologies: dict[str, Entry]


class Change(Model):
    """One line."""

    technology: str
    name: str
    what: Literal["technology", "licence", "verdict", "fact", "rule set"]
    where: str
    """The rule set, or the kind of fact, and its versions."""
    before: str
    after: str
    """Empty: it is not there."""


class Changes(Model):
    """Since when, and what."""

    before: date
    after: date
    lines: tuple[Change, ...]


class Record(Model):
    """What stands beside the site."""

    now: Snapshot
    changes: Changes | None = None
    """Of the last build that changed anything."""


def record(chart: Chart, earlier: Record | None) -> Record:
    """The record of this build, with what is other than in the earlier one."""
    now = snapshot(chart)
    if earlier is None:
        return Record(now=now)
    lines = tuple(_lines(earlier.now, now))
    if not lines:
        return Record(now=now, changes=earlier.changes)
    return Record(now=now, changes=Changes(before=earlier.now.at, after=now.at, lines=lines))


def parse(data: bytes, name: str) -> Record:
    """An earlier record. Raises UsageError."""
    try:
        return Record.model_validate_json(data)
    except ValidationError:
        remedy = "Delete it, and the next build begins anew; or name another folder."
        raise UsageError(f"{name}: no record of a map that this version reads", remedy) from None


def snapshot(chart: Chart) -> Snapshot:
    """The map in few words."""
    return Snapshot(
        at=chart.at,
        rule_sets={r.id: f"{r.name}, as of {r.as_of}" for r in chart.rule_sets},
        technologies={i: _entry(s) for i, s in chart.sheets.items()},
    )


def _entry(sheet: Sheet) -> Entry:
    verdicts: dict[str, dict[str, str]] = {}
    for verdict in sheet.verdicts:
        verdicts.setdefault(verdict.rule_set, {})[verdict.versions] = verdict.path
    return Entry(
        name=sheet.technology.name,
        licences={one.versions: one.licence for one in sheet.licences},
        verdicts=verdicts,
        facts=tuple(sorted({f"{k.fact.kind} ({k.fact.versions}): {tell(k.fact)}" for k in sheet.facts})),
    )


def _lines(old: Snapshot, new: Snapshot) -> list[Change]:
    found = [
        Change(
            technology="",
            name="",
            what="rule set",
            where=i,
            before=old.rule_sets.get(i, ""),
            after=new.rule_sets.get(i, ""),
        )
        for i in sorted(old.rule_sets.keys() | new.rule_sets.keys())
        if old.rule_sets.get(i) != new.rule_sets.get(i)
    ]
    for id_ in sorted(old.technologies.keys() | new.technologies.keys()):
        before, after = old.technologies.get(id_), new.technologies.get(id_)
        if before is None or after is None:
            name = (after or before or Entry(name=id_, licences={}, verdicts={}, facts=())).name
            there = ["absent" if e is None else "on the map" for e in (before, after)]
            found.append(
                Change(technology=id_, name=name, what="technology", where="", before=there[0], after=there[1])
            )
        elif before != after:
            found += _of(id_, before, after)
    return found


def _of(id_: str, old: Entry, new: Entry) -> list[Change]:
    found = []
    if old.licences != new.licences:
        found.append(_change(id_, new, "licence", "", [_by_version(e.licences) for e in (old, new)]))
    for rules in sorted(old.verdicts.keys() & new.verdicts.keys()):  # a new rule set is one line, not one a technology
        if old.verdicts[rules] != new.verdicts[rules]:
            found.append(_change(id_, new, "verdict", rules, [_by_version(e.verdicts[rules]) for e in (old, new)]))
    gone, come = set(old.facts) - set(new.facts), set(new.facts) - set(old.facts)
    for fact in sorted(gone | come):
        where, _, value = fact.partition(": ")
        found.append(_change(id_, new, "fact", where, [value if fact in gone else "", value if fact in come else ""]))
    return found


def _by_version(told: dict[str, str]) -> str:
    """`failed (>=8), not shown (<8)`."""
    return ", ".join(
        f"{text or 'not shown'} ({versions})" if versions else text or "not shown" for versions, text in told.items()
    )


def _change(id_: str, entry: Entry, what: Literal["licence", "verdict", "fact"], where: str, told: list[str]) -> Change:
    return Change(technology=id_, name=entry.name, what=what, where=where, before=told[0], after=told[1])
