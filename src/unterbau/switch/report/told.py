# SPDX-License-Identifier: Apache-2.0
"""What a verification, a drill or a bundle found, in the one dialect of all verbs (see `verdict.assessment`). Pure.

`cli` writes it as JUnit, SARIF and OSCAL. It decides nothing: every verdict is an entry, of the kind of its claim.
"""

from __future__ import annotations

from collections.abc import Sequence

from unterbau.switch.verify import Contents
from unterbau.verdict import Reason, Verdict
from unterbau.verdict.assessment import Assessment, Document, Entry, Part, Point, Rule, Seen

INFORMATION = "https://unterbau.example/drill"
KINDS = {
    "structure": Reason.of("kind.structure"),
    "content": Reason.of("kind.content"),
    "completeness": Reason.of("kind.completeness"),
    "coverage": Reason.of("kind.coverage"),
    "opening": Reason.of("kind.opening"),
    "loss": Reason.of("kind.loss"),
    "service": Reason.of("kind.service"),
}
"""What claims of each kind say."""


def document(seen: Contents, verdicts: Sequence[Verdict], run: str = "") -> Document:
    """`verdicts` are those of the look `seen`, and those that only the whole drill `run` has ("": a verification alone)."""
    source, target = seen.source.identity, seen.target.identity
    kinds = dict.fromkeys([*KINDS, *(v.claim.kind for v in verdicts)])
    name = f"{source.name} -> {target.name}"
    whose = {
        "run": run, "source": source.name, "source-auth-url": source.auth_url, "source-project": source.project_id,
        "target": target.name, "target-auth-url": target.auth_url, "target-project": target.project_id,
    }  # fmt: skip
    made = Assessment(
        key=(run, source.auth_url, source.project_id, target.auth_url, target.project_id, seen.ended.isoformat()),
        name=f"{run} {name}".strip(),
        subject=name,
        at=seen.ended,
        parts=(Part(title=f"The tenant of {name}", description=_described(whose)),),
        rules=tuple(Rule(id=k, text=KINDS.get(k, k), family=k) for k in kinds),
        entries=tuple(_entry(v) for v in verdicts),
        seen=tuple(one for v in verdicts for one in _seen(v)),
        qualified=True,
        apart=(source.auth_url, source.project_id, target.auth_url, target.project_id),
        properties={k: v for k, v in whose.items() if v},
    )
    return Document(
        verb="drill" if run else "verify", title=f"The tenant of {name}", version=seen.ended.isoformat(),
        information=INFORMATION, assessments=(made,),
    )  # fmt: skip


def _described(whose: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in whose.items() if value)


def _entry(verdict: Verdict) -> Entry:
    claim = verdict.claim
    point = Point(
        subject=claim.subject, text=Reason.of("claim.told", claim=claim.text, why=verdict.reason), mark=claim.id
    )
    return Entry(
        key=(claim.id,), rule=claim.kind, name=claim.id, verdict=verdict, points=(point,),
        rests_on=tuple(one.id for one in _seen(verdict)),
    )  # fmt: skip


def _seen(verdict: Verdict) -> list[Seen]:
    return [Seen(id=f"{verdict.claim.id} {number}", told=one) for number, one in enumerate(verdict.evidence)]
