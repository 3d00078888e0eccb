# SPDX-License-Identifier: Apache-2.0
"""The function itself: two sides and who is whose counterpart in, openings out. Pure.

One small method a kind of opening; each yields (kind, what, subject). A subject is the Ref of the source's object;
what stands on the target alone goes by its kind, name and addresses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeVar

from unterbau.tenant.kinds import (
    KINDS,
    AddressGroup,
    Container,
    FloatingIp,
    Image,
    Kind,
    Network,
    Opened,
    Port,
    Ref,
    Resource,
    ResourceBase,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecurityGroup,
    Server,
    Told,
    Volume,
    kind_of,
    ref,
)
from unterbau.tenant.openings import acl
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.openings.traffic import (
    WHOLE,
    Firewall,
    Passing,
    Remotes,
    addresses,
    described,
    is_address,
    within,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Reason, Words

R = TypeVar("R", bound=ResourceBase)
Found = tuple[Opened, str, str]
PROVIDERS = "something that is not the project's own"
_RANK = {"private": 0, "shared": 1, "community": 2, "public": 3}
_VISIBLE = {"shared": "the projects it is shared with", "community": "everybody who knows its id (community)",
            "public": "everybody (public)"}  # fmt: skip


def _needed() -> dict[Opened, frozenset[Kind]]:
    found: dict[Opened, set[Kind]] = {kind: set() for kind in Opened}
    for kind, one in KINDS.items():
        for policy in one.POLICY.values():
            for opened in policy.opens:
                found[opened] |= {kind} if policy.refers is None else {kind, policy.refers}
    return {opened: frozenset(kinds) for opened, kinds in found.items()}


NEEDED: Mapping[Opened, frozenset[Kind]] = _needed()
"""Kinds that must have been listed to say that nothing of a kind opened: those with a field that may open it, and
those that such a field refers to."""
CAN_OPEN = frozenset[Kind]().union(*NEEDED.values())
"""Kinds that have to do with anything that can be open."""


class Unseen(Model):
    """Something that would have had to be read to say whether a kind of opening is there.

    Of the target: whether more is open than was found. Of the source: whether what was found was open before; then
    `subject` says of which thing ("" of all).
    """

    kind: Opened
    side: Literal["source", "target"]
    what: str
    reason: Words
    subject: str = ""


class Judged(NamedTuple):
    """What is open there and closed here, and what could not be looked at."""

    found: tuple[Opening, ...]
    unseen: tuple[Unseen, ...]


def judge(source: Workload, there: Workload, counterpart: Mapping[Ref, Ref]) -> Judged:
    """What `there` opens against `source`. `counterpart` maps Refs of the source to those of the same thing there."""
    judging = _Judging(source, there, counterpart)
    where: dict[tuple[Opened, str], dict[str, str]] = defaultdict(dict)
    for kind, what, subject in judging.found():
        where[kind, what][subject] = judging.called(kind, subject)
    made = (Opening.of(kind, what, who) for (kind, what), who in where.items())
    found = tuple(sorted(made, key=lambda o: (list(Opened).index(o.kind), o.what, o.subjects)))
    return Judged(found, tuple(judging.unseen()))


class _Judging:
    def __init__(self, source: Workload, there: Workload, counterpart: Mapping[Ref, Ref]) -> None:
        self.here, self.there = source, there
        self.origin = _origins(source, there, counterpart)
        self._names = {r.ref: r.label() for r in source.resources if r.own_kind in CAN_OPEN}
        remotes = Remotes()
        self._ours = Firewall(source, {r: r for r in self._names}, remotes)
        subjects = {r.ref: self.subject(r) for r in there.resources if isinstance(r, Port | SecurityGroup)}
        self._theirs = Firewall(there, subjects | self._default(), remotes)
        self._passing: dict[tuple[frozenset[str], bool], Passing] = {}
        self._judged: dict[tuple[frozenset[str], frozenset[str], bool], tuple[tuple[Opened, str], ...]] = {}
        self._groups = {s: self.name(s).removeprefix("security group ") for r, s in self._theirs.subjects.items()
                        if kind_of(r) is Kind.SECURITY_GROUP}  # fmt: skip

    def found(self) -> Iterator[Found]:
        """All of it."""
        for port in self.there.of(Port):
            yield from self._port(port)
        for group in self.there.of(SecurityGroup):
            yield from self._group(group)
        yield from self._switches()
        yield from self._routers()
        yield from self._public_addresses()
        yield from self._servers()
        yield from self._shares()
        for container in self.there.of(Container):
            yield from self._container(container)
        for secret in self.there.of(Secret):
            yield from self._secret(secret, self.ours(secret))
        for secrets in self.there.of(SecretContainer):
            yield from self._secret(secrets, self.ours(secrets))
        for image in self.there.of(Image):
            yield from self._image(image)
        for volume in self.there.of(Volume):
            ours = self.ours(volume)
            if ours is not None and ours.encrypted and not volume.encrypted:
                yield Opened.ENCRYPTION, "unencrypted", self.subject(volume)

    # --- who is who

    def ours(self, theirs: R) -> R | None:
        """The source's object that this is, if there is one."""
        found = self.here.by_ref.get(self.origin.get(theirs.ref, ""))
        return found if isinstance(found, type(theirs)) else None

    def subject(self, theirs: Resource) -> str:
        """The same for the same thing in the plan, at the move and at the verification."""
        return self.origin.get(theirs.ref) or f"{theirs.label()}, only on the target"

    def name(self, subject: str) -> str:
        """What people call it."""
        return self._names.get(subject, subject)

    def called(self, kind: Opened, subject: str) -> str:
        """The same, where it is the traffic of a group: that is what any port in it will have."""
        traffic = kind in (Opened.INGRESS, Opened.EGRESS, Opened.REPLIES)
        group = subject.startswith((f"{Kind.SECURITY_GROUP.value}:", "security group "))
        return f"whatever is put into {self.name(subject)}" if traffic and group else self.name(subject)

    def _default(self) -> dict[Ref, str]:
        """The target's group `default`, where the source's was carried under a name of its own, is still the
        group that a new port gets: as a far end it is the same."""
        ours = next((g for g in self.here.of(SecurityGroup) if g.is_default), None)
        theirs = next((g for g in self.there.of(SecurityGroup) if g.is_default), None)
        return {theirs.ref: ours.ref} if ours and theirs and theirs.ref not in self.origin else {}

    # --- traffic

    def _port(self, port: Port) -> Iterator[Found]:
        ours, subject = self.ours(port), self.subject(port)
        if ours is not None and not ours.port_security_enabled:
            return
        if not port.port_security_enabled:
            yield Opened.PORT_SECURITY, "off", subject
            return
        groups = ours.security_group_ids if ours else ()
        for kind, what in self._traffic(frozenset(groups), frozenset(port.security_group_ids), alone=False):
            yield kind, what, subject
        for what in _pairs(ours, port):
            yield Opened.ADDRESS_PAIRS, what, subject

    def _group(self, group: SecurityGroup) -> Iterator[Found]:
        """What awaits a port that will be put into the group. Every new port gets `default`."""
        ours = self.ours(group)
        if ours is None and group.is_default:
            ours = next((g for g in self.here.of(SecurityGroup) if g.is_default), None)
        if ours is not None:
            for kind, what in self._traffic(frozenset([ours.id]), frozenset([group.id]), alone=True):
                yield kind, what, self.subject(group)

    def _traffic(self, ours: frozenset[str], theirs: frozenset[str], *, alone: bool) -> tuple[tuple[Opened, str], ...]:
        """What passes with their groups and not with ours; ports of the same groups share the answer."""
        if (ours, theirs, alone) not in self._judged:
            self._judged[ours, theirs, alone] = tuple(dict.fromkeys(self._compared(ours, theirs, alone)))
        return self._judged[ours, theirs, alone]

    def _compared(self, ours: frozenset[str], theirs: frozenset[str], alone: bool) -> Iterator[tuple[Opened, str]]:
        if (ours, alone) not in self._passing:
            traffic = self._ours.of_groups(ours)
            self._passing[ours, alone] = Passing(traffic, self._ours, self._theirs, alone=alone)
        passing = self._passing[ours, alone]
        for asked in self._theirs.of_groups(theirs) - passing.traffic:
            missing = passing.missing(asked)
            if any(missing):
                kind = Opened.INGRESS if asked.direction == "ingress" else Opened.EGRESS
                yield kind, described(asked, missing, self._theirs, self._groups, alone=alone)
        stateful = self._theirs.stateful(theirs) and self._theirs.of_groups(theirs)
        if ours and stateful and not self._ours.stateful(ours) and not passing.everything():
            yield Opened.REPLIES, "replies"

    # --- networks

    def _switches(self) -> Iterator[Found]:
        """A network's port security is that of its new ports; what is switched off lets nothing through."""
        for thing in self.there.resources:
            if not isinstance(thing, Network | Router | Port):
                continue
            ours = self.here.by_ref.get(self.origin.get(thing.ref, ""))
            if isinstance(ours, Network | Router | Port) and thing.admin_state_up and not ours.admin_state_up:
                yield Opened.SWITCHED_ON, "on", self.subject(thing)
            kept = isinstance(ours, Network) and not ours.port_security_enabled
            if isinstance(thing, Network) and not thing.port_security_enabled and not kept:
                yield Opened.PORT_SECURITY, "off", self.subject(thing)

    def _routers(self) -> Iterator[Found]:
        legs = {(i.network_id, i.router_id) for i in self.here.of(RouterInterface)}
        for leg in self.there.of(RouterInterface):
            ends = ref(Kind.NETWORK, leg.network_id), ref(Kind.ROUTER, leg.router_id)
            ours = tuple(self._origin(e).partition(":")[2] for e in ends)
            if ours not in legs:
                network, middle = (self._end(e) for e in ends)
                yield Opened.CONNECTED, self.name(middle), network
        for router in self.there.of(Router):
            yield from self._gateway(router)
            known = self.ours(router)
            for route in set(router.routes) - set(known.routes if known else ()):
                what = f"the route to {route.destination} by {route.nexthop}"
                yield Opened.CONNECTED, what, self.subject(router)

    def _origin(self, reference: Ref) -> Ref:
        """The Ref of the source that a Ref of the target means; one that is not the project's own means itself."""
        return self.origin.get(reference, "" if reference in self.there.by_ref else reference)

    def _end(self, reference: Ref) -> str:
        """The subject of a Ref of the target."""
        found = self.there.by_ref.get(reference)
        return self.subject(found) if found is not None else PROVIDERS

    def _gateway(self, router: Router) -> Iterator[Found]:
        if router.external_network_id is None:
            return
        ours, name = self.ours(router), _external(self.there, router.external_network_id)
        led = ours is not None and ours.external_network_id is not None
        before = _external(self.here, ours.external_network_id or "") if ours else ""
        if not led or (name and before and name != before):
            yield Opened.GATEWAY, name or "without a name", self.subject(router)
        if (not led or (ours and ours.enable_snat is False)) and router.enable_snat is not False:
            yield Opened.SNAT, "SNAT", self.subject(router)

    def _public_addresses(self) -> Iterator[Found]:
        """By port and inner address; an address that stands at no port yet, by itself."""
        known: dict[tuple[str, str], set[str]] = defaultdict(set)
        for address in self.here.of(FloatingIp):
            if address.port_id:
                name = _external(self.here, address.external_network_id)
                known[ref(Kind.PORT, address.port_id), _inner(self.here, address)].add(name)
        for address in self.there.of(FloatingIp):
            ours, name = self.ours(address), _external(self.there, address.external_network_id)
            inner, there = _inner(self.there, address), self.there.by_ref.get(ref(Kind.PORT, address.port_id or ""))
            if address.port_id is None:
                before = {_external(self.here, ours.external_network_id)} if ours else {name}
            else:
                before = known[self.origin.get(ref(Kind.PORT, address.port_id), ""), inner]
            if not before or (name and name not in before and "" not in before):
                what = f"on {name or 'an external network without a name'}" + (f", for {inner}" if inner else "")
                yield Opened.PUBLIC_ADDRESS, what, self.subject(there if there is not None else address)

    def _servers(self) -> Iterator[Found]:
        """On which networks a server stands, by the ports that say so; and a port that belongs to no server."""
        before, after = _networks_of(self.here), _networks_of(self.there)
        for server in self.there.of(Server):
            ours = self.ours(server)
            known = {ref(Kind.NETWORK, n) for n in before[ours.id]} if ours else set()
            for network in (ref(Kind.NETWORK, n) for n in after[server.id]):
                if self._origin(network) not in known:
                    yield Opened.ATTACHED, self.name(self._end(network)), self.subject(server)
        for port in self.there.of(Port):
            mine, network = self.ours(port), ref(Kind.NETWORK, port.network_id)
            if mine is not None and not port.device_id and self._origin(network) != ref(Kind.NETWORK, mine.network_id):
                yield Opened.ATTACHED, self.name(self._end(network)), self.subject(port)

    def _shares(self) -> Iterator[Found]:
        for thing in self.there.resources:
            if not isinstance(thing, Network | SecurityGroup | AddressGroup):
                continue
            ours = self.here.by_ref.get(self.origin.get(thing.ref, ""))
            known = _shared(ours) if ours is not None else set()
            for share in _shared(thing):
                way, _, _ = share.rpartition(" ")
                if share not in known and f"{way} everybody" not in known:
                    yield Opened.SHARED, share, self.subject(thing)

    # --- what stores something

    def _container(self, container: Container) -> Iterator[Found]:
        ours, subject = self.ours(container), self.subject(container)
        same = self.here.identity.auth_url == self.there.identity.auth_url
        for field, verb in (("read_acl", "reading"), ("write_acl", "writing")):
            here = acl.Acl(getattr(ours, field) if ours else "", self.here.identity)
            there = acl.Acl(getattr(container, field), self.there.identity)
            for what in acl.more(here, there, same_names=same):
                yield Opened.CONTAINER_ACL, f"{verb} by {what}", subject
        if container.sync_to and container.sync_to != (ours.sync_to if ours else None):
            yield Opened.CONTAINER_SYNC, container.sync_to, subject

    def _secret(self, secret: Secret | SecretContainer, ours: Secret | SecretContainer | None) -> Iterator[Found]:
        """That the project reads it opens only what was closed: it is so for every new secret."""
        if secret.acl_project_access and ours is not None and not ours.acl_project_access:
            yield Opened.SECRET_ACL, "its whole project", self.subject(secret)
        for user in set(secret.acl_users) - set(ours.acl_users if ours else ()):
            yield Opened.SECRET_ACL, f"user {user}", self.subject(secret)

    def _image(self, image: Image) -> Iterator[Found]:
        ours, subject = self.ours(image), self.subject(image)
        before = _RANK.get(ours.visibility, 0) if ours else 0
        if _RANK.get(image.visibility, len(_RANK)) > before:
            yield Opened.IMAGE, _VISIBLE.get(image.visibility, image.visibility), subject
        if image.visibility == "shared" and before <= _RANK["shared"]:
            known = set(ours.members) if ours and ours.visibility == "shared" else set()
            for member in set(image.members) - known - {self.there.identity.project_id}:
                yield Opened.IMAGE, f"project {member}", subject

    # --- what was not read

    def unseen(self) -> Iterator[Unseen]:
        """What either side does not show of what had to be looked at."""
        for note in self.here.not_shown:
            for kind, subject in _touched(note.what):
                yield Unseen(kind=kind, side="source", what=note.what, reason=note.reason, subject=subject)
        for note in self.there.not_shown:
            for kind in dict.fromkeys(k for k, _ in _touched(note.what) or _more(note.what)):
                yield Unseen(kind=kind, side="target", what=note.what, reason=note.reason)
        yield from self._foreign_groups(self.here, "source")
        yield from self._foreign_groups(self.there, "target")
        for side in (self.here, self.there):
            for thing in side.resources:
                if not isinstance(thing, Router | FloatingIp) or not thing.external_network_id:
                    continue
                kind = Opened.GATEWAY if isinstance(thing, Router) else Opened.PUBLIC_ADDRESS
                if not _external(side, thing.external_network_id):
                    reason = Reason.of("openings.unnamed-network", cloud=side.identity.name)
                    yield Unseen(kind=kind, side="target", what=thing.label(), reason=reason)

    def _foreign_groups(self, side: Workload, name: Literal["source", "target"]) -> Iterator[Unseen]:
        """Ports in a group that another project shares: its rules are not for us to read."""
        groups = {g.id for g in side.of(SecurityGroup)}
        for port in side.of(Port):
            if not groups.issuperset(port.security_group_ids):
                for kind in (Opened.INGRESS, Opened.EGRESS, Opened.REPLIES):
                    reason = Reason.of("openings.foreign-group", port=port.label())
                    yield Unseen(kind=kind, side=name, what=port.ref, reason=reason, subject=port.ref)


