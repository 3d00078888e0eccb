# SPDX-License-Identifier: Apache-2.0
"""What a person reads first: ten lines, steps instead of crosses, one line for what nobody measured; in two languages."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from judge_world import TODAY, catalogue, fact, judged, rules, stack, technology
from rich.console import Console

from unterbau import catalogue as shipped
from unterbau import stack as readers
from unterbau.catalogue.model import KINDS as FACTS
from unterbau.catalogue.model import Catalogue
from unterbau.face import results as face
from unterbau.judge import engine, page, report, words
from unterbau.judge import rules as rule_sets
from unterbau.judge.judgement import Judgement
from unterbau.judge.kinds import KINDS, LOOK
from unterbau.judge.output import document
from unterbau.judge.summary import Sorted, outcome, summary
from unterbau.judge.words import LABEL, MOST_LINES, WIDTH, ten_lines
from unterbau.stack.model import Place, Unread
from unterbau.stack.recognise import recognise
from unterbau.verdict import Outcome, exports
from unterbau.verdict import words as in_words

STACKS = Path(__file__).parents[1] / "assets" / "stacks"
REAL = ["gitlab", "harbor", "kube-prometheus-stack", "mastodon", "nextcloud", "opendesk", "zammad"]
WORD = r"[\w./-]+"
US = {"name": "Company Inc", "form": "company", "seat": "US"}
DE = {"name": "Verein e.V.", "form": "association", "seat": "DE"}


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return shipped.load()


@pytest.fixture(scope="module")
def real(known: Catalogue) -> dict[str, Judgement]:
    sets = rule_sets.load()
    return {n: engine.judge(recognise(readers.read(STACKS / n), known), known, sets, TODAY) for n in REAL}


def climbed() -> Judgement:
    """Three parts on a ladder of three steps, and a rule that only a measurement can show."""
    known = catalogue(
        technology("low", fact("licence", "SSPL-1.0"), fact("steward", US)),
        technology("high", fact("licence", "MIT"), fact("steward", DE), fact("source_code", "https://x")),
        technology("open", fact("steward", DE)),
    )  # fmt: skip
    asked: list[dict[str, Any]] = [
        {"id": "s0", "level": 0, "objective": "ladder", "text": "x", "paths": {"direct": {"fact": "steward"}}},
        {"id": "s1", "level": 1, "objective": "ladder", "text": "x",
         "paths": {"direct": {"fact": "licence", "where": {"value": {"osi": True}}}}},
        {"id": "s2", "level": 2, "objective": "ladder", "text": "x", "paths": {"direct": {"fact": "source_code"}}},
        {"id": "bus", "text": "x", "paths": {"direct": {"measure": "bus-factor", "at_least": 2}}},
    ]  # fmt: skip
    return judged(known, rules(*asked), stack("low", "high", "open"))


def texts(judgement: Judgement, language: words.Language = "en") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in ten_lines(judgement, summary(judgement), language):
        found.setdefault(line.kind, []).append(line.text)
    return found


@pytest.mark.thorough
def test_at_most_ten_lines_of_80_columns(real: dict[str, Judgement]) -> None:
    for name, judgement in real.items():
        for language in ("en", "de"):
            lines = ten_lines(judgement, summary(judgement), language)
            assert 4 <= len(lines) <= MOST_LINES, name
            for line in lines:
                assert len(line.text) <= (WIDTH if line.kind == "head" else WIDTH - LABEL), (name, line)


@pytest.mark.thorough
def test_all_that_is_said_without_being_asked_fits_80_columns(
    real: dict[str, Judgement], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, judgement in real.items():
        report.judged(judgement)
        shown = capsys.readouterr().out.splitlines()
        assert max(map(len, shown)) <= WIDTH, name
        assert len(shown) < 70, name
        assert "--all" in shown[-1]


@pytest.mark.thorough
def test_the_long_list_breaks_no_word_at_80_columns(
    real: dict[str, Judgement], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(face, "_console", lambda: Console(file=out, force_terminal=True, width=80, color_system=None))
    report.judged(real["gitlab"], everything=True)
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= WIDTH
    for finding in Sorted(real["gitlab"]).plain:
        if finding.outcome is Outcome.FAILED:
            assert set(re.findall(WORD, str(finding.reason))) <= set(re.findall(WORD, shown))


def test_facts_stand_in_the_order_a_person_asks_each_source_once_at_80_columns(
    known: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(report.KIND_ORDER) == set(FACTS)
    out = io.StringIO()
    monkeypatch.setattr(face, "_console", lambda: Console(file=out, force_terminal=True, width=80, color_system=None))
    view = engine.view_of(known["redis"], None, TODAY)
    rows = [(k, report.COUNTS) for ks in view.known.values() for k in ks]
    rows += [(k, "counts for its versions") for ks in view.unsure.values() for k, _ in ks]
    report.facts(known["redis"], rows)
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert [line for line in shown.splitlines() if line[:1].islower()][:3] == ["https://redis.io", "licence", "steward"]
    versions = re.findall(r"versions\s+(\S+)", shown[: shown.index("steward")])
    assert versions == [">=8", ">=7.4,<8", "<7.4"]
    ends = shown[shown.index("end of life\n") : shown.index("EU support")]
    assert len(re.findall("endoflife.date/blob", ends)) == 1 < len(re.findall("versions", ends))
    assert "Scalingo (FR): managed databases" in shown


def test_what_fails_names_the_fact_that_decides(real: dict[str, Judgement]) -> None:
    failed = texts(real["gitlab"])["fails"]
    assert failed[0].startswith("GitLab v17.11.0: licence MIT AND LicenseRef-Git")
    assert "alasca" in failed[0]
    assert any("MinIO ended 2026-02-12" in t for t in texts(real["gitlab"])["ends"])
    assert "replace GitLab v17.11.0; the rule holds for Forgejo" in texts(real["gitlab"])["first"]
    german = texts(real["gitlab"], "de")
    assert german["fails"][0].startswith("GitLab v17.11.0: Lizenz MIT")
    assert "GitLab v17.11.0 ersetzen; die Regel erfüllt Forgejo" in german["first"]


def test_the_fact_that_decides_stands_before_the_names_of_rule_sets(real: dict[str, Judgement]) -> None:
    fails = texts(real["opendesk"])["fails"]
    assert any(re.search(r"MariaDB Server 10.5: maintenance ended 2025-06-24 \(\d rule sets\)", t) for t in fails), (
        fails
    )
    assert not any("…" in t for t in fails if "ended" in t)
    german = texts(real["opendesk"], "de")
    assert any("Pflege beendet 2025-06-24" in t for t in german["fails"])
    assert "helmfile.yaml: Zeile 6" in german["unread"][0]


def test_what_is_missing_says_where_to_look_and_what_was_not_read_is_told(real: dict[str, Judgement]) -> None:
    for judgement in real.values():
        found = texts(judgement)
        assert all("; look: " in t for t in found.get("missing", ()))
        if judgement.unread:
            assert f"{len(judgement.unread)} place" in found["unread"][0]
        if judgement.unrecognised:
            assert f"{len(judgement.unrecognised)} unknown part" in found["unread"][0]


def test_nothing_failed_is_not_told_as_a_pass() -> None:
    made = judged(catalogue(technology("one")), rules({"fact": "steward"}), stack("one"))
    assert texts(made)["nothing"] == ["nothing that is known"]
    assert not any("✓" in line.label for line in ten_lines(made, summary(made), "en"))


def test_a_ladder_says_the_step_the_culprit_and_what_is_not_shown() -> None:
    made = climbed()
    told = {s.group: words.step(s, made) for s in Sorted(made).steps}
    assert told[0] == "step 0 of 2; step 1 fails by licence SSPL-1.0; not shown: step 2 (source code)"
    assert told[1] == "step 2 of 2"
    assert told[2] == "step 0 of 2; not shown: steps 1, 2 (licence)"
    assert told[None].startswith("step 0 of 2; step 1 fails by Low (licence SSPL-1.0); not shown: steps 1, 2")
    german = {s.group: words.step(s, made, "de") for s in Sorted(made).steps}
    assert german[0] == "Stufe 0 von 2; Stufe 1 scheitert an Lizenz SSPL-1.0; nicht gezeigt: Stufe 2 (der Quelltext)"


@pytest.mark.thorough
def test_a_step_that_is_not_reached_is_nowhere_a_cross(
    real: dict[str, Judgement], capsys: pytest.CaptureFixture[str]
) -> None:
    made = climbed()
    results = exports.sarif(document(made))["runs"][0]["results"]
    assert {r["kind"] for r in results} == {"informational", "open"}
    assert {r["level"] for r in results} == {"none"}
    steps = [r for r in results if r["ruleId"] == "set/steps:ladder"]
    assert [r["properties"]["reached"] for r in steps] == [s.reached for s in Sorted(made).steps]
    remarks = [
        f["target"]["status"] for f in exports.oscal(document(made))["assessment-results"]["results"][0]["findings"]
    ]
    assert "fail" not in {r["reason"] for r in remarks}
    report.judged(made, everything=True)
    assert "✗" not in capsys.readouterr().out.partition("stack\t")[0].partition("✗ missing")[0]
    shown = page.html(real["gitlab"])
    for entry in re.findall(r'<details class="finding"><summary>.*?</summary>', shown):
        assert not ("step</span>" in entry and "✗" in entry)
    assert shown.count('class="o-steps"') > 20


@pytest.mark.thorough
def test_a_rule_that_nobody_measured_is_one_line_however_many_parts(known: Catalogue) -> None:
    names = sorted(known)[:100]
    made = engine.judge(recognise(stack(*names), known), known, rule_sets.load(["opencode-maintenance"]), TODAY)
    (told,) = Sorted(made).once
    assert told.parts == 100
    assert words.once(told) == (
        "not measured: commits, answers, releases, bus-factor; give --history TECHNOLOGY=FILE (100 kinds of part)"
    )
    assert len(exports.sarif(document(made))["runs"][0]["results"]) == 4
    assert page.html(made).count("bus-factor") < 10


def test_a_measured_one_is_told_of_what_was_measured(known: Catalogue) -> None:
    measures = {
        "redis": {"commits": (9.0, "h"), "answer-days": (3.0, "h"), "releases": (0.0, "h"), "bus-factor": (3.0, "h")}
    }
    made = engine.judge(
        recognise(stack("redis", "ceph"), known), known, rule_sets.load(["opencode-maintenance"]), TODAY, measures
    )
    (of_redis, whole) = Sorted(made).steps
    assert words.step(of_redis, made).startswith("step 1 of 3; step 2 fails by not: releases in 6 months (0; h)")
    assert whole.group is None
    assert Sorted(made).once[0].parts == 1


def test_the_exit_code_counts_no_step_as_a_failure() -> None:
    known = catalogue(technology("low", fact("licence", "SSPL-1.0"), fact("steward", US)), technology("open"))
    ladder: list[dict[str, Any]] = [
        {"id": f"s{n}", "level": n, "objective": "x", "text": "x", "paths": {"direct": p}}
        for n, p in enumerate([{"fact": "steward"}, {"fact": "licence", "where": {"value": {"osi": True}}}])
    ]
    assert outcome(judged(known, rules(*ladder), stack("low"))) is Outcome.HELD, "which step is reached is known"
    assert outcome(judged(known, rules(*ladder), stack("open"))) is Outcome.NOT_SHOWN
    assert outcome(judged(known, rules(ladder[1]["paths"]["direct"]), stack("low"))) is Outcome.FAILED
    assert outcome(climbed()) is Outcome.NOT_SHOWN, "nobody measured"


def test_every_kind_of_fact_has_words_in_both_languages() -> None:
    told = {k for k in FACTS if k not in ("successor", "fork_of", "forked_as")}
    assert told <= KINDS.keys()
    assert all(in_words(r, "de") != in_words(r) for r in (*KINDS.values(), *LOOK.values()) if r != LOOK["claim"])


@pytest.mark.thorough
def test_the_page_says_the_same_ten_lines_in_both_languages(real: dict[str, Judgement]) -> None:
    shown = page.html(real["opendesk"])
    for language in ("en", "de"):
        for line in ten_lines(real["opendesk"], summary(real["opendesk"]), language, page.WIDE)[1:]:
            text = line.text.replace("'", "&#39;")
            assert f'<span lang="{language}">{text}</span>' in shown or f"<dd>{text}</dd>" in shown
    assert '<html lang="de">' in page.html(real["opendesk"], "de")


def test_what_the_input_says_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    made = judged(
        catalogue(technology("one", fact("steward", {**US, "name": "\x1b[31mInc"}))),
        rules({"fact": "steward", "where": {"seat": "$EU"}}),
        stack("one", unread=(Unread(Place("x\x1b[2J.yaml", "line 1"), "strange"),)),
    )
    report.judged(made)
    assert "\x1b" not in capsys.readouterr().out
