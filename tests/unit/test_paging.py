# SPDX-License-Identifier: Apache-2.0
"""The pager against services that cut, forget, count and lie: the whole listing, or a doubt with both numbers, never a short one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unterbau.cloud.paging import PAUSES, By, Listed, Page, Start, next_link, whole
from unterbau.errors import Broken, Conflict, NotFound, Unreachable

Entry = dict[str, Any]


def entries(number: int, start: int = 0) -> list[Entry]:
    return [{"id": f"e{n:03}"} for n in range(start, start + number)]


def name(entry: Entry) -> str:
    return str(entry.get("id") or "")


@dataclass
class Service:
    """A listing of `there`, cut into pages as `cuts` says (each at most so long, whatever was asked; then the last again)."""

    there: list[Entry]
    cuts: Sequence[int] = (500,)
    links: bool = False
    knows: By | None = "marker"
    total: int | None = None
    asked: list[Start[Entry]] = field(default_factory=list)
    before: Callable[[Service], None] = lambda service: None

    def ask(self, place: Start[Entry]) -> Page[Entry]:
        self.asked.append(place)
        self.before(self)
        begin = self._begin(place)
        size = self.cuts[min(len(self.asked), len(self.cuts)) - 1]
        page = self.there[begin : begin + size]
        more = self.links and page and begin + size < len(self.there)
        return Page(list(page), f"/next?marker={page[-1]['id']}" if more else "", self.total)

    def _begin(self, place: Start[Entry]) -> int:
        if place.link or (place.after and self.knows == "marker"):
            marker = place.link.partition("=")[2] if place.link else name(place.after or {})
            names = [name(e) for e in self.there]
            if marker not in names:
                raise Conflict("marker not found")
            return names.index(marker) + 1
        return place.offset if self.knows == "offset" else 0


def read(service: Service, *, by: By = "marker", **options: Any) -> Listed[Entry]:
    paused = options.pop("paused", [])
    return whole(service.ask, name, what="GET /things", pause=paused.append, by=by, **options)


@pytest.mark.thorough
@given(
    number=st.integers(0, 60),
    cuts=st.lists(st.integers(1, 25), min_size=1, max_size=8),
    way=st.sampled_from(["marker", "offset"]),
    links=st.booleans(),
    total=st.booleans(),
    lagging=st.booleans(),
)
def test_however_a_listing_is_cut_it_is_read_whole(
    number: int, cuts: list[int], way: By, links: bool, total: bool, lagging: bool
) -> None:
    service = Service(entries(number), cuts, links, way, number if total else None)
    assert read(service, by=way, lagging=lagging) == Listed(tuple(service.there))


def test_a_whole_listing_costs_one_more_request_and_one_that_is_counted_or_empty_none() -> None:
    for service, requests in (
        (Service(entries(3)), 2),
        (Service(entries(3), total=3), 1),
        (Service([]), 1),
        (Service([], total=0), 1),
        (Service(entries(3), cuts=(2,), links=True), 3),
    ):
        assert len(read(service).entries) == len(service.there)
        assert len(service.asked) == requests


def test_a_service_that_does_not_page_gives_the_same_again_and_is_done() -> None:
    service = Service(entries(30), knows=None)
    assert read(service) == Listed(tuple(service.there))
    assert len(service.asked) == 2


def test_a_service_that_pages_for_certain_and_starts_over_is_broken() -> None:
    with pytest.raises(Broken, match="does not go on behind 'e019'"):
        read(Service(entries(30), cuts=(20,), knows=None, total=30), lagging=True)


def test_a_service_that_refuses_a_marker_does_not_page() -> None:
    def ask(place: Start[Entry]) -> Page[Entry]:
        if place.after:
            raise Conflict("HTTP 400: additional properties are not allowed ('marker' was unexpected)")
        return Page(entries(7))

    assert whole(ask, name, what="", pause=lambda seconds: None).entries == tuple(entries(7))


def test_when_the_entry_at_which_a_page_begins_is_deleted_the_reading_begins_again() -> None:
    def delete_once(service: Service) -> None:
        if len(service.asked) == 2:
            service.there = [e for e in service.there if e["id"] != "e019"]

    service = Service(entries(45), cuts=(20,), links=True, before=delete_once)
    assert read(service).entries == tuple(service.there)
    assert len(service.there) == 44


def test_a_listing_whose_places_vanish_again_and_again_is_an_error_and_not_a_short_list() -> None:
    def delete_last(service: Service) -> None:
        if service.asked[-1] != Start():
            del service.there[19]

    with pytest.raises(Conflict, match="marker not found"):
        read(Service(entries(200), cuts=(20,), links=True, before=delete_last))


@pytest.mark.parametrize("error", [NotFound("no such thing"), Unreachable("no answer")])
def test_what_refuses_the_first_page_is_raised(error: Exception) -> None:
    def ask(place: Start[Entry]) -> Page[Entry]:
        raise error

    with pytest.raises(type(error)):
        whole(ask, name, what="", pause=lambda seconds: None)


def test_of_an_entry_that_comes_twice_the_later_one_counts() -> None:
    pages = [
        Page([{"id": "a", "status": "BUILD"}, {"id": "b"}], "/2"),
        Page([{"id": "b"}, {"id": "a", "status": "ACTIVE"}, {"id": "c"}]),
        Page[Entry]([]),
    ]
    found = whole(lambda place: pages.pop(0), name, what="", pause=lambda seconds: None)
    assert found.entries == ({"id": "a", "status": "ACTIVE"}, {"id": "b"}, {"id": "c"})


@pytest.mark.parametrize("lagging", [False, True])
@pytest.mark.parametrize("total", [0, 70, 89, 120])
def test_a_count_that_stays_another_is_a_doubt_with_both_numbers(total: int, lagging: bool) -> None:
    service, paused = Service(entries(70), total=total), list[float]()
    found = read(service, lagging=lagging, paused=paused)
    assert found.entries == tuple(service.there)
    if total == 70:
        assert (found.doubt, paused) == ("", [])
    else:
        assert str(found.doubt) == f"its listing has 70 entries, the service counts {total}"
        assert tuple(paused) == PAUSES and sum(PAUSES) < 10


def test_a_count_that_follows_its_writes_late_is_waited_for() -> None:
    def catch_up(service: Service) -> None:
        service.total = 89 if service.asked.count(Start()) > 1 else 70

    paused: list[float] = []
    found = read(Service(entries(89), cuts=(20,), before=catch_up), lagging=True, paused=paused)
    assert (len(found.entries), found.doubt, paused) == (89, "", [PAUSES[0]])


def test_what_a_service_counts_and_never_lists_is_no_difference() -> None:
    service = Service(entries(4), total=5)
    assert read(service, hidden=lambda listed: len(listed) - 3).doubt == ""
    assert str(read(service, hidden=lambda listed: 2).doubt) == "its listing has 4 entries, the service counts 3"


def test_what_moves_up_while_pages_are_counted_off_is_not_passed_over() -> None:
    def delete_once(service: Service) -> None:
        if len(service.asked) == 2:
            del service.there[4]
        service.total = len(service.there)

    service = Service(entries(150), cuts=(100,), knows="offset", before=delete_once)
    found = read(service, by="offset")
    assert (found.entries, found.doubt) == (tuple(service.there), "")
    assert len(found.entries) == 149


@pytest.mark.parametrize("most", [1, 2, 50])
@pytest.mark.parametrize("gap", [1, 4])
def test_what_an_offset_counts_off_and_is_not_listed_ends_nothing_while_more_is_counted(gap: int, most: int) -> None:
    """Nova cuts the disks of a server, then leaves out those that are no volumes."""
    disks: list[Entry | None] = [*[None] * gap, *entries(5), *[None] * gap, *entries(3, start=5)]

    def ask(place: Start[Entry]) -> Page[Entry]:
        window = disks[place.offset : place.offset + most]
        return Page([d for d in window if d is not None], total=8)

    found = whole(ask, name, what="", pause=lambda seconds: None, by="offset", pauses=())
    assert found == Listed(tuple(entries(8)))


def test_a_gap_that_does_not_end_is_a_doubt() -> None:
    asked: list[Start[Entry]] = []

    def ask(place: Start[Entry]) -> Page[Entry]:
        asked.append(place)
        return Page(entries(3)[place.offset :], total=9)

    found = whole(ask, name, what="", pause=lambda seconds: None, by="offset", pauses=())
    assert (len(found.entries), str(found.doubt)) == (3, "its listing has 3 entries, the service counts 9")
    assert len(asked) < 15


def test_links_in_a_circle_or_to_nowhere_end() -> None:
    for answer in (lambda place: Page([], "/1"), lambda place: Page(entries(2), place.link + "x")):
        with pytest.raises(Broken, match="GET /things: its pages lead in a circle"):
            whole(answer, name, what="GET /things", pause=lambda seconds: None)


def test_entries_without_a_name_are_a_doubt_and_end_nothing() -> None:
    pages = [Page[Entry]([{"id": "a"}, {"id": None}]), Page[Entry]([{}, {"id": "b"}]), Page[Entry]([])]
    asked = list[Start[Entry]]()

    def ask(place: Start[Entry]) -> Page[Entry]:
        asked.append(place)
        return pages[len(asked) - 1]

    found = whole(ask, name, what="", pause=lambda seconds: None)
    assert found.entries == ({"id": "a"}, {"id": "b"})
    assert str(found.doubt) == "2 entries of the listing have no id"
    assert [name(place.after) for place in asked if place.after] == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "link"),
    [
        ({"servers_links": [{"rel": "next", "href": "/a"}]}, "/a"),
        ({"volume_type_links": [{"rel": "next", "href": "/a"}]}, "/a"),
        ({"networks_links": [{"rel": "previous", "href": "/b"}, {"rel": "next", "href": "/a"}]}, "/a"),
        ({"next": "/v2/images?marker=1"}, "/v2/images?marker=1"),
        ({"networks_links": [{"rel": "previous", "href": "/b"}]}, ""),
        ({"servers_links": None, "next": None}, ""),
        ({"servers_links": ["x", {"rel": "next"}, {"rel": "next", "href": 7}], "next": 3}, ""),
        ({}, ""),
    ],
)
def test_the_next_page_is_told_in_several_forms(answer: Entry, link: str) -> None:
    assert next_link(answer) == link
