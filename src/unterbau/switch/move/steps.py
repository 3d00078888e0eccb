# SPDX-License-Identifier: Apache-2.0
"""The steps of a move: for each object of the plan that moves, what to do, in which order, and its undo.

`drill` runs them through `saga.run` and takes them back through `saga.unwind`; both are the only code paths.
Building the steps asks no cloud. A step's intent (name, marker, look-alikes) is durable before its act; each
act is find-or-create through the port, so it may be repeated. Secrets pass from cloud to cloud and stand
nowhere else.

Volumes travel with tenant rights: a temporary image is made from the volume (from a copy of a snapshot if it
is in use, from a clone if it has snapshots), streamed to the target, turned into the volume there; then all
temporaries are deleted. Each of these is a step, so a crash leaves none behind. They travel as qcow2, of which only what is
in use passes. Where the target takes none, or makes no volume from one, what arrives is unpacked on the way, by us; where the
source gives none all of it passes (`cloud.disks`).

The disk that a server has on its host travels likewise: Nova makes an image of it, and the target's server is made from that. In
a rehearsal the image stays on the target as long as the server, so that the verifier can read it. Where a cloud gives none, the
server is made from the image that it was booted from, and its disk is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from pydantic import JsonValue

from unterbau.cloud.content import own_content, unprotect, whole
from unterbau.cloud.disks import RAW, Form, Forms, form_of, guest_bytes, length_of, names_form
from unterbau.cloud.port import ByteStream, Cloud
from unterbau.errors import Broken, CloudError, Conflict, NotFound
from unterbau.saga import Attempt, JsonObject, Marker, Outputs, Progress, Status, Step, insist
from unterbau.switch.helper import HELPS
from unterbau.switch.move.transfer import relay
from unterbau.switch.plan import Plan
from unterbau.tenant.kinds import (
    KINDS,
    NOTHING,
    Content,
    Kind,
    Mark,
    Ref,
    Resource,
    Source,
    id_of,
    kind_of,
    ref,
)
from unterbau.tenant.kinds.attachment import Disks
from unterbau.tenant.kinds.image import of_its_hardware
from unterbau.tenant.kinds.volume import ARRIVAL, EARLIER, PASSAGES, QCOW2
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model

QUICK = timedelta(minutes=5)
LONG = timedelta(minutes=60)
"""For what copies bytes inside a cloud."""
NEVER_MARKED = tuple(one for one in KINDS.values() if one.KNOWN.marker.answered)
"""Kinds that have no place for a marker; they are there when the request is answered."""
LOOK_SECONDS = 1.0
"""Between two looks for what a request without an answer may have made."""
EARLIER_DISK = f"{EARLIER}disk"
PASSING_EARLIER = {f"{EARLIER}{what}": kind for what, kind in PASSAGES.items()}
MOMENTARY = {**PASSAGES, **PASSING_EARLIER, EARLIER_DISK: PASSAGES["copy"], **HELPS}
"""How steps are called that make a thing for a moment, before their ` of `; and what they make."""


def earlier_disk(reference: Ref) -> str:
    """The step that makes the volume on the target while the source lives."""
    return f"{EARLIER_DISK} of {reference}"


def blocks_of(reference: Ref) -> str:
    """The step that carries those blocks of a volume that changed since."""
    return f"blocks of {reference}"


class LedgerLine(Model):
    """One thing that a run made or meant to make. `kind` is a `Kind`, `state` the step's or `tidied`."""

    step: str
    side: str
    kind: str
    name: str
    marker: str
    id: str | None
    state: str
    by: str = ""
    """The step that made it with others, if `step` is not its name."""


@dataclass
class Passed:
    """How far an attempt at a part of a container came (`parts`)."""

    at: int = 0
    objects: int = 0
    size_bytes: int = 0
    gone: int = 0
    etags: dict[str, JsonValue] = field(default_factory=dict)
    """Of those that were others than the census had, by name."""


