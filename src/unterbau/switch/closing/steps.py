# SPDX-License-Identifier: Apache-2.0
"""Empty a source after a verified move: the steps that delete, and the look just before each. `close` runs them.

What may be deleted at all is decided in `decide`. Between that look at both sides and a deletion time passes, so each
step compares its object and the counterpart once more, and reads its content again unless the cloud shows that nobody
can have written it. What is not as it was then is kept, and so is all that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from pydantic import JsonValue

from unterbau.cloud.content import unprotect
from unterbau.cloud.port import Cloud, said
from unterbau.errors import Broken, CloudError, Conflict, NotFound, Unsupported
from unterbau.saga import JsonObject, Outputs, Progress, Step
from unterbau.switch.closing.decide import DELETE, LOCAL_DISK, STEPS, Decision, Part, as_before
from unterbau.switch.closing.parts import NOTHING, Texts
from unterbau.switch.manifest import Line
from unterbau.switch.verify import Contents
from unterbau.switch.verify.holding import side_words
from unterbau.tenant.kinds import Content, Ref, Resource, id_of
from unterbau.tenant.kinds.object import stored
from unterbau.verdict import Observation, Reason, Words

WAIT = timedelta(minutes=30)
ODD = (Broken, Conflict, NotFound, Unsupported)
"""Errors of one object, which say nothing of the next."""
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
            demand_same("source", before, as_before(before, there, going), before.MOMENT & before.VOLATILE)
        return there

    def demand_target(self, before: Resource, drifted: frozenset[str]) -> Resource:
        """The counterpart as it is now. Raises Kept if it is gone, or changed otherwise than in fields that may differ."""
        there = self.clouds["target"].read(before.ref)
        if there is None:
            raise Kept(Reason.of("close.no-counterpart"))
        demand_same("target", before, there, before.MOMENT | before.VOLATILE | drifted)
        return there

    def demand_content(self, side: str, before: Resource, there: Resource) -> JsonObject:
        """How it shows that the content is what was hashed. Raises Kept if it is not, or was not seen."""
        if there.KNOWN.content in (Content.DISK, Content.NONE):  # what has none by its kind has a disk of its own
            return self._disk(side, before, there)
        stamp = before.stamp()
        if stamp and stamp == there.stamp():
            return stamp
        return self._hashed(side, before, there)[0]

    def _disk(self, side: str, before: Resource, there: Resource) -> JsonObject:
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
        seen = self.look.source if side == "source" else self.look.target
        now, stamp = self.read(side, there, there.backed(seen.relations))
        told = self.hashes.get((side, before.ref))
        if now.value is None:
            raise Kept(Reason.of("close.unreadable", side=side_words(side), why=now.reason))
        if told is None or now.value != told.value:
            raise Kept(Reason.of("close.content-changed", side=side_words(side)))
        return {"sha256": now.value}, stamp

    def demand_stored(self, side: str, line: Line, there: Resource) -> str:
        """The hash of an object's content, if it had to be read anew to see that it is that of the manifest. Raises Kept if it is not."""
        stamp = line.thing().stamp()
        if stamp and stamp == there.stamp():
            return ""
        now, _ = self.read(side, there, False)
        if now.value is None:
            raise Kept(Reason.of("close.unreadable", side=side_words(side), why=now.reason))
        if not line.sha256 or now.value != line.sha256:
            raise Kept(Reason.of("close.content-changed", side=side_words(side)))
        return line.sha256

    def outlive(self, side: str, disks: Iterable[Ref]) -> None:
        """See to it that these attachments' volumes are not deleted with their server. Raises Kept if that cannot be."""
        try:
            for disk in disks:
                with suppress(NotFound):  # detached already, or gone with its server in an earlier try: nothing ties it
                    self.clouds[side].keep_disk(disk)
        except Unsupported as error:
            raise Kept(Reason.of("close.disk-with-it", why=said(error))) from None

    def demand_same_secret(self, source: Resource, target: Resource) -> JsonObject:
        """Payloads are compared with each other: no hash of one is kept anywhere."""
        here, there = (self.read(s, r, False)[0] for s, r in (("source", source), ("target", target)))
        if here.value is None or here.value != there.value:
            raise Kept(here.reason or there.reason or Reason.of("close.payloads-differ"))
        return {"compared": "equal"}


