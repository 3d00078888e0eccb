# SPDX-License-Identifier: Apache-2.0
"""Choose a fate for every object of the source, from two censuses. Pure: no cloud, no clock, no file.

`drill` and the command `plan` call `make`; `dump` and `load` are the file that a person reads and edits.
The rules are small functions by kind, each of which says why and what a person does. Two laws stand above
them: nothing that was closed is opened (what cannot be carried as it is stays shut and is named), and every
object has exactly one fate.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from ipaddress import ip_network

import yaml
from pydantic import JsonValue, ValidationError

from unterbau.errors import PlanError, Refused, UsageError
from unterbau.scs import flavor_name
from unterbau.switch import census
from unterbau.switch.plan import Change, Check, Entry, Fate, Plan, losses
from unterbau.switch.planned_openings import of_plan
from unterbau.tenant.kinds import (
    AddressGroup,
    Attachment,
    Backup,
    Container,
    ExternalNetwork,
    Flavor,
    FloatingIp,
    Image,
    Keypair,
    Kind,
    Network,
    Port,
    Ref,
    Resource,
    Router,
    RouterInterface,
    Secret,
    SecretContainer,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    Snapshot,
    StoredObject,
    Subnet,
    Volume,
    VolumeType,
    kind_of,
    ref,
)
from unterbau.tenant.openings.model import Opening
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Outcome, Words, joined

GIB, MIB = 2**30, 2**20
READ_AT_ONCE, VERIFIED_AT_ONCE = 8, 3
"""How many volumes a move reads, and a verification on each side, at the same time."""
SECONDS_A_STEP = 0.4
"""What creating one thing takes, roughly, with eight at a time."""
OPENINGS = "openings"
"""The name of the check of what a plan opens."""
MOVABLE_STATES = {"server": ("ACTIVE", "SHUTOFF"), "volume": ("available", "in-use"), "image": ("active",)}


def make(
    source: Workload,
    target: Workload,
    *,
    run: str,
    now: datetime,
    rate_bytes_per_second: float | None = None,
    choices: Sequence[str] = (),
    allowed: Sequence[str] = (),
) -> Plan:
    """The plan. `choices` are a person's (`external:NAME=NAME`), `allowed` ids of openings.

    Raises Refused if source and target are the same project of the same cloud; UsageError for a choice among
    things that are not there, and for an id that opens nothing.
    """
    a, b = source.identity, target.identity
    if (a.auth_url, a.project_id) == (b.auth_url, b.project_id):
        raise Refused(
            f"{a.name} and {b.name} are the same project ({a.project_id} at {a.auth_url})",
            "Name another cloud or project as the target.",
        )
    planner = _Planner(source, target, _chosen(choices, source, target))
    entries = planner.entries()
    total = sum(e.bytes for e in entries if e.fate.moves)
    moving = sum(e.fate.moves and e.stands_in is None for e in entries)
    rate = rate_bytes_per_second or 50e6
    plan = Plan(
        run=run,
        made_at=now,
        source=a,
        target=b,
        source_digest=census.digest(source),
        entries=entries,
        translate=dict(sorted(planner.translate.items())),
        checks=planner.checks(entries),
        bytes_total=total,
        estimate_seconds=round(total / rate + moving * SECONDS_A_STEP, 1),
        choices=tuple(choices),
    )
    return judged(plan, source, target, allowed)


def judged(plan: Plan, source: Workload, target: Workload, allowed: Sequence[str] = ()) -> Plan:
    """The plan as it stands, whoever edited it, with its checks, what it opens and what of that is allowed.

    `allowed` are ids that a person allows now; those that stand in the plan stay as long as they open something.
    Raises UsageError for one of `allowed` that opens nothing, PlanError for changes that make no sense.
    """
    found = of_plan(plan, source, target)
    known = [o.id for o in found]
    for id_ in allowed:
        if id_ not in known:
            raise UsageError(
                f"the plan opens nothing that is called {id_}",
                f"What it opens: {', '.join(known)}." if known else "It opens nothing: leave the option out.",
            )
    words = tuple(id_ for id_ in known if id_ in (*plan.allowed_openings, *allowed))
    checks = _Planner(source, target, _chosen(plan.choices, source, target)).checks(plan.entries)
    return plan.model_copy(update={
        "openings": found, "allowed_openings": words, "checks": (*checks, _check_openings(found, words)),
    })  # fmt: skip


def _check_openings(found: Sequence[Opening], allowed: Sequence[str]) -> Check:
    if not found:
        return Check(name=OPENINGS, outcome=Outcome.HELD, text="nothing opens that is closed on the source")
    shut = [o for o in found if o.id not in allowed]
    if not shut:
        text = f"opens, as allowed by name: {', '.join(o.id for o in found)}"
        return Check(name=OPENINGS, outcome=Outcome.HELD, text=text)
    told = "; ".join(f"{o.id}: {o.text}" for o in shut[:5]) + (f"; and {len(shut) - 5} more" if len(shut) > 5 else "")
    return Check(name=OPENINGS, outcome=Outcome.FAILED, text=f"what is closed on the source would open: {told}",
                 remedy="Edit the plan so that it stays shut, or allow each by its name: --allow-opening ID.")  # fmt: skip


class Choice(Model):
    """What a person chose where names do not decide: the source's thing by its name or id, the target's by its id."""

    kind: str
    source: str
    target: str


def choice(text: str, source: Workload, target: Workload) -> Choice:
    """Read `external:NAME=NAME`; an id may stand for a name. Raises UsageError with the nearest that there is."""
    kind, colon, names = text.partition(":")
    if kind not in CHOICES or not colon or "=" not in names:
        kinds = ", ".join(CHOICES)
        raise UsageError(f"{text!r} is no choice", f"Write KIND:NAME=NAME, where KIND is one of: {kinds}.")
    ours, theirs = CHOICES[kind](source), CHOICES[kind](target)
    splits = [(names[:i], names[i + 1 :]) for i, c in enumerate(names) if c == "="]
    left = [(one, two) for one, two in splits if one in ours] or splits[:1]
    one, two = next((s for s in left if s[1] in theirs), left[0])
    for side, name, known in ((source, one, ours), (target, two, theirs)):
        if name not in known:
            raise UsageError(f"{text!r}: {side.identity.name} has no {kind} network {name!r}", _nearest(name, known))
    return Choice(kind=kind, source=one, target=theirs[two])


def _chosen(texts: Iterable[str], source: Workload, target: Workload) -> list[Choice]:
    """All choices. Raises UsageError if two contradict each other."""
    found: dict[tuple[str, str], Choice] = {}
    for text in texts:
        one = choice(text, source, target)
        if found.setdefault((one.kind, one.source), one) != one:
            raise UsageError(f"{text!r} contradicts another --map of the same thing", "Leave one of them out.")
    return list(found.values())


def _external_by_name(side: Workload) -> dict[str, str]:
    """Names, and ids, of the external networks -> ids; of two of one name the default one."""
    theirs = sorted(side.offering.external_networks, key=lambda n: n.is_default)
    return {n.id: n.id for n in theirs} | {n.name: n.id for n in theirs if n.name}


def _nearest(name: str, known: Mapping[str, str]) -> str:
    names = sorted(n for n in known if n != known[n]) or sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.4)
    return f"nearest: {', '.join(near)}" if near else f"There are: {', '.join(names) or 'none'}."


CHOICES: Mapping[str, Callable[[Workload], dict[str, str]]] = {"external": _external_by_name}
"""Kinds of things that a person may choose, and how they are called."""


class _Planner:
    """Holds the two censuses and the translations of the surroundings while fates are chosen."""

    def __init__(self, source: Workload, target: Workload, choices: Iterable[Choice] = ()) -> None:
        self.source, self.target = source, target
        self.choices = {(c.kind, c.source): c.target for c in choices}
        self.translate: dict[str, str] = {f"project:{source.identity.project_id}": target.identity.project_id}
        self.rules: Mapping[Kind, Callable[[Resource], Entry]] = {
            Kind.KEYPAIR: self._keypair,
            Kind.ADDRESS_GROUP: self._address_group,
            Kind.SECURITY_GROUP: self._security_group,
            Kind.SECURITY_GROUP_RULE: self._rule,
            Kind.NETWORK: self._network,
            Kind.SUBNET: self._subnet,
            Kind.ROUTER: self._router,
            Kind.PORT: self._port,
            Kind.FLOATING_IP: self._floating_ip,
            Kind.IMAGE: self._image,
            Kind.VOLUME: self._volume,
            Kind.SNAPSHOT: self._snapshot,
            Kind.BACKUP: self._backup,
            Kind.SECRET: self._secret,
            Kind.SECRET_CONTAINER: self._secret_container,
            Kind.SERVER: self._server,
            Kind.CONTAINER: self._container,
            Kind.OBJECT: self._object,
        }
        self._stand_ins = self._default_group()

    def entries(self) -> tuple[Entry, ...]:
        """One entry for each object; what needs something that is left is left too."""
        chosen = {r.ref: self.rules.get(r.own_kind, self._plain)(r) for r in self.source.resources}
        changed = True
        while changed:
            changed = False
            for reference, entry in chosen.items():
                lost = [n for n in entry.needs if n in chosen and not chosen[n].fate.moves]
                if entry.fate.moves and lost:
                    first = chosen[lost[0]]
                    why = f"needs {first.ref} ({first.name}), which is left: {first.why}"
                    if first.fate is Fate.NOT_SHOWN:
                        why = f"needs {first.ref} ({first.name}), which is not shown: {first.why}"
                    chosen[reference] = _left(self.source.by_ref[reference], why, first.remedy)
                    changed = True
        return tuple(self._announced(e) if e.fate.moves else e for e in chosen.values())

    def _announced(self, entry: Entry) -> Entry:
        """The entry with what would go with the source's object for good."""
        found = losses(entry, self.source.by_ref[entry.ref], self.source)
        return entry.model_copy(update={"losses": found}) if found else entry

    # --- access

    def _plain(self, resource: Resource) -> Entry:
        return self._carried(resource)

    def _carried(self, resource: Resource, *changes: Change, why: Words = "", size: int = 0,
                 more: Iterable[Ref] = ()) -> Entry:  # fmt: skip
        own = (n for n in (*resource.references(), *more) if n in self.source.by_ref)
        return Entry(
            ref=resource.ref,
            name=resource.name,
            fate=Fate.CHANGED if changes or why else Fate.CARRIED,
            why=why or joined(c.why for c in changes),
            changes=changes,
            needs=tuple(dict.fromkeys(own)),
            bytes=size,
        )

    def _keypair(self, resource: Resource) -> Entry:
        assert isinstance(resource, Keypair)  # noqa: S101 - by the table
        there = next((k for k in self.target.of(Keypair) if k.name == resource.name), None)
        if there is None:
            return self._carried(resource)
        if there.public_key.split()[:2] == resource.public_key.split()[:2]:
            return self._carried(resource).model_copy(update={"stands_in": there.id})
        return _left(resource, "the target has another key of this name", "Rename one of the two keys.")

    def _default_group(self) -> dict[Ref, str]:
        """The source's default group and its rules -> the target's, if both mean the same."""
        ours = next((g for g in self.source.of(SecurityGroup) if g.is_default), None)
        theirs = next((g for g in self.target.of(SecurityGroup) if g.is_default), None)
        if ours is None or theirs is None:
            return {}
        left = {_rule_meaning(r, ours.id): r for r in self.source.of(SecurityGroupRule)
                if r.security_group_id == ours.id}  # fmt: skip
        right = {_rule_meaning(r, theirs.id): r for r in self.target.of(SecurityGroupRule)
                 if r.security_group_id == theirs.id}  # fmt: skip
        if left.keys() != right.keys():
            return {}
        return {ours.ref: theirs.id, **{left[m].ref: right[m].id for m in left}}

    def _address_group(self, resource: Resource) -> Entry:
        assert isinstance(resource, AddressGroup)  # noqa: S101 - by the table
        return self._carried(resource, *_unshared(resource))

    def _security_group(self, resource: Resource) -> Entry:
        assert isinstance(resource, SecurityGroup)  # noqa: S101 - by the table
        if resource.ref in self._stand_ins:
            entry = self._carried(resource, *_unshared(resource))
            return entry.model_copy(update={"stands_in": self._stand_ins[resource.ref]})
        if resource.is_default:
            name = f"default-{self.source.identity.project_name}"
            why = "each project has one group `default`, and the target's has other rules: carried under a new name"
            return self._carried(resource, Change(field="name", was="default", to=name, why=why), *_unshared(resource))
        return self._carried(resource, *_unshared(resource))

    def _rule(self, resource: Resource) -> Entry:
        assert isinstance(resource, SecurityGroupRule)  # noqa: S101 - by the table
        if resource.ref in self._stand_ins:
            return self._carried(resource).model_copy(update={"stands_in": self._stand_ins[resource.ref]})
        foreign = [r for r in resource.references() if r not in self.source.by_ref]
        if foreign:
            return _left(
                resource,
                f"refers to {foreign[0]}, which is not the project's own; without it the rule would open",
                "Make a rule with a remote that exists in the target; until then it stays shut.",
            )
        return self._carried(resource)

    # --- network

    def _network(self, resource: Resource) -> Entry:
        assert isinstance(resource, Network)  # noqa: S101 - by the table
        changes = []
        if resource.shared:
            why = "a tenant cannot share a network: it stays private"
            changes.append(Change(field="shared", was=True, to=False, why=why))
        changes += _unshared(resource)
        if resource.qos_policy_id:
            changes.append(_dropped("qos_policy_id", resource.qos_policy_id, "QoS policies are not carried"))
        changes += self._zones(resource.availability_zone_hints)
        return self._carried(resource, *changes)

    def _zones(self, hints: tuple[str, ...]) -> list[Change]:
        kept = tuple(z for z in hints if z in self.target.offering.network_zones)
        if kept == hints:
            return []
        why = f"the target has no network zone {', '.join(sorted(set(hints) - set(kept)))}"
        return [Change(field="availability_zone_hints", was=list(hints), to=list(kept), why=why)]

    def _subnet(self, resource: Resource) -> Entry:
        assert isinstance(resource, Subnet)  # noqa: S101 - by the table
        if resource.subnetpool_id:
            why = "subnet pools are not carried: the same addresses, outside a pool"
            return self._carried(resource, _dropped("subnetpool_id", resource.subnetpool_id, why))
        return self._carried(resource)

    def _router(self, resource: Resource) -> Entry:
        assert isinstance(resource, Router)  # noqa: S101 - by the table
        changes = self._zones(resource.availability_zone_hints)
        external, notes, remedy = resource.external_network_id, list[str](), ""
        if external is not None:
            found = self._external(external)
            if found is None:
                why, remedy = self._no_external(external)
                changes.append(
                    _dropped("external_network_id", external, f"{why}: the router is carried without its gateway")
                )
                if resource.enable_snat is not None:
                    changes.append(_dropped("enable_snat", resource.enable_snat, "without a gateway there is no SNAT"))
            else:
                why = "the target chooses its public address"
                changes.append(Change(field="external_fixed_ips", was=list(resource.external_fixed_ips),
                                      chosen_by_target=True, why=why))  # fmt: skip
                notes, remedy = self._elsewhere(external, found), ""
                if resource.enable_snat is False and "admin" not in self.target.identity.roles:
                    why = "only an admin may switch SNAT off: the router arrives with it"
                    changes.append(Change(field="enable_snat", was=False, to=True, why=why))
                    remedy = "Ask the provider to switch it off after the move, or leave the gateway out (external_network_id: null)."
        entry = self._carried(resource, *changes, why=joined([*(c.why for c in changes), *notes]))
        return entry.model_copy(update={"remedy": remedy})

    def _external(self, id_: str) -> str | None:
        """The target's external network: the one that a person chose, else the one of the same name.

        A name is all that a tenant sees of what such a network is; any other one is for a person to choose.
        """
        key, name = f"external_network:{id_}", self._external_name(id_)
        chosen = (self.choices.get(("external", given)) for given in (id_, name))
        found = next(filter(None, chosen), None) or _external_by_name(self.target).get(name or "-")
        if found is not None:
            self.translate[key] = found
        return found

    def _external_name(self, id_: str) -> str:
        return _name_of(self.source.offering.external_networks, id_)

    def _elsewhere(self, ours: str, theirs: str) -> list[str]:
        """What to say of an external network that is not of the same name."""
        name, other = self._external_name(ours), _name_of(self.target.offering.external_networks, theirs)
        return [] if name == other else [f"on the external network {other} in place of {name}, as chosen with --map"]

    def _no_external(self, id_: str) -> tuple[str, str]:
        """Why there is none, and what a person does."""
        theirs = sorted(n.name for n in self.target.offering.external_networks)
        if not theirs:
            return "the target has no external network", "Ask the provider for one."
        name = self._external_name(id_) or id_
        why = f"the target has no external network {name}"
        return why, f"Choose one of {', '.join(theirs)}: plan --map {shlex.quote(f'external:{name}=NAME')}."

    def _port(self, resource: Resource) -> Entry:
        assert isinstance(resource, Port)  # noqa: S101 - by the table
        if resource.device_owner and not resource.device_owner.startswith("compute:"):
            return _left(resource, f"made by the cloud for {resource.device_owner}", "Nothing to do.")
        foreign = [r for r in resource.references() if r not in self.source.by_ref]
        if foreign:
            return _left(resource, f"stands on {foreign[0]}, which is not the project's own",
                         "Connect it to a network of the project, or make it by hand.")  # fmt: skip
        changes = []
        if resource.qos_policy_id:
            changes.append(_dropped("qos_policy_id", resource.qos_policy_id, "QoS policies are not carried"))
        return self._carried(resource, *changes)

    def _floating_ip(self, resource: Resource) -> Entry:
        assert isinstance(resource, FloatingIp)  # noqa: S101 - by the table
        external = self._external(resource.external_network_id)
        if external is None:
            return _left(resource, *self._no_external(resource.external_network_id))
        change = Change(
            field="address", was=resource.address, chosen_by_target=True,
            why="a tenant cannot keep a public address: change the DNS entry, the target chooses another",
        )  # fmt: skip
        port = self.source.by_ref.get(ref(Kind.PORT, resource.port_id or "-"))
        legs = [i for i in self.source.of(RouterInterface)
                if isinstance(port, Port) and i.network_id == port.network_id]  # fmt: skip
        notes = self._elsewhere(resource.external_network_id, external)
        return self._carried(resource, change, why=joined([change.why, *notes]), more=[i.ref for i in legs])

    # --- storage

    def _image(self, resource: Resource) -> Entry:
        assert isinstance(resource, Image)  # noqa: S101 - by the table
        if resource.status not in MOVABLE_STATES["image"]:
            return _left(resource, f"its status is {resource.status}", "Finish or delete it.")
        changes = []
        if resource.visibility == "public":
            why = "a tenant cannot publish an image: it stays private"
            changes.append(Change(field="visibility", was="public", to="private", why=why))
        foreign = tuple(m for m in resource.members if m != self.source.identity.project_id)
        if foreign:
            why = f"shared with {len(foreign)} projects of the source cloud, which the target does not know"
            changes.append(Change(field="members", was=list(resource.members), to=[], why=why))
        return self._carried(resource, *changes, size=resource.size_bytes or 0)

    def _volume(self, resource: Resource) -> Entry:
        assert isinstance(resource, Volume)  # noqa: S101 - by the table
        if resource.status not in MOVABLE_STATES["volume"]:
            return _left(resource, f"its status is {resource.status}", "Bring it to available or in-use.")
        type_ = self._volume_type(resource.volume_type)
        if resource.encrypted and not (type_ and "scs:encrypted" in type_.description):
            return _left(resource, "it is encrypted and the target has no type with the aspect scs:encrypted",
                         "Agree with its owner where it may lie unencrypted, or ask the provider for a type.")  # fmt: skip
        changes = []
        name = type_.name if type_ else None
        if name != resource.volume_type:
            why = f"the target has no volume type {resource.volume_type}"
            changes.append(Change(field="volume_type", was=resource.volume_type, to=name, why=why))
        zone = resource.availability_zone
        if zone and zone not in self.target.offering.volume_zones:
            why = f"the target has no zone {zone} for volumes: it chooses one"
            changes.append(Change(field="availability_zone", was=zone, to="", why=why))
        return self._carried(resource, *changes, size=resource.size_gib * GIB)

    def _volume_type(self, name: str | None) -> VolumeType | None:
        types = self.target.offering.volume_types
        same = [t for t in types if t.name == name]
        return next(iter(same or [t for t in types if t.is_default]), None)

    def _snapshot(self, resource: Resource) -> Entry:
        assert isinstance(resource, Snapshot)  # noqa: S101 - by the table
        return _left(resource, "no API carries a snapshot to another cloud as a snapshot",
                     "Make a volume from it before the move, if its content is needed.")  # fmt: skip

    def _backup(self, resource: Resource) -> Entry:
        assert isinstance(resource, Backup)  # noqa: S101 - by the table
        return _left(resource, "backups live in the provider's backup store",
                     "Restore it to a volume before the move, or start a new series in the target.")  # fmt: skip

    def _container(self, resource: Resource) -> Entry:
        assert isinstance(resource, Container)  # noqa: S101 - by the table
        changes = []
        for field in ("read_acl", "write_acl"):
            was = getattr(resource, field)
            kept, dropped = self._acl(was)
            if dropped:
                why = f"grants to others of the source cloud stay shut: {', '.join(dropped)}"
                changes.append(Change(field=field, was=was, to=kept, why=why))
        if resource.sync_to:
            changes.append(_dropped("sync_to", resource.sync_to, "container sync is not carried"))
        if resource.versions_enabled:
            why = "earlier versions of its objects are not carried"
            changes.append(Change(field="versions_enabled", was=True, to=True, why=why))
        return self._carried(resource, *changes)

    def _acl(self, text: str) -> tuple[str, list[str]]:
        """Swift's ACL: referrers and the own project stay, anybody else's grant is dropped."""
        parts = [p.strip() for p in text.split(",") if p.strip()]
        mine = f"{self.source.identity.project_id}:*"
        kept = [p for p in parts if p.startswith(".r") or p == mine]
        return ",".join(kept), [p for p in parts if p not in kept]

    def _object(self, resource: Resource) -> Entry:
        assert isinstance(resource, StoredObject)  # noqa: S101 - by the table
        features = self.target.offering.object_features
        for needed, wanted in (
            ("slo", resource.segments),
            ("symlink", resource.symlink_to),
            ("dlo", resource.dlo_prefix),
        ):
            if wanted and features and needed not in features:
                return _left(resource, f"the target's object store does not offer {needed}",
                             "Store it as one object by hand.")  # fmt: skip
        if resource.symlink_account is not None:
            return _left(
                resource,
                f"a symlink into another account, {resource.symlink_account}: what it shows is not the project's own",
                "Make it by hand, if that account exists at the target too; or put a copy of the content here.",
            )
        foreign = [r for r in resource.references() if r not in self.source.by_ref]
        if foreign:
            return _left(resource, f"refers to {foreign[0]}, which does not exist", "Mend or delete it.")
        if self._circles(resource):
            return _left(
                resource, "its links lead in a circle: nobody can read it", "Delete it, or point it elsewhere."
            )
        linked = resource.segments is not None or resource.symlink_to or resource.dlo_prefix is not None
        return self._carried(resource, *self._pinned(resource), size=0 if linked else resource.size_bytes)

    def _pinned(self, resource: StoredObject) -> list[Change]:
        """A static link names the ETag of its target, which for a static large object is another in each cloud."""
        there = self.source.by_ref.get(ref(Kind.OBJECT, resource.symlink_to or "-"))
        if resource.symlink_etag is None or not isinstance(there, StoredObject) or there.segments is None:
            return []
        why = "the ETag of a large object's manifest is the cloud's own: the link follows its target's name instead"
        return [_dropped("symlink_etag", resource.symlink_etag, why)]

    def _circles(self, resource: StoredObject) -> bool:
        """Whether symlinks and manifests lead from the object back to itself."""
        ahead, behind = [resource.ref], set[Ref]()
        while ahead:
            there = self.source.by_ref.get(ahead.pop())
            if not isinstance(there, StoredObject) or there.ref in behind:
                continue
            behind.add(there.ref)
            ahead += [r for r in there.references() if kind_of(r) is Kind.OBJECT]
            if resource.ref in ahead:
                return True
        return False

    def _secret(self, resource: Resource) -> Entry:
        assert isinstance(resource, Secret)  # noqa: S101 - by the table
        if resource.ref in self.source.reasons:
            return self._not_shown(resource)
        if resource.status != "ACTIVE" and resource.content_type is not None:
            return _left(resource, f"its status is {resource.status}", "Renew or delete it.")
        return self._carried(resource, *_shut_users(resource.acl_users))

    def _secret_container(self, resource: Resource) -> Entry:
        assert isinstance(resource, SecretContainer)  # noqa: S101 - by the table
        if resource.ref in self.source.reasons:
            return self._not_shown(resource)
        foreign = [r for r in resource.references() if r not in self.source.by_ref]
        if foreign:
            return _left(resource, f"refers to {foreign[0]}, which does not exist", "Mend or delete it.")
        return self._carried(resource, *_shut_users(resource.acl_users))

    def _not_shown(self, resource: Resource) -> Entry:
        """What is known to be there, and no more: it is not made, for nobody knows how closed it must be."""
        return Entry(ref=resource.ref, name=resource.name, fate=Fate.NOT_SHOWN, why=self.source.reasons[resource.ref],
                     remedy="Its owner opens it to the project, or carries it himself.")  # fmt: skip

    # --- compute

    def _server(self, resource: Resource) -> Entry:
        assert isinstance(resource, Server)  # noqa: S101 - by the table
        if resource.status not in MOVABLE_STATES["server"]:
            return _left(resource, f"its status is {resource.status}", "Bring it to ACTIVE or SHUTOFF.")
        changes: list[Change] = []
        flavor = nearest(resource.flavor, self.target.offering.flavors)
        if flavor is None:
            return _left(resource, f"no flavor of the target covers {resource.flavor.name}",
                         "Ask the provider for one, or shrink the server.")  # fmt: skip
        if flavor.model_dump(exclude={"id"}) != resource.flavor.model_dump(exclude={"id"}):
            same = flavor.name == resource.flavor.name
            what = f"{flavor.name} is another" if same else f"the target has no flavor {resource.flavor.name}"
            why = f"{what}; {flavor.name} covers it: {_size(flavor)} for {_size(resource.flavor)}"
            to = flavor.model_dump(mode="json")
            changes.append(Change(field="flavor", was=resource.flavor.name, to=to, why=why))
        zone = resource.availability_zone
        if zone and zone not in self.target.offering.compute_zones:
            why = f"the target has no zone {zone}: it chooses one"
            changes.append(Change(field="availability_zone", was=zone, to="", why=why))
        image = self._server_image(resource)
        if isinstance(image, Entry):
            return image
        roots = [a for a in self.source.of(Attachment) if a.server_id == resource.id and a.boot_index == 0]
        notes = [c.why for c in changes]
        if resource.image_id and not roots:
            notes.append("its local disk is made anew from the image: what was written there since is not "
                         "readable with tenant rights")  # fmt: skip
        notes.append("its user_data, if it had any, is not carried: it is not readable with tenant rights")
        return self._carried(resource, *changes, why=joined(notes), more=[ref(Kind.VOLUME, a.volume_id) for a in roots])

    def _server_image(self, server: Server) -> Entry | None:
        """None if the image is the project's own or has a twin on the target; else the server is left."""
        if server.image_id is None or ref(Kind.IMAGE, server.image_id) in self.source.by_ref:
            return None
        ours = next((i for i in self.source.offering.images if i.id == server.image_id), None)
        twin = next((i for i in self.target.offering.images if ours and i.hash_value
                     and (i.hash_algo, i.hash_value) == (ours.hash_algo, ours.hash_value)), None)  # fmt: skip
        if twin is None:
            return _left(server, f"the provider's image {ours.name if ours else server.image_id} is not on the target",
                         "Copy the image into the source project as its own, then plan again.")  # fmt: skip
        self.translate[f"image:{server.image_id}"] = twin.id
        return None

    # --- checks

    def checks(self, entries: tuple[Entry, ...]) -> tuple[Check, ...]:
        """What was looked at before anything is written."""
        return (
            self._check_empty(),
            self._check_names(entries),
            self._check_addresses(),
            *self._check_quotas(entries),
            *self._check_features(entries),
            self._check_roles(),
            *(Check(name="not shown", outcome=Outcome.NOT_SHOWN, text=f"source: {n.what}: {n.reason}")
              for n in self.source.not_shown),
            *(Check(name="not shown", outcome=Outcome.NOT_SHOWN, text=f"target: {n.what}: {n.reason}")
              for n in self.target.not_shown),
        )  # fmt: skip

    def _check_empty(self) -> Check:
        rest = foreign_objects(self.target)
        if not rest:
            return Check(name="target is empty", outcome=Outcome.HELD, text="the target holds nothing of the tenant's")
        names = ", ".join(f"{r.ref} ({r.name})" for r in rest[:5])
        return Check(name="target is empty", outcome=Outcome.FAILED, text=f"the target holds {len(rest)} things: {names}",
                     remedy="Name an empty project, or clean this one (`close --target` for an earlier drill).")  # fmt: skip

    def _check_names(self, entries: tuple[Entry, ...]) -> Check:
        theirs = {(r.own_kind, r.name) for r in foreign_objects(self.target)}
        clash = [e.ref for e in entries if e.fate.moves and (kind_of(e.ref), e.name) in theirs and e.name]
        text = f"{len(clash)} names exist on the target: {', '.join(clash[:5])}" if clash else "no name exists twice"
        outcome = Outcome.FAILED if clash else Outcome.HELD
        return Check(name="names", outcome=outcome, text=text, remedy="Rename one of each pair." if clash else "")

    def _check_addresses(self) -> Check:
        theirs = [ip_network(s.cidr, strict=False) for s in self.target.of(Subnet)]
        overlaps = [
            s.cidr for s in self.source.of(Subnet)
            if any(t.version == s.ip_version and t.overlaps(ip_network(s.cidr, strict=False)) for t in theirs)
        ]  # fmt: skip
        text = f"overlapping subnets: {', '.join(overlaps)}" if overlaps else "no subnet overlaps one of the target"
        return Check(name="addresses", outcome=Outcome.FAILED if overlaps else Outcome.HELD, text=text)

    def _check_quotas(self, entries: tuple[Entry, ...]) -> list[Check]:
        """Whether all fits, with the temporaries by which volumes are read on either side."""
        needed = self._needed(entries)
        moving = [e.ref for e in entries if e.fate.moves]
        sizes = [v.size_gib for r in moving if isinstance(v := self.source.by_ref[r], Volume)]
        sizes.sort(reverse=True)
        needed.update(_temporaries(sizes[:VERIFIED_AT_ONCE]))
        checks = [_quota(self.target, key, wanted, "") for key, wanted in sorted(needed.items())]
        passing = sorted(_temporaries(sizes[:READ_AT_ONCE]).items())
        return checks + [_quota(self.source, key, wanted, " of the source, for a while") for key, wanted in passing]

    def _check_features(self, entries: tuple[Entry, ...]) -> list[Check]:
        """What the tenant uses of optional API extensions, against what the target has."""
        has = set(self.target.offering.network_extensions)
        moving = [e.wish(self.source.by_ref[e.ref]) for e in entries if e.fate.moves]
        checks = []
        for extension, used in _EXTENSIONS.items():
            users = [r.ref for r in moving if used(r)]
            if not users:
                continue
            name, text = f"network extension {extension}", f"used by {', '.join(users[:3])}"
            if not has:
                checks.append(Check(name=name, outcome=Outcome.NOT_SHOWN, text=f"{text}; the target tells none"))
            elif extension in has:
                checks.append(Check(name=name, outcome=Outcome.HELD, text=text))
            else:
                checks.append(Check(name=name, outcome=Outcome.FAILED, text=f"{text}; the target lacks it",
                                    remedy="Leave these in the plan (fate: left), or ask the provider for it."))  # fmt: skip
        return checks

    def _needed(self, entries: tuple[Entry, ...]) -> Counter[tuple[str, str]]:
        needed: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            if not entry.fate.moves or entry.stands_in:
                continue
            resource = entry.wish(self.source.by_ref[entry.ref])
            for service, name, count in _quota_use(resource):
                needed[service, name] += count
        return needed

    def _check_roles(self) -> Check:
        roles = self.target.identity.roles
        if {"member", "admin"} & set(roles):
            return Check(name="rights", outcome=Outcome.HELD, text=f"roles on the target: {', '.join(roles)}")
        return Check(name="rights", outcome=Outcome.FAILED, text=f"roles on the target: {', '.join(roles) or 'none'}",
                     remedy="A move needs the role member on the target.")  # fmt: skip


