# SPDX-License-Identifier: Apache-2.0
"""The catalogue's records against stored copies of what was read. `cli` calls it for `unterbau facts audit`.

A record names the SHA-256 of the text as it was read and a quotation from it. The folder holds copies, under any name:
a copy is found by its hash. Held: the copy is there and the quotation stands in it. Failed: it does not. Not shown:
no copy, or the record says nothing that could be compared. What was quoted is compared by its words, not its markup.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from unterbau.catalogue.model import Catalogue, Fact
from unterbau.errors import UsageError
from unterbau.verdict import Outcome

AGES = ("commit", "copy", "text", "reading")
"""How the age of a copy is known (`Source.dated`); `reading`: nobody knows it."""
_WORD = re.compile(r"[\w-]+")
_TAG = re.compile(r"<[^<>]{1,2000}>")
MOST = 64 * 2**20
"""Bytes of one copy; larger ones are not looked at."""


class Audited(NamedTuple):
    """One record and what its copy shows."""

    technology: str
    fact: Fact
    outcome: Outcome
    why: str


def drawn(catalogue: Catalogue, kinds: Sequence[str], number: int | None, seed: int) -> list[tuple[str, Fact]]:
    """The facts of these kinds (all, if none is named); of them `number`, drawn by a seed.

    The same seed draws the same facts from the same catalogue.
    """
    known = [(t.id, f) for t in catalogue.values() for f in t.facts if not kinds or f.kind in kinds]
    if number is None or number >= len(known):
        return known
    return random.Random(seed).sample(known, number)  # noqa: S311 - a sample that anybody can draw again


def audit(records: Sequence[tuple[str, Fact]], folder: Path) -> Iterator[Audited]:
    """Compare records with the copies in a folder. Raises UsageError if it cannot be read."""
    copies = _copies(folder)
    words: dict[str, tuple[str, str]] = {}
    for technology, fact in records:
        source = fact.source
        if source.sha256 is None:
            yield Audited(technology, fact, Outcome.NOT_SHOWN, "the record names no hash of what was read")
        elif source.sha256 not in copies:
            yield Audited(technology, fact, Outcome.NOT_SHOWN, "no copy with its hash is in the folder")
        elif not source.quote:
            yield Audited(technology, fact, Outcome.NOT_SHOWN, "the copy is there; the record quotes nothing from it")
        else:
            text = words.get(source.sha256) or words.setdefault(
                source.sha256, _readings(copies[source.sha256].read_bytes())
            )
            held = any(q in t for q, t in zip(_readings(source.quote.encode()), text, strict=True) if q.strip())
            why = (
                "the copy is there, and what is quoted stands in it"
                if held
                else "what is quoted does not stand in the copy"
            )
            yield Audited(technology, fact, Outcome.HELD if held else Outcome.FAILED, why)


def by_class_and_age(facts: Iterable[Fact]) -> dict[str, dict[str, int]]:
    """How many facts rest on sources of each class (`Source.origin`), by how the age of what was read is known."""
    found: dict[str, dict[str, int]] = {}
    for fact in facts:
        counts = found.setdefault(fact.source.origin or "not said", dict.fromkeys(AGES, 0))
        counts[fact.source.dated or "reading"] += 1
    return dict(sorted(found.items()))


def _copies(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder", "Name the folder with the stored copies.")
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and path.stat().st_size <= MOST:
                found[hashlib.sha256(path.read_bytes()).hexdigest()] = path
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", "Give copies that can be read.") from None
    return found


def _readings(text: bytes) -> tuple[str, str]:
    """The words as a page shows them, and as they are written: `<` of a text that is no page begins no tag."""
    plain = text.decode(errors="replace").casefold()
    return _words(_TAG.sub(" ", plain)), _words(plain)


def _words(text: str) -> str:
    return " " + " ".join(_WORD.findall(text)) + " "