def demand_same(side: str, before: Resource, now: Resource, but: frozenset[str] | None = None) -> None:
    """Raises Kept naming the fields that differ, but for those of `but` (None: those that change by themselves)."""
    but = before.MOMENT if but is None else but
    fields = (f for f in type(before).model_fields if f not in but)
    changed = [f for f in fields if getattr(before, f) != getattr(now, f, None)]
    if changed:
        raise Kept(Reason.of("close.changed", side=side_words(side), fields=changed))


def _stands_unattached(disk: Resource | None, since: datetime | None) -> bool:
    """Whether it is a disk that nobody has attached (since a moment that the cloud told)."""
    if disk is None or not disk.is_unattached():
        return False
    return since is None or disk.unattached_since() == since


def emptying_steps(
    decision: Decision, pairs: Mapping[Ref, Ref], witness: Witness, put_back: Iterable[Ref] = (), texts: Texts = NOTHING
) -> list[Step]:
    """Steps that delete what was chosen, each after all that stands on it; a server goes before its disks.

    `put_back`: what earlier attempts took, and what is left shows it (a port whose server is gone). `texts`: what the crowded
    containers hold of which the decision has parts.
    """
    source, target = witness.look.source, witness.look.target
    relations, chosen = source.relations, frozenset(decision.chosen)
    waits: dict[Ref, list[str]] = {r: [] for r in decision.chosen}
    going = chosen.union(put_back)
    for reference in decision.chosen:
        for need in relations.under(source.by_ref[reference]):
            if need in chosen:
                waits[need].append(f"{DELETE}{reference}")
    steps: list[Step] = []
    for part in decision.parts:
        if part.going:
            steps.append(EmptyStep(part, texts, witness))
            if part.container in waits:
                waits[part.container].append(part.step)
    for reference in decision.chosen:
        resource = source.by_ref[reference]
        if resource.unbound() is not None:
            held = [one for one in resource.held_by(relations) if one in chosen]
            before = dict.fromkeys(name for one in held for name in waits[one])
            steps.append(BondsStep(resource, going, witness, tuple(before)))
            for one in (reference, *held):
                waits[one].append(f"{resource.BONDS}{reference}")
    claimed = {v.claim.subject for v in witness.look.verdicts if v.claim.kind == "content"}
    for reference in decision.chosen:
        steps.append(
            DeleteStep(
                resource=source.by_ref[reference],
                counterpart=target.by_ref[pairs[reference]],
                has_content=reference in claimed and LOCAL_DISK not in decision.drifted.get(reference, ()),
                disks=source.by_ref[reference].doomed(relations),
                drifted=decision.drifted.get(reference, frozenset()),
                going=going,
                witness=witness,
                needs=tuple(dict.fromkeys(waits[reference])),
            )
        )
    return steps


