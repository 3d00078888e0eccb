# SPDX-License-Identifier: Apache-2.0
"""A closed world: a field of an answer is understood, known to say nothing that could be lost, or *not shown*.

The modules of the services translate each entry of a listing through a `Reading`. What the translation reads is
understood: no list of it is kept beside. What else the entry has must stand in the service's table (`ignorable`,
`lost`), each by its name and with its reference; a name that does not is one claim for the kind and field, however many
entries have it. An entry that does not fit our model costs itself and names the place. No value of an answer reaches a
reason. Not here: what a field means.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from unterbau.cloud.openstack.errors import MALFORMED, clean
from unterbau.cloud.openstack.http import by_id, moment
from unterbau.cloud.paging import Listed
from unterbau.errors import Broken, CloudError
from unterbau.tenant.workload import NotShown
from unterbau.verdict import Reason, Words

T = TypeVar("T")

UNKNOWN, LOST = Reason.of("field.unknown"), Reason.of("field.lost")
MOST = 100
"""Unknown fields of a kind that are named one by one; a hostile answer may have any number."""


@dataclass(frozen=True)
class Known:
    """A field that no translation reads, `why`, and by which API reference.

    `unset`: the values at which there is nothing to carry; at others it is lost. None: whatever it is, nothing is.
    """

    why: str
    reference: str
    unset: tuple[Any, ...] | None = None

    def says_nothing(self, value: Any) -> bool:
        """Whether nothing is lost with a field of this value."""
        return self.unset is None or any(type(value) is type(u) and value == u for u in self.unset)


Table = Mapping[str, Known]
"""Path of a field -> what is known of it. `a.b` is a field of an object, `a[].b` of each object in a list, `a.*` of what
the user himself named."""


def ignorable(reference: str, why: str, *names: str) -> dict[str, Known]:
    """Fields whose value does not matter to a move, for that reason."""
    return dict.fromkeys(names, Known(why, reference))


def lost(reference: str, why: str, name: str, *unset: Any) -> dict[str, Known]:
    """A field that is not carried, and the values at which there is nothing to carry (None is always one)."""
    return {name: Known(why, reference, (None, *unset))}


class Told(dict[str, Any]):
    """An object of an answer that remembers what was read of it. Objects in it are such ones, too."""

    def __init__(self, data: Mapping[str, Any], path: str = "", of: Told | None = None) -> None:
        super().__init__(data)
        self.path = path
        self.read: dict[str, None] = {} if of is None else of.read
        """Paths in the order of their last reading."""
        self.losses: dict[str, Words] = {} if of is None else of.losses
        """Path -> why the field is not carried although it was read."""

    def lose(self, key: str, why: Words) -> None:
        """Say of a field that was read that it is not carried."""
        self.losses[self._at(key)] = why

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _note(self, path: str) -> None:
        self.read.pop(path, None)
        self.read[path] = None

    def _wrapped(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return Told(value, path, self)
        if isinstance(value, list):
            return [self._wrapped(one, f"{path}[]") for one in value]
        return value

    def __getitem__(self, key: str) -> Any:
        self._note(self._at(key))
        return self._wrapped(super().__getitem__(key), self._at(key))

    def get(self, key: str, default: Any = None) -> Any:
        """As of a dict."""
        return self[key] if key in self else self._missed(key, default)

    def _missed(self, key: str, default: Any) -> Any:
        self._note(self._at(key))
        return default

    def __iter__(self) -> Iterator[str]:
        """Whoever goes through all keys knows what they are: the user's own."""
        self._note(self._at("*"))
        return super().__iter__()

    def keys(self) -> Any:
        """As of a dict."""
        self._note(self._at("*"))
        return super().keys()

    def values(self) -> Any:
        """As of a dict."""
        return [value for _, value in self.items()]

    def items(self) -> Any:
        """As of a dict."""
        path = self._at("*")
        self._note(path)
        return [(key, self._wrapped(value, path)) for key, value in super().items()]

    def names(self) -> Sequence[str]:
        """The keys, without any of them being understood thereby."""
        return tuple(super().keys())

    def date(self, key: str) -> datetime | None:
        """A time that only tells a thing's history here: one that is none costs the field and not the thing."""
        try:
            return moment(self.get(key))
        except (ValueError, OverflowError):
            self.lose(key, Reason.of("field.no-time"))
            return None

    def items_of(self, prefix: str) -> list[tuple[str, Any]]:
        """The fields whose name begins so; they are understood."""
        return [(key, self[key]) for key in self.names() if key.startswith(prefix)]

    def plain(self, key: str) -> Any:
        """The value of a key that is there, without being understood thereby."""
        return super().__getitem__(key)

    def plain_or(self, key: str) -> Any:
        """As `plain`; None for a key that is not there."""
        return super().get(key)

    def unread(self) -> Iterable[tuple[str, Any]]:
        """(path, value) of what nobody read."""
        for key in self.names():
            own, every = self._at(key), self._at("*")
            path = own if own in self.read else every
            value = super().__getitem__(key)
            if path in self.read:
                yield from _unread(self._wrapped(value, path))
            else:
                yield own, value


