# SPDX-License-Identifier: Apache-2.0
"""A child process, waited for: how it ended, after how long, and how much memory it had at most.

Its memory is the high-water mark of its own address space (proc(5), VmHWM), read while it lives. What `wait4` tells of a child
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
    """Wait; its seconds from now on, and the most bytes of memory as seen last before its end. Fails after `within` seconds."""
    begun, status, peak = time.monotonic(), Path(f"/proc/{child.pid}/status"), 0
    while child.poll() is None:
        assert time.monotonic() - begun < within, f"it did not end within {within} s"
        told = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        peak = int(told[1]) * 1024 if told else peak
        time.sleep(OFTEN)
    return time.monotonic() - begun, peak
