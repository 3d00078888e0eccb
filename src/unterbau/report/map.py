# SPDX-License-Identifier: Apache-2.0
"""The map as a static site: an index by layers, a page for each technology, the diff of a change request. `cli` calls it.

Every page stands alone: style and script are inline, nothing is loaded, and a content security policy allows exactly
that one script, which only searches and filters; without it all cards are there. The same input gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unterbau.judge.chart import Chart, Sheet
from unterbau.judge.official import MapDifference, Match
from unterbau.judge.seeing import tell
from unterbau.report.text import MARKS, printable, safe, table
from unterbau.verdict import Outcome

RELATION_WORDS = {
    "alternative": "alternative",
    "successor": "succeeded by",
    "fork_of": "fork of",
    "forked_as": "forked as",
    "depends_on": "depends on",
}


def site(chart: Chart, changes: MapDifference | None = None) -> dict[str, bytes]:
    """Path within the site -> bytes."""
    environment = _environment()
    script = environment.get_template("map.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    common = {"chart": chart, "has_diff": changes is not None, "outcomes": list(Outcome)}
    index = environment.get_template("map.html.j2").render(
        **common,
        layers=chart.by_layer(),
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=digest,
    )
    pages = {"index.html": index}
    template = environment.get_template("technology.html.j2")
    for id_, sheet in chart.sheets.items():
        pages[f"t/{id_}.html"] = template.render(
            **common, sheet=sheet, relations=_relations(sheet, chart), named_by=_named_by(id_, chart)
        )
    if changes is not None:
        pages["diff.html"] = environment.get_template("map_diff.html.j2").render(**common, changes=changes)
    return {path: text.encode() for path, text in pages.items()}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("unterbau.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["printable"] = lambda text: printable(str(text))
    environment.filters["link"] = lambda url: url if re.match(r"https?://", str(url)) else ""
    environment.globals["tell"] = tell
    environment.globals["mark"] = lambda outcome: MARKS[outcome].split()[0]
    environment.globals["css"] = lambda outcome: outcome.value.replace(" ", "-")
    return environment


def _relations(sheet: Sheet, chart: Chart) -> list[tuple[str, str, str]]:
    """(words, name, page or empty) of what this technology names."""
    return [(RELATION_WORDS[r], *_other(id_, chart)) for r, id_ in sheet.relations]


def _named_by(id_: str, chart: Chart) -> list[tuple[str, str, str]]:
    """(words, name, page) of what names this technology."""
    words = {"depends_on": "needed by", "alternative": "alternative to", "fork_of": "forked as",
             "forked_as": "fork of", "successor": "succeeds"}  # fmt: skip
    return [
        (words[r], *_other(other, chart))
        for other, sheet in chart.sheets.items()
        for r, target in sheet.relations
        if target == id_
    ]


def _other(id_: str, chart: Chart) -> tuple[str, str]:
    there = chart.sheets.get(id_)
    return (there.technology.name, f"{id_}.html") if there else (id_.removeprefix("ext:"), "")


# --- the terminal


def difference(changes: MapDifference) -> None:
    """Before and after, a line a technology and range of versions."""
    rows = []
    for line in changes.lines:
        for n, found in enumerate(line.ranges):
            verdicts = ", ".join(f"{v.rule_set}: {v.path}" for v in found.verdicts if v.rule_set == "alasca")
            rows.append((
                safe(line.name) if n == 0 else "", safe(found.label), safe(line.before) if n == 0 else "",
                safe(line.layer.value) if n == 0 else "", safe(found.licence or "not shown"), safe(verdicts),
                str(line.facts) if n == 0 else "",
            ))  # fmt: skip
    table(("technology", "versions", "before", "after: layer", "licence", "rule", "facts"), rows)
    for name in changes.same_name:
        table(("", ""), [("same name", safe(name))])


def matches(found: tuple[Match, ...]) -> None:
    """What of the official map is in the catalogue."""
    rows = [
        (safe(m.entry.name), safe(f"{m.entry.layer} / {m.entry.group}"), safe(m.technology or "not in the catalogue"),
         safe(m.note))
        for m in found
    ]  # fmt: skip
    table(("official entry", "where", "technology", ""), rows)
