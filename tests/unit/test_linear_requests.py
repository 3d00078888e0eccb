# SPDX-License-Identifier: Apache-2.0
"""What making many things asks of a cloud grows as their number does: requests, and what their answers tell.

`Project` answers as the services do where that matters here: filters narrow, a name asked of Nova is a regular expression,
Neutron refuses a second rule like one that is there and a second port with a MAC, and makes all of a bulk or nothing.
"""

from __future__ import annotations

import ast
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from keystoneauth1.adapter import Adapter
from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session
from world import World

from unterbau.cloud.openstack.block_storage import BlockStorageService
from unterbau.cloud.openstack.compute import ComputeService
from unterbau.cloud.openstack.http import Api, Json
from unterbau.cloud.openstack.network import NetworkService
from unterbau.cloud.simulator import Simulator
from unterbau.errors import CloudError, Conflict, OverQuota, Unreachable
from unterbau.saga import Journal
from unterbau.switch import move
from unterbau.tenant.kinds import (
    NOTHING,
    Flavor,
    Kind,
    Port,
    Resource,
    SecurityGroupRule,
    Server,
    Snapshot,
    Volume,
)

SOON = timedelta(seconds=5)
FLAVOR = Flavor(id="f", name="small", vcpus=1, ram_mib=1, disk_gib=1)


def marker(number: int) -> str:
    return f"unterbau.run.{number:016x}"


class Project(Api):
    """One service of a project, which counts what it is asked and what it tells."""

    def __init__(self, service: str, microversion: str | None = None) -> None:
        super().__init__(
            Adapter(Session(NoAuth("http://127.0.0.1:9")), service_type=service), microversion=microversion
        )
        self.things: dict[str, dict[str, Json]] = {}
        self.asked, self.told, self._number = Counter[str](), 0, count(1)
        self.mute = False

    def json(self, method: str, path: str, body: Any = None, **options: Any) -> Json:
        parts = urlsplit(path)
        name, _, rest = parts.path.removeprefix("/v2.0").strip("/").partition("/")
        self.asked[f"{method} {name}"] += 1
        there = self.things.setdefault(name, {})
        if method == "GET" and rest in ("", "detail"):
            found = [t for t in there.values() if self._fits(t, dict(parse_qsl(parts.query)))]
            found += (
                [{"id": "m", "status": "UNKNOWN"}] if self.mute and name == "servers" and "?name" not in path else []
            )
            self.told += len(found)
            return {name.removeprefix("os-").replace("-", "_"): found}
        if method == "GET":
            self.told += 1
            return {name.removesuffix("s").replace("-", "_"): there[rest]}
        ((single, told),) = body.items()
        return {single: self.make(name, told)}

    def make(self, name: str, told: Json) -> Json:
        made = {"id": str(next(self._number)), "status": "creating" if name == "volumes" else "ACTIVE", **told}
        self.things[name][made["id"]] = made
        return made

    def _fits(self, thing: Json, query: dict[str, str]) -> bool:
        for key, value in query.items():
            if key == "metadata" and not ast.literal_eval(value).items() <= thing["metadata"].items():
                return False
            if key == "name" and not re.search(value, thing["name"]):
                return False
            if key == "status" and value != thing["status"]:
                return False
        return True


def nova() -> tuple[Project, ComputeService]:
    api = Project("compute", "2.96")
    api.things["flavors"] = {"f": {"id": "f", "name": "small"}}
    return api, ComputeService(lambda: api, lambda **query: [])


def server(number: int, name: str = "") -> Server:
    return Server(id="-", name=name or f"web-{number}", status="ACTIVE", flavor=FLAVOR)


def volume(number: int) -> Volume:
    return Volume(
        id="-", name="data", status="available", size_gib=1, metadata={"unterbau": "mine"} if number % 2 else {}
    )


def snapshot(number: int) -> Snapshot:
    return Snapshot(id="-", name="data", status="available", volume_id="v", size_gib=1)


Making = Callable[[int], Project]


def servers(number: int) -> Project:
    api, service = nova()
    for n in range(number):
        service.ensure(server(n), marker(n), frozenset(), NOTHING)
    return api


def disks(wish: Callable[[int], Resource]) -> Making:
    def make(number: int) -> Project:
        api = Project("block-storage", "3.65")
        service = BlockStorageService(lambda: api)
        for n in range(number):
            service.ensure(wish(n), marker(n), frozenset(), NOTHING)
        return api

    return make


