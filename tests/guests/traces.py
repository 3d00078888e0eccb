# SPDX-License-Identifier: Apache-2.0
"""What a cloud with guests could leave on this machine, looked at as a whole."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

KINDS = ("net", "pid", "mnt", "user")


@dataclass(frozen=True)
class Traces:
    """What a cloud could leave on this machine, as a whole."""

    processes: frozenset[str]
    """Those in a namespace that is not ours, and those that name a cloud's directory."""
    mounts: tuple[str, ...]
    devices: frozenset[str]
    loops: frozenset[str]
    temporary: frozenset[str]
    """In the folder for temporary files, where nobody else uses it."""


def traces(*roots: Path, kinds: tuple[str, ...] = KINDS, temporary: str = "") -> Traces:
    """Of the clouds in these directories, as far as this user may look. `kinds`: the namespaces that are compared."""
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
    found = set()
    for process in psutil.process_iter():
        try:
            told = f"{process.pid} {process.cmdline()}"
            strange = any(os.readlink(f"/proc/{process.pid}/ns/{kind}") != mine for kind, mine in own.items())
        except (OSError, psutil.Error):
            continue
        if strange or any(str(root) in told for root in roots):
            found.add(told)
    mounts = [" ".join(line.split()[2:]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    loops = {str(p) for p in Path("/sys/block").glob("loop*/loop/backing_file")}
    devices, passing = frozenset(os.listdir("/sys/class/net")), frozenset(os.listdir(temporary) if temporary else ())
    return Traces(frozenset(found), tuple(sorted(mounts)), devices, frozenset(loops), passing)


def as_before(before: Traces, *roots: Path, temporary: str = "") -> None:
    """Fails unless the machine is soon as it was. What differs is told: another's cloud that came or went meanwhile looks the same."""
    end = time.monotonic() + 30
    while (now := traces(*roots, temporary=temporary)) != before:
        if time.monotonic() > end:
            differing = {
                name: set(getattr(now, name)) ^ set(getattr(before, name)) for name in Traces.__dataclass_fields__
            }
            pytest.fail(f"this machine is not as before: {differing}")
        time.sleep(0.2)
