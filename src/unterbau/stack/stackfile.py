# SPDX-License-Identifier: Apache-2.0
"""The form of `stack.yaml`: what somebody runs, written by hand. Pure types.

`readers.plain` reads files of this form, `schemas` publishes it, docs/judge.md shows it. Facts stand in it as in the
catalogue, with sources, and are told as the owner's.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from unterbau.catalogue.model import Fact, Layer, Text
from unterbau.verdict import Model

FORMS = ("image", "chart", "package", "collection", "provider", "service")
"""Forms of hint that a part may be known by."""
Version = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class StackPart(Model):
    """One thing of a stack; it is known by one of its names at least."""

    technology: Text | None = None
    """Id, name or alias of the catalogue."""
    name: Text | None = None
    version: Version | None = None
    layer: Layer | None = None
    purl: Text | None = None
    image: Text | None = None
    """May have a tag, which is the version if none is given."""
    chart: Text | None = None
    package: Text | None = None
    collection: Text | None = None
    provider: Text | None = None
    service: Text | None = None
    licence: Text | None = None
    claims: dict[str, bool] = {}
    """What its owner claims: `sovereign: true`."""
    facts: tuple[Fact, ...] = ()

    @model_validator(mode="after")
    def _known_by_something(self) -> StackPart:
        if not any(getattr(self, f) for f in ("technology", "name", "purl", *FORMS)):
            raise ValueError(f"one of technology, name, purl, {', '.join(FORMS)} is expected")
        return self


class StackFile(Model):
    """A whole stack."""

    stack: Text
    """Its name."""
    claims: dict[str, bool] = {}
    facts: tuple[Fact, ...] = ()
    """Facts that hold for every part, e.g. who operates all of it."""
    parts: tuple[StackPart | Text, ...] = Field(min_length=1)
    """Each a mapping, or a line: `redis 7.2`."""
