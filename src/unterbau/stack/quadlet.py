# SPDX-License-Identifier: Apache-2.0
"""Podman Quadlet: .container, .pod, .kube, .volume, .image, .build, .network units.

The unit's `Image=` is the part; where it names another unit (`app.image`, `app.build`), that one is read beside it,
and so is the Kubernetes YAML of a .kube unit. systemd's drop-ins are read only if they stand in the directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unterbau.errors import UsageError
from unterbau.stack import kubernetes
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source

SUFFIXES = frozenset([".container", ".pod", ".kube", ".volume", ".image", ".build", ".network", ".artifact"])
_SECTIONS = ("[Container]", "[Pod]", "[Kube]", "[Volume]", "[Image]", "[Build]", "[Network]", "[Artifact]")


def matches(source: Source) -> bool:
    """Whether it is a unit of Quadlet, by its suffix and one of its sections."""
    return source.path.suffix in SUFFIXES and any(s in source.text for s in _SECTIONS)


def read(source: Source, found: Found) -> None:
    """What the unit names, at its lines."""
    images = False
    for number, section, key, value in _entries(source):
        where = f"line {number} ([{section}])"
        match section, key:
            case "Container" | "Image" | "Volume", "Image":
                images = True
                _image(source, value, where, found)
            case "Container", "Rootfs":
                images = True
                found.unread(where, "runs from a root file system, not from an image: judge its SBOM")
            case "Artifact", "Artifact":
                found.image(value, where)
            case "Kube", "Yaml":
                _kube(source, value, where, found)
            case "Build", "File" | "SetWorkingDirectory":
                found.unread(where, f"built from {short(value)}: judge the SBOM of the build")
            case "Volume" | "Network", "Driver":
                if value not in ("local", "bridge", "macvlan", "ipvlan", "image"):
                    found.hinted("name", value, where)
    if source.path.suffix == ".container" and not images:
        found.unread("", "a container without Image= (perhaps a drop-in has it)")


def _entries(source: Source) -> Iterator[tuple[int, str, str, str]]:
    section, waiting, begun = "", "", 0
    for number, raw in enumerate(source.lines, start=1):
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and not waiting):
            continue
        begun = begun if waiting else number
        if line.endswith("\\"):
            waiting += line[:-1] + " "
            continue
        line, waiting = waiting + line, ""
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            key, _, value = line.partition("=")
            yield begun, section, key.strip(), value.strip()


def _image(source: Source, value: str, where: str, found: Found) -> None:
    suffix = Path(value).suffix
    if suffix in (".image", ".build") and ":" not in value:
        other = source.path.parent / value
        if other.is_file():
            found.unread(
                where, f"the image is that of the unit {short(value)}, which is built"
            ) if suffix == ".build" else _named(other, where, found)
        else:
            found.unread(where, f"names the unit {short(value)}, which is not beside it")
        return
    if "%" in value or "$" in value:
        name, _, tag = value.partition("@")[0].rpartition(":")
        if name and ("%" in tag or "$" in tag) and not {"%", "$"} & set(name):
            found.image(name, where)
        found.unread(where, f"systemd fills this in when it starts: {short(value)}")
        return
    found.image(value, where)


def _named(other: Path, where: str, found: Found) -> None:
    try:
        for number, section, key, value in _entries(Source.open(other)):
            if (section, key) == ("Image", "Image"):
                found.image(value, f"{where}, {other.name} line {number}")
    except UsageError as error:
        found.unread(where, error.what)


def _kube(source: Source, value: str, where: str, found: Found) -> None:
    path = source.path.parent / value
    if "://" in value or "%" in value or not path.is_file():
        found.unread(where, f"its Kubernetes YAML is not beside it: {short(value)}")
        return
    try:
        inner = Found(str(path))
        kubernetes.read(Source.open(path), inner)
        found.add(inner.stack())
    except UsageError as error:
        found.unread(where, error.what)
