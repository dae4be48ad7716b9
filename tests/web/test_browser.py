"""The page in a real browser: what it shows is what SQL gives, and every part of it can be used."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import bloxdb
from bloxdb import Database, draw, space
from bloxdb.db.schema import EPOCH_MEASURES
from bloxdb.web.copying import write_copy
from tests.web.browser import FOUND, opened, started
from tests.web.conftest import DEVICE, FAILED, HOSTILE, RUNNING
from tests.web.helpers import Served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason="there is no chromium; name one in BLOXDB_TEST_BROWSER"),
]

VIEWS = ("#/", "#/scatter", "#/arch/{arch}", "#/compare?archs={arch},0,5", "#/training")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as found:
        yield found


@pytest.fixture(scope="module")
def live(explored_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server; its database is written to by one test."""
    path = Path(shutil.copy(explored_file, tmp_path_factory.mktemp("live") / "explored.db"))
    with Served(path) as served:
        yield served.url


@pytest.fixture(scope="module")
def copied(explored_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a static copy, in a folder below that of a plain file server."""
    folder = tmp_path_factory.mktemp("copied")
    with bloxdb.open(explored_file, read_only=True, current=False) as db:
        write_copy(folder / "some" / "place", db)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())[1]  # type: ignore[index]
        yield f"http://127.0.0.1:{port}/some/place/"
        server.terminate()


@pytest.fixture(params=["live", "copied"])
def home(request: pytest.FixtureRequest) -> str:
    """The address of the page, served by the plugin and as files."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with opened(browser) as found:
        yield found


@pytest.fixture
def arch(explored: Database) -> int:
    """An architecture with two seeds, epochs, and latencies."""
    rows = explored.rows(
        "SELECT arch_id FROM runs WHERE id IN (SELECT run_id FROM epochs) AND arch_id IN (SELECT arch_id FROM latencies) "
        "GROUP BY arch_id HAVING count(*) = 2 ORDER BY arch_id LIMIT 1"
    )
    found: int = rows[0]["arch_id"]
    return found


def until(page: Any, expression: str) -> None:
    """Wait until something is so; Playwright's own way needs `eval`, which the page forbids."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never so: {expression}")


def see(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("main > .view")


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


def test_an_architecture_has_the_numbers_of_sql(page: Any, home: str, explored: Database, arch: int) -> None:
    see(page, f"{home}#/arch/{arch}")
    assert page.locator("h1").inner_text() == f"Architecture {arch}"
    assert space.model_hash(arch) in page.locator(".heading").inner_text()
    assert page.title().startswith(f"architecture {arch} · ")
    head, *rows = table(page, "Runs")
    expected = explored.rows(
        "SELECT r.*, c.name FROM runs r JOIN recipes c ON c.id = recipe_id WHERE arch_id = :arch ORDER BY name, seed",
        arch=arch,
    )
    assert len(rows) == len(expected) == 2
    for row, run in zip(rows, expected, strict=True):
        shown = dict(zip(head, row, strict=True))
        assert (shown["recipe"], shown["seed"], shown["status"]) == (
            run["name"],
            str(run["seed"]),
            run["status"],
        )
        assert float(shown["test accuracy (%)"]) == run["test_top1"]
        assert float(shown["validation accuracy (%)"]) == run["val_top1"]
        assert shown["test loss (nats)"] == (
            "–" if run["test_loss"] is None else f"{run['test_loss']:.6f}".rstrip("0")
        )
        assert int(shown["training time (s)"].replace(",", "")) == run["train_time_s"]
    costs = table(page, "Costs by part")
    assert [int(cell.replace(",", "")) for cell in costs[-1][1:]] == list(space.arch_cost(arch))
    latencies = {row[0]: float(row[1]) for row in table(page, "Latencies")[1:]}
    assert latencies == {
        row["name"]: row["latency_ms"]
        for row in explored.rows(
            "SELECT name, latency_ms FROM latencies JOIN devices ON id = device_id WHERE arch_id = :arch",
            arch=arch,
        )
    }
    page.wait_for_selector("h3:has-text('Rank among all')")
    ranks = {row[0]: row[1] for row in table(page, "Rank and percentile")[1:]}
    means = bloxdb.top(10_000, explored, recipe="cifar100-200", seeds="mean")
    own = next(row["test_top1"] for row in means if row["arch_id"] == arch)
    assert (
        ranks["test accuracy"] == f"{1 + sum(row['test_top1'] > own + 1e-5 for row in means)} of {len(means)}"
    )


def test_curves_are_those_of_sql(page: Any, home: str, explored: Database, arch: int) -> None:
    see(page, f"{home}#/arch/{arch}?measure=train_loss")
    page.wait_for_selector(".u-legend")
    told = dict(re.findall(r"seed (\d+): ([\d.]+\d)", page.locator(".curves + .hint").inner_text()))
    runs = page.evaluate(
        """async (arch) => (await (await import(new URL("js/data.js", location.href))).runsOf(arch)).runs.map((run) => [
            run.seed, Object.fromEntries(Object.entries(run.curves).map(([name, values]) => [name, [...values].map((value) => (Number.isNaN(value) ? null : value))])),
        ])""",
        arch,
    )
    assert len(runs) == len(told) == 2
    for seed, curves in runs:
        rows = explored.rows(
            "SELECT e.* FROM epochs e JOIN runs r ON r.id = e.run_id WHERE arch_id = :arch AND seed = :seed ORDER BY epoch",
            arch=arch, seed=int(seed),
        )  # fmt: skip
        assert float(told[seed]) == rows[-1]["train_loss"]
        for name, values in curves.items():
            wanted = [row[name] for row in rows]
            assert values[1:] == wanted[1:]
            assert values[0] in (None, wanted[0])  # what epoch 1 has instead of its own is left out
    assert set(curves) == set(EPOCH_MEASURES)


def test_neighbours_gain_what_sql_says(page: Any, live: str, explored: Database) -> None:
    means = {
        row["arch_id"]: row["test_top1"]
        for row in bloxdb.top(10_000, explored, recipe="cifar100-200", seeds="mean")
    }
    arch, others = max(
        (
            (index, [other for other in map(space.arch_index, space.neighbours(index)) if other in means])
            for index in means
        ),
        key=lambda one: len(one[1]),
    )
    assert others
    see(page, f"{live}#/arch/{arch}")
    page.wait_for_selector(".gain")
    assert page.locator(".gain").count() == 132
    found = {
        link.get_attribute("href"): link.inner_text()
        for link in page.locator(".gain:not(:text-is('–'))").all()
    }
    assert found.keys() == {f"#/arch/{other}" for other in others}
    for other in others:
        assert float(found[f"#/arch/{other}"].replace("−", "-")) == pytest.approx(
            means[other] - means[arch], abs=0.00501
        )


def test_drawings_are_those_of_draw(page: Any, live: str, arch: int) -> None:
    see(page, f"{live}#/arch/{arch}")
    shapes = page.evaluate(
        "[...document.querySelector('.drawing').querySelectorAll('rect, circle, path, text')].map((one) => [one.tagName, ...['d', 'x', 'cx', 'y', 'cy', 'fill'].map((name) => one.getAttribute(name)), one.textContent])"
    )
    whole = draw.arch(arch)
    expected = re.findall(r"<(?:rect|circle|path|text) .*", whole)[
        3:
    ]  # paper and headings are the page's own
    assert len(shapes) == len(expected)
    for shape, text in zip(shapes, expected, strict=True):
        assert text.startswith(f"<{shape[0]} ")
        for value in shape[1:7]:
            assert value is None or f'="{value}"' in text
    assert page.get_by_role("img", name=f"Blox architecture {arch}").count() == 1
    assert page.locator(".drawing desc").text_content() in re.search("<desc[^>]*>([^<]*)", whole)[1]  # type: ignore[index]


def test_architectures_are_compared_side_by_side(page: Any, live: str, explored: Database, arch: int) -> None:
    see(page, f"{live}#/compare?archs={arch},0,5")
    assert page.locator(".sides .drawing").count() == 3
    head, *rows = table(page, "What is known of each")
    assert head[1:] == [str(arch), "0", "5"]
    shown = {row[0]: row[1:] for row in rows}
    assert [int(cell.replace(",", "")) for cell in shown["FLOPs"]] == [
        space.arch_cost(index).flops for index in (arch, 0, 5)
    ]
    assert page.locator(".curves canvas").count() == 1
    page.get_by_label("Architecture to add").fill(space.model_hash(53_215)[:8])
    page.get_by_role("button", name="Add").click()
    page.wait_for_selector("h2:has-text('Architecture 53215')")
    assert page.url.endswith(f"archs={arch},0,5,53215")
    page.get_by_role("link", name="Leave out architecture 0", exact=True).click()
    until(page, "document.querySelectorAll('.sides .card').length === 3")
    page.get_by_label("Measure", exact=True).select_option("train_loss")
    assert "measure=train_loss" in page.url
    page.get_by_label("log").check()
    assert "log=1" in page.url


KEYS: dict[str, int | None] = {
    "30181": 30_181, space.model_hash(30_181)[:8].upper(): 30_181, space.model_hash(7): 7,
    "[[[0],[0,0,1,1]],[[0],[0,1,0,0]],[[0],[0,1,0,0]]]": None, "91125": -1, "nonsense": -1,
}  # fmt: skip


def test_an_architecture_is_found_by_whatever_names_it(page: Any, live: str) -> None:
    see(page, f"{live}#/compare")
    for key, found in KEYS.items():
        before = page.url
        page.get_by_label("Architecture: index, hash or vector").fill(key)
        page.keyboard.press("Enter")
        if found == -1:
            until(
                page,
                "document.getElementById('said').textContent.startsWith('There is no such architecture')",
            )
            assert page.url == before
            continue
        wanted = space.arch_index(json.loads(key)) if found is None else found
        page.wait_for_selector(f"h1:text-is('Architecture {wanted}')")


def test_training_is_shown_as_it_goes_on(page: Any, live: str, explored: Database) -> None:
    see(page, f"{live}#/training")
    assert "1 run is being trained" in page.locator("main").inner_text()
    workers = table(page, "Runs that are being trained")
    assert workers[1][1] == str(RUNNING)
    failures = table(page, "Runs that failed or diverged")
    assert failures[1][0] == str(FAILED)
    assert failures[1][-1] == HOSTILE  # as a text
    path = page.evaluate(
        "fetch('data/about.json').then((answer) => answer.json()).then((facts) => facts.title)"
    )
    assert path == "explored"


def test_training_needs_no_reload(page: Any, explored_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "explored.db"))
    with Served(path) as served:
        see(page, f"{served.url}#/training")
        assert "1 run is being trained" in page.locator("main").inner_text()
        page.get_by_role("link", name=str(FAILED), exact=True).focus()
        page.wait_for_timeout(3500)  # asked again meanwhile, with a later sign of life
        assert page.evaluate("document.activeElement.textContent") == str(FAILED)
        with bloxdb.open(path, current=False) as db, db.transaction() as session:
            session.query(bloxdb.Run).filter_by(arch_id=RUNNING, status="running").one().status = "failed"
        page.wait_for_selector("h2:has-text('0 runs are being trained')", timeout=10_000)
        assert len(table(page, "Runs that failed or diverged")) == 3


def test_the_overview_counts_what_is_there(page: Any, home: str, explored: Database) -> None:
    see(page, home)
    page.wait_for_selector("canvas[data-ms]")
    words = page.locator(".numbers").inner_text()
    (counts,) = explored.rows(
        "SELECT count(*) AS runs, count(DISTINCT arch_id) AS archs, max(test_top1) AS best FROM leaderboard"
    )
    for number in (f"{counts['runs']:,}\n", f"{counts['archs']:,}\n", f"{counts['best']:.2f} %"):
        assert number in words
    assert "NeurIPS 2022" in page.locator("blockquote").inner_text()
    assert (
        page.get_by_role("link", name="Tables").count()
        == page.get_by_role("link", name="Training").count()
        == ("/-/bloxdb/" in home)
    )


def test_texts_of_the_database_stay_texts(page: Any, live: str, arch: int) -> None:
    for view in (*VIEWS, f"#/arch/{FAILED}", f"#/scatter?{ON_DEVICE}&colour=run"):
        see(page, f"{live}{view.format(arch=arch)}")
        assert page.locator("main img, main script, main b:has-text('jetson'), .top img[src=x]").count() == 0
        assert "owned" not in page.title()


def test_no_view_is_wider_than_the_screen(browser: Any, live: str, arch: int) -> None:
    for width, scheme in ((400, "dark"), (3840, "light")):
        with opened(browser, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
            for view in VIEWS:
                see(page, f"{live}{view.format(arch=arch)}")
                page.wait_for_timeout(100)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (view, width)


def test_the_keyboard_reaches_everything(page: Any, live: str, arch: int) -> None:
    last = {
        "#/scatter": ".chosen tbody tr",
        f"#/arch/{arch}": "h3:has-text('Rank among all')",
        "#/training": ".card",
    }
    for view, selector in last.items():
        see(page, f"{live}{view}")
        page.wait_for_selector(selector)
        page.wait_for_timeout(200)
        page.evaluate(
            "document.body.focus(); window.reached = new Set(); addEventListener('focusin', (event) => reached.add(event.target))"
        )
        count = page.evaluate(
            "document.querySelectorAll('a[href], button:not(:disabled), input, select, canvas[tabindex], summary, [tabindex=\"0\"]').length"
        )
        for _ in range(count + 5):
            page.keyboard.press("Tab")
        missed = page.evaluate(
            """[...document.querySelectorAll('a[href], button:not(:disabled), input, select, [tabindex="0"], summary')]
               .filter((one) => !reached.has(one) && !(one.type === 'radio' && !one.checked)).map((one) => one.outerHTML.slice(0, 90))"""
        )
        assert missed == []


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


def test_a_server_that_is_gone_is_told_and_asked_again(
    browser: Any, explored_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "explored.db"))
    context = browser.new_context()
    page = context.new_page()
    with Served(path) as served:
        see(page, f"{served.url}#/compare")
    page.evaluate("location.hash = '#/arch/30181'")
    page.wait_for_selector("[role=alert]")
    assert "is the server still running?" in page.locator("main").inner_text()
    context.close()


def test_a_database_without_runs_has_every_view(page: Any, empty_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "explored.db"))
    with Served(path) as served:
        for view in VIEWS:
            see(page, f"{served.url}{view.format(arch=7)}")
            page.wait_for_timeout(150)
        assert "There are no runs yet" in page.locator("main").inner_text()


@pytest.mark.parametrize(
    ("view", "sentence"),
    [("#/nothing", "there is no view called nothing"), ("#/arch/91125", "there is no architecture 91125"),
     ("#/arch/%E0%A4%A", "there is no architecture"), ("#/scatter?range=zz:1~2", "there is no measure zz")],
)  # fmt: skip
def test_an_address_of_nothing_says_so(page: Any, live: str, view: str, sentence: str) -> None:
    see(page, live + view)
    assert sentence in page.get_by_role("alert").inner_text()


def test_the_sql_of_what_is_chosen_runs_in_datasette(page: Any, live: str) -> None:
    scatter(page, live, "range=test_top1:60~")
    count = chosen(page)
    page.get_by_role("button", name="SQL", exact=True).click()
    page.get_by_role("link", name="Run it").click()
    page.wait_for_selector("table.rows-and-columns")
    assert page.locator("table.rows-and-columns tbody tr").count() == count > 5
    page.locator("td.col-arch_id a").first.click()  # and what it finds leads back
    page.wait_for_selector("h1:has-text('Architecture')")


def test_curves_are_zoomed_and_hidden_by_the_keyboard(page: Any, live: str, arch: int) -> None:
    see(page, f"{live}#/arch/{arch}")
    page.locator(".curves").focus()
    before = page.locator(".curves canvas").screenshot()
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    zoomed = page.locator(".curves canvas").screenshot()
    assert zoomed != before
    page.keyboard.press("0")
    page.wait_for_timeout(100)
    assert page.locator(".curves canvas").screenshot() == before
    page.get_by_role("button", name="Show or hide seed 1").focus()
    page.keyboard.press("Enter")
    assert page.locator(".u-legend .u-off").count() == 1


def test_a_view_begins_with_the_recipe_of_most_runs(page: Any, live: str, explored: Database) -> None:
    see(page, f"{live}#/scatter")
    page.wait_for_selector("canvas[data-rows]")
    assert int(page.locator("canvas").get_attribute("data-rows")) == len(finished(explored))
    page.get_by_label("Recipe", exact=True).select_option("")
    until(page, f"document.querySelector('canvas').dataset.rows === '{len(finished(explored)) + 1}'")
    page.reload()
    until(page, f"document.querySelector('canvas')?.dataset.rows === '{len(finished(explored)) + 1}'")


def test_what_is_too_much_to_compare_is_told(page: Any, live: str) -> None:
    see(page, f"{live}#/compare?archs=0,1,2,3,4,5,6,7,8,91125,x")
    assert page.locator(".sides .card").count() == 8
    assert "3 of the 11 that the address names are not shown" in page.locator("main").inner_text()
