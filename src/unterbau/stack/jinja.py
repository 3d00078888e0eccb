# SPDX-License-Identifier: Apache-2.0
"""Variables that stand in the same file, filled into its other values: `"{{ registry }}/library/redis:{{ redis_tag }}"`. Pure.

No Jinja is run. Only a name that is defined as plain text beside it, `default('text')`, and the text in `x if y else
'text'` are filled in; all else stays as it stands, and who reads it tells that a template fills it in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unterbau.stack.source import Map, Seq

_BRACES = re.compile(
    r"\{\{\s*([A-Za-z_]\w*)\s*(?:\|\s*(?:default|d)\(\s*(?:'([^'{}]*)'|\"([^\"{}]*)\"|([A-Za-z_]\w*))\s*(?:,\s*\w+\s*)?\)\s*)?\}\}"
)
_CHOICE = re.compile(r"\{\{[^{}]+?\bif\b[^{}]+?\belse\s+'([^'{}]*)'\s*\}\}")
MOST, DEEPEST = 4096, 8


def filled(tree: Any, more: Mapping[str, Any] | None = None) -> Any:
    """The tree with its texts filled in, its lines kept. `more` are variables of files that belong to it."""
    variables = {**(more or {}), **(tree if isinstance(tree, dict) else {})}
    if not any(isinstance(v, str) and "{{" in v for v in _texts(tree)):
        return tree
    return _copy(tree, variables)


def _texts(tree: Any) -> list[Any]:
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
        else:
            found.append(node)
    return found


def _copy(node: Any, variables: Mapping[str, Any]) -> Any:
    """Nested at most as deep as `source` lets a document be."""
    if isinstance(node, Map):
        made = Map(node.line)
        made.lines, made.size = node.lines, node.size
        made.update({k: _copy(v, variables) for k, v in node.items()})
        return made
    if isinstance(node, Seq):
        copied = Seq(node.line)
        copied.lines, copied.size = node.lines, node.size
        copied.extend(_copy(v, variables) for v in node)
        return copied
    return text(node, variables) if isinstance(node, str) and "{{" in node else node


def text(written: str, variables: Mapping[str, Any], depth: int = 0) -> str:
    """One text."""
    if len(written) > MOST or depth > DEEPEST or "{{" not in written:
        return written

    def value(fits: re.Match[str]) -> str:
        name, single, double, other = fits.groups()
        for candidate in (name, other):
            told = variables.get(candidate) if candidate else None
            if isinstance(told, str):
                return text(told, variables, depth + 1)
            if told is None and candidate in variables:
                return ""
        literal = single if single is not None else double
        return fits.group() if literal is None else literal

    made = _CHOICE.sub(lambda m: m.group(1), _BRACES.sub(value, written))
    return made if len(made) <= MOST else written
