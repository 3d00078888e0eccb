# SPDX-License-Identifier: Apache-2.0
"""The laws of `saga_laws` on the toy world, with kill -9 really sent."""

from __future__ import annotations

from pathlib import Path

import saga_laws as laws


def test_killed_after_each_write(tmp_path: Path) -> None:
    kills = laws.killed_after_each_write(laws.toy_command, laws.toy_look, tmp_path)
    assert kills == 1 + 2 * 5 + 1 + 5
