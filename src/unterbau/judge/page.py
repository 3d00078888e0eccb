# SPDX-License-Identifier: Apache-2.0
"""A judged stack as one HTML page that works offline, in German and English. `cli` calls it. It decides nothing.

The first screen is what the terminal says first, and how far each ladder is climbed; it prints on one sheet. Below it
the stack is drawn as layers, and each part opens its paths and sources under every rule. Names come from files of
others and may hold anything: `printable` and the template's escaping make them harmless.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2 import Environment

from unterbau import pages
from unterbau.catalogue.model import Layer
from unterbau.face.results import MARKS
from unterbau.judge import words
from unterbau.judge.judgement import Finding, Group, Judgement, RuleSetHead
from unterbau.judge.seeing import tell
from unterbau.judge.summary import Sorted, Step, few, summary
from unterbau.judge.words import Language
from unterbau.verdict import CALLED, Outcome, Reason, conjoin
from unterbau.verdict import words as in_words

MOST_PLACES = 12
MOST_STRANGERS = 40
"""So many of a group's places, and of the parts that were not recognised, are shown at once."""
NO_LAYER = "not recognised"
WIDE = 110
"""Characters of a line of the first screen."""
STEPS = {
    Outcome.HELD: Reason.of("judge.rung.held"),
    Outcome.FAILED: Reason.of("judge.rung.failed"),
    Outcome.NOT_SHOWN: CALLED[Outcome.NOT_SHOWN],
}
"""Of a rule that is a step of a ladder."""
LAYERS = {
    "hardware": Reason.of("judge.place.hardware"),
    "operating-system": Reason.of("judge.place.operating-system"),
    "iaas": Reason.of("judge.place.iaas"),
    "container": Reason.of("judge.place.container"),
    "platform-services": Reason.of("judge.place.platform-services"),
    "operation": Reason.of("judge.place.operation"),
    "security": Reason.of("judge.place.security"),
    "application": Reason.of("judge.place.application"),
    NO_LAYER: Reason.of("judge.place.not-recognised"),
    "compute": Reason.of("judge.place.compute"),
    "network": Reason.of("judge.place.network"),
    "storage": Reason.of("judge.place.storage"),
    "identity": Reason.of("judge.place.identity"),
    "secrets": Reason.of("judge.place.secrets"),
    "backup": Reason.of("judge.place.backup"),
    "observability": Reason.of("judge.place.observability"),
    "registry": Reason.of("judge.place.registry"),
    "os": Reason.of("judge.place.os"),
}
"""Layers and functions as people call them."""


class Dot(NamedTuple):
    """What one rule set says of one part, in the smallest space."""

    rule_set: RuleSetHead
    css: str
    glyph: str
    english: str
    german: str
    findings: Sequence[Finding]
    steps: Sequence[Step]


def html(judgement: Judgement, language: Language = "en") -> str:
    """One self-contained page; `language` is the one that is shown first."""
    told, found = summary(judgement), Sorted(judgement)
    environment = _environment(judgement)
    lines = list(
        zip(words.ten_lines(judgement, told, "de", WIDE), words.ten_lines(judgement, told, "en", WIDE), strict=True)
    )
    return environment.get_template("stack.html.j2").render(
        j=judgement, told=told, language=language, lines=lines[1:], rungs=_rungs(judgement, found),
        once=[(o, words.once(o, "de"), words.once(o, "en")) for o in found.once],
        layers=_layers(judgement, found), rules=_rules(judgement, found), facts=judgement.by_id,
        evidence=[(e, words.exhibit(e, "de"), words.exhibit(e, "en")) for e in judgement.evidence],
        heads=found.heads, most=MOST_PLACES, failed=Outcome.FAILED,
    )  # fmt: skip


def _environment(judgement: Judgement) -> Environment:
    environment = pages.environment("unterbau.judge")
    environment.filters["link"] = _link
    environment.globals["tell"] = tell
    environment.globals["few"] = lambda names: few(names, 6)
    environment.globals["outcome"] = lambda outcome: pages.said(CALLED[outcome])
    environment.globals["step_outcome"] = lambda outcome: pages.said(STEPS[outcome])
    environment.globals["glyph"] = lambda outcome: MARKS[outcome].split()[0]
    environment.globals["css"] = lambda outcome: outcome.value.replace(" ", "-")
    environment.globals["place"] = lambda name: pages.said(LAYERS[name])
    environment.globals["step"] = lambda told, brief=False: pages.both(
        words.step(told, judgement, "de", brief=brief), words.step(told, judgement, "en", brief=brief)
    )
    return environment


