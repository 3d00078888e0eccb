# SPDX-License-Identifier: Apache-2.0
"""How long a move will take: what is measured of earlier ones, how it adds up, and what is said against a limit."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from test_planning import cloud, plan

from unterbau.cli import cli
from unterbau.cloud.simulator import Simulator
from unterbau.defaults import SMALL_OBJECT
from unterbau.face import Face
from unterbau.switch import folders, verify
from unterbau.switch.drill import Drill, Stopwatch, Tools, Words
from unterbau.switch.plan import Interval, Prediction, spoken
from unterbau.switch.prediction import (
    CENSUS,
    LOWER,
    SHARINGS,
    SMALL,
    TIDYING,
    UPPER,
    Looked,
    Part,
    Rate,
    Rates,
    Span,
    Took,
    Work,
    measured,
    newest,
    of_a_move,
    of_a_verification,
    of_journal,
    of_move,
    of_verification,
    predict,
    subject_of_step,
    took,
)
from unterbau.switch.report import terminal
from unterbau.tenant.kinds import Container, Resource, Secret, StoredObject, Volume
from unterbau.tenant.kinds.object import CROWD
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 26, tzinfo=UTC)
MIB = 1 << 20


NOTHING = Part([], Rates(sharing=0, by_kind={}), (), of_a_verification)


def alone(step: str, bytes: int, seconds: float) -> Took:
    """A step beside which none ran."""
    return Took(step=step, bytes=bytes, among={1: seconds})


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
    assert of_journal(events, made) == [Took(step="object", bytes=5, among={1: 2.0, 2: 1.0})]


def test_a_part_of_a_container_does_its_work_once_an_object() -> None:
    made = plan(Container(id="b", name="b"))
    crowded = made.model_copy(update={"entries": tuple(
        e.model_copy(update={"objects": 100, "bytes": 5000}) if e.ref == "container:b" else e for e in made.entries
    )})  # fmt: skip
    steps = [Step("container:b"), Step("part of container:b/0"), Step("part of container:b/1")]
    assert of_move(steps, crowded) == [
        Work("container:b"), Work("part of container:b/0", (), 50, 50), Work("part of container:b/1", (), 50, 50),
    ]  # fmt: skip


def test_steps_that_ask_one_service_at_the_same_time_are_told_by_how_many_they_were() -> None:
    spans = [(0, 6), (2, 4), (2, 4), (5, 5), (4, 7)]
    found = took([Span(step=f"object:{n}", began=at(a), ended=at(b)) for n, (a, b) in enumerate(spans)]
                 + [Span(step="image of volume:1", began=at(0), ended=at(9))])  # fmt: skip
    assert [one.among for one in found] == [{1: 2, 3: 2, 2: 2}, {3: 2}, {3: 2}, {}, {2: 2, 1: 1}, {1: 9}]
    assert found[0].own(0) == 6 and found[0].own(1) == pytest.approx(2 + 2 / 3 + 1)


@pytest.mark.thorough
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12))
def test_what_all_own_is_what_was_busy_if_everything_is_shared(spans: list[tuple[int, int]]) -> None:
    """No second is lost or counted twice, whatever overlaps."""
    found = took([Span(step="k", began=at(a), ended=at(a + d)) for a, d in spans])
    busy = {second for a, d in spans for second in range(a, a + d)}
    assert sum(one.own(1) for one in found) == pytest.approx(len(busy))
    assert sum(one.own(0) for one in found) == pytest.approx(sum(d for _, d in spans))


def test_the_thing_of_a_step_is_found_whatever_its_name() -> None:
    assert subject_of_step("object:a of b/c: d") == "object:a of b/c: d"
    assert subject_of_step("image of volume:1") == "volume:1" and subject_of_step("tidy volume:1") == "volume:1"


@pytest.mark.thorough
def test_of_each_kind_of_step_the_newest_moves_that_had_one_are_taken() -> None:
    """A move without volumes does not make one forget how long they take."""
    moves = [(f"new-{n}", [alone("object", 0, float(n))]) for n in range(4)]
    runs, steps = newest([*moves, ("older", [alone("object", 0, 9.0), alone("volume", 0, 7.0)]), ("empty", [])])
    assert runs == ["new-0", "new-1", "new-2", "older"]
    assert [s.own(0) for s in steps if s.step == "object"] == [0.0, 1.0, 2.0]
    assert [s.own(0) for s in steps if s.step == "volume"] == [7.0]


@pytest.mark.thorough
@given(
    constant=st.floats(0.01, 50),
    rate=st.floats(0, 1e-6),
    sizes=st.lists(st.integers(SMALL, 1 << 36), min_size=2, max_size=9),
)
def test_what_takes_a_constant_and_so_much_a_byte_is_found_again(
    constant: float, rate: float, sizes: list[int]
) -> None:
    found = measured(alone("o", s, constant + rate * (s - SMALL)) for s in sizes).by_kind["o"]
    for size in sizes:
        assert found.seconds(size - SMALL) == pytest.approx(constant + rate * (size - SMALL), rel=0.01, abs=0.01)
    assert found.largest == max(sizes) and found.constant >= 0 and found.per_byte >= 0


@pytest.mark.thorough
@pytest.mark.parametrize("sharing", SHARINGS)
def test_how_steps_share_is_found_again_from_those_that_ran_among_few_and_among_many(sharing: float) -> None:
    steps = [
        Took(step=kind, bytes=0, among={n: seconds * n**sharing})
        for kind, seconds in (("object", 0.05), ("volume", 2.0)) for n in (1, 2, 4, 8) for _ in range(5)
    ]  # fmt: skip
    found = measured(steps)
    assert found.sharing == pytest.approx(sharing, abs=0.11)
    assert found.by_kind["volume"].constant == pytest.approx(2.0, rel=0.15)


@pytest.mark.thorough
@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.floats(0, 1e5)), min_size=1, max_size=12))
def test_nothing_is_ever_quicker_by_being_larger(samples: list[tuple[int, float]]) -> None:
    rate = measured(alone("o", b, s) for b, s in samples).by_kind["o"]
    assert 0 <= rate.seconds(0) <= rate.seconds(1 << 20) <= rate.seconds(1 << 45)


@pytest.mark.thorough
@given(
    seconds=st.lists(st.floats(0.1, 9), min_size=1, max_size=14), links=st.sets(st.tuples(st.integers(0, 13), st.integers(0, 13))),
    workers=st.integers(1, 8), sharing=st.sampled_from(SHARINGS),
)  # fmt: skip
def test_it_takes_at_least_its_longest_chain_and_its_share_of_all_work_and_at_most_all_of_it(
    seconds: list[float], links: set[tuple[int, int]], workers: int, sharing: float
) -> None:
    needs = {n: [a for a, b in sorted(links) if a < b == n and b < len(seconds)] for n in range(len(seconds))}
    works = [Work(f"k{n} of object:x", tuple(f"k{m} of object:x" for m in needs[n])) for n in range(len(seconds))]
    kinds = {f"k{n} of object": Rate(count=1, constant=s, per_byte=0, largest=0) for n, s in enumerate(seconds)}
    part = Part(works, Rates(sharing=sharing, by_kind=kinds), ["r"], of_a_move(workers), before=7.0)
    found = predict(part, NOTHING)
    chain = list[float]()
    for n, own in enumerate(seconds):
        chain.append(own + max((chain[m] for m in needs[n]), default=0.0))
    middle, work = found.upper_seconds / UPPER - 7, sum(seconds)
    assert max(max(chain), work / workers ** (1 - sharing)) - 0.2 <= middle <= work + 0.2
    if workers == 1 or sharing == 1:
        assert middle == pytest.approx(work, abs=0.2)


def test_the_more_run_beside_each_other_the_slower_each_goes() -> None:
    """Six steps of 1 s that share half: alone each 1 s; a run of few must not tell that six take as long as one."""
    rates = measured([Took(step="volume", bytes=0, among={n: n**0.5}) for n in (1, 1, 1, 4, 4, 4, 4)])
    works = [Work(f"volume:{n}") for n in range(6)]
    middle = predict(Part(works, rates, ["r"], of_a_move(8)), NOTHING).upper_seconds / UPPER
    assert middle == pytest.approx(6**0.5, rel=0.1)


def test_services_do_not_wait_for_each_other() -> None:
    kinds = {
        kind: Rate(count=1, constant=1.0, per_byte=0, largest=0) for kind in ("volume", "secret", "image of volume")
    }
    part = Part([], Rates(sharing=1, by_kind=kinds), ["r"], of_a_move(8))

    def middle(*names: str) -> float:
        return predict(replace(part, works=[Work(name) for name in names]), NOTHING).upper_seconds / UPPER

    assert middle("volume:1", "secret:1") == pytest.approx(1.0, abs=0.1)
    assert middle("volume:1", "image of volume:2") == middle("volume:1", "volume:2") == pytest.approx(2.0, abs=0.1)


def test_the_upper_end_is_twice_the_lower() -> None:
    assert pytest.approx(2 * LOWER) == UPPER and LOWER < 1 < UPPER


def test_what_nobody_measured_is_said_and_no_interval_stands_for_it() -> None:
    made = plan(Container(id="b", name="b"), *objects(10, 900 * MIB))
    works = of_move(
        [Step("container:b"), Step("object:b/0", ("container:b",)), Step("object:b/1", ("container:b",))], made
    )
    small = [alone("object", 10, 1.0)]
    all_ = [*small, alone("container", 0, 1.0), alone("object", 300 * MIB, 9.0)]
    look = Part([Work("tidying")], measured([alone("tidying", 0, 1.0)]), ["r"], of_a_verification)
    for known, missing in (([], {"container", "object"}), (small, {"container", "object"}), (all_, set())):
        found = predict(Part(works, measured(known), ["r"], of_a_move(8)), look, 1e9)
        assert {*found.unmeasured} == missing
        assert found.outcome is (Outcome.NOT_SHOWN if missing else Outcome.HELD)
    assert found.slowest[0].step == "object" and found.slowest[0].share > 0.9
    blind = predict(Part(works, measured(all_), ["r"], of_a_move(8), before=None), look, 1e9)
    assert blind.unmeasured == (CENSUS,) and blind.outcome is Outcome.NOT_SHOWN


def test_a_verification_lists_both_sides_then_reads_what_is_large_secret_or_a_disk() -> None:
    kept, gone = (
        Secret(id="s", name="s", content_type="text/plain"),
        Secret(id="t", name="t", content_type="text/plain"),
    )
    things: list[Resource] = [
        Container(id="b", name="b"), *objects(10, SMALL_OBJECT + 1), kept, gone,
        Volume(id="v", name="v", status="available", size_gib=1),
    ]  # fmt: skip
    made = plan(*things)
    made = made.model_copy(update={"entries": tuple(
        e.model_copy(update={"fate": type(e.fate).LEFT}) if e.ref == gone.ref else e for e in made.entries
    )})  # fmt: skip
    found = {w.name: w for w in of_verification(made, cloud("a", *things))}
    assert found["listing of source"].bytes == found["listing of target"].bytes + 1 == 5
    assert {*found} - {"listing of source", "listing of target", TIDYING} == {
        "content of source object:b/1", "content of target object:b/1",
        "content of source secret:s", "content of target secret:s", "content of source secret:t",
        "image of source volume:v", "hash of source volume:v", "image of target volume:v", "hash of target volume:v",
    }  # fmt: skip
    assert found["hash of target volume:v"].needs == ("image of target volume:v",)
    assert found[TIDYING].times == 2 and found["image of source volume:v"].bytes == 1 << 30
    assert found["content of source secret:s"].needs == ("listing of source", "listing of target")


def test_a_verification_that_nobody_measured_is_never_zero_seconds() -> None:
    """The limit is not held by the move alone, and failed by it."""
    told = Prediction(lower_seconds=100, upper_seconds=200, runs=("r",), limit_seconds=1e6,
                      verification=Interval(lower_seconds=0, upper_seconds=0))  # fmt: skip
    assert told.outcome is Outcome.NOT_SHOWN and not told.together.is_measured
    assert told.model_copy(update={"limit_seconds": 99}).outcome is Outcome.FAILED
    looked = Interval(lower_seconds=10, upper_seconds=20, runs=("r",))
    both = told.model_copy(update={"verification": looked})
    assert (both.together.lower_seconds, both.together.upper_seconds) == (110, 220)
    for limit, outcome in ((109, Outcome.FAILED), (219, Outcome.NOT_SHOWN), (220, Outcome.HELD)):
        assert both.model_copy(update={"limit_seconds": limit}).outcome is outcome


def test_what_an_older_version_predicted_is_read_and_spelled_as_it_was() -> None:
    """Its plan is named by the digest of these bytes."""
    old = (
        '{"lower_seconds":1.0,"upper_seconds":2.0,"runs":["r"],"slowest":[{"step":"object","share":1.0}],'
        '"unmeasured":["volume"],"limit_seconds":9.0}'
    )
    told = Prediction.model_validate_json(old)
    assert told.model_dump_json() == old and told.together == told.move


@pytest.mark.thorough
def test_a_verification_tells_of_a_crowded_container_by_its_objects(tmp_path: Path) -> None:
    clouds = {name: Simulator(tmp_path / name, name=name) for name in ("a", "b")}
    for one in clouds.values():
        one._put(Container(id="b", name="b"))
        for thing in objects(*[7] * (CROWD + 1)):
            one._put(thing)
    watch, ticks = Stopwatch(), itertools.count()
    verify.look(clouds["a"], clouds["b"], None, work=tmp_path, now=lambda: at(next(ticks)), spent=watch.note)
    boxes = [span for span in watch._spans if span.step.endswith("container:b")]
    assert {span.step for span in boxes} == {f"content of {side} container:b" for side in ("source", "target")}
    assert all(span.times == CROWD + 1 and span.bytes == 7 for span in boxes)


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
    unverified = planned(60.0).load_plan()
    assert unverified.prediction is not None and unverified.prediction.verification == Interval(
        lower_seconds=0, upper_seconds=0, unmeasured=("listing of source", "listing of target")
    )
    check = next(c for c in unverified.checks if c.name == "time")
    assert check.outcome is Outcome.NOT_SHOWN and "NOT MEASURED" in str(check.text)
    watch = Stopwatch()
    for source, target in (("b", "a"), ("a", "b")):  # another way round it is kept by nobody
        assert not first.folder.looked.exists()
        seen = verify.look(
            clouds[source], clouds[target], first.load_plan(), work=tmp_path, now=tools.now, spent=watch.note
        )
        watch.keep(first.load_plan(), source, target, seen)
    looked = Looked.model_validate_json(first.folder.looked.read_bytes())
    assert looked.began == seen.started < looked.ended == seen.ended
    assert all(span.began < span.ended for span in looked.spans)
    clouds["b"].delete("container:b", timedelta(minutes=1))
    second = planned(3600.0)
    told = second.load_plan().prediction
    assert told is not None and told.runs == (first.folder.run,) and 0 < told.lower_seconds < told.upper_seconds
    assert told.verification is not None and told.verification.is_measured and told.verification.lower_seconds > 0
    (check,) = (c for c in second.load_plan().checks if c.name == "time")
    assert check.outcome is Outcome.HELD and "together" in str(check.text)
    assert [c.outcome for c in planned(0.001).load_plan().checks if c.name == "time"] == [Outcome.FAILED]
    assert second.judged().prediction == told


@pytest.mark.parametrize("text", ["30", "d", "0d", "-3h", "1.5h", "3w", "", "٣d"])
def test_what_is_no_duration_is_refused_by_its_name(text: str) -> None:
    result = CliRunner().invoke(cli, ["plan", "a", "b", "--limit", text])
    assert result.exit_code == 2 and "30d" in result.output


def test_the_terminal_says_move_verification_and_both_and_loudly_what_was_not_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    look = Interval(lower_seconds=3600, upper_seconds=7200, runs=("r",))
    told = Prediction(lower_seconds=600, upper_seconds=1200, runs=("r",), verification=look)

    def said(prediction: Prediction) -> str:
        terminal.plan(plan(Container(id="b", name="b")).model_copy(update={"prediction": prediction}))
        return " ".join(capsys.readouterr().out.split())

    assert "move 10.0 min to 20.0 min, verification 60.0 min to 2.0 h, together 70.0 min to 2.3 h; by run r" in said(
        told
    )
    nobody = Interval(lower_seconds=0, upper_seconds=0, unmeasured=("listing of source",))
    assert "verification not measured, together not measured" in said(told.model_copy(update={"verification": nobody}))
    partly = look.model_copy(update={"unmeasured": ("hash of source volume",)})
    assert "2.0 h and what was NOT MEASURED (hash of source volume)" in said(
        told.model_copy(update={"verification": partly})
    )
