# SPDX-License-Identifier: Apache-2.0
"""What an embedded cloud needs of this machine, looked at before anything is made. `plant` and `doctor` call it.

One entry a need, with the remedy where it is missing. Nothing is installed, made or changed; the index is asked for one
package's versions, by the installer itself, so that the answer is what the installation would get.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from unterbau import files
from unterbau.errors import LocalError
from unterbau.reference import disk, install, ports, registry
from unterbau.reference.layout import clouds_home, data_home
from unterbau.verdict import Outcome

MEMORY_BYTES = 1200 * 2**20
"""What one cloud takes (bench/README.md)."""
_PATIENCE_SECONDS = 60
_PINNED = re.compile(r"^[a-z0-9._-]+==\S+", re.MULTILINE | re.IGNORECASE)


class Need(NamedTuple):
    """One need. `not shown`: it could not be looked at."""

    what: str
    outcome: Outcome
    said: str
    remedy: str = ""


def look() -> Iterator[Need]:
    """All needs of a cloud that would be made now."""
    yield from _installation()
    yield room("room for clouds", clouds_home(), install.CLOUD_BYTES, files.DATA)
    yield _ports()
    yield _memory()


def demand(name: str) -> None:
    """LocalError with the first thing that is missing for `cloud up NAME`. Memory is told, not demanded: there is swap."""
    for need in _installation():
        _demand(need)
    _demand(room("room for clouds", clouds_home(), install.CLOUD_BYTES, files.DATA))
    if not (clouds_home() / name / "cloud.json").exists():
        _demand(_ports())


def _demand(need: Need) -> None:
    if need.outcome is Outcome.FAILED:
        raise LocalError(f"{need.what}: {need.said}", need.remedy)


def _installation() -> Iterator[Need]:
    """Of the services' own environment: nothing but the place, once it is installed."""
    if install.is_installed():
        yield Need("services", Outcome.HELD, "installed")
        return
    yield room("room for the services", data_home(), install.ROOM_BYTES, files.DATA)
    try:
        uv = install.uv()
    except LocalError as error:
        yield Need("uv", Outcome.FAILED, error.what, error.remedy)
        yield Need("package index", Outcome.NOT_SHOWN, "without uv it was not asked")
        return
    yield Need("uv", Outcome.HELD, uv)
    yield from _index(uv)


def _index(uv: str) -> Iterator[Need]:
    """Whether the index answers, and whether its certificate is one that this machine trusts."""
    environ = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1", **os.environ, **registry.of_this_machine(os.environ)}
    place = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or "https://pypi.org/simple"
    if registry.has_own_file(os.environ):
        place = "as uv's own configuration says"
    place = re.sub(r"//[^/@]*@", "//", place)  # a password may stand before the host
    pinned = _PINNED.search(install.LOCK.read_text(encoding="utf-8"))
    command = [uv, "pip", "compile", "--no-deps", "--no-cache", "--no-header", "--python", sys.executable, "-"]
    try:
        done = subprocess.run(
            command, input=pinned.group() if pinned else "", capture_output=True, text=True, check=False, env=environ,
            timeout=_PATIENCE_SECONDS,
        )  # fmt: skip
        told = "" if done.returncode == 0 else done.stderr
    except subprocess.TimeoutExpired:
        told = f"no answer within {_PATIENCE_SECONDS} s"
    said = " ".join(told.split())[-300:]
    if not told:
        yield Need("package index", Outcome.HELD, place)
        yield Need("certificate of the index", Outcome.HELD, "trusted")
    elif "certificate" in told.lower():
        yield Need("package index", Outcome.NOT_SHOWN, f"{place}: its certificate comes first")
        yield Need("certificate of the index", Outcome.FAILED, said, install.TRUST)
    else:
        yield Need("package index", Outcome.FAILED, f"{place}: {said}", install.INDEX)
        yield Need("certificate of the index", Outcome.NOT_SHOWN, "the index did not answer")


def room(what: str, place: Path, needed_bytes: int, variable: str) -> Need:
    """Whether this user may write below `place`, which need not exist, and whether there is room."""
    here = next(p for p in (place, *place.parents) if p.exists())
    if not here.is_dir() or not os.access(here, os.W_OK | os.X_OK):
        return Need(what, Outcome.FAILED, f"{here} cannot be written", f"Set {variable} to a folder of your own.")
    try:
        disk.demand_room(here, needed_bytes)
    except LocalError as error:
        remedy = f"Free some space, or set {variable} to a larger file system."
        return Need(what, Outcome.FAILED, error.what, remedy)
    return Need(what, Outcome.HELD, str(place))


def _ports() -> Need:
    try:
        chosen = ports.choose(set())
    except LocalError as error:
        return Need("ports", Outcome.FAILED, error.what, error.remedy)
    return Need("ports", Outcome.HELD, f"{len(chosen.all())} in a row are free on the loopback")


def _memory() -> Need:
    free = psutil.virtual_memory().available
    said = f"{free // 2**20} MiB are free, one cloud takes about {MEMORY_BYTES // 2**20}"
    if free < MEMORY_BYTES:
        return Need("memory", Outcome.FAILED, said, "End what you do not need, or take a larger machine.")
    return Need("memory", Outcome.HELD, said)
