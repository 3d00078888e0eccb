# SPDX-License-Identifier: Apache-2.0
"""How long a move will take, from how long the steps of earlier moves took. Pure: no cloud, no clock, no file.

`drill` calls `measured` with the journals of moves between the same two clouds, and `predict` with the steps of the new
one. A step's seconds are those from its intent to its end, `CONSTANT + PER_BYTE x bytes`, fitted for each kind of step
(`object`, `image of volume`, `tidy volume`, ...) by least squares. The steps are then run on paper, with as many workers as
the engine has and in its order (`saga.engine`): the last end is the middle of the interval. Not here: census and verification.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from heapq import heappop, heappush
from typing import Protocol

from unterbau.switch.plan import Plan, Prediction, Share
from unterbau.tenant.kinds import Ref
from unterbau.verdict import Model

MEASURED = 3
"""From how many moves the seconds of one kind of step are taken: the newest that had one."""
LOWER, UPPER = 0.72, 1.44
"""The ends of the interval, of the middle: the upper is twice the lower."""
FARTHEST = 4.0
"""A content that is more than so many times larger than the largest that was measured is not predicted."""
SMALL = 1 << 20
"""Bytes up to which a content takes as long as an empty one."""


class Timed(Protocol):
    """A step, as far as its name and what it needs."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


class Took(Model):
    """One step of an earlier move: its seconds, and the bytes that the plan gave its object."""

    step: str
    bytes: int
    seconds: float


class Rate(Model):
    """What steps of one kind take. `largest`: the most bytes that one of them had."""

    count: int
    constant: float
    per_byte: float
    largest: int

    def seconds(self, size: int) -> float:
        """Of one step."""
        return self.constant + self.per_byte * max(0, size - SMALL)


def kind_of_step(name: str) -> str:
    """`object:box/a` -> `object`, `image of volume:1` -> `image of volume`."""
    return name.partition(":")[0]


def subject_of_step(name: str) -> str:
    """The Ref of the thing that a step works on."""
    head, colon, rest = name.partition(":")
    return head.rpartition(" ")[2] + colon + rest


class _Work:
    """What a step of a plan has to do: bytes, and how often. A part of a container (`container:box/7`) does it once an object."""

    def __init__(self, plan: Plan, names: Iterable[str]) -> None:
        self._plan = plan
        self._parts = Counter(box for name in set(names) if (box := self._box(name)))

    def _box(self, name: str) -> Ref:
        """The crowded container of which it is a part, or ""."""
        subject = subject_of_step(name)
        entry = None if subject in self._plan.by_ref else self._plan.by_ref.get(subject.rpartition("/")[0])
        return entry.ref if entry is not None and entry.objects else ""

    def of(self, name: str) -> tuple[int, float]:
        box = self._box(name)
        if not box:
            entry = self._plan.by_ref.get(subject_of_step(name))
            return (0 if entry is None or entry.objects else entry.bytes), 1.0
        entry = self._plan.by_ref[box]
        return entry.bytes // entry.objects, entry.objects / self._parts[box]


def took(events: Iterable[tuple[datetime, str, str]], plan: Plan) -> list[Took]:
    """The steps of a journal that were done at their first attempt: (when, kind of event, step) of each entry."""
    begun: dict[str, datetime] = {}
    found, listed = [], list(events)
    work = _Work(plan, (node for _, kind, node in listed if kind == "intended"))
    for at, kind, node in listed:
        if kind == "intended":
            begun[node] = at
        elif kind == "done" and node in begun:
            size, times = work.of(node)
            seconds = (at - begun.pop(node)).total_seconds() / times
            found.append(Took(step=kind_of_step(node), bytes=size, seconds=max(0.0, seconds)))
        elif kind != "uncertain":  # tried again, stopped, or taken back: its time is not its own
            begun.pop(node, None) if node else begun.clear()
    return found


