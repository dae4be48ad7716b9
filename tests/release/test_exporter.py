"""A database written as release files, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from tests.release.helpers import SMALL, TINY, changed


@pytest.mark.parametrize("release", [TINY, SMALL])
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_a_release_comes_back_equal_through_the_database(
    empty_db: Database, golden: Path, tmp_path: Path, release: str, name: str
) -> None:
    files = sorted((golden / release).glob(f"*.{name}"))
    report = bloxdb.import_release(files, empty_db)
    assert len(report.files) == len(files)
    exported = bloxdb.export_release(tmp_path / "out", empty_db, format=name, strict=True)
    assert exported.notes == []
    assert sorted(path.name for path in exported.files) == [path.name for path in files]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [path.name for path in files]
    for path in files:
        assert (
            codecs.read(tmp_path / "out" / path.name).sorted().difference(codecs.read(path).sorted()) is None
        )


def test_an_ext_file_of_some_runs_leaves_the_others_alone(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    ext = codecs.read(golden / TINY / "blox-ext-3.blox")
    codecs.write(Table.from_rows(ext.header, ext.rows()[:7]), tmp_path / "blox-ext-3.csv")
    bloxdb.import_release([tmp_path, golden / TINY / "blox-base-3.csv"], empty_db)
    report = bloxdb.export_release(tmp_path / "out", empty_db)
    assert report.notes == ["seed 3: 33 of 40 runs have no ext data, and are not in ext"]
    back = codecs.read(tmp_path / "out" / "blox-ext-3.blox")
    assert back.sorted().rows() == sorted(ext.rows()[:7])
    assert len(codecs.read(tmp_path / "out" / "blox-base-3.blox")) == 40


def test_values_that_were_not_measured_survive(empty_db: Database, golden: Path, tmp_path: Path) -> None:
    table = codecs.read(golden / TINY / "blox-ext-3.csv")
    rows = table.rows()
    nan = float("nan")
    rows[1][1], rows[2][6] = [nan] * 10, nan
    rows[3][2] = [17.5, 2147.5, 9e9, *[nan] * 7]
    folder = tmp_path / "in"
    folder.mkdir()
    codecs.write(Table.from_rows(table.header, rows), folder / "blox-ext-3.pickle")
    shutil.copy(golden / TINY / "blox-base-3.pickle", folder)
    bloxdb.import_release(folder, empty_db)
    report = bloxdb.export_release(tmp_path / "out", empty_db, format="blox")
    assert [note.split(";")[0] for note in report.notes] == [
        "blox-ext-3.blox: column train_top1 needs the type list[f64]",
        "blox-ext-3.blox: column train_loss needs the type list[f64]",
        "blox-ext-3.blox: column test_loss needs the type f64",
    ]
    back = codecs.read(tmp_path / "out" / "blox-ext-3.blox").sorted()
    assert back.difference(Table.from_rows(table.header, rows).sorted()) is None


def test_a_strict_export_that_fails_leaves_the_folder_as_it_was(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    path = changed(golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 0, "test_top1", 33.3333)
    bloxdb.import_release(path, empty_db)
    out = tmp_path / "out"
    out.mkdir()
    (out / "blox-info.blox").write_text("older")
    with pytest.raises(bloxdb.BloxFormatError, match="test_top1"):
        bloxdb.export_release(out, empty_db, strict=True)
    assert [path.name for path in out.iterdir()] == ["blox-info.blox"]
    assert (out / "blox-info.blox").read_text() == "older"


def test_an_export_that_fails_leaves_no_folder(tiny_db: Database, tmp_path: Path) -> None:
    with pytest.raises(bloxdb.QueryError, match="no recipe 'x'"):
        bloxdb.export_release(tmp_path / "out", tiny_db, recipe="x")
    assert not (tmp_path / "out").exists()


def test_exports_choose_recipes_and_seeds(tiny_db: Database, golden: Path, tmp_path: Path) -> None:
    bloxdb.import_release(sorted((golden / SMALL).glob("blox-base-*.blox")), tiny_db)
    with pytest.raises(bloxdb.QueryError, match="several recipes, name one of: cifar100-10, cifar100-200"):
        bloxdb.export_release(tmp_path / "a", tiny_db)
    with pytest.raises(bloxdb.QueryError, match="no run of recipe cifar100-200 with seed 7; choose of: 0, 1"):
        bloxdb.export_release(tmp_path / "a", tiny_db, recipe="cifar100-200", seeds=[7])
    report = bloxdb.export_release(tmp_path / "a", tiny_db, recipe="cifar100-200", seeds=[1])
    assert "blox-base-1.blox" in [path.name for path in report.files]
    assert "blox-base-0.blox" not in [path.name for path in report.files]


def test_a_database_without_runs_exports_its_costs(empty_db: Database, golden: Path, tmp_path: Path) -> None:
    report = bloxdb.export_release(tmp_path / "all", empty_db)
    assert [path.name for path in report.files] == ["blox-info.blox"]
    assert len(codecs.read(report.files[0])) == 91_125
    bloxdb.import_release(golden / TINY / "blox-bench-jetson-nano.csv", empty_db)
    report = bloxdb.export_release(tmp_path / "some", empty_db)
    assert len(codecs.read(tmp_path / "some" / "blox-info.blox")) == 40


def test_a_damaged_epochs_table_is_not_exported(tiny_db: Database, tmp_path: Path) -> None:
    with tiny_db.transaction() as session:
        session.execute(bloxdb.Epoch.__table__.delete().where(bloxdb.Epoch.epoch == 4))
    with pytest.raises(bloxdb.ReleaseError, match="does not have the epochs 1 … 10"):
        bloxdb.export_release(tmp_path / "out", tiny_db)
