# SPDX-License-Identifier: Apache-2.0
"""What the standards demand, as data with dates: scopes, versions, standards, test cases, flavors, images.

The YAML files beside this module are the data; each names its source and the day on which it was seen. `load()`
reads and checks them once; `judges` and `output` ask it. It holds no rule: how a case is decided, a judge says.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import Any

from pydantic import Field, ValidationError, model_validator

from unterbau.canonical import digest
from unterbau.errors import UsageError
from unterbau.prove.inventory import SECTIONS
from unterbau.prove.verdicts import State
from unterbau.scs.flavor_name import Meaning, is_valid, parse
from unterbau.verdict import Model


class Phase(Model):
    """Since when a version is in a state."""

    since: date
    state: State


class Version(Model):
    """One version of a scope."""

    version: str
    standards: tuple[str, ...]
    states: tuple[Phase, ...] = Field(min_length=1)
    source: str
    note: str = ""

    def phase(self, day: date) -> Phase | None:
        """The newest phase that is not later than the day; None: the version did not exist yet."""
        past = [phase for phase in self.states if phase.since <= day]
        return max(past, key=lambda phase: phase.since) if past else None

    @model_validator(mode="after")
    def _in_order(self) -> Version:
        days = [phase.since for phase in self.states]
        if days != sorted(set(days)):
            raise ValueError(f"{self.version}: its states are not in the order of their dates")
        return self


class Scope(Model):
    """A certificate scope. `judged` False: known, but nothing is claimed about it."""

    id: str
    name: str
    standard: str
    uuid: str
    url: str
    """The page of its standard."""
    specification: str
    """Where the compliance monitor's list of its test cases stands: what `spec.url` of the SCS report names."""
    judged: bool
    versions: tuple[Version, ...]

    def version(self, name: str) -> Version:
        """The version of this name. Raises UsageError."""
        for version in self.versions:
            if version.version == name:
                return version
        known = ", ".join(v.version for v in self.versions)
        raise UsageError(f"{self.id} has no version {name}", f"Known are: {known}, all.")


class Standard(Model):
    """One document. `read`: the date of the text that we read."""

    id: str
    title: str
    page: str
    track: str
    status: str
    revision: str
    stable: date | None = None
    deprecated: date | None = None
    read: date
    note: str = ""


class Case(Model):
    """One test case: about which clause, decided by which sections, demanded or recommended by which versions."""

    id: str
    title: str
    standard: str
    clause: str = ""
    needs: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    should: tuple[str, ...] = ()
    writes: bool = False
    """Can only be decided by making something in the cloud (`--write`)."""
    own: bool = False
    manual: bool = False
    retired: bool = False
    lifetime: str = "week"
    note: str = ""


class StandardFlavor(Model):
    """One row of the tables of scs-0103."""

    name: str
    disk: tuple[str, ...] = ()
    """Accepted values of `scs:disk0-type`; empty: it must not be set."""
    mandatory: bool = False

    @property
    def meaning(self) -> Meaning:
        """The figures that the name says."""
        return parse(self.name)

    @property
    def case(self) -> str:
        """The id of its test case."""
        return f"scs-0103-flavor-{self.name.removeprefix('SCS-').lower()}"


class NamedImage(Model):
    """One image of scs-0104-v1. `specs`: specification -> mandatory, recommended or optional."""

    id: str
    name: str
    pattern: str = ""
    """The whole name must match; empty: the name itself."""
    specs: dict[str, str]
    sources: tuple[str, ...]
    properties: dict[str, str]

    def is_called(self, name: str) -> bool:
        """Whether an image of this name is this one."""
        return bool(re.fullmatch(self.pattern, name)) if self.pattern else name == self.name


class Release(Model):
    """A release of a distribution, and from when scs-0104-v2 counts it as the newest."""

    distro: str
    version: str
    codename: str
    required: date


class ImagesV2(Model):
    """What scs-0104-v2 (draft) says."""

    source: str
    seen: date
    capi_pattern: str
    capi_sources: tuple[str, ...]
    capi_description: str
    capi_purpose: str
    generic_sources: dict[str, tuple[str, ...]]
    releases: tuple[Release, ...]

    def newest(self, distro: str, day: date, back: int = 0) -> Release:
        """The newest release that is required at the day, or the `back`-th before it."""
        past = sorted((r for r in self.releases if r.distro == distro and r.required <= day), key=lambda r: r.required)
        if len(past) <= back:
            raise UsageError(f"our data knows no release of {distro} at {day}", "Ask for a later date.")
        return past[-1 - back]


