# SPDX-License-Identifier: Apache-2.0
"""The page of a cloud's one application, asked as a person would."""

from __future__ import annotations

import http.client
import socket
import time

import openstack
from openstack.connection import Connection

from unterbau import reference
from unterbau.reference.doors import door_to
from unterbau.switch.probes import line

WAIT = 240
_TAIL = 3000


def tenant(cloud: str) -> Connection:
    """The tenant's connection to that embedded cloud."""
    config = openstack.config.OpenStackConfig(config_files=[str(reference.clouds_file(cloud))], load_envvars=False)
    return Connection(config=config.get_one(cloud=cloud))


def connected(address: str, port: int, seconds: float) -> socket.socket:
    """A connection to an address of a cloud: from this machine, or through the door of a cloud without root."""
    return line.connected((address, port), seconds, door_to(address))


def page_at(address: str, path: str = "/", patience: float = 2.0, row: str = "") -> bytes:
    """What is answered there; with `row`, to a POST of it."""
    connection = http.client.HTTPConnection(address, timeout=patience)
    try:
        connection.sock = connected(address, 80, patience)
        connection.sock.settimeout(patience)
        connection.request("POST" if row else "GET", path, row or None)
        return connection.getresponse().read()
    finally:
        connection.close()


def page(there: Connection, row: str = "") -> list[str]:
    """The lines of its page; with `row`, after it was written.

    Where nothing answers within `WAIT` seconds, the ends of the consoles are told: a guest may have died at its boot.
    """
    address = str(next(iter(there.network.ips())).floating_ip_address)
    end = time.monotonic() + WAIT
    while True:
        try:
            return page_at(address, "/cgi-bin/index.cgi", 5, row).decode().splitlines()
        except OSError as error:
            assert time.monotonic() < end, f"{address} did not answer within {WAIT} s: {error!r}\n{_consoles(there)}"
            time.sleep(0.5)


def _consoles(there: Connection) -> str:
    """What each server's console said last."""
    told = []
    for server in there.compute.servers():
        shown = there.compute.get_server_console_output(server)["output"] or "" if server.status == "ACTIVE" else ""
        told.append(f"-- {server.name} ({server.status})\n{shown[-_TAIL:]}")
    return "\n".join(told)
