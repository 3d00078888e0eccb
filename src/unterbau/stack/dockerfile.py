# SPDX-License-Identifier: Apache-2.0
"""Dockerfile and Containerfile: the images that they begin with (`FROM`), and those they copy from.

`compose` calls it for what is only built. Instructions are not run: what is installed inside is shown
by the SBOM of the built image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from unterbau.stack.found import Found, short
from unterbau.stack.source import Source
from unterbau.stack.variables import GONE, interpolate

_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_ARG = re.compile(r"^\s*ARG\s+([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?$", re.IGNORECASE)
_COPY = re.compile(r"^\s*COPY\s+(?:--\S+\s+)*?--from=(\S+)", re.IGNORECASE)


def matches(source: Source) -> bool:
    """Whether it is called so."""
    name = source.path.name.lower()
    return name.partition(".")[0] in ("dockerfile", "containerfile") or name.endswith((".dockerfile", ".containerfile"))


def read(source: Source, found: Found) -> None:
    """The images, at their lines."""
    read_with(source, found, {})
    found.unread("", "what its instructions install is not shown: judge the SBOM of the built image")


def read_with(source: Source, found: Found, given: Mapping[str, str]) -> None:
    """The same, with build arguments."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    for number, line in enumerate(source.lines, start=1):
        argument = _ARG.match(line)
        if argument and not stages:
            name, default = argument.groups()
            value = given.get(name, (default or "").strip().strip("\"'") if default is not None else None)
            if value is not None:
                arguments[name] = interpolate(value, arguments)
            continue
        begun, copied = _FROM.match(line), _COPY.match(line)
        for reference in [m.group(1) for m in (begun, copied) if m]:
            value = interpolate(reference, arguments)
            if value.lower() == "scratch" or value.lower() in stages or value.isdigit():
                continue
            if GONE in value:
                name, _, tag = value.rpartition(":")
                if name and GONE not in name and GONE in tag:
                    found.image(name, f"line {number} (FROM)")
                found.unread(f"line {number}", f"a build argument without default: {short(reference)}")
            else:
                found.image(value, f"line {number} ({'FROM' if begun else 'COPY'})")
        if begun:
            stages.add((begun.group(2) or f"stage {number}").lower())
