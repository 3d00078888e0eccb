# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: both languages, a phone, paper, the dark, and no request to anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from unterbau.canonical import digest_bytes
from unterbau.switch import evidence
from unterbau.switch.report import html

pytestmark = pytest.mark.browser
REAL = (Path(__file__).parents[1] / "assets" / "drill.unterbau").read_bytes()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html.render(evidence.check(REAL), digest_bytes(REAL), "en"), encoding="utf-8")
    return path


def test_the_language_can_be_switched(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    assert page.get_by_text("What was lost or changed").is_visible()
    assert not page.get_by_text("Was verloren ging oder anders ist").is_visible()
    page.get_by_text("Deutsch").click()
    assert page.get_by_text("Was verloren ging oder anders ist").is_visible()
    assert not page.get_by_text("What was lost or changed").is_visible()


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


def test_it_prints(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
