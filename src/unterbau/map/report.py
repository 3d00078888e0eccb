# SPDX-License-Identifier: Apache-2.0
"""The map as a static site: an index by layers, a page for each technology, the diff of a change request. `cli` calls it.

Every page stands alone: style and script are inline, nothing is loaded, and a content security policy allows exactly
that one script, which only searches and filters; without it all cards are there. The same input gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from jinja2 import Environment
from markupsafe import Markup

from unterbau import pages
from unterbau.catalogue.model import BaseFact
from unterbau.face.results import MARKS, safe, say, table
from unterbau.judge.seeing import tell
from unterbau.map import logos
from unterbau.map.changes import Changes
from unterbau.map.chart import Chart, RuleSetVerdict, Sheet
from unterbau.map.numbers import numbers
from unterbau.map.official import LAYERS, MapDifference, Match
from unterbau.verdict import Outcome

RELATION_WORDS = {
    "alternative": "alternatives",
    "successor": "succeeded by",
    "fork_of": "fork of",
    "forked_as": "forked as",
    "depends_on": "needs",
}
NAMED_BY_WORDS = {
    "alternative": "alternatives",
    "successor": "succeeds",
    "fork_of": "forked as",
    "forked_as": "fork of",
    "depends_on": "needed by",
}
STEP_WORDS = {Outcome.HELD: "reached", Outcome.FAILED: "not reached", Outcome.NOT_SHOWN: "not shown"}
"""Of a rule that is a step of a ladder."""
Other = tuple[str, str]
"""Name and page (empty: not in the catalogue) of another technology."""


def site(chart: Chart, changes: MapDifference | None = None, recent: Changes | None = None) -> dict[str, bytes]:
    """Path within the site -> bytes. `changes` is a request for the official map, `recent` what is other than before."""
    environment = _environment()
    script = environment.get_template("map.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    common = {"chart": chart, "has_diff": changes is not None, "logos": logos.load()}
    said = {v.rule_set for s in chart.sheets.values() for v in s.verdicts}
    index = environment.get_template("map.html.j2").render(
        **common,
        layers=chart.by_layer(),
        filters=[r for r in chart.rule_sets if r.id in said],
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=digest,
    )
    pages = {
        "index.html": index,
        "numbers.html": environment.get_template("map_numbers.html.j2").render(**common, tables=numbers(chart)),
        "changes.html": environment.get_template("map_changes.html.j2").render(**common, recent=recent),
    }
    template = environment.get_template("technology.html.j2")
    named_by = _named_by(chart)
    for id_, sheet in chart.sheets.items():
        pages[f"t/{id_}.html"] = template.render(
            **common, sheet=sheet, by_rules=_by_rules(sheet), beside=_beside(sheet, chart, named_by.get(id_, []))
        )
    if changes is not None:
        ids = [r.id for r in chart.rule_sets if r.id in said]
        pages["diff.html"] = environment.get_template("map_diff.html.j2").render(**common, changes=changes, ids=ids)
    return {path: text.encode() for path, text in pages.items()}


def _environment() -> Environment:
    environment = pages.environment("unterbau.map")
    environment.filters["link"] = lambda url: url if re.match(r"https?://", str(url)) else ""
    environment.filters["layer"] = lambda layer: LAYERS[layer]
    environment.filters["kind"] = lambda kind: str(kind).replace("_", " ")
    environment.filters["page"] = lambda fact: f"{str(fact).partition(':')[0]}.html"
    environment.globals["tell"] = tell
    environment.globals["mark"] = lambda outcome: MARKS[outcome].split()[0] if outcome else "≡"
    environment.globals["css"] = lambda outcome: outcome.value.replace(" ", "-") if outcome else "steps"
    environment.globals["step_words"] = lambda outcome: STEP_WORDS[outcome]
    environment.globals["unshown"] = _unshown
    environment.globals["by_path"] = _by_path
    return environment


def _unshown(fact: BaseFact, chart: Chart) -> str:
    """Why a fact does not count on the day; empty: it counts."""
    if fact.expires < chart.at:
        return f"expired {fact.expires}: not shown"
    if fact.since is not None and fact.since > chart.at:
        return f"not before {fact.since}: not shown"
    return ""


def _by_path(verdicts: Iterable[RuleSetVerdict], rule_set: str = "") -> list[tuple[Outcome | None, str, list[str]]]:
    """(outcome, path, its ranges of versions; none: all), of one rule set or of verdicts that are all of one."""
    found: dict[str, tuple[Outcome | None, str, list[str]]] = {}
    for verdict in verdicts:
        if rule_set in ("", verdict.rule_set):
            there = found.setdefault(verdict.path, (verdict.outcome, verdict.path, []))
            there[2].extend([verdict.versions] * bool(verdict.versions))
    return list(found.values())


def _by_rules(sheet: Sheet) -> list[tuple[str, list[RuleSetVerdict]]]:
    found: dict[str, list[RuleSetVerdict]] = {}
    for verdict in sheet.verdicts:
        found.setdefault(verdict.name, []).append(verdict)
    return list(found.items())


def _beside(sheet: Sheet, chart: Chart, named_by: list[tuple[str, str]]) -> list[tuple[str, list[Other]]]:
    """By relation: what this technology names, and what names it; each once."""
    found: dict[str, dict[Other, None]] = {}
    for relation, id_ in sheet.relations:
        found.setdefault(RELATION_WORDS[relation], {})[_other(id_, chart)] = None
    for relation, id_ in named_by:
        found.setdefault(NAMED_BY_WORDS[relation], {})[_other(id_, chart)] = None
    return [(words, sorted(others, key=lambda o: o[0].casefold())) for words, others in found.items()]


def _named_by(chart: Chart) -> dict[str, list[tuple[str, str]]]:
    """(relation, id of who names it) by id of who is named."""
    found: dict[str, list[tuple[str, str]]] = {}
    for id_, sheet in chart.sheets.items():
        for relation, target in sheet.relations:
            found.setdefault(target, []).append((relation, id_))
    return found


def _other(id_: str, chart: Chart) -> Other:
    there = chart.sheets.get(id_)
    return (there.technology.name, f"{id_}.html") if there else (id_.removeprefix("ext:"), "")


# --- the terminal


def difference(changes: MapDifference) -> None:
    """Before and after, a line a technology."""
    absent = sum(line.before == "absent" for line in changes.lines)
    say(f"{changes.request.name}: {len(changes.lines)} technologies, {absent} of them absent from the official map of "
        f"{changes.official} entries; as of {changes.at}")  # fmt: skip
    rows = []
    for line in changes.lines:
        licences = ", ".join(_of(one.licence or "not shown", one.versions) for one in line.licences)
        rows.append(
            (safe(line.name), safe(line.before), safe(LAYERS[line.layer]), safe(licences), safe(_paths(line.verdicts)),
             f"{len(line.facts)} facts")
        )  # fmt: skip
    table(("technology", "before", "after: layer", "licence", "verdict by rule set", "facts"), rows)
    for name in changes.same_name:
        say(f"the official {name}")


def _paths(verdicts: tuple[RuleSetVerdict, ...]) -> str:
    """`held directly: a, b; failed: c (>=8)`."""
    by_path: dict[str, list[str]] = {}
    for verdict in verdicts:
        by_path.setdefault(verdict.path, []).append(_of(verdict.rule_set, verdict.versions))
    words = {path.replace("exception: ", "exception "): sets for path, sets in by_path.items()}
    order = sorted(words.items(), key=lambda w: ("held" not in w[0], "exception" in w[0], w[0]))
    return "; ".join(f"{path}: {', '.join(sets)}" for path, sets in order)


def _of(what: str, versions: str) -> str:
    return f"{what} ({versions})" if versions else what


def matches(found: tuple[Match, ...], same_scores: int) -> None:
    """What of the official map is in the catalogue, and where it contradicts our facts."""
    rows = [
        (safe(m.entry.name), safe(f"{m.entry.layer} / {m.entry.group}"), safe(m.technology or "not in the catalogue"),
         safe("; ".join([m.note] * bool(m.note) + list(m.contradicts))))
        for m in found
    ]  # fmt: skip
    table(("official entry", "where", "technology", ""), rows)
    say(f"{len(found)} entries, {sum(m.technology is not None for m in found)} of them in the catalogue")
    if same_scores > 1:
        say(f"{same_scores} entries carry the same scores; no score is taken over")