def _quota(side: Workload, key: tuple[str, str], wanted: int, suffix: str) -> Check:
    """One quota against what is wanted of it."""
    quota = next((q for q in side.offering.quotas if (q.service, q.resource) == key), None)
    name = f"quota {key[1]}{suffix}"
    if quota is None:
        text = f"needs {wanted}; {side.identity.name} does not tell its limit"
        return Check(name=name, outcome=Outcome.NOT_SHOWN, text=text)
    if quota.limit >= 0 and quota.used + wanted > quota.limit:
        text = f"needs {wanted}, free are {quota.limit - quota.used} of {quota.limit}"
        return Check(name=name, outcome=Outcome.FAILED, text=text, remedy="Ask the provider for more.")
    free = "unlimited" if quota.limit < 0 else f"{quota.limit - quota.used} free"
    return Check(name=name, outcome=Outcome.HELD, text=f"needs {wanted}, {free}")


def _temporaries(sizes_gib: list[int]) -> Counter[tuple[str, str]]:
    """What reading volumes of these sizes at once needs for a while: a snapshot and a copy each."""
    if not sizes_gib:
        return Counter()
    return Counter({
        ("block_storage", "volumes"): len(sizes_gib),
        ("block_storage", "snapshots"): len(sizes_gib),
        ("block_storage", "gigabytes"): 2 * sum(sizes_gib),
    })  # fmt: skip


