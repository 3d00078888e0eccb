# SPDX-License-Identifier: Apache-2.0
"""Writes whose answer never came, and how long a cloud may still finish them. `move`, `drill`, `verify` and `prove` call it.

A request outlives its client: after a cut, a timeout, a 5xx or a kill the cloud may have done nothing, or everything,
or may do it in a minute. What it does then cannot be found yet. So a run notes each such write (`uncertain`), waits at its end
until none of them can be finished any more, and looks once more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from unterbau.errors import Conflict, Interrupted
from unterbau.saga.journal import Journal
from unterbau.saga.steps import Attempt

T = TypeVar("T")
PAUSE_SECONDS = 3.0


def remaining(journal: Journal, now: datetime, seconds: float) -> float:
    """Seconds from `now` until no unanswered write of this journal can be finished any more; 0 if there is none."""
    if not journal.doubts:
        return 0.0
    left = seconds - (now - max(journal.doubts.values())).total_seconds()
    return max(0.0, min(left, seconds))


def wait_out(
    journal: Journal, seconds: float, *, now: Callable[[], datetime], stop: threading.Event, say: Callable[[str], None]
) -> bool:
    """Wait until the last unanswered write can be finished no more; False if there was none. Raises Interrupted."""
    left = remaining(journal, now(), seconds)
    if left > 0:
        count = len(journal.doubts)
        say(
            f"waiting {left:.0f} s: {count} {'step' if count == 1 else 'steps'} got no answer to a write, and the cloud "
            "may still finish it (--late-writes says how long that may take)"
        )
        stop.wait(left)
        if stop.is_set():
            raise Interrupted("stopped while waiting for writes without an answer", "Run the same command again.")
    return bool(journal.doubts)


def insist(action: Callable[[], T], attempt: Attempt) -> T:
    """The action's result. A conflict may be one with our own lost write: it is tried again while there can be one.

    Once also without any known: a proxy may have repeated a request of ours.
    """
    end = time.monotonic() + max(attempt.doubt(), PAUSE_SECONDS)
    while True:
        try:
            return action()
        except Conflict:
            if time.monotonic() >= end:
                raise
        attempt(0, None)
        time.sleep(PAUSE_SECONDS)
