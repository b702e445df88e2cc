"""When a page first shows something, in headless Chromium, where this machine has one."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
LOADS = 3
PAINTED = "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0] ?? null"


@dataclass(frozen=True)
class Painted:
    """Seconds from the start of navigation to the first content; None with the reason where it was not measured."""

    seconds: float | None
    how: str


def first_paint(page: Path) -> Painted:
    """First contentful paint of a local page, median of a few loads."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return Painted(None, "not measured: Chromium is not installed here")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return Painted(None, "not measured: playwright is not installed; install the extra radiolucent[dev]")
    times: list[float] = []
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=list(OPTIONS))
            for _ in range(LOADS):
                tab = chromium.new_page()
                tab.goto(page.resolve().as_uri())
                tab.wait_for_function(f"({PAINTED}) !== null")
                times.append(float(tab.evaluate(PAINTED)) / 1000)
                tab.close()
            chromium.close()
    except Error as error:
        return Painted(None, f"not measured: Chromium failed ({str(error).splitlines()[0]})")
    return Painted(statistics.median(times), f"first contentful paint in headless Chromium, median of {LOADS} loads")
