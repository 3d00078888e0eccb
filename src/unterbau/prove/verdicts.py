# SPDX-License-Identifier: Apache-2.0
"""What judging yields: findings, a verdict for each test case, each version, and the report. Pure data.

`prove.judges` makes them, `prove.output` shows them, `evidence` keeps them. Not a score: nothing is summed up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

from pydantic import Field, JsonValue

from unterbau.verdict import CALLED, Claim, Model, Observation, Outcome, Reason, Verdict, Words


class CaseOutcome(StrEnum):
    """How a test case ended. HELD only where the data that decides was present."""

    HELD = "held"
    FAILED = "failed"
    NOT_SHOWN = "not shown"
    NOT_APPLICABLE = "not applicable"
    """The condition of the rule is not met (e.g. no object store, where the rule is about object stores)."""


OUTCOMES = {
    CaseOutcome.HELD: CALLED[Outcome.HELD],
    CaseOutcome.FAILED: CALLED[Outcome.FAILED],
    CaseOutcome.NOT_SHOWN: CALLED[Outcome.NOT_SHOWN],
    CaseOutcome.NOT_APPLICABLE: Reason.of("outcome.not-applicable"),
}
"""What people call them."""


class Level(StrEnum):
    """RFC 2119: what a violation means. SHOULD is advice, and never breaks conformance."""

    MUST = "must"
    SHOULD = "should"


class State(StrEnum):
    """What a version of a scope is at a date."""

    DRAFT = "draft"
    EFFECTIVE = "effective"
    WARN = "warn"
    """Still in force, but about to be deprecated."""
    DEPRECATED = "deprecated"


STATES = {
    State.DRAFT: Reason.of("prove.state.draft"),
    State.EFFECTIVE: Reason.of("prove.state.effective"),
    State.WARN: Reason.of("prove.state.warn"),
    State.DEPRECATED: Reason.of("prove.state.deprecated"),
}
"""What people call them."""


class Fix(Model):
    """The mend of a finding for machines: `output.fix_plan` turns it into commands.

    `action`, and what `values` holds:

        create-flavor       name, vcpus, ram MiB, disk GB, extra_specs
        recreate-flavor     the same; Nova cannot change figures: make it anew in place of `target`
        rename-flavor       name (null if none is near); Nova cannot rename: make it anew with the figures of `target`
        set-flavor          extra_specs (to set), unset (names of extra specs)
        set-image           properties, or min_disk GiB, or min_ram MiB
        add-image           source, properties
        replace-image       source: register a newer build under `name`, then hide `target`
        hide-image          nothing
        set-volume-type     description
        create-default-rule direction, ethertype, used_in_default_sg or used_in_non_default_sg, remote_group_id
        delete-default-rule direction
        add-service         type: a person must install it
    """

    action: str
    target: str = ""
    """Id of the object; empty where there is none yet."""
    name: str = ""
    values: dict[str, JsonValue] = Field(default_factory=dict)


class Finding(Model):
    """One object that breaks one rule."""

    object: str
    """E.g. `flavor SCS-2V-4 (7f..)`."""
    observed: Words
    required: Words
    clause: str
    """URL of the section of the standard."""
    mend: Words
    fix: Fix | None = None


class Reference(Model):
    """What the reference suite would say, where its reading differs from the text."""

    outcome: str
    """`PASS`, `FAIL`, `ABORT` or `NONE` (it has no such test)."""
    why: Words


class CaseVerdict(Model):
    """The verdict on one test case."""

    case: str
    title: str
    standard: str
    clause: str
    level: Level
    versions: tuple[str, ...]
    """The versions of the scope that require it, of those that were asked for. Level MUST if there is one."""
    recommended_by: tuple[str, ...] = ()
    """The versions of the scope that recommend it, of those that were asked for."""
    own: bool = False
    """A rule of the text for which the official list has no test case: the id is ours."""
    manual: bool = False
    """Checked by documents, not by software: never held here, and no part of a version's outcome."""
    outcome: CaseOutcome
    reason: Words
    looked_at: int = 0
    """How many objects decided."""
    findings: tuple[Finding, ...] = ()
    sections: tuple[str, ...] = ()
    """The sections of the inventory that decided."""
    requests: tuple[str, ...] = ()
    """Ids of the requests that delivered them."""
    reference: Reference | None = None
    valid_until: date | None = None
    """Until when the result counts (scs-0003-v2), from the day on which the cloud was looked at."""
    note: Words = ""
    """An assumption of ours that a reader should know (e.g. an ambiguous text)."""


class VersionVerdict(Model):
    """The verdict on one version of the scope: the conjunction of its automated MUST cases."""

    version: str
    state: State
    since: date | None
    """Since when it is in this state."""
    outcome: CaseOutcome
    held: int
    failed: int
    not_shown: int
    not_applicable: int
    advice: int
    """How many recommendations are not followed."""
    source: str = ""
    note: Words = ""


class Change(Model):
    """One thing that the calendar or the next version brings, judged on the same inventory."""

    when: date | None
    """None: no date is public."""
    what: Words
    case: str = ""
    outcome: CaseOutcome | None = None
    """How the case ends on this inventory."""
    breaks: bool = False
    """It held, or was not asked, and fails then."""


class Report(Model):
    """The verdicts on one inventory at one date."""

    scope: str
    scope_name: str
    scope_uuid: str
    asked: str
    """The version that was asked for: a version, or `all`."""
    at: datetime
    """The date that the verdicts are about; UTC."""
    inventory: str
    """Digest of the inventory."""
    data: str
    """Date of our data about the standards."""
    data_digest: str
    versions: tuple[VersionVerdict, ...]
    cases: tuple[CaseVerdict, ...]
    coming: tuple[Change, ...] = ()
    notes: tuple[Words, ...] = ()

    def of_version(self, version: str) -> tuple[CaseVerdict, ...]:
        """The cases of one version: demanded, recommended and manual ones."""
        return tuple(case for case in self.cases if version in case.versions or version in case.recommended_by)


def conjoin(outcomes: Iterable[CaseOutcome]) -> CaseOutcome:
    """FAILED if one failed, else NOT_SHOWN if one was not shown or nothing held, else HELD.

    Not applicable takes no part: a cloud to which nothing applies has shown nothing.
    """
    seen = set(outcomes)
    if CaseOutcome.FAILED in seen:
        return CaseOutcome.FAILED
    if CaseOutcome.NOT_SHOWN in seen or CaseOutcome.HELD not in seen:
        return CaseOutcome.NOT_SHOWN
    return CaseOutcome.HELD


def as_verdict(case: CaseVerdict, subject: str, evidence: tuple[Observation, ...]) -> Verdict:
    """The case in the house's three-valued words; what does not apply has shown nothing."""
    outcome = Outcome.NOT_SHOWN if case.outcome is CaseOutcome.NOT_APPLICABLE else Outcome(case.outcome.value)
    claim = Claim(id=case.case, kind=case.level.value, subject=subject, text=case.title)
    return Verdict(claim=claim, outcome=outcome, reason=case.reason, evidence=evidence)
