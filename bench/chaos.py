# SPDX-License-Identifier: Apache-2.0
"""Each fault at twenty places of a drill between two real clouds: `python -m bench.chaos [FAULT...]` (`make chaos`).

The faults, the drill and what is looked at afterwards stand in `tests/e2e/chaos.py`. Results are kept in .chaos/, one file a
fault, and a run that was stopped goes on from there; the table goes into docs/bad-days.md between its markers.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".chaos"
PAGE = ROOT / "docs" / "bad-days.md"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
PLACES = 20
CLOUDS = ("chaos-quelle", "chaos-ziel")


def main() -> None:
    """Play what is left, then write the table."""
    sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "unit")]
    import chaos

    from unterbau import reference

    KEPT.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or list(chaos.FAULTS)
    for cloud in CLOUDS:
        reference.up(cloud, progress=print)
    try:
        with tempfile.TemporaryDirectory() as folder, chaos.stage(CLOUDS, Path(folder)) as stage:
            for place in range(PLACES):  # every fault once, then every fault again
                for name in wanted:
                    _play(chaos, stage, Path(folder), name, place)
                    PAGE.write_text(_with_table(PAGE.read_text(), stage.requests))
    finally:
        for cloud in CLOUDS:
            reference.wipe(cloud)


def _play(chaos: Any, stage: Any, folder: Path, name: str, place: int) -> None:
    kept = KEPT / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"
    results = json.loads(kept.read_text()) if kept.exists() else {"fault": name, "played": {}}
    if str(place) in results["played"]:
        return
    at = random.Random(f"{name} {place}").randint(1, stage.requests)  # noqa: S311 - places, not secrets
    played = chaos.play(stage, folder / f"{kept.stem}-{place}", name, at)
    results["played"][str(place)] = {
        "at": at, "hit": played.hit, "outcome": played.outcome, "seconds": played.seconds, "peak": played.peak,
        "defects": played.defects, "told": played.told if played.defects else "",
    }  # fmt: skip
    kept.write_text(json.dumps(results, indent=1))
    print(f"{name} at {at} ({played.hit}): {played.outcome}", flush=True)


def _with_table(page: str, requests: int) -> str:
    rows = []
    for kept in sorted(KEPT.glob("*.json")):
        results = json.loads(kept.read_text())
        played = list(results["played"].values())
        outcomes = Counter("a defect" if p["defects"] else _shortly(p["outcome"]) for p in played)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        worst = max(p["seconds"] for p in played)
        rows.append(
            f"| {results['fault']} | {len(played)} | {told} | {worst:.0f} s | {max(p['peak'] for p in played) >> 20} MiB |"
        )
    told = [
        BEGIN,
        f"Made by `make chaos` on {datetime.now(UTC):%Y-%m-%d}: a drill of a tenant with one thing of each kind, {requests} requests, between two embedded "
        "clouds behind a relay that makes one fault at one of them; bounds scaled down. *Stopped* is a clear message and an exit code, "
        "after which the same command finished. After each drill both clouds were as before (counted by openstacksdk).",
        "",
        "| fault | places | outcome | longest attempt | most memory |",
        "|---|---|---|---|---|",
        *rows,
        END,
    ]
    return page[: page.index(BEGIN)] + "\n".join(told) + page[page.index(END) + len(END) :]


def _shortly(outcome: str) -> str:
    return "stopped, then finished" if outcome.startswith("stopped") else outcome


if __name__ == "__main__":
    main()