@dataclass(frozen=True)
class EmptyStep:
    """Delete the objects of one part of a crowded container, each if both sides still have what was looked at.

    What it is about stands in its intent and in the manifest of the source, whose digest the journal's plan has in it.
    """

    part: Part
    texts: Texts
    witness: Witness
    needs: tuple[str, ...] = ()
    told: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    """Of an attempt before this one, in this process: name -> what became of it."""

    @property
    def name(self) -> str:
        """See `Step`."""
        return self.part.step

    def intend(self, done: Outputs) -> JsonObject:
        """Which lines of the manifest, and which of them not."""
        return self.part.intent()

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """`{deleted}` how many; `stayed` and why, what was `gone` before, what was `read` anew: those by name."""
        box, chunk = id_of(self.part.container), self.part.chunk
        failed: dict[str, CloudError] = {}
        beside = self.texts["target"].between(box, chunk.first, chunk.last)
        twin = next(beside, None)
        for line in self.part.lines(self.texts["source"]):
            while twin is not None and twin.name < line.name:
                twin = next(beside, None)
            if line.name not in self.told:
                progress(len(self.told), self.part.going)
                try:
                    self.told[line.name] = self._delete(line, twin if twin and twin.name == line.name else None)
                except ODD as error:
                    if error.transient or error.uncertain:
                        raise
                    failed[line.name] = error
        if failed:
            name, first = next(iter(failed.items()))
            what = f"{len(failed)} of {self.part.going} objects of {self.part.container} were not deleted, first {name}"
            raise Conflict(f"{what}: {first.what}", first.remedy)
        found: JsonObject = {"deleted": sum("deleted" in one for one in self.told.values())}
        # by Refs: a name alone might be named like a secret, which no journal takes
        stayed = {stored(box, name): one["kept"] for name, one in self.told.items() if "kept" in one}
        read = {stored(box, name): one["read"] for name, one in self.told.items() if "read" in one}
        gone: list[JsonValue] = [stored(box, name) for name, one in self.told.items() if "gone" in one]
        found |= {what: told for what, told in (("stayed", stayed), ("read", read), ("gone", gone)) if told}
        self.told.clear()
        return found

    def _delete(self, line: Line, twin: Line | None) -> JsonObject:
        """Compare, then delete: as `DeleteStep` does, but that what a stamp shows is not told."""
        before, drifted = line.thing(), self.part.drifted.get(line.ref, frozenset())
        try:
            there = self.witness.demand_source(before, frozenset())
            if there is None:
                return {"gone": True}
            if twin is None:
                raise Kept(Reason.of("close.no-counterpart"))
            counterpart = self.witness.demand_target(twin.thing(), drifted)
            read: JsonObject = {}
            sides = [("target", twin, counterpart)] if "content" not in drifted else []
            for side, told, now in (*sides, ("source", line, there)):
                if digest := self.witness.demand_stored(side, told, now):
                    read[side] = digest
            unprotect(self.witness.clouds["source"], there)
        except Kept as kept:
            return kept.told()
        self.witness.clouds["source"].delete(line.ref, WAIT)
        return {"deleted": True, **({"read": read} if read else {})}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What is deleted does not come back."""


@dataclass(frozen=True)
class BondsStep:
    """Take away what holds others on a thing (a router's static routes its legs); first of all compare it."""

    resource: Resource
    going: frozenset[Ref]
    witness: Witness
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{self.resource.BONDS}{self.resource.ref}"

    def intend(self, done: Outputs) -> JsonObject:
        """What goes, and how many."""
        return {"ref": self.resource.ref, self.resource.BONDS.split()[0]: self.resource.bonds()}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Gone already is done."""
        try:
            _demand_gone(self.needs, done)
            there = self.witness.demand_source(self.resource, self.going)
        except Kept as kept:
            return kept.told()
        bare = there.unbound() if there is not None else None
        if bare is not None and bare != there:
            self.witness.clouds["source"].set_bonds(bare)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """It goes next itself."""


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
    going: frozenset[Ref]
    witness: Witness
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{DELETE}{self.resource.ref}"

    def intend(self, done: Outputs) -> JsonObject:
        """What is to be deleted, and what protects it."""
        return {"ref": self.resource.ref, "name": self.resource.name, "lifted": self.resource.protection()}

    def act(self, intent: JsonObject, done: Outputs, progress: Progress) -> JsonObject:
        """Compare, then delete: `{deleted, source, target}`; `{gone}` if it went before; `{kept}` with the reason."""
        try:
            _demand_gone(self.needs, done)
            there = self.witness.demand_source(self.resource, self.going)
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
        if there.KNOWN.content is Content.PAYLOAD:
            return {"source": self.witness.demand_same_secret(there, twin)}
        shown: JsonObject = {}
        if "content" not in self.drifted:
            shown["target"] = self.witness.demand_content("target", self.counterpart, twin)
        shown["source"] = self.witness.demand_content("source", self.resource, there)
        return shown

    def _unprotect(self, there: Resource) -> None:
        """A disk outlives its server and is compared by itself; lock and protection go with the typed confirmation."""
        source = self.witness.clouds["source"]
        self.witness.outlive("source", self.disks)
        unprotect(source, there)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What is deleted does not come back."""


def _demand_gone(needs: tuple[str, ...], done: Outputs) -> None:
    """Raises Kept if something that stands on it stays after all."""
    for name in needs:
        stayed = done[name].get("stayed")
        if isinstance(stayed, dict) and stayed:
            raise Kept(Reason.of("close.needed", by=next(iter(stayed))))
        if "kept" in done[name]:
            whose = next((name.removeprefix(start) for start in STEPS if name.startswith(start)), name)
            raise Kept(Reason.of("close.needed", by=whose))
