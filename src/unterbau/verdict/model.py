# SPDX-License-Identifier: Apache-2.0
"""How all our data is made: frozen, closed, with fields that may come later. Pure. Every room's models derive from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Base of all our data: frozen, refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, without what was derived from the old fields and is kept (`cached_property`)."""
        copied = super().model_copy(update=update, deep=deep)
        for derived in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[derived]
        return copied


T = TypeVar("T")


def later(default: T) -> T:
    """A field that a model got after a bundle of it was sealed: at its default it is not spelled.

    So the digests and facts of older evidence, which are made from the model's JSON, stay as they were.
    """
    field: T = Field(default=default, exclude_if=lambda value: value == default)
    return field
