"""`python -m tests.picture`: draw the front page of a report for the README (needs Chromium, after make run)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.browser.conftest import ARGUMENTS, chromium

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "flows/report/picture.png"
SIZE, SCALE = (1280, 1120), 0.65


def draw(report: Path, target: Path, browser: str) -> None:
    """Write what a reader sees first of a report, as PNG."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        width, height = SIZE
        page = started.new_page(
            viewport={"width": width, "height": height}, device_scale_factor=SCALE, color_scheme="light"
        )
        page.goto((report / "index.html").absolute().as_uri())
        page.screenshot(path=target)
        started.close()


def main() -> int:
    """Draw the picture; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=ROOT / "data/report")
    parser.add_argument("--to", type=Path, default=PICTURE)
    given = parser.parse_args()
    browser = chromium()
    if browser is None or not (given.report / "index.html").is_file():
        print("needs Chromium (apt-get install chromium) and a report (make run)", file=sys.stderr)
        return 1
    draw(given.report, given.to, browser)
    print(given.to)
    return 0


if __name__ == "__main__":
    sys.exit(main())
