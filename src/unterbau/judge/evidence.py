# SPDX-License-Identifier: Apache-2.0
"""The signed bundle of a judged stack: parts, facts, rules and findings in one file, judged again by its check.

`cli` seals one after `judge`; `evidence check` opens it on any machine. The check believes no finding: it judges the
stack in the bundle again, by the facts and rules in the bundle, and compares. Whether the facts are true it cannot
know; their sources stand in it. Needs pydantic and securesystemslib, and no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from unterbau.catalogue.model import Catalogue, Technology
from unterbau.errors import BundleError
from unterbau.evidence.container import pack
from unterbau.evidence.core import STATEMENT, sign
from unterbau.evidence.keys import Signer
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.opening import Opened, open_bundle
from unterbau.judge.engine import Measures, judge
from unterbau.judge.judgement import Judgement
from unterbau.judge.rule import RuleSet
from unterbau.judge.summary import outcome
from unterbau.stack.model import Stack
from unterbau.verdict import Model, Outcome

KIND = "https://unterbau.example/evidence/stack/v1"
JUDGEMENT = "judgement.json"
_STACK = TypeAdapter(Stack)
_CATALOGUE = TypeAdapter(tuple[Technology, ...])
_RULES = TypeAdapter(tuple[RuleSet, ...])
_MEASURES = TypeAdapter(dict[str, dict[str, tuple[float, str]]])


class StackBundle(Model):
    """What a judgement was made of; enough to make it again."""

    stack: Stack
    catalogue: dict[str, Technology]
    rule_sets: tuple[RuleSet, ...]
    measures: dict[str, dict[str, tuple[float, str]]] = {}
    judgement: Judgement
    sealed: datetime


class StackCheck(Model):
    """What a check found. `judgement` was made again, not read."""

    judgement: Judgement
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""
    sealed: datetime
    facts: int = Field(description="how many facts the catalogue in the bundle holds")


def seal_stack(
    stack: Stack,
    catalogue: Catalogue,
    rule_sets: tuple[RuleSet, ...],
    judgement: Judgement,
    *,
    signer: Signer,
    sealed: datetime,
    measures: Measures | None = None,
) -> bytes:
    """The bundle as bytes."""
    measured = {t: dict(m) for t, m in (measures or {}).items()}
    members = {
        "stack.json": _STACK.dump_json(stack, indent=1),
        "catalogue.json": _CATALOGUE.dump_json(tuple(catalogue.values()), indent=1, exclude_defaults=True),
        "rules.json": _RULES.dump_json(rule_sets, indent=1, by_alias=True, exclude_none=True),
        "measures.json": _MEASURES.dump_json(measured, indent=1),
        JUDGEMENT: judgement.model_dump_json(indent=1, exclude={"parts", "unread"}).encode(),
    }
    return pack(members, sign(members, _predicate(judgement, sealed), signer, KIND))


def check_stack(data: bytes, *, trusted_key: str | None = None) -> StackCheck:
    """Open a bundle and judge the stack in it again. `trusted_key` is the id of the key that must have signed it.

    Raises BundleError for anything that is not as it was sealed, or does not follow from the contents.
    """
    return check_opened(open_bundle(data, trusted_key=trusted_key))


def check_opened(opened: Opened) -> StackCheck:
    """Judge the stack in a bundle that was opened. Raises BundleError."""
    opened.demand(KIND)
    members, predicate = opened.members, opened.predicate
    bundle = _bundle(members, predicate)
    again = judge(bundle.stack, bundle.catalogue, bundle.rule_sets, bundle.judgement.at, bundle.measures)
    _same(bundle.judgement, again)
    if predicate != {"format": 1, **_predicate(again, bundle.sealed)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    return StackCheck(
        judgement=again,
        outcome=outcome(again),
        signer=opened.signer,
        signer_trusted=opened.trusted,
        sealed=bundle.sealed,
        facts=sum(len(t.facts) for t in bundle.catalogue.values()),
    )


def _predicate(judgement: Judgement, sealed: datetime) -> dict[str, JsonValue]:
    """Whose stack, by which rules, as of when; outcomes by rule, never as a number of merit."""
    outcomes: dict[str, JsonValue] = {r.id: r.outcome.value for s in judgement.rule_sets for r in s.rules}
    return {
        "stack": judgement.stack,
        "at": judgement.at.isoformat(),
        "sealed": sealed.isoformat(),
        "parts": len(judgement.parts),
        "unrecognised": len(judgement.unrecognised),
        "rules": outcomes,
    }


def _bundle(members: Mapping[str, bytes], predicate: Mapping[str, JsonValue]) -> StackBundle:
    names = {"stack.json", "catalogue.json", "rules.json", "measures.json", JUDGEMENT}
    for name in sorted(members.keys() ^ names):
        raise BundleError(f"{name} is {'missing' if name not in members else 'not part of a bundle'}", NOT_OURS)
    try:
        stack = _STACK.validate_json(members["stack.json"])
        told = json.loads(members[JUDGEMENT])
        return StackBundle(
            stack=stack,
            catalogue={t.id: t for t in _CATALOGUE.validate_json(members["catalogue.json"])},
            rule_sets=_RULES.validate_json(members["rules.json"]),
            measures=_MEASURES.validate_json(members["measures.json"]),
            judgement=Judgement.model_validate({**told, "parts": stack.parts, "unread": stack.unread}),
            sealed=datetime.fromisoformat(str(predicate["sealed"])),
        )
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        count = error.error_count() if isinstance(error, ValidationError) else 1
        raise BundleError(f"the contents do not fit the format ({count} faults)", NOT_OURS) from None


def _same(told: Judgement, again: Judgement) -> None:
    """Outcomes, paths and facts must follow from the contents; wording may differ between versions of the program."""
    left, right = ({(f.rule, f.group): (f.outcome, f.path, f.facts) for f in j.findings} for j in (told, again))
    wrong = sorted(str(k) for k in left.keys() | right.keys() if left.get(k) != right.get(k))
    for name in ("groups", "coverage", "hidden", "ending", "ladders", "unrecognised", "stack"):
        if getattr(told, name) != getattr(again, name):
            wrong.append(name)
    if wrong:
        raise BundleError(f"{JUDGEMENT}: {', '.join(wrong[:3])} does not follow from the contents", NOT_OURS)
