# SPDX-License-Identifier: Apache-2.0
"""The whole catalogue judged at once, for the map: each technology, by version where facts differ by version. Pure.

`report.map` draws it, `official` compares it with the official map. It is the engine's judgement of a stack that
holds every technology, so that the map and `unterbau judge` can never say different things.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby, pairwise
from typing import TypeVar

from unterbau.catalogue import spdx
from unterbau.catalogue.model import Catalogue, Layer, Source, Technology
from unterbau.catalogue.versions import parse, within
from unterbau.judge.engine import judge
from unterbau.judge.judgement import Finding, Judgement, KnownFact
from unterbau.judge.rule import RuleSet
from unterbau.judge.summary import Sorted, Step
from unterbau.judge.words import once, reached
from unterbau.judge.words import step as step_text
from unterbau.stack.model import Part, Place, Stack
from unterbau.verdict import Model, Outcome, conjoin

_TERM = re.compile(r"(<=|>=|==|!=|<|>|=)?\s*([^\s,|<>=!*]+)")
T = TypeVar("T")
RELATIONS = ("alternative", "successor", "fork_of", "forked_as", "depends_on")
_EVERYWHERE = {"group": None, "until": None}
"""What of a finding differs between versions of which the same is told: its group, and the day on which each ends."""
Cut = tuple[int, ...]
"""Numbers of the lowest version above a boundary."""


class Told(Model):
    """One finding; `versions` says for which ones, where that is not the whole range."""

    versions: str
    finding: Finding
    step: int | None = None
    """The step of a ladder that it belongs to; None: it is none."""


class Steps(Model):
    """How far one objective of a rule set that has steps is reached."""

    versions: str
    objective: str
    text: str
    """`step 2 of 5; step 3 fails by licence SSPL-1.0; not shown: step 4`."""


class RuleSetVerdict(Model):
    """What one rule set says of one technology, at these versions (empty: all)."""

    versions: str
    rule_set: str
    name: str
    outcome: Outcome | None
    """None: it has steps, which neither hold nor fail."""
    path: str
    """`held directly`, `held by exception: NAME`, `failed`, `not shown`; of steps `step 2 of 5`."""
    told: tuple[Told, ...]
    steps: tuple[Steps, ...] = ()
    rest: str = ""
    """The path of its rules that are no steps."""


class Licence(Model):
    """The licence of these versions (empty: of all)."""

    versions: str
    licence: str
    """Empty: not shown."""
    kind: str
    """`open source`, `not open source`, or `not shown`."""


class Sheet(Model):
    """One technology on the map."""

    technology: Technology
    licences: tuple[Licence, ...]
    """From the oldest versions to the newest, without a gap."""
    verdicts: tuple[RuleSetVerdict, ...]
    """By rule set, then from the oldest versions to the newest."""
    facts: tuple[KnownFact, ...]
    """All of its facts, expired ones too, by the ids that findings name."""
    relations: tuple[tuple[str, str], ...]
    """(relation, id): ids of the catalogue, or `ext:NAME`."""


class Rules(Model):
    """Whose rules they are, and what they ask."""

    id: str
    name: str
    author: str
    as_of: date
    note: str
    sources: tuple[Source, ...]
    asks: dict[str, str]
    """What is asked of a technology, by the rule's id; empty where all is asked of whole stacks."""
    once: tuple[str, ...] = ()
    """What is told of no technology by itself, since nobody measured or answered it."""


class Chart(Model):
    """The map's content: sheets by id, and the rules by which they were judged."""

    at: date
    rule_sets: tuple[Rules, ...]
    sheets: dict[str, Sheet]

    def by_layer(self) -> list[tuple[Layer, list[Sheet]]]:
        """From the application down to the hardware; within a layer by name."""
        ordered = sorted(self.sheets.values(), key=lambda s: s.technology.name.casefold())
        return [(layer, [s for s in ordered if s.technology.layer is layer]) for layer in reversed(Layer)]


