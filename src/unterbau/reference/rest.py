# SPDX-License-Identifier: Apache-2.0
"""A small JSON client for the bootstrap of our own cloud: one identity, verified TLS, kept connections.

Only `bootstrap` uses it. It is not the way to read tenants (that is `unterbau.cloud`): no paging, no
microversions beyond a header, no retries except for a service that is not ready yet.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unterbau.errors import Broken, Conflict, Unreachable
from unterbau.places import REDIRECTS, redirected

_NOT_READY = (500, 502, 503, 504)
_RETRY_SECONDS = 20.0
_FOREIGN = "Nothing went there. No service of ours answers so: look who listens on its port, and at the cloud's logs."


class Rest:
    """Requests with one token; may be used by several threads, each with connections of its own."""

    def __init__(self, ca: Path) -> None:
        self._context = ssl.create_default_context(cafile=str(ca))
        self._local = threading.local()
        self.token = ""
        """The X-Auth-Token of all requests; set by `log_in`."""

    def log_in(self, auth_url: str, auth: Mapping[str, Any]) -> dict[str, Any]:
        """Get a token for the `auth` object of Keystone's POST /v3/auth/tokens; returns the token's body."""
        body, headers = self._exchange("POST", f"{auth_url}/auth/tokens", {"auth": dict(auth)}, {})
        self.token = headers["x-subject-token"]
        token: dict[str, Any] = body["token"]
        return token

    def get(self, url: str, **headers: str) -> dict[str, Any]:
        """The JSON answer of a GET."""
        return self._exchange("GET", url, None, headers)[0]

    def post(self, url: str, body: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """The JSON answer of a POST. Raises Conflict on 409."""
        return self._exchange("POST", url, body, headers)[0]

    def look(self, url: str, **headers: str) -> tuple[int, bytes]:
        """Status and body of a GET, whatever the status; a service that is not ready yet is asked again."""
        return self._patiently("GET", url, None, headers)[:2]

    def delete(self, url: str) -> None:
        """A DELETE; what is absent already is an error."""
        self._exchange("DELETE", url, None, {})

    def put(self, url: str, body: Mapping[str, Any] | bytes | None = None, **headers: str) -> dict[str, Any]:
        """The JSON answer of a PUT; bytes are sent as an octet stream."""
        return self._exchange("PUT", url, body, headers)[0]

    def _exchange(
        self, method: str, url: str, body: Mapping[str, Any] | bytes | None, headers: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        status, answer, received = self._patiently(method, url, body, headers)
        if status in REDIRECTS and "location" in received:
            raise redirected(method, url, status, received["location"], _FOREIGN)
        if status >= 300:
            raise _refusal(status, f"{method} {url}: {status} {answer[:300].decode('utf-8', 'replace')}")
        return (json.loads(answer) if answer else {}), received

    def _patiently(
        self, method: str, url: str, body: Mapping[str, Any] | bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """The answer of a service, which may not be ready yet. Raises Unreachable."""
        deadline = time.monotonic() + _RETRY_SECONDS
        for pause in _pauses():
            try:
                found = self._once(method, url, body, headers)
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > deadline:
                    raise Unreachable(f"{method} {url}: {error}") from error
            else:
                if found[0] not in _NOT_READY or time.monotonic() > deadline:
                    return found
            time.sleep(pause)
        raise AssertionError("pauses never end")

    def _once(
        self, method: str, url: str, body: Mapping[str, Any] | bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(url)
        connection = self._connection(parts.netloc)
        sent = {"Accept": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if self.token:
            sent["X-Auth-Token"] = self.token
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        if data is not None:
            sent["Content-Type"] = "application/octet-stream" if data is body else "application/json"
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target or "/", data, sent)
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        except BaseException:
            connection.close()
            raise

    def _connection(self, netloc: str) -> http.client.HTTPSConnection:
        kept: dict[str, http.client.HTTPSConnection] = self._local.__dict__
        if netloc not in kept:
            kept[netloc] = http.client.HTTPSConnection(netloc, timeout=60, context=self._context)
        return kept[netloc]


def _pauses() -> Iterator[float]:
    pause = 0.05
    while True:
        yield pause
        pause = min(pause * 2, 1.0)


def _refusal(status: int, what: str) -> Broken | Conflict:
    return Conflict(what) if status == 409 else Broken(what)
