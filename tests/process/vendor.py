# SPDX-License-Identifier: Apache-2.0
"""A vendor of images for tests: https under a CA of its own, files by path, redirects, and bodies that break off."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import trustme
import yaml
from speakers import serving

from unterbau import qcow2

FILE = "gast-1-amd64.qcow2"


@dataclass
class Vendor:
    """What it serves; `asked` is what was asked for."""

    port: int
    authority: Path
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    """Path -> after how many bytes its answer ends."""
    asked: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """Names of the headers of all requests."""

    def url(self, path: str = "", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/{path}"

    def publish(self, image: bytes, digest: str = "") -> None:
        """A build, and its checksum beside it."""
        self.files[f"/gast/{FILE}"] = image
        digest = digest or hashlib.sha256(image).hexdigest()
        self.files["/gast/SHA256SUMS"] = f"{'0' * 64} *other.img\n{digest} *{FILE}\n".encode()

    def entry(self, **change: Any) -> dict[str, Any]:
        """Its entry in a catalogue."""
        return {
            "name": "gast", "title": "Gast 1", "distro": "gast", "version": "1", "user": "gast", "min_disk_gib": 1,
            "min_ram_mib": 64, "description": "https://gast.example/", "folder": self.url("gast/"), "file": FILE,
            "checksums": "SHA256SUMS", "algorithm": "sha256",
            "sources": [{"url": "https://gast.example/", "at": "2026-11-27", "read": "original"}], **change,
        }  # fmt: skip

    def catalogue(self, path: Path, **change: Any) -> Path:
        path.write_text(yaml.safe_dump({"entries": [self.entry(**change)]}))
        return path


def disk(content: bytes, gib: int = 2) -> bytes:
    """A qcow2 file of a disk that begins so."""
    used = [(0, len(content))]
    return b"".join(qcow2.Written(gib << 30, used, lambda place, length: content[place : place + length]))


@contextmanager
def vendor(folder: Path) -> Iterator[Vendor]:
    """Started on a free port of this machine; stopped at the end."""
    authority = trustme.CA(organization_name="Vendor of the tests")
    authority.cert_pem.write_to_path(str(folder / "vendor-ca.pem"))
    told: list[Vendor] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one = told[0]
            one.asked.append(self.path)
            one.heard += self.headers.keys()
            if self.path in one.redirects:
                self.send_response(302)
                self.send_header("Location", one.redirects[self.path])
                self.end_headers()
                return
            data = one.files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.send_header("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
            self.end_headers()
            self.wfile.write((data or b"")[: one.cut.get(self.path)])

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with serving(Handler, authority.issue_cert("localhost", "127.0.0.1")) as port:
        told.append(Vendor(port, folder / "vendor-ca.pem"))
        yield told[0]


@dataclass
class Office:
    """A proxy that CONNECTs; `asked` is to whom it was asked to."""

    port: int
    asked: list[str] = field(default_factory=list)


@contextmanager
def proxy(user: str = "") -> Iterator[Office]:
    """On a free port of this machine; with `user` (NAME:PASSWORD) it serves nobody else."""
    wanted = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None
    told: list[Office] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if wanted and self.headers["Proxy-Authorization"] != wanted:
                self.send_error(407)
                return
            told[0].asked.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=_pass, args=(there, self.connection), daemon=True)
                back.start()
                _pass(self.connection, there)
                back.join()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with serving(Handler) as port:
        told.append(Office(port))
        yield told[0]


def _pass(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
