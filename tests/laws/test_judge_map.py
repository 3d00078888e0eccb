# SPDX-License-Identifier: Apache-2.0
"""The map: what it says is what the engine says; the official map's traps; a change request as a diff."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from unterbau.errors import UsageError
from unterbau.judge import catalogue, official, rules
from unterbau.judge.chart import Chart, chart
from unterbau.judge.engine import judge
from unterbau.judge.model import Part, Place, Stack
from unterbau.report import map as report
from unterbau.verdict import Outcome, conjoin

DAY = date(2026, 11, 23)
OFFICIAL = Path(__file__).parents[1] / "assets" / "map" / "official.json"


@pytest.fixture(scope="module")
def drawn() -> Chart:
    return chart(catalogue.load(), rules.load(()), DAY)


def test_the_map_says_what_judge_says(drawn: Chart) -> None:
    known, rule_sets = catalogue.load(), rules.load(())
    part = Part(id="p", name="redis", version="7.4.1", technology="redis", where=(Place("x"),))
    judged = judge(Stack(name="s", parts=(part,)), known, rule_sets, DAY)
    ours = next(r for r in drawn.sheets["redis"].ranges if r.label == ">=7.4,<8")
    for verdict in ours.verdicts:
        own = [f for f in judged.findings if f.group is not None and f.rule.startswith(f"{verdict.rule_set}/")]
        assert verdict.outcome is conjoin(f.outcome for f in own), verdict.rule_set


def test_redis_is_split_by_its_licences(drawn: Chart) -> None:
    told = {r.label: (r.licence, r.licence_kind) for r in drawn.sheets["redis"].ranges}
    assert told["<7.4"] == ("BSD-3-Clause", "open source")
    assert told[">=7.4,<8"][1] == "not open source"
    assert told[">=8"][1] == "open source"


def test_about_five_of_the_23_have_their_seat_in_the_eu(drawn: Chart) -> None:
    request = official.requests()["alasca-229"]
    assert len(request.technologies) == 23
    direct = [
        t for t in request.technologies
        if all(v.path == "held directly" for r in drawn.sheets[t].ranges for v in r.verdicts if v.rule_set == "alasca")
    ]  # fmt: skip
    assert set(direct) == {"proxmox-ve", "nixos", "yaook", "yake", "tarook"}


def test_the_official_maps_traps() -> None:
    mongo, mysql, swift, *_ = official.read(OFFICIAL.read_bytes())
    assert (mongo.group, mongo.licence_text, mongo.version) == ("Daten", "Server Side Public License (SSPL)", "8.0")
    assert mongo.scores == {"sovereignty": 10.0, "market": 66.0}
    assert mysql.name == "MySQL Server" and mysql.scores == {"sustainability": 33.3}
    matches = {m.entry.name: m for m in official.match((mongo, mysql, swift), catalogue.load())}
    assert matches["MySQL Server"].technology == "mysql"
    assert matches["Swift"].technology is None and "another thing" in matches["Swift"].note


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"items": [1]}', b'{"items": [{"name": " "}]}', b"\xff"])
def test_a_broken_map_says_what_is_wrong(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        official.read(data, "full.json")
    assert "full.json" in caught.value.what and caught.value.remedy


def test_a_change_request_shows_before_and_after(drawn: Chart) -> None:
    entries = official.read(OFFICIAL.read_bytes())
    changes = official.difference(entries, official.requests()["alasca-229"], drawn)
    assert [line.before for line in changes.lines] == ["absent"] * 23
    assert all(line.ranges and line.facts for line in changes.lines)
    assert len(changes.same_name) == 1
    mine = official.parse(
        "id: x\nname: x\nsource: {url: 'https://x', read: 2026-11-23, says: y}\ntechnologies: [mysql]", "x"
    )
    assert official.difference(entries, mine, drawn).lines[0].before == "Plattform / Daten: MySQL Server"
    strange = mine.model_copy(update={"technologies": ("nonesuch",)})
    with pytest.raises(UsageError, match="nonesuch"):
        official.difference(entries, strange, drawn)


LANDSCAPE2 = {  # the required fields of landscape2's data file, and the forms of those that we write
    "type": "object",
    "required": ["categories"],
    "properties": {"categories": {"type": "array", "items": {
        "type": "object", "required": ["name", "subcategories"],
        "properties": {"subcategories": {"type": "array", "items": {
            "type": "object", "required": ["name", "items"],
            "properties": {"items": {"type": "array", "items": {
                "type": "object", "required": ["name", "homepage_url", "logo"],
                "properties": {
                    "homepage_url": {"type": "string", "pattern": "^https?://"},
                    "logo": {"type": "string", "pattern": r"^[^/]*\.svg$"},
                    "repo_url": {"type": "string", "pattern": "^https?://"},
                    "extra": {"type": "object", "properties": {"annotations": {
                        "type": "object", "additionalProperties": {"type": "string"}}}},
                },
            }}},
        }}},
    }}},
}  # fmt: skip


def test_the_official_map_could_take_the_export(drawn: Chart) -> None:
    made = official.landscape2(drawn)
    jsonschema.validate(made, LANDSCAPE2)
    names = [i["name"] for c in made["categories"] for s in c["subcategories"] for i in s["items"]]
    assert len(names) == len(set(names)) == len(drawn.sheets)


def test_the_same_input_gives_the_same_bytes(drawn: Chart) -> None:
    entries = official.read(OFFICIAL.read_bytes())
    changes = official.difference(entries, official.requests()["alasca-229"], drawn)
    assert report.site(drawn, changes) == report.site(drawn, changes)


def test_no_page_loads_anything_and_no_name_is_markup(drawn: Chart) -> None:
    evil = drawn.sheets["redis"].technology.model_copy(update={"name": "<script>alert(1)</script>"})
    sheets = drawn.sheets | {"redis": drawn.sheets["redis"].model_copy(update={"technology": evil})}
    pages = report.site(drawn.model_copy(update={"sheets": sheets}))
    assert len(pages) == len(drawn.sheets) + 1
    for path, data in pages.items():
        text = data.decode()
        assert "alert(1)</script>" not in text, path
        assert "src=" not in text and "@import" not in text and "<link" not in text, path


def test_an_expired_fact_is_said_to_be_not_shown() -> None:
    later = chart(catalogue.load(), rules.load(()), date(2035, 1, 1))
    assert b"not shown" in report.site(later)["t/redis.html"] and b"expired" in report.site(later)["t/redis.html"]
    outcomes = {v.outcome for r in later.sheets["proxmox-ve"].ranges for v in r.verdicts if v.rule_set == "alasca"}
    assert outcomes == {Outcome.NOT_SHOWN}


def test_relations_lead_both_ways(drawn: Chart) -> None:
    page = report.site(drawn)["t/debian.html"].decode()
    assert 'needed by <a href="proxmox-ve.html">' in page
    assert json.dumps(drawn.model_dump(mode="json"))
