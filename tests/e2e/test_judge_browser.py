# SPDX-License-Identifier: Apache-2.0
"""The page of a judged stack in a real browser: click, keyboard, a phone, the dark, and no request to anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from judge_world import TODAY, stack
from playwright.sync_api import Browser

from unterbau import catalogue
from unterbau.judge import engine, page, rules
from unterbau.stack.model import Part, Place, Stack
from unterbau.stack.recognise import recognise

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    known = catalogue.load()
    evil = Part("x", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', where=(Place("a\u202eb"),))
    made = stack("openstack@2025.1", "redis@7.4", "redis@7.2", "keycloak@26", "ubuntu@24.04", "proxmox-ve@8")
    whole = recognise(Stack("A <b>stack</b>", (*made.parts, evil)), known)
    path = tmp_path_factory.mktemp("stack") / "stack.html"
    path.write_text(page.html(engine.judge(whole, known, rules.load(), TODAY)), encoding="utf-8")
    return path


def test_a_part_opens_its_path_and_sources(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    part = page.locator("details.part", has_text="Redis 7.4")
    assert not part.locator(".body").is_visible()
    part.locator("> summary").click()
    part.locator("details.finding > summary").first.press("Enter")
    opened = part.locator("details.finding").first
    assert "SSPL-1.0" in opened.inner_text()
    assert opened.locator("a[href^='https://']").count() >= 1


def test_one_rule_set_at_a_time_colours(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    part = page.locator("details.part.alasca-not-shown.osba-view-held").first
    colour = "el => getComputedStyle(el).borderLeftColor"
    by_alasca = part.evaluate(colour)
    page.get_by_text("osba-view", exact=True).click()
    assert part.evaluate(colour) != by_alasca


def test_nothing_is_loaded_and_nothing_runs(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(page_file.as_uri())
    assert asked == [page_file.as_uri()] and complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways(browser: Browser, page_file: Path, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(page_file.as_uri())
    for part in page.locator("details.part > summary").all():
        part.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_screen_says_it_in_either_language(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(page_file.as_uri())
    first = page.locator("dl.first")
    assert "move to a maintained version" in first.inner_text() and "heben" not in first.inner_text()
    page.get_by_text("Deutsch", exact=True).click()
    assert "auf eine gepflegte Version heben" in first.inner_text() and "move" not in first.inner_text()
    assert page.get_by_role("heading", name="Erreichte Stufen").is_visible()
    assert 4 <= first.locator("dt").count() <= 9
    box = first.bounding_box()
    assert box is not None and box["y"] + box["height"] < 800


def test_a_ladder_is_drawn_as_rungs_and_no_part_of_it_is_a_cross(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    ladder = page.locator("ul.ladders li", has_text="d-stack-v1")
    assert ladder.locator(".rungs span").count() == 6 and "✗" not in ladder.inner_text()
    part = page.locator("details.part", has_text="Redis 7.4")
    part.locator("> summary").click()
    told = [s.inner_text() for s in part.locator("details.finding > summary").all()]
    assert any(t.startswith("step 4: not reached") for t in told)
    assert not any("step" in t.partition(":")[0] and "✗" in t for t in told)


def test_it_prints_the_first_screen_on_a_sheet_of_its_own(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 718, "height": 1000}, color_scheme="dark")  # A4 within its margins
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert not page.get_by_text("Deutsch", exact=True).is_visible()
    assert page.locator(".more").evaluate("e => getComputedStyle(e).breakBefore") == "page"
    box = page.locator(".more").bounding_box()
    assert box is not None and box["y"] < 1000, "the rest begins on the second sheet"
    assert page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"


CONTRAST = """() => {
  const number = c => c.match(/[0-9.]+/g).map(Number);
  const light = c => { const [r, g, b] = number(c).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if ((number(c)[3] ?? 1) > 0) return c; } return "rgb(255,255,255)"; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort();
    if ((b + .05) / (a + .05) < 4.5) bad.push(e.className + ": " + e.textContent.trim().slice(0, 40));
  }
  return bad; }"""
NAMELESS = """() => [...document.querySelectorAll("input, [role=img], svg")]
  .filter(e => !(e.getAttribute("aria-label") || e.getAttribute("aria-hidden") || (e.labels && e.labels.length)))
  .map(e => e.outerHTML)"""
HEADINGS = """() => [...document.querySelectorAll("h1,h2,h3,h4")].map(e => Number(e.tagName[1]))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(browser: Browser, page_file: Path, scheme: str) -> None:
    """WCAG 2.2: contrast (1.4.3), names (4.1.2), one heading of the page and no level above h2 skipped (1.3.1)."""
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    levels = page.evaluate(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1 and 2 in levels
