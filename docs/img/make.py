# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures in this folder: the report of a real drill, the terminal and the page of a real stack, and the map.

    python docs/img/make.py [STACK]

The drill is the kept one in tests/assets, the stack openDesk's, as tests/assets/stacks describes it. It needs Debian's chromium and the `dev` extra.
"""

from __future__ import annotations

import html
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
STACK = HERE.parents[1] / "tests" / "assets" / "stacks" / "opendesk"
DRILL = HERE.parents[1] / "tests" / "assets" / "drill-2026-11.unterbau"
UNTERBAU = Path(sys.executable).with_name("unterbau")
TERMINAL = "margin:0;padding:14px 18px;background:#14181d;color:#e8ecf1;font:15px/1.45 monospace;width:80ch"


def main(stack: Path) -> None:
    """Judge the stack, and draw what comes out."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        page_file = Path(folder) / "stack.html"
        said = subprocess.run(
            [UNTERBAU, "judge", stack.name, "--html", page_file],
            cwd=stack.parent, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_content(f'<pre style="{TERMINAL}">{html.escape(said)}</pre>')
        page.locator("pre").screenshot(path=HERE / "judge-terminal.png")
        page.goto(page_file.as_uri())
        _screen(page, "judge-en.png")
        page.get_by_text("Deutsch", exact=True).click()
        _screen(page, "judge-de.png")
        told = Path(folder) / "report.html"
        subprocess.run(
            [UNTERBAU, "evidence", "check", DRILL, "--report", told, "--quiet"], check=False, capture_output=True
        )
        page.goto(told.as_uri())
        _screen(page, "report.png")
        page.get_by_text("Deutsch", exact=True).click()
        _screen(page, "report-de.png")
        site = Path(folder) / "site"
        subprocess.run([UNTERBAU, "map", "build", "-o", site], check=True)
        page.goto((site / "index.html").as_uri())
        _screen(page, "map.png")
        browser.close()


def _screen(page: Page, name: str) -> None:
    page.screenshot(path=HERE / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else STACK)
