# SPDX-License-Identifier: Apache-2.0
"""bench/README.md: each bench has its own section between markers; everything else stays as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

README = Path(__file__).with_name("README.md")


def publish(section: str, head: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Replace the section, or append it: a heading, a sentence on how it was measured, a table."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    table = [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]
    text = "\n".join([begin, f"## {section}", "", head, "", *table, end])
    old = README.read_text(encoding="utf-8") if README.exists() else "# Measurements\n"
    if begin in old:
        new = re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: text, old, flags=re.DOTALL)
    else:
        new = f"{old.rstrip()}\n\n{text}\n"
    README.write_text(new, encoding="utf-8")


def installed() -> dict[str, str]:
    """The environment of a program that is measured: its libraries are compiled once, as where people installed it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
