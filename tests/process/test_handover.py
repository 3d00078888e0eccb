# SPDX-License-Identifier: Apache-2.0
"""How long nobody answers while an application goes from one side to the other: real sockets, and clocks that cannot run fast."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
import speakers

from unterbau.switch.probes.model import Closed, Http, Open, Probe
from unterbau.switch.probes.outage import Course, Looks, Watched
from unterbau.switch.probes.running import Prober
from unterbau.switch.probes.watching import Watch, watched
from unterbau.tenant.kinds import CloudIdentity

OLD, NEW = "203.0.113.7", "198.51.100.9"
PROBE = Http(id="http", at="floating_ip:f", port=80)
SOON = 60.0


class Stage:
    """An application that serves `pages` at two addresses, or nowhere."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[tuple[str, float]] = []

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        address = headers["Host"]
        self.asked.append((address, time.monotonic()))
        page = self.pages.get(address)
        return (503, {}, b"") if page is None else (200, {}, page)


class Seen:
    """A watch that goes on in a thread."""

    def __init__(self, stage: Stage, port: int, find: Callable[[], Mapping[str, str]], seconds: float = 2.0) -> None:
        self.stop = threading.Event()
        self.stage = stage
        asking = Prober(now=lambda: datetime.now(UTC), stop=self.stop, rate=1e9, seconds=seconds)
        closed = speakers.free()
        self.where: Callable[[str], int] = lambda address: port if address in stage.pages else closed
        asking.place = lambda address, _: ("127.0.0.1", self.where(address))
        self.kept = 0
        self.watch = Watch(asking, [(PROBE, OLD)], find, lambda line: None)
        self.thread = threading.Thread(target=self.watch.run, args=(time.monotonic() + SOON, self._keep))

    def _keep(self) -> None:
        self.kept += 1

    def __enter__(self) -> Seen:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(SOON)

    def until(self, reached: Callable[[Course], bool]) -> Course:
        end = time.monotonic() + SOON
        while not reached(self.course()):
            assert time.monotonic() < end
            time.sleep(0.01)
        return self.course()

    def course(self) -> Course:
        (one,) = self.watch.courses()
        return one


def test_the_outage_is_from_the_last_answer_of_the_source_to_the_first_of_the_target() -> None:
    stage, there = Stage(), dict[str, str]()
    with speakers.page(stage.answer) as port, Seen(stage, port, lambda: there) as seen:
        stage.pages[OLD] = b"rows: 41"
        seen.until(lambda c: c.source.answered >= 3)
        del stage.pages[OLD]
        gone = datetime.now(UTC)
        there["http"] = NEW
        seen.until(lambda c: c.target.asked >= 2)
        stage.pages[NEW] = b"rows: 40"
        seen.until(lambda c: c.target.otherwise >= 2)
        assert seen.course().target.first is None, "another page is no such answer"
        back = datetime.now(UTC)
        stage.pages[NEW] = b"rows: 41"
        seen.thread.join(SOON)
        assert not seen.thread.is_alive(), "it ends by itself when the target answers"
        course = seen.course()
    seconds = course.seconds()
    assert course.source.last is not None and course.target.first is not None and seconds is not None
    assert course.source.last <= gone and course.target.first >= back
    assert seconds == (course.target.first - course.source.last).total_seconds()
    assert seconds >= (back - gone).total_seconds()
    assert course.target.address == NEW and seen.kept >= 1


def test_both_are_asked_five_times_a_second_at_the_most_however_long_silence_takes() -> None:
    stage = Stage()
    stage.pages[OLD] = stage.pages[NEW] = b"page"
    with speakers.page(stage.answer) as port, Seen(stage, port, dict) as seen:
        begin = time.monotonic()
        seen.until(lambda c: c.source.answered >= 8)
        took = time.monotonic() - begin
    times = sorted(at for address, at in stage.asked if address == OLD)
    assert len(times) <= took / 0.2 + 3
    assert not [a for a, _ in stage.asked if a == NEW], "nobody asks a place that was not found"


def test_a_slow_application_is_asked_one_question_at_a_time_and_is_heard() -> None:
    """Asked five times a second it would have its hands full, and would never be seen to answer."""
    stage, at_once, most, lock = Stage(), [0], [0], threading.Lock()

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(3.0)
        with lock:
            at_once[0] -= 1
        return stage.answer(path, headers)

    stage.pages[OLD] = b"page"
    with speakers.page(answer) as port, Seen(stage, port, dict, seconds=10.0) as seen:
        course = seen.until(lambda c: c.source.answered >= 2)
    assert most[0] == 1 and course.source.first is not None and course.source.last is not None


