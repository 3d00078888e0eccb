# SPDX-License-Identifier: Apache-2.0
"""The steps of a move: for each object of the plan that moves, what to do, in which order, and its undo.

`drill` runs them through `saga.run` and takes them back through `saga.unwind`; both are the only code paths.
Building the steps asks no cloud. A step's intent (name, marker, look-alikes) is durable before its act; each
act is find-or-create through the port, so it may be repeated. Secrets pass from cloud to cloud and stand
nowhere else.

Volumes travel with tenant rights: a temporary image is made from the volume (from a copy of a snapshot if it
is in use, from a clone if it has snapshots), streamed to the target, turned into the volume there; then all
temporaries are deleted. Each of these is a step, so a crash leaves none behind.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from unterbau.cloud.port import NOTHING, Cloud, Source
from unterbau.errors import NotFound
from unterbau.saga import Attempt, JsonObject, Marker, Outputs, Progress, Status, Step, insist
from unterbau.switch.move.transfer import relay
from unterbau.switch.plan import Plan
from unterbau.switch.temporaries import TEMPORARY
from unterbau.tenant.kinds import (
    AddressGroup,
    Attachment,
    Image,
    Keypair,
    Kind,
    Ref,
    Resource,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecurityGroupRule,
    Server,
    ServerGroup,
    Snapshot,
    StoredObject,
    Volume,
    id_of,
    kind_of,
    ref,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model

QUICK = timedelta(minutes=5)
LONG = timedelta(minutes=60)
"""For what copies bytes inside a cloud."""
UNMARKED = (Keypair, ServerGroup, AddressGroup, SecurityGroupRule, SecretContainer, Secret)
"""Kinds that may exist without our marker for a moment, or for ever."""
NEVER_MARKED = (Keypair, ServerGroup, SecurityGroupRule, SecretContainer)
"""Kinds that have no place for a marker; they are there when the request is answered."""
INDISTINCT = (ServerGroup, SecretContainer, Secret)
"""Kinds of which a lost request could make a second one that nothing tells from the first. (Keys and rules are unique.)"""
LOOK_SECONDS = 1.0
"""Between two looks for what a request without an answer may have made."""


class LedgerLine(Model):
    """One thing that a run made or meant to make. `kind` is a `Kind`, `state` the step's or `tidied`."""

    step: str
    side: str
    kind: str
    name: str
    marker: str
    id: str | None
    state: str


@dataclass(frozen=True)
class Move:
    """What all steps of one move share."""

    plan: Plan
    workload: Workload
    source: Cloud
    target: Cloud

    def marker(self, step: str) -> str:
        """The tag of what a step makes."""
        return Marker(run=self.plan.run, node=step).tag()

    def wish(self, reference: Ref, done: Outputs) -> Resource:
        """The object as it is to be on the target, with the target's ids."""
        entry = self.plan.by_ref[reference]
        resource = entry.wish(self.workload.by_ref[reference])
        return self.plan.translated(resource.with_ids(lambda r: self.new_id(r, done)))

    def new_id(self, reference: Ref, done: Outputs) -> str | None:
        """The target's id of an object of the source."""
        entry = self.plan.by_ref.get(reference)
        if entry is None:
            return self.plan.translate.get(reference)
        if entry.stands_in is not None:
            return entry.stands_in
        if kind_of(reference) in (Kind.CONTAINER, Kind.OBJECT):
            return id_of(reference) if entry.fate.moves else None
        made = done.get(reference, {}).get("id")
        return str(made) if made is not None else None


def steps(plan: Plan, workload: Workload, source: Cloud, target: Cloud) -> list[Step]:
    """All steps of the move. `workload` is the census that the plan was made from."""
    move = Move(plan, workload, source, target)
    made: list[Step] = []
    for entry in plan.entries:
        if entry.fate.moves and entry.stands_in is None:
            resource = entry.wish(workload.by_ref[entry.ref])
            made += _steps_of(move, resource, _needs(plan, entry.needs))
    return _chained_attachments(move, made)


