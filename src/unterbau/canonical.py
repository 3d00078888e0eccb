# SPDX-License-Identifier: Apache-2.0
"""One spelling for plain data: canonical JSON bytes and their digest. Pure.

`census` and `planning` take the digest of a workload with it, `evidence` every member of a bundle. Two values
are equal if and only if their canonical bytes are. This is not RFC 8785: numbers are spelled as Python does.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import JsonValue


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
