# SPDX-License-Identifier: Apache-2.0
"""Where drills live on disk: one folder a drill under `$XDG_STATE_HOME/unterbau/drills/`.

`drill` and the single verbs write their results here; nobody else knows the paths. A file of a folder is
written whole or not at all (`files.write`), so its presence means that its phase is done.
This module knows no cloud and judges nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from unterbau import files, places
from unterbau.errors import Refused, UsageError
from unterbau.tenant.kinds import CloudIdentity
from unterbau.verdict import Model

RUN_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Phase(Model):
    """One phase of a drill that ended: when (UTC)."""

    name: str
    started: datetime
    ended: datetime


class DrillState(Model):
    """What is known of a drill besides its files. `finished` means that nothing is left to resume.

    `failed`: it came to its end, and something failed; the same command goes on from there. `planned`: the digest of the
    plan file as we wrote it ("": it is a person's).
    """

    run: str
    source: str
    target: str
    keep: bool
    boot: bool = False
    """Whether the guests of a rehearsal run."""
    created: datetime
    phases: tuple[Phase, ...] = ()
    finished: bool = False
    failed: bool = False
    planned: str = ""


class Folder:
    """The folder of one drill and the names of the files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.name
        self.state = path / "drill.json"
        self.source = path / "source-census.json"
        self.source_listed = path / "source-census.contents.jsonl"
        """What crowded containers of the source hold, as the census listed it."""
        self.target = path / "target-census.json"
        self.target_after = path / "target-census-after.json"
        self.target_closed = path / "target-census-closed.json"
        self.plan = path / "plan.yaml"
        self.plan_begun = path / "plan.json"
        """The plan as the move was begun with; the journal names it by the digest of these bytes."""
        self.answers = path / "source-answers.json"
        """What the source's application answered before the move began."""
        self.outage = path / "outage.json"
        """What was seen from outside of both sides while the application went from one to the other."""
        self.journal = path / "journal.db"
        self.close_journal = path / "close-journal.db"
        self.close_source_journal = path / "close-source-journal.db"
        """Of an emptying that a version before `closing` began."""
        self.verdicts = path / "verdicts.json"
        self.looked = path / "verification.json"
        """When the last verification began and ended, and what it did in between."""
        self.bundle = path / f"{path.name}.unterbau"
        self.report = path / "report.html"
        self.closed_bundle = path / f"{path.name}-closed.unterbau"

    def closing(self, number: int) -> Path:
        """What attempt `number` (from 1) at emptying the source saw and was allowed."""
        return self.path / f"closing-{number}.json"

    def closing_journal(self, number: int) -> Path:
        """The journal of that attempt."""
        return self.path / f"closing-{number}.db"

    def load(self) -> DrillState:
        """The state. Raises UsageError if there is none or it is not readable."""
        try:
            return DrillState.model_validate_json(self.state.read_bytes())
        except FileNotFoundError:
            raise UsageError(
                f"no drill at {self.path}", "`unterbau drill --list` shows the drills of this machine."
            ) from None
        except ValidationError as error:
            raise UsageError(
                f"{self.state}: not a drill's state ({error.error_count()} faults)",
                "Move the folder away if it is not a drill's; start the drill anew.",
            ) from None

    def save(self, state: DrillState) -> None:
        """Write the state durably."""
        files.write(self.state, state.model_dump_json(indent=2).encode())

    def finish_phase(self, name: str, started: datetime, ended: datetime) -> None:
        """Note a phase; one of the same name from an earlier attempt is replaced."""
        state = self.load()
        others = tuple(p for p in state.phases if p.name != name)
        phases = (*others, Phase(name=name, started=started, ended=ended))
        self.save(state.model_copy(update={"phases": phases}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the drill, without what a killed process left half written. Raises Refused if another process holds it."""
        lock = self.path / "lock"
        handle = files.take(lock)
        if handle is None:
            raise Refused(
                f"drill {self.run} is running already (process {files.holder(lock)})",
                "Wait for it, or stop it; then run the same command again.",
            )
        try:
            files.sweep(self.path)
            yield
        finally:
            os.close(handle)


def place() -> Path:
    """Where the folder of all drills is, whether it exists or not."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "unterbau" / "drills"


def root() -> Path:
    """The folder of all drills, made if need be with mode 0700."""
    path = place()
    files.make_folder(path)
    return path


def verifications() -> Path:
    """The folder of the journals of all verifications of this user, made if need be with mode 0700."""
    path = root().parent / "verify"
    files.make_folder(path)
    return path


def folder(run: str) -> Folder:
    """The folder of a run by its name. Raises UsageError for a name that cannot be one."""
    if not RUN_PATTERN.fullmatch(run):
        raise UsageError(f"{run!r} is not the name of a drill", "`unterbau drill --list` shows them.")
    return Folder(root() / run)


def drills() -> tuple[tuple[Folder, DrillState], ...]:
    """All drills of this user, newest first; unreadable folders are passed over."""
    found = []
    for path in root().iterdir():
        if RUN_PATTERN.fullmatch(path.name) and (path / "drill.json").exists():
            try:
                found.append((Folder(path), Folder(path).load()))
            except UsageError:
                continue
    return tuple(sorted(found, key=lambda pair: pair[1].created, reverse=True))


def begin(source: str, target: str, keep: bool, now: datetime, *, boot: bool = False) -> Folder:
    """A new drill's folder, there with its state or not at all. Within `choosing`: what somebody killed here had begun goes."""
    run, place = f"{now:%Y%m%d}-{secrets.token_hex(4)}", root()
    made, fresh = Folder(place / run), Folder(place / f".{run}")
    with files.translated(fresh.path):
        for left in place.glob(".[0-9]*"):
            shutil.rmtree(left)
        fresh.path.mkdir(mode=0o700)
    fresh.save(DrillState(run=run, source=source, target=target, keep=keep, boot=boot, created=now))
    with files.translated(made.path):
        fresh.path.rename(made.path)
        files.sync_folder(place)
    return made


def unfinished(source: str, target: str) -> Folder | None:
    """The newest drill between these two that was not finished, to be resumed."""
    for made, state in drills():
        if (state.source, state.target) == (source, target) and not state.finished:
            return made
    return None


@contextmanager
def alone_in(identity: CloudIdentity) -> Iterator[None]:
    """Held while one process of this user writes to that project, whatever clouds.yaml calls the cloud. Raises Refused."""
    path = root().parent / "projects"
    files.make_folder(path)
    told = hashlib.sha256(f"{places.place(identity.auth_url)} {identity.project_id}".encode()).hexdigest()
    lock = path / told[:32]
    handle = files.take(lock)
    if handle is None:
        raise Refused(
            f"another drill (process {files.holder(lock)}) writes to project {identity.project_name or identity.project_id}"
            f" of {identity.name}",
            "Wait for it, or stop it; then run the same command again.",
        )
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def choosing(source: str, target: str) -> Iterator[None]:
    """Held while one process decides whether to resume or to begin a drill between these two."""
    with files.locked(root() / ".choosing"):
        yield
