# SPDX-License-Identifier: Apache-2.0
"""The whole of a switch in order: census, plan, move, verify, clean up, seal, report.

`cli` calls `drill` and the single verbs; each phase leaves its result as a file in the drill's folder and is
passed over when that file is there. So a run is the resume of an empty folder. Nothing is decided here about
fates, steps or verdicts: those are `planning`, `move` and `verify`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from unterbau import census, move, planning, state
from unterbau.cloud.port import Cloud
from unterbau.errors import Exit, Failed, Interrupted, LocalError, PlanError, Refused, UnterbauError
from unterbau.face import Face
from unterbau.plan import Plan
from unterbau.saga import Event, Journal, RunResult, run, unwind
from unterbau.state import Folder
from unterbau.verdict import Outcome
from unterbau.workload import Workload

M = TypeVar("M", bound=BaseModel)
AGAIN = "Run the same command again: it goes on where it stopped."


@dataclass(frozen=True)
class Tools:
    """What the phases work with; `wiring` puts it together."""

    connect: Callable[[str], Cloud]
    now: Callable[[], datetime]
    face: Face
    stop: threading.Event
    workers: int = 8

    def check_stop(self, phase: str) -> None:
        """Raises Interrupted if the person asked to stop."""
        if self.stop.is_set():
            raise Interrupted(f"stopped before {phase}", AGAIN)
