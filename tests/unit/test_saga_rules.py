# SPDX-License-Identifier: Apache-2.0
"""The rules of a saga by tables: which event may follow, what is a secret, how long is waited, what a mark looks like.

Spellings that lie on disks and in clouds already (a mark, a row's hash) stand here as they were: a newer version that
spells them otherwise no longer finds what an older one made.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretBytes, SecretStr

from unterbau.canonical import GENESIS, chained
from unterbau.errors import Conflict, Forbidden, Interrupted, LocalError, PlanError, Refused, Unreachable
from unterbau.saga import Event, Journal, JsonObject, Marker, Outputs, Progress, RetryPolicy, fold, run, run_of, unwind
from unterbau.saga.journal import _broken, canonical, refuse_secrets
from unterbau.saga.late import remaining
from unterbau.saga.status import Status
from unterbau.saga.steps import graph

AT = datetime(2026, 11, 26, 10, tzinfo=UTC)


@dataclass
class Plain:
    """A step that does what it is told."""

    name: str
    needs: tuple[str, ...] = ()
    errors: list[Exception] = field(default_factory=list)
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    output: JsonObject = field(default_factory=dict)
    undone: list[tuple[JsonObject, JsonObject | None]] = field(default_factory=list)

    def intend(self, done: Outputs) -> JsonObject:
        return {"wish": self.name}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        self.seen.append({"intent": intent, "done": dict(done)})
        progress(1, 2)
        if self.errors:
            raise self.errors.pop(0)
        return self.output

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        self.undone.append((intent, output))
        if self.errors:
            raise self.errors.pop(0)


# --- what lies on disks and in clouds already


def test_a_mark_is_spelled_as_it_was_ever() -> None:
    assert (
        Marker(run="20261126-0123abcd", node="create network:1").tag() == "unterbau.20261126-0123abcd.42537b0e9488ee92"
    )
    odd = Marker(run="a b/ü-_x" + "y" * 60, node="n").tag()
    assert odd == "unterbau.a_b__-_xyyyyyyyyyyyyyyyyyyyyyyyyyy.5ff9888773f6f569" and len(odd) <= 60
    assert str(Marker(run="r", node="n")) == "unterbau:r/n"


def test_a_tag_tells_whose_it_is() -> None:
    assert run_of(Marker(run="20261126-1", node="x").tag()) == "20261126-1"
    assert [run_of(t) for t in (None, "", "unterbau", "unterbau.x.short", "other.x.0123456789abcdef")] == [""] * 5


def test_a_row_is_hashed_as_it_was_ever() -> None:
    event = Event(kind="opened", data={"plan": "sha256:1", "nodes": {"ä": ["b"]}})
    told = chained(1, GENESIS, 1, "2026-11-26T10:00:00+00:00", event.model_dump(mode="json"))
    assert told == "fa14e79757c558ffcc63376a182857142899461ee3201e1d1026ec46e2087752"
    assert canonical({"b": 1, "a": ["ä", None]}) == '{"a":["\\u00e4",null],"b":1}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(float("nan"))


def test_the_rows_of_a_journal_are_a_chain_from_nothing_with_the_time_in_utc(tmp_path: Path) -> None:
    there = AT.astimezone(tz=None)
    with Journal(tmp_path / "j", now=lambda: there) as journal:
        assert [journal.append(Event(kind="opened", data={"nodes": {}})), journal.append(Event(kind="stopped"))] == [
            1,
            2,
        ]
        first, second = journal.export()
        assert (first["seq"], second["seq"]) == (1, 2)
        assert first["prev"] == GENESIS and second["prev"] == first["hash"] != GENESIS
        assert first["at"] == "2026-11-26T10:00:00+00:00"
        for row in journal.export():
            event = row["event"]
            assert isinstance(event, dict)
            assert row["hash"] == chained(2, str(row["prev"]), int(str(row["seq"])), str(row["at"]), event)


# --- which event may follow

STEPS: JsonObject = {"plan": "p", "nodes": {"a": [], "b": ["a"]}}
OPENED = [Event(kind="opened", data=STEPS)]


def told(*words: str) -> list[Event]:
    """`intended a` and so on, after the opening."""
    found = list(OPENED)
    for word in words:
        kind, _, node = word.rpartition(" ") if word[-2:] in (" a", " b", " c") else (word, "", "")
        found.append(Event.model_validate({"kind": kind, "node": node, "data": {"is": word}}))
    return found


LEGAL = [
    ("intended a",), ("failed a",), ("failed a", "failed a"), ("failed a", "intended a"), ("intended a", "failed a"),
    ("intended a", "failed a", "done a"), ("intended a", "done a"), ("intended a", "done a", "intended b"),
    ("intended a", "uncertain a", "uncertain a", "done a", "uncertain a"), ("stopped",), ("stopped", "resumed"),
    ("swept", "swept"), ("unwinding",), ("intended a", "unwinding", "undone a"),
    ("intended a", "unwinding", "undo failed a", "undo failed a", "undone a"),
    ("intended a", "failed a", "unwinding", "undone a"),
    ("intended a", "done a", "intended b", "unwinding", "undone b", "undone a"),
]  # fmt: skip
ILLEGAL = [
    ("done a",), ("undone a",), ("intended a", "intended a"), ("intended a", "undone a"), ("intended b",),
    ("failed a", "done a"), ("intended a", "done a", "done a"), ("intended a", "done a", "failed a"), ("intended c",),
    ("intended a", "failed a", "intended a"),  # it acts again with the intent that stands
    ("uncertain a",), ("resumed",), ("stopped", "stopped"), ("stopped", "swept"), ("unwinding", "unwinding"),
    ("unwinding", "intended a"), ("intended a", "unwinding", "done a"), ("unwinding", "undone a"),
    ("unwinding a",), ("stopped a",), ("opened",), ("failed a", "unwinding", "undone a"),
    ("intended a", "done a", "intended b", "unwinding", "undone a"),
    ("intended a", "unwinding", "undone a", "undone a"), ("intended a", "unwinding", "failed a"),
    ("intended a", "unwinding", "undone a", "undo failed a"),
]  # fmt: skip


@pytest.mark.parametrize("words", LEGAL, ids=", ".join)
def test_an_event_that_may_follow_is_taken(words: tuple[str, ...]) -> None:
    fold(told(*words))


@pytest.mark.parametrize("words", ILLEGAL, ids=", ".join)
def test_an_event_that_cannot_follow_is_an_error_and_changes_nothing(words: tuple[str, ...]) -> None:
    *before, last = told(*words)
    status = fold(before)
    same = fold(before)
    state = same.states.get(last.node, "unknown")
    with pytest.raises(LocalError, match=f"event '{last.kind}' of '{last.node}' cannot follow state '{state}'"):
        status.apply(last)
    assert status == same


def test_before_the_opening_nothing_may_happen_and_an_opening_needs_its_steps() -> None:
    for event in (Event(kind="unwinding"), Event(kind="stopped"), Event(kind="swept"), Event(kind="opened"),
                  Event(kind="opened", data={"nodes": ["a"]}), Event(kind="intended", node="a")):  # fmt: skip
        with pytest.raises(LocalError, match="cannot follow state 'unknown'") as caught:
            Status().apply(event)
        assert "restore it" in caught.value.remedy


def test_a_status_keeps_what_each_event_told() -> None:
    status = fold(told("intended a", "done a", "intended b", "uncertain b", "failed b"))
    assert (status.plan, status.opened, status.unwinding, status.stopped) == ("p", True, False, False)
    assert status.needs == {"a": (), "b": ("a",)}
    assert status.states == {"a": "done", "b": "failed"}
    assert status.intents == {"a": {"is": "intended a"}, "b": {"is": "intended b"}}
    assert status.outputs == {"a": {"is": "done a"}} and status.errors == {"b": {"is": "failed b"}}
    assert status.doubtful == {"b"} and status.begun() == ()
    assert status.dependants("a") == ("b",) and status.dependants("b") == ()
    status.apply(Event(kind="swept"))
    status.apply(Event(kind="done", node="b"))
    assert status.errors == {} and status.doubtful == set()


def test_what_is_begun_is_what_a_killed_process_left_and_not_a_stopped_one() -> None:
    assert fold(told("intended a")).begun() == ("a",)
    assert fold(told("intended a", "stopped")).begun() == ()
    assert fold(told("intended a", "stopped", "resumed")).begun() == ("a",)
    assert fold(told("intended a", "unwinding", "uncertain a")).doubtful == set()


# --- what is a secret


@pytest.mark.parametrize(
    "data",
    [
        {"password": ""}, {"db_password": "x"}, {"passwd": 1}, {"payload": None}, {"Secret": "x"}, {"auth_token": "x"},
        {"a": [{"b": ({"token": "x"},)}]}, SecretStr("x"), SecretBytes(b"x"), b"x", [b"x"], {"a": SecretStr("x")},
    ],
)  # fmt: skip
def test_what_is_a_secret_or_is_called_one_is_refused(data: object) -> None:
    with pytest.raises(Refused, match="never written down"):
        refuse_secrets(data)


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(Refused, match=r"journal: here\.a\[1\]\.token is named like a secret"):
        refuse_secrets({"a": [1, {"token": "x"}]}, "here")
    with pytest.raises(Refused, match=r"journal: data\[0\] holds a secret"):
        refuse_secrets([b"x"])


@pytest.mark.parametrize(
    "data",
    [
        {"secret_id": "x"}, {"secret_ids": ["x"]}, {"secret_ref": "x"}, {"password_hash": "x"},
        {"payload_sha256": "x"}, {"secret:1234": "x"}, {"name": "password"}, ["token"], {}, None, {"a": {"b": [1, "x"]}},
    ],
)  # fmt: skip
def test_what_only_names_a_secret_is_kept(data: object) -> None:
    refuse_secrets(data)


def test_a_secret_in_an_intent_or_a_message_never_reaches_the_journal(tmp_path: Path) -> None:
    class Careless(Plain):
        def intend(self, done: Outputs) -> JsonObject:
            return {"password": "hunter22"}

    with Journal(tmp_path / "j") as journal, pytest.raises(Refused, match=r"journal: a\.password"):
        run([Careless("a")], journal)
    assert b"hunter22" not in (tmp_path / "j").read_bytes()


# --- how long is waited


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("passed", "left"), [(-500, 120), (0, 120), (1, 119), (119, 1), (120, 0), (500, 0)],
)  # fmt: skip
def test_an_unanswered_write_is_waited_for_so_long_after_the_last(tmp_path: Path, passed: int, left: int) -> None:
    clock = [AT - timedelta(seconds=60)]
    with Journal(tmp_path / "j", now=lambda: clock[0]) as journal:
        assert remaining(journal, AT, 120) == 0
        journal.append(Event(kind="opened", data={"nodes": {"a": [], "b": [], "c": []}}))
        for node in "ab":
            journal.append(Event(kind="intended", node=node))
            journal.append(Event(kind="uncertain", node=node))
            clock[0] = AT
        clock[0] = AT + timedelta(seconds=passed)
        assert remaining(journal, clock[0], 120) == left
        assert journal.doubt("b", 120) == left
        assert journal.doubt("a", 120) == max(0, min(120, left - 60)) if passed >= 0 else 120
        assert journal.doubt("c", 120) == 0


def test_a_transient_error_is_tried_again_until_the_deadline_would_pass() -> None:
    pauses: list[float] = []
    policy = RetryPolicy(sleep=pauses.append, clock=lambda: sum(pauses))

    def never() -> None:
        raise Unreachable("x")

    with pytest.raises(Unreachable):
        policy.call(never, threading.Event())
    assert pauses[:8] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert 270 < sum(pauses) <= 300


def test_up_to_the_deadline_and_not_past_it() -> None:
    pauses: list[float] = []
    policy = RetryPolicy(first_s=3, longest_s=3, deadline_s=6, sleep=pauses.append, clock=lambda: sum(pauses))

    def never() -> None:
        raise Unreachable("x")

    with pytest.raises(Unreachable):
        policy.call(never, threading.Event())
    assert pauses == [3, 3]


def test_a_lasting_error_is_not_tried_again_and_a_stop_is_heard() -> None:
    asked: list[int] = []

    def fails(error: Exception) -> Any:
        asked.append(1)
        raise error

    with pytest.raises(Forbidden):
        RetryPolicy().call(lambda: fails(Forbidden("no")), threading.Event())
    assert asked == [1]
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="stopped while waiting"):
        RetryPolicy().call(lambda: fails(Unreachable("x")), stop)
    assert asked == [1, 1]
    assert RetryPolicy().call(lambda: "told", threading.Event()) == "told"


# --- what a step is given, and what is kept of it


@pytest.mark.thorough
def test_a_step_gets_its_intent_and_the_outputs_before_it_and_progress_is_passed_on(tmp_path: Path) -> None:
    first, second = Plain("a", output={"id": "1"}), Plain("b", ("a",), output={"id": "2"})
    heard: list[tuple[str, int, int | None]] = []
    events: list[tuple[str, str]] = []
    with Journal(tmp_path / "j") as journal:
        result = run([second, first], journal, plan="p", progress=lambda *told: heard.append(told),
                     listener=lambda event: events.append((event.kind, event.node)))  # fmt: skip
        assert (result.done, result.failed, result.blocked, result.interrupted) == (("a", "b"), (), (), False)
        assert journal.status.plan == "p"
        assert journal.status.intents == {"a": {"wish": "a"}, "b": {"wish": "b"}}
    assert second.seen == [{"intent": {"wish": "b"}, "done": {"a": {"id": "1"}}}]
    assert heard == [("a", 1, 2), ("b", 1, 2)]
    assert events == [("opened", ""), ("intended", "a"), ("done", "a"), ("intended", "b"), ("done", "b")]


def test_a_step_is_stopped_at_its_next_word_and_goes_on_with_the_same_intent(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()

    class Late(Plain):
        def intend(self, done: Outputs) -> JsonObject:
            return {"try": len(self.seen)}

    steps = [Late("a"), Plain("b", ("a",))]
    with Journal(tmp_path / "j") as journal:
        assert run(steps, journal, stop=stop).interrupted
        assert journal.status.intents == {} and journal.status.stopped
        halt = threading.Event()
        result = run(steps, journal, stop=halt, listener=lambda event: halt.set() if event.kind == "intended" else None)
        assert result.interrupted and (result.done, result.failed, result.blocked) == ((), (), ())
        assert not result.complete
        assert run(steps, journal).complete
    assert [s["intent"] for s in steps[0].seen] == [{"try": 0}, {"try": 0}]


@pytest.mark.thorough
def test_unwinding_hands_each_undo_what_was_intended_and_what_came_of_it(tmp_path: Path) -> None:
    first, second, third = Plain("a", output={"id": "1"}), Plain("b", errors=[Forbidden("no")]), Plain("c", ("b",))
    events: list[tuple[str, str]] = []
    with Journal(tmp_path / "j") as journal:
        assert run([first, second, third], journal, plan="p").failed == ("b",)
        result = unwind([first, second, third], journal, plan="p", listener=lambda e: events.append((e.kind, e.node)))
        assert result.complete and set(result.done) == {"a", "b"}
        with pytest.raises(PlanError, match="same steps, other contents"):
            unwind([first, second, third], journal, plan="q")
    assert first.undone == [({"wish": "a"}, {"id": "1"})] and second.undone == [({"wish": "b"}, None)]
    assert third.undone == []
    assert events[0] == ("unwinding", "") and sorted(events[1:]) == [("undone", "a"), ("undone", "b")]


@pytest.mark.thorough
def test_an_undo_sees_what_came_of_all_steps(tmp_path: Path) -> None:
    seen: list[Outputs] = []

    class Looking(Plain):
        def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
            seen.append(dict(done))

    steps = [Looking("a", output={"id": "1"}), Looking("b", ("a",), output={"id": "2"})]
    with Journal(tmp_path / "j") as journal:
        assert run(steps, journal).complete and unwind(steps, journal).complete
    assert seen == [{"a": {"id": "1"}, "b": {"id": "2"}}] * 2


@pytest.mark.thorough
def test_of_a_write_without_an_answer_is_kept_what_was_heard_instead(tmp_path: Path) -> None:
    error = Unreachable("cut off\x1b[2J")
    error.uncertain = True
    with Journal(tmp_path / "j") as journal:
        assert run([Plain("a", errors=[error])], journal, retry=RetryPolicy(sleep=lambda seconds: None)).complete
        (noted,) = [e for e in journal.events() if e.kind == "uncertain"]
    assert noted.node == "a" and noted.data == {"kind": "Unreachable", "message": "cut off [2J"}


@pytest.mark.thorough
def test_an_undo_that_fails_is_kept_with_its_reason_and_blocks_what_it_needs(tmp_path: Path) -> None:
    first, second = Plain("a"), Plain("b", ("a",))
    with Journal(tmp_path / "j") as journal:
        assert run([first, second], journal).complete
        second.errors = [Conflict("in use\x07" + "x" * 600)]
        result = unwind([first, second], journal)
        assert (result.done, result.failed, result.blocked, result.complete) == ((), ("b",), ("a",), False)
        told = journal.status.errors["b"]
        assert told["kind"] == "Conflict" and told["message"] == "in use " + "x" * 493
        assert journal.status.states == {"a": "done", "b": "undo failed"}


@pytest.mark.thorough
def test_other_needs_are_another_plan(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        assert run([Plain("a"), Plain("b")], journal).complete
        with pytest.raises(PlanError, match="other needs: b") as caught:
            run([Plain("a"), Plain("b", ("a",))], journal)
        assert "recorded plan" in caught.value.remedy
        assert run([Plain("b"), Plain("a")], journal).complete, "their order is no difference"


@pytest.mark.thorough
def test_steps_that_came_or_went_are_another_plan_each_by_itself(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        assert run([Plain("a"), Plain("b")], journal).complete
        with pytest.raises(PlanError, match=r"began with: removed: b$"):
            run([Plain("a")], journal)
        with pytest.raises(PlanError, match=r"began with: added: c$"):
            run([Plain("a"), Plain("b"), Plain("c")], journal)


@pytest.mark.thorough
def test_a_step_is_told_how_long_its_own_unanswered_write_may_still_be_finished(tmp_path: Path) -> None:
    told: dict[str, list[float]] = {"a": [], "b": []}

    class Asking(Plain):
        def act(self, intent: JsonObject, done: Outputs, progress: Any) -> JsonObject:
            told[self.name].append(progress.doubt())
            return super().act(intent, done, progress)

    lost = Unreachable("cut off")
    lost.uncertain = True
    with Journal(tmp_path / "j", now=lambda: AT) as journal:
        steps = [Asking("a", errors=[lost]), Asking("b", ("a",))]
        assert run(steps, journal, retry=RetryPolicy(sleep=lambda seconds: None), late_seconds=70).complete
    assert told == {"a": [0.0, 70.0], "b": [0.0]}


@pytest.mark.thorough
def test_a_journal_that_is_closed_lets_go_of_its_file_and_one_that_failed_says_what_to_do(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        run([Plain("a")], journal)
        journal._failed = True
        with pytest.raises(LocalError, match="an earlier write failed") as caught:
            journal.append(Event(kind="unwinding"))
        assert caught.value.remedy
    with pytest.raises(LocalError, match="closed"):
        journal.rows()
    broken = _broken(tmp_path / "j", 3)
    assert "entry 3 does not follow" in broken.what and "restore the file" in broken.remedy


def test_steps_come_in_an_order_in_which_each_has_what_it_needs() -> None:
    found = graph([Plain("c", ("b", "a")), Plain("b", ("a",)), Plain("a")])
    assert list(found) == ["a", "b", "c"] and found["c"].needs == ("b", "a")
    with pytest.raises(PlanError, match="'a' occurs twice") as caught:
        graph([Plain("a"), Plain("a")])
    assert "remove one" in caught.value.remedy


@pytest.mark.thorough
@pytest.mark.parametrize("text", ["no JSON", '{"kind": "a word of its own"}', "[]", "{}"])
def test_an_entry_that_cannot_be_read_is_refused_with_its_file_and_its_number(tmp_path: Path, text: str) -> None:
    file = tmp_path / "j"
    with Journal(file) as journal:
        assert run([Plain("a")], journal).complete
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE journal SET event = ? WHERE seq = 2", (text,))
    with pytest.raises(LocalError) as caught, Journal(file) as again:
        again.rows()
    assert caught.value.what.startswith(f"journal {file}: entry 2 does not follow")


def test_what_a_saga_was_opened_with_needs_what_its_list_says_and_nothing_where_there_is_none() -> None:
    nodes: dict[str, Any] = {"a": None, "b": ["a"], "c": "ab"}
    status = fold([Event(kind="opened", data={"nodes": nodes, "plan": "p"})])
    assert status.needs == {"a": (), "b": ("a",), "c": ()}