def chart(known: Catalogue, rule_sets: Sequence[RuleSet], at: date) -> Chart:
    """Judge the whole catalogue."""
    pieces = {t.id: _pieces(t) for t in known.values()}
    parts = tuple(
        Part(id=f"{i}|{n}", name=known[i].name, version=version, technology=i, where=(Place("catalogue"),))
        for i, found in pieces.items()
        for n, (_, _, version) in enumerate(found)
    )
    told = _Judged(judge(Stack(name="the catalogue", parts=parts), known, rule_sets, at))
    sheets = {
        t.id: Sheet(
            technology=t,
            licences=_licences(t, pieces[t.id], at),
            verdicts=tuple(v for r in rule_sets for v in _verdicts(r, t.id, pieces[t.id], told)),
            facts=_facts(t),
            relations=_relations(t),
        )
        for t in known.values()
    }
    return Chart(at=at, rule_sets=tuple(_rules(r, told) for r in rule_sets), sheets=dict(sorted(sheets.items())))


def _rules(rules: RuleSet, told: _Judged) -> Rules:
    return Rules(
        id=rules.id, name=rules.name, author=rules.author, as_of=rules.as_of, note=rules.note, sources=rules.sources,
        asks={f"{rules.id}/{r.id}": r.text for r in rules.rules if r.of == "part"},
        once=tuple(once(o) for o in told.sorted.once if o.rule_set == rules.id),
    )  # fmt: skip


class _Judged:
    """The judgement by part, without what is told once for all of them."""

    def __init__(self, judged: Judgement) -> None:
        groups = {part: group.id for group in judged.groups for part in group.parts}
        self.group = {part.id: groups[n] for n, part in enumerate(judged.parts)}
        self.sorted = Sorted(judged)
        self.findings: dict[int, list[Finding]] = {}
        self.steps: dict[int, list[Step]] = {}
        for finding in judged.findings:
            if finding.group is not None and not self.sorted.is_once(finding):
                self.findings.setdefault(finding.group, []).append(finding.model_copy(update=_EVERYWHERE))
        for step in self.sorted.steps:
            if step.group is not None:
                self.steps.setdefault(step.group, []).append(step)

    def told(self, versions: str, finding: Finding) -> Told:
        return Told(versions=versions, finding=finding, step=self.sorted.heads[finding.rule].level)

    def path(self, findings: Sequence[Finding], steps: Sequence[Step]) -> tuple[Outcome | None, str, str]:
        """Outcome, path, and the path of the rest: steps are told by themselves, never as failed."""
        plain = [f for f in findings if not self.sorted.is_step(f)]
        rest = _path(plain) if plain else ""
        if not steps:
            return conjoin(f.outcome for f in plain), rest, ""
        lowest = min(steps, key=lambda s: -1 if s.reached is None else s.reached)
        of = f" (lowest of {len(steps)} objectives)" if len(steps) > 1 else ""
        return None, f"{reached(lowest)}{of}", rest


# --- versions


Piece = tuple[Cut | None, Cut | None, str | None]
"""From (included), to (not included), and a version in it: for all versions of a piece the same facts hold."""


def _pieces(technology: Technology) -> list[Piece]:
    """All versions, cut wherever a fact begins or ends to hold."""
    cuts = sorted({c for f in technology.facts for c in _cuts(f.versions)})
    if not cuts:
        return [(None, None, None)]
    longest = max(map(len, cuts)) + 1
    edges: list[Cut | None] = [None, *cuts, None]
    return [(low, high, ".".join(map(str, ((low or ()) + (0,) * longest)[:longest]))) for low, high in pairwise(edges)]


def _cuts(text: str) -> Iterable[Cut]:
    for operator, version in _TERM.findall(text):
        release = parse(version)
        if release is None:
            continue
        numbers = release[0]
        after = (*numbers[:-1], numbers[-1] + 1)
        found = {"<": (numbers,), ">=": (numbers,), "<=": (after,), ">": (after,)}.get(operator, (numbers, after))
        for cut in found:
            shortest = cut
            while shortest and shortest[-1] == 0:
                shortest = shortest[:-1]
            if shortest:
                yield shortest


def _label(low: Cut | None, high: Cut | None) -> str:
    """`<7.4`, `8`, `>=8,<8.17`; empty for all versions."""
    if low is not None and high == (*low[:-1], low[-1] + 1):
        return ".".join(map(str, low))
    edges = [(">=", low), ("<", high)]
    return ",".join(f"{o}{'.'.join(map(str, cut))}" for o, cut in edges if cut is not None)


