"""The scatter in a real browser: where points are, what is chosen of them, and that as CSV and as SQL."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

import bloxdb
from bloxdb import Database, space
from tests.web.browser import FOUND, chosen, drag, finished, saved, scatter, see, table, until
from tests.web.conftest import DEVICE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason="there is no chromium; name one in BLOXDB_TEST_BROWSER"),
]


def test_every_run_is_drawn_where_it_belongs(page: Any, home: str, explored: Database) -> None:
    canvas = scatter(page, home, "colour=&front=0")
    rows = finished(explored)
    assert int(canvas.get_attribute("data-rows")) == len(rows) > 100
    drawn = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas");
            const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const paper = data.slice(0, 3).join();
            const points = [];
            for (let at = 0; at < width * height; at++) if (data.slice(4 * at, 4 * at + 3).join() !== paper) points.push(at);
            return { points, width, height };
        }"""
    )
    width, height, pixels = drawn["width"], drawn["height"], set(drawn["points"])
    places = set()
    limits = {}
    for name in ("flops", "test_top1"):
        low, high = min(row[name] for row in rows), max(row[name] for row in rows)
        limits[name] = low - 0.04 * (high - low), high + 0.04 * (high - low)
    for row in rows:
        (low, high), (bottom, top) = limits["flops"], limits["test_top1"]
        x = (row["flops"] - low) / (high - low) * width
        y = (1 - (row["test_top1"] - bottom) / (top - bottom)) * height
        places.add((round(x), round(y)))
        assert any(
            round(y) * width + round(x) + dy * width + dx in pixels for dx in (-1, 0, 1) for dy in (-1, 0, 1)
        )
    assert 3 * len(places) < len(pixels) < 45 * len(places)  # and nothing else is drawn


def test_the_front_is_that_of_pareto(page: Any, live: str, explored: Database) -> None:
    for x, y in (("flops", "test_top1"), ("train_time_s", "test_loss"), (f"latency:{DEVICE}", "val_top1")):
        scatter(page, live, f"x={quote(x)}&y={y}&seed=0")
        found = table(page, "Chosen runs, the best first")[1:]
        expected = bloxdb.pareto(x, y, explored, recipe="cifar100-200", seeds=0)
        assert sorted(int(row[1]) for row in found) == sorted(row["arch_id"] for row in expected)
        page.get_by_role("button", name="SQL", exact=True).click()
        answer = explored.rows(page.locator(".sql pre").inner_text())
        assert sorted(row["arch_id"] for row in answer) == sorted(row["arch_id"] for row in expected)


ON_DEVICE = f"x={quote(f'latency:{DEVICE}')}"


@pytest.mark.parametrize(
    ("tool", "query"),
    [("box", ""), ("box", "seed=mean&"), ("box", f"{ON_DEVICE}&logx=1&colour=op1:2&hide=mbconv&"),
     ("lasso", "seed=mean&"), ("lasso", f"{ON_DEVICE}&seed=1&y=test_loss&")],
)  # fmt: skip
def test_what_is_drawn_around_is_chosen_as_csv_and_as_sql(
    page: Any, live: str, explored: Database, query: str, tool: str
) -> None:
    scatter(page, live, f"{query}tool={tool}")
    if tool == "box":
        drag(page, (0.2, 0.1), (0.8, 0.7))
    else:
        drag(page, (0.5, 0.05), (0.9, 0.4), (0.5, 0.8), (0.15, 0.4), (0.45, 0.1))
    count = chosen(page)
    rows = saved(page)
    assert len(rows) == count > 5
    page.get_by_role("button", name="SQL", exact=True).click()
    answer = explored.rows(page.locator(".sql pre").inner_text())
    key = ("arch_id",) if "seed=mean" in query else ("arch_id", "seed")
    assert sorted(tuple(str(row[name]) for name in key) for row in answer) == sorted(
        tuple(row[name] for name in key) for row in rows
    )
    by_key = {tuple(str(row[name]) for name in key): row for row in answer}
    for row in rows:
        same = by_key[tuple(row[name] for name in key)]
        assert row["hash"] == same["hash"]
        assert json.loads(row["vec"]) == space.arch_vec(int(row["arch_id"]))
        for name in {"flops", "test_top1", "test_loss"} & same.keys() & row.keys():
            assert float(row[name]) == pytest.approx(same[name], rel=1e-6 if "seed=mean" in query else 0)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    assert chosen(page) == count  # whoever gets the address sees the same


