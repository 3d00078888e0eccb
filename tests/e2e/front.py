# SPDX-License-Identifier: Apache-2.0
"""A relay in front of a real cloud, over TLS: passes every request on, and changes requests and answers as a test says.

`standing` writes a clouds.yaml whose one cloud has all addresses replaced by the relay's. The services of the cloud
know nothing of it: their next pages, version documents and references name their own addresses.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import trustme
import yaml
from lying_cloud import Asked, Server, Told

SERVICES = ("compute", "image", "network", "block-storage", "object-store", "key-manager")
_NOT_PASSED_ON = ("host", "connection", "accept-encoding", "content-length", "transfer-encoding")
_DROPPED = ("connection", "transfer-encoding")
Before = Callable[[Asked], Asked]
After = Callable[[Asked, Told], Told]


class Front(Server):
    """Passes requests on by the first part of their path, which is the service.

    `before` may change what is asked, `after` what is answered; both see the path as the relay does.
    """

    def __init__(self, authority: trustme.CA, behind: Mapping[str, str], ca: Path, address: str = "127.0.0.3") -> None:
        self.authority, self.behind = authority, behind
        self.before: Before = lambda asked: asked
        self.after: After = lambda asked, told: told
        self._trust = ssl.create_default_context(cafile=str(ca))
        self._kept = threading.local()
        self._opened: list[http.client.HTTPSConnection] = []
        super().__init__(authority, address)

    def close(self) -> None:
        super().close()
        for connection in self._opened:
            connection.close()

    def left(self) -> None:
        """Its connections go with it: a drill has many threads, and there are many drills."""
        for connection in self._kept.__dict__.values():
            connection.close()
        self._kept.__dict__.clear()

    def answer(self, asked: Asked) -> Told:
        return self.after(asked, self.pass_on(self.before(asked)))

    def pass_on(self, asked: Asked) -> Told:
        """The answer of the service behind."""
        service = asked.path.split("/")[1]
        target = urlsplit(self.behind[service].rstrip("/") + asked.target.removeprefix(f"/{service}"))
        headers = {k: v for k, v in asked.headers.items() if k not in _NOT_PASSED_ON}
        path = target.path + (f"?{target.query}" if target.query else "")
        told, body = self._exchange(target.netloc, asked.method, path, asked.body or None, headers)
        # The length is told anew, but of a HEAD's answer it is all there is.
        dropped = (*_DROPPED, *(() if asked.method == "HEAD" else ("content-length",)))
        return Told(told.status, body, {k: v for k, v in told.getheaders() if k.lower() not in dropped})

    def _exchange(
        self, place: str, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """On a connection of this thread, kept for the next request; a service may have closed it meanwhile."""
        kept: dict[str, http.client.HTTPSConnection] = self._kept.__dict__
        for fresh in (False, True):
            connection = kept.get(place)
            if fresh or connection is None:
                connection = kept[place] = http.client.HTTPSConnection(place, timeout=120, context=self._trust)
                self._opened.append(connection)
            try:
                connection.request(method, path, body, headers)
                told = connection.getresponse()
                return told, told.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                if fresh:
                    raise
        raise AssertionError("the second try returns or raises")


F = TypeVar("F", bound=Front)


@contextmanager
def standing(
    cloud: Any, folder: Path, name: str, kind: Callable[[trustme.CA, Mapping[str, str], Path], F]
) -> Iterator[F]:
    """A relay in front of the cloud of an openstacksdk connection; `folder`/clouds.yaml has the cloud `name`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    auth, verify = dict(cloud.config.config["auth"]), cloud.config.config.get("cacert")
    catalog = cloud.session.auth.get_access(cloud.session).service_catalog
    behind = {s: urljoin(catalog.url_for(service_type=s), "/") for s in SERVICES}
    behind["identity"] = urljoin(auth["auth_url"], "/")
    behind["info"] = f"{behind['object-store']}info"  # Swift tells what it has at the root of its host
    front = kind(authority, behind, Path(verify))
    entry: dict[str, Any] = {"region_name": cloud.config.get_region_name(), "cacert": str(folder / "ca.pem")}
    for service in SERVICES:
        path = urlsplit(catalog.url_for(service_type=service)).path
        entry[f"{service.replace('-', '_')}_endpoint_override"] = f"https://{front.place}/{service}{path}"
    if "application_credential_id" in auth:
        entry["auth_type"] = "v3applicationcredential"
    entry["auth"] = {**auth, "auth_url": f"https://{front.place}/identity/v3"}
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {name: entry}}))
    try:
        yield front
    finally:
        front.close()


# --- ways to tell less than there is

_LISTING = re.compile(
    r"^/(compute/v2\.1/(servers/detail|servers/[^/]+/os-volume_attachments|os-keypairs|os-server-groups|flavors/detail)"
    r"|image/v2/images|network/v2\.0/[^/]+|block-storage/v3/(volumes/detail|snapshots/detail|backups/detail|types)"
    r"|key-manager/v1/(secrets|containers|orders)|object-store/v1/[^/]+(/[^/]+)?)/?$"
)


def is_listing(asked: Asked) -> bool:
    """Whether a list is asked for that pages."""
    return asked.method == "GET" and _LISTING.match(asked.path) is not None and "multipart-manifest" not in asked.target


def smaller(most: int) -> Before:
    """A cloud whose pages hold no more than `most` entries, whatever `limit` asks for; its links say where to go on."""

    def before(asked: Asked) -> Asked:
        if not is_listing(asked):
            return asked
        target = re.sub(r"([?&])limit=\d+", rf"\1limit={most}", asked.target)
        if "limit=" not in target:
            target += f"{'&' if '?' in target else '?'}limit={most}"
        return replace(asked, target=target)

    return before


def entries(told: Told) -> list[Any]:
    """The list in an answer."""
    body = json.loads(told.body or b"[]")
    if isinstance(body, list):
        return body
    return next((v for k, v in body.items() if isinstance(v, list) and not k.endswith("links")), [])


def with_entries(told: Told, kept: list[Any], *, links: bool = False) -> Told:
    """The answer with another list in it; without links, unless they are kept."""
    if told.status != 200:
        return told
    body = json.loads(told.body or b"[]")
    if isinstance(body, list):
        return replace(told, body=json.dumps(kept).encode())
    key = next((k for k, v in body.items() if isinstance(v, list) and not k.endswith("links")), None)
    plain = {k: v for k, v in body.items() if links or not (k.endswith("links") or k == "next")}
    return replace(told, body=json.dumps(plain | ({key: kept} if key else {})).encode())


def cut(most: int) -> After:
    """A cloud that cuts every listing to `most` entries without a word."""
    return lambda asked, told: with_entries(told, entries(told)[:most]) if is_listing(asked) else told
