# SPDX-License-Identifier: Apache-2.0
"""Each fault at twenty places of a drill between two real clouds: `python -m bench.chaos [FAULT...]` (`make chaos`).

The faults, the drill and what is looked at afterwards stand in `tests/e2e/chaos.py`. A drill meets its fault at several places;
if it ends with a defect, each of them is played alone, so that the defect has one place. Several drills, with projects and
relays of their own, run side by side between the same two clouds, as most of their time is waiting. Results are kept in .chaos/,
one file a fault, and a run that was stopped goes on from there; the table goes into docs/bad-days.md between its markers.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".chaos"
PAGE = ROOT / "docs" / "bad-days.md"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
PLACES = 20
ROUNDS = (range(1, PLACES, 4), range(3, PLACES, 4), range(0, PLACES, 2))
"""Every fault at some places, then every fault at others: the places of one drill lie all over it."""
TURNS = 4
"""So often a place is drawn that had not come when its drill had finished."""
STAGES = 3
CLOUDS = ("chaos-quelle", "chaos-ziel")


def main() -> None:
    """Play what is left, then write the table."""
    sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "unit")]
    import chaos

    from unterbau import reference

    KEPT.mkdir(exist_ok=True)
    results = Results(sys.argv[1:] or list(chaos.FAULTS))
    for cloud in CLOUDS:
        reference.up(cloud, progress=print)
    try:
        with ThreadPoolExecutor(STAGES) as pool:
            for played in [pool.submit(_play_on, number, chaos, results) for number in range(STAGES)]:
                played.result()
    finally:
        for cloud in CLOUDS:
            reference.wipe(cloud)


class Results:
    """What was played, in one file a fault, and what is to be played next. Threads share it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._next = self._jobs(names)
        self.requests = 0

    def job(self) -> tuple[str, list[int]] | None:
        """A fault, and the places where it is to be met in one drill."""
        with self._lock:
            return next(self._next, None)

    def _jobs(self, names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
        for turn in range(TURNS):
            for places in ROUNDS:
                for name in names:
                    kept = self.of(name)
                    # A place that has not come waits for its turn; those of a killed run have had none.
                    left = [p for p in places if str(p) not in kept["places"] and kept["missed"].get(str(p), 0) <= turn]
                    if left:
                        yield name, left

    def of(self, name: str) -> dict[str, Any]:
        """What is kept of a fault."""
        kept = _file(name)
        empty: dict[str, Any] = {"fault": name, "places": {}, "missed": {}, "drills": []}
        return json.loads(kept.read_text()) if kept.exists() else empty

    def keep(self, name: str, places: Sequence[int], wanted: dict[int, int], played: Any, *, alone: bool) -> None:
        """A drill; its places count unless it ended with a defect and they will be played alone."""
        with self._lock:
            kept = self.of(name)
            kept["drills"].append({
                "codes": played.codes, "seconds": played.seconds, "quiet": played.quiet, "peak": played.peak,
                "hits": [[h.at, h.asked, h.outcome] for h in played.hits], "missed": played.missed,
                "defects": played.defects, "told": played.told if played.defects else "",
            })  # fmt: skip
            hits = {h.at: h for h in played.hits}
            for place in places:
                hit = hits.get(wanted[place])
                if hit is None:
                    kept["missed"][str(place)] = kept["missed"].get(str(place), 0) + 1
                elif alone or not played.defects:
                    told = "; ".join(played.defects) or hit.outcome
                    kept["places"][str(place)] = {
                        "at": hit.at, "asked": hit.asked, "outcome": told, "defect": bool(played.defects),
                    }  # fmt: skip
            _write(_file(name), json.dumps(kept, indent=1))
            _write(PAGE, _with_table(PAGE.read_text(), self.requests))
        told = "; ".join(f"{h.at} {h.asked}: {h.outcome}" for h in played.hits)
        ended = "; ".join(played.defects) or "well"
        print(
            f"{datetime.now(UTC):%H:%M:%S} {name} in {played.seconds:.0f} s, {played.codes}: {told}. {ended}",
            flush=True,
        )


def _play_on(number: int, chaos: Any, results: Results) -> None:
    """One stage, until nothing is left to be played."""
    with tempfile.TemporaryDirectory() as folder, chaos.stage(CLOUDS, Path(folder), number) as stage:
        results.requests = results.requests or stage.requests
        while job := results.job():
            name, places = job
            if _drill(chaos, stage, Path(folder), results, name, places) and len(places) > 1:
                for place in places:
                    _drill(chaos, stage, Path(folder), results, name, [place], alone=True)


def _drill(
    chaos: Any, stage: Any, folder: Path, results: Results, name: str, places: list[int], *, alone: bool = False
) -> bool:
    """Whether it ended with a defect; what it left in its folder is then kept, and the stage is made anew."""
    kept = results.of(name)
    wanted = {
        p: chaos.drawn(p, PLACES, stage.requests, f"{name} {kept['missed'].get(str(p), 0)}".removesuffix(" 0"))
        for p in places
    }
    home = folder / f"{_file(name).stem}-{len(kept['drills'])}"
    played = chaos.play(stage, home, name, list(wanted.values()))
    results.keep(name, places, wanted, played, alone=alone or len(places) == 1)
    if played.defects:
        shutil.copytree(home, KEPT / f"{home.name}-{datetime.now(UTC):%H%M%S}")
        stage.renew()
    shutil.rmtree(home)
    return bool(played.defects)


def _file(name: str) -> Path:
    return KEPT / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"


def _write(file: Path, text: str) -> None:
    """Whole, or not at all."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def _with_table(page: str, requests: int) -> str:
    rows, drills, met, defects = [], 0, 0, 0
    for kept in sorted(KEPT.glob("*.json")):
        results = json.loads(kept.read_text())
        places, played = list(results["places"].values()), results["drills"]
        outcomes = Counter("a defect" if p["defect"] else _shortly(p["outcome"]) for p in places)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        worst, quiet, peak = (max(drill[key] for drill in played) for key in ("seconds", "quiet", "peak"))
        rows.append(
            f"| {results['fault']} | {len(places)} | {told} | {worst:.0f} s | {quiet:.0f} s | {peak >> 20} MiB |"
        )
        drills, met = drills + len(played), met + len(places)
        defects += sum(bool(drill["defects"]) for drill in played)
    told = [
        BEGIN,
        f"Made by `make chaos` on {datetime.now(UTC):%Y-%m-%d}: {drills} drills of a tenant with one thing of each kind, {requests} requests, between two "
        f"embedded clouds behind a relay that made one fault at up to {max(map(len, ROUNDS))} of them, {met} in all, one in each twentieth of a drill; "
        "bounds scaled down. *Gone past*: the attempt went on. *Stopped*: a clear message and an exit code, after which the same command finished. "
        "An attempt may have met several, and beside others that run: its time is no measure. "
        f"{drills - defects} of the drills ended well, and after these both clouds were as before (counted by openstacksdk).",
        "",
        "| fault | places | outcome | longest attempt | longest without a request | most memory |",
        "|---|---|---|---|---|---|",
        *rows,
        END,
    ]
    return page[: page.index(BEGIN)] + "\n".join(told) + page[page.index(END) + len(END) :]


def _shortly(outcome: str) -> str:
    return "stopped, then finished" if outcome.startswith("stopped") else outcome


if __name__ == "__main__":
    main()
