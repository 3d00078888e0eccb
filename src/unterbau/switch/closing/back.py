# SPDX-License-Identifier: Apache-2.0
"""Whether the objects of crowded containers are as they were verified, one after another, before a kept target is taken back.

`close --target` asks twice: of all before a person is asked, and of each just before it goes. Who asks reads three lists beside
each other that stand in the order of names: what the verification saw, what the move wrote, what is there. Held is what stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from unterbau.cloud.port import ByteStream, Cloud, Page
from unterbau.switch.closing.parts import Texts
from unterbau.switch.closing.steps import Kept, Witness, demand_same
from unterbau.switch.manifest import Line
from unterbau.switch.verify.holding import side_words
from unterbau.tenant.kinds import Ref, Resource, id_of, ref
from unterbau.tenant.kinds.object import STORE, stored
from unterbau.verdict import Reason, Words

T = TypeVar("T")
BATCH = 250
"""How many objects are read at once."""
END = "\U0010ffff" * 2
"""Behind every name."""


class _Ahead(Generic[T]):
    """Goes through named things in the order of their names, once."""

    def __init__(self, named: Iterator[tuple[str, T]]) -> None:
        self._named = named
        self._next = next(named, None)

    def at(self, name: str) -> T | None:
        """The one of that name; names are asked for in their order."""
        while self._next is not None and self._next[0] < name:
            self._next = next(self._named, None)
        return self._next[1] if self._next is not None and self._next[0] == name else None


def ignored(thing: Resource, stream: ByteStream) -> None:
    """Who only wants to know what a thing is reads none of its bytes."""


@dataclass(frozen=True)
class Standing:
    """The crowded containers `boxes` of a target. `then`: what they held at the verification; `stayed`: what stays, and why."""

    boxes: tuple[str, ...]
    then: Texts
    witness: Witness
    stayed: dict[Ref, Words] = field(default_factory=dict)

    @property
    def _target(self) -> Cloud:
        return self.witness.clouds["target"]

    def look(self, wrote: Mapping[str, Iterable[Ref]], count: Callable[[Ref, int], None]) -> dict[Ref, int]:
        """Container -> how many of its objects may go. `wrote`: what the move did, in the order of names. Raises as the cloud does.

        `count(container, done)` is called now and then, and may raise.
        """
        found: dict[Ref, int] = {}
        for box in self.boxes:
            before, done = self._verified(box, ""), 0
            ours = _Ahead((id_of(r).partition("/")[2], r) for r in wrote.get(box, ()))
            for page in self._target.pages(box):
                things = _in_order(page)
                for start in range(0, len(things), BATCH):
                    count(ref(STORE, box), done := done + len(things[start : start + BATCH]))
                    for thing, why in self._now(things[start : start + BATCH]):
                        reason = why if ours.at(thing.name) is not None else Reason.of("close.not-ours")
                        reason = reason or self._changed(before.at(thing.name), thing)
                        if reason:
                            self.stayed[thing.ref] = reason
                        else:
                            found[ref(STORE, box)] = found.get(ref(STORE, box), 0) + 1
        return found

    def _now(self, listed: list[Resource]) -> Iterator[tuple[Resource, Words]]:
        """These as they are now, and why one could not be read; without those that are gone."""
        told = self._target.read_again(listed, ignored)
        there = {r.ref: r for r in told.resources}
        unread = {n.what: n.reason for n in told.not_shown}
        for one in listed:
            if one.ref in there:
                yield there[one.ref], ""
            elif one.ref in unread:
                yield one, Reason.of("close.unreadable", side=side_words("target"), why=unread[one.ref])

    def _verified(self, box: str, first: str) -> _Ahead[Line]:
        return _Ahead((line.name, line) for line in self.then["target"].between(box, first, END))

    def _changed(self, before: Line | None, there: Resource) -> Words:
        if before is None or before.gone:
            return Reason.of("close.came-later")
        try:
            demand_same("target", before.thing(), there)
            self.witness.demand_stored("target", before, there)
        except Kept as kept:
            return kept.why
        return ""

    def sift(self, box: str, references: Iterator[Ref]) -> Iterator[Ref]:
        """Of what the move wrote, in the order of names, what is as it was verified now. What is not stays, with its container."""
        before: _Ahead[Line] | None = None
        for reference in references:
            name = id_of(reference).partition("/")[2]
            before = before or self._verified(box, name)
            line = before.at(name)
            if reference in self.stayed:
                continue
            there = self._target.read(reference)
            if there is None:
                continue
            if why := self._changed(line, there):
                self.stayed[reference] = why
                self.stayed.setdefault(ref(STORE, box), Reason.of("close.needed", by=reference))
            else:
                yield reference

    def missing(self, source: Cloud, at: datetime) -> Iterator[Ref]:
        """What was carried, is on the target, and is not at the source any more, but for what has ended `at` a time. Raises as the clouds do."""
        for box in self.boxes:
            here, there = _listed(source, box), _listed(self._target, box)
            arrived = _Ahead((line.name, line) for line in self.then["target"].between(box, "", END))
            for line in self.then["source"].between(box, "", END):
                kept = there.at(line.name) is not None and arrived.at(line.name) is not None
                if here.at(line.name) is None and kept and not line.gone and not line.has_ended(at):
                    yield stored(box, line.name)


def _listed(cloud: Cloud, box: str) -> _Ahead[bool]:
    """What a container lists."""
    return _Ahead((thing.name, True) for page in cloud.pages(box) for thing in _in_order(page))


def _in_order(page: Page) -> list[Resource]:
    """All that it lists, in the order of names."""
    return sorted((*page.plain, *page.others), key=lambda one: one.name)
