# SPDX-License-Identifier: Apache-2.0
"""Seals one golden bundle of each kind in the format of the program as it is: `python tests/unit/golden.py FOLDER`.

Run once for each format, when it is new; the bundles go into tests/assets/golden and are never sealed anew. The drill is one between
two simulated clouds; those of real clouds are `kept_bundles`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import closer
import judge_world
from judge_world import TODAY
from prove_world import NOW, good_items, inventory
from test_judge_outputs import small

from unterbau import __version__, files
from unterbau.evidence import signing_key
from unterbau.evidence.core import FORMAT
from unterbau.face import Face
from unterbau.judge import evidence as judgements
from unterbau.judge.engine import judge
from unterbau.prove import evidence as proofs
from unterbau.prove.proof import Question, prove
from unterbau.stack.recognise import recognise
from unterbau.switch import drill, folders, verify

SEALED = datetime(2026, 11, 26, 12, tzinfo=UTC)


def proof(folder: Path) -> bytes:
    """A cloud with one flavor too few."""
    items = good_items()
    items["flavors"] = [f for f in items["flavors"] if f["name"] != "SCS-1V-4"]
    made = prove(inventory(items), Question(version="v5.1", at=NOW))
    return proofs.seal_proof(made, signer=signing_key(folder / "keys"), sealed=SEALED)


def stack(folder: Path) -> bytes:
    """Two known parts and a stranger."""
    known, _ = small()
    made = recognise(judge_world.stack("one@1", "two@2", "stranger"), known)
    asked = (judge_world.rules({"fact": "steward", "where": {"seat": {"not_in": "$EU"}}}),)
    return judgements.seal_stack(
        made, known, asked, judge(made, known, asked, TODAY), signer=signing_key(folder / "keys"), sealed=SEALED
    )


def drilled(folder: Path) -> bytes:
    """A rehearsal between two simulators, whose source holds a thing of every kind that they know."""
    os.environ.update(closer.environment(folder))
    closer.plant(closer.cloud(folder, "a"))
    tools = drill.Tools(
        connect=lambda name: closer.cloud(folder, name), now=lambda: datetime.now(UTC), face=Face(quiet=True),
        stop=threading.Event(), keys=folder / "keys", versions=lambda: {"unterbau": __version__}, secrets=lambda name: (),
    )  # fmt: skip
    made = folders.begin("a", "b", False, tools.now())
    work = drill.Drill(made, tools)
    work.census()
    plan = work.plan()
    work.move()
    seen = verify.look(*work.clouds(), plan, work=made.path, now=tools.now)
    files.write(made.verdicts, seen.model_dump_json(indent=1).encode())
    work.close_target()
    work.seal()
    return made.bundle.read_bytes()


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, make in (("drill", drilled), ("proof", proof), ("stack", stack)):
        with tempfile.TemporaryDirectory() as work:
            (out / f"format-{FORMAT}-{name}.unterbau").write_bytes(make(Path(work)))
