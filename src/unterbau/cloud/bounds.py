# SPDX-License-Identifier: Apache-2.0
"""How long a cloud may take, and how much it may answer: one set of bounds for all services. Pure.

`cli` reads them from `--bounds` and hands them to `waiting`, which carries them; whoever speaks to a cloud keeps them
(`cloud.openstack.wire`). Not here: how long a whole verb may take, and how long a thing may take to become ready.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

from unterbau.errors import UsageError

MIB = 2**20


def _bound(default: Any, most: float, *, least: float = 0, may_be_least: bool = False) -> Any:
    """A number up to `most` and above `least`."""
    return field(default=default, metadata={"least": least, "most": most, "may_be_least": may_be_least})


@dataclass(frozen=True)
class Bounds:
    """Seconds, unless a field says otherwise. Raises UsageError for a number that is out of its range.

    A plain dataclass: the first request to a cloud waits for no library of models.
    """

    connect: float = _bound(10, 3600)
    """Until a connection stands, TLS included."""
    idle: float = _bound(60, 86400)
    """Without a byte while a body flows, either way."""
    slowest: float = _bound(30_000, 1e12, may_be_least=True)
    """Bytes a second of a body, over `window`."""
    window: float = _bound(300, 86400)
    """The time over which `slowest` is measured."""
    answer: float = _bound(90, 86400)
    """Until a question is answered."""
    silence: float = _bound(600, 86400)
    """Until a write that was sent whole is answered."""
    operation: float = _bound(200, 86400)
    """For one request with all its repetitions."""
    tries: int = _bound(6, 100, least=1, may_be_least=True)
    """How often one request is sent."""
    pause: float = _bound(60, 3600, may_be_least=True)
    """The longest `Retry-After` that is heeded."""
    mib: float = _bound(64, 1024)
    """MiB that one JSON answer may have, unpacked."""

    up: float = _bound(0, 1e15, may_be_least=True)
    """Bytes a second to a cloud (0: no limit); `--bwlimit` sets it."""
    down: float = _bound(0, 1e15, may_be_least=True)
    """Bytes a second from a cloud (0: no limit); `--bwlimit` sets it."""
    requests: float = _bound(0, 1e6, may_be_least=True)
    """Requests a second (0: no limit); `--tpslimit` sets it."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least, most = getattr(self, one.name), one.metadata["least"], one.metadata["most"]
            if not (least < value <= most or (value == least and one.metadata["may_be_least"])):  # NaN is in no range
                above = "at least" if one.metadata["may_be_least"] else "above"
                raise UsageError(
                    f"--bounds: {one.name}: {value:g} is not {above} {least:g} and at most {most:g}", SPELLED
                )

    @property
    def answer_bytes(self) -> int:
        """`mib` in bytes."""
        return int(self.mib * MIB)


SPELLED = "Write NAME=NUMBER[,NAME=NUMBER ...]."
_RATE = re.compile(r"(\d+(?:\.\d+)?)([bkmgtp]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_UNITS = "bkmgtp"


def bandwidth(text: str) -> str:
    """Bounds that say what rclone's `--bwlimit` says: `RATE` or `UP:DOWN`, KiB/s or with B, K, M, G; `off`. Raises UsageError."""
    ways = text.split(":")
    rates = [_rate(way) for way in ways]
    if len(rates) > 2 or None in rates:
        raise UsageError(f"--bwlimit: {text!r} is no rate", "Write KiB a second, or 10M, 512k, 1.5G; UP:DOWN; or off.")
    return f"up={rates[0]:.0f},down={rates[-1]:.0f}"


def _rate(text: str) -> float | None:
    """Bytes a second; 0 for none."""
    if text.strip().lower() == "off":
        return 0
    found = _RATE.fullmatch(text.strip())
    if found is None:
        return None
    return float(found[1]) * float(1024 ** _UNITS.index(found[2].lower() or "k"))


def read(text: str) -> Bounds:
    """`idle=30,silence=120` over the defaults. Raises UsageError."""
    known = [one.name for one in fields(Bounds)]
    told: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in known:
            raise UsageError(f"--bounds: {name} is none", f"There are: {', '.join(known)}.")
        try:
            told[name] = int(value) if name == "tries" else float(value)
        except ValueError:
            raise UsageError(f"--bounds: {name}: {value!r} is no number", SPELLED) from None
    return Bounds(**told)
