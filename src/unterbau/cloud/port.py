# SPDX-License-Identifier: Apache-2.0
"""The port: any cloud, seen with the rights of one identity in one project.

`census`, `verify`, `prove` hold a `Reader`; `move`, `close` and the seed hold a `Cloud`. Behind it stand
`openstack/` (real), `simulator` (in memory), and the wrappers of `wrap`. This module holds the contract only;
`tests/contract` runs one suite against every implementation.

The law of the port
- All methods are safe to call from several threads. All raise only `unterbau.errors.CloudError`s, with
  `transient` telling whether the same call may succeed later; no foreign exception, no secret in a message.
- Reading never writes. Listings are complete (all pages), raise, or say in `not_shown` why they may not be: never
  silently short.
- "I could not look" is said: a kind that cannot be read raises; a part of it stands in `Listing.not_shown`.
- Ids in and out are those of this cloud. Resources in and out are the model of `unterbau.tenant.kinds`.
- `ensure` is find-or-create, the only way to create (see there). `delete` of what is gone is success.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, count
from typing import Literal, Protocol, TypeAlias

from pydantic import SecretBytes

from unterbau.errors import Broken, CloudError, Elsewhere, Unreachable
from unterbau.tenant.kinds import NOTHING, OWNER_ONLY, CloudIdentity, Kind, Offering, Ref, Resource, Source
from unterbau.tenant.kinds.object import CROWD
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Model, Reason

MARKER_KEY = "unterbau"
"""Metadata key under which a marker stands where the API has metadata instead of tags (see `marked`)."""
_OUR_KEY = re.compile(rf"{MARKER_KEY}(-marker(-\d+)?)?")
_MARKER = re.compile(r"unterbau\.[A-Za-z0-9_-]{1,34}\.[0-9a-f]{16}")


def is_marker(text: str) -> bool:
    """Whether a text is a marker of a run (`unterbau.<run>.<16 hex digits>`), and not a user's own words."""
    return _MARKER.fullmatch(text) is not None


def said(error: CloudError) -> Reason:
    """Why something could not be read. What the cloud answered stands in it as it was answered."""
    match error:
        case Elsewhere(asked=asked, status=status, there=there) if there:
            if error.near:
                return Reason.of("cloud.other-path", asked=asked, status=str(status), there=there)
            return Reason.of("cloud.elsewhere", asked=asked, status=str(status), there=there)
        case Broken(asked=asked, there=there) if there:
            return Reason.of("cloud.other-listing", asked=asked, there=there)
        case Unreachable(why=Reason() as why):
            return Reason.of("cloud.said", kind=error.kind, what=why)
    return Reason.of("cloud.said", kind=error.kind, what=error.what)


def owner_only(*, containers: bool) -> tuple[NotShown, ...]:
    """The notes of a listing of containers in which nothing of `OWNER_ONLY` was seen; `containers`: it has some."""
    reason = Reason.of("census.owner-only")
    return tuple(NotShown(what=w, reason=reason) for w in OWNER_ONLY if containers or w.startswith("account."))


def marked(metadata: Mapping[str, str], marker: str) -> dict[str, str]:
    """Metadata with the marker, under the first of our keys that the user does not use himself: his stay as they are.

    Keys that differ only in case, or in `_` for `-`, are one key to some services (headers of Swift, names of Barbican).
    """
    taken = {_plain(key) for key in metadata}
    ours = chain([MARKER_KEY, f"{MARKER_KEY}-marker"], (f"{MARKER_KEY}-marker-{n}" for n in count(2)))
    return {**metadata, next(key for key in ours if key not in taken): marker}


def markers(metadata: Mapping[str, str]) -> dict[str, str]:
    """What stands under our keys and is a marker: key -> marker, as written by `marked`, the latest last."""
    found = {k: str(v) for k, v in metadata.items() if _OUR_KEY.fullmatch(_plain(k)) and is_marker(str(v))}
    return dict(sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0])))


def carries(metadata: Mapping[str, str], marker: str) -> bool:
    """Whether this very marker stands under one of our keys."""
    return bool(our_keys(metadata, marker))


def our_keys(metadata: Mapping[str, str], marker: str) -> list[str]:
    """The keys of ours under which this very marker stands."""
    return [key for key, value in metadata.items() if value == marker and _OUR_KEY.fullmatch(_plain(key))]


def _plain(key: str) -> str:
    return key.lower().replace("_", "-")


LOOKED_AT = CROWD
"""Of more objects than these a brief listing reads no headers (`Reader.listing_brief`); a container with more is `crowded`."""
Marker: TypeAlias = str
Power: TypeAlias = Literal["ACTIVE", "SHUTOFF"]


