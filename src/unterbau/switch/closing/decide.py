# SPDX-License-Identifier: Apache-2.0
"""What may be deleted at a source after a move, what is kept and why, and the record of it. Pure.

`close` decides by it before it deletes, `evidence` decides once more by the record. A thing may go if a verification of
both sides *now* holds all its claims, if nothing goes with it that a person did not accept by name, and if nothing that
stays stands on it. How things are deleted, and the look just before, is `steps`.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Container as Holding
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from pydantic import JsonValue

from unterbau import canonical
from unterbau.errors import UsageError
from unterbau.switch.plan import Loss, Plan, losses
from unterbau.switch.verify import Contents, observed
from unterbau.tenant.kinds import (
    Attachment,
    Container,
    FloatingIp,
    Image,
    Kind,
    Network,
    Port,
    Ref,
    Resource,
    Router,
    RouterInterface,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    ServerGroup,
    StoredObject,
    Subnet,
    Volume,
    id_of,
    kind_of,
    ref,
)
from unterbau.tenant.workload import Workload
from unterbau.verdict import Model, Observation, Outcome, Reason, Verdict, Words, joined, later, told_as

Rows: TypeAlias = Sequence[Mapping[str, JsonValue]]
"""Rows of a journal as `Journal.export` gives them."""
DELETE, ROUTES = "delete ", "routes of "
"""What the steps of an emptying are called, before the Ref."""
FROM_BIRTH = (Reason.of("close.from-birth"), Reason.of("close.default-group"))
"""Reasons of what no emptying takes, and nobody misses."""


class Attempt(Model):
    """One run of `close --source`: what was accepted, what was seen before its first deletion, and its journal.

    `look.source` is the source as it was seen, with what earlier attempts took put back (`put_back`), so that what
    remains can be compared as meaning. `unpaired` are hashes of contents without a counterpart.
    """

    started: datetime
    accepted: tuple[str, ...]
    look: Contents
    unpaired: tuple[Observation, ...] = ()
    put_back: tuple[Ref, ...] = ()
    journal: tuple[dict[str, JsonValue], ...] = ()
    chain: int = later(1)
    """How the rows of its journal follow one another (`canonical.chained`)."""

    def hashes(self) -> dict[tuple[str, Ref], Observation]:
        """Every content that was seen, by side and object (and what else was observed beside the censuses)."""
        found = observed(self.look.verdicts)
        for observation in self.unpaired:
            side, _, reference = observation.source.where.partition(": ")
            found[side, reference] = observation
        return found


class Closing(Model):
    """How a source was emptied. `kept`: what stays and why; `after`: the source at the end, if it was looked at."""

    attempts: tuple[Attempt, ...]
    complete: bool
    ended: datetime
    kept: dict[Ref, Words]
    after: Workload | None = None


@dataclass(frozen=True)
class Sealed:
    """What a verified bundle says of a move: by it alone anything may be deleted."""

    source: Workload
    plan: Plan
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Decision:
    """`chosen` may go, `kept` stays for the reason told. `losses`: of everything that was moved and is not kept anyway.

    `accepted` are the losses of chosen things; `drifted` the fields (`content` among them) in which a person let the
    target's counterpart differ.
    """

    chosen: tuple[Ref, ...]
    kept: dict[Ref, Words]
    losses: dict[Ref, tuple[Loss, ...]]
    accepted: tuple[Loss, ...] = ()
    drifted: dict[Ref, frozenset[str]] = field(default_factory=dict)


def decide(
    sealed: Sealed, look: Contents, pairs: Mapping[Ref, Ref], accepted: Sequence[str], put_back: Holding[Ref] = ()
) -> Decision:
    """The decision for every object of the source.

    `accepted`: ids of losses, or `KIND.FIELD`; `pairs`: counterparts; `put_back`: what is not there any more (see
    `put_back`), which neither goes nor stays.
    """
    judge = _Judge(sealed, look, pairs)
    kept: dict[Ref, Words] = {}
    known: dict[Ref, tuple[Loss, ...]] = {}
    drifted: dict[Ref, frozenset[str]] = {}
    for resource in look.source.resources:
        if resource.ref in put_back:
            known[resource.ref] = judge.losses(resource)
            continue
        reason = judge.obstacle(resource)
        if not reason:
            drift = judge.drift[resource.ref]
            known[resource.ref] = (*drift, *judge.losses(resource))
            missing = [one for one in known[resource.ref] if not _is_accepted(one, resource, accepted)]
            reason = _lost(resource, missing)
            if drift:
                drifted[resource.ref] = frozenset(one.field for one in drift)
        if reason:
            kept[resource.ref] = reason
    Relations(look.source).keep_what_is_needed(kept)
    kept = {r: why for r, why in kept.items() if r not in put_back}
    chosen = tuple(r.ref for r in look.source.resources if r.ref not in kept and r.ref not in put_back)
    going = tuple(one for reference in chosen for one in known.get(reference, ()))
    return Decision(chosen, kept, known, going, {r: f for r, f in drifted.items() if r not in kept})


def demand_known(accepted: Iterable[str], decision: Decision) -> None:
    """Raises UsageError naming the nearest for a name that is no loss of this move."""
    ids = {one.id for found in decision.losses.values() for one in found}
    classes = {f"{kind_of(r).value}.{one.field}" for r, found in decision.losses.items() for one in found}
    for name in accepted:
        if name not in ids | classes:
            near = difflib.get_close_matches(name, sorted(classes) + sorted(ids), n=3, cutoff=0.5)
            shown = near or sorted(classes)[:8]
            raise UsageError(
                f"{name} is no loss of this move; " + (f"nearest: {', '.join(shown)}" if shown else "there is none"),
                "Name a loss by its id (REF.FIELD), or all of a kind (KIND.FIELD); `unterbau plan` announces them.",
            )


def _is_accepted(loss: Loss, resource: Resource, accepted: Sequence[str]) -> bool:
    return loss.id in accepted or f"{resource.own_kind.value}.{loss.field}" in accepted


def _lost(resource: Resource, missing: Sequence[Loss]) -> Words:
    """The reason for which a thing with losses that nobody accepted is kept."""
    if not missing:
        return ""
    told = joined(Reason.of("about", what=one.id, reason=one.why) for one in missing)
    names = " ".join(f"--accept-loss {resource.own_kind.value}.{one.field}" for one in missing)
    return Reason.of("close.lost", losses=told, options=names)


class _Judge:
    """Asks of each object why it may not go, whatever a person accepts; and what would be lost with it."""

    def __init__(self, sealed: Sealed, look: Contents, pairs: Mapping[Ref, Ref]) -> None:
        self.sealed, self.look, self.pairs = sealed, look, pairs
        self.now: dict[Ref, list[Verdict]] = defaultdict(list)
        for verdict in look.verdicts:
            if verdict.claim.kind in ("structure", "content"):
                self.now[verdict.claim.subject].append(verdict)
        self.then = {v.claim.id: v for v in sealed.verdicts}
        self.drift: dict[Ref, tuple[Loss, ...]] = {}
        self.default = {g.id for g in look.source.of(SecurityGroup) if g.is_default}

    def obstacle(self, resource: Resource) -> Words:
        """Why it stays, or ""."""
        if isinstance(resource, SecurityGroup) and resource.is_default:
            return FROM_BIRTH[0]
        if isinstance(resource, SecurityGroupRule) and resource.security_group_id in self.default:
            return FROM_BIRTH[1]
        if resource.ref not in self.sealed.source.by_ref:
            return Reason.of("close.after-census")
        entry = self.sealed.plan.by_ref[resource.ref]
        if not entry.fate.moves:
            return Reason.of("close.not-moved", why=entry.why)
        return self._unheld(resource)

    def _unheld(self, resource: Resource) -> Words:
        """The first claim that does not hold now and is no change of the target's alone."""
        if not self.now[resource.ref]:
            return Reason.of("close.unjudged")
        drift: list[Loss] = []
        for verdict in self.now[resource.ref]:
            if verdict.outcome is Outcome.HELD:
                continue
            found = self._hidden(resource, verdict) or self._only_there(verdict)
            if not found:
                return Reason.of("close.not-verified", why=verdict.reason)
            drift += found
        self.drift[resource.ref] = tuple(drift)
        return ""

    def _hidden(self, resource: Resource, verdict: Verdict) -> list[Loss]:
        """All that was shown is equal: the fields that a side did not show."""
        values = [o.value for o in verdict.evidence]
        if verdict.claim.kind != "structure" or len(values) != 2 or values[0] is None or values[0] != values[1]:
            return []
        there = self.look.target.by_ref.get(self.pairs.get(resource.ref, ""))
        named = {**(self.look.target.hidden_fields(there) if there else {}), **self.look.source.hidden_fields(resource)}
        return [Loss(id=f"{resource.ref}.{f}", field=f, why=why) for f, why in sorted(named.items())]

    def _only_there(self, verdict: Verdict) -> list[Loss]:
        """It arrived whole and the source is as it was then: what the target changed since, field by field; else ()."""
        then = self.then.get(verdict.claim.id)
        if verdict.outcome is not Outcome.FAILED or len(verdict.evidence) != 2 or then is None:
            return []
        left, right = (o.value for o in verdict.evidence)
        if then.outcome is not Outcome.HELD or then.evidence[0].value != left:
            return []
        subject, why = verdict.claim.subject, Reason.of("loss.drift")
        if verdict.claim.kind == "content":
            return [Loss(id=f"{subject}.content", field="content", why=why)]
        if not isinstance(left, dict) or not isinstance(right, dict):
            return []
        fields = sorted(f for f in left.keys() | right.keys() if left.get(f) != right.get(f))
        return [Loss(id=f"{subject}.{f}", field=f, why=why) for f in fields]

    def losses(self, resource: Resource) -> tuple[Loss, ...]:
        """What the plan announced, and what was not shown of it now on either side."""
        entry = self.sealed.plan.by_ref[resource.ref]
        found = {one.id: one for one in losses(entry, self.sealed.source.by_ref[resource.ref], self.sealed.source)}
        there = self.look.target.hidden.get(self.pairs.get(resource.ref, ""), {})
        for name, why in {**there, **self.look.source.hidden.get(resource.ref, {})}.items():
            id_ = f"{resource.ref}.{name}"
            found.setdefault(id_, Loss(id=id_, field=name, why=why))
        return tuple(found.values())


