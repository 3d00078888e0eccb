# SPDX-License-Identifier: Apache-2.0
"""The map: what it says is what the engine says; the official map's traps; a change request as a diff."""

from __future__ import annotations

import json
import posixpath
import re
from datetime import date
from html import unescape
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unterbau import catalogue
from unterbau.catalogue.versions import exhaustive, parse, within
from unterbau.errors import UsageError
from unterbau.judge import rules
from unterbau.judge.engine import judge
from unterbau.judge.summary import Sorted
from unterbau.judge.words import step
from unterbau.map import official, report
from unterbau.map.chart import Chart, chart
from unterbau.stack.model import Part, Place, Stack
from unterbau.verdict import Outcome, conjoin

DAY = date(2026, 11, 23)
OFFICIAL = Path(__file__).parents[1] / "assets" / "map" / "official.json"
KNOWN, RULES = catalogue.load(), rules.load(())
VERSIONED = sorted(t.id for t in KNOWN.values() if any(f.versions != "*" for f in t.facts))


@pytest.fixture(scope="module")
def drawn() -> Chart:
    return chart(KNOWN, RULES, DAY)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_map_says_what_judge_says_of_any_version(drawn: Chart, data: st.DataObject) -> None:
    sheet = drawn.sheets[data.draw(st.sampled_from(VERSIONED))]
    near = [n for f in sheet.technology.facts for n in parse_all(f.versions)]
    numbers = data.draw(st.sampled_from(near))
    last = max(numbers[-1] + data.draw(st.integers(-1, 1)), 0)
    version = ".".join(map(str, (*numbers[:-1], last, 0, 0, 0)))
    part = Part(id="p", name="p", version=version, technology=sheet.technology.id, where=(Place("x"),))
    judged = judge(Stack(name="s", parts=(part,)), KNOWN, RULES, DAY)
    found = Sorted(judged)
    for rules_ in RULES:
        own = [
            f for f in judged.findings
            if f.group is not None and f.rule.startswith(f"{rules_.id}/") and not found.is_once(f)
        ]  # fmt: skip
        steps = {(s.objective, step(s, judged)) for s in found.steps if s.group == 0 and s.rule_set == rules_.id}
        ours = [v for v in sheet.verdicts if v.rule_set == rules_.id and within(version, v.versions or "*")]
        assert len(ours) == bool(own), (version, rules_.id)
        for verdict in ours:
            assert verdict.outcome is (None if steps else conjoin(f.outcome for f in own))
            assert {(t.objective, t.text) for t in verdict.steps if within(version, t.versions or "*")} == steps
            told = {
                (t.finding.rule, t.finding.path, t.finding.reason, t.finding.facts)
                for t in verdict.told if within(version, t.versions or "*")
            }  # fmt: skip
            assert told == {(f.rule, f.path, f.reason, f.facts) for f in own}


def parse_all(text: str) -> list[tuple[int, ...]]:
    return [r[0] for r in map(parse, re.findall(r"[^\s<>=!,|*]+", text)) if r is not None]


def test_every_version_has_one_licence_or_is_not_shown(drawn: Chart) -> None:
    for id_, sheet in drawn.sheets.items():
        labels = [one.versions for one in sheet.licences]
        assert labels == [""] or exhaustive(labels), id_
        for rules_ in RULES:
            told = [v.versions for v in sheet.verdicts if v.rule_set == rules_.id]
            assert "" in told or not told or covered(told), (id_, rules_.id)


def covered(ranges: list[str]) -> bool:
    """Every version lies in one; a bare `0` is no version where a range begins with `<0.`, and cannot be told."""
    return exhaustive([*ranges, "0"] if ranges[0].startswith("<0.") else ranges)


def test_redis_is_split_by_its_licences(drawn: Chart) -> None:
    told = {one.versions: (one.licence, one.kind) for one in drawn.sheets["redis"].licences}
    assert list(told) == ["<7.4", ">=7.4,<8", ">=8"]
    assert told["<7.4"] == ("BSD-3-Clause", "open source")
    assert told[">=7.4,<8"][1] == "not open source"
    assert told[">=8"][1] == "open source"


def test_centos_is_split_where_its_steward_changes(drawn: Chart) -> None:
    told = {v.versions: v.path for v in drawn.sheets["centos"].verdicts if v.rule_set == "scs-view"}
    assert told == {"<8": "not shown", ">=8": "failed"}


def test_a_licence_of_one_version_is_not_told_of_others(drawn: Chart) -> None:
    told = [(one.versions, one.licence, one.kind) for one in drawn.sheets["chef"].licences]
    assert told == [("<16", "", "not shown"), ("16", "Apache-2.0", "open source"), (">=17", "", "not shown")]
    assert [one.licence for one in drawn.sheets["vault"].licences] == ["MPL-2.0", "", "BUSL-1.1"]