class Listing(Model):
    """All resources of one kind, and which parts of them could not be read."""

    resources: tuple[Resource, ...]
    not_shown: tuple[NotShown, ...] = ()
    entries: int | None = None
    """How many things the service listed for it, if not all of them are resources of this kind (ports)."""


class Surroundings(Model):
    """The offering, and which parts of it could not be read."""

    offering: Offering
    not_shown: tuple[NotShown, ...] = ()


class ByteStream(Protocol):
    """Bytes that arrive in chunks of about 1 MiB or more; iterate once. A broken-off stream raises."""

    @property
    def size_bytes(self) -> int | None:
        """Length as announced, or None."""

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Page:
    """Some objects of a container, in the order of their names and behind those of the page before.

    `plain` are as the listing tells them (`StoredObject.by_listing`); of `others`, which want a look of their own, no more
    is told than the name. `total`: how many the service counts in the container, None if it says nothing.
    """

    plain: tuple[Resource, ...]
    others: tuple[Resource, ...]
    total: int | None
    not_shown: tuple[NotShown, ...] = ()


Take: TypeAlias = Callable[[Resource, ByteStream], None]
"""Takes a thing and its content. What it raises that is no CloudError ends the listing."""


class Reader(Protocol):
    """Reading. Rights needed: `reader` on the project. With these alone some of it stays hidden and is named so:
    what Barbican's policy keeps from a reader, and what Swift tells owners only (`kinds.OWNER_ONLY`).
    """

    def once(self) -> Reader:
        """The same for one look: what several of its answers want of the cloud is asked once, and not again to see what changed."""

    def identity(self) -> CloudIdentity:
        """Which cloud, project and user this is. Raises AuthFailed, Unreachable."""

    def kinds(self) -> tuple[Kind, ...]:
        """The kinds whose service is in the catalog, in the order of `Kind`."""

    def listing(self, kind: Kind) -> Listing:
        """Everything of that kind that the project owns. Raises Forbidden, Unsupported, Broken, ..."""

    def listing_read(self, kind: Kind, seen: Take, without: Collection[str] = ()) -> Listing:
        """As `listing`; what of it is small is read meanwhile, with the answer that tells what it is: `seen` gets each.

        Called from several threads. Of a content that it did not get to its end nothing is told here, as of all that
        `seen` is not called for: who wants it reads it by itself. `without`: containers whose objects are left out.
        """

    def crowded(self) -> tuple[str, ...]:
        """Containers with more than `LOOKED_AT` objects, as each counts them itself."""

    def pages(self, container: str) -> Iterator[Page]:
        """All objects of a container, page by page; nothing for one that is not there.

        Raises Broken for a listing that is not in the order of names.
        """

    def read_again(self, things: Sequence[Resource], seen: Take) -> Listing:
        """These objects as they are now, as `listing_read` tells them; those that are gone are left out.

        One that could not be read stands in `not_shown` by its Ref.
        """

    def listing_brief(self, kind: Kind, without: Collection[str] = ()) -> Listing:
        """As `listing`, without the objects of these containers; where there are many objects the plain ones as the listings of their containers tell them, without
        a request for each (`StoredObject.by_listing`). What a listing shows to be a link or to join others is read as ever.
        """

    def surroundings(self) -> Surroundings:
        """What the cloud offers to the project."""

    def not_understood(self) -> tuple[NotShown, ...]:
        """Services of the catalog that we do not know, and known features we do not carry but saw in use
        (trunks, QoS policies, port forwardings, volume groups, RBAC shares, ...), each with a reason.
        """

    def read(self, reference: Ref) -> Resource | None:
        """One resource now, or None if it does not exist (any more)."""

    def object_bytes(self, container: str, name: str) -> AbstractContextManager[ByteStream]:
        """The content as stored (never unpacked); of an SLO or DLO the joined content."""

    def object_whole(self, container: str, name: str) -> AbstractContextManager[tuple[Resource, ByteStream]]:
        """A plain object and its content as it is now, from one answer.

        Raises Conflict if it turns out to be a link or to join others, NotFound.
        """

    def own_bytes(self, container: str, name: str) -> AbstractContextManager[ByteStream]:
        """What a large object holds itself: the body of a DLO, of an SLO the data in its manifest, one after the other."""

    def image_bytes(self, image_id: str) -> AbstractContextManager[ByteStream]:
        """The image's data."""

    def image_start(self, image_id: str, length: int) -> bytes:
        """The first `length` bytes of its data, or all if there are fewer; no more passes where the cloud gives parts."""

    def secret_payload(self, secret_id: str) -> SecretBytes | None:
        """The payload, or None if the secret has none. Forbidden if the policy denies it."""


