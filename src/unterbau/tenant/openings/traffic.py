# SPDX-License-Identifier: Apache-2.0
"""What security groups let through, as sets that can be compared: by effect, never rule by rule. Pure.

`judge` asks whether one side lets something through that the other does not. A rule becomes a `Traffic`: a way
(direction, IP version), a protocol, a range of ports (or of ICMP types and codes), and a `Remote`. Protocols are
numbers, so that `tcp` and `6` are one; no remote, `0.0.0.0/0` and all addresses in pieces are one; a group as
remote is the addresses of its members, with their allowed address pairs, as Neutron reads it
(`_select_ips_for_remote_group`). What Neutron lets through by itself on any cloud (DHCP, ARP, neighbour
discovery) is no rule and is not here.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network, summarize_address_range
from typing import NamedTuple

from unterbau.tenant.kinds import AddressGroup, Kind, Port, Ref, SecurityGroup, SecurityGroupRule, ref
from unterbau.tenant.workload import Workload

Intervals = tuple[tuple[int, int], ...]
"""Addresses as numbers: closed intervals that neither touch nor overlap, in order."""
WHOLE: Mapping[int, Intervals] = {4: ((0, 2**32 - 1),), 6: ((0, 2**128 - 1),)}
ALL_PORTS = (0, 2**16 - 1)
"""Also all pairs of an ICMP type and code: type * 256 + code."""
LISTED_AT_MOST = 6
PROTOCOLS: Mapping[str, int] = {
    "ip": 0, "hopopt": 0, "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6-encap": 41,
    "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58,
    "ipv6-nonxt": 59, "ipv6-opts": 60, "ospf": 89, "vrrp": 112, "pgm": 113, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""Names that Neutron takes (neutron_lib.constants.IP_PROTOCOL_MAP)."""
ICMP = {4: 1, 6: 58}
_NAMES: Mapping[int | str, str] = {
    number: name for name, number in PROTOCOLS.items() if name not in ("ip", "ipv6-icmp")
}
_ANY = ("", "any", "-1")


class Remote(NamedTuple):
    """The far end. `members` are the subjects of the ports in `group`, whose own addresses count; their allowed
    address pairs stand in `intervals`. `foreign`: a group whose members nobody here can see.
    """

    intervals: Intervals = ()
    members: frozenset[str] = frozenset()
    group: str = ""
    foreign: bool = False


class Traffic(NamedTuple):
    """What one rule lets through. `remote` is a number of the `Remotes`, so that this is cheap to compare.

    `protocol` None is any; a name that nobody knows stays a name.
    """

    direction: str
    version: int
    protocol: int | str | None
    low: int
    high: int
    remote: int


class Remotes:
    """All far ends of both sides, each once."""

    def __init__(self) -> None:
        self._numbers: dict[Remote, int] = {}
        self.all: list[Remote] = []

    def number(self, remote: Remote) -> int:
        """The number of this far end."""
        found = self._numbers.setdefault(remote, len(self.all))
        if found == len(self.all):
            self.all.append(remote)
        return found


def merged(intervals: Iterable[tuple[int, int]]) -> Intervals:
    """The same addresses in as few intervals as there can be."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def within(inner: Intervals, outer: Intervals) -> bool:
    """Whether all addresses of the one are in the other."""
    at = 0
    for low, high in inner:
        while at < len(outer) and outer[at][1] < low:
            at += 1
        if at == len(outer) or low < outer[at][0] or high > outer[at][1]:
            return False
    return True


def addresses(texts: Iterable[str], version: int) -> Intervals:
    """Addresses and CIDRs of one IP version; host bits are passed over. Raises ValueError for what is none."""
    networks = (ip_network(t, strict=False) for t in texts)
    return merged((int(n[0]), int(n[-1])) for n in networks if n.version == version)


def is_address(text: str) -> bool:
    """Whether it is an address or a CIDR."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def written(intervals: Intervals, version: int) -> str:
    """As CIDRs, the first few of them; a digest stands for the rest, so that the text says exactly which."""
    make = IPv4Address if version == 4 else IPv6Address
    cidrs = [str(c) for low, high in intervals for c in summarize_address_range(make(low), make(high))]
    return listed([c.removesuffix("/32" if version == 4 else "/128") for c in cidrs])


def listed(texts: list[str]) -> str:
    """`a, b, c and 40 more [3f9a1c2b]`."""
    if len(texts) <= LISTED_AT_MOST:
        return ", ".join(texts)
    rest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]
    return f"{', '.join(texts[:LISTED_AT_MOST])} and {len(texts) - LISTED_AT_MOST} more [{rest}]"


