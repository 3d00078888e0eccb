# SPDX-License-Identifier: Apache-2.0
"""The saga: order, failure, retry, interruption, refusal, and the journal's chain."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import saga_laws as laws
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from unterbau.errors import Forbidden, Interrupted, LocalError, PlanError, Refused, Unreachable
from unterbau.saga import (
    Event,
    Journal,
    JsonObject,
    Marker,
    Outputs,
    Progress,
    RetryPolicy,
    fold,
    run,
    unwind,
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


def test_each_twice(tmp_path: Path) -> None:
    laws.each_twice(laws.toy, lambda f: laws.toy_look(f), tmp_path / "a")


def test_failure_at_each(tmp_path: Path) -> None:
    laws.failure_at_each(laws.toy, laws.toy_look, tmp_path)


def test_failed_blocks_dependants_only_and_is_tried_again(tmp_path: Path) -> None:
    steps = [Fake("a", errors=[Forbidden("no\x1b[2J right")]), Fake("b", ("a",)), Fake("c")]
    with Journal(tmp_path / "j") as journal:
        first = run(steps, journal)
        assert (first.done, first.failed, first.blocked, first.interrupted) == (("c",), ("a",), ("b",), False)
        assert journal.status.errors["a"] == {"kind": "Forbidden", "message": "no [2J right"}
        assert run(steps, journal).complete
    assert steps[2].calls == ["c"]


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


def test_a_defect_of_a_step_is_raised_and_not_recorded(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(ZeroDivisionError):
            run([Fake("a", errors=[ZeroDivisionError()])], journal)
        assert journal.status.states["a"] == "intended"


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


def test_another_plan_is_refused_with_the_difference(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        run([Fake("a")], journal, plan="1")
        with pytest.raises(PlanError, match="added: b; removed: a"):
            run([Fake("b")], journal, plan="1")
        with pytest.raises(PlanError, match="other contents"):
            run([Fake("a")], journal, plan="2")


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


def test_full_disk_is_said_and_the_journal_takes_no_more(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal._db.execute("PRAGMA max_page_count=3")
        with pytest.raises(LocalError, match="full"):
            run([Fake("a", output={"x": "y" * 99999})], journal)
        with pytest.raises(LocalError, match="earlier write"):
            journal.append(Event(kind="unwinding"))
    with Journal(tmp_path / "j") as journal:
        assert run([Fake("a")], journal).complete
