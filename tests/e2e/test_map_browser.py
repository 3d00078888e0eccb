# SPDX-License-Identifier: Apache-2.0
"""The map in a real browser: search, filters, a technology's page, the diff, a phone, and no request to anywhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from unterbau import catalogue
from unterbau.judge import rules
from unterbau.map import official, report
from unterbau.map.chart import chart

pytestmark = pytest.mark.browser
OFFICIAL = Path(__file__).parents[1] / "assets" / "map" / "official.json"


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
    assert {"NixOS", "Yaook", "Tarook"} <= set(shown(page)) and "Redis" not in shown(page)
    page.get_by_label("Layer").select_option("operating-system")
    assert "NixOS" in shown(page) and "Yaook" not in shown(page)
    page.get_by_label("Layer").select_option("")
    page.get_by_label("Outcome").select_option("failed")
    assert "Redis" in shown(page) and "NixOS" not in shown(page)
    page.get_by_label("Rule set").select_option("osba-view")
    page.get_by_label("Outcome").select_option("")
    page.get_by_label("Licence").select_option("not open source")
    assert "Redis" in shown(page) and "Ceph" not in shown(page)


def test_the_filters_stand_in_the_address_and_can_be_undone(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri() + "#rule=scs-view&outcome=failed&q=centos&layer=nonsense&%E0%A4%A")
    assert shown(page) == ["CentOS"] and "failed (>=8)" in page.locator("a.card:visible").inner_text()
    page.get_by_role("link", name="CentOS").click()
    page.go_back()
    assert shown(page) == ["CentOS"] and page.get_by_label("Rule set").input_value() == "scs-view"
    page.get_by_role("searchbox").fill("no such thing")
    assert shown(page) == [] and page.get_by_text("Nothing fits").is_visible()
    assert "0 of" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="show all").click()
    assert len(shown(page)) > 70 and "#" not in page.url
    page.goto((site / "t" / "redis.html").as_uri())
    page.get_by_role("link", name="platform services").click()
    assert {"Redis", "RabbitMQ"} <= set(shown(page)) and "Ceph" not in shown(page)


def test_the_keyboard_suffices(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.get_by_role("searchbox").focus()
    page.keyboard.type("redis")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className").startswith("card"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    page.wait_for_url("**/t/*.html")
    assert outline == "solid" and page.get_by_role("heading", level=1).inner_text() == "Redis"
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open] ul.findings").first.is_visible()


def test_a_technologys_page_shows_facts_with_sources(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.get_by_role("searchbox").fill("redis")
    page.get_by_role("link", name="Redis").first.click()
    assert page.get_by_role("heading", name="Redis").is_visible()
    assert page.get_by_text("Versions >=7.4,<8: LicenseRef-RSALv2 OR SSPL-1.0 (not open source)").is_visible()
    page.get_by_text("OSBA's view").click()
    findings = page.locator("details[open]")
    assert findings.get_by_text("osba-view/open-source").first.is_visible()
    assert findings.get_by_text("Instead:").is_visible() and findings.get_by_role("link", name="Valkey").is_visible()
    findings.get_by_role("link", name="licence").first.click()
    fact = page.locator("tr:target")
    assert fact.get_by_text("BSD-3-Clause").is_visible() and fact.get_by_text("read 2026-11-23").is_visible()
    assert fact.get_by_role("link", name="https://redis.io/blog").is_visible()
    page.get_by_role("definition").get_by_role("link", name="Valkey").first.click()
    assert page.get_by_role("heading", name="Valkey", level=1).is_visible()


def test_no_word_is_broken_in_a_wide_table(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.goto((site / "t" / "redis.html").as_uri())
    for name in ("td.k", "th", "td.day .n"):
        heights = page.locator(f"table.facts {name}").evaluate_all(
            "found => found.map(e => { const r = document.createRange(); r.selectNodeContents(e);"
            " return r.getClientRects().length; })"
        )
        assert set(heights) == {1}, name


def test_the_diff_shows_before_and_after_and_leads_on(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto((site / "diff.html").as_uri())
    assert page.locator("table.matrix tbody tr").count() == page.locator("del", has_text="absent").count() == 23
    assert page.get_by_text("the official Swift (Betrieb / Entwicklung) is not OpenStack Swift").is_visible()
    page.locator("table.matrix").get_by_role("link", name="Ceph").click()
    ceph = page.locator("article:target")
    assert ceph.get_by_text("held by exception: osi-and-eu-expertise").is_visible()
    ceph.locator("summary").click()
    assert ceph.get_by_role("link", name="https://").first.is_visible()
    page.locator("article#openbao h3 a").click()
    assert page.get_by_role("heading", name="OpenBao", level=1).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    ["index.html", "numbers.html", "changes.html", "t/nixos.html", "t/redis.html", "t/authentik.html", "diff.html"],
)
def test_nothing_is_loaded_nothing_complains_and_a_phone_suffices(
    browser: Browser, site: Path, name: str, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((site / name).as_uri())
    assert asked == [(site / name).as_uri()] and complaints == []
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_no_page_is_wider_than_a_phone(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    wide = []
    for path in sorted((site / "t").glob("*.html"))[::4]:
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide.append(path.name)
    assert wide == []


def test_the_cards_are_there_without_the_script(browser: Browser, site: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((site / "index.html").as_uri())
    assert page.get_by_role("link", name="OpenStack Nova").is_visible()
    assert not page.get_by_role("search").is_visible()  # what needs the script is not offered without it
