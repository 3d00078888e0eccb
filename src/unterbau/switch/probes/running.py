# SPDX-License-Identifier: Apache-2.0
"""Ask probes from outside: which address, how often, how fast, and what is asked again. The verifier's process calls it.

At most `rate` questions a second go to one address, whoever asks; addresses are asked side by side. The source is asked
twice, so that what changes by itself is known; the target until it answers as the source did, or `wait` has passed: an
application needs its time to start. An address that cannot be a tenant's is not asked: a cloud may name any.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from unterbau.errors import Interrupted
from unterbau.switch.probes.judging import as_before
from unterbau.switch.probes.model import (
    Answer,
    Closed,
    Command,
    Http,
    Open,
    Probe,
    SideName,
    Ssh,
    State,
    Tcp,
    Tls,
    address_of,
    digest,
)
from unterbau.switch.probes.proposing import Place
from unterbau.tenant.kinds import Ref
from unterbau.tenant.workload import Workload
from unterbau.verdict import Reason

if TYPE_CHECKING:
    from unterbau.switch.probes.asking import Heard

T = TypeVar("T")
R = TypeVar("R")
RATE = 4.0
"""Questions a second to one address, at the most."""
SECONDS = 10.0
"""How long one question may take."""
ADDRESSES_AT_ONCE = 8
PAUSE = 2.0
"""Seconds between two questions to a target that does not answer yet as the source did."""
PAUSE_OUTSIDE = 15.0
"""The same where ssh was not let in: servers take more of that for an attack, and then answer nobody here."""
LOOKS = 2
"""How often a source is asked."""
_SILENCE = {"banner": f"sha256:{hashlib.sha256(b'').hexdigest()}"}
"""The facts of somebody who takes a connection and says nothing by himself."""


def _itself(address: str, port: int) -> tuple[str, int]:
    return address, port


def _open(address: str) -> Path | None:
    return None


@dataclass
class Prober:
    """Asks. `place` maps an address and port to where they are reached (themselves, but for tests), `door` an address to the
    door through which it is reached, if this machine does not reach it by itself."""

    now: Callable[[], datetime]
    stop: threading.Event = field(default_factory=threading.Event)
    place: Callable[[str, int], tuple[str, int]] = _itself
    door: Callable[[str], Path | None] = _open
    rate: float = RATE
    seconds: float = SECONDS
    _due: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(
        self, side: SideName, places: Sequence[tuple[Probe, str]], count: Callable[[int, int], None] = lambda done, total: None
    ) -> tuple[Answer, ...]:  # fmt: skip
        """What each (probe, address) answers, asked `LOOKS` times in a row; what differed is told. Raises Interrupted."""

        def one(probe: Probe, address: str) -> Answer:
            return _steady([self._answer(side, probe, address) for _ in range(LOOKS)])

        return self._each(places, one, count)

    def compare(
        self, places: Sequence[tuple[Probe, str]], before: Mapping[str, Answer], wait: float,
        count: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[Answer, ...]:  # fmt: skip
        """What the target answers, asked until it is as `before` (by id) or `wait` seconds have passed. Raises Interrupted."""
        end = time.monotonic() + wait

        def one(probe: Probe, address: str) -> Answer:
            found = self._answer("target", probe, address)
            ours = before.get(probe.id)
            awaited = ours is not None and ours.state is State.ANSWERED
            while ours is not None and awaited and not as_before(probe, ours, found) and time.monotonic() < end:
                self._pause(PAUSE_OUTSIDE if _is_outside(probe, found) else PAUSE)
                found = self._answer("target", probe, address)
            return found

        return self._each(places, one, count)

    def look(self, side: SideName, probe: Probe, address: str) -> tuple[datetime, Answer]:
        """When one question was sent, and its answer: at once, however often that address is asked. Raises Interrupted."""
        asked = self.now()
        return asked, self._answer(side, probe, address)

    def recognise(
        self, places: Iterable[Place], count: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[Place, tuple[Open, ...]]:
        """What speaks at each place, as probes; nothing of places that do not answer. Raises Interrupted."""
        listed = tuple(places)
        found = self._each([(p, p.address) for p in listed], lambda place, address: self._recognised(place), count)
        return {place: probes for place, probes in zip(listed, found, strict=True) if probes}

    def _each(
        self, asked: Sequence[tuple[T, str]], one: Callable[[T, str], R], count: Callable[[int, int], None]
    ) -> tuple[R, ...]:
        """One after the other at each address, addresses side by side; in the order of what was asked."""
        by_address: dict[str, list[int]] = defaultdict(list)
        for number, (_, address) in enumerate(asked):
            by_address[address].append(number)
        found: dict[int, R] = {}

        def of_one(numbers: list[int]) -> None:
            for number in numbers:
                found[number] = one(*asked[number])
                count(len(found), len(asked))

        with ThreadPoolExecutor(max_workers=ADDRESSES_AT_ONCE) as pool:
            list(pool.map(of_one, by_address.values()))
        return tuple(found[number] for number in range(len(asked)))

    def _answer(self, side: SideName, probe: Probe, address: str) -> Answer:
        heard = self._ask(probe, address)
        return Answer(
            probe=probe.id, asked=digest(probe), side=side, address=address, at=self.now(), state=heard.state,
            facts=heard.facts, placed=heard.placed, reason=heard.reason,
        )  # fmt: skip

    def _ask(self, probe: Probe, address: str) -> Heard:
        from unterbau.switch.probes.asking import Heard, ask  # here: who asks nobody waits for no library of protocols

        if not _may_be_a_tenants(address):
            return Heard(State.UNREACHABLE, reason=Reason.of("service.state.no-address"))
        self._turn(address)
        return ask(probe, address, self.place(address, probe.port), self.seconds, self.stop, self.door(address))

    def _recognised(self, place: Place) -> tuple[Open, ...]:
        """The probes that fit what speaks there: SSH and greetings by themselves, then TLS, then HTTP."""
        told = {"at": place.at, "port": place.port}
        greeted = Tcp(id="tcp", **told)
        first = self._ask(greeted, place.address)
        if first.state is not State.ANSWERED:
            return ()
        if first.facts != _SILENCE:
            shell = Ssh(id="ssh", **told)
            if self._ask(shell, place.address).state is State.ANSWERED:
                return (shell,)
            same = self._ask(greeted, place.address).facts == first.facts
            return (greeted if same else greeted.model_copy(update={"banner": "ignore"}),)
        secured = Tls(id="tls", **told)
        is_tls = self._ask(secured, place.address).state is State.ANSWERED
        page = self._page(Http(id="http", tls=is_tls, **told), place)
        found: list[Open] = [*([secured] if is_tls else []), *([page] if page is not None else [])]
        return tuple(found) or (greeted,)

    def _page(self, probe: Http, place: Place) -> Http | None:
        """The probe of a page, without what differs from look to look; None if nobody speaks HTTP there."""
        looks = [self._answer("source", probe, place.address) for _ in range(LOOKS)]
        if any(one.state is not State.ANSWERED for one in looks):
            return None
        one = _steady(looks)
        changing = "body" in one.unsteady or "body" not in one.facts
        ignored = tuple(f.removeprefix("header ") for f in one.unsteady if f.startswith("header "))
        return probe.model_copy(update={"body": "ignore" if changing else "same", "ignore": ignored})

    def _turn(self, address: str) -> None:
        """Wait until that address may be asked again."""
        with self._lock:
            begin = max(time.monotonic(), self._due.get(address, 0.0))
            self._due[address] = begin + 1 / self.rate
        self._pause(begin - time.monotonic())

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(max(0.0, seconds)):
            raise Interrupted("stopped while asking what the application answers", "Run the same command again.")


def of_both(
    prober: Prober, recorded: Sequence[Answer] | None, wait: float, count: Callable[[str, int, int], None]
) -> Callable[[Sequence[Probe], Workload, Workload, Mapping[Ref, Ref]], tuple[Answer, ...]]:
    """What asks both sides: the source unless it was `recorded` before it stopped, then the target.

    Of one guest what answers is asked before what is closed: until then it has started.
    """

    def asked(
        probes: Sequence[Probe], source: Workload, target: Workload, pairs: Mapping[Ref, Ref]
    ) -> tuple[Answer, ...]:
        ordered = sorted(probes, key=lambda probe: isinstance(probe, Closed))
        ours = [(p, address) for p in ordered if (address := address_of(source, p.at))]
        theirs = [(p, address) for p in ordered if (address := address_of(target, pairs.get(p.at, "")))]
        before = tuple(recorded or ())
        if recorded is None:
            before = prober.record("source", ours, lambda done, of: count("probes of the source", done, of))
        known = {one.probe: one for one in before}
        after = prober.compare(theirs, known, wait, lambda done, of: count("probes of the target", done, of))
        return (*before, *after)

    return asked


def _steady(looks: Sequence[Answer]) -> Answer:
    """The last look that was answered, with what differed from one to the other."""
    answered = [one for one in looks if one.state is State.ANSWERED] or list(looks)
    last = answered[-1]
    names = sorted({name for one in answered for name in one.facts})
    unsteady = tuple(n for n in names if any(one.facts.get(n) != last.facts.get(n) for one in answered))
    return last.model_copy(update={"unsteady": unsteady})


def _is_outside(probe: Probe, found: Answer) -> bool:
    return isinstance(probe, Command) and found.state is State.UNREACHABLE


def _may_be_a_tenants(address: str) -> bool:
    """No address of this machine, of its link (where clouds have metadata; a zone names one), or of many."""
    try:
        read = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(read, "ipv4_mapped", None) or read
    return not getattr(read, "scope_id", None) and not (
        mapped.is_loopback or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified or mapped.is_reserved
    )
