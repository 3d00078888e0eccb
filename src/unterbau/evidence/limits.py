# SPDX-License-Identifier: Apache-2.0
"""What an opener of a stranger's bundle is ready to hold in memory, measured before it is decoded. Pure.

`container` bounds by it what is unpacked, `core` and `opening` what is decoded. The check of a stranger's bundle stays
below 512 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unterbau import nesting
from unterbau.errors import BundleError
from unterbau.nesting import DEPTH, VALUES

NOT_OURS = "The bundle is no evidence as it is; ask its sender for the original."
LINES = ".jsonl"
"""How a member is called that is read line by line and never decoded as a whole, so that only its size is bounded here."""
LARGEST = 64 * 2**20
"""Bytes that the members of a stranger's bundle may have in all when unpacked."""


@dataclass(frozen=True)
class Limits:
    """What an opener is ready to hold: bytes unpacked, JSON values decoded."""

    size: int
    values: int


def strangers() -> Limits:
    """For a bundle that anybody may have made: its check stays below 512 MB."""
    return Limits(LARGEST, VALUES)


TRUSTED = Limits(8 * 2**30, 400_000_000)
"""For a bundle signed by the key that the caller names as trusted: a tenant may be as large as it is."""


def decode(name: str, data: bytes) -> Any:
    """The JSON of a member that was measured. Raises BundleError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BundleError(f"{name}: no JSON", NOT_OURS) from None


def measure(members: Mapping[str, object], limits: Limits) -> None:
    """Raises BundleError if the members spell more JSON values, or nest them deeper, than anybody should decode.

    Those of lines are passed over. Looks at bytes only: linear, in steps of a MiB.
    """
    left = limits.values
    for name, data in members.items():
        if not isinstance(data, bytes):
            continue
        try:
            left = nesting.measure(data, left)
        except nesting.TooMany:
            raise BundleError(f"{name}: more than {limits.values} values in all", too_much(limits)) from None
        except nesting.TooDeep:
            raise BundleError(f"{name}: nested deeper than {DEPTH}, or no JSON", NOT_OURS) from None


def too_much(limits: Limits) -> str:
    """What to do about a bundle beyond these."""
    if limits is TRUSTED:
        return NOT_OURS
    return "If you trust who signed it, name the key with --key ID: then only your memory is the limit."