@dataclass(frozen=True)
class Move:
    """What all steps of one move share. `work`: a folder for temporary files, else the system's.

    `listed`: the manifest of what crowded containers hold, which the census of the plan wrote.
    """

    plan: Plan
    workload: Workload
    source: Cloud
    target: Cloud
    work: Path | None = None
    listed: Path | None = None
    passed: dict[str, Passed] = field(default_factory=dict, compare=False)

    @cached_property
    def forms(self) -> Mapping[str, Forms]:
        """In which forms each side gives and takes disks."""
        return {"source": Forms(self.source, "source"), "target": Forms(self.target, "target")}

    @cached_property
    def by_kind(self) -> Mapping[Kind, Sequence[Ref]]:
        """The objects of the plan."""
        found: dict[Kind, list[Ref]] = {}
        for entry in self.plan.entries:
            found.setdefault(kind_of(entry.ref), []).append(entry.ref)
        return found

    def cloud(self, side: str) -> Cloud:
        """That of a side, `source` or `target`."""
        return self.source if side == "source" else self.target

    def marker(self, step: str) -> str:
        """The tag of what a step makes."""
        return Marker(run=self.plan.run, node=step).tag()

    def makes(self, reference: Ref) -> bool:
        """Whether this move makes it, and not finds it on the target."""
        entry = self.plan.by_ref.get(reference)
        return entry is not None and entry.fate.moves and entry.stands_in is None

    def wish(self, reference: Ref, done: Outputs, there: Resource | None = None) -> Resource:
        """The object as it is to be on the target, with the target's ids. `there`: as it is now, if not as in the census."""
        resource = self.plan.wish(there or self.workload.by_ref[reference], self.workload)
        return self.plan.translated(resource.with_ids(lambda r: self.new_id(r, done)))

    def new_id(self, reference: Ref, done: Outputs) -> str | None:
        """The target's id of an object of the source."""
        entry = self.plan.by_ref.get(reference)
        if entry is None:
            return self.plan.translate.get(reference)
        if entry.stands_in is not None:
            return entry.stands_in
        made = done.get(reference, {}).get("id")
        if made is None and KINDS[kind_of(reference)].KNOWN.id_is_name and entry.fate.moves:
            return id_of(reference)
        return str(made) if made is not None else None


def steps(move: Move) -> list[Step]:
    """The steps of a move for the things of its plan; what crowded containers hold comes to them in `parts`."""
    made: list[Step] = []
    plan, workload = move.plan, move.workload
    for entry in plan.entries:
        if entry.fate.moves and entry.stands_in is None:
            resource = plan.wish(workload.by_ref[entry.ref], workload)
            made += _steps_of(move, resource, _needs(plan, (*entry.needs, *resource.after(workload))))
    return _chained_attachments(move, made)


def _needs(plan: Plan, needs: Iterable[Ref]) -> tuple[str, ...]:
    return tuple(n for n in needs if plan.by_ref[n].fate.moves and plan.by_ref[n].stands_in is None)


def _steps_of(move: Move, resource: Resource, needs: tuple[str, ...]) -> list[Step]:
    reference = resource.ref
    match resource.KNOWN.content:
        case Content.DISK:
            return _disk_steps(move, resource, needs, ArriveStep)
        case Content.FIXED:
            return [UploadStep(move, reference, needs)]
        case Content.STORED:
            return [WriteStep(move, reference, needs)]
        case Content.PAYLOAD:
            return [PayloadStep(move, reference, needs)]
        case Content.NONE if move.plan.by_ref[reference].carries_disk and resource.is_exported(move.workload):
            return [*_disk_steps(move, resource, needs, BootStep), *_afterwards(move, resource)]
        case Content.NONE:
            return [CreateStep(move, reference, needs), *_afterwards(move, resource)]


