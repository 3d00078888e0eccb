# SPDX-License-Identifier: Apache-2.0
"""What is known of a field of a kind, and of a kind as a whole: data that the rooms above derive their rules from. Pure.

Each field of a kind is declared with a `Policy` (`carried()`, `changed(..)`, ...), each kind with a `Known`; neither has
a default, and `base.ResourceBase` refuses to load a kind that lacks one. What depends on more than data (a fate, a natural
key) are methods of the kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from unterbau.verdict import Reason, Words

if TYPE_CHECKING:
    from unterbau.tenant.kinds.base import Kind


class Opened(StrEnum):
    """In which way something can be more open on the target than it was on the source."""

    INGRESS = "traffic in"
    EGRESS = "traffic out"
    REPLIES = "reply traffic"
    PORT_SECURITY = "port security"
    ADDRESS_PAIRS = "address pairs"
    SWITCHED_ON = "administrative state"
    ATTACHED = "networks of servers and ports"
    CONNECTED = "connections of networks"
    GATEWAY = "external gateways"
    SNAT = "SNAT"
    PUBLIC_ADDRESS = "public addresses"
    SHARED = "shared networks and groups"
    CONTAINER_ACL = "container ACLs"
    CONTAINER_SYNC = "container sync"
    SECRET_ACL = "secret ACLs"  # noqa: S105 - the name of a kind
    IMAGE = "image visibility"
    ENCRYPTION = "encryption at rest"

    @property
    def words(self) -> Reason:
        """What a person calls it."""
        return _NAMED[self]


_NAMED: Mapping[Opened, Reason] = {
    Opened.INGRESS: Reason.of("opened.ingress"),
    Opened.EGRESS: Reason.of("opened.egress"),
    Opened.REPLIES: Reason.of("opened.replies"),
    Opened.PORT_SECURITY: Reason.of("opened.port-security"),
    Opened.ADDRESS_PAIRS: Reason.of("opened.address-pairs"),
    Opened.SWITCHED_ON: Reason.of("opened.switched-on"),
    Opened.ATTACHED: Reason.of("opened.attached"),
    Opened.CONNECTED: Reason.of("opened.connected"),
    Opened.GATEWAY: Reason.of("opened.gateway"),
    Opened.SNAT: Reason.of("opened.snat"),
    Opened.PUBLIC_ADDRESS: Reason.of("opened.public-address"),
    Opened.SHARED: Reason.of("opened.shared"),
    Opened.CONTAINER_ACL: Reason.of("opened.container-acl"),
    Opened.CONTAINER_SYNC: Reason.of("opened.container-sync"),
    Opened.SECRET_ACL: Reason.of("opened.secret-acl"),
    Opened.IMAGE: Reason.of("opened.image"),
    Opened.ENCRYPTION: Reason.of("opened.encryption"),
}
"""What a person calls a kind of opening."""

TRAFFIC = (Opened.INGRESS, Opened.EGRESS)


class Becomes(StrEnum):
    """What becomes of a field in another cloud."""

    CARRIED = "carried"
    """Equal there."""
    CHANGED = "carried, or changed"
    """Equal there, unless the target cannot have it so: then the plan says what it is there."""
    CHOSEN = "chosen by the target"
    """The target decides; where that takes something away, the plan says so."""
    LEFT = "left"
    """Never carried: the plan names it wherever it is set."""
    IGNORED = "ignored"
    """Says nothing about what the project owns, or says it elsewhere; never compared between clouds."""

    @property
    def compared(self) -> bool:
        """Whether the verifier compares it between clouds."""
        return self not in (Becomes.CHOSEN, Becomes.IGNORED)


class Told(StrEnum):
    """How a cloud tells a field."""

    ALWAYS = "with the thing"
    ASKED = "when asked for by itself"
    """By a request of its own, which may be refused: the census names it then."""
    HIDDEN = "not to everybody"
    """Kept from some who may read the rest, so that hidden looks like empty (see `Workload.hidden_fields`)."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is known of one field. Made by `carried`, `changed`, `chosen`, `left`, `ignored`.

    `refers`: the kind that its ids are of; `within`: the field of a nested model in which the id stands; `own`: that kind's
    thing is the project's own for certain (else it may be another's, or gone); `holds`: as long as this names it the cloud
    does not delete it. `unordered`: its order means nothing to the
    cloud. `moment`: it changes by itself. `member`: who has the role member can decide it. `replaced`: a change of it takes
    nothing away, since something of the target serves instead. `opens`: in which ways it may open something.
    """

    becomes: Becomes
    why: Words
    refers: Kind | None = None
    within: str = ""
    own: bool = False
    holds: bool = True
    unordered: bool = False
    moment: bool = False
    member: bool = True
    replaced: bool = False
    told: Told = Told.ALWAYS
    opens: frozenset[Opened] = frozenset()

    def __post_init__(self) -> None:
        if not self.why and self.becomes is not Becomes.CARRIED:
            raise TypeError(f"a field that is {self.becomes} says why")


def carried(
    *, refers: Kind | None = None, within: str = "", own: bool = False, holds: bool = True, unordered: bool = False, moment: bool = False,
    member: bool = True, told: Told = Told.ALWAYS, opens: Iterable[Opened] = (),
) -> Policy:  # fmt: skip
    """Equal in the other cloud."""
    return Policy(
        becomes=Becomes.CARRIED, why="", refers=refers, within=within, own=own, holds=holds, unordered=unordered,
        moment=moment, member=member, told=told, opens=frozenset(opens),
    )  # fmt: skip


def changed(
    when: str, *, replaced: bool, refers: Kind | None = None, holds: bool = True, unordered: bool = False, member: bool = True,
    told: Told = Told.ALWAYS, opens: Iterable[Opened] = (),
) -> Policy:  # fmt: skip
    """Equal in the other cloud, but `when`: then the plan says what it is there."""
    return Policy(
        becomes=Becomes.CHANGED, why=when, replaced=replaced, refers=refers, holds=holds, unordered=unordered,
        member=member, told=told, opens=frozenset(opens),
    )  # fmt: skip


def chosen(why: str, *, opens: Iterable[Opened] = ()) -> Policy:
    """The target decides."""
    return Policy(becomes=Becomes.CHOSEN, why=why, member=False, opens=frozenset(opens))


def left(
    why: Reason,
    *,
    refers: Kind | None = None,
    own: bool = False,
    told: Told = Told.ALWAYS,
    opens: Iterable[Opened] = (),
) -> Policy:
    """Never carried: the plan says `why` wherever it is set."""
    return Policy(becomes=Becomes.LEFT, why=why, refers=refers, own=own, told=told, opens=frozenset(opens))


def ignored(why: str, *, moment: bool = False) -> Policy:
    """Not compared between clouds, and why. `moment`: it changes by itself."""
    return Policy(becomes=Becomes.IGNORED, why=why, moment=moment)


class Mark(StrEnum):
    """Where the marker of a run stands on a thing that it made."""

    BORN = "from birth"
    LATER = "once it is finished"
    """Between its making and its marking it only looks like what was asked for."""
    BRIEFLY = "until its id is noted"
    """It has no place for a marker but its name or description, which are the user's in the end: a step of its own (`BONDS`)
    gives it those. Until then what a lost request makes late is told by the marker; afterwards it still carries it."""
    NEVER = "never"
    UNIQUE = "never; the cloud refuses a second one like it"
    PLACE = "never; its id is its place"

    @property
    def lasting(self) -> bool:
        """Whether a finished thing carries it."""
        return self in (Mark.BORN, Mark.LATER)

    @property
    def at_birth(self) -> bool:
        """Whether a thing that was just made carries it."""
        return self in (Mark.BORN, Mark.BRIEFLY)

    @property
    def doubtful(self) -> bool:
        """Whether there can be one, for a moment or for ever, of which only its looks tell that it is ours."""
        return self not in (Mark.BORN, Mark.BRIEFLY, Mark.PLACE)

    @property
    def answered(self) -> bool:
        """Whether its id is told by the answer to its making alone, and it is there with that answer."""
        return self in (Mark.NEVER, Mark.UNIQUE)

    @property
    def indistinct(self) -> bool:
        """Whether a lost request could make a second one that nothing tells from the first."""
        return self in (Mark.NEVER, Mark.LATER)


class Content(StrEnum):
    """What a kind holds beside its fields, and how that is read."""

    NONE = "none"
    FIXED = "bytes, written once"
    STORED = "bytes, which may be written anew in their place"
    DISK = "blocks, which no request reads: they are exported first"
    PAYLOAD = "what nobody keeps: it is compared, and no hash of it is kept"

    @property
    def streamed(self) -> bool:
        """Whether a request reads it as it lies there."""
        return self in (Content.FIXED, Content.STORED)

    @property
    def alters(self) -> bool:
        """Whether it can become another one while the thing stays."""
        return self in (Content.STORED, Content.DISK)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a kind as a whole.

    `quota`: the service's quota in which each one counts as one; `counted`: its use is everything of the kind that the
    project has. `id_is_name`: its id is its name, the same in every cloud. `personal`: it belongs to the user and not to
    the project. `usable`: the states in which it can be carried, and counts as whole (() for a kind without states).
    `beyond`: what it is and no field shows, so that it is lost or not shown -> why. `api`: the reference of its API.
    """

    api: str
    quota: tuple[str, str] | None
    counted: bool
    marker: Mark
    content: Content
    id_is_name: bool
    personal: bool
    usable: tuple[str, ...]
    beyond: Mapping[str, str]
