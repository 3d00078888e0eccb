# SPDX-License-Identifier: Apache-2.0
"""The official map of the D-Stack: read its JSON, match it with our catalogue, and show what a change request adds. Pure.

Its file is the undocumented output of CNCF's landscape2. It re-uses fields (the release rate holds the licence's text,
the personas the dependencies), begins names with blanks, writes percentages with a decimal comma, and says of every
entry that it is open source. What we take from it is what it is *called* and where it *stands*; its licence text and
its scores are kept as the opinions of their authors and decide nothing here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from unterbau.errors import UsageError
from unterbau.judge.chart import Chart, Range
from unterbau.judge.model import Catalogue, Layer, Source, Technology
from unterbau.verdict import Model

_NOISE = re.compile(r"[^a-z0-9]+")
_OTHER_THINGS = {("swift", "Entwicklung")}
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
    ranges: tuple[Range, ...]
    facts: int
    """How many facts with a source stand behind it."""


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
        return float(str(value).strip().rstrip("%").replace(",", "."))
    except ValueError:
        return None


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
        if (plain, entry.group) in _OTHER_THINGS:
            found.append(Match(entry=entry, technology=None, note=f"the same name as {id_ or plain}, another thing"))
        else:
            found.append(Match(entry=entry, technology=id_))
    return tuple(found)


def _plain(name: str) -> str:
    return _NOISE.sub("", name.casefold())


# --- change requests


def requests() -> dict[str, Request]:
    """The change requests that come with the program, by id."""
    found = {}
    for file in sorted(resources.files("unterbau.judge.requests").iterdir(), key=lambda f: f.name):
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
        same_name=tuple(f"{m.entry.name} ({m.entry.group}): {m.note}" for m in matches if m.note),
    )


def _line(technology: Technology, entry: Official | None, chart: Chart) -> Line:
    sheet = chart.sheets[technology.id]
    before = "absent" if entry is None else f"{entry.layer} / {entry.group}: {entry.name}"
    return Line(
        technology=technology.id, name=technology.name, before=before, layer=technology.layer, ranges=sheet.ranges,
        facts=len(sheet.facts),
    )  # fmt: skip


# --- for the official map


def landscape2(chart: Chart) -> dict[str, Any]:
    """`data.yml` of CNCF's landscape2: categories are layers, subcategories the first category of each technology."""
    categories = []
    for layer, sheets in chart.by_layer():
        groups: dict[str, list[dict[str, Any]]] = {}
        for sheet in sheets:
            name = sheet.technology.categories[0] if sheet.technology.categories else "other"
            groups.setdefault(name, []).append(_item(sheet.technology, sheet.ranges))
        if groups:
            told = [{"name": n, "items": items} for n, items in sorted(groups.items())]
            categories.append({"name": layer.value.replace("-", " "), "subcategories": told})
    return {"categories": categories}


def _item(technology: Technology, ranges: tuple[Range, ...]) -> dict[str, Any]:
    """One item. Outcomes go into `annotations`, whose keys and values are strings; there is no field for a score."""
    item: dict[str, Any] = {
        "name": technology.name,
        "homepage_url": technology.homepage,
        "logo": f"{technology.id}.svg",
        "description": ", ".join(technology.categories) or technology.layer.value,
    }
    code = next((str(f.value) for f in technology.of("source_code")), "")
    if code:
        item["repo_url"] = code
    licences = list(dict.fromkeys(r.licence for r in ranges if r.licence))
    if len(licences) == 1 and "LicenseRef" not in licences[0]:
        item["license"] = licences[0]
    annotations = {f"{v.rule_set}{f' ({r.label})' if r.label else ''}": v.path for r in ranges for v in r.verdicts}
    sources = sorted({f.source.url for f in technology.facts})
    item["extra"] = {"annotations": {**annotations, "sources": " ".join(sources)}}
    return item
