# SPDX-License-Identifier: Apache-2.0
"""`prove --write` is killed after each of its journal's writes; the next run leaves the cloud as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from trials import Trials, run

CHILD = Path(__file__).with_name("trials.py")


def killed(root: Path, after: int) -> int:
    ended = subprocess.run([sys.executable, str(CHILD), str(root), str(after)], check=False, timeout=60)
    return ended.returncode


def test_killed_at_each_write_the_next_run_cleans_up(tmp_path: Path) -> None:
    after, left_something = 0, 0
    while True:
        after += 1
        root = tmp_path / str(after)
        cloud = Trials(root / "cloud")
        before = cloud.enumerate_all()
        code = killed(root, after)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        left = Trials(root / "cloud")
        left_something += left.enumerate_all() != before
        run(left, root / "journals")
        assert Trials(root / "cloud").enumerate_all() == before, f"killed after write {after}"
        assert list((root / "journals").iterdir()) == []
    assert after > 30
    assert left_something > 15
