# SPDX-License-Identifier: Apache-2.0
"""Technologies, rules and stacks for the tests of `judge`, in few words."""

from __future__ import annotations

from datetime import date
from typing import Any

from unterbau.catalogue.model import Catalogue, Technology
from unterbau.judge import engine
from unterbau.judge.judgement import Finding, Judgement
from unterbau.judge.rule import RuleSet
from unterbau.stack.model import Part, Place, Stack
from unterbau.stack.recognise import recognise

TODAY = date(2026, 11, 23)
SOURCE = {"url": "https://example.org/page", "read": "2026-11-01", "says": "It says so."}


def fact(kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "value": value,
        "confidence": "high",
        "expires": "2027-11-01",
        "source": SOURCE,
        **more,
    }


def technology(name: str, /, *facts: dict[str, Any], **more: Any) -> Technology:
    plain = {"id": name, "name": name.title(), "layer": "platform-services", "homepage": "https://example.org", **more}
    return Technology.model_validate({**plain, "facts": facts})


def catalogue(*technologies: Technology) -> Catalogue:
    return {t.id: t for t in technologies}


def rules(*asked: dict[str, Any], **more: Any) -> RuleSet:
    """A rule set of rules r0, r1, …; each is an expression, or a whole rule."""
    listed = [
        {"id": f"r{n}", "text": f"Rule {n}.", **(a if "paths" in a else {"paths": {"direct": a}})}
        for n, a in enumerate(asked)
    ]
    return RuleSet.model_validate(
        {"id": "set", "name": "Set", "author": "Somebody", "as_of": TODAY, "sources": [SOURCE], "rules": listed, **more}
    )


def stack(*names: str, claims: dict[str, bool] | None = None, **more: Any) -> Stack:
    """Parts `technology@version`."""
    parts = []
    for number, told in enumerate(names, start=1):
        name, _, version = told.partition("@")
        place = Place("stack.yaml", f"line {number}")
        parts.append(Part(told, name, version or None, technology=name, where=(place,), claims=claims or {}))
    return Stack("test", tuple(parts), **more)


def judged(known: Catalogue, rule_set: RuleSet, made: Stack, at: date = TODAY) -> Judgement:
    return engine.judge(recognise(made, known), known, [rule_set], at)


def only(judgement: Judgement) -> Finding:
    (found,) = judgement.findings
    return found
