# SPDX-License-Identifier: Apache-2.0
"""How an older or newer version's members are read, and when two values of one claim are the same. Pure. The checks call it.

What is signed are stored bytes, so a check reads what is stored: a field that this version has and the bundle does not
gets its default; a field that only a newer version knows is left out and named, and what it says is not shown. A
sentence is never compared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from unterbau.errors import BundleError
from unterbau.evidence.limits import NOT_OURS
from unterbau.verdict import Claim, Outcome, Reason, Verdict

M = TypeVar("M")
Place: TypeAlias = tuple[str, ...]
"""The names of fields that lead to one."""
_ROUNDS = 8
"""Fields of a newer version may lie in one another; each round finds those of one level."""
_COUNTED = 200


@dataclass
class Reading:
    """What was read, and which of its fields this version does not know (`member: place.field`, each once)."""

    made_by: str = ""
    spelled: Set[Place] = frozenset()
    """Places of fields that the bundle spells (`spelled_in`); those of resources begin with their kind."""
    unknown: dict[str, None] = field(default_factory=dict)

    def model(self, type_: type[M] | TypeAdapter[M], plain: Any, member: str) -> M:
        """The model of plain data, which loses its unknown fields. Raises BundleError."""
        adapter: TypeAdapter[M] = type_ if isinstance(type_, TypeAdapter) else TypeAdapter(type_)
        for _ in range(_ROUNDS):
            try:
                return adapter.validate_python(plain)
            except ValidationError as error:
                faults = [] if error.error_count() > 10**5 else error.errors(include_url=False, include_input=False)
                extra = [f["loc"] for f in faults if f["type"] == "extra_forbidden"]
                if not extra:  # faults of another kind may be those of a union's other branch
                    raise self._misfit(error.error_count()) from None
                if not sum(self._leave_out(plain, place, member) for place in extra):
                    raise self._misfit(len(extra)) from None
            except (ValueError, TypeError, RecursionError):
                break
        raise self._misfit(1)

    def _misfit(self, count: int) -> BundleError:
        made = f"If it is as it was sealed, check it with the version that made it ({self.made_by}) or a newer one."
        return BundleError(f"the contents do not fit the format ({count} faults)", made if self.made_by else NOT_OURS)

    def _leave_out(self, plain: Any, place: Sequence[int | str], member: str) -> bool:
        """Remove the field, if it is still there; parts of the place that name a branch of a union are no part of the data."""
        found = _found(plain, place)
        if found is None:
            return False
        holder, way = found
        del holder[place[-1]]
        self.unknown[f"{member}: {'.'.join([*way, str(place[-1])])}"] = None
        return True

    def names(self) -> frozenset[str]:
        """The bare names of the unknown fields."""
        return frozenset(one.rpartition(".")[2].rpartition(" ")[2] for one in self.unknown)

    def verdict(self) -> tuple[Verdict, ...]:
        """What was left out is not shown."""
        if not self.unknown:
            return ()
        told = list(self.unknown)
        claim = Claim(
            id="coverage bundle fields", kind="coverage", subject="bundle",
            text=Reason.of("evidence.fields.claim"),
        )  # fmt: skip
        why = Reason.of("evidence.fields.unknown", count=len(told), fields=[*told[:_COUNTED]], by=self.made_by or "?")
        return (Verdict(claim=claim, outcome=Outcome.NOT_SHOWN, reason=why),)


def _found(at: Any, place: Sequence[int | str]) -> tuple[dict[Any, Any], list[str]] | None:
    """What holds the field, and the way there. A branch of a union may be called like a field: both are tried."""
    step, rest = place[0], place[1:]
    if not rest:
        return (at, []) if isinstance(at, dict) and step in at else None
    held = step in at if isinstance(at, dict) else isinstance(at, list) and isinstance(step, int) and step < len(at)
    within = _found(at[step], rest) if held else None
    if within is not None:
        return within[0], ["[]" if isinstance(step, int) else step, *within[1]]
    return _found(at, rest)


def spelled_in(plain: Any, root: Place = ()) -> set[Place]:
    """The place of every field that this data spells, from `root` inwards; elements of lists count as one."""
    found: set[Place] = set()
    left: list[tuple[Place, Any]] = [(root, plain)]
    while left:
        place, one = left.pop()
        if isinstance(one, dict):
            for name, value in one.items():
                found.add((*place, name))
                if isinstance(value, dict | list):
                    left.append(((*place, name), value))
        elif isinstance(one, list):
            left.extend((place, each) for each in one if isinstance(each, dict | list))
    return found


def alike(told: Any, again: Any, reading: Reading, place: Place = ()) -> bool:
    """Whether a value as told is the one that follows.

    `again` may have fields that the bundle spells nowhere (a newer version's defaults), `told` such as were left out.
    """
    if isinstance(told, dict) and isinstance(again, dict):
        return (
            all(alike(told[k], again[k], reading, (*place, k)) for k in told.keys() & again.keys())
            and all((*place, k) not in reading.spelled for k in again.keys() - told.keys())
            and (told.keys() <= again.keys() or told.keys() - again.keys() <= reading.names())
        )
    if isinstance(told, list) and isinstance(again, list):
        return len(told) == len(again) and all(alike(t, a, reading, place) for t, a in zip(told, again, strict=True))
    if isinstance(told, str) and isinstance(again, str) and told != again:
        left, right = _unfolded(told), _unfolded(again)
        return left is not None and right is not None and alike(left, right, reading, place)
    return type(told) is type(again) and bool(told == again)


def without_words(plain: Any, words: Collection[str]) -> Any:
    """The data with a mark in the place of each sentence, which is what stands under one of these names."""
    if isinstance(plain, dict):
        return {k: _mark(v) if k in words else without_words(v, words) for k, v in plain.items()}
    if isinstance(plain, list):
        return [without_words(one, words) for one in plain]
    return plain


def _mark(value: Any) -> Any:
    return [_mark(one) for one in value] if isinstance(value, list) else bool(value)


def _unfolded(text: str) -> JsonValue:
    """The parts of a natural key that spells an object within (that of a rule does): the words before, the object."""
    words, brace, rest = text.partition("{")
    try:
        return [words, json.loads(brace + rest)] if brace else None
    except (ValueError, RecursionError):
        return None


def differing(told: Sequence[Verdict], again: Sequence[Verdict], reading: Reading) -> list[str]:
    """Ids of claims that were told and do not follow, or follow and were not told: by outcome and values.

    In another order, though all follow, it is `the order`.
    """
    left, right = {v.claim.id: v for v in told}, {v.claim.id: v for v in again}
    wrong = [i for i in left if i not in right or not _same(left[i], right[i], reading)]
    wrong += [i for i in right if i not in left]
    if not wrong and (len(left) != len(told) or [*left] != [*right]):
        wrong = ["the order"]
    return wrong


def _same(told: Verdict, again: Verdict, reading: Reading) -> bool:
    left, right = ([o.value for o in v.evidence] for v in (told, again))
    subject = (told.claim.kind, told.claim.subject) == (again.claim.kind, again.claim.subject)
    kind = told.claim.subject.partition(":")[0]
    return subject and told.outcome is again.outcome and alike(left, right, reading, (kind,))