class Catalogue(Model):
    """All of the data."""

    seen: date
    """The newest date on which one of the sources was looked at."""
    base: str
    scopes: tuple[Scope, ...]
    standards: tuple[Standard, ...]
    cases: tuple[Case, ...]
    flavors: tuple[StandardFlavor, ...]
    images: tuple[NamedImage, ...]
    images_v2: ImagesV2

    def scope(self, name: str) -> Scope:
        """The scope of this id. Raises UsageError."""
        for scope in self.scopes:
            if scope.id == name:
                return scope
        raise UsageError(f"there is no scope {name}", f"Known are: {', '.join(s.id for s in self.scopes)}.")

    def case(self, id: str) -> Case:
        """The test case of this id. Raises UsageError."""
        for case in self.cases:
            if case.id == id:
                return case
        raise UsageError(f"there is no test case {id}")

    def standard(self, id: str) -> Standard:
        """The standard of this id; the loader has checked that it is there."""
        return next(standard for standard in self.standards if standard.id == id)

    def clause(self, case: Case) -> str:
        """URL of the clause that a case is about."""
        anchor = f"#{case.clause}" if case.clause else ""
        return f"{self.base}{self.standard(case.standard).page}{anchor}"

    def cases_of(self, versions: tuple[str, ...]) -> tuple[Case, ...]:
        """The cases that one of these versions demands or recommends, in the order of the file."""
        return tuple(c for c in self.cases if set(versions) & {*c.must, *c.should})

    def digest(self) -> str:
        """`sha256:..` over all of the data: two reports with equal digests were judged by equal data."""
        return digest(self.model_dump(mode="json"))

    @model_validator(mode="after")
    def _is_consistent(self) -> Catalogue:
        faults = list(_faults(self))
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _faults(data: Catalogue) -> Any:
    """One line for each contradiction in the data."""
    standards = {s.id for s in data.standards}
    versions = {v.version: set(v.standards) for s in data.scopes if s.judged for v in s.versions}
    for what, ids in (("test case", [c.id for c in data.cases]), ("standard", [s.id for s in data.standards])):
        yield from (f"{what} {id} is there twice" for id in sorted(set(ids)) if ids.count(id) > 1)
    for scope in data.scopes:
        for version in scope.versions:
            unknown = set(version.standards) - standards
            if unknown:
                yield f"{scope.id} {version.version} names unknown standards {sorted(unknown)}"
    for case in data.cases:
        if case.standard not in standards:
            yield f"{case.id} is about the unknown standard {case.standard}"
        if set(case.needs) - set(SECTIONS):
            yield f"{case.id} needs unknown sections {sorted(set(case.needs) - set(SECTIONS))}"
        if case.writes != ("write_results" in case.needs):
            yield f"{case.id}: `writes` and `needs` contradict each other"
        if set(case.must) & set(case.should):
            yield f"{case.id} is both demanded and recommended by {sorted(set(case.must) & set(case.should))}"
        for name in {*case.must, *case.should}:
            family = case.standard.rsplit("-", 1)[0]
            if name not in versions:
                yield f"{case.id} belongs to the unknown version {name}"
            elif not any(s.startswith(family) for s in versions[name]):
                yield f"{case.id} belongs to {name}, which has no version of {family}"
        if case.retired and (case.must or case.should):
            yield f"{case.id} is retired, but a version has it"
    known = {c.id for c in data.cases}
    for flavor in data.flavors:
        if not is_valid(flavor.name) or flavor.meaning.has_disk != bool(flavor.disk):
            yield f"flavor {flavor.name}: name and disk contradict each other"
        if flavor.case not in known:
            yield f"flavor {flavor.name} has no test case"
    for image in data.images:
        if f"scs-0104-source-{image.id}" not in known or not image.is_called(image.name):
            yield f"image {image.id} has no test case, or its example does not match its pattern"


FILES = ("scopes", "standards", "cases", "flavors", "images")


@cache
def load() -> Catalogue:
    """The data that this version of Unterbau ships. Raises UsageError if it contradicts itself."""
    return build({name: _read(name) for name in FILES})


def build(files: dict[str, Any]) -> Catalogue:
    """The catalogue from the parsed files. Raises UsageError if they contradict each other."""
    flavors = files["flavors"]
    try:
        return Catalogue.model_validate(
            {
                "seen": max(date.fromisoformat(str(part["seen"])) for part in files.values()),
                "base": files["standards"]["base"],
                "scopes": files["scopes"]["scopes"],
                "standards": files["standards"]["standards"],
                "cases": files["cases"]["cases"],
                "flavors": [f | {"mandatory": True} for f in flavors["mandatory"]] + flavors["recommended"],
                "images": files["images"]["named"],
                "images_v2": files["images"]["v2"],
            }
        )
    except (ValidationError, KeyError) as error:
        raise UsageError(f"the data about the standards contradicts itself: {error}") from error


def _read(name: str) -> Any:
    import yaml  # here: evidence is checked by a program that needs none of it until a report is judged again

    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CSafeLoader)


def valid_until(lifetime: str, checked: date) -> date:
    """Until when a result counts (scs-0003-v2 and the scope file).

    `week`: until the Monday after next; `day`: two days; `month`, `quarter`, `year`: until the first day of the
    second period that begins after the check.
    """
    match lifetime:
        case "day":
            return checked + timedelta(days=2)
        case "week":
            return checked + timedelta(days=14 - checked.weekday())
        case "month" | "quarter" | "year":
            months = {"month": 1, "quarter": 3, "year": 12}[lifetime]
            begun = (checked.year * 12 + checked.month - 1) // months
            month = (begun + 2) * months
            return date(month // 12, month % 12 + 1, 1)
    raise UsageError(f"there is no lifetime {lifetime}")
