# SPDX-License-Identifier: Apache-2.0
"""The plan of a move: a fate for every object of the source, decided before anything is written. Pure.

`planning` makes it from two censuses, a person reads and may edit it (as YAML), `move` obeys it, `verify`
accepts the differences that it declares, `evidence` keeps it. This module is the plan as data and its
consistency; how fates are chosen is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from pydantic import Field

from unterbau import canonical
from unterbau.errors import PlanError
from unterbau.switch.helper import Helper, used_by
from unterbau.switch.probes.model import Probe, faults
from unterbau.tenant.kinds import (
    KINDS,
    Check,
    CloudIdentity,
    Entry,
    Fate,
    Guests,
    Loss,
    Opened,
    R,
    Ref,
    ResourceBase,
    Side,
    id_of,
    kind_of,
    ref,
)
from unterbau.tenant.kinds.object import STORE, store_of
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Outcome, Words, later

PLAN_SCHEMA = "https://unterbau.example/schema/plan/v1"


def losses(entry: Entry, resource: ResourceBase, source: Workload) -> tuple[Loss, ...]:
    """All that goes with the source's object: what the plan announced or changes, what no API gives, what was not shown.

    `planning` announces them by it, and who empties a source asks again: neither an older plan nor an edited one
    makes a loss smaller.
    """
    found = {one.id: one for one in entry.losses}

    def add(field: str, why: Words) -> None:
        found.setdefault(f"{resource.ref}.{field}", Loss.of(resource.ref, field, why))

    for change in entry.changes:
        if change.takes_away and not resource.replaces(change.field):
            add(change.field, change.why)
    for field, why in resource.lost_with(entry, source):
        add(field, why)
    for field, why in source.hidden.get(resource.ref, {}).items():
        add(field, why)
    return tuple(found.values())


def spoken(seconds: float) -> str:
    """A duration in the largest unit of which it has two: `45 s`, `12.5 min`, `3.1 h`, `4.2 d`."""
    units = ((86400, "d"), (3600, "h"), (60, "min"))
    size, unit = next(((s, u) for s, u in units if seconds >= 2 * s), (1, "s"))
    return f"{seconds / size:.1f} {unit}" if size > 1 else f"{seconds:.0f} s"


class Share(Model):
    """What part of all work (0 to 1) the steps of one kind are."""

    step: str
    share: float


class Interval(Model):
    """How long something will take, by how long the steps of the same in `runs` took (`prediction`).

    Without any `runs`, and where kinds of steps are `unmeasured`, it is not to be relied on.
    """

    lower_seconds: float
    upper_seconds: float
    runs: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether all of it was."""
        return bool(self.runs) and not self.unmeasured


class Prediction(Model):
    """How long a move will take, and what its steps do most; and its verification.

    The first fields are those of the move's `Interval`, in the order in which plans of older versions spelled them.
    `limit_seconds`: what a person said that both may take together.
    """

    lower_seconds: float
    upper_seconds: float
    runs: tuple[str, ...] = ()
    slowest: tuple[Share, ...] = ()
    unmeasured: tuple[str, ...] = ()
    limit_seconds: float | None = None
    verification: Interval | None = later(None)
    """None: by a version that predicted the move alone."""

    @property
    def move(self) -> Interval:
        """That of the move."""
        return Interval(
            lower_seconds=self.lower_seconds, upper_seconds=self.upper_seconds, runs=self.runs, unmeasured=self.unmeasured
        )  # fmt: skip

    @property
    def together(self) -> Interval:
        """Move and verification: measured if both are."""
        move, other = self.move, self.verification
        if other is None:
            return move
        return Interval(
            lower_seconds=move.lower_seconds + other.lower_seconds, upper_seconds=move.upper_seconds + other.upper_seconds,
            runs=move.runs and other.runs, unmeasured=(*move.unmeasured, *other.unmeasured),
        )  # fmt: skip

    @property
    def outcome(self) -> Outcome:
        """Whether they keep the limit, if the whole interval tells the same. What was not measured cannot keep one."""
        if self.limit_seconds is None:
            return Outcome.NOT_SHOWN
        known = [one for one in (self.move, self.verification) if one is not None and one.is_measured]
        if sum(one.lower_seconds for one in known) > self.limit_seconds:
            return Outcome.FAILED  # whatever the rest takes
        told = self.together
        return Outcome.HELD if told.is_measured and told.upper_seconds <= self.limit_seconds else Outcome.NOT_SHOWN


