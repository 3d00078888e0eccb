# SPDX-License-Identifier: Apache-2.0
"""Logos for the map's cards: data with licence and source, drawn inline, so that no page asks anybody. `report` uses it.

An entry without licence or source does not load, and a path may hold nothing but the commands of an SVG path.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import yaml
from pydantic import StringConstraints, TypeAdapter, ValidationError

from unterbau.errors import UsageError
from unterbau.verdict import Model

FORM = "A logo has licence (SPDX), source (https://…) and path (SVG, in a square of 24)."


class Logo(Model):
    """One drawing in one colour."""

    licence: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+-]+$")]
    source: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
    path: Annotated[str, StringConstraints(pattern=r"^[MmLlHhVvCcSsQqTtAaZz0-9eE.,\s-]+$", max_length=20_000)]


_LOGOS = TypeAdapter(dict[str, Logo])


def load() -> dict[str, Logo]:
    """Id of a technology -> its logo, of those that come with the program."""
    return parse(resources.files("unterbau.map").joinpath("logos.yaml").read_text(encoding="utf-8"), "logos.yaml")


def parse(text: str, name: str) -> dict[str, Logo]:
    """The logos of a file. Raises UsageError."""
    try:
        return _LOGOS.validate_python(yaml.safe_load(text) or {})
    except (yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"{name}: {str(error).splitlines()[0]}", FORM) from None
