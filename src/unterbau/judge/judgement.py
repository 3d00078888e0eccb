# SPDX-License-Identifier: Apache-2.0
"""What a judgement says: findings by group and rule, coverage, what is hidden, what ends. Pure data.

`engine` makes it, `output`, `report` and `evidence` read it. Nothing in it is a score: outcomes are listed and
conjoined, never counted into a number of merit.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cached_property
from typing import Literal

from pydantic import SkipValidation

from unterbau.catalogue.model import Fact, Source
from unterbau.stack.model import Part, Unread
from unterbau.verdict import Model, Outcome, Words, later
from unterbau.verdict.exhibit import Exhibit


class KnownFact(Model):
    """A fact with a name of its own: `redis:licence:2`, or `owner:…` if the stack's owner said it."""

    id: str
    technology: str
    fact: SkipValidation[Fact]


class Missing(Model):
    """What would have to be known, and where to look."""

    what: Words
    where: Words
    """Where to look: a URL as it is."""
    kind: str = later("")
    """A kind of fact; or `recognition`, `version`, `claim`, `measurement`, `answer`, `evidence`."""
    of: str = later("")
    """The technology, part or organisation of which it is missing."""


class Instead(Model):
    """A technology that could take its place, and what this rule says of it."""

    technology: str
    name: str
    outcome: Outcome
    relation: str


class Group(Model):
    """Parts for which the same facts hold: a rule is evaluated once for all of them."""

    id: int
    technology: str | None
    name: str
    layer: str | None
    versions: tuple[str, ...]
    parts: tuple[int, ...]
    """Positions in the list of parts."""


class Finding(Model):
    """What one rule says of one group, or of the stack (`group` is None)."""

    rule: str
    """`alasca/governance`."""
    group: int | None
    outcome: Outcome
    path: str
    """`direct`, `exception:NAME`, `failed` or `not shown`."""
    reason: Words
    facts: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    instead: tuple[Instead, ...] = ()
    since: Words = ""
    """From which versions and which day on the facts that decide are so."""
    until: date | None = None
    """The first day on which the outcome may change by itself: a fact or a bundle expires, or the version ends."""
    evidence: tuple[str, ...] = later(())
    """Digests of the bundles that it rests on, or that do not show it."""


class Ladder(Model):
    """Steps that build on one another, for a group or the stack: no average, no sum."""

    rule_set: str
    objective: str
    group: int | None
    shown: int | None
    """Held up to this step; None: not even the lowest."""
    not_above: int | None
    """A criterion of the next step fails; None: nothing fails."""


class RuleHead(Model):
    """What a rule asks."""

    id: str
    text: str
    of: str
    references: tuple[str, ...] = ()
    outcome: Outcome
    """Of the whole stack: the conjunction over its parts."""
    german: str = later("")
    """`text` in German, where the rule set gives it."""
    objective: str = later("")
    level: int | None = later(None)
    """The step of a ladder that it belongs to: such a rule is never told as failed, only as a step not reached."""
    needs: Literal["", "measurement", "answer", "evidence"] = later("")
    """What no catalogue holds: without it nothing is shown of any part, which is one thing to say and not many."""


class RuleSetHead(Model):
    """Whose rules they are, as of when, from which sources."""

    id: str
    name: str
    author: str
    as_of: date
    note: str
    sources: tuple[Source, ...]
    rules: tuple[RuleHead, ...]


class Coverage(Model):
    """Whether a layer or a function is there, and by what."""

    kind: str
    name: str
    outcome: Outcome
    technologies: tuple[str, ...]
    reason: Words = ""


class Hidden(Model):
    """A technology that the stack needs and does not name."""

    technology: str
    name: str
    needed_by: tuple[str, ...]
    why: str
    covered_by: str | None
    """An alternative to it that is in the stack."""
    facts: tuple[str, ...]


class Ending(Model):
    """A version whose maintenance ends within a year, or has ended."""

    group: int
    day: date
    ended: bool
    fact: str


class Judgement(Model):
    """A stack, judged by rules on a day."""

    stack: str
    at: date
    rule_sets: tuple[RuleSetHead, ...]
    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]
    ladders: tuple[Ladder, ...]
    coverage: tuple[Coverage, ...]
    hidden: tuple[Hidden, ...]
    ending: tuple[Ending, ...]
    facts: tuple[KnownFact, ...]
    """All that a finding names."""
    unrecognised: tuple[int, ...]
    unread: SkipValidation[tuple[Unread, ...]]
    parts: SkipValidation[tuple[Part, ...]]
    evidence: tuple[Exhibit, ...] = later(())
    """The bundles that were given, each with what it shows or why it shows nothing."""

    @cached_property
    def by_id(self) -> dict[str, KnownFact]:
        """The facts by the ids that findings name."""
        return {k.id: k for k in self.facts}


class Change(Model):
    """What a change of the stack does to one rule."""

    rule: str
    subject: str
    before: Outcome | None
    after: Outcome | None
    path_before: str
    path_after: str
    reason: Words
    worse: bool


class StepChange(Model):
    """What a change does to a ladder."""

    rule_set: str
    objective: str
    subject: str
    before: str
    after: str
    """`step 1 of 5`; empty: it is not there."""
    worse: bool
    outcome: Outcome
    """Of `worse`: failed if it is known that the step is lower, else not shown."""


class Difference(Model):
    """A change request: parts that come, go or change, and what that does to each rule."""

    old: str
    new: str
    at: date
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    changes: tuple[Change, ...]
    covered: tuple[Coverage, ...]
    """Layers and functions that are covered now and were not."""
    uncovered: tuple[Coverage, ...]
    """The other way round."""
    steps: tuple[StepChange, ...] = ()


class FactChange(Model):
    """A fact of the catalogue that is new, gone, or another; `read anew`: the same, from a newer copy."""

    technology: str
    kind: str
    versions: str
    what: Literal["new", "gone", "changed", "read anew"]
    before: str
    after: str
    source: str


class RuleChange(Model):
    """A rule that is new, gone, or asks for something else."""

    rule: str
    what: Literal["new", "gone", "changed"]
    text: str


class Since(Model):
    """What is other than at an earlier judging, each cause by itself: the effect of one, all others as they were."""

    earlier: str
    """The bundle's file."""
    sealed: datetime
    signer: str
    before: date
    at: date
    parts: Difference
    """The stack of today, judged by the facts and rules of then."""
    facts: tuple[FactChange, ...]
    by_facts: Difference
    """Then the facts of today, by the rules of then."""
    rules: tuple[RuleChange, ...]
    by_rules: Difference
    """Then the rules of today."""
    by_day: Difference
    """Then today: what ended and what expired in between."""