def foreign_objects(target: Workload) -> list[Resource]:
    """What stands in a project besides what every project has from birth (the default group and its rules)."""
    default = {g.id for g in target.of(SecurityGroup) if g.is_default}
    return [
        r
        for r in target.resources
        if not (isinstance(r, SecurityGroup) and r.is_default)
        and not (isinstance(r, SecurityGroupRule) and r.security_group_id in default)
        and not isinstance(r, Keypair)
    ]


def nearest(wanted: Flavor, offered: Iterable[Flavor]) -> Flavor | None:
    """The flavor of the same name and size, else the smallest that covers by SCS meaning (scs-0100, scs-0103).

    Never fewer vCPUs, RAM or disk; never a weaker CPU class or disk type than the name or extra specs promise.
    """
    offered = list(offered)
    for one in offered:
        if one.name == wanted.name and _covers(one, wanted):
            return one
    covering = [f for f in offered if _covers(f, wanted)]
    return min(covering, key=lambda f: (f.vcpus, f.ram_mib, f.disk_gib, f.name), default=None)


def _size(flavor: Flavor) -> str:
    specs = "".join(f", {k}={v}" for k, v in sorted(flavor.extra_specs.items()))
    return f"{flavor.vcpus} vCPUs, {flavor.ram_mib} MiB, {flavor.disk_gib} GiB{specs}"


