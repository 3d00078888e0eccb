# SPDX-License-Identifier: Apache-2.0
"""What several threads ask for at the same time, as one request. The services call it where their API makes many at once.

Not here: how they are asked for, and what becomes of those that were refused together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

I = TypeVar("I")  # noqa: E741 - what goes in
O = TypeVar("O")  # noqa: E741 - what comes out


class Gathered(Generic[I, O]):
    """Who comes while a request is under way goes in the next one, with all who came meanwhile; alone, one goes alone.

    `send` gives an answer for each, in their order; what it raises all of them raise. At most `most` go together.
    """

    def __init__(self, send: Callable[[Sequence[I]], Sequence[O]], most: int = 100) -> None:
        self._send, self._most = send, most
        self._turn, self._door = threading.Lock(), threading.Lock()
        self._waiting: list[tuple[I, Future[O]]] = []

    def __call__(self, item: I) -> O:
        """The answer for this one."""
        answer = Future[O]()
        with self._door:
            self._waiting.append((item, answer))
        while not answer.done():
            with self._turn:
                if not answer.done():
                    self._go()
        return answer.result()

    def _go(self) -> None:
        with self._door:
            going, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            told = self._send([item for item, _ in going])
            for (_, answer), one in zip(going, told, strict=True):
                answer.set_result(one)
        except BaseException as error:  # noqa: BLE001 - whatever it is, each of those who wait must hear of it
            for _, answer in going:
                if not answer.done():
                    answer.set_exception(error)
