# SPDX-License-Identifier: Apache-2.0
"""The laws of a saga, for every step of the move of the seeded tenant between two simulators."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import saga_laws

from unterbau.cloud.simulator import Simulator
from unterbau.reference import tenant as seed
from unterbau.saga import Step
from unterbau.switch import census, move, planning

pytestmark = pytest.mark.timeout(2400)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def look(folder: Path) -> object:
    """What stands on both sides, counted without the ledger."""
    raw = [Simulator(folder / side, name=side).enumerate_all() for side in "ab"]
    return [Counter((reference.partition(":")[0], name) for reference, name in side.items()) for side in raw]


@pytest.fixture(scope="module", params=["as it is", pytest.param("cut over", marks=pytest.mark.long)])
def make(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[Path], Sequence[Step]]:
    """The steps of the move in a folder with a copy of the two clouds of its own."""
    root = tmp_path_factory.mktemp("world")
    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    seed.plant(source, now=NOW)
    workload, other = (census.take(c, now=lambda: NOW) for c in (source, target))
    plan = planning.make(workload, other, run="laws", now=NOW)
    if request.param == "cut over":
        plan = plan.model_copy(update={"cut_over": tuple(move.running(workload.resources))})

    def steps(folder: Path) -> Sequence[Step]:
        for side in "ab":
            if not (folder / side).exists():
                shutil.copytree(root / side, folder / side)
        return move.steps(plan, workload, Simulator(folder / "a", name="a"), Simulator(folder / "b", name="b"))

    return steps


def started(make: Callable[[Path], Sequence[Step]]) -> saga_laws.Look:
    """`look`, which also knows a folder in which nothing was made yet."""

    def seen(folder: Path) -> object:
        make(folder)
        return look(folder)

    return seen


def test_each_step_twice_equals_once(make: Callable[[Path], Sequence[Step]], tmp_path: Path) -> None:
    saga_laws.each_twice(make, started(make), tmp_path / "twice")


def test_a_failure_at_each_step_resumes(make: Callable[[Path], Sequence[Step]], tmp_path: Path) -> None:
    saga_laws.failure_at_each(make, started(make), tmp_path)
