# SPDX-License-Identifier: Apache-2.0
"""What `judge` speaks about: technologies and facts about them, stacks and their parts, where each was found. Pure.

`catalogue` and `rules` load files into these types, `readers` make stacks of them, `engine` brings both together
and `output` prints them. No type here reads a file, and none carries a score.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from unterbau.catalogue import lifetime, versions
from unterbau.errors import UsageError
from unterbau.verdict import Model, later


class Layer(StrEnum):
    """From the ground upwards."""

    HARDWARE = "hardware"
    OPERATING_SYSTEM = "operating-system"
    IAAS = "iaas"
    CONTAINER = "container"
    PLATFORM_SERVICES = "platform-services"
    OPERATION = "operation"
    SECURITY = "security"
    APPLICATION = "application"


class Function(StrEnum):
    """What a stack needs somebody to do."""

    COMPUTE = "compute"
    NETWORK = "network"
    STORAGE = "storage"
    IDENTITY = "identity"
    SECRETS = "secrets"
    BACKUP = "backup"
    OBSERVABILITY = "observability"
    REGISTRY = "registry"
    OS = "os"


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$")]
Reference = Annotated[str, StringConstraints(pattern=r"^(ext:.+|[a-z0-9][a-z0-9.+-]*)$")]
"""The id of a technology of the catalogue, or `ext:` and the name of one that is not in it."""
Seat = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}|none)$")]
"""ISO 3166-1 alpha-2; `none`: no legal seat."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Form = Literal["foundation", "association", "company", "public-body", "individuals"]


def _range(text: str) -> str:
    try:
        versions.parse_range(text)
    except UsageError as error:
        raise ValueError(error.what) from None
    return text


Range = Annotated[str, AfterValidator(_range)]
"""Versions, as `versions.parse_range` reads them."""


class Source(Model):
    """What was read: the page, whose it is, which copy of it, and what it says, in own words and in its own."""

    url: Text
    read: date
    says: Text
    """In own words."""
    as_of: date | None = None
    """The day of the copy that was read; `dated` says how it is known."""
    origin: Literal["original", "repository", "second hand"] | None = later(None)
    """original: a page of whom it is about. repository: a file of the project's own repository, at a commit of its
    default branch. second hand: a mirror, a fork, an aggregator, a blog, a pull request. None: not said."""
    dated: Literal["commit", "copy", "text", "reading"] | None = later(None)
    """commit: its date. copy: the archive's. text: the page names a day. reading: nobody knows, so the day of reading
    stands in `as_of`, and the fact lives a quarter of its time."""
    sha256: Sha256 | None = later(None)
    """Of the text as it was read."""
    quote: Annotated[str, StringConstraints(max_length=200)] = later("")
    """What it says, in its own words and language."""
    data_set: str = later("")
    """The public data set whose importer wrote this; empty: a person read it."""

    @model_validator(mode="after")
    def _at_a_commit(self) -> Source:
        if self.origin == "repository" and not COMMIT.search(self.url):
            raise ValueError("a file of a repository is named at a commit (40 hex digits)")
        return self


COMMIT = re.compile(r"[0-9a-f]{40}")


class Organisation(Model):
    """Who holds rights, or decides about releases."""

    name: Text
    form: Form
    seat: Seat


class Parent(Model):
    """Who owns a rights holder or steward, or owns its owner (`of`)."""

    name: Text
    seat: Seat
    of: Text
    form: Form | None = later(None)
    """None: a company."""


class SeatOf(Model):
    """Where an organisation (`of`) has its legal seat."""

    of: Text
    seat: Seat


class Maturity(Model):
    """How far a foundation says that a project has come; the fact's `since` is the day of that."""

    by: Text
    stage: Literal["accepted", "incubating", "graduated", "archived"]


class ForeignLaw(Model):
    """A law from outside the EU that reaches somebody, and why it does."""

    law: Text
    on: Text
    because: Text


class Decision(Model):
    """What a public body decided about it: an award, a binding standard."""

    by: Text
    what: Text


class ForeignControl(Model):
    """Who outside the EU can steer it, and how."""

    who: Text
    how: Text


class Support(Model):
    """A vendor that supports it."""

    vendor: Text
    seat: Seat
    offers: Text


class Operator(Model):
    """A company that runs it as a service on infrastructure in the EU."""

    operator: Text
    seat: Seat
    offers: Text


class Dependency(Model):
    """What it needs at run time."""

    technology: Reference
    why: Text


class SovereigntyClaim(Model):
    """Who markets it as sovereign, in which words."""

    by: Text
    says: Text


def _counted(told: Any) -> Any:
    """The fact with its expiry, if it says how old its source is and nothing else: `lifetime` counts it."""
    source = told.get("source") if isinstance(told, dict) else None
    if not isinstance(source, dict) or "expires" in told or told.get("kind") not in lifetime.LIFETIMES:
        return told  # complete, or wrong in a way that the validation will say
    dated = "as_of" in source and source.get("dated", "copy") != "reading"
    try:
        day = _DAY.validate_python(source.get("as_of") or source.get("read"))
        expires = lifetime.expires(told["kind"], day, dated=dated, versions=str(told.get("versions", "*")))
    except (ValidationError, UsageError):
        return told
    return {**told, "expires": expires}


def _expiry_is_counted(schema: dict[str, Any]) -> None:
    """Nobody has to write it."""
    schema["required"] = [name for name in schema.get("required", ()) if name != "expires"]


_DAY = TypeAdapter(date)


