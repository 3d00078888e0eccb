# SPDX-License-Identifier: Apache-2.0
"""The command line killed before a change of anything that it keeps on disk: a file made, renamed, removed, a statement of SQL.

A journal's writes are moments, too, but a run has others: what is half made then is read by the next one. Between two
simulators. `test_move_crash` counts by the journal, and has requests that outlive their client.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import closer
import pytest

from unterbau.switch import evidence

pytestmark = pytest.mark.timeout(2400)

LOSSES = [argument for name in closer.ALL for argument in ("--accept-loss", name)]
WORKERS = 3


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tenant on `a`, nothing on `b`, and no drill yet."""
    root = tmp_path_factory.mktemp("planted")
    closer.plant(closer.cloud(root, "a"))
    closer.cloud(root, "b")
    return root


@pytest.fixture(scope="module")
def undisturbed(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[tuple[str, str]]]:
    root = tmp_path_factory.mktemp("undisturbed") / "w"
    shutil.copytree(planted, root)
    assert closer.run(root, "drill", "a", "b", "--keep", "--quiet").returncode == 3
    return {side: names(root, side) for side in "ab"}


def names(root: Path, side: str) -> Counter[tuple[str, str]]:
    raw = closer.cloud(root, side).enumerate_all()
    return Counter((reference.partition(":")[0], name) for reference, name in raw.items())


def finished(root: Path) -> bool:
    """Whether its drill is, by its own word."""
    return any(json.loads(path.read_bytes())["finished"] for path in root.glob("state/unterbau/drills/*/drill.json"))


@pytest.mark.parametrize("moments", [
    pytest.param((*range(1, 40, 3), *range(40, 56), *range(56, 180, 17)), id="some"),
    pytest.param(tuple(range(1, 180)), id="all", marks=pytest.mark.long),
])  # fmt: skip
def test_a_drill_killed_at_any_moment_is_finished_by_the_same_command(
    planted: Path, undisturbed: dict[str, Counter[tuple[str, str]]], tmp_path: Path, moments: tuple[int, ...]
) -> None:
    ended: list[int] = []

    def one(number: int) -> str:
        root = tmp_path / f"k{number}"
        shutil.copytree(planted, root)
        told = ""
        killed = closer.run(root, "drill", "a", "b", "--keep", "--quiet", kill_after=-number)
        if killed.returncode != -9 or finished(root):  # the same command would begin another
            ended.append(number)
        else:
            done = closer.run(root, "drill", "a", "b", "--keep", "--quiet")
            wrong = [side for side in "ab" if names(root, side) != undisturbed[side]]
            wrong += [path.name for path in root.glob("state/unterbau/drills/**/.*") if path.name != ".choosing"]
            wrong += [path.name for path in root.glob("state/unterbau/drills/2*") if not (path / "drill.json").exists()]
            if done.returncode != 3 or wrong:
                told = f"{number}: {done.returncode}, wrong on {wrong}: {done.stderr[-1000:]}"
        shutil.rmtree(root)
        return told

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        faults = [f for f in pool.map(one, moments) if f]
    assert faults == []
    assert min(ended, default=999) > 140, f"hardly anything was killed: {sorted(ended)[:5]} ..."


@pytest.mark.parametrize("side", ["--source", "--target"])
def test_a_closing_killed_at_any_moment_is_finished_by_the_same_command(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(planted, kept)
    for name, value in closer.environment(kept).items():
        monkeypatch.setenv(name, value)
    folder = closer.drilled(kept, keep=True)
    before, empty = names(kept, "b"), names(planted, "b")

    def one(number: int) -> str:
        root = tmp_path / f"k{number}"
        shutil.copytree(kept, root)
        what = ["close", folder.run, side]
        bundle = root / folder.bundle.relative_to(kept)
        what += ["--bundle", str(bundle), *LOSSES] if side == "--source" else []
        typed = "a\n" if side == "--source" else "b\n"
        killed = closer.run(root, *what, typed=typed, kill_after=-number)
        if killed.returncode == -9:
            done = closer.run(root, *what, typed=typed)
            if done.returncode != 0:
                return f"{number}: {done.returncode} {done.stderr[-1000:]}"
        elif killed.returncode != 0:
            return f"{number}: {killed.returncode} {killed.stderr[-1000:]}"
        if side == "--source":
            closed = root / folder.closed_bundle.relative_to(kept)
            evidence.check(closed.read_bytes())
            right = set(names(root, "a")) == {("security_group", "default")} and names(root, "b") == before
        else:
            right = names(root, "b") == empty and names(root, "a") == names(planted, "a")
        shutil.rmtree(root)
        return "" if right else f"{number}: something else stands"

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        faults = [f for f in pool.map(one, (*range(1, 24, 2), *range(24, 120, 9))) if f]
    assert faults == []


def test_what_a_killed_verification_left_holds_no_clean_up(planted: Path, tmp_path: Path) -> None:
    """Its snapshots would hold their volumes: nobody has to verify once more before a move can be taken back."""
    moved = tmp_path / "moved"
    shutil.copytree(planted, moved)
    plan = moved / "plan.yaml"
    assert closer.run(moved, "plan", "a", "b", "--output", str(plan)).returncode == 3
    assert closer.run(moved, "move", str(plan)).returncode == 0
    run = next(moved.glob("state/unterbau/drills/2*")).name
    expected = {side: names(planted, side) for side in "ab"}

    def one(number: int) -> tuple[bool, str]:
        root = tmp_path / f"k{number}"
        shutil.copytree(moved, root)
        stood = sum(sum(names(root, side).values()) for side in "ab")
        closer.run(root, "verify", "a", "b", "--plan", str(root / "plan.yaml"), kill_after=-number)
        held = sum(sum(names(root, side).values()) for side in "ab") > stood
        done = closer.run(root, "close", run, "--target", typed="b\n")
        right = done.returncode == 0 and {side: names(root, side) for side in "ab"} == expected
        shutil.rmtree(root)
        return held, "" if right else f"{number}: {done.returncode} {done.stderr[-1000:]}"

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        seen = list(pool.map(one, range(6, 60, 4)))
    assert [fault for _, fault in seen if fault] == []
    assert sum(held for held, _ in seen) > 3, "no verification was killed with anything standing"
