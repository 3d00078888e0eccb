# SPDX-License-Identifier: Apache-2.0
"""`imager.py ROOT CATALOGUE KILL_AFTER`: renews, or adds, the entry in the simulator in ROOT, and kills itself with SIGKILL.

Before the so many-th write, of its journal or of the cloud.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from unterbau.cloud.simulator import Simulator
from unterbau.images import adding, model
from unterbau.saga import Journal

WRITES = ("ensure", "write_image", "unmark", "delete")


def tools(root: Path, cloud: Simulator | None = None) -> adding.Tools:
    """For the cloud in `root`."""
    return adding.Tools(
        cloud or Simulator(root / "cloud"),
        root / "state",
        lambda: datetime.now(UTC),
        threading.Event(),
        late_seconds=0.5,
    )


def counted(kill_after: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Counts calls over all that it wraps."""
    seen = [0]

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **more: Any) -> Any:
            seen[0] += 1
            if seen[0] == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **more)

        return counting

    return wrap


if __name__ == "__main__":
    at, catalogue = Path(sys.argv[1]), model.read(yaml.safe_load(Path(sys.argv[2]).read_text()), sys.argv[2])
    wrap = counted(int(sys.argv[3]))
    Journal.append = wrap(Journal.append)  # type: ignore[method-assign]
    for name in WRITES:
        setattr(Simulator, name, wrap(getattr(Simulator, name)))
    work = tools(at)
    if not adding.sync(work, catalogue):
        adding.add(work, catalogue.entries[0], "private")
