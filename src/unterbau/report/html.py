# SPDX-License-Identifier: Apache-2.0
"""The report of a drill: one HTML file without any external resource, in German and English. `drill` calls it.

It is rendered from a checked bundle, so what it shows was recomputed. It decides nothing: verdicts first, then
what was lost or changed, both sides as drawings, the timeline, what was not shown, what was not tested.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from unterbau.evidence import CheckResult
from unterbau.plan import Entry, Fate
from unterbau.report.drawing import timeline, topology
from unterbau.report.text import printable
from unterbau.verdict import Outcome
from unterbau.workload import Ref, Workload

KINDS_DE = {
    "structure": "Aufbau", "content": "Inhalt", "completeness": "Vollständigkeit", "coverage": "Abdeckung",
}  # fmt: skip


def render(checked: CheckResult, data: bytes, language: str = "en") -> str:
    """The report as text. `data` is the bundle, whose digest the report names. `language`: `de` or `en` first."""
    bundle = checked.bundle
    entries = [e for e in bundle.plan.entries if e.fate is not Fate.CARRIED]
    counts = Counter((v.claim.kind, v.outcome) for v in checked.verdicts)
    environment = Environment(
        loader=PackageLoader("unterbau.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["printable"] = printable
    environment.globals["t"] = _both
    environment.globals["words"] = outcome_words
    template = environment.get_template("report.html.j2")
    return template.render(
        language=language,
        checked=checked,
        bundle=bundle,
        kinds=[(k, KINDS_DE[k], {o: counts[k, o] for o in Outcome}) for k in KINDS_DE],
        outcomes=list(Outcome),
        failed=[v for v in checked.verdicts if v.outcome is Outcome.FAILED],
        unseen=[v for v in checked.verdicts if v.outcome is Outcome.NOT_SHOWN],
        changed=[e for e in entries if e.fate is Fate.CHANGED],
        left=[e for e in entries if not e.fate.moves],
        carried=sum(e.fate.moves for e in bundle.plan.entries),
        drawings=_drawings(checked, entries),
        timeline=timeline(bundle.journal, "Schritte des Umzugs / steps of the move"),
        digest=hashlib.sha256(data).hexdigest(),
        seconds=lambda phase: f"{(phase.ended - phase.started).total_seconds():.1f}",
        remainder=_remainder(bundle.closed),
    )


def _both(de: str, en: str) -> Markup:
    """A text in both languages; the style sheet shows one."""
    return Markup('<span lang="de">{}</span><span lang="en">{}</span>').format(escape(de), escape(en))


def _drawings(checked: CheckResult, entries: list[Entry]) -> list[tuple[str, str, Markup]]:
    bundle = checked.bundle
    marks: dict[Ref, str] = {e.ref: "left" if not e.fate.moves else "changed" for e in entries}
    marks |= {v.claim.subject: "failed" for v in checked.verdicts if v.outcome is Outcome.FAILED}
    seen = bundle.verification
    return [
        ("Quelle", "Source", topology(seen.source, marks, "source")),
        ("Ziel", "Target", topology(seen.target, {}, "target")),
    ]


def _remainder(closed: Workload | None) -> list[str] | None:
    """What the target still holds after the clean-up; None if it was kept."""
    if closed is None:
        return None
    return [printable(f"{r.ref} {r.name}") for r in closed.resources if r.marker is not None]


def outcome_words(outcome: Outcome) -> tuple[str, str]:
    """German and English."""
    words: dict[Outcome, tuple[str, str]] = {
        Outcome.HELD: ("gehalten", "held"),
        Outcome.FAILED: ("nicht gehalten", "failed"),
        Outcome.NOT_SHOWN: ("nicht gezeigt", "not shown"),
    }
    return words[outcome]
