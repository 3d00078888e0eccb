# SPDX-License-Identifier: Apache-2.0
"""The catalogue of technologies: one YAML file each, loaded and checked. `cli` and `wiring` call `load`.

`python -m unterbau.judge.catalogue [FILE...]` checks files and names every fault with file and line. A fact
without source does not load. This module knows no rule and judges nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unterbau.errors import UsageError
from unterbau.judge.model import REFERENCES, Catalogue, Recognise, Technology

HERE = Path(__file__).parent
REMEDY = "docs/design/judge.md shows the form; `python -m unterbau.judge.catalogue FILE` checks one file."


LIBRARIES = frozenset(
    ["cargo", "composer", "conan", "cran", "gem", "golang", "hackage", "hex", "maven", "npm", "nuget", "pub", "pypi"]
)
"""Types of purls whose packages are libraries: one that talks to a product is not the product."""

SUSPICIOUS, DEEPEST = 1000, 50
"""So many brackets are looked at before they are composed; no file of ours is nested deeper than a few levels."""


class FastLoader(yaml.CSafeLoader):
    """The C loader of plain YAML, with the booleans of YAML 1.2 only, that refuses a key twice in a mapping.

    By YAML 1.1 `on` is true and `NO`, Norway, is false.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:bool"]
        for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(k.value for k, _ in node.value)
        for key, _ in node.value:
            if keys[key.value] > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


FastLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))


def load(extra: Iterable[Path] = ()) -> Catalogue:
    """The catalogue that comes with the program, and technologies of one's own, which take precedence.

    Raises UsageError. References between technologies are checked by `check`, not here: one of one's own may be
    named by nobody.
    """
    paths = [*sorted(HERE.glob("*.yaml")), *extra]
    return {t.id: t for t in (parse(p, read(p)) for p in paths)}


def read(path: Path) -> bytes:
    """The file's bytes; raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "Name a catalogue file that can be read.") from None


def parse(path: Path, data: bytes) -> Technology:
    """One technology. Raises UsageError that names file, line and what is wrong, all faults at once."""
    plain = plain_yaml(path, data)
    try:
        technology = Technology.model_validate(plain)
    except ValidationError as error:
        raise UsageError("\n".join(faults(path, data, error)), REMEDY) from None
    wrong = [f"{path}: {w}" for w in _own_rules(path, technology)]
    if wrong:
        raise UsageError("\n".join(wrong), REMEDY)
    return technology


def plain_yaml(path: Path, data: bytes) -> dict[str, Any]:
    """The mapping in a YAML file; raises UsageError."""
    try:
        _refuse_depth(path, data)
        plain = yaml.load(data, Loader=FastLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{line}: no YAML: {getattr(error, 'problem', None) or error}", REMEDY) from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: no YAML: {error}", REMEDY) from None
    if not isinstance(plain, dict):
        raise UsageError(f"{path}: a mapping is expected, with keys like `id:`", REMEDY)
    return plain


def _refuse_depth(path: Path, data: bytes) -> None:
    """libyaml's composer ends the process at deep nesting; its parser does not, so it is asked where one could be."""
    if data.count(b"[") + data.count(b"{") < SUSPICIOUS and b"- - - - " not in data and b"? ? ? ? " not in data:
        return
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise UsageError(
                f"{path}{f':{event.start_mark.line + 1}' if event.start_mark else ''}: nested more than {DEEPEST} levels deep",
                REMEDY,
            )


def faults(path: Path, data: bytes, error: ValidationError) -> list[str]:
    """Each fault of a validation as `file:line: where: what`."""
    try:
        root = yaml.compose(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        root = None
    lines = []
    for one in error.errors():
        place, line = [], 1
        node = root
        for step in one["loc"]:
            node, moved = _into(node, step)
            if moved:
                place.append(str(step))
                line = node.start_mark.line + 1
            elif isinstance(step, str) and step != one["loc"][-1] and node is not None:
                continue  # the name of a kind of fact
            else:
                place.append(str(step))
        given = "" if one["type"] in ("missing", "extra_forbidden") else f" (here: {str(one['input'])[:60]!r})"
        lines.append(f"{path}:{line}: {'.'.join(place)}: {_words(one)}{given}")
    return lines


def _into(node: Any, step: str | int) -> tuple[Any, bool]:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], True
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, True
    return node, False


def _words(one: Any) -> str:
    words = {
        "missing": "is missing",
        "extra_forbidden": "no such key",
        "union_tag_invalid": "no such kind of fact",
        "union_tag_not_found": "`kind` is missing",
    }
    return words.get(one["type"], str(one["msg"]).removeprefix("Value error, "))


def _own_rules(path: Path, technology: Technology) -> Iterable[str]:
    """What the types cannot say."""
    if path.stem != technology.id:
        yield f"id {technology.id!r} differs from the file's name"
    for number, fact in enumerate(technology.facts):
        where = f"facts.{number} ({fact.kind})"
        if not re.match(r"https?://", fact.source.url):
            yield f"{where}: source.url {fact.source.url!r} is no URL"
        if fact.expires <= fact.source.read:
            yield f"{where}: expires {fact.expires} is not after it was read {fact.source.read}"
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
    return found if paths else found + list(_between(technologies))
