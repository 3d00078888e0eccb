# SPDX-License-Identifier: Apache-2.0
"""A tenant moved between two simulators, made once; each test works on a copy."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from world import World

from unterbau import census, move, planning, seed
from unterbau.cloud.simulator import Simulator
from unterbau.evidence.bundle import plan_digest
from unterbau.plan import Plan
from unterbau.saga import Journal, run
from unterbau.workload import Workload

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
def moved_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan, Workload]:
    root = tmp_path_factory.mktemp("moved")
    source, target = Simulator(root / "a", name="a"), Simulator(root / "b", name="b")
    seed.plant(source, now=NOW)
    workload, other = (census.take(c, now=lambda: NOW) for c in (source, target))
    plan = planning.make(workload, other, run="unit", now=NOW)
    steps = move.steps(plan, workload, source, target)
    with Journal(root / "journal.db") as journal:
        assert run(steps, journal, plan=plan_digest(plan), workers=4).complete
    return root, plan, workload


@pytest.fixture
def world(moved_once: tuple[Path, Plan, Workload], tmp_path: Path) -> World:
    root, plan, workload = moved_once
    shutil.copytree(root, tmp_path / "w")
    return World(
        tmp_path / "w",
        Simulator(tmp_path / "w" / "a", name="a"),
        Simulator(tmp_path / "w" / "b", name="b"),
        plan,
        workload,
    )
