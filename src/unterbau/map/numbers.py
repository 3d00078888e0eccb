# SPDX-License-Identifier: Apache-2.0
"""The map in numbers: how many technologies by layer and licence, by verdict, and how old and whose their sources are. Pure.

`report` makes a page of it. They are counts of things, never a mark: nothing is weighed, summed over rules or ranked.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import NamedTuple

from unterbau.catalogue.model import Fact
from unterbau.map.chart import Chart, RuleSetVerdict, Sheet
from unterbau.map.official import LAYERS

AGES = ((90, "up to 90 days"), (365, "up to a year"), (730, "up to two years"))
OLDER, UNKNOWN = "older", "age unknown"
LICENCES = ("open source", "not open source", "by version", "not shown")
PATHS = ("held directly", "held by exception", "failed", "not shown", "by version")


class Table(NamedTuple):
    """Rows of counts under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


def numbers(chart: Chart) -> tuple[Table, ...]:
    """All tables."""
    sheets = list(chart.sheets.values())
    return (_licences(sheets), _verdicts(chart), _steps(chart), _sources(sheets), _ages(sheets, chart.at))


def _licences(sheets: list[Sheet]) -> Table:
    counted = Counter((s.technology.layer, _one({one.kind for one in s.licences})) for s in sheets)
    rows = ((LAYERS[layer], tuple(counted[layer, kind] for kind in LICENCES)) for layer in reversed(LAYERS))
    return Table("Technologies by layer and licence", LICENCES, tuple(rows))


def _one(kinds: set[str]) -> str:
    return kinds.pop() if len(kinds) == 1 else "by version"


def _verdicts(chart: Chart) -> Table:
    """Of rule sets that ask of single technologies and have no steps."""
    rows = []
    for rules in chart.rule_sets:
        said = [_said(s, rules.id) for s in chart.sheets.values()]
        counted = Counter(_one({_short(v) for v in one}) for one in said if one and one[0].outcome is not None)
        if counted:
            rows.append((rules.id, tuple(counted[p] for p in PATHS)))
    return Table("Technologies by verdict", PATHS, tuple(rows))


def _said(sheet: Sheet, rule_set: str) -> list[RuleSetVerdict]:
    return [v for v in sheet.verdicts if v.rule_set == rule_set]


def _short(verdict: RuleSetVerdict) -> str:
    return verdict.path.partition(":")[0]


def _steps(chart: Chart) -> Table:
    """Of rule sets that have steps: the step that is reached, as it is told."""
    found: dict[str, Counter[str]] = {}
    for rules in chart.rule_sets:
        for sheet in chart.sheets.values():
            said = [v for v in _said(sheet, rules.id) if v.outcome is None]
            if said:
                path = {v.path.partition(" (")[0] for v in said}
                found.setdefault(rules.id, Counter())[_one(path)] += 1
    columns = tuple(sorted({p for c in found.values() for p in c}))
    return Table("Technologies by step", columns, tuple((i, tuple(c[p] for p in columns)) for i, c in found.items()))


def _facts(sheets: list[Sheet]) -> list[Fact]:
    return [k.fact for s in sheets for k in s.facts]


def _sources(sheets: list[Sheet]) -> Table:
    counted: dict[str, Counter[str]] = {}
    for fact in _facts(sheets):
        whose = "data set" if fact.source.data_set else fact.source.origin or "not said"
        counted.setdefault(fact.kind, Counter())[whose] += 1
    columns = ("original", "repository", "second hand", "data set", "not said")
    rows = ((kind.replace("_", " "), tuple(c[w] for w in columns)) for kind, c in sorted(counted.items()))
    return Table("Facts by whose page was read", columns, tuple(rows))


def _ages(sheets: list[Sheet], at: date) -> Table:
    columns = (*(name for _, name in AGES), OLDER, UNKNOWN)
    counted: dict[str, Counter[str]] = {}
    for fact in _facts(sheets):
        counted.setdefault(fact.kind, Counter())[_age(fact, at)] += 1
    rows = ((kind.replace("_", " "), tuple(c[a] for a in columns)) for kind, c in sorted(counted.items()))
    return Table("Facts by the age of the copy that was read", columns, tuple(rows))


def _age(fact: Fact, at: date) -> str:
    if fact.source.as_of is None or fact.source.dated in (None, "reading"):
        return UNKNOWN
    days = (at - fact.source.as_of).days
    return next((name for most, name in AGES if days <= most), OLDER)
