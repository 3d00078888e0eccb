# SPDX-License-Identifier: Apache-2.0
"""The supervisor: one process a cloud that owns the services, restarts them, and tells how they are.

`supervise` makes it a process of its own. It starts services as soon as their needs are met, runs the
bootstrap, and stays until told to stop.
What it knows stands in `status.json`, whole and current after each change; it listens on nothing.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from unterbau.errors import LocalError, ServiceDied, UnterbauError
from unterbau.reference import disk, process
from unterbau.reference.process import Service

State = Literal["waiting", "starting", "running", "restarting", "dead", "stopped"]
Phase = Literal["starting", "ready", "failed", "stopping", "stopped"]

START_SECONDS = 300.0
RESTARTS = 5
"""After so many deaths within `CALM_SECONDS` of life each, a service stays dead."""
CALM_SECONDS = 300.0
STOP_SECONDS = 6.0


@dataclass
class ServiceRecord:
    """What `status.json` says of one service."""

    name: str
    state: State = "waiting"
    pid: int | None = None
    created: float | None = None
    """Start time of the process as the kernel tells it: pid and this name a process for good."""
    port: int | None = None
    restarts: int = 0
    error: str = ""


@dataclass
class CloudRecord:
    """What `status.json` says."""

    supervisor: int
    created: float
    phase: Phase = "starting"
    progress: list[str] = field(default_factory=list)
    error: str = ""
    remedy: str = ""
    kind: str = ""
    services: dict[str, ServiceRecord] = field(default_factory=dict)


class Supervisor:
    """Runs the services of one cloud until told to stop; the first of `services` are started first.

    `after` holds, by service name, what to do once when that service is ready for the first time and before
    others that need it start; `finish` is done when all are ready. Both may raise UnterbauError.
    """

    def __init__(
        self,
        root: Path,
        services: Sequence[Service],
        probe: process.Probe,
        after: Mapping[str, Callable[[Callable[[str], None]], None]],
        finish: Callable[[Callable[[str], None]], None],
        spawn: process.Spawn = process.spawn,
    ) -> None:
        self._root = root
        self._services = {s.name: s for s in services}
        self._probe = probe
        self._after = dict(after)
        self._finish = finish
        self._spawn = spawn
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._ready = {name: threading.Event() for name in self._services}
        self._running: dict[str, process.Running] = {}
        self._stopping = threading.Event()
        me = psutil.Process()
        self._record = CloudRecord(me.pid, me.create_time())
        self._record.services = {s.name: ServiceRecord(s.name, port=s.port) for s in services}
        self._publish()

    def run(self) -> int:
        """Start everything, stay until `stop` or a failed start; returns the exit status."""
        keepers = [threading.Thread(target=self._keep, args=(s,), name=s.name) for s in self._services.values()]
        for keeper in keepers:
            keeper.start()
        self._complete()
        self._stopping.wait()
        with self._lock:
            failed = self._record.phase == "failed"
            if not failed:
                self._record.phase = "stopping"
            self._publish()
        self._stop_all(keepers)
        with self._lock:
            for record in self._record.services.values():
                if record.state != "dead":
                    record.state = "stopped"
                record.pid = record.created = None
            if not failed:
                self._record.phase = "stopped"
            self._publish()
        return 1 if failed else 0

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stopping.set()

    def _complete(self) -> None:
        """Wait until all are ready, do what comes last, and say so."""
        for event in self._ready.values():
            while not event.wait(0.2):
                if self._stopping.is_set():
                    return
        try:
            self._finish(self._say)
        except UnterbauError as error:
            self._fail(error)
            return
        with self._lock:
            if not self._stopping.is_set():
                self._record.phase = "ready"
                self._say("ready")

    # ---- one service

    def _keep(self, service: Service) -> None:
        """The life of one service: needs, start, ready, death, and again."""
        for need in service.needs:
            while not self._ready[need].wait(0.2):
                if self._stopping.is_set():
                    return
        while not self._stopping.is_set():
            running = self._start(service)
            if running is None:
                return
            began = time.monotonic()
            ready = self._await(running)
            if ready:
                running.child.wait()
            death = running.died() if running.exit_code() is not None else None
            running.finish(STOP_SECONDS)
            if self._stopping.is_set() or not self._bury(service, running, death, time.monotonic() - began):
                return

    def _start(self, service: Service) -> process.Running | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            record = self._record.services[service.name]
            try:
                running = process.Starter(service, self._root / "log" / f"{service.name}.log", self._spawn).start()
            except LocalError as error:
                self._give_up(record, error)
                return None
            self._running[service.name] = running
            record.pid, record.created = running.pid, _created(running.pid)
            record.state = "starting"
            self._publish()
        return running

    def _await(self, running: process.Running) -> bool:
        """Wait until ready; the first time, do what comes after. False if it failed."""
        name = running.service.name
        try:
            running.wait_ready(self._probe, START_SECONDS)
            with self._lock:
                record = self._record.services[name]
                record.state, record.error = "running", ""
                self._say(f"{name} answers")
            if not self._ready[name].is_set():
                if name in self._after:
                    self._after[name](self._say)
                self._ready[name].set()
        except UnterbauError as error:
            if not self._stopping.is_set():
                self._note(name, error)
            running.ask_to_end()
            return False
        return True

    def _note(self, name: str, error: UnterbauError) -> None:
        """Before the cloud was ready an error ends the start; later it only stands in the record."""
        with self._lock:
            self._record.services[name].error = error.what
            if self._record.phase == "starting":
                self._record.services[name].state = "dead"
                self._fail(error)
            else:
                self._publish()

    def _bury(self, service: Service, running: process.Running, death: ServiceDied | None, lived: float) -> bool:
        """Record a death after the start; True if the service shall be started again (after a pause)."""
        with self._lock:
            record = self._record.services[service.name]
            record.pid = record.created = None
            if death is not None:
                record.error = death.what
            if self._record.phase == "starting":
                self._give_up(record, death or ServiceDied(f"{service.name} ended"))
                return False
            record.restarts = record.restarts + 1 if lived < CALM_SECONDS else 1
            if record.restarts > RESTARTS:
                self._give_up(record, death or ServiceDied(f"{service.name} ended"))
                return False
            record.state = "restarting"
            self._say(f"{service.name} died and is started again ({record.restarts} of {RESTARTS})")
            pause = min(0.2 * 2**record.restarts, 10.0)
        return not self._stopping.wait(pause)

    def _give_up(self, record: ServiceRecord, error: LocalError) -> None:
        record.state = "dead"
        record.error = record.error or error.what
        if self._record.phase == "starting":
            self._fail(error)
        self._say(f"{record.name} is dead")

    # ---- the whole

    def _fail(self, error: UnterbauError) -> None:
        with self._lock:
            if self._record.phase != "failed":
                self._record.phase = "failed"
                self._record.error, self._record.remedy, self._record.kind = (
                    error.what,
                    error.remedy,
                    error.kind,
                )
            self._publish()
            self._stopping.set()

    def _stop_all(self, keepers: Sequence[threading.Thread]) -> None:
        with self._lock:
            children = list(self._running.values())
        for running in children:
            running.ask_to_end()
        deadline = time.monotonic() + STOP_SECONDS
        for keeper in keepers:
            keeper.join(max(0.0, deadline - time.monotonic()))
        for running in children:
            if running.exit_code() is None:
                running.child.kill()
        for keeper in keepers:
            keeper.join(STOP_SECONDS)

    def _say(self, line: str) -> None:
        with self._lock:
            self._record.progress.append(f"{time.monotonic() - self._began:6.1f} s  {line}")
            del self._record.progress[:-200]
            self._publish()

    def _publish(self) -> None:
        with self._lock:
            try:
                disk.write_private(self._root / "status.json", json.dumps(asdict(self._record)), durable=False)
            except LocalError as error:
                # A full disk must not end the supervisor: the services go on, the log says why.
                print(f"status.json could not be written: {error.what}", file=sys.stderr, flush=True)  # noqa: T201


def _created(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None