def _afterwards(move: Move, resource: Resource) -> Iterator[Step]:
    """What is done to it once the things are there that hang on it."""
    if resource.bonds() or resource.at_first(move.workload) is not resource:
        held = resource.held_by(move.workload.relations)
        yield BondsStep(move, resource.ref, _needs(move.plan, (resource.ref, *held)))
    if resource.power() or resource.protection():
        disks = (a.ref for a in _disks(move, resource))
        yield PowerStep(move, resource.ref, _needs(move.plan, (resource.ref, *disks)))


def _disks(move: Move, resource: Resource) -> Disks:
    """Its disks that move, in the order of their devices, root first."""
    return [a for a in resource.attachments(move.workload) if move.plan.by_ref[a.ref].fate.moves]


def _chained_attachments(move: Move, made: list[Step]) -> list[Step]:
    """Volumes are attached one after another, so that devices keep their order."""
    previous: dict[str, str] = {}
    for resource in move.workload.resources:
        disks = _disks(move, resource)
        for before, after in pairwise(disks):
            previous[after.ref] = before.ref
    return [
        CreateStep(move, s.reference, tuple(dict.fromkeys((*s.needs, previous[s.reference]))))
        if isinstance(s, CreateStep) and s.reference in previous
        else s
        for s in made
    ]


def _disk_steps(
    move: Move, disk: Resource, needs: tuple[str, ...], arrive: Callable[[Move, Ref, tuple[str, ...]], Step]
) -> list[Step]:
    """Temporaries on the source, their image on the target, what is made of it (`arrive`), and the tidying."""
    temporaries = _temporaries(move, disk)
    names = tuple(t.name for t in temporaries)
    return [
        *temporaries,
        arrive(move, disk.ref, (*needs, names[-1])),
        TidyStep(move, disk.ref, (*names, disk.ref)),
    ]


def _temporaries(move: Move, disk: Resource) -> list[TemporaryStep]:
    passages = disk.passages(backed=disk.backed(move.workload.relations))
    made: list[TemporaryStep] = []
    for what, side in (*((p.what, "source") for p in passages), (ARRIVAL, "target")):
        made.append(TemporaryStep(move, disk.ref, what, side, (made[-1].name,) if made else ()))
    return made


