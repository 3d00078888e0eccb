# SPDX-License-Identifier: Apache-2.0
"""Of a crowded container the verifier makes one claim: it finds every seeded difference in it, and holds none of its objects."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boxes
import pytest
from boxes import BOX, named

from unterbau.cloud.port import Page
from unterbau.cloud.simulator import Simulator
from unterbau.errors import Broken, Unreachable
from unterbau.switch import planning, verify
from unterbau.switch.census import take
from unterbau.switch.verify import Contents
from unterbau.tenant.kinds import Fate, StoredObject
from unterbau.verdict import Outcome, Verdict

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MANY = 120
CLAIM = f"content container:{BOX}"


@pytest.fixture
def sides(tmp_path: Path) -> dict[str, Simulator]:
    return boxes.clouds(tmp_path, {"source": named(MANY), "target": named(MANY)})


def look(sides: dict[str, Simulator], root: Path, **more: Any) -> Contents:
    (root / "work").mkdir(exist_ok=True)
    plan = more.pop("plan", None)
    return verify.look(sides["source"], sides["target"], plan, work=root / "work", now=lambda: NOW, **more)


def claim(told: Contents) -> Verdict:
    return next(v for v in told.verdicts if v.claim.id == CLAIM)


def test_the_same_objects_on_both_sides_are_held_by_one_claim_with_counts_and_one_root(
    sides: dict[str, Simulator], tmp_path: Path
) -> None:
    told = look(sides, tmp_path)
    held = claim(told)
    left, right = (o.value for o in held.evidence)
    assert held.outcome is Outcome.HELD and left == right and isinstance(left, dict)
    assert left["objects"] == MANY and left["bytes"] == sum(len(n.encode()) for n in named(MANY))
    assert not [r for w in (told.source, told.target) for r in w.resources if isinstance(r, StoredObject)]
    assert not [v for v in told.verdicts if v.outcome is Outcome.FAILED]


def test_a_container_with_few_objects_is_read_as_ever(tmp_path: Path) -> None:
    sides = boxes.clouds(tmp_path, {"source": named(100), "target": named(100)})
    told = look(sides, tmp_path)
    assert sum(v.claim.id.startswith("content object:") for v in told.verdicts) == 100
    assert CLAIM not in {v.claim.id for v in told.verdicts}


def test_one_that_is_crowded_on_one_side_only_is_compared_all_the_same(tmp_path: Path) -> None:
    sides = boxes.clouds(tmp_path, {"source": named(101), "target": named(100)})
    assert claim(look(sides, tmp_path)).outcome is Outcome.FAILED


def _missing(cloud: Simulator) -> None:
    del cloud._world[f"object:{BOX}/a\nb"]


def _extra(cloud: Simulator) -> None:
    boxes.put(cloud, "ä/öö", b"more")


def _other_bytes(cloud: Simulator) -> None:
    """Of the same length, as the listing told them."""
    cloud._blob(f"object:{BOX}/x//y").write_bytes(b"X//Y")


def _other_header(cloud: Simulator) -> None:
    cloud._world[f"object:{BOX}/ä/ö ✓"]["metadata"] = {"colour": "red"}


def _expires(cloud: Simulator) -> None:
    cloud._world[f"object:{BOX}/zzz"]["delete_at"] = (NOW + timedelta(days=1)).isoformat()


def _link(cloud: Simulator) -> None:
    cloud._world[f"object:{BOX}/zzz"] |= {"symlink_to": f"{BOX}/x//y", "size_bytes": 0}


SEEDED: dict[str, tuple[Callable[[Simulator], None], str, str]] = {
    "missing": (_missing, "a\nb", "missing"),
    "extra": (_extra, "ä/öö", "only"),
    "other bytes": (_other_bytes, "x//y", "content"),
    "another header": (_other_header, "ä/ö ✓", "metadata"),
    "an expiry": (_expires, "zzz", "delete_at"),
    "a link in its place": (_link, "zzz", "symlink_to"),
}


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("seeded", SEEDED)
def test_every_seeded_difference_fails_and_is_named(
    sides: dict[str, Simulator], tmp_path: Path, side: str, seeded: str
) -> None:
    seed, name, word = SEEDED[seeded]
    seed(sides[side])
    found = claim(look(sides, tmp_path))
    left, right = (o.value for o in found.evidence)
    assert found.outcome is Outcome.FAILED and left != right
    assert name in str(found.reason)
    if side == "target":
        assert word in str(found.reason)


def test_an_object_that_cannot_be_read_is_that_one_exception(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Simulator.object_bytes

    @contextmanager
    def broken(self: Simulator, container: str, name: str) -> Any:
        if self.name == "target" and name == "zzz":
            raise Broken("the store lost it")
        with read(self, container, name) as stream:
            yield stream

    monkeypatch.setattr(Simulator, "object_bytes", broken)
    found = claim(look(sides, tmp_path))
    assert found.outcome is Outcome.NOT_SHOWN and "zzz" in str(found.reason) and "lost it" in str(found.reason)
    assert all(isinstance(o.value, dict) and o.value["objects"] == MANY for o in found.evidence)
    boxes.put(sides["target"], "one more", b"x")
    assert claim(look(sides, tmp_path)).outcome is Outcome.FAILED, "what differs is no less so"


def test_a_listing_that_breaks_off_is_no_short_one(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Simulator.pages

    def pages(self: Simulator, container: str) -> Any:
        page = next(iter(whole(self, container)))
        yield Page(page.plain[:50], (), page.total)
        if self.name == "target":
            raise Unreachable("no answer")
        yield Page(page.plain[50:], page.others, page.total)

    monkeypatch.setattr(Simulator, "pages", pages)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    found = claim(look(sides, tmp_path))
    assert found.outcome is Outcome.NOT_SHOWN and "no answer" in str(found.reason)


def test_what_was_listed_and_is_gone_is_told_as_gone(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As expired ones are, which a store lists for a while: neither a difference nor fewer than the container counts."""
    read = Simulator.read
    monkeypatch.setattr(Simulator, "read", lambda self, r: None if r == f"object:{BOX}/zzz" else read(self, r))
    told = look(sides, tmp_path, place=tmp_path / "verdicts.json")
    held = claim(told)
    assert held.outcome is Outcome.HELD and "gone: zzz" in str(held.reason)
    assert [o.value["objects"] for o in held.evidence if isinstance(o.value, dict)] == [MANY - 1] * 2
    lines = [json.loads(line) for line in (tmp_path / "verdicts.contents-source.jsonl").read_bytes().splitlines()]
    assert [line["name"] for line in lines if line.get("gone")] == ["zzz"]


