# SPDX-License-Identifier: Apache-2.0
"""How long a cloud may take, and how much it may answer: one set of bounds for all services. Pure.

`cli` reads them from `--bounds` and hands them to `waiting`, which carries them; whoever speaks to a cloud keeps them
(`cloud.openstack.wire`). Not here: how long a whole verb may take, and how long a thing may take to become ready.
"""

from __future__ import annotations

import re

from pydantic import Field, ValidationError

from unterbau.errors import UsageError
from unterbau.verdict import Model

MIB = 2**20


class Bounds(Model):
    """Seconds, unless a field says otherwise."""

    connect: float = Field(default=10, gt=0, le=3600, description="until a connection stands, TLS included")
    idle: float = Field(default=60, gt=0, le=86400, description="without a byte while a body flows, either way")
    slowest: float = Field(default=30_000, ge=0, le=1e12, description="bytes a second of a body, over `window`")
    window: float = Field(default=300, gt=0, le=86400, description="the time over which `slowest` is measured")
    answer: float = Field(default=90, gt=0, le=86400, description="until a question is answered")
    silence: float = Field(default=600, gt=0, le=86400, description="until a write that was sent whole is answered")
    operation: float = Field(default=200, gt=0, le=86400, description="for one request with all its repetitions")
    tries: int = Field(default=6, ge=1, le=100, description="how often one request is sent")
    pause: float = Field(default=60, ge=0, le=3600, description="the longest `Retry-After` that is heeded")
    mib: float = Field(default=64, gt=0, le=1024, description="MiB that one JSON answer may have, unpacked")

    up: float = Field(
        default=0, ge=0, le=1e15, description="bytes a second to a cloud (0: no limit); `--bwlimit` sets it"
    )
    down: float = Field(
        default=0, ge=0, le=1e15, description="bytes a second from a cloud (0: no limit); `--bwlimit` sets it"
    )
    requests: float = Field(
        default=0, ge=0, le=1e6, description="requests a second (0: no limit); `--tpslimit` sets it"
    )

    @property
    def answer_bytes(self) -> int:
        """`mib` in bytes."""
        return int(self.mib * MIB)


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
    told: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = part.partition("=")
        if name.strip() not in Bounds.model_fields:
            raise UsageError(f"--bounds: {name.strip()} is none", f"There are: {', '.join(Bounds.model_fields)}.")
        told[name.strip()] = value.strip()
    try:
        return Bounds.model_validate(told, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"--bounds: {first['loc'][0]}: {first['msg']}", "Write NAME=NUMBER[,NAME=NUMBER ...]."
        ) from None
