# SPDX-License-Identifier: Apache-2.0
"""How long a move will take: what is measured of earlier ones, how it adds up, and what is said against a limit."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from test_planning import plan

from unterbau.cli import cli
from unterbau.cloud.simulator import Simulator
from unterbau.face import Face
from unterbau.switch import folders
from unterbau.switch.drill import Drill, Tools, Words
from unterbau.switch.plan import Prediction, spoken
from unterbau.switch.prediction import LOWER, SMALL, UPPER, Took, measured, newest, predict, subject_of_step, took
from unterbau.tenant.kinds import Container, StoredObject
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 26, tzinfo=UTC)
MIB = 1 << 20


@dataclass(frozen=True)
class Step:
    name: str
    needs: tuple[str, ...] = ()


def objects(*sizes: int) -> list[StoredObject]:
    return [StoredObject(id=f"b/{n}", name=str(n), container="b", size_bytes=s, etag="e") for n, s in enumerate(sizes)]


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_step_takes_from_its_intent_to_its_end_and_one_that_was_tried_again_tells_nothing() -> None:
    made = plan(Container(id="b", name="b"), *objects(5, 6, 7))
    events = [
        (at(0), "opened", ""), (at(1), "intended", "object:b/0"), (at(2), "intended", "object:b/1"),
        (at(3), "failed", "object:b/1"), (at(4), "done", "object:b/0"), (at(9), "done", "object:b/1"),
        (at(10), "intended", "object:b/2"), (at(11), "stopped", ""), (at(90), "resumed", ""), (at(95), "done", "object:b/2"),
    ]  # fmt: skip
    assert took(events, made) == [Took(step="object", bytes=5, seconds=3.0)]


def test_the_thing_of_a_step_is_found_whatever_its_name() -> None:
    assert subject_of_step("object:a of b/c: d") == "object:a of b/c: d"
    assert subject_of_step("image of volume:1") == "volume:1" and subject_of_step("tidy volume:1") == "volume:1"


@pytest.mark.thorough
def test_of_each_kind_of_step_the_newest_moves_that_had_one_are_taken() -> None:
    """A move without volumes does not make one forget how long they take."""

    def one(step: str, seconds: float) -> Took:
        return Took(step=step, bytes=0, seconds=seconds)

    moves = [(f"new-{n}", [one("object", float(n))]) for n in range(4)]
    runs, steps = newest([*moves, ("older", [one("object", 9.0), one("volume", 7.0)]), ("empty", [])])
    assert runs == ["new-0", "new-1", "new-2", "older"]
    assert [s.seconds for s in steps if s.step == "object"] == [0.0, 1.0, 2.0]
    assert [s.seconds for s in steps if s.step == "volume"] == [7.0]


@pytest.mark.thorough
@given(
    constant=st.floats(0.01, 50),
    rate=st.floats(0, 1e-6),
    sizes=st.lists(st.integers(SMALL, 1 << 36), min_size=2, max_size=9),
)
def test_what_takes_a_constant_and_so_much_a_byte_is_found_again(
    constant: float, rate: float, sizes: list[int]
) -> None:
    found = measured(Took(step="o", bytes=s, seconds=constant + rate * (s - SMALL)) for s in sizes)["o"]
    for size in sizes:
        assert found.seconds(size) == pytest.approx(constant + rate * (size - SMALL), rel=0.01, abs=0.01)
    assert found.largest == max(sizes) and found.constant >= 0 and found.per_byte >= 0


@pytest.mark.thorough
@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.floats(0, 1e5)), min_size=1, max_size=12))
def test_nothing_is_ever_quicker_by_being_larger(samples: list[tuple[int, float]]) -> None:
    rate = measured(Took(step="o", bytes=b, seconds=s) for b, s in samples)["o"]
    assert 0 <= rate.seconds(0) <= rate.seconds(1 << 20) <= rate.seconds(1 << 45)


@pytest.mark.thorough
@given(
    seconds=st.lists(st.floats(0.1, 9), min_size=1, max_size=14), links=st.sets(st.tuples(st.integers(0, 13), st.integers(0, 13))),
    workers=st.integers(1, 8),
)  # fmt: skip
def test_it_takes_at_least_its_longest_chain_and_its_share_of_all_work_and_at_most_all_of_it(
    seconds: list[float], links: set[tuple[int, int]], workers: int
) -> None:
    needs = {n: [a for a, b in sorted(links) if a < b == n and b < len(seconds)] for n in range(len(seconds))}
    steps = [Step(f"k{n}:x", tuple(f"k{m}:x" for m in needs[n])) for n in range(len(seconds))]
    rates = measured(Took(step=f"k{n}", bytes=0, seconds=s) for n, s in enumerate(seconds))
    found = predict(steps, plan(), rates, runs=["r"], workers=workers)
    chain = list[float]()
    for n, own in enumerate(seconds):
        chain.append(own + max((chain[m] for m in needs[n]), default=0.0))
    middle, work = found.upper_seconds / UPPER, sum(seconds)
    assert max(max(chain), work / workers) - 0.2 <= middle <= work + 0.2
    if workers == 1:
        assert middle == pytest.approx(work, abs=0.2)


def test_the_upper_end_is_twice_the_lower() -> None:
    assert pytest.approx(2 * LOWER) == UPPER and LOWER < 1 < UPPER


def test_what_nobody_measured_is_said_and_no_interval_stands_for_it() -> None:
    made = plan(Container(id="b", name="b"), *objects(10, 900 * MIB))
    steps = [Step("container:b"), Step("object:b/0", ("container:b",)), Step("object:b/1", ("container:b",))]
    small = [Took(step="object", bytes=10, seconds=1.0)]
    all_ = [*small, Took(step="container", bytes=0, seconds=1.0), Took(step="object", bytes=300 * MIB, seconds=9.0)]
    for known, missing in (([], {"container", "object"}), (small, {"container", "object"}), (all_, set())):
        found = predict(steps, made, measured(known), runs=["r"], workers=8, limit_seconds=1e9)
        assert {*found.unmeasured} == missing
        assert found.outcome is (Outcome.NOT_SHOWN if missing else Outcome.HELD)
    assert found.slowest[0].step == "object" and found.slowest[0].share > 0.9


@pytest.mark.parametrize(("limit", "outcome"), [(None, "not shown"), (90, "failed"), (150, "not shown"), (200, "held")])
def test_a_limit_is_kept_or_not_only_if_the_whole_interval_says_so(limit: float | None, outcome: str) -> None:
    told = Prediction(lower_seconds=100, upper_seconds=200, runs=("r",), limit_seconds=limit)
    assert told.outcome.value == outcome
    assert told.model_copy(update={"runs": ()}).outcome is Outcome.NOT_SHOWN


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h"), (2592000, "30.0 d")]
)
def test_a_duration_is_spoken_in_the_largest_unit_of_which_it_has_two(seconds: float, said: str) -> None:
    assert spoken(seconds) == said


@pytest.mark.thorough
def test_a_second_plan_between_two_clouds_is_timed_by_the_first_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    clouds = {"a": Simulator(tmp_path / "a", name="a"), "b": Simulator(tmp_path / "b", name="b")}
    clouds["a"]._put(Container(id="b", name="b"))
    ticks = itertools.count()
    tools = Tools(
        connect=lambda name: clouds[name], now=lambda: at(next(ticks)), face=Face(quiet=True, verbose=False),
        stop=threading.Event(), keys=tmp_path / "keys", versions=dict, secrets=lambda name: (), workers=1,
    )  # fmt: skip

    def planned(limit: float | None = None) -> Drill:
        drill = Drill(folders.begin("a", "b", True, at(next(ticks))), tools)
        drill.census()
        drill.plan(Words(limit_seconds=limit))
        return drill

    first = planned()
    assert first.load_plan().prediction is None
    assert [c.outcome for c in planned(60.0).load_plan().checks if c.name == "time"] == [Outcome.NOT_SHOWN]
    first.move()
    clouds["b"].delete("container:b", timedelta(minutes=1))
    second = planned(60.0)
    told = second.load_plan().prediction
    assert told is not None and told.runs == (first.folder.run,) and 0 < told.lower_seconds < told.upper_seconds
    assert [c.outcome for c in second.load_plan().checks if c.name == "time"] == [Outcome.HELD]
    assert [c.outcome for c in planned(0.001).load_plan().checks if c.name == "time"] == [Outcome.FAILED]
    assert second.judged().prediction == told


@pytest.mark.parametrize("text", ["30", "d", "0d", "-3h", "1.5h", "3w", "", "٣d"])
def test_what_is_no_duration_is_refused_by_its_name(text: str) -> None:
    result = CliRunner().invoke(cli, ["plan", "a", "b", "--limit", text])
    assert result.exit_code == 2 and "30d" in result.output
