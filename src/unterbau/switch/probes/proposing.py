# SPDX-License-Identifier: Apache-2.0
"""Which places a tenant opens to the world, and the probes that follow from what answers there. Pure.

`drill` asks for the places, has them looked at (`running.recognise`) if a person said so, and makes probes of what was
recognised. A place is a floating IP and a TCP port that some rule of its port's groups lets everybody reach. A guest that
answers is asked at a few closed ports, too: those that rules open to some and not to all first, then what databases and
administrators use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from unterbau.switch.probes.model import Closed, Open, Probe, guest_of
from unterbau.tenant.kinds import FloatingIp, Kind, Port, Ref, SecurityGroup, Server, ref
from unterbau.tenant.openings.traffic import WHOLE, Firewall, Remotes, merged
from unterbau.tenant.workload import Workload

TCP = 6
USUAL = (22, 25, 80, 110, 143, 443, 465, 587, 993, 995, 3000, 3306, 5432, 6379, 8000, 8080, 8443, 9200)
"""Ports that are looked at where a rule opens so many that not all are."""
INNER = (5432, 3306, 6379, 22, 9200, 27017)
"""Ports that are seldom meant for everybody."""
FEW = 16
"""A range of at most so many ports is looked at whole."""
CLOSED_AT_MOST = 3


class Place(NamedTuple):
    """A port of a public address. `guest`: the server's name, or the floating IP's."""

    at: Ref
    address: str
    port: int
    guest: str = ""


class World(NamedTuple):
    """What everybody may reach, and what of the same addresses nobody, or not everybody."""

    open: tuple[Place, ...]
    shut: tuple[Place, ...]


def world(source: Workload) -> World:
    """All places of the source. Addresses of a load balancer's port are among them as far as its groups are shown."""
    subjects = {r.ref: r.ref for r in source.resources if isinstance(r, Port | SecurityGroup)}
    firewall = Firewall(source, subjects, Remotes())
    opened: list[Place] = []
    shut: list[Place] = []
    for public in source.of(FloatingIp):
        port = source.by_ref.get(ref(Kind.PORT, public.port_id or "-"))
        if not isinstance(port, Port) or not public.address:
            continue
        server = source.by_ref.get(guest_of(source, public.ref))
        guest = server.name if isinstance(server, Server) else public.called()
        passing = _Passing(port, firewall)
        everybody = [n for n in passing.named() if passing.everybody(n)]
        inner = [n for n in (*passing.named(FEW), *INNER) if not passing.everybody(n)]
        opened += [Place(public.ref, public.address, n, guest) for n in everybody]
        shut += [Place(public.ref, public.address, n, guest) for n in dict.fromkeys(inner)][:CLOSED_AT_MOST]
    return World(tuple(opened), tuple(shut))


class _Passing:
    """What reaches one port over IPv4 and TCP, by the effect of all rules together."""

    def __init__(self, port: Port, firewall: Firewall) -> None:
        self._bare = not port.port_security_enabled
        self._remotes = firewall.remotes.all
        self._rules = [
            one for one in firewall.of_groups(port.security_group_ids)
            if one.direction == "ingress" and one.version == 4 and one.protocol in (TCP, None)
        ]  # fmt: skip
        self._known: dict[frozenset[int], bool] = {}

    def named(self, at_most: int = 65536) -> list[int]:
        """Ports to look at: those of small ranges, and the usual ones of ranges up to `at_most`."""
        found = set(USUAL) if self._bare else set[int]()
        for one in self._rules:
            span = one.high - one.low + 1
            if span <= FEW:
                found.update(range(one.low, one.high + 1))
            elif span <= at_most:
                found.update(n for n in USUAL if one.low <= n <= one.high)
        return sorted(found - {0})

    def everybody(self, number: int) -> bool:
        """Whether everybody may reach that port."""
        far = frozenset(one.remote for one in self._rules if one.low <= number <= one.high)
        if far not in self._known:
            self._known[far] = merged(i for n in far for i in self._remotes[n].intervals) == WHOLE[4]
        return self._bare or self._known[far]


def proposed(world: World, recognised: Mapping[Place, Iterable[Open]], known: Iterable[str] = ()) -> tuple[Probe, ...]:
    """The probes: of what was recognised, and closed ones of the guests at which something was.

    What is shut to most and answers us is asked as what is open. The ids are made anew, and none of `known`.
    """
    found: list[Probe] = []
    taken = set(known)
    first: dict[Ref, str] = {}
    for place in (*world.open, *world.shut):
        for probe in recognised.get(place, ()):
            id_ = _id(place, probe.kind, taken)
            first.setdefault(place.at, id_)
            found.append(probe.model_copy(update={"id": id_, "at": place.at, "port": place.port}))
    for place in world.shut:
        if place.at in first and not recognised.get(place):
            id_ = _id(place, "closed", taken)
            found.append(Closed(id=id_, at=place.at, port=place.port, control=first[place.at]))
    return tuple(found)


def _id(place: Place, kind: str, taken: set[str]) -> str:
    """`web-1-http-80`; with a number if it is taken."""
    slug = re.sub(r"[^a-z0-9]+", "-", place.guest.lower()).strip("-")[:40].strip("-")
    base = f"{slug}-{kind}-{place.port}".strip("-")
    number, id_ = 1, base
    while id_ in taken:
        number += 1
        id_ = f"{base}-{number}"
    taken.add(id_)
    return id_
