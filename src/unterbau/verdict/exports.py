# SPDX-License-Identifier: Apache-2.0
"""What drill, prove and judge found in the forms that other tools read: JUnit XML, SARIF 2.1.0, OSCAL 1.1.2. Pure.

The commands write what `FORMS` makes of a `Document`. In each form *not shown* is neither passed nor failed: JUnit calls
it an error (but what only documents show, advice and steps it skips), SARIF `open`, OSCAL `not-satisfied` with the reason
`other`. A step of a ladder that is not reached fails in none of them.
Sources: SARIF 2.1.0 (OASIS), 3.27.9 kind, 3.27.10 level; OSCAL 1.1.2 assessment-results; the JUnit schema of Jenkins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as Xml

from pydantic import JsonValue

from unterbau import __version__
from unterbau.canonical import digest
from unterbau.verdict import Outcome
from unterbau.verdict.assessment import Assessment, Document, Entry, Part, Point, Rule, Seen, Spot, Weight

_KIND = {Outcome.HELD: "pass", Outcome.FAILED: "fail", Outcome.NOT_SHOWN: "open"}
_URI = "%/:=&?~#+!$,;'@()*[]"
"""What may stand in a URI reference as it is (RFC 3986)."""
_LONGEST = 2000
"""Characters of an observed value that OSCAL tells; all of it stands in the bundle."""


def stable_id(key: Iterable[str], information: str) -> str:
    """A UUID that is the same for the same key: a document can be made again."""
    return str(uuid5(NAMESPACE_URL, "/".join(map(_whole, [information, *key]))))


def _whole(text: str) -> str:
    """Without halves of characters, which names in JSON may have and UTF-8 has not."""
    return text.encode("utf-8", "backslashreplace").decode()


# --- JUnit


def junit(document: Document) -> bytes:
    """JUnit XML: a suite for each assessment, a case for each entry. Advice that is not followed is skipped with its reason."""
    root = Xml.Element("testsuites", name=f"unterbau {document.verb}")
    for made in document.assessments:
        suite = Xml.SubElement(
            root, "testsuite", name=_clean(made.name), timestamp=made.at.strftime("%Y-%m-%dT%H:%M:%S")
        )
        rules = {r.id: r for r in made.rules}
        for entry in made.entries:
            if not entry.noted:
                _entry_case(_case(suite, rules[entry.rule], entry.name or entry.rule), document, entry)
        for note in made.notes:
            case = _case(suite, rules[note.rule], f"{note.rule}: {note.point.subject}")
            if not note.shown:
                Xml.SubElement(case, "skipped", message=_clean(f"not shown: {note.point.text}"))
        suite.set("tests", str(len(suite)))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
    Xml.indent(root)
    told: bytes = Xml.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + told


def _case(suite: Xml.Element, rule: Rule, name: str) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", classname=_clean(rule.family), name=_clean(name))


def _entry_case(case: Xml.Element, document: Document, entry: Entry) -> None:
    message, outcome = _clean(str(entry.verdict.reason)), entry.verdict.outcome
    is_demand = entry.weight is Weight.DEMAND
    if not entry.applies:
        Xml.SubElement(case, "skipped", message=f"not applicable: {message}")
    elif outcome is Outcome.FAILED and is_demand:
        failure = Xml.SubElement(case, "failure", message=message, type="failed")
        failure.text = _clean("\n".join(f"{p.subject}: {p.text}" for p in entry.points)) or message
    elif outcome is Outcome.FAILED:
        told = "advice not followed" if entry.weight is Weight.ADVICE else "step not reached"
        Xml.SubElement(case, "skipped", message=f"{told}: {message}")
    elif outcome is Outcome.NOT_SHOWN and is_demand and entry.automatic:
        Xml.SubElement(case, "error", message=message, type="not shown")
    elif outcome is Outcome.NOT_SHOWN:
        Xml.SubElement(case, "skipped", message=f"not shown: {message}")


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 does not know."""
    return "".join(
        c if c in "\t\n\r" or (c >= " " and not 0xD800 <= ord(c) < 0xE000 and c not in "\ufffe\uffff") else "?"
        for c in text
    )


