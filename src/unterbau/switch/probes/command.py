# SPDX-License-Identifier: Apache-2.0
"""A command in a guest, run by the ssh client of whoever asks: with his configuration, agent and jump hosts. `asking` calls it.

The client is told all that a stranger's machine must not get: no forwarding, no delegated ticket, no terminal, no answer to a
question. Host keys are not looked at, since a target's are made anew; the probe `ssh` compares them. Of what the client
says nothing is kept: it is sorted into refused, silent, garbage, or not asked. Whatever becomes of us, it ends: we kill it with all
that it started, and a clock of its own does if we are killed first.
"""

from __future__ import annotations

import math
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from unterbau.errors import Interrupted
from unterbau.switch.probes import door
from unterbau.switch.probes.line import CHUNK
from unterbau.switch.probes.model import BODY_BYTES, Command
from unterbau.verdict import Reason

CAREFUL = (
    "IgnoreUnknown=*",  # what an older client does not know it cannot do; and what the person's own file says to newer ones
    "BatchMode=yes", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no",
    "ForwardAgent=no", "ForwardX11=no", "GSSAPIDelegateCredentials=no", "ClearAllForwardings=yes", "Tunnel=no",
    "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no", "SessionType=default", "ForkAfterAuthentication=no",
    "ControlMaster=no", "ControlPath=none", "ControlPersist=no",
    "GlobalKnownHostsFile=/dev/null", "KnownHostsCommand=none", "UpdateHostKeys=no", "CheckHostIP=no", "VerifyHostKeyDNS=no",
    "ConnectionAttempts=1", "EscapeChar=none",
)  # fmt: skip
"""What the client is told, whatever the person's own file says; `move.blocks` tells it the same."""
_OPTIONS = (
    *CAREFUL,
    "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=VERBOSE",  # it says that it came to a login
)  # fmt: skip
_CLOCKED = """
import os, signal, sys
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.alarm(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What becomes the client, with an alarm that outlives us."""
_LOGGED_IN = b"Authenticated to "
"""What it says before a command is run. Without it a status is some other program's: a loader's, a shell's, our alarm's."""
_ITS_OWN = 255
"""The exit status by which ssh says that it failed itself; a command may end so, too."""
_SAID_BYTES = 2**14
_POLL_SECONDS = 0.1
_NO_LOGIN = re.compile(
    rb"Permission denied|Too many authentication failures|Host key verification failed|Unable to negotiate|no matching "
    rb"(?:host key|key exchange|cipher|MAC)|No supported authentication methods|Could not resolve hostname"
)
_REFUSED = re.compile(rb"Connection refused")
_SILENT = re.compile(rb"timed out|Timeout, server|No route to host|Host is down")
_NO_WAY = re.compile(rb"Network is unreachable|Cannot assign requested address|Address family not supported")
_GARBAGE = re.compile(
    rb"exchange_identification|banner exchange|dispatch_run_fatal|Bad packet|Protocol major versions|"
    rb"Connection (?:closed|reset)|closed by remote host|Broken pipe|incorrect signature"
)


class Ran(NamedTuple):
    """What a command that ended by itself left."""

    status: int
    output: bytes


class Faulty(Exception):
    """The other end does not speak SSH, or no longer."""


class Unasked(Exception):
    """The command was not run, for a reason that lies here, or with who may log in there."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def run(
    probe: Command, address: str, place: tuple[str, int], seconds: float, stop: threading.Event,
    through: Path | None = None,
) -> Ran | None:  # fmt: skip
    """Run it at the address, which is reached at `place` (`through` a door); None if it says more than a MiB, and is ended for that.

    Raises ConnectionRefusedError, TimeoutError, Faulty, Unasked, and Interrupted once `stop` is set.
    """
    program = shutil.which("ssh")
    if program is None:
        raise Unasked(Reason.of("service.state.no-ssh"))
    with _started(_argv(program, probe, address, place, seconds, through), seconds) as process:
        heard = _heard(process, time.monotonic() + seconds, stop)
        if heard is None:
            return None
        output, said = heard
        status = process.wait()
    if 0 <= status < _ITS_OWN and _LOGGED_IN in said:
        return Ran(status, output)
    raise _why(said)


def _argv(
    program: str, probe: Command, address: str, place: tuple[str, int], seconds: float, through: Path | None
) -> list[str]:
    """The line of the client. The address is what the person's configuration knows the guest by; it is only ever an address."""
    host = str(ip_address(address))
    told = [*_OPTIONS, f"ConnectTimeout={max(1, math.ceil(seconds))}", f"HostName={place[0]}"]
    if through is not None:
        way = (sys.executable, "-I", "-S", door.__file__, str(through), place[0], str(place[1]), str(seconds))
        told += [f"ProxyCommand={shlex.join(way).replace('%', '%%')}", "ProxyUseFdpass=yes"]
    options = [word for option in told for word in ("-o", option)]
    return [program, *options, "-l", probe.user, "-p", str(place[1]), "--", host, probe.run]


@contextmanager
def _started(argv: list[str], seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """The client in a session of its own (so it asks at no terminal); at the end none of it is left. Raises Unasked."""
    clocked = [sys.executable, "-I", "-S", "-c", _CLOCKED, str(math.ceil(seconds) + 1), *argv]
    environ = {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}
    try:
        process = subprocess.Popen(
            clocked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ,
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        raise Unasked(Reason.of("service.state.no-ssh")) from None
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)


def _heard(process: subprocess.Popen[bytes], end: float, stop: threading.Event) -> tuple[bytes, bytes] | None:
    """Output and what the client said, once both it and its output have ended; None if that is more than a MiB.

    A helper of the client may keep its standard error open for longer: nobody waits for that.
    """
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both are pipes
    output, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        for stream, kept in ((process.stdout, output), (process.stderr, said)):
            os.set_blocking(stream.fileno(), False)
            ready.register(stream, selectors.EVENT_READ, kept)
        while True:
            ended = process.poll() is not None
            found = ready.select(0 if ended else max(0.0, min(_POLL_SECONDS, end - time.monotonic())))
            for key, _ in found:
                data = os.read(key.fd, CHUNK)
                if not data:
                    ready.unregister(key.fileobj)
                elif key.data is output or len(said) < _SAID_BYTES:
                    key.data.extend(data)
            if len(output) > BODY_BYTES:
                return None
            if ended and not found:
                return bytes(output), bytes(said)
            if stop.is_set():
                raise Interrupted("stopped while asking what the application answers", "Run the same command again.")
            if time.monotonic() >= end:
                raise TimeoutError


def _why(said: bytes) -> Exception:
    """What became of a question that the client could not ask. What it wants from us comes first, since more follows from it."""
    if _NO_LOGIN.search(said):
        return Unasked(Reason.of("service.state.no-login"))
    if _REFUSED.search(said):
        return ConnectionRefusedError()
    if _SILENT.search(said):
        return TimeoutError()
    if not _NO_WAY.search(said) and _GARBAGE.search(said):
        return Faulty()
    return Unasked(Reason.of("service.state.no-command"))
