# SPDX-License-Identifier: Apache-2.0
"""How the reference suite reads names and dates, as far as its verdict depends on it. Facts, no judge.

The judges' `reference` predictions use it. Seen in the suite of August 2026 (SovereignCloudStack/standards, Tests/iaas); where it
differs from a standard's text, the text is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from unterbau.scs.flavor_name import cpu_generations, gpu_generations

Groups: TypeAlias = tuple[str | None, ...]

PERIODS = {
    "daily": timedelta(hours=25),
    "weekly": timedelta(hours=7 * 25),
    "monthly": timedelta(days=31),
    "quarterly": timedelta(days=92),
    "yearly": timedelta(days=365),
}
"""`replace_frequency` -> the period that it counts with, before it allows another tenth."""
LENIENCE = 1.1
_BUILT = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def read_time(text: str) -> datetime | None:
    """A date as it reads one: in one of four forms, leading zeros or not."""
    for form in _BUILT:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def registered(text: str) -> datetime | None:
    """The time of registration, which it reads in Glance's form only."""
    try:
        return datetime.strptime(text, _BUILT[0]).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_address(text: str) -> bool:
    """Whether it takes a text for a URL: one of four words before the first `://`, whatever follows."""
    scheme, found, _ = text.partition("://")
    return bool(found) and scheme in ("http", "https", "ftp", "ftps")


def accepts_name(name: str) -> bool:
    """Whether its parser takes a flavor's name, in the spelling of v3, v2 or v1.

    It reads part after part without going back, takes any text of digits and points that Python reads as a number,
    and leaves out whatever is empty.
    """
    return name.startswith("SCS-") and any(
        _parses(name[4:], *spelling) for spelling in (("-", "_", "|chy"), (":", "-", ""))
    )


def _parses(rest: str, inner: str, outer: str, more: str) -> bool:
    parts: tuple[tuple[str, Callable[[Groups], bool]], ...] = (
        (rf"(\d*)[LVTC]i?{inner}([0-9.]*)u?o?", lambda g: _positive(g[0]) and _half(g[1])),
        (rf"{inner}(?:(\d*)x)?(\d*)[nhsp]?", lambda g: _positive(g[0], empty=True) and _positive(g[1], empty=True)),
        (rf"{outer}(?:kvm|xen|vmw|hyv|bms{more})", lambda g: True),
        (rf"{outer}hwv", lambda g: True),
        (rf"{outer}([izar])(\d*)(h*)(?=$|{outer})", _is_cpu),
        (rf"{outer}[gG]([NAI])([^{inner}h]*)(?:{inner}(\d+))?(h*)(?:{inner}(\d+))?(h*)", _is_gpu),
        (rf"{outer}ib", lambda g: True),
    )
    for number, (pattern, good) in enumerate(parts):
        match = re.match(pattern, rest)
        if match is None and number == 0:
            return False
        if match is not None:
            if not good(match.groups()):
                return False
            rest = rest[match.end() :]
    return not rest


def _positive(text: str | None, *, empty: bool = False) -> bool:
    return int(text) > 0 if text else empty


def _half(text: str | None) -> bool:
    try:
        size = float(text or "")
    except ValueError:
        return False
    return size > 0 and 2 * size == int(2 * size)


def _is_cpu(groups: Groups) -> bool:
    vendor, generation, speed = groups
    known = not generation or int(generation) < max(1, len(cpu_generations(vendor or "")))
    return known and len(speed or "") <= 3


def _is_gpu(groups: Groups) -> bool:
    vendor, generation, units, fast, memory, fast_memory = groups
    known = not generation or generation in gpu_generations(vendor or "")
    sizes = _positive(units, empty=True) and _positive(memory, empty=True)
    return known and sizes and len(fast or "") <= 2 and len(fast_memory or "") <= 2
