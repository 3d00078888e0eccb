# SPDX-License-Identifier: Apache-2.0
"""Private files, locks between processes, and room on the disk; used by everyone in this package.

Files appear whole or not at all (written beside, then renamed); directories are 0700, files 0600.
An exhausted disk becomes a LocalError here, so that nobody else thinks about errno.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unterbau.errors import LocalError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def translated(where: Path) -> Iterator[None]:
    """Turn errors of the file system into a LocalError that names the place and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise LocalError(
                f"no room left on the disk that holds {where}",
                "Free some space and run the same command again.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise LocalError(
                f"no permission to write {error.filename or where}",
                "Make it yours, or set XDG_DATA_HOME to a directory of your own.",
            ) from error
        raise


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
    with translated(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


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


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; `on_wait` is called once if somebody else holds it."""
    with translated(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try(handle):
            on_wait()
            while not _try(handle):
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def take(path: Path) -> int | None:
    """A file descriptor that holds the lock until closed or until this process ends; None if it is held."""
    with translated(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if _try(handle):
        return handle
    os.close(handle)
    return None


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock `path`."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _try(handle: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
