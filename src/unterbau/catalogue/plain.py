# SPDX-License-Identifier: Apache-2.0
"""Files of plain YAML that people write: read, refused with file and line. `catalogue`, `rules` and readers call it.

It knows no technology: what a mapping must hold is said by the model that it is validated against.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unterbau.errors import UsageError

REMEDY = "docs/design/judge.md shows the form; `python -m unterbau.catalogue FILE` checks one file."


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


def read(path: Path) -> bytes:
    """The file's bytes; raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "Name a catalogue file that can be read.") from None


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