@dataclass
class Firewall:
    """The groups, rules and members of one side. `subjects` names its ports and groups alike on both sides."""

    workload: Workload
    subjects: Mapping[Ref, str]
    remotes: Remotes
    own: dict[str, dict[int, Intervals]] = field(default_factory=dict)
    """Subject of a port -> its own addresses by IP version."""

    def __post_init__(self) -> None:
        self._rules: dict[str, list[SecurityGroupRule]] = defaultdict(list)
        for rule in self.workload.of(SecurityGroupRule):
            self._rules[rule.security_group_id].append(rule)
        self._members: dict[str, list[Port]] = defaultdict(list)
        for port in self.workload.of(Port):
            ips = [ip.ip_address for ip in port.fixed_ips if is_address(ip.ip_address)]
            self.own[self.subjects[port.ref]] = {version: addresses(ips, version) for version in WHOLE}
            for group in port.security_group_ids if port.port_security_enabled else ():
                self._members[group].append(port)
        self._groups = {g.id: g for g in self.workload.of(SecurityGroup)}
        self._sets = {g.id: g for g in self.workload.of(AddressGroup)}
        self._known: dict[str, frozenset[Traffic]] = {}
        self._far: dict[tuple[Ref | str, int], int] = {}

    def of_group(self, group_id: str) -> frozenset[Traffic]:
        """What the rules of one group let through."""
        if group_id not in self._known:
            self._known[group_id] = frozenset(self._traffic(r) for r in self._rules[group_id])
        return self._known[group_id]

    def of_groups(self, group_ids: Iterable[str]) -> frozenset[Traffic]:
        """What reaches or leaves a port of these groups; without groups nothing does."""
        return frozenset().union(*(self.of_group(g) for g in group_ids))

    def stateful(self, group_ids: Iterable[str]) -> bool:
        """Whether replies pass without a rule of their own."""
        return any(self._groups[g].stateful for g in group_ids if g in self._groups)

    def _traffic(self, rule: SecurityGroupRule) -> Traffic:
        version = 4 if rule.ethertype == "IPv4" else 6
        protocol = _protocol(rule.protocol, version)
        low, high = rule.port_range_min, rule.port_range_max
        if low is None:
            low, high = ALL_PORTS
        elif protocol in ICMP.values():  # a type, and a code or all of them
            low, high = (low * 256, low * 256 + 255) if high is None else (low * 256 + high,) * 2
        return Traffic(
            rule.direction, version, protocol, low, low if high is None else high, self._remote(rule, version)
        )

    def _remote(self, rule: SecurityGroupRule, version: int) -> int:
        if rule.remote_group_id:
            key = ref(Kind.SECURITY_GROUP, rule.remote_group_id)
        elif rule.remote_address_group_id:
            key = ref(Kind.ADDRESS_GROUP, rule.remote_address_group_id)
        else:
            key = rule.remote_ip_prefix or ""
        if (key, version) not in self._far:
            try:
                far = self._far_end(rule, key, version)
            except ValueError:  # an address that is none: nobody can tell what it lets through
                far = Remote(group=key, foreign=True)
            self._far[key, version] = self.remotes.number(far)
        return self._far[key, version]

    def _far_end(self, rule: SecurityGroupRule, key: Ref, version: int) -> Remote:
        if rule.remote_ip_prefix:
            return Remote(addresses([rule.remote_ip_prefix], version))
        if rule.remote_group_id in self._groups:
            members = self._members[rule.remote_group_id]
            pairs = [pair.ip_address for port in members for pair in port.allowed_address_pairs]
            who = frozenset(self.subjects[p.ref] for p in members if self.own[self.subjects[p.ref]][version])
            return Remote(addresses(pairs, version), who, self.subjects[key])
        if rule.remote_address_group_id in self._sets:
            return Remote(addresses(self._sets[rule.remote_address_group_id].addresses, version))
        return Remote(group=key, foreign=True) if key else Remote(WHOLE[version])


def _protocol(text: str | None, version: int) -> int | str | None:
    told = (text or "").lower()
    if told in _ANY:
        return None
    number = int(told) if told.isdecimal() else PROTOCOLS.get(told, told)
    return ICMP[6] if version == 6 and number == ICMP[4] else number


class Missing(NamedTuple):
    """The part of a far end that is not let through: all that is not a member, and these members."""

    rest: bool
    members: frozenset[str]

    def __or__(self, other: Missing) -> Missing:
        return Missing(self.rest or other.rest, self.members | other.members)


NOTHING = Missing(False, frozenset())


