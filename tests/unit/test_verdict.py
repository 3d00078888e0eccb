# SPDX-License-Identifier: Apache-2.0
"""Three-valued logic and the equality verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unterbau.errors import Exit
from unterbau.verdict import Claim, Observation, Outcome, Source, conjoin, exit_code, judge_equal

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CLAIM = Claim(id="c1", kind="content", subject="volume:1", text="The volume arrived whole.")
outcomes = st.sampled_from(Outcome)


def seen(value: object, reason: str = "") -> Observation:
    return Observation(what="sha256", value=value, source=Source(where="here", at=NOW), reason=reason)


@pytest.mark.thorough
@given(st.lists(outcomes))
def test_a_conjunction_holds_only_if_everything_was_looked_at(given_outcomes: list[Outcome]) -> None:
    held = conjoin(given_outcomes) is Outcome.HELD
    assert held == (bool(given_outcomes) and all(o is Outcome.HELD for o in given_outcomes))


@given(outcomes, outcomes, outcomes)
def test_and_is_associative_commutative_and_de_morgan_holds(a: Outcome, b: Outcome, c: Outcome) -> None:
    assert (a & b) & c == a & (b & c)
    assert a & b == b & a
    assert ~(a & b) == (~a | ~b)
    assert conjoin([a, b]) == a & b


def test_nothing_looked_at_is_not_shown() -> None:
    assert conjoin([]) is Outcome.NOT_SHOWN
    assert exit_code([]) is Exit.NOT_SHOWN


@pytest.mark.parametrize(
    ("left", "right", "outcome"),
    [
        (seen("a"), seen("a"), Outcome.HELD),
        (seen("a"), seen("b"), Outcome.FAILED),
        (seen("a"), None, Outcome.NOT_SHOWN),
        (None, None, Outcome.NOT_SHOWN),
        (seen(None, "no right"), seen("a"), Outcome.NOT_SHOWN),
        (seen(None, "no right"), seen(None, "no right"), Outcome.NOT_SHOWN),
        (seen(None), seen(None), Outcome.NOT_SHOWN),
    ],
)
def test_equality_holds_only_between_two_things_seen(
    left: Observation | None, right: Observation | None, outcome: Outcome
) -> None:
    assert judge_equal(CLAIM, left, right).outcome is outcome


def test_a_failure_names_the_fields_that_differ() -> None:
    verdict = judge_equal(CLAIM, seen({"mtu": 1500, "name": "a"}), seen({"mtu": 1450, "name": "a"}))
    assert str(verdict.reason) == "mtu: 1500 -> 1450"
