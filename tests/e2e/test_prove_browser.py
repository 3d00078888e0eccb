# SPDX-License-Identifier: Apache-2.0
"""The page of a proof in a real browser: a matrix of two clouds, a phone, and no request to anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from prove_world import MUTATIONS, NOW, good_items, inventory

from unterbau.prove import report as conformance
from unterbau.prove.proof import Question, prove

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    good = inventory()
    broken = inventory(MUTATIONS[0].apply(good_items()))
    evil = broken.subject.model_copy(update={"name": "<img src=x onerror=alert(1)>"})
    proofs = [prove(i, Question(version="all", at=NOW)) for i in (good, broken.model_copy(update={"subject": evil}))]
    path = tmp_path_factory.mktemp("proof") / "proof.html"
    path.write_text(conformance.html(proofs), encoding="utf-8")
    return path


def test_the_matrix_shows_both_clouds_and_what_failed(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    assert page.get_by_role("heading", name="<img src=x onerror=alert(1)>").is_visible(), "a name is text"
    assert page.get_by_text("scs-0103-flavor-1v-4", exact=True).first.is_visible()
    assert page.get_by_text("✗ failed").first.is_visible()
    requests = page.get_by_text("Every request that was made").first
    assert not page.get_by_text("GET flavors").first.is_visible()
    requests.click()
    assert page.get_by_text("GET flavors").first.is_visible()


def test_nothing_is_loaded_and_nothing_complains(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(page_file.as_uri())
    assert asked == [page_file.as_uri()] and complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways(browser: Browser, page_file: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
