# SPDX-License-Identifier: Apache-2.0
"""Bundles of drill and prove as evidence for `judge`: only one that checks counts, by whose key, for how long, of which clouds."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from judge_world import catalogue, rules, stack, technology

from unterbau.catalogue import lifetime
from unterbau.cli import cli
from unterbau.errors import BundleError, Exit, UsageError
from unterbau.evidence import signing_key
from unterbau.evidence.opening import open_bundle, signer_of
from unterbau.judge import engine, page
from unterbau.judge import evidence as judgements
from unterbau.judge import rules as rule_sets
from unterbau.judge.judgement import Finding, Judgement
from unterbau.judge.rule import RuleSet
from unterbau.judge.summary import outcome
from unterbau.stack.recognise import recognise
from unterbau.switch import evidence as drills
from unterbau.verdict import Outcome
from unterbau.verdict.exhibit import ASPECTS, Exhibit, Showing

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
ASSETS = Path(__file__).parents[1] / "assets"
DRILL, PROOF, STACK = (
    ASSETS / n for n in ("drill-2026-11.unterbau", "golden/format-2-proof.unterbau", "stack.unterbau")
)
DAY = date(2026, 11, 26)
KEY = signer_of(DRILL.read_bytes())
KNOWN = catalogue(technology("one"))
SETS = {s.id: s for s in rule_sets.load()}


def drilled(outcome: Outcome = HELD, /, *clouds: str, on: date = DAY, **more: Any) -> Exhibit:
    """A drill whose aspects all come out like this, between two clouds of providers."""
    shows = {a: Showing(outcome=outcome, why=f"{a}: as told", number=1.5) for a in ASPECTS["drill"]}
    named = clouds or ("home (https://a.example:443)", "away (https://b.example:443)")
    plain = {"name": "d.unterbau", "digest": f"sha256:{on}{outcome}{named}", "kind": "drill", "signer": "ab" * 32,
             "trusted": True, "seen": datetime(on.year, on.month, on.day, 9, tzinfo=UTC), "clouds": named}  # fmt: skip
    return Exhibit(**{**plain, "shows": shows, **more})


def judged(asked: RuleSet, *given: Exhibit, at: date = DAY) -> Judgement:
    return engine.judge(recognise(stack("one@1"), KNOWN), KNOWN, [asked], at, evidence=given)


def asked(**expression: Any) -> RuleSet:
    drill = {"evidence": "drill", "shows": "tested", **expression}
    return rules({"id": "r", "text": "Tested.", "of": "stack", "paths": {"direct": drill}})


def only(asked: RuleSet, *given: Exhibit, at: date = DAY) -> Finding:
    (found,) = judged(asked, *given, at=at).findings
    return found


@cache
def run(*words: str) -> Result:
    """`return_value` is the exit code."""
    return CliRunner().invoke(cli, ["judge", "OpenStack", "--at", "2026-11-26", *words], standalone_mode=False)


def told(*words: str) -> dict[str, Any]:
    return dict(json.loads(run(*words, "--format", "json").stdout))


def finding(judgement: dict[str, Any], rule: str) -> dict[str, Any]:
    (found,) = [f for f in judgement["findings"] if f["rule"] == rule]
    return dict(found)


# --- a real bundle


@pytest.mark.thorough
def test_a_drills_bundle_shows_a_duty_and_the_verdict_names_path_digest_day_and_clouds() -> None:
    made = told("--rules", "dora-28", "--evidence", str(DRILL), "--key", KEY)
    found = finding(made, "dora-28/28-8-tested")
    (given,) = made["evidence"]
    assert (found["outcome"], found["path"], found["evidence"]) == ("held", "direct", [given["digest"]])
    assert all(
        w in found["reason"]["text"] for w in ("2026-11-26", "quelle (https://127.0.0.1:21920", "ziel", KEY[:16])
    )
    assert "nothing about any provider" in found["reason"]["text"] and given["one_machine"]
    assert found["until"] == "2027-11-26" and len(given["limits"]) >= 9


@pytest.mark.thorough
def test_clouds_on_one_machine_show_nothing_of_a_provider() -> None:
    made = told("--rules", "dora-28", "--rules", "data-act", "--evidence", str(DRILL), "--key", KEY)
    for rule in ("dora-28/28-8-transition", "data-act/23-c", "data-act/25-2-a"):
        found = finding(made, rule)
        assert found["outcome"] == "not shown" and "all on one machine" in found["reason"]["text"], rule


@pytest.mark.thorough
def test_a_bundle_says_whether_its_clouds_are_on_one_machine() -> None:
    opened = open_bundle(DRILL.read_bytes())
    checked = drills.check_opened(opened)
    away = checked.bundle.target.identity.model_copy(update={"auth_url": "https://cloud.example/v3"})
    target = checked.bundle.target.model_copy(update={"identity": away})
    other = checked.model_copy(update={"bundle": checked.bundle.model_copy(update={"target": target})})
    assert drills.exhibit(checked, opened, "b").one_machine and not drills.exhibit(other, opened, "b").one_machine


@pytest.mark.thorough
def test_what_was_lost_is_not_carried_and_each_aspect_is_that_of_its_claims() -> None:
    opened = open_bundle(DRILL.read_bytes(), trusted_key=KEY)
    shown = drills.exhibit(drills.check_opened(opened), opened, "b").shows
    assert {a: s.outcome for a, s in shown.items()} == {
        "planned": HELD, "tested": HELD, "carried": NOT_SHOWN, "equivalent": NOT_SHOWN, "closed": HELD,
        "secure": NOT_SHOWN, "erased": NOT_SHOWN, "days": HELD,
    }  # fmt: skip
    assert shown.keys() == ASPECTS["drill"].keys() and "8 not shown, 116 held" in str(shown["carried"].why)


@pytest.mark.thorough
def test_a_proof_shows_whether_a_cloud_conforms() -> None:
    key = signer_of(PROOF.read_bytes())
    (given,) = told("--rules", "dora-28", "--evidence", str(PROOF), "--key", key)["evidence"]
    assert given["kind"] == "proof" and given["shows"]["conformant"]["outcome"] == "failed" and not given["fault"]


# --- what does not count


def tampered(tmp_path: Path) -> Path:
    """One byte of a member is another; everything else is as it was."""
    with zipfile.ZipFile(DRILL) as old:
        members = {n: old.read(n) for n in old.namelist()}
    members["context.json"] = members["context.json"].replace(b'"rehearsal": true', b'"rehearsal":  true')
    assert members["context.json"] != zipfile.ZipFile(DRILL).read("context.json")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    path = tmp_path / "tampered.unterbau"
    path.write_bytes(made.getvalue())
    return path


@pytest.mark.thorough
def test_a_tampered_bundle_shows_nothing_and_is_told_first(tmp_path: Path) -> None:
    words = ("--rules", "dora-28", "--evidence", str(tampered(tmp_path)), "--key", KEY)
    made = told(*words)
    found = finding(made, "dora-28/28-8-tested")
    assert found["outcome"] == "not shown" and "context.json: changed since it was signed" in found["reason"]["text"]
    shown = run(*words)
    assert "1 bundle does not check (tampered.unterbau)" in shown.stdout.partition("dora-28:")[0]
    assert shown.return_value == Exit.NOT_SHOWN


@pytest.mark.thorough
def test_a_good_bundle_beside_a_tampered_one_still_counts(tmp_path: Path) -> None:
    both = ("--evidence", str(tampered(tmp_path)), "--evidence", str(DRILL), "--key", KEY)
    assert finding(told("--rules", "dora-28", *both), "dora-28/28-8-tested")["outcome"] == "held"


@pytest.mark.thorough
@pytest.mark.parametrize("keys", [(), ("--key", "ab" * 32)])
def test_a_strangers_key_shows_nothing(keys: tuple[str, ...]) -> None:
    found = finding(told("--rules", "dora-28", "--evidence", str(DRILL), *keys), "dora-28/28-8-tested")
    assert found["outcome"] == "not shown" and f"whose key {KEY} is, is not shown" in found["reason"]["text"]


@pytest.mark.thorough
def test_each_of_several_keys_vouches_for_its_own_bundles() -> None:
    key = signer_of(PROOF.read_bytes())
    given = told("--rules", "dora-28", "--evidence", str(DRILL), "--evidence", str(PROOF), "--key", key)["evidence"]
    assert {e["kind"]: e["trusted"] for e in given} == {"drill": False, "proof": True}


@pytest.mark.thorough
def test_a_bundle_of_another_kind_is_wrong_usage() -> None:
    made = run("--evidence", str(STACK), "--key", KEY)
    assert isinstance(made.exception, UsageError) and "a bundle of a judged stack" in made.exception.what
    assert made.exception.exit is Exit.USAGE


@pytest.mark.thorough
def test_a_key_without_a_bundle_is_wrong_usage() -> None:
    assert isinstance(run("--key", KEY).exception, UsageError)


@pytest.mark.thorough
def test_what_is_no_bundle_at_all_costs_that_one_thing(tmp_path: Path) -> None:
    path = tmp_path / "x.unterbau"
    path.write_bytes(b"no zip")
    made = run("--rules", "dora-28", "--evidence", str(path), "--key", KEY)
    assert made.return_value == Exit.NOT_SHOWN and "1 bundle does not check (x.unterbau)" in made.stdout


@pytest.mark.thorough
def test_without_a_bundle_the_duties_are_one_line_that_says_what_to_give() -> None:
    made = run("--rules", "dora-28")
    assert "no bundle (--evidence): 28-8-a, 28-8-b, 28-8-c, 28-8-plan" in " ".join(made.stdout.split())


# --- age, pairs, measures


def test_a_bundle_counts_for_its_lifetime_from_the_day_of_the_look() -> None:
    last = DAY + timedelta(days=lifetime.EVIDENCE["drill"][0])
    assert only(asked(), drilled(), at=last).outcome is HELD
    old = only(asked(), drilled(), at=last + timedelta(days=1))
    assert old.outcome is NOT_SHOWN and f"counted until {last}" in old.reason
    early = only(asked(), drilled(), at=DAY - timedelta(days=1))
    assert early.outcome is NOT_SHOWN and "after the day" in early.reason


def test_a_failed_drill_fails_and_the_newest_of_a_pair_decides() -> None:
    assert only(asked(), drilled(FAILED)).outcome is FAILED
    before = DAY - timedelta(days=30)
    assert only(asked(), drilled(FAILED, on=before), drilled(HELD)).outcome is HELD
    assert only(asked(), drilled(HELD, on=before), drilled(FAILED)).outcome is FAILED


def test_one_good_target_suffices_and_every_source_needs_one() -> None:
    assert only(asked(), drilled(HELD, "a", "b"), drilled(FAILED, "a", "c")).outcome is HELD
    assert only(asked(), drilled(HELD, "a", "b"), drilled(FAILED, "x", "c")).outcome is FAILED
    assert only(asked(), drilled(HELD, "a", "b"), drilled(NOT_SHOWN, "x", "c")).outcome is NOT_SHOWN


def test_a_measure_has_a_most_and_a_missing_number_is_not_shown() -> None:
    assert only(asked(shows="days", at_most=2), drilled()).outcome is HELD
    assert only(asked(shows="days", at_most=1), drilled()).outcome is FAILED
    blind = drilled(shows={"days": Showing(outcome=HELD, why="")})
    assert only(asked(shows="days", at_most=1), blind).outcome is NOT_SHOWN


def test_an_aspect_that_a_bundle_says_nothing_of_is_not_shown() -> None:
    assert only(asked(), drilled(shows={})).outcome is NOT_SHOWN


def test_a_rule_can_ask_only_for_what_a_bundle_of_its_kind_shows() -> None:
    with pytest.raises(ValueError, match="a proof shows conformant, not 'tested'"):
        asked(evidence="proof")


@pytest.mark.parametrize("fault", [{"fault": "it does not check: x"}, {"trusted": False}, {"kind": "proof"}])
def test_what_does_not_count_never_holds_anything(fault: dict[str, Any]) -> None:
    given = drilled(**fault)
    made = engine.judge(recognise(stack("one@1"), KNOWN), KNOWN, [*SETS.values()], DAY, evidence=[given])
    with_none = engine.judge(recognise(stack("one@1"), KNOWN), KNOWN, [*SETS.values()], DAY)
    assert [f.outcome for f in made.findings] == [f.outcome for f in with_none.findings]


def test_a_drill_between_providers_holds_duties_but_never_what_only_a_contract_shows() -> None:
    made = engine.judge(
        recognise(stack("one@1"), KNOWN), KNOWN, [SETS["dora-28"], SETS["data-act"]], DAY, evidence=[drilled()]
    )
    held = {f.rule for f in made.findings if f.outcome is HELD}
    assert {"dora-28/28-8-plan", "dora-28/28-8-tested", "dora-28/28-8-transition", "data-act/23-c", "data-act/23-d",
            "data-act/25-2-a"} <= held  # fmt: skip
    asking = ("dora-28/28-8-a", "dora-28/28-8-b", "dora-28/28-8-strategy", "data-act/25-2-h", "data-act/art-29")
    assert not held & set(asking)
    failing = engine.judge(recognise(stack("one@1"), KNOWN), KNOWN, [SETS["data-act"]], DAY, evidence=[drilled(FAILED)])
    assert {f.rule for f in failing.findings if f.outcome is FAILED} >= {"data-act/25-2-h", "data-act/23-c"}


def test_a_bundle_that_does_not_check_makes_the_whole_not_shown() -> None:
    fine = rules({"id": "r", "text": "One.", "of": "stack", "paths": {"direct": {"some": {"technology": ["one"]}}}})
    assert outcome(judged(fine)) is HELD
    assert outcome(judged(fine, drilled(fault="it does not check"))) is NOT_SHOWN


# --- handed on


def sealed(given: Sequence[Exhibit], folder: Path) -> bytes:
    made, sets = recognise(stack("one@1"), KNOWN), (asked(),)
    judgement = engine.judge(made, KNOWN, sets, DAY, evidence=given)
    return judgements.seal_stack(
        made, KNOWN, sets, judgement, signer=signing_key(folder), sealed=datetime(2026, 11, 26, tzinfo=UTC)
    )


def test_a_judged_stacks_bundle_is_judged_again_by_what_was_given_and_says_what_it_rests_on(tmp_path: Path) -> None:
    given = drilled()
    checked = judgements.check_stack(sealed([given], tmp_path))
    assert checked.rests_on == (given.digest,) and checked.judgement.findings[0].outcome is HELD
    assert "evidence.json" not in open_bundle(sealed([], tmp_path)).members


def test_a_verdict_that_does_not_follow_from_what_was_given_is_refused(tmp_path: Path) -> None:
    made, sets = recognise(stack("one@1"), KNOWN), (asked(),)
    judgement = engine.judge(made, KNOWN, sets, DAY, evidence=[drilled()])
    lie = judgement.model_copy(update={"evidence": (drilled(FAILED),)})
    data = judgements.seal_stack(
        made, KNOWN, sets, lie, signer=signing_key(tmp_path), sealed=datetime(2026, 11, 26, tzinfo=UTC)
    )
    with pytest.raises(BundleError, match="does not follow"):
        judgements.check_stack(data)


@pytest.mark.thorough
def test_page_and_documents_name_the_bundle(tmp_path: Path) -> None:
    judgement = judged(asked(), drilled(name="<b>d</b>", limits=("nothing about people",)))
    html = page.html(judgement)
    assert "<b>d</b>" not in html and "&lt;b&gt;d&lt;/b&gt;" in html and "nothing about people" in html
    sarif, oscal, junit = (tmp_path / n for n in ("s.json", "o.json", "j.xml"))
    run("--rules", "dora-28", "--evidence", str(DRILL), "--key", KEY, "--sarif", str(sarif), "--oscal", str(oscal),
        "--junit", str(junit))  # fmt: skip
    digest = told("--rules", "dora-28", "--evidence", str(DRILL), "--key", KEY)["evidence"][0]["digest"]
    assert digest in oscal.read_text() and sarif.exists() and junit.exists()
