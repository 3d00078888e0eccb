# SPDX-License-Identifier: Apache-2.0
"""The process that the crash suite kills: `mover.py ROOT SIDE KILL_AFTER run|unwind`.

It moves the seeded tenant between the two simulators under ROOT and, after journal write number KILL_AFTER of
this process, kills itself with SIGKILL: nothing of Python's clean-up runs. 0 never kills.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from unterbau import move, planning
from unterbau.cloud.simulator import Simulator
from unterbau.saga import Journal, run, unwind
from unterbau.workload import Workload


def main() -> int:
    root, kill_after, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    written = 0

    def on_write(seq: int) -> None:
        nonlocal written
        written += 1
        if written == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    plan = planning.load((root / "plan.yaml").read_text())
    workload = Workload.model_validate_json((root / "source.json").read_bytes())
    steps = move.steps(plan, workload, source, target)
    with Journal(root / "journal.db", on_write=on_write) as journal:
        result = (run if what == "run" else unwind)(steps, journal, plan=plan.digest(), workers=4)
    return 0 if result.complete else 1


if __name__ == "__main__":
    sys.exit(main())
