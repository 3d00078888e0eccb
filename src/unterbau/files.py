# SPDX-License-Identifier: Apache-2.0
"""Files on our side: written whole or not at all and durably, locks between processes, and errors a person can act on.

Called by everybody who keeps something on disk: a drill's folder, the journal's lock, the history of `prove`, the
embedded cloud. A lock is `flock(2)` on an open file: it ends with the process that holds it, however that ends. It
is not `filelock`'s, which truncates the file at each try: ours holds the number of the process that has it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from unterbau.errors import LocalError

STATE = "XDG_STATE_HOME"
"""The variable that a person sets to have state elsewhere."""
DATA = "XDG_DATA_HOME"

_HALF = re.compile(r"\..+\.[a-z0-9_]{8}")
"""What `writing` calls a file that is not whole yet (tempfile's own ending)."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def translated(where: Path, home: str = STATE) -> Iterator[None]:
    """Turn an OSError about `where` into a LocalError that says what to do; `home` names the variable to set."""
    try:
        yield
    except OSError as error:
        told = os.strerror(error.errno or 0)
        if error.errno in _FULL:
            raise LocalError(
                f"{where}: no room left on the disk ({told})",
                f"Free some space or set {home} to another disk; then run the same command again.",
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise LocalError(
                f"{error.filename or where}: no permission ({told})",
                f"Give yourself write permission, or set {home} to a folder of your own.",
            ) from None
        if error.errno == errno.EROFS:
            raise LocalError(
                f"{where}: no permission ({told})", f"The file system is read-only; set {home} to another one."
            ) from None
        raise LocalError(f"{error.filename or where}: {told}", "See the message of the operating system.") from None


def write(path: Path, data: bytes, mode: int = 0o600, *, durable: bool = True, home: str = STATE) -> None:
    """Write a file whole or not at all; `durable`: it and its name survive a loss of power. Raises LocalError."""
    with writing(path, mode, durable=durable, home=home) as out:
        out.write(data)


@contextlib.contextmanager
def writing(path: Path, mode: int = 0o600, *, durable: bool = True, home: str = STATE) -> Iterator[BinaryIO]:
    """The same of what is written piece by piece within it; nothing stays if that ends by an error."""
    with translated(path, home):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                yield out
                out.flush()
                if durable:
                    os.fsync(out.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C included: never leave the temporary file
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written here. Only for who holds the folder alone. Raises LocalError."""
    with translated(folder):
        for left in folder.iterdir():
            if _HALF.fullmatch(left.name) and left.is_file():
                left.unlink(missing_ok=True)


def keep(path: Path) -> str:
    """Make a file that was written piece by piece durable, and its name. Returns its SHA-256 (hex). Raises LocalError."""
    digest = hashlib.sha256()
    with translated(path), path.open("rb") as file:
        while chunk := file.read(2**16):
            digest.update(chunk)
        os.fsync(file.fileno())
        sync_folder(path.parent)
    return digest.hexdigest()


def append(path: Path, line: bytes) -> None:
    """Add a line durably, in one write; the file is made 0600. Raises LocalError."""
    with translated(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            first = os.fstat(handle).st_size == 0
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
        if first:
            sync_folder(path.parent)


def make_folder(path: Path, *, home: str = STATE) -> None:
    """Make a folder of our own (mode 0700) and those above it that are missing, durably. Raises LocalError."""
    with translated(path, home):
        missing = [one for one in (path, *path.parents) if not one.exists()]
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in reversed(missing):
            sync_folder(one.parent)


@contextlib.contextmanager
def passing(purpose: str) -> Iterator[Path]:
    """A temporary folder of our own for a while; those of the same purpose whose owners were killed go at its making.

    Whoever has one holds a lock on it, so its end, in whatever way, is seen. Raises LocalError.
    """
    prefix = f"unterbau-{purpose}-"
    with translated(Path(tempfile.gettempdir()), "TMPDIR"):
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            _sweep(left)
        held = None
        while held is None:
            folder = Path(tempfile.mkdtemp(prefix=prefix))
            held = _held(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _held(folder: Path) -> int | None:
    """A descriptor that holds a new folder; None if somebody has swept it before that."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(handle, fcntl.LOCK_EX)
    if folder.exists():
        return handle
    os.close(handle)
    return None


def _sweep(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another's, or gone already
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(handle).st_uid == os.getuid() and _try(handle):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None, *, home: str = STATE) -> Iterator[None]:
    """Hold the lock `path`, waiting for it; `on_wait` is called once if somebody else holds it."""
    with translated(path, home):
        handle = _open(path)
    try:
        if not _try(handle):
            on_wait()
            while not _try(handle):
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def take(path: Path, *, home: str = STATE) -> int | None:
    """A descriptor that holds the lock until it is closed or this process ends, with our pid in it; None if it is held."""
    with translated(path, home):
        handle = _open(path)
        if not _try(handle):
            os.close(handle)
            return None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def holder(path: Path) -> str:
    """The pid that whoever took the lock `path` wrote into it."""
    try:
        return path.read_bytes()[:32].decode(errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"


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


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(handle: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
