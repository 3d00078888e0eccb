# SPDX-License-Identifier: Apache-2.0
"""The signed bundle of a judged stack: parts, facts, rules and findings in one file, judged again by its check.

`cli` seals one after `judge`; `evidence check` opens it on any machine. The check believes no finding: it judges the
stack in the bundle again, by the facts and rules in the bundle, and compares. Whether the facts are true it cannot
know; their sources stand in it. Nor does it hold the bundles of drills that were given as evidence: it names their
digests, and `rests_on` says which to check by themselves. Needs pydantic and securesystemslib, and no network.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from typing import Any

from pydantic import Field, JsonValue, TypeAdapter

from unterbau import __version__
from unterbau.catalogue.model import Catalogue, Technology
from unterbau.errors import BundleError
from unterbau.evidence.container import pack
from unterbau.evidence.core import STATEMENT, sign
from unterbau.evidence.keys import Signer
from unterbau.evidence.limits import NOT_OURS
from unterbau.evidence.opening import Opened, open_bundle
from unterbau.evidence.reading import Reading, alike, spelled_in, without_words
from unterbau.judge.engine import Measures, judge
from unterbau.judge.judgement import Judgement
from unterbau.judge.rule import RuleSet
from unterbau.judge.summary import outcome
from unterbau.stack.model import Stack
from unterbau.verdict import Model, Outcome, conjoin, later
from unterbau.verdict.exhibit import Exhibit

KIND = "https://unterbau.example/evidence/stack/v1"
JUDGEMENT = "judgement.json"
JUDGING = "stack"
"""The name of the judging by which a stack is judged; another one gets another name."""
EVIDENCE = "evidence.json"
DECIDED = ("outcome", "path", "facts", "evidence")
NOT_TWICE = {"parts", "unread", "evidence"}
"""Fields of a judgement that are members of their own."""
WORDS = frozenset({"reason", "why"})
_STACK = TypeAdapter(Stack)
_CATALOGUE = TypeAdapter(tuple[Technology, ...])
_RULES = TypeAdapter(tuple[RuleSet, ...])
_EVIDENCE = TypeAdapter(tuple[Exhibit, ...])
_MEASURES = TypeAdapter(dict[str, dict[str, tuple[float, str]]])


class StackBundle(Model):
    """What a judgement was made of; enough to make it again."""

    stack: Stack
    catalogue: dict[str, Technology]
    rule_sets: tuple[RuleSet, ...]
    measures: dict[str, dict[str, tuple[float, str]]] = {}
    evidence: tuple[Exhibit, ...] = ()
    judgement: Judgement
    sealed: datetime
    left_out: tuple[str, ...] = ()
    """Fields of a newer version, which this one could not read."""


class StackCheck(Model):
    """What a check found. `judgement` was made again, not read."""

    judgement: Judgement
    outcome: Outcome
    signer: str
    signer_trusted: bool
    """False: the bundle is whole, but whose key signed it is not shown."""
    sealed: datetime
    facts: int = Field(description="how many facts the catalogue in the bundle holds")
    left_out: tuple[str, ...] = ()
    """Fields of a newer version, which this one could not read: what they say is not shown."""
    rests_on: tuple[str, ...] = later(())
    """Digests of bundles that were given as evidence and are not in this one."""


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
        JUDGEMENT: judgement.model_dump_json(indent=1, exclude=NOT_TWICE).encode(),
    }
    if judgement.evidence:
        members[EVIDENCE] = _EVIDENCE.dump_json(judgement.evidence, indent=1)
    return pack(members, sign(members, _predicate(judgement, sealed), signer, KIND))


def check_stack(data: bytes, *, trusted_key: str | None = None) -> StackCheck:
    """Open a bundle and judge the stack in it again. `trusted_key` is the id of the key that must have signed it.

    Raises BundleError for anything that is not as it was sealed, or does not follow from the contents.
    """
    return check_opened(open_bundle(data, trusted_key=trusted_key))


def check_opened(opened: Opened) -> StackCheck:
    """Judge the stack in a bundle that was opened. Raises BundleError."""
    bundle = judged_again(opened)
    return StackCheck(
        judgement=bundle.judgement,
        outcome=conjoin([outcome(bundle.judgement), *([Outcome.NOT_SHOWN] if bundle.left_out else [])]),
        signer=opened.signer,
        signer_trusted=opened.trusted,
        sealed=bundle.sealed,
        facts=sum(len(t.facts) for t in bundle.catalogue.values()),
        left_out=bundle.left_out,
        rests_on=tuple(e.digest for e in bundle.evidence),
    )


def judged_again(opened: Opened) -> StackBundle:
    """What a bundle holds, with its judgement made anew. Raises BundleError if that differs from what was sealed."""
    opened.demand(KIND)
    reading = Reading(made_by=str(opened.predicate.get("made_by", "")))
    bundle, told = _bundle(opened, reading)
    again = judge(
        bundle.stack, bundle.catalogue, bundle.rule_sets, bundle.judgement.at, bundle.measures, bundle.evidence
    )
    _same(told, again, reading)
    if opened.predicate != {"format": opened.format, **_predicate(again, bundle.sealed, opened)}:
        raise BundleError(f"{STATEMENT}: its summary does not fit the contents", NOT_OURS)
    return bundle.model_copy(update={"judgement": again, "left_out": tuple(reading.unknown)})


def _predicate(judgement: Judgement, sealed: datetime, opened: Opened | None = None) -> dict[str, JsonValue]:
    """Whose stack, by which rules, as of when; outcomes by rule, never as a number of merit.

    Since format 2 with the judging and the version that made it: of `opened`, or this one's.
    """
    outcomes: dict[str, JsonValue] = {r.id: r.outcome.value for s in judgement.rule_sets for r in s.rules}
    by: dict[str, Any] = {"judging": [JUDGING], "made_by": __version__} if opened is None else opened.predicate
    return {
        "stack": judgement.stack,
        "at": judgement.at.isoformat(),
        "sealed": sealed.isoformat(),
        "parts": len(judgement.parts),
        "unrecognised": len(judgement.unrecognised),
        "rules": outcomes,
        **({n: by[n] for n in ("judging", "made_by") if n in by}),
    }


def _bundle(opened: Opened, reading: Reading) -> tuple[StackBundle, dict[str, Any]]:
    """The models, and the judgement as it is stored."""
    names = {"stack.json", "catalogue.json", "rules.json", "measures.json", JUDGEMENT}
    names |= {EVIDENCE} & opened.members.keys()
    for name in sorted(opened.names ^ names):
        raise BundleError(f"{name} is {'missing' if name not in opened.names else 'not part of a bundle'}", NOT_OURS)
    if opened.predicate.get("judging", [JUDGING]) != [JUDGING]:
        raise BundleError(f"{JUDGEMENT}: judged in a way that this version does not know", "Check it with a newer one.")
    plain = {name: opened.json(name) for name in names}
    told = plain[JUDGEMENT]
    reading.spelled = spelled_in(told)
    told_as_stored = deepcopy(told)
    stack = reading.model(_STACK, plain["stack.json"], "stack.json")
    given = reading.model(_EVIDENCE, plain.get(EVIDENCE, []), EVIDENCE)
    try:
        whole = {**told, "parts": stack.parts, "unread": stack.unread, "evidence": given}
        sealed = datetime.fromisoformat(str(opened.predicate["sealed"]))
    except (TypeError, KeyError, ValueError):
        raise BundleError("the contents do not fit the format (1 faults)", NOT_OURS) from None
    return StackBundle(
        stack=stack,
        catalogue={t.id: t for t in reading.model(_CATALOGUE, plain["catalogue.json"], "catalogue.json")},
        rule_sets=reading.model(_RULES, plain["rules.json"], "rules.json"),
        measures=reading.model(_MEASURES, plain["measures.json"], "measures.json"),
        evidence=given,
        judgement=reading.model(Judgement, whole, JUDGEMENT),
        sealed=sealed,
    ), told_as_stored


def _same(told: dict[str, Any], again: Judgement, reading: Reading) -> None:
    """Outcomes, paths and facts must follow from the contents; wording may differ between versions of the program."""
    plain = again.model_dump(mode="json", exclude=NOT_TWICE)
    left, right = (
        {(f["rule"], f["group"]): [f.get(n, []) for n in DECIDED] for f in j["findings"]} for j in (told, plain)
    )
    wrong = sorted(str(k) for k in left.keys() | right.keys() if left.get(k) != right.get(k))
    for name in ("groups", "coverage", "hidden", "ending", "ladders", "unrecognised", "stack"):
        if not alike(without_words(told[name], WORDS), without_words(plain[name], WORDS), reading, (name,)):
            wrong.append(name)
    if wrong:
        raise BundleError(f"{JUDGEMENT}: {', '.join(wrong[:3])} does not follow from the contents", NOT_OURS)