# --- SARIF


def sarif(document: Document) -> dict[str, Any]:
    """SARIF: a run for each assessment, a result for each point of an entry (or for the entry), and for each note."""
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [_run(document, made) for made in document.assessments],
    }


def _run(document: Document, made: Assessment) -> dict[str, Any]:
    index = {rule.id: n for n, rule in enumerate(made.rules)}
    results = [r for e in made.entries if not e.noted for r in _entry_results(made, e)]
    results += [
        _result(made, n.rule, n.point, ("informational" if n.shown else "open", "none"), n.properties)
        for n in made.notes
    ]
    driver = {
        "name": "unterbau",
        "version": __version__,
        "informationUri": document.information,
        "rules": [_descriptor(rule) for rule in made.rules],
    }
    return {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "properties": {_camel(k): v for k, v in made.properties.items()} | {"at": made.at.isoformat()},
        "results": [{**r, "ruleIndex": index[r["ruleId"]]} for r in results],
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    told: dict[str, Any] = {"id": rule.id, "shortDescription": {"text": str(rule.text) or rule.id}}
    if rule.url:
        told["helpUri"] = rule.url
    if rule.properties:
        told["properties"] = rule.properties
    return told


def _entry_results(made: Assessment, entry: Entry) -> list[dict[str, Any]]:
    kind, level = _KIND[entry.verdict.outcome], "none"
    if not entry.applies:
        kind = "notApplicable"
    elif entry.verdict.outcome is Outcome.FAILED:
        level = {Weight.DEMAND: "error", Weight.ADVICE: "warning"}.get(entry.weight, level)
        kind = "informational" if entry.weight is Weight.STEP else kind
    points = entry.points or (Point(subject=entry.verdict.claim.subject, text=entry.verdict.reason),)
    return [_result(made, entry.rule, p, (kind, level), entry.properties) for p in points]


def _result(
    made: Assessment, rule: str, point: Point, kind: tuple[str, str], properties: Mapping[str, JsonValue]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ruleId": rule,
        "kind": kind[0],
        "level": kind[1],
        "message": {"text": f"{point.subject}: {point.text}"},
        "locations": [_location(spot) for spot in point.where],
        "partialFingerprints": {
            "unterbau/v1": digest([*map(_whole, (*made.apart, rule, point.mark or point.subject))])
        },
    }
    if made.qualified:
        told["locations"] = [{"logicalLocations": [{"fullyQualifiedName": f"{made.subject}/{point.subject}"}]}]
    return told | ({"properties": dict(properties)} if properties else {})


def _location(spot: Spot) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(_whole(spot.file), safe=_URI)}}
    if spot.line:
        physical["region"] = {"startLine": spot.line}
    location: dict[str, Any] = {"physicalLocation": physical}
    if spot.where:
        location["logicalLocations"] = [{"fullyQualifiedName": spot.where}]
    return location


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)


# --- OSCAL


def oscal(document: Document) -> dict[str, Any]:
    """OSCAL assessment results: a result for each part of an assessment, a finding an entry, an observation what was seen."""
    first = document.assessments[0]
    return {
        "assessment-results": {
            "uuid": _uuid(document, first, "document"),
            "metadata": {
                "title": _line(document.title),
                "last-modified": _time(max(a.at for a in document.assessments)),
                "version": _line(document.version),
                "oscal-version": "1.1.2",
            },
            "import-ap": {"href": f"{document.information}/plan"},
            "results": [_part(document, made, part) for made in document.assessments for part in made.parts],
        }
    }


