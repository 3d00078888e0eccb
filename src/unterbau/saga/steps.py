# SPDX-License-Identifier: Apache-2.0
"""What a step is, the mark that its creations carry, and the check that steps form a graph without cycles.

`move` writes the steps, `engine` runs them. No I/O here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Protocol, TypeAlias

from unterbau.errors import PlanError
from unterbau.saga.status import JsonObject
from unterbau.verdict import Model

Outputs: TypeAlias = Mapping[str, JsonObject]
"""Outputs of the steps that are done, by step name."""
Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with (done, total or None) in the step's unit; raises `Interrupted` when the run is to stop."""


class Attempt(Protocol):
    """One call of a step's `act`: where it tells its progress, and what it may know of the calls before it."""

    def __call__(self, done: int, total: int | None) -> None:
        """As `Progress`."""

    def doubt(self) -> float:
        """Seconds for which the cloud may still finish a write of an earlier call that it did not answer; 0: none."""


class Marker(Model):
    """The mark on everything that one node of one run creates."""

    run: str
    node: str

    def __str__(self) -> str:
        return f"unterbau:{self.run}/{self.node}"

    def tag(self) -> str:
        """Stable, at most 60 characters of [a-zA-Z0-9-_.]: `unterbau.<run>.<hash of run and node>`."""
        digest = hashlib.sha256(str(self).encode()).hexdigest()[:16]
        readable = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in self.run)
        return f"unterbau.{readable[:34]}.{digest}"


_TAG = re.compile(r"unterbau\.(.{1,34})\.[0-9a-f]{16}")


def run_of(tag: str | None) -> str:
    """The run whose tag it is, as far as a tag tells it; "" if it is none."""
    found = _TAG.fullmatch(tag or "")
    return found.group(1) if found else ""


class Step(Protocol):
    """One node of a saga. Called from any worker thread, never twice at the same time."""

    @property
    def name(self) -> str:
        """Stable and unique in the run, such as `create network:1234`."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the steps whose outputs must exist before."""

    def intend(self, done: Outputs) -> JsonObject:
        """What must be durable before acting (name, tag, look-alikes that exist). Reads, never writes."""

    def act(self, intent: JsonObject, done: Outputs, progress: Attempt) -> JsonObject:
        """Find or create. After a crash or a failure it is called again with the same intent."""

    def undo(self, intent: JsonObject, output: JsonObject | None, done: Outputs) -> None:
        """Remove what `act` may have made. Idempotent; `output` is None if `act` was not seen to end."""


def graph(steps: Iterable[Step]) -> dict[str, Step]:
    """Steps by name in a topological order. Duplicate or unknown names and cycles: PlanError naming them."""
    by_name: dict[str, Step] = {}
    for step in steps:
        if step.name in by_name:
            raise PlanError(f"step {step.name!r} occurs twice", "remove one of the two from the plan")
        by_name[step.name] = step
    for step in by_name.values():
        for need in step.needs:
            if need not in by_name:
                raise PlanError(f"step {step.name!r} needs {need!r}, which the plan does not hold")
    try:
        order = tuple(TopologicalSorter({s.name: s.needs for s in by_name.values()}).static_order())
    except CycleError as error:
        raise PlanError("the steps form a cycle: " + " -> ".join(error.args[1])) from error
    return {name: by_name[name] for name in order}
