# SPDX-License-Identifier: Apache-2.0
"""The judges on a cloud that keeps every rule, on mutations of it that break one, and on clouds that show little."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prove_world import MUTATIONS, NOW, Mutation, good_items, inventory

from unterbau.errors import UsageError
from unterbau.prove.data import load
from unterbau.prove.evaluate import judge
from unterbau.prove.inventory import SECTIONS, Inventory, Status
from unterbau.prove.judges import decide
from unterbau.prove.judges.frame import View
from unterbau.prove.verdicts import CaseOutcome, CaseVerdict, Level, Report, as_verdict

GOOD = good_items()


def outcomes(report: Report) -> dict[str, CaseOutcome]:
    return {case.case: case.outcome for case in report.cases}


WHOLE = outcomes(judge(inventory(), version="all", at=NOW))


def failing(report: Report) -> set[str]:
    return {case.case for case in report.cases if case.outcome is CaseOutcome.FAILED}


@pytest.mark.thorough
def test_the_good_cloud_keeps_every_version_and_every_recommendation() -> None:
    report = judge(inventory(), version="all", at=NOW)
    assert [(v.version, v.outcome.value, v.failed, v.not_shown, v.advice) for v in report.versions] == [
        ("v5.1", "held", 0, 0, 0),
        ("next", "held", 0, 0, 0),
        ("v6", "held", 0, 0, 0),
    ]
    odd = {case.case: case.outcome.value for case in report.cases if case.outcome is not CaseOutcome.HELD}
    absent = {f"scs-0104-source-{name}" for name in ("capi-1", "ubuntu-2204", "ubuntu-2004", "debian-11")}
    documents = {"availability-zones-check", "key-manager-docs-check", "domain-manager-check"}
    assert odd == dict.fromkeys(absent, "not applicable") | dict.fromkeys(documents, "not shown")
    assert not [case for case in report.cases if case.outcome is CaseOutcome.HELD and case.reference]


@pytest.mark.thorough
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_mutation_is_found_by_exactly_the_cases_about_it(mutation: Mutation) -> None:
    report = judge(inventory(mutation.apply(GOOD)), version="all", at=NOW)
    assert failing(report) == mutation.fails
    for case in report.cases:
        assert bool(case.findings) == (case.outcome is CaseOutcome.FAILED), case.case
        for finding in case.findings:
            assert all((finding.object, finding.observed, finding.required, finding.mend)), finding
            assert finding.clause.startswith("https://docs.scs.community/standards/scs-0")
    broken = [case for case in report.cases if case.outcome is CaseOutcome.FAILED]
    must = {version for case in broken if case.level is Level.MUST for version in case.versions}
    assert {v.version for v in report.versions if v.outcome is CaseOutcome.FAILED} == must


def test_there_are_at_least_thirty_mutations_each_about_another_rule() -> None:
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS) >= 30
    covered = {case for m in MUTATIONS for case in m.fails}
    flavors = {flavor.case for flavor in load().flavors}
    never = {"scs-0104-image-capi-1", "scs-0104-image-ubuntu-2204", "scs-0104-image-debian-13"}
    never |= {f"scs-0104-source-{name}" for name in ("capi-1", "ubuntu-2204", "ubuntu-2004", "debian-11")}
    never |= {"scs-0104-source-debian-12", "scs-0104-source-debian-13", "scs-0123-service-placement"}
    never |= {"availability-zones-check", "key-manager-docs-check", "domain-manager-check"}
    assert {case.id for case in load().cases if not case.retired} - covered - flavors - never == set()


@pytest.mark.thorough
def test_every_flavor_case_finds_its_flavor_missing() -> None:
    for wanted in load().flavors:
        items = good_items()
        items["flavors"] = [f for f in items["flavors"] if f["name"] != wanted.name]
        view = View(inventory=inventory(items), at=NOW, case=load().case(wanted.case), data=load())
        assert decide(view).outcome is CaseOutcome.FAILED


def test_an_empty_cloud_proves_nothing_but_the_absence_of_what_must_be_there() -> None:
    report = judge(inventory({name: [] for name in SECTIONS}), version="all", at=NOW)
    held = [case for case in report.cases if case.outcome is CaseOutcome.HELD]
    assert [case.case for case in held] == ["scs-0115-default-rules"]  # no rule lets anyone in: that is shown
    assert {
        c for c in failing(report) if c.startswith(("scs-0102", "scs-0100", "scs-0101", "scs-0114-syntax"))
    } == set()
    assert outcomes(report)["scs-0103-flavor-1v-4"] is CaseOutcome.FAILED


def test_nothing_seen_shows_nothing() -> None:
    report = judge(inventory({}), version="all", at=NOW)
    assert set(outcomes(report).values()) == {CaseOutcome.NOT_SHOWN}
    assert {v.outcome for v in report.versions} == {CaseOutcome.NOT_SHOWN}


@pytest.mark.thorough
@pytest.mark.parametrize("status", [Status.FORBIDDEN, Status.TIMEOUT, Status.ERROR, Status.ABSENT])
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_was_not_seen_leaves_the_other_cases_as_they_are(section: str, status: Status) -> None:
    report = judge(inventory(GOOD, **{section: status}), version="all", at=NOW)
    for case in report.cases:
        if section in load().case(case.case).needs and not case.manual:
            spared = case.case == "scs-0123-swift-s3" and section == "s3_probe"
            not_asked = case.case.startswith("scs-0115") and status is Status.ABSENT
            expected = CaseOutcome.NOT_APPLICABLE if not_asked else CaseOutcome.NOT_SHOWN
            assert case.outcome is expected or (spared and case.outcome is CaseOutcome.NOT_SHOWN), case.case
            assert case.reason
        else:
            assert case.outcome is WHOLE[case.case], case.case


@pytest.mark.thorough
def test_without_write_the_five_say_how_to_show_them() -> None:
    items = good_items()
    del items["write_results"]
    report = judge(inventory(items), version="v5.1", at=NOW)
    five = [case for case in report.cases if load().case(case.case).writes]
    assert len(five) == 5 and all(c.outcome is CaseOutcome.NOT_SHOWN and "--write" in c.reason for c in five)


@pytest.mark.thorough
def test_the_verdicts_of_a_file_are_those_of_the_cloud() -> None:
    seen = inventory()
    again = Inventory.from_json(seen.to_json())
    assert again == seen and judge(again, version="all", at=NOW) == judge(seen, version="all", at=NOW)
    with pytest.raises(UsageError, match="no inventory"):
        Inventory.from_json("{}")


@pytest.mark.thorough
def test_versions_at_a_date() -> None:
    def asked(day: datetime, version: str | None = None) -> list[tuple[str, str]]:
        return [(v.version, v.state.value) for v in judge(inventory(), version=version, at=day).versions]

    assert asked(NOW) == [("v5.1", "effective")]
    assert asked(datetime(2025, 3, 1, tzinfo=UTC)) == [("v4", "warn"), ("v5.1", "effective")]
    assert asked(datetime(2024, 12, 25, tzinfo=UTC)) == [("v4", "effective"), ("v5.1", "effective")]
    assert asked(datetime(2027, 1, 1, tzinfo=UTC), "all") == [("v5.1", "effective"), ("next", "draft"), ("v6", "draft")]
    assert asked(NOW, "v4") == [("v4", "deprecated")]


def test_kaas_and_unknown_versions_are_refused() -> None:
    with pytest.raises(UsageError, match="not judged"):
        judge(inventory(), "scs-compatible-kaas", at=NOW)
    with pytest.raises(UsageError, match="no version v99"):
        judge(inventory(), version="v99", at=NOW)
    with pytest.raises(UsageError, match="no scope"):
        judge(inventory(), "scs-compatible-paas", at=NOW)
    with pytest.raises(UsageError, match="is in force"):
        judge(inventory(), at=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.thorough
def test_what_breaks_next() -> None:
    items = good_items()
    items["catalog"] = [s for s in items["catalog"] if s["type"] != "object-store-s3"]
    items["images"] = [i for i in items["images"] if i["name"] != "Ubuntu 26.04"]
    items["images"][0]["provided_until"] = "2027-05-31"
    report = judge(inventory(items), at=NOW)
    assert [v.outcome.value for v in report.versions] == ["held"]
    assert {change.case for change in report.coming if change.breaks} == {
        "scs-0123-service-s3",
        "scs-0104-v2-ubuntu-lts",
    }
    dated = [(str(change.when), str(change.what)) for change in report.coming if change.when]
    assert ("2026-12-24", "image Debian 13 must have been replaced (monthly, and three days)") in dated
    assert ("2027-05-31", "image Ubuntu 24.04 is provided and updated until this day") in dated
    assert any("scs-0123-v1, whose text is deprecated" in note for note in report.notes)


@pytest.mark.thorough
def test_the_date_decides_which_release_is_the_newest() -> None:
    def at(day: str) -> CaseVerdict:
        report = judge(inventory(), version="v6", at=datetime.fromisoformat(f"{day}T00:00:00+00:00"))
        return next(case for case in report.cases if case.case == "scs-0104-v2-ubuntu-lts")

    assert "24.04" in at("2026-04-29").note and "26.04" in at("2026-04-30").note


def test_requests_and_sections_stand_in_the_verdict() -> None:
    report = judge(inventory(), version="v5.1", at=NOW)
    case = next(c for c in report.cases if c.case == "scs-0100-syntax-check")
    assert case.sections == ("flavors",) and case.requests == ("r2",)
    verdict = as_verdict(case, "cloud good", ())
    assert verdict.claim.kind == "must" and verdict.outcome.value == "held"


JUNK: tuple[Any, ...] = (
    *(None, "", " ", "x", "nan", "1e999", "9999-12-31", "2026-11-20T08:00:00+02:00", "[scs:", "SCS-", "SCS-1V-1:1"),
    *(True, False, -1, 0, 1.5, 10**30, [], ["x"], {}, {"scs:name-v2": "?"}, {"scs:cpu-type": None}),
)


@pytest.mark.thorough
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_a_cloud_that_answers_nonsense_breaks_no_judge(draw: st.DataObject) -> None:
    items = good_items()
    section = draw.draw(st.sampled_from([s for s in SECTIONS if items.get(s)]))
    changed = items[section] = items[section][-6:]
    item = draw.draw(st.sampled_from(changed))
    for key in draw.draw(st.lists(st.sampled_from(sorted(item)), max_size=3, unique=True)):
        item[key] = draw.draw(st.sampled_from(JUNK))
    for key in draw.draw(st.lists(st.sampled_from(sorted(item)), max_size=2, unique=True)):
        del item[key]
    seen = inventory(items)
    for case in load().cases:
        if section in case.needs and not case.retired:
            decision = decide(View(inventory=seen, at=NOW, case=case, data=load()))
            assert bool(decision.findings) == (decision.outcome is CaseOutcome.FAILED) and decision.reason
    assert judge(seen, version="all", at=NOW).coming
