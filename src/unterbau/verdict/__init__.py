# SPDX-License-Identifier: Apache-2.0
"""Claim -> evidence -> verdict: the one idea that carries Unterbau. Pure: no clock, no file, no socket.

`verify`, `prove`, `judge` make verdicts; `evidence` keeps them; `report` shows them.
Not a score: verdicts are never summed into a number, only listed and conjoined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from unterbau.errors import Exit


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


class Outcome(StrEnum):
    """Three-valued logic (Kleene): what was not looked at is NOT_SHOWN, never HELD."""

    HELD = "held"
    FAILED = "failed"
    NOT_SHOWN = "not shown"

    def __and__(self, other: Outcome) -> Outcome:
        return self if _RANK[self] >= _RANK[other] else other

    def __or__(self, other: Outcome) -> Outcome:
        return self if _RANK[self] <= _RANK[other] else other

    def __invert__(self) -> Outcome:
        return _NEGATED[self]


_RANK = {Outcome.HELD: 0, Outcome.NOT_SHOWN: 1, Outcome.FAILED: 2}
_NEGATED = {
    Outcome.HELD: Outcome.FAILED,
    Outcome.FAILED: Outcome.HELD,
    Outcome.NOT_SHOWN: Outcome.NOT_SHOWN,
}


def conjoin(outcomes: Iterable[Outcome]) -> Outcome:
    """FAILED if one failed, else NOT_SHOWN if one was not shown *or there are none*, else HELD."""
    seen = set(outcomes)
    if Outcome.FAILED in seen:
        return Outcome.FAILED
    return Outcome.HELD if seen == {Outcome.HELD} else Outcome.NOT_SHOWN


def exit_code(outcomes: Iterable[Outcome]) -> Exit:
    """The exit code of the table for these outcomes (0, 1 or 3)."""
    return {
        Outcome.HELD: Exit.HELD,
        Outcome.FAILED: Exit.FAILED,
        Outcome.NOT_SHOWN: Exit.NOT_SHOWN,
    }[conjoin(outcomes)]


class Source(Model):
    """Where a fact comes from: a request to a cloud, a file, a page; always with its date (UTC)."""

    where: str
    """E.g. `source: volume 4f.. exported through image 9a..`, or a URL."""
    at: datetime


class Observation(Model):
    """What was seen of one thing at one place. `value` is plain data; None with a `reason`: not seen."""

    what: str
    value: JsonValue
    source: Source
    reason: str = ""


class Claim(Model):
    """A sentence that can be held or failed, about one thing.

    `kind` groups claims (e.g. `content`, `structure`, `completeness`), `subject` is the Ref it is about.
    """

    id: str
    kind: str
    subject: str
    text: str


class Verdict(Model):
    """A claim, what was observed, and the outcome with its reason."""

    claim: Claim
    outcome: Outcome
    reason: str
    evidence: tuple[Observation, ...] = ()


def judge_equal(claim: Claim, left: Observation | None, right: Observation | None) -> Verdict:
    """Held if both sides were seen and are equal; failed if both were seen and differ; else not shown.

    This is also how the offline check recomputes a verdict from the evidence alone: a claim of kind
    `content` or `structure` holds if and only if its two observations carry equal values and no reason.
    """
    seen = tuple(o for o in (left, right) if o is not None)
    unseen = [o.reason or o.what for o in seen if o.value is None or o.reason]
    if left is None or right is None or unseen:
        why = "; ".join(unseen) or "one side was not looked at"
        return Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=why, evidence=seen)
    if left.value == right.value:
        return Verdict(claim=claim, outcome=Outcome.HELD, reason="equal on both sides", evidence=seen)
    return Verdict(claim=claim, outcome=Outcome.FAILED, reason=_difference(left.value, right.value), evidence=seen)


def _difference(left: Any, right: Any) -> str:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(k for k in left.keys() | right.keys() if left.get(k) != right.get(k))
        return "; ".join(f"{k}: {_short(left.get(k))} -> {_short(right.get(k))}" for k in keys)
    return f"{_short(left)} -> {_short(right)}"


def _short(value: Any, limit: int = 160) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
