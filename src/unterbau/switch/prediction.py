# SPDX-License-Identifier: Apache-2.0
"""How long a move and its verification will take, from how long the steps of earlier ones took. Pure: no cloud, no clock, no file.

`drill` calls `measured` with the journals of moves between the same two clouds and with what their verifications noted
(`Looked`), and `predict` with the work of the new ones.

Steps that ask the same service at the same time take from each other: among n of these a step goes on at 1 / n^s of the speed
that it has alone. s is 0 where nothing is shared (each waits for itself), 1 where all of it is (the service does one after the
other). A step's *own* seconds are what it would have taken alone: those from its intent to its end, each divided by n^s. For each
kind of step (`object`, `image of volume`, `tidy volume`, ...) they are fitted as `CONSTANT + PER_BYTE x bytes` by least squares;
s is that of `SHARINGS` with which the steps of all kinds are told best. (Seen between embedded clouds: a volume took 1.4 s as the
only one, 2.5 s among three and 6.3 s among eight, whatever else went on; s was 0.6, and how much ran at other services told
nothing more.) The steps are then run on paper under the same law, with as many workers as
there are and in their order (`saga.engine`): the last end is the middle of the interval.

A verification is listing both sides with all small contents, then reading the others, and disks by images, side by side.
Before its first write a move lists both sides once more: it takes what the census took. Not here: what a plan's probes wait for,
and how long guests take to start.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import pairwise
from math import inf
from typing import Protocol

from unterbau.defaults import DISKS_AT_ONCE, READERS, SMALL_OBJECT
from unterbau.switch.plan import Interval, Plan, Prediction, Share
from unterbau.tenant.kinds import KINDS, Content, Kind, Ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model

MEASURED = 3
"""From how many runs the seconds of one kind of step are taken: the newest that had one."""
LOWER, UPPER = 0.72, 1.44
"""The ends of the interval, of the middle: the upper is twice the lower."""
FARTHEST = 4.0
"""A content that is more than so many times larger than the largest that was measured is not predicted."""
SMALL = 1 << 20
"""Bytes up to which a content takes as long as an empty one."""
FEW = 250
"""So many things are as good as listed if any were."""
SHARINGS = tuple(n / 10 for n in range(11))
"""What is tried as s."""
USUAL, DOUBT = 0.6, 2.0
"""The s that was seen, and by how much (of itself, a unit away from it) what another leaves untold counts for more."""
CENSUS, TIDYING = "census", "tidying"
"""Work that no step is: looking at both sides before the first write, removing what a verification made."""
LISTING, CONTENT = "listing of ", "content of "
"""How the steps of a verification are called, before the side; those of a disk are called by what is made of it."""


_KINDS = frozenset(kind.value for kind in Kind)


class Timed(Protocol):
    """A step of a move, as far as its name and what it needs."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Work:
    """A step to be predicted: each of its `times` has so many `bytes` (a listing: things that are asked for one by one)."""

    name: str
    needs: tuple[str, ...] = ()
    bytes: int = 0
    times: float = 1.0


class Span(Model):
    """A piece of work of which one knows when it was done. See `Work`."""

    step: str
    bytes: int = 0
    times: float = 1.0
    began: datetime
    ended: datetime


class Looked(Model):
    """What a verification noted of itself: when it began and ended, and what it did in between."""

    began: datetime
    ended: datetime
    spans: tuple[Span, ...] = ()


class Took(Model):
    """One step of an earlier run. `among`: its seconds, by how many steps asked its service then, itself counted."""

    step: str
    bytes: int
    among: dict[int, float]

    def own(self, sharing: float) -> float:
        """Seconds that it would have taken alone."""
        own: float = sum(seconds / n**sharing for n, seconds in self.among.items())
        return own


class Rate(Model):
    """What steps of one kind take by themselves. `largest`: the most bytes that one of them had."""

    count: int
    constant: float
    per_byte: float
    largest: int

    def seconds(self, size: int) -> float:
        """Of one step of so many bytes beyond the small ones (`_beyond`)."""
        return self.constant + self.per_byte * size


class Rates(Model):
    """What was measured: how steps share (see above), and what those of each kind take."""

    sharing: float
    by_kind: dict[str, Rate]


def kind_of_step(name: str) -> str:
    """`object:box/a` -> `object`, `image of volume:1` -> `image of volume`."""
    return name.partition(":")[0]


