# SPDX-License-Identifier: Apache-2.0
"""A judgement as SARIF 2.1.0 and as OSCAL assessment results 1.1.2, for tools that read those. Pure.

`cli` writes what these return. SARIF shows what failed as an error and what was not shown as an open question,
never as a pass; OSCAL's `not-satisfied` has the reason `other` where something was not shown.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from unterbau import __version__
from unterbau.canonical import digest
from unterbau.judge.judgement import Finding, Judgement, KnownFact, RuleHead
from unterbau.judge.seeing import tell
from unterbau.judge.summary import Sorted, Step
from unterbau.judge.words import step
from unterbau.stack.model import Place
from unterbau.verdict import Outcome

MOST_PLACES = 20
"""So many places of a group are told; how many there are stands beside them."""
INFORMATION = "https://unterbau.example/judge"
_KINDS = {Outcome.HELD: ("pass", "none"), Outcome.FAILED: ("fail", "error"), Outcome.NOT_SHOWN: ("open", "none")}
_TOLD = ("informational", "none")
_LINE = re.compile(r"(?:^|\b)line (\d+)")


def sarif(judgement: Judgement) -> dict[str, Any]:
    """SARIF: a result a finding, at the places where its parts were found.

    A ladder is one informational result a subject, which says the step reached; rules for which nobody measured or
    answered are one open result, not one a part.
    """
    found = Sorted(judgement)
    descriptors = [
        {"id": r.id, "shortDescription": {"text": r.text}, "properties": {"references": list(r.references), "of": r.of}}
        for s in judgement.rule_sets
        for r in s.rules
        if r.level is None
    ]
    ladders = dict.fromkeys(_ladder(s) for s in found.steps)
    descriptors += [
        {"id": id_, "shortDescription": {"text": f"{objective}: the step reached"}, "properties": {"of": "part"}}
        for id_, objective in ladders
    ]
    known = {d["id"] for d in descriptors}
    descriptors += [
        {"id": r.id, "shortDescription": {"text": r.text}, "properties": {"of": r.of}}
        for o in found.once
        for r in o.rules
        if r.id not in known
    ]
    index = {str(d["id"]): n for n, d in enumerate(descriptors)}
    results = [_finding(judgement, f) for f in found.plain]
    results += [_step(judgement, s) for s in found.steps]
    results += [_once(judgement, o.needs, r, a) for o in found.once for r, a in zip(o.rules, o.asks, strict=True)]
    driver = {"name": "unterbau", "version": __version__, "informationUri": INFORMATION, "rules": descriptors}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "properties": {"at": judgement.at.isoformat(), "stack": judgement.stack},
                "results": [{**r, "ruleIndex": index[r["ruleId"]]} for r in results],
            }
        ],
    }


def _finding(judgement: Judgement, finding: Finding) -> dict[str, Any]:
    properties: dict[str, Any] = {"path": finding.path, "facts": list(finding.facts)}
    if finding.missing:
        properties["missing"] = [m.model_dump() for m in finding.missing]
    if finding.instead:
        properties["instead"] = [i.model_dump(mode="json") for i in finding.instead]
    return _result(judgement, finding.rule, finding.group, _KINDS[finding.outcome], finding.reason, properties)


def _ladder(told: Step) -> tuple[str, str]:
    """An id for a ladder, and its name."""
    return f"{told.rule_set}/steps:{_token(told.objective)}", told.objective


def _step(judgement: Judgement, told: Step) -> dict[str, Any]:
    """A step that fails is a step that is not reached: information, no error."""
    properties = {"reached": told.reached, "top": told.top, "failsAt": told.fails_at, "notShown": list(told.unshown)}
    return _result(judgement, _ladder(told)[0], told.group, _TOLD, step(told, judgement), properties)


def _once(judgement: Judgement, needs: str, rule: RuleHead, text: str) -> dict[str, Any]:
    return _result(judgement, rule.id, None, _KINDS[Outcome.NOT_SHOWN], text, {"needs": needs})


def _result(
    judgement: Judgement, rule: str, group: int | None, kind: tuple[str, str], text: str, properties: dict[str, Any]
) -> dict[str, Any]:
    subject, places, count = _subject(judgement, group)
    return {
        "ruleId": rule,
        "kind": kind[0],
        "level": kind[1],
        "message": {"text": f"{subject}: {text}"},
        "locations": [_location(p) for p in places],
        "partialFingerprints": {"unterbau/v1": digest([rule, subject])},
        "properties": {"parts": count, **properties},
    }


def _subject(judgement: Judgement, group_id: int | None) -> tuple[str, list[Place], int]:
    """What it is about, some of its places, and how many parts there are."""
    if group_id is None:
        return judgement.stack, [Place(judgement.stack)], len(judgement.parts)
    group = judgement.groups[group_id]
    places = [p for n in group.parts[:MOST_PLACES] for p in judgement.parts[n].where][:MOST_PLACES]
    name = " ".join([group.name, ", ".join(group.versions[:MOST_PLACES])]).strip()
    return name, places or [Place(judgement.stack)], len(group.parts)


def _location(place: Place) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": place.file}}
    line = _LINE.search(place.spot)
    if line:
        physical["region"] = {"startLine": int(line.group(1))}
    location: dict[str, Any] = {"physicalLocation": physical}
    if place.spot:
        location["logicalLocations"] = [{"fullyQualifiedName": place.spot}]
    return location


def oscal(judgement: Judgement) -> dict[str, Any]:
    """OSCAL assessment results: a result a rule set, an observation a fact, a finding a finding."""
    moment = f"{judgement.at.isoformat()}T00:00:00Z"
    return {
        "assessment-results": {
            "uuid": _uuid(judgement, "document"),
            "metadata": {
                "title": f"{judgement.stack}: judged by {', '.join(s.name for s in judgement.rule_sets)}",
                "last-modified": moment,
                "version": judgement.at.isoformat(),
                "oscal-version": "1.1.2",
            },
            "import-ap": {"href": f"{INFORMATION}/plan"},
            "results": [_oscal_result(judgement, s.id, moment) for s in judgement.rule_sets],
        }
    }


def _oscal_result(judgement: Judgement, rule_set: str, moment: str) -> dict[str, Any]:
    head = next(s for s in judgement.rule_sets if s.id == rule_set)
    findings = [f for f in judgement.findings if f.rule.startswith(f"{rule_set}/")]
    steps = {r.id for r in head.rules if r.level is not None}
    used = {i for f in findings for i in f.facts}
    observations = [_observation(judgement, f, moment) for f in judgement.facts if f.id in used]
    result: dict[str, Any] = {
        "uuid": _uuid(judgement, "result", rule_set),
        "title": head.name,
        "description": head.note or head.name,
        "start": moment,
        "reviewed-controls": {
            "control-selections": [{"include-controls": [{"control-id": _token(r.id)} for r in head.rules]}]
        },
    }
    if observations:
        result["observations"] = observations
    if findings:
        result["findings"] = [_oscal_finding(judgement, f, is_step=f.rule in steps) for f in findings]
    return result


def _observation(judgement: Judgement, known: KnownFact, moment: str) -> dict[str, Any]:
    source = known.fact.source
    return {
        "uuid": _uuid(judgement, "fact", known.id),
        "title": known.id,
        "description": f"{known.fact.kind.replace('_', ' ')}: {tell(known.fact)}",
        "methods": ["EXAMINE"],
        "collected": f"{source.read.isoformat()}T00:00:00Z",
        "expires": f"{known.fact.expires.isoformat()}T00:00:00Z",
        "relevant-evidence": [{"href": source.url, "description": source.says}],
    }


def _oscal_finding(judgement: Judgement, finding: Finding, *, is_step: bool) -> dict[str, Any]:
    subject, _, _ = _subject(judgement, finding.group)
    state = "satisfied" if finding.outcome is Outcome.HELD else "not-satisfied"
    reason = {Outcome.HELD: "pass", Outcome.FAILED: "fail", Outcome.NOT_SHOWN: "other"}[finding.outcome]
    remarks = f"path: {finding.path}"
    if finding.outcome is Outcome.FAILED and is_step:
        reason, remarks = "other", "a step of a ladder that is not reached"
    told: dict[str, Any] = {
        "uuid": _uuid(judgement, "finding", finding.rule, str(finding.group)),
        "title": f"{finding.rule}: {subject}",
        "description": finding.reason or finding.path,
        "target": {
            "type": "objective-id",
            "target-id": _token(finding.rule),
            "status": {"state": state, "reason": reason, "remarks": remarks},
        },
    }
    if finding.facts:
        told["related-observations"] = [{"observation-uuid": _uuid(judgement, "fact", i)} for i in finding.facts]
    return told


def _token(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)


def _uuid(judgement: Judgement, *names: str) -> str:
    """The same judgement gives the same ids."""
    return str(uuid5(NAMESPACE_URL, "/".join([INFORMATION, judgement.stack, judgement.at.isoformat(), *names])))
