# SPDX-License-Identifier: Apache-2.0
"""What a person reads first of a judgement: steps reached, what fails, what is missing, what ends, what to do. Pure.

`words` puts it into English or German, `report` and `output` show it. It takes from a judgement and adds nothing: no
outcome is made here. A rule that is a step of a ladder is never told as failed, and a rule for which only somebody who
measures or answers can say anything is told once, not once a part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cached_property
from typing import Literal

from unterbau.judge.judgement import Finding, Group, Judgement, KnownFact, Ladder, Missing, RuleHead
from unterbau.verdict import Model, Outcome, Words, conjoin

FAILED, NOT_SHOWN = Outcome.FAILED, Outcome.NOT_SHOWN
_TELLING = (
    "licence", "end_of_life", "foreign_law", "foreign_control", "parent", "ultimate_parent", "steward", "rights_holder",
)  # fmt: skip
"""Which of several deciding facts are told first; then the others in the finding's order."""
ALWAYS_OPEN = ("alternative", "standard", "sovereignty_claim", "claim")
"""What is missing of almost everything and changes little: told last."""


class Step(Model):
    """How far one objective of a rule set that has steps is reached, by a group or by the stack (its lowest part)."""

    rule_set: str
    objective: str
    group: int | None
    reached: int | None
    """Held up to this step; None: not even the lowest."""
    top: int
    """The highest step of which the rule set asks anything."""
    fails_at: int | None
    """The lowest step of which something fails; None: none."""
    failing: tuple[Finding, ...]
    """At that step."""
    unshown: tuple[int, ...]
    """Steps of which something is not shown."""
    open: tuple[Finding, ...]
    """What is not shown of the lowest of them."""

    @property
    def exact(self) -> bool:
        """Whether it is known that no higher step is reached."""
        below = self.top + 1 if self.fails_at is None else self.fails_at
        return not any(step < below for step in self.unshown)


class Once(Model):
    """Rules of one set that need a measurement, an answer or a bundle that nobody gave: one line for all parts."""

    rule_set: str
    needs: Literal["measurement", "answer", "evidence"]
    rules: tuple[RuleHead, ...]
    asks: tuple[Words, ...]
    """What each of them asks for, and of whom."""
    parts: int
    """Of so many groups nothing is shown by them."""


class Fails(Model):
    """A group (None: the stack) that fails a rule, with all rules that it fails and the facts that decide."""

    group: int | None
    findings: tuple[Finding, ...]
    facts: tuple[str, ...]
    instead: tuple[str, ...]
    """Names of technologies for which one of these rules holds."""


class Gap(Model):
    """One thing that is not known, of several subjects; and how many findings wait for it."""

    kind: str
    where: tuple[Words, ...]
    of: tuple[str, ...]
    findings: int


class Ends(Model):
    """A group whose maintenance ends within a year or has ended."""

    group: int
    day: date
    ended: bool


class Action(Model):
    """One thing to do."""

    do: Literal["upgrade", "replace", "read", "name", "find"]
    of: tuple[str, ...]
    by: tuple[Words, ...] = ()
    """What to replace it with; where to look; the day on which it ended."""
    kind: str = ""


class Summary(Model):
    """The whole of it, in no language."""

    stack: str
    at: date
    parts: int
    technologies: int
    rule_sets: int
    fails: tuple[Fails, ...]
    gaps: tuple[Gap, ...]
    ends: tuple[Ends, ...]
    first: tuple[Action, ...]
    unread: tuple[str, ...]
    unrecognised: tuple[str, ...]
    refused: tuple[str, ...]
    """Bundles that do not check."""
    steps: tuple[Step, ...]
    """Of the whole stack."""
    once: tuple[Once, ...]
    rests: tuple[str, ...] = ()
    """Layers that nothing is known to fill."""


