# SPDX-License-Identifier: Apache-2.0
"""A stack and its parts: what somebody runs, and where each thing of it was found. Pure.

Readers make it, `recognise` names its parts, `judge` judges it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unterbau.catalogue.model import Fact, Layer

# A stack may have 100,000 parts. Plain dataclasses with slots take a tenth of the time and a third of the memory of
# pydantic models, and a reader has already checked what it puts into them.


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part was found: a file (or cloud), and the spot in it (line, path, object)."""

    file: str
    spot: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.spot}" if self.spot else self.file


@dataclass(frozen=True, slots=True)
class Part:
    """One thing of a stack. Readers fill what they saw; `recognise` sets `technology`.

    `hints` are pairs of a form (`image`, `chart`, `package`, `collection`, `provider`, `service`, `name`) and what
    stands there without version or tag (`docker.io/library/redis`). `licence` is what the input itself says (an
    SBOM does). `claims` are what the stack's owner says: `sovereign: True` if it is sold as sovereign.
    """

    id: str
    name: str
    version: str | None = None
    purl: str | None = None
    technology: str | None = None
    layer: Layer | None = None
    where: tuple[Place, ...] = ()
    hints: tuple[tuple[str, str], ...] = ()
    licence: str | None = None
    claims: Mapping[str, bool] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    """What the stack's owner says about this part, with sources, in the form of the catalogue."""
    mirror: str | None = None
    """What it comes through, where `recognise` saw through it: a mirror, a proxy, or who packs it. Not the product."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Something in the input that a reader could not make a part of, and why."""

    place: Place
    reason: str


@dataclass(frozen=True, slots=True)
class Stack:
    """What somebody runs."""

    name: str
    parts: tuple[Part, ...]
    unread: tuple[Unread, ...] = ()
    claims: Mapping[str, bool] = field(default_factory=dict)
    """What is said of the whole stack; rules of the stack ask for it."""
    facts: tuple[Fact, ...] = ()
    """Facts that hold for each part, e.g. who operates all of it, where."""