def _needs(plan: Plan, needs: Iterable[Ref]) -> tuple[str, ...]:
    return tuple(n for n in needs if plan.by_ref[n].fate.moves and plan.by_ref[n].stands_in is None)


def _steps_of(move: Move, resource: Resource, needs: tuple[str, ...]) -> list[Step]:
    reference = resource.ref
    match resource:
        case Volume():
            return _volume_steps(move, resource, needs)
        case Image():
            return [ImageStep(move, reference, needs)]
        case StoredObject():
            return [ObjectStep(move, reference, needs)]
        case Secret():
            return [SecretStep(move, reference, needs)]
        case Server():
            return _server_steps(move, resource, needs)
        case Router():
            return _router_steps(move, resource, needs)
        case _:
            return [CreateStep(move, reference, needs)]


def _router_steps(move: Move, router: Router, needs: tuple[str, ...]) -> list[Step]:
    made: list[Step] = [CreateStep(move, router.ref, needs)]
    legs = [i.ref for i in move.workload.of(RouterInterface) if i.router_id == router.id]
    if router.routes:
        made.append(RoutesStep(move, router.ref, _needs(move.plan, (router.ref, *legs))))
    return made


def _server_steps(move: Move, server: Server, needs: tuple[str, ...]) -> list[Step]:
    disks = _disks(move, server)
    made: list[Step] = [ServerStep(move, server.ref, needs)]
    if server.status == "SHUTOFF" or server.locked:
        after = _needs(move.plan, (server.ref, *(a.ref for a in disks)))
        made.append(PowerStep(move, server.ref, after))
    return made


def _disks(move: Move, server: Server) -> list[Attachment]:
    """The server's volumes that move, in the order of their devices, root first."""
    own = [a for a in move.workload.of(Attachment) if a.server_id == server.id]
    moving = [a for a in own if move.plan.by_ref[a.ref].fate.moves]
    return sorted(moving, key=lambda a: (a.boot_index != 0, len(a.device), a.device, a.id))


def _chained_attachments(move: Move, made: list[Step]) -> list[Step]:
    """Volumes are attached one after another, so that devices keep their order."""
    previous: dict[str, str] = {}
    for server in move.workload.of(Server):
        disks = _disks(move, server)
        for before, after in pairwise(disks):
            previous[after.ref] = before.ref
    return [
        CreateStep(move, s.reference, tuple(dict.fromkeys((*s.needs, previous[s.reference]))))
        if isinstance(s, CreateStep) and s.reference in previous
        else s
        for s in made
    ]


