# SPDX-License-Identifier: Apache-2.0
"""Names, one a line, as somebody types them: `OpenStack 2024.2`, `Ceph reef`, `redis@7.4`, `Ubuntu 24.04 LTS`; and those of
the command line, which may also part name and version as other tools do (`redis:7.4`, `redis==7.4`).

A file of names is one only if it was named itself, and if the catalogue knows a third of its lines: any text looks
like names. Which technology a line means `recognise` says, and whether its last word is a version (form `line`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from unterbau import catalogue
from unterbau.stack.found import Found, Hints, short
from unterbau.stack.model import Part, Place, Stack
from unterbau.stack.recognise import Index
from unterbau.stack.source import Source

COMMAND_LINE = "command line"
_NAME = re.compile(r"^[A-Za-z0-9][\w .+/()&'-]{0,60}(?:@[\w.+~:-]{1,40})?$")
_VERSION = re.compile(r"^(.+?)(?:\s*(?:@|==?|:)\s*([^\s@=:]+)|[ \t]+(v?\d[^\s@]*))?(?:[ \t]+LTS)?$", re.IGNORECASE)
MOST_WORDS, MOST_LINES = 5, 10_000


def matches(source: Source) -> bool:
    """Whether each line is a name, with a version or without; some may be commented out."""
    if source.is_json or source.is_xml or source.path.suffix.lower() not in ("", ".txt", ".list", ".names"):
        return False
    lines = [line for _, line in _lines(source)]
    if not lines or len(lines) > MOST_LINES:
        return False
    fitting = sum(_NAME.match(line) is not None and len(line.split()) <= MOST_WORDS for line in lines)
    if fitting * 10 < len(lines) * 9:
        return False
    parts = (Part(line, line, hints=told(line)[2]) for line in lines)
    return sum(_known().find(p) is not None for p in parts) * 3 >= len(lines)


@cache
def _known() -> Index:
    """The names of the catalogue that comes with the program."""
    return Index(catalogue.load())


def _lines(source: Source) -> Iterable[tuple[int, str]]:
    for number, raw in enumerate(source.lines, start=1):
        line = raw.partition("#")[0].strip().removeprefix("- ").removeprefix("* ").strip()
        if line:
            yield number, line[:1000]


def read(source: Source, found: Found) -> None:
    """Each line a part."""
    for number, line in _lines(source):
        if _NAME.match(line):
            name, version, hints = told(line)
            found.part(name, f"line {number}", version=version, hints=hints)
        else:
            found.unread(f"line {number}", f"no name: {short(line)}")


def told(line: str) -> tuple[str, str | None, Hints]:
    """Name, version and hints of one line."""
    fits = _VERSION.match(line)
    name, *versions = fits.groups() if fits else (line, None, None)
    version = next((v for v in versions if v), None)
    name = name.strip()
    return name, version, (("name", name),) if version else (("name", name), ("line", name))


def stack(given: Iterable[str]) -> Stack:
    """What the command line names."""
    found = Found(COMMAND_LINE)
    for number, line in enumerate(given, start=1):
        name, version, hints = told(line.strip())
        found.finished.append(
            Part(line, name, version, where=(Place(COMMAND_LINE, f"name {number}"),), hints=hints)
        )  # fmt: skip
    return found.stack()
