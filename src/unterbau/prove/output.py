# SPDX-License-Identifier: Apache-2.0
"""A proof in the forms that other tools read: JUnit XML, SARIF 2.1.0, OSCAL 1.1.2, the SCS report. Pure.

`cli.prove` writes what these return. In each of them *not shown* is neither passed nor failed: JUnit calls it an
error (but what only documents show, and advice, it skips), SARIF `open`, OSCAL `not-satisfied` with reason `other`,
the SCS report 0 (aborted).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as Xml

from unterbau import __version__
from unterbau.canonical import digest
from unterbau.prove.data import load
from unterbau.prove.proof import Proof
from unterbau.prove.verdicts import CaseOutcome, CaseVerdict, Level

INFORMATION = "https://unterbau.example/prove"
_SARIF = {
    CaseOutcome.HELD: "pass",
    CaseOutcome.FAILED: "fail",
    CaseOutcome.NOT_SHOWN: "open",
    CaseOutcome.NOT_APPLICABLE: "notApplicable",
}
_SCS = {CaseOutcome.HELD: 1, CaseOutcome.NOT_APPLICABLE: 1, CaseOutcome.FAILED: -1, CaseOutcome.NOT_SHOWN: 0}
"""The monitor's numbers: 1 passed, 0 aborted, -1 failed. A rule whose condition is not met counts as passed there."""


# --- JUnit


def junit(proofs: Iterable[Proof]) -> bytes:
    """JUnit XML: a suite for each cloud. Advice that is not followed is a skipped test with its reason."""
    root = Xml.Element("testsuites", name="unterbau prove")
    for proof in proofs:
        cases = proof.cases
        suite = Xml.SubElement(
            root, "testsuite", name=_clean(f"{proof.report.scope} {proof.inventory.subject.name}"),
            timestamp=proof.inventory.collected_at.strftime("%Y-%m-%dT%H:%M:%S"),
        )  # fmt: skip
        for case in cases:
            element = Xml.SubElement(suite, "testcase", classname=case.standard, name=_clean(case.case))
            _junit_result(element, case)
        suite.set("tests", str(len(cases)))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
    Xml.indent(root)
    told: bytes = Xml.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + told


def _junit_result(element: Xml.Element, case: CaseVerdict) -> None:
    message = _clean(case.reason)
    if case.outcome is CaseOutcome.FAILED and case.level is Level.MUST:
        failure = Xml.SubElement(element, "failure", message=message, type="failed")
        failure.text = _clean("\n".join(_sentence(case)))
    elif case.outcome is CaseOutcome.FAILED:
        Xml.SubElement(element, "skipped", message=f"advice not followed: {message}")
    elif case.outcome is CaseOutcome.NOT_SHOWN and case.level is Level.MUST and not case.manual:
        Xml.SubElement(element, "error", message=message, type="not shown")
    elif case.outcome is CaseOutcome.NOT_SHOWN:
        Xml.SubElement(element, "skipped", message=f"not shown: {message}")
    elif case.outcome is CaseOutcome.NOT_APPLICABLE:
        Xml.SubElement(element, "skipped", message=f"not applicable: {message}")


