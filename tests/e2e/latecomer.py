# SPDX-License-Identifier: Apache-2.0
"""A proxy before the services of one cloud which answers some writes with 504 at once and sends them on later.

Own because it must go on with a request whose client has its answer, as a load balancer does. TLS on loopback; it knows nothing
of Unterbau. Bodies are held in memory.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

Late = Callable[[str, str], float | None]
_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "te", "upgrade"}


class Latecomer:
    """Proxies for several endpoints. `late(method, path)`: after how many seconds it is sent on; None: at once."""

    def __init__(self, folder: Path, ca_of_cloud: Path, late: Late) -> None:
        self.late = late
        self.sent_late: list[tuple[str, str, int]] = []
        """Method, path and status of each late request."""
        self._trust = ssl.create_default_context(cafile=str(ca_of_cloud))
        self._servers: list[ThreadingHTTPServer] = []
        self._threads: list[threading.Thread] = []
        ca = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(self._context)
        self.cacert = folder / "ca.pem"
        """Signs the proxies and the cloud itself."""
        self.cacert.write_bytes(ca.cert_pem.bytes() + ca_of_cloud.read_bytes())

    def before(self, endpoint: str) -> str:
        """The address of a proxy before that endpoint."""
        to = urlsplit(endpoint)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, to.hostname or "", to.port or 443))
        server.socket = self._context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        self._servers.append(server)
        self.start(server.serve_forever)
        return f"https://127.0.0.1:{server.server_address[1]}{to.path}"

    def start(self, work: Callable[[], object]) -> None:
        """In a thread that `close` waits for."""
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def forward(self, host: str, port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        """Status, headers and body of the service's answer."""
        connection = http.client.HTTPSConnection(host, port, context=self._trust, timeout=600)
        try:
            connection.request(method, path, body=body or None, headers={**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(60)


def _handler(proxy: Latecomer, host: str, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body, method, path = self._body(), self.command, self.path
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            after = proxy.late(method, path)
            if after is None:
                self._answer(*proxy.forward(host, port, method, path, headers, body))
                return

            def later() -> None:
                time.sleep(after)
                status, _, _ = proxy.forward(host, port, method, path, headers, body)
                proxy.sent_late.append((method, path, status))

            proxy.start(later)
            self._answer(504, [("Content-Type", "text/html")], b"<h1>504 Gateway Time-out</h1>")

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            length = len(body)
            for key, value in headers:
                if key.lower() == "content-length" and self.command == "HEAD":
                    length = int(value)
                if key.lower() not in _HOP:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_COPY = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler


@contextmanager
def latecomer(folder: Path, ca_of_cloud: Path, late: Late) -> Iterator[Latecomer]:
    """A proxy that is closed at the end."""
    proxy = Latecomer(folder, ca_of_cloud, late)
    try:
        yield proxy
    finally:
        proxy.close()
