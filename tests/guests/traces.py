# SPDX-License-Identifier: Apache-2.0
"""What a cloud with guests could leave on this machine, looked at as a whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

KINDS = ("net", "pid", "mnt", "user")


@dataclass(frozen=True)
class Traces:
    """What a cloud could leave on this machine, as a whole."""

    processes: frozenset[str]
    """Those in a namespace that is not ours, and those that name the cloud's directory."""
    mounts: tuple[str, ...]
    devices: frozenset[str]
    loops: frozenset[str]
    temporary: frozenset[str]
    """In the folder for temporary files, where nobody else uses it."""


def traces(root: Path, kinds: tuple[str, ...] = KINDS, temporary: str = "") -> Traces:
    """Of the cloud in that directory, as far as this user may look. `kinds`: the namespaces that are compared."""
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
    found = set()
    for process in psutil.process_iter():
        try:
            told = f"{process.pid} {process.cmdline()}"
            strange = any(os.readlink(f"/proc/{process.pid}/ns/{kind}") != mine for kind, mine in own.items())
        except (OSError, psutil.Error):
            continue
        if strange or str(root) in told:
            found.add(told)
    mounts = [" ".join(line.split()[2:]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    loops = {str(p) for p in Path("/sys/block").glob("loop*/loop/backing_file")}
    devices, passing = frozenset(os.listdir("/sys/class/net")), frozenset(os.listdir(temporary) if temporary else ())
    return Traces(frozenset(found), tuple(sorted(mounts)), devices, frozenset(loops), passing)
