# SPDX-License-Identifier: Apache-2.0
"""How fast a person lets us go: bytes a second to and from a cloud, requests a second. `wire` asks before it sends and reads.

The limits are those of `waiting.heeded` (`--bwlimit`, `--tpslimit`), and hold for each cloud by itself, however many sessions
of this process speak to it. Where none is set nothing is counted.
"""

from __future__ import annotations

import functools
import threading
import time
from typing import Literal

from unterbau.cloud.waiting import heeded

Way = Literal["up", "down"]
SHARE_SECONDS = 0.25
"""No more is sent or read at once than may pass in this time, so that the other side never waits long for the next piece."""
LEAST = 4096


class Turns:
    """One thing of which so many a second may pass. Who comes waits until all before him have had their time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def take(self, count: float, a_second: float) -> None:
        """Wait until it is our turn; what we take (`count`) makes the next one wait. A stop ends the wait."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + count / a_second
        if turn > now:
            heeded().stop.wait(turn - now)


class Limits:
    """The turns of one cloud."""

    def __init__(self) -> None:
        self._requests = Turns()
        self._ways: dict[Way, Turns] = {"up": Turns(), "down": Turns()}

    def ask(self) -> None:
        """Before each request."""
        a_second = heeded().bounds.requests
        if a_second:
            self._requests.take(1, a_second)

    def most(self, way: Way, size: int) -> int:
        """How many of so many bytes may go at once."""
        a_second = _rate(way)
        return min(size, max(LEAST, int(a_second * SHARE_SECONDS))) if a_second else size

    def pass_(self, way: Way, size: int) -> None:
        """Before bytes go up, after they came down."""
        a_second = _rate(way)
        if a_second and size:
            self._ways[way].take(size, a_second)


@functools.cache
def limits(cloud: str) -> Limits:
    """Those of a cloud, by the address of its Keystone."""
    return Limits()


def _rate(way: Way) -> float:
    bounds = heeded().bounds
    return bounds.up if way == "up" else bounds.down