def _touched(what: str) -> list[tuple[Opened, str]]:
    """Kinds of opening that cannot be judged if this is not shown: of everything (""), or of one thing."""
    head, colon, rest = what.partition(":")
    if "." not in (rest or head):  # a kind, or a thing of which only its being is known
        return [(kind, what if colon else "") for kind, needed in NEEDED.items() if head in needed]
    owner, _, field = what.rpartition(".")
    return [
        (kind, owner if colon else "")
        for kind, fields in _UNTOLD.items()
        if field in fields or field == _ALSO.get(kind)
    ]


def _more(what: str) -> list[tuple[Opened, str]]:
    """Things that we do not understand: on the target they may open something."""
    head = what.partition(":")[0]
    return [
        (kind, "") for kind, heads in _STRANGE.items() if head in heads or what.endswith(tuple(f".{h}" for h in heads))
    ]


def _origins(source: Workload, there: Workload, counterpart: Mapping[Ref, Ref]) -> dict[Ref, Ref]:
    """Refs there -> Refs of the source. A port that found no counterpart is known by its MAC address, too."""
    origin = {theirs: ours for ours, theirs in counterpart.items() if theirs in there.by_ref}
    taken = set(origin.values())
    macs = {p.mac_address: p.ref for p in source.of(Port) if p.ref not in taken}
    for port in there.of(Port):
        if port.ref not in origin and port.mac_address in macs:
            origin[port.ref] = macs.pop(port.mac_address)
    return origin


