# SPDX-License-Identifier: Apache-2.0
"""Install the services' own environment, once for each lock file; called by the launcher.

The environment is built beside its place and renamed into it when complete, so a place that exists is whole.
Packages come from the index that the user's own uv or pip configuration names; hashes are demanded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from unterbau.errors import LocalError
from unterbau.reference import disk, registry
from unterbau.reference.layout import data_home

LOCK = Path(__file__).parent / "runtime-requirements.lock"
ROOM_BYTES = 1200 * 2**20
CLOUD_BYTES = 300 * 2**20
"""What one cloud takes at first, besides the services."""
INDEX = (
    "Tell pip the index of your network (pip config set global.index-url URL), and set HTTPS_PROXY if there is a proxy."
)
TRUST = "Put the CA of your network into the machine's store, or name it: pip config set global.cert FILE"
_TAIL = 2000


def digest(lock: Path = LOCK) -> str:
    """Names an environment: the lock file and the interpreter it was made for."""
    seed = lock.read_bytes() + sys.version.encode() + sys.base_prefix.encode()
    return hashlib.sha256(seed).hexdigest()[:16]


def is_installed(lock: Path = LOCK) -> bool:
    """Whether there is a complete environment for `lock`."""
    return (data_home() / "runtime" / digest(lock)).is_dir()


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
        disk.demand_room(home, ROOM_BYTES)
        progress("installing the OpenStack services (once for this version of Unterbau)")
        fresh = home / f"{place.name}.new"
        with disk.translated(home):
            shutil.rmtree(fresh, ignore_errors=True)
            _install(fresh, lock)
            fresh.replace(place)
    return place


def _install(place: Path, lock: Path) -> None:
    tool, environ = uv(), {**os.environ, **registry.of_this_machine(os.environ)}
    _run([tool, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(place)], environ)
    python = str(place / "bin" / "python")
    options = ["--quiet", "--require-hashes", "--compile-bytecode"]
    passing = place / "tmp"  # uv leaves locks of what it builds in the temporary folder
    passing.mkdir()
    environ["TMPDIR"] = str(passing)
    _run([tool, "pip", "install", *options, "--python", python, "-r", str(lock)], environ)
    shutil.rmtree(passing)


def uv() -> str:
    """The installer's program. LocalError: the extra `cloud` is not installed."""
    try:
        from uv import find_uv_bin
    except ImportError:
        raise LocalError(
            "the embedded cloud needs uv, which is not installed", "Install the extra: pipx install 'unterbau[cloud]'"
        ) from None
    return str(find_uv_bin())


def _run(argv: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environ)
    if done.returncode:
        raise LocalError(
            f"installing the OpenStack services failed (uv {argv[1]}, exit {done.returncode}): "
            f"{done.stderr[-_TAIL:].strip()}",
            f"{INDEX} {TRUST}. Then run the same command again.",
        )
