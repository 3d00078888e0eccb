# SPDX-License-Identifier: Apache-2.0
"""Waiting for a cloud: it says what it waits for, and ends soon when the process is asked to stop.

Who implements the port calls `wait`. `cli` says once a command who listens (`heeding`): signals come to a process, not
to a cloud. What is waited for is the caller's; a request itself is bounded where it is sent, by the bounds that stand
here (`heeded`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from unterbau.cloud.bounds import Bounds
from unterbau.errors import Interrupted, Unreachable
from unterbau.verdict import Reason, Words

T = TypeVar("T")
QUIET_SECONDS = 20.0
"""For so long a wait is nothing special; then it says what it waits for, and again each minute."""
AGAIN_SECONDS = 60.0
GRACE_SECONDS = 1.0
"""A wait may go on for so long after a stop, and one that begins after it may last so long: most deletions end by then."""


@dataclass(frozen=True)
class Heed:
    """Who may end a wait, who hears of it, and how long a request may take."""

    stop: threading.Event = field(default_factory=threading.Event)
    say: Callable[[str], None] = lambda line: None
    bounds: Bounds = field(default_factory=Bounds)


_heeds = [Heed()]


@contextmanager
def heeding(stop: threading.Event, say: Callable[[str], None], bounds: Bounds | None = None) -> Iterator[None]:
    """Within it all waits of this process end soon after `stop` is set, say what they wait for, and keep the bounds."""
    _heeds.append(Heed(stop, say, bounds or _heeds[-1].bounds))
    try:
        yield
    finally:
        _heeds.pop()


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


def wait(look: Callable[[], T | None], deadline: timedelta, what: Words, *, last: Callable[[], str] = lambda: "") -> T:
    """Call `look` until it gives something other than None. Raises Unreachable at the deadline, Interrupted.

    `last`: the status that was seen last, for both messages.
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
        pause = min(pause * 1.5, 2.0)


def _so_far(what: Words, last: str) -> Words:
    return Reason.of("wait.last", what=what, status=last) if last else what


def _pause(stop: threading.Event, seconds: float) -> None:
    if stop.is_set():
        time.sleep(min(seconds, GRACE_SECONDS / 5))
    else:
        stop.wait(seconds)


def ran_out(error: Unreachable) -> bool:
    """Whether it says that a wait reached its deadline, and not that nobody answered."""
    return isinstance(error.why, Reason) and error.why.id == "wait.not-within"
