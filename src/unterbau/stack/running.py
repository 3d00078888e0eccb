# SPDX-License-Identifier: Apache-2.0
"""What tools list of a running system: images and containers of an engine, releases of Helm.

    a list of image references, one a line       docker images, crictl images, docker ps (their tables)
    podman ps --format json, docker inspect      helm list -A -o json

Of `docker inspect` only the image is looked at, never the environment. A release that is not deployed is no part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from unterbau.stack import image
from unterbau.stack.found import Found, short
from unterbau.stack.source import Source, mapping, sequence, text

_IMAGES = re.compile(r"^(?:REPOSITORY|IMAGE) +TAG +(?:DIGEST +)?IMAGE ID\b")
_CONTAINERS = re.compile(r"^CONTAINER ID +IMAGE\b")
_CHART = re.compile(r"^(.+?)-(v?\d[\w.+-]*)$")
_STOPPED = frozenset(["exited", "dead", "removing"])
MAX_LINE = 4096


def matches(source: Source) -> bool:
    """Whether it is one, by its beginning."""
    if source.is_json:
        return isinstance(source.json, list) and any(_is_release(o) or _image_of(o) for o in source.json[:20])
    if source.is_yaml:
        return False
    sample = [line for _, line in _lines(source)][:40]
    if not sample:
        return False
    if _IMAGES.match(sample[0]) or _CONTAINERS.match(sample[0]):
        return True
    told = [image.parse(line) for line in sample]
    whole = [t for t, line in zip(told, sample, strict=True) if t is not None and t.version and "/" in line]
    return told.count(None) * 5 <= len(told) and len(whole) * 2 > len(
        told
    )  # `db:5432` alone is no image, nor `src/main.py`


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.lines, start=1):
        bare = line.strip()
        if bare and not bare.startswith("#"):
            yield number, bare[:MAX_LINE]


def _is_release(one: Any) -> bool:
    return isinstance(one, dict) and {"chart", "app_version", "status"} <= one.keys()


def _image_of(one: Any) -> str:
    """The image of a container, as `docker inspect` or `podman ps` tell it."""
    told = mapping(one)
    return text(mapping(told.get("Config")).get("Image")) or (text(told.get("Image")) if "Names" in told else "")


def read(source: Source, found: Found) -> None:
    """Each image and release, at its line or JSON pointer."""
    if source.is_json:
        for number, one in enumerate(sequence(source.json)):
            _entry(one, f"/{number}", found)
        return
    heading = next(line for _, line in _lines(source))
    table = 1 if _IMAGES.match(heading) else 2 if _CONTAINERS.match(heading) else 0
    for number, line in _lines(source):
        if not table or line != heading:
            _line(line.split(), table, f"line {number}", found)


def _line(fields: list[str], table: int, where: str, found: Found) -> None:
    if table == 0 and len(fields) == 1:
        found.image(fields[0], where)
    elif table == 1 and len(fields) > 2:
        name, tag = fields[:2]
        found.image(name if tag == "<none>" else f"{name}:{tag}", where)
    elif table == 2 and len(fields) > 2:
        found.image(fields[1], where)
    else:
        found.unread(where, f"no image: {short(' '.join(fields))}")


def _entry(one: Any, where: str, found: Found) -> None:
    if _is_release(one):
        _release(one, where, found)
        return
    reference, state = _image_of(one), mapping(one).get("State")
    state = text(mapping(state).get("Status")) or text(state)
    if not reference:
        found.unread(where, "neither a container with an image nor a release")
    elif state.lower() not in _STOPPED:
        found.image(reference, where)


def _release(one: dict[str, Any], where: str, found: Found) -> None:
    if text(one.get("status")) not in ("deployed", "superseded", ""):
        found.unread(where, f"the release {short(one.get('name'))} is {short(one.get('status'))}")
        return
    fits = _CHART.match(text(one.get("chart"))[:500])
    name, chart = fits.groups() if fits else (text(one.get("chart")), "")
    if name:
        told = f"{where} (release {text(one.get('name'))}, chart {chart})"
        found.part(name, told, version=text(one.get("app_version")) or None, hints=(("chart", name),))