@dataclass(frozen=True)
class CreateStep:
    """Find or create one object on the target."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The Ref of the source's object."""
        return self.reference

    @property
    def resource(self) -> Resource:
        """The source's object."""
        return self.move.workload.by_ref[self.reference]

    @property
    def marker(self) -> str:
        """The tag of the new object."""
        return self.move.marker(self.name)

    def intend(self, done: Outputs) -> JsonObject:
        """Name, tag, and what exists that looks alike; in a thing that this run made nothing was before it."""
        wish = self.move.wish(self.reference, done)
        before = () if self.move.makes(self.resource.within()) else self.move.target.lookalikes(wish)
        return {"side": "target", "name": wish.name, "marker": self.marker, "before": list(before)}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id."""
        roots = [a for a in _disks(self.move, self.resource) if a.boot_index == 0]
        disks = (a.model_copy(update={"volume_id": self.move.new_id(a.disk, done)}) for a in roots)
        return {"id": self.create(intent, done, progress, Source(disks=tuple(disks)))}

    def create(self, intent: JsonObject, done: Outputs, attempt: Attempt, source: Source = NOTHING) -> str:
        """Ensure and settle; a wish is made anew from the outputs, so it is the same each time."""
        wish = self.wished(done)
        id_ = self.ensure(wish, intent, done, attempt, source)
        if not isinstance(wish, NEVER_MARKED):  # of these the id is told by their answer only: it is noted at once
            self.move.target.settle(ref(wish.own_kind, id_), LONG)
        return id_

    def wished(self, done: Outputs) -> Resource:
        """The object as it is to be made."""
        wish, first = self.move.wish(self.reference, done), self.resource.at_first(self.move.workload)
        return wish if first is self.resource else wish.bound(first)

    def ensure(
        self, wish: Resource, intent: JsonObject, done: Outputs, attempt: Attempt, source: Source = NOTHING
    ) -> str:
        """Find or create, with what is known of earlier attempts that got no answer, and of what other steps made."""
        before = _before(intent)
        if wish.KNOWN.marker.indistinct:
            others = (done.get(r, {}) for r in self.move.by_kind[wish.own_kind] if r != self.name)
            before += tuple(str(made["id"]) for made in others if "id" in made)
            self._await_lost(wish, before, attempt)
        target = self.move.target
        return insist(lambda: target.ensure(wish, _marker(intent), before=before, source=source), attempt)

    def _await_lost(self, wish: Resource, before: tuple[str, ...], attempt: Attempt) -> None:
        """Make it again only when a lost request can make it no more: a second one would carry no mark to be told by."""
        end = time.monotonic() + attempt.doubt()
        while time.monotonic() < end and not set(self.move.target.lookalikes(wish)) - set(before):
            attempt(0, None)
            time.sleep(LOOK_SECONDS)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete what was made, or what a crash may have left half-made."""
        if self.resource.leaves_with_another():
            return
        holder = self.resource.holder()
        if holder in done and self.move.plan.by_ref[holder].stands_in is None:
            self.remove(kind_of(holder), str(done[holder]["id"]))
        for id_ in [str(output["id"])] if output else self._strays(intent, done):
            self.remove(self.resource.own_kind, id_)

    def remove(self, kind: Kind, id_: str) -> None:
        """Delete one object of the target."""
        remove(self.move.target, kind, id_)

    def _strays(self, intent: JsonObject, done: Outputs) -> list[str]:
        """What exists of an act that was not seen to end: by marker. What only looks alike is never ours to delete."""
        wish = self.move.wish(self.reference, done)
        if wish.KNOWN.marker is Mark.PLACE:
            return [wish.place()]
        found = marked(self.move.target, wish.own_kind, {_marker(intent)}, (wish.ref,))
        return [r.id for r in found]


