# SPDX-License-Identifier: Apache-2.0
"""The work of `unterbau map`: the catalogue as a site, for the official map, and against it. `verbs` has its options."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import yaml

from unterbau import catalogue, files, wiring
from unterbau.cli.frame import Context
from unterbau.errors import Exit, LocalError, UsageError
from unterbau.judge import rules
from unterbau.map import official, report
from unterbau.map.changes import parse, record
from unterbau.map.chart import Chart, chart
from unterbau.map.official import MapDifference

RECORD = "map.json"
"""What the site said when it was last built."""


def _chart(rule_names: tuple[str, ...], at: date | None) -> Chart:
    return chart(catalogue.load(), rules.load(rule_names), at or wiring.now().date())


def _official(path: Path) -> tuple[official.Official, ...]:
    try:
        return official.read(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", "Give the official map's data/full.json.") from None
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}", "Mend the file's permissions.") from None


def _difference(path: Path, request: str, drawn: Callable[[], Chart]) -> MapDifference:
    known = official.requests()
    if request not in known:
        raise UsageError(f"no change request {request}", f"Known are: {', '.join(known)}.")
    theirs = _official(path)  # first: it is quickly said that there is none
    return official.difference(theirs, known[request], drawn())


def build(
    context: Context, folder: Path, rule_names: tuple[str, ...], at: date | None, map_file: Path | None, request: str
) -> Exit:
    """`unterbau map build`."""
    charted = cache(lambda: _chart(rule_names, at))
    changes = _difference(map_file, request, charted) if map_file else None
    drawn = charted()
    beside = folder / RECORD
    made = record(drawn, parse(beside.read_bytes(), str(beside)) if beside.exists() else None)
    pages = {**report.site(drawn, changes, made.changes), RECORD: made.model_dump_json(indent=1).encode()}
    for path, data in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        files.write(folder / path, data, mode=0o644)
    told = {"folder": str(folder), "pages": len(pages), "technologies": len(drawn.sheets)}
    context.show(lambda: context.face.say(f"the map: {folder / 'index.html'} ({len(pages)} pages)"), told)
    return Exit.HELD


def export(context: Context, target: Path, rule_names: tuple[str, ...], at: date | None) -> Exit:
    """`unterbau map export`."""
    made = official.landscape2(_chart(rule_names, at))
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
    files.write(target, text.encode(), mode=0o644)
    context.show(lambda: context.face.say(f"written: {target}"), made)
    return Exit.HELD


def import_(context: Context, map_file: Path) -> Exit:
    """`unterbau map import`."""
    entries = _official(map_file)
    found = official.match(entries, catalogue.load())
    same = official.placeholders(entries)
    context.show(lambda: report.matches(found, same), [m.model_dump(mode="json") for m in found])
    return Exit.HELD if all(m.technology for m in found) else Exit.NOT_SHOWN


def diff(context: Context, map_file: Path, request: str, rule_names: tuple[str, ...], at: date | None) -> Exit:
    """`unterbau map diff`."""
    changes = _difference(map_file, request, lambda: _chart(rule_names, at))
    context.show(lambda: report.difference(changes), changes)
    return Exit.HELD
