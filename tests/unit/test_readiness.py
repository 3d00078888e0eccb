# SPDX-License-Identifier: Apache-2.0
"""When an embedded cloud is ready: every listing twice alike, one service after the other's start, and what is no answer."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unterbau.errors import ServiceDied, Unreachable
from unterbau.reference import readiness
from unterbau.reference.layout import Layout, Ports, Secrets
from unterbau.reference.readiness import LISTINGS, TRIES, Readiness

Answer = Callable[[str, int], tuple[int, bytes]]
LAYOUT = Layout("unit", Path("/nowhere"), Path("/nowhere"), Ports.block(1))
PORTS = {port: name for name, port in LAYOUT.ports.all().items()}


class Services:
    """Stands for `Rest`: all services of a cloud, each answer a function of the path and how often it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked, self.order = answer, Counter[str](), list[str]()
        self.entered, self.busy = 0, Counter[str]()
        self._lock = threading.Lock()

    def __call__(self, ca: Path) -> Services:
        return self

    def log_in(self, auth_url: str, auth: Any) -> dict[str, Any]:
        self.entered += 1
        return {"project": {"id": "p"}}

    def look(self, url: str, **headers: str) -> tuple[int, bytes]:
        place, _, path = url.removeprefix("https://").partition("/")
        service = PORTS[int(place.rpartition(":")[2])]
        with self._lock:
            self.busy[service] += 1
            assert self.busy[service] == 1, "one request at a time"
            self.asked[url] += 1
            self.order.append(service)
        told = self.answer(f"/{path}", self.asked[url])
        with self._lock:
            self.busy[service] -= 1
        return told


def empty(path: str, time: int) -> tuple[int, bytes]:
    return 200, b"[]" if "AUTH_" in path else b"{}"


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], tuple[Readiness, Services]]]:
    def make(answer: Answer) -> tuple[Readiness, Services]:
        there = Services(answer)
        monkeypatch.setattr(readiness, "Rest", there)
        return Readiness(LAYOUT, Secrets(*["x"] * len(Secrets.__dataclass_fields__))), there

    yield make


def test_what_was_answered_twice_alike_while_others_started_is_not_asked_again(ready: Any) -> None:
    it, there = ready(empty)
    for service in LISTINGS:
        it.warm(service)
    assert there.asked == {}, "nobody may enter yet"
    it.entrance()
    said: list[str] = []
    it.demand(said.append, again=False)
    assert set(there.asked.values()) == {2} and set(there.order) == set(LISTINGS)
    assert said == ["every listing was answered twice alike"] and there.entered == 1


def test_after_the_offering_was_made_everything_is_asked_again(ready: Any) -> None:
    it, there = ready(empty)
    it.entrance()
    it.warm("nova")
    it.demand(lambda line: None, again=True)
    assert {n for url, n in there.asked.items() if f":{LAYOUT.ports.nova}/" in url} == {4}
    assert {n for url, n in there.asked.items() if f":{LAYOUT.ports.nova}/" not in url} == {2}


def test_a_listing_is_asked_until_it_is_twice_the_same(ready: Any) -> None:
    def settling(path: str, time: int) -> tuple[int, bytes]:
        if path.startswith("/v2.0/networks"):
            return 200, json.dumps({"networks": [{"id": str(min(time, 4))}]}).encode()
        return empty(path, time)

    it, there = ready(settling)
    it.demand(lambda line: None, again=False)
    assert {n for url, n in there.asked.items() if "/v2.0/networks" in url} == {5}


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (lambda path, time: (200, f'{{"a": {time}}}'.encode()), ServiceDied, f"{TRIES} answers, and no two in a row"),
        (lambda path, time: (500, b"oh no"), ServiceDied, "HTTP 500: oh no"),
        (lambda path, time: (503, b"<html>"), ServiceDied, "HTTP 503"),
    ],
)
def test_a_service_that_is_not_ready_ends_the_start_and_is_named(
    ready: Any, answer: Answer, error: type[Exception], said: str
) -> None:
    def but_cinder(path: str, time: int) -> tuple[int, bytes]:
        return answer(path, time) if path.startswith("/v3/snapshots") else empty(path, time)

    it, _ = ready(but_cinder)
    it.entrance()
    it.warm("cinder")
    with pytest.raises(error, match=r"GET https://127.0.0.1:\d+/v3/snapshots/detail: ") as caught:
        it.demand(lambda line: None, again=False)
    assert said in str(caught.value)


@pytest.mark.thorough
def test_a_service_that_gives_no_answer_is_unreachable(ready: Any) -> None:
    def mute(path: str, time: int) -> tuple[int, bytes]:
        raise Unreachable(f"GET {path}: no answer")

    it, _ = ready(mute)
    with pytest.raises(Unreachable, match="no answer"):
        it.demand(lambda line: None, again=False)


def test_the_listings_below_an_entry_are_asked_of_the_first_one(ready: Any) -> None:
    def one(path: str, time: int) -> tuple[int, bytes]:
        told: dict[str, Any] = {
            "/v2.1/servers/detail": {"servers": [{"id": "s1"}, {"id": "s2"}]},
            "/v1/secrets": {"secrets": [{"secret_ref": "https://x/v1/secrets/k1"}], "total": 1},
            "/v1/AUTH_p?format=json": [{"name": "a/b ü", "count": 3}],
        }
        return 200, json.dumps(told.get(path, {})).encode()

    it, there = ready(one)
    it.demand(lambda line: None, again=False)
    asked = {"/" + url.split("/", 3)[3] for url in there.asked}
    assert {
        "/v2.1/servers/s1/os-volume_attachments",
        "/v1/secrets/k1/acl",
        "/v1/AUTH_p/a%2Fb%20%C3%BC?format=json",
    } <= asked
    assert not [path for path in asked if "members" in path or "{" in path]