def test_what_changes_at_each_look_is_no_other_answer_and_what_a_user_changed_is_awaited() -> None:
    stage, count = Stage(), iter(range(10**6))

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        status, _, page = stage.answer(path, headers)
        return status, {"Cache-Control": f"max-age={next(count)}"}, page

    there = {"http": NEW}
    with speakers.page(answer) as port, Seen(stage, port, lambda: there) as seen:
        stage.pages[OLD] = b"before"
        seen.until(lambda c: c.source.answered >= 8)
        stage.pages[OLD] = b"after"
        so_far = seen.course().source.answered
        seen.until(lambda c: c.source.answered >= so_far + 12)
        stage.pages[NEW] = b"another"
        seen.until(lambda c: c.target.otherwise >= 1)
        assert seen.course().target.first is None
        stage.pages[NEW] = b"after"
        seen.thread.join(SOON)
        assert seen.course().target.first is not None


def test_what_a_source_says_for_a_moment_while_it_goes_down_is_not_what_the_target_must_say() -> None:
    """Its database may stop before its pages do."""
    stage, there, odd, said = Stage(), {"http": NEW}, threading.Event(), list[bytes]()

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        status, more, page = stage.answer(path, headers)
        if odd.is_set() and headers["Host"] == OLD:
            page = b"rows: 0"
            said.append(page)
            if len(said) == 3:
                odd.clear()
                del stage.pages[OLD]
        return status, more, page

    with speakers.page(answer) as port, Seen(stage, port, lambda: there) as seen:
        stage.pages[OLD] = b"rows: 41"
        seen.until(lambda c: c.source.answered >= 3)
        odd.set()
        seen.until(lambda c: not odd.is_set() and c.source.asked > c.source.answered)
        stage.pages[NEW] = b"rows: 4"
        seen.until(lambda c: c.target.otherwise >= 1)
        stage.pages[NEW] = b"rows: 41"
        seen.thread.join(SOON)
        assert seen.course().target.first is not None


def test_a_source_that_says_that_it_cannot_serves_no_longer() -> None:
    stage = Stage()
    stage.pages[OLD] = b"page"
    with speakers.page(stage.answer) as port, Seen(stage, port, dict) as seen:
        seen.until(lambda c: c.source.answered >= 2)
        seen.where = lambda address: port
        del stage.pages[OLD]
        gone = datetime.now(UTC)
        seen.until(lambda c: c.source.otherwise >= 2)
        last = seen.course().source.last
        assert last is not None and last <= gone


def test_one_open_probe_an_address_is_watched() -> None:
    probes: list[Probe] = [
        Closed(id="c", at="a", port=5432, control="h"),
        PROBE,
        PROBE.model_copy(update={"id": "again"}),
    ]
    many: list[Probe] = [PROBE.model_copy(update={"id": f"p{n}", "at": f"floating_ip:{n}"}) for n in range(20)]
    found: list[Open] = watched([*probes, *many], lambda p: p.at)
    assert [p.id for p in found] == ["http", *(f"p{n}" for n in range(7))]
    assert watched(probes, lambda p: "") == []


AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def told(*courses: Course) -> Watched:
    who = CloudIdentity(
        name="a", auth_url="https://a", region="r", project_id="p", project_name="p", user_id="u", roles=()
    )
    return Watched(source=who, target=who, began=at(0), ended=at(100), courses=courses)


@pytest.mark.parametrize(
    ("last", "first", "seconds"),
    [(10, 52.5, 42.5), (10, 5, 0.0), (None, 5, None), (10, None, None), (None, None, None)],
)
def test_without_one_of_the_two_nothing_is_shown(
    last: float | None, first: float | None, seconds: float | None
) -> None:
    course = Course(
        probe="p",
        source=Looks(last=None if last is None else at(last)),
        target=Looks(first=None if first is None else at(first)),
    )
    whole = Course(probe="q", source=Looks(last=at(1)), target=Looks(first=at(2)))
    assert course.seconds() == seconds
    assert told(course, whole).seconds() == (None if seconds is None else max(seconds, 1.0))
    assert told().seconds() is None


def test_a_watch_that_was_killed_goes_on_from_what_it_had_seen() -> None:
    before = told(Course(probe="p", source=Looks(address=OLD, asked=9, answered=9, first=at(1), last=at(9))))
    now = told(
        Course(
            probe="p",
            source=Looks(address=OLD, asked=3),
            target=Looks(address=NEW, asked=3, answered=1, first=at(40), last=at(40)),
        )
    )
    assert now.seconds() is None
    both = now.after(before)
    assert both.seconds() == 31.0 and both.began == before.began
    assert both.courses[0].source.asked == 12


def test_looks_come_in_any_order() -> None:
    looks = Looks(address=NEW)
    for asked, heard, answered in ((3, 4, True), (1, 9, False), (2, 3.5, True), (5, 5.1, True), (4, 8, False)):
        looks = looks.with_look(at(asked), at(heard), answered=answered)
    assert (looks.asked, looks.answered, looks.first, looks.last) == (5, 3, at(3.5), at(5))