class Passing:
    """What one side lets through, to be asked whether something of the other side's is in it.

    `own` and `theirs` are the own addresses of ports by subject, here and on the side of what is asked.
    `alone`: groups are taken as such, for a port that is still to come; else by the members that they have.
    """

    def __init__(self, traffic: frozenset[Traffic], here: Firewall, there: Firewall, *, alone: bool = False) -> None:
        self.traffic, self._alone = traffic, alone
        self._remotes, self._own, self._theirs = here.remotes.all, here.own, there.own
        self._ways: dict[tuple[str, int], list[Traffic]] = defaultdict(list)
        for one in traffic:
            self._ways[one.direction, one.version].append(one)
        self._unions: dict[frozenset[int], tuple[Intervals, frozenset[str], frozenset[str]]] = {}

    def everything(self) -> bool:
        """Whether nothing at all is held back, either way."""
        return all(
            any(t.protocol is None and self._remotes[t.remote].intervals == WHOLE[version]
                for t in self._ways.get((direction, version), ()))
            for direction in ("ingress", "egress") for version in WHOLE
        )  # fmt: skip

    def missing(self, asked: Traffic) -> Missing:
        """What of this is not let through; `NOTHING` if all of it is."""
        if asked in self.traffic:
            return NOTHING
        way = self._ways.get((asked.direction, asked.version), [])
        found = NOTHING
        for protocol in self._protocols(asked, way):
            ours = [t for t in way if t.protocol is None or t.protocol == protocol]
            for passing in _segments(asked, ours):
                found |= self._not_in(self._remotes[asked.remote], passing, asked.version)
        return found

    def _protocols(self, asked: Traffic, way: list[Traffic]) -> Iterable[int | str | None]:
        """The protocols to look at one by one: that which is asked for; for any, all that have a rule of their
        own, and one of those that have none (as None)."""
        if asked.protocol is not None:
            return (asked.protocol,)
        named = {t.protocol for t in way if t.protocol is not None}
        return named if named >= set(range(256)) else (*named, None)

    def _not_in(self, asked: Remote, passing: frozenset[int], version: int) -> Missing:
        intervals, members, groups = self._union(passing, version)
        if intervals == WHOLE[version] or ((self._alone or asked.foreign) and asked.group and asked.group in groups):
            return NOTHING
        if asked.foreign or (self._alone and asked.group and not asked.members):
            return Missing(True, frozenset())
        left = frozenset(m for m in asked.members - members if not within(self._theirs[m][version], intervals))
        return Missing(not within(asked.intervals, intervals), left)

    def _union(self, passing: frozenset[int], version: int) -> tuple[Intervals, frozenset[str], frozenset[str]]:
        if passing not in self._unions:
            ends = [self._remotes[n] for n in passing]
            members = frozenset[str]().union(*(e.members for e in ends))
            parts = [i for e in ends for i in e.intervals] + [i for m in members for i in self._own[m][version]]
            self._unions[passing] = merged(parts), members, frozenset(e.group for e in ends if e.group)
        return self._unions[passing]


def _segments(asked: Traffic, ours: list[Traffic]) -> Iterable[frozenset[int]]:
    """The ports that are asked for, cut where a rule begins or ends: the far ends that each piece lets through."""
    begins, ends = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    for one in ours:
        if one.low <= asked.high and one.high >= asked.low:
            begins[max(one.low, asked.low)].append(one.remote)
            ends[one.high + 1].append(one.remote)
    cuts = sorted({asked.low, *begins, *(e for e in ends if e <= asked.high)})
    open_: dict[int, int] = defaultdict(int)
    seen: set[frozenset[int]] = set()
    for cut in cuts:
        for remote in begins.get(cut, ()):
            open_[remote] += 1
        for remote in ends.get(cut, ()):
            open_[remote] -= 1
        passing = frozenset(r for r, n in open_.items() if n)
        if passing not in seen:
            seen.add(passing)
            yield passing


def described(asked: Traffic, missing: Missing, there: Firewall, names: Mapping[str, str], *, alone: bool) -> str:
    """`tcp 5432 from anywhere (IPv4)`, `any protocol to 10.10.2.30 (in fv-db)`; `names` are those of the groups.

    `alone` as in `Passing`: the members of a group are then those that it will have.
    """
    remote, version = there.remotes.all[asked.remote], asked.version
    far = []
    if remote.foreign:
        far.append(f"what nobody here can see (IPv{version})")
    elif alone and remote.group:
        far.append(f"members of {names[remote.group]} (IPv{version})")
    elif missing.members:
        who = [written(there.own[m][version], version) for m in missing.members]
        far.append(f"{listed(sorted(who))} (in {names[remote.group]})")
    if missing.rest and remote.intervals:
        whole = remote.intervals == WHOLE[version]
        far.append(f"anywhere (IPv{version})" if whole else written(remote.intervals, version))
    return f"{_said(asked)} {'from' if asked.direction == 'ingress' else 'to'} {' and '.join(far)}"


def _said(asked: Traffic) -> str:
    if asked.protocol is None:
        return "any protocol"
    name = str(_NAMES.get(asked.protocol, f"protocol {asked.protocol}"))
    low, high = asked.low, asked.high
    if (low, high) == ALL_PORTS:
        return name
    if asked.protocol in ICMP.values():
        return f"{name} type {low // 256}" + ("" if high - low == 255 else f" code {low % 256}")
    return f"{name} {low}" + ("" if low == high else f"-{high}")
