# SPDX-License-Identifier: Apache-2.0
"""Requests that get no answer and are carried out all the same: while the move runs, after it, and after the wait.

Between two simulators: an embedded cloud answers what it does. (`e2e/test_answer_504.py` puts a proxy before one.)
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mover import folder

from unterbau.cloud.port import is_marker
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Exit, Forbidden, Interrupted
from unterbau.face import Face
from unterbau.reference import tenant as seed
from unterbau.saga import Journal
from unterbau.switch import census, drill, planning
from unterbau.switch.folders import DrillState
from unterbau.tenant.kinds import AddressGroup, Kind, Ref, Resource, SecurityGroupRule, Volume, kind_of
from unterbau.verdict import Outcome

pytestmark = pytest.mark.timeout(2400)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
Lost = Callable[[str], float | None]
Names = Counter[tuple[str, str]]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("planned")
    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    seed.plant(source, now=NOW)
    censuses = [census.take(c, now=lambda: NOW) for c in (source, target)]
    place = folder(root)
    place.path.mkdir()
    place.plan.write_text(planning.dump(planning.make(*censuses, run="crash", now=NOW)))
    for path, taken in zip((place.source, place.target), censuses, strict=True):
        path.write_text(taken.model_dump_json())
    return root


class Setting:
    """A drill between two simulators, and what stands on them."""

    def __init__(self, root: Path, *, keep: bool, late_seconds: float, workers: int) -> None:
        self.clouds = {side: Simulator(root / side, name=side) for side in "ab"}
        place = folder(root)
        place.save(DrillState(run="crash", source="a", target="b", keep=keep, created=NOW))
        self.said: list[str] = []
        face = Face(quiet=True)
        face.say = lambda line, *, strong=False: self.said.append(line)  # type: ignore[method-assign]
        self.tools = drill.Tools(
            connect=self.clouds.__getitem__, now=lambda: datetime.now(UTC), face=face, stop=threading.Event(),
            keys=root / "keys", versions=dict, secrets=lambda name: (), workers=workers,
            late_seconds=late_seconds,
        )  # fmt: skip
        self.drill = drill.Drill(place, self.tools)
        self.before = self.names()

    def lose(self, lost: Lost) -> None:
        for cloud in self.clouds.values():
            cloud.lost = lost

    def come(self) -> None:
        """What is under way is carried out by the next who looks, however slow this machine is."""
        for cloud in self.clouds.values():
            for path in (cloud.folder / "late").iterdir():
                path.rename(path.with_name(f"{0:020.6f} {path.name.partition(' ')[2]}"))

    def names(self) -> dict[str, Names]:
        raw = {side: cloud.enumerate_all() for side, cloud in self.clouds.items()}
        return {side: Counter((kind_of(r).value, name) for r, name in all_.items()) for side, all_ in raw.items()}


@pytest.fixture
def setting(planned: Path, tmp_path: Path) -> Callable[..., Setting]:
    shutil.copytree(planned, tmp_path / "w")
    return lambda *, keep=False, late_seconds=1.5, workers=4: Setting(
        tmp_path / "w", keep=keep, late_seconds=late_seconds, workers=workers
    )


def first_of_each(what: str, seconds: float, told: list[str]) -> Lost:
    """The first request of each sort gets no answer and is carried out so many seconds later."""

    def lost(request: str) -> float | None:
        if request.startswith(what) and request not in told:
            told.append(request)
            return seconds
        return None

    return lost


def test_one_lost_request_of_each_kind_leaves_no_twin_and_no_orphan(setting: Callable[..., Setting]) -> None:
    """It is carried out after it was asked for again: what carries a mark then stands twice, until it is swept."""
    made, deleted = list[str](), list[str]()
    at = setting(workers=1)  # who asks for something of that sort again is who asked first
    twins = {f"create {kind}" for kind in (Kind.NETWORK, Kind.VOLUME, Kind.IMAGE)}
    others = first_of_each("create", 0.8, made)

    def lost(request: str) -> float | None:
        if request not in twins:
            return others(request)
        if request in made:
            at.come()
            return None
        made.append(request)
        return 3600

    at.lose(lost)
    moved = at.drill.move()
    kinds = {kind_of(e.ref).value for e in at.drill.load_plan().entries if e.fate.moves} - {"object"}
    assert {request.partition(" ")[2] for request in made} >= kinds
    assert moved.complete and moved.swept.named == ()
    assert {"network", "volume", "image"} <= {kind_of(line.split()[1]).value for line in moved.swept.removed}
    wanted = {k: n for k, n in at.before["a"].items() if k[0] != "snapshot"}
    there = at.names()
    stays = [key for key in there["b"] if key[0] == "image" and is_marker(key[1])]
    assert len(stays) == 2, "what the servers of a rehearsal were made from, until it takes all back"
    assert there["a"] == at.before["a"] and {k: n for k, n in there["b"].items() if k not in stays} == wanted
    at.lose(first_of_each("delete", 0.8, deleted))
    closed = at.drill.close_target()
    assert len(deleted) > 8
    assert closed.exit is Exit.HELD
    assert closed.verdict is not None and closed.verdict.outcome is Outcome.HELD
    assert at.names() == at.before


def test_a_mark_in_the_place_of_a_description_stays_until_the_id_is_noted(setting: Callable[..., Setting]) -> None:
    """The answer is lost, the second request comes through, and the run ends before that is noted; then comes the first."""
    at, there = setting(), Kind.ADDRESS_GROUP
    target = at.clouds["b"]
    settle = target.settle

    def ending(reference: Ref, deadline: timedelta) -> Resource:
        if kind_of(reference) is there:
            raise Forbidden("the run ends here")
        return settle(reference, deadline)

    at.lose(first_of_each(f"create {there}", 3600, []))
    target.settle = ending  # type: ignore[method-assign]
    assert not at.drill.move().complete
    target.settle = settle  # type: ignore[method-assign]
    at.lose(lambda request: None)
    at.come()
    moved = at.drill.move()
    assert moved.complete and moved.swept.named == ()
    assert [line for line in moved.swept.removed if kind_of(line.split()[1]) is there]
    groups = [r for r in target.listing(there).resources if isinstance(r, AddressGroup)]
    assert [(g.name, g.description, g.marker) for g in groups] == [("fv-verwaltungsnetz", "Netze der Häuser", None)], (
        groups
    )


def test_what_came_late_and_went_with_another_holds_nothing_any_more(setting: Callable[..., Setting]) -> None:
    """A rule that was not there yet when it was to go: it keeps its address group, until it goes with its own group."""
    at = setting(workers=1)
    target = at.clouds["b"]
    delete, ensure = target.delete, target.ensure
    come = list[str]()

    def deleting(reference: Ref, deadline: timedelta) -> None:
        if kind_of(reference) is Kind.ADDRESS_GROUP and not come:
            come.append(reference)
            at.come()
        delete(reference, deadline)

    def ensuring(wish: Resource, marker: str, **more: Any) -> str:
        if isinstance(wish, SecurityGroupRule) and wish.remote_address_group_id:
            at.lose(lambda request: 3600)
            at.tools.stop.set()
        return ensure(wish, marker, **more)

    target.ensure = ensuring  # type: ignore[assignment,method-assign]
    with pytest.raises(Interrupted):
        at.drill.move()
    at.tools.stop.clear()
    at.lose(lambda request: None)
    target.ensure = ensure  # type: ignore[method-assign]
    target.delete = deleting  # type: ignore[method-assign]
    closed = at.drill.close_target()
    assert come and closed.exit is Exit.HELD
    assert at.names() == at.before


def test_without_a_lost_request_nothing_is_waited_for(setting: Callable[..., Setting]) -> None:
    at = setting(late_seconds=3600)
    assert at.drill.move().complete
    assert at.drill.close_target().exit is Exit.HELD
    assert not [line for line in at.said if line.startswith("waiting")]
    assert at.names() == at.before


def test_what_comes_after_the_wait_is_removed_if_it_is_ours_and_else_told(setting: Callable[..., Setting]) -> None:
    """The wait was too short. The closing census finds all; what carries no mark stays, and it is not said that all held."""
    made = list[str]()
    at = setting(late_seconds=0)
    at.lose(first_of_each("create", 3600, made))
    assert at.drill.move().complete
    at.lose(lambda request: None)
    at.come()
    closed = at.drill.close_target()
    left = at.names()["b"] - at.before["b"]
    assert {kind for kind, _ in left} == {"server_group", "secret", "secret_container"}
    assert at.names()["a"] == at.before["a"]
    assert closed.exit is Exit.FAILED and closed.verdict is not None
    for kind, name in left:
        assert f"{kind}:" in closed.verdict.reason and name in closed.verdict.reason


def test_on_a_kept_target_a_copy_with_our_mark_is_not_ours(setting: Callable[..., Setting]) -> None:
    """Cinder restores a backup with the metadata of its volume: the application's volume carries the drill's mark."""
    at = setting(keep=True)
    assert at.drill.move().complete
    ours = next(r for r in at.clouds["b"].listing(Kind.VOLUME).resources if isinstance(r, Volume))
    at.clouds["b"]._put(ours.model_copy(update={"id": "restored", "name": "restored"}))
    closed = at.drill.close_target()
    assert at.names()["b"] - at.before["b"] == {("volume", "restored"): 1}
    assert closed.exit is Exit.HELD


def test_a_stop_is_heard_during_the_wait_and_the_same_command_goes_on(setting: Callable[..., Setting]) -> None:
    at = setting(late_seconds=600)
    at.lose(first_of_each("create network", 0.0, []))
    stop = at.tools.stop
    say = at.said.append

    def stopping(line: str, *, strong: bool = False) -> None:
        say(line)
        if line.startswith("waiting"):
            stop.set()

    at.tools.face.say = stopping  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        at.drill.move()
    stop.clear()
    again = drill.Drill(at.drill.folder, replace(at.tools, late_seconds=0.0))
    assert again.move().complete
    with Journal(at.drill.folder.journal) as journal:
        assert [e.kind for e in journal.events()][-1] == "swept"
