# SPDX-License-Identifier: Apache-2.0
"""The steps by which a cut-over carries only those blocks of volumes that changed, through a helper guest on each side. `cutting` adds them.

Only where the plan says so (`plan --helper`). Volumes that servers use are copied whole while the source lives, by the way that all
volumes go (`steps`). Before the stop a guest is made in each project, with a security group of its own that lets in ssh from the
addresses that a person named, and out what asks for an address. After it the new copy of a volume is given to the source's guest, the target's volume
to the target's, and they are made equal (`blocks`). Whatever is not so goes whole, as without helpers, and says why: no quota, a guest
that nobody reaches, blocks that do not agree. The guests go when all volumes are there.

What is made here has name and mark in the journal before, as all temporaries; the rule of a group goes with it. A volume on a guest is
taken off before the step ends, and by its undoing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import JsonValue

from unterbau.cloud.disks import length_of
from unterbau.cloud.port import Cloud
from unterbau.cloud.waiting import heeded
from unterbau.errors import CloudError, NotFound
from unterbau.saga import Attempt, JsonObject, Outputs, Step, insist
from unterbau.switch.helper import ADDRESS, GROUP, HELPS, PORT, SERVER, SIDES, Helper, address_of, disk_on
from unterbau.switch.move.blocks import Disk, Guest, Unhelped, equalise, host_keys
from unterbau.switch.move.steps import (
    LONG,
    QUICK,
    ArriveStep,
    Move,
    TemporaryStep,
    TidyStep,
    blocks_of,
    earlier_disk,
    marked,
)
from unterbau.tenant.kinds import Kind, Ref, Resource, id_of, kind_of, ref
from unterbau.tenant.kinds.volume import EARLIER

GUEST_SECONDS = 300.0
"""How long a helper may take to boot and let us in."""
LOOK_SECONDS = 2.0


def guest_of(side: str) -> str:
    """The step that waits until the helper of a side answers."""
    return f"helper guest of {side}"


def lacking_in(done: Outputs, steps: Iterable[str]) -> JsonObject:
    """The output of the first of these that helped no further; empty if all did."""
    told = (done.get(step, {}) for step in steps)
    return next(({"none": one["none"]} for one in told if "none" in one), {})


def soft(side: str, what: str, error: CloudError | Unhelped) -> JsonObject:
    """The output of a step that helps no further; it is said, since then all goes whole."""
    why = error.what if isinstance(error, CloudError) else str(error)
    heeded().say(f"{side}: {what}, so that volumes go whole: {why}")
    return {"none": why}


@dataclass(frozen=True)
class HelperStep:
    """One of the things of which a helper is made. `what`: see `HELPS`. What its cloud refuses is no failure."""

    move: Move
    helper: Helper
    what: str
    side: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return f"{self.what} of {self.side}"

    @property
    def cloud(self) -> Cloud:
        """Where it is made."""
        return self.move.cloud(self.side)

    @property
    def kind(self) -> Kind:
        """Of the thing."""
        return HELPS[self.what]

    def intend(self, done: Outputs) -> JsonObject:
        """Name and tag."""
        marker = self.move.marker(self.name)
        return {"side": self.side, "name": marker, "marker": marker, "temporary": True}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The id, and the address of what is reached; or `none`: why there is no helper."""
        if lacking := lacking_in(done, self.needs):
            return lacking
        marker = str(intent["marker"])
        try:
            id_ = insist(lambda: self.cloud.ensure(self._wish(marker, done), marker), progress)
            there = self.cloud.settle(ref(self.kind, id_), LONG)
            if self.what == GROUP:
                for rule in self.helper.rules(self.side, id_):
                    self.cloud.ensure(rule, marker)
        except CloudError as error:
            if error.transient or error.uncertain:
                raise
            return soft(self.side, "there is no helper guest", error)
        address = address_of(there)
        return {"id": id_, **({"address": address} if address else {})}

    def _wish(self, name: str, done: Outputs) -> Resource:
        def id_(what: str) -> str:
            if what in HELPS:
                return str(done[f"{what} of {self.side}"]["id"])
            made = self.move.new_id(what, done) if self.side != SIDES[0] else None
            return made or id_of(what)  # else the provider's

        return self.helper.wish(self.what, self.side, name, id_)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Delete it, by id or by marker."""
        found = [str(output["id"])] if output and "id" in output else []
        found = found or [r.id for r in marked(self.cloud, self.kind, {str(intent["marker"])})]
        for id_ in found:
            self.cloud.delete(ref(self.kind, id_), LONG)


@dataclass(frozen=True)
class GuestStep:
    """Wait until a helper tells its host keys on its console, and lets us in. One that does not is no failure."""

    move: Move
    helper: Helper
    side: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return guest_of(self.side)

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """Its `address` and host `keys`; or `none`."""
        if lacking := lacking_in(done, self.needs):
            return lacking
        cloud = self.move.cloud(self.side)
        server = str(done[f"{SERVER} of {self.side}"]["id"])
        told = [done.get(f"{what} of {self.side}", {}).get("address", "") for what in (ADDRESS, PORT)]
        address = str(told[0] or told[1])
        try:
            if not address:
                raise Unhelped("it has no address")
            return {"address": address, "keys": self._waited(cloud, server, address, progress)}
        except (CloudError, Unhelped) as error:
            if isinstance(error, CloudError) and error.transient:
                raise
            return soft(self.side, "the helper guest does not answer", error)

    def _waited(self, cloud: Cloud, server: str, address: str, progress: Attempt) -> list[JsonValue]:
        end, why = time.monotonic() + GUEST_SECONDS, "its console shows no host keys of ssh"
        while True:
            if keys := host_keys(cloud.console(server)):
                guest = entered(self.move, self.helper, self.side, address, keys)
                why = guest.answers()
                if not why:
                    return [*keys]
            if time.monotonic() >= end:
                raise Unhelped(why)
            progress(0, None)
            time.sleep(LOOK_SECONDS)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Nothing was made."""