def subject_of_step(name: str) -> str:
    """The Ref of the thing that a step works on."""
    head, colon, rest = name.partition(":")
    return head.rpartition(" ")[2] + colon + rest


def service_of_step(name: str) -> str:
    """What serves it: the API of the kind of thing that it works on. Listings and the like are for themselves."""
    kind = subject_of_step(name).partition(":")[0]
    return (
        KINDS[Kind(kind)].KNOWN.api.partition("#")[0].rpartition("/")[0]
        if ":" in name and kind in _KINDS
        else kind_of_step(name).partition(" ")[0]
    )


def _beyond(kind: str, size: int) -> int:
    """What of its size makes a step longer."""
    return size if kind.startswith(LISTING) else max(0, size - SMALL)


# --- what is to be done


def of_move(steps: Sequence[Timed], plan: Plan) -> list[Work]:
    """The steps of a move with their bytes. A part of a container (`part of container:box/7`) does its work once an object."""
    crowded = {entry.ref: entry for entry in plan.entries if entry.objects}

    def box_of(name: str) -> Ref:
        subject = subject_of_step(name)
        box = "" if subject in plan.by_ref else subject.rpartition("/")[0]
        return box if box in crowded else ""

    parts = Counter(box for step in steps if (box := box_of(step.name)))
    found = []
    for step in steps:
        box, entry = box_of(step.name), plan.by_ref.get(subject_of_step(step.name))
        if box:
            objects = crowded[box].objects
            size, times = crowded[box].bytes // objects, objects / parts[box]
        else:
            size, times = (0 if entry is None or entry.objects else entry.bytes), 1.0
        found.append(Work(step.name, tuple(step.needs), size, times))
    return found


