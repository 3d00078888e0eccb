# SPDX-License-Identifier: Apache-2.0
"""The bundles of real drills that are kept in tests/assets, oldest first: evidence of their time, never resealed.

Each was sealed by `unterbau drill` between two embedded clouds, the source seeded with `fachverfahren`. To keep one
more, of the version that is to be released (the others stay as they are, byte by byte):

    make demo
    cp "${XDG_STATE_HOME:-$HOME/.local/state}"/unterbau/drills/RUN/RUN.unterbau tests/assets/drill-YYYY-MM.unterbau

`test_evidence`, `test_worst_cases` and `test_report_german` then ask it too. All but the first have what
`worst_cases.LATER` looks for.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from unterbau.canonical import canonical_bytes
from unterbau.evidence.core import PAYLOAD_TYPE, STATEMENT
from unterbau.switch import evidence
from unterbau.switch.evidence.bundle import CheckResult

_ASSETS = Path(__file__).parents[1] / "assets"
FIRST = _ASSETS / "drill.unterbau"
KEPT = (FIRST, *sorted(_ASSETS.glob("drill-*.unterbau")))


@cache
def checked(path: Path) -> CheckResult:
    """The bundle, judged anew."""
    return evidence.check(path.read_bytes())


def stated(members: dict[str, bytes]) -> dict[str, Any]:
    """The statement of a bundle."""
    told: dict[str, Any] = json.loads(base64.b64decode(json.loads(members[STATEMENT])["envelope"]["payload"]))
    return told


def sign_anew(members: dict[str, bytes], statement: dict[str, Any], signer: CryptoSigner) -> bytes:
    """What an attacker seals in the place of the signer: this statement, as format 1 spelled it, over these members."""
    subjects: list[JsonValue] = [
        {"name": n, "digest": {"sha256": hashlib.sha256(d).hexdigest()}} for n, d in sorted(members.items())
    ]
    envelope = Envelope(canonical_bytes({**statement, "subject": subjects}), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    key = {"keyid": signer.public_key.keyid, **signer.public_key.to_dict()}
    return json.dumps({"envelope": envelope.to_dict(), "public_key": key}).encode()