def test_four_of_the_23_are_governed_in_the_eu_to_the_end_of_the_chain(drawn: Chart) -> None:
    request = official.requests()["alasca-229"]
    assert len(request.technologies) == 23
    direct = [
        t for t in request.technologies
        if all(v.path == "held directly" for v in drawn.sheets[t].verdicts if v.rule_set == "alasca")
    ]  # fmt: skip
    assert set(direct) == {"nixos", "yaook", "yake", "tarook"}, "who owns Proxmox Server Solutions GmbH is not known"


def test_every_link_leads_somewhere(drawn: Chart) -> None:
    entries = official.read(OFFICIAL.read_bytes())
    changes = official.difference(entries, official.requests()["alasca-229"], drawn)
    pages = {path: data.decode() for path, data in report.site(drawn, changes).items()}
    ids = {path: set(re.findall(r' id="([^"]+)"', text)) for path, text in pages.items()}
    links = 0
    for path, text in pages.items():
        for link in re.findall(r'<a [^>]*?href="([^"]*)"', text):
            if re.match("https?://", link):
                continue
            file, _, anchor = unescape(link).partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
            assert target in pages, (path, link)
            assert not anchor or "=" in anchor or anchor in ids[target], (path, link)
            links += "#" in link
    assert links > 1000


def test_the_official_maps_traps() -> None:
    mongo, mysql, swift, *_ = official.read(OFFICIAL.read_bytes())
    assert (mongo.group, mongo.licence_text, mongo.version) == ("Daten", "Server Side Public License (SSPL)", "8.0")
    assert mongo.scores == {"sovereignty": 10.0, "market": 66.0}
    assert mysql.name == "MySQL Server" and mysql.scores == {"sustainability": 33.3}
    matches = {m.entry.name: m for m in official.match((mongo, mysql, swift), catalogue.load())}
    assert matches["MySQL Server"].technology == "mysql"
    assert matches["Swift"].technology is None and matches["Swift"].note.startswith("not OpenStack Swift")


def test_what_the_official_map_says_against_itself_and_our_facts() -> None:
    entries = {e.name: e for e in official.read(OFFICIAL.read_bytes())}
    gitlab = entries["GitLab"]
    assert (gitlab.layer, gitlab.group, gitlab.version, gitlab.owner) == (
        "Betrieb",
        "Inbetriebnahme",
        "17",
        "GitHub Inc",
    )
    told = (gitlab.licence_text, gitlab.needs, gitlab.availability, gitlab.benefit)
    assert told == ("individuell", "Ruby, PostgreSQL", "Verfügbar", "Quelltext verwalten")
    assert entries["Piveau"].scores == {} and entries["Nomad"].scores == gitlab.scores
    assert official.placeholders(entries.values()) == 3
    matches = {m.entry.name: m for m in official.match(entries.values(), KNOWN)}
    assert any("BUSL-1.1" in c for c in matches["Nomad"].contradicts)
    assert any("SSPL-1.0" in c for c in matches["MongoDB"].contradicts)
    assert matches["Kubernetes"].contradicts == matches["AES"].contradicts == ()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"items": [1]}', b'{"items": [{"name": " "}]}', b"\xff"])
