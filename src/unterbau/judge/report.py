# SPDX-License-Identifier: Apache-2.0
"""A judged stack on the terminal, and the catalogue's facts. `cli` calls it; `page` is the HTML. It decides nothing.

Ten lines first, at 80 columns; the long lists are asked for. Names come from files of others and may hold anything:
`safe` makes them harmless.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unterbau.catalogue.audit import Audited, by_class_and_age
from unterbau.catalogue.contradictions import Contradiction
from unterbau.catalogue.model import Fact, OperatorFact, Source, SupportFact, Technology
from unterbau.face.results import MARKS, STYLES, listing, paragraph, row, safe, say, sheet, table
from unterbau.judge import words
from unterbau.judge.judgement import Difference, Finding, Group, Judgement, KnownFact, Since
from unterbau.judge.seeing import tell
from unterbau.judge.summary import Sorted, Step, summary
from unterbau.judge.words import LABEL
from unterbau.verdict import Outcome

COUNTS = "counts"
FACT_COLUMNS = ("fact", "value", "versions", "state", "source")
KIND_ORDER = (
    "licence", "rights_holder", "steward", "parent", "ultimate_parent", "foreign_law", "foreign_control", "contributor_rule",
    "source_code", "maturity", "decision", "sovereignty_claim", "standard", "release", "end_of_active_support",
    "end_of_life", "end_of_extended_support", "eu_support", "eu_operator", "seat", "depends_on", "alternative", "successor",
    "fork_of", "forked_as",
)  # fmt: skip
"""In which order a person asks; a test holds that no kind is left out."""
MISSING = f"[{STYLES[Outcome.FAILED]}]✗ missing[/]"


def judged(judgement: Judgement, *, everything: bool = False) -> None:
    """Ten lines; then how far steps are reached, and each rule set in a line. `everything`: then all of it, in tables."""
    told, found = summary(judgement), Sorted(judgement)
    for line in words.ten_lines(judgement, told, "en"):
        style = _TOPICS.get(line.kind, "bold")
        label = f"[{style}]{safe(line.label.ljust(LABEL))}[/]" if line.label else ""
        row(f"{label}[bold]{safe(line.text)}[/]" if line.kind == "head" else f"{label}{safe(line.text)}")
    row("")
    for rules in judgement.rule_sets:
        for text in _in_short(judgement, found, rules.id):
            paragraph(f"{rules.id}: {text}")
    for given in judgement.evidence:
        paragraph(f"{given.name}: {words.exhibit(given)}")
    if not everything:
        row("")
        paragraph("--all shows every finding with its facts, --html the page to hand on.")
        return
    for rules in judgement.rule_sets:
        findings = [f for f in found.plain if found.rule_set(f) == rules.id]
        paragraph(rules.name)
        listing(
            ("rule", "path", "of", "why"), _rows_of(judgement, [f for f in findings if not _of_strangers(judgement, f)])
        )
        steps = [s for s in found.steps if s.rule_set == rules.id and s.group is not None]
        listing(("steps", "", "of", "reached"), _steps_of(judgement, steps))
        listing(("rule", "", "of", "asks"), _once_of(found, rules.id))
        if any(_of_strangers(judgement, f) for f in findings):
            paragraph(f"{rules.id}: nothing is shown of parts that were not recognised; they are listed below")
    _whole(judgement)
    _input(judgement)


_TOPICS = {"fails": "bold red", "ends": "bold red", "missing": "yellow", "unread": "yellow", "first": "bold"}


def _in_short(judgement: Judgement, found: Sorted, rule_set: str) -> Iterator[str]:
    """One rule set: how many rules failed, were not shown, held; its steps; what nobody measured or answered."""
    plain = [f for f in found.plain if found.rule_set(f) == rule_set]
    if plain:
        many = Counter(f.outcome for f in plain)
        yield ", ".join(f"{many[o]} {o.value}" for o in (Outcome.FAILED, Outcome.NOT_SHOWN, Outcome.HELD) if many[o])
    for step in found.steps:
        if step.rule_set == rule_set and step.group is None:
            yield f"{step.objective}, lowest part: {words.step(step, judgement)}"
    yield from (words.once(o) for o in found.once if o.rule_set == rule_set)


def _steps_of(judgement: Judgement, steps: Sequence[Step]) -> list[tuple[str, str, str, str]]:
    """One row for all technologies that reach the same step for the same reason."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for step in sorted(steps, key=lambda s: s.objective):
        told = (f"{step.rule_set}: {step.objective}", words.reached(step), words.step(step, judgement))
        same.setdefault(told, []).append(_group(judgement.groups[step.group or 0]))
    return [(what, safe(how), _few(names), why) for (what, how, why), names in same.items()]


