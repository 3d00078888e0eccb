# SPDX-License-Identifier: Apache-2.0
"""Look at both sides: a census of each, and our own SHA-256 of every image, volume and object. `cli` calls it.

Reading suffices for images and objects. A volume can only be read as an image, so the verifier makes
temporaries of its own (a snapshot and a copy if it is in use, then an image) with member rights, in a saga of
its own: named durably first, deleted at the end, and cleaned up by the next run of the same pair if this one is
killed. Without these rights the volume's content is not shown. So it does to find out whether it is told ACLs
(`ownership`). Two verifications may run at once: what another one made for a moment is nobody's tenant. Secrets are
compared by an HMAC whose key is never kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from unterbau import files
from unterbau.cloud.content import content
from unterbau.cloud.disks import RAW, Forms, Trimmed, form_of, guest_bytes, length_of
from unterbau.cloud.port import ByteStream, Cloud, Listing, Take, said
from unterbau.defaults import DISKS_AT_ONCE, LATE_SECONDS, READERS
from unterbau.errors import CloudError, Conflict, Interrupted
from unterbau.saga import (
    Attempt,
    Journal,
    JsonObject,
    Marker,
    Momentary,
    Outputs,
    Progress,
    Step,
    forget,
    insist,
    markers,
    remaining,
    run,
    timeline,
    unwind,
)
from unterbau.switch import census, temporaries
from unterbau.switch.manifest import Manifest
from unterbau.switch.plan import Plan
from unterbau.switch.probes.model import Answer, Probe
from unterbau.switch.verify import ownership
from unterbau.switch.verify.containers import Containers, crowded, with_notes
from unterbau.switch.verify.structure import MADE_FROM, OWNED, compare, counterparts, judgings
from unterbau.tenant.kinds import CloudIdentity, Content, Kind, Passage, Ref, Resource, ref
from unterbau.tenant.kinds import Source as Making
from unterbau.tenant.kinds.volume import QCOW2
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Observation, Reason, Source, Verdict, Words, later

WAIT = timedelta(minutes=60)
VERB = "verify"
"""What the names of journals begin with."""
MARK = re.compile(r"unterbau\.v[0-9a-f]{8}\.[0-9a-f]{16}")
"""What a temporary of a verifier is tagged with."""
BUSY = "uploading"
"""The state of a disk that somebody else is reading, such as another verification: it ends, and is waited for."""
TRIES = 5
"""How often a volume is asked for that somebody else takes each time."""


class Contents(Model):
    """What one verification saw: both censuses as it took them, and its verdicts."""

    source: Workload
    target: Workload
    verdicts: tuple[Verdict, ...]
    started: datetime
    ended: datetime
    left_behind: tuple[str, ...] = ()
    """Temporaries of the verifier that a cloud would not delete; the next verification tries again."""
    judging: tuple[str, ...] = later(())
    """Names of the judgings by which the verdicts were made, beside that of format 1."""
    stamps: dict[str, datetime] = later({})
    """`source volume:ID` -> its `updated_at` right after it was hashed, if it stood unattached all the while."""
    answers: tuple[Answer, ...] = later(())
    """What the plan's probes were answered on both sides."""


Asked: TypeAlias = Callable[[Sequence[Probe], Workload, Workload, Mapping[Ref, Ref]], tuple[Answer, ...]]
"""What was answered on both sides to these probes; the last argument maps objects of the source to those of the target."""


Spent: TypeAlias = Callable[[str, int, float, datetime, datetime], None]
"""Told of each piece of work when it ended: its name, bytes and times (`prediction.Span`), when it began and ended."""


