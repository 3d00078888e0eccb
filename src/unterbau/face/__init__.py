# SPDX-License-Identifier: Apache-2.0
"""The face towards the terminal: progress while work goes on. The lines and tables of results stand in `face.results`.

`cli` makes one `Face` a command and hands it to the use cases, which call `phase`, `say`, `count` and `bytes`.
Everything goes to standard error: standard output belongs to the result. With a terminal there are bars with
rate and time left; without one a plain line about every ten seconds; with --quiet nothing. The library that draws is
loaded with the first line: a command that has nothing to tell does without.

Names come from clouds and may hold anything: `printable` makes control characters visible, so that no name can move
the cursor or reorder a line.
"""

from __future__ import annotations

import sys
import threading
import time
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from unterbau.face.bars import Bars

TEN = 10
"""How many lines of one sort a terminal shows."""

_PLAIN_EVERY_SECONDS = 10.0


class Face:
    """Progress of one command. Safe to call from several threads. Use as a context manager."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._lock = threading.RLock()
        self._last_line: dict[str, float] = {}
        self._started: dict[str, float] = {}

    @cached_property
    def _bars(self) -> Bars:
        from unterbau.face.bars import Bars

        return Bars(quiet=self.quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def phase(self, title: str) -> None:
        """A new phase begins: the bars of the one before it go away."""
        self._clear()
        self.say(title, strong=True)

    def say(self, line: str, *, strong: bool = False) -> None:
        """One line."""
        if not self.quiet:
            with self._lock:
                bars = self._bars
            bars.say(printable(line), strong=strong)

    def detail(self, line: str) -> None:
        """One line with --verbose only."""
        if self.verbose:
            self.say(line)

    def count(self, label: str, done: int, total: int) -> None:
        """So many of so many things are done."""
        self._show(label, done, total, f"{label}: {done} of {total}", bytes_=False)

    def bytes(self, label: str, done: int, total: int | None) -> None:
        """So many bytes of so many (None: unknown) have crossed."""
        if self.quiet:
            return
        from unterbau.face.bars import decimal

        since = time.monotonic() - self._started.setdefault(label, time.monotonic())
        rate = f", {decimal(int(done / since))}/s" if since > 0.5 else ""
        left = f", {(total - done) / (done / since):.0f} s left" if total and done and since > 0.5 else ""
        of = f" of {decimal(total)}" if total else ""
        self._show(label, done, total, f"{label}: {decimal(done)}{of}{rate}{left}", bytes_=True)

    def _show(self, label: str, done: int, total: int | None, plain: str, *, bytes_: bool) -> None:
        if self.quiet:
            return
        with self._lock:
            if self._bars.is_terminal:
                self._bars.show(printable(label), done, total, bytes_=bytes_)
            else:
                self._line(label, plain, last=done == total)

    def _line(self, label: str, plain: str, *, last: bool) -> None:
        now = time.monotonic()
        if last or now - self._last_line.setdefault(label, now) >= _PLAIN_EVERY_SECONDS:
            self._last_line[label] = now
            print(printable(plain), file=sys.stderr, flush=True)  # noqa: T201 - the plain face

    def _clear(self) -> None:
        with self._lock:
            if "_bars" in self.__dict__:
                self._bars.clear()


def printable(text: str) -> str:
    """The text with control, format (direction, zero width) and surrogate characters shown as \\u…."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{ord(c):04x}" for c in text)


def first(lines: Sequence[str], where: str = "all stand in the result (--format json)") -> list[str]:
    """As many lines as a terminal bears, and how many there are besides, and where."""
    more = len(lines) - TEN
    return [*lines[:TEN], f"and {more} more: {where}"] if more > 0 else [*lines]
