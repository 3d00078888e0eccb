# SPDX-License-Identifier: Apache-2.0
"""Seals one golden bundle of each kind in the format of the program as it is: `python tests/unit/golden.py FOLDER`.

Run once for each format, when it is new; the bundles go into tests/assets/golden and are never sealed anew. The drill is one between
two simulated clouds; those of real clouds are `kept_bundles`.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

from prove_world import NOW, good_items, inventory

from unterbau import catalogue
from unterbau.evidence import signing_key
from unterbau.judge import engine, rules
from unterbau.judge import evidence as judgements
from unterbau.prove import evidence as proofs
from unterbau.prove.proof import Question, prove
from unterbau.stack.model import Part, Stack
from unterbau.stack.recognise import Index, recognise

SEALED = datetime(2026, 11, 26, 12, tzinfo=UTC)


def proof(folder: Path) -> bytes:
    """A cloud with one flavor too few."""
    items = good_items()
    items["flavors"] = [f for f in items["flavors"] if f["name"] != "SCS-1V-4"]
    made = prove(inventory(items), Question(version="v5.1", at=NOW))
    return proofs.seal_proof(made, signer=signing_key(folder / "keys"), sealed=SEALED)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "proof.unterbau").write_bytes(proof(out))