def _once_of(found: Sorted, rule_set: str) -> list[tuple[str, str, str, str]]:
    """What only somebody who measures or runs it can tell, rule by rule."""
    unshown = _mark(Outcome.NOT_SHOWN)
    return [
        (rule.id, unshown, rule.text, str(ask))
        for told in found.once
        if told.rule_set == rule_set
        for rule, ask in zip(told.rules, told.asks, strict=True)
    ]


def _whole(judgement: Judgement) -> None:
    """Of the stack as a whole: what is covered, what is needed and not named, what ends."""
    table(
        ("stack", "", "by"),
        [
            (
                MISSING if c.outcome is Outcome.FAILED else _mark(c.outcome),
                f"{c.kind} {c.name}",
                safe(_few(c.technologies) or c.reason),
            )
            for c in judgement.coverage
        ],
    )
    if judgement.hidden:
        rows = [
            (
                "needs",
                safe(h.name),
                safe(_few(h.needed_by)),
                safe(f"{h.why}{f'; {h.covered_by} may do it' if h.covered_by else ''}"),
            )
            for h in judgement.hidden
        ]
        table(("", "needed and not named", "by", "why"), rows)
    if judgement.ending:
        ends = sorted(judgement.ending, key=lambda e: e.day)
        table(
            ("", "what", "day"),
            [("ends", safe(_group(judgement.groups[e.group])), f"{e.day}{' ENDED' if e.ended else ''}") for e in ends],
        )


def _input(judgement: Judgement) -> None:
    """What came through mirrors, what was not recognised, what was not understood: all of it."""
    if through := _through(judgement):
        table(("", "seen through", "to"), [("from", safe(mirror), safe(_few(names))) for mirror, names in through])
    strangers = [judgement.parts[n] for n in judgement.unrecognised]
    rows = [
        ("not recognised", safe(p.name), safe(p.version or ""), safe(_few([str(w) for w in p.where])))
        for p in strangers
    ]
    if rows:
        table(("", f"{len(strangers)} parts", "version", "where"), rows)
    if judgement.evidence:
        table(
            ("bundle", "", "shows, or why not"),
            [(safe(e.name), safe(e.digest), safe(words.exhibit(e))) for e in judgement.evidence],
        )
    if judgement.unread:
        table(("", "where", "why"), [("not understood", safe(u.place), safe(u.reason)) for u in judgement.unread])


def _through(judgement: Judgement) -> list[tuple[str, list[str]]]:
    """Mirrors and packers, and the technologies that come through each: facts about the source, not about the product."""
    found: dict[str, dict[str, None]] = {}
    for part in judgement.parts:
        if part.mirror and part.technology:
            found.setdefault(part.mirror, {})[part.technology] = None
    return [(mirror, list(names)) for mirror, names in found.items()]


def _of_strangers(judgement: Judgement, finding: Finding) -> bool:
    """What is not shown because the part was not recognised."""
    stranger = finding.group is not None and judgement.groups[finding.group].technology is None
    return stranger and finding.outcome is Outcome.NOT_SHOWN


