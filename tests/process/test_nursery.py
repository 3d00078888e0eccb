# SPDX-License-Identifier: Apache-2.0
"""Services that are forked of a process which has loaded before: they are as if each had been started by itself.

The launcher's tests run their services this way, too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from unterbau.errors import ServiceDied
from unterbau.reference import nursery, process, services

PROGRAM = """
import json, os, sys, time
print(json.dumps([sys.argv, sorted(os.environ), "secrets" in sys.modules, __name__, os.getsid(0) == os.getpid()]), flush=True)
exec(sys.argv[1])
"""


@dataclass(frozen=True)
class Wanted:
    """A service; `process.Service`."""

    argv: tuple[str, ...]
    name: str = "one"
    env: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    ready: str | None = None
    port: int | None = None
    socket: Path | None = None
    forked: bool = True


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[nursery.Nursery]:
    made = nursery.Nursery(_argv("secrets"), {}, tmp_path / "nursery.log")
    yield made
    made.close()


def _argv(*modules: str) -> tuple[str, ...]:
    return (sys.executable, str(services.PROGRAMS / "nursery.py"), "cloud", *modules)


def _start(made: nursery.Nursery, folder: Path, code: str, **more: str) -> process.Running:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    wanted = Wanted((sys.executable, str(program), code), env=more)
    return process.Starter(wanted, folder / "one.log", made.spawn).start()


def test_a_fork_has_the_command_line_environment_session_and_log_of_its_own(
    loaded: nursery.Nursery, tmp_path: Path
) -> None:
    running = _start(loaded, tmp_path, "time.sleep(600)", ITS="own")
    end = time.monotonic() + 60
    while not (tmp_path / "one.log").read_text().endswith("\n"):
        assert time.monotonic() < end
        time.sleep(0.02)
    told = json.loads((tmp_path / "one.log").read_text())
    variables = sorted({*process.inherited(), "ITS", process.LIFELINE})
    assert told == [[str(tmp_path / "program.py"), "time.sleep(600)"], variables, True, "__main__", True]
    assert psutil.Process(running.pid).name() == "program.py"
    assert running.exit_code() is None
    assert running.stop().exit_code == -signal.SIGTERM


@pytest.mark.parametrize(("code", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("1/0", 1), ("", 0)])
def test_how_a_fork_ended_is_told(loaded: nursery.Nursery, tmp_path: Path, code: str, status: int) -> None:
    running = _start(loaded, tmp_path, code)
    assert running.child.wait() == running.child.wait(1) == running.exit_code() == status
    running.child.terminate()
    running.child.kill()
    assert ("ZeroDivisionError" in str(running.died())) == (code == "1/0")
    running.finish(1)


def test_a_fork_lives_on_when_what_forked_it_ends_and_then_each_is_made_by_itself(
    loaded: nursery.Nursery, tmp_path: Path
) -> None:
    first = _start(loaded, tmp_path, "time.sleep(60)")
    loaded.close()
    second = _start(loaded, tmp_path, "time.sleep(60)")
    assert first.exit_code() is None and isinstance(second.child, subprocess.Popen)
    with pytest.raises(subprocess.TimeoutExpired):
        first.child.wait(0.05)
    assert first.stop().exit_code == second.stop().exit_code == -signal.SIGTERM


def test_a_fork_sees_its_lifeline_end(loaded: nursery.Nursery, tmp_path: Path) -> None:
    running = _start(loaded, tmp_path, f"sys.exit(len(os.read(int(os.environ['{process.LIFELINE}']), 1)) + 7)")
    os.close(running.lifeline)
    assert running.child.wait(30) == 7


def test_what_cannot_load_is_told_with_its_log_each_time(tmp_path: Path) -> None:
    broken = nursery.Nursery(_argv("no_such_module"), {}, tmp_path / "nursery.log")
    for _ in range(2):
        with pytest.raises(ServiceDied, match="No module named 'no_such_module'"):
            _start(broken, tmp_path, "")
    broken.close()


def test_whoever_loads_without_looking_for_garbage_looks_for_it_once_loaded() -> None:
    """Swift kept the garbage of each request for ever: it alone does not call `serve`."""
    programs = [p for p in Path(nursery.__file__).with_name("runtime").glob("*.py") if p.name != "https_server.py"]
    loading = {p.name: p.read_text() for p in programs if "import https_server" in p.read_text()}
    assert len(loading) > 3
    assert all(re.search(r"https_server\.(serve|loaded)\(", text) for text in loading.values()), loading.keys()
