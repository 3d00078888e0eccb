# SPDX-License-Identifier: Apache-2.0
"""Milliseconds a step of a saga that does nothing, forward and back. `python -m bench.saga`

The journal lies in memory where there is a file system for that (/dev/shm), so that the disk is not measured. Each step needs
the first one, as the objects of a container do.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.page import publish
from unterbau.saga import Attempt, Journal, JsonObject, Outputs, run, unwind

SIZES = (1_000, 10_000, 100_000)
MEMORY = Path("/dev/shm")  # noqa: S108 - only where it is


@dataclass(frozen=True)
class Nothing:
    """A step that makes a thing of nothing."""

    name: str
    needs: tuple[str, ...]

    def intend(self, done: Outputs) -> JsonObject:
        """A name."""
        return {"name": self.name}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """An id."""
        return {"id": self.name, "of": [str(done[need]["id"]) for need in self.needs]}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Nothing."""


def measure(count: int, folder: Path) -> tuple[float, float, float]:
    """Milliseconds a step: run, open again, unwind."""
    steps = [Nothing("first", ()), *(Nothing(f"step {n}", ("first",)) for n in range(count - 1))]
    path, taken = folder / f"{count}.db", []
    for action in (run, None, unwind):
        with_begun = time.perf_counter()
        with Journal(path) as journal:
            begun = time.perf_counter()
            if action is not None:
                assert action(steps, journal).complete
            taken.append((time.perf_counter() - (begun if action else with_begun)) * 1000 / count)
    return taken[0], taken[1], taken[2]


def main() -> None:
    """Measure and publish."""
    rows = []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        for count in SIZES:
            told = measure(count, Path(name))
            print(count, told, flush=True)
            rows.append([f"{count:,}", *(f"{t:.2f}" for t in told)])
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m bench.saga`: steps that do nothing, the journal in memory; milliseconds a step."
    publish("saga", head, ("steps", "run", "open again", "unwind"), rows)


if __name__ == "__main__":
    main()