def entered(move: Move, helper: Helper, side: str, address: str, keys: Iterable[str]) -> Guest:
    """How that guest is entered; its host keys stand in a file."""
    assert move.work is not None  # noqa: S101 - a drill has a folder
    guest = Guest(side, address, helper.port, helper.user, helper.key, move.work / f"helper-{side}.known")
    guest.trusting(keys)
    return guest


class EarlierStep(ArriveStep):
    """The volume on the target, made while the source lives, under the mark of the volume itself."""

    @property
    def name(self) -> str:
        """See `Step`."""
        return earlier_disk(self.reference)

    @property
    def marker(self) -> str:
        """That of the volume: `BlockArriveStep` finds it by it."""
        return self.move.marker(self.reference)

    @property
    def arrival(self) -> TemporaryStep:
        """Its own image."""
        return replace(super().arrival, when=EARLIER)

    def intend(self, done: Outputs) -> JsonObject:
        """A temporary until the volume itself stands in the ledger."""
        return {**super().intend(done), "temporary": True}


@dataclass(frozen=True)
class BlocksStep:
    """Both disks on their guests, made equal, and taken off again. `spared`: the volume need not go whole; `none`: why it must."""

    move: Move
    helper: Helper
    reference: Ref
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step`."""
        return blocks_of(self.reference)

    def intend(self, done: Outputs) -> JsonObject:
        """Which volume goes on which guest."""
        guests = [done[f"{SERVER} of {side}"].get("id") for side in SIDES]
        return {"source": [guests[0], done[f"copy of {self.reference}"]["id"]],
                "target": [guests[1], done[earlier_disk(self.reference)]["id"]]}  # fmt: skip

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """See the class; also what passed."""
        if lacking := lacking_in(done, map(guest_of, SIDES)):
            return lacking
        called = f"volume {self.move.workload.by_ref[self.reference].name}"
        try:
            for side in SIDES:
                insist(lambda s=side: self._attached(s, intent), progress)  # type: ignore[misc]
            source, target = (self._disk(side, intent, done) for side in SIDES)
            passed = equalise(source, target, progress)
        except (CloudError, Unhelped) as error:
            if isinstance(error, CloudError) and (error.transient or error.uncertain):
                raise
            told = soft("blocks", f"{called} could not be made equal", error)
            self._taken_off(intent)
            return told
        self._taken_off(intent)
        return {"spared": True, **passed}

    def _attached(self, side: str, intent: JsonObject) -> None:
        server, volume = _pair(intent, side)
        cloud = self.move.cloud(side)
        cloud.ensure(disk_on(server, volume), self.move.marker(self.name))
        there = cloud.settle(ref(kind_of(self.reference), volume), QUICK)
        if not there.is_occupied():
            raise Unhelped(f"{side}: the volume was not attached")

    def _disk(self, side: str, intent: JsonObject, done: Outputs) -> Disk:
        told, volume = done[guest_of(side)], self.move.workload.by_ref[self.reference]
        keys = told["keys"]
        assert isinstance(keys, list)  # noqa: S101 - see `GuestStep`
        guest = entered(self.move, self.helper, side, str(told["address"]), map(str, keys))
        return Disk(guest, _pair(intent, side)[1], length_of(volume))

    def _taken_off(self, intent: JsonObject) -> None:
        for side in SIDES:
            server, volume = _pair(intent, side)
            cloud, reference = self.move.cloud(side), ref(kind_of(self.reference), volume)
            with suppress(NotFound):
                cloud.delete(disk_on(server, volume).ref, QUICK)
                cloud.settle(reference, QUICK)

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Take both off."""
        if output is None and all(_pair(intent, side)[0] != "None" for side in SIDES):
            self._taken_off(intent)


def _pair(intent: JsonObject, side: str) -> tuple[str, str]:
    told = intent[side]
    assert isinstance(told, list)  # noqa: S101 - see `BlocksStep.intend`
    return str(told[0]), str(told[1])


class BlockArriveStep(ArriveStep):
    """A volume whose blocks were carried; else that earlier one goes, and it is made of what arrived whole."""

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """The id."""
        earlier = str(done[earlier_disk(self.reference)]["id"])
        if "spared" in done[blocks_of(self.reference)]:
            self.move.target.settle(ref(self.resource.own_kind, earlier), LONG)
            return {"id": earlier}
        self.remove(self.resource.own_kind, earlier)
        return super().act(intent, done, progress)


@dataclass(frozen=True)
class HelperTidyStep:
    """The helper of a side goes, when all volumes are there."""

    made: tuple[HelperStep, ...]
    side: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `Step` and `steps.ledger`."""
        return f"tidy {self.side}"

    def intend(self, done: Outputs) -> JsonObject:
        """Nothing is made."""
        return {}

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """In the reverse order of their making: the server first, that lets go of port and address."""
        for one in reversed(self.made):
            id_ = done[one.name].get("id")
            if id_ is not None:
                one.cloud.delete(ref(one.kind, str(id_)), LONG)
        return {}

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """What was tidied stays away."""


def with_blocks(
    move: Move, helper: Helper, steps: Sequence[Step], volumes: Sequence[Ref], before: str
) -> tuple[list[Step], list[Step]]:
    """The steps with those volumes by blocks; and the steps of the helpers, which need `before`."""
    helps: list[Step] = []
    made: list[Step] = []
    chosen = set(volumes)
    for step in steps:
        if isinstance(step, ArriveStep) and step.reference in chosen:
            blocks = BlocksStep(move, helper, step.reference, _before_blocks(step.reference))
            made += [blocks, BlockArriveStep(move, step.reference, (*step.needs, blocks.name))]
        elif isinstance(step, TemporaryStep) and step.reference in chosen and step.name.startswith("image of "):
            made.append(replace(step, needs=(*step.needs, blocks_of(step.reference))))
        else:
            made.append(step)
    for step in steps:
        if isinstance(step, ArriveStep) and step.reference in chosen:
            chain = [s for s in steps if isinstance(s, TemporaryStep) and s.reference == step.reference]
            earlier: list[Step] = [replace(s, when=EARLIER, needs=tuple(EARLIER + n for n in s.needs)) for s in chain]
            names = tuple(s.name for s in earlier)
            rest = tuple(n for n in step.needs if n not in {s.name for s in chain})
            disk = EarlierStep(move, step.reference, (*rest, names[-1]))
            made += [*earlier, disk, TidyStep(move, step.reference, (*names, disk.name), EARLIER)]
    for side in SIDES:
        helps += _helper(move, helper, side, before, tuple(volumes))
    return made, helps


def _before_blocks(reference: Ref) -> tuple[str, ...]:
    return (
        *map(guest_of, SIDES),
        *(f"{SERVER} of {side}" for side in SIDES),
        earlier_disk(reference),
        f"copy of {reference}",
    )


def _helper(move: Move, helper: Helper, side: str, before: str, volumes: tuple[Ref, ...]) -> list[Step]:
    """What is made for one side, each after what it is made with."""

    def one(what: str, *needs: str) -> HelperStep:
        return HelperStep(move, helper, what, side, (before, *(f"{need} of {side}" for need in needs)))

    address = [one(ADDRESS, PORT)] if helper.place(side).external_network_id else []
    made = (one(GROUP), one(PORT, GROUP), *address, one(SERVER, PORT))
    guest = GuestStep(move, helper, side, tuple(s.name for s in made))
    return [*made, guest, HelperTidyStep(made, side, (guest.name, *(s.name for s in made), *volumes))]
