# SPDX-License-Identifier: Apache-2.0
"""What a JSON text spells, told from its bytes before anybody decodes it: values, and how deep they nest. Pure.

`evidence.limits` bounds by it a stranger's bundle, `cloud.openstack.wire` what a cloud answers. It does not decode, and
takes no text for valid: what is none fails when it is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

DEPTH = 100
"""How deep JSON may be nested."""
VALUES = 1_200_000
"""JSON values that a text of a stranger may spell; each takes up to 200 bytes once decoded."""
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_STEP = 2**20
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))


class TooMany(ValueError):
    """More values than were allowed."""


class TooDeep(ValueError):
    """Nested deeper than `DEPTH`, or brackets that are none of JSON's."""


def measure(data: bytes, values: int) -> int:
    """How many of the allowed values are left. Raises TooMany, TooDeep. Linear, in steps of a MiB."""
    nested = bytearray()
    for bare in _without_strings(data):
        values -= bare.count(b",") + bare.count(b"[") + bare.count(b"{")
        if values < 0:
            raise TooMany
        nested += bare.translate(None, _NOT_BRACKETS)
    for _ in range(DEPTH):
        if not nested:
            break
        nested = nested.replace(b"[]", b"").replace(b"{}", b"")
    if nested:
        raise TooDeep
    return values


def _without_strings(data: bytes) -> Iterator[bytes]:
    """The JSON text without its strings, piece by piece."""
    at, inside = 0, b""
    while at < len(data):
        piece = data[at : at + _STEP]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # it would end within an escape
            piece = data[at : at + _STEP + 1]
        at += len(piece)
        bare = _STRINGS.sub(b"", inside + piece + b'\0"')
        inside = b"" if bare.endswith(b"\0") else b'"'  # a string that was not ended swallowed the mark
        yield bare.removesuffix(b"\0")
