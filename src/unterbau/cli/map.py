# SPDX-License-Identifier: Apache-2.0
"""`unterbau map`: the catalogue as a site, for the official map, and against it. It decides nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click
import yaml

from unterbau import catalogue, files, wiring
from unterbau.cli.frame import OUT, Context, Day, command
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


def _difference(path: Path, request: str, drawn: Chart) -> MapDifference:
    known = official.requests()
    if request not in known:
        raise UsageError(f"no change request {request}", f"Known are: {', '.join(known)}.")
    return official.difference(_official(path), known[request], drawn)


def build(
    context: Context, folder: Path, rule_names: tuple[str, ...], at: date | None, map_file: Path | None, request: str
) -> Exit:
    """Make the static site in a folder: open its index.html, or publish it as it is."""
    drawn = _chart(rule_names, at)
    changes = _difference(map_file, request, drawn) if map_file else None
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
    """Write data.yml of CNCF's landscape2, which the official map is made with."""
    made = official.landscape2(_chart(rule_names, at))
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)
    files.write(target, text.encode(), mode=0o644)
    context.show(lambda: context.face.say(f"written: {target}"), made)
    return Exit.HELD


def import_(context: Context, map_file: Path) -> Exit:
    """Read the official map's JSON, and match its entries with the catalogue."""
    entries = _official(map_file)
    found = official.match(entries, catalogue.load())
    same = official.placeholders(entries)
    context.show(lambda: report.matches(found, same), [m.model_dump(mode="json") for m in found])
    return Exit.HELD if all(m.technology for m in found) else Exit.NOT_SHOWN


def diff(context: Context, map_file: Path, request: str, rule_names: tuple[str, ...], at: date | None) -> Exit:
    """What a change request adds to the official map: each technology before and after."""
    changes = _difference(map_file, request, _chart(rule_names, at))
    context.show(lambda: report.difference(changes), changes)
    return Exit.HELD


def register(group: click.Group) -> None:
    """Add the commands to the program."""

    @group.group("map")
    def map_() -> None:
        """The catalogue as a site by layers; for and against the D-Stack's official map."""

    rule_option = click.option(
        "--rules", "rule_names", multiple=True, metavar="NAME|FILE", help="A rule set; may be repeated."
    )
    at_option = click.option("--at", type=Day(), help="Judge as of this day (default: today).")
    file = click.Path(path_type=Path, dir_okay=False)
    request = click.option("--request", default="alasca-229", show_default=True, help="The change request.")
    against = click.option(
        "--official", "map_file", type=file, help="The official map's full.json: also make the diff's page."
    )
    folder = click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path, file_okay=False))
    target = click.option("--landscape2", "target", required=True, type=OUT, help="The file to write.")
    argument = click.argument("map_file", metavar="FULL.JSON", type=file)
    command(map_, "build")(folder(rule_option(at_option(against(request(build))))))
    command(map_, "export")(target(rule_option(at_option(export))))
    command(map_, "import")(argument(import_))
    command(map_, "diff")(argument(request(rule_option(at_option(diff)))))
