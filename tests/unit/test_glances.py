# SPDX-License-Identifier: Apache-2.0
"""What threads that wait at the same time ask of a cloud, and that each is told of its own thing as it stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from test_linear_requests import marker, nova, server

from unterbau.cloud.openstack import glances
from unterbau.cloud.openstack.glances import Glances
from unterbau.cloud.openstack.http import Json
from unterbau.errors import Broken
from unterbau.tenant.kinds import NOTHING, Kind

SOON = timedelta(seconds=20)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(glances, "time", made)
    return made


class Kept:
    """Things of which somebody asks."""

    def __init__(self) -> None:
        self.there: dict[str, Json] = {id_: {"id": id_, "status": "BUILD"} for id_ in "abc"}
        self.listings: list[int] = []
        self.asked: list[str] = []
        self.left_out = ""

    def newest(self, count: int) -> Mapping[str, Json]:
        self.listings.append(count)
        return {id_: dict(told) for id_, told in self.there.items() if id_ != self.left_out}

    def one(self, id_: str) -> Json | None:
        self.asked.append(id_)
        return self.there.get(id_)

    def glances(self) -> Glances:
        return Glances(self.newest, self.one)


def test_who_waits_alone_asks_for_the_one_thing(clock: Clock) -> None:
    kept = Kept()
    with kept.glances().at("a") as look:
        assert look() == kept.there["a"] and look() == kept.there["a"]
    assert (kept.listings, kept.asked) == ([], ["a", "a"])


def test_one_listing_tells_all_who_wait_and_is_asked_for_again_when_it_is_old(clock: Clock) -> None:
    kept = Kept()
    shared = kept.glances()
    with shared.at("a") as a, shared.at("b") as b:
        clock.now += 0.1
        assert (a(), b()) == (kept.there["a"], kept.there["b"]) and kept.listings == [4]
        kept.there["a"]["status"] = "ACTIVE"
        clock.now += glances.FRESH_SECONDS + 0.1
        told = a()
        assert told is not None and told["status"] == "ACTIVE" and kept.listings == [4, 4]
    assert not kept.asked


def test_who_comes_later_is_told_by_no_listing_that_began_before(clock: Clock) -> None:
    kept = Kept()
    shared = kept.glances()
    with shared.at("a") as a, shared.at("b") as b:
        clock.now += 0.1
        a(), b()
        clock.now += 0.1
        kept.there["c"]["status"] = "ACTIVE"
        with shared.at("c") as c:
            told = c()
            assert told is not None and told["status"] == "ACTIVE" and len(kept.listings) == 2


def test_what_a_listing_lacks_is_asked_for_by_itself(clock: Clock) -> None:
    kept = Kept()
    kept.left_out = "b"
    shared = kept.glances()
    with shared.at("a") as a, shared.at("b") as b:
        assert (a(), b()) == (kept.there["a"], kept.there["b"])
        del kept.there["b"]
        assert b() is None, "it is gone"
    assert kept.asked == ["b", "b"]


def _settling(listing: Callable[[list[Any]], Any] = lambda told: told) -> dict[str, int]:
    """Eight servers that run after their fourth look, waited for by as many threads; what was asked for."""
    api, service = nova()
    ids = [service.ensure(server(n), marker(n), frozenset(), NOTHING) for n in range(8)]
    looks, lock, json, all_wait = dict.fromkeys(ids, 0), threading.Lock(), api.json, threading.Event()
    for id_ in ids:
        api.things["servers"][id_] |= {"status": "BUILD", "flavor": {}, "metadata": {}}

    def seen(id_: str) -> None:
        looks[id_] += 1
        if looks[id_] >= 4:
            api.things["servers"][id_]["status"] = "ACTIVE"

    def told(method: str, path: str, body: Any = None, **options: Any) -> Json:
        while not all_wait.wait(0.01):
            if len(service._glances._waiting) == 8:
                all_wait.set()
        with lock:
            answer = json(method, path, body, **options)
            name = path.partition("?")[0]
            for id_ in ids if name.endswith("detail") else [i for i in ids if name.endswith(f"/{i}")]:
                seen(id_)
            return answer | {"servers": listing(answer["servers"])} if "sort_key" in path else answer

    api.json = told  # type: ignore[method-assign]
    api.asked.clear()
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda id_: service.settle(Kind.SERVER, id_, SOON), ids):
            assert getattr(found, "status", "") == "ACTIVE"
    return dict(api.asked)


def test_eight_servers_that_are_waited_for_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "FRESH_SECONDS", 0.05)
    asked = _settling()
    assert asked["GET servers"] <= 8 + 4 + 4, (
        "each is read as a whole when it runs; four listings; one or the other looks alone"
    )


@pytest.mark.parametrize("listing", [lambda told: [], lambda told: None, lambda told: [7, {"id": 7}, *told[:3]]])
def test_a_listing_that_is_of_no_use_keeps_nobody_waiting(listing: Callable[[list[Any]], Any]) -> None:
    assert _settling(listing)


def test_of_servers_that_are_waited_for_one_in_error_is_one_in_error() -> None:
    api, service = nova()
    ids = [service.ensure(server(n), marker(n), frozenset(), NOTHING) for n in range(2)]
    for id_ in ids:
        api.things["servers"][id_] |= {"flavor": {}, "metadata": {}}
    api.things["servers"][ids[0]]["status"] = "ERROR"
    with service._glances.at("another"), pytest.raises(Broken, match="ended in status ERROR"):
        service.settle(Kind.SERVER, ids[0], SOON)
    with service._glances.at("another"):
        assert service.settle(Kind.SERVER, ids[1], SOON).id == ids[1]
