# SPDX-License-Identifier: Apache-2.0
"""Licences as inputs tell them, as SPDX expressions: what is no identifier becomes a `LicenseRef-`. Pure.

An input's `LicenseRef-` may stand for anything; `judge` shows it as not shown.
"""

from __future__ import annotations

import re
from typing import Any

_NONE = frozenset(["", "NOASSERTION", "NONE", "UNKNOWN", "UNLICENSED"])


def expression(value: Any) -> str | None:
    """An SPDX expression that an input tells; None if it says that it does not know."""
    return value.strip() if isinstance(value, str) and value.strip().upper() not in _NONE else None


def reference(name: str) -> str | None:
    """A licence by a name that is no identifier."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name[:200]).strip("-.")
    return f"LicenseRef-{plain}" if expression(name) and plain else None


def of_cyclonedx(said: Any) -> str | None:
    """The licences of a component; several hold together. What was concluded takes precedence over what was declared."""
    if not isinstance(said, list):
        return None
    told: list[tuple[bool, str]] = []
    for one in said:
        if not isinstance(one, dict):
            continue
        inner = one.get("license")
        inner = inner if isinstance(inner, dict) else {}
        name = inner.get("name")
        text = expression(one.get("expression")) or expression(inner.get("id"))
        text = text or (reference(name) if isinstance(name, str) else None)
        if text:
            told.append(("concluded" in (one.get("acknowledgement"), inner.get("acknowledgement")), text))
    if len(told) == 1:
        return told[0][1]
    concluded = any(c for c, _ in told)
    kept = list(dict.fromkeys(t for c, t in told if c or not concluded))
    return " AND ".join(f"({t})" if " " in t and len(kept) > 1 else t for t in kept) or None
