# SPDX-License-Identifier: Apache-2.0
"""From a purl, image, chart, package or name to a technology: a few look-ups in a dictionary a part. Pure.

`cli` calls it between a reader and the engine. What is not found stays in the stack with `technology=None`. It
guesses nothing: no similarity, no network. What counts as a product is said by the ecosystem: an image, a chart, a
role, a service, a package of an operating system. A package of a language is one only if it *is* the product, which its
exact name says; a module of Go or Maven, which anybody may build into anything, only where the input calls it the
program (form `program`). Mirrors and packers are seen through, and told in `Part.mirror`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator

from unterbau.catalogue.model import Catalogue, Recognise
from unterbau.stack import mirrors
from unterbau.stack.model import Part, Place, Stack

_FORMS = {
    "image": "images", "chart": "charts", "package": "packages", "collection": "collections",
    "provider": "providers", "service": "services", "program": "purls",
}  # fmt: skip
_BUILT_IN = ("pkg:golang/", "pkg:maven/")
"""Their packages are parts of programs; which of them is the program the input must say."""
Found = tuple[str | None, str | None]
"""The id of a technology, and what it was seen through."""
NOTHING: Found = (None, None)
LINE = "line"
"""The form of a line that somebody typed: its last word may be the name of a release."""


class Index:
    """Made once a catalogue; `find` answers for one part."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._exact: dict[tuple[str, str], str] = {}
        self._squeezed: dict[str, str | None] = {}
        self._begins: dict[str, list[tuple[str, str]]] = {}
        self._ids = catalogue.keys()
        self._openstack = {
            t.id for t in catalogue.values() if any("/openstack" in str(f.value) for f in t.of("source_code"))
        }
        self._codenames = {t.id: t.codenames.keys() for t in catalogue.values() if t.codenames}
        for technology in catalogue.values():
            for name in (technology.id, technology.name, *technology.aliases):
                self._exact.setdefault(("name", name.lower()), technology.id)
                known = self._squeezed.setdefault(_squeezed(name), technology.id)
                if known != technology.id:
                    self._squeezed[_squeezed(name)] = None
            for form in Recognise.model_fields:
                for text in getattr(technology.recognise, form):
                    self._add(form, text.lower(), technology.id)
        for found in self._begins.values():
            found.sort(key=lambda begin: -len(begin[0]))  # the longest is meant first

    def _add(self, form: str, text: str, technology: str) -> None:
        text = _with_registry(text) if form == "images" else text
        if text.endswith("*"):
            self._begins.setdefault(form, []).append((text[:-1], technology))
        else:
            self._exact.setdefault((form, text), technology)

    def find(self, part: Part) -> str | None:
        """The id of its technology, or None."""
        return self.seen(part)[0]

    def seen(self, part: Part) -> Found:
        """The same, with the mirror or packer that it was seen through."""
        if part.technology in self._ids:
            return part.technology, None
        if part.purl and not part.purl.startswith(_BUILT_IN):
            found = self._look("purls", bare(part.purl))
            if found is not None:
                return found, None
        for form, text in part.hints:
            told = self._image(_with_registry(text.lower())) if form == "image" else self._hint(form, text.lower())
            if told[0] is not None:
                return told
        if part.technology is not None and not part.purl:
            return self.named(part.technology), None
        return NOTHING

    def named(self, name: str) -> str | None:
        """The id of the technology of this id, name or alias; `Docker CE` and `docker-ce` are one name if no other is."""
        return self._exact.get(("name", name.strip().lower())) or self._squeezed.get(_squeezed(name))

    def near(self, name: str) -> list[str]:
        """Names like this one, for somebody who mistyped it; never used to recognise anything."""
        given = name.strip().lower()
        names = [text for form, text in self._exact if form == "name"]
        inside = [n for n in names if len(given) > 2 and given in n]
        return list(dict.fromkeys([*difflib.get_close_matches(given, names, 3, 0.7), *inside]))[:3]

    def _hint(self, form: str, text: str) -> Found:
        if form == "name":
            return self.named(text), None
        if form == LINE:
            return self._named_release(text)[0], None
        return self._look(_FORMS[form], bare(text) if form == "program" else text), None

    def _named_release(self, line: str) -> tuple[str | None, str]:
        """`Ceph reef`: the technology, and the word for its release, if it is one of its words."""
        name, _, word = line.strip().rpartition(" ")
        found = self.named(name)
        return (found, word) if found is not None and word in self._codenames.get(found, ()) else (None, "")

    def release(self, part: Part) -> str | None:
        """The version of a part, also where its line ends with the name of a release."""
        line = next((t for f, t in part.hints if f == LINE), "") if part.version is None else ""
        return self._named_release(line.lower())[1] or part.version

    def is_packed_otherwise(self, part: Part, technology: str | None, tag: str) -> bool:
        """Whether the tag of its image counts the releases of who packs it; Kolla's are those of OpenStack's own services."""
        images = [text for form, text in part.hints if form == "image"]
        return technology not in self._openstack and any(
            mirrors.counts_otherwise(_with_registry(i), tag) for i in images
        )

    def _image(self, name: str) -> Found:
        found = self._exact.get(("images", name))
        if found is not None:
            return found, None
        for behind, via in mirrors.upstream(name):
            found = self._exact.get(("images", behind))
            if found is not None:
                return found, via
        packed = mirrors.packed(name)
        if packed is not None:
            found = self._exact.get(("name", packed[0])) or self._exact.get(("name", packed[0].replace("_", "-")))
            if found is not None:
                return found, packed[1]
        found = self._look("images", name)
        if found is not None:
            return found, None
        behinds = ((self._look("images", behind), via) for behind, via in mirrors.upstream(name))
        return next((b for b in behinds if b[0] is not None), NOTHING)

    def _look(self, form: str, text: str) -> str | None:
        found = self._exact.get((form, text))
        if found is None and form in self._begins:
            return next((t for begin, t in self._begins[form] if text.startswith(begin)), None)
        return found


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()


def bare(purl: str) -> str:
    """A purl without version, qualifiers and subpath, in lower case."""
    for mark in ("?", "#"):
        purl = purl.partition(mark)[0]
    at = purl.rfind("@")
    return (purl[:at] if at > purl.rfind("/") else purl).lower()


def _with_registry(name: str) -> str:
    """An image's name in full: `redis` is `docker.io/library/redis`."""
    first, slash, _ = name.partition("/")
    if not slash:
        return f"{mirrors.HUB}/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"{mirrors.HUB}/{name}"


def recognise(stack: Stack, catalogue: Catalogue) -> Stack:
    """The stack with the technology of each part set where it is known."""
    return dataclasses.replace(stack, parts=tuple(_named(stack.parts, Index(catalogue))))


def _named(parts: Iterable[Part], index: Index) -> Iterator[Part]:
    for part in parts:
        found, mirror = index.seen(part)
        if found == part.technology and mirror == part.mirror:
            yield part
        else:  # the fields by position: dataclasses.replace takes three times as long
            version, where = part.version or index.release(part), part.where
            if version is not None and index.is_packed_otherwise(part, found, version):
                where = tuple(Place(p.file, f"{p.spot} (tag {version})") for p in where)
                version = None
            yield Part(
                part.id, part.name, version, part.purl, found, part.layer, where, part.hints, part.licence,
                part.claims, part.facts, mirror,
            )  # fmt: skip
