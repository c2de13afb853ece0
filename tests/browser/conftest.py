"""The system's chromium, started once a module, and fresh pages in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from visits import Visit

_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's chromium; not for longer than a module, since its loop runs in this thread meanwhile."""
    chromium = os.environ.get("ETHOSTAT_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(_ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """A fresh page at desktop width in light colours."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield Visit(page)
    page.close()
