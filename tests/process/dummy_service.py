# SPDX-License-Identifier: Apache-2.0
"""A stand-in for an OpenStack service in tests of the launcher: answers over https, ends with its lifeline.

usage: dummy_service.py PORT TLS_DIRECTORY [BEHAVIOUR]
BEHAVIOUR: `well`, `dies-at-start`, `dies-later` (after a second, every time), `dies-once` (the first time),
`deaf` (ignores SIGTERM), `mute` (never listens).
"""

from __future__ import annotations

import os
import signal
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main(port: int, tls: Path, behaviour: str) -> None:
    """Serve until told to end."""
    threading.Thread(target=_lifeline, daemon=True).start()
    if behaviour == "dies-at-start":
        print("cannot open the database: it is not there", flush=True)  # noqa: T201
        sys.exit(3)
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "mute":
        time.sleep(3600)
    mark = tls.parent / f"died-{port}"
    if behaviour == "dies-later" or (behaviour == "dies-once" and not mark.exists()):
        threading.Thread(target=_die, args=(mark,), daemon=True).start()
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "server.pem", tls / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def _lifeline() -> None:
    os.read(int(os.environ["UNTERBAU_LIFELINE_FD"]), 1)
    os._exit(1)


def _die(mark: Path) -> None:
    time.sleep(1)
    mark.touch()
    print("out of luck", flush=True)  # noqa: T201
    os._exit(7)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "well")
