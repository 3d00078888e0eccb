# SPDX-License-Identifier: Apache-2.0
"""What comes out: ALASCA's own list judged, washed sovereignty, differences, SARIF, OSCAL, the page, the bundle."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from judge_world import TODAY, catalogue, fact, judged, rules, stack, technology

from unterbau import catalogue as shipped
from unterbau.catalogue.model import Catalogue
from unterbau.errors import BundleError
from unterbau.evidence import signing_key
from unterbau.judge import evidence as judgements
from unterbau.judge import page, report
from unterbau.judge import rules as rule_sets
from unterbau.judge.difference import difference
from unterbau.judge.engine import judge
from unterbau.judge.judgement import Judgement
from unterbau.judge.output import document
from unterbau.stack.model import Part, Place, Stack, Unread
from unterbau.stack.recognise import recognise
from unterbau.switch import evidence
from unterbau.verdict import Outcome, exports

ALASCA = [
    "openstack",
    "ceph",
    "swift",
    "proxmox-ve",
    "openbao",
    "opentofu",
    "grafana",
    "prometheus",
    "thanos",
    "helm",
    "keycloak",
    "podman",
    "harbor",
    "ansible",
    "redis@7.2",
    "redis@7.4",
    "redis@8.0",
    "rabbitmq",
    "ubuntu@24.04",
    "centos@7",
    "centos@9",
    "alpine@3.22",
    "nixos",
    "yaook",
    "yake",
    "tarook",
]
DE = {"name": "Verein e.V.", "form": "association", "seat": "DE"}
US = {"name": "Company Inc", "form": "company", "seat": "US"}


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return shipped.load()


@pytest.fixture(scope="module")
def own_list(known: Catalogue) -> Judgement:
    return judged(known, rule_sets.load(["alasca"])[0], stack(*ALASCA))


def paths(judgement: Judgement) -> dict[str, str]:
    return {
        " ".join([judgement.groups[f.group].technology or "?", *judgement.groups[f.group].versions]): f.path
        for f in judgement.findings
        if f.group is not None
    }


def test_alascas_own_list(own_list: Judgement) -> None:
    assert not own_list.unrecognised
    found = paths(own_list)
    assert {n for n, p in found.items() if p == "direct"} == {"nixos", "yaook", "yake", "tarook"}
    assert found["proxmox-ve"] == "not shown", "who owns Proxmox Server Solutions GmbH is not known"
    assert found["redis 7.4"] == "failed"
    assert found["redis 7.2"] != "failed"
    assert found["redis 8.0"] != "failed"


def test_centos_splits_by_version(own_list: Judgement) -> None:
    ended = {" ".join(own_list.groups[e.group].versions) for e in own_list.ending if e.ended}
    assert "7" in ended
    assert {"centos 7", "centos 9"} <= paths(own_list).keys()


def test_expertise_and_infrastructure_are_the_exception(known: Catalogue) -> None:
    both = technology(
        "x", fact("eu_support", {"vendor": "V", "seat": "DE", "offers": "x"}),
        fact("eu_operator", {"operator": "We", "seat": "DE", "offers": "x"}),
    ).facts  # fmt: skip
    found = paths(judged(known, rule_sets.load(["alasca"])[0], stack("prometheus", "redis@7.4", facts=both)))
    assert found == {"prometheus": "exception:osi-and-eu-expertise", "redis 7.4": "failed"}


def test_washed_sovereignty_fails(known: Catalogue) -> None:
    (alasca,) = rule_sets.load(["alasca"])
    washed = judged(known, alasca, stack("redis@7.4", "ubuntu@24.04", claims={"sovereign": True}))
    by_rule = {f.rule: f for f in washed.findings if f.group is None or washed.groups[f.group].technology == "redis"}
    assert by_rule["alasca/technology"].outcome is Outcome.FAILED
    assert str(by_rule["alasca/technology"].reason).startswith("never")
    whole = Stack("s", stack("redis@7.4").parts, claims={"sovereign": True})
    claim = next(f for f in judged(known, alasca, whole).findings if f.rule == "alasca/sovereign-claim")
    assert claim.outcome is Outcome.FAILED
    honest = judged(known, alasca, stack("redis@7.4"))
    assert next(f for f in honest.findings if f.rule == "alasca/sovereign-claim").outcome is Outcome.HELD


def test_the_change_requests(known: Catalogue) -> None:
    (alasca,) = rule_sets.load(["alasca"])
    before = judged(known, alasca, stack("keycloak"))
    after = judged(known, alasca, stack("keycloak", "openstack", "ubuntu", "yaook"))
    changed = difference(before, after)
    assert changed.added == ("openstack", "ubuntu", "yaook")
    better = {c.rule for c in changed.changes if c.after is Outcome.HELD and c.subject == "the stack"}
    assert better == {"alasca/iaas-layer", "alasca/operating-system-layer", "alasca/scs"}
    assert {c.name for c in changed.covered} >= {"iaas", "compute", "os"}
    back = difference(after, before)
    assert back.removed == changed.added
    assert {c.rule for c in back.changes if c.worse} == better


def small() -> tuple[Catalogue, Judgement]:
    known = catalogue(
        technology("one", fact("steward", US), fact("alternative", "two")), technology("two", fact("steward", DE)),
        technology("three"),
    )  # fmt: skip
    asked = rules({"fact": "steward", "where": {"seat": "$EU"}, "text": "the steward is in the EU"})
    made = stack("one@1", "two@2", "three", "stranger", unread=(Unread(Place("x.yaml", "line 9"), "strange"),))
    return known, judged(known, asked, made)


def test_a_difference_names_versions_and_what_got_worse() -> None:
    known, new = small()
    old = judged(known, rules({"fact": "steward", "where": {"seat": "$EU"}}), stack("one@2", "two@2"))
    changed = difference(old, new)
    assert changed.changed == ("one: 2 -> 1",)
    assert changed.added == ("stranger", "three")
    assert {(c.subject, c.worse) for c in changed.changes} == {("three", True), ("what was not recognised", True)}


def test_sarif() -> None:
    _, made = small()
    run = exports.sarif(document(made))["runs"][0]
    results = {r["message"]["text"].partition(":")[0]: r for r in run["results"]}
    assert [results[n]["kind"] for n in ("One 1", "Two 2", "Three")] == ["fail", "pass", "open"]
    assert [results[n]["level"] for n in ("One 1", "Two 2", "Three")] == ["error", "none", "none"]
    physical = results["One 1"]["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": "stack.yaml"}, "region": {"startLine": 1}}
    assert run["tool"]["driver"]["rules"][results["One 1"]["ruleIndex"]]["id"] == "set/r0"
    assert len({r["partialFingerprints"]["unterbau/v1"] for r in run["results"]}) == len(run["results"])


def test_oscal() -> None:
    _, made = small()
    results = exports.oscal(document(made))["assessment-results"]
    assert exports.oscal(document(made)) == exports.oscal(document(made)), "the same judgement gives the same ids"
    (result,) = results["results"]
    states = {f["target"]["status"]["reason"] for f in result["findings"]}
    assert states == {"pass", "fail", "other"}
    observed = {o["uuid"] for o in result["observations"]}
    named = {o["observation-uuid"] for f in result["findings"] for o in f.get("related-observations", ())}
    assert named == observed
    ids = re.findall(r'"uuid": "([0-9a-f-]{36})"', json.dumps(results))
    assert len(ids) == len(set(ids))


@pytest.mark.thorough
def test_the_page_escapes_and_loads_nothing() -> None:
    known, _ = small()
    parts = (Part("x", "<script>alert(1)</script>", '"><img src=x>', where=(Place("a\u202eb"),)),)
    evil = technology("one", fact("steward", {**US, "name": "<b>Inc</b>"}), name="</style><i>")
    asked = rules({"fact": "steward", "where": {"seat": "$EU"}})
    made = judged({**known, "one": evil}, asked, Stack("<s>", (*parts, *stack("one").parts)))
    shown = page.html(made)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "\u202e" not in shown
    assert not re.search(r"<[^>]*\bsrc=|@import|url\(", shown)
    assert "default-src 'none'" in shown


def test_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    known, made = small()
    report.judged(made, everything=True)
    report.difference(difference(made, made))
    report.facts(known["one"], [(k, "counts") for k in made.facts])
    shown = capsys.readouterr().out
    for text in ("set/r0", "stranger", "x.yaml: line 9", "function backup", "instead: Two", "https://example.org/page"):
        assert text in shown


@pytest.fixture
def sealed(tmp_path: Path) -> bytes:
    known, _ = small()
    made = recognise(stack("one@1", "two@2", "stranger"), known)
    asked = (rules({"fact": "steward", "where": {"seat": {"not_in": "$EU"}}}, {"not": {"measure": "m", "below": 1}}),)
    measures = {"one": {"m": (2.0, "h")}}
    signer = signing_key(tmp_path)
    result = judge(made, known, asked, TODAY, measures)
    return judgements.seal_stack(
        made, known, asked, result, signer=signer, sealed=datetime(2026, 11, 23, tzinfo=UTC), measures=measures
    )


@pytest.mark.thorough
def test_a_bundle_is_judged_again(sealed: bytes) -> None:
    checked = judgements.check_stack(sealed)
    assert checked.outcome is Outcome.FAILED
    assert not checked.signer_trusted
    assert judgements.check_stack(sealed, trusted_key=checked.signer).signer_trusted
    with pytest.raises(BundleError, match="signed by key"):
        judgements.check_stack(sealed, trusted_key="0" * 64)
    with pytest.raises(BundleError):
        evidence.check(sealed)


@pytest.mark.parametrize("member", ["stack.json", "catalogue.json", "rules.json", "judgement.json", "measures.json"])
def test_no_member_can_be_changed(sealed: bytes, member: str) -> None:
    with zipfile.ZipFile(io.BytesIO(sealed)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members[member] += b" "
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match=member):
        judgements.check_stack(out.getvalue())


def test_findings_that_do_not_follow_are_refused_even_if_signed(tmp_path: Path) -> None:
    known, made = small()
    asked = (rules({"fact": "steward", "where": {"seat": "$EU"}, "text": "the steward is in the EU"}),)
    whole = Stack(made.stack, made.parts, made.unread)
    lied = made.model_copy(
        update={
            "findings": tuple(f.model_copy(update={"outcome": Outcome.HELD, "path": "direct"}) for f in made.findings)
        }
    )
    told = judgements.seal_stack(
        whole, known, asked, lied, signer=signing_key(tmp_path), sealed=datetime(2026, 11, 23, tzinfo=UTC)
    )
    with pytest.raises(BundleError, match="does not follow"):
        judgements.check_stack(told)


@pytest.mark.thorough
def test_a_bundle_of_before_sources_recorded_their_copies_still_checks() -> None:
    """tests/assets/stack.unterbau was sealed on 2026-11-26 by the program as it was then; it is never resealed."""
    data = (Path(__file__).parents[1] / "assets" / "stack.unterbau").read_bytes()
    checked = judgements.check_stack(data)
    by = {
        checked.judgement.groups[f.group].technology: f
        for f in checked.judgement.findings
        if f.group is not None and f.rule == "alasca/technology"
    }
    assert by["neo4j"].path == "direct", "what the facts of that time say; it is judged by them"
