# SPDX-License-Identifier: Apache-2.0
"""What threads that wait at the same time ask of a cloud, and that each is told of its own thing as it stands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from test_linear_requests import marker, nova, server

from unterbau.cloud import waiting
from unterbau.cloud.openstack import glances
from unterbau.cloud.openstack.glances import Glances
from unterbau.cloud.openstack.http import Json
from unterbau.errors import Broken, Conflict
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

    def __init__(self, *underway: str) -> None:
        self.underway, self.listings = set(underway), 0

    def listed(self) -> frozenset[str]:
        self.listings += 1
        return frozenset(self.underway)


def test_who_waits_alone_costs_no_listing(clock: Clock) -> None:
    kept = Kept("a")
    with Glances(kept.listed).at("a") as underway:
        assert not underway() and not underway()
    assert kept.listings == 0


def test_one_listing_tells_all_who_wait_and_is_asked_for_again_when_it_is_old(clock: Clock) -> None:
    kept = Kept("a", "b")
    shared = Glances(kept.listed)
    with shared.at("a") as a, shared.at("b") as b:
        assert a() and b() and kept.listings == 0, "both were asked for just now"
        clock.now += glances.FRESH_SECONDS
        assert a() and b() and kept.listings == 1
        kept.underway.remove("a")
        clock.now += glances.FRESH_SECONDS + 0.1
        assert not a() and b() and kept.listings == 2


def test_who_comes_later_is_told_by_no_listing_that_began_before(clock: Clock) -> None:
    kept = Kept("a", "b", "c")
    shared = Glances(kept.listed)
    with shared.at("a") as a, shared.at("b"):
        clock.now += glances.FRESH_SECONDS
        assert a() and kept.listings == 1
        clock.now += glances.FRESH_SECONDS / 2
        with shared.at("c") as c:
            kept.underway.remove("c")
            clock.now += glances.FRESH_SECONDS
            assert not c() and kept.listings == 2


def test_who_is_left_alone_looks_by_himself(clock: Clock) -> None:
    kept = Kept("a", "b")
    shared = Glances(kept.listed)
    with shared.at("a") as a:
        with shared.at("b"):
            clock.now += glances.FRESH_SECONDS
            assert a()
        assert not a() and kept.listings == 1


def _settling(listing: Callable[[list[Any]], Any] = lambda told: told) -> dict[str, int]:
    """Eight servers that run after four looks at them, waited for by as many threads; what was asked for."""
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
            name, _, query = path.partition("?")
            for id_ in ids if query.startswith("status=BUILD") else [i for i in ids if name.endswith(f"/{i}")]:
                seen(id_)
            return answer | {"servers": listing(answer["servers"])} if query.startswith("status") else answer

    api.json = told  # type: ignore[method-assign]
    api.asked.clear()
    quick = (
        patch.object(glances, "FRESH_SECONDS", 0.05),
        patch.object(waiting, "_pause", lambda stop, seconds: stop.wait(0.02)),
    )
    with quick[0], quick[1], ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda id_: service.settle(Kind.SERVER, id_, SOON), ids):
            assert getattr(found, "status", "") == "ACTIVE"
    return dict(api.asked)


def test_eight_servers_that_are_waited_for_are_looked_at_together() -> None:
    asked = _settling()
    assert asked["GET servers"] <= 8 + 4 + 4, (
        "each is read as a whole when it runs; four listings; one or the other looks alone"
    )


def _refused(told: list[Any]) -> Any:
    raise Conflict("compute: HTTP 400: Invalid filter status")


@pytest.mark.parametrize(
    "listing", [lambda told: [], lambda told: None, lambda told: [7, {"id": []}, *told[:3]], _refused]
)
def test_a_listing_that_is_of_no_use_keeps_nobody_waiting(listing: Callable[[list[Any]], Any]) -> None:
    assert _settling(listing)


def test_of_servers_that_are_waited_for_one_in_error_is_one_in_error() -> None:
    api, service = nova()
    ids = [service.ensure(server(n), marker(n), frozenset(), NOTHING) for n in range(2)]
    for id_ in ids:
        api.things["servers"][id_] |= {"flavor": {}, "metadata": {}}
    api.things["servers"][ids[0]]["status"] = "ERROR"
    with (
        patch.object(glances, "FRESH_SECONDS", 0.05),
        service._glances.at("another"),
        pytest.raises(Broken, match="ended in status ERROR"),
    ):
        service.settle(Kind.SERVER, ids[0], SOON)
    with patch.object(glances, "FRESH_SECONDS", 0.05), service._glances.at("another"):
        assert service.settle(Kind.SERVER, ids[1], SOON).id == ids[1]
