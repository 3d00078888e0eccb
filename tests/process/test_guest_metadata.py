# SPDX-License-Identifier: Apache-2.0
"""What answers guests of an embedded cloud about themselves: whom it takes for whom, and what it passes on.

Without OVN and without Nova: rows as OVSDB writes them, and somebody on a Unix socket who notes what was asked. With both:
`tests/guests/test_guests_answer.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import unterbau.reference

RUNTIME = Path(unterbau.reference.__file__).parent / "runtime"
BEGIN = "import json, sys, types; sys.path.insert(0, sys.argv[1]); import guest_metadata as told\n"
WANTED = "json.dump(told.wanted({n: {k: told.plain(v) for k, v in r.items()} for n, r in json.load(sys.stdin).items()}), sys.stdout)"
SERVED = """
server = told.Server(("127.0.0.1", 0), told.Handler)
server.network = types.SimpleNamespace(servers=json.loads(sys.argv[3]), order={"nova": sys.argv[2], "secret": "s"})
print(server.server_port, flush=True)
server.serve_forever()
"""


def row(kind: str, network: str, host: list[Any] | None = None, **told: str) -> dict[str, Any]:
    """One of Port_Binding: a set of one is the one itself."""
    ids = ["map", [[f"neutron:{name}", value] for name, value in told.items()]]
    return {"logical_port": f"p-{told.get('device_id')}", "type": kind, "mac": "fa:16:3e:00:00:01 10.0.0.2",
            "datapath": ["uuid", network], "external_ids": ids, "chassis": host or ["set", []]}  # fmt: skip


def test_a_network_is_served_where_a_server_of_this_host_has_a_port_and_each_network_knows_its_own() -> None:
    here = ["uuid", "host"]
    rows = {
        "1": row("localport", "a", device_id="ovnmeta-a", device_owner="network:distributed"),
        "2": row("", "a", here, device_id="one", device_owner="compute:nova", project_id="p", cidrs="10.0.0.5/24 fd00::5/64"),
        "3": row("", "a", device_id="elsewhere", device_owner="compute:nova", project_id="p", cidrs="10.0.0.6/24"),
        "4": row("", "a", here, device_id="balancer", device_owner="Octavia", project_id="p", cidrs="10.0.0.7/24"),
        "5": row("localport", "b", device_id="ovnmeta-b"),
        "6": row("", "b", here, device_id="two", device_owner="compute:nova", project_id="q", cidrs="10.0.0.5/24"),
        "7": row("localport", "empty", device_id="ovnmeta-empty"),
        "8": row("", "without", here, device_id="three", device_owner="compute:nova", project_id="q", cidrs="10.0.0.5/24"),
    }  # fmt: skip
    argv = [sys.executable, "-c", BEGIN + WANTED, str(RUNTIME)]
    done = subprocess.run(argv, input=json.dumps(rows), capture_output=True, text=True, check=True)
    found = {name: servers for name, (_, servers) in json.loads(done.stdout).items()}
    assert found == {
        "a": {"10.0.0.5": ["one", "p"], "fd00::5": ["one", "p"]},
        "b": {"10.0.0.5": ["two", "q"]},
    }


class Nova(BaseHTTPRequestHandler):
    """Notes what it was asked."""

    asked: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        """Like GET, with a body."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST  # noqa: N815 - the name is http.server's

    def address_string(self) -> str:
        """There is none on a Unix socket."""
        return ""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture
def nova(tmp_path: Path) -> Iterator[Path]:
    """Its socket."""
    Nova.asked = []
    place = Path(os.path.relpath(tmp_path / "nova"))
    with socketserver.ThreadingUnixStreamServer(str(place), Nova) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield place
        server.shutdown()


def serving(nova: Path, servers: dict[str, list[str]]) -> Iterator[int]:
    """Its port, for guests who come from these addresses."""
    argv = [sys.executable, "-c", BEGIN + SERVED, str(RUNTIME), str(nova), json.dumps(servers)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def ask(port: int, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST" if body is not None else "GET", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_nova_is_asked_as_the_server_of_that_address_and_no_header_of_a_guest_is_passed_on(nova: Path) -> None:
    for port in serving(nova, {"127.0.0.1": ["server-1", "project-1"]}):
        lies = {
            "X-Instance-ID": "server-2",
            "X-Tenant-ID": "p",
            "X-Forwarded-For": "10.0.0.9",
            "X-Instance-ID-Signature": "0",
        }
        assert ask(port, "/openstack/latest/password?x", b"secret", **lies) == (200, b"{}")
        path, headers, body = Nova.asked[0]
        assert (path, body) == ("/openstack/latest/password?x", b"secret")
        assert {name: value for name, value in headers.items() if name.startswith("x-")} == {
            "x-instance-id": "server-1", "x-tenant-id": "project-1", "x-forwarded-for": "127.0.0.1",
            "x-instance-id-signature": hmac.new(b"s", b"server-1", hashlib.sha256).hexdigest(),
        }  # fmt: skip
        assert ask(port, "/none") == (404, b"{}"), "as Nova says"


def test_a_stranger_a_flood_and_a_nova_that_is_away_are_answered_without_asking(nova: Path, tmp_path: Path) -> None:
    for port in serving(nova, {"10.0.0.5": ["server-1", "project-1"]}):
        assert ask(port, "/latest/meta-data/")[0] == 404
        assert ask(port, "/", bytes(2**16 + 1))[0] == 400
        assert ask(port, "http://elsewhere/")[0] == 400
    for port in serving(tmp_path / "nobody", {"127.0.0.1": ["server-1", "project-1"]}):
        assert ask(port, "/latest/meta-data/")[0] == 503
    assert Nova.asked == []
