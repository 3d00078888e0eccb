# SPDX-License-Identifier: Apache-2.0
"""A child process, waited for: how it ended, after how long, and how much memory one process of it had at most.

Those that it starts are looked at as well: a drill's verifier is one. Its memory is the high-water mark of its own address space (proc(5), VmHWM), read while it lives. What `wait4` tells of a child
that was started by vfork counts the memory of who started it: here a process that has run a thousand tests.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

OFTEN = 0.02


def ended(child: subprocess.Popen[Any], within: float) -> tuple[float, int]:
    """Wait; its seconds from now on, and the most bytes of memory of one process as seen last before its end. Fails after `within` seconds."""
    begun, peak = time.monotonic(), 0
    while child.poll() is None:
        assert time.monotonic() - begun < within, f"it did not end within {within} s"
        peak = max(peak, _peak(child.pid))
        time.sleep(OFTEN)
    return time.monotonic() - begun, peak


def _peak(pid: int) -> int:
    """Of a process and of those below it; 0 for one that has ended."""
    process = Path(f"/proc/{pid}")
    try:
        told = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
        below = [int(p) for task in (process / "task").iterdir() for p in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return max([int(told[1]) * 1024 if told else 0, *map(_peak, below)])
