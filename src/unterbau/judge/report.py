# SPDX-License-Identifier: Apache-2.0
"""A judged stack for people: tables on the terminal, and one HTML page that works offline. `cli` calls it.

The page draws the stack as layers; each part opens its path and sources under every rule. It decides nothing. Names
come from files of others and may hold anything: `printable` and the template's escaping make them harmless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from unterbau.catalogue.audit import Audited, by_class_and_age
from unterbau.catalogue.contradictions import Contradiction
from unterbau.catalogue.model import Layer, Source, Technology
from unterbau.face import MARKS, STYLES, printable, safe, say, table
from unterbau.judge.judgement import Difference, Finding, Group, Judgement, KnownFact, Ladder
from unterbau.judge.seeing import tell
from unterbau.verdict import Outcome, conjoin

MOST_PLACES = 12
MOST_STRANGERS = 40
"""So many of a group's places, and of the parts that were not recognised, are shown at once."""
NO_LAYER = "not recognised"
MISSING = f"[{STYLES[Outcome.FAILED]}]✗ missing[/]"


def judged(judgement: Judgement, *, everything: bool = False) -> None:
    """What did not hold (or all), coverage, what is hidden, what ends, what was not recognised."""
    for rules in judgement.rule_sets:
        findings = [f for f in judgement.findings if f.rule.startswith(f"{rules.id}/")]
        shown = [f for f in findings if everything or not (_plainly_held(f) or _of_strangers(judgement, f))]
        say(rules.name)
        table(("rule", "of", "path", "why"), _rows_of(judgement, shown))
        if held := sum(map(_plainly_held, findings)) if not everything else 0:
            say(f"{rules.id}: {held} held directly; --all shows them")
        if not everything and any(_of_strangers(judgement, f) for f in findings):
            say(f"{rules.id}: nothing is shown of parts that were not recognised; they are listed below")
        for step in (s for s in judgement.ladders if s.rule_set == rules.id and s.group is None):
            say(f"{rules.id}: {step.objective}, minimum over all parts: {_step(step)}")
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
    if through := _through(judgement):
        table(("", "seen through", "to"), [("from", safe(mirror), safe(_few(names))) for mirror, names in through])
    strangers = [judgement.parts[n] for n in judgement.unrecognised]
    rows = [
        ("not recognised", safe(p.name), safe(p.version or ""), safe(_few([str(w) for w in p.where])))
        for p in strangers
    ]
    more = len(rows) - MOST_STRANGERS
    if more > 0 and not everything:
        rows = [
            *rows[:MOST_STRANGERS],
            ("not recognised", f"and {more} more; --all and --format json list them", "", ""),
        ]
    if rows:
        table(("", f"{len(strangers)} parts", "version", "where"), rows)
    if judgement.unread:
        table(("", "where", "why"), [("not understood", safe(u.place), safe(u.reason)) for u in judgement.unread])


def _through(judgement: Judgement) -> list[tuple[str, list[str]]]:
    """Mirrors and packers, and the technologies that come through each: facts about the source, not about the product."""
    found: dict[str, dict[str, None]] = {}
    for part in judgement.parts:
        if part.mirror and part.technology:
            found.setdefault(part.mirror, {})[part.technology] = None
    return [(mirror, list(names)) for mirror, names in found.items()]


def _plainly_held(finding: Finding) -> bool:
    return finding.path == "direct"


def _of_strangers(judgement: Judgement, finding: Finding) -> bool:
    """What is not shown because the part was not recognised."""
    stranger = finding.group is not None and judgement.groups[finding.group].technology is None
    return stranger and finding.outcome is Outcome.NOT_SHOWN


def _step(step: Ladder) -> str:
    shown = "no step is shown" if step.shown is None else f"shown up to step {step.shown}"
    return shown if step.not_above is None else f"{shown}, not above {step.not_above}"


def _rows_of(judgement: Judgement, findings: Sequence[Finding]) -> list[tuple[str, str, str, str]]:
    """One row for all technologies of which a rule says the same."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        subject = "the stack" if finding.group is None else _group(judgement.groups[finding.group])
        same.setdefault((finding.rule, _mark(finding.outcome, finding.path), _why(finding)), []).append(subject)
    return [(safe(rule), safe(_few(names)), mark, safe(why)) for (rule, mark, why), names in same.items()]


def _why(finding: Finding) -> str:
    extra = [f"since {finding.since}"] if finding.since and finding.outcome is Outcome.FAILED else []
    extra += [f"until {finding.until}"] if finding.until and finding.outcome is Outcome.HELD else []
    good = [i.name for i in finding.instead if i.outcome is Outcome.HELD]
    extra += [f"instead: {_few(good)}"] if good else []
    return "; ".join([finding.reason, *extra])


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
    moves = [("added", changed.added), ("removed", changed.removed), ("changed", changed.changed)]
    table(("part", "what"), [(safe(n), kind) for kind, names in moves for n in names])
    covers = [("covered now", c) for c in changed.covered] + [("no longer covered", c) for c in changed.uncovered]
    table(("stack", ""), [(f"{c.kind} {c.name}", words) for words, c in covers])
    rows = [
        (safe(c.rule), safe(c.subject), _was(c.before, c.path_before), _was(c.after, c.path_after), safe(c.reason))
        for c in changed.changes
    ]
    table(("rule", "of", "before", "after", "why"), rows)


def _was(outcome: Outcome | None, path: str) -> str:
    return "-" if outcome is None else _mark(outcome, path)


def technologies(found: Sequence[Technology]) -> None:
    """The catalogue's technologies."""
    table(("id", "name", "layer"), [(safe(t.id), safe(t.name), t.layer.value) for t in found])


