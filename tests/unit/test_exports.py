# SPDX-License-Identifier: Apache-2.0
"""One dialect: what drill, prove and judge found is written by the same functions, and nowhere told as more than it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner
from kept_bundles import FIRST, checked
from test_prove_output import OSCAL, SARIF

from unterbau.cli import cli
from unterbau.switch.report import told
from unterbau.verdict import Claim, Observation, Outcome, Reason, Source, Verdict, exports
from unterbau.verdict.assessment import Assessment, Document, Entry, Note, Part, Point, Rule, Seen, Spot, Weight

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CHECKED = checked(FIRST)
DRILL = told.document(CHECKED.bundle.verification, CHECKED.verdicts, CHECKED.bundle.context.run)
EVIL = "a\x00\x1b[31m<b>\ud800\n\ufffe "


def entry(outcome: Outcome, name: str = "x", **more: object) -> Entry:
    claim = Claim(id=name, kind="k", subject="thing", text=f"{name} is so.")
    seen = Observation(what="state", value={"a": 1}, source=Source(where="https://cloud.example/x", at=NOW))
    verdict = Verdict(claim=claim, outcome=outcome, reason=Reason.of("verdict.equal"), evidence=(seen,))
    return Entry.model_validate(
        {"key": (name,), "rule": "1 rule", "name": name, "verdict": verdict, "rests_on": ("s",), **more}
    )


def document(*entries: Entry, notes: tuple[Note, ...] = ()) -> Document:
    seen = Seen(id="s", told=entries[0].verdict.evidence[0], looked=False, says="as read", expires=NOW)
    made = Assessment(
        key=("k",), name="name", subject="subject", at=NOW, parts=(Part(title=" two\nlines ", description=""),),
        rules=(Rule(id="1 rule", text="", family="family"),), entries=entries, notes=notes, seen=(seen,),
        properties={"auth-url": ""},
    )  # fmt: skip
    return Document(verb="v", title="t", version="1", information="https://unterbau.example/v", assessments=(made,))


def tags(made: Document) -> list[list[str]]:
    (suite,) = ElementTree.fromstring(exports.junit(made))  # noqa: S314 - our own bytes
    return [[child.tag for child in case] for case in suite]


def test_not_shown_is_neither_passed_nor_failed_and_advice_and_steps_fail_nothing() -> None:
    entries = (
        entry(Outcome.HELD, "a"), entry(Outcome.FAILED, "b"), entry(Outcome.NOT_SHOWN, "c"),
        entry(Outcome.FAILED, "d", weight=Weight.ADVICE), entry(Outcome.FAILED, "e", weight=Weight.STEP),
        entry(Outcome.NOT_SHOWN, "f", automatic=False), entry(Outcome.NOT_SHOWN, "g", applies=False),
    )  # fmt: skip
    made = document(*entries)
    assert tags(made) == [[], ["failure"], ["error"], ["skipped"], ["skipped"], ["skipped"], ["skipped"]]
    found = exports.sarif(made)["runs"][0]["results"]
    assert [(r["kind"], r["level"]) for r in found] == [
        ("pass", "none"), ("fail", "error"), ("open", "none"), ("fail", "warning"), ("informational", "none"),
        ("open", "none"), ("notApplicable", "none"),
    ]  # fmt: skip
    (result,) = exports.oscal(made)["assessment-results"]["results"]
    states = [(f["target"]["status"]["state"], f["target"]["status"]["reason"]) for f in result["findings"]]
    assert states == [("satisfied", "pass"), ("not-satisfied", "fail"), ("not-satisfied", "other"),
                      ("not-satisfied", "fail"), ("not-satisfied", "other"), ("not-satisfied", "other")]  # fmt: skip


def test_what_a_note_tells_is_told_once_and_of_each_in_oscal() -> None:
    noted = tuple(entry(Outcome.NOT_SHOWN, n, noted=True) for n in "ab")
    made = document(*noted, notes=(Note(rule="1 rule", point=Point(subject="all", text="nobody asked"), shown=False),))
    assert tags(made) == [["skipped"]]
    assert [r["kind"] for r in exports.sarif(made)["runs"][0]["results"]] == ["open"]
    assert len(exports.oscal(made)["assessment-results"]["results"][0]["findings"]) == 2


def test_evidence_is_told_with_its_source_and_date() -> None:
    (result,) = exports.oscal(document(entry(Outcome.HELD)))["assessment-results"]["results"]
    (seen,) = result["observations"]
    assert seen["description"] == 'state: {"a": 1}' and seen["collected"] == seen["expires"] == NOW.isoformat()
    assert seen["methods"] == ["EXAMINE"]
    assert seen["relevant-evidence"] == [{"href": "https://cloud.example/x", "description": "as read"}]
    assert result["findings"][0]["related-observations"] == [{"observation-uuid": seen["uuid"]}]


@pytest.mark.thorough
def test_names_of_ill_will_break_no_form() -> None:
    point = Point(subject=EVIL, text=EVIL, where=(Spot(file="my file ä.yaml", line=3, where=EVIL),))
    made = document(entry(Outcome.FAILED, EVIL, points=(point,), remarks="r"))
    for form in exports.FORMS.values():
        assert form(made).decode()
    jsonschema.validate(json.loads(exports.FORMS["sarif"](made)), SARIF)
    jsonschema.validate(json.loads(exports.FORMS["oscal"](made)), OSCAL)
    (suite,) = ElementTree.fromstring(exports.junit(made))  # noqa: S314 - our own bytes
    assert "\x1b" not in (suite[0].get("name") or "")
    place = exports.sarif(made)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "my%20file%20%C3%A4.yaml"}, "region": {"startLine": 3}}


@pytest.mark.thorough
def test_a_drill_is_told_whole_in_each_form() -> None:
    by = {o: [v.claim.id for v in CHECKED.verdicts if v.outcome is o] for o in Outcome}
    (suite,) = ElementTree.fromstring(exports.junit(DRILL))  # noqa: S314 - our own bytes
    assert [c.get("name") for c in suite] == [v.claim.id for v in CHECKED.verdicts]
    assert [c.get("name") for c in suite if c.find("error") is not None] == by[Outcome.NOT_SHOWN]
    run = json.loads(exports.FORMS["sarif"](DRILL))
    jsonschema.validate(run, SARIF)
    results = run["runs"][0]["results"]
    assert [r["kind"] for r in results].count("open") == len(by[Outcome.NOT_SHOWN])
    assert len({r["partialFingerprints"]["unterbau/v1"] for r in results}) == len(results) == len(CHECKED.verdicts)
    found = json.loads(exports.FORMS["oscal"](DRILL))
    jsonschema.validate(found, OSCAL)
    (result,) = found["assessment-results"]["results"]
    assert len(result["findings"]) == len(CHECKED.verdicts)
    seen = {o["uuid"]: o for o in result["observations"]}
    named = {o["observation-uuid"] for f in result["findings"] for o in f.get("related-observations", ())}
    assert named == seen.keys() and len(seen) == sum(len(v.evidence) for v in CHECKED.verdicts)
    again = told.document(CHECKED.bundle.verification, CHECKED.verdicts, CHECKED.bundle.context.run)
    assert exports.oscal(again) == exports.oscal(DRILL)


@pytest.mark.thorough
@pytest.mark.parametrize("bundle", ["drill", "stack"])
def test_the_check_of_a_bundle_writes_the_three(bundle: str, tmp_path: Path) -> None:
    options = [part for form in exports.FORMS for part in (f"--{form}", str(tmp_path / form))]
    done = CliRunner().invoke(cli, ["evidence", "check", str(FIRST.with_stem(bundle)), *options, "-q"])
    assert done.exception is None, done.output
    jsonschema.validate(json.loads((tmp_path / "sarif").read_bytes()), SARIF)
    jsonschema.validate(json.loads((tmp_path / "oscal").read_bytes()), OSCAL)
    assert ElementTree.parse(tmp_path / "junit").getroot().get("name", "").startswith("unterbau ")  # noqa: S314 - ours


@pytest.mark.parametrize("verb", ["drill", "verify", "prove", "judge", "evidence check"])
def test_every_verb_that_judges_offers_the_three(verb: str) -> None:
    told = CliRunner().invoke(cli, [*verb.split(), "--help"]).output
    assert all(f"--{form} " in told for form in exports.FORMS)