def test_a_container_that_counts_more_than_it_tells_is_not_held(sides: dict[str, Simulator], tmp_path: Path) -> None:
    for cloud in sides.values():
        cloud._world[f"container:{BOX}"] |= {"object_count": MANY + 1}
    found = claim(look(sides, tmp_path))
    assert found.outcome is Outcome.NOT_SHOWN and f"tells {MANY}" in str(found.reason)
    del sides["target"]._world[f"object:{BOX}/zzz"]
    assert claim(look(sides, tmp_path)).outcome is Outcome.FAILED, "what is missing is no less so"


class Listed:
    """Says of each listing of the container on the target what it counts; `late` are objects that only later listings have."""

    def __init__(self, patch: pytest.MonkeyPatch, counts: list[int], late: int = 0) -> None:
        self.times, whole = 0, Simulator.pages

        def pages(cloud: Simulator, container: str) -> Any:
            (page,) = list(whole(cloud, container))[:1]
            if cloud.name != "target":
                yield page
                return
            said, hidden = counts[min(self.times, len(counts) - 1)], late if self.times == 0 else 0
            self.times += 1
            yield Page(page.plain[: len(page.plain) - hidden], page.others, said)

        patch.setattr(Simulator, "pages", pages)
        patch.setattr("unterbau.switch.verify.containers.PAUSES", (0.0, 0.0))


