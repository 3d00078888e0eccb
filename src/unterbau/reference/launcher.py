# SPDX-License-Identifier: Apache-2.0
"""The functions behind `unterbau cloud`: bring up, take down, look, wipe.

`up` prepares the cloud on disk, starts its supervisor and watches it. Everything after that start is the
supervisor's work, so a killed `up` loses nothing: the next one finds the supervisor and watches on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import psutil

from unterbau import files
from unterbau.errors import LocalError, ServiceDied, UsageError
from unterbau.reference import clients, condition, disk, extras, packets, plant
from unterbau.reference import process as processes
from unterbau.reference.condition import CloudStatus
from unterbau.reference.layout import TEMPORARY, check_name, clouds_home

Progress = Callable[[str], None]

SUPERVISE = (sys.executable, "-m", "unterbau.reference.supervise")
"""Command line of the supervisor, without the name of the cloud."""

_START_SECONDS = 600.0
_STOP_SECONDS = 25.0
_POLL_SECONDS = 0.05


def up(
    name: str,
    *,
    progress: Progress,
    force_upload: bool = False,
    with_: tuple[str, ...] | None = None,
    install_packages: bool = False,
) -> CloudStatus:
    """Have the cloud running and complete, whatever state it is in now; says so if it runs already.

    `force_upload`: whether volumes in use may be uploaded to images by force (many clouds forbid it);
    it takes effect when the cloud starts. `with_`: what it has beyond records and bytes (`extras.ALL`), decided when it
    is made; None: what it has. `install_packages`: those of Debian that this needs.

    Raises:
        UsageError: the name cannot name a cloud, or the cloud has other extras.
        LocalError: disk, permission, port or installation; ServiceDied with the log's tail.
    """
    check_name(name)
    if with_ is not None:
        with_ = extras.chosen(with_)
    with _alone(name, progress):
        if _running(name):
            if _watch(name, progress).state == "running":
                progress(f"cloud {name} is running already")
                return condition.look(name)
            progress(f"cloud {name} is not whole; starting it again")
            _stop(name)
        _clear(name)
        plant.prepare(name, progress, force_upload=force_upload, with_=with_, install_packages=install_packages)
        _spawn(name)
        found = _watch(name, progress)
        if found.state != "running":
            raise ServiceDied(found.error or f"cloud {name} did not start", _advice(name))
        progress(f"cloud {name} is up")
        return found


def down(name: str) -> None:
    """Stop the cloud; its state stays. Nothing happens if it is not running."""
    check_name(name)
    plant.load(name)
    with _alone(name, lambda line: None):
        _stop(name)
        _clear(name)


def wipe(name: str) -> None:
    """Remove everything of the cloud, stopping it first."""
    check_name(name)
    place = plant.root(name)
    if place.is_symlink() or place.parent != clouds_home() or not place.is_dir():
        raise LocalError(f"there is no cloud {name} on this machine", "unterbau cloud list shows those that exist.")
    with _alone(name, lambda line: None):
        _stop(name)
        _clear(name)
        run = None
        with contextlib.suppress(LocalError):
            run = plant.load(name).run
        with disk.translated(place):
            # The description goes first: a cloud half wiped is no cloud any more, and can be wiped again.
            (place / "cloud.json").unlink(missing_ok=True)
            if run is not None and run.parent != place:
                shutil.rmtree(run, ignore_errors=True)
            shutil.rmtree(place)


def names() -> list[CloudStatus]:
    """All clouds of this machine, by name."""
    found = sorted(p.parent.name for p in clouds_home().glob("*/cloud.json"))
    return [condition.look(name) for name in found]


def env(name: str, identity: str | None = None) -> str:
    """Lines for a POSIX shell that make `openstack`, `rclone` and S3 clients use the cloud.

    They hold secrets.
    """
    return clients.environment(plant.load(check_name(name)), identity or name)


def clouds_file(name: str) -> Path:
    """The `clouds.yaml` of the cloud, with the entries NAME, NAME-reader and NAME-admin.

    Raises:
        LocalError: there is no such cloud, or it was never complete.
    """
    path = clients.path(plant.load(check_name(name)).root)
    if not path.exists():
        raise LocalError(f"cloud {name} is not complete yet", f"Run: unterbau cloud up {name}")
    return path


def enter(name: str, command: Sequence[str]) -> NoReturn:
    """Become `command`, run by the same user where the cloud's public addresses are reached: here, but for a cloud without root.

    Raises LocalError: the cloud carries no packets, does not run, or there is no such command.
    """
    layout = plant.load(check_name(name))
    if extras.OVN not in layout.extras:
        raise LocalError(f"networks of cloud {name} carry no packets", "unterbau cloud up ANOTHER --with guests,ovn")
    if not _running(name):
        raise LocalError(f"cloud {name} does not run", f"Run: unterbau cloud up {name}")
    way = packets.outside(layout)
    argv = ("/bin/sh", str(way), *command) if way.exists() else tuple(command)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - a command and its words, as the person wrote them
    except OSError as error:
        raise LocalError(f"{argv[0]}: {error.strerror}") from None


def logs(name: str, service: str | None = None, lines: int = 50, follow: bool = False) -> Iterator[str]:
    """The last lines of one service's log, or of all (then each line begins with the service's name).

    With `follow` the iterator goes on with new lines and never ends by itself.
    """
    directory = plant.load(check_name(name)).log
    files = {p.stem: p for p in sorted(directory.glob("*.log"))}
    if service is not None and service not in files:
        raise UsageError(f"cloud {name} has no log of {service!r}", f"It has: {', '.join(files)}")
    chosen = {service: files[service]} if service else files
    return _lines(chosen, lines, follow, named=service is None)


# ---- the inner steps


def _lines(files: dict[str, Path], lines: int, follow: bool, *, named: bool) -> Iterator[str]:
    with contextlib.ExitStack() as opened:
        handles = {n: opened.enter_context(p.open(encoding="utf-8", errors="replace")) for n, p in files.items()}
        for name, handle in handles.items():
            last = processes.tail(files[name], lines * 400).splitlines()[-lines:]
            yield from (f"{name}: {line}" if named else line for line in last)
            handle.seek(0, os.SEEK_END)
        while follow:
            fresh = False
            for name, handle in handles.items():
                for line in handle:
                    fresh = True
                    yield f"{name}: {line.rstrip()}" if named else line.rstrip()
            if not fresh:
                time.sleep(0.3)


@contextlib.contextmanager
def _alone(name: str, progress: Progress) -> Iterator[None]:
    """One command at a time works on a cloud; the others wait and say so."""
    home = disk.private_directory(clouds_home())
    with disk.locked(
        home / f".{name}.lock", lambda: progress(f"another command works on cloud {name}; waiting for it")
    ):
        yield


def _running(name: str) -> bool:
    return files.is_held(plant.root(name) / "supervisor.lock")


def _spawn(name: str) -> None:
    """Start the supervisor and return when it has detached and holds its lock."""
    root = plant.root(name)
    (root / "status.json").unlink(missing_ok=True)
    log = root / "log" / "supervisor.log"
    with disk.translated(log):
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(
            [*SUPERVISE, name],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(output)
    code = child.wait()
    deadline = time.monotonic() + 20
    while not code and not (root / "status.json").exists():
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    else:
        if not code:
            return
    raise ServiceDied(f"the supervisor of cloud {name} did not start; the end of {log}:\n{processes.tail(log)}")


def _watch(name: str, progress: Progress) -> CloudStatus:
    """Repeat the supervisor's progress until the cloud is ready, failed, or its supervisor gone."""
    path = plant.root(name) / "status.json"
    deadline = time.monotonic() + _START_SECONDS
    told: int | None = None
    while time.monotonic() < deadline:
        held = _running(name)
        record = disk.read_json(path) or {"phase": "starting", "progress": []}
        told = len(record["progress"]) if told is None and record["phase"] != "starting" else told or 0
        for line in record["progress"][told:]:
            progress(line)
        told = len(record["progress"])
        if record["phase"] != "starting" or not held:
            break
        time.sleep(_POLL_SECONDS)
    if record["phase"] == "failed":
        _wait_end(name)
    return condition.look(name)