def _unread(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Told):
        yield from value.unread()
    elif isinstance(value, list):
        for one in value:
            yield from _unread(one)


class Reading:
    """One listing of a kind, translated entry by entry. Safe from several threads."""

    def __init__(self, kind: str, table: Table) -> None:
        self.kind, self._table = kind, table
        self._lock = threading.Lock()
        self._strange: dict[tuple[str, Words], list[str]] = {}
        """(path, why) -> where."""
        self._odd: list[NotShown] = []

    def take(self, reference: str, entry: Any, make: Callable[[Told], T]) -> T | None:
        """What `make` makes of an entry, None if that is none of the kind or does not fit. `reference` is its place."""
        told = Told(entry) if isinstance(entry, dict) else Told({})
        try:
            made = make(told)
        except CloudError:
            raise
        except MALFORMED as error:
            self.odd(reference, fault(error, told))
            return None
        if made is not None:
            self._look(reference, told)
        return made

    def each(self, listed: Listed[Any], make: Callable[[Told], T]) -> tuple[tuple[T, ...], list[NotShown]]:
        """A whole listing of things with an `id`, and what of it is not shown."""
        taken = [self.take(f"{self.kind}:{by_id(entry)}", entry, make) for entry in listed.entries]
        doubt = [NotShown(what=self.kind, reason=listed.doubt)] if listed.doubt else []
        return tuple(one for one in taken if one is not None), [*doubt, *self.notes()]

    def odd(self, reference: str, reason: Words) -> None:
        """A thing that is not shown, and why."""
        with self._lock:
            self._odd.append(NotShown(what=reference, reason=reason))

    def _look(self, reference: str, told: Told) -> None:
        found = dict(told.losses)
        for path, value in told.unread():
            known = self._table.get(path)
            if known is None:
                found[path] = UNKNOWN
            elif not known.says_nothing(value):
                found[path] = LOST
        if found:
            with self._lock:
                for of in found.items():
                    self._strange.setdefault(of, []).append(reference)

    def notes(self) -> list[NotShown]:
        """What was not shown: things, and fields."""
        fields = [
            NotShown(what=f"{self.kind}.{clean(path)}", reason=_first(why, places))
            for (path, why), places in sorted(self._strange.items(), key=lambda item: item[0][0])
        ]
        if len(fields) > MOST:
            rest = Reason.of("field.many", count=len(fields) - MOST)
            fields = [*fields[:MOST], NotShown(what=f"{self.kind}.*", reason=rest)]
        return [*self._odd, *fields]


def _first(why: Words, places: Sequence[str]) -> Words:
    first = clean(places[0])
    if len(places) == 1:
        return Reason.of("field.of-one", why=why, first=first)
    return Reason.of("field.of-some", why=why, first=first, count=len(places) - 1)


def one(what: str, entry: Any, make: Callable[[Told], T]) -> T:
    """What `make` makes of a single answer. Raises Broken, with the place, if it does not fit."""
    told = Told(entry) if isinstance(entry, dict) else Told({})
    try:
        return make(told)
    except CloudError:
        raise
    except MALFORMED as error:
        raise Broken(f"{what}: {fault(error, told)}") from None


def fault(error: Exception, told: Told) -> Reason:
    """What does not fit, and where: the field of our model, or the last that was read of the answer."""
    if isinstance(error, ValidationError):
        places = [f"{'.'.join(map(str, e['loc'])) or '*'} ({e['type']})" for e in error.errors()[:3]]
        return Reason.of("entry.odd", place=clean(", ".join(places)))
    last = clean(next(reversed(told.read), "*"))
    if isinstance(error, KeyError):
        return Reason.of("entry.lacks", place=last)
    return Reason.of("entry.odd", place=last)


def truth(value: Any) -> bool:
    """A boolean of an API, which some spell as a word; None is false. Raises ValueError for what is none."""
    if value is None or isinstance(value, bool):
        return bool(value)
    word = str(value).lower()
    if word not in ("true", "false", ""):
        raise ValueError("no boolean")
    return word == "true"