def _part(document: Document, made: Assessment, part: Part) -> dict[str, Any]:
    rules = {r.id: r for r in made.rules if r.part == part.id}
    entries = [e for e in made.entries if e.rule in rules]
    applying = [e for e in entries if e.applies]
    told = {e.rule for e in entries} | {n.rule for n in made.notes}
    asked = [r for r in rules if r not in told or any(e.rule == r for e in applying)]
    rested = {name for e in applying for name in e.rests_on}
    seen = [s for s in made.seen if len(made.parts) == 1 or s.id in rested]
    result: dict[str, Any] = {
        "uuid": _uuid(document, made, "result", part.id),
        "title": _line(part.title),
        "description": part.description or part.title,
        "start": _time(made.at),
        "props": _props(made.properties),
        "reviewed-controls": {"control-selections": [{"include-controls": [{"control-id": _token(r)} for r in asked]}]},
    }
    if seen:
        result["observations"] = [_observation(document, made, part, s) for s in seen]
    if applying:
        result["findings"] = [_finding(document, made, part, e) for e in applying]
    return {k: v for k, v in result.items() if v}


def _observation(document: Document, made: Assessment, part: Part, seen: Seen) -> dict[str, Any]:
    source, value = seen.told.source, seen.told.value
    shown = str(seen.told.reason) if value is None else value if isinstance(value, str) else json.dumps(value)
    told: dict[str, Any] = {
        "uuid": _uuid(document, made, "seen", part.id, seen.id),
        "title": _line(seen.title or source.where),
        "description": f"{seen.told.what}: {shown}"[:_LONGEST] if shown else seen.told.what,
        "methods": ["TEST" if seen.looked else "EXAMINE"],
        "collected": _time(source.at),
    }
    if seen.properties:
        told["props"] = _props(seen.properties)
    if seen.expires:
        told["expires"] = _time(seen.expires)
    if source.where.startswith("https://"):
        told["relevant-evidence"] = [{"href": source.where, "description": seen.says or source.where}]
    return told


def _finding(document: Document, made: Assessment, part: Part, entry: Entry) -> dict[str, Any]:
    verdict = entry.verdict
    reason = {Outcome.HELD: "pass", Outcome.FAILED: "fail"}.get(verdict.outcome, "other")
    remarks = entry.remarks
    if entry.weight is Weight.STEP and verdict.outcome is Outcome.FAILED:
        reason, remarks = "other", "a step of a ladder that is not reached"
    status = {"state": "satisfied" if verdict.outcome is Outcome.HELD else "not-satisfied", "reason": reason}
    told: dict[str, Any] = {
        "uuid": _uuid(document, made, "finding", *entry.key),
        "title": _line(str(verdict.claim.text)),
        "description": str(verdict.reason) or verdict.outcome.value,
        "target": {
            "type": "objective-id",
            "target-id": _token(entry.rule),
            "status": status | ({"remarks": remarks} if remarks else {}),
        },
    }
    if entry.rests_on:
        told["related-observations"] = [
            {"observation-uuid": _uuid(document, made, "seen", part.id, name)} for name in dict.fromkeys(entry.rests_on)
        ]
    return told


def _props(properties: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": _line(value)} for name, value in properties.items()]


def _line(text: str) -> str:
    """A string of OSCAL's: one line that neither begins nor ends with a space, and is not empty."""
    return " ".join(text.split()) or "-"


def _token(text: str) -> str:
    """A token of OSCAL's: the characters that it allows, and no digit first."""
    told = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    return told if re.match(r"[A-Za-z_]", told) else f"_{told}"


def _time(moment: datetime) -> str:
    return moment.isoformat()


def _uuid(document: Document, made: Assessment, *what: str) -> str:
    return stable_id([*made.key, *what], document.information)


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")


FORMS: Mapping[str, Callable[[Document], bytes]] = {
    "junit": junit,
    "sarif": lambda document: _json(sarif(document)),
    "oscal": lambda document: _json(oscal(document)),
}
"""What a command writes, by the name of its option."""
