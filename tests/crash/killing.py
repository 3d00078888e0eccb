# SPDX-License-Identifier: Apache-2.0
"""Ends the process that calls it, as if its power was cut: at one write of a journal, or before any change of its files.

The programs of the crash tests use it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from sys import addaudithook
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link"})


def at(number: int) -> Callable[[int], None]:
    """For `Journal(on_write=...)`: kills at the write of that number, counted from 1; 0: never."""
    written = count(1)

    def on_write(seq: int) -> None:
        if next(written) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_write


def at_moment(number: int, under: Path) -> None:
    """From now on: kills before the change of that number (from 1) in a folder; 0: never.

    A change is a file that is opened for writing, made, renamed or removed, or a statement of a database.
    """
    place, changed = os.fspath(under.resolve()), count(1)

    def change() -> None:
        if next(changed) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            where = arguments[0]
            if isinstance(where, str | os.PathLike) and os.fspath(where).startswith(place):
                change()

    def connect(file: Any, *given: Any, **more: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = opened(file, *given, **more)
        if "mode=ro" not in os.fspath(file):
            made.set_trace_callback(lambda statement: change())
        return made

    if number:
        opened = sqlite3.connect
        sqlite3.connect = connect  # type: ignore[assignment]
        addaudithook(heard)
