# SPDX-License-Identifier: Apache-2.0
"""The events of a run, and its status as a pure function of them. An illegal order of events is an error.

`journal` keeps the events, `engine` decides by the status. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from unterbau.errors import LocalError
from unterbau.verdict import Model

JsonObject: TypeAlias = dict[str, JsonValue]
EventKind: TypeAlias = Literal[
    "opened", "intended", "done", "failed", "unwinding", "undone", "undo failed",
    "uncertain", "stopped", "resumed", "swept",
]  # fmt: skip
NodeState: TypeAlias = Literal["planned", "intended", "done", "failed", "undone", "undo failed"]


class Event(Model):
    """One fact of a run. `node` is empty for `opened`, `unwinding`, `stopped`, `resumed` and `swept`.

    data: opened {plan, nodes: {name: [needs]}}; intended: the intent; done: the output;
    failed, undo failed and uncertain {kind, message}; swept: what was found late; the others {}.
    `uncertain` (a write got no answer) changes no state. `stopped`: the process ended in order, no step of it goes on.
    """

    kind: EventKind
    node: str = ""
    data: JsonObject = Field(default_factory=dict)


LEGAL: dict[str, tuple[NodeState, ...]] = {
    "intended": ("planned", "failed"),
    "done": ("intended", "failed"),
    "failed": ("planned", "intended", "failed"),
    "undone": ("intended", "done", "failed", "undo failed"),
    "undo failed": ("intended", "done", "failed", "undo failed"),
}
"""From which states an event may lead on."""


@dataclass
class Status:
    """Where a run stands; changed by `apply` alone."""

    plan: str = ""
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    states: dict[str, NodeState] = field(default_factory=dict)
    intents: dict[str, JsonObject] = field(default_factory=dict)
    outputs: dict[str, JsonObject] = field(default_factory=dict)
    errors: dict[str, JsonObject] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """Steps whose act may have made a thing that nobody saw, or may still make it; until the next `swept`."""
    needed_by: dict[str, list[str]] = field(default_factory=dict)
    """The steps that need one directly, in the order of `needs`."""
    opened: bool = False
    unwinding: bool = False
    stopped: bool = False

    def apply(self, event: Event) -> None:
        """Take one event; LocalError, and no change, if it cannot follow."""
        if event.kind == "opened":
            self._open(event)
        elif event.kind == "unwinding":
            self._demand(self.opened and not self.unwinding and not event.node, event)
            self.unwinding = True
        elif event.kind in ("stopped", "resumed", "swept"):
            self._demand(self.opened and not event.node and self.stopped == (event.kind == "resumed"), event)
            self.stopped = event.kind == "stopped"
            if event.kind == "swept":
                self.doubtful.clear()
        elif event.kind == "uncertain":
            self._demand(event.node in self.intents, event)
            if not self.unwinding:
                self.doubtful.add(event.node)
        else:
            self._check(event)
            self._move(event)

    def _open(self, event: Event) -> None:
        nodes = event.data.get("nodes")
        self._demand(not self.opened and isinstance(nodes, dict), event)
        assert isinstance(nodes, dict)  # noqa: S101  (for the type checker; demanded above)
        for name, needs in nodes.items():
            self.needs[name] = tuple(str(n) for n in needs) if isinstance(needs, list) else ()
            self.states[name] = "planned"
            for need in dict.fromkeys(self.needs[name]):
                self.needed_by.setdefault(need, []).append(name)
        self.plan, self.opened = str(event.data.get("plan", "")), True

    def _check(self, event: Event) -> None:
        node = event.node
        self._demand(node in self.states and self.states[node] in LEGAL[event.kind], event)
        if event.kind.startswith("undo"):
            self._demand(self.unwinding and node in self.intents, event)
            self._demand(all(self.states[d] == "undone" for d in self.dependants(node)), event)
            return
        self._demand(not self.unwinding and all(self.states[n] == "done" for n in self.needs[node]), event)
        self._demand((node in self.intents) == (event.kind == "done") or event.kind == "failed", event)

    def _move(self, event: Event) -> None:
        self.states[event.node] = event.kind  # type: ignore[assignment]  # the two other kinds end earlier
        if event.kind == "intended":
            self.intents[event.node] = event.data
        elif event.kind == "done":
            self.outputs[event.node] = event.data
        if event.kind.endswith("failed"):
            self.errors[event.node] = event.data
        else:
            self.errors.pop(event.node, None)

    def begun(self) -> tuple[str, ...]:
        """Steps whose act began and was not seen to end, unless the process that ran them ended in order."""
        return () if self.stopped else tuple(n for n, state in self.states.items() if state == "intended")

    def dependants(self, node: str) -> tuple[str, ...]:
        """Steps with an intent that need this one directly."""
        return tuple(n for n in self.needed_by.get(node, ()) if n in self.intents)

    def _demand(self, legal: bool, event: Event) -> None:
        if not legal:
            state = self.states.get(event.node, "unknown")
            raise LocalError(f"journal: event {event.kind!r} of {event.node!r} cannot follow state {state!r}",
                             "the journal was changed from outside; restore it from a copy")  # fmt: skip


def fold(events: Iterable[Event]) -> Status:
    """The status after these events. An event that cannot follow raises LocalError."""
    status = Status()
    for event in events:
        status.apply(event)
    return status
