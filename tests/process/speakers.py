# SPDX-License-Identifier: Apache-2.0
"""Servers on loopback for the tests of probes: each speaks one protocol, or misbehaves in one way. Real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader

import dns.message
import dns.rrset
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from unterbau.switch.probes.ssh import KEX, _mpint, _packet, _Reader, _string

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def talking(talk: Talk) -> Iterator[int]:
    """A port at which every connection is given to `talk`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    plain, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=_talk, args=(talk, plain), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _talk(talk: Talk, plain: socket.socket) -> None:
    with plain, contextlib.suppress(OSError):
        talk(plain)


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that never accepts: the kernel takes the connection, and nobody speaks."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def free() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler],
    certificate: trustme.LeafCert | None = None,
    kind: type[ThreadingHTTPServer] = ThreadingHTTPServer,
) -> Iterator[int]:
    """The free port of this machine on which it answers; over TLS with a certificate."""
    with kind(("127.0.0.1", 0), handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)


@contextlib.contextmanager
def page(
    answer: Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]],
    certificate: trustme.LeafCert | None = None,
) -> Iterator[int]:
    """HTTP: `answer(path, headers)` is status, headers, body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path, dict(self.headers.items()))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that says nothing, or no TLS, is no fault of ours."""

    with serving(Handler, certificate, Server) as port:
        yield port


def saying(data: bytes) -> Talk:
    """Says it, and waits for the other end to go."""

    def talk(plain: socket.socket) -> None:
        plain.sendall(data)
        while plain.recv(65536):
            pass

    return talk


def dripping(data: bytes, seconds: float) -> Talk:
    """Says a byte at a time, for ever."""

    def talk(plain: socket.socket) -> None:
        while True:
            for one in data:
                plain.sendall(bytes([one]))
                time.sleep(seconds)

    return talk


def flooding(head: bytes) -> Talk:
    """Says more than anybody should hear."""

    def talk(plain: socket.socket) -> None:
        plain.sendall(head)
        while True:
            plain.sendall(b"x" * 65536)

    return talk


class Shell:
    """An SSH server as far as the key exchange goes (RFC 4253, RFC 8731). `shows`: the key that it shows."""

    def __init__(self, shows: Ed25519PrivateKey | None = None) -> None:
        self.own = Ed25519PrivateKey.generate()
        self.shown = (shows or self.own).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.blob = _string(b"ssh-ed25519") + _string(self.shown)

    def talk(self, plain: socket.socket) -> None:
        software = b"SSH-2.0-tested_1.0"
        plain.sendall(b"a line before\r\n" + software + b"\r\n")
        with plain.makefile("rb") as heard, contextlib.suppress(struct.error):  # who only greets goes
            self._exchange(plain, heard, software)

    def _exchange(self, plain: socket.socket, heard: BufferedReader, software: bytes) -> None:
        theirs = heard.readline().rstrip(b"\r\n")
        ours = bytes([20]) + os.urandom(16)
        lists = [KEX[0], b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2, b"", b""]
        ours += b"".join(map(_string, lists)) + b"\0" * 5
        plain.sendall(_packet(ours) + _packet(b"\x04\0" + _string(b"debug") + _string(b"")))
        init = self._packet_of(heard)
        point = _Reader(self._packet_of(heard)[1:]).string()
        private = X25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        shared = private.exchange(X25519PublicKey.from_public_bytes(point))
        parts = [theirs, software, init, ours, self.blob, point, public]
        digest = hashlib.sha256(b"".join(map(_string, parts)) + _string(_mpint(shared))).digest()
        signed = _string(b"ssh-ed25519") + _string(self.own.sign(digest))
        plain.sendall(_packet(bytes([31]) + _string(self.blob) + _string(public) + _string(signed)))

    @staticmethod
    def _packet_of(heard: BufferedReader) -> bytes:
        length = struct.unpack(">I", heard.read(4))[0]
        packet = heard.read(length)
        return packet[1 : length - packet[0]]


@contextlib.contextmanager
def names(records: dict[str, str], garbage: bytes = b"") -> Iterator[int]:
    """A name server (UDP) for A records; with `garbage` it says that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.bind(("127.0.0.1", 0))
        plain.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    data, whom = plain.recvfrom(4096)
                    asked = dns.message.from_wire(data)
                    reply = dns.message.make_response(asked)
                    name = asked.question[0].name
                    found = records.get(name.to_text(omit_final_dot=True))
                    if found:
                        reply.answer.append(dns.rrset.from_text(name, 300, "IN", "A", found))
                    plain.sendto(garbage or reply.to_wire(), whom)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield plain.getsockname()[1]
        finally:
            ended.set()
            thread.join(5)
