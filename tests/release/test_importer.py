"""Release files into a database: all of them or none, and nothing contradicted in silence."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from bloxdb.measures import COSTS
from tests.release.helpers import SMALL, TINY, changed, content


def test_importing_twice_changes_nothing(tiny_db: Database, golden: Path) -> None:
    before = content(tiny_db)
    report = bloxdb.import_release(golden / TINY, tiny_db)
    assert (report.added, report.replaced) == (0, 0)
    assert report.unchanged == 40 * 5
    assert content(tiny_db) == before


def test_parts_can_come_one_after_the_other(
    empty_db: Database, tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    for stem in (
        "blox-base-3",
        "blox-env-3",
        "blox-bench-jetson-nano",
        "blox-info",
        "blox-ext-3",
        "blox-bench-desktop-cpu",
    ):
        bloxdb.import_release(golden / TINY / f"{stem}.blox", empty_db)
        if stem == "blox-base-3":
            report = bloxdb.export_release(tmp_path / "base-only", empty_db)
            assert [path.stem for path in report.files] == ["blox-info", "blox-base-3"]
            assert report.notes == ["seed 3: 40 of 40 runs have no ext data; ext lacks them"]
    assert content(empty_db) == content(tiny_db)


@pytest.mark.parametrize("stem", ["blox-ext-3", "blox-env-3"])
def test_a_part_without_its_base_is_refused(empty_db: Database, golden: Path, stem: str) -> None:
    with pytest.raises(bloxdb.ReleaseError, match="base file"):
        bloxdb.import_release(golden / TINY / f"{stem}.blox", empty_db)
    assert empty_db.rows("SELECT * FROM recipes") == []


@pytest.mark.parametrize(
    ("stem", "column", "value", "sentence"),
    [
        ("blox-base-3", "test_top1", 1.23, r"test_top1 is 72.37 here, 1.23 in the file"),
        ("blox-base-3", "train_time_s", 1, r"train_time_s is 6592.0 here, 1.0 in the file"),
        ("blox-base-3", "val_top1", [1.0] * 10, r"val_top1 of epoch 1 is 29.12 here, 1.0 in the file"),
        ("blox-ext-3", "val_loss", [1.5] * 10, r"val_loss of epoch 1 is .* here, 1.5 in the file"),
        ("blox-ext-3", "test_loss", 9.5, r"test_loss is .* here, 9.5 in the file"),
        ("blox-env-3", "gpu", "abacus", r"environment 1 here, \d in the file"),
        ("blox-bench-jetson-nano", "latency", 0.25, r"latency 8.403807 here, 0.25 in the file"),
    ],
)
def test_contradictions_are_listed_and_replaced_only_on_demand(
    tiny_db: Database, golden: Path, tmp_path: Path, stem: str, column: str, value: object, sentence: str
) -> None:
    before = content(tiny_db)
    path = changed(golden / TINY / f"{stem}.csv", tmp_path / f"{stem}.csv", 0, column, value)
    with pytest.raises(
        bloxdb.ConflictError, match=f"1 value contradicts.*{stem}.csv, architecture .*{sentence}|10 values"
    ):
        bloxdb.import_release(path, tiny_db)
    assert content(tiny_db) == before
    report = bloxdb.import_release(path, tiny_db, replace=True)
    assert report.replaced >= 1
    bloxdb.export_release(tmp_path / "out", tiny_db, format="csv")
    assert (
        codecs.read(tmp_path / "out" / f"{stem}.csv").sorted().difference(codecs.read(path).sorted()) is None
    )


def test_many_contradictions_show_the_first_few(tiny_db: Database, golden: Path, tmp_path: Path) -> None:
    table = codecs.read(golden / TINY / "blox-bench-desktop-cpu.blox")
    rows = [[key, latency + 1] for key, latency in table.rows()]
    codecs.write(Table.from_rows(table.header, rows), tmp_path / "blox-bench-desktop-cpu.blox")
    with pytest.raises(bloxdb.ConflictError, match="40 values contradict") as caught:
        bloxdb.import_release(tmp_path, tiny_db)
    assert str(caught.value).count("in the file") == 5
    assert str(caught.value).endswith("; …")


def test_a_failing_import_leaves_the_database_as_it_was(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(golden / TINY, folder)
    for path in folder.glob("blox-info.*"):
        path.unlink()
    data = (golden / TINY / "blox-bench-jetson-nano.blox").read_bytes()
    (folder / "blox-bench-jetson-nano.blox").write_bytes(data[:-5])
    with pytest.raises(bloxdb.BloxFormatError, match="blox-bench-jetson-nano.blox"):
        bloxdb.import_release(folder, empty_db)
    assert all(rows == [] for rows in content(empty_db))
    assert empty_db.rows("SELECT * FROM recipes") == []


def test_a_recipe_of_another_kind_is_not_mixed_in(tiny_db: Database, golden: Path) -> None:
    with pytest.raises(
        bloxdb.ReleaseError,
        match="another recipe named cifar100-10 already .epochs 10 there, 200 here.; name another",
    ):
        bloxdb.import_release(golden / SMALL / "blox-base-0.blox", tiny_db, recipe="cifar100-10")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("model_hash", "ab" * 16, "not the hash of an architecture"),
        ("arch_vec", [[[0], [0, 1, 0, 0]]] * 3, "not that of the hash"),
    ],
)
def test_architectures_that_do_not_exist_are_refused(
    empty_db: Database, golden: Path, tmp_path: Path, column: str, value: object, message: str
) -> None:
    path = changed(golden / TINY / "blox-info.csv", tmp_path / "blox-info.csv", 2, column, value)
    with pytest.raises(bloxdb.BloxFormatError, match=f"blox-info.csv, row 2, column {column}: .*{message}"):
        bloxdb.import_release(path, empty_db)


def test_equivalent_vectors_are_the_same_architecture(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    table = codecs.read(golden / TINY / "blox-info.csv")
    rows = table.rows()
    other = [
        [[[2], [0, 0, 1, 0]] if cell == [[0], [0, 0, 1, 0]] else cell for cell in row[3]] for row in rows
    ]
    codecs.write(
        Table.from_rows(table.header, [[*row[:3], vec] for row, vec in zip(rows, other, strict=True)]),
        tmp_path / "blox-info.blox",
    )
    assert bloxdb.import_release(tmp_path, empty_db).unchanged == 40


def test_a_latency_that_is_not_a_number_is_refused(empty_db: Database, golden: Path, tmp_path: Path) -> None:
    stem = "blox-bench-desktop-cpu"
    path = changed(golden / TINY / f"{stem}.pickle", tmp_path / f"{stem}.pickle", 3, "latency", float("nan"))
    with pytest.raises(
        bloxdb.BloxFormatError,
        match=r"blox-bench-desktop-cpu.pickle, row \d+, column latency: the value nan says that nothing was measured",
    ):
        bloxdb.import_release(path, empty_db)
    assert empty_db.rows("SELECT * FROM devices") == []


def test_the_recipe_of_an_env_file_is_named_where_there_are_several(tiny_db: Database, golden: Path) -> None:
    bloxdb.import_release(golden / SMALL / "blox-base-0.blox", tiny_db)
    with pytest.raises(
        bloxdb.ReleaseError, match=r"name the recipe \(there are: cifar100-10, cifar100-200\)"
    ):
        bloxdb.import_release(golden / SMALL / "blox-env-0.blox", tiny_db)
    report = bloxdb.import_release(golden / SMALL / "blox-env-0.blox", tiny_db, recipe="cifar100-200")
    assert (report.added, report.unchanged) == (60, 0)
    again = bloxdb.import_release(golden / SMALL / "blox-env-0.blox", tiny_db, recipe="cifar100-200")
    assert (again.added, again.unchanged) == (0, 60)


def test_a_release_can_have_a_recipe_of_another_name(empty_db: Database, golden: Path) -> None:
    bloxdb.import_release(golden / TINY, empty_db, recipe="mine")
    assert empty_db.rows("SELECT name, dataset, epochs FROM recipes") == [
        {"name": "mine", "dataset": "cifar100", "epochs": 10}
    ]


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("column", COSTS)
@pytest.mark.parametrize("ending", ["csv", "pickle", "blox"])
def test_costs_that_the_search_space_has_not_are_refused_whatever_may_be_replaced(
    tiny_db: Database, golden: Path, tmp_path: Path, ending: str, column: str, replace: bool
) -> None:
    before = content(tiny_db)
    path = changed(golden / TINY / "blox-info.csv", tmp_path / f"blox-info.{ending}", 7, column, 12)
    table = codecs.read(golden / TINY / "blox-info.csv")
    index, due = table.arch_ids()[7], table[column][7]
    said = f"{re.escape(str(path))}, row 7, column {column}: it is 12, but architecture {index} has {due}, as"
    with pytest.raises(bloxdb.BloxFormatError, match=said):
        bloxdb.import_release(path, tiny_db, replace=replace)
    assert content(tiny_db) == before


def test_a_file_repairs_costs_that_somebody_changed_only_on_demand(tiny_db: Database, golden: Path) -> None:
    before = content(tiny_db)
    with tiny_db.transaction() as session:
        for name in ("runs", "static_info"):
            session.execute(
                text(f"UPDATE {name} SET flops = 12 WHERE arch_id = (SELECT min(arch_id) FROM runs)")
            )
    path = golden / TINY / "blox-info.csv"
    with pytest.raises(bloxdb.ConflictError, match=r"flops and params \(12, \d+\) here, \(\d+, \d+\) in the"):
        bloxdb.import_release(path, tiny_db)
    report = bloxdb.import_release(path, tiny_db, replace=True)
    assert (report.replaced, report.unchanged) == (1, 39)
    assert content(tiny_db) == before


def test_progress_of_an_import_ends_at_the_size_of_the_files(empty_db: Database, golden: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    files = sorted((golden / TINY).glob("*.blox"))
    report = bloxdb.import_release(files, empty_db, progress=lambda *told: seen.append(told))
    size = sum(path.stat().st_size for path in files)
    assert {told[1] for told in seen} == {size}
    done = [told[0] for told in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, size)
    (info,) = (path for path in files if path.stem == "blox-info")
    steps = list(dict.fromkeys(told[2].partition(", ")[0] for told in seen))
    assert steps[0] == info.name
    assert (
        steps.index("blox-base-3.blox")
        < steps.index("blox-env-3.blox")
        < steps.index("blox-bench-desktop-cpu.blox")
    )
    assert repr(report) == (
        "<ImportReport: 6 files: 40 architectures, 40 runs, 400 epochs, 80 latencies; all new>"
    )


@pytest.mark.parametrize(("stem", "column"), [("blox-info", "flops"), ("blox-env-3", "gpu")])
def test_a_file_that_lacks_a_column_is_refused(
    tiny_db: Database, golden: Path, tmp_path: Path, stem: str, column: str
) -> None:
    table = codecs.read(golden / TINY / f"{stem}.csv")
    at = table.header.columns.index(column)
    header = replace(table.header, columns=tuple(name for name in table.header.columns if name != column))
    rows = [[*row[:at], *row[at + 1 :]] for row in table.rows()]
    codecs.write(Table.from_rows(header, rows), tmp_path / f"{stem}.pickle")
    with pytest.raises(bloxdb.ReleaseError, match=f"{stem}.pickle lacks the column {column}"):
        bloxdb.import_release(tmp_path, tiny_db)


def test_files_of_several_seeds_come_in_together_whatever_their_names_say_first(
    empty_db: Database, golden: Path
) -> None:
    files = sorted((golden / SMALL).glob("blox-*-?.blox"), reverse=True)
    bloxdb.import_release(files, empty_db)
    rows = empty_db.rows(
        "SELECT seed, count(*) AS n, count(env_id) AS envs, count(test_loss) AS ext FROM runs GROUP BY seed"
    )
    assert [tuple(row.values()) for row in rows] == [(0, 60, 60, 60), (1, 60, 60, 60)]


def test_runs_have_the_costs_of_their_architectures(tiny_db: Database) -> None:
    rows = tiny_db.rows(
        "SELECT runs.flops, runs.params, s.flops AS f, s.params AS p FROM runs "
        "JOIN static_info s ON s.arch_id = runs.arch_id"
    )
    assert len(rows) == 40
    assert all((row["flops"], row["params"]) == (row["f"], row["p"]) for row in rows)
    assert all(row["flops"] != row["params"] for row in rows)


def test_ext_rows_of_runs_that_only_the_database_has_come_in_with_the_files(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    base, ext = (codecs.read(golden / TINY / f"blox-{part}-3.blox").sorted() for part in ("base", "ext"))
    codecs.write(base.take(np.arange(30, 40)), tmp_path / "blox-base-3.blox")
    bloxdb.import_release(tmp_path, empty_db)
    codecs.write(base.take(np.arange(30)), tmp_path / "blox-base-3.blox")
    codecs.write(ext.take(np.arange(20, 40)), tmp_path / "blox-ext-3.blox")
    bloxdb.import_release(tmp_path, empty_db)
    rows = empty_db.rows("SELECT hash FROM runs JOIN archs a ON a.id = arch_id WHERE test_loss IS NOT NULL")
    assert sorted(row["hash"] for row in rows) == ext.hashes()[20:]


@pytest.mark.parametrize("parts", [("base",), ("base", "ext"), ("base", "ext", "copy")])
def test_every_way_in_looks_at_epoch_1(
    parts: tuple[str, ...], empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    """The files come one of a kind, both, or several of a kind: each time epoch 1 is looked at."""
    base, ext = (codecs.read(golden / TINY / f"blox-{part}-3.blox").sorted() for part in ("base", "ext"))
    top1 = base["val_top1"].copy()
    best = top1[:, 1:].argmax(axis=1) + 1
    columns = {}
    for table in (base, ext):
        for name in ("val_top1", "val_loss", "val_top5"):
            if name in table.columns:
                values = table[name].copy()
                values[:, 0] = values[np.arange(len(values)), best]
                columns[name] = values
    base = Table(base.header, {**base.columns, "val_top1": columns.pop("val_top1")})
    ext = Table(ext.header, {**ext.columns, **columns})
    codecs.write(base.take(np.arange(20)) if "copy" in parts else base, tmp_path / "blox-base-3.blox")
    files = [tmp_path / "blox-base-3.blox"]
    if "ext" in parts:
        codecs.write(ext, tmp_path / "blox-ext-3.blox")
        files.append(tmp_path / "blox-ext-3.blox")
    if "copy" in parts:
        codecs.write(base.take(np.arange(20, 40)), tmp_path / "the rest.csv")
        files.append(tmp_path / "the rest.csv")
    (note,) = bloxdb.import_release(files, empty_db).notes
    assert "validation of epoch 1 equals the best of later epochs" in note
    assert empty_db.rows("SELECT first_epoch_is_best AS so FROM recipes") == [{"so": 1}]
