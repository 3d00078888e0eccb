# SPDX-License-Identifier: Apache-2.0
"""What every judge is given and gives back. Pure: the date is an argument, the cloud is an inventory.

A judge is a function `(View) -> Decision` about one test case. It is only called when the sections that the case
needs were seen (but for the few that `judges.TOLERANT` names). It answers *held* only where objects were there to
decide; `reference` says what the reference suite would answer where that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from pydantic import JsonValue

from unterbau.prove.data import Case, Catalogue
from unterbau.prove.inventory import Inventory, Item
from unterbau.prove.verdicts import CaseOutcome, Finding, Fix, Reference
from unterbau.verdict import Model, Reason, Words

HELD, FAILED = CaseOutcome.HELD, CaseOutcome.FAILED
NOT_SHOWN, NOT_APPLICABLE = CaseOutcome.NOT_SHOWN, CaseOutcome.NOT_APPLICABLE


class Decision(Model):
    """What a judge found."""

    outcome: CaseOutcome
    reason: Words
    looked_at: int = 0
    findings: tuple[Finding, ...] = ()
    reference: Reference | None = None
    note: Words = ""

    def but(self, passes: bool | None, why: Words) -> Decision:
        """The same, with what the reference suite says, if it differs: it passes, fails, or (None) aborts."""
        says = "ABORT" if passes is None else "PASS" if passes else "FAIL"
        same = {HELD: "PASS", FAILED: "FAIL"}.get(self.outcome)
        return self if says == same else self.model_copy(update={"reference": Reference(outcome=says, why=why)})


@dataclass(frozen=True)
class View:
    """What a judge may look at."""

    inventory: Inventory
    at: datetime
    case: Case
    data: Catalogue

    def items(self, section: str) -> tuple[Item, ...]:
        """The objects of a section."""
        return self.inventory.section(section).items

    @property
    def clause(self) -> str:
        """URL of the clause."""
        return self.data.clause(self.case)

    def finding(self, object: str, observed: Words, required: Words, mend: Words, fix: Fix | None = None) -> Finding:
        """A finding about the case's clause."""
        return Finding(object=object, observed=observed, required=required, clause=self.clause, mend=mend, fix=fix)


Judge = Callable[[View], Decision]


def conclude(findings: Iterable[Finding], looked_at: int, held: Words, none: Words, note: Words = "") -> Decision:
    """FAILED with these findings; else HELD if there was something to look at; else NOT_SHOWN because `none`."""
    found = tuple(findings)
    if found:
        objects = len({finding.object for finding in found})
        if objects == 1:
            reason = Reason.of("about", what=found[0].object, reason=found[0].observed)
        elif objects <= looked_at:
            reason = Reason.of("prove.broken", broken=objects, of=looked_at)
        else:
            reason = Reason.of("prove.findings", number=objects)
        return Decision(outcome=FAILED, reason=reason, looked_at=looked_at, findings=found, note=note)
    if looked_at:
        return Decision(outcome=HELD, reason=held, looked_at=looked_at, note=note)
    return Decision(outcome=NOT_SHOWN, reason=none)


def not_applicable(reason: Words) -> Decision:
    """The condition of the rule is not met."""
    return Decision(outcome=NOT_APPLICABLE, reason=reason)


def not_shown(reason: Words, looked_at: int = 0) -> Decision:
    """The deciding data is not there."""
    return Decision(outcome=NOT_SHOWN, reason=reason, looked_at=looked_at)


def text(item: Item, key: str) -> str:
    """The value as text; empty if absent or null."""
    value = item.get(key)
    return "" if value is None else str(value)


def number(item: Item, key: str) -> float | None:
    """The value as a number; None if absent, empty or no finite number."""
    value = item.get(key)
    if isinstance(value, bool) or value is None or value == "":
        return None
    try:
        parsed = float(str(value))
    except ValueError:
        return None
    return parsed if isfinite(parsed) else None


def mapping(value: JsonValue) -> dict[str, Any]:
    """The value if it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def named(kind: str, item: Item) -> str:
    """How we speak of an object: `flavor SCS-1V-4 (7f..)`."""
    id = text(item, "id")
    return f"{kind} {text(item, 'name') or 'without a name'}{f' ({id})' if id else ''}"


def offered_to_tenants(view: View, section: str) -> tuple[Item, ...]:
    """The flavors or volume types that a tenant is offered: seen as an administrator, private ones are nobody's.

    The keys of Nova (`os-flavor-access:is_public`) and Cinder (`is_public`, `os-volume-type-access:is_public`).
    """
    items = view.items(section)
    if "admin" not in view.inventory.subject.roles:
        return items
    keys = ("os-flavor-access:is_public", "os-volume-type-access:is_public", "is_public")
    return tuple(item for item in items if all(item.get(key) is not False for key in keys))


def run(command: str) -> Reason:
    """The mend that is a command, which is the same in every language."""
    return Reason.of("prove.run", command=command)


def one_of(words: Iterable[str]) -> Reason:
    """What is required where several values will do."""
    return Reason.of("prove.one-of", words=list(words))


NOTHING_TO_JUDGE = Reason.of("prove.suite.nothing")
"""How the reference suite ends where there is nothing to judge."""
