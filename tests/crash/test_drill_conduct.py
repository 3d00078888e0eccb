# SPDX-License-Identifier: Apache-2.0
"""How a drill behaves when something fails, ends early or is killed: the same command again. Between two simulators.

As processes, since the verifier is a process of its own, and what is killed must be one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import closer
import psutil
import pytest
from closer import ALARM, until

from unterbau.errors import Exit
from unterbau.switch import folders
from unterbau.tenant.kinds import Container

pytestmark = pytest.mark.timeout(600)

SOON = timedelta(seconds=5)
WHOLE = Exit.NOT_SHOWN
"""All that a drill of this tenant can show held; what is lost, as the plan says, is not shown."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, value in closer.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    closer.plant(closer.cloud(tmp_path, "a"))
    closer.cloud(tmp_path, "b")
    yield tmp_path
    for verifier in verifiers(tmp_path):
        verifier.kill()


def killed(drill: subprocess.Popen[str]) -> None:
    """Gone at once; its verifier still has its standard error."""
    drill.kill()
    drill.wait()
    for pipe in (drill.stdout, drill.stderr):
        if pipe is not None:
            pipe.close()


def only_drill() -> folders.DrillState:
    (found,) = folders.drills()
    return found[1]


def verifiers(root: Path) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if (line := p.info["cmdline"] or []) and str(root) in line and "verify" in line]


def names(root: Path, side: str) -> list[str]:
    return sorted(closer.cloud(root, side).enumerate_all().values())


def test_the_verifier_of_a_killed_drill_ends_with_it_and_the_same_command_goes_on(root: Path) -> None:
    (root / "a" / "hold").touch()
    before = names(root, "a")
    drill = closer.started(root, "drill", "a", "b", "--keep")
    until(lambda: verifiers(root) and list(folders.verifications().glob("verify-*.db")))
    (verifier,) = verifiers(root)
    killed(drill)
    until(lambda: not verifier.is_running())
    assert names(root, "a") == before, "it took its temporaries along"
    assert list(folders.verifications().iterdir()) == []
    (root / "a" / "hold").unlink()
    again = closer.run(root, "drill", "a", "b", "--keep")
    assert again.returncode == WHOLE, again.stderr
    assert only_drill().finished


def test_a_verifier_that_is_still_ending_is_waited_for(root: Path) -> None:
    (root / "a" / "hold").touch()
    drill = closer.started(root, "drill", "a", "b", "--keep")
    until(lambda: verifiers(root) and list(folders.verifications().glob("verify-*.db")))
    (root / "a" / "deaf").touch()
    killed(drill)
    again = closer.started(root, "drill", "a", "b", "--keep")
    assert again.stderr is not None
    until(lambda: "waiting for an earlier verifier" in again.stderr.readline())  # type: ignore[union-attr]
    (root / "a" / "hold").unlink()
    _, told = again.communicate(timeout=ALARM)
    assert again.returncode == WHOLE, told


def test_a_drill_that_is_stopped_stops_its_verifier_which_tidies_up(root: Path) -> None:
    (root / "a" / "hold").touch()
    drill = closer.started(root, "drill", "a", "b", "--keep")
    until(lambda: verifiers(root) and list(folders.verifications().glob("verify-*.db")))
    os.kill(drill.pid, signal.SIGTERM)
    _, told = drill.communicate(timeout=ALARM)
    assert drill.returncode == Exit.INTERRUPTED, told
    assert verifiers(root) == [] and list(folders.verifications().iterdir()) == []


def test_a_failed_step_is_tried_again_by_the_same_command(root: Path) -> None:
    (root / "b" / "refuse").write_text("volume")
    first = closer.run(root, "drill", "a", "b", "--keep", "--format", "json")
    assert first.returncode == Exit.FAILED and "same command" in first.stderr
    run = only_drill().run
    ended = {v["claim"]["id"]: v["outcome"] for v in json.loads(first.stdout)["verdicts"]}
    assert {ended[f"completeness temporaries {side}"] for side in ("source", "target")} == {"failed"}
    assert (ended["completeness image"], ended.get("completeness snapshot")) == ("held", None), "they are told apart"
    steps = [i for i in json.loads(first.stdout)["ending"]["failed"] if "ending.step" in str(i["what"])]
    assert {t.partition(" ")[0] for i in steps for t in i["things"]} == {"volume"}
    assert {i["why"] for i in steps} == {"b: quota of volume exceeded"}
    (root / "b" / "refuse").unlink()
    again = closer.run(root, "drill", "a", "b", "--keep")
    assert again.returncode == WHOLE, again.stdout + again.stderr
    assert only_drill().run == run and only_drill().finished
    assert names(root, "b") == names(root, "a")
    check = closer.run(root, "evidence", "check", str(folders.folder(run).bundle))
    assert check.returncode == Exit.NOT_SHOWN, check.stdout  # whose key it is was not said


def test_a_failed_claim_is_judged_anew_by_the_same_command(root: Path) -> None:
    """Something that was not ours stood in the way, and is gone."""
    first = closer.started(root, "drill", "a", "b", "--keep")
    (root / "a" / "hold").touch()
    until(lambda: verifiers(root))
    ref = closer.put(closer.cloud(root, "b"), "stray.txt", b"somebody else's")
    (root / "a" / "hold").unlink()
    _, told = first.communicate(timeout=ALARM)
    assert first.returncode == Exit.FAILED, told
    closer.cloud(root, "b").delete(ref, SOON)
    again = closer.run(root, "drill", "a", "b", "--keep")
    assert again.returncode == WHOLE, again.stdout + again.stderr
    assert only_drill().finished


