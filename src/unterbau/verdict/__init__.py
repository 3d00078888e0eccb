# SPDX-License-Identifier: Apache-2.0
"""Claim -> evidence -> verdict: the one idea that carries Unterbau. Pure: no clock, no file, no socket.

`verify`, `prove`, `judge` make verdicts; `evidence` keeps them; `report` shows them.
Not a score: verdicts are never summed into a number, only listed and conjoined.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import JsonValue

from unterbau.errors import Exit
from unterbau.verdict.model import Model, later
from unterbau.verdict.reason import Reason, Words, joined, told_as, words

__all__ = [
    "CALLED",
    "Claim",
    "Model",
    "Observation",
    "Outcome",
    "Reason",
    "Source",
    "Verdict",
    "Words",
    "conjoin",
    "exit_code",
    "joined",
    "judge_equal",
    "later",
    "told_as",
    "words",
]


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


CALLED = {
    Outcome.HELD: Reason.of("outcome.held"),
    Outcome.FAILED: Reason.of("outcome.failed"),
    Outcome.NOT_SHOWN: Reason.of("outcome.not-shown"),
}
"""What people call them."""
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
    reason: Words = ""


class Claim(Model):
    """A sentence that can be held or failed, about one thing.

    `kind` groups claims (e.g. `content`, `structure`, `completeness`), `subject` is the Ref it is about.
    """

    id: str
    kind: str
    subject: str
    text: Words


class Verdict(Model):
    """A claim, what was observed, and the outcome with its reason."""

    claim: Claim
    outcome: Outcome
    reason: Words
    evidence: tuple[Observation, ...] = ()

    def substance(self) -> tuple[object, ...]:
        """What two verdicts of one judging must have in common: no sentence, so that words may be mended."""
        seen = tuple(o.value for o in self.evidence)
        return self.claim.id, self.claim.kind, self.claim.subject, self.outcome, seen


def judge_equal(claim: Claim, left: Observation | None, right: Observation | None) -> Verdict:
    """Held if both sides were seen and are equal; failed if both were seen and differ; else not shown.

    This is also how the offline check recomputes a verdict from the evidence alone: a claim of kind
    `content` or `structure` holds if and only if its two observations carry equal values and no reason.
    """
    seen = tuple(o for o in (left, right) if o is not None)
    unseen = [o.reason or o.what for o in seen if o.value is None or o.reason]
    if left is None or right is None or unseen:
        why = joined(unseen) or Reason.of("verdict.one-side")
        return Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=why, evidence=seen)
    if left.value == right.value:
        return Verdict(claim=claim, outcome=Outcome.HELD, reason=Reason.of("verdict.equal"), evidence=seen)
    return Verdict(claim=claim, outcome=Outcome.FAILED, reason=_difference(left.value, right.value), evidence=seen)


def _difference(left: Any, right: Any) -> Words:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(k for k in left.keys() | right.keys() if left.get(k) != right.get(k))
        return joined(
            Reason.of("verdict.field-differs", field=k, left=_short(left.get(k)), right=_short(right.get(k)))
            for k in keys
        )
    return Reason.of("verdict.differs", left=_short(left), right=_short(right))


def _short(value: Any, limit: int = 160) -> str | Reason:
    if value is None:
        return Reason.of("verdict.absent")
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
