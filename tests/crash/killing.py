# SPDX-License-Identifier: Apache-2.0
"""Ends the process that calls it, as if its power was cut, at one write of a journal. The programs of the crash tests use it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import count


def at(number: int) -> Callable[[int], None]:
    """For `Journal(on_write=...)`: kills at the write of that number, counted from 1; 0: never."""
    written = count(1)

    def on_write(seq: int) -> None:
        if next(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_write
