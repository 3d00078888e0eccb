# SPDX-License-Identifier: Apache-2.0
"""Runs that make things for a moment: what a killed one left is removed, waited for and forgotten; others' is not touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unterbau.errors import Conflict, Interrupted
from unterbau.saga import Event, Journal, JsonObject, Momentary, forget, markers, remaining

AT = datetime(2026, 11, 26, 10, tzinfo=UTC)
LATE = 120.0


@dataclass
class Cloud:
    """What lies there, by marker; what will not go; and in which order was asked."""

    holds: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    asked: list[tuple[str, JsonObject | None]] = field(default_factory=list)

    def remove(self, intent: JsonObject, output: JsonObject | None) -> None:
        marker = str(intent["marker"])
        self.asked.append((marker, output))
        if marker in self.stuck:
            raise Conflict(f"{marker} is in use")
        self.holds.discard(marker)


@dataclass
class World:
    folder: Path
    cloud: Cloud = field(default_factory=Cloud)
    clock: list[datetime] = field(default_factory=lambda: [AT])
    said: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def now(self) -> datetime:
        return self.clock[0]

    def runs(self, place: str = "verify-b", say: Callable[[str], None] | None = None) -> Momentary:
        return Momentary(self.folder, place, self.cloud.remove, self.now, self.stop, LATE, say or self.said.append)

    def killed(self, run: str, *events: str, place: str = "verify-b") -> Path:
        """A run that made, or began to make, what its events say (`done a`), and was killed."""
        path = self.runs(place).journal(run)
        with Journal(path, now=self.now) as journal:
            nodes: dict[str, list[str]] = {event[-1]: [] for event in events}
            journal.append(Event.model_validate({"kind": "opened", "data": {"nodes": nodes}}))
            for word in events:
                kind, node = word.split()
                marked = {"name": f"thing {node}", "marker": f"{run}/{node}"}
                data = {"intended": marked, "done": {"id": f"id of {node}"}}.get(kind, {})
                journal.append(Event.model_validate({"kind": kind, "node": node, "data": data}))
                self.cloud.holds.add(f"{run}/{node}")
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_a_killed_run_made_is_removed_the_last_first_by_its_output_or_else_by_its_mark(world: World) -> None:
    path = world.killed("1", "intended a", "done a", "intended b")
    assert world.runs().take_up() == ([path], [])
    assert world.cloud.asked == [("1/b", None), ("1/a", {"id": "id of a"})] and not world.cloud.holds


def test_what_was_undone_already_and_what_has_no_mark_is_not_asked_for(world: World) -> None:
    path = world.killed("1", "intended a", "done a")
    with Journal(path, now=world.now) as journal:
        journal.append(Event(kind="unwinding"))
        journal.append(Event(kind="undone", node="a"))
    plain = world.runs().journal("2")
    with Journal(plain, now=world.now) as journal:
        journal.append(Event(kind="opened", data={"nodes": {"looked": []}}))
        journal.append(Event(kind="intended", node="looked", data={"name": "looked"}))
    assert world.runs().take_up() == ([path, plain], []) and world.cloud.asked == []


@pytest.mark.thorough
def test_runs_of_another_place_and_of_a_living_process_are_left_alone(world: World) -> None:
    mine, other = world.killed("1", "intended a"), world.killed("2", "intended a", place="verify-c")
    with Journal(world.killed("3", "intended a")):
        killed, left = world.runs().take_up()
    assert (killed, left) == ([mine], []) and other.exists()
    assert world.cloud.holds == {"2/a", "3/a"}


def test_what_will_not_go_is_named_with_its_reason_and_its_journal_stays(world: World) -> None:
    path = world.killed("1", "intended a", "done a", "intended b", "done b")
    world.cloud.stuck = {"1/a"}
    assert world.runs().take_up() == ([path], ["thing a (1/a is in use)"])
    assert world.runs().finish([path]) == ["thing a (1/a is in use)"] and path.exists()
    world.cloud.stuck = set()
    assert world.runs().finish([path]) == [] and not world.cloud.holds
    assert list(world.folder.iterdir()) == [], "a run that left nothing is forgotten, with the lock and all"


def test_the_write_of_a_killed_run_is_waited_for_from_the_take_up_on_and_removed_when_it_came_late(
    world: World,
) -> None:
    path = world.killed("1", "intended a")
    world.clock[0] += timedelta(hours=1)
    runs = world.runs()
    killed, _ = runs.take_up()
    world.cloud.holds.add("1/a")  # the cloud finished the request only now
    world.clock[0] += timedelta(seconds=50)
    waited: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        waited.append(timeout)
        return False

    world.stop.wait = wait  # type: ignore[method-assign]
    assert runs.finish(killed) == [] and not world.cloud.holds and not path.exists()
    assert waited == [70.0] and len(world.said) == 1 and "70 s: 1 step got no answer" in world.said[0]


def test_two_writes_without_an_answer_are_steps_in_the_plural(world: World) -> None:
    path = world.killed("1", "intended a", "intended b")
    world.runs().take_up()
    world.stop.wait = lambda timeout=None: False  # type: ignore[method-assign]
    world.runs().finish([path])
    assert "2 steps got no answer" in world.said[0]


def test_a_stop_ends_the_waiting_and_the_next_run_takes_it_up_again(world: World) -> None:
    path = world.killed("1", "intended a")
    world.stop.set()
    killed, _ = world.runs().take_up()
    with pytest.raises(Interrupted):
        world.runs().finish(killed)
    assert path.exists()
    world.stop.clear()
    assert world.runs().take_up()[0] == [path]


def test_swept_is_noted_only_when_all_that_may_have_come_late_is_gone(world: World) -> None:
    path = world.killed("1", "intended a", "uncertain a")
    world.clock[0] += timedelta(seconds=LATE)
    world.cloud.stuck = {"1/a"}
    with Journal(path, now=world.now) as journal:
        assert world.runs().sweep(journal) == ["thing a (1/a is in use)"] and journal.doubts.keys() == {"a"}
        world.cloud.stuck = set()
        assert world.runs().sweep(journal) == []
        assert not journal.doubts and journal.events()[-1].kind == "swept"
        asked = len(world.cloud.asked)
        assert world.runs().sweep(journal) == [] and len(world.cloud.asked) == asked
        assert journal.events()[-2].kind != "swept", "nothing was in doubt any more: nothing is noted"


def test_what_is_noted_at_the_end_has_the_time_of_the_run(world: World) -> None:
    path = world.killed("1", "intended a", "done a", "intended b", "uncertain b")
    world.cloud.stuck = {"1/a"}
    world.clock[0] += timedelta(seconds=2 * LATE)
    assert world.runs().finish([path]) == ["thing a (1/a is in use)"]
    with Journal(path) as journal:
        last = journal.rows()[-1]
    assert (last.event.kind, datetime.fromisoformat(last.at)) == ("swept", world.now())


def test_what_remains_is_all_that_has_a_mark_and_is_not_surely_gone(world: World) -> None:
    path = world.killed("1", "intended a", "done a", "intended b", "done b", "intended c")
    with Journal(path, now=world.now) as journal:
        journal.append(Event(kind="unwinding"))
        journal.append(Event(kind="undone", node="b"))
        assert remaining(journal) == ["thing a", "thing c"]


def test_the_marks_of_all_runs_of_a_verb_are_known_whoever_runs_them(world: World) -> None:
    world.killed("1", "intended a", "intended b")
    world.killed("2", "intended a", place="verify-c")
    world.killed("3", "intended a", place="prove-c")
    (world.folder / "verify-broken.db").write_text("forgotten meanwhile")
    with Journal(world.killed("4", "intended a")):
        assert markers(world.folder, "verify") == {"1/a", "1/b", "2/a", "4/a"}


def test_forgetting_takes_what_lies_beside_a_journal_and_nothing_else(world: World) -> None:
    path, other = world.killed("1", "intended a"), world.killed("12", "intended a")
    for suffix in ("-wal", "-shm", ".lock"):
        path.with_name(path.name + suffix).touch()
    forget(path)
    forget(path)
    assert not list(world.folder.glob("verify-b-1.db*")) and other.exists()
