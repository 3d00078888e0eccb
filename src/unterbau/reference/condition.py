# SPDX-License-Identifier: Apache-2.0
"""The truth about an embedded cloud: what the supervisor wrote, checked against locks, processes and ports.

`status.json` is a claim of a process that may be gone. A service is `running` only if the recorded process
lives (same pid, same start time) and its port accepts a connection; nothing is believed that can be asked.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from unterbau import files
from unterbau.errors import LocalError
from unterbau.reference import disk, extras, packets, plant, process

CloudState = Literal["running", "starting", "degraded", "stopped", "failed"]
ServiceState = Literal["running", "starting", "dead", "stopped"]
Answering = Literal["", "here", "inside"]


@dataclass(frozen=True)
class ServiceStatus:
    """One service, as found now."""

    name: str
    state: ServiceState
    pid: int | None
    port: int | None
    memory_bytes: int
    """Proportional set size: shared pages are counted in parts."""
    uptime_seconds: float
    restarts: int
    error: str
    """Why it is dead or was restarted last, with the tail of its log; empty if it never died."""


@dataclass(frozen=True)
class CloudStatus:
    """One cloud, as found now.

    `running`: everything answers. `degraded`: the supervisor lives, but a service does not answer.
    `starting`: on its way. `stopped`: no supervisor, as after `down`. `failed`: the last start failed, or the
    supervisor was killed; `up` repairs it.
    """

    name: str
    state: CloudState
    root: Path
    auth_url: str
    supervisor_pid: int | None
    supervisor_memory_bytes: int
    services: tuple[ServiceStatus, ...]
    error: str
    floating_ips: Answering = ""
    """Where they answer while it runs: on this machine, or inside a network of the cloud's own; `""`: its networks carry no packets."""

    @property
    def memory_bytes(self) -> int:
        """Proportional set size of all processes, the supervisor included."""
        return self.supervisor_memory_bytes + sum(s.memory_bytes for s in self.services)


def look(name: str) -> CloudStatus:
    """The cloud as it is now.

    Raises:
        LocalError: there is no such cloud on this machine.
    """
    layout = plant.load(name)
    held = files.is_held(layout.root / "supervisor.lock")
    record = disk.read_json(layout.root / "status.json") or {"phase": "stopped", "services": {}, "error": ""}
    with ThreadPoolExecutor(max_workers=8) as pool:
        services = tuple(pool.map(_service, record["services"].values()))
    state = _state(held, record["phase"], services)
    supervisor = plant.alive(record["supervisor"], record["created"]) if held and "supervisor" in record else None
    pid = supervisor.pid if supervisor else None
    memory = _memory([supervisor]) if supervisor else 0
    error = "" if state == "running" else _error(record, services, state)
    answering: Answering = ""
    if pid is not None and extras.OVN in layout.extras:
        answering = "inside" if packets.outside(layout).exists() else "here"
    return CloudStatus(name, state, layout.root, layout.auth_url, pid, memory, services, error, answering)


def _error(record: dict[str, Any], services: tuple[ServiceStatus, ...], state: CloudState) -> str:
    known: str = record["error"] or next((s.error for s in services if s.state == "dead"), "")
    return known or ("the supervisor of this cloud was killed" if state == "failed" else "")


def _state(held: bool, phase: str, services: tuple[ServiceStatus, ...]) -> CloudState:
    if not held:
        return "stopped" if phase == "stopped" else "failed"
    if phase == "ready":
        return "running" if all(s.state == "running" for s in services) else "degraded"
    return "starting" if phase == "starting" else "failed" if phase == "failed" else "stopped"


def _service(record: dict[str, Any]) -> ServiceStatus:
    found = plant.alive(record["pid"], record["created"])
    claimed = record["state"]
    if found is None:
        state: ServiceState = "starting" if claimed == "waiting" else "stopped" if claimed == "stopped" else "dead"
    elif claimed == "running" and (record["port"] is None or process.listens(record["port"])):
        state = "running"
    else:
        state = "starting" if claimed == "starting" else "dead"
    return ServiceStatus(
        name=record["name"],
        state=state,
        pid=found.pid if found else None,
        port=record["port"],
        memory_bytes=_memory(_family(found)) if found else 0,
        uptime_seconds=time.time() - record["created"] if found else 0.0,
        restarts=record["restarts"],
        error=record["error"],
    )


def _memory(processes: Iterable[psutil.Process]) -> int:
    """PSS of the processes; those that are gone or not ours to see count nothing."""
    total = 0
    for each in processes:
        with contextlib.suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total


def _family(found: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [found, *found.children(recursive=True)]
    return []


def exists(name: str) -> bool:
    """Whether there is a cloud of that name, in whatever state."""
    with contextlib.suppress(LocalError):
        plant.load(name)
        return True
    return False
