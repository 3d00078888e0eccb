# SPDX-License-Identifier: Apache-2.0
"""Ask both sides every 0.2 s while the application goes from one to the other. `cli` calls it for `unterbau probe --to`.

First somebody knocks: a connection, and nothing said, several under way at once since silence takes its time. Where it is taken, the
plan's probe is asked as `running` asks it, one question at a time: a slow guest must not have its hands full with us. The target's place is found by listings of its own, as the verifier finds it: by what the source's is called.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial

from unterbau.errors import Interrupted
from unterbau.switch.probes.judging import as_before
from unterbau.switch.probes.model import Answer, Closed, Command, Dns, Open, Probe, SideName, State
from unterbau.switch.probes.outage import EVERY, Course, Looks
from unterbau.switch.probes.running import ADDRESSES_AT_ONCE, Prober

UNDER_WAY = 10
"""Knocks at one side of one place that wait at once."""
KNOCK_SECONDS = 2.0
"""How long one may take."""
AFTERWARDS = 1.0
"""Seconds that both are asked on when it is over: a source that answers still was never away."""
STATES = 3
"""So many answers of the source count as what it said: while it goes down an application may say another thing for a while."""
LOOK_FOR = 2.0
"""Seconds between two looks for the target's place."""


def watched(probes: Sequence[Probe], at: Callable[[Probe], str]) -> list[Open]:
    """What is watched: of each address the first probe of something open, of the first eight addresses.

    No command: nobody logs in five times a second, and a knock does not take the way that ssh takes.
    """
    found: dict[str, Open] = {}
    for probe in probes:
        if not isinstance(probe, Closed | Command) and (address := at(probe)):
            found.setdefault(address, probe)
    return list(found.values())[:ADDRESSES_AT_ONCE]


