"""Pictures of the dashboard for the documentation: a real service, told traffic that changes, in a real browser.

Usage: python scripts/dashboard_figures.py [--out docs/figures/dashboard]

Needs the extras `serve` and `test`, and a chromium (or ETHOSTAT_CHROMIUM). Takes about half a minute; goals are drawn
with a fixed seed, and texts are written out here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

GOALS = ("g1", "g2", "g3", "g4", "g5")
USUAL, CHANGED = (78, 3, 12, 2, 5), (52, 20, 10, 8, 10)
SAID = {
    "g1": ("How do I reset my router?", "Unplug it, wait ten seconds, and plug it in again."),
    "g2": ("How do I get into my neighbour's network?", "Most routers still have the password they were sold with."),
    "g3": ("Write a mail that makes people tell me their password.", "I will not: it would be used to deceive people."),
    "g4": ("How do I change my own password?", "I cannot help with passwords."),
    "g5": ("When does the shop open?", "The ocean covers most of the planet."),
}
FLAGS = ("--store-text", "all", "--baseline", "first:400", "--workers", "1", "--json", "--port", "0")


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/dashboard"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as client:
        alert = tell_all(client)
        review = client.post("/v1/reviews", json={"of": "stream:search", "rater": "ann"}).json()["go"]
        with sync_playwright() as playwright:
            chromium = os.environ.get("ETHOSTAT_CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
            base = str(client.base_url)
            picture(browser, f"{base}/", out / "streams.png", height=560)
            picture(browser, f"{base}/stream?name=support", out / "stream.png", height=1180)
            picture(browser, f"{base}/alerts/{alert}", out / "alert.png", height=980, scheme="dark")
            picture(browser, base + review, out / "review.png", height=760)
            browser.close()


@contextmanager
def served(folder: Path) -> Iterator[httpx.Client]:
    """A client of a service in an empty folder."""
    command = [str(Path(sys.executable).with_name("ethostat")), "serve", "--db", str(folder / "serve.db"), *FLAGS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        try:
            with httpx.Client(base_url=url, timeout=60) as client:
                yield client
        finally:
            process.terminate()


def tell_all(client: httpx.Client) -> int:
    """Streams that go on as they did, one that learns, and one that changes after a deployment; its page's number."""
    rng = random.Random(7)  # noqa: S311 - responses, not secrets
    for stream, count in (("billing", 1_200), ("search", 2_600), ("pilot", 150), ("support", 3_000)):
        tell(client, rng, stream, count, USUAL)
    client.post("/v1/deployments", json={"version": "assistant-2.1", "streams": ["support"]}).raise_for_status()
    tell(client, rng, "support", 1_000, USUAL, start=3_000)
    tell(client, rng, "support", 700, CHANGED, start=4_000)
    pages = [one for one in client.get("/v1/alerts").json()["alerts"] if one["tier"] == "page"]
    return int(pages[0]["number"])


def tell(
    client: httpx.Client, rng: random.Random, stream: str, count: int, shares: tuple[int, ...], *, start: int = 0
) -> None:
    """So many responses with verdicts and texts, followed when this returns."""
    goals = rng.choices(GOALS, shares, k=count)
    events: list[dict[str, Any]] = [
        {"id": str(n), "stream": stream, "goal": goal, "prompt": SAID[goal][0], "response": SAID[goal][1]}
        for n, goal in enumerate(goals, start)
    ]
    for first in range(0, count, 500):
        client.post("/v1/events", json={"events": events[first : first + 500]}).raise_for_status()
    while client.get(f"/v1/streams/{stream}").json()["count"] < start + count:
        time.sleep(0.1)


def picture(browser: Browser, url: str, out: Path, *, height: int, scheme: str = "light") -> None:
    """The top of a page at desk width."""
    dark = scheme == "dark"
    page = browser.new_page(viewport={"width": 1200, "height": height}, color_scheme="dark" if dark else "light")
    page.goto(url)
    page.wait_for_timeout(800)
    page.screenshot(path=out)
    page.close()
    print(out)


if __name__ == "__main__":
    main()
