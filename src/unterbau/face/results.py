# SPDX-License-Identifier: Apache-2.0
"""The lines and tables of a verb's result: tables where there is a terminal, plain lines where there is none.

Each verb's report writes by `say`, `table` and their brothers, to standard output. Not here: progress (`Face`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unterbau.face import printable
from unterbau.verdict import Outcome

MARKS = {Outcome.HELD: "✓ held", Outcome.FAILED: "✗ failed", Outcome.NOT_SHOWN: "? not shown"}
STYLES = {Outcome.HELD: "green", Outcome.FAILED: "bold red", Outcome.NOT_SHOWN: "yellow"}


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
