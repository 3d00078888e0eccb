# SPDX-License-Identifier: Apache-2.0
"""Start services as forks of one process that has loaded what most of them load (`runtime/nursery.py`).

The supervisor of an embedded cloud uses it for its start: loading is most of what a start costs, and what is loaded
once is in memory once. It says nothing of what runs; that is `services`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from unterbau.errors import ServiceDied
from unterbau.reference import process

_SET_CHILD_SUBREAPER = 36  # prctl(2)
_POLL_SECONDS = 0.02


class Nursery:
    """Forks services until it is closed; from then on each is a process made by itself. Threads may share it.

    This process becomes the parent of every orphan among its descendants (a subreaper, prctl(2)).
    """

    def __init__(self, argv: tuple[str, ...], env: Mapping[str, str], log: Path) -> None:
        self._argv, self._env, self._log = argv, env, log
        self._lock = threading.Lock()
        self._loaded: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._closed = False
        if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise ServiceDied(f"prctl: {os.strerror(ctypes.get_errno())}")

    def spawn(self, service: process.Service, lifeline: int, output: int) -> process.Child:
        """A `process.Spawn`."""
        if not service.forked:
            return process.spawn(service, lifeline, output)
        order = {"argv": service.argv, "env": process.inherited() | dict(service.env), "lifeline": process.LIFELINE}
        with self._lock:
            if self._closed:
                return process.spawn(service, lifeline, output)
            self._loaded = self._loaded or self._load()
            orders, answer = self._loaded[1], b""
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(orders, [json.dumps(order).encode()], [lifeline, output])
                answer = orders.recv(20)
        if not answer:
            raise ConnectionResetError(f"what forks services ended; the end of {self._log}:\n{process.tail(self._log)}")
        return Forked(int(answer))

    def close(self) -> None:
        """The start is over: what is loaded leaves the memory."""
        with self._lock:
            self._closed = True
            if self._loaded is not None:
                loaded, orders = self._loaded
                orders.close()
                loaded.wait()

    def _load(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # It is found, and known as ours, by the variable; its orders are its lifeline.
        env = process.inherited() | dict(self._env) | {process.LIFELINE: "0"}
        with theirs, open(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
            made = subprocess.Popen(
                self._argv,
                env=env,
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )
        return made, ours


class Forked:
    """A child that was forked for us; what `process.Child` asks for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._lock = threading.Lock()
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit status, None while it lives."""
        with self._lock:
            if self._code is None:
                found, status = os.waitpid(self.pid, os.WNOHANG)
                self._code = os.waitstatus_to_exitcode(status) if found else None
            return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, when it has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is None:
                with contextlib.suppress(ChildProcessError):  # another thread has asked before
                    os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            elif time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            else:
                time.sleep(_POLL_SECONDS)
        return code

    def terminate(self) -> None:
        """SIGTERM, if it lives."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, if it lives."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)
