# SPDX-License-Identifier: Apache-2.0
"""Licences as inputs tell them, as SPDX expressions: what is no identifier becomes a `LicenseRef-`. Pure.

An input's `LicenseRef-` may stand for anything; `judge` shows it as not shown.
"""

from __future__ import annotations

import re
from typing import Any

from unterbau.stack.found import short

_NONE = frozenset(["", "NOASSERTION", "NONE", "UNKNOWN", "UNLICENSED"])


def expression(value: Any) -> str | None:
    """An SPDX expression that an input tells; None if it says that it does not know."""
    return value.strip() if isinstance(value, str) and value.strip().upper() not in _NONE else None


def reference(name: str) -> str | None:
    """A licence by a name that is no identifier."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name[:200]).strip("-.")
    return f"LicenseRef-{plain}" if expression(name) and plain else None


_PAGES = re.compile(
    r"^https?://(?:www\.)?(?:spdx\.org/licenses|opensource\.org/licen[cs]es?)/([A-Za-z0-9.+-]+?)(?:\.(?:html|json|txt))?/?$"
)


def _at(url: Any) -> str | None:
    """The licence whose page at SPDX or the OSI is named."""
    fits = _PAGES.match(url) if isinstance(url, str) and len(url) < 500 else None
    return fits.group(1) if fits else None


def _says_none(one: dict[str, Any], inner: dict[str, Any]) -> bool:
    """Whether it says itself that the licence is not known: `NOASSERTION`."""
    stated = (one.get("expression"), inner.get("id"), inner.get("name"))
    return any(isinstance(s, str) for s in stated)


_CLASSIFIED = {
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
}
"""Classifiers of Python packages that mean one licence; `BSD License` and `Apache Software License` mean several."""


def classified(name: str) -> str | None:
    """The licence of a classifier (`License :: OSI Approved :: MIT License`), if it means one."""
    return _CLASSIFIED.get(name.rpartition(" :: ")[2]) or reference(name.removeprefix("License :: "))


def of_cyclonedx(said: Any) -> tuple[str | None, str]:
    """The licences of a component; several hold together. What was concluded precedes what was declared.

    Returns:
        The expression, and what of them was not understood, in words.
    """
    lost: list[str] = []
    if not isinstance(said, list):
        lost.append(
            "the licences are no list" if isinstance(said, dict) else f"the licences are no list: {short(said)}"
        )
        said = [said] if isinstance(said, dict) else []
    licence = _of_list(said, lost)
    return licence, "; ".join(dict.fromkeys(lost))


def _of_list(said: list[Any], lost: list[str]) -> str | None:
    told: list[tuple[bool, str]] = []
    coarse: list[str] = []
    for one in said:
        if not isinstance(one, dict):
            lost.append(f"a licence that is no object: {short(one)}")
            continue
        inner = one.get("license")
        inner = inner if isinstance(inner, dict) else {}
        name = inner.get("name")
        text = expression(one.get("expression")) or expression(inner.get("id"))
        if not text and isinstance(name, str) and name.startswith("License ::"):
            coarse.append(name)
            continue
        text = text or (reference(name) if isinstance(name, str) else None) or _at(inner.get("url"))
        if text is None and not _says_none(one, inner):
            where = (
                f" a URL only: {short(inner['url'])}"
                if inner.get("url")
                else " its text only"
                if "text" in inner
                else f" nothing that we know: {short(one)}"
            )
            lost.append(f"a licence that is told by{where}")
        if text:
            told.append(("concluded" in (one.get("acknowledgement"), inner.get("acknowledgement")), text))
    if len(told) == 1:
        return told[0][1]
    if not told:  # classifiers only tell in other words what an identifier beside them says
        told = [(False, c) for c in map(classified, coarse) if c]
    concluded = any(c for c, _ in told)
    kept = list(dict.fromkeys(t for c, t in told if c or not concluded))
    return " AND ".join(f"({t})" if " " in t and len(kept) > 1 else t for t in kept) or None
