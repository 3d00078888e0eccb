# SPDX-License-Identifier: Apache-2.0
"""Empty a source after a verified move: the steps that delete, and the look just before each. `close` runs them.

What may be deleted at all is decided in `decide`. Between that look at both sides and a deletion time passes, so each
step compares its object and the counterpart once more, and reads its content again unless the cloud shows that nobody
can have written it. What is not as it was then is kept, and so is all that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeAlias

from unterbau.cloud.port import Cloud, said
from unterbau.errors import Unsupported
from unterbau.saga import JsonObject, Outputs, Progress, Step
from unterbau.switch.census import STATUS_FIELDS
from unterbau.switch.closing.decide import DELETE, ROUTES, Decision, Relations, as_before, content_stamp
from unterbau.switch.verify import Contents
from unterbau.switch.verify.structure import side_words
from unterbau.tenant.kinds import Image, Ref, Resource, Router, Secret, Server, Snapshot, Volume
from unterbau.verdict import Observation, Reason, Words

WAIT = timedelta(minutes=30)
Read: TypeAlias = Callable[[str, Resource, bool], tuple[Observation, datetime | None]]
"""Hash a content of a side now (`verify.Again.read`)."""


class Kept(Exception):
    """No error: the thing is not what was looked at, so it stays; `why` says why."""

    def __init__(self, why: Words) -> None:
        super().__init__(str(why))
        self.why = why

    def told(self) -> JsonObject:
        """As a step's output tells it."""
        return {"kept": self.why if isinstance(self.why, str) else self.why.model_dump(mode="json")}


@dataclass(frozen=True)
class Witness:
    """Says whether a thing is still what a look at both sides saw. `hashes`: what that look saw, by side and object."""

    clouds: Mapping[str, Cloud]
    look: Contents
    hashes: Mapping[tuple[str, Ref], Observation]
    read: Read

    def demand_source(self, before: Resource, going: frozenset[Ref]) -> Resource | None:
        """The source's as it is now, None if it is gone. Raises Kept if more changed than `going` does by itself."""
        there = self.clouds["source"].read(before.ref)
        if there is not None:
            own = {"status"} if isinstance(before, Server) else set()  # that somebody started or stopped one does count
            demand_same("source", before, as_before(before, there, going), STATUS_FIELDS - own)
        return there

    def demand_target(self, before: Resource, drifted: frozenset[str]) -> Resource:
        """The counterpart as it is now. Raises Kept if it is gone, or changed otherwise than in fields that may differ."""
        there = self.clouds["target"].read(before.ref)
        if there is None:
            raise Kept(Reason.of("close.no-counterpart"))
        demand_same("target", before, there, STATUS_FIELDS | before.VOLATILE | drifted)
        return there

    @cached_property
    def _snapshotted(self) -> dict[str, frozenset[str]]:
        sides = {"source": self.look.source, "target": self.look.target}
        return {side: frozenset(s.volume_id for s in seen.of(Snapshot)) for side, seen in sides.items()}

    def demand_content(self, side: str, before: Resource, there: Resource) -> JsonObject:
        """How it shows that the content is what was hashed. Raises Kept if it is not, or was not seen."""
        if isinstance(there, Volume):
            return self._volume(side, before, there)
        stamp = content_stamp(before)
        if stamp and stamp == content_stamp(there):
            return stamp
        return self._hashed(side, before, there)[0]

    def _volume(self, side: str, before: Resource, there: Volume) -> JsonObject:
        stamp = self.look.stamps.get(f"{side} {before.ref}")
        if stamp is not None and _stands_unattached(there, stamp):
            return {"updated_at": stamp.isoformat()}
        if side == "target":
            return self._hashed(side, before, there)[0]
        now = self.clouds[side].settle(before.ref, WAIT)
        if not _stands_unattached(now, None):
            raise Kept(Reason.of("close.in-use"))
        shown, stamp = self._hashed(side, before, now)
        if not _stands_unattached(self.clouds[side].read(before.ref), stamp):
            raise Kept(Reason.of("close.in-use-meanwhile"))
        return shown

    def _hashed(self, side: str, before: Resource, there: Resource) -> tuple[JsonObject, datetime | None]:
        now, stamp = self.read(side, there, there.id in self._snapshotted[side])
        told = self.hashes.get((side, before.ref))
        if now.value is None:
            raise Kept(Reason.of("close.unreadable", side=side_words(side), why=now.reason))
        if told is None or now.value != told.value:
            raise Kept(Reason.of("close.content-changed", side=side_words(side)))
        return {"sha256": now.value}, stamp

    def outlive(self, side: str, disks: Iterable[Ref]) -> None:
        """See to it that these attachments' volumes are not deleted with their server. Raises Kept if that cannot be."""
        try:
            for disk in disks:
                self.clouds[side].keep_disk(disk)
        except Unsupported as error:
            raise Kept(Reason.of("close.disk-with-it", why=said(error))) from None

    def demand_same_secret(self, source: Resource, target: Resource) -> JsonObject:
        """Payloads are compared with each other: no hash of one is kept anywhere."""
        here, there = (self.read(s, r, False)[0] for s, r in (("source", source), ("target", target)))
        if here.value is None or here.value != there.value:
            raise Kept(here.reason or there.reason or Reason.of("close.payloads-differ"))
        return {"compared": "equal"}


def demand_same(side: str, before: Resource, now: Resource, but: frozenset[str] = STATUS_FIELDS) -> None:
    """Raises Kept naming the fields that differ, but for those that change by themselves (`but`)."""
    fields = (f for f in type(before).model_fields if f not in but)
    changed = [f for f in fields if getattr(before, f) != getattr(now, f, None)]
    if changed:
        raise Kept(Reason.of("close.changed", side=side_words(side), fields=changed))


