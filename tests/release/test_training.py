"""Training files into runs and epochs."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from tests.release.helpers import TINY, changed, content


def test_a_replaced_run_has_its_best_epoch_anew(tiny_db: Database, golden: Path, tmp_path: Path) -> None:
    path = changed(
        golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 0, "val_top1", [99.0, *[1.0] * 9]
    )
    bloxdb.import_release(path, tiny_db, replace=True)
    arch = bloxdb.Arch.get("dab44c12f79899d6de493c696c7ee8d1", tiny_db)
    assert arch is not None
    assert (arch.runs[0].best_epoch, arch.runs[0].val_top1) == (1, 99.0)
    assert arch.epochs[0].val_loss is not None  # what the file does not give stays


def test_values_finer_than_the_database_keeps_are_refused(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    values = [1.0, 2.0001, *[3.0] * 8]
    path = changed(golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 4, "val_top1", values)
    with pytest.raises(
        bloxdb.BloxFormatError, match="row 4, column val_top1: the value 2.0001 of epoch 2 has more decimals"
    ):
        bloxdb.import_release(path, empty_db)


def with_values(source: Path, target: Path, column: str, values: list[object]) -> None:
    """A copy of a release file whose first rows have other values."""
    table = codecs.read(source)
    rows = table.rows()
    for row, value in zip(rows, values, strict=False):
        row[table.header.columns.index(column)] = value
    codecs.write(Table.from_rows(table.header, rows), target)


NAN = float("nan")
CURVES = [
    # validation top-1, validation loss, the best epoch
    ([50.0, 60.0, *[10.0] * 8], [1.0] * 10, 2),
    ([60.0, 60.0, *[10.0] * 8], [1.0] * 10, 2),  # of equal ones the later
    ([60.0, 60.0, *[10.0] * 8], [1.0, 1.5, *[1.0] * 8], 1),
    ([60.0, 60.0, *[10.0] * 8], [2.0, 1.5, *[1.0] * 8], 2),  # of equal accuracies the lower loss
    ([60.0, 60.0, *[10.0] * 8], [NAN, 1.5, *[1.0] * 8], 2),  # a loss that is not known is after all
    ([60.0, 60.0, *[10.0] * 8], [NAN] * 10, 2),
    ([10.0] * 9 + [10.001], [1.0] * 10, 10),
    ([NAN, 5.0, *[NAN] * 8], [0.1] * 10, 2),
    ([NAN] * 10, [0.1] * 10, None),
]


def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_then_comes_last(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    tiny = golden / TINY
    with_values(tiny / "blox-base-3.csv", tmp_path / "blox-base-3.pickle", "val_top1", [c[0] for c in CURVES])
    with_values(tiny / "blox-ext-3.csv", tmp_path / "blox-ext-3.pickle", "val_loss", [c[1] for c in CURVES])
    hashes = [row[0] for row in codecs.read(tiny / "blox-base-3.csv").rows()]
    assert hashes == [row[0] for row in codecs.read(tiny / "blox-ext-3.csv").rows()]
    bloxdb.import_release(tmp_path, empty_db)
    for key, (top1, _, best) in zip(hashes, CURVES, strict=False):
        arch = bloxdb.Arch.get(key, empty_db)
        assert arch is not None
        assert (arch.runs[0].best_epoch, arch.runs[0].val_top1) == (
            best,
            None if best is None else top1[best - 1],
        )


def test_a_base_without_ext_has_its_best_epoch_by_accuracy_alone(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    source = golden / TINY / "blox-base-3.csv"
    with_values(source, tmp_path / "blox-base-3.pickle", "val_top1", [[60.0, 60.0, *[10.0] * 8], [NAN] * 10])
    bloxdb.import_release(tmp_path, empty_db)
    for row, best in zip(codecs.read(source).rows(), (2, None), strict=False):
        arch = bloxdb.Arch.get(row[0], empty_db)
        assert arch is not None
        assert arch.runs[0].best_epoch == best


def test_rows_in_any_order_become_the_same_runs(
    empty_db: Database, tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    for stem in ("blox-base-3", "blox-ext-3", "blox-env-3", "blox-info"):
        table = codecs.read(golden / TINY / f"{stem}.csv")
        rows = table.rows()
        codecs.write(
            Table.from_rows(table.header, rows[::-1] if "ext" in stem else rows[7:] + rows[:7]),
            tmp_path / f"{stem}.csv",
        )
    for stem in ("blox-bench-desktop-cpu", "blox-bench-jetson-nano"):
        shutil.copy(golden / TINY / f"{stem}.csv", tmp_path)
    bloxdb.import_release(tmp_path, empty_db)
    assert content(empty_db) == content(tiny_db)


def test_ext_rows_are_added_to_the_runs_that_they_are_of(
    empty_db: Database, tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    rest = tmp_path / "rest"
    rest.mkdir()
    for stem in ("blox-base-3", "blox-ext-3"):
        table = codecs.read(golden / TINY / f"{stem}.blox").sorted()
        some, others = (
            (np.arange(25), np.arange(25, 40)) if "base" in stem else (np.arange(10, 30), np.arange(10))
        )
        codecs.write(table.take(some), tmp_path / f"{stem}.blox")
        codecs.write(table.take(others), rest / f"{stem}.blox")
        if "ext" in stem:
            codecs.write(table.take(np.arange(30, 40)), rest / "blox-ext-3.csv")
    bloxdb.import_release(rest / "blox-base-3.blox", empty_db)
    report = bloxdb.import_release(tmp_path / "blox-base-3.blox", empty_db)
    assert (report.added, report.unchanged) == (25, 0)
    report = bloxdb.import_release([tmp_path / "blox-base-3.blox", tmp_path / "blox-ext-3.blox"], empty_db)
    assert (report.added, report.replaced, report.unchanged) == (20, 0, 10)
    bloxdb.import_release([rest / "blox-ext-3.blox", rest / "blox-ext-3.csv"], empty_db)
    for stem in ("blox-env-3", "blox-info", "blox-bench-desktop-cpu", "blox-bench-jetson-nano"):
        bloxdb.import_release(golden / TINY / f"{stem}.blox", empty_db)
    assert content(empty_db) == content(tiny_db)


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_run_that_is_not_finished_contradicts_a_file_and_is_replaced_on_demand(
    tiny_db: Database, golden: Path, status: str
) -> None:
    expected = content(tiny_db)
    with tiny_db.transaction() as session:
        session.execute(text(f"UPDATE runs SET status = '{status}' WHERE id = 7"))
    path = golden / TINY / "blox-base-3.csv"
    with pytest.raises(bloxdb.ConflictError, match=f"seed 3: status is {status} here, finished in the file"):
        bloxdb.import_release(path, tiny_db)
    report = bloxdb.import_release(path, tiny_db, replace=True)
    assert (report.added, report.replaced, report.unchanged) == (0, 1, 39)
    assert content(tiny_db) == expected


def test_more_decimals_than_are_kept_are_rounded_on_demand(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    values = [1.0004, 2.00050, 73.1234999, 0.0005, *[3.0] * 6]
    with_values(golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.pickle", "val_top1", [values])
    with pytest.raises(
        bloxdb.BloxFormatError, match="1.0004 of epoch 1 has more decimals.*--round, rounds it"
    ):
        bloxdb.import_release(tmp_path, empty_db)
    bloxdb.import_release(tmp_path, empty_db, round=True)
    key = codecs.read(tmp_path / "blox-base-3.pickle").rows()[0][0]
    found = bloxdb.from_database(empty_db).full_info(key)
    assert found is not None
    assert found["val_top1"] == [round(value, 3) for value in values]  # type: ignore[call-overload]


@pytest.mark.parametrize("rounds", [True, False])
def test_an_infinity_is_told_as_one(empty_db: Database, golden: Path, tmp_path: Path, rounds: bool) -> None:
    values = [*[1.0] * 8, float("inf"), 2.0]
    table = codecs.read(golden / TINY / "blox-ext-3.csv")
    rows = table.rows()
    rows[0][table.header.columns.index("val_loss")] = values
    head = codecs.encode(table, "pickle")[0][0]
    (tmp_path / "blox-ext-3.pickle").write_bytes(head + pickle.dumps(rows))
    shutil.copy(golden / TINY / "blox-base-3.csv", tmp_path)
    with pytest.raises(
        bloxdb.BloxFormatError, match="row 0, column val_loss: the value inf of epoch 9 is infinite"
    ):
        bloxdb.import_release(tmp_path, empty_db, round=rounds)