def _link(url: str) -> str:
    """Only what a browser may safely follow becomes a link."""
    return url if re.match(r"https?://", url) else ""


def _rungs(judgement: Judgement, found: Sorted) -> list[tuple[RuleSetHead, Step, list[tuple[int, str]]]]:
    """The ladders of the whole stack: the rule set, how far, and each rung with its CSS class."""
    sets = {s.id: s for s in judgement.rule_sets}
    drawn = []
    for step in (s for s in found.steps if s.group is None):
        levels = sorted({h.level for h in found.heads.values() if h.level is not None and h.objective == step.objective
                         and h.id.startswith(f"{step.rule_set}/")})  # fmt: skip
        rungs = [(level, _rung(step, level)) for level in levels]
        drawn.append((sets[step.rule_set], step, rungs))
    return drawn


def _rung(step: Step, level: int) -> str:
    if step.reached is not None and level <= step.reached:
        return "reached"
    if step.fails_at is not None and level >= step.fails_at:
        return "above"
    return "open" if level in step.unshown else "between"


def _layers(judgement: Judgement, found: Sorted) -> list[tuple[str, list[dict[str, Any]]]]:
    """From the application down to the hardware; strangers last. Empty layers are drawn: their absence is a result."""
    drawn: dict[str, list[dict[str, Any]]] = {layer.value: [] for layer in reversed(Layer)}
    drawn[NO_LAYER] = []
    by_group: dict[int, list[Finding]] = {}
    for finding in judgement.findings:
        if finding.group is not None and not found.is_once(finding):
            by_group.setdefault(finding.group, []).append(finding)
    steps: dict[int, list[Step]] = {}
    for step in found.steps:
        if step.group is not None:
            steps.setdefault(step.group, []).append(step)
    for group in judgement.groups:
        dots = [_dot(s, by_group.get(group.id, []), steps.get(group.id, []), found) for s in judgement.rule_sets]
        box = {
            "group": group,
            "dots": [d for d in dots if d is not None],
            "mirrors": list(dict.fromkeys(m for n in group.parts if (m := judgement.parts[n].mirror)))[:MOST_PLACES],
            "places": [w for n in group.parts[:MOST_PLACES] for w in judgement.parts[n].where][:MOST_PLACES],
            "members": [judgement.parts[n] for n in group.parts[:MOST_STRANGERS]] if group.technology is None else [],
        }
        drawn[_layer(group)].append(box)
    if not drawn[NO_LAYER]:
        del drawn[NO_LAYER]
    return list(drawn.items())


def _layer(group: Group) -> str:
    return group.layer if group.technology and group.layer else NO_LAYER


def _dot(rule_set: RuleSetHead, findings: Sequence[Finding], steps: Sequence[Step], found: Sorted) -> Dot | None:
    """Its rules by their outcome; a rule set of steps only by the lowest step. None: it says nothing of this part."""
    own = [f for f in findings if found.rule_set(f) == rule_set.id]
    climbed = [s for s in steps if s.rule_set == rule_set.id]
    plain = [f.outcome for f in own if not found.is_step(f)]
    if plain:
        outcome = conjoin(plain)
        english, german = (in_words(CALLED[outcome], language) for language in ("en", "de"))
        return Dot(rule_set, outcome.value.replace(" ", "-"), MARKS[outcome].split()[0], english, german, own, climbed)
    if climbed:
        low = min(climbed, key=lambda s: -1 if s.reached is None else s.reached)
        at = "–" if low.reached is None else str(low.reached)
        return Dot(rule_set, "steps", f"{at}/{low.top}", words.reached(low), words.reached(low, "de"), own, climbed)
    if own:
        english, german = (in_words(CALLED[Outcome.NOT_SHOWN], language) for language in ("en", "de"))
        return Dot(rule_set, "not-shown", "?", english, german, own, climbed)
    return None


def _rules(judgement: Judgement, found: Sorted) -> list[tuple[RuleSetHead, list[tuple[Any, list[Finding]]]]]:
    """What is asked of the stack as a whole; steps and what is told once have their own place."""
    whole: dict[str, list[Finding]] = {}
    for finding in found.plain:
        if finding.group is None:
            whole.setdefault(finding.rule, []).append(finding)
    once = {r.id for o in found.once for r in o.rules}
    return [
        (s, [(r, whole.get(r.id, [])) for r in s.rules if r.level is None and (r.id in whole or r.id not in once)])
        for s in judgement.rule_sets
    ]
