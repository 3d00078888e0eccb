# SPDX-License-Identifier: Apache-2.0
"""Syft's own JSON (`syft -o json`): what it found in an image or a directory, and the operating system of it.

The same parts as in the SBOMs that Syft writes; it tells more: which module of Go is the program. CycloneDX and SPDX
are read by their own modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unterbau.catalogue.model import Layer
from unterbau.stack import licences, purls
from unterbau.stack.found import Found, Hints, short
from unterbau.stack.source import Source, mapping, sequence, text


def matches(source: Source) -> bool:
    """Whether it is one."""
    found = source.object
    return isinstance(found.get("artifacts"), list) and mapping(found.get("descriptor")).get("name") == "syft"


def read(source: Source, found: Found) -> None:
    """Each artifact a part, at its JSON pointer."""
    for number, one in enumerate(sequence(source.object.get("artifacts"))):
        where, artifact = f"/artifacts/{number}", mapping(one)
        if text(artifact.get("name")):
            _artifact(artifact, where, found)
        else:
            found.unread(where, f"an artifact without name: {short(one)}")
    distro = mapping(source.object.get("distro"))
    if text(distro.get("id")):
        name = text(distro["id"])
        found.part(text(distro.get("name")) or name, "/distro", version=text(distro.get("versionID")) or None,
                   hints=(("name", name),), layer=Layer.OPERATING_SYSTEM)  # fmt: skip


def _artifact(artifact: Mapping[str, Any], where: str, found: Found) -> None:
    name, version = text(artifact["name"]), text(artifact.get("version")) or None
    purl: str | None = text(artifact.get("purl")) or None
    hints: Hints = ()
    try:
        if purl is not None:
            purl = purls.spelled(purl)
            purls.version_of(purl)
            is_program = text(mapping(artifact.get("metadata")).get("mainModule")) == name
            hints, _ = purls.hints(purl, program=is_program)
    except ValueError:
        found.unread(f"{where}/purl", f"no package URL: {short(purl)}")
        purl = None
    said = [licences.expression(mapping(s).get("spdxExpression")) for s in sequence(artifact.get("licenses"))]
    told = list(dict.fromkeys(s for s in said if s))
    licence = " AND ".join(f"({t})" if " " in t and len(told) > 1 else t for t in told) or None
    found.part(name, where, version=version, hints=hints, purl=purl, licence=licence)