def test_a_container_is_listed_once_if_it_counts_what_it_lists(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Listed(monkeypatch, [MANY])
    assert claim(look(sides, tmp_path)).outcome is Outcome.HELD
    assert listed.times == 1


def test_a_count_that_lags_is_waited_for_and_nothing_is_read_twice(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, read = Listed(monkeypatch, [MANY - 7, MANY - 7, MANY]), Reads(monkeypatch)
    assert claim(look(sides, tmp_path)).outcome is Outcome.HELD
    assert listed.times == 3 and read.of["target"] == MANY


def test_a_listing_that_was_short_at_first_is_read_anew(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Listed(monkeypatch, [MANY], late=20)
    told = look(sides, tmp_path, place=tmp_path / "verdicts.json")
    assert claim(told).outcome is Outcome.HELD and listed.times == 3
    lines = (tmp_path / "verdicts.contents-target.jsonl").read_bytes().splitlines()
    assert [json.loads(line).get("name") for line in lines[1:]] == named(MANY)


def test_a_count_that_stays_another_is_a_doubt(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, read = Listed(monkeypatch, [MANY + 1]), Reads(monkeypatch)
    found = claim(look(sides, tmp_path))
    assert found.outcome is Outcome.NOT_SHOWN and f"counts {MANY + 1}" in str(found.reason)
    assert listed.times == 3 and read.of["target"] == MANY


def test_a_census_that_fails_ends_the_reading(
    sides: dict[str, Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on beside it, and nobody would want what it reads."""
    reading, read, identity = threading.Event(), Simulator.read_again, Simulator.identity

    def slow(self: Simulator, things: Any, seen: Any) -> Any:
        reading.set()
        time.sleep(0.05)
        return read(self, things, seen)

    def refused(self: Simulator) -> Any:
        if threading.current_thread() is threading.main_thread():
            return identity(self)
        assert reading.wait(10)
        raise Unreachable("no answer")

    monkeypatch.setattr("unterbau.switch.verify.containers.BATCH", 1)
    monkeypatch.setattr(Simulator, "read_again", slow)
    monkeypatch.setattr(Simulator, "identity", refused)
    reads = Reads(monkeypatch)
    with pytest.raises(Unreachable):
        verify.contents.observe(
            {**sides}, work=tmp_path, now=lambda: NOW, place=tmp_path / "verdicts.json"
        )  # fmt: skip
    assert sum(reads.of.values()) < MANY


class Reads:
    """Counts the objects whose headers were read, by side."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.of, again = Counter[str](), Simulator.read_again

        def counted(cloud: Simulator, things: Any, seen: Any) -> Any:
            self.of[cloud.name] += len(things)
            return again(cloud, things, seen)

        patch.setattr(Simulator, "read_again", counted)


def test_what_the_plan_leaves_or_changes_is_no_difference(sides: dict[str, Simulator], tmp_path: Path) -> None:
    empty = Simulator(tmp_path / "empty", name="target")
    made = planning.make(
        take(sides["source"], now=lambda: NOW), take(empty, now=lambda: NOW), run="r", now=NOW
    )  # fmt: skip
    left = tuple(
        e.model_copy(update={"fate": Fate.LEFT, "why": "not wanted"}) if e.ref == f"object:{BOX}/zzz" else e
        for e in made.entries
    )
    plan = made.model_copy(update={"entries": left})
    del sides["target"]._world[f"object:{BOX}/zzz"]
    found = claim(look(sides, tmp_path, plan=plan))
    assert found.outcome is Outcome.NOT_SHOWN and "zzz" in str(found.reason) and "missing" not in str(found.reason)


def test_the_manifests_stay_beside_the_verdicts_and_tell_every_object(
    sides: dict[str, Simulator], tmp_path: Path
) -> None:
    look(sides, tmp_path, place=tmp_path / "verdicts.json")
    for side in sides:
        path = tmp_path / f"verdicts.contents-{side}.jsonl"
        head, *lines = (json.loads(line) for line in path.read_bytes().splitlines())
        assert head == {"container": BOX} and [line["name"] for line in lines] == named(MANY)
        assert path.stat().st_mode & 0o777 == 0o600
    assert not [p for p in (tmp_path / "work").iterdir() if "jsonl" in p.name]


@pytest.mark.thorough
def test_memory_does_not_grow_with_their_number(tmp_path: Path) -> None:
    """Each of many takes a seventh of what one took as a thing of its own (20 kB), and that is the simulator, which lists all at once."""

    def peak(count: int) -> int:
        root = tmp_path / str(count)
        sides = boxes.clouds(root, {"source": named(count), "target": named(count)})
        for cloud in sides.values():
            cloud._all()  # the simulator's own memory of its things
        tracemalloc.start()
        try:
            assert claim(look(sides, root)).outcome is Outcome.HELD
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(2_000), peak(20_000)
    assert (many - few) / 18_000 < 3_000, (few, many)
