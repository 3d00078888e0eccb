# SPDX-License-Identifier: Apache-2.0
"""Two drills never write to one project: not under two names of one cloud, not from two machines. Between simulators."""

from __future__ import annotations

from pathlib import Path

import closer
import pytest
from closer import ALARM, until

from unterbau.errors import Exit
from unterbau.saga import Marker, run_of
from unterbau.switch import folders
from unterbau.tenant.kinds import Container

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in closer.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    closer.plant(closer.cloud(tmp_path, "a"))
    closer.cloud(tmp_path, "b")
    return tmp_path


def names(root: Path) -> list[str]:
    """Of all there, but for the temporaries of a verifier."""
    return sorted(n for n in closer.cloud(root, "b").enumerate_all().values() if not run_of(n))


def test_a_second_name_of_the_target_does_not_let_a_second_drill_in(root: Path) -> None:
    (root / "a" / "hold").touch()
    first = closer.started(root, "drill", "a", "b", "--keep")
    try:
        until(lambda: list(folders.verifications().glob("verify-*.db")))
        before = names(root)
        second = closer.run(root, "drill", "a", "b-again", "--keep")
        assert second.returncode == Exit.USAGE, second.stderr
        assert f"another drill (process {first.pid}) writes to project b" in second.stderr
        assert names(root) == before
    finally:
        (root / "a" / "hold").unlink()
        _, told = first.communicate(timeout=ALARM)
    assert first.returncode == Exit.NOT_SHOWN, told


@pytest.mark.parametrize("verb", ["move", "drill"])
def test_marks_of_a_drill_from_elsewhere_stop_the_first_write_and_are_named(root: Path, verb: str) -> None:
    made = root / "plan.yaml"
    assert closer.run(root, "plan", "a", "b", "-o", str(made)).returncode in (Exit.HELD, Exit.NOT_SHOWN)
    mark = Marker(run="20261126-e15ewe4e", node="container:theirs").tag()
    closer.cloud(root, "b").ensure(Container(id="theirs", name="theirs"), mark)
    before = names(root)
    asked = ["move", str(made)] if verb == "move" else ["drill", "a", "b", "--plan", str(made), "--keep"]
    ran = closer.run(root, *asked)
    assert ran.returncode in (Exit.USAGE, Exit.FAILED), ran.stderr
    if verb == "move":
        assert "its marks say 20261126-e15ewe4e" in ran.stderr
    assert names(root) == before


def test_a_target_that_is_not_as_planned_any_more_is_not_written_to(root: Path) -> None:
    made = root / "plan.yaml"
    closer.run(root, "plan", "a", "b", "-o", str(made))
    closer.cloud(root, "b").ensure(Container(id="new", name="new"), "somebody else")
    ran = closer.run(root, "move", str(made))
    assert ran.returncode == Exit.USAGE and "the target changed since the plan was made: container:new" in ran.stderr
    assert names(root) == ["default", "new"]
