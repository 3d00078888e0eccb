# SPDX-License-Identifier: Apache-2.0
"""A small object is written once and over nobody's, whatever a store makes of `If-None-Match: *`: a store of each mind."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from unterbau.cloud.bounds import Bounds
from unterbau.cloud.openstack.limits import Limits
from unterbau.cloud.openstack.object_storage import ObjectService
from unterbau.cloud.openstack.swift import Swift
from unterbau.cloud.waiting import heeding
from unterbau.errors import CloudError, Conflict
from unterbau.tenant.kinds import Kind, StoredObject

OURS, THEIRS = "unterbau.r.0123456789abcdef", "unterbau.other.0123456789abcdef"
ANSWERS = {"refuses": 412, "ignores": None, "does not know": 501, "calls it bad": 400}


class Store(BaseHTTPRequestHandler):
    """Keeps bodies and their mark."""

    protocol_version = "HTTP/1.1"
    mind: int | None
    kept: dict[str, tuple[bytes, str]]
    asked: list[str]
    broken: int

    def do_HEAD(self) -> None:
        self.asked.append("HEAD")
        if self.path == "/v1/AUTH_x/box":
            return self._answer(403)
        there = self.kept.get(self.path.partition("?")[0])
        self._answer(404 if there is None else 200, {"X-Object-Meta-Unterbau": there[1]} if there else {})

    def do_GET(self) -> None:
        """The account, its one container, and the objects in it."""
        path = self.path.partition("?")[0].removeprefix("/v1/AUTH_x").strip("/")
        etag = hashlib.md5(b"xyz", usedforsecurity=False).hexdigest()
        entries = {"": [{"name": "box", "count": 1, "bytes": 3}], "box": [{"name": "a", "hash": etag, "bytes": 3}]}
        entry = [] if "marker" in self.path else entries.get(path)
        body = b"xyz" if entry is None else json.dumps(entry).encode()
        self._answer(200, {"Content-Length": str(len(body)), "ETag": etag, "X-Container-Object-Count": "1"})
        self.wfile.write(body)

    def do_PUT(self) -> None:
        body, condition = self.rfile.read(int(self.headers["Content-Length"])), self.headers.get("If-None-Match")
        self.asked.append("PUT if none" if condition else "PUT")
        if type(self).broken and condition:
            type(self).broken -= 1
            self._answer(503)
        elif condition and self.mind and (self.mind != 412 or self.path in self.kept):
            self._answer(self.mind)
        else:
            self.kept[self.path] = body, self.headers["X-Object-Meta-Unterbau"]
            self._answer(201)

    def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def store(mind: str) -> Iterator[ObjectService]:
    Store.mind, Store.kept, Store.asked, Store.broken = ANSWERS[mind], {}, [], 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server, heeding(threading.Event(), print, Bounds(tries=1)):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/AUTH_x"
        yield ObjectService(Swift(lambda: url, lambda: "token", lambda: None, lambda: True, Limits()))
        server.shutdown()


def wish(name: str, size: int = 3) -> StoredObject:
    return StoredObject(id="-", name=name, container="box", size_bytes=size, etag="")


@pytest.mark.thorough
@pytest.mark.parametrize("mind", ANSWERS)
def test_ours_is_written_and_written_again_and_theirs_stays(mind: str) -> None:
    with store(mind) as objects:
        for name, body in (("a", b"one"), ("b", b"two"), ("a", b"one"), ("b", b"two")):
            objects.write(wish(name), [body], OURS)
        Store.kept["/v1/AUTH_x/box/c"] = b"old", THEIRS
        with pytest.raises(Conflict, match="not ours"):
            objects.write(wish("c"), [b"new"], OURS)
        assert {k.rpartition("/")[2]: v for k, v in Store.kept.items()} == {
            "a": (b"one", OURS), "b": (b"two", OURS), "c": (b"old", THEIRS)
        }  # fmt: skip


def test_a_store_that_refuses_is_asked_once_for_each_new_object() -> None:
    with store("refuses") as objects:
        for name in "abcd":
            objects.write(wish(name), [b"xyz"], OURS)
    assert Store.asked == ["HEAD", "PUT", "PUT if none"] + ["PUT if none"] * 3


@pytest.mark.parametrize("mind", [m for m in ANSWERS if m != "refuses"])
def test_another_store_is_tried_once_and_looked_at_from_then_on(mind: str) -> None:
    with store(mind) as objects:
        for name in "abc":
            objects.write(wish(name), [b"xyz"], OURS)
    assert Store.asked == ["HEAD", "PUT", "PUT if none"] + ["HEAD", "PUT"] * 2


def test_a_trial_without_an_answer_says_nothing_of_the_store_and_is_a_write_without_an_answer() -> None:
    """It may still be done: the journal has to know."""
    with store("refuses") as objects:
        Store.broken = 1
        with pytest.raises(CloudError) as caught:
            objects.write(wish("a"), [b"xyz"], OURS)
        assert caught.value.uncertain
        objects.write(wish("a"), [b"xyz"], OURS)
        objects.write(wish("b"), [b"xyz"], OURS)
    assert Store.asked == ["HEAD", "PUT", "PUT if none"] * 2 + ["PUT if none"]


def test_a_large_object_is_streamed_and_looked_for_before() -> None:
    with store("refuses") as objects:
        objects.write(wish("a"), [b"xyz"], OURS)
        size = 5 << 20
        objects.write(wish("large", size), [b"x" * (1 << 20)] * 5, OURS)
        assert len(Store.kept["/v1/AUTH_x/box/large"][0]) == size
    assert Store.asked[-2:] == ["HEAD", "PUT"]


@pytest.mark.thorough
def test_a_container_that_is_not_told_costs_its_objects_nothing() -> None:
    """Whether it keeps versions decides how an object is read, and not whether."""
    with store("refuses") as objects:
        objects.write(wish("a"), [b"xyz"], OURS)
        read: list[str] = []
        found = objects.listing(Kind.OBJECT, lambda one, _: read.append(one.id))
    assert [one.id for one in found.resources] == ["box/a"] and not read