def _sentence(case: CaseVerdict) -> list[str]:
    return [f"{f.object}: {f.observed}; required: {f.required}. {f.mend}" for f in case.findings] or [case.reason]


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 does not know."""
    return "".join(c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else "?" for c in text)


# --- SARIF


def sarif(proofs: Iterable[Proof]) -> dict[str, Any]:
    """SARIF: a run for each cloud, a result for each finding (or for each case without one)."""
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [_sarif_run(proof) for proof in proofs],
    }


def _sarif_run(proof: Proof) -> dict[str, Any]:
    cases = proof.cases
    rules = [
        {
            "id": c.case,
            "shortDescription": {"text": c.title},
            "helpUri": c.clause,
            "properties": {"level": c.level.value, "standard": c.standard, "versions": list(c.versions)},
        }
        for c in cases
    ]
    subject = proof.inventory.subject
    return {
        "tool": {
            "driver": {"name": "unterbau", "version": __version__, "informationUri": INFORMATION, "rules": rules}
        },
        "columnKind": "unicodeCodePoints",
        "properties": {
            "cloud": subject.name, "authUrl": subject.auth_url, "region": subject.region,
            "project": subject.project_id, "at": proof.question.at.isoformat(), "inventory": proof.report.inventory,
        },
        "results": [r for n, c in enumerate(cases) for r in _sarif_results(proof, n, c)],
    }  # fmt: skip


def _sarif_results(proof: Proof, number: int, case: CaseVerdict) -> list[dict[str, Any]]:
    level = "none"
    if case.outcome is CaseOutcome.FAILED:
        level = "error" if case.level is Level.MUST else "warning"
    told = [(f.object, f"{f.observed}; required: {f.required}. {f.mend}") for f in case.findings] or [
        (proof.inventory.subject.name, case.reason)
    ]
    return [
        {
            "ruleId": case.case,
            "ruleIndex": number,
            "kind": _SARIF[case.outcome],
            "level": level,
            "message": {"text": f"{subject}: {text}"},
            "locations": [{"logicalLocations": [{"fullyQualifiedName": f"{proof.inventory.subject.name}/{subject}"}]}],
            "partialFingerprints": {"unterbau/v1": digest([proof.inventory.subject.auth_url, case.case, subject])},
        }
        for subject, text in told
    ]


# --- OSCAL


def oscal(proofs: Iterable[Proof]) -> dict[str, Any]:
    """OSCAL assessment results: a result a cloud, an observation a request, a finding a case."""
    listed = list(proofs)
    moment = max(p.inventory.collected_at for p in listed).isoformat()
    return {
        "assessment-results": {
            "uuid": _uuid(listed[0], "document"),
            "metadata": {
                "title": f"{listed[0].report.scope_name}: {', '.join(p.inventory.subject.name for p in listed)}",
                "last-modified": moment,
                "version": listed[0].report.data,
                "oscal-version": "1.1.2",
            },
            "import-ap": {"href": f"{INFORMATION}/plan"},
            "results": [_oscal_result(p) for p in listed],
        }
    }


def _oscal_result(proof: Proof) -> dict[str, Any]:
    subject = proof.inventory.subject
    cases = [c for c in proof.cases if c.outcome is not CaseOutcome.NOT_APPLICABLE]
    return {
        "uuid": _uuid(proof, "result"),
        "title": f"{proof.report.scope_name} on {subject.name}",
        "description": f"{subject.auth_url}, region {subject.region}, project {subject.project_id}",
        "start": proof.inventory.collected_at.isoformat(),
        "props": [
            {"name": "auth-url", "value": subject.auth_url},
            {"name": "project", "value": subject.project_id or "-"},
            {"name": "catalog-digest", "value": subject.catalog_digest or "-"},
            {"name": "inventory-digest", "value": proof.report.inventory},
        ],
        "reviewed-controls": {"control-selections": [{"include-controls": [{"control-id": c.case} for c in cases]}]},
        "observations": [
            {
                "uuid": _uuid(proof, "request", r.id),
                "description": f"{r.method} {r.service} {r.path}",
                "methods": ["TEST"],
                "collected": r.began.isoformat(),
                "props": [{"name": "status", "value": str(r.status or "none")}]
                + ([{"name": "digest", "value": r.digest}] if r.digest else []),
            }
            for r in proof.inventory.requests
        ],
        "findings": [_oscal_finding(proof, c) for c in cases],
    }


def _oscal_finding(proof: Proof, case: CaseVerdict) -> dict[str, Any]:
    reason = {CaseOutcome.HELD: "pass", CaseOutcome.FAILED: "fail"}.get(case.outcome, "other")
    state = "satisfied" if case.outcome is CaseOutcome.HELD else "not-satisfied"
    finding: dict[str, Any] = {
        "uuid": _uuid(proof, "finding", case.case),
        "title": case.title,
        "description": case.reason or case.outcome.value,
        "target": {
            "type": "objective-id", "target-id": case.case, "status": {"state": state, "reason": reason}
        },
    }  # fmt: skip
    if case.requests:
        related = [{"observation-uuid": _uuid(proof, "request", r)} for r in case.requests]
        finding["related-observations"] = related
    return finding


def _uuid(proof: Proof, *what: str) -> str:
    """The same for the same proof: the document can be made again. Another question makes another one."""
    question = [proof.question.scope, proof.report.asked, proof.question.at.isoformat(), proof.report.data_digest]
    return str(uuid5(NAMESPACE_URL, "/".join([INFORMATION, proof.report.inventory, *question, *what])))


# --- the SCS report


def _specification(scope: str) -> str:
    """Where the monitor's own list of the scope's test cases stands; empty where the data has none."""
    return next((s.specification for s in load().scopes if s.id == scope), "")


def scs_report(proof: Proof) -> dict[str, Any]:
    """The report that the SCS compliance monitor takes (the form of its check tool of August 2026).

    Only official test cases stand in it; ours (`own`) and manual ones do not. `checked_at` is naive there: UTC.
    """
    results = {c.case: _SCS[c.outcome] for c in proof.report.cases if not c.own and not c.manual}
    logs = [f"{c.case}: {c.reason}" for c in proof.report.cases if c.outcome is CaseOutcome.FAILED]
    run, call = _uuid(proof, "run"), _uuid(proof, "invocation")
    told = {1: "PASS", 0: "ABORT", -1: "FAIL"}
    return {
        "spec": {"uuid": proof.report.scope_uuid, "name": proof.report.scope_name, "url": _specification(proof.report.scope)},
        "checked_at": proof.inventory.collected_at.replace(tzinfo=None),
        "reference_date": proof.question.at.date(),
        "subject": proof.inventory.subject.name,
        "run": {
            "uuid": run,
            "argv": ["unterbau", "prove", proof.inventory.subject.name],
            "assignment": {},
            "sections": None,
            "forced_version": proof.question.version,
            "forced_tests": None,
            "invocations": {
                call: {
                    "id": call,
                    "cmd": f"unterbau {__version__} prove",
                    "results": results,
                    "rc": 0,
                    "stdout": [f"{case}: {told[n]}" for case, n in sorted(results.items())],
                    "stderr": [f"ERROR: {line}" for line in logs],
                    "info": 0, "warning": 0, "error": len(logs), "critical": 0,
                }
            },
        },
    }  # fmt: skip