class ArriveStep(CreateStep):
    """A disk from the image that arrived; from a raw one, under the same marker, if the target makes none from a qcow2."""

    @property
    def arrival(self) -> TemporaryStep:
        """What it is made from."""
        return TemporaryStep(self.move, self.reference, ARRIVAL, "target", ())

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id; and that of the raw image."""
        arrival = self.arrival
        there = self.move.target.read(ref(arrival.kind, str(done[arrival.name]["id"])))
        what, why = f"images to {self.resource.own_kind}s", ""
        if there is not None and (form_of(there) == RAW or self.move.forms["target"].can(what)):
            try:
                return {"id": self.create(intent, done, progress, Source(image_id=there.id))}
            except (Broken, Conflict) as error:
                if form_of(there) == RAW or not self._failed(error, intent, done):
                    raise
                why = error.what
        for id_ in self._strays(intent, done):
            self.remove(self.resource.own_kind, id_)
        if there is not None:
            self.move.target.delete(there.ref, LONG)
        passed = arrival.unpacked(done, progress)
        made = self.create(intent, done, progress, Source(image_id=str(passed["id"])))
        if why:
            self.move.forms["target"].cannot(what, why)
        return {"id": made, ARRIVAL: passed["id"]}

    def _failed(self, error: CloudError, intent: JsonObject, done: Outputs) -> bool:
        """Whether the cloud made none of that image: it refused its form, or what it made ended in error."""
        if isinstance(error, Conflict):
            return names_form(error)
        made = [self.move.target.read(ref(self.resource.own_kind, id_)) for id_ in self._strays(intent, done)]
        return not error.uncertain and all("error" in getattr(there, "status", "error") for there in made)


class BootStep(CreateStep):
    """A server from the image of its disk that arrived; where its cloud gave none, from that which it was booted from."""

    def wished(self, done: Outputs) -> Resource:
        """See the class."""
        wish, arrived = super().wished(done), done[f"{ARRIVAL} of {self.reference}"].get("id")
        return wish.model_copy(update={"image_id": arrived}) if arrived else wish


class UploadStep(CreateStep):
    """A thing with its data, streamed, written once."""

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """The new id, and what passed."""
        wish = self.move.wish(self.reference, done)
        target = self.move.target
        id_ = target.ensure(wish, _marker(intent))
        passed = _upload(self.move, id_of(self.reference), wish.model_copy(update={"id": id_}), progress)
        return {"id": id_, **passed}


def _upload(move: Move, source_id: str, wish: Resource, progress: Progress) -> JsonObject:
    """Copy an image of the source into the queued image `wish.id` of the target, unless an earlier attempt did.

    Raises Broken if both clouds say with the same kind of hash that other bytes arrived; then it is gone.
    """
    passed = _fill(move, wish, move.source.image_bytes(source_id), progress)
    arrived, left = move.target.settle(wish.ref, LONG), move.source.read(ref(wish.own_kind, source_id))
    told, origin = arrived.stamp(), left.stamp() if left is not None else {}
    if told.get("hash_algo") == origin.get("hash_algo") and told.get("hash_value") != origin.get("hash_value"):
        remove(move.target, wish.own_kind, wish.id)
        raise Broken(f"{wish.own_kind} {wish.name}: other bytes arrived than left", "Run the same command again.")
    return passed


def _fill(move: Move, wish: Resource, opened: AbstractContextManager[ByteStream], progress: Progress) -> JsonObject:
    """Fill the queued image `wish.id` on the target, unless it is filled, and complete it; what passed."""
    there = move.target.read(wish.ref)
    if there is not None and there.is_filled():
        move.target.write_image(wish, (), None)  # completes visibility, members, protection
        return {}
    return relay(opened, lambda data, size: move.target.write_image(wish, data, size), progress)


class WriteStep(CreateStep):
    """An object: its bytes, or the manifest that joins others, or a symlink."""

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """The id (container/name), and what passed."""
        return carry(self.move, self.resource, _marker(intent), done, progress)


def carry(move: Move, resource: Resource, marker: str, done: Outputs, progress: Progress) -> JsonObject:
    """Write an object on the target as `resource` tells it; one whose listing alone was read is asked for what it is now.

    What passed; its `etag` if it was another than the census had, which may come back afterwards.
    """
    wish = move.wish(resource.ref, done, resource)
    target = move.target
    if wish.has_ended(datetime.now(UTC)):  # no store takes what has ended, and the source has it no more
        return {"id": wish.id, "ended": True}
    if wish.is_linked():
        if not wish.own_size():
            target.write_manifest(wish, marker)
            return {"id": wish.id, **_other(move, resource, resource)}
        passed = relay(
            own_content(move.source, resource), lambda data, size: target.write_manifest(wish, marker, data), progress
        )
        return {"id": wish.id, **passed, **_other(move, resource, resource)}
    with whole(move.source, resource) as (there, stream):
        wish = move.wish(resource.ref, done, there)
        if why := wish.full():
            raise Conflict(f"{resource.ref}: {why}", "Remove one of them, or leave it out of the plan.")
        passed = relay(nullcontext(stream), lambda data, size: target.write_object(wish, data, marker), progress)
    return {"id": wish.id, **passed, **_other(move, resource, there)}


def _other(move: Move, listed: Resource, carried: Resource) -> JsonObject:
    known = move.workload.by_ref.get(listed.ref, listed)
    etag = etag_of(carried)
    return {} if etag == etag_of(known) else {"etag": etag}


def etag_of(one: Resource) -> str:
    """What its store says that its content is."""
    return str(getattr(one, "etag", ""))


class PayloadStep(CreateStep):
    """A thing and its payload, which passes through memory only."""

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id."""
        wish = self.move.wish(self.reference, done)
        target = self.move.target
        id_ = self.ensure(wish, intent, done, progress)
        if wish.has_content():
            payload = self.move.source.secret_payload(id_of(self.reference))
            if payload is None:
                raise NotFound(f"{self.reference}: its payload is gone", "Make a new plan: the source has changed.")
            target.write_secret(id_, wish, payload)
        target.settle(ref(wish.own_kind, id_), QUICK)
        return {"id": id_}


