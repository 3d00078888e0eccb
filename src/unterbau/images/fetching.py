# SPDX-License-Identifier: Apache-2.0
"""What vendors publish, over https alone. `adding` asks; nothing is sent but the request, no credential and no cookie.

A redirect is followed within its place, and to hosts that the catalogue's entry names; to no other, and never to plain http.
The bounds are those of every request (`--bounds`). Certificates are verified by the CAs that the package index is verified by
(`registry.trusted`); the proxy is that of the environment, and what its address says of a user goes to it alone.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import certifi

from unterbau.cloud.waiting import heeded, stoppable
from unterbau.errors import Broken, LocalError, NotFound, Unreachable, UsageError
from unterbau.places import REDIRECTS, joined, place, redirected, shown, split
from unterbau.reference import registry

CHUNK = 2**20
HOPS = 5
_NAME_IT = "Nothing was taken from there. If that host is the vendor's, name it under `hosts` of the entry."


@dataclass(frozen=True)
class Answer:
    """An open answer: where it came from in the end, how long it will be, of which day, and its bytes."""

    url: str
    size_bytes: int | None
    day: date | None
    data: Iterator[bytes]


@contextmanager
def opened(url: str, hosts: Collection[str] = ()) -> Iterator[Answer]:
    """What stands at an address. Raises Unreachable, NotFound, Elsewhere, Broken (it ends before its announced end)."""
    asked = place(url)
    for _ in range(HOPS):
        connection, answer = _ask(url)
        try:
            location = answer.getheader("Location")
            if answer.status in REDIRECTS and location is not None:
                there = place(joined(url, location))
                known = there.scheme == "https" and (there == asked or there.host in hosts)
                if not known:
                    raise redirected("GET", url, answer.status, location, _NAME_IT)
                url = joined(url, location)
                continue
            if answer.status in (403, 404, 410):
                raise NotFound(
                    f"GET {shown(url)}: HTTP {answer.status}: it is not there",
                    "The catalogue may be older than the vendor's files.",
                )
            if answer.status != 200:
                raise Broken(f"GET {shown(url)}: HTTP {answer.status}")
            size = answer.length
            yield Answer(url, size, _day(answer.getheader("Last-Modified")), _body(url, answer, size))
            return
        finally:
            connection.end()
    raise Broken(f"GET {shown(url)}: it is redirected without end")


def text(url: str, hosts: Collection[str] = ()) -> bytes:
    """A small file. Raises as `opened` does, Broken for one that is larger than an answer may be."""
    most, found = heeded().bounds.answer_bytes, b""
    with opened(url, hosts) as answer:
        for chunk in answer.data:
            found += chunk
            if len(found) > most:
                raise Broken(f"GET {shown(url)}: it is larger than {most} bytes")
    return found


class _Connection(http.client.HTTPSConnection):
    """Closes each answer that it began, and its socket with it: Python leaves that of a proxy that refuses (3.11), and one that ends with its connection, to their reader."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begun: list[http.client.HTTPResponse] = []
        self.response_class = self._answer  # type: ignore[assignment]

    def _answer(self, *args: Any, **options: Any) -> http.client.HTTPResponse:
        self._begun.append(http.client.HTTPResponse(*args, **options))
        return self._begun[-1]

    def end(self) -> None:
        """Close all of it."""
        for answer in self._begun:
            answer.close()
        self._begun.clear()
        self.close()


def _ask(url: str) -> tuple[_Connection, http.client.HTTPResponse]:
    parts, bounds = split(url), heeded().bounds
    where, proxy = place(url), _proxy(url)
    first = place(proxy) if proxy else where
    connection = _Connection(first.host, first.port, timeout=bounds.connect, context=_trust())
    if proxy:
        connection.set_tunnel(where.host, where.port, _said_to(proxy))
    try:
        with _translated(url, f" by the proxy {first}" if proxy else ""):
            connection.connect()
            connection.sock.settimeout(bounds.idle)
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            return connection, connection.getresponse()
    except BaseException:  # Ctrl-C included: nothing stays open
        connection.end()
        raise


def _trust() -> ssl.SSLContext:
    file = registry.trusted(os.environ)
    try:
        return ssl.create_default_context(cafile=file or certifi.where())
    except OSError as error:
        raise LocalError(
            f"{file}: no certificates: {error.strerror or error}", "Name a PEM file in SSL_CERT_FILE."
        ) from None


def _proxy(url: str) -> str:
    """The address of the proxy that the environment names for it, or "". Raises UsageError for one that is spoken to over TLS."""
    where = place(url)
    named = getproxies().get("https", "")
    if not named or proxy_bypass(f"{where.host}:{where.port}"):
        return ""
    proxy = named if "://" in named else f"http://{named}"
    if place(proxy).scheme != "http" or not place(proxy).host:
        raise UsageError(
            f"the proxy {place(proxy)}: only http://HOST:PORT is spoken to", "Set https_proxy, or no_proxy."
        )
    return proxy


def _said_to(proxy: str) -> dict[str, str]:
    """What a proxy is told beside the place: the user and password of its address."""
    parts = split(proxy)
    if parts.username is None:
        return {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


@contextmanager
def _translated(url: str, way: str = "") -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"GET {shown(url)}{way}: its certificate does not verify: {error.verify_message}") from None
    except TimeoutError:
        raise Unreachable(f"GET {shown(url)}{way}: silence") from None
    except (OSError, http.client.HTTPException) as error:
        refused = re.match(r"Tunnel connection failed: (\d{3})\b", str(error))
        system = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else ""
        said = f"HTTP {refused[1]}" if refused else system or type(error).__name__
        raise Unreachable(f"GET {shown(url)}{way}: {said}", "Is it there, and reachable from here?") from None


def _body(url: str, answer: http.client.HTTPResponse, size: int | None) -> Iterator[bytes]:
    got, bounds, between = 0, heeded().bounds, stoppable(f"reading {shown(url)}")
    window = _Window(bounds.window, bounds.slowest)
    while True:
        between()
        with _translated(url):
            chunk = answer.read1(CHUNK)
        if not chunk:
            break
        got += len(chunk)
        if window.is_slow(got):
            raise Unreachable(f"GET {shown(url)}: slower than {bounds.slowest:g} bytes a second")
        yield chunk
    if size is not None and got != size:
        raise Broken(f"GET {shown(url)}: it broke off after {got} of {size} bytes", "Run the same command again.")


class _Window:
    """Whether fewer bytes came than are wanted, since the last look."""

    def __init__(self, seconds: float, slowest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._slowest, self._clock = seconds, slowest, clock
        self._begun, self._before = clock(), 0

    def is_slow(self, got: int) -> bool:
        passed = self._clock() - self._begun
        if passed < self._seconds:
            return False
        slow = (got - self._before) / passed < self._slowest
        self._begun, self._before = self._clock(), got
        return slow


def _day(told: str | None) -> date | None:
    try:
        return parsedate_to_datetime(told).date() if told else None
    except ValueError:
        return None
