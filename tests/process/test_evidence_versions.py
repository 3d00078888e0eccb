# SPDX-License-Identifier: Apache-2.0
"""Evidence of every format checks with the oldest and the newest pydantic that pyproject.toml allows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import test_evidence_formats as formats
from uv import find_uv_bin

from unterbau.reference import registry

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
def test_every_golden_bundle_checks_alike(resolution: str, tmp_path: Path) -> None:
    environ = {**os.environ, **registry.of_this_machine(os.environ), "PYTHONPATH": str(ROOT / "src")}
    uv, python = str(find_uv_bin()), str(tmp_path / "venv" / "bin" / "python")

    def run(*argv: str) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environ, cwd=ROOT)
        assert done.returncode == 0, f"{' '.join(argv[:4])}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    wanted = tmp_path / "wanted.txt"
    run(uv, "pip", "compile", "-q", "--resolution", resolution, "--upgrade", "--python-version", "3.11", "pyproject.toml",
        "-o", str(wanted))  # fmt: skip
    run(uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv"))
    run(uv, "pip", "install", "-q", "--python", python, "-r", str(wanted))
    told = run(python, "-c", formats.PROGRAM, *map(str, formats.ALL))
    assert told.splitlines() == [f"{p.stem}: {formats.outcome(p)}" for p in formats.ALL]
    if resolution == "lowest-direct":
        least = re.search(r'"pydantic>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
        assert least and run(python, "-c", "import pydantic; print(pydantic.VERSION)").startswith(least[1])
