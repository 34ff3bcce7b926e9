"""A report on disk and a headless Chromium to walk through it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flows.report.build import build_report
from flows.settings import Settings
from tests.report_database import make_database

if TYPE_CHECKING:
    from playwright.sync_api import Browser


ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-extensions",
]  # fmt: skip


def chromium() -> str | None:
    """Return the installed Chromium: KOMMUNEKORT_CHROMIUM, or the one on the path."""
    return os.environ.get("KOMMUNEKORT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a made-up country, hostile text included, built once."""
    root = tmp_path_factory.mktemp("browser")
    build_report(make_database(root / "a.duckdb", hostile=True), root / "site", Settings(data=root))
    return root / "site"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield a headless Chromium, or skip telling how to install one."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set KOMMUNEKORT_CHROMIUM to one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()