def _volume_steps(move: Move, volume: Volume, needs: tuple[str, ...]) -> list[Step]:
    """Temporaries on the source, their image on the target, the volume, and the tidying."""
    has_snapshots = any(s.volume_id == volume.id for s in move.workload.of(Snapshot))
    temporaries: list[TemporaryStep] = []
    if volume.status == "in-use":
        temporaries.append(TemporaryStep(move, volume.ref, "snapshot", "source", ()))
        temporaries.append(TemporaryStep(move, volume.ref, "copy", "source", (temporaries[-1].name,)))
    elif has_snapshots:
        temporaries.append(TemporaryStep(move, volume.ref, "clone", "source", ()))
    before = (temporaries[-1].name,) if temporaries else ()
    temporaries.append(TemporaryStep(move, volume.ref, "image", "source", before))
    temporaries.append(TemporaryStep(move, volume.ref, "arrival", "target", (temporaries[-1].name,)))
    arrival = temporaries[-1].name
    names = tuple(t.name for t in temporaries)
    return [
        *temporaries,
        VolumeStep(move, volume.ref, (*needs, arrival)),
        TidyStep(move, volume.ref, (*names, volume.ref)),
    ]


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
    def marker(self) -> str:
        """The tag of the new object."""
        return self.move.marker(self.name)

    def intend(self, done: Outputs) -> JsonObject:
        """Name, tag, and what exists that looks alike."""
        wish = self.move.wish(self.reference, done)
        before = self.move.target.lookalikes(wish)
        return {"side": "target", "name": wish.name, "marker": self.marker, "before": list(before)}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id."""
        return {"id": self.create(intent, done, progress)}

    def create(self, intent: JsonObject, done: Outputs, attempt: Attempt, source: Source = NOTHING) -> str:
        """Ensure and settle; a wish is made anew from the outputs, so it is the same each time."""
        wish = self.move.wish(self.reference, done)
        id_ = self.ensure(wish, intent, done, attempt, source)
        if not isinstance(wish, NEVER_MARKED):  # of these the id is told by their answer only: it is noted at once
            self.move.target.settle(ref(wish.own_kind, id_), LONG)
        return id_

    def ensure(
        self, wish: Resource, intent: JsonObject, done: Outputs, attempt: Attempt, source: Source = NOTHING
    ) -> str:
        """Find or create, with what is known of earlier attempts that got no answer, and of what other steps made."""
        before = _before(intent)
        if isinstance(wish, INDISTINCT):
            before += tuple(str(o["id"]) for step, o in done.items() if step != self.name and "id" in o)
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
        resource = self.move.workload.by_ref[self.reference]
        if isinstance(resource, Attachment):
            if resource.boot_index == 0:
                return  # a root disk leaves with its server
            self._remove_server(resource, done)
        for id_ in [str(output["id"])] if output else self._strays(intent, done):
            self.remove(resource.own_kind, id_)

    def _remove_server(self, disk: Attachment, done: Outputs) -> None:
        """Of a server that goes anyway, before its disk: a guest that runs may refuse to give one back, for ever."""
        server = ref(Kind.SERVER, disk.server_id)
        if server in done and self.move.plan.by_ref[server].stands_in is None:
            self.remove(Kind.SERVER, str(done[server]["id"]))

    def remove(self, kind: Kind, id_: str) -> None:
        """Delete one object of the target."""
        remove(self.move.target, kind, id_)

    def _strays(self, intent: JsonObject, done: Outputs) -> list[str]:
        """What exists of an act that was not seen to end: by marker. What only looks alike is never ours to delete."""
        wish = self.move.wish(self.reference, done)
        if isinstance(wish, Attachment):
            return [f"{wish.server_id}/{wish.volume_id}"]
        found = marked(self.move.target, wish.own_kind, {_marker(intent)}, (wish.ref,))
        return [r.id for r in found]


class ServerStep(CreateStep):
    """A server, with its root volume if it boots from one."""

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id."""
        server = self.move.workload.by_ref[self.reference]
        assert isinstance(server, Server)  # noqa: S101 - by `_steps_of`
        roots = [a for a in _disks(self.move, server) if a.boot_index == 0]
        disks = tuple(
            a.model_copy(update={"volume_id": self.move.new_id(ref(Kind.VOLUME, a.volume_id), done)}) for a in roots
        )
        return {"id": self.create(intent, done, progress, Source(disks=disks))}


