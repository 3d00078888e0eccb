# SPDX-License-Identifier: Apache-2.0
"""Seconds of CPU until a verb has done its work, start of Python included: `python -m bench.start`.

What may be loaded is held by a test (tests/process/test_light_start.py); how long it takes depends on the machine, so the
first rows tell what an interpreter and an empty program of click cost here.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.page import installed, publish

RUNS = 7
EMPTY = "import click, sys; c = click.command()(lambda: None); sys.argv = ['x', '--help']; c()"
COMPOSE = "services:\n  db:\n    image: docker.io/library/postgres:16.3\n"


def cpu(argv: list[str], folder: Path) -> float:
    """The median of the CPU's seconds of a process."""
    found = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, cwd=folder, capture_output=True, check=False, env=installed())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(found)


def main() -> None:
    """Measure and publish."""
    program = str(Path(sys.executable).with_name("unterbau"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "compose.yaml").write_text(COMPOSE)
        asked = {
            "Python that does nothing": [sys.executable, "-c", "pass"],
            "the help of an empty program of click": [sys.executable, "-c", EMPTY],
            "`unterbau --version`": [program, "--version"],
            "`unterbau --help`": [program, "--help"],
            "`unterbau prove --help`": [program, "prove", "--help"],
            "`unterbau judge compose.yaml`": [program, "judge", "compose.yaml"],
            "`unterbau judge redis@7.4`": [program, "judge", "redis@7.4"],
        }
        rows = [[what, f"{cpu(argv, folder):.2f} s"] for what, argv in asked.items()]
    head = f"Measured {time.strftime('%Y-%m-%d')} by `python -m bench.start` on 2 cores: CPU of a whole process, median of {RUNS}."
    publish("start", head, ["what", "CPU"], rows)


if __name__ == "__main__":
    main()
