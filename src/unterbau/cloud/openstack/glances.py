# SPDX-License-Identifier: Apache-2.0
"""Whether things are still on their way for which several threads wait at the same time: one listing tells all of them.

`compute` waits with it for servers. The listing names what is on its way, and no more, so it is short and costs a cloud
little. Whatever it does not name its waiter looks at by itself, and so does who waits alone: nothing depends on what the
listing holds. No cache: what a waiter is told is never older than his waiting. Who waits since less than a second, and not
alone, asks nobody: what was asked for just now is on its way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

FRESH_SECONDS = 1.0
"""So old may a listing be of which another waiter is told. Waits end by seconds (`waiting.wait`)."""


class Glances:
    """At one kind of things. `underway` lists the ids of those that are on their way."""

    def __init__(self, underway: Callable[[], Set[str]]) -> None:
        self._underway = underway
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._listed: Set[str] = frozenset()
        self._began = -FRESH_SECONDS
        """When the last listing was asked for."""

    @contextmanager
    def at(self, id_: str) -> Iterator[Callable[[], bool]]:
        """While it is waited for: whether it is known to be on its way still. Raises what the listing raises."""
        since = time.monotonic()
        self._waiting.append(id_)
        try:
            yield lambda: len(self._waiting) > 1 and (_is_fresh(since) or id_ in self._together())
        finally:
            self._waiting.remove(id_)

    def _together(self) -> Set[str]:
        """A fresh listing; one thread asks, the others wait for it."""
        with self._lock:
            if not _is_fresh(self._began):
                began = time.monotonic()
                self._listed = self._underway()
                self._began = began
            return self._listed


def _is_fresh(moment: float) -> bool:
    return time.monotonic() - moment < FRESH_SECONDS
