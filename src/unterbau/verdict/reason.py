# SPDX-License-Identifier: Apache-2.0
"""Why something is so: an id and values; the words stand in the catalogues of `unterbau.locale`. Pure.

Whoever judges, plans or reads makes reasons; who shows them asks `words` for a language. Two reasons are equal if
their ids and values are: no sentence is ever compared, so that words may be mended without an old bundle breaking.
What a cloud said stays text, as a value or by itself: `Words` is either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias, Union

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    WrapSerializer,
    field_serializer,
)

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
    def of(cls, id_: str, /, **values: Value) -> Reason:
        """A reason of ours. A test collects the calls: the id and the values' names stand there literally."""
        return Reason.model_construct(id=id_, values={name: _plain(value) for name, value in values.items()}, text="")

    @field_serializer("text")
    def _told(self, text: str) -> str:
        return text or words(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reason) and (self.id, self.values) == (other.id, other.values)

    def __hash__(self) -> int:
        return hash((self.id, frozenset(one for one in self.values.items() if isinstance(one[1], str))))

    def __str__(self) -> str:
        return words(self)

    def __contains__(self, text: str) -> bool:
        """Whether it says so, in English: as `in` answers of a bare text."""
        return text in words(self)


class _Sentence(Reason):
    """One that was read from a bare sentence, and is written again as that."""


def _recognised(told: object) -> object:
    """A sentence of an older version as the reason that says just this today; written again, it is that sentence."""
    if not isinstance(told, str) or not told:
        return told
    known = [locale.spelled(part) for part in told.split("; ")]
    if not any(known):
        return told
    each = [Reason(id=id_) if id_ else part for id_, part in zip(known, told.split("; "), strict=True)]
    found = joined(each)
    if isinstance(found, str):
        return told
    return _Sentence(id=found.id, values=found.values, text=told)


def _written(told: Reason | str, write: SerializerFunctionWrapHandler) -> Any:
    return told.text if isinstance(told, _Sentence) else write(told)


_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {
            "title": "Reason",
            "description": "Why: an id, values that fill its sentence, and that sentence in English, which nobody compares.",
            "type": "object",
            "properties": {"id": {"type": "string"}, "values": {"type": "object"}, "text": {"type": "string"}},
            "required": ["id"],
            "additionalProperties": False,
        },
        {"type": "string"},
    ]
}
Words = Annotated[Reason | str, BeforeValidator(_recognised), WrapSerializer(_written), WithJsonSchema(_SCHEMA)]
"""Why, or "" where there is nothing to say. A bare text is what a cloud or a person said, or what an older version of ours
stored; of the latter those that need no values are read as the reasons that they were, so that they have every language."""


def told_as(value: JsonValue) -> Words:
    """What a journal or a file of ours has in the place of a reason: the reason, or its text."""
    match value:
        case {"id": str(id_), "values": dict(values)}:
            return Reason(id=id_, values=values)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def joined(told: Iterable[Words]) -> Words:
    """One after the other, each once: "" if there are none."""
    each = [one for one in told if one]
    if len(each) > 1:
        each = list(dict.fromkeys(each))
    if len(each) < 2:
        return each[0] if each else ""
    return Reason.model_construct(id=LIST, values={"each": [_plain(one) for one in each]}, text="")


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