class Watch:
    """One watch. `prober` asks and has the stop; `find` names the target's addresses by probe, as far as they are there."""

    def __init__(
        self, prober: Prober, places: Sequence[tuple[Open, str]], find: Callable[[], Mapping[str, str]],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._prober, self._find, self._say = prober, find, say
        self._knocking = replace(prober, seconds=min(prober.seconds, KNOCK_SECONDS))
        self._probes = {probe.id: probe for probe, _ in places}
        self._looks: dict[tuple[SideName, str], Looks] = {("source", p.id): Looks(address=a) for p, a in places}
        self._looks |= {("target", p.id): Looks() for p, _ in places}
        self._before: dict[str, list[Answer]] = {}
        """What the source answered twice in a row, by probe, the last few: while it goes down an application says other things."""
        self._last: dict[str, Answer] = {}
        """The source's last answer."""
        self._changed: Counter[tuple[str, str]] = Counter()
        """How often a fact of a probe was another one at the source than before."""
        self._under_way: dict[tuple[SideName, str], int] = dict.fromkeys(self._looks, 0)
        self._speaking: set[tuple[SideName, str]] = set()
        self._lock = threading.Lock()

    def courses(self) -> tuple[Course, ...]:
        """What was seen so far."""
        with self._lock:
            return tuple(
                Course(probe=p, source=self._looks["source", p], target=self._looks["target", p]) for p in self._probes
            )

    def over(self) -> bool:
        """Whether each target answered as its source did last."""
        return all(course.target.first is not None for course in self.courses())

    def run(self, until: float | None, keep: Callable[[], None]) -> None:
        """Ask until it is over, stopped, or `until` (monotonic). `keep` is called now and then, to store what was seen."""
        finding: Future[Mapping[str, str]] | None = None
        sought = kept = due = time.monotonic()
        lanes, settling = len(self._looks) * (UNDER_WAY + 1), False
        with ThreadPoolExecutor(max_workers=lanes + 1) as pool:
            while not self._prober.stop.is_set() and (until is None or time.monotonic() < until):
                if not settling and self.over():
                    settling, until = True, time.monotonic() + AFTERWARDS
                for key in self._looks:
                    self._ask(pool, key)
                now = time.monotonic()
                if finding is not None and finding.done():
                    self._place(finding.result())
                    finding = None
                if finding is None and now >= sought and self._unplaced():
                    finding, sought = pool.submit(self._find), now + LOOK_FOR
                if now >= kept:
                    keep()
                    kept = now + LOOK_FOR
                due = max(due + EVERY, now)
                self._prober.stop.wait(max(0.0, due - now))

    def _unplaced(self) -> bool:
        return any(not self._looks["target", probe].address for probe in self._probes)

    def _place(self, found: Mapping[str, str]) -> None:
        with self._lock:
            for probe, address in found.items():
                if address and not self._looks["target", probe].address:
                    self._looks["target", probe] = Looks(address=address)
                    self._say(f"{probe}: the target has its place, {address}")

    def _ask(self, pool: ThreadPoolExecutor, key: tuple[SideName, str]) -> None:
        """Knock, unless too many knocks wait already."""
        with self._lock:
            address = self._looks[key].address
            if not address or self._under_way[key] >= UNDER_WAY:
                return
            self._under_way[key] += 1
        pool.submit(self._look, key, address)

    def _look(self, key: tuple[SideName, str], address: str) -> None:
        """Knock, and ask if somebody opens to whom nobody speaks already. What was not opened is an answer, too."""
        try:
            if not (self._is_open(key, address) and self._begins(key)):
                return
        except Interrupted:
            return
        finally:
            with self._lock:
                self._under_way[key] -= 1
        try:
            self._heard(key, *self._prober.look(key[0], self._probes[key[1]], address))
        except Interrupted:
            return
        finally:
            with self._lock:
                self._speaking.discard(key)

    def _is_open(self, key: tuple[SideName, str], address: str) -> bool:
        probe = self._probes[key[1]]
        if isinstance(probe, Dns):  # over UDP there is nothing to open
            return True
        knock = Closed(id=probe.id, at=probe.at, port=probe.port, control=probe.id)
        asked, answer = self._knocking.look(key[0], knock, address)
        if answer.state is not State.ANSWERED:
            self._heard(key, asked, answer)
        return answer.state is State.ANSWERED

    def _begins(self, key: tuple[SideName, str]) -> bool:
        with self._lock:
            free = key not in self._speaking
            self._speaking.add(key)
            return free

    def _heard(self, key: tuple[SideName, str], asked: datetime, answer: Answer) -> None:
        side, name = key
        answered = answer.state is State.ANSWERED
        with self._lock:
            before, probe = self._before.get(name, []), self._probes[name]
            known = _serves if side == "source" else partial(as_before, probe)
            same = not before or any(known(one, answer) for one in before)
            if side == "source" and answered and same:
                last, now = self._last.get(name), self._steadied(name, answer)
                self._last[name] = now
                if not before or (last is not None and as_before(probe, now, last)):
                    others = [one for one in before if not as_before(probe, now, one)]
                    self._before[name] = [*others, now][-STATES:]
            was = self._looks[key]
            looks = self._looks[key] = was.with_look(asked, answer.at, answered=answered, same=same)
        if side == "target" and was.first is None and looks.first is not None:
            seconds = Course(probe=name, source=self._looks["source", name], target=looks).seconds()
            self._say(
                f"{name}: the target answers" + ("" if seconds is None else f", {seconds:.1f} s after the source did")
            )

    def _steadied(self, name: str, answer: Answer) -> Answer:
        """The answer with what changes by itself: at one look in four, at the least. What a user wrote meanwhile is no such thing."""
        known = self._last.get(name, answer).facts
        self._changed.update(
            (name, f) for f in known.keys() | answer.facts.keys() if known.get(f) != answer.facts.get(f)
        )
        often = max(2, self._looks["source", name].answered // 4)
        return answer.model_copy(update={"unsteady": tuple(f for f in answer.facts if self._changed[name, f] >= often)})


def _serves(before: Answer, answer: Answer) -> bool:
    """Whether the source still says the same by a number: a page that says 503 now does not serve."""
    return all(before.facts.get(number) == answer.facts.get(number) for number in ("status", "code"))
