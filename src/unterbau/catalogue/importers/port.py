# SPDX-License-Identifier: Apache-2.0
"""The port of the importers: what they are given, and the form of what they say. Pure.

A file of `catalogue/imported/` is one `Imported`: the data set is named once, each fact is one short line.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal, NamedTuple, Protocol

from unterbau.catalogue.model import Catalogue, Id, Range, Text
from unterbau.verdict import Model


class Copy(NamedTuple):
    """A copy of a data set, as it lies in the folder."""

    file: str
    data: bytes
    sha256: str
    url: str
    commit: str
    as_of: date
    licence: str


class ImportedFact(Model):
    """One fact of a data set: what it says (`quote`) on which of its pages."""

    kind: Text
    value: Any
    versions: Range = "*"
    since: date | None = None
    page: str = ""
    """Below the data set's address; empty: the data set as a whole."""
    quote: str = ""
    says: str = ""
    """Empty: the data set's `says`, with the value."""


class Imported(Model):
    """What one data set says, and which copy of it."""

    data_set: Text
    url: Text
    """Of its home."""
    pages: Text
    """Address of a page at the commit; `{page}` stands for the page."""
    commit: str
    as_of: date
    dated: Literal["commit", "copy", "text", "reading"] = "commit"
    read: date
    licence: Text
    sha256: str
    origin: Literal["original", "repository", "second hand"]
    confidence: Literal["high", "medium", "low"]
    says: Text
    """The sentence of a fact; `{kind}`, `{versions}` and `{value}` are put in."""
    facts: dict[Id, tuple[ImportedFact, ...]] = {}
    passed_over: tuple[str, ...] = ()
    """What it says and we cannot take, by kind of reason."""


class Importer(Protocol):
    """One public data set."""

    NAME: str
    FILE: str
    """Of the copy; empty: a package of this program carries it."""
    URL: str

    def read(self, copy: Copy | None, catalogue: Catalogue, read: date, /) -> Imported:
        """What the copy says of the catalogue's technologies. Raises UsageError for what is no such data set."""