def _untold(step: str, size: int, times: float, began: datetime, ended: datetime) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Seen:
    """What `observe` saw of both sides, before any comparison. `hashes` and `stamps`: by (side, Ref)."""

    source: Workload
    target: Workload
    hashes: dict[tuple[str, Ref], Observation]
    stamps: dict[tuple[str, Ref], datetime]
    left: tuple[str, ...]
    started: datetime
    ended: datetime
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    """What crowded containers hold, by side, whose objects the censuses leave out."""

    def of(self, source: Workload, hashes: dict[tuple[str, Ref], Observation]) -> Seen:
        """The same look with another source: what was taken from it since an earlier look, put back."""
        return replace(self, source=source, hashes=hashes)

    def contents(self, plan: Plan | None, answers: tuple[Answer, ...] | None = None) -> Contents:
        """The comparison of what was seen, and of what the plan's probes were answered (None: nobody asked)."""
        judging = judgings(plan, probes=answers is not None)
        verdicts = compare(
            self.source, self.target, plan, self.hashes, judging, temporary=temporaries.markers(plan), answers=answers or (),
            manifests=self.manifests,
        )  # fmt: skip
        return Contents(
            source=self.source, target=self.target, verdicts=verdicts,
            started=self.started, ended=self.ended, left_behind=self.left, judging=judging, answers=answers or (),
            stamps={f"{side} {reference}": at for (side, reference), at in sorted(self.stamps.items())},
        )  # fmt: skip


def look(
    source: Cloud,
    target: Cloud,
    plan: Plan | None,
    *,
    work: Path,
    now: Callable[[], datetime],
    stop: threading.Event | None = None,
    workers: int = READERS,
    count: Callable[[str, int, int], None] = lambda label, done, total: None,
    passed: Callable[[str, int, int | None], None] = lambda label, done, total: None,
    late_seconds: float = LATE_SECONDS,
    say: Callable[[str], None] = lambda line: None,
    asked: Asked | None = None,
    place: Path | None = None,
    spent: Spent = _untold,
) -> Contents:
    """Verify. `place`: the file that the caller writes the verdicts to; beside it stay the manifests of crowded containers.

    `work` is the folder of the journals of temporaries: one for all verifications of this user.

    `late_seconds`: how long a cloud may still finish a write that it did not answer; if there was one, the end waits for it.
    `asked` asks the plan's probes, once both sides are known. `spent` is called from worker threads.
    Raises AuthFailed, Unreachable if a side cannot be read at all; Interrupted when `stop` is set.
    """
    with files.passing("verify") as passing:
        seen = observe(
            {"source": source, "target": target}, work=work, now=now, stop=stop, workers=workers, count=count, passed=passed,
            late_seconds=late_seconds, say=say, place=place or passing / "verdicts.json", plan=plan,
            spent=spent,
        )  # fmt: skip
        if plan is None or not plan.probes:
            return seen.contents(plan)
        if asked is None or plan.guests:  # nobody answers in a rehearsal
            return seen.contents(plan, ())
        pairs = counterparts(seen.source, seen.target, plan, seen.hashes)
        return seen.contents(plan, asked(plan.probes, seen.source, seen.target, pairs))


def observe(
    sides: dict[str, Cloud],
    *,
    work: Path,
    now: Callable[[], datetime],
    stop: threading.Event | None = None,
    workers: int = READERS,
    count: Callable[[str, int, int], None] = lambda label, done, total: None,
    passed: Callable[[str, int, int | None], None] = lambda label, done, total: None,
    late_seconds: float = LATE_SECONDS,
    say: Callable[[str], None] = lambda line: None,
    place: Path | None = None,
    boxes: Sequence[str] | None = None,
    plan: Plan | None = None,
    spent: Spent = _untold,
) -> Seen:
    """A census of `source` and `target` (`sides`), and the hash of every content. Raises as `look` does.

    `place`: the file that verdicts will stand in; the objects of crowded containers (or of the containers `boxes`) go into manifests
    beside it. None: they are things of the censuses like all others. Of disks that servers have on their hosts those that `plan` carries are read.
    """
    watcher = _Watcher(stop or threading.Event(), now, passed, late_seconds, say, spent)
    started = now()
    runs = _runs(sides, work, watcher)
    killed, _ = runs.take_up()
    own = markers(work, VERB)
    held = None
    if place is not None:
        names = crowded(sides) if boxes is None else boxes
        held = Containers(sides, names, place, watcher.hash_of, now, count, workers, told=watcher.telling)
    without = held.names if held is not None else ()
    with ThreadPoolExecutor(max_workers=workers) as readers, ThreadPoolExecutor(max_workers=3) as pool:
        read = _Reads(sides, watcher, readers)
        written = pool.submit(held.read) if held is not None else None

        def listed(side: str, cloud: Cloud) -> Workload:
            with watcher.telling(f"listing of {side}") as amount:
                taken = census.take(
                    cloud,
                    now=now,
                    progress=count,
                    seen=read.with_it(side),
                    told=partial(read.begin, side),
                    without=without,
                )
                amount["bytes"] = sum(r.has_content() for r in taken.resources)
            return taken

        taken = {side: pool.submit(listed, side, cloud) for side, cloud in sides.items()}
        try:
            whole = {side: future.result() for side, future in taken.items()}
            own |= markers(work, VERB)  # what was begun meanwhile stood in a journal before it was made
            seen = {side: _without_momentary(sides[side], w, own) for side, w in whole.items()}
            hashes, stamps, left = _hashes(sides, seen, read, runs, watcher, count, plan)
        except BaseException:
            watcher.given_up.set()
            readers.shutdown(wait=False, cancel_futures=True)
            if held is not None:
                held.abandon()
            raise
    told, notes = written.result() if written is not None else ({}, {})
    left = (*left, *runs.finish(killed))
    seen = {side: with_notes(w, notes.get(side, ())) for side, w in seen.items()}
    seen = {side: ownership.known(w, hashes.get((side, OWNED))) for side, w in seen.items()}
    manifests = held.manifests if held is not None else {}
    return Seen(seen["source"], seen["target"], {**hashes, **told}, stamps, left, started, now(), manifests)


