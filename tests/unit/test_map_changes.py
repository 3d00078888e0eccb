# SPDX-License-Identifier: Apache-2.0
"""The map over time: what changed since the last build, in numbers, and logos that carry licence and source."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from judge_world import TODAY, catalogue, fact, rules, technology

from unterbau.catalogue.model import Catalogue
from unterbau.cli import cli
from unterbau.errors import UsageError
from unterbau.map import logos, report
from unterbau.map.changes import Record, parse, record
from unterbau.map.chart import Chart, chart
from unterbau.map.numbers import UNKNOWN, numbers

US = {"name": "Company Inc", "form": "company", "seat": "US"}
DE = {"name": "Verein e.V.", "form": "association", "seat": "DE"}
EU = {"fact": "steward", "where": {"seat": "$EU"}, "text": "the steward is in the EU"}


def world(steward: dict[str, str] = DE, *more: str, licence: str = "MIT") -> Catalogue:
    others = (technology(n) for n in more)
    return catalogue(technology("one", fact("steward", steward), fact("licence", licence)), *others)


def drawn(known: Catalogue, at: date = TODAY) -> Chart:
    return chart(known, (rules(EU),), at)


def told(old: Catalogue, new: Catalogue) -> set[tuple[str, str, str, str, str]]:
    changes = record(drawn(new), record(drawn(old), None)).changes
    return {(c.technology, c.what, c.where, c.before, c.after) for c in changes.lines} if changes else set()


def test_the_first_build_and_an_equal_one_tell_no_change() -> None:
    first = record(drawn(world()), None)
    assert first.changes is None
    assert record(drawn(world()), first) == first


def test_each_change_is_told_with_before_and_after() -> None:
    assert told(world(DE), world(US, "two", licence="SSPL-1.0")) == {
        ("one", "licence", "", "MIT", "SSPL-1.0"),
        ("one", "verdict", "set", "held directly", "failed"),
        ("one", "fact", "licence (*)", "MIT", ""),
        ("one", "fact", "licence (*)", "", "SSPL-1.0"),
        ("one", "fact", "steward (*)", "Verein e.V. (DE)", ""),
        ("one", "fact", "steward (*)", "", "Company Inc (US)"),
        ("two", "technology", "", "absent", "on the map"),
    }


@pytest.mark.thorough
def test_a_build_that_changes_nothing_keeps_the_last_changes_so_its_bytes_are_equal() -> None:
    second = record(drawn(world(US)), record(drawn(world(DE)), None))
    third = record(drawn(world(US)), second)
    assert second.changes is not None and third == second
    pages = [report.site(drawn(world(US)), None, r.changes) for r in (second, third)]
    assert pages[0] == pages[1]


def test_a_fact_that_was_only_read_anew_is_no_change() -> None:
    anew = catalogue(technology("one", fact("steward", DE, expires="2029-01-01"), fact("licence", "MIT")))
    assert told(world(), anew) == set()


def test_a_new_rule_set_is_one_line_and_not_one_a_technology() -> None:
    before = record(drawn(world()), None)
    after = record(chart(world(), (rules(EU), rules(EU, id="other")), TODAY), before)
    assert after.changes is not None
    assert [(c.what, c.where) for c in after.changes.lines] == [("rule set", "other")]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"now": 1}', b"\xff"])
def test_a_record_that_cannot_be_read_is_named(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"map\.json"):
        parse(data, "map.json")


@pytest.mark.thorough
def test_the_command_keeps_the_record_beside_the_site(tmp_path: Path) -> None:
    arguments = ["map", "build", "-o", str(tmp_path), "--rules", "osba-view", "--at"]
    for day in ("2026-11-20", "2026-11-20", "2031-01-01"):
        CliRunner().invoke(cli, [*arguments, day], standalone_mode=False, catch_exceptions=False)
        made = Record.model_validate_json((tmp_path / "map.json").read_bytes())
        assert (made.changes is not None) == (day == "2031-01-01")
    page = (tmp_path / "changes.html").read_text()
    assert "<del>held directly</del> → <ins>not shown</ins>" in page, "facts have expired"


def test_numbers_count_each_technology_once_and_each_fact_once() -> None:
    made = drawn(world(US, "two"))
    tables = {t.title: t for t in numbers(made)}
    by_licence = tables["Technologies by layer and licence"]
    assert sum(sum(counts) for _, counts in by_licence.rows) == 2
    assert dict(tables["Technologies by verdict"].rows) == {"set": (0, 0, 1, 1, 0)}
    ages = tables["Facts by the age of the copy that was read"]
    assert sum(counts[ages.columns.index(UNKNOWN)] for _, counts in ages.rows) == 2
    assert sum(sum(counts) for _, counts in tables["Facts by whose page was read"].rows) == 2


def test_a_logo_without_licence_or_source_does_not_load() -> None:
    whole = {"licence": "Apache-2.0", "source": "https://example.org/logo", "path": "M0 0L24 24z"}
    for missing in whole:
        text = "x:\n" + "".join(f'  {k}: "{v}"\n' for k, v in whole.items() if k != missing)
        with pytest.raises(UsageError, match=r"own\.yaml"):
            logos.parse(text, "own.yaml")


@pytest.mark.parametrize("path", ['M0"/><script>', "url(https://x)", "", "javascript:1"])
def test_a_logo_holds_nothing_but_a_path(path: str) -> None:
    with pytest.raises(UsageError):
        logos.parse(f"x: {{licence: MIT, source: 'https://x', path: '{path}'}}", "own.yaml")


@pytest.mark.thorough
def test_the_logos_that_come_along_are_of_the_catalogue_and_are_told_with_their_licence() -> None:
    known = logos.load()
    assert known
    assert all(logo.licence in ("Apache-2.0", "CC-BY-4.0", "CC0-1.0", "MIT") for logo in known.values())
    id_ = sorted(known)[0]
    pages = report.site(drawn(catalogue(technology(id_), technology("without"))))
    page = pages[f"t/{id_}.html"].decode()
    assert known[id_].licence in page and known[id_].source in page and "<svg" in page
    assert "<svg" not in pages["t/without.html"].decode()