def _rows_of(judgement: Judgement, findings: Sequence[Finding]) -> list[tuple[str, str, str, str]]:
    """One row for all technologies of which a rule says the same."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        subject = "the stack" if finding.group is None else _group(judgement.groups[finding.group])
        same.setdefault((finding.rule, _mark(finding.outcome, finding.path), _why(finding)), []).append(subject)
    return [(rule, mark, _few(names), why) for (rule, mark, why), names in same.items()]


def _why(finding: Finding) -> str:
    extra = [f"since {finding.since}"] if finding.since and finding.outcome is Outcome.FAILED else []
    extra += [f"until {finding.until}"] if finding.until and finding.outcome is Outcome.HELD else []
    good = [i.name for i in finding.instead if i.outcome is Outcome.HELD]
    extra += [f"instead: {_few(good)}"] if good else []
    return "; ".join([str(finding.reason), *extra])


def _mark(outcome: Outcome, path: str = "") -> str:
    mark = MARKS[outcome].split()[0]
    words = path if path.startswith("exception") else MARKS[outcome].partition(" ")[2]
    return f"[{STYLES[outcome]}]{mark} {words}[/]"


def _group(group: Group) -> str:
    return " ".join([group.name, _few(group.versions)]).strip()


def _few(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def difference(changed: Difference) -> None:
    """What a change request does to each rule."""
    _moves(changed)
    _effects(changed)


def _moves(changed: Difference) -> None:
    moves = [("added", changed.added), ("removed", changed.removed), ("changed", changed.changed)]
    table(("part", "what"), [(safe(n), kind) for kind, names in moves for n in names])


def _effects(changed: Difference) -> None:
    covers = [("covered now", c) for c in changed.covered] + [("no longer covered", c) for c in changed.uncovered]
    table(("stack", ""), [(f"{c.kind} {c.name}", what) for what, c in covers])
    rows = [
        (c.rule, f"{_was(c.before, c.path_before)} → {_was(c.after, c.path_after)}", c.subject, str(c.reason))
        for c in changed.changes
    ]
    rows += [
        (f"{c.rule_set}: {c.objective}", f"{c.before or '-'} → {c.after or '-'}", c.subject, "lower than before" if c.worse else "")
        for c in changed.steps
    ]  # fmt: skip
    listing(("rule", "before → after", "of", "why"), rows)


def since(told: Since) -> None:
    """What changed since an earlier judging, cause by cause: what is other, and what that does to each rule."""
    paragraph(
        f"since {told.before} ({told.earlier}, sealed {told.sealed:%Y-%m-%d %H:%M} UTC by key {told.signer[:16]})"
    )
    _cause("parts", [*told.parts.added, *told.parts.removed, *told.parts.changed], told.parts)
    _moves(told.parts)
    _effects(told.parts)
    other = [f for f in told.facts if f.what != "read anew"]
    _cause("facts", [f.kind for f in other], told.by_facts)
    anew = Counter(f.technology for f in told.facts if f.what == "read anew")
    table(
        ("fact", "what", "before → after", "source"),
        [
            (safe(f"{f.technology} {f.kind}"), f.what, safe(f"{f.before or '-'} → {f.after or '-'}"), safe(f.source))
            for f in other
        ],
    )
    if anew:
        paragraph(f"  read anew, and the same: {anew.total()} facts of {_few(sorted(anew))}")
    _effects(told.by_facts)
    _cause("rules", [r.rule for r in told.rules], told.by_rules)
    table(("rule", "what", "text"), [(safe(r.rule), r.what, safe(r.text)) for r in told.rules])
    _effects(told.by_rules)
    _cause("time", [""] * (told.before != told.at), told.by_day)
    _effects(told.by_day)


def _cause(name: str, changed: Sequence[str], effect: Difference) -> None:
    many = len(effect.changes) + len(effect.steps)
    what = f"{len(changed)} changed" if name != "time" else "went by" if changed else "the same day"
    row(
        f"[bold]{name}[/]: {what if changed or name == 'time' else 'the same'}; {many or 'no'} {'verdict is' if many == 1 else 'verdicts are'} other by that"
    )


def _was(outcome: Outcome | None, path: str) -> str:
    return "-" if outcome is None else _mark(outcome, path)


def technologies(found: Sequence[Technology]) -> None:
    """The catalogue's technologies."""
    table(("id", "name", "layer"), [(safe(t.id), safe(t.name), t.layer.value) for t in found])


