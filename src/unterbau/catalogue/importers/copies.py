# SPDX-License-Identifier: Apache-2.0
"""Copies of data sets in a folder, with what is known of each: address, commit, day, licence.

`importers.refresh` opens them. What is known stands in the copy itself (`source`, `commit`, `committed`, `licence` of
a JSON object), or in the folder's `SOURCES.md`, a table with the columns file, from, commit or version, day, licence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from unterbau.catalogue.importers.port import Copy
from unterbau.errors import UsageError

TABLE = "SOURCES.md"
MOST = 64 * 2**20
"""Bytes of one copy: what is larger is none of the known data sets."""


class Copies:
    """A folder of copies; None: there is none."""

    def __init__(self, folder: Path | None, days: Sequence[str] = ()) -> None:
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{folder}: no folder", "Name the folder with the copies of the data sets.")
        self.folder = folder
        self.days = dict(map(_day, days))
        self.table = _table(folder / TABLE) if folder is not None and (folder / TABLE).exists() else {}

    def open(self, file: str) -> Copy | None:
        """A copy; None if the folder does not have it. Raises UsageError if nobody says how old it is."""
        path = self.folder / file if self.folder is not None else None
        if path is None or not path.exists():
            return None
        try:
            if path.stat().st_size > MOST:
                raise UsageError(f"{path}: larger than {MOST} bytes", "Give the data set's own file.")
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", "Give a file that can be read.") from None
        url, commit, day, licence = self.table.get(file, ("", "", "", ""))
        as_of = self.days.get(file) or _partial(day)
        if as_of is None:
            raise UsageError(
                f"{path}: nobody says of which day this copy is",
                f"Say it in {TABLE}, or with --dated {file}=YYYY-MM-DD: facts expire by the age of the copy.",
            )
        return Copy(file, data, hashlib.sha256(data).hexdigest(), url, commit, as_of, licence)


def _day(text: str) -> tuple[str, date]:
    file, _, day = text.partition("=")
    try:
        return file, date.fromisoformat(day)
    except ValueError:
        raise UsageError(f"--dated {text}", "Write FILE=YYYY-MM-DD.") from None


def _partial(day: str) -> date | None:
    """A day; the first of a month that is named without one: no copy is made younger than it may be."""
    found = re.match(r"(\d{4}-\d\d)(-\d\d)?$", day.strip())
    if found is None:
        return None
    try:
        return date.fromisoformat(day.strip() if found.group(2) else f"{found.group(1)}-01")
    except ValueError:
        return None


def _table(path: Path) -> dict[str, tuple[str, str, str, str]]:
    """File -> from, commit or version, day, licence."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", "Give a table that can be read.") from None
    rows: dict[str, tuple[str, str, str, str]] = {}
    for line in lines:
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if line.lstrip().startswith("|") and len(cells) == 5 and not set(cells[0]) <= {"-", ":", " "}:
            for file in cells[0].split(","):
                rows[file.strip()] = (cells[1], cells[2], cells[3], cells[4])
    return rows