class Relations:
    """Who stands on whom among the objects of one side: in which order they go, and what a kept one keeps."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self._of: dict[tuple[str, str], list[Ref]] = defaultdict(list)
        for r in workload.resources:
            match r:
                case RouterInterface():
                    self._of["legs on", r.network_id].append(r.ref)
                    self._of["legs of", r.router_id].append(r.ref)
                case FloatingIp() if r.port_id:
                    self._of["address of", r.port_id].append(r.ref)
                case Attachment():
                    self._of["disks of", r.server_id].append(r.ref)
                    self._of["uses of", r.volume_id].append(r.ref)
                case SecurityGroupRule():
                    self._of["rules of", r.security_group_id].append(r.ref)
                case Subnet():
                    self._of["subnets of", r.network_id].append(r.ref)
                case StoredObject():
                    self._of["objects in", r.container].append(r.ref)
                case _:
                    pass

    def under(self, r: Resource) -> list[Ref]:
        """What must not go before it. Never in a circle, but for links that lead in one."""
        found = [n for n in r.references() if n in self.workload.by_ref]
        match r:
            case Server():
                found += self._of["disks of", r.id]
                found += [f for port in r.port_ids for f in self._of["address of", port]]
            case Attachment():  # it goes with its server
                found = [n for n in found if n != ref(Kind.SERVER, r.server_id)]
            case Port():
                found += self._of["legs on", r.network_id]
                found += [rule for group in r.security_group_ids for rule in self._of["rules of", group]]
            case FloatingIp():
                port = self.workload.by_ref.get(ref(Kind.PORT, r.port_id or "-"))
                found += self._of["legs on", port.network_id] if isinstance(port, Port) else []
            case StoredObject() if r.dlo_prefix is not None:
                container = r.dlo_prefix.partition("/")[0]
                start = ref(Kind.OBJECT, r.dlo_prefix)
                found += [o for o in self._of["objects in", container] if o.startswith(start) and o != r.ref]
            case _:
                pass
        return found

    def legs(self, router: Router) -> list[Ref]:
        """Its interfaces."""
        return self._of["legs of", router.id]

    def disks(self, server: Ref) -> list[Attachment]:
        """The attachments of a server ([] of anything else)."""
        found = (self.workload.by_ref[a] for a in self._of["disks of", id_of(server)])
        return [a for a in found if isinstance(a, Attachment)] if kind_of(server) is Kind.SERVER else []

    def _upheld(self, r: Resource, itself: bool) -> list[Ref]:
        """What belongs to it as it is; `itself`: it is kept for a reason of its own, and not because another needs it."""
        found = [*self.under(r), *(n for n in r.references() if n in self.workload.by_ref)]
        match r:
            case Port():
                found += self._of["address of", r.id]
            case SecurityGroup():
                found += self._of["rules of", r.id]
            case Router():
                found += self._of["legs of", r.id]
            case Network():
                found += self._of["subnets of", r.id]
            case Volume() if itself:
                found += self._of["uses of", r.id]
            case Container() if itself:
                found += self._of["objects in", r.id]
            case _:
                pass
        return found

    def keep_what_is_needed(self, kept: dict[Ref, Words]) -> None:
        """Add to `kept` whatever a kept thing needs, and what that needs."""
        ahead, own = list(kept), frozenset(kept)
        while ahead:
            reference = ahead.pop()
            resource = self.workload.by_ref.get(reference)
            for need in self._upheld(resource, reference in own) if resource is not None else ():
                if need not in kept:
                    kept[need] = Reason.of("close.needed", by=reference)
                    ahead.append(need)


# --- what our own deletions change in what is left


def as_before(before: Resource, now: Resource, gone: Holding[Ref]) -> Resource:
    """`now` without what deleting the things of `gone` does to it by itself: that is no change of the user's."""
    undone: dict[str, object] = {}
    match before:
        case Port() if ref(Kind.SERVER, before.device_id or "-") in gone:
            undone = {"device_id": "", "device_owner": "", "dns_name": ""}
        case FloatingIp() if ref(Kind.PORT, before.port_id or "-") in gone:
            undone = {"port_id": None, "fixed_ip_address": None}
        case Router() if before.ref in gone:
            undone = {"routes": ()}
        case Server() if before.ref in gone:
            undone = {"locked": False}
        case Image() if before.ref in gone:
            undone = {"protected": False}
        case Attachment() if ref(Kind.SERVER, before.server_id) in gone:
            undone = {"delete_on_termination": False}
        case ServerGroup() if isinstance(now, ServerGroup):
            left = tuple(m for m in before.member_ids if ref(Kind.SERVER, m) not in gone)
            undone = (
                {"member_ids": now.member_ids} if set(left) <= set(now.member_ids) <= set(before.member_ids) else {}
            )
        case _:
            pass
    restored = {f: getattr(before, f) for f, value in undone.items() if getattr(now, f, None) == value}
    return now.model_copy(update=restored)


