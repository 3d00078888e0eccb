# SPDX-License-Identifier: Apache-2.0
"""What becomes of an object of the source, as data: its fate, its changes, its losses. Pure.

Each kind chooses fates (`ResourceBase.fate`), `switch.planning` gathers them into a plan, `verify` and `close` hold both
sides against them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pydantic import JsonValue

from unterbau.errors import PlanError
from unterbau.verdict import Model, Outcome, Words, later

if TYPE_CHECKING:
    from unterbau.tenant.kinds.base import Ref, ResourceBase

A = TypeVar("A", bound="ResourceBase")


class Fate(StrEnum):
    """What becomes of an object of the source."""

    CARRIED = "carried"
    CHANGED = "carried, changed"
    LEFT = "left"
    NOT_SHOWN = "not shown"

    @property
    def moves(self) -> bool:
        """Whether the object will be on the target."""
        return self in (Fate.CARRIED, Fate.CHANGED)


class Guests(StrEnum):
    """What becomes of the guests that move. In a rehearsal they are copies of what runs elsewhere, and must do nothing there."""

    RUN = ""
    """As they ran."""
    STILL = "still"
    """Nothing leaves them from birth, and they are stopped as soon as they are whole."""
    CONFINED = "confined"
    """They run, and reach the project's own networks alone."""


class Change(Model):
    """A field of the model that will differ on the target. `to` replaces the field in the wish.

    `to` is None together with `chosen_by_target` where the target chooses (e.g. a public address).
    """

    field: str
    was: JsonValue = None
    to: JsonValue = None
    chosen_by_target: bool = False
    why: Words

    @property
    def takes_away(self) -> bool:
        """Whether something was there that will not be."""
        return self.was not in (None, "", [], {}) and (self.chosen_by_target or self.was != self.to)


class Loss(Model):
    """Something that deleting the source's object takes away, and that nothing on the target gives back.

    `id` is `REF.FIELD`: by it, or by `KIND.FIELD`, a person accepts the loss at `close --source`.
    """

    id: str
    field: str
    why: Words

    @classmethod
    def of(cls, reference: Ref, field: str, why: Words) -> Loss:
        """The loss of a field, or of something that no field shows."""
        return cls(id=f"{reference}.{field}", field=field, why=why)


class Entry(Model):
    """One object of the source and its fate.

    `needs` are Refs of entries that must be there first. `stands_in` is an id that exists on the target
    already and serves instead (an image with the same hash, an equal default group): nothing is created.
    `bytes` is what crosses the wire for it. `losses` are announced: an object that has some is kept when the source
    is emptied (see `switch.plan.losses`).
    """

    ref: str
    name: str
    fate: Fate
    why: Words = ""
    remedy: Words = ""
    changes: tuple[Change, ...] = ()
    needs: tuple[str, ...] = ()
    stands_in: str | None = None
    bytes: int = 0
    losses: tuple[Loss, ...] = later(())
    objects: int = later(0)
    """Of a crowded container: how many objects it holds that have no entries of their own; what becomes of it becomes of them."""
    carries_disk: bool = later(False)
    """Whether the disk that it has on its host travels, as an image that its cloud makes of it (of a server)."""

    def chosen(self) -> frozenset[str]:
        """Fields that the target decides, as the plan says."""
        return frozenset(c.field for c in self.changes if c.chosen_by_target)

    def wish(self, resource: A) -> A:
        """The resource with the declared changes (ids are still the source's). Raises PlanError."""
        update = {c.field: c.to for c in self.changes if not c.chosen_by_target}
        if not update:
            return resource
        unknown = update.keys() - type(resource).model_fields.keys()
        if unknown:
            raise PlanError(
                f"plan: {self.ref} changes {', '.join(sorted(unknown))}, which it does not have",
                "Name fields of the census, or remove the change.",
            )
        try:
            return type(resource).model_validate({**resource.model_dump(), **update})
        except ValueError as error:
            raise PlanError(f"plan: {self.ref}: {error}", "Mend the change in the plan.") from None


class Check(Model):
    """Something that was looked at before writing: quota, names, overlaps, rights, emptiness."""

    name: str
    outcome: Outcome
    text: Words
    remedy: Words = ""
