# SPDX-License-Identifier: Apache-2.0
"""What `judge` says of a real stack is typed and has a German form; what rule sets and sources say stays as they said it."""

from __future__ import annotations

import re

import pytest
from judge_world import TODAY
from test_judge_summary import STACKS

from unterbau import catalogue
from unterbau import stack as readers
from unterbau.judge import engine, page
from unterbau.judge import rules as rule_sets
from unterbau.judge.judgement import Judgement
from unterbau.judge.rule import Unknowable, walk
from unterbau.stack.recognise import recognise
from unterbau.verdict import Reason, Words, words

OURS = re.compile(r"^(?:not: |whether |never: )|no fact about|was not recognised|none is known|is not known")


@pytest.fixture(scope="module")
def judged() -> Judgement:
    known = catalogue.load()
    return engine.judge(recognise(readers.read(STACKS / "nextcloud"), known), known, rule_sets.load(), TODAY)


def test_a_bare_sentence_is_what_a_rule_set_asks(judged: Judgement) -> None:
    sets = rule_sets.load()
    expressions = [e for s in sets for r in s.rules for p in (*r.paths.values(), *s.define.values()) for e in walk(p)]
    asked = {e.ask for e in expressions if isinstance(e, Unknowable)} | {getattr(e, "text", "") for e in expressions}
    told: list[Words] = [f.reason for f in judged.findings] + [c.reason for c in judged.coverage]
    told += [m.what for f in judged.findings for m in f.missing]
    assert {t for t in told if isinstance(t, str)} <= asked | {""}
    where = {m.where for f in judged.findings for m in f.missing}
    assert all(w.startswith("http") for w in where if isinstance(w, str))


def test_what_is_ours_of_a_reason_is_german(judged: Judgement) -> None:
    found = {f.reason for f in judged.findings if isinstance(f.reason, Reason)}
    assert len(found) > 50
    assert {german for r in found if OURS.search(german := words(r, "de"))} == set()
    assert {r for r in found if OURS.search(words(r)) and words(r) == words(r, "de")} == set()


@pytest.mark.thorough
def test_the_page_has_each_reason_in_both_languages(judged: Judgement) -> None:
    shown = page.html(judged, "de")
    assert "ob: " in shown and "whether " in shown and "keine Tatsache über" in shown
