# SPDX-License-Identifier: Apache-2.0
"""Laws of provenance over the whole catalogue: whose page, which copy, how long it counts, and on whose word."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from unterbau import catalogue
from unterbau.catalogue import additions, lifetime
from unterbau.catalogue.model import (
    COMMIT,
    KINDS,
    Catalogue,
    Fact,
    OperatorFact,
    OrganisationFact,
    SeatFact,
    SupportFact,
)
from unterbau.catalogue.plain import plain_yaml, read

QUOTED = re.compile(r"[\"“„«]([^\"”“»]+)[\"”“»]")
Named = list[tuple[str, Fact]]


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return catalogue.load()


@pytest.fixture(scope="module")
def facts(known: Catalogue) -> Named:
    return [(f"{t.id}:{f.kind}:{f.versions}", f) for t in known.values() for f in t.facts]


def test_the_catalogue_has_no_fault() -> None:
    assert catalogue.check([]) == []


def test_every_source_says_whose_it_is_and_how_old_the_copy_was(facts: Named) -> None:
    assert [n for n, f in facts if None in (f.source.origin, f.source.as_of, f.source.dated)] == []
    assert [n for n, f in facts if f.source.as_of is not None and f.source.as_of > f.source.read] == []


def test_second_hand_and_undated_copies_are_never_of_high_confidence(facts: Named) -> None:
    high = [(n, f.source) for n, f in facts if f.confidence == "high"]
    assert [n for n, s in high if s.origin == "second hand"] == []
    assert [n for n, s in high if s.dated == "reading"] == []


def test_a_file_of_a_repository_has_its_commit_its_hash_and_the_day_of_the_commit(facts: Named) -> None:
    own = [(n, f.source) for n, f in facts if f.source.origin == "repository" and not f.source.data_set]
    assert len(own) > 300
    assert [n for n, s in own if not COMMIT.search(s.url) or s.sha256 is None or s.dated != "commit"] == []


def test_aggregators_are_second_hand(facts: Named) -> None:
    others = re.compile(
        r"endoflife\.date|sources\.debian\.org|pkgs\.alpinelinux\.org|wikipedia|docslib|scribd|slideshare"
    )
    assert [n for n, f in facts if others.search(f.source.url) and f.source.origin != "second hand"] == []


def test_quotation_marks_stand_around_quotations_only(facts: Named) -> None:
    wrong = [(n, q) for n, f in facts for q in QUOTED.findall(f.source.says) if q not in f.source.quote]
    assert wrong == []


def test_a_quotation_says_something_once_its_markup_is_taken_off(known: Catalogue) -> None:
    """Two words at the least, or the technology's own name, as a list or a heading calls it."""
    empty = []
    for technology in known.values():
        names = {n.casefold() for n in (technology.id, technology.name, *technology.aliases)}
        for fact in technology.facts:
            words = re.findall(r"[^\W_]+", re.sub(r"<[^<>]*>", " ", fact.source.quote))
            if fact.source.quote and len(words) < 2 and not names & {w.casefold() for w in words}:
                empty.append((technology.id, fact.kind, fact.source.quote))
    assert empty == []


def test_expiries_are_counted_from_the_age_of_the_copy(facts: Named) -> None:
    for name, fact in facts:
        as_of = fact.source.as_of
        assert as_of is not None
        dated = fact.source.dated != "reading"
        counted = lifetime.expires(fact.kind, as_of, dated=dated, versions=fact.versions)
        assert fact.expires == counted, name


def test_nobody_writes_an_expiry_by_hand() -> None:
    for path in sorted(catalogue.HERE.glob("*.yaml")):
        plain = plain_yaml(path, read(path))
        assert [f["kind"] for f in plain.get("facts", ()) if "expires" in f] == [], path.name


def test_of_most_sources_the_age_is_known(facts: Named) -> None:
    """Of these pages no stored copy told its day: their facts count for a quarter of their time. None may come anew."""
    assert len({f.source.url for _, f in facts if f.source.dated == "reading"}) <= 287


