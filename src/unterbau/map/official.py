# SPDX-License-Identifier: Apache-2.0
"""The official map of the D-Stack: read its JSON, match it with our catalogue, and show what a change request adds. Pure.

Its file is the undocumented output of CNCF's landscape2. It re-uses fields (the release rate holds the licence's text,
the personas the dependencies), begins names with blanks, writes percentages with a decimal comma, and says of every
entry that it is open source. What we take from it is what it is *called* and where it *stands*; its licence text and
its scores are kept as the opinions of their authors and decide nothing here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from datetime import date
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from unterbau.catalogue import spdx
from unterbau.catalogue.model import Catalogue, Layer, Source, Technology
from unterbau.errors import UsageError
from unterbau.judge.judgement import KnownFact
from unterbau.map.chart import Chart, Licence, RuleSetVerdict, Sheet
from unterbau.verdict import Model, Outcome

_NOISE = re.compile(r"[^a-z0-9]+")
_IDENTIFIER = re.compile(r"(?!LicenseRef-)[A-Za-z0-9.+-]+")
"""One identifier of SPDX: what landscape2's field holds."""
LAYERS = {
    Layer.HARDWARE: "hardware and firmware",
    Layer.OPERATING_SYSTEM: "operating system",
    Layer.IAAS: "IaaS",
    Layer.CONTAINER: "container",
    Layer.PLATFORM_SERVICES: "platform services",
    Layer.OPERATION: "operation",
    Layer.SECURITY: "security and secrets",
    Layer.APPLICATION: "application",
}
"""As people call them."""
_OTHER_THINGS = {("swift", "entwicklung")}
"""Names by which the official map means something else, by group: its Swift is a programming language."""


class Official(Model):
    """One entry of the official map, cleaned."""

    name: str
    layer: str
    group: str
    kind: str = ""
    """`Technologie` or `Standard`."""
    homepage: str = ""
    licence_text: str = ""
    """Where landscape2 has the release rate."""
    needs: str = ""
    """Where landscape2 has the personas."""
    availability: str = ""
    """Where landscape2 has the use case."""
    benefit: str = ""
    """Where landscape2 has the business use case."""
    version: str = ""
    owner: str = ""
    scores: dict[str, float] = {}
    """Percent, as told; never used."""
    says_open_source: bool | None = None


class Match(Model):
    """An official entry and the technology of our catalogue that it is; None: we do not have it."""

    entry: Official
    technology: str | None
    note: str = ""
    """Why a technology of the same name is not it."""
    contradicts: tuple[str, ...] = ()
    """What the entry says against cited facts of ours, or against itself."""


class Request(Model):
    """A change request to the map."""

    id: str
    name: str
    source: Source
    technologies: tuple[str, ...]


class Line(Model):
    """One technology of a change request: before and after."""

    technology: str
    name: str
    before: str
    """`absent`, or where it stands."""
    layer: Layer
    licences: tuple[Licence, ...]
    verdicts: tuple[RuleSetVerdict, ...]
    facts: tuple[KnownFact, ...]
    """All of them have a source."""


class MapDifference(Model):
    """What a change request does to the official map."""

    request: Request
    at: date
    official: int
    """How many entries the official map has."""
    lines: tuple[Line, ...]
    same_name: tuple[str, ...] = ()
    """Names that both have for different things."""


