# SPDX-License-Identifier: Apache-2.0
"""What crowded containers hold is carried part by part: killed anywhere it goes on, twice is once, and taken back nothing of ours stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boxes
import pytest
from boxes import BOX, named

from unterbau.cloud.simulator import Simulator
from unterbau.errors import LocalError, Unreachable
from unterbau.saga import Journal, Step, run, unwind
from unterbau.switch import census, move, planning, verify
from unterbau.switch.move.parts import MOST, PARTS, PartStep, size
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import Segment, StoredObject
from unterbau.tenant.workload import Workload
from unterbau.verdict import Outcome

pytestmark = pytest.mark.timeout(1200)
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MANY = 110
NAMES = named(MANY)
OTHERS = "unterbau.other.0123456789abcdef"


class World:
    """Two simulators, the census of the one that is crowded, and the plan."""

    def __init__(self, root: Path, *, planted: bool = True) -> None:
        self.root, self.listed = root, root / "listed.jsonl"
        self.source, self.target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
        if planted:
            boxes.plant(self.source, NAMES, metadata={"colour": "red"})

    def planned(self) -> tuple[Plan, Workload]:
        told = census.take(self.source, now=lambda: NOW, brief=True, place=self.listed)
        return planning.make(told, census.take(self.target, now=lambda: NOW), run="r", now=NOW), told

    def steps(self, plan: Plan, told: Workload) -> list[Step]:
        return move.steps(plan, told, self.source, self.target, listed=self.listed)

    def carried(self) -> dict[str, Any]:
        return {r: v for r, v in self.target._world.items() if r.startswith("object:")}

    def held(self, plan: Plan) -> bool:
        (self.root / "work").mkdir(exist_ok=True)
        told = verify.look(self.source, self.target, plan, work=self.root / "work", now=lambda: NOW)
        return not [v.claim.id for v in told.verdicts if v.outcome is Outcome.FAILED]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_plan_has_one_entry_for_all_of_them_and_the_census_no_object(world: World) -> None:
    plan, told = world.planned()
    assert not told.of(StoredObject)
    entry = plan.by_ref[f"container:{BOX}"]
    assert entry.objects == MANY and entry.bytes == plan.bytes_total == sum(len(n.encode()) for n in NAMES)
    assert not [e for e in plan.entries if e.ref.startswith("object:")]
    again = planning.load(planning.dump(plan))
    assert again.by_ref[entry.ref] == entry
    assert census.digest(told) == census.digest(world.planned()[1])
    boxes.put(world.source, "zzz", b"ZZZ", metadata={"colour": "red"})
    now = world.planned()[1]
    assert census.difference(told, now) == (f"changed: container:{BOX} {BOX} (holds)",)


def test_all_of_them_arrive_with_their_headers_and_are_taken_back(world: World, tmp_path: Path) -> None:
    plan, told = world.planned()
    steps = world.steps(plan, told)
    assert sum(isinstance(s, PartStep) for s in steps) == -(-MANY // 25)
    with Journal(tmp_path / "journal.db") as journal:
        assert run(steps, journal, workers=4).complete
        assert set(world.carried()) == {f"object:{BOX}/{n}" for n in NAMES} and world.held(plan)
        assert {plain["metadata"]["colour"] for plain in world.carried().values()} == {"red"}
        assert dict(move.written(steps, journal.status)).keys() == world.carried().keys()
        strange = f"object:{BOX}/zzz"
        world.target._world[strange]["marker"] = None
        world.target._known.clear()
        assert not unwind(steps, journal).complete, "the container is not empty"
        assert set(world.carried()) == {strange}, "what does not carry our mark is not ours"


@pytest.mark.parametrize("joined", ["slo", "dlo"])
def test_what_an_object_of_a_small_container_joins_stands_apart(world: World, tmp_path: Path, joined: str) -> None:
    """As most clients store what is large: manifests in one container, their segments in another, where nothing else links."""
    boxes.plant(world.source, [], "klein")
    wish = StoredObject(id="-", name="large", container="klein", size_bytes=3, etag="")
    parts = (Segment(path=f"{BOX}/zzz", size_bytes=3, etag=world.source._world[f"object:{BOX}/zzz"]["etag"]),)
    told: dict[str, Any] = {"segments": parts} if joined == "slo" else {"dlo_prefix": f"{BOX}/x/"}
    world.source.write_manifest(wish.model_copy(update=told), OTHERS)
    plan, _ = world.planned()
    assert plan.by_ref["object:klein/large"].fate.moves, plan.by_ref["object:klein/large"].why
    assert (f"object:{BOX}/zzz" in plan.by_ref) == (joined == "slo")
    assert (f"object:{BOX}/x//y" in plan.by_ref) == (joined == "dlo")


def test_what_links_or_joins_or_is_named_by_such_stands_apart_and_arrives_whole(world: World, tmp_path: Path) -> None:
    md5 = world.source._world[f"object:{BOX}/zzz"]["etag"]
    parts = (Segment(path=f"{BOX}/zzz", size_bytes=3, etag=md5),)
    wish = StoredObject(id="-", name="slo", container=BOX, size_bytes=3, etag="", segments=parts)
    for one in (
        wish,
        wish.model_copy(update={"name": "dlo", "segments": None, "dlo_prefix": f"{BOX}/x/"}),
        wish.model_copy(update={"name": "link", "segments": None, "symlink_to": f"{BOX}/a\nb", "size_bytes": 0}),
    ):
        world.source.write_manifest(one, OTHERS)
        world.source.unmark(one.model_copy(update={"id": one.place()}))
    plan, told = world.planned()
    assert {r.name for r in told.of(StoredObject)} == {"slo", "dlo", "link", "zzz", "a\nb", "x//y"}
    assert plan.by_ref[f"container:{BOX}"].objects == MANY - 3
    with Journal(tmp_path / "journal.db") as journal:
        assert run(world.steps(plan, told), journal, workers=4).complete
    assert len(world.carried()) == MANY + 3 and world.held(plan)


def _die_in(world: World, writes: int) -> None:
    """A process that moves, and kills itself after so many objects."""
    there = {**os.environ, "PYTHONPATH": str(Path(boxes.__file__).parent)}
    done = subprocess.run([sys.executable, __file__, str(world.root), str(writes)], check=False, timeout=300, env=there)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("writes", [1, 7, 24, 25, 26, 60, MANY])
def test_killed_in_the_middle_of_a_part_it_goes_on_and_makes_no_twin(world: World, tmp_path: Path, writes: int) -> None:
    plan, told = world.planned()
    (tmp_path / "plan.yaml").write_text(planning.dump(plan))
    (tmp_path / "census.json").write_text(told.model_dump_json())
    _die_in(world, writes)
    there = World(tmp_path, planted=False)
    assert len(there.carried()) == writes
    with Journal(tmp_path / "journal.db") as journal:
        assert run(there.steps(plan, told), journal, workers=4).complete
        assert len(there.carried()) == MANY and there.held(plan)
        assert unwind(there.steps(plan, told), journal).complete
    assert not [r for r in there.target._world if r.startswith(("object:", "container:"))]


@pytest.mark.parametrize("writes", [1, 30])
def test_killed_in_the_middle_of_a_part_it_is_taken_back_by_what_is_there(
    world: World, tmp_path: Path, writes: int
) -> None:
    plan, told = world.planned()
    (tmp_path / "plan.yaml").write_text(planning.dump(plan))
    (tmp_path / "census.json").write_text(told.model_dump_json())
    _die_in(world, writes)
    there = World(tmp_path, planted=False)
    with Journal(tmp_path / "journal.db") as journal:
        assert unwind(there.steps(plan, told), journal).complete
    assert not [r for r in there.target._world if r.startswith(("object:", "container:"))]


def test_an_object_that_stops_stops_alone_and_is_named(world: World, tmp_path: Path) -> None:
    plan, told = world.planned()
    del world.source._world[f"object:{BOX}/zzz"]
    world.source._world[f"object:{BOX}/x//y"]["metadata"] = {f"m{n}": "x" for n in range(90)}
    world.source._known.clear()
    with Journal(tmp_path / "journal.db") as journal:
        result = run(world.steps(plan, told), journal, workers=4)
        said = " ".join(str(e["message"]) for e in journal.status.errors.values())
        assert result.failed and "zzz" in said and "x//y" in said
        assert len(world.carried()) == MANY - 2
        boxes.put(world.source, "zzz", b"zzz", metadata={"colour": "red"})
        world.source._world[f"object:{BOX}/x//y"]["metadata"] = {}
        world.source._known.clear()
        assert run(world.steps(plan, told), journal, workers=4).complete and world.held(plan)


def test_a_request_without_an_answer_is_made_again_from_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, told = world.planned()
    write, asked = Simulator.write_object, list[str]()

    def shaky(self: Simulator, wish: StoredObject, data: Any, marker: str) -> None:
        asked.append(wish.name)
        write(self, wish, data, marker)
        if asked.count(wish.name) == 1 and len(asked) % 10 == 0:
            error = Unreachable("no answer")
            error.uncertain = True
            raise error

    monkeypatch.setattr(Simulator, "write_object", shaky)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with Journal(tmp_path / "journal.db") as journal:
        assert run(world.steps(plan, told), journal, workers=1, late_seconds=0).complete
    assert world.held(plan) and len(asked) < 2 * MANY


def test_the_name_of_another_is_never_taken(world: World, tmp_path: Path) -> None:
    plan, told = world.planned()
    with Journal(tmp_path / "journal.db") as journal:
        first = [s for s in world.steps(plan, told) if not isinstance(s, PartStep)]
        assert run(
            world.steps(plan, told), journal, held={s.name for s in world.steps(plan, told)} - {s.name for s in first}
        )
        theirs = StoredObject(id="-", name="zzz", container=BOX, size_bytes=5, etag="")
        world.target.write_object(theirs, [b"their"], OTHERS)
        assert run(world.steps(plan, told), journal, workers=4).failed
        assert not unwind(world.steps(plan, told), journal).complete
    assert set(world.carried()) == {f"object:{BOX}/zzz"}


def test_a_manifest_of_another_census_is_refused(world: World) -> None:
    plan, told = world.planned()
    lines = world.listed.read_bytes().splitlines(keepends=True)
    for text in (b"".join(lines[:-1]), b"", b"nonsense"):
        world.listed.write_bytes(text)
        with pytest.raises(LocalError):
            world.steps(plan, told)
    world.listed.unlink()
    with pytest.raises(LocalError):
        world.steps(plan, told)


@pytest.mark.parametrize(("objects", "each"), [(101, 25), (1600, 25), (10_000, 157), (1_000_000, MOST)])
def test_a_part_is_small_enough_to_be_done_again_and_large_enough_to_be_few(objects: int, each: int) -> None:
    assert size(objects) == each and (objects // each <= PARTS or each == MOST)


def test_a_cut_over_carries_what_changed_and_takes_away_what_went(world: World, tmp_path: Path) -> None:
    plan, told = world.planned()
    plan = plan.model_copy(update={"cut_over": ()})
    steps = world.steps(plan, told)
    late = move.until_stop(steps)
    with Journal(tmp_path / "journal.db") as journal:
        assert run(steps, journal, workers=4, held=late).complete
        assert len(world.carried()) == MANY
        boxes.put(world.source, "zzz", b"written since")
        boxes.put(world.source, "0/new", b"new")
        boxes.put(world.source, "zzzz", b"the last")
        for name in ("a\nb", "//"):
            del world.source._world[f"object:{BOX}/{name}"]
        world.source._known.clear()
        assert run(world.steps(plan, told), journal, workers=4).complete
        look: Any = journal.status.outputs["look at the objects again"]
        assert sorted(look["made"]) == [f"object:{BOX}/{n}" for n in ("0/new", "zzz", "zzzz")]
        assert sorted(look["gone"]) == [f"object:{BOX}/{n}" for n in ("//", "a\nb")]
        assert world.held(plan)
        assert set(world.carried()) == {r for r in world.source._world if r.startswith("object:")}
        assert unwind(world.steps(plan, told), journal).complete
    assert not world.carried()


def test_what_was_gone_at_the_first_copy_and_is_there_again_as_before_is_carried_at_the_cut_over(
    world: World, tmp_path: Path
) -> None:
    plan, told = world.planned()
    plan = plan.model_copy(update={"cut_over": ()})
    late = move.until_stop(world.steps(plan, told))
    with Journal(tmp_path / "journal.db") as journal:
        kept = world.source._world.pop(f"object:{BOX}/zzz")
        world.source._known.clear()
        assert run(world.steps(plan, told), journal, workers=4, held=late).complete
        assert len(world.carried()) == MANY - 1
        world.source._world[f"object:{BOX}/zzz"] = kept
        world.source._known.clear()
        assert run(world.steps(plan, told), journal, workers=4).complete
        look: Any = journal.status.outputs["look at the objects again"]
        assert list(look["made"]) == [f"object:{BOX}/zzz"] and world.held(plan)
        assert len(world.carried()) == MANY


def test_what_was_another_at_the_first_copy_and_is_then_as_listed_is_carried_at_the_cut_over(
    world: World, tmp_path: Path
) -> None:
    """Within one second its listing is the same again; what was read tells."""
    plan, told = world.planned()
    plan = plan.model_copy(update={"cut_over": ()})
    late = move.until_stop(world.steps(plan, told))
    reference = f"object:{BOX}/zzz"
    with Journal(tmp_path / "journal.db") as journal:
        kept, content = world.source._world[reference], world.source._blob(reference).read_bytes()
        boxes.put(world.source, "zzz", b"another")
        assert run(world.steps(plan, told), journal, workers=4, held=late).complete
        world.source._world[reference] = kept
        world.source._blob(reference).write_bytes(content)
        world.source._known.clear()
        assert run(world.steps(plan, told), journal, workers=4).complete
        look: Any = journal.status.outputs["look at the objects again"]
        assert list(look["made"]) == [reference] and world.held(plan)


@pytest.mark.thorough
def test_the_memory_of_census_plan_and_steps_does_not_grow_with_their_number(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        world = World(tmp_path / str(count), planted=False)
        boxes.plant(world.source, named(count))
        world.source._all()
        tracemalloc.start()
        try:
            plan, told = world.planned()
            assert (
                world.steps(plan, told) and len(planning.dump(plan)) < 20_000 and len(told.model_dump_json()) < 20_000
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(2_000), peak(20_000)
    assert (many - few) / 18_000 < 3_000, (few, many)


def main() -> None:
    """Move with one worker, and die after so many objects."""
    root, writes = Path(sys.argv[1]), int(sys.argv[2])
    world = World(root, planted=False)
    plan = planning.load((root / "plan.yaml").read_text())
    told = Workload.model_validate_json((root / "census.json").read_text())
    store = Simulator._store
    done = 0

    def dying(self: Simulator, *given: Any) -> None:
        nonlocal done
        store(self, *given)
        done += 1
        if done == writes:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Simulator, "_store", dying)  # noqa: B010 - a process of its own
    with Journal(root / "journal.db") as journal:
        run(world.steps(plan, told), journal, workers=1)


if __name__ == "__main__":
    main()
