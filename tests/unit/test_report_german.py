# SPDX-License-Identifier: Apache-2.0
"""What our own rooms say has a German form: nothing of a real drill, and no sentence of the rules, stays English."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_bundles import KEPT, checked

from unterbau import places
from unterbau.cloud.port import said
from unterbau.errors import Broken, CloudError
from unterbau.switch.report import html
from unterbau.tenant.kinds import Opened
from unterbau.tenant.openings.model import Opening
from unterbau.verdict import Reason, words


@pytest.mark.thorough
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_nothing_of_a_real_drill_stays_english(path: Path) -> None:
    """What verdicts say is typed, and `test_reasons` asks of each that it has German words."""
    told = checked(path)
    assert [v for v in told.verdicts if isinstance(v.reason, str) or isinstance(v.claim.text, str)] == []
    plan = {e.why for e in told.bundle.plan.entries} | {e.remedy for e in told.bundle.plan.entries}
    assert [t for t in plan if t and isinstance(t, str)] == []
    assert [t for t in told.not_tested if isinstance(t, str)] == []
    assert {p.name for p in told.bundle.context.phases} <= html.PHASES.keys()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_words_within_words_are_german_too(path: Path) -> None:
    english = {"but for", "readable", "with tenant", " the ", "which is", "what was", "not carried", "an other"}
    said = {words(v.reason, "de") for v in checked(path).verdicts}
    assert [(t, w) for t in said for w in english if w in t] == []


@pytest.mark.parametrize("kind", list(Opened), ids=[k.name for k in Opened])
def test_every_opening_is_said_in_german(kind: Opened) -> None:
    opening = Opening.of(
        kind, "on public, for 10.0.0.5" if kind is Opened.PUBLIC_ADDRESS else "THIS", {"x": "port NAME"}
    )
    said = words(Reason.of("claim.opening", opening=opening.text), "de")
    assert said.startswith("An der Quelle geschlossen") and "NAME" in said
    assert not {"reaches", "may", "has", "stands", "leads", "lies", "shared", "open", "copied", "connected"} & set(
        said.split()
    )
    claim = words(Reason.of("claim.openings", kind=kind.words), "de")
    assert claim.startswith("Nichts, was an der Quelle") and (kind.value not in claim or kind is Opened.SNAT)
    assert str(kind.words) == kind.value


def test_a_reason_within_a_reason_is_translated_and_names_stay() -> None:
    inner = Reason.of("plan.status", status="error")
    told = Reason.of("plan.needs-left", thing="volume:7", name="left <b>", why=inner)
    assert words(told, "de") == "braucht volume:7 (left <b>), das zurückbleibt: sein Zustand ist error"
    assert str(told) == "needs volume:7 (left <b>), which is left: its status is error"


@pytest.mark.parametrize(
    "error",
    [
        places.redirected("GET", "https://a:1/x", 302, "http://b:2/"),
        places.redirected("GET", "https://a:1/x", 302, "https://a:1/y"),
        Broken("GET /v2/images: ...", asked="GET /v2/images", there="https://b:1/y"),
    ],
)
def test_what_is_said_of_addresses_has_a_german_form(error: CloudError) -> None:
    told = words(said(error), "de")
    assert "which is" not in told and "points" not in told and "not shown" not in told
    assert all(place in told for place in ("https://a:1", "http://b:2", "https://b:1") if place in said(error))


def test_an_error_of_an_address_is_said_in_english_as_the_error_says_it() -> None:
    for target in ("http://b:2/", "https://a:1/y"):
        error = places.redirected("GET", "https://a:1/x", 302, target)
        assert str(said(error)) == f"Elsewhere: {error.what}"
    with pytest.raises(Broken) as caught:
        places.next_page("/v2/images", "https://b:1/y")
    assert str(said(caught.value)) == f"Broken: {caught.value.what}"


def test_a_count_chooses_the_form() -> None:
    one, many = (Reason.of("census.counted", count=n, total=89) for n in (1, 70))
    assert (str(one), str(many)) == (
        "its listing has 1 entry, the service counts 89", "its listing has 70 entries, the service counts 89",
    )  # fmt: skip
    assert words(one, "de") == "seine Auflistung hat 1 Eintrag, der Dienst zählt 89"
    assert words(many, "de") == "seine Auflistung hat 70 Einträge, der Dienst zählt 89"
