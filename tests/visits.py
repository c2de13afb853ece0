"""A page in a real browser, and what the browser complained of or asked for meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page


@dataclass
class Visit:
    """An open page. `complaints` are messages, errors and dialogs, `requests` all that was asked for after the page."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, *, charts: tuple[str, ...]) -> None:
        """Load a page and wait until these charts are drawn."""
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.page.goto(path.as_uri())
        self.page.on("request", lambda request: self.requests.append(request.url))
        for chart in charts:
            self.page.wait_for_selector(f"#chart-{chart} .main-svg")