class BaseFact(Model):
    """What all facts have in common."""

    model_config = ConfigDict(json_schema_extra=_expiry_is_counted)

    versions: Range = "*"
    since: date | None = None
    """When this became true."""
    confidence: Literal["high", "medium", "low"]
    """high: the rights holder's own text; medium: several others; low: one other."""
    expires: date
    """After this day the fact counts as not shown; counted from the age of the copy where nobody wrote it."""
    source: Source

    @model_validator(mode="before")
    @classmethod
    def _expiry(cls, told: Any) -> Any:
        return _counted(told)

    def current(self, at: date) -> bool:
        """False: it has expired, or is not yet true."""
        return at <= self.expires and (self.since is None or self.since <= at)


class TextFact(BaseFact):
    """A fact that is one text: `licence` an SPDX expression, `source_code` a URL, `standard` a name."""

    kind: Literal["licence", "source_code", "standard"]
    value: Text


class ContributorFact(BaseFact):
    """What contributors sign."""

    kind: Literal["contributor_rule"]
    value: Literal["CLA", "DCO", "CLA+assignment", "none"]


class DateFact(BaseFact):
    """`end_of_life`: the last day on which these versions get security fixes from who makes them, for everybody.

    `end_of_active_support`: the last day of other fixes. `end_of_extended_support`: the last day of fixes by others
    or for money (Debian's LTS, Ubuntu's ESM). `release`: the day on which they came out.
    """

    kind: Literal["end_of_life", "end_of_active_support", "end_of_extended_support", "release"]
    value: date


class ReferenceFact(BaseFact):
    """A relation to another technology."""

    kind: Literal["alternative", "fork_of", "forked_as", "successor"]
    value: Reference


class OrganisationFact(BaseFact):
    """Who holds the rights; who decides about releases and roadmap."""

    kind: Literal["rights_holder", "steward"]
    value: Organisation


class ParentFact(BaseFact):
    """The owner above; the owner at the end, which has none itself (then `name` and `of` may be the same)."""

    kind: Literal["parent", "ultimate_parent"]
    value: Parent


class SeatFact(BaseFact):
    """A legal seat, where it is not that of the fact which names the organisation."""

    kind: Literal["seat"]
    value: SeatOf


class MaturityFact(BaseFact):
    """A foundation's stage."""

    kind: Literal["maturity"]
    value: Maturity


class DecisionFact(BaseFact):
    """A public body's decision; `since` is its day."""

    kind: Literal["decision"]
    value: Decision


class ForeignLawFact(BaseFact):
    """Law from outside the EU."""

    kind: Literal["foreign_law"]
    value: ForeignLaw


class ForeignControlFact(BaseFact):
    """Control from outside the EU."""

    kind: Literal["foreign_control"]
    value: ForeignControl


class SupportFact(BaseFact):
    """Support by a vendor of the EU."""

    kind: Literal["eu_support"]
    value: Support


class OperatorFact(BaseFact):
    """Operation on infrastructure in the EU."""

    kind: Literal["eu_operator"]
    value: Operator


class DependencyFact(BaseFact):
    """A dependency."""

    kind: Literal["depends_on"]
    value: Dependency


class ClaimFact(BaseFact):
    """Marketing as sovereign."""

    kind: Literal["sovereignty_claim"]
    value: SovereigntyClaim


Fact = Annotated[
    TextFact
    | ContributorFact
    | DateFact
    | ReferenceFact
    | OrganisationFact
    | ParentFact
    | SeatFact
    | MaturityFact
    | DecisionFact
    | ForeignLawFact
    | ForeignControlFact
    | SupportFact
    | OperatorFact
    | DependencyFact
    | ClaimFact,
    Field(discriminator="kind"),
]
"""One sourced statement about a technology, valid for some versions and up to a day."""

EU = frozenset(
    [
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    ]
)  # fmt: skip
"""The member states (ISO 3166-1 alpha-2)."""

REFERENCES = frozenset(["alternative", "fork_of", "forked_as", "successor", "depends_on"])
"""Kinds of fact that name another technology."""

KINDS = REFERENCES | {
    "licence", "source_code", "standard", "contributor_rule", "end_of_life", "end_of_active_support",
    "end_of_extended_support", "release", "rights_holder", "steward", "seat", "parent", "ultimate_parent", "maturity", "decision",
    "foreign_law", "foreign_control", "eu_support", "eu_operator", "sovereignty_claim",
}  # fmt: skip
"""All kinds of fact."""


class Recognise(Model):
    """By what a technology is recognised: without version or tag; `*` only at the end."""

    purls: tuple[Text, ...] = ()
    images: tuple[Text, ...] = ()
    charts: tuple[Text, ...] = ()
    packages: tuple[Text, ...] = ()
    collections: tuple[Text, ...] = ()
    providers: tuple[Text, ...] = ()
    services: tuple[Text, ...] = ()


class Technology(Model):
    """One technology of the catalogue. What is not among its facts is not shown."""

    id: Id
    name: Text
    layer: Layer
    categories: tuple[Text, ...] = ()
    functions: tuple[Function, ...] = ()
    homepage: Text
    aliases: tuple[Text, ...] = ()
    codenames: dict[str, str] = {}
    """Releases that are called by a word: `bookworm: "12"`."""
    tool: bool = later(False)
    """Nobody offers it as a service: it runs and ends, is part of a host, or serves one cluster as an exporter or as the
    operator of one product; or it is a text, as a standard is. It is *supported*."""
    recognise: Recognise = Recognise()
    facts: tuple[Fact, ...] = ()

    def of(self, kind: str) -> tuple[Fact, ...]:
        """Its facts of a kind."""
        return tuple(f for f in self.facts if f.kind == kind)


Catalogue = Mapping[str, Technology]
"""Technologies by id."""