def _pairs(ours: Port | None, theirs: Port) -> Iterator[str]:
    """Addresses that a port may use beside its own, and might not before."""
    known: dict[str | None, list[str]] = defaultdict(list)
    if ours is not None:
        known[None] += [ip.ip_address for ip in ours.fixed_ips]
        for pair in ours.allowed_address_pairs:
            known[None if pair.mac_address == ours.mac_address else pair.mac_address].append(pair.ip_address)
    for pair in theirs.allowed_address_pairs:
        mac = None if pair.mac_address == theirs.mac_address else pair.mac_address
        if not _in(pair.ip_address, known[mac]):
            yield pair.ip_address + (f" with {mac}" if mac else "")


def _in(wanted: str, known: list[str]) -> bool:
    """Whether all addresses of a CIDR are among these; what is no address is in only as the same text."""
    if wanted in known or not is_address(wanted):
        return wanted in known
    there = [k for k in known if is_address(k)]
    return all(within(addresses([wanted], version), addresses(there, version)) for version in WHOLE)


def _external(side: Workload, id_: str) -> str:
    """The name of an external network; "" if the side does not tell it. A tenant sees no more of what it is."""
    known = next((n.name for n in side.offering.external_networks if n.id == id_), "")
    own = side.by_ref.get(ref(Kind.NETWORK, id_))
    return known or (own.name if own is not None else "")