def facts(technology: Technology, rows: Sequence[tuple[KnownFact, str]]) -> None:
    """The facts about one technology, each with its source; `rows` pair a fact with its state.

    Whose it is comes first, then its life, then who offers it and what it needs; of versions the newest first.
    """
    head = f"{technology.name} ({technology.id}): {technology.layer}, {', '.join(technology.categories)}"
    paragraph(head if technology.categories else head.rstrip(", "))
    paragraph(technology.homepage)
    blocks: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for known, state in sorted(rows, key=_place):
        cells = (
            _mark_of(state) + _valued(known.fact),
            _versions(known.fact),
            "" if state.startswith(COUNTS) else state,
        )
        blocks.setdefault((known.fact.kind, _sourced(known.fact)), []).append(cells)
    order = sorted(blocks, key=lambda b: KIND_ORDER.index(b[0]))
    sheet(FACT_COLUMNS, [(_kind(kind), blocks[kind, source], source) for kind, source in order])


def stale(rows: Sequence[tuple[KnownFact, str]]) -> None:
    """Facts that have expired or soon will."""
    blocks = []
    for known, state in rows:
        fact = known.fact
        until = f"until {fact.expires}" if state.startswith(COUNTS) else state
        cells = (_mark_of(state) + _kind(fact.kind), _valued(fact), _versions(fact), until)
        blocks.append((known.technology, (cells,), _sourced(fact)))
    sheet(("technology", "fact", "value", "versions", "state", "source"), blocks)


def refreshed(rows: Sequence[Mapping[str, Any]], absent: Sequence[str]) -> None:
    """What importers wrote, and which data sets had no copy."""
    told = [
        (safe(r["data_set"]), str(r["as_of"]), str(r["technologies"]), str(r["facts"]), str(len(r["passed_over"])))
        for r in rows
    ]
    table(("data set", "copy of", "technologies", "facts", "passed over"), told)
    for name in absent:
        say(f"no copy of {name}: what was imported from it before stays")


def contradictions(found: Sequence[Contradiction]) -> None:
    """Where sources contradict each other."""
    table(("technology", "what", "one says", "the other says"), [tuple(map(safe, c)) for c in found])
    say(f"{len(found)} contradictions" if found else "no source contradicts another")


def audited(found: Sequence[Audited]) -> None:
    """Records against stored copies."""
    rows = [(_mark(a.outcome), safe(a.technology), a.fact.kind, safe(a.why), safe(a.fact.source.url)) for a in found]
    table(("", "technology", "fact", "why", "page"), rows)
    for origin, counts in by_class_and_age(a.fact for a in found).items():
        say(
            f"{origin}: {sum(counts.values())} facts; the copy is dated by a commit for {counts['commit']}, by the archive "
            f"for {counts['copy']}, by the page for {counts['text']}, and of unknown age for {counts['reading']}"
        )


def _kind(kind: str) -> str:
    return kind.replace("eu_", "EU ").replace("_", " ")


def _sourced(fact: Fact) -> str:
    return f"{fact.source.url} ({_copy(fact.source)}, {fact.confidence})"


def _valued(fact: Fact) -> str:
    """The value, what exactly a company offers, and since when it is so."""
    told = str(tell(fact))
    if isinstance(fact, SupportFact | OperatorFact):
        told += f": {fact.value.offers}"
    return f"{told}, since {fact.since}" if fact.since else told


def _versions(fact: Fact) -> str:
    return "" if fact.versions == "*" else f"versions {fact.versions}"


def _mark_of(state: str) -> str:
    return "✓ " if state.startswith(COUNTS) else "? "


def _place(row: tuple[KnownFact, str]) -> tuple[bool, tuple[int, ...], bool]:
    """What counts first; of versions the newest."""
    known, state = row
    bound = known.fact.versions.split(",")[0]
    numbers = tuple(-int(n) for n in re.findall(r"\d+", bound))
    return not state.startswith(COUNTS), numbers, bound.startswith("<")


def _copy(source: Source) -> str:
    """Whose page it is and how old the copy was: `second hand, copy of 2026-08-22`."""
    told = [source.data_set, source.origin or "", f"copy of {source.as_of}" if source.as_of else ""]
    if source.dated == "reading" or source.as_of is None:
        told[2] = f"read {source.read}, age of the copy unknown"
    return ", ".join(filter(None, told))
