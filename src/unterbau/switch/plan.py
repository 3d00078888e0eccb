# SPDX-License-Identifier: Apache-2.0
"""The plan of a move: a fate for every object of the source, decided before anything is written. Pure.

`planning` makes it from two censuses, a person reads and may edit it (as YAML), `move` obeys it, `verify`
accepts the differences that it declares, `evidence` keeps it. This module is the plan as data and its
consistency; how fates are chosen is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from pydantic import Field, JsonValue

from unterbau import canonical
from unterbau.errors import PlanError
from unterbau.tenant.kinds import Attachment, CloudIdentity, Container, FloatingIp, Ref, Resource, Router, Server
from unterbau.tenant.openings.model import Opened, Opening
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Outcome, Reason, Words, later

PLAN_SCHEMA = "https://unterbau.example/schema/plan/v1"


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


class Change(Model):
    """A field of the model that will differ on the target. `to` replaces the field in the wish.

    `to` is None together with `chosen_by_target` where the target chooses (e.g. a public address).
    """

    field: str
    was: JsonValue = None
    to: JsonValue = None
    chosen_by_target: bool = False
    why: Words


class Loss(Model):
    """Something that deleting the source's object takes away, and that nothing on the target gives back.

    `id` is `REF.FIELD`: by it, or by `KIND.FIELD`, a person accepts the loss at `close --source`.
    """

    id: str
    field: str
    why: Words


class Entry(Model):
    """One object of the source and its fate.

    `needs` are Refs of entries that must be there first. `stands_in` is an id that exists on the target
    already and serves instead (an image with the same hash, an equal default group): nothing is created.
    `bytes` is what crosses the wire for it. `losses` are announced: an object that has some is kept when the source
    is emptied (see `losses`).
    """

    ref: Ref
    name: str
    fate: Fate
    why: Words = ""
    remedy: Words = ""
    changes: tuple[Change, ...] = ()
    needs: tuple[Ref, ...] = ()
    stands_in: str | None = None
    bytes: int = 0
    losses: tuple[Loss, ...] = later(())

    def wish(self, resource: Resource) -> Resource:
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


REPLACED = frozenset({"flavor", "availability_zone", "availability_zone_hints", "name", "volume_type"})
"""Fields whose change takes nothing away: something of the target serves instead. Any other change is a loss."""


def losses(entry: Entry, resource: Resource, source: Workload) -> tuple[Loss, ...]:
    """All that goes with the source's object: what the plan announced or changes, what no API gives, what was not shown.

    `planning` announces them by it, and who empties a source asks again: neither an older plan nor an edited one
    makes a loss smaller.
    """
    found = {one.id: one for one in entry.losses}

    def add(field: str, why: Words) -> None:
        found.setdefault(f"{resource.ref}.{field}", Loss(id=f"{resource.ref}.{field}", field=field, why=why))

    for change in entry.changes:
        other = change.was not in (None, "", [], {}) and (change.chosen_by_target or change.was != change.to)
        if other and change.field not in REPLACED:
            add(change.field, change.why)
    if isinstance(resource, Server):
        if has_local_disk(resource, source):
            add("local_disk", Reason.of("loss.local-disk"))
        add("user_data", Reason.of("loss.user-data"))
    for field, why in source.hidden.get(resource.ref, {}).items():
        add(field, why)
    return tuple(found.values())


def has_local_disk(server: Server, side: Workload) -> bool:
    """Whether a disk of it lives on its host, where no API reads it."""
    from_volume = any(a.server_id == server.id and a.boot_index == 0 for a in side.of(Attachment))
    return server.flavor.ephemeral_gib > 0 or (server.image_id is not None and not from_volume)


class Check(Model):
    """Something that was looked at before writing: quota, names, overlaps, rights, emptiness."""

    name: str
    outcome: Outcome
    text: Words
    remedy: Words = ""


class Plan(Model):
    """The whole plan. `source_digest` is the digest of what its census lists (see `census.digest`).

    `translate` maps ids of the source's surroundings to those of the target (external networks, volume
    types by name, flavors by name, images of the provider, the project id in ACLs).
    """

    schema_: str = Field(default=PLAN_SCHEMA, alias="schema")
    model_config = {**Model.model_config, "populate_by_name": True, "serialize_by_alias": True}

    run: str
    made_at: datetime
    source: CloudIdentity
    target: CloudIdentity
    source_digest: str
    entries: tuple[Entry, ...]
    translate: dict[str, str] = Field(default_factory=dict)
    """Ref or `kind:name` of the source's surroundings -> id or name on the target; e.g.
    `external_network:<id>` -> id, `flavor:<name>` -> name, `volume_type:<name>` -> name, `image:<id>` -> id,
    `project:<id>` -> id, `zone:<compute|volume|network>:<name>` -> name."""
    checks: tuple[Check, ...] = ()
    bytes_total: int = 0
    estimate_seconds: float | None = None
    choices: tuple[str, ...] = later(())
    """What a person chose, as it was given to `--map`: `external:NAME=NAME`."""
    openings: tuple[Opening, ...] = later(())
    """What this plan opens against the source."""
    allowed_openings: tuple[str, ...] = later(())
    """Ids of the openings that a person allowed."""
    source_census: str = later("")
    """The census that it was made from: the digest of its file, byte by byte. `""`: by a version that named none."""

    @cached_property
    def by_ref(self) -> Mapping[Ref, Entry]:
        """Entries by Ref."""
        return {e.ref: e for e in self.entries}

    def allows(self) -> frozenset[tuple[Opened, str, str]]:
        """What a person allowed to be open: (kind, what, subject)."""
        return frozenset(a for o in self.openings if o.id in self.allowed_openings for a in o.atoms())

    def translated(self, resource: Resource) -> Resource:
        """A wish in which ids of the provider's things, and project ids in ACLs, are the target's."""
        if isinstance(resource, Router | FloatingIp) and resource.external_network_id:
            found = self.translate.get(f"external_network:{resource.external_network_id}")
            return resource.model_copy(update={"external_network_id": found})
        if isinstance(resource, Container):
            old, new = self.source.project_id, self.target.project_id
            acls = {f: getattr(resource, f).replace(f"{old}:", f"{new}:") for f in ("read_acl", "write_acl")}
            return resource.model_copy(update=acls)
        return resource

    def digest(self) -> str:
        """What the journal of an older run names its plan by: `sha256:..` over its canonical JSON, as this version has it."""
        return canonical.digest(self.model_dump(mode="json"))

    def check_against(self, source: Workload) -> None:
        """Refuse a plan that cannot be obeyed. Raises PlanError naming every unknown id, gap or cycle."""
        faults = [*self._unknown(source), *self._gaps(), *self._cycle()]
        if faults:
            raise PlanError(
                "the plan cannot be obeyed: " + "; ".join(faults[:8]),
                "Mend these lines of the plan, or make a new plan.",
            )

    def _unknown(self, source: Workload) -> list[str]:
        unknown = [e.ref for e in self.entries if e.ref not in source.by_ref]
        missing = [r for r in source.by_ref if r not in self.by_ref]
        doubled = len(self.entries) != len(self.by_ref)
        return (
            [f"{r} is not an object of the source" for r in unknown]
            + [f"{r} of the source has no fate" for r in missing]
            + (["an object is listed twice"] if doubled else [])
        )

    def _gaps(self) -> list[str]:
        return [
            f"{entry.ref} needs {need}, which is "
            + (f"{self.by_ref[need].fate}" if need in self.by_ref else "not in the plan")
            for entry in self.entries
            if entry.fate.moves
            for need in entry.needs
            if need not in self.by_ref or not self.by_ref[need].fate.moves
        ]

    def _cycle(self) -> list[str]:
        graph = {e.ref: [n for n in e.needs if n in self.by_ref] for e in self.entries}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return ["a circle: " + " -> ".join(error.args[1])]
        return []