def _inner(side: Workload, address: FloatingIp) -> str:
    """The inner address; Neutron takes the port's first if none is named."""
    port = side.by_ref.get(ref(Kind.PORT, address.port_id or ""))
    first = port.fixed_ips[0].ip_address if isinstance(port, Port) and port.fixed_ips else ""
    return address.fixed_ip_address or first


def _networks_of(side: Workload) -> dict[str, set[str]]:
    """Server id -> ids of the networks on which it stands."""
    found: dict[str, set[str]] = defaultdict(set)
    networks = {p.id: p.network_id for p in side.of(Port)}
    for server in side.of(Server):
        found[server.id] |= {networks[p] for p in server.port_ids if p in networks}
    for port in side.of(Port):
        if port.device_owner.startswith("compute:"):
            found[port.device_id].add(port.network_id)
    return found


def _shared(thing: Resource) -> set[str]:
    """With whom, in words: `with project P`, `as an external network with everybody`."""
    found = set[str]()
    if not isinstance(thing, Network | SecurityGroup | AddressGroup):
        return found
    if isinstance(thing, Network):
        found |= {"with everybody"} if thing.shared else set()
        found |= {"as an external network with everybody"} if thing.external else set()
    for share in thing.shared_with:
        way, _, whom = share.rpartition(":")
        found.add(("as an external network " if way else "") + ("with everybody" if whom == "*" else f"with {whom}"))
    return found


_UNTOLD: Mapping[Opened, frozenset[str]] = {
    opened: frozenset(
        name
        for one in KINDS.values()
        for name, p in one.POLICY.items()
        if p.told is not Told.ALWAYS and opened in p.opens
    )
    for opened in Opened
}
"""Fields that a cloud may hide from us, of one thing or of all of a kind, and that may open something."""
_ALSO: Mapping[Opened, str] = {Opened.CONTAINER_ACL: "access_control", Opened.SECRET_ACL: "acl"}
"""What a census calls such fields together."""
_STRANGE: Mapping[Opened, tuple[str, ...]] = {
    Opened.ATTACHED: ("trunks",),
    Opened.CONNECTED: ("ipsec_site_connections", "vpn/ipsec-site-connections", "bgpvpns", "bgpvpn/bgpvpns"),
    Opened.GATEWAY: ("external_gateways", "offering.external_networks", "offering"),
    Opened.SNAT: ("external_gateways",),
    Opened.PUBLIC_ADDRESS: ("port_forwardings", "ndp_proxies", "offering.external_networks", "offering"),
    Opened.SHARED: ("rbac_policies", "rbac-policies"),
}
"""What the census names without understanding it (see `unterbau.cloud.openstack.unknown`)."""