class VolumeStep(CreateStep):
    """A volume from the image that arrived."""

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id."""
        arrival = str(done[f"arrival of {self.reference}"]["id"])
        return {"id": self.create(intent, done, progress, Source(image_id=arrival))}


class ImageStep(CreateStep):
    """An image with its data, streamed."""

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """The new id, and what passed."""
        wish = self.move.wish(self.reference, done)
        assert isinstance(wish, Image)  # noqa: S101 - by `_steps_of`
        target = self.move.target
        id_ = target.ensure(wish, _marker(intent))
        passed = _stream_image(self.move, id_of(self.reference), wish.model_copy(update={"id": id_}), progress)
        return {"id": id_, **passed}


def _stream_image(move: Move, source_id: str, wish: Image, progress: Progress) -> JsonObject:
    """Fill the queued image `wish.id` on the target, unless an earlier attempt did; then settle."""
    there = move.target.read(wish.ref)
    passed: JsonObject = {}
    if isinstance(there, Image) and there.status == "active":
        move.target.write_image(wish, (), None)  # completes visibility, members, protection
    else:
        passed = relay(
            move.source.image_bytes(source_id),
            lambda data, size: move.target.write_image(wish, data, size),
            progress,
        )
    move.target.settle(wish.ref, LONG)
    return passed


class ObjectStep(CreateStep):
    """An object: its bytes, or the manifest that joins others, or a symlink."""

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """The id (container/name), and what passed."""
        wish = self.move.wish(self.reference, done)
        assert isinstance(wish, StoredObject)  # noqa: S101 - by `_steps_of`
        target = self.move.target
        if wish.segments is not None or wish.symlink_to or wish.dlo_prefix is not None:
            target.write_manifest(wish, _marker(intent))
            return {"id": wish.id}
        passed = relay(
            self.move.source.object_bytes(wish.container, wish.name),
            lambda data, size: target.write_object(wish, data, _marker(intent)),
            progress,
        )
        return {"id": wish.id, **passed}


class SecretStep(CreateStep):
    """A secret and its payload, which passes through memory only."""

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The new id."""
        wish = self.move.wish(self.reference, done)
        assert isinstance(wish, Secret)  # noqa: S101 - by `_steps_of`
        target = self.move.target
        id_ = self.ensure(wish, intent, done, progress)
        if wish.content_type is not None:
            payload = self.move.source.secret_payload(id_of(self.reference))
            if payload is None:
                raise NotFound(f"{self.reference}: its payload is gone", "Make a new plan: the source has changed.")
            target.write_secret(id_, wish, payload)
        target.settle(ref(Kind.SECRET, id_), QUICK)
        return {"id": id_}


@dataclass(frozen=True)
class RoutesStep:
    """The static routes of a router, once its legs exist."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"routes of {self.reference}"

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Set them."""
        self._set(done, keep=True)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Remove them, so that the legs can go."""
        if self.reference in done:
            self._set(done, keep=False)

    def _set(self, done: Outputs, *, keep: bool) -> None:
        wish = self.move.wish(self.reference, done)
        update: dict[str, object] = {"id": self.move.new_id(self.reference, done)}
        try:
            self.move.target.set_routes(wish.model_copy(update=update if keep else {**update, "routes": ()}))
        except NotFound:
            if keep:
                raise


@dataclass(frozen=True)
class PowerStep:
    """A server that was stopped or locked is so again, after its disks are attached."""

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
        server, there = self._pair(done)
        if server.status == "SHUTOFF" and there.status != "SHUTOFF":
            self.move.target.set_power(there.id, "SHUTOFF")
        if server.locked:
            self.move.target.set_lock(there.id, True)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Unlock what we locked: its server is deleted next."""
        server = self.move.workload.by_ref[self.reference]
        if isinstance(server, Server) and server.locked:
            with suppress(NotFound):
                self.move.target.set_lock(str(self.move.new_id(self.reference, done)), False)

    def _pair(self, done: Outputs) -> tuple[Server, Server]:
        """The server of the source, and its counterpart."""
        id_ = str(self.move.new_id(self.reference, done))
        server, there = self.move.workload.by_ref[self.reference], self.move.target.read(ref(Kind.SERVER, id_))
        if not isinstance(server, Server) or not isinstance(there, Server):
            raise NotFound(f"server {id_} does not exist on the target")
        return server, there