def _stands_unattached(volume: Resource | None, since: datetime | None) -> bool:
    """Whether it is a volume that nobody has attached (since a moment that its `updated_at` told)."""
    unattached = isinstance(volume, Volume) and volume.status == "available"
    return unattached and (since is None or getattr(volume, "updated_at", None) == since)


def emptying_steps(decision: Decision, pairs: Mapping[Ref, Ref], witness: Witness) -> list[Step]:
    """Steps that delete what was chosen, each after all that stands on it; a server goes before its disks."""
    source, target = witness.look.source, witness.look.target
    relations, chosen = Relations(source), frozenset(decision.chosen)
    waits: dict[Ref, list[str]] = {r: [] for r in decision.chosen}
    for reference in decision.chosen:
        for need in relations.under(source.by_ref[reference]):
            if need in chosen:
                waits[need].append(f"{DELETE}{reference}")
    steps: list[Step] = []
    for reference in decision.chosen:
        resource = source.by_ref[reference]
        if isinstance(resource, Router):
            legs = [leg for leg in relations.legs(resource) if leg in chosen]
            before = dict.fromkeys(name for leg in legs for name in waits[leg])
            steps.append(RoutesStep(resource, chosen, witness, tuple(before)))
            for one in (reference, *legs):
                waits[one].append(f"{ROUTES}{reference}")
    claimed = {v.claim.subject for v in witness.look.verdicts if v.claim.kind == "content"}
    for reference in decision.chosen:
        steps.append(
            DeleteStep(
                resource=source.by_ref[reference],
                counterpart=target.by_ref[pairs[reference]],
                has_content=reference in claimed,
                disks=doomed_disks(relations, reference),
                drifted=decision.drifted.get(reference, frozenset()),
                chosen=chosen,
                witness=witness,
                needs=tuple(dict.fromkeys(waits[reference])),
            )
        )
    return steps


def doomed_disks(relations: Relations, server: Ref) -> tuple[Ref, ...]:
    """Attachments of a server whose volumes the cloud deletes with it (() of anything else)."""
    return tuple(a.ref for a in relations.disks(server) if a.delete_on_termination)


@dataclass(frozen=True)
class RoutesStep:
    """Take a router's static routes away, which hold its legs; first of all compare it."""

    resource: Router
    chosen: frozenset[Ref]
    witness: Witness
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{ROUTES}{self.resource.ref}"

    def intend(self, done: Outputs) -> JsonObject:
        """The routes that go."""
        return {"ref": self.resource.ref, "routes": len(self.resource.routes)}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Gone already is done."""
        try:
            _demand_gone(self.needs, done)
            there = self.witness.demand_source(self.resource, self.chosen)
        except Kept as kept:
            return kept.told()
        if isinstance(there, Router) and there.routes:
            self.witness.clouds["source"].set_routes(there.model_copy(update={"routes": ()}))
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """The router goes next."""


@dataclass(frozen=True)
class DeleteStep:
    """Delete one object of the source, if both sides still are what was looked at."""

    resource: Resource
    counterpart: Resource
    has_content: bool
    """Whether a claim was made about its content (a link has none, nor has a secret without payload)."""
    disks: tuple[Ref, ...]
    """Attachments of a server whose volumes the cloud would delete with it."""
    drifted: frozenset[str]
    chosen: frozenset[Ref]
    witness: Witness
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{DELETE}{self.resource.ref}"

    def intend(self, done: Outputs) -> JsonObject:
        """What is to be deleted, and what protects it."""
        return {"ref": self.resource.ref, "name": self.resource.name, "lifted": protection(self.resource)}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Compare, then delete: `{deleted, source, target}`; `{gone}` if it went before; `{kept}` with the reason."""
        try:
            _demand_gone(self.needs, done)
            there = self.witness.demand_source(self.resource, self.chosen)
            if there is None:
                return {"gone": True}
            shown = self._compared(there)
            self._unprotect(there)
        except Kept as kept:
            return kept.told()
        self.witness.clouds["source"].delete(self.resource.ref, WAIT)
        return {"deleted": True, **shown}

    def _compared(self, there: Resource) -> JsonObject:
        """The counterpart once more, and both contents."""
        twin = self.witness.demand_target(self.counterpart, self.drifted)
        if not self.has_content:
            return {}
        if isinstance(there, Secret):
            return {"source": self.witness.demand_same_secret(there, twin)}
        shown: JsonObject = {}
        if "content" not in self.drifted:
            shown["target"] = self.witness.demand_content("target", self.counterpart, twin)
        shown["source"] = self.witness.demand_content("source", self.resource, there)
        return shown

    def _unprotect(self, there: Resource) -> None:
        """A disk outlives its server and is compared by itself; lock and protection go with the typed confirmation."""
        source = self.witness.clouds["source"]
        if isinstance(there, Server):
            self.witness.outlive("source", self.disks)
            if there.locked:
                source.set_lock(there.id, False)
        if isinstance(there, Image) and there.protected:
            source.write_image(there.model_copy(update={"protected": False}), (), None)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What is deleted does not come back."""


def protection(resource: Resource) -> str:
    """What protects the thing from deletion (`locked`, `protected`), or ""."""
    if isinstance(resource, Server) and resource.locked:
        return "locked"
    return "protected" if isinstance(resource, Image) and resource.protected else ""


def _demand_gone(needs: tuple[str, ...], done: Outputs) -> None:
    """Raises Kept if something that stands on it stays after all."""
    for name in needs:
        if "kept" in done[name]:
            whose = name.removeprefix(DELETE).removeprefix(ROUTES)
            raise Kept(Reason.of("close.needed", by=whose))
