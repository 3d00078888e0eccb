# SPDX-License-Identifier: Apache-2.0
"""The drill's folder: written whole or not at all, held by one process, resumed by the next."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from unterbau import files
from unterbau.errors import LocalError, Refused, UsageError
from unterbau.switch import folders

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_an_unfinished_drill_is_found_again_and_a_finished_one_is_not() -> None:
    assert folders.unfinished("a", "b") is None
    folder = folders.begin("a", "b", keep=False, now=NOW)
    found = folders.unfinished("a", "b")
    assert found is not None and found.path == folder.path
    assert folders.unfinished("b", "a") is None
    folder.save(folder.load().model_copy(update={"finished": True}))
    assert folders.unfinished("a", "b") is None
    assert [s.run for _, s in folders.drills()] == [folder.run]


def test_folder_and_files_are_for_their_owner_only() -> None:
    folder = folders.begin("a", "b", keep=False, now=NOW)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.state.stat().st_mode) == 0o600


def test_a_second_holder_is_refused_with_the_first_ones_process() -> None:
    folder = folders.begin("a", "b", keep=False, now=NOW)
    with folder.locked(), pytest.raises(Refused, match=str(os.getpid())), folder.locked():
        pass
    with folder.locked():
        pass


@pytest.mark.thorough
def test_a_phase_noted_twice_stands_once() -> None:
    folder = folders.begin("a", "b", keep=False, now=NOW)
    for _ in range(2):
        folder.finish_phase("census", NOW, NOW)
    assert [p.name for p in folder.load().phases] == ["census"]


@pytest.mark.thorough
def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.write(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalError) as caught:
        files.write(path, b"new")
    assert "space" in caught.value.remedy
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "x" * 40])
def test_a_name_that_cannot_be_a_drill_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        folders.folder(name)


def test_a_broken_state_file_is_named() -> None:
    folder = folders.begin("a", "b", keep=False, now=NOW)
    folder.state.write_bytes(b"{")
    with pytest.raises(UsageError, match="not a drill's state"):
        folder.load()
    assert folders.drills() == ()


HOLDS = "import os, sys; from unterbau import files\nwith files.passing('census') as one: print(one, flush=True); sys.stdin.read()"


def test_a_temporary_folder_of_a_killed_owner_goes_with_the_next_and_a_living_ones_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    strangers = tmp_path / "unterbau-verify-another"
    strangers.mkdir()
    (tmp_path / "unterbau-census-link").symlink_to(strangers)
    with files.passing("census") as living, subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        killed = Path(owner.stdout.readline().strip())
        (killed / "listed.jsonl").write_text("it holds something")
        with files.passing("census"):
            assert killed.exists(), "its owner lives"
        owner.kill()
        owner.wait()
        with files.passing("census") as last:
            assert not killed.exists() and living.exists() and last.stat().st_mode & 0o777 == 0o700
    assert {one.name for one in tmp_path.glob("unterbau-*")} == {strangers.name, "unterbau-census-link"}
