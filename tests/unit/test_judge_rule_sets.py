# SPDX-License-Identifier: Apache-2.0
"""The rule sets that come with the program: each criterion with its address, and what nobody could read named as such."""

from __future__ import annotations

import re

import pytest
from judge_world import TODAY

from unterbau import catalogue
from unterbau.judge import engine, rules
from unterbau.judge.rule import RuleSet
from unterbau.judge.summary import Sorted
from unterbau.stack.model import Part, Stack
from unterbau.stack.recognise import recognise
from unterbau.verdict import Outcome

SETS = {s.id: s for s in rules.load()}
CALCULATOR = {"SOV-1": 8, "SOV-2": 6, "SOV-3": 5, "SOV-4": 6, "SOV-5": 7, "SOV-6": 5, "SOV-7": 7, "SOV-8": 4}
"""How many criteria each objective has in the calculator of 1 June 2026."""


def addresses(rule_set: RuleSet, pattern: str) -> set[str]:
    return {m for r in rule_set.rules for ref in r.references for m in re.findall(pattern, ref)}


def test_all_48_criteria_stand_in_the_framework_each_with_its_number() -> None:
    found = addresses(SETS["eu-csf"], r"^CSF (SOV-\d\.\d)$")
    assert found == {f"{o}.{n}" for o, many in CALCULATOR.items() for n in range(1, many + 1)}
    assert len(found) == 48


def test_the_annex_has_all_eleven_criteria_with_their_pages() -> None:
    assert addresses(SETS["cada-annex-iii"], r"Annex III ([A-K]), p\. \d+") == set("ABCDEFGHIJK")


@pytest.mark.parametrize(
    ("name", "address"), [("dora-28", r"DORA Art\. 28\(8\)"), ("data-act", r"Data Act Art\. (?:2[3-9]|3[01])")]
)
def test_a_duty_has_its_article(name: str, address: str) -> None:
    for rule in SETS[name].rules:
        assert any(re.match(address, ref) for ref in rule.references), rule.id


def test_what_could_not_be_read_is_named_and_never_shown() -> None:
    chapters = [r for r in SETS["zendis-criteria"].rules if r.id.startswith("chapter-")]
    assert len(chapters) == 5
    assert all(
        "were not in the copy that was read" in r.text and SETS["zendis-criteria"].needs(r) == "answer"
        for r in chapters
    )


@pytest.mark.thorough
def test_a_duty_that_only_a_drill_shows_is_never_held_by_a_list_of_parts() -> None:
    known = catalogue.load()
    stack = recognise(Stack("s", tuple(Part(n, n, technology=n) for n in sorted(known))), known)
    made = engine.judge(stack, known, [SETS[n] for n in ("dora-28", "data-act", "zendis-criteria")], TODAY)
    found = Sorted(made)
    once = {r.id for o in found.once for r in o.rules}
    assert {"dora-28/28-8-tested", "data-act/25-2-a", "zendis-criteria/question-exit"} <= once
    assert not any(f.outcome is Outcome.HELD for f in made.findings if f.rule in once)
    asks = {r.id: a for o in found.once for r, a in zip(o.rules, o.asks, strict=True)}
    assert "no bundle of a drill was given" in asks["dora-28/28-8-tested"]


def test_every_source_says_when_it_was_read_and_second_hand_is_told() -> None:
    for rule_set in SETS.values():
        for source in rule_set.sources:
            assert source.url.startswith("https://") and source.read and source.says, rule_set.id
            if "github.com" in source.url:
                assert re.search(r"/[0-9a-f]{40}/", source.url), source.url


@pytest.mark.thorough
def test_the_awards_of_2026_are_facts_with_their_day() -> None:
    known = catalogue.load()
    for name in ("stackit", "ovhcloud", "s3ns"):
        (fact,) = known[name].of("decision")
        assert fact.since is not None and fact.since.isoformat() == "2026-04-17" and fact.source.as_of
