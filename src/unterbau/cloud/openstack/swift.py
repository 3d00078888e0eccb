# SPDX-License-Identifier: Apache-2.0
"""A client of Swift's HTTP that changes nothing on the way. Called by `object_storage` only.

Own, because requests folds `/../` in names and unpacks `Content-Encoding: gzip`. Names are quoted exactly,
bodies are passed through in chunks, a 401 is answered with a new token once. No redirect is followed, since no name
is answered for by another. Safe from several threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import certifi
import urllib3

from unterbau.cloud.openstack import wire
from unterbau.cloud.openstack.errors import by_status, text_of_body, translated, writes
from unterbau.cloud.openstack.http import Stream, number, patience
from unterbau.cloud.openstack.limits import Limits
from unterbau.cloud.waiting import heeded
from unterbau.errors import Broken, CloudError
from unterbau.places import REDIRECTS, Place, redirected

Headers = Mapping[str, str]
Told = tuple[urllib3.BaseHTTPResponse, bytes]
"""An answer, and its body where that was read whole."""
POOL = 32


class Swift:
    """The account of one project. `endpoint` and `token` are asked when needed, `renew` after a 401."""

    def __init__(
        self,
        endpoint: Callable[[], str],
        token: Callable[[], str],
        renew: Callable[[], None],
        verify: Callable[[], bool | str],
        limits: Limits,
    ) -> None:
        self._endpoint, self._token, self._renew, self._verify = endpoint, token, renew, verify
        self._limits = limits
        self._lock = threading.Lock()
        self._opened: tuple[urllib3.HTTPConnectionPool, str] | None = None
        heeded().opened.add(self)

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def _pool(self) -> tuple[urllib3.HTTPConnectionPool, str]:
        """The connections, and the path of the account."""
        with self._lock:
            if self._opened is None:
                url = urlsplit(self._endpoint())
                options: dict[str, Any] = {"maxsize": POOL, "timeout": None, "retries": False}
                if url.scheme == "https":
                    options |= _tls(self._verify())
                made = wire.pools_of(self._limits)[url.scheme](url.hostname or "", url.port, **options)
                self._opened = (made, url.path.rstrip("/"))
            return self._opened

    def account(self) -> str:
        """The account's name as the catalog's address ends (`AUTH_…`)."""
        return unquote(self._pool()[1].rpartition("/")[2])

    def request(
        self,
        method: str,
        path: str = "",
        *,
        query: Headers | None = None,
        headers: Headers | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        """A request whose answer is read whole. `path` is quoted already (see `quoted`)."""
        response, data = self._send(method, path, query, headers, body)
        what = f"object-store: {method} {path[:120]}"
        if response.status >= 300:
            text = text_of_body(data.decode("utf-8", "replace"))
            raise by_status(response.status, text, what, write=writes(method))
        _an_answer_to(method, response.status, what)
        return Answer(response.status, response.headers, data)

    def create(self, path: str, headers: Headers, body: bytes) -> bool:
        """A PUT of what must not be there yet (Object API: `If-None-Match: *`); False if the store says that it is."""
        response, data = self._send("PUT", path, None, {**headers, "If-None-Match": "*"}, body)
        if response.status >= 300 and response.status != 412:
            text = text_of_body(data.decode("utf-8", "replace"))
            raise by_status(response.status, text, f"object-store: PUT {path[:120]}", write=True)
        if response.status != 412:
            _an_answer_to("PUT", response.status, f"object-store: PUT {path[:120]}")
        return response.status != 412

    @contextmanager
    def stream(self, path: str, *, query: Headers | None = None) -> Iterator[Stream]:
        """The raw body of a GET."""
        what = f"object-store: GET {path[:120]}"
        response, _ = self._send("GET", path, query, None, None, stream=True)
        try:
            if response.status != 200:
                raise by_status(response.status, "", what)
            size = number(response.headers.get("Content-Length"))
            yield Stream(response, size, what, headers=_lower(response.headers))
        finally:
            response.close()
            response.release_conn()

    def info(self) -> dict[str, object]:
        """What `/info` names: middleware and its settings. Raises Unsupported where it is switched off."""
        what = "object-store: GET /info"
        pool, _ = self._pool()
        with translated(what):
            response, data = self._asked(pool, "GET", "/info", {}, None)
            if response.status != 200:
                raise by_status(response.status, "", what)
        found = wire.decoded(data, what)
        if not isinstance(found, dict):
            raise Broken(f"{what}: the answer is not an object")
        return found

    def _send(
        self,
        method: str,
        path: str,
        query: Headers | None,
        headers: Headers | None,
        body: bytes | Iterable[bytes] | None,
        *,
        stream: bool = False,
    ) -> Told:
        response, data = self._once(method, path, query, headers, body, stream)
        if response.status != 401:
            return response, data
        response.close()
        self._renew()
        if body is None or isinstance(body, bytes):
            return self._once(method, path, query, headers, body, stream)
        raise Expired("object-store: the token expired before the upload began")

    def _once(
        self,
        method: str,
        path: str,
        query: Headers | None,
        headers: Headers | None,
        body: bytes | Iterable[bytes] | None,
        stream: bool,
    ) -> Told:
        pool, account = self._pool()
        target = account + path + (f"?{urlencode(query)}" if query else "")
        named = {"X-Auth-Token": self._token(), "Accept-Encoding": "identity", **(headers or {})}
        with translated(f"object-store: {method} {path[:120]}", write=writes(method)):
            response, data = self._asked(pool, method, target, named, body, stream=stream)
        _whole(response, f"object-store: {method} {path[:120]}")
        return response, data

    def _asked(
        self,
        pool: urllib3.HTTPConnectionPool,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | Iterable[bytes] | None,
        *,
        stream: bool = False,
    ) -> Told:
        connect, read = patience(method, stream=stream)
        timeout = urllib3.Timeout(connect=connect, read=read)

        def once() -> Told:
            response = pool.urlopen(
                method, target, body=body, headers=headers, retries=False, redirect=False, timeout=timeout,
                preload_content=False, decode_content=False,
            )  # fmt: skip
            _stay(pool, method, target, response)
            if stream:
                return response, b""
            data = wire.whole(response, f"object-store: {method} {target[:120]}", decode=False, write=writes(method))
            response.release_conn()
            return response, data

        gone = not (body is None or isinstance(body, bytes))
        repeat: wire.Repeat = "never" if gone else "refused" if writes(method) else "always"
        return wire.repeated(f"{method} {target[:120]}", once, _said, _dropped, repeat)


_DONE = frozenset({201, 202, 204})


@dataclass(frozen=True)
class Answer:
    """An answer read whole; `data` as it came."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Expired(CloudError):
    """A token ended where the body could not be sent again; the next call has a new one."""

    transient = True


