# SPDX-License-Identifier: Apache-2.0
"""The face towards the terminal: progress while work goes on, and the lines and tables of its results.

`cli` makes one `Face` a command and hands it to the use cases, which call `phase`, `say`, `count` and `bytes`.
Everything goes to standard error: standard output belongs to the result. With a terminal there are bars with
rate and time left; without one a plain line about every ten seconds; with --quiet nothing.

Each verb's report writes its results by `say` and `table`: tables where there is a terminal, plain lines where there
is none. Names come from clouds and may hold anything: `printable` makes control characters visible, so that no name
can move the cursor or reorder a line.
"""

from __future__ import annotations

import sys
import textwrap
import threading
import time
import unicodedata
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from unterbau.verdict import Outcome

MARKS = {Outcome.HELD: "✓ held", Outcome.FAILED: "✗ failed", Outcome.NOT_SHOWN: "? not shown"}
STYLES = {Outcome.HELD: "green", Outcome.FAILED: "bold red", Outcome.NOT_SHOWN: "yellow"}

TEN = 10
"""How many lines of one sort a terminal shows."""

_PLAIN_EVERY_SECONDS = 10.0


class Face:
    """Progress of one command. Safe to call from several threads. Use as a context manager."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._live = self._console.is_terminal and not quiet
        self._lock = threading.Lock()
        self._bars: dict[str, tuple[Progress, TaskID]] = {}
        self._last_line: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._counts = Progress(
            _label(),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._transfers = Progress(
            _label(),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._running: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def phase(self, title: str) -> None:
        """A new phase begins: the bars of the one before it go away."""
        with self._lock:
            self._stop()
            self._bars.clear()
        self.say(title, strong=True)

    def say(self, line: str, *, strong: bool = False) -> None:
        """One line."""
        text = escape(printable(line))
        self._console.print(f"[bold]{text}[/bold]" if strong else text)

    def detail(self, line: str) -> None:
        """One line with --verbose only."""
        if self.verbose:
            self.say(line)

    def count(self, label: str, done: int, total: int) -> None:
        """So many of so many things are done."""
        self._show(self._counts, label, done, total, f"{label}: {done} of {total}")

    def bytes(self, label: str, done: int, total: int | None) -> None:
        """So many bytes of so many (None: unknown) have crossed."""
        since = time.monotonic() - self._started.setdefault(label, time.monotonic())
        rate = f", {decimal(int(done / since))}/s" if since > 0.5 else ""
        left = f", {(total - done) / (done / since):.0f} s left" if total and done and since > 0.5 else ""
        of = f" of {decimal(total)}" if total else ""
        self._show(self._transfers, label, done, total, f"{label}: {decimal(done)}{of}{rate}{left}")

    def _show(self, bars: Progress, label: str, done: int, total: int | None, plain: str) -> None:
        if self.quiet:
            return
        with self._lock:
            if self._live:
                self._bar(bars, label, done, total)
            else:
                self._line(label, plain, last=done == total)

    def _bar(self, bars: Progress, label: str, done: int, total: int | None) -> None:
        if self._running is not bars:
            self._stop()
            self._bars.clear()
            for task in list(bars.task_ids):
                bars.remove_task(task)
            bars.start()
            self._running = bars
        if label not in self._bars:
            self._bars[label] = (bars, bars.add_task(escape(printable(label)), total=total))
        task = self._bars[label][1]
        bars.update(task, completed=done, total=total)
        if total is not None and done >= total:
            bars.remove_task(task)
            del self._bars[label]

    def _line(self, label: str, plain: str, *, last: bool) -> None:
        now = time.monotonic()
        if last or now - self._last_line.setdefault(label, now) >= _PLAIN_EVERY_SECONDS:
            self._last_line[label] = now
            print(printable(plain), file=sys.stderr, flush=True)  # noqa: T201 - the plain face

    def _stop(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None


def _label() -> TextColumn:
    """What a bar is about, cut so that the figures have room at 80 columns."""
    return TextColumn("{task.description}", table_column=Column(max_width=34, no_wrap=True, overflow="ellipsis"))


def printable(text: str) -> str:
    """The text with control, format (direction, zero width) and surrogate characters shown as \\u…."""
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{ord(c):04x}" for c in text)


def first(lines: Sequence[str], where: str = "all stand in the result (--format json)") -> list[str]:
    """As many lines as a terminal bears, and how many there are besides, and where."""
    more = len(lines) - TEN
    return [*lines[:TEN], f"and {more} more: {where}"] if more > 0 else [*lines]


def safe(text: object) -> str:
    """A cell of a table: printable, and no markup."""
    return escape(printable(str(text)))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; tab-separated lines elsewhere. Cells are markup."""
    console = _console()
    if not console.is_terminal:
        console.soft_wrap = True
        for row in rows:
            console.print("\t".join(row), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def say(line: str) -> None:
    """One line of the result."""
    _console().print(safe(line), soft_wrap=True)


def row(markup: str) -> None:
    """One line of the result, of cells that are `safe`."""
    _console().print(markup, soft_wrap=True)


def paragraph(line: str, indent: str = "  ", before: str = "") -> None:
    """Text of the result, wrapped at the terminal's width (80 columns without one); what follows is indented."""
    console = _console()
    width = console.width if console.is_terminal else 80
    pieces = textwrap.wrap(
        printable(line), width, initial_indent=before, subsequent_indent=indent, break_on_hyphens=False
    )
    for piece in pieces or [""]:
        console.print(escape(piece), soft_wrap=True)


def listing(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Long cells, one below the other on a terminal, a group by its first cell; tab-separated lines elsewhere.

    A row is (group, mark, subject, long text): the mark is markup, the others plain.
    """
    if not _console().is_terminal:
        table(columns, ((safe(g), mark, safe(subject), safe(text)) for g, mark, subject, text in rows))
        return
    last = ""
    for group, mark, subject, text in rows:
        if group != last:
            row(f"[bold]{safe(group)}[/]")
            last = group
        row(f"  {mark}" if mark else "")
        paragraph(subject, "    ", "    ")
        paragraph(text, "      ", "      ")


def sheet(columns: Sequence[str], blocks: Iterable[tuple[str, Sequence[Sequence[str]], str]]) -> None:
    """Rows in blocks, which share a long last cell: on a terminal that stands once, below; elsewhere tab-separated lines.

    A block is (group, rows, shared): the group's name stands above the first of its blocks.
    """
    if not _console().is_terminal:
        table(columns, ((*map(safe, (group, *cells, shared)),) for group, rows, shared in blocks for cells in rows))
        return
    last = ""
    for group, rows, shared in blocks:
        if group != last:
            row(f"[bold]{safe(group)}[/]")
            last = group
        for cells in rows:
            paragraph("  ".join(filter(None, cells)), "      ", "  ")
        _console().print(Padding(Text(printable(shared), style="dim"), (0, 0, 0, 6)))


def listed(head: str, *lines: str) -> None:
    """One item of a list: on a terminal folded, what belongs to it set in; elsewhere one line, parted by tabs."""
    console = _console()
    if not console.is_terminal:
        console.print("\t".join(safe(line) for line in [head, *lines] if line), soft_wrap=True)
        return
    for number, line in enumerate([head, *(line for line in lines if line)]):
        indent = "  " if number == 0 else "      "
        console.print(Padding(Text(printable(line), style="bold" if number == 0 else ""), (0, 0, 0, len(indent))))
