"""A real browser for the tests of the page: Debian's chromium, driven by Playwright; none is downloaded."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bloxdb import Database

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


def until(page: Any, expression: str) -> None:
    """Wait until something is so; Playwright's own way needs `eval`, which the page forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never so: {expression}")


def see(page: Any, url: str) -> None:
    """Go there and wait for its view; where only the address within the page changes, not for the one before."""
    page.evaluate("document.querySelector('main > .view')?.setAttribute('data-before', '')")
    page.goto(url)
    page.wait_for_selector("main > .view:not([data-before])")


def scatter(page: Any, home: str, query: str = "") -> Any:
    see(page, f"{home}#/scatter?recipe=cifar100-200&{query}")
    page.wait_for_selector("canvas[data-ms]")
    page.wait_for_selector(".chosen tbody tr")
    return page.locator("canvas")


def chosen(page: Any) -> int:
    until(page, "document.querySelector('.chosen h2')?.textContent.endsWith('chosen')")
    return int(page.locator(".chosen h2").inner_text().split()[0].replace(",", ""))


def table(page: Any, name: str) -> list[list[str]]:
    """The texts of a table."""
    rows = page.get_by_role("region", name=name).locator("tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def finished(explored: Database) -> list[dict[str, Any]]:
    return explored.rows(
        "SELECT l.* FROM leaderboard l WHERE recipe = 'cifar100-200' AND test_top1 IS NOT NULL ORDER BY arch_id, seed"
    )


def drag(page: Any, *places: tuple[float, float]) -> None:
    """Draw on the canvas, from place to place; a place is a share of its width and height."""
    box = page.locator("canvas").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def saved(page: Any) -> list[dict[str, str]]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    return list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_bytes().decode(), newline="")))
