# SPDX-License-Identifier: Apache-2.0
"""How fast a person lets us go. A server of the standard library is asked; only what must not be quicker is asserted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from keystoneauth1.adapter import Adapter
from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session

from unterbau.cloud.bounds import Bounds, bandwidth, read
from unterbau.cloud.openstack.http import Api
from unterbau.cloud.openstack.limits import Limits
from unterbau.cloud.openstack.swift import Swift
from unterbau.cloud.openstack.transport import guard
from unterbau.cloud.waiting import heeding
from unterbau.errors import UsageError

SIZE, RATE = 160_000, 400_000
"""Bytes of a body, and a second: with pieces of a quarter of a second the last one is not waited for."""
AT_LEAST = (SIZE - RATE / 4) / RATE


class _Store(BaseHTTPRequestHandler):
    """Gives and takes bodies, and the kinds of JSON that a service gives."""

    protocol_version = "HTTP/1.1"
    taken: list[int]

    def do_GET(self) -> None:
        body = b'{"servers": []}' if self.path == "/servers" else b"x" * SIZE
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.taken.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def place() -> Iterator[str]:
    _Store.taken = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Store) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def keeping(bounds: Bounds, stop: threading.Event | None = None) -> Iterator[None]:
    with heeding(stop or threading.Event(), print, bounds):
        yield


def took(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def swift(place: str, limits: Limits) -> Swift:
    return Swift(lambda: f"{place}/v1/AUTH_x", lambda: "token", lambda: None, lambda: True, limits)


def drained(client: Swift) -> int:
    with client.stream("/box/thing") as stream:
        return sum(map(len, stream))


@pytest.mark.thorough
def test_what_comes_down_comes_no_faster(place: str) -> None:
    with keeping(Bounds(down=RATE)):
        assert took(lambda: drained(swift(place, Limits()))) >= AT_LEAST


@pytest.mark.thorough
def test_what_goes_up_goes_no_faster_and_arrives_whole(place: str) -> None:
    limits = Limits()
    with keeping(Bounds(up=RATE)):
        assert took(lambda: swift(place, limits).request("PUT", "/box/thing", body=b"y" * SIZE)) >= AT_LEAST
        pieces = [b"z" * (SIZE // 2)] * 2
        length = {"Content-Length": str(SIZE)}
        assert took(lambda: swift(place, limits).request("PUT", "/b/t", headers=length, body=pieces)) >= AT_LEAST
    assert _Store.taken == [SIZE, SIZE]


def test_both_ways_have_their_own_limit(place: str) -> None:
    limits = Limits()
    with keeping(Bounds(up=1)):
        drained(swift(place, limits))  # 160 kB at a byte a second would take two days
    with keeping(Bounds(down=1)):
        limits = Limits()
        swift(place, limits).request("PUT", "/box/thing", body=b"y" * SIZE)


@pytest.mark.thorough
def test_all_that_speak_to_a_cloud_share_its_turns(place: str) -> None:
    """Eight questions of four threads, by the object store's client and by that of all other services."""
    session = Session(NoAuth(place))
    known = guard(session, {"auth": {"auth_url": place}})
    api = Api(Adapter(session, service_type="compute"))
    asked = [lambda: api.json("GET", "/servers"), lambda: swift(place, known.limits).request("GET", "/")] * 4
    with keeping(Bounds(requests=20)), ThreadPoolExecutor(4) as pool:
        assert took(lambda: list(pool.map(lambda work: work(), asked))) >= 7 / 20


def test_another_cloud_has_turns_of_its_own(place: str) -> None:
    first, second = Limits(), Limits()
    with keeping(Bounds(requests=0.001)):
        first.ask()
        second.ask()  # the second one of the first would wait for a quarter of an hour


@pytest.mark.thorough
def test_a_stop_does_not_wait_for_a_turn() -> None:
    stop, limits = threading.Event(), Limits()
    with keeping(Bounds(requests=0.001), stop):
        limits.ask()
        threading.Timer(0.05, stop.set).start()
        limits.ask()
    assert stop.is_set()


@pytest.mark.parametrize(
    ("told", "up", "down"),
    [
        ("1", 1024, 1024), ("100", 102400, 102400), ("10M", 10 << 20, 10 << 20), ("512k", 512 << 10, 512 << 10),
        ("1.5G", 3 << 29, 3 << 29), ("10MiB", 10 << 20, 10 << 20), ("300B", 300, 300), ("10M:100k", 10 << 20, 100 << 10),
        ("off", 0, 0), ("off:1M", 0, 1 << 20), ("0", 0, 0), (" 2m ", 2 << 20, 2 << 20),
    ],
)  # fmt: skip
def test_a_bandwidth_is_read_as_rclone_reads_it(told: str, up: float, down: float) -> None:
    """https://rclone.org/docs/#bwlimit-bandwidth-spec"""
    assert read(bandwidth(told)) == Bounds(up=up, down=down)


@pytest.mark.parametrize("told", ["", "fast", "3x", "-1", "1:2:3", "10M/s", "08:00,512k", "1e3", "٣"])
def test_what_is_no_bandwidth_is_refused_with_what_to_write(told: str) -> None:
    with pytest.raises(UsageError, match="--bwlimit") as caught:
        bandwidth(told)
    assert "10M" in caught.value.remedy