_CPU_RANK = {"crowded-core": 0, "shared-core": 1, "dedicated-thread": 2, "dedicated-core": 3}
_DISKS = {"network": {"network"}, "hdd": {"hdd", "ssd", "nvme"}, "ssd": {"ssd", "nvme"}, "nvme": {"nvme"}}
"""What fulfils a promised disk type: a local disk does not survive its host, so neither replaces the other."""


def _covers(offer: Flavor, wanted: Flavor) -> bool:
    """Whether the flavor gives at least what the other one has and promises, by name (scs-0100) or extra specs."""
    sizes = ("vcpus", "ram_mib", "disk_gib", "ephemeral_gib", "swap_mib")
    if any(getattr(offer, s) < getattr(wanted, s) for s in sizes):
        return False
    given, promised = _meaning(offer), _meaning(wanted)
    if given is not None and promised is not None and not flavor_name.provides_at_least(given, promised):
        return False
    if _CPU_RANK.get(_cpu_type(offer, given), 0) < _CPU_RANK.get(_cpu_type(wanted, promised), 0):
        return False
    disk = _disk_type(wanted, promised)
    return not disk or _disk_type(offer, given) in _DISKS.get(disk, {disk})


def _meaning(flavor: Flavor) -> flavor_name.Meaning | None:
    """What an SCS name promises; None for a free name."""
    try:
        return flavor_name.parse_any(flavor.name)
    except flavor_name.BadName:
        return None


