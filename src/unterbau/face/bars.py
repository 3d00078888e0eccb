# SPDX-License-Identifier: Apache-2.0
"""The terminal itself: lines, and bars with rate and time left. `Face` makes one when it has something to tell."""

from __future__ import annotations

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

__all__ = ["Bars", "decimal"]


class Bars:
    """One terminal on standard error, with bars of one sort at a time. Whoever calls it holds the lock of the `Face`."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.is_terminal = self._console.is_terminal
        self._tasks: dict[str, TaskID] = {}
        self._counts = self._bars(MofNCompleteColumn(), TimeElapsedColumn())
        self._transfers = self._bars(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._running: Progress | None = None

    def _bars(self, *figures: ProgressColumn) -> Progress:
        return Progress(
            _label(), BarColumn(bar_width=None), *figures, console=self._console, transient=True, expand=True
        )

    def say(self, line: str, *, strong: bool) -> None:
        """One line, above the bars."""
        self._console.print(f"[bold]{escape(line)}[/bold]" if strong else escape(line))

    def show(self, label: str, done: int, total: int | None, *, bytes_: bool) -> None:
        """So much of so much is done; what is done wholly goes away."""
        bars = self._transfers if bytes_ else self._counts
        if self._running is not bars:
            self.clear()
            for task in list(bars.task_ids):
                bars.remove_task(task)
            bars.start()
            self._running = bars
        if label not in self._tasks:
            self._tasks[label] = bars.add_task(escape(label), total=total)
        task = self._tasks[label]
        bars.update(task, completed=done, total=total)
        if total is not None and done >= total:
            bars.remove_task(task)
            del self._tasks[label]

    def clear(self) -> None:
        """The bars go away."""
        self._tasks.clear()
        if self._running is not None:
            self._running.stop()
            self._running = None


def _label() -> TextColumn:
    """What a bar is about, cut so that the figures have room at 80 columns."""
    return TextColumn("{task.description}", table_column=Column(max_width=34, no_wrap=True, overflow="ellipsis"))
