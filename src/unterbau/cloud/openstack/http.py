# SPDX-License-Identifier: Apache-2.0
"""Requests to one service: JSON in, JSON out, all pages, our errors, a time limit on each request.

The modules of the services hold one `Api` each, all on one keystoneauth session (safe from several threads).
Not here: what the JSON means.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

import requests
from keystoneauth1.adapter import Adapter

from unterbau.cloud.bounds import Bounds
from unterbau.cloud.openstack import wire
from unterbau.cloud.openstack.errors import MALFORMED, by_status, text_of_body, translated, writes
from unterbau.cloud.paging import PAUSES, By, Listed, Page, Start, next_link, whole
from unterbau.cloud.waiting import heeded, stoppable
from unterbau.errors import Broken, CloudError, Interrupted, NotFound, Unsupported
from unterbau.places import next_page

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")
U = TypeVar("U")

Naming: TypeAlias = Callable[[Json], str]
"""What tells the entries of a listing apart; also the marker behind which the next page begins."""

PARALLEL = 8
PAGE = 500


def named_by(*path: str) -> Naming:
    """Names an entry by a field of it, or of an object in it; "" if it has none."""

    def named(entry: Any) -> str:
        for key in path:
            entry = entry.get(key) if isinstance(entry, dict) else None
        return entry if isinstance(entry, str) else str(entry) if type(entry) is int else ""

    return named


by_id = named_by("id")


class Api:
    """One service of one cloud."""

    def __init__(self, adapter: Adapter, *, microversion: str | None = None) -> None:
        self.adapter = adapter
        self.microversion = microversion
        self.service = str(adapter.service_type)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
        quiet: bool = False,
        stream: bool = False,
    ) -> requests.Response:
        """One request. Raises `CloudError`s only; `quiet` keeps the cloud's text out of them."""
        options: dict[str, Any] = {"json": body} if body is not None else {}
        if data is not None:
            options["data"] = data
        what, write = f"{self.service}: {method} {_shown(path)}", writes(method)
        with translated(what, quiet=quiet, write=write, strange=MALFORMED):  # a renewed token without its header
            response: requests.Response = self.adapter.request(
                path,
                method,
                headers={"Accept": "application/json", **(headers or {})},
                microversion=microversion or self.microversion,
                timeout=patience(method, stream=stream),
                log=False,
                stream=stream,
                raise_exc=False,
                **options,
            )
            text = "" if quiet or response.status_code < 400 else _text(response, stream=stream)
        if response.status_code >= 300:
            response.close()
            text = text if response.status_code >= 400 else "an answer without an end of its redirects"
            raise by_status(response.status_code, text, what, write=write)
        return response

    def json(self, method: str, path: str, body: Any = None, **options: Any) -> Json:
        """The answer as JSON ({} if it has none). Raises Broken for another one: of a write uncertain, since nobody knows who said it."""
        response = self.request(method, path, body=body, **options)
        if not response.content:
            return {}
        what = f"{self.service}: {method} {_shown(path)}"
        try:
            answer = wire.parsed(response.content, what)  # `transport` measured it
            if not isinstance(answer, dict):
                raise Broken(f"{what}: the answer is not an object")
        except Broken as broken:
            broken.uncertain = writes(method)
            raise
        return answer

    def get(self, path: str, **query: Any) -> Json:
        """GET with a query string."""
        return self.json("GET", with_query(path, query))

    def find(self, path: str, **query: Any) -> Json | None:
        """GET, None if there is no such thing."""
        try:
            return self.get(path, **query)
        except NotFound:
            return None

    def entry(self, path: str, key: str) -> Json | None:
        """The one thing that stands there under `key`, None if there is none. Raises Broken for another answer."""
        answer = self.find(path)
        if answer is None:
            return None
        if not isinstance(answer.get(key), dict):
            raise Broken(f"{self.service}: GET {_shown(path)}: no {key} in the answer")
        return dict(answer[key])

    def pages(
        self, path: str, key: str, *, entry_name: Naming = by_id, by: By = "marker", **query: Any
    ) -> tuple[Json, ...]:
        """All entries of a listing, each once; nothing is compared with a count. `limit=None` asks for no page size.

        Raises Broken if a page lacks the list or the cloud sends us in a circle.
        """
        return self.listed(path, key, entry_name=entry_name, by=by, **query).entries

    def listed(
        self, path: str, key: str, *, entry_name: Naming = by_id, by: By = "marker", count: str | int = "", **query: Any
    ) -> Listed[Json]:
        """As `pages`, with a doubt if the number of entries is another than `count`.

        A text is the key of the count in the answers (a difference is waited for); a number is what the caller knows.
        """
        what = f"{self.service}: GET {_shown(path)}"
        between = stoppable(f"reading {what}")

        def ask(place: Start[Json]) -> Page[Json]:
            between()
            asked = {"limit": PAGE, **query, **_start(place, entry_name, by)}
            answer = self.json("GET", place.link or with_query(path, asked))
            if not isinstance(answer.get(key), list):
                raise Broken(f"{what}: no {key} in the answer")
            total = number(answer.get(count)) if isinstance(count, str) else count
            told = next_link(answer)
            return Page(answer[key], next_page(path, told) if told else "", total)

        pauses = PAUSES if isinstance(count, str) else ()
        return whole(ask, entry_name, what=what, pause=time.sleep, by=by, pauses=pauses)

    def endpoint(self) -> str:
        """The service's address. Raises Unsupported without one."""
        with translated(f"{self.service}: catalog", strange=MALFORMED):
            found = self.adapter.get_endpoint()
        if not found:
            raise Unsupported(f"{self.service}: this cloud has no such service")
        return str(found)

    @contextmanager
    def download(self, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> Iterator[Stream]:
        """The body of a GET as a stream; iterating past an early end raises Broken."""
        response = self.request("GET", path, stream=True, headers={"Accept": "*/*", **(headers or {})}, **options)
        length = number(response.headers.get("Content-Length"))
        told = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range") or "")
        start = int(told[1]) if told and response.status_code == 206 else 0
        try:
            yield Stream(response.raw, length, f"{self.service}: GET {_shown(path)}", start)
        finally:
            response.close()


class Once(Api):
    """A service for one look: a listing that several want of it is asked for once, whoever wants it first."""

    def __init__(self, api: Api) -> None:
        super().__init__(api.adapter, microversion=api.microversion)
        self._lock = threading.Lock()
        self._told: dict[object, Future[Listed[Json]]] = {}

    def listed(
        self, path: str, key: str, *, entry_name: Naming = by_id, by: By = "marker", count: str | int = "", **query: Any
    ) -> Listed[Json]:
        """As `Api.listed`; the entries are everybody's, and nobody changes them."""
        asked = (with_query(path, query), key, entry_name, by, count)
        with self._lock:
            known = self._told.get(asked)
            told = self._told.setdefault(asked, Future())
        if known is None:
            try:
                told.set_result(super().listed(path, key, entry_name=entry_name, by=by, count=count, **query))
            except BaseException as error:  # noqa: BLE001 - raised again for everybody who waits for it
                told.set_exception(error)
        return told.result()


class Stream:
    """A body that arrives in chunks of 1 MiB; a `ByteStream` of the port."""

    def __init__(
        self, raw: Any, size_bytes: int | None, what: str, start: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        self._raw, self._size, self._what = raw, size_bytes, what
        self.start = start
        """Where in the whole it begins."""
        self.headers = headers or {}
        """Of the answer, names in lower case, where who opened it tells them."""
        self._connection = wire.connection_of(raw)

    @property
    def size_bytes(self) -> int | None:
        """As the service announced it."""
        return self._size

    def of_size(self, size_bytes: int) -> Stream:
        """The same stream, which must have that length."""
        return Stream(self._raw, size_bytes, self._what, self.start)

    def __iter__(self) -> Iterator[bytes]:
        got = 0
        while True:
            try:
                with translated(self._what):
                    chunk = wire.piece(self._raw, self._connection, wire.CHUNK)
            except CloudError:
                if heeded().stop.is_set():
                    raise Interrupted(f"{self._what}: stopped", "Run the same command again.") from None
                raise
            if not chunk:
                break
            got += len(chunk)
            yield chunk
        if self._size is not None and got != self._size:
            raise Broken(f"{self._what}: broke off after {got} of {self._size} bytes")


def measured(data: Iterable[bytes], size_bytes: int | None, what: str) -> Iterator[bytes]:
    """The chunks, without empty ones; raises Broken if they are not `size_bytes` together."""
    got = 0
    for chunk in data:
        got += len(chunk)
        if size_bytes is not None and got > size_bytes:
            break
        if chunk:
            yield chunk
    if size_bytes is not None and got != size_bytes:
        raise Broken(f"{what}: the source gave {got} bytes where {size_bytes} were announced")


def with_query(path: str, query: Mapping[str, Any]) -> str:
    """The path with a query string; None values are left out."""
    text = urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
    return f"{path}{'&' if '?' in path else '?'}{text}" if text else path


def _start(place: Start[Json], name: Naming, by: By) -> Json:
    """Where a page begins, as a query."""
    if by == "offset":
        return {"offset": place.offset}
    return {} if place.after is None else {"marker": name(place.after)}


def number(told: Any) -> int | None:
    """A count that an answer or a header tells, or None if it is none."""
    text = str(told)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def entries(answer: Json, key: str) -> list[Json]:
    """The objects of a list in an answer; what is none of them is left out."""
    listed = answer.get(key)
    return [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []


def _text(response: requests.Response, *, stream: bool) -> str:
    """What the cloud says in the body of an error."""
    told = (
        wire.piece(response.raw, wire.connection_of(response.raw), wire.CHUNK, decode=True)
        if stream
        else response.content
    )
    return text_of_body(told.decode("utf-8", "replace"))


def patience(method: str, *, stream: bool = False) -> tuple[float, float]:
    """Seconds for the connection, and for an answer to a request of this method; what streams may take its time."""
    bounds: Bounds = heeded().bounds
    return bounds.connect, bounds.silence if stream or writes(method) else bounds.answer


def _shown(path: str) -> str:
    return path.partition("?")[0][:120]


def parallel(work: Callable[[T], U], items: Iterable[T], workers: int = PARALLEL) -> list[U]:
    """`work` of each item, in order, several at a time; the first error is raised. Interrupted if it is stopped meanwhile."""
    listed, between = list(items), stoppable("reading")

    def one(item: T) -> U:
        between()
        return work(item)

    if len(listed) < 2:
        return [one(item) for item in listed]
    with ThreadPoolExecutor(min(workers, len(listed))) as pool:
        return list(pool.map(one, listed))


def moment(text: str | None) -> datetime | None:
    """A time of an API as UTC. Raises ValueError for what is none."""
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise ValueError("no time")
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
