# SPDX-License-Identifier: Apache-2.0
"""Helm charts: Chart.yaml with its dependencies (as Chart.lock pins them), and the images in values.

Templates are not rendered, so what only they name is not shown: `helm template` renders them, and the result is read
as Kubernetes. A chart's own version is not the version of what it installs: that is its `appVersion`, and the chart's
version stands in the place. What the values switch off is told, and is no part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unterbau.errors import UsageError
from unterbau.stack import images_in
from unterbau.stack.found import Found, short, spot
from unterbau.stack.source import BRACES, Source, false, mapping, sequence, text

_VALUES = re.compile(r"^values([._-].*)?\.ya?ml$|.*[._-]values\.ya?ml$", re.IGNORECASE)
RENDER = "templates are not rendered: `helm template` does, and its result can be judged"


def matches(source: Source) -> bool:
    """Whether it is Chart.yaml or Chart.lock, a file of values, or helmfile.yaml."""
    name = source.path.name
    if name in ("Chart.yaml", "Chart.lock", "requirements.yaml") or (
        name == "requirements.lock" and source.data.startswith(b"dependencies:")
    ):
        return isinstance(source.document, dict) and ("name" in source.document or "dependencies" in source.document)
    if name.startswith("helmfile") and source.is_yaml:
        return any("releases" in mapping(d) for d in source.documents)
    if not source.is_yaml or not isinstance(source.document, dict):
        return False
    named = _VALUES.match(name) is not None or (source.path.parent / "Chart.yaml").is_file() or _has_images(source)
    return named and "apiVersion" not in source.document


def _has_images(source: Source) -> bool:
    """Values under another name: a mapping somewhere with both a repository and a tag."""
    if {"group_vars", "host_vars", "vars", "defaults"} & set(source.path.parts[:-1]):
        return False  # variables of Ansible
    waiting: list[Any] = [source.document]
    for _ in range(10_000):
        node = waiting.pop() if waiting else None
        if isinstance(node, dict):
            if "repository" in node and "tag" in node:
                return True
            waiting += node.values()
    return False


def read(source: Source, found: Found) -> None:
    """The chart, what it depends on, the images of its values."""
    name = source.path.name
    if name.startswith("helmfile"):
        _helmfile(source, found)
    elif name == "Chart.yaml":
        _chart(source, found)
    elif name in ("Chart.lock", "requirements.lock", "requirements.yaml"):
        _dependencies(source.document, found, {}, {})
    else:
        _values(source, found)


def _chart(source: Source, found: Found) -> None:
    chart = mapping(source.document)
    name = text(chart.get("name"))
    where = spot(chart, "name", "", f"chart {text(chart.get('version'))}".strip())
    if name and text(chart.get("type")) != "library":
        found.part(name, where, version=text(chart.get("appVersion")) or None, hints=(("chart", name),))
    values = _beside(source, "values.yaml", found)
    _dependencies(chart, found, _locked(source, found), mapping(values.document) if values else {})
    if (source.path.parent / "templates").is_dir():
        found.unread(where, RENDER)


def _locked(source: Source, found: Found) -> dict[str, str]:
    lock = _beside(source, "Chart.lock", found)
    listed = sequence(mapping(lock.document).get("dependencies")) if lock else []
    return {text(mapping(d).get("name")): text(mapping(d).get("version")) for d in listed}


def _beside(source: Source, name: str, found: Found) -> Source | None:
    path = source.path.parent / name
    try:
        if not path.is_file():
            return None
        other = Source.open(path)
        _ = other.documents
        return other
    except (UsageError, OSError) as error:
        found.unread("", f"{name} beside it cannot be read: {short(getattr(error, 'what', error))}")
        return None


def _dependencies(chart: Any, found: Found, locked: Mapping[str, str], values: Mapping[str, Any]) -> None:
    listed = mapping(chart).get("dependencies")
    for number, dependency in enumerate(sequence(listed)):
        name = text(mapping(dependency).get("name"))
        if not name:
            found.unread(spot(listed, number, "/dependencies"), f"a dependency without name: {short(dependency)}")
            continue
        version = locked.get(name) or text(dependency.get("version"))
        if any(_is_off(c.strip(), values) for c in text(dependency.get("condition")).split(",") if c.strip()):
            where = spot(listed, number, "/dependencies")
            found.unread(where, f"switched off by {text(dependency.get('condition'))}: chart {short(name)}")
            continue
        if text(dependency.get("repository")).startswith("file://"):
            version = f"{version}, from {text(dependency.get('repository'))}"
        found.released("chart", name, spot(listed, number, "/dependencies"), "chart", version)


def _is_off(condition: str, values: Mapping[str, Any]) -> bool:
    node: Any = values
    for step in condition.split("."):
        node = mapping(node).get(step)
    return false(node)


def _values(source: Source, found: Found) -> None:
    chart = _beside(source, "Chart.yaml", found) or _above(source, found)
    version = text(mapping(chart.document).get("appVersion")) if chart else ""
    for document in source.documents:
        values = mapping(document)
        registry = text(mapping(values.get("global")).get("imageRegistry"))
        missing = "no tag, and no appVersion to take its place" if not version else ""
        images_in.search(values, "", "values", found, tag=version, registry=registry, missing=missing)


def _above(source: Source, found: Found) -> Source | None:
    """For values that stand in a folder of a chart, e.g. ci/."""
    return _beside(source, str(Path("..") / "Chart.yaml"), found)


def _helmfile(source: Source, found: Found) -> None:
    for document in source.documents:
        releases = mapping(document).get("releases")
        for number, release in enumerate(sequence(releases)):
            where = spot(releases, number, "/releases")
            chart = text(mapping(release).get("chart"))
            if not chart or BRACES.search(chart) or chart.startswith("."):
                found.unread(where, f"a chart that stands elsewhere: {short(chart)}")
            elif false(mapping(release).get("installed")):
                found.unread(where, f"switched off here: chart {short(chart)}")
            else:
                name = chart.rstrip("/").rpartition("/")[2]
                found.released("chart", name, where, "chart", text(release.get("version")))
            for values in sequence(mapping(release).get("values")):
                images_in.search(values, "/releases", "values", found)
