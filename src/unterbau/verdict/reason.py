# SPDX-License-Identifier: Apache-2.0
"""Why something is so: an id and values; the words stand in the catalogues of `unterbau.locale`. Pure.

Whoever judges, plans or reads makes reasons; who shows them asks `words` for a language. Two reasons are equal if
their ids and values are: no sentence is ever compared, so that words may be mended without an old bundle breaking.
What a cloud said stays text, as a value or by itself: `Words` is either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Self, TypeAlias, Union

from pydantic import Field, JsonValue, field_serializer

from unterbau import locale
from unterbau.verdict.model import Model

Value: TypeAlias = Union[JsonValue, "Reason", Iterable["Reason | str"]]
"""A str is a name or what others said, and stands as it is; a number is a quantity, and is written as its language does."""
LIST = "list"
"""The id of several reasons one after the other, in the value `each`."""
COUNT = "count"
"""The value that chooses between singular and plural."""
_DEEPEST = 12


class Reason(Model):
    """Why. `id` is dotted, from the room inwards (`plan.flavor.nearest`); `values` fill its sentence.

    A value that is a reason itself stands there as `{"id": .., "values": ..}`. `text` is for people who read the file:
    written in English, never believed when it is read, but kept as it was, so that a digest stays what it was.
    """

    id: str
    values: dict[str, JsonValue] = Field(default_factory=dict)
    text: str = ""

    @classmethod
    def of(cls, id_: str, /, **values: Value) -> Self:
        """A reason of ours. A test collects the calls: the id and the values' names stand there literally."""
        return cls(id=id_, values={name: _plain(value) for name, value in values.items()})

    @field_serializer("text")
    def _told(self, text: str) -> str:
        return text or words(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reason) and (self.id, self.values) == (other.id, other.values)

    def __hash__(self) -> int:
        return hash((self.id, json.dumps(self.values, sort_keys=True)))

    def __str__(self) -> str:
        return words(self)

    def __contains__(self, text: str) -> bool:
        """Whether it says so, in English: as `in` answers of a bare text."""
        return text in words(self)


Words = Reason | str
"""Why, or "" where there is nothing to say. A bare text is what a cloud or a person said, or an older version of ours."""


def joined(told: Iterable[Words]) -> Words:
    """One after the other, each once: "" if there are none."""
    each = [one for one in dict.fromkeys(told) if one]
    if len(each) < 2:
        return each[0] if each else ""
    return Reason(id=LIST, values={"each": [_plain(one) for one in each]})


def words(told: Words, language: str = "en") -> str:
    """What a person reads. A reason that this version does not know is told as its id and values."""
    return told if isinstance(told, str) else _sentence(told.id, told.values, language, 0)


def _sentence(id_: str, values: Mapping[str, JsonValue], language: str, depth: int) -> str:
    if depth > _DEEPEST:
        return "…"
    each = values.get("each")
    if id_ == LIST and isinstance(each, list):
        return "; ".join(_shown(one, language, depth) for one in each)
    count = values.get(COUNT)
    template = locale.template(id_, language, count if isinstance(count, int) else None)
    shown = {name: _shown(value, language, depth) for name, value in values.items()}
    if template is None:
        return f"{id_} ({', '.join(f'{name}: {value}' for name, value in shown.items())})" if shown else id_
    return template.format_map(_Filled(shown))


def _shown(value: JsonValue, language: str, depth: int) -> str:
    match value:
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return locale.number(value, language)
        case {"id": str(id_), "values": dict(values)}:
            return _sentence(id_, values, language, depth + 1)
        case list():
            return ", ".join(_shown(one, language, depth + 1) for one in value) if depth <= _DEEPEST else "…"
    return str(value)


class _Filled(dict[str, str]):
    """What a sentence asks for and nobody gave is a question mark: a bundle of others is no reason to break."""

    def __missing__(self, name: str) -> str:
        return "?"


def _plain(value: Value) -> JsonValue:
    if isinstance(value, Reason):
        return {"id": value.id, "values": value.values}
    if isinstance(value, str | int | float | dict) or value is None:
        return value
    return [_plain(one) for one in value]