def put_back(now: Workload, before: Workload, gone: Holding[Ref]) -> tuple[Workload, tuple[Ref, ...]]:
    """The source with what earlier attempts took (`gone`, as `before` knew it), and what that was."""
    there = [as_before(before.by_ref[r.ref], r, gone) if r.ref in before.by_ref else r for r in now.resources]
    missing = [r for r in before.resources if r.ref in gone and r.ref not in now.by_ref]
    order = list(Kind)
    resources = sorted([*there, *missing], key=lambda r: (order.index(r.own_kind), r.name, r.id))
    return now.model_copy(update={"resources": tuple(resources)}), tuple(r.ref for r in missing)


# --- what shows that nobody wrote


def content_stamp(resource: Resource) -> dict[str, JsonValue]:
    """What is the same as long as the content is ({}: the cloud tells nothing of the kind).

    Glance takes no data into an active image; Swift gives an object another time (and mostly another ETag) with each
    PUT. A DLO's content is what its segments are.
    """
    if isinstance(resource, Image) and resource.status == "active" and resource.hash_value:
        return {"hash_algo": resource.hash_algo, "hash_value": resource.hash_value}
    if isinstance(resource, StoredObject) and resource.last_modified and resource.dlo_prefix is None:
        return {
            "etag": resource.etag,
            "last_modified": resource.last_modified.isoformat(),
            "bytes": resource.size_bytes,
        }
    return {}