@dataclass(frozen=True)
class BondsStep:
    """What holds others on a thing (the static routes of a router, the versions of a container), or shuts them out (the
    pools of a subnet), once those exist; what stands in a marker's place, once the id is noted (`Mark.BRIEFLY`)."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{self.move.workload.by_ref[self.reference].BONDS}{self.reference}"

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Set them."""
        self._set(done, keep=True)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Remove them, so that the legs can go."""
        if self.reference in done and self.move.workload.by_ref[self.reference].unbound() is not None:
            self._set(done, keep=False)

    def _set(self, done: Outputs, *, keep: bool) -> None:
        wish = self.move.wish(self.reference, done)
        update: dict[str, object] = {"id": self.move.new_id(self.reference, done)}
        there = wish.model_copy(update=update)
        try:
            self.move.target.set_bonds(there if keep else there.unbound() or there)
        except NotFound:
            if keep:
                raise


@dataclass(frozen=True)
class PowerStep:
    """What was stopped or locked is so again, after its disks are attached."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"power of {self.reference}"

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Stop it, lock it."""
        reference = ref(kind_of(self.reference), str(self.move.new_id(self.reference, done)))
        resource, there = self.move.wish(self.reference, done), self.move.target.read(reference)
        if there is None:
            raise NotFound(f"{reference} does not exist on the target")
        power = resource.power()
        if power and there.power() != power:
            self.move.target.set_power(there.id, power)
        if resource.protection():
            self.move.target.set_lock(there.id, True, resource.protected_for())
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Unlock what we locked: its server is deleted next."""
        if self.move.workload.by_ref[self.reference].protection():
            with suppress(NotFound):
                self.move.target.set_lock(str(self.move.new_id(self.reference, done)), False)