def tidy(
    sides: dict[str, Cloud], *, work: Path, now: Callable[[], datetime], stop: threading.Event, late_seconds: float,
    say: Callable[[str], None],
) -> tuple[str, ...]:  # fmt: skip
    """Remove what killed verifications of this pair left, for who deletes and looks at nothing. Returns what would not go.

    A snapshot of theirs would hold its volume. Raises Interrupted, and what a side raises that cannot be reached.
    """
    if not any(work.glob(f"{VERB}-*.db")):
        return ()
    watcher = _Watcher(stop, now, lambda label, done, total: None, late_seconds, say)
    runs = _runs(sides, work, watcher)
    killed, _ = runs.take_up()
    return tuple(runs.finish(killed))


def _runs(sides: dict[str, Cloud], work: Path, watcher: _Watcher) -> Momentary:
    """The verifications of this pair. Raises AuthFailed, Unreachable, ..."""

    def remove(intent: JsonObject, output: JsonObject | None) -> None:
        _delete(sides[str(intent["side"])], Kind(str(intent["kind"])), str(intent["marker"]), output)

    place = f"{VERB}-{pair(sides['source'].identity(), sides['target'].identity())}"
    return Momentary(work, place, remove, watcher.now, watcher.stop, watcher.late_seconds, watcher.say)