@dataclass(frozen=True)
class TemporaryStep:
    """One temporary thing on the way of a volume; `what` says which. Deleted by `TidyStep` or by undo."""

    move: Move
    reference: Ref
    what: str
    side: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{self.what} of {self.reference}"

    @property
    def cloud(self) -> Cloud:
        """Where it is made."""
        return self.move.source if self.side == "source" else self.move.target

    @property
    def kind(self) -> Kind:
        """Of the temporary thing."""
        return TEMPORARY[self.what]

    def intend(self, done: Outputs) -> JsonObject:
        """Name and tag."""
        marker = self.move.marker(self.name)
        return {"side": self.side, "name": marker, "marker": marker, "temporary": True}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The id; for the arrival also what passed."""
        wish, source = self._wish(str(intent["name"]), done)
        id_ = insist(lambda: self.cloud.ensure(wish, _marker(intent), source=source), progress)
        if self.what == "arrival":
            assert isinstance(wish, Image)  # noqa: S101 - by `_wish`
            origin = str(done[self.needs[0]]["id"])
            return {
                "id": id_,
                **_stream_image(self.move, origin, wish.model_copy(update={"id": id_}), progress),
            }
        self.cloud.settle(ref(self.kind, id_), LONG)
        return {"id": id_}

    def _wish(self, name: str, done: Outputs) -> tuple[Resource, Source]:
        volume = self.move.workload.by_ref[self.reference]
        assert isinstance(volume, Volume)  # noqa: S101 - by `_steps_of`
        origin = str(done[self.needs[0]]["id"]) if self.needs else volume.id
        image = Image(id="-", name=name, status="queued", disk_format="raw", container_format="bare",
                      visibility="private")  # fmt: skip
        copy = Volume(id="-", name=name, status="", size_gib=volume.size_gib, volume_type=volume.volume_type)
        snapshot = Snapshot(id="-", name=name, status="", volume_id=volume.id, size_gib=volume.size_gib)
        wishes: dict[str, tuple[Resource, Source]] = {
            "snapshot": (snapshot, Source(force=True)),
            "copy": (copy, Source(snapshot_id=origin)),
            "clone": (copy, Source(volume_id=origin)),
            "image": (image, Source(volume_id=origin)),
            "arrival": (image, NOTHING),
        }
        return wishes[self.what]

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete it, by id or by marker."""
        found = [str(output["id"])] if output else [r.id for r in marked(self.cloud, self.kind, {_marker(intent)})]
        for id_ in found:
            self.cloud.delete(ref(self.kind, id_), LONG)


@dataclass(frozen=True)
class TidyStep:
    """Delete the temporaries of a volume when it has arrived."""

    move: Move
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"tidy {self.reference}"

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """In the reverse order of their making."""
        for step in reversed(self.needs):
            what, _, _ = step.partition(" of ")
            if step == self.reference:
                continue
            temporary = TemporaryStep(self.move, self.reference, what, "target" if what == "arrival" else "source", ())
            temporary.cloud.delete(ref(temporary.kind, str(done[step]["id"])), LONG)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What was tidied stays away."""


def marked(cloud: Cloud, kind: Kind, markers: Collection[str], named: Collection[Ref] = ()) -> list[Resource]:
    """What exists of a kind with one of these markers, half-made things included.

    Containers and objects, which a listing would have to look at one by one, are looked for by their Refs (`named`).
    """
    if kind in (Kind.CONTAINER, Kind.OBJECT):
        there = [cloud.read(reference) for reference in named]
        return [r for r in there if r is not None and r.marker in markers]
    kinds = (kind, Kind.PORT) if kind is Kind.ROUTER_INTERFACE else (kind,)  # a leg that was not added yet is a port
    found = [r for k in kinds for r in cloud.listing(k).resources]
    return [r for r in found if r.marker in markers or r.name in markers]


def remove(cloud: Cloud, kind: Kind, id_: str) -> None:
    """Delete something that a run made; a protection that it set itself is lifted first."""
    there = cloud.read(ref(kind, id_)) if kind is Kind.IMAGE else None
    if isinstance(there, Image) and there.protected:
        cloud.write_image(there.model_copy(update={"protected": False}), (), None)
    cloud.delete(ref(kind, id_), LONG)


def _marker(intent: JsonObject) -> str:
    return str(intent["marker"])


def _before(intent: JsonObject) -> tuple[str, ...]:
    before = intent.get("before")
    return tuple(str(i) for i in before) if isinstance(before, list) else ()


def ledger(status: Status) -> tuple[LedgerLine, ...]:
    """What the run made or meant to make, from the fold of its journal."""
    lines = []
    for step, intent in status.intents.items():
        if "marker" not in intent:
            continue
        made: Mapping[str, object] = status.outputs.get(step, {})
        temporary = bool(intent.get("temporary"))
        kind = TEMPORARY[step.partition(" of ")[0]] if temporary else kind_of(step)
        gone = temporary and status.states.get(f"tidy {step.partition(' of ')[2]}") == "done"
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
