# SPDX-License-Identifier: Apache-2.0
"""Sockets of a network that this machine does not reach, given by who stands in it. `line`, `asking` and ssh (`command`) ask here.

An embedded cloud that no root made has its public addresses in a network of its own (`reference/runtime/ground.py`, `keep_the_door`).
What goes through such a socket is asked by this process all the same, and is refused, silent or answered as it is there.
Standard library only: as a program, `door.py DOOR HOST PORT SECONDS`, it connects and hands the connection to ssh (ProxyUseFdpass).
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Literal

_SECONDS = 5.0


def given(door: Path, kind: Literal["tcp", "udp"], host: str) -> socket.socket:
    """A socket of that kind for that address, not connected. OSError (ENETUNREACH): nobody keeps the door."""
    with socket.socket(socket.AF_UNIX) as asks:
        asks.settimeout(_SECONDS)
        try:
            asks.connect(str(door))
            asks.sendall(f"{kind}{6 if ':' in host else 4}".encode())
            handles = socket.recv_fds(asks, 1, 1, socket.MSG_CMSG_CLOEXEC)[1]
        except OSError:
            handles = []
    if not handles:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
    return socket.socket(fileno=handles[0])


def connected(door: Path, place: tuple[str, int], seconds: float) -> socket.socket:
    """A connection (TCP) to that place, which is an address. Raises OSError."""
    made = given(door, "tcp", place[0])
    try:
        made.settimeout(seconds)
        made.connect(place)
    except BaseException:
        made.close()
        raise
    return made


def _main(door: str, host: str, port: str, seconds: str) -> int:
    try:
        with connected(Path(door), (host, int(port)), float(seconds)) as made, socket.socket(fileno=1) as ssh:
            made.setblocking(True)
            socket.send_fds(ssh, [b"\0"], [made.fileno()])
    except OSError as error:
        sys.stderr.write(f"{os.strerror(error.errno) if error.errno else error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
