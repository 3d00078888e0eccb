# SPDX-License-Identifier: Apache-2.0
"""What a judgement tells beside its outcomes: names, reasons, whose word, what is missing and where, what comes next.

Each is what somebody acts on. And versions in the order in which they come out.
"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from judge_world import SOURCE, TODAY, catalogue, fact, judged, only, rules, stack, technology

from unterbau.catalogue.model import Layer
from unterbau.catalogue.versions import exhaustive, parse, parse_range, within
from unterbau.errors import UsageError
from unterbau.judge import engine
from unterbau.judge.engine import view_of
from unterbau.judge.judgement import Finding, Judgement, Missing
from unterbau.stack.model import Part, Place, Stack, Unread
from unterbau.verdict import Outcome

HELD, FAILED, NOT_SHOWN = Outcome.HELD, Outcome.FAILED, Outcome.NOT_SHOWN
OSI = {"fact": "licence", "where": {"value": {"osi": True}}, "text": "the licence is approved"}
IAAS = {"layer": ["iaas"]}
SERVICE = {"layer": ["platform-services"]}
UNKNOWN = {"fact": "steward"}


def of_stack(expression: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"of": "stack", "paths": {"direct": expression}, **more}


def by_part(judgement: Judgement) -> dict[str, Finding]:
    return {judgement.groups[f.group].name: f for f in judgement.findings if f.group is not None}


# --- versions

IN_ORDER = ("1.9", "2.0.dev1", "2.0a1", "2.0-alpha.2", "2.0b1", "2.0-beta2", "2.0-pre1", "2.0-preview.2", "2.0rc1",
            "2.0-rc.2", "2.0", "2.0.1", "2.10")  # fmt: skip


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(IN_ORDER)))
def test_versions_come_one_after_the_other(earlier: str, later: str) -> None:
    first, second = parse(earlier), parse(later)
    assert first is not None and second is not None and first < second


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("v1.2", (1, 2)), ("V1.2", (1, 2)), ("r7", (7,)), ("rel-3.4", (3, 4)), ("release/3.4", (3, 4)), ("version 5", (5,)),
        ("stable_2.1", (2, 1)), ("5:7.0.15-1~deb12u1", (7, 0, 15)), ("1!2.0", (2, 0)), (" 8 ", (8,)),
        ("2024-05-10", (2024, 5, 10)), ("2024-05-10T01-41-38Z", (2024, 5, 10)), ("1.2-3", (1, 2)), ("1.33.1+k3s1", (1, 33, 1)),
        ("1.2-alpine", (1, 2)), ("1.2-c7", (1, 2)),
    ],
)  # fmt: skip
def test_the_numbers_of_a_version_as_people_write_it(text: str, numbers: tuple[int, ...]) -> None:
    found = parse(text)
    assert found is not None and found[0] == numbers


@pytest.mark.parametrize(
    "text", ["latest", "", "9f3c2ab", "main", "rolling", "abcdef0123456789abcdef0123456789abcdef01"]
)
def test_what_is_no_version_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("text", ["1234567", "20240510"])
def test_digits_alone_are_no_commit(text: str) -> None:
    assert parse(text) == ((int(text),), (9, 0))


@pytest.mark.parametrize(
    ("version", "limits", "inside"),
    [
        ("2", "=2.4", None), ("2", "!=2.4", None), ("3", "=2.4", False), ("3", "==2.4", False), ("3", "!=2.4", True),
        ("2.4.9", "=2.4", True), ("2.4.9", "==2.4", True), ("2.4.9", "!=2.4", False), ("2.4", "!=2.4", False),
        ("2.4", ">2.4", False), ("2.4.9", ">2.4", False), ("2.5", ">2.4", True), ("2", ">2.4", None), ("2", ">=2.0", True),
        ("2", "<=2.4", None), ("1", "<=2.4", True), ("2.4.9", "<=2.4", True), ("2.5", "<=2.4", False), ("2", "<2.0", False),
        ("2.4", "*", True), ("latest", " * ", True), ("2.4", "<2 || *", True), ("2.4", "<2||>=2.4", True),
        ("2", "<1 || <2.4", None), ("2", "<2.4 || >=2", True), ("2", ">=3,<2.4", False), ("2", ">=2,<2.4", None),
        ("2.0rc1", "<2.0rc2", True), ("2.0rc2", "<2.0rc2", False), ("2.0rc2", "=2.0rc2", True), ("2.0", ">2.0rc2", True),
        ("2.0rc1", "=2.0", True), ("1.9.9", ">=2.0a1", False), ("2.0", "=2.0rc1", False), ("2.0b1", "<=2.0b1", True),
    ],
)  # fmt: skip
def test_a_bound_is_compared_at_its_own_precision(version: str, limits: str, inside: bool | None) -> None:
    assert within(version, limits) is inside


def test_a_term_that_is_none_is_named_with_its_range_and_with_what_to_write() -> None:
    with pytest.raises(UsageError) as caught:
        parse_range(">=7, <<8")
    assert caught.value.what == "version range '>=7, <<8': '<<8' is no term" and "`>=7.4,<8`" in caught.value.remedy


def test_what_is_between_below_and_above_the_bounds_is_covered_or_not() -> None:
    assert exhaustive(["*"]) and exhaustive(["<1 || >=1"]) and exhaustive(["<=7.3", ">=7.4"])
    assert exhaustive(["<2.0", "=2.0", ">2.0"])
    for holes in (
        ["<=7.3", ">7.4"],
        [">=1"],
        ["<=10"],
        ["<7.4", ">7.4"],
        ["=1"],
        ["<5", ">=5,<6", ">=7"],
        ["<=0.9", ">=1"],
        ["<=6.9", ">=7"],
        [],
    ):
        assert not exhaustive(holes), holes
    assert not exhaustive(["<=2.0.5", ">=2.1"]), "2.0.6 lies between them"


# --- groups and names


def test_a_group_is_named_after_what_it_is_and_holds_each_version_once_in_order() -> None:
    named = technology("one", fact("licence", "MIT"))
    found = judged(catalogue(named), rules(OSI), stack("one@10", "one@9", "one@9", "one", "zzz@1"))
    first, second = found.groups
    assert (first.id, first.technology, first.name, first.layer) == (0, "one", "One", "platform-services")
    assert first.versions == ("9", "10") and first.parts == (0, 1, 2, 3)
    assert (second.id, second.technology, second.name, second.layer) == (1, None, "zzz", None)
    assert found.unrecognised == (4,) and found.stack == "test" and found.at == TODAY
    assert [p.name for p in found.parts] == ["one", "one", "one", "one", "zzz"]


def test_strangers_of_one_kind_are_one_group_that_says_how_many() -> None:
    parts = tuple(Part(f"lib{n}", f"lib{n}", "1", licence="MIT", layer=Layer.OPERATION) for n in range(3))
    found = judged(catalogue(), rules(OSI, IAAS), Stack("s", parts))
    assert [(g.name, g.layer, g.parts) for g in found.groups] == [("lib0 and 2 more", "operation", (0, 1, 2))]
    assert [f.outcome for f in found.findings] == [HELD, FAILED]


def test_parts_that_somebody_says_other_things_of_are_no_group() -> None:
    known = catalogue(technology("one"))
    parts = tuple(Part(n, n, "1", technology="one", claims={"sovereign": v}) for n, v in (("a", True), ("b", False)))
    assert len(judged(known, rules(OSI), Stack("s", parts)).groups) == 2


def test_a_codename_is_the_version_that_it_names() -> None:
    known = technology("debian", fact("licence", "MIT", versions=">=12"), fact("licence", "SSPL-1.0", versions="<12"),
                       codenames={"bookworm": "12", "bullseye": "11"})  # fmt: skip
    found = judged(catalogue(known), rules(OSI), stack("debian@Bookworm", "debian@bullseye", "debian@12"))
    assert {frozenset(g.versions): f.outcome for g, f in zip(found.groups, found.findings, strict=True)} == {
        frozenset(("12", "Bookworm")): HELD, frozenset(("bullseye",)): FAILED,
    }  # fmt: skip
    alone = view_of(known, "Bookworm", TODAY)
    assert [f.id for f in alone.known["licence"]] == ["debian:licence:0"] and alone.version_known
    assert (alone.name, alone.layer, alone.technology) == ("Debian", known.layer, known)
    nobody = view_of(known, None, TODAY)
    assert not nobody.version_known and [f.id for f, _ in nobody.unsure["licence"]] == [
        "debian:licence:0",
        "debian:licence:1",
    ]


# --- whose word it is


def test_a_licence_that_only_the_input_names_is_told_as_its_word_and_not_for_ever() -> None:
    part = Part("lib", "lib", "1", licence="MIT", where=(Place("sbom.json", "line 3"),))
    found = judged(catalogue(), rules(OSI), Stack("s", (part,)))
    one = only(found)
    assert (one.outcome, one.facts, one.until) == (HELD, ("input:0:licence",), None)
    (told,) = found.facts
    assert (told.technology, told.fact.confidence, told.fact.expires) == ("lib", "low", TODAY)
    assert told.fact.source.url == str(part.where[0]) and told.fact.source.read == TODAY
    assert told.fact.source.says == "The input names the licence MIT."
    bare = judged(catalogue(), rules(OSI), Stack("s", (Part("lib", "lib", "1", licence="MIT"),)))
    assert bare.facts[0].fact.source.url == "the input"


def test_what_the_catalogue_knows_of_a_licence_goes_before_what_the_input_says() -> None:
    known = catalogue(technology("one", fact("licence", "SSPL-1.0")))
    part = Part("one", "one", "1", technology="one", licence="MIT")
    assert only(judged(known, rules(OSI), Stack("s", (part,)))).outcome is FAILED
    unsure = catalogue(technology("one", fact("licence", "SSPL-1.0", versions="<2")))
    part = Part("one", "one", "latest", technology="one", licence="MIT")
    assert only(judged(unsure, rules(OSI), Stack("s", (part,)))).outcome is NOT_SHOWN


def test_the_owners_facts_are_told_as_his_and_hold_for_the_versions_that_he_says() -> None:
    own = technology("x", fact("eu_operator", {"operator": "We", "seat": "DE", "offers": "x"}, versions="<2")).facts
    found = judged(catalogue(technology("one")), rules({"fact": "eu_operator"}),
                   stack("one@1", "one@2", facts=own))  # fmt: skip
    assert [f.outcome for f in found.findings] == [NOT_SHOWN], "the two versions differ, and he speaks of one"
    found = judged(catalogue(technology("one")), rules({"fact": "eu_operator"}), stack("one@1", facts=own))
    assert only(found).outcome is HELD
    (told,) = found.facts
    assert (told.id, told.technology) == ("owner:0:eu_operator:0", "One")


# --- rules that concern some parts only


def test_a_rule_concerns_only_what_it_applies_to_and_says_so_where_that_is_not_known() -> None:
    known = catalogue(
        technology("one"),
        technology("cloud", fact("steward", {"name": "V", "form": "company", "seat": "DE"}), layer="iaas"),
    )
    asked = {"paths": {"direct": SERVICE}, "applies": UNKNOWN}
    found = by_part(judged(known, rules(asked), stack("one", "cloud")))
    assert (found["One"].outcome, found["One"].path) == (NOT_SHOWN, "not shown")
    assert (
        str(found["One"].reason).startswith("whether it applies: ")
        and str(found["One"].missing[0].what) == "steward of One"
    )
    assert (found["Cloud"].outcome, found["Cloud"].path) == (FAILED, "failed")
    assert by_part(judged(known, rules({**asked, "applies": IAAS}), stack("one", "cloud"))).keys() == {"Cloud"}


def test_what_undoes_a_rule_and_is_not_known_is_told_with_what_is_missing() -> None:
    asked = {"paths": {"direct": SERVICE}, "never": {"fact": "foreign_law", "text": "foreign law reaches it"}}
    law = fact("foreign_law", {"law": "US CLOUD Act", "on": "Company", "because": "US company"})
    found = by_part(judged(catalogue(technology("one"), technology("two", law)), rules(asked), stack("one", "two")))
    assert (found["One"].outcome, found["One"].path) == (NOT_SHOWN, "not shown")
    assert "foreign law reaches it" in found["One"].reason and str(found["One"].missing[0].what) == "foreign_law of One"
    assert (found["Two"].outcome, found["Two"].path) == (FAILED, "failed")
    assert str(found["Two"].reason).startswith("never: foreign law reaches it") and found["Two"].facts == (
        "two:foreign_law:0",
    )


def test_a_failure_of_several_paths_names_each_and_one_of_a_single_path_only_the_reason() -> None:
    licence = fact("licence", "SSPL-1.0")
    asked = {"paths": {"direct": OSI, "other": IAAS}}
    found = only(judged(catalogue(technology("one", licence)), rules(asked), stack("one")))
    assert str(found.reason).startswith("direct: not: the licence is approved") and "; other: " in found.reason
    assert found.facts == ("one:licence:0",) and found.missing == () and found.path == "failed"
    found = only(judged(catalogue(technology("one", licence)), rules(OSI), stack("one")))
    assert str(found.reason).startswith("not: the licence is approved")
    unclear = only(
        judged(catalogue(technology("one", licence)), rules({"paths": {"a": OSI, "b": UNKNOWN}}), stack("one"))
    )
    assert (unclear.path, unclear.outcome) == ("not shown", NOT_SHOWN) and "approved" not in unclear.reason
    assert [str(m.what) for m in unclear.missing] == ["steward of One"]


def test_a_definition_is_used_by_its_name() -> None:
    made = rules({"all": [{"use": "open"}, SERVICE]}, define={"open": OSI})
    assert only(judged(catalogue(technology("one", fact("licence", "MIT"))), made, stack("one"))).outcome is HELD


def test_a_definition_is_used_wherever_an_expression_stands() -> None:
    known = catalogue(technology("one", fact("licence", "MIT")), technology("two", layer="iaas"))
    used = {"use": "there"}
    asked = rules(
        {"paths": {"direct": OSI}, "applies": used}, {"paths": {"direct": OSI}, "never": used},
        of_stack({"some": used}), of_stack({"each": {"not": used}}), {"not": used}, {"any": [IAAS, used]}, define={"there": SERVICE},
    )  # fmt: skip
    found = judged(known, asked, stack("one", "two"))
    by_rule: dict[str, list[Outcome]] = {}
    for one in found.findings:
        by_rule.setdefault(one.rule, []).append(one.outcome)
    assert by_rule == {
        "set/r0": [HELD], "set/r1": [FAILED, NOT_SHOWN], "set/r2": [HELD], "set/r3": [FAILED], "set/r4": [FAILED, HELD],
        "set/r5": [HELD, HELD],
    }  # fmt: skip


def test_what_only_a_person_can_answer_names_whom_to_ask() -> None:
    found = only(judged(catalogue(technology("one")), rules({"ask": "who holds the keys"}), stack("one")))
    assert (found.outcome, found.reason) == (NOT_SHOWN, "who holds the keys")
    assert found.missing == (
        Missing(what="who holds the keys", where="whoever runs the stack", kind="answer", of="test"),
    )


def test_a_measure_is_looked_up_by_the_technology() -> None:
    asked = rules({"measure": "authors", "at_least": 3, "text": "three people write it"})
    known, made = catalogue(technology("one"), technology("two"), technology("few")), stack("one", "two", "few")
    found = engine.judge(
        made, known, [asked], TODAY, {"one": {"authors": (3, "one.log")}, "few": {"authors": (2, "few.log")}}
    )
    told = by_part(found)
    assert {n: f.outcome for n, f in told.items()} == {"One": HELD, "Two": NOT_SHOWN, "Few": FAILED}
    assert (
        str(told["One"].reason) == "three people write it (3; one.log)" and told["Two"].missing[0].kind == "measurement"
    )


@pytest.mark.parametrize(
    ("expression", "outcomes"),
    [
        ({"layer": ["iaas", "operation"]}, (FAILED, HELD, NOT_SHOWN)),
        ({"function": ["compute", "backup"]}, (FAILED, HELD, NOT_SHOWN)),
        ({"technology": ["cloud", "else"]}, (FAILED, HELD, NOT_SHOWN)),
        ({"operated": True}, (FAILED, HELD, NOT_SHOWN)),
    ],
)
def test_what_a_thing_is(expression: dict[str, Any], outcomes: tuple[Outcome, ...]) -> None:
    known = catalogue(technology("one", tool=True), technology("cloud", layer="iaas", functions=["compute"]))
    found = by_part(judged(known, rules(expression), stack("one", "cloud", "stranger")))
    assert (found["One"].outcome, found["Cloud"].outcome, found["stranger"].outcome) == outcomes
    assert found["One"].reason and found["stranger"].reason and found["stranger"].missing
    words = next(iter(expression.values()))
    if isinstance(words, list):
        assert all(word in found["Cloud"].reason for word in words)


# --- rules of the whole stack


def test_one_part_and_each_part_name_those_that_decide() -> None:
    known = catalogue(*(technology(f"t{n}", fact("licence", "MIT" if n else "SSPL-1.0")) for n in range(9)))
    made = stack(*(f"t{n}" for n in range(9)))
    some, each, none = judged(
        known, rules(of_stack({"some": OSI, "text": "one is open"}), of_stack({"each": OSI, "text": "each is open"}),
                     of_stack({"some": IAAS})), made,
    ).findings  # fmt: skip
    assert (some.outcome, some.group) == (HELD, None) and str(some.reason).startswith("one is open (T1, T2")
    assert some.facts == tuple(f"t{n}:licence:0" for n in range(1, 7)), "six are named"
    assert (each.outcome, str(each.reason), each.facts) == (FAILED, "not: each is open (T0)", ("t0:licence:0",))
    assert (none.outcome, str(none.reason)) == (FAILED, "not: one part (9 kinds of part were looked at)")


def test_each_part_that_fails_is_told_however_many() -> None:
    known = catalogue(*(technology(f"t{n}", fact("licence", "SSPL-1.0")) for n in range(9)))
    found = only(judged(known, rules(of_stack({"each": OSI})), stack(*(f"t{n}" for n in range(9)))))
    assert found.facts == tuple(f"t{n}:licence:0" for n in range(9)) and str(found.reason).startswith(
        "not: each part (T0"
    )
    held = only(judged(known, rules(of_stack({"each": SERVICE})), stack("t0", "t1")))
    assert (held.outcome, str(held.reason)) == (HELD, "each part (2 kinds of part were looked at)")


def test_of_a_stack_that_is_not_wholly_known_it_is_told_what_is_missing() -> None:
    known = catalogue(technology("one"), technology("two"))
    unread = (Unread(Place("a"), "x"), Unread(Place("b"), "y"))
    found = only(
        judged(known, rules(of_stack({"each": UNKNOWN})), stack("one", "two", "nobody", "other", unread=unread))
    )
    assert found.outcome is NOT_SHOWN
    assert str(found.reason) == (
        "whether each part (2 parts were not recognised; not known of One, Two; 2 things in the input were not understood)"
    )
    assert {str(m.what) for m in found.missing} >= {"steward of One", "steward of Two"}
    empty = only(judged(known, rules(of_stack({"each": UNKNOWN})), stack()))
    assert (empty.outcome, str(empty.reason)) == (NOT_SHOWN, "not: each part (the stack has no parts)")


def test_a_stack_speaks_for_itself_where_a_rule_asks_for_its_own_claims() -> None:
    asked = rules(of_stack({"claim": "sovereign"}))
    assert only(judged(catalogue(), asked, Stack("s", (), claims={"sovereign": True}))).outcome is HELD
    assert only(judged(catalogue(), asked, Stack("s", (), claims={"sovereign": False}))).outcome is FAILED
    silent = only(judged(catalogue(), asked, Stack("s", ())))
    assert silent.outcome is NOT_SHOWN and "s" in silent.missing[0].what


# --- what instead, what is hidden, what ends, what is covered


def test_what_could_take_its_place_comes_in_the_order_of_what_is_known_of_it() -> None:
    one = technology(
        "one", fact("licence", "SSPL-1.0"), fact("alternative", "bad"), fact("forked_as", "unknown"), fact("alternative", "good"),
        fact("successor", "good"), fact("alternative", "old", expires="2026-11-22"), fact("alternative", "ext:far"),
    )  # fmt: skip
    others = [
        technology("bad", fact("licence", "SSPL-1.0")),
        technology("unknown"),
        technology("good", fact("licence", "MIT")),
    ]
    judgement = judged(catalogue(one, *others), rules(OSI), stack("one"))
    assert [(i.technology, i.name, i.outcome, i.relation) for i in only(judgement).instead] == [
        ("good", "Good", HELD, "successor"), ("unknown", "Unknown", NOT_SHOWN, "forked_as"),
        ("ext:far", "far", NOT_SHOWN, "alternative"), ("bad", "Bad", FAILED, "alternative"),
    ]  # fmt: skip
    held = only(judged(catalogue(one, *others), rules(SERVICE), stack("one")))
    assert held.outcome is HELD and held.instead == ()


def test_what_could_take_its_place_would_be_run_by_the_same_owner() -> None:
    own = technology("x", fact("eu_operator", {"operator": "We", "seat": "DE", "offers": "x"})).facts
    one = technology("one", fact("licence", "SSPL-1.0"), fact("alternative", "other"))
    asked = rules({"all": [OSI, {"fact": "eu_operator"}]})
    found = only(judged(catalogue(one, technology("other", fact("licence", "MIT"))), asked, stack("one", facts=own)))
    assert [(i.technology, i.outcome) for i in found.instead] == [("other", HELD)]


def needs(name: str, why: str) -> dict[str, Any]:
    return fact("depends_on", {"technology": name, "why": why})


def test_what_the_parts_need_and_nobody_names_is_told_with_who_needs_it_and_why() -> None:
    known = catalogue(
        technology("one", needs("base", "keeps its state"), needs("two", "stands in the stack")), technology("two", needs("base", "also")),
        technology("base", needs("deep", "below"), needs("one", "stands there")), technology("deep", fact("fork_of", "two")),
    )  # fmt: skip
    found = judged(known, rules(OSI), stack("one", "two"))
    base, deep = found.hidden
    assert (base.technology, base.name, base.needed_by, base.why, base.covered_by) == (
        "base", "Base", ("one", "two"), "keeps its state", None,
    )  # fmt: skip
    assert base.facts == ("one:depends_on:0", "two:depends_on:0")
    assert (deep.technology, deep.needed_by, deep.covered_by) == ("deep", ("base",), "two")
    assert {f.id for f in found.facts} >= {"one:depends_on:0", "two:depends_on:0", "base:depends_on:0"}


def test_a_circle_of_needs_ends() -> None:
    known = catalogue(
        technology("one", needs("a", "x")), technology("a", needs("b", "x")), technology("b", needs("a", "y"))
    )
    found = judged(known, rules(OSI), stack("one"))
    assert [(h.technology, h.needed_by) for h in found.hidden] == [("a", ("one", "b")), ("b", ("a",))]


@pytest.mark.parametrize(
    ("days", "ends", "ended"), [(-1, True, True), (0, True, False), (365, True, False), (366, False, False)]
)
def test_what_ends_within_a_year_is_told(days: int, ends: bool, ended: bool) -> None:
    day = TODAY + timedelta(days=days)
    one = technology("one", fact("end_of_life", "2026-01-01"), fact("end_of_life", day.isoformat()))
    found = judged(catalogue(one), rules(OSI), stack("one@1"))
    told = [(e.group, e.day, e.ended, e.fact) for e in found.ending]
    assert told == ([(0, day, ended, "one:end_of_life:1")] if ends else [])
    assert not ends or "one:end_of_life:1" in {f.id for f in found.facts}


def test_an_outcome_stands_until_the_first_of_its_facts_expires_or_the_version_ends() -> None:
    one = technology("one", fact("licence", "MIT", expires="2027-05-05"), fact("end_of_life", TODAY.isoformat()))
    assert only(judged(catalogue(one), rules(OSI), stack("one"))).until == TODAY
    ended = technology("one", fact("licence", "MIT", expires="2027-05-05"), fact("end_of_life", "2026-11-22"))
    assert only(judged(catalogue(ended), rules(OSI), stack("one"))).until == date(2027, 5, 5)
    bad = technology("one", fact("licence", "SSPL-1.0", expires="2027-05-05"), fact("end_of_life", "2027-01-01"))
    assert only(judged(catalogue(bad), rules(OSI), stack("one"))).until == date(2027, 5, 5)
    assert only(judged(catalogue(technology("one")), rules(OSI), stack("one"))).until is None


def test_layers_and_functions_are_covered_by_name_or_it_is_told_why_not() -> None:
    known = catalogue(technology("one", functions=["compute"]), technology("two", functions=["compute"]))
    whole = {(c.kind, c.name): c for c in judged(known, rules(OSI), stack("one", "two", "one@2")).coverage}
    there = whole["function", "compute"]
    assert (there.outcome, there.technologies, there.reason) == (HELD, ("One", "Two"), "")
    assert whole["layer", "platform-services"].technologies == ("One", "Two")
    gap = whole["function", "backup"]
    assert (gap.outcome, gap.technologies, str(gap.reason)) == (FAILED, (), "no part is known to do this")
    assert whole["layer", "iaas"].outcome is FAILED
    unsure = {(c.kind, c.name): c for c in
              judged(known, rules(OSI), stack("one", "nobody", unread=(Unread(Place("a"), "x"),))).coverage}  # fmt: skip
    assert (unsure["layer", "iaas"].outcome, str(unsure["layer", "iaas"].reason)) == (
        NOT_SHOWN,
        "no part is known to do this; 1 part was not recognised; 1 thing in the input was not understood",
    )  # fmt: skip
    assert unsure["function", "compute"].reason == ""


# --- the heads


def test_a_rule_sets_head_says_whose_it_is_and_how_each_rule_ended_over_the_whole() -> None:
    made = rules(
        {"paths": {"direct": OSI}, "references": ["C3A SOV-6-01"], "german": "Die Lizenz ist frei.", "objective": "O", "level": 2},
        SERVICE, {"ask": "x"}, note="A note.",
    )  # fmt: skip
    known = catalogue(technology("one", fact("licence", "MIT")), technology("two", fact("licence", "SSPL-1.0")))
    (head,) = judged(known, made, stack("one", "two")).rule_sets
    assert (head.id, head.name, head.author, head.as_of, head.note) == ("set", "Set", "Somebody", TODAY, "A note.")
    assert [s.url for s in head.sources] == [SOURCE["url"]]
    first, second, third = head.rules
    assert (first.id, first.text, first.of, first.references) == ("set/r0", "Rule 0.", "part", ("C3A SOV-6-01",))
    assert (first.german, first.objective, first.level, first.needs) == ("Die Lizenz ist frei.", "O", 2, "")
    assert [r.outcome for r in head.rules] == [FAILED, HELD, NOT_SHOWN] and (second.needs, third.needs) == (
        "",
        "answer",
    )


def test_a_ladder_is_climbed_by_each_group_and_by_the_whole() -> None:
    def step(level: int, expression: dict[str, Any], objective: str = "O") -> dict[str, Any]:
        return {"objective": objective, "level": level, "paths": {"direct": expression}}

    known = catalogue(technology("one", fact("licence", "MIT")), technology("two", fact("licence", "SSPL-1.0")))
    made = rules(step(3, UNKNOWN), step(1, SERVICE), step(2, OSI), step(1, IAAS, "P"), SERVICE)
    found = judged(known, made, stack("one", "two")).ladders
    assert {s.rule_set for s in found} == {"set"}
    assert {(s.objective, s.group): (s.shown, s.not_above) for s in found} == {
        ("O", 0): (2, None), ("O", 1): (1, 1), ("O", None): (1, 1),
        ("P", 0): (None, 0), ("P", 1): (None, 0), ("P", None): (None, 0),
    }  # fmt: skip


def test_several_rule_sets_are_judged_side_by_side() -> None:
    known = catalogue(technology("one", fact("licence", "MIT")))
    found = engine.judge(stack("one"), known, [rules(OSI), rules(IAAS, id="other")], TODAY)
    assert [(f.rule, f.outcome) for f in found.findings] == [("set/r0", HELD), ("other/r0", FAILED)]
    assert [h.id for h in found.rule_sets] == ["set", "other"]
