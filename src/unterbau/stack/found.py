# SPDX-License-Identifier: Apache-2.0
"""What a reader has found so far: parts, each at its places, and what was not understood, with the reason.

Every reader of this package fills one. The same thing at two places is one part with two places. It recognises no
technology: `recognise` does, from the hints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unterbau.catalogue.model import Fact, Layer
from unterbau.stack import image
from unterbau.stack.model import Part, Place, Stack, Unread
from unterbau.stack.source import line_of

Hints = tuple[tuple[str, str], ...]
MOST = 80
"""So many characters of something strange are told."""


class Found:
    """Collects the parts of one input."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._places: dict[tuple[Any, ...], list[Place]] = {}
        self._unread: dict[Unread, None] = {}
        self.finished: list[Part] = []
        """Parts that a reader of large inputs made itself."""
        self.claims: Mapping[str, bool] = {}
        self.facts: tuple[Fact, ...] = ()
        self.name = file

    def part(
        self, name: str, spot: str, *, version: str | None = None, hints: Hints = (), purl: str | None = None,
        licence: str | None = None, layer: Layer | None = None,
    ) -> None:  # fmt: skip
        """A part, found at a spot of the file."""
        key = (name, version or None, purl, hints, licence, layer)
        self._places.setdefault(key, []).append(Place(self.file, spot))

    def image(self, reference: str, spot: str) -> None:
        """The part that an image reference names, or one line of what is not understood."""
        parsed = image.parse(reference)
        if parsed is None:
            name = _before_variable(reference)
            if name is not None:
                self.image(name, spot)
            why = "the version is filled in elsewhere" if name is not None else "no image reference"
            self.unread(spot, f"{why}: {short(reference)}")
        else:
            shown = f"{spot}, digest {parsed.digest}" if parsed.digest and parsed.tag else spot
            self.part(parsed.name, shown, version=parsed.version, hints=(("image", parsed.name),))

    def hinted(self, form: str, name: str, spot: str, version: str | None = None) -> None:
        """A part that is known by one hint."""
        self.part(name, spot, version=version, hints=((form, name),))

    def released(self, form: str, name: str, spot: str, what: str, version: str) -> None:
        """A chart, provider or collection: its own version is not that of the technology, and stands in the place."""
        self.part(name, f"{spot} ({what} {version})" if version else spot, hints=((form, name),))

    def unread(self, spot: str, reason: str) -> None:
        """Something that no part could be made of."""
        self._unread.setdefault(Unread(Place(self.file, spot), reason))

    def add(self, other: Stack) -> None:
        """What was found in another file; the same thing there is one more place of the same part."""
        for part in other.parts:
            if part.technology or part.claims or part.facts:
                self.finished.append(part)
            else:
                key = (part.name, part.version, part.purl, part.hints, part.licence, part.layer)
                self._places.setdefault(key, []).extend(part.where)
        self._unread.update(dict.fromkeys(other.unread))
        self.claims = {**self.claims, **other.claims}
        self.facts += other.facts

    def stack(self) -> Stack:
        """Everything, in the order in which it was found."""
        made = [
            Part(
                f"{name}@{version}" if version else name, name, version, purl, None, layer,
                tuple(dict.fromkeys(places)), hints, licence,
            )
            for (name, version, purl, hints, licence, layer), places in self._places.items()
        ]  # fmt: skip
        parts = (*made, *self.finished) if self.finished else tuple(made)
        return Stack(self.name, parts, tuple(self._unread), self.claims, self.facts)


_VARIABLES = re.compile(r"\$\{|\$\(|\$[A-Za-z_]|%[A-Za-z]|\{\{|<[a-z]")


def _before_variable(reference: str) -> str | None:
    """The image without a tag that something fills in later; None if the variable stands elsewhere in it."""
    variable = _VARIABLES.search(reference)
    colon = reference.rfind(":", 0, variable.start()) if variable else -1
    name = reference[:colon].strip()
    # behind the last slash, else it is the port of a registry
    return name if colon > reference.rfind("/", 0, variable.start() if variable else 0) and image.parse(name) else None


def short(value: object, most: int = MOST) -> str:
    """The beginning of a text, on one line."""
    told = " ".join(str(value)[: most * 4].split())
    return told if len(told) <= most else told[: most - 1] + "…"


def spot(container: Any, key: str | int, path: str = "", what: str = "") -> str:
    """Where something stands: its line in YAML, its pointer in JSON; and what it is."""
    line = line_of(container, key)
    where = f"line {line}" if line is not None else f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
    return f"{where} ({what})" if what else where
