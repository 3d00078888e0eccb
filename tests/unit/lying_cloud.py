# SPDX-License-Identifier: Apache-2.0
"""A small cloud over real TLS that lies where a test tells it to, and a stranger who records what reaches him.

`LyingCloud` speaks as much of Keystone and of the services as a census and `prove` ask for; it holds nothing. A lie
is a function that takes the place of one answer. `Stranger` listens on another address, with plain HTTP and TLS on
one port and a certificate that the client trusts, and plays along, so that a client which is led astray goes on.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
import yaml

TOKEN = "gAAAAABlying-TOKEN-0123456789abcdef"
PASSWORD = "planted-Passw0rd-77"
APP_SECRET = "planted-application-credential-secret-88"
PROXMOX_SECRET = "0b7e1f2c-planted-proxmox-secret-99"
SECRETS = (TOKEN, PASSWORD, APP_SECRET, PROXMOX_SECRET)
PROJECT = "00112233445566778899aabbccddeeff"


@dataclass(frozen=True)
class Asked:
    """One request. `target` is path and query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    secure: bool = True
    """Whether it came over TLS."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def raw(self) -> bytes:
        return b"\n".join([f"{self.method} {self.target} {self.headers}".encode(), self.body])


@dataclass(frozen=True)
class Told:
    """One answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    way: Callable[[socket.socket, bytes], None] | None = None
    """How the bytes go out, if not at once; raises OSError to end the connection."""

    def encoded(self, method: str) -> bytes:
        data = (
            self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()
        )
        given = {k.title() if k.isascii() else k: v for k, v in self.headers.items()}
        told = {"Content-Type": "application/json", "Content-Length": str(len(data)), **given}
        lines = [f"HTTP/1.1 {self.status} Told", *(f"{k}: {v}" for k, v in told.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else data)


Lie = Callable[[Asked], Told | None]


def clients(listener: socket.socket) -> Iterator[socket.socket]:
    """Who connects, one after the other, until the listener is closed."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError as error:
            if error.errno in (
                errno.EMFILE,
                errno.ENFILE,
            ):  # it is the test's process that has no file left: others close
                time.sleep(0.1)
                continue
            return
        yield client


class Server:
    """Answers each request by `answer`; TLS is told from plain HTTP by the first byte. Knows what it received."""

    def __init__(self, authority: trustme.CA, address: str) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(address).configure_cert(self._tls)
        self._listener = socket.create_server((address, 0), backlog=64)
        self.host, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def answer(self, asked: Asked) -> Told:
        raise NotImplementedError

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        for client in clients(self._listener):
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(20)
        try:
            secure = client.recv(1, socket.MSG_PEEK) == b"\x16"
            if secure:
                client = self._tls.wrap_socket(client, server_side=True)
            with client, client.makefile("rb") as stream:
                while asked := self._request(stream, secure):
                    self.asked.append(asked)
                    told = self.answer(asked)
                    data = told.encoded(asked.method)
                    told.way(client, data) if told.way else client.sendall(data)
        except OSError:
            client.close()
        finally:
            self.left()

    def left(self) -> None:
        """The client of this thread is gone."""

    def _request(self, stream: Any, secure: bool) -> Asked | None:
        first = stream.readline().decode("latin-1").split(" ")
        if len(first) < 3:
            return None
        headers: dict[str, str] = {}
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        chunked = headers.get("transfer-encoding") == "chunked"
        body = b"".join(_chunks(stream)) if chunked else stream.read(int(headers.get("content-length", 0)))
        return Asked(first[0], first[1], headers, body, secure)


def _chunks(stream: Any) -> Iterator[bytes]:
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()


class LyingCloud(Server):
    """Keystone and services below one address; `lie` may take the place of any answer."""

    def __init__(self, authority: trustme.CA, address: str = "127.0.0.1") -> None:
        super().__init__(authority, address)
        self.lie: Lie = lambda asked: None
        self.catalog_of = self.url

    @property
    def url(self) -> str:
        return f"https://{self.place}"

    def answer(self, asked: Asked) -> Told:
        return self.lie(asked) or honest(asked, self.url, self.catalog_of)


class Stranger(Server):
    """Another place: plays along, and remembers."""

    def answer(self, asked: Asked) -> Told:
        return honest(asked, f"https://{self.place}", f"https://{self.place}")

    def secrets(self) -> list[str]:
        """The planted secrets among all that it received."""
        received = b"\n".join(a.raw for a in self.asked)
        return [s for s in SECRETS if s.encode() in received]


def honest(asked: Asked, url: str, catalog_of: str) -> Told:
    """What a cloud at `url`, whose services are at `catalog_of`, answers truly."""
    path = asked.path
    if path.rstrip("/") in ("/identity", "/identity/v3"):
        one = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{url}/identity/v3/"}]}
        many = path.rstrip("/") == "/identity"
        return Told(300, {"versions": {"values": [one]}}) if many else Told(200, {"version": one})
    if path.rstrip("/").endswith("/v3/auth/tokens"):
        return Told(201, {"token": token(catalog_of)}, {"X-Subject-Token": TOKEN})
    if path.rstrip("/") == "/compute/v2.1":
        return Told(200, {"version": version("v2.1", "2.96", f"{url}/compute/v2.1/")})
    if path.rstrip("/") == "/volume/v3":
        return Told(200, {"versions": [version("v3.0", "3.70", f"{url}/volume/v3/")]})
    if path.startswith("/api2/json"):
        return Told(200, {"data": {"version": "8.2.7"} if path.endswith("/version") else []})
    return _listing(path)


def version(name: str, newest: str, url: str) -> dict[str, Any]:
    """One entry of a version document."""
    links = [{"rel": "self", "href": url}]
    return {"id": name, "status": "CURRENT", "version": newest, "min_version": name[1:], "links": links}


_LISTED = re.compile(
    r"/(servers|os-keypairs|flavors|os-server-groups|volumes|snapshots|backups|types|images|networks|subnets|routers|"
    r"ports|floatingips|security-groups|address-groups|extensions|secrets|containers|os-availability-zone)(/detail)?$"
)
_KEYS = {"types": "volume_types", "os-availability-zone": "availabilityZoneInfo"}


def _listing(path: str) -> Told:
    if re.fullmatch(r"/object/v1/[^/]+/?", path):
        return Told(200, [])
    found = _LISTED.search(path)
    if found is None:
        return Told(404, {"error": {"message": "there is no such thing", "code": 404}})
    name = found.group(1)
    key = _KEYS.get(name, name.removeprefix("os-").replace("-", "_"))
    return Told(200, {key: []} | ({"total": 0} if name in ("secrets", "containers") else {}))


PATHS = {
    "identity": "/identity/v3",
    "compute": "/compute/v2.1",
    "image": "/image",
    "network": "/network",
    "block-storage": f"/volume/v3/{PROJECT}",
    "object-store": f"/object/v1/AUTH_{PROJECT}",
    "key-manager": "/key",
}


def token(catalog_of: str) -> dict[str, Any]:
    """The body of a token, its catalog at that address."""
    catalog = [
        {
            "type": type_,
            "name": type_,
            "endpoints": [
                {"id": type_, "interface": "public", "region": "R", "region_id": "R", "url": catalog_of + path}
            ],
        }
        for type_, path in PATHS.items()
    ]
    return {
        "methods": ["password"],
        "user": {"id": "u1", "name": "u", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": PROJECT, "name": "p", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "r1", "name": "member"}],
        "catalog": catalog,
        "issued_at": "2026-11-25T00:00:00.000000Z",
        "expires_at": "2036-11-25T00:00:00.000000Z",
    }


@dataclass(frozen=True)
class Scene:
    """A cloud, a stranger, and a clouds.yaml: `quelle` with an application credential, `ziel` with a password."""

    cloud: LyingCloud
    stranger: Stranger
    authority: trustme.CA
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "clouds.yaml"

    def write(self, **more: Any) -> None:
        """The clouds.yaml; `more`: keys of both entries, `auth` among them."""
        auth = more.pop("auth", {})
        common = {"region_name": "R", "cacert": str(self.folder / "ca.pem"), **more}
        secret = {"application_credential_id": "a1", "application_credential_secret": APP_SECRET}
        named = {"username": "u", "password": PASSWORD, "project_name": "p"}
        named |= {"user_domain_id": "default", "project_domain_id": "default"}
        quelle = {"auth_url": f"{self.cloud.url}/identity/v3", **secret, **auth}
        ziel = {"auth_url": f"{self.cloud.url}/identity", **named, **auth}
        clouds = {"quelle": {"auth_type": "v3applicationcredential", "auth": quelle, **common}}
        self.file.write_text(yaml.safe_dump({"clouds": clouds | {"ziel": {"auth": ziel, **common}}}))


@contextmanager
def standing(folder: Path) -> Iterator[Scene]:
    """The scene, its servers listening."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    scene = Scene(LyingCloud(authority), Stranger(authority, "127.0.0.2"), authority, folder)
    scene.write()
    try:
        yield scene
    finally:
        scene.cloud.close()
        scene.stranger.close()