def test_a_target_that_was_not_empty_and_was_cleaned_is_planned_anew(root: Path) -> None:
    target = closer.cloud(root, "b")
    target.ensure(Container(id="old", name="old"), "unterbau.somebody.0000000000000000")
    for attempt in range(2):
        refused = closer.run(root, "drill", "a", "b", "--keep")
        assert refused.returncode == Exit.USAGE and "container:old (old)" in refused.stderr, attempt
    closer.cloud(root, "b").delete("container:old", SOON)
    again = closer.run(root, "drill", "a", "b", "--keep")
    assert again.returncode == WHOLE, again.stdout + again.stderr
    assert len(folders.drills()) == 1


def test_what_came_to_the_source_before_the_first_write_is_moved(root: Path) -> None:
    """The old census and plan would have refused it as stale for ever."""
    target = closer.cloud(root, "b")
    target.ensure(Container(id="old", name="old"), "unterbau.somebody.0000000000000000")
    assert closer.run(root, "drill", "a", "b", "--keep").returncode == Exit.USAGE
    closer.put(closer.cloud(root, "a"), "new.txt", b"came later")
    closer.cloud(root, "b").delete("container:old", SOON)
    again = closer.run(root, "drill", "a", "b", "--keep", "--format", "json")
    assert again.returncode == WHOLE, again.stderr
    assert any(v["claim"]["subject"] == "object:box/new.txt" for v in json.loads(again.stdout)["verdicts"])


def test_a_plan_that_a_person_edited_stays_and_is_checked_anew(root: Path) -> None:
    target = closer.cloud(root, "b")
    target.ensure(Container(id="old", name="old"), "unterbau.somebody.0000000000000000")
    assert closer.run(root, "drill", "a", "b", "--keep").returncode == Exit.USAGE
    folder = folders.folder(only_drill().run)
    folder.plan.write_text(folder.plan.read_text() + "# seen by a person\n")
    edited = folder.plan.read_text().replace("fate: carried", "fate: carried  # yes", 1)
    folder.plan.write_text(edited)
    closer.cloud(root, "b").delete("container:old", SOON)
    made_at = next(line for line in edited.splitlines() if line.startswith("made_at"))
    again = closer.run(root, "drill", "a", "b", "--keep")
    assert again.returncode == WHOLE, again.stdout + again.stderr
    assert made_at in folder.plan.read_text().splitlines(), "it is the same plan"


def test_a_rehearsal_deletes_a_server_before_its_disks(root: Path) -> None:
    """A guest that runs may refuse to give a disk back for as long as anybody waits: an hour."""
    (root / "b" / "stuck").touch()
    ended = closer.run(root, "drill", "a", "b", timeout=ALARM * 3)
    assert ended.returncode == WHOLE, ended.stdout + ended.stderr
    assert closer.standing(root, "b") == set()


def test_all_that_could_not_be_removed_stands_in_the_result_and_ten_lines_on_the_terminal(root: Path) -> None:
    for number in range(12):
        closer.put(closer.cloud(root, "a"), f"more-{number}.txt", b"more")
    assert closer.run(root, "drill", "a", "b", "--keep").returncode == WHOLE
    folder = folders.folder(only_drill().run)
    folder.bundle.unlink()  # as before the seal: it goes without a question
    (root / "b" / "keep").write_text("object")
    shown = closer.run(root, "close", folder.run, "--target")
    assert shown.returncode == Exit.FAILED
    lines = shown.stderr.splitlines()
    about = [line for line in lines if line.startswith("  object:")]
    assert len(about) == 10 and any("more: all stand in the result" in line for line in lines)
    told = closer.run(root, "close", folder.run, "--target", "--format", "json", "-q")
    things = json.loads(told.stdout)["things"]
    objects = [t for t in things if t.startswith("object:")]
    assert len(objects) == 17 and len(things) > 17, "and what these keep from going"
    (root / "b" / "keep").unlink()
    closed = closer.run(root, "close", folder.run, "--target", "--format", "json", "-q")
    result = json.loads(closed.stdout)
    assert closed.returncode == Exit.HELD and len(result["deleted"]) > 20 and result["rest"]["resources"]
    assert closer.standing(root, "b") == set()


def test_the_marks_of_a_kept_drill_are_taken_off_and_it_can_still_be_taken_back(root: Path) -> None:
    made = closer.run(root, "drill", "a", "b", "--keep")
    assert made.returncode == WHOLE and "--marks" in made.stderr
    run = only_drill().run
    marked = {r.ref for r in closer.cloud(root, "b")._all() if r.marker}
    before = {r.ref: r.model_copy(update={"marker": None}) for r in closer.cloud(root, "b")._all()}
    told = closer.run(root, "close", run, "--marks", "--format", "json", "-q")
    assert told.returncode == Exit.HELD, told.stderr
    assert set(json.loads(told.stdout)["taken_off"]) == marked != set()
    now = {r.ref: r for r in closer.cloud(root, "b")._all()}
    assert {r: v.model_dump(exclude={"updated_at"}) for r, v in now.items()} == {
        r: v.model_dump(exclude={"updated_at"}) for r, v in before.items()
    }
    assert "no mark" in closer.run(root, "close", run, "--marks").stdout
    back = closer.run(root, "close", run, "--target", typed="b\n")
    assert back.returncode == Exit.HELD, back.stdout + back.stderr
    assert closer.standing(root, "b") == set()


def test_the_marks_of_a_drill_that_is_not_finished_stay(root: Path) -> None:
    (root / "b" / "refuse").write_text("volume")
    assert closer.run(root, "drill", "a", "b", "--keep").returncode == Exit.FAILED
    refused = closer.run(root, "close", only_drill().run, "--marks")
    assert refused.returncode == Exit.USAGE and "not finished" in refused.stderr
