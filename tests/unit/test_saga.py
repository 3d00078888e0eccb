# SPDX-License-Identifier: Apache-2.0
"""The saga: order, failure, retry, interruption, refusal, and the journal's chain."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import saga_laws as laws
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from unterbau.errors import Conflict, Forbidden, Interrupted, LocalError, PlanError, Refused, Unreachable
from unterbau.saga import (
    Attempt,
    Event,
    Journal,
    JsonObject,
    Marker,
    Outputs,
    Progress,
    RetryPolicy,
    fold,
    insist,
    note_killed,
    run,
    unwind,
    wait_out,
)


@dataclass
class Fake:
    name: str
    needs: tuple[str, ...] = ()
    errors: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    output: JsonObject = field(default_factory=dict)

    def intend(self, done: Outputs) -> JsonObject:
        return {"name": self.name}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        self.calls.append(self.name)
        if self.errors:
            raise self.errors.pop(0)
        return self.output

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        self.calls.append("-" + self.name)
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.thorough
def test_each_twice(tmp_path: Path) -> None:
    laws.each_twice(laws.toy, lambda f: laws.toy_look(f), tmp_path / "a")


@pytest.mark.thorough
def test_failure_at_each(tmp_path: Path) -> None:
    laws.failure_at_each(laws.toy, laws.toy_look, tmp_path)


@pytest.mark.thorough
def test_failed_blocks_dependants_only_and_is_tried_again(tmp_path: Path) -> None:
    steps = [Fake("a", errors=[Forbidden("no\x1b[2J right")]), Fake("b", ("a",)), Fake("c")]
    with Journal(tmp_path / "j") as journal:
        first = run(steps, journal)
        assert (first.done, first.failed, first.blocked, first.interrupted) == (("c",), ("a",), ("b",), False)
        assert journal.status.errors["a"] == {"kind": "Forbidden", "message": "no [2J right"}
        assert run(steps, journal).complete
    assert steps[2].calls == ["c"]


@pytest.mark.thorough
def test_transient_is_retried_with_growing_pauses_until_the_deadline(tmp_path: Path) -> None:
    pauses: list[float] = []
    policy = RetryPolicy(first_s=1, longest_s=3, deadline_s=9, sleep=pauses.append, clock=lambda: sum(pauses))
    with Journal(tmp_path / "j") as journal:
        assert run([Fake("a", errors=[Unreachable("x")] * 9)], journal, retry=policy).failed == ("a",)
    assert pauses == [1, 2, 3, 3]


def test_stop_and_interrupted_leave_a_resumable_run(tmp_path: Path) -> None:
    stop = threading.Event()
    steps = [Fake("a", errors=[Interrupted("now")]), Fake("b", ("a",))]
    with Journal(tmp_path / "j") as journal:
        assert run(steps, journal, stop=stop).interrupted
        assert stop.is_set() and journal.status.states["a"] == "intended"
        assert run(steps, journal).complete


def lost(what: str = "no answer") -> Unreachable:
    error = Unreachable(what)
    error.uncertain = True
    return error


NEVER = RetryPolicy(sleep=lambda seconds: None)


def kinds(journal: Journal) -> list[str]:
    return [e.kind for e in journal.events()]


@pytest.mark.thorough
def test_a_write_without_an_answer_is_noted_before_it_is_tried_again_and_stays_known(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Looking(Fake):
        def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:  # type: ignore[override]
            seen.append(kinds(journal))
            assert (progress.doubt() > 0) is (len(seen) > 1)
            return super().act(intent, done, progress)

    with Journal(tmp_path / "j") as journal:
        steps = [Looking("a", errors=[lost()]), Fake("b", errors=[Unreachable("refused before it was sent")])]
        assert run(steps, journal, retry=NEVER, workers=1).complete
        assert seen == [["opened", "intended"], ["opened", "intended", "uncertain"]]
        assert kinds(journal).count("uncertain") == 1
    with Journal(tmp_path / "j") as journal:
        assert journal.status.doubtful == {"a"} and journal.doubts.keys() == {"a"}
        assert 0 < journal.doubt("a", 60) <= 60 and journal.doubt("b", 60) == 0
        journal.append(Event(kind="swept"))
        assert not journal.status.doubtful and not journal.doubts
    with Journal(tmp_path / "j") as journal:
        assert not journal.doubts


@pytest.mark.thorough
def test_what_a_killed_process_had_begun_is_in_doubt_from_the_resume_on_and_what_was_stopped_is_not(
    tmp_path: Path,
) -> None:
    hour = [9]

    def now() -> datetime:
        return datetime(2026, 11, 25, hour[0], tzinfo=UTC)

    with Journal(tmp_path / "j", now=now) as journal:
        journal.append(Event(kind="opened", data={"plan": "", "nodes": {"a": [], "b": []}}))
        journal.append(Event(kind="intended", node="a"))  # and then it was killed
    hour[0] = 12
    steps = [Fake("a", errors=[Interrupted("now")]), Fake("b")]
    with Journal(tmp_path / "j", now=now) as journal:
        assert run(steps, journal, workers=1).interrupted
        assert journal.doubts == {"a": now()}
        assert journal.status.states["a"] == "intended" and journal.status.begun() == ()
    since = now()
    hour[0] = 13
    with Journal(tmp_path / "j", now=now) as journal:
        assert run(steps, journal).complete
        assert journal.doubts == {"a": since}


@pytest.mark.thorough
def test_killed_after_a_stop_and_a_resume_it_is_in_doubt_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        run([Fake("a", errors=[Interrupted("now")])], journal)
        note_killed(journal)
        assert kinds(journal) == ["opened", "intended", "stopped", "resumed"]
    with Journal(tmp_path / "j") as journal:  # the resumed process was killed
        note_killed(journal)
        assert kinds(journal)[-1] == "uncertain" and journal.doubts.keys() == {"a"}


def test_a_deletion_without_an_answer_is_waited_for_but_makes_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        step = Fake("a")
        run([step], journal)
        step.errors = [lost()]
        assert unwind([step], journal, retry=NEVER).complete
        assert journal.doubts.keys() == {"a"} and not journal.status.doubtful


@pytest.mark.thorough
def test_the_end_waits_for_what_may_come_late_and_says_so_and_hears_a_stop(tmp_path: Path) -> None:
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    said: list[str] = []
    waited: list[float | None] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return self.is_set()

    stop = Stop()
    with Journal(tmp_path / "j", now=lambda: at) as journal:
        assert not wait_out(journal, 120, now=lambda: at, stop=stop, say=said.append)
        run([Fake("a", errors=[lost()])], journal, retry=NEVER)
        assert wait_out(journal, 120, now=lambda: at + timedelta(seconds=50), stop=stop, say=said.append)
        assert wait_out(journal, 120, now=lambda: at + timedelta(seconds=121), stop=stop, say=said.append)
        assert waited == [70] and len(said) == 1 and "70 s" in said[0] and "--late-writes" in said[0]
        stop.set()
        with pytest.raises(Interrupted):
            wait_out(journal, 120, now=lambda: at, stop=stop, say=said.append)


@pytest.mark.parametrize(("in_doubt", "tries"), [(0.0, 2), (9.0, 4)])
def test_a_conflict_is_looked_at_again_while_it_may_be_one_with_ourselves(
    monkeypatch: pytest.MonkeyPatch, in_doubt: float, tries: int
) -> None:
    clock, asked = [0.0], [0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr("unterbau.saga.late.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))

    class Doubting:
        def __call__(self, done: int, total: int | None) -> None: ...

        def doubt(self) -> float:
            return in_doubt

    def action() -> None:
        asked[0] += 1
        raise Conflict("in use")

    with pytest.raises(Conflict):
        insist(action, Doubting())
    assert asked == [tries]


@pytest.mark.thorough
def test_a_defect_of_a_step_is_raised_and_not_recorded(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(ZeroDivisionError):
            run([Fake("a", errors=[ZeroDivisionError()])], journal)
        assert journal.status.states["a"] == "intended"


@pytest.mark.thorough
def test_unwind_goes_backwards_keeps_what_a_failed_undo_needs_and_is_final(tmp_path: Path) -> None:
    calls: list[str] = []
    steps = [Fake("a", calls=calls), Fake("b", ("a",), calls=calls), Fake("c", ("b",), calls=calls)]
    with Journal(tmp_path / "j") as journal:
        run(steps, journal)
        steps[1].errors = [Forbidden("no")]
        assert unwind(steps, journal).blocked == ("a",)
        assert unwind(steps, journal).complete
        with pytest.raises(Refused, match="unwound"):
            run(steps, journal)
    assert calls == ["a", "b", "c", "-c", "-b", "-b", "-a"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Fake("a"), Fake("a")], "'a' occurs twice"),
        ([Fake("a", ("z",))], "needs 'z'"),
        ([Fake("a", ("b",)), Fake("b", ("a",))], "cycle: . -> . -> ."),
    ],
)
def test_impossible_graphs_are_named(tmp_path: Path, steps: list[Fake], words: str) -> None:
    with Journal(tmp_path / "j") as journal, pytest.raises(PlanError, match=words):
        run(steps, journal)


@pytest.mark.thorough
def test_another_plan_is_refused_with_the_difference(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        run([Fake("a")], journal, plan="1")
        with pytest.raises(PlanError, match="added: b; removed: a"):
            run([Fake("b")], journal, plan="1")
        with pytest.raises(PlanError, match="other contents"):
            run([Fake("a")], journal, plan="2")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "output", [{"password": "x"}, {"deep": [{"API_Token": "x"}]}, {"raw": b"x"}, {"p": SecretStr("x")}]
)
def test_secrets_are_refused(tmp_path: Path, output: Any) -> None:
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(Refused, match="secret"):
            run([Fake("a", output=output)], journal)
        assert [e.kind for e in journal.events()] == ["opened", "intended"]


def test_second_opener_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j"), pytest.raises(Refused, match="already active"):
        Journal(tmp_path / "j")


@pytest.mark.thorough
@pytest.mark.parametrize("change", ["UPDATE journal SET at='x' WHERE seq=2", "DELETE FROM journal WHERE seq=2"])
def test_changed_journal_is_not_trusted(tmp_path: Path, change: str) -> None:
    with Journal(tmp_path / "j") as journal:
        run([Fake("a")], journal)
    with sqlite3.connect(tmp_path / "j") as db:
        db.execute(change)
    db.close()
    with pytest.raises(LocalError, match="entry 2"):
        Journal(tmp_path / "j")


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"nonsense" * 1000)
    with pytest.raises(LocalError, match="not a database"):
        Journal(tmp_path / "j")


def test_marker_is_short_and_plain() -> None:
    marker = Marker(run="ü" * 99, node="create network:1")
    assert len(marker.tag()) <= 60 and marker.tag().isascii() and marker.tag() != Marker(run="r", node="x").tag()


@pytest.mark.thorough
@settings(max_examples=15, deadline=None)
@given(st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=1, max_size=12), st.integers(1, 4))
def test_random_graphs_run_in_order_and_any_prefix_resumes(shape: list[set[int]], workers: int) -> None:
    calls: list[str] = []
    steps = [Fake(f"{n}", tuple(f"{i}" for i in needs if i < n), calls=calls) for n, needs in enumerate(shape)]
    with TemporaryDirectory() as folder:
        with Journal(Path(folder) / "j") as journal:
            assert run(steps, journal, workers=workers).complete
            events = journal.events()
        assert all(calls.index(need) < calls.index(step.name) for step in steps for need in step.needs)
        with Journal(Path(folder) / "k") as journal:
            for event in events[: len(events) // 2]:
                journal.append(event)
            assert run(steps, journal, workers=workers).complete
            assert fold(journal.events()).outputs.keys() == {s.name for s in steps}


@pytest.mark.thorough
def test_never_more_than_workers_at_once(tmp_path: Path) -> None:
    gate, counter, lock = threading.Barrier(3), [0, 0], threading.Lock()

    class Meeting(Fake):
        def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
            with lock:
                counter[0] += 1
                counter[1] = max(counter)
            gate.wait(5)
            with lock:
                counter[0] -= 1
            return {}

    with Journal(tmp_path / "j") as journal:
        assert run([Meeting(f"{n}") for n in range(9)], journal, workers=3).complete
    assert counter[1] == 3


def test_illegal_order_is_an_error() -> None:
    with pytest.raises(LocalError, match="cannot follow"):
        fold([Event(kind="opened", data={"nodes": {"a": []}}), Event(kind="done", node="a")])


@pytest.mark.thorough
def test_full_disk_is_said_and_the_journal_takes_no_more(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal._db.execute("PRAGMA max_page_count=3")
        with pytest.raises(LocalError, match="full"):
            run([Fake("a", output={"x": "y" * 99999})], journal)
        with pytest.raises(LocalError, match="earlier write"):
            journal.append(Event(kind="unwinding"))
    with Journal(tmp_path / "j") as journal:
        assert run([Fake("a")], journal).complete


@pytest.mark.thorough
def test_what_is_held_back_is_not_begun_and_the_next_run_does_it(tmp_path: Path) -> None:
    steps = [Fake("a"), Fake("b", ("a",)), Fake("c", ("b",))]
    with Journal(tmp_path / "j") as journal:
        first = run(steps, journal, held=("b", "c"))
        assert first.complete and first.done == ("a",)
        assert journal.status.states == {"a": "done", "b": "planned", "c": "planned"}
        assert run(steps, journal).done == ("a", "b", "c")
    assert [s.calls for s in steps] == [["a"], ["b"], ["c"]]
