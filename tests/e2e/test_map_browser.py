# SPDX-License-Identifier: Apache-2.0
"""The map in a real browser: search, filters, a technology's page, the diff, a phone, and no request to anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from unterbau.judge import catalogue, official, rules
from unterbau.judge.chart import chart
from unterbau.report import map as report

pytestmark = pytest.mark.browser
OFFICIAL = Path(__file__).parents[1] / "assets" / "map" / "official.json"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    drawn = chart(catalogue.load(), rules.load(()), date(2026, 11, 23))
    changes = official.difference(official.read(OFFICIAL.read_bytes()), official.requests()["alasca-229"], drawn)
    for path, data in report.site(drawn, changes).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def shown(page: Page) -> list[str]:
    return [card.inner_text() for card in page.locator("a.card:visible strong").all()]


def test_search_finds_by_name_and_by_licence(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    everything = len(shown(page))
    assert everything > 70
    page.get_by_role("searchbox").fill("proxmox ve")
    assert "Proxmox VE" in shown(page) and len(shown(page)) < 5
    page.get_by_role("searchbox").fill("sspl-1.0")
    assert "Redis" in shown(page) and len(shown(page)) < 10
    page.get_by_role("searchbox").fill("")
    assert len(shown(page)) == everything


def test_filters_by_rule_outcome_layer_and_licence(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.get_by_label("Outcome").select_option("held directly")
    assert {"Proxmox VE", "NixOS", "Yaook"} <= set(shown(page)) and "Redis" not in shown(page)
    page.get_by_label("Layer").select_option("operating-system")
    assert "NixOS" in shown(page) and "Proxmox VE" not in shown(page)
    page.get_by_label("Layer").select_option("")
    page.get_by_label("Outcome").select_option("failed")
    assert "Redis" in shown(page) and "NixOS" not in shown(page)
    page.get_by_label("Rule set").select_option("osba-view")
    page.get_by_label("Outcome").select_option("")
    page.get_by_label("Licence").select_option("not open source")
    assert "Redis" in shown(page) and "Ceph" not in shown(page)


def test_a_technologys_page_shows_facts_with_sources(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.get_by_role("searchbox").fill("redis")
    page.get_by_role("link", name="Redis").first.click()
    assert page.get_by_role("heading", name="Redis").is_visible()
    page.get_by_text("ALASCA's rule for technologies").nth(1).click()
    assert page.get_by_text("alasca/technology").nth(1).is_visible()
    assert page.get_by_text("read 2026-11-23").first.is_visible()
    assert page.get_by_role("link", name="https://redis.io/blog").first.is_visible()


def test_the_diff_shows_what_is_absent_and_leads_on(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "diff.html").as_uri())
    assert page.get_by_text("absent", exact=True).count() == 23
    page.get_by_role("link", name="OpenBao").click()
    assert page.get_by_role("heading", name="OpenBao").is_visible()


@pytest.mark.parametrize("name", ["index.html", "t/redis.html", "diff.html"])
def test_nothing_is_loaded_nothing_complains_and_a_phone_suffices(browser: Browser, site: Path, name: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((site / name).as_uri())
    assert asked == [(site / name).as_uri()] and complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_cards_are_there_without_the_script(browser: Browser, site: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((site / "index.html").as_uri())
    assert page.get_by_role("link", name="OpenStack Nova").is_visible()