def test_a_click_leads_to_the_architecture(page: Any, live: str, explored: Database) -> None:
    scatter(page, live, "seed=0")
    (best, *_) = bloxdb.top(1, explored, recipe="cifar100-200", seeds=0)
    link = page.get_by_role("link", name=str(best["arch_id"]), exact=True)
    link.hover()  # in the table: it shows where the point is
    ring = page.locator(".ring")
    assert ring.get_attribute("visibility") == "visible"
    assert f"architecture {best['arch_id']}" in page.locator(".tip").inner_text()
    place = [float(ring.get_attribute(name)) for name in ("cx", "cy")]
    page.evaluate("scrollTo(0, 0)")
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    tip = page.locator(".tip").inner_text()
    assert f"test accuracy {best['test_top1']:.2f}" in tip
    page.mouse.click(box["x"] + place[0], box["y"] + place[1])
    page.wait_for_selector("h1:has-text('Architecture')")
    assert page.url.endswith(f"#/arch/{best['arch_id']}")
    page.go_back()
    page.wait_for_selector("canvas[data-ms]")


def test_the_keyboard_moves_zooms_and_chooses(page: Any, live: str, explored: Database) -> None:
    canvas = scatter(page, live)
    canvas.focus()
    for key in ("+", "ArrowLeft", "ArrowUp", "-"):
        before = page.url
        page.keyboard.press(key)
        until(page, f"location.href !== {before!r}")
    page.keyboard.press("0")
    until(page, "!location.href.includes('view=')")
    page.get_by_label("test accuracy, at least").focus()
    page.keyboard.type("55.5")
    page.keyboard.press("Enter")
    assert chosen(page) == sum(row["test_top1"] >= 55.5 for row in finished(explored)) > 0


def test_the_sql_of_what_is_chosen_runs_in_datasette(page: Any, live: str) -> None:
    scatter(page, live, "range=test_top1:60~")
    count = chosen(page)
    page.get_by_role("button", name="SQL", exact=True).click()
    page.get_by_role("link", name="Run it").click()
    page.wait_for_selector("table.rows-and-columns")
    assert page.locator("table.rows-and-columns tbody tr").count() == count > 5
    page.locator("td.col-arch_id a").first.click()  # and what it finds leads back
    page.wait_for_selector("h1:has-text('Architecture')")


def test_a_view_begins_with_the_recipe_of_most_runs(page: Any, live: str, explored: Database) -> None:
    see(page, f"{live}#/scatter")
    page.wait_for_selector("canvas[data-rows]")
    assert int(page.locator("canvas").get_attribute("data-rows")) == len(finished(explored))
    page.get_by_label("Recipe", exact=True).select_option("")
    until(page, f"document.querySelector('canvas').dataset.rows === '{len(finished(explored)) + 1}'")
    page.reload()
    until(page, f"document.querySelector('canvas')?.dataset.rows === '{len(finished(explored)) + 1}'")


TICKS = {1e300: "1e+300", -2.5e299: "-2.5e+299", 1e15: "1e+15", 1.204e16: "1.2e+16", 1e100: "1e+100", 2e21: "2e+21", 3e14: "300000 G", 2.5e9: "2.5 G",
         1.2e8: "120 M", 25_000: "25 k", 12.5: "12.5", 0.0625: "0.0625", 0: "0"}  # fmt: skip


def test_ticks_are_readable_whatever_their_size(page: Any, live: str) -> None:
    see(page, f"{live}#/compare")
    found = page.evaluate(
        """async (values) => {
            const { short } = await import(new URL("js/format.js", location.href));
            return values.map((value) => short(value));
        }""",
        list(TICKS),
    )
    assert dict(zip(TICKS, found, strict=True)) == TICKS
