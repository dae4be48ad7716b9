"""What notebooks show."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser
from typing import Any

import pytest

import bloxdb
from bloxdb import Arch, Database, draw, space
from bloxdb.draw.pages import curve
from bloxdb.errors import QueryError
from tests.draw.helpers import Parsed


class Cells(HTMLParser):
    """The texts of a table's cells, and the titles of drawings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.heads: list[str] = []
        self.cells: list[str] = []
        self.titles: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["title"]:
            self.titles.append(data)
        elif self.open[-1:] == ["th"]:
            self.heads.append(data)
        elif self.open[-1:] == ["td"]:
            self.cells[-1] += data


def test_an_architecture_shows_its_drawing_costs_results_and_curve(tiny_db: Database) -> None:
    best = bloxdb.top(1, tiny_db)[0]
    arch = Arch.get(best["arch_id"], tiny_db)
    assert arch is not None
    page = arch._repr_html_()
    assert draw.arch(arch, costs=True) in page
    shown = Cells(page)
    assert shown.titles[0] == f"Blox architecture {arch.id}"
    assert shown.titles[1].startswith("val_top1 over")
    assert f"{best['test_top1']:.6g}" in shown.cells
    assert arch.hash in page
    for latency in arch.latencies:
        assert f"{latency.latency_ms} ms on {latency.device.name}" in page


def test_a_curve_leaves_out_what_is_the_best_epochs(tiny_db: Database) -> None:
    arch = Arch.get(bloxdb.top(1, tiny_db)[0]["arch_id"], tiny_db)
    assert arch is not None
    page = arch._repr_html_()
    (line,) = [s for s in page.split("<path ") if 'data-curve="seed' in s]
    hides = int(arch.runs[0].recipe.first_epoch_is_best)
    assert line.split('d="')[1].split('"')[0].count(".") == 2 * (len(arch.epochs) - hides)


def test_without_runs_it_shows_what_is_known(empty_db: Database) -> None:
    arch = Arch.get(7, empty_db)
    assert arch is not None
    assert "<table" not in arch._repr_html_()


def test_without_a_database_it_says_so(tiny_db: Database) -> None:
    arch = pickle.loads(pickle.dumps(Arch.get(7, tiny_db)))
    page = arch._repr_html_()
    assert "runs were not loaded while the object had a database" in page
    assert "<svg" in page


def frames(db: Database) -> dict[str, Any]:
    return {
        "top": bloxdb.top(5, db),
        "pareto": bloxdb.pareto(db=db),
        "averages": bloxdb.top(5, db, seeds="mean"),
        "pandas": bloxdb.to_pandas("leaderboard", db),
        "Polars": bloxdb.to_polars("leaderboard", db),
        "Arrow": bloxdb.to_arrow("leaderboard", db),
        "hashes": [{"model_hash": space.model_hash(7)}],
        "vectors": [{"vec": space.vec_text(space.arch_vec(7))}],
        "a generator": ({"arch_id": index} for index in (1, 2)),
    }


@pytest.mark.parametrize(
    "kind", ["top", "pareto", "averages", "pandas", "Polars", "Arrow", "hashes", "vectors", "a generator"]
)
def test_rows_unfold_to_drawings(kind: str, tiny_db: Database) -> None:
    rows = frames(tiny_db)[kind]
    page = draw.table(rows)
    shown = Cells(page)
    assert shown.titles
    assert len(shown.titles) == page.count("<details>") == page.count("<tr>") - 1
    if kind in ("top", "pareto", "averages"):
        assert rows._repr_html_() == page
        assert shown.titles == [f"Blox architecture {row['arch_id']}" for row in rows]
        assert shown.heads == list(rows[0])
        assert isinstance(rows, list)


def test_a_long_table_says_how_much_is_left_out() -> None:
    page = draw.table([{"arch_id": index} for index in range(1_234)])
    assert page.count("<svg") == 50
    assert "and 1,184 more" in page


def test_texts_are_data() -> None:
    page = draw.table([{"arch_id": 1, "note<": "<script>alert(1)</script>"}])
    assert "<script>" not in page
    assert "note&lt;" in page


def test_no_rows_are_told() -> None:
    assert draw.table([]) == "<p>no rows</p>"


def test_a_row_of_nobody_has_no_drawing() -> None:
    assert "<svg" not in draw.table([{"hash": "0" * 32}])


@pytest.mark.parametrize("rows", ["text", 5, None, {"arch_id": 1}, [1, 2]])
def test_what_has_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(QueryError, match="a table has rows, dicts or a frame"):
        draw.table(rows)


def test_a_table_needs_architectures() -> None:
    with pytest.raises(QueryError, match="no column names an architecture"):
        draw.table([{"seed": 1}])


def test_curves_that_have_holes_are_drawn_in_parts() -> None:
    drawing = curve(
        {"seed 0": [None, 1.0, 2.0, None, 4.0], "seed 1": [3.0] * 5, "seed 2": [None] * 5}, "val_top1", "c"
    )
    lines = [s.attrib for s in Parsed(drawing).root if "data-curve" in s.attrib]
    assert [line["d"].count("M") for line in lines] == [2, 1, 0]
    assert {"seed 0", "seed 1", "1", "4", "5"} <= set(Parsed(drawing).texts)
    assert "seed 0: from 1 to 4; seed 1: from 3 to 3; seed 2: from nothing to nothing" in drawing