class Sorted:
    """A judgement's findings by what they are: plain ones, steps, and those that are told once."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement
        self.heads = {r.id: r for s in judgement.rule_sets for r in s.rules}

    def rule_set(self, finding: Finding) -> str:
        """`alasca`."""
        return finding.rule.partition("/")[0]

    def is_step(self, finding: Finding) -> bool:
        """Whether its rule is a step of a ladder."""
        return self.heads[finding.rule].level is not None

    def is_once(self, finding: Finding) -> bool:
        """Whether it waits for a measurement, an answer or a bundle that nobody gave. What a bundle does not show is told."""
        return finding.outcome is NOT_SHOWN and self.heads[finding.rule].needs != "" and not finding.evidence

    @cached_property
    def plain(self) -> tuple[Finding, ...]:
        """What is told of a part or of the stack by itself."""
        return tuple(f for f in self.judgement.findings if not self.is_step(f) and not self.is_once(f))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every ladder of which anything was measured or is known."""
        by: dict[tuple[str, str, int | None], list[Finding]] = {}
        for finding in self.judgement.findings:
            if self.is_step(finding):
                for group in {finding.group, None}:
                    key = (self.rule_set(finding), self.heads[finding.rule].objective, group)
                    by.setdefault(key, []).append(finding)
        found = []
        for ladder in self.judgement.ladders:
            findings = by.get((ladder.rule_set, ladder.objective, ladder.group), [])
            if not findings:
                continue  # a judgement of before rules told of their steps
            measured = [f for f in findings if not self.is_once(f)]
            if measured and not self._of_stranger(ladder.group):
                found.append(self._step(ladder, findings if ladder.group is not None else measured))
        return tuple(found)

    def _of_stranger(self, group: int | None) -> bool:
        return group is not None and self.judgement.groups[group].technology is None

    def _step(self, ladder: Ladder, findings: Sequence[Finding]) -> Step:
        level = {f.rule: self.heads[f.rule].level or 0 for f in findings}
        fails_at = None if ladder.not_above is None else ladder.not_above + 1
        unshown = sorted({level[f.rule] for f in findings if f.outcome is NOT_SHOWN})
        return Step(
            rule_set=ladder.rule_set, objective=ladder.objective, group=ladder.group, reached=ladder.shown,
            top=max(level.values()), fails_at=fails_at,
            failing=tuple(f for f in findings if f.outcome is FAILED and level[f.rule] == fails_at),
            unshown=tuple(unshown),
            open=tuple(f for f in findings if f.outcome is NOT_SHOWN and level[f.rule] in unshown[:1]),
        )  # fmt: skip

    @cached_property
    def once(self) -> tuple[Once, ...]:
        """By rule set and by what they need."""
        found: dict[
            tuple[str, Literal["measurement", "answer", "evidence"]], tuple[dict[str, RuleHead], set[int | None]]
        ] = {}
        asks: dict[str, Words] = {}
        for finding in filter(self.is_once, self.judgement.findings):
            head = self.heads[finding.rule]
            if head.needs:
                rules, groups = found.setdefault((self.rule_set(finding), head.needs), ({}, set()))
                rules[head.id] = head
                asks.setdefault(head.id, finding.reason)
                groups.add(finding.group)
        return tuple(
            Once(
                rule_set=s,
                needs=needs,
                rules=tuple(rules.values()),
                parts=len(groups),
                asks=tuple(asks[r] for r in rules),
            )
            for (s, needs), (rules, groups) in found.items()
        )

    def outcomes(self) -> Iterable[Outcome]:
        """What the exit code is made of. A step that fails is a step that is not reached; not knowing it is not shown."""
        yield from (f.outcome for f in self.plain)
        yield from (NOT_SHOWN for _ in self.once)
        yield from (Outcome.HELD if s.exact else NOT_SHOWN for s in self.steps)
        yield from (NOT_SHOWN for e in self.judgement.evidence if e.fault)


def outcome(judgement: Judgement) -> Outcome:
    """Of the whole judgement."""
    return conjoin(Sorted(judgement).outcomes())