def _stop(name: str) -> None:
    """End the supervisor, which ends its services; by force if it does not listen."""
    record = disk.read_json(plant.root(name) / "status.json")
    supervisor = plant.alive(record["supervisor"], record["created"]) if record else None
    if supervisor is not None:
        with contextlib.suppress(psutil.Error):
            supervisor.send_signal(signal.SIGTERM)
    if not _wait_end(name) and supervisor is not None:
        with contextlib.suppress(psutil.Error):
            supervisor.kill()  # the lifelines end the services
        if not _wait_end(name):
            raise LocalError(f"the supervisor of cloud {name} (process {supervisor.pid}) does not end")


def _wait_end(name: str) -> bool:
    deadline = time.monotonic() + _STOP_SECONDS
    while _running(name):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _clear(name: str) -> None:
    """End services that a killed supervisor left behind: the lifeline gives them a moment, then we do it.

    What they had as temporary files goes with them.
    """
    root = plant.root(name)
    deadline = time.monotonic() + 3
    while (left := plant.leftovers(root)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    shutil.rmtree(root / TEMPORARY, ignore_errors=True)
    record = disk.read_json(root / "status.json")
    if record is not None and record["phase"] not in ("stopped", "failed"):
        record["phase"] = "stopped"
        disk.write_private(root / "status.json", json.dumps(record))


def _advice(name: str) -> str:
    return f"Look at it with: unterbau cloud logs {name}   Then run: unterbau cloud up {name}"