@pytest.mark.parametrize("making", [servers, disks(volume), disks(snapshot)], ids=["servers", "volumes", "snapshots"])
def test_twice_as_many_ask_and_tell_twice_as_much(making: Making) -> None:
    once, twice = making(10), making(20)
    assert twice.asked.total() <= 2 * once.asked.total()
    assert twice.told <= 2 * once.told, f"{once.told} things were told for 10, {twice.told} for 20"
    assert once.asked.total() <= 10 * 4 and once.told <= 10 * 3


@pytest.mark.parametrize("wish", [volume(0), volume(1), snapshot(0)])
def test_a_disk_is_found_by_its_marker_wherever_that_stands(wish: Resource) -> None:
    api = Project("block-storage", "3.65")
    made = [BlockStorageService(lambda: api).ensure(wish, marker(n), frozenset(), NOTHING) for n in (1, 2, 1, 2)]
    assert made[:2] == made[2:] and made[0] != made[1]


def test_where_the_provider_allows_no_such_filter_a_disk_is_found_among_all() -> None:
    class Strict(Project):
        def json(self, method: str, path: str, body: Any = None, **options: Any) -> Json:
            if "metadata=" in path:
                raise Conflict("block-storage: HTTP 400: Invalid filters metadata are found in query options.")
            return super().json(method, path, body, **options)

    api = Strict("block-storage", "3.65")
    service = BlockStorageService(lambda: api)
    assert len({service.ensure(volume(0), marker(1), frozenset(), NOTHING) for _ in range(3)}) == 1


@pytest.mark.parametrize("name", ["web-1", "a.b", "(x)[1]*+?", "ünïcode €", "back\\slash", "^$|", " two  blanks "])
def test_a_server_is_found_by_its_marker_whatever_its_name(name: str) -> None:
    api, service = nova()
    other = service.ensure(server(0, name), marker(9), frozenset(), NOTHING)
    made = service.ensure(server(1, name), marker(1), frozenset(), NOTHING)
    again = nova()[1]
    again._api = lambda: api
    assert {s.ensure(server(1, name), marker(1), frozenset(), NOTHING) for s in (service, again, again)} == {made}
    assert other != made


def test_one_that_was_renamed_is_found_by_the_next_process() -> None:
    api, service = nova()
    made = service.ensure(server(1), marker(1), frozenset(), NOTHING)
    api.things["servers"][made]["name"] = "renamed"
    again = ComputeService(lambda: api, lambda **query: [])
    assert again.ensure(server(1), marker(1), frozenset(), NOTHING) == made


def test_a_lost_request_is_looked_for_among_all_servers() -> None:
    """Asked for a name, Nova tells nothing of a cell that does not answer: a twin would be made."""
    api, service = nova()
    service.ensure(server(1), marker(1), frozenset(), NOTHING)
    post, lost = api.make, [True]

    def losing(name: str, told: Json) -> Json:
        made = post(name, told)
        if lost and lost.pop():
            raise Unreachable("no answer")
        return made

    api.make = losing  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        service.ensure(server(2), marker(2), frozenset(), NOTHING)
    hidden, api.mute = api.things["servers"].pop("2"), True
    with pytest.raises(Unreachable, match="cell"):
        service.ensure(server(2), marker(2), frozenset(), NOTHING)
    api.things["servers"]["2"] = hidden
    found = service.ensure(server(2), marker(2), frozenset(), NOTHING)
    assert found == "2" and len(api.things["servers"]) == 2


def test_no_server_is_made_while_a_cell_is_mute() -> None:
    api, service = nova()
    api.mute = True
    for _ in range(2):
        with pytest.raises(Unreachable, match="cell"):
            service.ensure(server(1), marker(1), frozenset(), NOTHING)
    assert not api.things.get("servers")


# --- what the network service makes at once