def summary(judgement: Judgement) -> Summary:
    """What a person reads first."""
    found = Sorted(judgement)
    fails = tuple(_fails(judgement, found.plain))
    gaps = tuple(_gaps(judgement, found))
    ends = tuple(
        Ends(group=e.group, day=e.day, ended=e.ended) for e in sorted(judgement.ending, key=lambda e: (e.day, e.group))
    )
    strangers = tuple(judgement.parts[n].name for n in judgement.unrecognised)
    unread = tuple(str(u.place) for u in judgement.unread)
    return Summary(
        stack=judgement.stack, at=judgement.at, parts=len(judgement.parts),
        technologies=len({g.technology for g in judgement.groups} - {None}), rule_sets=len(judgement.rule_sets),
        fails=fails, gaps=gaps, ends=ends, unread=unread, unrecognised=strangers,
        refused=tuple(e.name for e in judgement.evidence if e.fault),
        first=tuple(_first(judgement, fails, gaps, ends, unread, strangers)),
        steps=tuple(s for s in found.steps if s.group is None), once=found.once,
        rests=tuple(c.name for c in judgement.coverage if c.kind == "layer" and c.outcome is not Outcome.HELD),
    )  # fmt: skip


def name(group: Group, most: int = 3) -> str:
    """`Redis 7.4`, `Redis 6.2, 7.4 and 2 more`."""
    return " ".join([group.name, few(group.versions, most)]).strip()


def few(names: Sequence[str], most: int, more: str = "and {} more") -> str:
    """The first names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" {more.format(rest)}" if rest > 0 else "")


def deciding(findings: Iterable[Finding], facts: dict[str, KnownFact]) -> list[KnownFact]:
    """The facts of findings, the telling ones first."""
    found = list(dict.fromkeys(i for f in findings for i in f.facts if i in facts))
    order = {kind: n for n, kind in enumerate(_TELLING)}
    return sorted((facts[i] for i in found), key=lambda k: order.get(k.fact.kind, len(order)))


def _fails(judgement: Judgement, plain: Sequence[Finding]) -> Iterable[Fails]:
    """Those first that fail by most rule sets; the stack last."""
    by: dict[int | None, list[Finding]] = {}
    for finding in plain:
        if finding.outcome is FAILED:
            by.setdefault(finding.group, []).append(finding)
    facts = judgement.by_id
    sets = {g: {f.rule.partition("/")[0] for f in fs} for g, fs in by.items()}
    for group in sorted(by, key=lambda g: (g is None, -len(sets[g]), g or 0)):
        findings = by[group]
        good = [i.name for f in findings for i in f.instead if i.outcome is Outcome.HELD]
        yield Fails(
            group=group, findings=tuple(findings), facts=tuple(k.id for k in deciding(findings, facts)),
            instead=tuple(dict.fromkeys(good)),
        )  # fmt: skip


def _gaps(judgement: Judgement, found: Sorted) -> Iterable[Gap]:
    """Those first for which most findings wait; what was not recognised is told apart."""
    waiting: dict[str, list[tuple[Finding, Missing]]] = {}
    for finding in judgement.findings:
        if not found.is_once(finding):
            for missing in finding.missing:
                if missing.kind not in ("", "recognition", "answer", "measurement", "evidence"):
                    waiting.setdefault(missing.kind, []).append((finding, missing))
    gaps = [
        Gap(
            kind=kind,
            where=tuple(dict.fromkeys(m.where for _, m in pairs)),
            of=tuple(dict.fromkeys(m.of for _, m in pairs)),
            findings=len({(f.rule, f.group) for f, _ in pairs}),
        )
        for kind, pairs in waiting.items()
    ]
    yield from sorted(gaps, key=lambda g: (g.kind in ALWAYS_OPEN, -g.findings, g.kind))


def _first(
    judgement: Judgement, fails: Sequence[Fails], gaps: Sequence[Gap], ends: Sequence[Ends], unread: Sequence[str],
    strangers: Sequence[str],
) -> Iterable[Action]:  # fmt: skip
    """What ended is unsafe today; what fails has a better one; what nobody could read hides the rest; then the gaps."""
    ended = [e for e in ends if e.ended]
    if ended:
        named = tuple(name(judgement.groups[e.group]) for e in ended)
        yield Action(do="upgrade", of=named, by=tuple(str(e.day) for e in ended))
    for one in fails:
        if one.instead and one.group is not None:
            yield Action(do="replace", of=(name(judgement.groups[one.group]),), by=one.instead)
    if unread:
        yield Action(do="read", of=tuple(unread))
    if strangers:
        yield Action(do="name", of=tuple(dict.fromkeys(strangers)))
    for gap in gaps[:1]:
        yield Action(do="find", of=gap.of, by=gap.where, kind=gap.kind)
