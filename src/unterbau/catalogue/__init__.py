# SPDX-License-Identifier: Apache-2.0
"""The catalogue of technologies: one YAML file each, loaded and checked. `cli` and `wiring` call `load`.

`python -m unterbau.catalogue [FILE...]` checks files and names every fault with file and line. A fact
without source does not load. This module knows no rule and judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from unterbau.catalogue import additions
from unterbau.catalogue.model import REFERENCES, Catalogue, Recognise, Technology
from unterbau.catalogue.plain import REMEDY, FastLoader, faults, plain_yaml, read
from unterbau.errors import UsageError

__all__ = ["FastLoader", "check", "faults", "load", "parse", "plain_yaml", "read", "written"]

HERE = Path(__file__).parent
ORGANISATIONS, IMPORTED = HERE / "organisations", HERE / "imported"
LIBRARIES = frozenset(
    ["cargo", "composer", "conan", "cran", "gem", "golang", "hackage", "hex", "maven", "npm", "nuget", "pub", "pypi"]
)
"""Types of purls whose packages are libraries: one that talks to a product is not the product."""


def load(extra: Iterable[Path] = ()) -> Catalogue:
    """The catalogue that comes with the program, and technologies of one's own, which take precedence.

    Raises UsageError. References between technologies are checked by `check`, not here: one of one's own may be
    named by nobody.
    """
    paths = [*sorted(HERE.glob("*.yaml")), *extra]
    written = {t.id: t for t in (parse(p, read(p)) for p in paths)}
    return additions.complete(written, additions.organisations(ORGANISATIONS), additions.imported(IMPORTED))


def written() -> Catalogue:
    """The technologies as people wrote them: without what importers say, and without the owners of their stewards."""
    return {t.id: t for t in (parse(p, read(p)) for p in sorted(HERE.glob("*.yaml")))}


@lru_cache(maxsize=1024)
def parse(path: Path, data: bytes) -> Technology:
    """One technology. Raises UsageError that names file, line and what is wrong, all faults at once.

    Whoever asks for the same bytes again in this process gets the same object: it is frozen.
    """
    plain = plain_yaml(path, data)
    try:
        technology = Technology.model_validate(plain)
    except ValidationError as error:
        raise UsageError("\n".join(faults(path, data, error)), REMEDY) from None
    wrong = [f"{path}: {w}" for w in _own_rules(path, technology)]
    if wrong:
        raise UsageError("\n".join(wrong), REMEDY)
    return technology


def _own_rules(path: Path, technology: Technology) -> Iterable[str]:
    """What the types cannot say."""
    if path.stem != technology.id:
        yield f"id {technology.id!r} differs from the file's name"
    for number, fact in enumerate(technology.facts):
        where = f"facts.{number} ({fact.kind})"
        if not re.match(r"https?://", fact.source.url):
            yield f"{where}: source.url {fact.source.url!r} is no URL"
        if fact.expires <= (fact.source.as_of or fact.source.read):
            yield f"{where}: expires {fact.expires} is not after the day of the copy that was read"
        if fact.source.origin == "second hand" and fact.confidence == "high":
            yield f"{where}: confidence is high, and the source is second hand"
        if fact.kind == "licence" and not re.fullmatch(r"[A-Za-z0-9.+() :-]+", fact.value):
            yield f"{where}: {fact.value!r} is no SPDX expression"
    for form in Recognise.model_fields:
        for text in getattr(technology.recognise, form):
            if "*" in text[:-1]:
                yield f"recognise.{form}: {text!r} has `*` before its end"
            if form == "purls" and not text.startswith("pkg:"):
                yield f"recognise.purls: {text!r} does not begin with pkg:"
            if form == "purls" and text.endswith("*") and text[4:].partition("/")[0] in LIBRARIES:
                yield f"recognise.purls: {text!r} is a family of libraries: name the package that is the product"
            if form == "services" and text[:1].isupper() and "." not in text:
                yield f"recognise.services: {text!r} is a kind without its API group (Kind.group, or the group)"


def _between(technologies: Catalogue) -> Iterable[str]:
    """References that lead nowhere; one name that means two technologies."""
    claimed: dict[tuple[str, str], str] = {}
    for technology in technologies.values():
        for fact in technology.facts:
            target = fact.value if isinstance(fact.value, str) else getattr(fact.value, "technology", None)
            known = target in technologies or str(target).startswith("ext:")
            if fact.kind in REFERENCES and not known:
                yield f"{technology.id}.yaml: {fact.kind} {target!r} is not in the catalogue (write ext:{target}?)"
        names = [("name", n.lower()) for n in {technology.id, technology.name.lower(), *technology.aliases}]
        names += [(f, t) for f in Recognise.model_fields for t in getattr(technology.recognise, f)]
        for key in names:
            if claimed.setdefault(key, technology.id) != technology.id:
                yield f"{technology.id}.yaml: {key[0]} {key[1]!r} also belongs to {claimed[key]}"


def check(paths: Sequence[Path]) -> list[str]:
    """All faults of these files, or of the whole catalogue with its references if none is named."""
    found: list[str] = []
    technologies = {}
    for path in paths or sorted(HERE.glob("*.yaml")):
        try:
            technologies[path.stem] = parse(path, read(path))
        except UsageError as error:
            found += error.what.splitlines()
    if paths:
        return found
    try:
        additions.complete(technologies, additions.organisations(ORGANISATIONS), additions.imported(IMPORTED))
    except UsageError as error:
        found += error.what.splitlines()
    return found + list(_between(technologies))