def read(data: bytes, name: str = "the map") -> tuple[Official, ...]:
    """The entries of `full.json`. Raises UsageError naming the place."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: not JSON: {error}", "Give the map's data/full.json.") from None
    items = told.get("items") if isinstance(told, dict) else None
    if not isinstance(items, list):
        raise UsageError(f"{name}: no list `items`", "Give the map's data/full.json.")
    return tuple(_entry(item, f"{name}, item {n}") for n, item in enumerate(items, 1))


def _entry(item: Any, where: str) -> Official:
    if not isinstance(item, dict) or not str(item.get("name") or "").strip():
        raise UsageError(f"{where}: has no name", "Give the map's data/full.json.")
    summary, notes, plain = (_object(item.get(key)) for key in ("summary", "annotations", "scores"))
    scores = {
        key.removeprefix("cf_").removesuffix("_value"): number
        for key, value in notes.items()
        if key.startswith("cf_") and key.endswith("_value") and (number := _percent(value)) is not None
    }
    scores |= {k: n for k, v in plain.items() if (n := _percent(v)) is not None}
    oss = item.get("oss")
    return Official(
        name=_text(item["name"]),
        layer=_text(item.get("category") or item.get("layer")),
        group=_text(item.get("subcategory") or item.get("group")),
        kind=_text(notes.get("dstype") or item.get("type")),
        homepage=_text(item.get("homepage_url")),
        licence_text=_text(summary.get("release_rate")),
        needs=_text(summary.get("personas")),
        availability=_text(summary.get("use_case")),
        benefit=_text(summary.get("business_use_case")),
        version=_text(notes.get("bs_number")),
        owner=_text(notes.get("bs_owner")),
        scores=scores,
        says_open_source=oss if isinstance(oss, bool) else None,
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return " ".join(str(value).split()) if value is not None else ""


def _percent(value: object) -> float | None:
    """`10%`, `33,3%`, `66.6`; None for anything else."""
    try:
        number = float(str(value).strip().rstrip("%").replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# --- matching


def match(entries: Iterable[Official], known: Catalogue) -> tuple[Match, ...]:
    """Each entry with the technology that it is, by name and aliases."""
    names: dict[str, str] = {}
    for technology in known.values():
        for name in (technology.id, technology.name, *technology.aliases):
            names.setdefault(_plain(name), technology.id)
    found = []
    for entry in entries:
        plain = _plain(entry.name)
        short = _plain(re.sub(r"\(.*?\)", "", entry.name))
        id_ = names.get(plain) or names.get(short) or names.get(plain.removesuffix("server"))
        if (plain, entry.group.casefold()) in _OTHER_THINGS:
            named = known[id_].name if id_ else entry.name
            found.append(Match(entry=entry, technology=None, note=f"not {named}: another thing of the same name"))
        else:
            found.append(Match(entry=entry, technology=id_, contradicts=_contradictions(entry, known.get(id_ or ""))))
    return tuple(found)


def _contradictions(entry: Official, technology: Technology | None) -> tuple[str, ...]:
    """What the entry says of licence and owner, against our facts. It says of everything that it is open source."""
    if technology is None:
        return ()
    found = []
    for fact in technology.of("licence") if entry.says_open_source else ():
        if spdx.osi(str(fact.value), identified=True)[0] is Outcome.FAILED:
            versions = "" if fact.versions == "*" else f" ({fact.versions})"
            found.append(f"says that it is open source; our fact: {fact.value}{versions}, {fact.source.url}")
    return tuple(found)


def placeholders(entries: Iterable[Official]) -> int:
    """How many entries carry the one vector of scores that most of them carry."""
    vectors = Counter(tuple(sorted(e.scores.items())) for e in entries if e.scores)
    return max(vectors.values(), default=0)


def _plain(name: str) -> str:
    return _NOISE.sub("", name.casefold())


# --- change requests


def requests() -> dict[str, Request]:
    """The change requests that come with the program, by id."""
    found = {}
    for file in sorted(resources.files("unterbau.map.requests").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            request = parse(file.read_text(encoding="utf-8"), file.name)
            found[request.id] = request
    return found


def parse(text: str, name: str) -> Request:
    """A change request from its file. Raises UsageError."""
    try:
        return Request.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{name}: {str(error).splitlines()[0]}", "See docs/map.md for the form.") from None


def difference(entries: tuple[Official, ...], request: Request, chart: Chart) -> MapDifference:
    """What the request adds. Raises UsageError if it names a technology that the catalogue does not have."""
    known = {i: s.technology for i, s in chart.sheets.items()}
    strange = [t for t in request.technologies if t not in known]
    if strange:
        raise UsageError(f"{request.id}: not in the catalogue: {', '.join(strange)}", "See: unterbau facts")
    matches = match(entries, known)
    there = {m.technology: m.entry for m in matches if m.technology}
    lines = tuple(_line(known[t], there.get(t), chart) for t in request.technologies)
    return MapDifference(
        request=request,
        at=chart.at,
        official=len(entries),
        lines=lines,
        same_name=tuple(f"{m.entry.name} ({m.entry.layer} / {m.entry.group}) is {m.note}" for m in matches if m.note),
    )


def _line(technology: Technology, entry: Official | None, chart: Chart) -> Line:
    sheet = chart.sheets[technology.id]
    return Line(
        technology=technology.id,
        name=technology.name,
        before="absent" if entry is None else f"{entry.layer} / {entry.group}: {entry.name}",
        layer=technology.layer,
        licences=sheet.licences,
        verdicts=sheet.verdicts,
        facts=sheet.facts,
    )


# --- for the official map


def landscape2(chart: Chart) -> dict[str, Any]:
    """`data.yml` of CNCF's landscape2: categories are layers, subcategories the first category of each technology."""
    categories = []
    for layer, sheets in chart.by_layer():
        groups: dict[str, list[dict[str, Any]]] = {}
        for sheet in sheets:
            name = sheet.technology.categories[0] if sheet.technology.categories else "other"
            groups.setdefault(name, []).append(_item(sheet, chart.at))
        if groups:
            told = [{"name": n, "items": items} for n, items in sorted(groups.items())]
            categories.append({"name": LAYERS[layer], "subcategories": told})
    return {"categories": categories}


def _item(sheet: Sheet, at: date) -> dict[str, Any]:
    """One item, of facts that count. Verdicts go into `annotations`, whose keys and values are strings; there is no field for a score."""
    technology = sheet.technology
    facts = [f for f in technology.facts if f.current(at)]
    item: dict[str, Any] = {
        "name": technology.name,
        "homepage_url": technology.homepage,
        "logo": f"{technology.id}.svg",
        "description": ", ".join(technology.categories) or LAYERS[technology.layer],
    }
    code = next((str(f.value) for f in facts if f.kind == "source_code"), "")
    if code:
        item["repo_url"] = code
    if len(sheet.licences) == 1 and _IDENTIFIER.fullmatch(sheet.licences[0].licence):
        item["license"] = sheet.licences[0].licence
    licences = {_of("licence", one.versions): one.licence or "not shown" for one in sheet.licences}
    verdicts = {_of(v.rule_set, v.versions): _verdict(v) for v in sheet.verdicts}
    kinds: dict[str, list[str]] = {}
    for fact in facts:
        kinds.setdefault(fact.source.url, []).append(fact.kind.replace("_", " "))
    links = [{"name": f"Source: {', '.join(dict.fromkeys(k))}", "url": url} for url, k in sorted(kinds.items())]
    item["extra"] = {"annotations": licences | verdicts}
    if links:
        item["extra"]["other_links"] = links
    return item


def _verdict(verdict: RuleSetVerdict) -> str:
    """The path; of steps which one is reached, by what the next fails, and what is not shown."""
    steps = [f"{_of(s.objective, s.versions)}: {s.text}" for s in verdict.steps]
    rest = f"other rules: {verdict.rest}" if verdict.rest else ""
    return " | ".join([*steps, *filter(None, [rest])]) or verdict.path


def _of(what: str, versions: str) -> str:
    return f"{what} ({versions})" if versions else what
