# SPDX-License-Identifier: Apache-2.0
"""The process that the crash suite kills: `mover.py ROOT KILL_AFTER run|pre-copy|cut-over|unwind calm|late`.

It moves the seeded tenant between the two simulators under ROOT as `unterbau move` does, or takes the move back as
`unterbau close --target` does, and, after journal write number KILL_AFTER of this process, kills itself with SIGKILL: nothing
of Python's clean-up runs. 0 never kills. It prints what it named as perhaps its own, a line a thing.

With `late` the clouds lose the answer to one write in `EACH` and carry it out after all, `SOON` (before it is asked again) or
`LATE` seconds later (after that); what a killed process asked for is carried out as late. The run waits for `WAIT` seconds,
which is more.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import killing

from unterbau.cloud.simulator import Simulator
from unterbau.face import Face
from unterbau.saga import Journal
from unterbau.switch import drill
from unterbau.switch.folders import Folder

EACH, SOON, LATE, WAIT = 11, 0.2, 0.8, 2.0


def folder(root: Path) -> Folder:
    """The drill's folder in a world."""
    return Folder(root / "drill")


def work(root: Path, mood: str) -> drill.Drill:
    """The drill between the two simulators of a world."""
    clouds = {side: Simulator(root / side, name=side) for side in "ab"}
    if mood == "late":
        lost = losing()
        clouds = {s: Simulator(root / s, name=s, lost=lost, pace=0.002, outlive=LATE) for s in "ab"}
    tools = drill.Tools(
        connect=clouds.__getitem__, now=lambda: datetime.now(UTC), face=Face(quiet=True), stop=threading.Event(),
        keys=root / "keys", versions=dict, secrets=lambda name: (), workers=4, late_seconds=WAIT,
    )  # fmt: skip
    return drill.Drill(folder(root), tools)


def losing() -> Callable[[str], float | None]:
    """One write in so many gets no answer; which one hangs on how the threads took turns."""
    number = count(os.getpid())

    def after(request: str) -> float | None:
        n = next(number)
        return None if n % EACH else (SOON, LATE)[n // EACH % 2]

    return after


def main() -> int:
    root, kill_after, what, mood = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    drill.Journal = functools.partial(Journal, on_write=killing.at(kill_after))  # type: ignore[assignment,attr-defined]
    if what != "unwind":
        moved = work(root, mood).move(
            cut="pre-copy" if what == "pre-copy" else "cut-over" if what == "cut-over" else ""
        )
        print("\n".join(moved.swept.named))  # noqa: T201 - the test reads it
        return 0 if moved.complete else 1
    print("\n".join(work(root, mood).close_target().swept.named))  # noqa: T201 - the test reads it
    return 0


if __name__ == "__main__":
    sys.exit(main())
