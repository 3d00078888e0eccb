# SPDX-License-Identifier: Apache-2.0
"""Which verb lacks which right or service in a cloud, from what was read of it alone. Pure; `cloud` reads.

A role is a name: what the cloud's policies let it write shows when it writes, so that is *not shown*. Of a source and of a
target different things count; findings about arriving say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from unterbau.doctor.findings import Finding
from unterbau.prove.inventory import Inventory, Status
from unterbau.tenant.kinds import CloudIdentity, Kind, Offering
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Model, Outcome

LOOKING = ("census", "plan", "verify", "drill", "close")
ARRIVING = ("plan", "move", "drill")
WRITING = ("move", "drill", "close", "cloud seed", "prove --write")
WRITERS = frozenset(["member", "admin", "manager", "_member_"])
"""Roles that may write in a project by the default policies (Keystone's reader is below member, which is below manager)."""
SERVICES: Mapping[str, tuple[Kind, ...]] = {
    "compute": (Kind.SERVER, Kind.KEYPAIR, Kind.SERVER_GROUP, Kind.ATTACHMENT),
    "network": (
        Kind.NETWORK, Kind.SUBNET, Kind.ROUTER, Kind.ROUTER_INTERFACE, Kind.PORT, Kind.FLOATING_IP, Kind.SECURITY_GROUP,
        Kind.SECURITY_GROUP_RULE, Kind.ADDRESS_GROUP,
    ),
    "image": (Kind.IMAGE,),
    "block-storage": (Kind.VOLUME, Kind.SNAPSHOT, Kind.BACKUP),
    "object-store": (Kind.CONTAINER, Kind.OBJECT),
    "key-manager": (Kind.SECRET, Kind.SECRET_CONTAINER),
}  # fmt: skip
TRIED = ("compute", "network", "image", "block-storage", "key-manager")
"""In which services `prove --write` makes something."""
LISTED = tuple(kind for kind in Kind if kind is not Kind.OBJECT)
"""What is listed: who may list the containers may list what is in them, and that may be millions."""


class Refusal(Model):
    """A listing that could not be had. `missing`: for want of a right or of the thing itself, not for now only."""

    why: str
    missing: bool


class Seen(Model):
    """What was read of a cloud."""

    identity: CloudIdentity
    kinds: tuple[Kind, ...]
    listings: dict[Kind, tuple[NotShown, ...] | Refusal]
    """What of each listing was not shown."""
    offering: Offering | Refusal
    around: tuple[NotShown, ...] = ()
    """What of the offering was not shown."""
    unknown: tuple[NotShown, ...] | Refusal
    inventory: Inventory | None = None
    """What `prove` saw; None: it was not asked."""


def findings(seen: Seen) -> tuple[Finding, ...]:
    """All findings of one cloud."""
    return (*_role(seen.identity), *_services(seen), *_listings(seen), *_around(seen), *_unknown(seen), *_prove(seen))


def _role(identity: CloudIdentity) -> Iterator[Finding]:
    roles = frozenset(identity.roles)
    said = f"roles: {', '.join(sorted(roles)) or 'none told'}"
    if roles & WRITERS:
        yield Finding(what="role member", outcome=Outcome.HELD, verbs=WRITING, said=said)
    elif roles and roles <= {"reader"}:
        remedy = "Use an identity with the role member on the project; reader suffices for census and prove."
        yield Finding(what="role member", outcome=Outcome.FAILED, verbs=WRITING, said=said, remedy=remedy)
        content = f"{said}; with reader rights the content of volumes and secrets is not shown"
        yield Finding(what="contents", outcome=Outcome.FAILED, verbs=("verify", "drill"), said=content, remedy=remedy)
    else:
        said += "; whether they may write is not told by their names"
        yield Finding(what="role member", outcome=Outcome.NOT_SHOWN, verbs=WRITING, said=said)
    said = "what the policies refuse a role shows when it writes; `unterbau plan` names what it knows to be refused"
    yield Finding(what="policies", outcome=Outcome.NOT_SHOWN, verbs=WRITING, said=said)


def _services(seen: Seen) -> Iterator[Finding]:
    for service, kinds in SERVICES.items():
        if any(kind in seen.kinds for kind in kinds):
            continue
        what = ", ".join(kind.value for kind in kinds)
        verbs = (*ARRIVING, "prove --write") if service in TRIED else ARRIVING
        yield Finding(
            what=f"service {service}", outcome=Outcome.FAILED, verbs=verbs,
            said=f"the catalog has none in this region and interface; nothing of {what} can arrive here",
            remedy="Name another region or interface in clouds.yaml, another target, or leave those things behind.",
        )  # fmt: skip


def _listings(seen: Seen) -> Iterator[Finding]:
    good = []
    for kind, found in seen.listings.items():
        if isinstance(found, Refusal):
            yield _refused(f"listing {kind.value}", LOOKING, found)
            continue
        good.append(kind.value)
        for note in found:
            yield Finding(
                what=note.what, outcome=Outcome.NOT_SHOWN, verbs=LOOKING, said=str(note.reason)
            )  # fmt: skip
    if good:
        said = f"{len(good)} kinds could be listed"
        yield Finding(what="listings", outcome=Outcome.HELD, verbs=LOOKING, said=said)


def _around(seen: Seen) -> Iterator[Finding]:
    offering = seen.offering
    if isinstance(offering, Refusal):
        yield _refused("what the cloud offers", ARRIVING, offering)
        return
    for note in seen.around:
        yield Finding(what=note.what, outcome=Outcome.NOT_SHOWN, verbs=ARRIVING, said=str(note.reason))
    if Kind.ROUTER in seen.kinds and not offering.external_networks:
        yield Finding(
            what="external network", outcome=Outcome.FAILED, verbs=ARRIVING,
            said="the project sees none: no floating IP and no router's way out can arrive here",
            remedy="Ask the provider for one; nobody with the role member can make it.",
        )  # fmt: skip
    full = [q for q in offering.quotas if 0 <= q.limit <= q.used]
    for quota in full:
        yield Finding(
            what=f"quota {quota.service} {quota.resource}", outcome=Outcome.FAILED, verbs=(*ARRIVING, "prove --write"),
            said=f"{quota.used} of {quota.limit} are used: nothing more can arrive here",
            remedy="Ask the provider for more, or delete what is not needed.",
        )  # fmt: skip
    if offering.quotas and not full:
        said = f"{len(offering.quotas)} limits, none used up; whether a project fits says `unterbau plan`"
        yield Finding(what="quotas", outcome=Outcome.HELD, verbs=ARRIVING, said=said)
    elif not offering.quotas:
        yield Finding(what="quotas", outcome=Outcome.NOT_SHOWN, verbs=ARRIVING, said="the cloud tells none")


def _unknown(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.unknown, Refusal):
        yield _refused("what Unterbau does not carry", LOOKING, seen.unknown)
        return
    for note in seen.unknown:
        yield Finding(what=note.what, outcome=Outcome.NOT_SHOWN, verbs=LOOKING, said=str(note.reason))


_OF_STATUS = {
    Status.SEEN: Outcome.HELD, Status.ABSENT: Outcome.FAILED, Status.FORBIDDEN: Outcome.FAILED,
    Status.TIMEOUT: Outcome.NOT_SHOWN, Status.ERROR: Outcome.NOT_SHOWN,
}  # fmt: skip
_INSTEAD = "security_groups"
"""A section that is asked only where another one cannot be."""


def _prove(seen: Seen) -> Iterator[Finding]:
    if seen.inventory is None:
        yield Finding(what="look of prove", outcome=Outcome.NOT_SHOWN, verbs=("prove",), said="it was not tried")
        return
    unseen = {n: s for n, s in seen.inventory.sections.items() if s.status is not Status.SEEN and n != _INSTEAD}
    for name, section in unseen.items():
        yield Finding(
            what=name, outcome=_OF_STATUS[section.status], verbs=("prove",), said=section.reason or section.status.value,
            remedy="The test cases that need it are not shown; the cloud's operator can open it for the role reader.",
        )  # fmt: skip
    said = f"{len(seen.inventory.sections) - len(unseen)} sections were seen"
    yield Finding(what="look of prove", outcome=Outcome.HELD, verbs=("prove",), said=said)


def _refused(what: str, verbs: tuple[str, ...], refusal: Refusal) -> Finding:
    remedy = "Ask the provider for the role reader or member on this project in that service."
    outcome = Outcome.FAILED if refusal.missing else Outcome.NOT_SHOWN
    return Finding(what=what, outcome=outcome, verbs=verbs, said=refusal.why, remedy=remedy if refusal.missing else "")
