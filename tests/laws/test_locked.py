# SPDX-License-Identifier: Apache-2.0
"""A locked server is locked again on the target, and a rehearsal takes it back all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from unterbau.cloud.simulator import Simulator
from unterbau.reference import tenant as seed
from unterbau.saga import Journal, run, unwind
from unterbau.switch import census, move, planning, verify
from unterbau.tenant.kinds import Server
from unterbau.verdict import Outcome

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_locked_server_arrives_locked_and_can_be_taken_back(tmp_path: Path) -> None:
    source, target = Simulator(tmp_path / "a", name="a"), Simulator(tmp_path / "b", name="b")
    seed.plant(source, now=NOW)
    before = target.enumerate_all()
    for server in census.take(source, now=lambda: NOW).of(Server):
        source.set_lock(server.id, True, "an audit")
    workload, other = (census.take(c, now=lambda: NOW) for c in (source, target))
    plan = planning.make(workload, other, run="locked", now=NOW)
    steps = move.steps(plan, workload, source, target)
    with Journal(tmp_path / "journal.db") as journal:
        assert run(steps, journal, workers=4).complete
        there = census.take(target, now=lambda: NOW).of(Server)
        assert {(s.locked, s.locked_reason) for s in there} == {(True, "an audit")}
        seen = verify.look(source, target, plan, work=tmp_path, now=lambda: NOW)
        assert [v.reason for v in seen.verdicts if v.outcome is Outcome.FAILED] == []
        assert unwind(steps, journal, workers=4).complete
    assert target.enumerate_all() == before
