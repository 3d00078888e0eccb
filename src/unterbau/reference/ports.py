# SPDX-License-Identifier: Apache-2.0
"""Choose a block of free TCP ports for a new cloud, and say who holds a port that should be free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

import psutil

from unterbau.errors import LocalError
from unterbau.reference.layout import ADDRESS, Ports

# Below the ephemeral range of Linux (32768), so that no outgoing connection sits on one of them by chance.
_FIRST, _LAST, _STEP = 21000, 31000, 40


def choose(used: Iterable[int]) -> Ports:
    """A block that no other cloud has (`used`: their ports) and nobody listens on now.

    Raises:
        LocalError: no block is free.
    """
    taken = set(used)
    bases = list(range(_FIRST, _LAST, _STEP))
    random.SystemRandom().shuffle(bases)
    for base in sorted(bases[:20]) + bases[20:]:
        ports = Ports.block(base)
        if not taken & set(ports.all().values()) and all(is_free(p) for p in ports.all().values()):
            return ports
    raise LocalError(f"no block of free ports between {_FIRST} and {_LAST}", "Wipe clouds that you do not need.")


def is_free(port: int) -> bool:
    """Whether a service could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def demand_free(ports: Ports, cloud: str) -> None:
    """LocalError that names the holder, if one of a cloud's ports is taken by somebody else."""
    for service, port in ports.all().items():
        if not is_free(port):
            raise LocalError(
                f"port {port} ({service} of cloud {cloud}) is taken by {holder(port)}",
                f"End that process, or wipe the cloud to get other ports: unterbau cloud wipe {cloud}",
            )


def holder(port: int) -> str:
    """Who listens on the port, in words, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    break
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return "a process of another user"


def block_number(ports: Ports) -> int:
    """1 to 250, different for each block: clouds derive public address ranges from it."""
    return (ports.keystone - _FIRST) // _STEP + 1
