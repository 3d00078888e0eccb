# SPDX-License-Identifier: Apache-2.0
"""Numbers of maintenance from a git history, for rules that ask for them. Pure: text and a day in, numbers out.

The text is what `git log --all --pretty=format:%H%x09%cs%x09%ae%x09%D` prints. `cli` reads it from a file; nothing
here calls git. The bus factor is the least number of people who made more than half of the commits.
"""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from unterbau.errors import UsageError

COMMAND = "git log --all --pretty=format:%H%x09%cs%x09%ae%x09%D > history.txt"
MONTHS = 6


@dataclass(frozen=True, slots=True)
class Commit:
    """One line of the history."""

    day: date
    author: str
    tagged: bool


def read(text: str, name: str) -> tuple[Commit, ...]:
    """The commits in the text; raises UsageError that names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.split("\t")
        try:
            _, day, author, *names = cells
            found.append(Commit(date.fromisoformat(day), author.lower(), any("tag: " in n for n in names)))
        except ValueError:
            raise UsageError(f"{name}:{number}: no line of a history", f"Make the file with: {COMMAND}") from None
    if not found:
        raise UsageError(f"{name}: it holds no commit", f"Make the file with: {COMMAND}")
    return tuple(found)


def measures(commits: Iterable[Commit], at: date, where: str) -> dict[str, tuple[float, str]]:
    """`commits`, `releases` and `bus-factor` of the last six months, each with where it was counted."""
    since = months_before(at, MONTHS)
    recent = [c for c in commits if since <= c.day <= at]
    told = f"{where}, {since} to {at}"
    return {
        "commits": (float(len(recent)), told),
        "releases": (float(sum(c.tagged for c in recent)), told),
        "bus-factor": (float(bus_factor(c.author for c in recent)), told),
    }


def bus_factor(authors: Iterable[str]) -> int:
    """The least number of authors with more than half of the commits."""
    counts = Counter(authors)
    total, reached = counts.total(), 0
    for number, (_, count) in enumerate(counts.most_common(), start=1):
        reached += count
        if reached * 2 > total:
            return number
    return 0


def months_before(day: date, months: int) -> date:
    """The same day of the month so many months earlier, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