def test_vendors_have_a_seat_with_a_source_of_its_own(known: Catalogue) -> None:
    """Of these the seat rests on the page that names the offer: no other could be read; none may come anew."""
    everything = [f for t in known.values() for f in t.facts]
    told = {str(f.value.of) for f in everything if isinstance(f, SeatFact)}
    told |= {f.value.name for f in everything if isinstance(f, OrganisationFact)}
    vendors = {f.value.vendor for f in everything if isinstance(f, SupportFact)}
    vendors |= {f.value.operator for f in everything if isinstance(f, OperatorFact)}
    assert vendors - told == {
        "23 Technologies GmbH",  # imprint and repositories; no copy names a place
        "Collabora Productivity",  # of its German company only that it exists; the British one's seat is known
        "Equinix Managed Services NL",  # a unit; which company it belongs to, is not told
        "OptimaData",
        "PZU Group",  # reports and terms; the copies end before the seat
        "Planetary Quantum GmbH",  # its terms name no place
        "WienIT",
    }


def test_operators_of_one_product_and_exporters_are_no_services(known: Catalogue) -> None:
    served = [t for t in known.values() if any(re.search(r"\b(operator|exporter)\b", c) for c in t.categories)]
    assert len(served) >= 4
    assert [t.id for t in served if not t.tool] == []


def test_every_kind_has_a_lifetime_with_a_reason() -> None:
    assert lifetime.LIFETIMES.keys() == KINDS
    assert all(days > 0 and reason for days, reason in [*lifetime.LIFETIMES.values(), *lifetime.CLOSED.values()])


def test_an_undated_copy_lives_a_quarter_and_what_has_come_out_keeps_its_licence() -> None:
    day = date(2026, 1, 1)
    full = lifetime.expires("eu_support", day, dated=True) - day
    assert (lifetime.expires("eu_support", day, dated=False) - day).days == full.days // 4
    newest, closed = (lifetime.expires("licence", day, dated=True, versions=v) for v in (">=8", "<8"))
    assert closed > newest == lifetime.expires("licence", day, dated=True)


def test_what_an_importer_says_is_told_apart_and_names_its_data_set(known: Catalogue, facts: Named) -> None:
    said = additions.imported(catalogue.IMPORTED)
    assert {i.data_set for i in said} >= {"endoflife.date", "openstack/releases", "CNCF landscape", "SPDX licence list"}
    for data_set in said:
        assert data_set.commit
        assert data_set.licence
        assert data_set.sha256
    by_people = [f for t in catalogue.written().values() for f in t.facts]
    assert {f.source.data_set for f in by_people} == {""}
    imported = [(n, f) for n, f in facts if f.source.data_set]
    assert len(imported) == sum(len(fs) for i in said for fs in i.facts.values())
    assert len(facts) > len(imported) + len(by_people), "the owners of organisations"
    assert [n for n, f in imported if not f.source.quote] == []


def test_nothing_cites_the_pages_that_are_gone(facts: Named) -> None:
    gone = re.compile(r"/products/(ceph|linuxkernel|openldap|openstack|esxi)\.md$")
    assert [n for n, f in facts if gone.search(f.source.url)] == []


def test_companies_are_written_once_and_only_where_somebody_names_them(known: Catalogue) -> None:
    owned = additions.organisations(catalogue.ORGANISATIONS)
    used = {getattr(f.value, "of", None) or getattr(f.value, "on", None) for t in known.values() for f in t.facts}
    assert [name for name, one in owned.items() if not used & {name, *one.also}] == []


def test_a_fault_in_what_is_added_is_found_by_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"data_set": "x"}')
    monkeypatch.setattr(catalogue, "IMPORTED", tmp_path)
    assert any("bad.json" in fault for fault in catalogue.check([]))
