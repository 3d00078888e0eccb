# SPDX-License-Identifier: Apache-2.0
"""A judgement in the one dialect of all verbs (see `verdict.assessment`). Pure.

`cli` writes it as JUnit, SARIF and OSCAL. A ladder is one note a subject, which says the step reached; rules for which
nobody measured or answered are one note, not one a part. OSCAL has every finding all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from pydantic import JsonValue

from unterbau.judge.judgement import Finding, Judgement, KnownFact
from unterbau.judge.seeing import counts_until, tell
from unterbau.judge.summary import Sorted, Step
from unterbau.judge.words import step
from unterbau.stack.model import Place
from unterbau.verdict import Claim, Observation, Reason, Source, Verdict, Words
from unterbau.verdict.assessment import Assessment, Document, Entry, Note, Part, Point, Rule, Seen, Spot, Weight
from unterbau.verdict.exhibit import Exhibit

MOST_PLACES = 20
"""So many places of a group are told; how many there are stands beside them."""
INFORMATION = "https://unterbau.example/judge"
_LINE = re.compile(r"(?:^|\b)line (\d+)")


def document(judgement: Judgement) -> Document:
    """One assessment, with a part for each rule set."""
    found = Sorted(judgement)
    known = {f.id: _seen(f) for f in judgement.facts} | {e.digest: _exhibit(judgement, e) for e in judgement.evidence}
    used = {i for f in judgement.findings for i in (*f.facts, *f.evidence)}
    return Document(
        verb="judge",
        title=f"{judgement.stack}: judged by {', '.join(s.name for s in judgement.rule_sets)}",
        version=judgement.at.isoformat(),
        information=INFORMATION,
        assessments=(
            Assessment(
                key=(judgement.stack, judgement.at.isoformat()),
                name=judgement.stack,
                subject=judgement.stack,
                at=_midnight(judgement.at),
                parts=tuple(Part(id=s.id, title=s.name, description=s.note) for s in judgement.rule_sets),
                rules=tuple(_rules(judgement, found)),
                entries=tuple(_entry(judgement, found, f, known) for f in judgement.findings),
                notes=tuple(_notes(judgement, found)),
                seen=tuple(s for i, s in known.items() if i in used),
                properties={"stack": judgement.stack},
            ),
        ),
    )


def _rules(judgement: Judgement, found: Sorted) -> Iterable[Rule]:
    for head in judgement.rule_sets:
        for r in head.rules:
            properties: dict[str, JsonValue] = {"references": [*r.references], "of": r.of}
            yield Rule(id=r.id, text=r.text, family=head.id, part=head.id, properties=properties)
    for rule_set, objective in dict.fromkeys((s.rule_set, s.objective) for s in found.steps):
        id_, text = _ladder(rule_set, objective), Reason.of("judge.ladder", objective=objective)
        yield Rule(id=id_, text=text, family=rule_set, part=rule_set, properties={"of": "part"})


def _entry(judgement: Judgement, found: Sorted, finding: Finding, known: dict[str, Seen]) -> Entry:
    point = _point(judgement, finding.group, finding.reason)
    head = found.heads[finding.rule]
    rests_on = (*finding.facts, *finding.evidence)
    evidence = tuple(known[i].told for i in rests_on if i in known)
    claim = Claim(
        id=f"{finding.rule} {point.subject}", kind=found.rule_set(finding), subject=point.subject,
        text=Reason.of("about", what=point.subject, reason=head.text),
    )  # fmt: skip
    properties: dict[str, JsonValue] = {
        "parts": _count(judgement, finding.group), "path": finding.path, "facts": [*finding.facts],
    }  # fmt: skip
    if finding.evidence:
        properties["evidence"] = [*finding.evidence]
    if finding.missing:
        properties["missing"] = [m.model_dump(mode="json") for m in finding.missing]
    if finding.instead:
        properties["instead"] = [i.model_dump(mode="json") for i in finding.instead]
    return Entry(
        key=(finding.rule, str(finding.group)),
        rule=finding.rule,
        name=f"{finding.rule}: {point.subject}",
        verdict=Verdict(claim=claim, outcome=finding.outcome, reason=finding.reason or finding.path, evidence=evidence),
        weight=Weight.STEP if found.is_step(finding) else Weight.DEMAND,
        automatic=not head.needs,
        points=(point,),
        noted=found.is_step(finding) or found.is_once(finding),
        remarks=f"path: {finding.path}",
        rests_on=rests_on,
        properties=properties,
    )


def _notes(judgement: Judgement, found: Sorted) -> Iterable[Note]:
    for told in found.steps:
        yield _step(judgement, told)
    for one in found.once:
        for rule, asked in zip(one.rules, one.asks, strict=True):
            properties: dict[str, JsonValue] = {"parts": len(judgement.parts), "needs": one.needs}
            yield Note(rule=rule.id, point=_point(judgement, None, asked), shown=False, properties=properties)


def _step(judgement: Judgement, told: Step) -> Note:
    properties: dict[str, JsonValue] = {
        "parts": _count(judgement, told.group), "reached": told.reached, "top": told.top, "failsAt": told.fails_at,
        "notShown": [*told.unshown],
    }  # fmt: skip
    point = _point(judgement, told.group, step(told, judgement))
    return Note(rule=_ladder(told.rule_set, told.objective), point=point, properties=properties)


def _ladder(rule_set: str, objective: str) -> str:
    """An id for a ladder."""
    return f"{rule_set}/steps:{re.sub(r'[^A-Za-z0-9._-]', '_', objective)}"


def _point(judgement: Judgement, group_id: int | None, text: Words) -> Point:
    """What it is about, and some of its places."""
    if group_id is None:
        return Point(subject=judgement.stack, text=text, where=(Spot(file=judgement.stack),))
    group = judgement.groups[group_id]
    places = [p for n in group.parts[:MOST_PLACES] for p in judgement.parts[n].where][:MOST_PLACES]
    name = " ".join([group.name, ", ".join(group.versions[:MOST_PLACES])]).strip()
    return Point(subject=name, text=text, where=tuple(map(_spot, places or [Place(judgement.stack)])))


def _count(judgement: Judgement, group_id: int | None) -> int:
    return len(judgement.parts) if group_id is None else len(judgement.groups[group_id].parts)


def _spot(place: Place) -> Spot:
    line = _LINE.search(place.spot)
    return Spot(file=place.file, line=int(line.group(1)) if line else None, where=place.spot)


def _seen(known: KnownFact) -> Seen:
    fact = known.fact
    source = Source(where=fact.source.url, at=_midnight(fact.source.read))
    told = Observation(what=fact.kind.replace("_", " "), value=str(tell(fact)), source=source)
    return Seen(
        id=known.id, told=told, title=known.id, looked=False, says=fact.source.says, expires=_midnight(fact.expires)
    )


def _exhibit(judgement: Judgement, given: Exhibit) -> Seen:
    """A bundle as something that was looked at: on its day, by its digest; with when it stops to count."""
    until = counts_until(given)
    at = given.seen or _midnight(judgement.at)
    value = {aspect: shown.outcome.value for aspect, shown in given.shows.items()}
    what = f"bundle of a {given.kind or 'kind that could not be read'}: {' to '.join(given.clouds)}".rstrip(": ")
    told = Observation(what=what, value=value, source=Source(where=given.name, at=at), reason=given.fault)
    properties = {"digest": given.digest, "signer": given.signer, "key": "trusted" if given.trusted else "not trusted"}
    return Seen(
        id=given.digest, told=told, title=given.name, looked=False, expires=_midnight(until) if until else None,
        properties={k: v for k, v in properties.items() if v},
    )  # fmt: skip


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
