# SPDX-License-Identifier: Apache-2.0
"""A proof for people: tables on the terminal, and one HTML page for one cloud or a matrix of several. `cli` calls it.

It decides nothing. MUST and SHOULD are kept apart, what the reference suite would say stands beside our verdict,
and every failure says how to mend it. Names come from clouds and may hold anything: they are made harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unterbau import pages
from unterbau.face.results import safe, say, table
from unterbau.prove import output
from unterbau.prove.proof import Proof
from unterbau.prove.verdicts import OUTCOMES, CaseOutcome, CaseVerdict, Level, VersionVerdict
from unterbau.verdict import words

if TYPE_CHECKING:
    from markupsafe import Markup

MARKS = {
    CaseOutcome.HELD: "✓ held",
    CaseOutcome.FAILED: "✗ failed",
    CaseOutcome.NOT_SHOWN: "? not shown",
    CaseOutcome.NOT_APPLICABLE: "- not applicable",
}
STYLES = {
    CaseOutcome.HELD: "green",
    CaseOutcome.FAILED: "bold red",
    CaseOutcome.NOT_SHOWN: "yellow",
    CaseOutcome.NOT_APPLICABLE: "dim",
}
MOST_FINDINGS = 8
"""So many findings of a case are shown on the terminal; the formats for machines hold all."""


def _mark(outcome: CaseOutcome) -> str:
    return f"[{STYLES[outcome]}]{MARKS[outcome]}[/]"


def proofs(found: Sequence[Proof], *, everything: bool = False, reference: bool = False) -> None:
    """One cloud in detail, or several as a matrix with their details below."""
    if len(found) > 1:
        _matrix(found)
    for proof in found:
        _one(proof, everything, reference)


def _matrix(found: Sequence[Proof]) -> None:
    names = [p.inventory.subject.name for p in found]
    rows = [[f"version {v}", *_versions(found, v)] for v in _all_versions(found)]
    for case in _differing(found):
        outcomes = [_outcome(p, case) for p in found]
        rows.append([safe(case), *(_mark(o) if o else "" for o in outcomes)])
    table(("", *map(safe, names)), rows)


def _all_versions(found: Sequence[Proof]) -> list[str]:
    return list(dict.fromkeys(v.version for p in found for v in p.report.versions))


def _versions(found: Sequence[Proof], version: str) -> list[str]:
    told = [next((v.outcome for v in p.report.versions if v.version == version), None) for p in found]
    return [_mark(o) if o else "" for o in told]


def _differing(found: Sequence[Proof]) -> list[str]:
    """Cases that did not hold everywhere, in the order of the data."""
    ids = dict.fromkeys(c.case for p in found for c in p.cases)
    return [i for i in ids if any(_outcome(p, i) is not CaseOutcome.HELD for p in found)]


def _outcome(proof: Proof, case: str) -> CaseOutcome | None:
    return next((c.outcome for c in proof.cases if c.case == case), None)


def _one(proof: Proof, everything: bool, reference: bool) -> None:
    subject, requests = proof.inventory.subject, proof.inventory.requests
    say(f"{proof.report.scope_name}: {subject.name} ({subject.auth_url}, region {subject.region or '-'})")
    say(f"as of {proof.report.at:%Y-%m-%d}; standards as of {proof.report.data}; {len(requests)} requests, read-only"
        if "write_results" not in proof.inventory.sections
        else f"as of {proof.report.at:%Y-%m-%d}; standards as of {proof.report.data}; {len(requests)} requests and --write")  # fmt: skip
    table(
        ("version", "", "state", "cases"),
        [(safe(v.version), _mark(v.outcome), safe(v.state.value), _counts(v)) for v in proof.report.versions],
    )
    shown = [c for c in proof.cases if everything or c.outcome in (CaseOutcome.FAILED, CaseOutcome.NOT_SHOWN)]
    for level, title in ((Level.MUST, "MUST"), (Level.SHOULD, "SHOULD: advice, breaks no version")):
        rows = [row for c in shown if c.level is level for row in _rows(c, reference)]
        if rows:
            columns = ("test case", "", "object", "finding") + (("reference suite",) if reference else ())
            say("")
            say(title)
            table(columns, rows)
    if proof.report.coming:
        say("")
        rows = [
            [str(c.when or "no date yet"), _mark(c.outcome) if c.outcome else "", safe(c.case), safe(c.what)]
            for c in proof.report.coming
        ]
        table(("what comes", "", "test case", ""), rows)
    for note in proof.report.notes:
        say(f"note: {note}")


def _counts(v: VersionVerdict) -> str:
    return f"{v.held} held, {v.failed} failed, {v.not_shown} not shown, {v.not_applicable} not applicable"


def _rows(case: CaseVerdict, reference: bool) -> list[list[str]]:
    said = [safe(f"{case.reference.outcome}: {case.reference.why}") if case.reference else ""] if reference else []
    if not case.findings:
        return [[safe(case.case), _mark(case.outcome), "", safe(case.reason), *said]]
    rows = [
        [
            safe(case.case) if n == 0 else "",
            _mark(case.outcome) if n == 0 else "",
            safe(f.object),
            safe(output.told(f)),
            *(said if n == 0 else [""] * len(said)),
        ]
        for n, f in enumerate(case.findings[:MOST_FINDINGS])
    ]
    if len(case.findings) > MOST_FINDINGS:
        rows.append(["", "", "", f"and {len(case.findings) - MOST_FINDINGS} more", *([""] * len(said))])
    return rows


def _in_both(outcome: CaseOutcome) -> Markup:
    glyph = MARKS[outcome].split()[0]
    return pages.both(*(f"{glyph} {words(OUTCOMES[outcome], language)}" for language in ("de", "en")))


def html(found: Sequence[Proof], language: str = "en") -> str:
    """One page without external resources: the matrix, then each cloud with its failures first. `language`: which at first."""
    environment = pages.environment("unterbau.prove")
    return environment.get_template("conformance.html.j2").render(
        proofs=found,
        language=language,
        versions=_all_versions(found),
        cases=_differing(found),
        outcome=_outcome,
        version_of=lambda p, v: next((x for x in p.report.versions if x.version == v), None),
        told=_in_both,
        failed=lambda p, level: [c for c in p.cases if c.outcome is CaseOutcome.FAILED and c.level.value == level],
        unseen=lambda p: [c for c in p.cases if c.outcome is CaseOutcome.NOT_SHOWN],
        rest=lambda p: [c for c in p.cases if c.outcome in (CaseOutcome.HELD, CaseOutcome.NOT_APPLICABLE)],
        differs=lambda p: [c for c in p.cases if c.reference is not None],
    )
