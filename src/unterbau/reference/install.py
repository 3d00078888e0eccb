# SPDX-License-Identifier: Apache-2.0
"""Install the services' own environment, once for each lock file; called by the launcher.

The environment is built beside its place and renamed into it when complete, so a place that exists is whole.
Packages come from the index that the user's own uv or pip configuration names; hashes are demanded.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from unterbau.errors import LocalError
from unterbau.reference import disk
from unterbau.reference.layout import data_home

LOCK = Path(__file__).parent / "runtime-requirements.lock"
_ROOM_BYTES = 1200 * 2**20
_TAIL = 2000


def digest(lock: Path = LOCK) -> str:
    """Names an environment: the lock file and the interpreter it was made for."""
    seed = lock.read_bytes() + sys.version.encode() + sys.base_prefix.encode()
    return hashlib.sha256(seed).hexdigest()[:16]


def ensure(progress: Callable[[str], None], lock: Path = LOCK) -> Path:
    """The directory of a complete environment for `lock`; installs it if there is none.

    Raises:
        LocalError: no room, or the installer failed (the message ends with what it said).
    """
    home = disk.private_directory(data_home() / "runtime")
    place = home / digest(lock)
    if place.is_dir():
        return place
    with disk.locked(
        home / f"{place.name}.lock",
        lambda: progress("another process is installing the services; waiting for it"),
    ):
        if place.is_dir():
            return place
        disk.demand_room(home, _ROOM_BYTES)
        progress("installing the OpenStack services (once for this version of Unterbau)")
        fresh = home / f"{place.name}.new"
        with disk.translated(home):
            shutil.rmtree(fresh, ignore_errors=True)
            _install(fresh, lock)
            fresh.replace(place)
    return place


def _install(place: Path, lock: Path) -> None:
    uv = _uv()
    _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(place)])
    python = str(place / "bin" / "python")
    options = ["--quiet", "--require-hashes", "--compile-bytecode"]
    _run([uv, "pip", "install", *options, "--python", python, "-r", str(lock)])


def _uv() -> str:
    from uv import find_uv_bin

    return str(find_uv_bin())


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LocalError(
            f"installing the OpenStack services failed (uv {argv[1]}, exit {done.returncode}): "
            f"{done.stderr[-_TAIL:].strip()}",
            "Check that the package index of this machine can be reached, then run the same command again.",
        )
