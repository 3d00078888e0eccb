# SPDX-License-Identifier: Apache-2.0
"""Ends of support of Debian and Ubuntu, from Debian's package distro-info-data (`debian.csv`, `ubuntu.csv`).

The package is Debian's own, so it is the original for Debian and second hand for Ubuntu. Columns: the distribution's
own support (`eol`), and those of others or for money (Debian's LTS and the commercial ELTS; Ubuntu's ESM and legacy
support), of which the first is the extended support here.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date

from unterbau.catalogue.importers.port import Copy, Imported, ImportedFact
from unterbau.catalogue.model import Catalogue
from unterbau.errors import UsageError


@dataclass
class DistroInfo:
    """One of the two files."""

    NAME: str
    FILE: str
    technology: str
    columns: dict[str, str]
    original: bool
    URL: str = "https://salsa.debian.org/debian/distro-info-data"

    def read(self, copy: Copy | None, catalogue: Catalogue, read: date, /) -> Imported:
        """What the copy says of the distribution's releases. Raises UsageError."""
        if copy is None:
            raise TypeError("a copy is needed")
        try:
            rows = list(csv.DictReader(io.StringIO(copy.data.decode())))
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{copy.file}: no table: {error}", f"Give {self.FILE} of distro-info-data.") from None
        if not rows or not {"version", "eol"} <= rows[0].keys():
            raise UsageError(f"{copy.file}: no columns `version` and `eol`", f"Give {self.FILE} of distro-info-data.")
        facts = tuple(f for row in rows for f in self._facts(row))
        return Imported(
            data_set=self.NAME, url=self.URL, pages=f"{self.URL}/-/blob/main/{{page}}", commit=copy.commit,
            as_of=copy.as_of, read=read, licence=copy.licence, sha256=copy.sha256, dated="copy",
            origin="original" if self.original else "second hand", confidence="high" if self.original else "medium",
            says="Debian's package distro-info-data gives {value} as the {kind} of {versions}.",
            facts={self.technology: facts} if self.technology in catalogue else {},
        )  # fmt: skip

    def _facts(self, row: dict[str, str]) -> list[ImportedFact]:
        version = (row["version"] or "").removesuffix(" LTS")
        if not version or not version[0].isdigit():
            return []  # sid and experimental are no releases
        told = ",".join(v for v in row.values() if isinstance(v, str) and v)
        return [
            ImportedFact(kind=kind, versions=version, value=date.fromisoformat(day), page=self.FILE, quote=told[:200])
            for column, kind in self.columns.items()
            if (day := row.get(column))
        ]


DEBIAN = DistroInfo(
    "Debian's distro-info", "debian.csv", "debian",
    {"release": "release", "eol": "end_of_life", "eol-lts": "end_of_extended_support"}, original=True,
)  # fmt: skip
UBUNTU = DistroInfo(
    "Debian's distro-info for Ubuntu", "ubuntu.csv", "ubuntu",
    {"release": "release", "eol": "end_of_life", "eol-esm": "end_of_extended_support"}, original=False,
)  # fmt: skip