@dataclass(frozen=True)
class TemporaryStep:
    """One temporary thing on the way of a volume; `what` says which. Deleted by `TidyStep` or by undo.

    `when`: `EARLIER` for the way of a copy that is made while the source lives (`helping`).
    """

    move: Move
    reference: Ref
    what: str
    side: str
    needs: tuple[str, ...]
    when: str = ""

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{self.when}{self.what} of {self.reference}"

    @property
    def cloud(self) -> Cloud:
        """Where it is made."""
        return self.move.cloud(self.side)

    @property
    def kind(self) -> Kind:
        """Of the temporary thing."""
        return PASSAGES[self.what]

    def intend(self, done: Outputs) -> JsonObject:
        """Name and tag."""
        marker = self.move.marker(self.name)
        return {"side": self.side, "name": marker, "marker": marker, "temporary": True}

    @property
    def disk(self) -> Resource:
        """What it is on the way of."""
        return self.move.workload.by_ref[self.reference]

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The id; of an image also its form; for the arrival also what passed. Or `none`: why a cloud gave no bytes.

        Or `spared`: blocks were carried instead.
        """
        if not self.when and "spared" in done.get(blocks_of(self.reference), {}):
            return {"spared": True}
        if self.what == ARRIVAL:
            return self._arrived(done, progress)
        before = [need for need in self.needs if need.endswith(f" of {self.reference}")]
        origin = str(done[before[0]]["id"]) if before else self.disk.id
        passage = self.disk.passage(self.what)
        wish, source = passage.make(str(intent["name"]), origin)

        def make(wish: Resource) -> str:
            return insist(lambda: self.cloud.ensure(wish, _marker(intent), source=source), progress)

        if source.server_id:
            saved, why = self.move.forms[self.side].saved(wish, make, lambda: self.undo(intent, None, done), LONG)
            return {"id": saved.id, "form": form_of(saved)} if saved else {"none": str(why)}
        if passage.readable:
            made = self.move.forms[self.side].uploaded(wish, self.disk, origin, make, LONG)
            return {"id": made.id, "form": form_of(made)}
        id_ = make(wish)
        self.cloud.settle(ref(self.kind, id_), LONG)
        return {"id": id_}

    def _arrived(self, done: Outputs, progress: Attempt) -> JsonObject:
        """The image in the form in which the source gave it, or unpacked if the target's Glance takes no such form."""
        if "none" in (left := done[self._image]):
            return {"none": left["none"]}
        what, why = f"images of {self.disk.own_kind}s", ""
        if self._form(done) == QCOW2 and self._fits(done) and self.move.forms["target"].can(what):
            try:
                there = self._ensured(QCOW2, done, progress)
            except Conflict as error:
                if not names_form(error):
                    raise
                why = error.what
            else:
                if form_of(there) == QCOW2:
                    return {"id": there.id, "form": QCOW2, **_upload(self.move, self._origin(done), there, progress)}
        passed = self.unpacked(done, progress)
        if why:
            self.move.forms["target"].cannot(what, why)
        return passed

    def unpacked(self, done: Outputs, progress: Attempt) -> JsonObject:
        """The arrival as a raw image, under its marker; its id, form and what passed."""
        there, form = self._ensured(RAW, done, progress), self._form(done)
        if form == RAW:
            return {"id": there.id, "form": RAW, **_upload(self.move, self._origin(done), there, progress)}
        opened = guest_bytes(self.move.source, self._origin(done), form, length_of(self.disk), self.move.work)
        passed = _fill(self.move, there, opened, progress)
        self.cloud.settle(there.ref, LONG)
        return {"id": there.id, "form": RAW, **passed}

    def _ensured(self, form: Form, done: Outputs, progress: Attempt) -> Resource:
        """The arrival's image as it is there, which an earlier attempt may have asked for in another form."""
        marker = self.move.marker(self.name)
        wish, source = self.disk.passage(self.what).make(marker, "")
        left = None if self.disk.KNOWN.content is Content.DISK else self._left(done)
        guest = of_its_hardware(getattr(left, "properties", {}))
        wish = wish.model_copy(update={"disk_format": form, "properties": guest})
        id_ = insist(lambda: self.cloud.ensure(wish, marker, source=source), progress)
        there = self.cloud.read(ref(self.kind, id_))
        return wish.model_copy(update={"id": id_, "disk_format": form_of(there)})

    def _fits(self, done: Outputs) -> bool:
        """Whether Cinder, or Nova, takes the file for a disk of this size: it asks how long a file is, and a full qcow2 is longer."""
        return (getattr(self._left(done), "size_bytes", None) or 0) <= length_of(self.disk)

    def _left(self, done: Outputs) -> Resource | None:
        """The image on the source."""
        return self.move.source.read(ref(self.kind, self._origin(done)))

    def _origin(self, done: Outputs) -> str:
        return str(done[self._image]["id"])

    def _form(self, done: Outputs) -> Form:
        return QCOW2 if done[self._image].get("form") == QCOW2 else RAW

    @property
    def _image(self) -> str:
        """The step that made the image on the source."""
        return f"{self.when}image of {self.reference}"

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete it, by id or by marker; an arrival may have been made anew."""
        found = [str(output["id"])] if output and "id" in output else []
        if not found or self.what == ARRIVAL:
            found += [r.id for r in marked(self.cloud, self.kind, {_marker(intent)})]
        for id_ in dict.fromkeys(found):
            self.cloud.delete(ref(self.kind, id_), LONG)


@dataclass(frozen=True)
class TidyStep:
    """Delete the temporaries of a disk when it has arrived."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]
    when: str = ""

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"tidy {self.when}{self.reference}"

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    @property
    def made(self) -> str:
        """The step that made the disk of them."""
        return earlier_disk(self.reference) if self.when else self.reference

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """In the reverse order of their making; `stays`: what a rehearsal leaves until it takes all back."""
        stays: list[JsonValue] = []
        for step in reversed(self.needs):
            what = step.partition(" of ")[0].removeprefix(self.when)
            if what not in PASSAGES or "id" not in done[step]:
                continue
            if what == ARRIVAL and self.move.plan.guests and self.move.plan.by_ref[self.reference].carries_disk:
                stays.append(step)
                continue
            temporary = TemporaryStep(self.move, self.reference, what, "target" if what == ARRIVAL else "source", ())
            made = done[self.made]
            again = [made[ARRIVAL]] if what == ARRIVAL and ARRIVAL in made else []
            for id_ in (done[step]["id"], *again):
                temporary.cloud.delete(ref(temporary.kind, str(id_)), LONG)
        return {"stays": stays} if stays else {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What was tidied stays away."""


def marked(cloud: Cloud, kind: Kind, markers: Collection[str], named: Collection[Ref] = ()) -> list[Resource]:
    """What exists of a kind with one of these markers, half-made things included.

    Things whose id is their name, which a listing would have to look at one by one, are looked for by their Refs (`named`).
    """
    if KINDS[kind].KNOWN.id_is_name:
        there = [cloud.read(reference) for reference in named]
        return [r for r in there if r is not None and r.marker in markers]
    found = [r for k in (kind, *KINDS[kind].HALF_MADE) for r in cloud.listing(k).resources]
    return [r for r in found if r.marker in markers or r.name in markers]


def remove(cloud: Cloud, kind: Kind, id_: str) -> None:
    """Delete something that a run made; a protection that it set itself is lifted first."""
    there = cloud.read(ref(kind, id_)) if KINDS[kind].KNOWN.content is Content.FIXED else None
    if there is not None:
        unprotect(cloud, there)
    cloud.delete(ref(kind, id_), LONG)


def _marker(intent: JsonObject) -> str:
    return str(intent["marker"])


def _before(intent: JsonObject) -> tuple[str, ...]:
    before = intent.get("before")
    return tuple(str(i) for i in before) if isinstance(before, list) else ()


def ledger(status: Status) -> tuple[LedgerLine, ...]:
    """What the run made or meant to make, from the fold of its journal."""
    lines = []
    for output in status.outputs.values():
        if isinstance(listed := output.get("made"), dict):
            lines += [_of_many(str(output["by"]), one, str(mark), status) for one, mark in listed.items()]
    for step, intent in status.intents.items():
        if "marker" not in intent:
            continue
        made: Mapping[str, object] = status.outputs.get(step, {})
        temporary = bool(intent.get("temporary"))
        what, _, subject = step.partition(" of ")
        kind = MOMENTARY[what] if temporary else kind_of(step)
        tidy = f"tidy {EARLIER if what in PASSING_EARLIER else ''}{subject}"
        stays = status.outputs.get(tidy, {}).get("stays")
        gone = temporary and status.states.get(tidy) == "done" and not (isinstance(stays, list) and step in stays)
        lines.append(
            LedgerLine(
                step=step,
                side=str(intent["side"]),
                kind=kind.value,
                name=str(intent.get("name", "")),
                marker=str(intent["marker"]),
                id=str(made["id"]) if "id" in made else None,
                state="tidied" if gone else status.states[step],
            )
        )
    return tuple(lines)


def _of_many(step: str, reference: Ref, mark: str, status: Status) -> LedgerLine:
    """One of the things that one step makes."""
    ended = status.states[step] == "done"
    return LedgerLine(
        step=reference, side="target", kind=kind_of(reference).value, name=id_of(reference), marker=mark,
        id=id_of(reference) if ended else None, state=status.states[step], by=step,
    )  # fmt: skip
