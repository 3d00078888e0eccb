# SPDX-License-Identifier: Apache-2.0
"""The verifier of a drill, as a process of its own that ends with the drill: both ends of that bond.

`drill` calls `call`, or `beside` for what goes on while it works itself; `cli` puts `bound` around what the child does. The bond is the child's standard input: a pipe whose
other end the drill alone holds, so that it is closed when the drill ends, however that happens. Then, and when the drill
is asked to stop, the child ends in order: it removes its temporaries first. A lock in the drill's folder keeps the
verifier of a resumed drill waiting for that. Nothing about the verification is decided here.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unterbau import files
from unterbau.errors import Interrupted

LOCK = "verifier"
"""Held, in the drill's folder, by its verifier."""
WATCH = "watch"
"""Held there by what asks both sides during a cut-over."""
POLL_SECONDS = 0.2


def call(argv: Sequence[str], stop: threading.Event) -> int:
    """Run the child to its end and return its exit code. When `stop` is set it is told to end, and waited for.

    It is no part of the terminal's foreground group: Ctrl-C reaches it through us, once.
    """
    with _started(argv) as child:
        while True:
            try:
                return child.wait(timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if stop.is_set() and child.stdin is not None:
                    child.stdin.close()


class Beside:
    """A child that runs beside us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None


@contextmanager
def beside(argv: Sequence[str]) -> Iterator[Beside]:
    """Run the child within it; at its end the child is told to end, and waited for."""
    with _started(argv) as process:
        yield Beside(process)


def _started(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0)


@contextmanager
def bound(
    folder: Path | None, stop: threading.Event, say: Callable[[str], None], *, lock: str = LOCK
) -> Iterator[None]:
    """Within it this process ends with the drill in `folder` (None: there is none); another holder of the lock was waited for.

    Raises Interrupted if the drill ends first.
    """
    if folder is None:
        yield
        return
    threading.Thread(target=_watch, args=(stop,), daemon=True, name="bond").start()
    handle = files.take(folder / lock)
    if handle is None:
        say(f"waiting for an earlier {lock} of this drill (process {files.holder(folder / lock)}), which is ending")
    while handle is None:
        if stop.wait(POLL_SECONDS):
            raise Interrupted(f"stopped while waiting for an earlier {lock}", "Run the same command again.")
        handle = files.take(folder / lock)
    try:
        yield
    finally:
        os.close(handle)


def _watch(stop: threading.Event) -> None:
    """Set `stop` when our standard input ends. (Not by `sys.stdin`: its lock would be held at the interpreter's end.)"""
    while os.read(0, 1024):
        pass
    stop.set()