def test_a_broken_map_says_what_is_wrong(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        official.read(data, "full.json")
    assert "full.json" in caught.value.what and caught.value.remedy


def test_a_change_request_shows_before_and_after(drawn: Chart) -> None:
    entries = official.read(OFFICIAL.read_bytes())
    changes = official.difference(entries, official.requests()["alasca-229"], drawn)
    assert [line.before for line in changes.lines] == ["absent"] * 23
    assert all(line.licences and line.verdicts and line.facts for line in changes.lines)
    assert len(changes.same_name) == 1
    mine = official.parse(
        "id: x\nname: x\nsource: {url: 'https://x', read: 2026-11-23, says: y}\ntechnologies: [mysql]", "x"
    )
    assert official.difference(entries, mine, drawn).lines[0].before == "Plattform / Daten: MySQL Server"
    strange = mine.model_copy(update={"technologies": ("nonesuch",)})
    with pytest.raises(UsageError, match="nonesuch"):
        official.difference(entries, strange, drawn)


def closed(required: list[str], **properties: object) -> dict[str, object]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def listed(items: object) -> dict[str, object]:
    return {"type": "array", "items": items}


URL = {"type": "string", "pattern": "^https?://"}
NAME = {"type": "string", "minLength": 1}
LANDSCAPE2 = closed(  # landscape2's data file: its required fields, and the forms of those that we write; no others
    ["categories"],
    categories=listed(closed(
        ["name", "subcategories"], name=NAME,
        subcategories=listed(closed(
            ["name", "items"], name=NAME,
            items=listed(closed(
                ["name", "homepage_url", "logo"], name=NAME, homepage_url=URL, description={"type": "string"},
                logo={"type": "string", "pattern": r"^[^/]+\.svg$"}, repo_url=URL,
                license={"type": "string", "pattern": r"^[A-Za-z0-9.+-]+$"},
                extra=closed(
                    [], annotations={"type": "object", "additionalProperties": {"type": "string"}},
                    other_links=listed(closed(["name", "url"], name=NAME, url=URL)),
                ),
            )),
        )),
    )),
)  # fmt: skip


def test_the_official_map_could_take_the_export(drawn: Chart) -> None:
    made = official.landscape2(drawn)
    jsonschema.validate(made, LANDSCAPE2)
    names = [i["name"] for c in made["categories"] for s in c["subcategories"] for i in s["items"]]
    assert len(names) == len(set(names)) == len(drawn.sheets)


def test_a_ladder_is_told_as_the_step_reached_and_never_as_a_cross(drawn: Chart) -> None:
    items = [i for c in official.landscape2(drawn)["categories"] for s in c["subcategories"] for i in s["items"]]
    told = {i["name"]: i["extra"]["annotations"] for i in items}
    redis = next(text for key, text in told["Redis"].items() if key.startswith("d-stack-v1"))
    assert re.fullmatch(
        r"Digitale Souveränität[^:]*: step 1 of 5; step 2 fails by steward Redis Inc\..*\(US\).*",
        redis,
    )
    for name, notes in told.items():
        for key, text in notes.items():
            if key.partition(" ")[0] in ("d-stack-v1", "eu-csf"):
                assert re.match(r"[^:]+: (no step|step \d) of \d", text), (name, key, text)
    for path, data in report.site(drawn).items():
        for item in data.decode().split("<li>"):
            own = item.partition("</li>")[0]
            assert not ('class="o-steps"' in own and "✗" in own), path


def test_what_nobody_measured_is_told_once_and_not_of_each_technology(drawn: Chart) -> None:
    assert not any(v.rule_set == "opencode-maintenance" for s in drawn.sheets.values() for v in s.verdicts)
    (text,) = next(r.once for r in drawn.rule_sets if r.id == "opencode-maintenance")
    assert "bus-factor" in text and "--history" in text
    index = report.site(drawn)["index.html"].decode()
    assert index.count("--history TECHNOLOGY=FILE") == 1


def test_the_same_input_gives_the_same_bytes(drawn: Chart) -> None:
    entries = official.read(OFFICIAL.read_bytes())
    changes = official.difference(entries, official.requests()["alasca-229"], drawn)
    assert report.site(drawn, changes) == report.site(drawn, changes)


def test_no_page_loads_anything_and_no_name_is_markup(drawn: Chart) -> None:
    evil = drawn.sheets["redis"].technology.model_copy(update={"name": "<script>alert(1)</script>"})
    sheets = drawn.sheets | {"redis": drawn.sheets["redis"].model_copy(update={"technology": evil})}
    pages = report.site(drawn.model_copy(update={"sheets": sheets}))
    whole = {"index.html", "numbers.html", "changes.html"}
    assert pages.keys() - whole == {f"t/{id_}.html" for id_ in drawn.sheets} and whole <= pages.keys()
    for path, data in pages.items():
        text = data.decode()
        assert "alert(1)</script>" not in text, path
        assert "src=" not in text and "@import" not in text and "<link" not in text, path


HOSTILE = """
id: layer
name: "<img src=x onerror=alert(1)>"
author: "</p><script>alert(2)</script>"
as_of: 2026-01-01
sources: [{url: "javascript:alert(3)", read: 2026-01-01, says: "x\\" onmouseover=\\"alert(4)"}]
rules:
  - id: r
    text: "</script><script>alert(5)</script>"
    paths:
      direct: {layer: [iaas]}
      "a|b\\t\\n\\"><script>alert(6)</script>": {fact: licence, where: {value: {osi: true}}}
"""


def test_a_rule_set_of_ones_own_may_hold_anything(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(HOSTILE)
    drawn = chart(KNOWN, rules.load((str(file),)), DAY)
    pages = report.site(drawn)
    for page in (pages["index.html"].decode(), pages["t/redis.html"].decode()):
        assert not re.search(r"<script>alert|<img|href=\"javascript|\" onmouseover", page)
    said = dict(
        re.findall(r'href="t/([a-z0-9.+-]+).html"[^>]* data-rule-layer="([^"]*)"', pages["index.html"].decode())
    )
    assert said["ceph"] == "held directly\t\n" and said["keycloak"].startswith("held by exception: a|b\\u0009")


def test_an_expired_fact_is_said_to_be_not_shown() -> None:
    later = chart(catalogue.load(), rules.load(()), date(2035, 1, 1))
    assert b"not shown" in report.site(later)["t/redis.html"] and b"expired" in report.site(later)["t/redis.html"]
    outcomes = {v.outcome for v in later.sheets["proxmox-ve"].verdicts if v.rule_set == "alasca"}
    assert outcomes == {Outcome.NOT_SHOWN}


def test_relations_lead_both_ways(drawn: Chart) -> None:
    page = report.site(drawn)["t/debian.html"].decode()
    assert re.search(r'<dt>needed by</dt><dd>[^\n]*<a href="proxmox-ve.html">', page)
    assert json.dumps(drawn.model_dump(mode="json"))
