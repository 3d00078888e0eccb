# SPDX-License-Identifier: Apache-2.0
"""A connection to a place that nobody vouches for: bounded in time and bytes, whatever the other end does.

`asking` and `ssh` speak over it. No secret passes: TLS verifies nothing, since what is asked is what is shown. It knows no
protocol.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from unterbau.switch.probes import door

CHUNK = 65536
MOST_BYTES = 2**20 + 2**17
"""What one question may be answered with: a body of a MiB, with what stands around it."""
CONNECT_SECONDS = 5.0


class TooMuch(Exception):
    """The other end says more than anybody should hear."""


class Line:
    """A connection with an end. Raises OSError; TimeoutError past its deadline; TooMuch."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self._socket, self._deadline, self._left = plain, deadline, MOST_BYTES

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._wait()
        self._socket.sendall(data)

    def receive(self, seconds: float | None = None) -> bytes:
        """What comes next, within so many seconds; b"" at the end."""
        self._wait(seconds)
        try:
            data = self._socket.recv(CHUNK)
        except ssl.SSLEOFError:  # an end without a farewell is an end
            return b""
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch
        return data

    def secure(self, name: str) -> ssl.SSLSocket:
        """Speak TLS from now on, with `name` in the hello ("": none)."""
        self._wait()
        secured = _context().wrap_socket(self._socket, server_hostname=name or None)
        self._socket = secured
        return secured

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _wait(self, seconds: float | None = None) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no more in time")
        self._socket.settimeout(left if seconds is None else min(left, seconds))


@contextlib.contextmanager
def opened(place: tuple[str, int], seconds: float, through: Path | None = None) -> Iterator[Line]:
    """A connection (TCP) that ends after so many seconds, `through` a door if one leads there. Raises OSError."""
    deadline = time.monotonic() + seconds
    line = Line(connected(place, seconds, through), deadline)
    try:
        yield line
    finally:
        line.close()


def connected(place: tuple[str, int], seconds: float, through: Path | None = None) -> socket.socket:
    """The connection itself. Raises OSError."""
    patience = min(seconds, CONNECT_SECONDS)
    if through is None:
        return socket.create_connection(place, timeout=patience)
    return door.connected(through, place, patience)


@cache
def _context() -> ssl.SSLContext:
    """Verifies nothing and takes anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
