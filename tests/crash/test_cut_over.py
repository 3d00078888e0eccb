# SPDX-License-Identifier: Apache-2.0
"""Pre-copy and cut-over: what is copied while the source lives, and that nothing is lost or twinned whatever happens between.

Between two simulators; killed, as processes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import closer
import mover
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unterbau.cloud.simulator import Simulator
from unterbau.errors import Exit, PlanError
from unterbau.switch import census, folders, planning
from unterbau.switch.folders import DrillState
from unterbau.tenant.kinds import Container, Kind, Ref, Server, StoredObject, Volume, ref

pytestmark = pytest.mark.timeout(900)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SOON = timedelta(seconds=5)


def servers(there: Simulator) -> dict[str, str]:
    return {s.name: s.status for s in there.listing(Kind.SERVER).resources if isinstance(s, Server)}


def objects(there: Simulator) -> dict[Ref, bytes]:
    """Place -> content; a manifest by what it joins."""
    found = {}
    for one in there.listing(Kind.OBJECT).resources:
        assert isinstance(one, StoredObject)
        with there.object_bytes(one.container, one.name) as stream:
            found[one.ref] = b"".join(stream)
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in closer.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    closer.plant(closer.cloud(tmp_path, "a"))
    closer.cloud(tmp_path, "b")
    return tmp_path


def planned(root: Path) -> str:
    plan = str(root / "plan.yaml")
    done = closer.run(root, "plan", "a", "b", "-o", plan)
    assert done.returncode == Exit.NOT_SHOWN, done.stderr
    return plan


def test_pre_copy_leaves_the_source_running_and_cut_over_stops_it_and_carries_what_changed(root: Path) -> None:
    plan, source = planned(root), closer.cloud(root, "a")
    source.delete("object:box/b.txt", SOON)  # the source lives
    done = closer.run(root, "move", plan, "--pre-copy", "--late-writes", "0")
    assert done.returncode == Exit.HELD, done.stderr
    assert "What is left stops servers of a" in done.stderr
    source, target = closer.cloud(root, "a"), closer.cloud(root, "b")
    assert servers(source) == {"db": "ACTIVE", "web-1": "ACTIVE"} and servers(target) == {}
    assert target.listing(Kind.VOLUME).resources == () and objects(target) == objects(source)
    closer.put(source, "a.txt", b"changed meanwhile\n")
    closer.put(source, "new.txt", b"new\n")
    closer.put(source, "part/3", b"one part more\n")
    source.delete("object:box/part/1", SOON)
    refused = closer.run(root, "move", plan, "--late-writes", "0")
    assert refused.returncode == Exit.USAGE and "was begun with --pre-copy" in refused.stderr
    assert servers(closer.cloud(root, "a")) == {"db": "ACTIVE", "web-1": "ACTIVE"}
    done = closer.run(root, "move", plan, "--cut-over", "--late-writes", "0")
    assert done.returncode == Exit.HELD, done.stderr
    assert "stopped at a: db, web-1" in done.stderr
    source, target = closer.cloud(root, "a"), closer.cloud(root, "b")
    assert servers(source) == {"db": "SHUTOFF", "web-1": "SHUTOFF"}
    assert servers(target) == {"db": "ACTIVE", "web-1": "ACTIVE"}
    assert {s.name: s.locked for s in source.listing(Kind.SERVER).resources if isinstance(s, Server)}["web-1"]
    assert objects(target) == objects(source) and b"one part more" in objects(target)["object:box/joined"]
    (found,) = (f for f, _ in folders.drills())
    seen = closer.run(root, "verify", "a", "b", "--plan", str(found.plan), "--late-writes", "0")
    assert seen.returncode == Exit.NOT_SHOWN, seen.stdout  # nothing has failed: what is lost is lost as the plan says
    whole = closer.run(root, "drill", "a", "b", "--keep")
    assert whole.returncode == Exit.NOT_SHOWN, whole.stdout + whole.stderr
    assert closer.run(root, "evidence", "check", str(found.bundle)).returncode == Exit.NOT_SHOWN
    back = closer.run(root, "close", found.run, "--target", typed="b\n")
    assert back.returncode == Exit.HELD, back.stdout + back.stderr
    assert servers(closer.cloud(root, "a")) == {"db": "ACTIVE", "web-1": "ACTIVE"}, "production is back where it was"
    assert objects(closer.cloud(root, "b")) == {}


def test_without_an_option_nothing_stops_and_a_move_goes_on_as_it_was_begun(root: Path) -> None:
    plan = planned(root)
    Path(plan).write_text(Path(plan).read_text() + "cut_over: []\n")  # whoever edits the plan stops nothing by it
    done = closer.run(root, "move", plan, "--late-writes", "0")
    assert done.returncode == Exit.HELD, done.stderr
    assert servers(closer.cloud(root, "a")) == {"db": "ACTIVE", "web-1": "ACTIVE"}
    refused = closer.run(root, "move", plan, "--cut-over", "--late-writes", "0")
    assert refused.returncode == Exit.USAGE and "comes too late" in refused.stderr


def test_taken_back_the_servers_of_the_source_run_again(root: Path) -> None:
    plan = planned(root)
    closer.put(closer.cloud(root, "a"), "new.txt", b"new\n")
    done = closer.run(root, "move", plan, "--cut-over", "--late-writes", "0")
    assert done.returncode == Exit.HELD, done.stderr
    assert "object:box/new.txt" in closer.standing(root, "b")
    (_, state) = folders.drills()[0]
    done = closer.run(root, "close", state.run, "--target")
    assert done.returncode == Exit.HELD, done.stdout + done.stderr
    assert servers(closer.cloud(root, "a")) == {"db": "ACTIVE", "web-1": "ACTIVE"}
    assert closer.standing(root, "b") == set()


# --- killed in between


def world(root: Path) -> Path:
    """Two simulators, the source planted, and a plan; nothing moved yet."""
    closer.plant(Simulator(root / "a", name="a"))
    return with_plan(root)


def with_plan(root: Path) -> Path:
    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    censuses = [census.take(c, now=lambda: NOW) for c in (source, target)]
    plan = planning.make(*censuses, run="cut", now=NOW)
    place = mover.folder(root)
    place.path.mkdir()
    place.save(DrillState(run="cut", source="a", target="b", keep=True, created=NOW))
    place.plan.write_text(planning.dump(plan))
    for path, taken in zip((place.source, place.target), censuses, strict=True):
        path.write_text(taken.model_dump_json())
    return root


def moved(root: Path, kill_after: int, what: str) -> int:
    done = subprocess.run(
        [sys.executable, str(Path(mover.__file__)), str(root), str(kill_after), what, "calm"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr[-2000:]
    return done.returncode


def test_killed_in_a_cut_over_the_rerun_finishes_it_and_nothing_is_lost_or_twinned(tmp_path: Path) -> None:
    first = world(tmp_path / "w")
    assert moved(first, 0, "pre-copy") == 0
    source = Simulator(first / "a", name="a")
    closer.put(source, "a.txt", b"changed\n")
    closer.put(source, "new.txt", b"new\n")
    source.delete("object:box/b.txt", SOON)
    whole = tmp_path / "whole"
    shutil.copytree(first, whole)
    assert moved(whole, 0, "cut-over") == 0
    wanted = {side: sorted(Simulator(whole / side, name=side).enumerate_all().values()) for side in "ab"}
    killed = 0
    for number in (1, 2, 4, 7, 11, 13, 20, 35):
        one = tmp_path / f"k{number}"
        shutil.copytree(first, one)
        killed += moved(one, number, "cut-over") == -9
        assert moved(one, 0, "cut-over") == 0, number
        ended = {side: Simulator(one / side, name=side) for side in "ab"}
        assert {side: sorted(c.enumerate_all().values()) for side, c in ended.items()} == wanted, number
        assert objects(ended["b"]) == objects(ended["a"]), number
        assert set(servers(ended["a"]).values()) == {"SHUTOFF"} and set(servers(ended["b"]).values()) == {"ACTIVE"}
        shutil.rmtree(one)
    assert killed > 5


def test_killed_in_a_cut_over_it_can_be_taken_back_and_the_source_runs(tmp_path: Path) -> None:
    first = world(tmp_path / "w")
    before = objects(Simulator(first / "a", name="a"))
    assert moved(first, 0, "pre-copy") == 0
    for number in (3, 9, 13):
        one = tmp_path / f"k{number}"
        shutil.copytree(first, one)
        moved(one, number, "cut-over")
        assert moved(one, 0, "unwind") == 0, number
        source, target = Simulator(one / "a", name="a"), Simulator(one / "b", name="b")
        assert set(servers(source).values()) == {"ACTIVE"} and objects(source) == before, number
        assert {r for r, name in target.enumerate_all().items() if name != "default"} == set(), number
        shutil.rmtree(one)


# --- whatever happens between


NAMES = st.sampled_from(["a", "b", "c", "d/e"])
Change = tuple[str, str, bytes]
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "delete"]), NAMES, st.binary(max_size=3)), max_size=6)


def change(there: Simulator, changes: list[Change]) -> None:
    for what, name, data in changes:
        there.delete(ref(Kind.OBJECT, f"box/{name}"), SOON)
        if what == "put":
            wish = StoredObject(id="-", name=name, container="box", size_bytes=len(data), etag="")
            there.write_object(wish, [data], "unterbau.tenant.0000000000000000")


@settings(max_examples=20, deadline=None)
@given(CHANGES, CHANGES, CHANGES)
# Gone when it was to be copied, and there again as the census had it.
@example([("put", "a", b"")], [("delete", "a", b"")], [("put", "a", b"")])
# Another when it was copied, and then again as the census had it: within one second no listing tells.
@example([("put", "a", b"1")], [("put", "a", b"2")], [("put", "a", b"1")])
def test_whatever_happens_to_the_objects_the_target_ends_as_the_source(
    planted: list[Change], before: list[Change], between: list[Change]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = Simulator(root / "a", name="a")
        source.ensure(Container(id="box", name="box"), "unterbau.tenant.0000000000000000")
        change(source, planted)
        with_plan(root)
        change(Simulator(root / "a", name="a"), before)
        assert mover.work(root, "calm").move(cut="pre-copy").complete
        change(Simulator(root / "a", name="a"), between)
        assert mover.work(root, "calm").move(cut="cut-over").complete
        there = {side: Simulator(root / side, name=side) for side in "ab"}
        assert objects(there["b"]) == objects(there["a"])
        mover.work(root, "calm").close_target()
        assert objects(Simulator(root / "b", name="b")) == {}
        assert objects(Simulator(root / "a", name="a")) == objects(there["a"])


def test_what_somebody_else_put_at_the_target_is_neither_replaced_nor_deleted(tmp_path: Path) -> None:
    source = Simulator(tmp_path / "a", name="a")
    source.ensure(Container(id="box", name="box"), "unterbau.tenant.0000000000000000")
    change(source, [("put", "a", b"1"), ("put", "b", b"2")])
    with_plan(tmp_path)
    assert mover.work(tmp_path, "calm").move(cut="pre-copy").complete
    change(Simulator(tmp_path / "b", name="b"), [("put", "a", b"of a user there"), ("put", "c", b"of a user there")])
    change(Simulator(tmp_path / "a", name="a"), [("delete", "a", b""), ("put", "b", b"3")])
    assert mover.work(tmp_path, "calm").move(cut="cut-over").complete
    assert objects(Simulator(tmp_path / "b", name="b")) == {
        "object:box/a": b"of a user there", "object:box/b": b"3", "object:box/c": b"of a user there"
    }  # fmt: skip


def test_a_plan_that_stops_what_is_no_server_that_moves_is_refused(tmp_path: Path) -> None:
    first = world(tmp_path / "w")
    work = mover.work(first, "calm")
    plan = work.load_plan()
    source = census.take(work.clouds()[0], now=lambda: NOW)
    volume = source.of(Volume)[0].ref
    with pytest.raises(PlanError, match="cannot be stopped"):
        plan.model_copy(update={"cut_over": (volume,)}).check_against(source)
