# SPDX-License-Identifier: Apache-2.0
"""The engine: laws of three-valued evaluation, paths, facts that expire, what a finding tells."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_world import TODAY, catalogue, fact, judged, only, rules, stack, technology

from unterbau.catalogue.spdx import osi
from unterbau.judge.rule import OPEN
from unterbau.stack.model import Part, Place, Stack, Unread
from unterbau.verdict import Outcome

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
DE = {"name": "Verein e.V.", "form": "association", "seat": "DE"}
US = {"name": "Company Inc", "form": "company", "seat": "US"}
EU_STEWARD = {"fact": "steward", "where": {"seat": "$EU"}, "text": "the steward is in the EU"}
OSI = {"fact": "licence", "where": {"value": {"osi": True}}, "text": "the licence is approved"}

# Leaves of each outcome for a technology with one licence fact.
LEAVES: dict[Outcome, dict[str, Any]] = {
    HELD: {"layer": ["platform-services"]},
    FAILED: {"layer": ["iaas"]},
    NOT_SHOWN: {"fact": "steward"},
}
outcomes = st.sampled_from(list(Outcome))


def see(expression: dict[str, Any], *facts: dict[str, Any], at: date = TODAY, part: str = "one") -> Outcome:
    return only(judged(catalogue(technology("one", *facts)), rules(expression), stack(part), at)).outcome


@pytest.mark.thorough
@given(outcomes, outcomes)
def test_kleene(left: Outcome, right: Outcome) -> None:
    a, b = LEAVES[left], LEAVES[right]
    assert see({"all": [a, b]}) is (left & right) is see({"all": [b, a]})
    assert see({"any": [a, b]}) is (left | right) is see({"any": [b, a]})
    assert see({"not": {"all": [a, b]}}) is see({"any": [{"not": a}, {"not": b}]})
    assert see({"not": {"not": a}}) is left


seats = st.sampled_from(["DE", "US", "FR", "none"])
licences = st.sampled_from(["MIT", "SSPL-1.0", "MIT OR SSPL-1.0", "MIT AND SSPL-1.0", "LicenseRef-own"])
facts = st.one_of(
    seats.map(lambda s: fact("steward", {**DE, "seat": s})),
    seats.map(lambda s: fact("eu_support", {"vendor": "V", "seat": s, "offers": "x"})),
    licences.map(lambda v: fact("licence", v)),
    st.just(fact("foreign_law", {"law": "US CLOUD Act", "on": "C", "because": "x"})),
)
leaves = st.sampled_from(
    [
        EU_STEWARD,
        OSI,
        {"fact": "eu_support", "where": {"seat": "$EU"}},
        {"fact": "foreign_law"},
        {"fact": "source_code"},
    ]
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda es: {"all": es}),
        st.lists(inner, min_size=1, max_size=3).map(lambda es: {"any": es}),
        inner.map(lambda e: {"not": e}),
    ),
    max_leaves=6,
)


@pytest.mark.thorough
@settings(max_examples=100)
@given(expressions, st.lists(facts, max_size=4), st.sampled_from(["steward", "eu_support", "licence", "foreign_law"]))
def test_knowing_less_of_a_kind_never_makes_a_rule_hold(
    expression: dict[str, Any], known: list[dict[str, Any]], kind: str
) -> None:
    """Removing all facts of a kind leaves an outcome as it is, or makes it not shown."""
    before = see(expression, *known)
    after = see(expression, *[f for f in known if f["kind"] != kind])
    assert after in (before, NOT_SHOWN)


@pytest.mark.thorough
@settings(max_examples=100)
@given(expressions, st.lists(facts, max_size=4))
def test_expired_is_not_shown(expression: dict[str, Any], known: list[dict[str, Any]]) -> None:
    assert see(expression, *known, at=date(2027, 11, 2)) is NOT_SHOWN


@pytest.mark.thorough
@given(st.lists(facts, max_size=4))
def test_absent_is_what_the_rule_says_and_only_for_what_nobody_knows(known: list[dict[str, Any]]) -> None:
    asked = {"fact": "sovereignty_claim", "absent": "failed"}
    assert see(asked, *known) is FAILED
    claim = fact("sovereignty_claim", {"by": "V", "says": "sovereign"}, expires="2026-11-02")
    assert see(asked, *known, claim) is NOT_SHOWN, "an expired claim is no absent one"


def test_a_fact_that_is_not_yet_true_does_not_count() -> None:
    licence = fact("licence", "MIT", since="2026-12-01")
    assert see(OSI, licence) is NOT_SHOWN
    assert see(OSI, licence, at=date(2026, 12, 1)) is HELD


REDIS = (
    fact("licence", "BSD-3-Clause", versions="<7.4"),
    fact("licence", "LicenseRef-RSALv2 OR SSPL-1.0", versions=">=7.4,<8", since="2024-03-20"),
    fact("licence", "LicenseRef-RSALv2 OR SSPL-1.0 OR AGPL-3.0-only", versions=">=8"),
)


@pytest.mark.parametrize(
    ("part", "outcome"),
    [("one@7.2.5", HELD), ("one@7.4.1", FAILED), ("one@8.0", HELD), ("one", NOT_SHOWN), ("one@latest", NOT_SHOWN)],
)
def test_the_licence_depends_on_the_version(part: str, outcome: Outcome) -> None:
    assert see(OSI, *REDIS, part=part) is outcome


def test_without_version_what_all_versions_share_is_known() -> None:
    both = (fact("licence", "Apache-2.0", versions="<8"), fact("licence", "AGPL-3.0-only", versions=">=8"))
    assert see(OSI, *both) is HELD
    assert see(OSI, both[0]) is NOT_SHOWN, "later versions are not covered"


def test_a_finding_tells_since_when_and_what_instead() -> None:
    other = technology("other", fact("licence", "BSD-3-Clause"))
    one = technology("one", *REDIS, fact("alternative", "other"), fact("alternative", "ext:third"))
    found = only(judged(catalogue(one, other), rules({**OSI}), stack("one@7.4", "one@7.4.2")))
    assert (found.outcome, found.path) == (FAILED, "failed")
    assert "SSPL-1.0" in found.reason
    assert "versions >=7.4,<8" in found.since
    assert "2024-03-20" in found.since
    assert found.facts == ("one:licence:1",)
    assert [(i.technology, i.outcome) for i in found.instead] == [("other", HELD), ("ext:third", NOT_SHOWN)]
    assert found.until == date(2027, 11, 1)


def test_what_is_missing_and_where_to_look() -> None:
    found = only(judged(catalogue(technology("one")), rules(EU_STEWARD), stack("one")))
    assert found.path == "not shown"
    assert str(found.missing[0].what) == "steward of One"
    assert found.missing[0].where


def test_the_version_that_ends_is_when_holding_ends() -> None:
    one = technology("one", fact("licence", "MIT"), fact("end_of_life", "2027-03-01", versions="7"))
    found = judged(catalogue(one), rules(OSI, {"supported": True}), stack("one@7.1"))
    assert {f.until for f in found.findings} == {date(2027, 3, 1)}
    assert [(e.day, e.ended) for e in found.ending] == [(date(2027, 3, 1), False)]
    later = judged(catalogue(one), rules({"supported": True}), stack("one@7.1"), date(2027, 3, 2))
    assert only(later).outcome is FAILED
    assert later.ending[0].ended


def test_paths_and_never() -> None:
    rule = {
        "paths": {"direct": EU_STEWARD, "osi": OSI},
        "never": {"all": [{"claim": "sovereign", "absent": "failed"}, {"fact": "foreign_law"}]},
    }
    law = fact("foreign_law", {"law": "US CLOUD Act", "on": "Company", "because": "US company"})
    one = technology("one", fact("steward", US), fact("licence", "MIT"), law)
    two = technology("two", fact("steward", DE))
    found = judged(catalogue(one, two), rules(rule), stack("one", "two"))
    assert [f.path for f in found.findings] == ["exception:osi", "direct"]
    washed = only(judged(catalogue(one), rules(rule), stack("one", claims={"sovereign": True})))
    assert (washed.path, washed.outcome) == ("failed", FAILED)
    assert str(washed.reason).startswith("never")
    unclear = only(judged(catalogue(two), rules(rule), stack("two", claims={"sovereign": True})))
    assert unclear.outcome is NOT_SHOWN, "whether foreign law reaches it is not known"


def test_several_stewards_must_all_fit_if_the_rule_says_so() -> None:
    both = (fact("steward", DE), fact("steward", US))
    assert see(EU_STEWARD, *both) is HELD
    assert see({**EU_STEWARD, "every": True}, *both) is FAILED


def test_kinds_that_nobody_can_list_are_not_refuted() -> None:
    support = fact("eu_support", {"vendor": "V", "seat": "CH", "offers": "x"})
    assert "eu_support" in OPEN
    assert see({"fact": "eu_support", "where": {"seat": "$EU"}}, support) is NOT_SHOWN


def test_rules_of_the_stack() -> None:
    known = catalogue(technology("one"), technology("cloud", layer="iaas", functions=["compute"]))
    has = {"of": "stack", "paths": {"direct": {"some": {"layer": ["iaas"]}, "text": "there is IaaS"}}}
    assert only(judged(known, rules(has), stack("one", "cloud"))).outcome is HELD
    assert only(judged(known, rules(has), stack("one"))).outcome is FAILED
    stranger = only(judged(known, rules(has), stack("one", "nobody")))
    assert stranger.outcome is NOT_SHOWN
    assert "1 part was not recognised" in stranger.reason
    unread = stack("one", unread=(Unread(Place("x.yaml"), "strange"),))
    assert only(judged(known, rules(has), unread)).outcome is NOT_SHOWN
    assert only(judged(known, rules(has), stack())).outcome is NOT_SHOWN


def test_coverage_and_what_is_hidden() -> None:
    needs = fact("depends_on", {"technology": "base", "why": "keeps its state"})
    further = fact("depends_on", {"technology": "ext:kernel", "why": "runs on it"})
    known = catalogue(
        technology("one", needs, functions=["compute"]), technology("base", further, fact("alternative", "like")),
        technology("like"),
    )  # fmt: skip
    found = judged(known, rules(OSI), stack("one", "like"))
    covered = {c.name: c.outcome for c in found.coverage if c.kind == "function"}
    assert covered["compute"] is HELD
    assert covered["backup"] is FAILED
    assert [(h.technology, h.needed_by, h.covered_by) for h in found.hidden] == [
        ("base", ("one",), "like"), ("ext:kernel", ("base",), None),
    ]  # fmt: skip


def test_strangers_are_listed_and_their_licence_counts() -> None:
    parts = tuple(Part(str(n), f"lib{n}", "1", licence="MIT" if n % 2 else None) for n in range(10))
    found = judged(catalogue(), rules(OSI), Stack("s", parts))
    assert found.unrecognised == tuple(sorted(found.unrecognised, key=found.unrecognised.index))
    assert set(found.unrecognised) == set(range(10))
    assert {f.outcome for f in found.findings} == {HELD, NOT_SHOWN}
    assert len(found.groups) == 2


def test_equal_facts_make_one_group() -> None:
    one = technology("one", *REDIS)
    found = judged(catalogue(one), rules(OSI), stack("one@7.0", "one@7.2", "one@7.4", "one@8.0"))
    assert [g.versions for g in found.groups] == [("7.0", "7.2"), ("7.4",), ("8.0",)]


def test_the_owner_may_say_facts_and_they_are_told_as_his() -> None:
    own = technology("x", fact("eu_operator", {"operator": "We", "seat": "DE", "offers": "our own data centre"})).facts
    made = stack("one", facts=own)
    found = only(judged(catalogue(technology("one")), rules({"fact": "eu_operator"}), made))
    assert found.outcome is HELD
    assert found.facts[0].startswith("owner:")


def test_steps_build_on_each_other() -> None:
    steps = [
        {"objective": "O", "level": n, "paths": {"direct": LEAVES[o]}}
        for n, o in enumerate([HELD, HELD, NOT_SHOWN, HELD, FAILED])
    ]
    found = judged(catalogue(technology("one")), rules(*steps), stack("one"))
    assert {(s.group, s.shown, s.not_above) for s in found.ladders} == {(0, 1, 3), (None, 1, 3)}


@pytest.mark.parametrize(
    ("expression", "outcome", "choice"),
    [
        ("MIT", HELD, ""),
        ("GPL-2.0+", HELD, ""),
        ("GPL-2.0-only WITH Classpath-exception-2.0", HELD, ""),
        ("BUSL-1.1", FAILED, ""),
        ("LicenseRef-RSALv2 OR SSPL-1.0 OR AGPL-3.0-only", HELD, "AGPL-3.0-only"),
        ("MIT AND SSPL-1.0", FAILED, ""),
        ("LicenseRef-mixed", NOT_SHOWN, ""),
        ("not ( a licence", NOT_SHOWN, ""),
        ("", NOT_SHOWN, ""),
    ],
)
def test_what_the_osi_approved(expression: str, outcome: Outcome, choice: str) -> None:
    assert osi(expression, identified=True) == (outcome, choice)


def test_an_unknown_licence_of_an_sbom_is_not_refuted() -> None:
    assert osi("LicenseRef-1", identified=True)[0] is FAILED
    assert osi("LicenseRef-1", identified=False)[0] is NOT_SHOWN


# --- owners, tools, sources that contradict each other

CHAIN = {"chain": "steward", "where": {"seat": "$EU"}, "text": "the steward and its owners are in the EU"}
ANY_US = {"chain": "steward", "where": {"seat": "US"}, "one": True}
AB = {"name": "AB", "form": "company", "seat": "SE"}


def owner(name: str, seat: str, of: str, kind: str = "parent", **more: Any) -> dict[str, Any]:
    return fact(kind, {"name": name, "seat": seat, "of": of, **more})


@pytest.mark.parametrize(
    ("known", "held", "in_us"),
    [
        ([], NOT_SHOWN, NOT_SHOWN),
        ([fact("steward", AB)], NOT_SHOWN, NOT_SHOWN),
        ([fact("steward", DE)], HELD, FAILED),
        ([fact("steward", US)], FAILED, HELD),
        ([fact("steward", AB), owner("Inc", "US", "AB")], FAILED, HELD),
        ([fact("steward", AB), owner("SE", "DE", "AB")], NOT_SHOWN, NOT_SHOWN),
        ([fact("steward", AB), owner("SE", "DE", "AB"), owner("SE", "DE", "SE", "ultimate_parent")], HELD, FAILED),
        ([fact("steward", AB), owner("Bund", "DE", "AB", form="public-body")], HELD, FAILED),
        ([fact("steward", AB), owner("SE", "DE", "AB", "ultimate_parent")], NOT_SHOWN, NOT_SHOWN),
        ([fact("steward", AB), owner("AB", "SE", "AB", "ultimate_parent")], HELD, FAILED),
        ([fact("steward", AB), owner("SE", "DE", "AB"), owner("Inc", "US", "SE")], FAILED, HELD),
        ([fact("steward", AB), owner("AB", "SE", "AB", "ultimate_parent"), fact("seat", {"of": "AB", "seat": "US"})], FAILED, HELD),
        ([fact("steward", AB), owner("SE", "DE", "AB"), owner("AB", "SE", "SE")], NOT_SHOWN, NOT_SHOWN),
        ([fact("steward", AB), {**owner("SE", "DE", "AB"), "expires": "2026-11-02"}], NOT_SHOWN, NOT_SHOWN),
    ],
)  # fmt: skip
def test_the_chain_of_owners_to_its_end(known: list[dict[str, Any]], held: Outcome, in_us: Outcome) -> None:
    assert see(CHAIN, *known) is held
    assert see(ANY_US, *known) is in_us


def test_a_gap_in_the_chain_names_whose_owner_is_not_known() -> None:
    known = catalogue(technology("one", fact("steward", AB), owner("SE", "DE", "AB")))
    found = only(judged(known, rules(CHAIN), stack("one")))
    assert found.path == "not shown"
    assert "who owns SE is not known" in found.reason
    assert str(found.missing[0].what) == "parent of SE"
    assert found.facts == ("one:steward:0", "one:parent:1")


def test_an_absent_rights_holder_is_what_the_rule_says_an_unknown_owner_never() -> None:
    asked = {"chain": "rights_holder", "where": {"seat": "US"}, "one": True, "absent": "failed"}
    assert see(asked) is FAILED
    assert see(asked, fact("rights_holder", AB)) is NOT_SHOWN
    assert see(asked, fact("rights_holder", AB, expires="2026-11-02")) is NOT_SHOWN


def test_a_tool_is_not_asked_who_operates_it() -> None:
    asked = {"any": [{"not": {"operated": True}}, {"fact": "eu_operator"}]}
    tool, service = technology("tool", tool=True), technology("service")
    found = judged(catalogue(tool, service), rules(asked), stack("tool", "service", "stranger"))
    outcomes = {found.groups[f.group].name: f.outcome for f in found.findings if f.group is not None}
    assert outcomes == {"Tool": HELD, "Service": NOT_SHOWN, "stranger": NOT_SHOWN}


def test_ends_of_which_sources_say_two_days_are_not_shown_once_one_has_passed() -> None:
    imported = {"url": "https://example.org/set", "read": "2026-11-01", "says": "x", "data_set": "a set"}
    early, late = fact("end_of_life", "2026-11-01"), fact("end_of_life", "2027-01-01", source=imported)
    assert see({"supported": True}, early, late) is NOT_SHOWN
    assert see({"supported": True}, early, late, at=date(2026, 10, 1)) is HELD
    assert see({"supported": True}, early, fact("end_of_life", "2027-01-01")) is HELD, "as in every older bundle"


def test_a_source_in_the_older_form_is_read_and_written_as_it_was() -> None:
    known = technology("one", fact("licence", "MIT"))
    assert set(known.facts[0].source.model_dump(mode="json")) == {"url", "read", "says", "as_of"}
    assert "tool" not in known.model_dump(mode="json")