class Cloud(Reader, Protocol):
    """Reading and writing. Rights needed: `member` on the project."""

    def lookalikes(self, resource: Resource) -> tuple[str, ...]:
        """Ids that exist now and that `ensure` could mistake for its own later.

        Only for kinds which carry no marker from birth (server groups, secrets, ...); () for the others.
        The caller makes them durable before it calls `ensure`.
        """

    def ensure(
        self, resource: Resource, marker: Marker, *, before: tuple[str, ...] = (), source: Source = NOTHING
    ) -> str:
        """Find what an earlier call with this marker made (completing it if half-made), else create it.

        `resource` is the wish, with ids of this cloud; its own `id` is ignored. The marker is put on the new
        thing where the API has a place for it; for other kinds identity is (content, not in `before`).
        Returns the new id as soon as the cloud accepted it (see `settle`). Calling it twice makes one thing.
        If a lost request was carried out after all, several carry the marker: one is gone on with (always the same),
        the others are left to whoever knows its id. Of several that only look alike none is taken: Conflict.
        A second thing of the user's with the same name is never adopted. What cannot be made exactly as
        wished (a rule without its remote, a visibility refused) raises and is not made in a wider form.

        Notes by kind: a *network* gets its MTU, or the largest of this cloud if that is less. A *port* without a MAC address gets
        one of the cloud's choice, and its addresses too if it names none. A *security group* is made
        without any rule (rules that the cloud adds are removed).
        A *router interface* gets exactly its addresses. A *router* is made with its external gateway, without
        `routes` (their next hops need the interfaces: `set_bonds`), a *container* without keeping versions, an *address group*
        with the marker for its description. A *server* gets its ports in order, and
        `source.disks`; it is made running. An *attachment* attaches. An *image* without source is made empty
        (`write_image` follows), visibility private until then; one from a server is in the form that the cloud chooses, or
        `settle` says Broken where it gives none. An *object* is written by `write_object` or
        `write_manifest`. A *secret* needs `write_secret` for its payload.
        Raises Conflict, OverQuota, Forbidden, Unsupported, Broken, Unreachable.
        """

    def settle(self, reference: Ref, deadline: timedelta) -> Resource:
        """Wait until the thing is usable (volume available or in-use, server ACTIVE or SHUTOFF, ...).

        Raises Broken if it ends in error or vanishes (a failed upload deletes the image), Unreachable at
        the deadline.
        """

    def write_image(self, image: Resource, data: Iterable[bytes], size_bytes: int | None) -> None:
        """Upload the data of a queued image and set its final name, visibility, members, hiddenness and protection.

        Of an image that has its data only these are set; a wish without a name leaves the name.
        """

    def write_object(self, wish: Resource, data: Iterable[bytes], marker: Marker) -> None:
        """Write an object with all its headers. Idempotent. Content is stored as given.

        Raises Broken if it is none that the wish's ETag is the MD5 of.
        """

    def write_manifest(self, wish: Resource, marker: Marker, own: Iterable[bytes] = ()) -> None:
        """Write an SLO manifest, a DLO manifest or a symlink as the wish says. Idempotent.

        `own`: what it holds itself (`own_bytes`), as many bytes as the wish says.
        """

    def write_secret(self, secret_id: str, wish: Resource, payload: SecretBytes) -> None:
        """Give a secret its payload. Idempotent: a secret that has a payload is left alone."""

    def set_bonds(self, wish: Resource) -> None:
        """Make the thing `wish.id` what it only becomes later, as the wish has it. Idempotent.

        The static routes of a router, which hold its legs; of a container whether and where it keeps versions; of a subnet
        what DHCP gives out; of an address group its description, in whose place its marker stood.
        """

    def set_power(self, server_id: str, power: Power) -> None:
        """Bring a server to that state and wait for it. Idempotent."""

    def console(self, server_id: str) -> str:
        """What the server wrote to its serial console so far. Raises NotFound, Conflict (it does not run), Forbidden, ..."""

    def set_lock(self, server_id: str, locked: bool, reason: str = "") -> None:
        """Lock, and say why, or unlock a server (a locked one refuses all but its administrator's changes). Idempotent.

        What is locked already keeps the reason that it has.
        """

    def keep_disk(self, attachment: Ref) -> None:
        """From now on the volume of this attachment outlives its server (`delete_on_termination` false). Idempotent.

        Raises Unsupported where the cloud cannot change it (Nova before 2.85), NotFound.
        """

    def unmark(self, resource: Resource) -> None:
        """Take the marker off a thing, as it was read with it; all else of it stays. Idempotent. Raises NotFound."""

    def delete(self, reference: Ref, deadline: timedelta) -> None:
        """Delete and wait until it is gone. Gone already is success. Lifts nothing that protects it.

        A router interface is detached, an attachment detached, a container must be empty.
        Raises Conflict if the cloud refuses (in use, protected).
        """