def of_verification(plan: Plan, source: Workload) -> list[Work]:
    """What a verification of the move does on both sides."""
    here = {"source": source.resources, "target": tuple(r for r in source.resources if _arrives(plan, r.ref))}
    found = [Work(f"{LISTING}{side}", bytes=sum(r.has_content() for r in things)) for side, things in here.items()]
    listings = tuple(work.name for work in found)
    disks = list[str]()
    for side, things in here.items():
        for thing in things:
            entry = plan.by_ref.get(thing.ref)
            size, objects = (entry.bytes, entry.objects) if entry is not None else (0, 0)
            if objects:
                found.append(Work(f"{CONTENT}{side} {thing.ref}", (), size // objects, float(objects)))
            elif thing.KNOWN.content is Content.DISK or (entry is not None and entry.carries_disk):
                before = listings  # a rehearsal's server is judged by the image that it was made from
                made = side == "source" or thing.KNOWN.content is Content.DISK or not plan.guests
                backed = side == "source" and thing.backed(source.relations)
                for passage in thing.passages(backed=backed) if made else ():
                    found.append(Work(f"{passage.what} of {side} {thing.ref}", before, size))
                    before = (found[-1].name,)
                    disks.append(found[-1].name)
                found.append(Work(f"hash of {side} {thing.ref}", before, size))
                disks.append(found[-1].name)
            elif thing.has_content() and not (thing.own_kind is Kind.OBJECT and size <= SMALL_OBJECT):
                found.append(Work(f"{CONTENT}{side} {thing.ref}", listings, size))
    if disks:
        found.append(Work(TIDYING, tuple(disks), times=float(sum(not name.startswith("hash of ") for name in disks))))
    return found


def _arrives(plan: Plan, reference: Ref) -> bool:
    entry = plan.by_ref.get(reference)
    return entry is not None and entry.fate.moves


# --- what was measured


def journalled(events: Iterable[tuple[datetime, str, str]]) -> tuple[list[tuple[str, datetime, datetime]], set[str]]:
    """The first attempts at the steps of a journal, by (when, kind of event, step) of each entry; and the steps that one sufficed."""
    begun: dict[str, datetime] = {}
    found, done = list[tuple[str, datetime, datetime]](), set[str]()
    for at, kind, node in events:
        if kind == "intended":
            begun[node] = at
        elif kind != "uncertain":
            ended = [node] if node in begun else [] if node else [*begun]
            found += [(one, begun.pop(one), at) for one in ended]
            done.update(
                ended if kind == "done" else ()
            )  # else tried again, stopped, or taken back: its time is not its own
    return found, done


def of_journal(events: Iterable[tuple[datetime, str, str]], plan: Plan) -> list[Took]:
    """The steps of a move that were done at their first attempt."""
    attempts, done = journalled(events)
    works = {w.name: w for w in of_move([_Named(name) for name, _, _ in attempts], plan)}
    spans = [
        Span(step=name, bytes=works[name].bytes, times=works[name].times, began=began, ended=ended)
        for name, began, ended in attempts
    ]
    return [one for one, span in zip(took(spans), spans, strict=True) if span.step in done]


@dataclass(frozen=True)
class _Named:
    name: str
    needs: tuple[str, ...] = ()


def took(spans: Sequence[Span]) -> list[Took]:
    """How long each took, among those that asked its service at the same time."""
    by_service: dict[str, list[int]] = defaultdict(list)
    for n, span in enumerate(spans):
        by_service[service_of_step(span.step)].append(n)
    among: list[dict[int, float]] = [{} for _ in spans]
    for numbers in by_service.values():
        _count({n: spans[n] for n in numbers}, among)
    return [
        Took(step=kind_of_step(s.step), bytes=s.bytes, among={n: t / s.times for n, t in found.items()})
        for s, found in zip(spans, among, strict=True)
    ]


def _count(spans: Mapping[int, Span], among: Sequence[dict[int, float]]) -> None:
    """Add up the seconds of each, by how many of these ran."""
    turns = [(at, turn, n) for n, s in spans.items() if s.began < s.ended for at, turn in ((s.began, 1), (s.ended, 0))]
    turns.sort()
    running = dict[int, None]()
    for (at, begins, number), (until, _, _) in pairwise([*turns, *turns[-1:]]):
        if begins:
            running[number] = None
        else:
            del running[number]
        seconds = (until - at).total_seconds()
        for one in running if seconds else ():
            among[one][len(running)] = among[one].get(len(running), 0.0) + seconds


def newest(runs: Iterable[tuple[str, Sequence[Took]]]) -> tuple[list[str], list[Took]]:
    """The runs to predict by, and their steps: of each kind those of the newest `MEASURED` that had one. Newest first."""
    seen, names, steps = Counter[str](), list[str](), list[Took]()
    for run, ones in runs:
        fresh = [one for one in ones if seen[one.step] < MEASURED]
        if fresh:
            names.append(run)
            steps += fresh
            seen.update({one.step for one in fresh})
    return names, steps


def measured(steps: Iterable[Took]) -> Rates:
    """How steps share, and what those of each kind take."""
    by_kind: dict[str, list[Took]] = defaultdict(list)
    for one in steps:
        by_kind[one.step].append(one)
    tried = {s: {kind: _fitted(kind, ones, s) for kind, ones in by_kind.items()} for s in SHARINGS}

    def untold(sharing: float) -> tuple[float, float]:
        """What the fit leaves of the variance of each kind, in squares of the kind's mean; and how unusual it is."""
        left, unusual = sum(rest for _, rest in tried[sharing].values()), (sharing - USUAL) ** 2
        return round(left * (1 + DOUBT * unusual), 9), unusual

    sharing = min(SHARINGS, key=untold)
    return Rates(sharing=sharing, by_kind={kind: rate for kind, (rate, _) in tried[sharing].items()})


def _fitted(kind: str, ones: Sequence[Took], sharing: float) -> tuple[Rate, float]:
    """Least squares, neither the constant nor the rate below zero; and the squares that are left, in those of the mean."""
    sizes, seconds = [_beyond(kind, one.bytes) for one in ones], [one.own(sharing) for one in ones]
    count, mean_size, mean = len(ones), sum(sizes) / len(ones), sum(seconds) / len(ones)
    spread = sum((s - mean_size) ** 2 for s in sizes)
    slope = sum((s - mean_size) * (t - mean) for s, t in zip(sizes, seconds, strict=True)) / spread if spread else 0.0
    if not spread and mean_size:  # all of one size: nobody can tell which part of it the bytes are
        slope = mean / mean_size
    slope = max(0.0, slope)
    constant = mean - slope * mean_size
    if constant < 0:
        constant, slope = 0.0, mean / mean_size
    rate = Rate(count=count, constant=constant, per_byte=slope, largest=max(one.bytes for one in ones))
    left = sum(((t - rate.seconds(s)) / mean) ** 2 for s, t in zip(sizes, seconds, strict=True)) if mean else 0.0
    return rate, left


# --- what will be


@dataclass(frozen=True)
class Part:
    """One of the two that are predicted: its work, what was measured of such, in which runs, and how much goes at once."""

    works: Sequence[Work]
    rates: Rates
    runs: Sequence[str]
    workers: Callable[[str], tuple[str, int]]
    """Name of a step -> the pool that it waits for, and how many run there."""
    before: float | None = 0.0
    """Seconds until the first begins; None: nobody knows."""


def of_a_move(workers: int) -> Callable[[str], tuple[str, int]]:
    """One pool for all."""
    return lambda name: ("", workers)


def of_a_verification(name: str) -> tuple[str, int]:
    """The pools of `verify.contents`."""
    if name.startswith(LISTING):
        return LISTING, 2
    return (CONTENT, READERS) if name.startswith(CONTENT) else ("", DISKS_AT_ONCE)


def predict(move: Part, verification: Part, limit_seconds: float | None = None) -> Prediction:
    """Both intervals, what is slowest in a move, and kinds of steps that nobody measured."""
    interval, slowest = _interval(move)
    return Prediction(
        lower_seconds=interval.lower_seconds, upper_seconds=interval.upper_seconds, runs=interval.runs, slowest=slowest,
        unmeasured=interval.unmeasured, verification=_interval(verification)[0], limit_seconds=limit_seconds,
    )  # fmt: skip


def _interval(part: Part) -> tuple[Interval, tuple[Share, ...]]:
    seconds: dict[str, float] = {}
    unmeasured, busy = set[str](), defaultdict[str, float](float)
    for work in part.works:
        kind = kind_of_step(work.name)
        rate, few = part.rates.by_kind.get(kind), FEW if kind.startswith(LISTING) else SMALL
        if rate is None or work.bytes > FARTHEST * max(rate.largest, few):
            unmeasured.add(kind)
        seconds[work.name] = rate.seconds(_beyond(kind, work.bytes)) * work.times if rate else 0.0
        busy[kind] += seconds[work.name]
    if part.before is None:
        unmeasured.add(CENSUS)
    elif part.before:
        busy[CENSUS] = part.before
    middle = (part.before or 0.0) + _makespan(part, seconds)
    total, most = sum(busy.values()), sorted(busy.items(), key=lambda pair: -pair[1])
    return Interval(
        lower_seconds=round(middle * LOWER, 1), upper_seconds=round(middle * UPPER, 1), runs=tuple(part.runs),
        unmeasured=tuple(sorted(unmeasured)),
    ), tuple(Share(step=kind, share=round(of / total, 3)) for kind, of in most[:3] if of)  # fmt: skip


class _Service:
    """Steps that share it. `passed`: how many own seconds each that runs has had so far; it goes slower the more run."""

    def __init__(self, sharing: float) -> None:
        self._sharing, self._passed = sharing, 0.0
        self._running: list[tuple[float, str]] = []

    def begin(self, name: str, seconds: float) -> None:
        heappush(self._running, (self._passed + seconds, name))

    def left(self) -> float:
        """Seconds until one of them ends, if none begins before that."""
        slower = float(len(self._running)) ** self._sharing
        return max(0.0, self._running[0][0] - self._passed) * slower if self._running else inf

    def go_on(self, seconds: float) -> None:
        if self._running:
            self._passed += seconds / float(len(self._running)) ** self._sharing

    def end(self) -> str:
        return heappop(self._running)[1]


def _makespan(part: Part, seconds: Mapping[str, float]) -> float:
    """When the last step ends if each takes its own seconds and they share: a worker takes the step that has been ready longest."""
    open_, waiting = {w.name: len({*w.needs}) for w in part.works}, defaultdict[str, list[str]](list)
    for work in part.works:
        for need in dict.fromkeys(work.needs):
            waiting[need].append(work.name)
    ready: dict[str, deque[str]] = defaultdict(deque)
    room = dict(part.workers(name) for name in open_)
    for name, count in open_.items():
        if not count:
            ready[part.workers(name)[0]].append(name)
    services = {service_of_step(name): _Service(part.rates.sharing) for name in open_}
    now = 0.0
    while True:
        for pool, names in ready.items():
            while names and room[pool]:
                room[pool] -= 1
                name = names.popleft()
                services[service_of_step(name)].begin(name, seconds[name])
        first = min(services.values(), key=_Service.left, default=None)
        if first is None or first.left() == inf:
            return now
        passed = first.left()
        for service in services.values():
            service.go_on(passed)
        now, name = now + passed, first.end()
        room[part.workers(name)[0]] += 1
        for after in waiting[name]:
            open_[after] -= 1
            if not open_[after]:
                ready[part.workers(after)[0]].append(after)
