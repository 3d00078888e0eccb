# SPDX-License-Identifier: Apache-2.0
"""A company's network for tests: a package index over TLS, signed by a CA that stands in no public store.

It serves what the real index has, under its own address only. `served` is what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, unquote, urljoin

import requests
import trustme
from pip._internal.models.index import PyPI
from speakers import serving


@dataclass
class Office:
    """The index's address, the file of its CA, and the paths that were asked for."""

    index: str
    authority: Path
    served: list[str] = field(default_factory=list)


class _Links(HTMLParser):
    """An index page with every link led back to this server."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base, self.lines = base, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "a" and told.get("href"):
            url, _, digest = urljoin(self.base, str(told["href"])).partition("#")
            name = unquote(url.rpartition("/")[2])
            self.lines.append(f'<a href="/files/{quote(url, safe="")}/{name}#{digest}">{name}</a><br>')


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    """Started on a free port of this machine; stopped at the end."""
    authority = trustme.CA(organization_name="Office of the tests")
    authority.cert_pem.write_to_path(str(folder / "office-ca.pem"))
    upstream, session = PyPI.simple_url.rstrip("/"), requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=64))
    served: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.append(self.path)
            if self.path.startswith("/files/"):
                url = unquote(self.path.removeprefix("/files/").partition("/")[0])
                part = {"Range": self.headers["Range"]} if self.headers["Range"] else {}
                answer = session.request(self.command, url, headers=part)
                more = {
                    k: v for k, v in answer.headers.items() if k.lower() in ("content-range", "accept-ranges", "etag")
                }
                size = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(answer.content))
                self._send(answer.status_code, answer.content, {"Content-Length": size, **more})
                return
            url = upstream + self.path.removeprefix("/simple")
            answer = session.get(url, headers={"Accept": "text/html"})
            page = _Links(answer.url)
            page.feed(answer.text)
            data = "\n".join(page.lines).encode()
            self._send(answer.status_code, data, {"Content-Length": str(len(data)), "Content-Type": "text/html"})

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    try:
        with serving(Handler, authority.issue_cert("localhost", "127.0.0.1")) as port:
            yield Office(f"https://localhost:{port}/simple", folder / "office-ca.pem", served)
    finally:
        session.close()
