# SPDX-License-Identifier: Apache-2.0
"""Waiting for a cloud: it says what it waits for, and ends soon when the process is asked to stop.

Who implements the port calls `wait`. `cli` says once a command who listens (`heeding`): signals come to a process, not
to a cloud. What is waited for is the caller's; a request itself is bounded where it is sent, by the bounds that stand
here (`heeded`). With the command its connections end: who opens some says so (`Heed.opened`), and they are closed then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import WeakSet

from unterbau.cloud.bounds import Bounds
from unterbau.errors import Interrupted, Unreachable

if TYPE_CHECKING:
    from unterbau.verdict import Words

T = TypeVar("T")
QUIET_SECONDS = 20.0
"""For so long a wait is nothing special; then it says what it waits for, and again each minute."""
AGAIN_SECONDS = 60.0
LONGEST_PAUSE = 2.0
GRACE_SECONDS = 1.0
"""A wait may go on for so long after a stop, and one that begins after it may last so long: most deletions end by then."""


class Connected(Protocol):
    """Who has connections."""

    def close(self) -> None:
        """Close them. Whoever asks again opens new ones."""


@dataclass(frozen=True)
class Heed:
    """Who may end a wait, who hears of it, how long a request may take, and what is closed at the end."""

    stop: threading.Event = field(default_factory=threading.Event)
    say: Callable[[str], None] = lambda line: None
    bounds: Bounds = field(default_factory=Bounds)
    opened: WeakSet[Connected] = field(default_factory=WeakSet, compare=False)
    """Whose connections are closed when it is heeded no more. An error may keep them alive longer, so they are not left to that."""


_heeds = [Heed()]


@contextmanager
def heeding(stop: threading.Event, say: Callable[[str], None], bounds: Bounds | None = None) -> Iterator[None]:
    """Within it all waits of this process end soon after `stop` is set, say what they wait for, and keep the bounds.

    What was opened within it is closed at its end, also after an error.
    """
    with _heeding(Heed(stop, say, bounds or _heeds[-1].bounds)):
        yield


@contextmanager
def closing() -> Iterator[None]:
    """What is opened within it is closed at its end; everything else is heeded as before."""
    with _heeding(replace(heeded(), opened=WeakSet())):
        yield


@contextmanager
def _heeding(heed: Heed) -> Iterator[None]:
    _heeds.append(heed)
    try:
        yield
    finally:
        _heeds.pop()
        for one in list(heed.opened):
            one.close()


def heeded() -> Heed:
    """What holds now."""
    return _heeds[-1]


def stoppable(what: str) -> Callable[[], None]:
    """To be called between two steps of long work: raises Interrupted once a stop came since the work began.

    What begins after a stop tidies up, and goes on.
    """
    stop = heeded().stop
    tidying = stop.is_set()

    def between() -> None:
        if stop.is_set() and not tidying:
            raise Interrupted(f"stopped while {what}", "Run the same command again.")

    return between


def wait(
    look: Callable[[], T | None], deadline: timedelta, what: Words, *, last: Callable[[], str] = lambda: "",
    longest: float = LONGEST_PAUSE,
) -> T:  # fmt: skip
    """Call `look` until it gives something other than None. Raises Unreachable at the deadline, Interrupted.

    `last`: the status that was seen last, for both messages. `longest`: the pause between two looks (seconds), which begins short and grows.
    """
    heed, begun, pause, due = heeded(), time.monotonic(), 0.1, QUIET_SECONDS
    stopped: float | None = None
    while True:
        found = look()
        if found is not None:
            return found
        now = time.monotonic()
        left = deadline.total_seconds() - (now - begun)
        if left <= 0:
            from unterbau.verdict import Reason  # here, so that the first request waits for no library of models

            why = Reason.of("wait.not-within", what=_so_far(what, last()), seconds=round(deadline.total_seconds()))
            raise Unreachable(str(why), why=why)
        if heed.stop.is_set():
            stopped = stopped or now
            if now - stopped >= GRACE_SECONDS:
                raise Interrupted(f"stopped while waiting for {what}", "Run the same command again.")
        if now - begun >= due:
            due += AGAIN_SECONDS
            heed.say(
                f"waiting for {_so_far(what, last())}: {now - begun:.0f} s, at most {deadline.total_seconds():.0f} s"
            )
        _pause(heed.stop, min(pause, left))
        pause = min(pause * 1.5, longest)


def _so_far(what: Words, last: str) -> Words:
    from unterbau.verdict import Reason

    return Reason.of("wait.last", what=what, status=last) if last else what


def _pause(stop: threading.Event, seconds: float) -> None:
    if stop.is_set():
        time.sleep(min(seconds, GRACE_SECONDS / 5))
    else:
        stop.wait(seconds)


def ran_out(error: Unreachable) -> bool:
    """Whether it says that a wait reached its deadline, and not that nobody answered."""
    return getattr(error.why, "id", "") == "wait.not-within"
