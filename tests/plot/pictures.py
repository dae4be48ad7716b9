"""The pictures that are kept: `python -m tests.plot.pictures` writes them anew, to be looked at one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from sqlalchemy import text

import bloxdb
from bloxdb import Database, draw, plot
from bloxdb.draw import Drawing
from bloxdb.problem import Point

DATA = Path(__file__).parents[1] / "data"
KEPT = DATA / "pictures"
DOTS_PER_INCH = 60
WIDTH = 300

DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "arch": lambda: draw.arch(30181, costs=True),
    "arch-dark": lambda: draw.arch(88029, theme="dark"),
    "schemes": draw.schemes,
    "supernet": draw.supernet,
}
FIGURES: dict[str, Callable[[Database], Any]] = {
    "costs": lambda db: plot.costs("latency:desktop-cpu", db=db),
    "curves": lambda db: plot.curves([row["arch_id"] for row in db.rows(_WITH_BOTH)], db=db),
    "agreement": lambda db: plot.agreement(db=db, share=0.1),
    "blocks": lambda db: plot.blocks(db=db, seeds="mean"),
    "spread": lambda db: plot.spread(db=db),
    "search": lambda db: plot.search({"a": [_steps(1), _steps(2), _steps(3)], "b": _steps(1.5)}),
}
_WITH_BOTH = "SELECT arch_id FROM runs WHERE id IN (SELECT run_id FROM epochs) GROUP BY arch_id HAVING count(*) = 2 LIMIT 3"


def _steps(pace: float) -> list[Point]:
    return [Point(3600 * pace * at**2, 0, 1, 0, 0, 75 - 9 / at / pace, 9 / at / pace) for at in range(1, 20)]


def write_figure(name: str, db: Database, path: Path) -> None:
    """A figure as a small picture, the same on every machine."""
    with mpl.rc_context(mpl.rcParamsDefault):
        mpl.use("agg")
        axes = FIGURES[name](db)
        figure = (axes[0] if isinstance(axes, tuple) else axes).get_figure()
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})


def fill(db: Database, golden: Path) -> None:
    """Two seeds of sixty architectures, of which some lack one, and some have one block everywhere."""
    bloxdb.import_release(golden / "release-small", db)
    lacking = "seed = 1 AND arch_id % 5 = 0"
    others = "recipe_id, status, best_epoch, val_top1, test_top5, test_loss, train_time_s, device_workers"
    with db.transaction() as session:
        for change in (
            f"DELETE FROM epochs WHERE run_id IN (SELECT id FROM runs WHERE {lacking})",
            f"DELETE FROM runs WHERE {lacking}",
            "UPDATE runs SET test_loss = NULL WHERE arch_id % 3 = 0",
            # one block in each stage: runs without epochs, of made-up accuracy
            f"INSERT INTO runs (arch_id, seed, test_top1, flops, params, {others}) "
            f"SELECT a.id, 0, 40 + a.id / 2071 % 11 * 2.5, s.flops, s.params, {others} "
            "FROM archs a JOIN static_info s ON s.arch_id = a.id, (SELECT * FROM runs ORDER BY id LIMIT 1) "
            "WHERE a.id % 2071 = 0 AND a.id NOT IN (SELECT arch_id FROM runs)",
        ):
            session.execute(text(change))


def main() -> None:
    """Write all of them."""
    KEPT.mkdir(exist_ok=True)
    for name, drawn in DRAWINGS.items():
        drawn().save(KEPT / f"{name}.png", width=WIDTH)
    with tempfile.TemporaryDirectory() as folder, bloxdb.create(Path(folder) / "drawn.db") as db:
        fill(db, DATA / "golden")
        for name in FIGURES:
            write_figure(name, db, KEPT / f"{name}.png")


if __name__ == "__main__":
    main()
