# SPDX-License-Identifier: Apache-2.0
"""The wheel: it holds what the program reads, and the program works from it in an environment of its own.

Without the extra `cloud` all but the embedded cloud works; with it the whole, which takes clouds of its own (`long`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from unterbau import __version__
from unterbau.reference import registry

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "tests" / "assets" / "drill.unterbau"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


@dataclass
class Installed:
    """An environment with the program in it, and the home of its user."""

    python: Path
    home: Path

    def run(self, *arguments: str, code: int | None = 0, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """The command `unterbau`, as somebody calls it who has nothing of the repository."""
        environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8",
            "XDG_DATA_HOME": str(self.home / "data"), "XDG_STATE_HOME": str(self.home / "state"),
        }  # fmt: skip
        passed_on = {
            n: v for n, v in os.environ.items() if n.upper().endswith("_PROXY") or n.startswith(("PIP_", "UV_"))
        }
        done = subprocess.run(
            [self.python.with_name("unterbau"), *arguments], cwd=self.home, env={**passed_on, **environ},
            capture_output=True, text=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done


def installed(wheel: Path, place: Path, extra: str = "") -> Installed:
    """As `pipx install` does it: an environment of its own, the newest allowed versions from the index."""
    environ = {**os.environ, **registry.of_this_machine(os.environ)}
    uv, python = str(find_uv_bin()), place / "venv" / "bin" / "python"
    for command in (
        [uv, "venv", "-q", "--python", sys.executable, str(place / "venv")],
        [uv, "pip", "install", "-q", "--python", str(python), f"unterbau{extra} @ {wheel.as_uri()}"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
        assert done.returncode == 0, done.stderr
    (place / "home").mkdir()
    return Installed(python, place / "home")


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    place = tmp_path_factory.mktemp("installed")
    yield installed(wheel, place)
    shutil.rmtree(place)


def test_the_wheel_holds_every_file_of_the_program_and_no_other(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src/unterbau"], cwd=ROOT,
        capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    files = {name.removeprefix("src/") for name in listed.split("\0")[:-1] if (ROOT / name).is_file()}
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if not name.partition("/")[0].endswith(".dist-info")}
    assert held == files
    assert {Path(name).suffix for name in held} >= {".po", ".j2", ".yaml", ".json", ".lock"}


@pytest.mark.timeout(900)
def test_without_the_extra_all_but_the_embedded_cloud_works(program: Installed) -> None:
    assert program.run("--version").stdout == f"unterbau, version {__version__}\n"
    judged = json.loads(program.run("judge", "redis@7.4", "PostgreSQL", "--format", "json", code=None).stdout)
    assert {part["technology"] for part in judged["parts"]} == {"redis", "postgresql"}
    program.run("judge", "redis@7.4", "--html", "judged.html", code=None)  # templates
    assert "<html" in (program.home / "judged.html").read_text()
    program.run("evidence", "check", str(BUNDLE), "--report", "report.html", "--language", "de", code=3)
    assert '<html lang="de">' in (program.home / "report.html").read_text()  # the catalogues of words
    assert json.loads(program.run("schema", "plan").stdout)["title"] == "Plan"
    assert json.loads(program.run("facts", "redis", "--format", "json").stdout)
    missing = program.run("cloud", "up", "quelle", code=1)
    assert "pipx install 'unterbau[cloud]'" in missing.stderr
    told = json.loads(program.run("doctor", "--format", "json", code=1).stdout)
    assert {f["what"]: f["outcome"] for f in told["findings"]}["uv"] == "failed"


@pytest.mark.cloud
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_with_the_extra_a_drill_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    program = installed(wheel, tmp_path, "[cloud]")
    try:
        for name in ("wheel-quelle", "wheel-ziel"):
            program.run("cloud", "up", name, seconds=900)
        program.run("cloud", "seed", "wheel-quelle")
        told = json.loads(program.run("doctor", "wheel-quelle", "--format", "json", code=3).stdout)
        assert [f for f in told["findings"] if f["outcome"] == "failed"] == []
        told = json.loads(program.run("doctor", "wheel-quelle-reader", "--format", "json", code=1).stdout)
        lacking = {verb for f in told["findings"] if f["outcome"] == "failed" for verb in f["verbs"]}
        assert {"move", "drill", "verify"} <= lacking and "prove" not in lacking
        drilled = program.run(
            "drill", "wheel-quelle", "wheel-ziel", "--report", "r.html", "--format", "json", code=3, seconds=900
        )
        ended = json.loads(drilled.stdout)
        assert [v for v in ended["verdicts"] if v["outcome"] == "failed"] == []
        program.run("evidence", "check", ended["bundle"], code=3)
        assert "<html" in (program.home / "r.html").read_text()
        program.run("judge", "cloud:wheel-quelle", code=None)
    finally:
        for name in ("wheel-quelle", "wheel-ziel"):
            program.run("cloud", "wipe", name, "--yes", code=None)
        shutil.rmtree(tmp_path / "venv")
        shutil.rmtree(tmp_path / "home")
