# SPDX-License-Identifier: Apache-2.0
"""The pages by axe's rules for EN 301 549 (BITV 2.0 rests on it), in both languages, in the light and in the dark.

What a machine finds: no barrier that its rules know. It does not find every one.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser
from prove_world import MUTATIONS, NOW, good_items, inventory

from unterbau import catalogue
from unterbau.canonical import digest_bytes
from unterbau.evidence.opening import open_bundle, signer_of
from unterbau.judge import engine, page, rules
from unterbau.map import report as site
from unterbau.map.chart import chart
from unterbau.prove import report as conformance
from unterbau.prove.proof import Question, prove
from unterbau.stack.model import Part, Stack
from unterbau.stack.recognise import recognise
from unterbau.switch import evidence
from unterbau.switch.report import html

pytestmark = pytest.mark.browser
REAL = (Path(__file__).parents[1] / "assets" / "drill-2026-11.unterbau").read_bytes()
RULES: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "EN-301-549"], "resultTypes": ["violations"],
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a real drill; the page of a stack, to which that drill's bundle was given; a proof; the map."""
    folder = tmp_path_factory.mktemp("pages")
    known = catalogue.load()
    opened = open_bundle(REAL, trusted_key=signer_of(REAL))
    given = evidence.exhibit(evidence.check_opened(opened), opened, "drill.unterbau")
    parts = tuple(Part(n, n, technology=n) for n in ("redis", "openstack", "postgresql", "vmware-vsphere"))
    stack = recognise(Stack("shop", (*parts, Part("stranger", "stranger"))), known)
    judged = engine.judge(stack, known, rules.load(), given.seen.date(), evidence=[given])  # type: ignore[union-attr]
    made = {"report": html.render(evidence.check(REAL), digest_bytes(REAL), "de"), "stack": page.html(judged, "de")}
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    proofs = [
        prove(i, Question(version="all", at=NOW)) for i in (inventory(), inventory(MUTATIONS[0].apply(good_items())))
    ]
    (folder / "proof.html").write_text(conformance.html(proofs), encoding="utf-8")
    drawn = chart(known, rules.load(()), date(2026, 11, 23))
    for path, data in site.site(drawn).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    there = {p.stem: p for p in folder.rglob("*.html")}
    return {"map": there["index"], **there}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["Deutsch", "English"])
@pytest.mark.parametrize("name", ["report", "stack"])
def test_axe_finds_no_barrier(browser: Browser, pages: dict[str, Path], name: str, language: str, scheme: Any) -> None:
    assert _barriers(browser, pages[name], scheme, language) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["proof", "map", "redis"])
def test_axe_finds_no_barrier_in_pages_of_one_language(
    browser: Browser, pages: dict[str, Path], name: str, scheme: Any
) -> None:
    assert _barriers(browser, pages[name], scheme) == []


def _barriers(browser: Browser, page: Path, scheme: Any, language: str = "") -> list[Any]:
    shown = browser.new_page(color_scheme=scheme, bypass_csp=True)
    shown.goto(page.as_uri())
    if language:
        shown.get_by_text(language, exact=True).click()
    for folded in shown.locator("details > summary").all()[:5]:
        folded.click()
    found = Axe().run(shown, options=RULES).response["violations"]
    shown.close()
    return [(v["id"], v["help"], [n["html"][:160] for n in v["nodes"][:3]]) for v in found]


def test_a_page_with_a_barrier_is_found(browser: Browser) -> None:
    shown = browser.new_page()
    shown.set_content("<html><body><img src='data:,'><p style='color:#ccc;background:#fff'>pale</p></body></html>")
    found = {v["id"] for v in Axe().run(shown, options=RULES).response["violations"]}
    shown.close()
    assert {"image-alt", "html-has-lang", "color-contrast"} <= found
