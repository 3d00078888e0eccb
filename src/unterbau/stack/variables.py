# SPDX-License-Identifier: Apache-2.0
"""Variables as Compose and Dockerfiles write them: `$X`, `${X}`, `${X:-default}`, `${X:+other}`, `$$`. Pure.

Only what is given counts; the environment of this process is never asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

GONE = "\0"
"""Stands for a variable that has no value."""
_VARIABLE = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+])(.*))?\}$", re.DOTALL)
_PLAIN = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def interpolate(written: str, variables: Mapping[str, str], depth: int = 0) -> str:
    """With variables replaced as Compose does; one that has no value leaves a NUL."""
    if "$" not in written or depth > 10:
        return written
    made, at = [], 0
    while at < len(written):
        if written[at] != "$":
            upto = written.find("$", at)
            upto = len(written) if upto < 0 else upto
            made.append(written[at:upto])
            at = upto
        elif written.startswith("$$", at):
            made.append("$")
            at += 2
        elif written.startswith("${", at):
            end = _closing(written, at)
            made.append(_replaced(written[at:end], variables, depth) if end else GONE)
            at = end or len(written)
        else:
            plain = _PLAIN.match(written, at)
            made.append(variables.get(plain.group(1), GONE) if plain else "$")
            at = plain.end() if plain else at + 1
    return "".join(made)


def _closing(written: str, at: int) -> int:
    """Behind the brace that closes the variable; 0 if none does."""
    depth = 0
    for index in range(at, len(written)):
        if written.startswith("${", index):
            depth += 1
        elif written[index] == "}":
            depth -= 1
            if depth == 0:
                return index + 1
    return 0


def _replaced(written: str, variables: Mapping[str, str], depth: int) -> str:
    fits = _VARIABLE.match(written)
    if fits is None:
        return GONE
    name, operator, default = fits.groups()
    value = variables.get(name)
    given = value is not None and (value != "" or not (operator or "").startswith(":"))
    match (operator or "")[-1:]:
        case "-":
            return value or "" if given else interpolate(default, variables, depth + 1)
        case "+":
            return interpolate(default, variables, depth + 1) if given else ""
        case _:
            return (value or "") if given else GONE