def _cpu_type(flavor: Flavor, meaning: flavor_name.Meaning | None) -> str:
    told = flavor.extra_specs.get("scs:cpu-type", "")
    return told or (flavor_name.CPU_TYPES[meaning.cpu_class] if meaning else "")


def _disk_type(flavor: Flavor, meaning: flavor_name.Meaning | None) -> str:
    told = flavor.extra_specs.get("scs:disk0-type", "")
    return told or (flavor_name.DISK_TYPES[meaning.disk_type] if meaning and meaning.disk_type else "")


def _rule_meaning(rule: SecurityGroupRule, group_id: str) -> tuple[object, ...]:
    remote = "self" if rule.remote_group_id == group_id else rule.remote_group_id
    return (rule.direction, rule.ethertype, rule.protocol, rule.port_range_min, rule.port_range_max,
            rule.remote_ip_prefix, remote, rule.remote_address_group_id)  # fmt: skip


_QUOTA_NAMES: Mapping[Kind, tuple[str, str]] = {
    Kind.NETWORK: ("network", "network"),
    Kind.SUBNET: ("network", "subnet"),
    Kind.ROUTER: ("network", "router"),
    Kind.PORT: ("network", "port"),
    Kind.ROUTER_INTERFACE: ("network", "port"),
    Kind.FLOATING_IP: ("network", "floatingip"),
    Kind.SECURITY_GROUP: ("network", "security_group"),
    Kind.SECURITY_GROUP_RULE: ("network", "security_group_rule"),
    Kind.SERVER_GROUP: ("compute", "server_groups"),
    Kind.KEYPAIR: ("compute", "key_pairs"),
    Kind.SECRET: ("key_manager", "secrets"),
    Kind.SECRET_CONTAINER: ("key_manager", "containers"),
}

