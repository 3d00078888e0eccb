# SPDX-License-Identifier: Apache-2.0
"""The collector against a made-up cloud: ten requests whatever it holds, and one bad service spoils only its own section."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from prove_world import NOW, good_items

from unterbau import wiring
from unterbau.cli import prove as prove_cli
from unterbau.cloud.survey import Item, Reply, Request, Subject, Surveyed
from unterbau.errors import AuthFailed
from unterbau.prove.collect import collect
from unterbau.prove.data import load
from unterbau.prove.inventory import Inventory, Status
from unterbau.prove.proof import Question, prove
from unterbau.prove.verdicts import CaseOutcome

PATHS = {
    ("compute", "/flavors/detail"): "flavors",
    ("image", "/images"): "images",
    ("block-storage", "/types"): "volume_types",
    ("network", "/extensions"): "extensions",
    ("network", "/default-security-group-rules"): "default_security_group_rules",
    ("network", "/security-groups"): "security_groups",
    ("compute", "/os-availability-zone"): "compute_zones",
    ("block-storage", "/os-availability-zone"): "volume_zones",
}
KEYS = {"compute_zones": "availabilityZoneInfo", "volume_zones": "availabilityZoneInfo"}
S3 = "<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code></Error>"


class Cloud:
    """Implements `Surveyed` over `good_items`. `answers`: section -> what it does instead of answering well."""

    trust: str | bool = True

    def __init__(self, **answers: Callable[[str], tuple[int | None, Any]] | int) -> None:
        self.items, self.answers = good_items(), answers
        self.asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def enter(self) -> tuple[Request, Subject, tuple[Item, ...]]:
        subject = Subject(name="made-up", auth_url="https://keystone.example/v3", region="r", project_id="p")
        return self._request("identity", "/v3/auth/tokens", 201), subject, tuple(self.items["catalog"])

    def has(self, service: str) -> bool:
        return any(e["type"] == service for e in self.items["catalog"])

    def read(self, service: str, path: str, *, seconds: float, microversion: str = "") -> Reply:
        section = PATHS[service, urlsplit(path).path]
        answer = self.answers.get(section, 200)
        status, body = answer(path) if callable(answer) else (answer, {})
        if status == 200 and not body:
            body = {KEYS.get(section, section): self.items.get(section, [])}
        request = self._request(service, path, status)
        if status is None:
            return Reply(request=request.model_copy(update={"error": str(body)}))
        return Reply(request=request, body=body)

    def knock(self, url: str, *, headers: dict[str, str], seconds: float) -> Reply:
        assert "X-Auth-Token" not in headers
        return Reply(request=self._request("s3", urlsplit(url).path, 403), text=S3, headers={"server": "s3"})

    def _request(self, service: str, path: str, status: int | None) -> Request:
        with self._lock:
            self.asked.append((service, path))
            return Request(
                id=f"r{len(self.asked)}", service=service, method="GET", path=path, status=status, began=NOW, seconds=0.01
            )  # fmt: skip


def look(cloud: Cloud, seconds: float = 5.0) -> Inventory:
    return collect(cloud, now=lambda: NOW, tool="test", seconds=seconds)


def states(seen: Inventory) -> dict[str, Status]:
    return {name: section.status for name, section in seen.sections.items()}


@pytest.mark.thorough
def test_a_good_cloud_in_ten_requests() -> None:
    cloud = Cloud()
    seen = look(cloud)
    assert len(seen.requests) == len(cloud.asked) <= 10
    assert states(seen) == dict.fromkeys(states(seen), Status.SEEN) | {"security_groups": Status.ABSENT}
    cases = prove(seen, Question(version="v5.1", at=NOW)).report.cases
    left = {c.case for c in cases if c.outcome in (CaseOutcome.FAILED, CaseOutcome.NOT_SHOWN) and not c.manual}
    assert left == {c.id for c in load().cases if c.writes}


def test_the_number_of_flavors_does_not_matter() -> None:
    cloud = Cloud()
    cloud.items["flavors"] += [{**cloud.items["flavors"][0], "id": str(n), "name": f"f{n}"} for n in range(500)]
    assert len(look(cloud).requests) <= 10


def test_each_section_names_its_requests() -> None:
    seen = look(Cloud())
    known = {r.id for r in seen.requests}
    for section in seen.sections.values():
        assert set(section.requests) <= known
        assert section.requests or section.status is not Status.SEEN


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, Status.FORBIDDEN), (401, Status.FORBIDDEN), (404, Status.ABSENT), (500, Status.ERROR), (300, Status.ERROR)],
)
def test_a_refusal_is_of_its_section_only(status: int, expected: Status) -> None:
    seen = look(Cloud(images=status))
    assert seen.section("images").status is expected
    others = {n: s for n, s in states(seen).items() if n not in ("images", "security_groups")}
    assert set(others.values()) == {Status.SEEN}
    cases = {c.case: c.outcome for c in prove(seen, Question(version="v5.1", at=NOW)).report.cases}
    assert cases["scs-0102-prop-architecture"] is CaseOutcome.NOT_SHOWN
    assert cases["scs-0100-syntax-check"] is CaseOutcome.HELD


@pytest.mark.thorough
def test_a_hung_service_makes_only_its_own_section_time_out() -> None:
    def hang(path: str) -> tuple[int | None, Any]:
        time.sleep(3)
        return 200, {}

    begun = time.monotonic()
    seen = look(Cloud(flavors=hang), seconds=0.4)
    assert time.monotonic() - begun < 2
    assert seen.section("flavors").status is Status.TIMEOUT
    others = {n: s for n, s in states(seen).items() if n not in ("flavors", "security_groups")}
    assert set(others.values()) == {Status.SEEN}


def test_no_answer_in_time_and_no_connection_are_told_apart() -> None:
    seen = look(Cloud(images=lambda path: (None, "read timed out"), flavors=lambda path: (None, "connection refused")))
    assert (seen.section("images").status, seen.section("flavors").status) == (Status.TIMEOUT, Status.ERROR)


@pytest.mark.parametrize("body", [{}, {"images": None}, {"images": {"a": 1}}, [], "text", None])
def test_nonsense_is_an_error_and_not_an_empty_list(body: Any) -> None:
    seen = look(Cloud(images=lambda path: (200, body or {"error": 1})))
    assert seen.section("images").status is Status.ERROR


def test_all_pages_are_read() -> None:
    cloud = Cloud()
    images = cloud.items["images"]

    def page(path: str) -> tuple[int, Any]:
        start = int((parse_qs(urlsplit(path).query).get("marker") or ["0"])[0])
        body: dict[str, Any] = {"images": images[start : start + 2]}
        if start + 2 < len(images):
            body["next"] = f"/v2/images?marker={start + 2}"
        return 200, body

    cloud.answers["images"] = page
    seen = look(cloud)
    assert [i["id"] for i in seen.section("images").items] == [i["id"] for i in images]
    assert len(seen.section("images").requests) == 3


def test_the_links_of_volume_types_are_followed_under_the_name_that_cinder_gives_them() -> None:
    cloud = Cloud()
    types = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "c"}]

    def page(path: str) -> tuple[int, Any]:
        if "marker" in path:
            return 200, {"volume_types": types[1:]}
        link = {"rel": "next", "href": "/types?marker=1"}
        return 200, {"volume_types": types[:1], "volume_type_links": [link]}

    cloud.answers["volume_types"] = page
    assert [t["id"] for t in look(cloud).section("volume_types").items] == [t["id"] for t in types]


def test_pages_without_end_are_an_error_and_not_a_short_list() -> None:
    cloud = Cloud(images=lambda path: (200, {"images": [{"id": "x"}], "next": "/v2/images?marker=1"}))
    seen = look(cloud)
    assert len(seen.section("images").requests) < 100
    assert seen.section("images").status is Status.ERROR


def test_an_old_neutron_is_asked_for_the_default_group() -> None:
    cloud = Cloud(default_security_group_rules=404)
    cloud.items["security_groups"] = [{"id": "g", "name": "default", "security_group_rules": []}]
    seen = look(cloud)
    assert seen.section("default_security_group_rules").status is Status.ABSENT
    assert seen.section("security_groups").status is Status.SEEN
    assert len(seen.requests) <= 10


def test_a_service_that_is_not_in_the_catalog_is_not_asked() -> None:
    cloud = Cloud()
    cloud.items["catalog"] = [e for e in cloud.items["catalog"] if e["type"] != "block-storage"]
    seen = look(cloud)
    assert seen.section("volume_types").status is Status.ABSENT
    assert not [s for s, _ in cloud.asked if s == "block-storage"]


def test_who_may_not_enter_sees_nothing() -> None:
    class Closed(Cloud):
        def enter(self) -> tuple[Request, Subject, tuple[Item, ...]]:
            raise AuthFailed("closed")

    with pytest.raises(AuthFailed):
        look(Closed())


@pytest.mark.thorough
def test_an_inventory_survives_its_file() -> None:
    seen = look(Cloud())
    again = Inventory.from_json(seen.to_json())
    assert again == seen
    assert again.digest() == seen.digest()
    question = Question(version="all", at=NOW)
    assert prove(again, question) == prove(seen, question)


def test_while_a_cloud_is_looked_at_no_answer_waits_long_for_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []

    def survey(name: str) -> Surveyed:
        turns.append(sys.getswitchinterval())
        raise AuthFailed(f"cloud {name}: unknown", "Name another.")

    monkeypatch.setattr(wiring, "survey", survey)
    before = sys.getswitchinterval()
    context: Any = SimpleNamespace(json=True)
    _, errors = prove_cli._look(context, ["x"], None, 1.0, False)
    assert [e.what for e in errors] == ["cloud x: unknown"]
    assert turns == [pytest.approx(prove_cli.TURN_SECONDS)]
    assert prove_cli.TURN_SECONDS < before == sys.getswitchinterval()
