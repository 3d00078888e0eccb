# SPDX-License-Identifier: Apache-2.0
"""Drills between two clouds with guests, by the commands of a user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from visiting import tenant

from unterbau import reference
from unterbau.reference import extras


def command(*arguments: str) -> list[str]:
    """A verb as a process of its own."""
    return [sys.executable, "-m", "unterbau", *arguments]


def environ(state: Path) -> dict[str, str]:
    """With what that folder remembers of drills."""
    return {**os.environ, "XDG_STATE_HOME": str(state)}


def unterbau(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb, to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, env=environ(state))


def up(name: str) -> None:
    """A cloud with guests and packets."""
    reference.up(name, progress=lambda line: None, with_=extras.ALL)


def emptied(name: str) -> None:
    """That cloud without what an earlier test moved there."""
    with tenant(name) as there:
        used = any(there.network.routers())
    if used:
        reference.wipe(name)
        up(name)


def planted(state: Path, name: str) -> Any:
    """The server of the tenant whose form serves, planted if it is not there, and started."""
    done = unterbau(state, "cloud", "seed", name)
    assert done.returncode == 0, done.stderr
    with tenant(name) as there:
        server = next(iter(there.compute.servers()))
        if server.status != "ACTIVE":
            there.compute.start_server(server)
    return server