def newest(moves: Iterable[tuple[str, Sequence[Took]]]) -> tuple[list[str], list[Took]]:
    """The moves to predict by, and their steps: of each kind those of the newest `MEASURED` that had one. Newest first."""
    seen, runs, steps = Counter[str](), list[str](), list[Took]()
    for run, ones in moves:
        fresh = [one for one in ones if seen[one.step] < MEASURED]
        if fresh:
            runs.append(run)
            steps += fresh
            seen.update({one.step for one in fresh})
    return runs, steps


def measured(steps: Iterable[Took]) -> dict[str, Rate]:
    """Kind of step -> what one takes."""
    by_kind: dict[str, list[Took]] = defaultdict(list)
    for one in steps:
        by_kind[one.step].append(one)
    return {kind: _fitted(ones) for kind, ones in by_kind.items()}


def _fitted(ones: Sequence[Took]) -> Rate:
    """Least squares, neither the constant nor the rate below zero."""
    sizes, seconds = [max(0, one.bytes - SMALL) for one in ones], [one.seconds for one in ones]
    count, mean_size, mean = len(ones), sum(sizes) / len(ones), sum(seconds) / len(ones)
    spread = sum((s - mean_size) ** 2 for s in sizes)
    slope = sum((s - mean_size) * (t - mean) for s, t in zip(sizes, seconds, strict=True)) / spread if spread else 0.0
    if not spread and mean_size:  # all of one size: nobody can tell which part of it the bytes are
        slope = mean / mean_size
    slope = max(0.0, slope)
    constant = mean - slope * mean_size
    if constant < 0:
        constant, slope = 0.0, mean / mean_size
    return Rate(count=count, constant=constant, per_byte=slope, largest=max(one.bytes for one in ones))


def predict(
    steps: Sequence[Timed], plan: Plan, rates: Mapping[str, Rate], *, runs: Sequence[str], workers: int,
    limit_seconds: float | None = None,
) -> Prediction:  # fmt: skip
    """The interval, what is slowest, and kinds of steps that nobody measured. `runs`: the moves that `rates` are from."""
    seconds: dict[str, float] = {}
    unmeasured = set[str]()
    work = _Work(plan, (step.name for step in steps))
    for step in steps:
        kind, (size, times) = kind_of_step(step.name), work.of(step.name)
        rate = rates.get(kind)
        if rate is None or size > FARTHEST * max(rate.largest, SMALL):
            unmeasured.add(kind)
        seconds[step.name] = rate.seconds(size) * times if rate else 0.0
    middle = _makespan(steps, seconds, workers)
    busy = defaultdict[str, float](float)
    for name, one in seconds.items():
        busy[kind_of_step(name)] += one
    total, most = sum(busy.values()), sorted(busy.items(), key=lambda pair: -pair[1])
    return Prediction(
        lower_seconds=round(middle * LOWER, 1), upper_seconds=round(middle * UPPER, 1), runs=tuple(runs),
        slowest=tuple(Share(step=kind, share=round(of / total, 3)) for kind, of in most[:3] if of),
        unmeasured=tuple(sorted(unmeasured)), limit_seconds=limit_seconds,
    )  # fmt: skip


def _makespan(steps: Sequence[Timed], seconds: Mapping[str, float], workers: int) -> float:
    """When the last step ends if each takes its seconds: a worker takes the step that has been ready longest."""
    open_, waiting = {s.name: len({*s.needs}) for s in steps}, defaultdict[str, list[str]](list)
    for step in steps:
        for need in dict.fromkeys(step.needs):
            waiting[need].append(step.name)
    order = {step.name: number for number, step in enumerate(steps)}
    ready: list[tuple[float, int, str]] = []
    for name, count in open_.items():
        if not count:
            heappush(ready, (0.0, order[name], name))
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            _, _, name = heappop(ready)
            heappush(running, (now + seconds[name], name))
        now, name = heappop(running)
        for after in waiting[name]:
            open_[after] -= 1
            if not open_[after]:
                heappush(ready, (now, order[after], after))
    return now