def quoted(container: str, name: str | None = None) -> str:
    """`/container[/name]` with every byte but the unreserved ones quoted, slashes of the name kept."""
    return "/" + quote(container, safe="") + ("" if name is None else "/" + quote(name, safe="/"))


def header_text(text: str) -> str:
    """A header's value as the wire has it: UTF-8 read as Latin-1."""
    return text.encode("utf-8").decode("latin-1")


def text_of_header(text: str) -> str:
    """The reverse of `header_text`. Raises UnicodeError for what is not UTF-8."""
    return text.encode("latin-1").decode("utf-8")


def headers_of(answer: Answer) -> dict[str, str]:
    """Name -> value as the wire has them, names in lower case (only ASCII has cases there)."""
    return _lower(answer.headers)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {k.encode("latin-1").lower().decode("latin-1"): v for k, v in headers.items()}


def _said(told: Told) -> tuple[int, str | None]:
    return told[0].status, told[0].headers.get("Retry-After")


def _dropped(told: Told) -> None:
    told[0].close()
    told[0].release_conn()


def _whole(response: urllib3.BaseHTTPResponse, what: str) -> None:
    """Raises Broken if headers were lost: Python stops reading them at a name that is not ASCII, without a word."""
    original = getattr(response, "_original_response", None)
    if original is not None and original.msg is not None and original.msg.get_payload():
        response.close()
        raise Broken(f"{what}: its headers are not readable behind a name that is not ASCII")


def _an_answer_to(method: str, status: int, what: str) -> None:
    """Raises Broken, uncertain, for a 200 to a write: something else answered in the store's place, and perhaps nothing was done.

    What the Object API tells of a write is 201, 202 or 204; its 200 (deletions and extractions of many) are never asked for.
    """
    if writes(method) and status not in _DONE:
        broken = Broken(f"{what}: HTTP {status}, which is no answer of an object store to a write")
        broken.uncertain = True
        raise broken


def _stay(pool: urllib3.HTTPConnectionPool, method: str, target: str, response: urllib3.BaseHTTPResponse) -> None:
    """Raises Elsewhere for an answer that points to another address, even of this place."""
    location = response.headers.get("Location")
    if response.status in REDIRECTS and location is not None:
        response.close()
        asked = f"{Place(pool.scheme, pool.host, pool.port)}{target}"
        raise redirected(method, asked, response.status, location)


def _tls(verify: bool | str) -> dict[str, object]:
    if verify is False:
        return {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    authorities = verify if isinstance(verify, str) else certifi.where()
    return {"cert_reqs": "CERT_REQUIRED", "ca_cert_dir" if os.path.isdir(authorities) else "ca_certs": authorities}