# --- what the journal of an attempt tells


def touched(journal: Rows) -> set[Ref]:
    """The objects that an attempt was about: in its journal's first row."""
    nodes = _data(journal[0]).get("nodes") if journal else {}
    names = nodes if isinstance(nodes, dict) else {}
    return {n.removeprefix(start) for n in names for start in (DELETE, ROUTES) if n.startswith(start)}


def deletions(journal: Rows) -> dict[Ref, dict[str, JsonValue]]:
    """What was deleted, and what was shown just before."""
    return {r: told for r, told in _ended(journal).items() if "deleted" in told}


def begun(journal: Rows) -> set[Ref]:
    """What an attempt began to delete, or deleted: all but what it then kept."""
    events = [row["event"] for row in journal]
    intended = {str(e["node"]) for e in events if isinstance(e, dict) and e["kind"] == "intended"}
    return {n.removeprefix(DELETE) for n in intended if n.startswith(DELETE)} - kept_late(journal).keys()


def kept_late(journal: Rows) -> dict[Ref, Words]:
    """What was to go and was kept by the look just before."""
    return {r: told_as(told["kept"]) for r, told in _ended(journal).items() if "kept" in told}


def deleted(record: Closing) -> tuple[Ref, ...]:
    """All that the attempts deleted; of one that was killed also what was begun and is gone since."""
    found: dict[Ref, None] = {}
    for number, attempt in enumerate(record.attempts, start=1):
        later = {r for one in record.attempts[number:] for r in one.put_back}
        ended = _ended(attempt.journal)
        for reference in sorted(begun(attempt.journal)):
            missing = reference in later or (record.after is not None and reference not in record.after.by_ref)
            if "deleted" in ended[reference] if reference in ended else missing:
                found[reference] = None
    return tuple(found)


def digest(attempt: Attempt) -> str:
    """What the journal of an attempt names it by."""
    return stored_digest(attempt.model_dump(mode="json"))


def stored_digest(plain: Mapping[str, JsonValue]) -> str:
    """The same of an attempt as it is stored: an older or newer version finds the same."""
    return canonical.digest({name: value for name, value in plain.items() if name not in ("journal", "chain")})


def _ended(journal: Rows) -> dict[Ref, dict[str, JsonValue]]:
    found = {}
    for row in journal:
        event = row["event"]
        if isinstance(event, dict) and event["kind"] == "done" and str(event["node"]).startswith(DELETE):
            found[str(event["node"]).removeprefix(DELETE)] = _data(row)
    return found


def _data(row: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    event = row["event"]
    data = event["data"] if isinstance(event, dict) else {}
    return data if isinstance(data, dict) else {}