def pair(source: CloudIdentity, target: CloudIdentity) -> str:
    """A short name for two projects, the same under whatever names of clouds.yaml (12 hexadecimal digits)."""
    told = [[i.auth_url, i.region, i.project_id] for i in (source, target)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


class Again:
    """Reads single contents once more: what is about to be deleted, and its counterpart. `emptying` holds one.

    A volume is read by temporaries, as `observe` does, `VOLUMES_AT_ONCE` at a time.
    """

    VOLUMES_AT_ONCE = 3

    def __init__(
        self, sides: dict[str, Cloud], *, work: Path, now: Callable[[], datetime], stop: threading.Event,
        late_seconds: float = LATE_SECONDS,
    ) -> None:  # fmt: skip
        self._sides = sides
        self._watcher = _Watcher(stop, now, lambda label, done, total: None, late_seconds, lambda line: None)
        self._runs = _runs(sides, work, self._watcher)
        self._key = secrets.token_bytes(32)
        self._turn = threading.Semaphore(self.VOLUMES_AT_ONCE)

    def read(self, side: str, resource: Resource, backed: bool = False) -> tuple[Observation, datetime | None]:
        """The hash of one content now, and of an unattached volume its `updated_at` right after.

        `backed`: see `ResourceBase.backed`. Hashes of secrets of one `Again` compare with each other only.
        """
        cloud = self._sides[side]
        if resource.KNOWN.content not in (Content.DISK, Content.NONE):
            return _observe(side, cloud, resource, self._key, self._watcher), None
        with self._turn:
            hashes, stamps, _ = _disk_hashes(self._sides, [_Task(side, resource, backed)], self._runs, self._watcher)
        return hashes[side, resource.ref], stamps.get((side, resource.ref))


@dataclass(frozen=True)
class _Watcher:
    stop: threading.Event
    now: Callable[[], datetime]
    passed: Callable[[str, int, int | None], None]
    late_seconds: float
    say: Callable[[str], None]
    spent: Spent = _untold
    given_up: threading.Event = field(default_factory=threading.Event)
    """Whether what is read beside a look that ended with an error is wanted by nobody."""

    @contextmanager
    def telling(self, step: str) -> Iterator[dict[str, float]]:
        """Tell how long what is within took: its `bytes` and `times`, if the dictionary gets them."""
        began, amount = self.now(), dict[str, float]()
        yield amount
        self.spent(step, int(amount.get("bytes", 0)), amount.get("times", 1.0), began, self.now())

    def hash(self, label: str, stream: ByteStream) -> str:
        """SHA-256 of a stream (hex), with progress; Interrupted when asked to stop."""
        digest, done = hashlib.sha256(), 0
        for chunk in stream:
            if self.stop.is_set() or self.given_up.is_set():
                raise Interrupted("stopped while reading a content", "Run the same command again.")
            digest.update(chunk)
            done += len(chunk)
            if done > 8 << 20:
                self.passed(label, done, stream.size_bytes)
        return digest.hexdigest()

    def hash_of(self, side: str, name: str, stream: ByteStream) -> str:
        """The same of an object."""
        return self.hash(f"{side}: object {name[:40]}", stream)


class _Reads:
    """Hashes of contents that are no disks, read by `pool`: many while the censuses are still being taken.

    Small ones came with what the census tells of them, those of other objects begin as soon as their listing is there. Each counts only
    for the very thing, field by field, that the finished census holds: what was found changed is read anew.
    """

    def __init__(self, sides: Mapping[str, Cloud], watcher: _Watcher, pool: ThreadPoolExecutor) -> None:
        self._sides, self._watcher, self._pool = sides, watcher, pool
        self._key = secrets.token_bytes(32)
        self._with: dict[tuple[str, Ref], tuple[Resource, Observation]] = {}
        self._begun: dict[tuple[str, Ref], tuple[Resource, Future[Observation]]] = {}

    def with_it(self, side: str) -> Take:
        """What takes the small contents of one side."""

        def seen(resource: Resource, stream: ByteStream) -> None:
            value = self._watcher.hash(f"{side}: {resource.own_kind.value} {resource.name[:40]}", stream)
            told = _observation(side, resource, "sha256", value, "", self._watcher)
            self._with[side, resource.ref] = resource, told

        return seen

    def known(self, side: str, resource: Resource) -> Observation | None:
        """The hash of a content that came with the thing."""
        told, observation = self._with.get((side, resource.ref), (None, None))
        return observation if told == resource else None

    def begin(self, side: str, listing: Listing) -> None:
        """Read the objects of a listing: nobody's temporary, which its owner would wait to delete, is one."""
        for thing in listing.resources:
            if thing.KNOWN.content is Content.STORED and thing.has_content() and self.known(side, thing) is None:
                self.read(side, thing)

    def read(self, side: str, resource: Resource) -> Future[Observation]:
        """The hash of a content, being read."""
        told, begun = self._begun.get((side, resource.ref), (None, None))
        if begun is None or told != resource:
            begun = self._pool.submit(self._observe, side, resource)
            self._begun[side, resource.ref] = resource, begun
        return begun

    def _observe(self, side: str, resource: Resource) -> Observation:
        with self._watcher.telling(f"content of {side} {resource.ref}") as amount:
            found = _observe(side, self._sides[side], resource, self._key, self._watcher)
            amount["bytes"] = _size(resource)
        return found


def _hashes(
    sides: dict[str, Cloud],
    seen: dict[str, Workload],
    read: _Reads,
    runs: Momentary,
    watcher: _Watcher,
    count: Callable[[str, int, int], None],
    plan: Plan | None,
) -> tuple[dict[tuple[str, Ref], Observation], dict[tuple[str, Ref], datetime], tuple[str, ...]]:
    """Observations of every content of both sides; stamps of volumes; and temporaries that could not be removed."""
    tasks = [
        (side, r) for side, w in seen.items() for r in w.resources
        if r.has_content() and r.KNOWN.content is not Content.DISK
    ]  # fmt: skip
    found = {(side, r.ref): known for side, r in tasks if (known := read.known(side, r))}
    with ThreadPoolExecutor(max_workers=1) as pool:
        trials = partial(ownership.trials, sides, seen)
        disks = pool.submit(_disk_hashes, sides, _exportable(seen, plan), runs, watcher, trials)
        reading = {read.read(side, r): (side, r.ref) for side, r in tasks if (side, r.ref) not in found}
        for done in as_completed(reading):
            found[reading[done]] = done.result()
            count("contents read", len(found), len(tasks))
    hashes, stamps, left = disks.result()
    return {**found, **hashes}, stamps, left


def _size(resource: Resource) -> int:
    """Bytes of its content, as far as its cloud says."""
    return resource.disk_gib() << 30 or getattr(resource, "size_bytes", None) or 0


def _hashing(side: str, disk: Resource) -> str:
    return f"hash of {side} {disk.ref}"


@dataclass(frozen=True)
class _Task:
    """A disk to be read. `image`: that which a server of a rehearsal was made from, which is read in its place."""

    side: str
    disk: Resource
    backed: bool
    image: Resource | None = None

    @property
    def hashing(self) -> str:
        """How the step is called that reads it."""
        return _hashing(self.side, self.disk)


def _exportable(seen: dict[str, Workload], plan: Plan | None) -> list[_Task]:
    """Every disk that can be read."""
    carried = {e.ref for e in plan.entries if e.carries_disk} if plan is not None else set()
    found = []
    for side, workload in seen.items():
        for disk in workload.resources:
            own = disk.KNOWN.content is not Content.DISK
            if not disk.is_exported(workload) or (
                own and (not carried or (side == "source" and disk.ref not in carried))
            ):
                continue
            if getattr(disk, "status", "") in (*disk.KNOWN.usable, BUSY):
                image = _made_from(disk, workload, plan) if own and side == "target" else None
                found.append(_Task(side, disk, disk.backed(workload.relations), image))
    return found


def _made_from(server: Resource, workload: Workload, plan: Plan | None) -> Resource | None:
    """The image of its own that a server of a rehearsal was made from: it has run since, so that its disk is not that any more."""
    if plan is None or not plan.guests:
        return None
    own = (workload.by_ref.get(reference) for reference in server.references())
    return next((i for i in own if i is not None and i.marker in temporaries.markers(plan)), None)


def _observe(side: str, cloud: Cloud, resource: Resource, key: bytes, watcher: _Watcher) -> Observation:
    """The hash of one content, or the reason why it could not be read."""
    secret = resource.KNOWN.content is Content.PAYLOAD
    what = "hmac-sha256 (key not kept)" if secret else "sha256"
    value: str | None = None
    reason: Words = ""
    try:
        if secret:
            payload = cloud.secret_payload(resource.id)
            if payload is not None:
                value = hmac.new(key, payload.get_secret_value(), hashlib.sha256).hexdigest()
            else:
                reason = Reason.of("verify.no-payload")
        else:
            with content(cloud, resource) as stream:
                value = watcher.hash(f"{side}: {resource.own_kind.value} {resource.name[:40]}", stream)
    except CloudError as error:
        reason = said(error)
    return _observation(side, resource, what, value, reason, watcher)


def _observation(
    side: str, resource: Resource, what: str, value: JsonValue, reason: Words, watcher: _Watcher
) -> Observation:
    where = f"{side}: {resource.ref}"
    return Observation(what=what, value=value, source=Source(where=where, at=watcher.now()), reason=reason)


# --- disks: temporaries in a saga of the verifier's own


@dataclass(frozen=True)
class _Temporary:
    """One of the things by which a disk is exported; deleted by undo."""

    cloud: Cloud
    disk: Resource
    side: str
    passage: Passage
    run_id: str
    needs: tuple[str, ...]
    forms: Forms

    @property
    def name(self) -> str:
        return f"{self.passage.what} of {self.side} {self.disk.ref}"

    def intend(self, done: Outputs) -> JsonObject:
        marker = Marker(run=self.run_id, node=self.name).tag()
        return {"side": self.side, "kind": self.passage.kind.value, "name": marker, "marker": marker}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        name, origin = str(intent["name"]), str(done[self.needs[0]]["id"]) if self.needs else self.disk.id
        wish, source = self.passage.make(name, origin)

        def make(wish: Resource) -> str:
            return insist(lambda: self._made(wish, str(intent["marker"]), source), progress)

        if source.server_id:
            saved, why = self.forms.saved(wish, make, lambda: self.undo(intent, None, done), WAIT)
            return {"id": saved.id, "form": form_of(saved)} if saved else {"none": str(why)}
        if self.passage.readable:
            image = self.forms.uploaded(wish, self.disk, origin, make, WAIT)
            made: JsonObject = {"id": image.id, "form": form_of(image)}
        else:
            made = {"id": make(wish)}
            self.cloud.settle(ref(self.passage.kind, str(made["id"])), WAIT)
        return made | ({} if self.needs else self._stamp())

    def _made(self, wish: Resource, marker: str, source: Making) -> str:
        """Find or make it, when nobody else reads the volume. Raises Conflict if somebody is quicker each time."""
        for _ in range(TRIES - 1):
            with suppress(Conflict):
                return self.cloud.ensure(wish, marker, source=source)
            if not self.needs:
                self.cloud.settle(self.disk.ref, WAIT)
        return self.cloud.ensure(wish, marker, source=source)

    def _stamp(self) -> JsonObject:
        """When the disk's state changed last, now that its bytes are taken and before anybody can write anew."""
        there = self.cloud.settle(self.disk.ref, WAIT) if self.passage.readable else None
        return {"updated_at": _unattached_since(there)}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        _delete(self.cloud, self.passage.kind, str(intent["marker"]), output)


@dataclass(frozen=True)
class _Hash:
    """Read the temporary image and hash what the guest sees of it; of a server's own disk but for the zeros at its end.

    `made_from`: an image that is there already and is read in place of a temporary one.
    """

    cloud: Cloud
    disk: Resource
    side: str
    needs: tuple[str, ...]
    watcher: _Watcher
    work: Path
    made_from: Resource | None = None

    @property
    def name(self) -> str:
        return _hashing(self.side, self.disk)

    def intend(self, done: Outputs) -> JsonObject:
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        if self.needs and "none" in done[self.needs[0]]:
            return {"none": done[self.needs[0]]["none"]}
        there = self.made_from
        taken = {"id": there.id, "form": form_of(there)} if there is not None else done[self.needs[0]]
        form = QCOW2 if taken.get("form") == QCOW2 else RAW
        with guest_bytes(self.cloud, str(taken["id"]), form, length_of(self.disk), self.work) as stream:
            own = self.disk.KNOWN.content is not Content.DISK
            read = Trimmed(stream) if own else stream
            digest = self.watcher.hash(f"{self.side}: {self.disk.label()}", read)
        stamp = taken.get("updated_at")
        same = stamp is not None and stamp == _unattached_since(self.cloud.read(self.disk.ref))
        return {"sha256": digest, "updated_at": stamp if same else None}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Nothing was made."""


def _unattached_since(disk: Resource | None) -> str | None:
    """Since when nobody can have written a disk."""
    at = disk.unattached_since() if disk is not None else None
    return at.isoformat() if at is not None else None


def _delete(cloud: Cloud, kind: Kind, marker: str, output: JsonObject | None) -> None:
    known = output is not None and "id" in output
    found = () if known else cloud.listing(kind).resources
    for id_ in [str(output["id"])] if output and known else [r.id for r in found if marker in (r.marker, r.name)]:
        cloud.delete(ref(kind, id_), WAIT)


def _steps(task: _Task, cloud: Cloud, run_id: str, watcher: _Watcher, forms: Forms, work: Path) -> list[Step]:
    if task.image is not None:
        return [_Hash(cloud, task.disk, task.side, (), watcher, work, task.image)]
    made: list[_Temporary] = []
    for passage in task.disk.passages(backed=task.backed):
        before = (made[-1].name,) if made else ()
        made.append(_Temporary(cloud, task.disk, task.side, passage, run_id, before, forms))
    return [*made, _Hash(cloud, task.disk, task.side, (made[-1].name,), watcher, work)]


def _disk_hashes(
    sides: dict[str, Cloud],
    disks: list[_Task],
    runs: Momentary,
    watcher: _Watcher,
    trials: Callable[[str], list[Step]] = lambda run_id: [],
) -> tuple[dict[tuple[str, Ref], Observation], dict[tuple[str, Ref], datetime], tuple[str, ...]]:
    run_id = f"v{secrets.token_hex(4)}"
    steps, path = trials(run_id), runs.journal(run_id)
    forms = {side: Forms(cloud, side) for side, cloud in sides.items()}
    for task in disks:
        steps += _steps(task, sides[task.side], run_id, watcher, forms[task.side], path.parent)
    with Journal(path, now=watcher.now) as journal:
        result = run(
            steps, journal, plan=run_id, workers=DISKS_AT_ONCE, stop=watcher.stop, late_seconds=watcher.late_seconds
        )
        _tell(path, disks, watcher.spent)
        outputs, errors = journal.status.outputs, dict(journal.status.errors)
        found = {(t.side, t.disk.ref): _disk_seen(t, outputs, errors, watcher) for t in disks}
        found |= ownership.told(steps, outputs, errors, watcher.now())
        with watcher.telling("tidying") as amount:
            tidied = unwind(steps, journal, plan=run_id)
            amount["times"] = sum("marker" in intent for intent in journal.status.intents.values())
        left = remaining(journal)
        if not result.interrupted:
            left += runs.sweep(journal)
        certain = tidied.complete and not journal.doubts
    if certain:
        forget(path)
    if result.interrupted:
        raise Interrupted("stopped while reading volumes; the temporaries are removed", "Run the same command again.")
    told = {(t.side, t.disk.ref): outputs.get(t.hashing, {}).get("updated_at") for t in disks}
    stamps = {where: datetime.fromisoformat(at) for where, at in told.items() if isinstance(at, str)}
    return found, stamps, tuple(left)


def _tell(path: Path, disks: Sequence[_Task], spent: Spent) -> None:
    """How long each step of a disk took from its intent to its end. Each name ends with the disk: `hash of source volume:1`."""
    sizes = {f"{task.side} {task.disk.ref}": _size(task.disk) for task in disks}
    begun: dict[str, datetime] = {}
    for at, kind, node in timeline(path):
        if kind == "intended":
            begun[node] = at
        elif kind == "done" and node in begun:
            spent(node, sizes.get(node.partition(" of ")[2], 0), 1.0, begun.pop(node), at)


def _disk_seen(task: _Task, outputs: Outputs, errors: dict[str, JsonObject], watcher: _Watcher) -> Observation:
    side, disk = task.side, task.disk
    digest = outputs.get(task.hashing, {}).get("sha256")
    failed = [e for name, e in errors.items() if name.endswith(f" of {side} {disk.ref}")]
    told = outputs.get(task.hashing, {}).get("none")
    reason: Words = "" if digest else str(told) if told else Reason.of("verify.not-read")
    if failed and not digest:
        reason = Reason.of("cloud.said", kind=failed[0]["kind"], what=failed[0]["message"])
    own = "sha256 but for the zeros at its end" if disk.KNOWN.content is not Content.DISK else "sha256"
    return _observation(side, disk, MADE_FROM if task.image is not None else own, digest, reason, watcher)


def _without_momentary(cloud: Cloud, seen: Workload, own: Collection[str]) -> Workload:
    """A census without temporaries of verifications: those of this user's journals, and those that are gone again.

    What merely looks like one, and stays, is of the tenant: a name proves nothing.
    """
    gone = {
        r.ref
        for r in seen.resources
        for m in (r.marker, r.name)
        if m in own or (m and MARK.fullmatch(m) and cloud.read(r.ref) is None)
    }
    if not gone:
        return seen
    return seen.model_copy(update={"resources": tuple(r for r in seen.resources if r.ref not in gone)})
