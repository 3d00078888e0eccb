# SPDX-License-Identifier: Apache-2.0
"""From a purl, image, chart, package or name to a technology: one look-up in a dictionary a part. Pure.

`cli` calls it between a reader and the engine. What is not found stays in the stack with `technology=None`. It
guesses nothing: no similarity, no network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from unterbau.judge.model import Catalogue, Part, Recognise, Stack

_FORMS = {
    "image": "images", "chart": "charts", "package": "packages", "collection": "collections",
    "provider": "providers", "service": "services",
}  # fmt: skip
_REGISTRIES = ("docker.io/library/", "docker.io/")


class Index:
    """Made once a catalogue; `find` answers for one part."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._exact: dict[tuple[str, str], str] = {}
        self._begins: dict[str, list[tuple[str, str]]] = {}
        self._ids = catalogue.keys()
        for technology in catalogue.values():
            for name in (technology.id, technology.name, *technology.aliases):
                self._exact.setdefault(("name", name.lower()), technology.id)
            for form in Recognise.model_fields:
                for text in getattr(technology.recognise, form):
                    self._add(form, text.lower(), technology.id)

    def _add(self, form: str, text: str, technology: str) -> None:
        if text.endswith("*"):
            self._begins.setdefault(form, []).append((text[:-1], technology))
        else:
            self._exact.setdefault((form, text), technology)

    def find(self, part: Part) -> str | None:
        """The id of its technology, or None."""
        if part.technology in self._ids:
            return part.technology
        if part.purl:
            found = self._look("purls", _bare(part.purl))
            if found is not None:
                return found
        for form, text in part.hints:
            for spelled in _spellings(form, text.lower()):
                found = self._exact.get(("name", spelled)) if form == "name" else self._look(_FORMS[form], spelled)
                if found is not None:
                    return found
        if part.technology is not None and not part.purl:
            return self.named(part.technology)
        return None

    def named(self, name: str) -> str | None:
        """The id of the technology of this id, name or alias."""
        return self._exact.get(("name", name.strip().lower()))

    def _look(self, form: str, text: str) -> str | None:
        found = self._exact.get((form, text))
        if found is None and form in self._begins:
            return next((t for begin, t in self._begins[form] if text.startswith(begin)), None)
        return found


def _bare(purl: str) -> str:
    """Without version, qualifiers and subpath."""
    for mark in ("?", "#"):
        purl = purl.partition(mark)[0]
    at = purl.rfind("@")
    return (purl[:at] if at > purl.rfind("/") else purl).lower()


def _spellings(form: str, text: str) -> Iterator[str]:
    yield text
    if form == "image":
        for registry in _REGISTRIES:
            if text.startswith(registry):
                yield text.removeprefix(registry)
            else:
                yield registry + text


def recognise(stack: Stack, catalogue: Catalogue) -> Stack:
    """The stack with the technology of each part set where it is known."""
    return dataclasses.replace(stack, parts=tuple(_named(stack.parts, Index(catalogue))))


def _named(parts: Iterable[Part], index: Index) -> Iterator[Part]:
    for part in parts:
        found = index.find(part)
        if found == part.technology:
            yield part
        else:  # the fields by position: dataclasses.replace takes three times as long
            yield Part(
                part.id, part.name, part.version, part.purl, found, part.layer, part.where, part.hints, part.licence,
                part.claims, part.facts,
            )  # fmt: skip
