# SPDX-License-Identifier: Apache-2.0
"""`stack.yaml`: what somebody runs, written by hand; docs/judge.md shows it, docs/schema/stack.json is its schema.

A part may be one line (`- redis 7.2`) or a mapping. Facts stand in it in the form of the catalogue, with sources,
and are told as the owner's. A key that is not known does not load.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from pydantic import ValidationError

from unterbau import catalogue
from unterbau.stack import image, purls
from unterbau.stack.found import Found, short
from unterbau.stack.model import Part, Place
from unterbau.stack.source import Source, line_of
from unterbau.stack.stackfile import FORMS, StackFile, StackPart

REMEDY = "docs/judge.md shows the form; `unterbau schema stack` prints its schema."
_LINE = re.compile(r"^(.+?)(?:[@ ]\s*(v?\d[^\s@]*))?$")


def matches(source: Source) -> bool:
    """Whether it is one: a mapping with `stack` and `parts`, or what is called stack.yaml."""
    if not source.is_yaml:
        return False
    if source.path.name.lower() in ("stack.yaml", "stack.yml"):
        return not (isinstance(source.document, dict) and "services" in source.document)
    found = source.document
    return isinstance(found, dict) and "parts" in found and "stack" in found


def read(source: Source, found: Found) -> None:
    """Each part at its line. Raises UsageError with every fault."""
    plain = source.document
    if not isinstance(plain, dict):
        source.fault("a mapping is expected, with `stack:` and `parts:`", REMEDY, 1)
    for line, key in source.twice:
        source.fault(f"{key!r} stands twice", REMEDY, line)
    if len(source.documents) > 1:
        source.fault("more than one document", "Write one stack a file.")
    try:
        written = StackFile.model_validate(plain)
    except ValidationError as error:
        source.fault(*_told(source, error))
    found.name, found.claims, found.facts = written.stack, written.claims, written.facts
    for number, part in enumerate(written.parts):
        spot = f"line {line_of(plain['parts'], number)}"
        found.finished.append(
            _line(part, Place(found.file, spot))
            if isinstance(part, str)
            else _part(source, part, Place(found.file, spot))
        )


def _told(source: Source, error: ValidationError) -> tuple[str, str, int | None]:
    """All faults; the first one's line is that of the error."""
    try:
        lines = catalogue.faults(source.path, source.data, _without_variants(error))
    except (yaml.YAMLError, AttributeError, TypeError):
        lines = [f"{source.name}: {e['msg']}" for e in error.errors()]
    begin = re.compile(rf"^{re.escape(source.name)}(?::(\d+))?: ")
    first = begin.match(lines[0])
    line = int(first.group(1)) if first and first.group(1) else None
    return "\n".join([begin.sub("", lines[0]), *lines[1:]]), REMEDY, line


def _without_variants(error: ValidationError) -> Any:
    """The faults without the names that pydantic gives to the variants of a part, and without those of the other."""

    class Faults:
        def errors(self) -> list[dict[str, Any]]:
            listed = []
            for one in error.errors():
                place = one["loc"]
                mapping = isinstance(one["input"], dict)
                if len(place) > 2 and place[0] == "parts" and str(place[2]).startswith("constrained-str") and mapping:
                    continue
                if place[-1] == "StackPart" and isinstance(one["input"], str):
                    continue
                kept = tuple(s for s in place if s != "StackPart" and not str(s).startswith("constrained-str"))
                listed.append({**one, "loc": kept or ("stack",)})
            return listed or [dict(e) for e in error.errors()]

    return Faults()


def _line(text: str, place: Place) -> Part:
    fits = _LINE.match(text) if len(text) < 500 else None
    name, version = fits.groups() if fits else (text, None)
    name = name.strip()
    return Part(text.strip(), name, version, technology=name, where=(place,), hints=(("name", name),))


def _part(source: Source, part: StackPart, place: Place) -> Part:
    version = part.version
    purl = part.purl
    hints: list[tuple[str, str]] = []
    line = int(place.spot.removeprefix("line "))
    if part.image:
        parsed = image.parse(part.image)
        if parsed is None:
            source.fault(f"no image reference: {short(part.image)}", "Write e.g. registry.example/team/app:1.2.", line)
        hints.append(("image", parsed.name))
        version = version or parsed.version
    if part.purl:
        try:
            purl = purls.spelled(part.purl)
            version = version or purls.version_of(purl)
        except ValueError:
            source.fault(f"no package URL: {short(part.purl)}", "Write e.g. pkg:deb/debian/redis@7.0.", line)
    hints += [(form, str(getattr(part, form))) for form in FORMS[1:] if getattr(part, form)]
    name = part.name or part.technology or (hints[0][1] if hints else purl) or "?"
    hints += [("name", n) for n in (part.technology, part.name) if n]
    return Part(
        f"{name}@{version}" if version else name, name, version, purl, part.technology, part.layer, (place,),
        tuple(hints), part.licence, part.claims, part.facts,
    )  # fmt: skip
