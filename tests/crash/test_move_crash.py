# SPDX-License-Identifier: Apache-2.0
"""The move of the seeded tenant, killed with SIGKILL after every journal write, then finished by a rerun.

The clouds go on without their client: what a dead process asked for, and what got no answer, they carry out later.
Orphans and doubles are counted by the simulator's raw enumeration, which knows nothing of the ledger.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mover import LATE, WAIT, folder

from unterbau.cloud.simulator import Simulator
from unterbau.reference import tenant as seed
from unterbau.saga import Journal
from unterbau.switch import census, planning
from unterbau.switch.folders import DrillState
from unterbau.tenant.kinds import KINDS

pytestmark = pytest.mark.timeout(2400)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MOVER = Path(__file__).with_name("mover.py")
KINDS_WITHOUT_A_MARK = {kind.value for kind, known in KINDS.items() if known.KNOWN.marker.doubtful}


def mover(root: Path, kill_after: int, what: str = "run", mood: str = "late") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(MOVER), str(root), str(kill_after), what, mood],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "TMPDIR": str(root)},  # a killed process leaves its temporary folders
    )
    assert done.returncode in (0, -9), done.stderr[-2000:]
    return done


def names(root: Path, side: str) -> Counter[tuple[str, str]]:
    raw = Simulator(root / side, name=side).enumerate_all()
    return Counter((reference.partition(":")[0], name) for reference, name in raw.items())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulators, the source planted, and a plan; nothing moved yet."""
    root = tmp_path_factory.mktemp("world")
    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    seed.plant(source, now=NOW)
    censuses = [census.take(c, now=lambda: NOW) for c in (source, target)]
    plan = planning.make(*censuses, run="crash", now=NOW)
    place = folder(root)
    place.path.mkdir()
    place.save(DrillState(run="crash", source="a", target="b", keep=False, created=NOW))
    place.plan.write_text(planning.dump(plan))
    for path, taken in zip((place.source, place.target), censuses, strict=True):
        path.write_text(taken.model_dump_json())
    return root


@pytest.fixture(scope="module")
def undisturbed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The result of a move that nobody disturbed, and how many journal writes it took."""
    root = tmp_path_factory.mktemp("undisturbed") / "w"
    shutil.copytree(world, root)
    assert mover(root, 0, mood="calm").returncode == 0
    with Journal(folder(root).journal) as journal:
        assert {e.kind for e in journal.events()} == {"opened", "intended", "done"}
        return root, len(journal.rows())


def test_an_undisturbed_move_leaves_nothing_temporary(world: Path, undisturbed: tuple[Path, int]) -> None:
    root, writes = undisturbed
    assert writes > 100
    assert names(root, "a") == names(world, "a")
    moved, wanted = names(root, "b"), names(world, "a")
    stays = [key for key in moved if key[0] == "image" and key[1].startswith("unterbau.crash.")]
    assert len(stays) == 2, "what the servers of a rehearsal were made from, until it takes all back"
    assert {k: n for k, n in wanted.items() if k[0] not in ("snapshot",)} == {
        k: n for k, n in moved.items() if k not in stays
    }


def test_killed_after_every_journal_write_the_rerun_finishes(
    world: Path, undisturbed: tuple[Path, int], tmp_path: Path
) -> None:
    result, writes = undisturbed
    expected = {side: names(result, side) for side in "ab"}
    assert WAIT > 2 * LATE

    def one(number: int) -> str:
        root = tmp_path / f"k{number}"
        shutil.copytree(world, root)
        if mover(root, number).returncode != -9:
            return f"write {number}: it was not killed"
        done = mover(root, 0)
        # Of a lost answer, a second request that came through, a kill before that was written down, and the first one
        # carried out after all, two are left; what lost its mark by then is named, and nobody can tell whose it is.
        named = Counter(tuple(line.removeprefix("target: ").split(":", 1)) for line in done.stdout.split("\n") if line)
        kinds = {kind for kind, _ in named}
        if done.returncode != 0 or not kinds <= KINDS_WITHOUT_A_MARK:
            return f"write {number}: the rerun ended with {done.returncode} {done.stdout}"
        time.sleep(LATE)
        twins = Counter((kind, told.partition(" ")[2]) for kind, told in named)
        wrong = [side for side in "ab" if names(root, side) - (twins if side == "b" else Counter()) != expected[side]]
        shutil.rmtree(root)
        return f"write {number}: orphans or doubles on {wrong}" if wrong else ""

    with ThreadPoolExecutor(max_workers=3) as pool:
        faults = [f for f in pool.map(one, range(1, writes + 1)) if f]
    assert faults == []


@pytest.mark.parametrize("number", range(5, 200, 15))
def test_a_killed_move_can_be_taken_back_without_a_trace(world: Path, tmp_path: Path, number: int) -> None:
    """But for what carries no mark and was not seen to be made: nobody can tell whose it is, so it is named and stays."""
    root = tmp_path / "w"
    shutil.copytree(world, root)
    mover(root, number)
    # The first of the two may have come to its end, and told what it named then.
    named = [line for kill in (9, 0) for line in mover(root, kill, "unwind").stdout.split("\n")]
    time.sleep(LATE)
    assert names(root, "a") == names(world, "a")
    left = (
        Simulator(root / "b", name="b").enumerate_all().keys() - Simulator(world / "b", name="b").enumerate_all().keys()
    )
    assert {reference.partition(":")[0] for reference in left} <= KINDS_WITHOUT_A_MARK
    assert [r for r in left if not any(f"{line} ".startswith(f"target: {r} ") for line in named)] == []
