"""A real browser for the tests of the page: Debian's chromium, driven by Playwright; none is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
GIVEN = os.environ.get("BLOXDB_TEST_BROWSER")
FOUND = GIVEN or next(filter(None, map(shutil.which, NAMES)), None)
"""Its program. `.ci/run` installs and names it, so that there the tests run or fail."""

FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
_LOCAL = ("http://127.0.0.1:", "data:", "blob:")


@contextmanager
def started() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=FOUND, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, **settings: Any) -> Iterator[Any]:
    """A page that says nothing wrong, and asks nobody but 127.0.0.1 for anything."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **settings})
    page = context.new_page()
    wrong: list[str] = []
    page.on(
        "console",
        lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda request: wrong.append(request.url) if not request.url.startswith(_LOCAL) else None
    )
    page.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
    page.set_default_timeout(20_000)
    page.wrong = wrong
    yield page
    context.close()
    assert wrong == []