_EXTENSIONS: Mapping[str, Callable[[Resource], object]] = {
    "address-group": lambda r: isinstance(r, AddressGroup),
    "stateful-security-group": lambda r: isinstance(r, SecurityGroup) and not r.stateful,
    "port-security": lambda r: isinstance(r, Network | Port) and not r.port_security_enabled,
    "allowed-address-pairs": lambda r: isinstance(r, Port) and r.allowed_address_pairs,
    "extra_dhcp_opt": lambda r: isinstance(r, Port) and r.extra_dhcp_opts,
    "dns-integration": lambda r: isinstance(r, Network) and r.dns_domain,
    "vlan-transparent": lambda r: isinstance(r, Network) and r.vlan_transparent,
    "subnet-service-types": lambda r: isinstance(r, Subnet) and r.service_types,
    "subnet-dns-publish-fixed-ip": lambda r: isinstance(r, Subnet) and r.dns_publish_fixed_ip,
    "extraroute": lambda r: isinstance(r, Router) and r.routes,
    "ext-gw-mode": lambda r: isinstance(r, Router) and r.enable_snat is False,
    "standard-attr-tag": lambda r: isinstance(r, Network | Subnet | Router | Port | SecurityGroup) and r.tags,
}
"""Extension alias (Networking API v2.0, Extensions) -> whether a resource uses it."""