class Plan(Model):
    """The whole plan. `source_digest` is the digest of what its census lists (see `census.digest`).

    `translate` maps ids of the source's surroundings to those of the target (external networks, volume
    types by name, flavors by name, images of the provider, the project id in ACLs).
    """

    schema_: str = Field(default=PLAN_SCHEMA, alias="schema")
    model_config = {**Model.model_config, "serialize_by_alias": True}

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
    remarks: tuple[Words, ...] = later(())
    """What a person should know, and nobody can fail at."""
    probes: tuple[Probe, ...] = later(())
    """What the verifier asks of the application on both sides."""
    cut_over: tuple[Ref, ...] | None = later(None)
    """Servers of the source that the move stops: what ran there runs on the target alone. None: it stops nothing."""
    prediction: Prediction | None = later(None)
    """How long it will take, if a move between these two was measured or a limit was named."""
    source_census: str = later("")
    """The census that it was made from: the digest of its file, byte by byte. `""`: by a version that named none."""

    helper: Helper | None = later(None)
    """The guests by which a cut-over carries blocks of volumes, as a person wrote them (`--helper`). None: volumes go whole."""

    guests: Guests = later(Guests.RUN)
    """What becomes of the servers: a rehearsal's are still, or confined."""

    @cached_property
    def by_ref(self) -> Mapping[Ref, Entry]:
        """Entries by Ref."""
        return {e.ref: e for e in self.entries}

    def entry_of(self, reference: Ref) -> Entry | None:
        """What becomes of a thing of the source: by its own entry, or as one of the objects that a crowded container holds."""
        own = self.by_ref.get(reference)
        box = self.by_ref.get(ref(STORE, store_of(reference)))
        if own is not None or box is None or not box.objects:
            return own
        name = id_of(reference).partition("/")[2]
        if not box.fate.moves:
            return Entry(ref=reference, name=name, fate=box.fate, why=box.why, remedy=box.remedy)
        return Entry(ref=reference, name=name, fate=Fate.CARRIED, needs=(box.ref,))

    def wish(self, resource: R, source: Side) -> R:
        """An object of the source as it is to be on the target (ids are still the source's). Raises PlanError."""
        entry = self.by_ref.get(resource.ref)
        return (entry.wish(resource) if entry else resource).rehearsed(self.guests, source)

    def would_lose(self) -> tuple[Loss, ...]:
        """What does not come along: each object that is left (its field is ""), and each loss of one that moves."""
        found: list[Loss] = []
        for entry in self.entries:
            found += entry.losses if entry.fate.moves else [Loss(id=entry.ref, field="", why=entry.why)]
        return tuple(found)

    def allows(self) -> frozenset[tuple[Opened, str, str]]:
        """What a person allowed to be open: (kind, what, subject)."""
        return frozenset(a for o in self.openings if o.id in self.allowed_openings for a in o.atoms())

    def translated(self, resource: R) -> R:
        """A wish in which ids of the provider's things, and project ids in ACLs, are the target's."""
        return resource.translated(self.translate, (self.source.project_id, self.target.project_id))

    def digest(self) -> str:
        """What the journal of an older run names its plan by: `sha256:..` over its canonical JSON, as this version has it."""
        return canonical.digest(self.model_dump(mode="json"))

    def by_blocks(self, source: Workload) -> list[Ref]:
        """The volumes of which helper guests carry blocks (`helper`). A server that does not run at the census is none that stops."""
        if self.helper is None:
            return []
        moving = {e.ref for e in self.entries if e.fate.moves and e.stands_in is None}
        still = self.cut_over if self.cut_over is not None else {r.ref for r in source.resources if r.runs()} & moving
        return [
            reference
            for reference in used_by(source, still)
            if reference in moving and self.helper.takes(source.by_ref[reference])
        ]

    def check_against(self, source: Workload) -> None:
        """Refuse a plan that cannot be obeyed. Raises PlanError naming every unknown id, gap or cycle."""
        found = [*self._unknown(source), *self._gaps(), *self._cycle()]
        found += [f"probe {number + 1} {name}: {what}" for number, name, what in faults(self.probes, source)]
        moving = {e.ref for e in self.entries if e.fate.moves}
        found += [
            f"{r} cannot be stopped: it is no server that moves"
            for r in self.cut_over or ()
            if r not in moving or not KINDS[kind_of(r)].RUNS
        ]
        wanted = (self.helper.target.network_ref, self.helper.target.image_ref) if self.helper else ()
        found += [
            f"{r} does not move, and the helper at the target needs it"
            for r in wanted
            if r in self.by_ref and r not in moving
        ]
        if found:
            raise PlanError(
                "the plan cannot be obeyed: " + "; ".join(found[:8]),
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
