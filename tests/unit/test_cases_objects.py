# SPDX-License-Identifier: Apache-2.0
"""Situations of real users around objects: large ones that hold something themselves, versions, what ends by its own word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_planning import NOW, cloud, plan

from unterbau.cloud.simulator import Simulator
from unterbau.saga import Journal, run, unwind
from unterbau.switch import census, move, planning, verify
from unterbau.switch.verify import compare
from unterbau.tenant.kinds import Container, Fate, Kind, Offering, Segment, StoredObject, ref
from unterbau.verdict import Outcome

BOX = Container(id="b", name="b")
HEADERS = {"cache-control": "no-store", "expires": "Thu, 01 Dec 2044 16:00:00 GMT"}
MARK = "unterbau.r.0123456789abcdef"


def stored(name: str, **fields: Any) -> StoredObject:
    return StoredObject(id=f"b/{name}", name=name, container="b", etag="e", **{"size_bytes": 1, **fields})


def test_a_dlo_is_carried_whatever_info_tells() -> None:
    """Swift never lists it there."""
    thing = stored("dlo", dlo_prefix="b/part/", body_bytes=7)
    target = cloud("b", offering=Offering(object_features=("slo", "symlink")))
    entry = plan(BOX, thing, target=target).by_ref[thing.ref]
    assert entry.fate is Fate.CARRIED and entry.bytes == 7


def test_a_dlo_comes_after_its_segments_and_manifests_under_one_prefix_do_not_wait_for_each_other() -> None:
    """So it also goes before them: a kept target is compared again while it is taken back."""
    things = (BOX, stored("part/1"), stored("part/2"), stored("part/a", dlo_prefix="b/part/"),
              stored("part/b", dlo_prefix="b/part/"), stored("part/link", symlink_to="b/part/a"))  # fmt: skip
    made = plan(*things)
    for name in ("a", "b"):
        assert set(made.by_ref[f"object:b/part/{name}"].needs) == {"container:b", "object:b/part/1", "object:b/part/2"}


def test_inline_data_of_a_manifest_is_no_reference() -> None:
    parts = (Segment(path="", size_bytes=4, etag="x"), Segment(path="b/part", size_bytes=7, etag="y"))
    thing = stored("slo", segments=parts, size_bytes=11)
    assert thing.references() == ("container:b", "object:b/part")
    assert plan(BOX, stored("part"), thing).by_ref[thing.ref].bytes == 4


@pytest.fixture
def clouds(tmp_path: Path) -> Iterator[tuple[Simulator, Simulator]]:
    yield Simulator(tmp_path / "a", name="a"), Simulator(tmp_path / "b", name="b")


def plant(source: Simulator) -> None:
    source.ensure(Container(id="-", name="v"), MARK[:-1] + "0")
    source.ensure(BOX, MARK)
    source.write_object(stored("part/1", size_bytes=3, headers=HEADERS), [b"one"], MARK)
    source.write_manifest(stored("dlo", dlo_prefix="b/part/", body_bytes=4, size_bytes=3), MARK, [b"body"])
    parts = (Segment(path="", size_bytes=4, etag="x"), Segment(path="b/part/1", size_bytes=3, etag=_etag(source)))
    source.write_manifest(stored("slo", segments=parts, size_bytes=7), MARK, [b"head"])
    source.set_bonds(BOX.model_copy(update={"versions_enabled": True}))
    source.set_bonds(Container(id="v", name="v", history_location="b"))
    for reference in census.take(source, now=lambda: NOW).by_ref:
        found = source.read(reference)
        if found is not None and found.marker:
            source.unmark(found)


def _etag(source: Simulator) -> str:
    there = source.read("object:b/part/1")
    assert isinstance(there, StoredObject)
    return there.etag


@pytest.mark.thorough
def test_what_large_objects_hold_and_whether_versions_are_kept_arrives_and_is_taken_back(
    clouds: tuple[Simulator, Simulator], tmp_path: Path
) -> None:
    source, target = clouds
    plant(source)
    workload, other = (census.take(c, now=lambda: NOW) for c in clouds)
    made = planning.make(workload, other, run="r", now=NOW)
    steps = move.steps(made, workload, source, target)
    before = target.enumerate_all()
    with Journal(tmp_path / "journal.db") as journal:
        assert run(steps, journal, workers=4).complete
        seen = verify.look(source, target, made, work=tmp_path, now=lambda: NOW)
        assert [(v.claim.id, v.reason) for v in seen.verdicts if v.outcome is Outcome.FAILED] == []
        with target.own_bytes("b", "dlo") as body, target.object_bytes("b", "slo") as joined:
            assert (b"".join(body), b"".join(joined)) == (b"body", b"headone")
        box, archived = target.read("container:b"), target.read("container:v")
        assert isinstance(box, Container) and isinstance(archived, Container)
        assert box.versions_enabled and archived.history_location == "b"
        order = [e.node for e in journal.events() if e.kind == "done"]
        assert order.index("versioning of container:b") > max(
            order.index(n) for n in order if n.startswith("object:b/")
        )
        assert unwind(steps, journal, workers=4).complete
        back = [e.node for e in journal.events() if e.kind == "undone"]
    assert target.enumerate_all() == before
    assert back.index("versioning of container:b") < min(back.index(n) for n in back if n.startswith("object:b/"))


# --- what ends by its own word


def ending(at: datetime) -> StoredObject:
    return stored("vorläufig", delete_at=at)


@pytest.mark.parametrize(("ends", "said"), [(-1, 0), (0, 0), (1, 1), (None, 1)])
def test_an_object_that_ended_by_its_own_word_is_no_change_of_the_source(ends: int | None, said: int) -> None:
    thing = ending(NOW + timedelta(seconds=ends)) if ends is not None else stored("o")
    assert len(census.difference(cloud("a", BOX, thing), cloud("a", BOX))) == said


@pytest.mark.parametrize(("ends", "outcomes"), [(-1, set()), (60, {Outcome.FAILED})])
def test_what_has_ended_fails_on_no_side(ends: int, outcomes: set[Outcome]) -> None:
    thing = ending(NOW + timedelta(seconds=ends))
    for one, other in (((BOX, thing), (BOX,)), ((BOX,), (BOX, thing))):
        found = compare(cloud("a", *one), cloud("b", *other), None, {})
        failed = {v.outcome for v in found if "object" in v.claim.id and v.outcome is not Outcome.HELD}
        assert failed == outcomes


@pytest.mark.thorough
def test_an_object_that_ends_before_its_step_is_passed_over(
    clouds: tuple[Simulator, Simulator], tmp_path: Path
) -> None:
    source, target = clouds
    source.ensure(BOX, MARK)
    source.write_object(stored("o", size_bytes=1), [b"x"], MARK)
    workload = census.take(source, now=lambda: NOW)
    past = workload.by_ref["object:b/o"].model_copy(
        update={"delete_at": datetime.now(NOW.tzinfo) - timedelta(seconds=1)}
    )
    workload = workload.model_copy(
        update={"resources": tuple(past if r.ref == past.ref else r for r in workload.resources)}
    )
    made = planning.make(workload, census.take(target, now=lambda: NOW), run="r", now=NOW)
    source.delete(past.ref, timedelta(minutes=1))
    with Journal(tmp_path / "journal.db") as journal:
        assert run(move.steps(made, workload, source, target), journal).complete
    assert target.read(ref(Kind.OBJECT, "b/o")) is None and target.read(BOX.ref) is not None


# --- many of them: the census reads listings only


MANY = 101


def plant_many(source: Simulator) -> None:
    source.ensure(BOX, MARK)
    for number in range(MANY):
        source.write_object(stored(f"{number:03}", size_bytes=3, metadata={"n": str(number)}), [b"one"], MARK)
    source.write_object(stored("full", size_bytes=4, metadata={f"m{n}": "x" for n in range(89)}), [b"full"], MARK)
    source.write_object(stored("part/1", size_bytes=3), [b"one"], MARK)
    source.write_manifest(stored("body", dlo_prefix="b/part/", body_bytes=4, size_bytes=3), MARK, [b"body"])
    for reference in census.take(source, now=lambda: NOW).by_ref:
        found = source.read(reference)
        if found is not None and found.marker:
            source.unmark(found)
    crowded = source.read("object:b/full")
    assert isinstance(crowded, StoredObject)
    source._put(crowded.model_copy(update={"metadata": {f"m{n}": "x" for n in range(90)}}))


@pytest.mark.thorough
def test_of_many_objects_the_headers_are_carried_as_the_move_meets_them_and_an_odd_one_stops_alone(
    clouds: tuple[Simulator, Simulator], tmp_path: Path
) -> None:
    source, target = clouds
    plant_many(source)
    brief, other = census.take(source, now=lambda: NOW, brief=True), census.take(target, now=lambda: NOW)
    assert census.is_brief(brief) and [n.what for n in brief.not_shown if n.what == "object.headers"]
    assert not any(r.metadata for r in brief.resources if isinstance(r, StoredObject))
    made = planning.make(brief, other, run="r", now=NOW)
    assert {e.fate for e in made.entries if e.ref.startswith("object:")} == {Fate.CARRIED}
    noted = source.read("object:b/007")
    assert isinstance(noted, StoredObject)
    source._put(noted.model_copy(update={"metadata": {"n": "changed since"}}))
    with Journal(tmp_path / "journal.db") as journal:
        result = run(move.steps(made, brief, source, target), journal, workers=4)
        assert set(result.failed) == {"object:b/full", "object:b/body"}
    arrived = target.read("object:b/007")
    assert isinstance(arrived, StoredObject) and arrived.metadata == {"n": "changed since"}
    seen = verify.look(source, target, made, work=tmp_path, now=lambda: NOW)
    failed = {v.claim.id: str(v.reason) for v in seen.verdicts if v.outcome is Outcome.FAILED}
    assert failed == {"content container:b": "2 objects are missing on the target, such as body, full"}


def test_few_objects_are_read_whole_by_a_brief_census_too(clouds: tuple[Simulator, Simulator]) -> None:
    source, _ = clouds
    plant(source)
    assert census.take(source, now=lambda: NOW, brief=True) == census.take(source, now=lambda: NOW)