def _quota_use(resource: Resource) -> list[tuple[str, str, int]]:
    if isinstance(resource, Server):
        flavor = resource.flavor
        return [
            ("compute", "instances", 1),
            ("compute", "cores", flavor.vcpus),
            ("compute", "ram_mib", flavor.ram_mib),
        ]
    if isinstance(resource, Volume):
        return [("block_storage", "volumes", 1), ("block_storage", "gigabytes", resource.size_gib)]
    if isinstance(resource, Image):
        return [("image", "image_count_total", 1), ("image", "image_size_total", -(-(resource.size_bytes or 0) // MIB))]
    if isinstance(resource, StoredObject):
        linked = resource.segments is not None or resource.symlink_to or resource.dlo_prefix is not None
        return [("object_store", "bytes", 0 if linked else resource.size_bytes)]
    named = _QUOTA_NAMES.get(resource.own_kind)
    return [(*named, 1)] if named else []


def _left(resource: Resource, why: Words, remedy: Words) -> Entry:
    return Entry(ref=resource.ref, name=resource.name, fate=Fate.LEFT, why=why, remedy=remedy)


def _shut_users(users: tuple[str, ...]) -> tuple[Change, ...]:
    """Read rights of single users: the target does not know them."""
    why = f"read rights of {len(users)} users of the source cloud stay shut"
    return (Change(field="acl_users", was=list(users), to=[], why=why),) if users else ()


def _dropped(field: str, was: JsonValue, why: str) -> Change:
    return Change(field=field, was=was, to=None, why=why)


def _unshared(resource: Network | SecurityGroup | AddressGroup) -> list[Change]:
    """RBAC policies name projects of the source cloud: what they gave stays shut."""
    if not resource.shared_with:
        return []
    why = f"shared with {len(resource.shared_with)} projects of the source cloud, which the target does not know"
    return [Change(field="shared_with", was=list(resource.shared_with), to=[], why=why)]


def _name_of(networks: Iterable[ExternalNetwork], id_: str) -> str:
    return next((n.name for n in networks if n.id == id_), "")


# --- the file

_HEADER = """\
# The plan of a move by Unterbau. Read it, change it if need be, then: unterbau move <this file>
#
# fate is one of: carried / "carried, changed" / left / not shown. To leave something here, set fate: left; then
# whatever needs it must be left too (move says what). A change under `changes` replaces a field on the target.
# Nothing is added to the target that does not stand here. What opens something that is closed on the source is
# found anew from the plan as it stands and refused, unless its id stands under allowed_openings.
# What is made carries a mark, a tag or metadata `unterbau`, that applications see; close RUN --marks takes it off.
"""


class _Dumper(yaml.SafeDumper):
    """Text with characters that YAML takes for line breaks or controls is quoted, so that it survives."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(plan: Plan) -> str:
    """The plan as YAML for a person; empty fields are left out."""
    plain = plan.model_dump(mode="json", by_alias=True)
    plain["entries"] = [
        {k: v for k, v in e.items() if k == "name" or v not in ("", [], None, 0)} for e in plain["entries"]
    ]
    for entry in plain["entries"]:
        for change in entry.get("changes", ()):
            if not change["chosen_by_target"]:
                del change["chosen_by_target"]
    body = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"{_HEADER}\n{body}"


def load(text: str) -> Plan:
    """The plan of a file. Raises PlanError with the line or the place."""
    try:
        plain = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PlanError(f"plan, line {line}: {error.problem}", "Mend that line; the file is YAML.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PlanError(f"plan: {str(error)[:200]}", "Mend the file; it is not YAML.") from None
    try:
        return Plan.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(plain, first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PlanError(f"plan, {place}: {first['msg']}{more}", "Mend it, or make a new plan.") from None


def _place(plain: object, location: tuple[int | str, ...]) -> str:
    """`entries[3] (server:…).fate` instead of a bare path."""
    if isinstance(plain, dict) and len(location) > 1 and location[0] == "entries" and isinstance(location[1], int):
        entry = plain["entries"][location[1]]
        named = entry.get("ref", "?") if isinstance(entry, dict) else "?"
        return f"entry {location[1] + 1} ({named}) {'.'.join(map(str, location[2:]))}".rstrip()
    return ".".join(map(str, location)) or "the file"