def facts(technology: Technology, rows: Sequence[tuple[KnownFact, str]]) -> None:
    """The facts about one technology, each with its source; `rows` pair a fact with its state."""
    table(("technology", ""), [(safe(technology.name), safe(f"{technology.layer}; {technology.homepage}"))])
    table(("fact", "value", "versions", "state", "source"), [_fact_row(k, state) for k, state in rows])


def stale(rows: Sequence[tuple[KnownFact, str]]) -> None:
    """Facts that have expired or soon will."""
    told = [(safe(k.technology), *_fact_row(k, state)) for k, state in rows]
    table(("technology", "fact", "value", "versions", "state", "source"), told)


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


def _fact_row(known: KnownFact, state: str) -> tuple[str, str, str, str, str]:
    fact = known.fact
    source = f"{fact.source.url} ({_copy(fact.source)}, {fact.confidence})"
    return (fact.kind, safe(tell(fact)), safe(fact.versions), safe(state), safe(source))


def _copy(source: Source) -> str:
    """Whose page it is and how old the copy was: `second hand, copy of 2026-08-22`."""
    told = [source.data_set, source.origin or "", f"copy of {source.as_of}" if source.as_of else ""]
    if source.dated == "reading" or source.as_of is None:
        told[2] = f"read {source.read}, age of the copy unknown"
    return ", ".join(filter(None, told))


# --- the page


def html(judgement: Judgement) -> str:
    """One self-contained page."""
    environment = Environment(
        loader=PackageLoader("unterbau.judge"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["printable"] = printable
    environment.filters["link"] = _link
    environment.globals["tell"] = tell
    environment.globals["few"] = _few
    return environment.get_template("stack.html.j2").render(
        j=judgement, layers=_layers(judgement), rules=_rules(judgement), facts={k.id: k for k in judgement.facts},
        outcomes=list(Outcome), most=MOST_PLACES, held=Outcome.HELD, failed=Outcome.FAILED, ladders=_ladders(judgement),
    )  # fmt: skip


def _link(url: str) -> str:
    """Only what a browser may safely follow becomes a link."""
    return url if re.match(r"https?://", url) else ""


def _layers(judgement: Judgement) -> list[tuple[str, list[dict[str, Any]]]]:
    """From the application down to the hardware; strangers last. Empty layers are drawn: their absence is a result."""
    found: dict[str, list[dict[str, Any]]] = {layer.value: [] for layer in reversed(Layer)}
    found[NO_LAYER] = []
    by_group: dict[int, list[Finding]] = {}
    for finding in judgement.findings:
        if finding.group is not None:
            by_group.setdefault(finding.group, []).append(finding)
    for group in judgement.groups:
        findings = by_group.get(group.id, [])
        sets = [
            (s, [f for f in findings if f.rule.startswith(f"{s.id}/")])
            for s in judgement.rule_sets
        ]  # fmt: skip
        box = {
            "group": group,
            "sets": [(s, fs, conjoin(f.outcome for f in fs)) for s, fs in sets if fs],
            "mirrors": list(dict.fromkeys(m for n in group.parts if (m := judgement.parts[n].mirror)))[:MOST_PLACES],
            "places": [w for n in group.parts[:MOST_PLACES] for w in judgement.parts[n].where][:MOST_PLACES],
            "members": [judgement.parts[n] for n in group.parts[:MOST_STRANGERS]] if group.technology is None else [],
        }
        found[group.layer if group.technology and group.layer else NO_LAYER].append(box)
    if not found[NO_LAYER]:
        del found[NO_LAYER]
    return list(found.items())


def _rules(judgement: Judgement) -> list[tuple[Any, list[tuple[Any, list[Finding]]]]]:
    return [
        (s, [(r, [f for f in judgement.findings if f.rule == r.id and f.group is None]) for r in s.rules])
        for s in judgement.rule_sets
    ]


def _ladders(judgement: Judgement) -> dict[int | None, list[Any]]:
    found: dict[int | None, list[Any]] = {}
    for ladder in judgement.ladders:
        found.setdefault(ladder.group, []).append(ladder)
    return found
