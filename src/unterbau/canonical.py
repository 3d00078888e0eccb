# SPDX-License-Identifier: Apache-2.0
"""One spelling for plain data: canonical JSON bytes and their digest, and the chain of a journal. Pure.

`spelled` is RFC 8785: what is signed and chained since format 2 of the evidence. `canonical_bytes` is the spelling of
format 1, with numbers as Python writes them: `census` and `planning` compare a workload by it. Two values are equal if and
only if their bytes are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785
from pydantic import JsonValue

CHAIN = 2
"""How the rows of a new journal follow one another. 1: the spelling of format 1; 2: RFC 8785 of the whole row."""
GENESIS = "0" * 64


def canonical_bytes(value: JsonValue) -> bytes:
    """JSON as UTF-8 with keys sorted by code point and no spaces; text is kept as it is (no normalisation).

    Raises ValueError for NaN, infinities and lone surrogates.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(value: JsonValue) -> str:
    """`sha256:` and 64 hexadecimal digits over the canonical bytes."""
    return digest_bytes(canonical_bytes(value))


def digest_bytes(data: bytes) -> str:
    """`sha256:` and 64 hexadecimal digits over these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def spelled(value: Any) -> bytes:
    """RFC 8785 (JCS). Raises ValueError for NaN, infinities, lone surrogates and integers beyond 2^53 - 1."""
    return rfc8785.dumps(value)


def chained(chain: int, prev: str, seq: int, at: str, event: Mapping[str, Any]) -> str:
    """The hash of a journal's row: SHA-256, hex. `event` is the stored one: kind, node, data.

    Chain 1: over `prev` and the old spelling (ASCII only) of seq, at, kind, node and data; chain 2: over RFC 8785 of prev,
    seq, at and event. Raises ValueError, TypeError, KeyError for what is no event.
    """
    if chain == 1:
        body = {"seq": seq, "at": at, "kind": event["kind"], "node": event["node"], "data": event["data"]}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256((prev + text).encode()).hexdigest()
    if chain != CHAIN:
        raise ValueError(f"chain {chain!r}")
    return hashlib.sha256(spelled({"prev": prev, "seq": seq, "at": at, "event": dict(event)})).hexdigest()
