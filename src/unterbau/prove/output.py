# SPDX-License-Identifier: Apache-2.0
"""A proof in the one dialect of all verbs (see `verdict.assessment`), and as the SCS report. Pure.

`cli.prove` writes what these return. In the SCS report *not shown* is 0 (aborted), neither passed nor failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unterbau import __version__
from unterbau.prove.data import load
from unterbau.prove.inventory import Inventory, seen
from unterbau.prove.proof import Proof
from unterbau.prove.verdicts import CaseOutcome, CaseVerdict, Finding, Level, as_verdict
from unterbau.verdict import Reason
from unterbau.verdict.assessment import Assessment, Document, Entry, Part, Point, Rule, Weight
from unterbau.verdict.exports import stable_id

INFORMATION = "https://unterbau.example/prove"
_SCS = {CaseOutcome.HELD: 1, CaseOutcome.NOT_APPLICABLE: 1, CaseOutcome.FAILED: -1, CaseOutcome.NOT_SHOWN: 0}
"""The monitor's numbers: 1 passed, 0 aborted, -1 failed. A rule whose condition is not met counts as passed there."""


def document(proofs: Iterable[Proof]) -> Document:
    """What a proof found as the one dialect: an assessment for each cloud, an entry for each case."""
    made = list(proofs)
    report = made[0].report
    return Document(
        verb="prove",
        title=f"{report.scope_name}: {', '.join(p.inventory.subject.name for p in made)}",
        version=report.data,
        information=INFORMATION,
        assessments=tuple(_assessment(p) for p in made),
    )


def _assessment(proof: Proof) -> Assessment:
    subject, report = proof.inventory.subject, proof.report
    return Assessment(
        key=_key(proof),
        name=f"{report.scope} {subject.name}",
        subject=subject.name,
        at=proof.inventory.collected_at,
        parts=(
            Part(
                title=f"{report.scope_name} on {subject.name}",
                description=f"{subject.auth_url}, region {subject.region}, project {subject.project_id}",
            ),
        ),
        rules=tuple(
            Rule(
                id=c.case, text=c.title, family=c.standard, url=c.clause,
                properties={"level": c.level.value, "standard": c.standard, "versions": [*c.versions]},
            )
            for c in proof.cases
        ),
        entries=tuple(_entry(c, proof.inventory) for c in proof.cases),
        seen=tuple(seen(r) for r in proof.inventory.requests),
        qualified=True,
        apart=(subject.auth_url,),
        properties={
            "cloud": subject.name, "auth-url": subject.auth_url, "region": subject.region,
            "project": subject.project_id, "judged-at": proof.question.at.isoformat(),
            "catalog-digest": subject.catalog_digest, "inventory-digest": report.inventory,
        },
    )  # fmt: skip


def _entry(case: CaseVerdict, inventory: Inventory) -> Entry:
    requests = tuple(seen(r).told for r in inventory.requests if r.id in case.requests)
    return Entry(
        key=(case.case,),
        rule=case.case,
        verdict=as_verdict(case, inventory.subject.name, requests),
        weight=Weight.DEMAND if case.level is Level.MUST else Weight.ADVICE,
        applies=case.outcome is not CaseOutcome.NOT_APPLICABLE,
        automatic=not case.manual,
        points=tuple(Point(subject=f.object, text=told(f)) for f in case.findings),
        rests_on=case.requests,
    )


def told(finding: Finding) -> Reason:
    """A finding in one line."""
    return Reason.of("prove.finding", observed=finding.observed, required=finding.required, mend=finding.mend)


def _key(proof: Proof) -> tuple[str, ...]:
    """The same for the same proof. Another question makes another one."""
    report = proof.report
    return (report.inventory, proof.question.scope, report.asked, proof.question.at.isoformat(), report.data_digest)


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
    run, call = (stable_id([*_key(proof), name], INFORMATION) for name in ("run", "invocation"))
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
