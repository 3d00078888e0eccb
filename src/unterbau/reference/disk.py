# SPDX-License-Identifier: Apache-2.0
"""The embedded clouds' private files, and room on the disk; used by everyone in this package.

What `files` does, with the place that a person sets for data; directories are 0700, files 0600.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from functools import partial
from pathlib import Path
from typing import Any

from unterbau import files
from unterbau.errors import LocalError

translated = partial(files.translated, home=files.DATA)
locked = partial(files.locked, home=files.DATA)


def private_directory(path: Path) -> Path:
    """Make `path` (and parents) 0700; one that exists must be ours, a real directory, and becomes 0700."""
    with translated(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise LocalError(f"{path} is not a directory of this user", "Remove it or set XDG_DATA_HOME.")
        path.chmod(0o700)
    return path


def write_private(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace `path` by `text`, atomically, mode 0600; `durable`: it also survives a loss of power."""
    files.write(path, text.encode(), durable=durable, home=files.DATA)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None if there is no such file. LocalError if it is not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LocalError(f"{path} is damaged: {error}", f"Remove the cloud's directory {path.parent}.") from error
    if not isinstance(value, dict):
        raise LocalError(f"{path} is damaged: not an object", f"Remove the cloud's directory {path.parent}.")
    return value


def demand_room(path: Path, needed_bytes: int) -> None:
    """LocalError unless the file system of `path` (an existing directory) has so much room."""
    free = shutil.disk_usage(path).free
    if free < needed_bytes:
        raise LocalError(
            f"{path} has {free // 2**20} MiB left, {needed_bytes // 2**20} MiB are needed",
            "Free some space, or set XDG_DATA_HOME to a larger file system.",
        )
