# SPDX-License-Identifier: Apache-2.0
"""Situations of real users around volumes and images: what the plan names, and when an image is touched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from test_planning import NOW, cloud

from unterbau.cloud.openstack.image import ImageService
from unterbau.cloud.paging import Listed
from unterbau.errors import Broken
from unterbau.switch import planning
from unterbau.switch.plan import Plan
from unterbau.switch.verify import compare
from unterbau.tenant.kinds import (
    Attachment,
    Container,
    Fate,
    Image,
    Kind,
    Offering,
    Quota,
    Resource,
    Route,
    Router,
    ServerGroup,
    Source,
    StoredObject,
    Volume,
    VolumeType,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome


def side(name: str, *resources: Resource, cinder: str = "3.71", **offering: Any) -> Workload:
    made = cloud(name, *resources, offering=Offering(**offering))
    return made.model_copy(
        update={"identity": made.identity.model_copy(update={"services": {"block-storage": cinder}})}
    )


def planned(source: Workload, target: Workload) -> Plan:
    return planning.make(source, target, run="r", now=NOW)


# --- which image a volume was once made from

ORIGIN = {"image_id": "i", "image_name": "debian", "checksum": "c0ffee"}
VOLUME = Volume(
    id="v", name="v", status="available", size_gib=1, image_metadata={"hw_disk_bus": "scsi"}, image_origin=ORIGIN
)
IMAGE = Image(id="i", name="debian", status="active")
PROVIDED = Image(id="i", name="debian", status="active", hash_algo="sha512", hash_value="abc")


@pytest.mark.holds("volume.image_origin")
def test_the_image_of_a_volume_is_mapped_where_it_comes_along() -> None:
    plan = planned(side("a", VOLUME, IMAGE), side("b"))
    assert plan.by_ref["volume:v"].fate is Fate.CARRIED
    there = VOLUME.with_ids({"image:i": "new"}.get)
    assert there.image_origin == {**ORIGIN, "image_id": "new"} and there.image_metadata == VOLUME.image_metadata


def test_the_image_of_the_provider_is_mapped_to_its_twin() -> None:
    twin = PROVIDED.model_copy(update={"id": "their-debian"})
    plan = planned(side("a", VOLUME, images=(PROVIDED,)), side("b", images=(twin,)))
    assert plan.by_ref["volume:v"].fate is Fate.CARRIED and plan.translate["image:i"] == "their-debian"


def test_an_image_that_does_not_come_along_is_history_and_no_loss() -> None:
    plan = planned(side("a", VOLUME), side("b"))
    entry = plan.by_ref["volume:v"]
    assert "debian" in entry.why and "history" in entry.why
    assert entry.changes == () and plan.would_lose() == ()
    assert VOLUME.with_ids(lambda reference: None).image_origin == {}


def test_a_volume_that_another_tool_moved_rightly_does_not_fail_for_its_history() -> None:
    theirs = VOLUME.model_copy(update={"id": "w", "image_origin": {"image_id": "temporary", "checksum": "c0ffee"}})
    found = compare(side("a", VOLUME, IMAGE), side("b", theirs), None, {})
    assert {v.outcome for v in found if v.claim.id == "structure volume:v"} == {Outcome.HELD}
    other = theirs.model_copy(update={"image_metadata": {"hw_disk_bus": "ide"}})
    found = compare(side("a", VOLUME, IMAGE), side("b", other), None, {})
    assert {v.outcome for v in found if v.claim.id == "structure volume:v"} == {Outcome.FAILED}


# --- a volume of several servers

SHARED = Volume(id="v", name="gemeinsam", status="in-use", size_gib=1, volume_type="multi", multiattach=True)
USES = tuple(Attachment(id=f"{s}/v", server_id=s, volume_id="v") for s in ("s1", "s2"))
SEVERAL, ONE = (
    VolumeType(id=n, name=n, extra_specs=e) for n, e in (("multi", {"multiattach": "<is> True"}), ("multi", {}))
)


@pytest.mark.parametrize(
    ("types", "cinder", "outcome"),
    [
        ((SEVERAL,), "3.71", Outcome.HELD),
        ((ONE,), "3.71", Outcome.FAILED),
        ((), "3.71", Outcome.FAILED),
        ((ONE,), "3.60", Outcome.NOT_SHOWN),
        ((ONE, SEVERAL.model_copy(update={"name": "other"})), "3.60", Outcome.FAILED),
    ],
)
def test_a_volume_of_several_servers_needs_a_type_that_allows_it(
    types: tuple[VolumeType, ...], cinder: str, outcome: Outcome
) -> None:
    plan = planned(side("a", SHARED, *USES), side("b", cinder=cinder, volume_types=types))
    check = next(c for c in plan.checks if c.name == "volumes of several servers")
    assert check.outcome is outcome and "gemeinsam" in check.text
    assert bool(check.remedy) is (outcome is Outcome.FAILED)


def test_one_server_needs_no_such_type() -> None:
    plan = planned(side("a", SHARED, USES[0]), side("b"))
    assert "volumes of several servers" not in {c.name for c in plan.checks}


# --- quotas of a part, and of a single thing

BIG = Volume(id="v", name="v", status="available", size_gib=2, volume_type="gold")
OBJECT = StoredObject(id="c/o", name="o", container="c", size_bytes=1, etag="")
GROUP = ServerGroup(id="g", name="g", policy="affinity", member_ids=("a", "b", "c"))
ROUTER = Router(id="r", name="r", routes=(Route(destination="10.0.0.0/8", nexthop="10.1.0.9"),))


@pytest.mark.parametrize(
    ("ours", "service", "resource", "limit", "outcome"),
    [
        (BIG, "block_storage", "per_volume_gigabytes", 1, Outcome.FAILED),
        (BIG, "block_storage", "per_volume_gigabytes", 2, Outcome.HELD),
        (BIG, "block_storage", "per_volume_gigabytes", -1, Outcome.HELD),
        (BIG, "block_storage", "volumes_gold", 0, Outcome.FAILED),
        (BIG, "block_storage", "volumes_gold", 2, Outcome.HELD),
        (BIG, "block_storage", "gigabytes_gold", 5, Outcome.FAILED),
        (BIG, "block_storage", "gigabytes_gold", 6, Outcome.HELD),
        (BIG, "block_storage", "snapshots_gold", 0, Outcome.FAILED),
        (GROUP, "compute", "server_group_members", 2, Outcome.FAILED),
        (GROUP, "compute", "server_group_members", 3, Outcome.HELD),
        (OBJECT, "object_store", "objects", 0, Outcome.FAILED),
    ],
)
def test_every_quota_that_is_told_is_checked(
    ours: Resource, service: str, resource: str, limit: int, outcome: Outcome
) -> None:
    quota = Quota(service=service, resource=resource, limit=limit, used=0)
    types = (VolumeType(id="g", name="gold"),)
    plan = planned(side("a", ours, Container(id="c", name="c")), side("b", quotas=(quota,), volume_types=types))
    assert {c.outcome for c in plan.checks if c.name == f"quota {resource}"} == {outcome}


def test_a_quota_of_another_type_concerns_nobody_and_the_type_on_the_target_counts() -> None:
    quotas = tuple(Quota(service="block_storage", resource=f"volumes_{t}", limit=0, used=0) for t in ("gold", "plain"))
    types = (VolumeType(id="p", name="plain", is_default=True),)
    plan = planned(side("a", BIG), side("b", quotas=quotas, volume_types=types))
    found = {c.name: c.outcome for c in plan.checks if c.name.startswith("quota volumes_")}
    assert found == {"quota volumes_plain": Outcome.FAILED}


# --- an image that Cinder fills


class Glance:
    """Glance of one image that Cinder fills: it goes through these states, one a look, and forgets a write before `active`."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.entry: dict[str, Any] = {"id": "i", "name": "", "tags": [], "visibility": "private"}
        self.written: list[str] = []

    def find(self, path: str) -> dict[str, Any] | None:
        status = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {**self.entry, "status": status} if status != "deleted" else None

    def listed(self, path: str, key: str, **query: Any) -> Listed[dict[str, Any]]:
        there = {**self.entry, "status": self.states[0]}
        named = query.get("name") == self.entry["name"] or query.get("tag") in self.entry["tags"]
        return Listed((there,) if self.entry["name"] and named else ())

    def json(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        if method == "POST":
            self.entry["name"] = body["os-volume_upload_image"]["image_name"]
            return {"os-volume_upload_image": {"image_id": "i"}}
        if "data" in more:
            assert self.states[0] == "queued", "Glance takes data into a queued image only"
            self.states.pop(0)
            self.written.append(f"{len(b''.join(more['data']))} bytes")
            return {}
        assert self.states[0] == "active", f"{method} while it is {self.states[0]}: one of two writes is lost"
        self.written += [c["path"] for c in body]
        self.entry |= {c["path"].strip("/"): c["value"] for c in body}
        return {}


MARK = "unterbau.r.0123456789abcdef"
WISH = Image(id="-", name="kept", status="queued", disk_format="raw", container_format="bare")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("unterbau.cloud.waiting.time.sleep", lambda seconds: None)
    yield


def service(api: Glance) -> ImageService:
    return ImageService(lambda: api, lambda: api, lambda: api, lambda: "p")  # type: ignore[arg-type, return-value]


@pytest.mark.thorough
def test_an_image_that_cinder_fills_is_touched_only_when_it_is_active() -> None:
    api = Glance("queued", "queued", "saving", "saving", "active")
    made = service(api)
    id_ = made.ensure(WISH, MARK, frozenset(), Source(volume_id="v"))
    assert api.written == [] and api.entry["name"] == MARK
    made.settle(Kind.IMAGE, id_, timedelta(minutes=1))
    assert api.written == ["/tags", "/name"]
    assert (api.entry["name"], api.entry["tags"]) == ("kept", [MARK])


@pytest.mark.thorough
def test_after_a_crash_it_is_found_by_its_name_and_finished() -> None:
    api = Glance("saving", "saving", "active")
    first = service(api)
    first.ensure(WISH, MARK, frozenset(), Source(volume_id="v"))
    later = service(api)
    later.settle(Kind.IMAGE, later.ensure(WISH, MARK, frozenset(), Source(volume_id="v")), timedelta(minutes=1))
    assert (api.entry["name"], api.entry["tags"]) == ("kept", [MARK])


@pytest.mark.thorough
def test_an_upload_that_failed_is_told() -> None:
    api = Glance("saving", "deleted")
    made = service(api)
    with pytest.raises(Broken, match="vanished"):
        made.settle(Kind.IMAGE, made.ensure(WISH, MARK, frozenset(), Source(volume_id="v")), timedelta(minutes=1))


@pytest.mark.thorough
def test_an_upload_whose_answer_was_lost_is_waited_for_and_begun_anew_only_if_it_failed() -> None:
    failed = Glance("saving", "saving", "queued", "queued", "queued", "active")
    finished = Glance("saving", "saving", "active")
    for api in (failed, finished):
        api.entry |= {"name": "kept", "protected": False}
        service(api).write(WISH.model_copy(update={"id": "i", "visibility": "private"}), [b"four"], 4)
    assert (failed.written, finished.written) == (["4 bytes"], [])


@pytest.mark.thorough
def test_an_image_that_is_being_imported_is_published_when_that_is_done() -> None:
    api = Glance("importing", "importing", "active")
    api.entry |= {"name": "kept", "protected": False}
    service(api).write(WISH.model_copy(update={"id": "i", "visibility": "shared"}), (), None)
    assert api.written == ["/visibility"]
