"""The pictures of the explorer: each view in light at 1,400 pixels, and dark as on a phone, side by side."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from PIL import Image

import bloxdb
from bloxdb import Database
from bloxdb.db.recipes import RecipeFacts
from bloxdb.runs.heartbeat import Intervals
from bloxdb.runs.queue import RunQueue
from bloxdb.runs.results import EpochResult, Metrics

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW, HEIGHT = 1400, 400, 940
GAP = 24
SCALE = 0.6
COLOURS = 256
LATER = 700  # milliseconds after a view is there until curves and neighbours are, too


def screens(path: Path, out: Path, arch: int) -> None:
    """Write them; a sentence instead where there is no browser."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        click.echo(f"no pictures of the explorer: they need one of {', '.join(NAMES)}", err=True)
        return
    with bloxdb.open(path, current=False) as db:
        others = [row["arch_id"] for row in bloxdb.top(2, db, seeds="mean")]
        views = {
            "home": "#/",
            "scatter": "#/scatter?colour=scheme:2&seed=mean",
            "arch": f"#/arch/{arch}",
            "compare": f"#/compare?archs={','.join(map(str, [arch, *others]))}",
        }
        draw(program, path, out, views)
        train(db)
    draw(program, path, out, {"training": "#/training"})


def draw(program: str, path: Path, out: Path, views: dict[str, str]) -> None:
    """Some views of a database."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "bloxdb", "explore", "--no-browser", "--port", "0", "--db", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        assert server.stdout is not None
        home = server.stdout.readline().strip()
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, view in views.items():
            both = [
                shot(browser, home + view, width, scheme)
                for width, scheme in ((WIDE, "light"), (NARROW, "dark"))
            ]
            write(both, out / f"explore-{name}.png")
        browser.close()
        server.terminate()


def shot(browser: Any, url: str, width: int, scheme: str) -> Image.Image:
    """One view as it is seen first."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    page.goto(url)
    page.wait_for_selector("main > .view")
    page.wait_for_timeout(LATER)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return image


def write(images: list[Image.Image], path: Path) -> None:
    """Images side by side as one small picture."""
    whole = Image.new("RGB", (WIDE + GAP + NARROW, HEIGHT), "#7f8b97")
    whole.paste(images[0], (0, 0))
    whole.paste(images[1], (WIDE + GAP, 0))
    size = tuple(round(side * SCALE) for side in whole.size)
    whole.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS, kmeans=2).save(path, optimize=True)  # type: ignore[arg-type]
    click.echo(f"{path}  {path.stat().st_size:,} bytes")


def train(db: Database) -> None:
    """Let some runs of another recipe begin, and one fail, as if workers trained them."""
    facts = RecipeFacts("digits-30", "digits", 30)
    queue = RunQueue(db, range(0, 91_125, 911), facts, 0)
    queue.fill()
    intervals = Intervals(every=5, dead_after=600)
    for number in range(9):
        record = queue.claim(worker=f"node{1 + number % 3}:{4100 + number}", intervals=intervals)
        if record is None:
            break
        record.begin(0)
        for epoch in range(1, 3 + (7 * number) % 25):
            metrics = Metrics(40.0 + epoch, 80.0, 2.0 - epoch / 40)
            record.epoch(EpochResult(epoch, metrics, metrics))
        if number == 4:
            record.fail("CUDA out of memory: tried to allocate 2.1 GiB")
