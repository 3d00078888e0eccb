# SPDX-License-Identifier: Apache-2.0
"""A listing, read to its end: where the next page begins, when there is none, and whether it is as long as the service says. Pure.

The adapters of all services call `whole`; how a page is asked for is theirs (`ask`), what an entry means too. The
rule: a page that is shorter than asked for ends nothing, nor does the lack of a link alone, because stores cut pages
as they like (Ceph RGW), services drop entries after they have cut them (Neutron's policies, Cinder's groups), and some
cut without any word (Nova's server groups). A listing ends with an empty page, with as many entries as the service
counts, or when asking behind the last entry gives nothing that was not there: then the service does not page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from unterbau.errors import Broken, CloudError, Conflict, NotFound
from unterbau.verdict import Reason, Words, joined

E = TypeVar("E")

PAUSES = (1.0, 4.0)
"""Seconds between the readings of a listing whose count differs: three readings within ten seconds."""
ATTEMPTS = 3
"""How often one reading begins again because the entry that it stood at was deleted meanwhile."""
LARGEST_GAP = 8
"""How many places an offset is moved on over what is not listed (Nova counts off local disks among the attachments)."""
MOST_EMPTY = 100
"""Pages in a row that a service may link to without anything new in them."""

By = Literal["marker", "offset"]


@dataclass(frozen=True)
class Start(Generic[E]):
    """Where a page begins; at the start nothing is set.

    `link`: an address that the service gave. Else `after`: the last entry of the page before, `offset`: the number to go
    on from.
    """

    link: str = ""
    after: E | None = None
    offset: int = 0


@dataclass(frozen=True)
class Page(Generic[E]):
    """One answer: its entries, the service's address of the next page, and how many there are in all if it says so."""

    entries: Sequence[E]
    link: str = ""
    total: int | None = None


@dataclass(frozen=True)
class Listed(Generic[E]):
    """A listing: each entry once, in the order of the service. `doubt` says why it may not be the whole."""

    entries: tuple[E, ...]
    doubt: Words = ""


def whole(
    ask: Callable[[Start[E]], Page[E]],
    name: Callable[[E], str],
    *,
    what: str,
    pause: Callable[[float], None],
    by: By = "marker",
    lagging: bool = False,
    hidden: Callable[[Sequence[E]], int] = lambda entries: 0,
    pauses: Sequence[float] = PAUSES,
) -> Listed[E]:
    """All entries that `ask` gives page by page. `name` tells them apart; of two the later counts, and one without is a doubt.

    `by`: how the service is asked to go on where it gives no link. `what` names the listing in errors. `lagging`: it
    pages for certain, and its count follows its writes late, so that it ends no reading. `hidden` tells how many of
    those that it counts it never lists; it is called only if the numbers differ. A difference is waited for (`pauses`),
    then it is a doubt. Raises Broken for pages in a circle, and what `ask` raises.
    """
    reading = _Reading(ask, name, what, by, lagging)
    for seconds in (*pauses, None):
        reading.run()
        entries = tuple(reading.found.values())
        miscount = reading.miscount(lambda: hidden(entries))  # noqa: B023 - called at once
        if not miscount or seconds is None:
            break
        pause(seconds)
    nameless = Reason.of("census.nameless", count=reading.nameless) if reading.nameless else ""
    return Listed(entries, joined([nameless, miscount]))


def next_link(answer: Mapping[str, Any]) -> str:
    """The address of the next page in an answer of Nova, Cinder, Neutron (`..._links`), Glance or Barbican (`next`); or "".

    By the relation, not by the key's name: Cinder calls the links of `volume_types` `volume_type_links`.
    """
    listed = [e for key, value in answer.items() if key.endswith("links") and isinstance(value, list) for e in value]
    told = [e.get("href") for e in listed if isinstance(e, dict) and e.get("rel") == "next"]
    return next((link for link in (*told, answer.get("next")) if isinstance(link, str) and link), "")


class _Refused(Exception):
    """The service knows the place no more, or never knew any."""

    def __init__(self, place: Start[Any], error: CloudError) -> None:
        super().__init__()
        self.place, self.error = place, error


@dataclass
class _Reading(Generic[E]):
    """One way through all pages; `run` begins anew."""

    ask: Callable[[Start[E]], Page[E]]
    name: Callable[[E], str]
    what: str
    by: By
    lagging: bool
    found: dict[str, E] = field(default_factory=dict)
    nameless: int = 0
    totals: list[int] = field(default_factory=list)

    def miscount(self, hidden: Callable[[], int]) -> Words:
        """What the count of the service says against the listing."""
        if not self.totals:
            return ""
        total, listed = self.totals[-1], len(self.found) + self.nameless
        if total != listed:
            total -= hidden()
        if total != listed:
            return Reason.of("census.counted", count=listed, total=total)
        if self.by == "offset" and len(set(self.totals)) > 1:  # what moved up meanwhile was passed over
            return Reason.of("census.count-moved", first=self.totals[0], last=self.totals[-1])
        return ""

    def run(self) -> None:
        """Read all pages. An entry that we stood at may be deleted: then from the start, a few times."""
        before = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._pages()
            except _Refused as refusal:
                at = None if refusal.place.after is None else self.name(refusal.place.after)
                if at is not None and at == before:
                    return  # it refuses at an entry that is still there: it takes no marker, and gave no link
                if attempt == ATTEMPTS:
                    raise refusal.error from None
                before = at
            else:
                return

    def _pages(self) -> None:
        self.found, self.nameless, self.totals = {}, 0, []
        place, links, idle = Start[E](), set[str](), 0
        while True:
            page = self._page(place)
            new = self._take(page)
            idle = 0 if new else idle + 1
            if self._counted():
                return
            if page.link and self.by == "marker":
                if page.link in links or idle > MOST_EMPTY:
                    raise Broken(f"{self.what}: its pages lead in a circle")
                links.add(page.link)
                place = Start(link=page.link)
                continue
            last = next((e for e in reversed(page.entries) if self.name(e)), None)
            if not (new and last is not None) and not self._may_be_a_gap(idle):
                if last is not None and self.lagging:
                    raise Broken(f"{self.what}: it does not go on behind {self.name(last)[:80]!r}")
                return
            place = Start(after=last, offset=place.offset + max(1, len(page.entries)))

    def _may_be_a_gap(self, idle: int) -> bool:
        """Whether what is counted may come yet: an offset can stand at what the service counts off and does not list."""
        less = bool(self.totals) and len(self.found) + self.nameless < self.totals[-1]
        return self.by == "offset" and less and idle <= LARGEST_GAP

    def _page(self, place: Start[E]) -> Page[E]:
        try:
            return self.ask(place)
        except (Conflict, NotFound) as error:
            if place == Start():
                raise
            raise _Refused(place, error) from None

    def _take(self, page: Page[E]) -> int:
        """How many entries are new by their name."""
        before = len(self.found)
        for entry in page.entries:
            name = self.name(entry)
            if name:
                self.found[name] = entry
            else:
                self.nameless += 1
        if page.total is not None:
            self.totals.append(page.total)
        return len(self.found) - before

    def _counted(self) -> bool:
        return bool(self.totals) and not self.lagging and 0 < self.totals[-1] <= len(self.found) + self.nameless
