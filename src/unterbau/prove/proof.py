# SPDX-License-Identifier: Apache-2.0
"""The whole of one run on one cloud: inventory, report of the scope, secure communication. Pure.

`cli.prove` makes one for each cloud, `output` and `report.conformance` show it, `evidence.conformance` makes it again
from the inventory alone and compares.
"""

from __future__ import annotations

from datetime import datetime

from unterbau.defaults import SCOPE
from unterbau.prove import secure
from unterbau.prove.evaluate import judge
from unterbau.prove.inventory import Inventory
from unterbau.prove.verdicts import CaseOutcome, CaseVerdict, Level, Report
from unterbau.verdict import Model, Outcome


class Question(Model):
    """What was asked of an inventory."""

    scope: str = SCOPE
    version: str | None = None
    """One version, `all`, or None: those in force at the date."""
    at: datetime


class Proof(Model):
    """Inventory, and what follows from it."""

    question: Question
    inventory: Inventory
    report: Report
    secure: tuple[CaseVerdict, ...] = ()
    """Secure communication: a group of its own, which decides no version."""

    @property
    def cases(self) -> tuple[CaseVerdict, ...]:
        """All cases, the scope's and the group's."""
        return self.report.cases + self.secure

    @property
    def outcome(self) -> Outcome:
        """Of the versions that were asked for: what decides the exit code."""
        outcomes = [v.outcome for v in self.report.versions]
        if CaseOutcome.FAILED in outcomes:
            return Outcome.FAILED
        return Outcome.HELD if set(outcomes) == {CaseOutcome.HELD} else Outcome.NOT_SHOWN


def prove(inventory: Inventory, question: Question) -> Proof:
    """Judge. Raises UsageError for an unknown scope or version."""
    report = judge(inventory, question.scope, question.version, at=question.at)
    return Proof(
        question=question,
        inventory=inventory,
        report=report,
        secure=secure.judge(inventory, question.at) if inventory.tls else (),
    )


def counts_as_failed(case: CaseVerdict) -> bool:
    """Whether a machine should stop at it: a failed demand, not failed advice."""
    return case.outcome is CaseOutcome.FAILED and case.level is Level.MUST
