# SPDX-License-Identifier: Apache-2.0
"""The page of a judged stack in a real browser: click, keyboard, a phone, the dark, and no request to anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_world import TODAY, stack
from playwright.sync_api import Browser, sync_playwright

from unterbau import catalogue
from unterbau.judge import engine, page, rules
from unterbau.stack.model import Part, Place, Stack
from unterbau.stack.recognise import recognise

pytestmark = pytest.mark.browser
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield started
        started.close()


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
