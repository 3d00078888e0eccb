# SPDX-License-Identifier: Apache-2.0
"""What all kinds have in common: names, references, and what each one must say of itself. Pure.

A kind is a class with a `Policy` for every field, a `KNOWN`, a `fate` and a `natural_key`: one that lacks any of these does
not load. Planner, verifier, closer, mover and simulator ask resources through the methods here and name no kind.
The other methods say what is so for most kinds, from the fields' policies; a kind for which it is not so has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import Field, JsonValue

from unterbau import canonical
from unterbau.tenant.kinds.fate import Change, Check, Entry, Fate, Guests
from unterbau.tenant.kinds.policy import Becomes, Content, Known, Policy, Told, changed, ignored
from unterbau.verdict import Model, Reason, Words, joined

if TYPE_CHECKING:
    from unterbau.tenant.kinds.attachment import Disks
    from unterbau.tenant.kinds.ground import Ground, Relations, Side
    from unterbau.tenant.kinds.origin import Source
    from unterbau.tenant.kinds.volume import Passage

Ref: TypeAlias = str
"""`kind:id`, unique within one cloud, e.g. `server:0d4c…`, `object:box/päth`."""
LONGEST, MOST_TAGS = 255, 50
"""Characters of a name, a tag, or a key or value of metadata; tags of one thing: what Neutron, Nova, Cinder and Glance take."""
Key: TypeAlias = Callable[[Ref], str]
"""What the object of a Ref is called on both sides (see `ResourceBase.natural_key`)."""


class Kind(StrEnum):
    """The kinds of resources that we understand, in the order in which they can be created."""

    KEYPAIR = "keypair"
    SERVER_GROUP = "server_group"
    ADDRESS_GROUP = "address_group"
    SECURITY_GROUP = "security_group"
    SECURITY_GROUP_RULE = "security_group_rule"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    ROUTER_INTERFACE = "router_interface"
    PORT = "port"
    FLOATING_IP = "floating_ip"
    IMAGE = "image"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    SECRET = "secret"  # noqa: S105 - the name of a kind
    SECRET_CONTAINER = "secret_container"  # noqa: S105 - the name of a kind
    SERVER = "server"
    ATTACHMENT = "attachment"
    CONTAINER = "container"
    OBJECT = "object"


def ref(kind: Kind, id_: str) -> Ref:
    """The Ref of an id of a kind."""
    return f"{kind.value}:{id_}"


def kind_of(reference: Ref) -> Kind:
    """The kind that a Ref names. Raises ValueError for something that is not a Ref."""
    return Kind(reference.partition(":")[0])


def id_of(reference: Ref) -> str:
    """The id that a Ref names."""
    return reference.partition(":")[2]


class ResourceBase(Model):
    """Common to all resources. The class variables in small print below `KNOWN` follow from the fields' policies."""

    KNOWN: ClassVar[Known]
    POLICY: ClassVar[Mapping[str, Policy]]
    REFERS: ClassVar[Mapping[str, Kind]]
    """Fields that are ids, or tuples of ids -> the kind that they point to."""
    WITHIN: ClassVar[Mapping[str, Kind]]
    """Fields that are tuples of nested models with an id in them -> the kind that it points to."""
    VOLATILE: ClassVar[frozenset[str]]
    """Fields that are not compared between clouds."""
    HIDEABLE: ClassVar[frozenset[str]]
    """Fields that a cloud keeps from some who may read the rest (see `Workload.hidden_fields`)."""
    UNORDERED: ClassVar[frozenset[str]]
    """Fields whose order means nothing to the cloud."""
    MOMENT: ClassVar[frozenset[str]]
    """Fields that change by themselves and say nothing about what the project owns."""

    id: Annotated[str, ignored("each cloud gives ids of its own; relations are compared by natural keys")] = Field(
        min_length=1
    )
    name: Annotated[str, changed("the target has something of that name from birth", replaced=True)] = ""
    marker: Annotated[str | None, ignored("the tag of a drill, taken out of the tenant's tags", moment=True)] = None
    """The tag of the drill that created this (`unterbau.<run>.<node>`), taken out of tags and metadata."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a kind that does not say what is known of it. Raises TypeError naming what is missing."""
        super().__pydantic_init_subclass__(**kwargs)
        policies: dict[str, Policy] = {}
        for name, field in cls.model_fields.items():
            found = [m for m in field.metadata if isinstance(m, Policy)]
            if len(found) != 1 and name != "kind":
                raise TypeError(f"{cls.__name__}.{name} has {'no policy' if not found else 'several policies'}")
            policies.update((name, policy) for policy in found)
        missing = [name for name in ("fate", "natural_key") if getattr(cls, name) is getattr(ResourceBase, name)]
        missing += [] if hasattr(cls, "KNOWN") else ["KNOWN"]
        if missing:
            raise TypeError(f"{cls.__name__} does not say: {', '.join(missing)}")
        cls.POLICY = policies
        pointing = {name: (p.refers, p.within) for name, p in policies.items() if p.refers is not None}
        cls.REFERS = {name: kind for name, (kind, within) in pointing.items() if not within}
        cls.WITHIN = {name: kind for name, (kind, within) in pointing.items() if within}
        cls.VOLATILE = frozenset(name for name, p in policies.items() if not p.becomes.compared)
        cls.HIDEABLE = frozenset(name for name, p in policies.items() if p.told is Told.HIDDEN)
        cls.UNORDERED = frozenset(name for name, p in policies.items() if p.unordered)
        cls.MOMENT = frozenset(name for name, p in policies.items() if p.moment)

    # --- names and references

    @property
    def own_kind(self) -> Kind:
        """The kind of this resource."""
        return Kind(self.kind)  # type: ignore[attr-defined]

    @property
    def ref(self) -> Ref:
        """`kind:id`."""
        return ref(self.own_kind, self.id)

    def called(self) -> str:
        """What people call it: its name, unless that is nothing to go by."""
        return self.name

    def label(self) -> str:
        """Its kind and what people call it."""
        return f"{self.own_kind.value.replace('_', ' ')} {self.called() or 'without a name'}"

    def references(self) -> tuple[Ref, ...]:
        """The Refs this resource points to, without duplicates, in the order of the fields."""
        return tuple(dict.fromkeys(target for _, target, _ in ResourceBase.ties(self)))

    def ties(self) -> Iterator[tuple[str, Ref, bool]]:
        """(field, Ref, whether its target must be the project's own) of what a whole census has beside this resource."""
        for field, kind in self.REFERS.items():
            value = getattr(self, field)
            for one in value if isinstance(value, tuple) else (value,):
                if one:
                    yield field, ref(kind, one), self.POLICY[field].own
        for field, kind in self.WITHIN.items():
            inner = dict.fromkeys(getattr(one, self.POLICY[field].within) for one in getattr(self, field))
            yield from ((field, ref(kind, one), self.POLICY[field].own) for one in inner)

    def with_ids(self, new_id: Callable[[Ref], str | None]) -> Self:
        """A copy whose references are those of another cloud: `new_id(ref)`; None drops the reference."""
        update: dict[str, Any] = {}
        for field, kind in self.REFERS.items():
            value = getattr(self, field)
            if isinstance(value, tuple):
                mapped = (new_id(ref(kind, one)) for one in value)
                update[field] = tuple(m for m in mapped if m is not None)
            elif value:
                update[field] = new_id(ref(kind, value))
        for field, kind in self.WITHIN.items():
            inner = self.POLICY[field].within
            moved = ((one, new_id(ref(kind, getattr(one, inner)))) for one in getattr(self, field))
            update[field] = tuple(one.model_copy(update={inner: new}) for one, new in moved if new)
        return self.model_copy(update=update)

    def translated(self, translate: Mapping[str, str], projects: tuple[str, str]) -> Self:
        """With the target's ids for the provider's things; `projects`: the ids of the source's and the target's project."""
        return self

    # --- the same thing on two sides

    def natural_key(self, key: Key) -> str:
        """What it is called on both sides; `key` gives the natural keys of what it refers to."""
        raise NotImplementedError

    def belongings(self, side: Side, key: Key) -> list[str]:
        """What belongs to it on its side and tells it from another of the same natural key."""
        return []

    def comparable(self) -> dict[str, Any]:
        """Plain data of what must be equal in another cloud, after `with_ids` made the ids comparable."""
        return self.model_dump(mode="json", exclude={"id", "marker", *self.VOLATILE})

    def facts(self, side: Side, key: Key) -> dict[str, JsonValue]:
        """What must be equal on both sides, in plain data with natural keys for ids."""
        plain: dict[str, JsonValue] = self.with_ids(key).comparable()
        for field in self.UNORDERED & plain.keys():
            plain[field] = _as_set(plain[field])
        return plain

    def at_most(self, there: ResourceBase) -> frozenset[str]:
        """Compared fields in which `there`, the same thing in another cloud, has less since that cloud has no more."""
        return frozenset()

    def undecided(self, roles: Iterable[str]) -> frozenset[str]:
        """Compared fields that somebody with these roles cannot decide on the target."""
        decides = "admin" in roles
        return frozenset(f for f, p in self.POLICY.items() if p.becomes.compared and not (p.member or decides))

    def from_birth(self, side: Side) -> Words:
        """Why it is in every project from birth, or ""."""
        return ""

    # --- its fate

    def fate(self, ground: Ground) -> Entry:
        """What becomes of it."""
        raise NotImplementedError

    def carry(
        self, ground: Ground, *changes: Change, why: Words = "", size: int = 0, more: Iterable[Ref] = ()
    ) -> Entry:
        """The entry of what moves; fields that are never carried are named. `more`: what it needs beside its references.

        What refers to something that does not come along, and for which no change says what becomes of that, is left; so is
        what has no place left for our mark.
        """
        left = list(self._leavings())
        told = {c.field: c for c in (*changes, *left)}
        full = self.full()
        if full:
            return self.leave(full, Reason.of("do.make-room"))
        adrift = next((r for f, r, _ in ResourceBase.ties(self) if f not in told and not ground.has(r)), None)
        if adrift is not None:
            return self.leave(Reason.of("plan.foreign", thing=adrift), Reason.of("do.connect"))
        for field, change in told.items():
            if self.POLICY[field].becomes in (Becomes.CARRIED, Becomes.IGNORED):
                raise TypeError(
                    f"{self.own_kind}.{field} is {self.POLICY[field].becomes} and cannot change: {change.why}"
                )
        own = (n for n in (*self.references(), *more) if n in ground.source.by_ref)
        return Entry(
            ref=self.ref,
            name=self.name,
            fate=Fate.CHANGED if told or why else Fate.CARRIED,
            why=joined([why, *(c.why for c in left)]) if why else joined(c.why for c in told.values()),
            changes=tuple(told.values()),
            needs=tuple(dict.fromkeys(own)),
            bytes=size,
        )

    def _leavings(self) -> Iterator[Change]:
        for field, policy in self.POLICY.items():
            was = getattr(self, field)
            if policy.becomes is Becomes.LEFT and was:
                yield Change(field=field, was=was, to=None, why=policy.why)

    def replaces(self, field: str) -> bool:
        """Whether a change of this field takes nothing away (see `Policy.replaced`)."""
        policy = self.POLICY.get(field)
        return policy is not None and policy.replaced

    TAGS_AT_MOST: ClassVar[int] = MOST_TAGS
    """Tags of one thing. Our mark is one of them, but where it stands elsewhere (`full`)."""

    def full(self) -> Words:
        """Why it has no place left for our mark, by which alone what a run made is told from the user's own; or ""."""
        count = len(getattr(self, "tags", ()))
        return Reason.of("plan.full", count=count, what="tags") if count >= self.TAGS_AT_MOST else ""

    def leave(self, why: Words, remedy: Words) -> Entry:
        """The entry of what stays where it is."""
        return Entry(ref=self.ref, name=self.name, fate=Fate.LEFT, why=why, remedy=remedy)

    def foreign(self, ground: Ground) -> list[Ref]:
        """What it refers to and the project does not own."""
        return [r for r in self.references() if r not in ground.source.by_ref]

    @classmethod
    def checks(cls, ground: Ground) -> Iterator[Check]:
        """What is to be looked at for the whole kind before anything is written."""
        yield from ()

    @classmethod
    def remarks(cls, ground: Ground) -> Iterator[Words]:
        """What a person should know of the whole kind that can be neither right nor wrong."""
        yield from ()

    def beyond(self, side: Side) -> Iterator[tuple[str, Words]]:
        """What it is and no field shows, so that no API gives it: (its name, why it is lost)."""
        yield from ()

    def lost_with(self, entry: Entry, side: Side) -> Iterator[tuple[str, Words]]:
        """What of that (`beyond`) goes with it for good, though it is carried as the entry says."""
        yield from self.beyond(side)

    def unread(self, side: Side) -> Words:
        """What nobody can read of it at all, with its name, or ""."""
        return ""

    def uses(self) -> Iterator[tuple[str, str, int]]:
        """What it takes of quotas: (service, resource, how much)."""
        if self.KNOWN.quota is not None:
            yield (*self.KNOWN.quota, 1)

    def brings(self) -> Iterator[tuple[str, str, int]]:
        """What a cloud may take of the project's quotas for itself because this is there."""
        yield from ()

    def passing(self) -> Iterator[tuple[str, str, int]]:
        """What reading it takes of quotas for a while, on its own side."""
        yield from ()

    def shares(self) -> Iterator[tuple[str, str, str]]:
        """(service, resource, a quota of a part of it): what it takes of the resource it takes of that, too, if it is set."""
        yield from ()

    def alone(self) -> Iterator[tuple[str, str, int]]:
        """Limits of a single thing: (service, resource, how much it takes of it alone)."""
        yield from ()

    def extensions(self) -> Iterator[str]:
        """Aliases of the API extensions that it makes use of (Networking API v2.0, Extensions)."""
        yield from ()

    def planned(self, new_id: Callable[[Ref], str | None], target: Side) -> Self | None:
        """This wish as it would be on the target, with the ids there; None if it could not be made."""
        return self.with_ids(new_id)

    # --- its content

    def has_content(self) -> bool:
        """Whether there is something in it that must be the same on both sides."""
        return self.KNOWN.content is not Content.NONE

    def is_exported(self, side: Side) -> bool:
        """Whether it has blocks that no request reads, so that they are exported first (`passages`)."""
        return self.KNOWN.content is Content.DISK

    def disk_gib(self) -> int:
        """How long its disk is, in GiB; 0 if it has none of its own."""
        return 0

    def stamp(self) -> dict[str, JsonValue]:
        """What is the same as long as the content is ({}: the cloud tells nothing of the kind)."""
        return {}

    def backed(self, relations: Relations) -> bool:
        """Whether something stands on its content, so that only a clone of it can be exported."""
        return False

    def passages(self, *, backed: bool) -> list[Passage]:
        """The temporary things by which its content is exported, in the order of their making (only of a disk)."""
        return []

    def passage(self, what: str) -> Passage:
        """One of these, or the image on the target from which it is made, by name (only of a disk)."""
        raise TypeError(f"{self.own_kind} is not exported: {what}")

    def is_unattached(self) -> bool:
        """Whether nobody can write it now (only of a disk)."""
        return False

    def unattached_since(self) -> datetime | None:
        """Since when nobody can have written it (only of a disk), None if somebody can, or nobody knows."""
        return None

    # --- whether listings agree

    def elsewhere(self, project_id: str) -> bool | Ref:
        """Whether it is rightly in no listing of the project, being another's; a Ref: if that one is."""
        return False

    def claims(self) -> Iterator[tuple[Ref, str]]:
        """(Ref, field) of what must name it in that field."""
        yield from ()

    def born_with(self) -> tuple[Kind, str] | None:
        """The kind of which it is never without one, and the field in which that one names it."""
        return None

    def after(self, side: Side) -> list[Ref]:
        """What is made before it beside what it needs, if that is made at all."""
        return []

    def at_first(self, side: Side) -> Self:
        """It as it is made, where it becomes what it is only later (by a step of `BONDS`): once what hangs on it is there, or
        its id is noted."""
        return self

    def speaks_for(self) -> Iterator[str]:
        """Addresses of its network that are its own, or that it speaks for; CIDRs as well."""
        yield from ()

    # --- giving it up

    BONDS: ClassVar[str] = ""
    """How the step is called, before the Ref, that makes or takes away what holds others on it (see `unbound`, `at_first`)."""

    def under(self, relations: Relations) -> list[Ref]:
        """What must not go before it. Never in a circle, but for links that lead in one."""
        return [n for n in self.references() if n in relations.side.by_ref]

    def upheld(self, relations: Relations, itself: bool) -> list[Ref]:
        """What belongs to it as it is; `itself`: it is kept for a reason of its own, and not because another needs it."""
        return [*self.under(relations), *(n for n in self.references() if n in relations.side.by_ref)]

    def undone(self, now: ResourceBase, gone: Container[Ref]) -> dict[str, object]:
        """Fields that deleting the things of `gone` changes in it by itself -> what they are then."""
        return {}

    def unbound(self) -> Self | None:
        """It without what holds others on it, which must be taken away before them; None if it has nothing of the kind."""
        return None

    def bound(self, wish: ResourceBase) -> Self:
        """It with what holds others on it as a wish has it."""
        return self

    def bonds(self) -> int:
        """How many things hold others so."""
        return 0

    def held_by(self, relations: Relations) -> list[Ref]:
        """What it holds so."""
        return []

    def protection(self) -> str:
        """What protects it from deletion (`locked`, `protected`), or ""."""
        return ""

    def protected_for(self) -> str:
        """Why it is protected, as its user says."""
        return ""

    def doomed(self, relations: Relations) -> tuple[Ref, ...]:
        """What the cloud would delete with it, unseen."""
        return ()

    def goes_at(self) -> datetime | None:
        """When it goes by its own word."""
        return None

    def has_ended(self, at: datetime) -> bool:
        """Whether it is gone by its own word at a time."""
        end = self.goes_at()
        return end is not None and end <= at

    # --- being made, and how a cloud treats it (the simulator asks)

    HALF_MADE: ClassVar[tuple[Kind, ...]] = ()
    """Kinds as which one is listed that a request left half-made."""

    def place(self) -> str:
        """Its id, where that is not the cloud's to choose, else ""."""
        return self.name if self.KNOWN.id_is_name else ""

    def attachments(self, side: Side) -> Disks:
        """What attaches disks to it, in the order of their devices, root first."""
        return []

    def writers(self, side: Side) -> list[Ref]:
        """The servers that have its content as their disk, and write to it while they run."""
        return []

    def leaves_with_another(self) -> bool:
        """Whether it goes with another thing, and cannot go before it."""
        return False

    def is_guest(self) -> bool:
        """Whether it runs something of the user's, wherever it is made."""
        return self.RUNS

    RUNS: ClassVar[bool] = False
    """Whether things of the kind run, and can be stopped."""

    def runs(self) -> bool:
        """Whether it runs now."""
        return False

    def as_running(self) -> Self:
        """As it is when it runs."""
        return self

    def rehearsed(self, guests: Guests, side: Side) -> Self:
        """As it is made if guests are to do nothing, or to stay among themselves; `side` is that on which it is now."""
        return self

    def within(self) -> Ref:
        """What it is a part of, and what is made without any of its like; "": nothing."""
        return ""

    def holder(self) -> Ref:
        """What holds it for as long as it runs, so that it goes first when both go; "": nothing."""
        return ""

    def power(self) -> Literal["", "SHUTOFF"]:
        """The state to which it is brought in the end; "": that in which it is made."""
        return ""

    def is_filled(self) -> bool:
        """Whether it has its content (only of what is written once)."""
        return False

    def is_linked(self) -> bool:
        """Whether its content is that of others: joined, or shown."""
        return False

    def is_brief(self) -> bool:
        """Whether only what a brief listing tells is known of it."""
        return False

    def counted(self) -> int:
        """How many things of the tenant's it says that it holds; 0 if it holds none."""
        return 0

    def in_brief(self) -> int:
        """How many things it is of which only what a brief listing tells is known."""
        return int(self.is_brief())

    def as_named(self) -> Self:
        """What a listing tells of it that tells no more than its name."""
        return self

    def as_listed(self) -> Self:
        """What a brief listing of its service tells of it (`cloud.port.Reader.listing_brief`)."""
        return self

    def denied(self) -> str:
        """Why a member may not have it so, or ""."""
        return ""

    def unfit(self, at: datetime) -> str:
        """Why no cloud makes it so at this time, whoever asks, or "". Our marker is one more tag, or one more metadata."""
        tags = getattr(self, "tags", ())
        if len(self.name) > LONGEST:
            return f"its name is longer than {LONGEST} characters"
        if any(len(tag) > LONGEST for tag in tags) or self.full():
            return f"it has more than {self.TAGS_AT_MOST} tags with ours, or one longer than {LONGEST} characters"
        if any(len(text) > LONGEST for pair in getattr(self, "metadata", {}).items() for text in pair):
            return f"it has metadata longer than {LONGEST} characters"
        return ""

    def lacks(self, side: Side) -> str:
        """What must be there before it can be made, beside its references, and is not; or ""."""
        return ""

    def born(self, origin: Source, number: int) -> Self:
        """As the cloud makes it from `origin`, without what it drops; `number` is another one for each thing."""
        return self

    def completed(self, side: Side, at: datetime) -> Self:
        """With what the cloud that `side` is fills in where the wish leaves it open."""
        return self

    def with_payload(self, wish: ResourceBase) -> Self:
        """As it is told once it has its payload, which came as `wish` says."""
        return self

    def draws(self, origin: Source) -> Ref | None:
        """Whose content it takes over."""
        return None

    def too_busy(self, drawn: ResourceBase, origin: Source) -> str:
        """Why it cannot take over the content of `drawn` now, or ""."""
        return ""

    def filled(self, size_bytes: int) -> Self:
        """With its content."""
        return self

    def parts(self, side: Side) -> tuple[tuple[Ref, slice], ...] | None:
        """Whose stored bytes, and which, are its content one after the other; None: they are not the project's to read."""
        return ((self.ref, slice(None)),)

    def own_size(self) -> int:
        """Bytes that it holds itself, if its content is that of others (see `port.Reader.own_bytes`)."""
        return 0

    def md5(self) -> str:
        """Of its content (hex), as its cloud told; "" where it told none."""
        return ""

    def pinned(self) -> Iterator[tuple[Ref, str]]:
        """(Ref, the ETag that it must have) of what its content is made of."""
        yield from ()

    def occupies(self) -> Ref | None:
        """The disk that it keeps in use."""
        return None

    def occupied(self, by_another: bool) -> Self:
        """In use, or free."""
        return self

    def is_occupied(self) -> bool:
        """Whether it is in use, so that it cannot go."""
        return False

    def touched(self, at: datetime) -> Self:
        """With the time of its last change of state, if it tells one."""
        return self

    def along(self, side: Side) -> list[Ref]:
        """What a cloud deletes with it."""
        return []

    def held(self) -> Iterator[Ref]:
        """What the cloud does not delete as long as this names it."""
        yield from (target for field, target, _ in ResourceBase.ties(self) if self.POLICY[field].holds)

    def any_of_alike(self) -> bool:
        """Whether of several that look alike one may be taken as ours, nothing being in them."""
        return False

    def alike(self, there: ResourceBase) -> bool:
        """Whether `there` looks as this wish would, once it is made."""
        return there.own_kind is self.own_kind and there.comparable() == self.comparable()

    def takes(self, there: ResourceBase, origin: Source) -> bool:
        """Whether making it from `origin` would take what `there` has, and what can be had only once."""
        return False


R = TypeVar("R", bound=ResourceBase)


def _as_set(value: JsonValue) -> JsonValue:
    """Lists whose order means nothing, in one order."""
    return sorted(value, key=canonical.canonical_bytes) if isinstance(value, list) else value
