# SPDX-License-Identifier: Apache-2.0
"""Proxmox VE: parts out of its API's answers, and the client against a simulated API over real TLS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from unterbau import catalogue
from unterbau import stack as readers
from unterbau.errors import AuthFailed, Broken, CloudError, Forbidden, NotFound, Unreachable, UsageError
from unterbau.stack import proxmox
from unterbau.stack.recognise import recognise

TOKEN = "audit@pve!unterbau=0b7e1f2c-secret"
API: dict[str, Any] = {
    "/version": {"version": "8.2.7", "release": "8.2", "repoid": "3e0176e6"},
    "/nodes": [{"node": "pve1", "status": "online"}, {"node": "pve2", "status": "online"}],
    "/nodes/pve1/apt/versions": [
        {"Package": "pve-manager", "OldVersion": "8.2.7", "Version": "8.2.8", "CurrentState": "Installed"},
        {"Package": "qemu-server", "OldVersion": "8.2.4", "CurrentState": "Installed"},
        {"Package": "ceph", "CurrentState": "NotInstalled"},
        {"odd": 1},
    ],
    "/nodes/pve1/status": {"current-kernel": {"release": "6.8.12-2-pve"}, "kversion": "Linux 6.8.12-2-pve #1 SMP"},
    "/storage": [{"storage": "vm", "type": "rbd"}, {"storage": "local", "type": "dir"}],
    "/cluster/resources": [{"type": "qemu", "vmid": 100}, {"type": "lxc", "vmid": 101}, {"type": "node"}],
    "/cluster/ha/resources": [],
    "/cluster/sdn/zones": [{"zone": "z", "type": "evpn"}],
    "/cluster/backup": [],
}


class Memory:
    """The API as data."""

    def get(self, path: str) -> Any:
        if path not in API:
            raise Forbidden(f"{path}: no")
        return API[path]


@pytest.mark.thorough
def test_the_answers_become_parts(tmp_path: Path) -> None:
    told = proxmox.ask(Memory())
    stack = proxmox.proxmox_stack(told, "pve.example")
    versions = {p.name: p.version for p in stack.parts}
    assert (versions["proxmox-ve"], versions["pve-manager"], versions["linux"]) == ("8.2.7", "8.2.7", "6.8.12-2-pve")
    assert "ceph" in versions
    assert {p.where[0].file for p in stack.parts} == {"pve.example"}
    reasons = [u.reason for u in stack.unread]
    assert any("1 virtual machines and 1 containers" in r for r in reasons)
    assert sum("Forbidden" in r for r in reasons) == 2
    found = {p.technology for p in recognise(stack, catalogue.load()).parts}
    assert {"proxmox-ve", "linux-kernel", "ceph", "kvm"} <= found
    path = tmp_path / "pve.json"
    path.write_text(json.dumps(told))
    assert {p.name for p in readers.read(path).parts} == set(versions)
    assert len(readers.read(path).unread) == len(stack.unread)


@pytest.mark.parametrize("root", ["/", "", "/api2/json/"])
def test_answers_put_into_one_file_by_hand(tmp_path: Path, root: str) -> None:
    path = tmp_path / "pve.json"
    path.write_text(json.dumps({f"{root}{p}": {"data": API[f"/{p}"]} for p in ("version", "nodes", "storage")}))
    stack = readers.read(path)
    assert {p.name: p.version for p in stack.parts} == {"proxmox-ve": "8.2.7", "ceph": None}
    assert [u.place.spot for u in stack.unread] == ["/nodes/pve1/apt/versions", "/nodes/pve2/apt/versions"]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        path = self.path.removeprefix("/api2/json")
        status, body = 200, json.dumps({"data": API.get(path)}).encode()
        if self.headers["Authorization"] != f"PVEAPIToken={TOKEN}":
            status, body = 401, b""
        elif path == "/nonsense":
            body = b"<html>"
        elif path == "/broken":
            status = 595
        elif path not in API:
            status = 404 if path == "/gone" else 403
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and CA file of a simulated API."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    listening = ThreadingHTTPServer(("localhost", 0), Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{listening.server_port}", str(ca)
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.mark.thorough
def test_the_client_over_tls(server: tuple[str, str]) -> None:
    url, ca = server
    told = proxmox.ask(proxmox.Client(url, TOKEN, ca=ca))
    assert told == proxmox.ask(Memory()) | {"refused": told["refused"]}
    assert set(told["refused"]) == {"/nodes/pve2/apt/versions", "/nodes/pve2/status"}


@pytest.mark.parametrize(
    ("path", "error"), [("/gone", NotFound), ("/hidden", Forbidden), ("/nonsense", Broken), ("/broken", Broken)]
)
def test_answers_that_are_errors(server: tuple[str, str], path: str, error: type[CloudError]) -> None:
    client = proxmox.Client(server[0], TOKEN, ca=server[1])
    with pytest.raises(error) as raised:
        client.get(path)
    assert "secret" not in raised.value.what + raised.value.remedy + repr(client)


@pytest.mark.thorough
def test_a_wrong_token_and_an_unknown_authority(server: tuple[str, str]) -> None:
    with pytest.raises(AuthFailed) as refused:
        proxmox.ask(proxmox.Client(server[0], "audit@pve!x=other-secret", ca=server[1]))
    with pytest.raises(Unreachable, match="certificate does not verify") as unknown:
        proxmox.ask(proxmox.Client(server[0], TOKEN))
    with pytest.raises(Unreachable):
        proxmox.Client("https://localhost:1", TOKEN).get("/version")
    assert "secret" not in refused.value.what + unknown.value.what


@pytest.mark.parametrize(
    ("url", "token", "what"),
    [("http://user:pw@pve.example", TOKEN, "speaks https"), ("https://pve.example", "secret", "another form")],
)
def test_what_a_user_may_get_wrong(url: str, token: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as error:
        proxmox.Client(url, token)
    assert "secret" not in error.value.what
    assert "pw@" not in error.value.what
    with pytest.raises(UsageError, match="no certificate authority"):
        proxmox.Client("https://pve.example", TOKEN, ca="no-such-file.pem")
