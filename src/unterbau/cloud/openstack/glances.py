# SPDX-License-Identifier: Apache-2.0
"""Looks at things that several threads wait for at the same time: one short listing tells of all of them.

`compute` waits with it for servers. Whoever waits alone asks for its one thing; what a listing lacks is asked for by itself,
so nothing depends on what the listing holds or how it is sorted. No cache: a look at a thing is never older than its waiter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from unterbau.cloud.openstack.http import Json

FRESH_SECONDS = 1.0
"""So old may a listing be of which another waiter is told. Waits end by seconds (`waiting.wait`)."""
ROOM = 2
"""A listing has room for so many times those that are waited for: others make things, too."""


class Glances:
    """Of one kind of things. `newest` lists so many of them, the last made first; `one` is a single thing, None if it is gone."""

    def __init__(self, newest: Callable[[int], Mapping[str, Json]], one: Callable[[str], Json | None]) -> None:
        self._newest, self._one = newest, one
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._listed: Mapping[str, Json] = {}
        self._began = -FRESH_SECONDS
        """When the last listing was asked for."""

    @contextmanager
    def at(self, id_: str) -> Iterator[Callable[[], Json | None]]:
        """How to look at it, while it is waited for. The looks raise what the requests raise."""
        since = time.monotonic()
        self._waiting.append(id_)
        try:
            yield lambda: self._look(id_, since)
        finally:
            self._waiting.remove(id_)

    def _look(self, id_: str, since: float) -> Json | None:
        if len(self._waiting) > 1 and (found := self._together(since).get(id_)) is not None:
            return found
        return self._one(id_)

    def _together(self, since: float) -> Mapping[str, Json]:
        """A listing that began after `since`; one thread asks, the others wait for it."""
        with self._lock:
            if self._began < max(since, time.monotonic() - FRESH_SECONDS):
                began = time.monotonic()
                self._listed = self._newest(ROOM * len(self._waiting))
                self._began = began
            return self._listed
