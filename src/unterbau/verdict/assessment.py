# SPDX-License-Identifier: Apache-2.0
"""One dialect for what drill, prove and judge found: rules, verdicts, what they rest on. Pure data.

Each of the three makes `Assessment`s of its results, `exports` writes them as JUnit, SARIF and OSCAL. What the three do
not have in common is said here once: a rule that does not apply, advice, a step of a ladder, one line for many verdicts.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field, JsonValue

from unterbau.verdict import Model, Observation, Verdict, Words


class Weight(StrEnum):
    """What it means if a claim fails."""

    DEMAND = "demand"
    ADVICE = "advice"
    """It should be so: no failure for a machine."""
    STEP = "step"
    """A step of a ladder: it is reached or not."""


class Spot(Model):
    """A place in the input where it was found: a file, and where in it (`line` counts from 1)."""

    file: str
    line: int | None = None
    where: str = ""


class Rule(Model):
    """What was asked. `part` names the `Part` of the assessment that it belongs to."""

    id: str
    text: Words
    family: str
    """The standard, rule set or kind of claim that it is of."""
    url: str = ""
    part: str = ""
    properties: dict[str, JsonValue] = Field(default_factory=dict)


class Point(Model):
    """One thing that a verdict is about, where it is about several: what, and what is said of it."""

    subject: str
    text: Words
    where: tuple[Spot, ...] = ()
    mark: str = ""
    """What tells it apart where `subject` does not."""


class Entry(Model):
    """A verdict under a rule. `key` is the same for the same entry of a later look; `rests_on` names `Seen`s."""

    key: tuple[str, ...]
    rule: str
    verdict: Verdict
    name: str = ""
    """What it is called in a list; "": as its rule is."""
    weight: Weight = Weight.DEMAND
    applies: bool = True
    """False: the rule's condition is not met, so nothing was judged."""
    automatic: bool = True
    """False: only documents can show it."""
    points: tuple[Point, ...] = ()
    """None: the verdict's own claim and reason."""
    noted: bool = False
    """A `Note` tells it together with others, where a form has a line for each."""
    remarks: str = ""
    rests_on: tuple[str, ...] = ()
    properties: dict[str, JsonValue] = Field(default_factory=dict)


class Note(Model):
    """One line for many entries: a ladder's step reached, or rules for which nobody measured."""

    rule: str
    point: Point
    shown: bool = True
    """False: it says that something is not shown."""
    properties: dict[str, JsonValue] = Field(default_factory=dict)


class Seen(Model):
    """An observation that verdicts rest on. `looked`: we asked for it (else somebody read it)."""

    id: str
    told: Observation
    title: str = ""
    looked: bool = True
    says: str = ""
    """What the source says, in the words of who read it."""
    expires: datetime | None = None
    properties: dict[str, str] = Field(default_factory=dict)


class Part(Model):
    """A body of rules that is told as a result of its own: a rule set of several."""

    id: str = ""
    title: str
    description: str


class Assessment(Model):
    """All verdicts on one subject by one look. `key` makes ids: the same result gives the same documents."""

    key: tuple[str, ...]
    name: str
    """Of subject and rules, short."""
    subject: str
    at: datetime
    parts: tuple[Part, ...]
    rules: tuple[Rule, ...]
    entries: tuple[Entry, ...]
    notes: tuple[Note, ...] = ()
    seen: tuple[Seen, ...] = ()
    qualified: bool = False
    """Whether what is found is named below the subject (`SUBJECT/THING`): it has no place in a file."""
    apart: tuple[str, ...] = ()
    """What tells the same finding of two subjects apart."""
    properties: dict[str, str] = Field(default_factory=dict)
    """Names in lower case, with hyphens."""


class Document(Model):
    """What one command found, of one verb. `information`: a URL of the verb's; `version`: of the data that judged."""

    verb: str
    title: str
    version: str
    information: str
    assessments: tuple[Assessment, ...] = Field(min_length=1)
