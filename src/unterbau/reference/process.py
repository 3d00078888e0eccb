# SPDX-License-Identifier: Apache-2.0
"""One child process of an embedded cloud, as three types: Starter -> Running -> Stopped.

The supervisor drives these. Waiting asks two questions each time: does it answer, and is it dead?
Every child gets the reading end of a pipe whose writing end only its parent holds (UNTERBAU_LIFELINE_FD):
when the parent goes, in whatever way, the child reads end-of-file and ends.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unterbau.errors import ServiceDied
from unterbau.reference import disk
from unterbau.reference.layout import ADDRESS

LIFELINE = "UNTERBAU_LIFELINE_FD"
TAIL_BYTES = 2000
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
_POLL_SECONDS = 0.05


def tail(log: Path, size_bytes: int = TAIL_BYTES) -> str:
    """The last whole lines of a log, at most `size_bytes`; empty if there is none."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - size_bytes)
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return (text.partition("\n")[2] if start else text).rstrip()


class Service(Protocol):
    """What is needed to run a service (`services.Service` is one)."""

    @property
    def name(self) -> str:
        """Unique in the cloud."""

    @property
    def argv(self) -> tuple[str, ...]:
        """Command line; no secrets in it."""

    @property
    def env(self) -> Mapping[str, str]:
        """Environment beside the few inherited variables."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Services that must be ready first."""

    @property
    def ready(self) -> str | None:
        """Path whose GET answers below 500 when ready; None: no question is asked."""

    @property
    def port(self) -> int | None:
        """TCP port on 127.0.0.1."""

    @property
    def socket(self) -> Path | None:
        """Unix socket that accepts when it is ready, where no path is asked for."""

    @property
    def forked(self) -> bool:
        """Whether it may be a fork of what has loaded already."""


class Child(Protocol):
    """A started process: what is used of `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """The exit status (negative: the signal), None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, when it has ended. Raises subprocess.TimeoutExpired."""

    def terminate(self) -> None:
        """SIGTERM, if it lives."""

    def kill(self) -> None:
        """SIGKILL, if it lives."""


Spawn = Callable[[Service, int, int], Child]
"""Start a service with a lifeline and an output (file descriptors) in a session of its own. Raises OSError."""


def inherited() -> dict[str, str]:
    """The few variables of our own environment that every service gets."""
    return {key: os.environ[key] for key in INHERITED if key in os.environ}


def spawn(service: Service, lifeline: int, output: int) -> Child:
    """A `Spawn`: a process made by itself. Ctrl-C in the terminal is for us; `stop` reaches grandchildren too."""
    return subprocess.Popen(
        service.argv,
        env=inherited() | dict(service.env) | {LIFELINE: str(lifeline)},
        pass_fds=(lifeline,),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        cwd="/",
    )


class Probe(Protocol):
    """Asks a service whether it is ready."""

    def __call__(self, service: Service) -> bool:
        """True if the service answers as it should."""


def https_probe(ca: Path, timeout_seconds: float = 5.0) -> Probe:
    """A probe: any HTTP answer below 500 over verified TLS, or a socket that accepts; asked for neither, it is ready."""
    context = ssl.create_default_context(cafile=str(ca))

    def probe(service: Service) -> bool:
        if service.ready is None or service.port is None:
            return service.socket is None or _accepts(service.socket)
        connection = http.client.HTTPSConnection(ADDRESS, service.port, timeout=timeout_seconds, context=context)
        try:
            connection.request("GET", service.ready)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def _accepts(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(str(place))
        except OSError:
            return False
    return True


def listens(port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((ADDRESS, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Starter:
    """A service that does not run yet."""

    service: Service
    log: Path
    spawn: Spawn = spawn

    def start(self) -> Running:
        """Start the process; its output is appended to the log."""
        reading, writing = os.pipe()
        try:
            with disk.translated(self.log):
                output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                child = self.spawn(self.service, reading, output)
            finally:
                os.close(output)
        except OSError as error:
            os.close(writing)
            raise ServiceDied(f"{self.service.name} could not be started: {error}") from error
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return Running(self.service, self.log, child, writing, time.time())


@dataclass(frozen=True)
class Running:
    """A service whose process was started; it may have died since (`exit_code`)."""

    service: Service
    log: Path
    child: Child
    lifeline: int
    started_at: float
    """Seconds since the epoch."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.child.pid

    def exit_code(self) -> int | None:
        """None while alive; otherwise the exit status (negative: the signal)."""
        return self.child.poll()

    def wait_ready(self, probe: Probe, timeout_seconds: float) -> None:
        """Return when the probe says ready.

        Raises:
            ServiceDied: it ended, or was not ready in time; the message ends with the log's tail.
        """
        deadline = time.monotonic() + timeout_seconds
        while not probe(self.service):
            if self.exit_code() is not None:
                raise self.died()
            if time.monotonic() > deadline:
                raise ServiceDied(self._story(f"did not become ready within {timeout_seconds:.0f} s"))
            time.sleep(_POLL_SECONDS)
        if self.exit_code() is not None:  # somebody else answered on its port
            raise self.died()

    def died(self) -> ServiceDied:
        """The error that tells how the service ended."""
        code = self.exit_code()
        how = "ended" if code is None else _describe(code)
        return ServiceDied(self._story(how))

    def _story(self, how: str) -> str:
        last = tail(self.log)
        return f"{self.service.name} {how}; the end of {self.log}:\n{last}" if last else f"{self.service.name} {how}"

    def stop(self, patience_seconds: float = 5.0) -> Stopped:
        """SIGTERM, then SIGKILL to the whole session after `patience_seconds`; returns when it is gone."""
        self.ask_to_end()
        return self.finish(patience_seconds)

    def ask_to_end(self) -> None:
        """Send SIGTERM; do not wait."""
        if self.child.poll() is None:
            self.child.terminate()

    def finish(self, patience_seconds: float) -> Stopped:
        """Wait for the end, and force it when patience is over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(patience_seconds)
        _kill_session(self.child.pid)
        code = self.child.wait()
        os.close(self.lifeline)
        return Stopped(self.service, code)


@dataclass(frozen=True)
class Stopped:
    """A service whose process is gone."""

    service: Service
    exit_code: int


def _kill_session(pid: int) -> None:
    """End whatever is left of the process group that the child led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _describe(code: int) -> str:
    if code < 0:
        return f"was ended by signal {signal.Signals(-code).name}"
    return f"ended with exit status {code}"
