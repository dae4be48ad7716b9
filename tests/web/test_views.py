"""The other views in a real browser: what they show is what SQL gives, and every part of them can be used."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import bloxdb
from bloxdb import Database, draw, space
from bloxdb.db.schema import EPOCH_MEASURES
from tests.web.browser import FOUND, opened, see, table, until
from tests.web.conftest import DEVICE, FAILED, HOSTILE, RUNNING
from tests.web.helpers import Served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason="there is no chromium; name one in BLOXDB_TEST_BROWSER"),
]

ON_DEVICE = f"x={quote(f'latency:{DEVICE}')}"
VIEWS = ("#/", "#/scatter", "#/arch/{arch}", "#/compare?archs={arch},0,5", "#/training")


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


KEYS: dict[str, int | str] = {
    "30181": 30_181, space.model_hash(30_181)[:8].upper(): 30_181, space.model_hash(7): 7,
    "[[[0],[0,0,1,1]],[[0],[0,1,0,0]],[[0],[0,1,0,0]]]": 30, "91125": "There is no such architecture",
    "nonsense": "“nonsense” is not an architecture vector like [[[", "0,0": "an architecture vector has 3 cells",
    "+5": 5,
}  # fmt: skip


def test_an_architecture_is_found_by_whatever_names_it(page: Any, live: str) -> None:
    see(page, f"{live}#/compare")
    for key, found in KEYS.items():
        before = page.url
        page.get_by_label("Architecture: index, hash or vector").fill(key)
        page.keyboard.press("Enter")
        if isinstance(found, str):
            until(page, f"document.getElementById('said').textContent.startsWith('{found}')")
            assert page.url == before
            continue
        page.wait_for_selector(f"h1:text-is('Architecture {found}')")


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
     ("#/arch/%E0%A4%A", "“%E0%A4%A” is not an architecture vector"), ("#/scatter?range=zz:1~2", "there is no measure zz")],
)  # fmt: skip
def test_an_address_of_nothing_says_so(page: Any, live: str, view: str, sentence: str) -> None:
    see(page, live + view)
    assert sentence in page.get_by_role("alert").inner_text()


def test_a_file_that_was_replaced_is_told_by_the_page(page: Any, explored_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "explored.db"))
    with Served(path) as served:
        see(page, f"{served.url}#/")
        path.rename(tmp_path / "moved.db")
        sentence = "it was removed or renamed since it was opened; end the explorer and start it again"
        see(page, f"{served.url}#/training")
        assert f"{sentence} (asking again)" in page.locator("main").inner_text()
        see(page, f"{served.url}#/arch/5")
        assert sentence in page.get_by_role("alert").inner_text()
        page.wrong.clear()  # answers of 503


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


def test_what_is_too_much_to_compare_is_told(page: Any, live: str) -> None:
    see(page, f"{live}#/compare?archs=0,%2B1,2,3,4,5,0x6,{space.model_hash(7)},8,9,91125,x,1e1")
    assert page.locator(".sides .card").count() == 8
    assert "5 of the 13 that the address names are not shown" in page.locator("main").inner_text()