def _licences(technology: Technology, pieces: list[Piece], at: date) -> tuple[Licence, ...]:
    found = [(low, high, _licence(technology, version, at)) for low, high, version in pieces]
    return tuple(Licence(versions=v, licence=text, kind=_kind(text)) for v, text in _merged(found, len(pieces)))


def _verdicts(rules: RuleSet, technology: str, pieces: list[Piece], told: _Judged) -> Iterable[RuleSetVerdict]:
    """Neighbouring versions with the same path are one verdict."""
    seen = []
    for n, (low, high, _) in enumerate(pieces):
        group = told.group[f"{technology}|{n}"]
        findings = [f for f in told.findings.get(group, ()) if f.rule.startswith(f"{rules.id}/")]
        steps = [s for s in told.steps.get(group, ()) if s.rule_set == rules.id]
        if findings:
            seen.append((low, high, findings, steps))
    for (outcome, path, rest), neighbours in groupby(seen, key=lambda s: told.path(s[2], s[3])):
        same = list(neighbours)
        findings_of: dict[str, list[tuple[Cut | None, Cut | None, Finding]]] = {}
        steps_of: dict[str, list[tuple[Cut | None, Cut | None, str]]] = {}
        for low, high, findings, steps in same:
            for finding in findings:
                findings_of.setdefault(finding.rule, []).append((low, high, finding))
            for step in steps:
                steps_of.setdefault(step.objective, []).append((low, high, step_text(step, told.sorted.judgement)))
        yield RuleSetVerdict(
            versions="" if len(same) == len(pieces) else _label(same[0][0], same[-1][1]),
            rule_set=rules.id,
            name=rules.name,
            outcome=outcome,
            path=path,
            rest=rest,
            told=tuple(told.told(v, f) for found in findings_of.values() for v, f in _merged(found, len(same))),
            steps=tuple(
                Steps(versions=v, objective=objective, text=text)
                for objective, texts in steps_of.items()
                for v, text in _merged(texts, len(same))
            ),
        )


def _merged(found: Sequence[tuple[Cut | None, Cut | None, T]], pieces: int) -> Iterable[tuple[str, T]]:
    """Neighbours of which the same is told as one; without versions where it is told of all of the pieces."""
    for thing, same in groupby(found, key=lambda f: f[2]):
        edges = list(same)
        yield ("" if len(edges) == pieces else _label(edges[0][0], edges[-1][1])), thing


def _path(findings: Sequence[Finding]) -> str:
    """Of several findings the deciding one."""
    outcome = conjoin(f.outcome for f in findings)
    if outcome is not Outcome.HELD:
        return outcome.value
    exceptions = [f.path.partition(":")[2] for f in findings if f.path.startswith("exception")]
    return f"held by exception: {', '.join(dict.fromkeys(exceptions))}" if exceptions else "held directly"


def _licence(technology: Technology, version: str | None, at: date) -> str:
    """The licence that holds on the day; empty: not shown. Two that hold are told as a choice nobody has made."""
    found = [str(f.value) for f in technology.of("licence") if f.current(at) and within(version, f.versions)]
    return "; ".join(dict.fromkeys(found))


def _kind(licence: str) -> str:
    if not licence or ";" in licence:
        return "not shown"
    outcome, _ = spdx.osi(licence, identified=True)
    return {Outcome.HELD: "open source", Outcome.FAILED: "not open source"}.get(outcome, "not shown")


def _facts(technology: Technology) -> tuple[KnownFact, ...]:
    """Numbered as the engine does it, so that what a finding names is found: `redis:licence:2`."""
    return tuple(
        KnownFact(id=f"{technology.id}:{f.kind}:{n}", technology=technology.id, fact=f)
        for n, f in enumerate(technology.facts)
    )


def _relations(technology: Technology) -> tuple[tuple[str, str], ...]:
    found = []
    for fact in technology.facts:
        if fact.kind in RELATIONS:
            value = fact.value
            target = getattr(value, "technology", None) or value
            found.append((str(fact.kind), str(target)))
    return tuple(dict.fromkeys(found))