class Networking(Project):
    """Neutron, which refuses a twin; `full` as one with no quota left, `busy` as one that takes its time."""

    UNIQUE = ("network_id", "mac_address")
    RULE = ("security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
            "remote_group_id", "remote_address_group_id")  # fmt: skip

    def __init__(self, *extensions: str) -> None:
        super().__init__("network")
        aliases = ("standard-attr-tag", "port-security", *extensions)
        self.things["extensions"] = {a: {"id": a, "alias": a} for a in aliases}
        self.lock, self.full, self.busy, self.lose = threading.Lock(), False, threading.Event(), set[str]()
        self.busy.set()
        self.sizes = list[int]()

    def json(self, method: str, path: str, body: Any = None, **options: Any) -> Json:
        assert self.busy.wait(20)
        with self.lock:
            if method == "PUT":
                return self._put(path, body)
            if method == "POST" and isinstance(next(iter(body.values())), list):
                return self._bulk(path, body)
            answer = super().json(method, path, body)
        if method == "POST" and self.lose:
            self.lose.pop()
            raise Unreachable("no answer")
        return answer

    def _put(self, path: str, body: Json) -> Json:
        _, _, name, id_, *rest = path.split("/")
        self.asked[f"PUT {name}"] += 1
        thing = self.things[name][id_]
        thing |= body if rest else next(iter(body.values()))
        return {name.removesuffix("s"): thing}

    def _bulk(self, path: str, body: Json) -> Json:
        name = path.rpartition("/")[2]
        self.asked[f"POST {name}"] += 1
        ((plural, bodies),) = body.items()
        self.sizes.append(len(bodies))
        before = dict(self.things.setdefault(name, {}))
        try:
            return {plural: [self.make(name, b) for b in bodies]}
        except CloudError:
            self.things[name] = before
            raise

    def make(self, name: str, told: Json) -> Json:
        if self.full:
            raise OverQuota("HTTP 409: Quota exceeded for resources")
        fields = self.RULE if name == "security-group-rules" else self.UNIQUE
        if name in ("ports", "security-group-rules") and any(
            all(t.get(f) == told.get(f) for f in fields) for t in self.things[name].values()
        ):
            raise Conflict("HTTP 409: there already")
        if name == "ports" and "tag-ports-during-bulk-creation" not in self.things["extensions"]:
            told = {k: v for k, v in told.items() if k != "tags"}
        return super().make(
            name, {"description": "", "tags": [], "status": "DOWN", **told} if name == "ports" else told
        )

    def _fits(self, thing: Json, query: dict[str, str]) -> bool:
        query.pop("limit", None), query.pop("project_id", None), query.pop("fields", None)
        tag = query.pop("tags", None)
        return (tag is None or tag in thing.get("tags", ())) and all(str(thing.get(k)) == v for k, v in query.items())


def neutron(*extensions: str) -> tuple[Networking, NetworkService]:
    api = Networking(*extensions)
    return api, NetworkService(lambda: api, lambda: "project")


def rule(number: int, group: str = "g") -> SecurityGroupRule:
    return SecurityGroupRule(id="-", name="", security_group_id=group, direction="ingress", ethertype="IPv4", protocol="tcp",
                             port_range_min=number, port_range_max=number)  # fmt: skip


def port(number: int) -> Port:
    return Port(id="-", name="p", description="mine", network_id="n", mac_address=f"fa:16:3e:00:00:{number:02x}",
                fixed_ips=(), security_group_ids=(), tags=("t",))  # fmt: skip


def made(service: NetworkService, wish: Resource, number: int) -> str:
    id_ = service.ensure(wish, marker(number), frozenset(), NOTHING)
    if wish.own_kind is not Kind.SECURITY_GROUP_RULE:
        service.settle(wish.own_kind, id_, SOON)
    return id_


@pytest.mark.parametrize(
    ("extensions", "wish", "each"),
    [
        ((), rule, {"POST security-group-rules": 1}),
        ((), port, {"POST ports": 1, "PUT ports": 2}),
        (("tag-ports-during-bulk-creation",), port, {"POST ports": 1}),
    ],
)
def test_what_is_made_the_first_time_is_looked_for_by_nobody(
    extensions: tuple[str, ...], wish: Callable[[int], Resource], each: dict[str, int]
) -> None:
    for number in (10, 20):
        api, service = neutron(*extensions)
        for n in range(number):
            made(service, wish(n), n)
        del api.asked["GET extensions"]
        assert api.asked == {request: times * number for request, times in each.items()}


