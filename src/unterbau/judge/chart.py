# SPDX-License-Identifier: Apache-2.0
"""The whole catalogue judged at once, for the map: each technology, by version where facts differ by version. Pure.

`report.map` draws it, `official` compares it with the official map. It is the engine's judgement of a stack that
holds every technology, so that the map and `unterbau judge` can never say different things.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from unterbau.judge import spdx
from unterbau.judge.engine import judge
from unterbau.judge.judgement import Finding, KnownFact
from unterbau.judge.model import Catalogue, Fact, Layer, Part, Place, Stack, Technology
from unterbau.judge.rule import RuleSet
from unterbau.judge.versions import within
from unterbau.verdict import Model, Outcome, conjoin

_LOWER = re.compile(r"(>=|>|<=|==|=|~=)\s*([0-9][^,|\s]*)")
RELATIONS = ("alternative", "successor", "fork_of", "forked_as", "depends_on")


class RuleSetVerdict(Model):
    """What one rule set says of one technology (at one range of versions)."""

    rule_set: str
    name: str
    outcome: Outcome
    findings: tuple[Finding, ...]

    @property
    def path(self) -> str:
        """`held directly`, `held by exception: NAME`, `failed` or `not shown`; of several findings the deciding one."""
        if self.outcome is not Outcome.HELD:
            return self.outcome.value
        exceptions = [f.path.partition(":")[2] for f in self.findings if f.path.startswith("exception")]
        return f"held by exception: {', '.join(dict.fromkeys(exceptions))}" if exceptions else "held directly"


class Range(Model):
    """One technology at versions for which the same licence holds. `label` is empty where there is only one."""

    label: str
    verdicts: tuple[RuleSetVerdict, ...]
    licence: str
    licence_kind: str
    """`open source`, `not open source`, or `not shown`."""


class Sheet(Model):
    """One technology on the map."""

    technology: Technology
    ranges: tuple[Range, ...]
    facts: tuple[KnownFact, ...]
    """All of its facts, expired ones too."""
    relations: tuple[tuple[str, str], ...]
    """(relation, id): ids of the catalogue, or `ext:NAME`."""


class Chart(Model):
    """The map's content: sheets by id, and the rules by which they were judged."""

    at: date
    rule_sets: tuple[tuple[str, str], ...]
    """(id, name)."""
    sheets: dict[str, Sheet]

    def by_layer(self) -> list[tuple[Layer, list[Sheet]]]:
        """From the application down to the hardware; within a layer by name."""
        ordered = sorted(self.sheets.values(), key=lambda s: s.technology.name.casefold())
        return [(layer, [s for s in ordered if s.technology.layer is layer]) for layer in reversed(Layer)]


def chart(known: Catalogue, rule_sets: Sequence[RuleSet], at: date) -> Chart:
    """Judge the whole catalogue."""
    ranges = {t.id: _ranges(t) for t in known.values()}
    parts = [
        Part(id=f"{id_}|{label}", name=known[id_].name, version=version, technology=id_, where=(Place("catalogue"),))
        for id_, found in ranges.items()
        for label, version in found
    ]
    judged = judge(Stack(name="the catalogue", parts=tuple(parts)), known, rule_sets, at)
    group_of = {part: group.id for group in judged.groups for part in group.parts}
    by_group: dict[int, list[Finding]] = {}
    for finding in judged.findings:
        if finding.group is not None:
            by_group.setdefault(finding.group, []).append(finding)
    position = {part.id: n for n, part in enumerate(parts)}
    sheets = {}
    for technology in known.values():
        made = tuple(
            _range(technology, label, version, by_group.get(group_of[position[f"{technology.id}|{label}"]], []),
                   rule_sets, at)
            for label, version in ranges[technology.id]
        )  # fmt: skip
        sheets[technology.id] = Sheet(
            technology=technology, ranges=made, facts=_facts(technology), relations=_relations(technology)
        )
    return Chart(at=at, rule_sets=tuple((r.id, r.name) for r in rule_sets), sheets=dict(sorted(sheets.items())))


def _ranges(technology: Technology) -> list[tuple[str, str | None]]:
    """(label, a version of it) for each range of versions whose licence differs; ("", None) if there is one."""
    told = list(dict.fromkeys(f.versions for f in technology.of("licence")))
    if len(told) < 2:
        return [("", None)]
    return [(text, _member(text)) for text in told]


def _member(text: str) -> str:
    """A version within a range of versions: its lower end, or 0 where it has none."""
    for operator, version in _LOWER.findall(text):
        if operator != ">" and within(version, text):
            return str(version)
    return "0"


def _range(
    technology: Technology, label: str, version: str | None, findings: Sequence[Finding],
    rule_sets: Sequence[RuleSet], at: date,
) -> Range:  # fmt: skip
    verdicts = []
    for rules in rule_sets:
        own = tuple(f for f in findings if f.rule.startswith(f"{rules.id}/"))
        if own:
            outcome = conjoin(f.outcome for f in own)
            verdicts.append(RuleSetVerdict(rule_set=rules.id, name=rules.name, outcome=outcome, findings=own))
    licence = next((f for f in technology.of("licence") if _applies(f, version, at)), None)
    text = str(licence.value) if licence else ""
    return Range(label=label, verdicts=tuple(verdicts), licence=text, licence_kind=_kind(text))


def _applies(fact: Fact, version: str | None, at: date) -> bool:
    return fact.expires >= at and (version is None or within(version, fact.versions) is True)


def _kind(licence: str) -> str:
    if not licence:
        return "not shown"
    outcome, _ = spdx.osi(licence, identified=True)
    return {Outcome.HELD: "open source", Outcome.FAILED: "not open source"}.get(outcome, "not shown")


def _facts(technology: Technology) -> tuple[KnownFact, ...]:
    """Numbered by kind as the engine does it: `redis:licence:2`."""
    counted: dict[str, int] = {}
    found = []
    for fact in technology.facts:
        counted[fact.kind] = counted.get(fact.kind, 0) + 1
        found.append(
            KnownFact(id=f"{technology.id}:{fact.kind}:{counted[fact.kind]}", technology=technology.id, fact=fact)
        )
    return tuple(found)


def _relations(technology: Technology) -> tuple[tuple[str, str], ...]:
    found = []
    for fact in technology.facts:
        if fact.kind in RELATIONS:
            value = fact.value
            target = getattr(value, "technology", None) or value
            found.append((str(fact.kind), str(target)))
    return tuple(dict.fromkeys(found))