@pytest.mark.thorough
@pytest.mark.parametrize("extensions", [(), ("tag-ports-during-bulk-creation",)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("wish", [rule, port])
def test_after_a_lost_answer_it_is_found_and_finished_also_with_a_full_quota(
    extensions: tuple[str, ...], full: bool, wish: Callable[[int], Resource]
) -> None:
    api, service = neutron(*extensions)
    api.lose = {"once"}
    with pytest.raises(Unreachable):
        made(service, wish(1), 1)
    api.full = full
    again = NetworkService(lambda: api, lambda: "project")
    id_ = made(again, wish(1), 1)
    assert id_ == made(service, wish(1), 1)
    name = "ports" if wish is port else "security-group-rules"
    assert list(api.things[name]) == [id_]
    if wish is port:
        there = api.things["ports"][id_]
        assert there["description"] == "mine" and set(there["tags"]) == {marker(1), "t"}


def test_a_port_of_somebody_else_with_this_mac_is_not_taken() -> None:
    api, service = neutron()
    api.things["ports"] = {
        "theirs": {"id": "theirs", "network_id": "n", "mac_address": port(1).mac_address, "tags": []}
    }
    with pytest.raises(Conflict):
        made(service, port(1), 1)
    assert list(api.things["ports"]) == ["theirs"]


def together(service: NetworkService, api: Networking, wishes: list[SecurityGroupRule]) -> list[str | BaseException]:
    """Asked for by as many threads while Neutron answers nobody."""

    def ask(wish: SecurityGroupRule) -> str | BaseException:
        try:
            return made(service, wish, 0)
        except CloudError as error:
            return error

    api.busy.clear()
    with ThreadPoolExecutor(len(wishes)) as pool:
        asked = [pool.submit(ask, wish) for wish in wishes]
        time.sleep(0.3)
        api.busy.set()
        return [a.result() for a in asked]


@pytest.mark.thorough
def test_rules_of_a_group_that_are_asked_for_meanwhile_go_together() -> None:
    api, service = neutron()
    ids = together(service, api, [rule(n) for n in range(8)])
    assert api.asked == {"POST security-group-rules": 2} and api.sizes == [7]
    assert [api.things["security-group-rules"][str(i)]["port_range_min"] for i in ids] == list(range(8))


@pytest.mark.thorough
def test_a_rule_that_is_refused_costs_the_others_nothing() -> None:
    api, service = neutron()
    first = made(service, rule(3), 0)
    ids = together(service, api, [rule(n) for n in range(8)])
    assert ids[3] == first and len(set(ids)) == 8 and len(api.things["security-group-rules"]) == 8


@pytest.mark.thorough
def test_of_rules_that_are_answered_in_another_order_each_gets_its_own() -> None:
    api, service = neutron()
    plain = api._bulk
    api._bulk = lambda path, body: {k: v[::-1] for k, v in plain(path, body).items()}  # type: ignore[method-assign]
    ids = together(service, api, [rule(n) for n in range(8)])
    assert [api.things["security-group-rules"][str(i)]["port_range_min"] for i in ids] == list(range(8))


@pytest.mark.thorough
def test_a_lost_answer_to_many_rules_is_uncertain_for_each_and_none_is_made_twice() -> None:
    api, service = neutron()
    plain = api._bulk

    def lost(path: str, body: Json) -> Json:
        plain(path, body)
        api._bulk = plain  # type: ignore[method-assign]
        error = Unreachable("no answer")
        error.uncertain = True
        raise error

    api._bulk = lost  # type: ignore[method-assign]
    told = together(service, api, [rule(n) for n in range(8)])
    assert sum(isinstance(t, Unreachable) and t.uncertain for t in told) == 7
    again = [made(service, rule(n), 0) for n in range(8)]
    assert len(set(again)) == 8 == len(api.things["security-group-rules"])


def test_in_a_group_that_the_move_makes_nobody_asks_what_was_there_before(world: World) -> None:
    """But in the group `default`, which stands on the target already."""
    asked = list[Resource]()

    class Asked(Simulator):
        def lookalikes(self, resource: Resource) -> tuple[str, ...]:
            asked.append(resource)
            return super().lookalikes(resource)

    source, target = world.source, Asked(world.target.folder, name="b")
    plan = world.plan
    with Journal(world.root / "journal.db") as journal:
        done = dict(journal.outputs)
        for step in move.steps(plan, world.workload, source, target):
            if step.name.startswith("security_group_rule:"):
                step.intend(done)
    rules = [r for r in world.workload.of(SecurityGroupRule) if plan.by_ref[r.ref].fate.moves]
    found = [r for r in rules if plan.by_ref[r.within()].stands_in is not None and plan.by_ref[r.ref].stands_in is None]
    assert len(asked) == len(found) < len(rules)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [Kind.SERVER, Kind.ATTACHMENT, Kind.VOLUME, Kind.PORT, Kind.SECURITY_GROUP_RULE])
def test_a_listing_of_many_asks_as_often_as_one_of_few(kind: Kind) -> None:
    """No request for a thing of which the listing tells all (what a server attaches is asked for where it attaches something)."""

    def asked(number: int) -> int:
        if kind in (Kind.SERVER, Kind.ATTACHMENT):
            api, compute = nova()
            for n in range(number):
                compute.ensure(server(n), marker(n), frozenset(), NOTHING)
            read = partial(compute.listing, kind)
        elif kind is Kind.VOLUME:
            api = Project("block-storage", "3.65")
            storage = BlockStorageService(lambda: api)
            for n in range(number):
                storage.ensure(volume(n), marker(n), frozenset(), NOTHING)
            read = partial(storage.listing, kind)
        else:
            api, network = neutron()
            for n in range(number):
                network.ensure(port(n) if kind is Kind.PORT else rule(n), marker(n), frozenset(), NOTHING)
            read = partial(network.listing, kind)
        api.asked.clear()
        assert read().entries in (None, number)
        return api.asked.total()

    assert 0 < asked(10) == asked(20) < 5
