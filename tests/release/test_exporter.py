"""A database written as release files, and what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from bloxdb.measures import RUN
from tests.helpers import SEEDS
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
    assert report.notes == ["seed 3: 33 of 40 runs have no ext data; ext lacks them"]
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


def sql(db: Database, statement: str) -> None:
    with db.transaction() as session:
        session.execute(text(statement))


ONE_RUN = "run_id = (SELECT max(id) FROM runs)"
COPIED = (
    "train_top1_milli, train_top5_milli, train_loss_micro, val_top1_milli, val_top5_milli, val_loss_micro"
)
FURTHER = (
    f"INSERT INTO epochs (run_id, epoch, {COPIED}) SELECT run_id, 11, {COPIED} FROM epochs WHERE epoch = 10"
)
DAMAGE = {
    "one run lacks its last epoch": f"DELETE FROM epochs WHERE epoch = 10 AND {ONE_RUN}",
    "one run lacks its first epoch": f"DELETE FROM epochs WHERE epoch = 1 AND {ONE_RUN}",
    "one run has no epochs": f"DELETE FROM epochs WHERE {ONE_RUN}",
    "no run has epochs": "DELETE FROM epochs",
    "every run lacks its last epoch": "DELETE FROM epochs WHERE epoch = 10",
    "one run has one epoch more": f"{FURTHER} AND {ONE_RUN}",
    "every run has one epoch more": FURTHER,
    "one run has a gap": f"UPDATE epochs SET epoch = 11 WHERE epoch = 5 AND {ONE_RUN}",
    "every run has a gap": "UPDATE epochs SET epoch = 11 WHERE epoch = 5",
    "the first epoch of one run is the eleventh": f"UPDATE epochs SET epoch = 11 WHERE epoch = 1 AND {ONE_RUN}",
    "all epochs count from eleven": "UPDATE epochs SET epoch = epoch + 10",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_run_that_has_other_epochs_than_its_recipe_says_is_not_exported(
    tiny_db: Database, tmp_path: Path, damage: str
) -> None:
    sql(tiny_db, damage)
    with pytest.raises(
        bloxdb.ReleaseError,
        match="run of recipe cifar100-10, seed 3, does not have the epochs 1 … 10 that its recipe says",
    ):
        bloxdb.export_release(tmp_path / "out", tiny_db)
    assert not (tmp_path / "out").exists()


NEEDED = [name for name, measure in RUN.items() if measure.is_needed]


@pytest.mark.parametrize("name", codecs.FORMATS)
@pytest.mark.parametrize("measure", NEEDED)
@pytest.mark.parametrize("others", [0, 2])
def test_a_run_that_lacks_what_files_need_is_named_with_what_to_do(
    tiny_db: Database, tmp_path: Path, measure: str, others: int, name: str
) -> None:
    ids = [row["id"] for row in tiny_db.rows("SELECT id FROM runs ORDER BY arch_id")][: 1 + others]
    (run,) = tiny_db.rows("SELECT id, arch_id, seed FROM runs WHERE id = :id", id=ids[0])
    sql(tiny_db, f"UPDATE runs SET {measure} = NULL WHERE id IN ({', '.join(map(str, ids))})")
    which = f"run {run['id']}, of architecture {run['arch_id']} and seed {run['seed']}"
    more = r" \(and 2 others\)" if others else ""
    with pytest.raises(
        bloxdb.ReleaseError,
        match=f"^{which}{more}, is finished and lacks {measure}, which files cannot leave out; write ",
    ) as caught:
        bloxdb.export_release(tmp_path / "out", tiny_db, format=name)
    advice = re.search(r"`with db\.transaction\(\) as session: (.*?)`", str(caught.value))
    assert advice is not None
    with pytest.raises(bloxdb.ReleaseError, match=f"^{which}{more}, is finished and lacks {measure}, "):
        bloxdb.export_parquet(tmp_path / "parquet", tiny_db)
    if not others:  # what it advises does it
        with tiny_db.transaction() as session:
            exec(advice[1], {"session": session, "bloxdb": bloxdb})
        bloxdb.export_release(tmp_path / "out", tiny_db, format=name)
        bloxdb.export_parquet(tmp_path / "parquet", tiny_db)


def test_epochs_that_lie_in_another_order_are_exported_in_theirs(
    tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    (row,) = tiny_db.rows("SELECT sql FROM sqlite_master WHERE name = 'epochs'")
    backwards = row["sql"].replace("PRIMARY KEY (run_id, epoch)", "PRIMARY KEY (run_id, epoch DESC)")
    assert backwards != row["sql"]
    sql(tiny_db, f"CREATE TABLE kept AS SELECT run_id, epoch, {COPIED} FROM epochs")
    sql(tiny_db, "DROP VIEW leaderboard")
    sql(tiny_db, "DROP TABLE epochs")
    sql(tiny_db, backwards)
    sql(tiny_db, f"INSERT INTO epochs (run_id, epoch, {COPIED}) SELECT * FROM kept")
    report = bloxdb.export_release(tmp_path, tiny_db)
    for path in report.files:
        assert codecs.read(path).sorted().difference(codecs.read(golden / TINY / path.name).sorted()) is None
    sql(tiny_db, f"UPDATE epochs SET epoch = 11 WHERE epoch = 5 AND {ONE_RUN}")
    with pytest.raises(bloxdb.ReleaseError, match="does not have the epochs"):
        bloxdb.export_release(tmp_path, tiny_db)


@pytest.mark.parametrize("stored", [2**31 - 1, 2**31])
def test_values_around_what_32_bits_hold_are_exported_as_they_are(
    tiny_db: Database, tmp_path: Path, stored: int
) -> None:
    sql(tiny_db, f"UPDATE epochs SET val_loss_micro = {stored} WHERE epoch = 2 AND {ONE_RUN}")
    report = bloxdb.export_release(tmp_path, tiny_db, format="pickle")
    (path,) = (path for path in report.files if path.stem == "blox-ext-3")
    table = codecs.read(path)
    found = [row[table.header.columns.index("val_loss")] for row in table.rows()]
    assert sum(values[1] == stored / 1_000_000 for values in found) == 1


def test_runs_that_are_not_finished_are_noted_and_left_out(tiny_db: Database, tmp_path: Path) -> None:
    sql(tiny_db, "UPDATE runs SET status = 'failed' WHERE id <= 3")
    sql(tiny_db, "DELETE FROM epochs WHERE run_id <= 3")
    report = bloxdb.export_release(tmp_path, tiny_db)
    assert report.notes == ["seed 3: 3 runs are not finished, and not in the files"]
    sizes = {path.stem: len(codecs.read(path)) for path in report.files}
    assert {name: sizes[f"blox-{name}-3"] for name in ("base", "ext", "env")} == {
        "base": 37,
        "ext": 37,
        "env": 37,
    }


@pytest.mark.parametrize("column", ["test_loss", "test_top5", "train_loss_micro", "val_top5_milli"])
def test_a_run_with_any_ext_value_is_in_ext(
    empty_db: Database, golden: Path, tmp_path: Path, column: str
) -> None:
    bloxdb.import_release(golden / TINY / "blox-base-3.blox", empty_db)
    if column in ("test_loss", "test_top5"):
        sql(empty_db, f"UPDATE runs SET {column} = 1 WHERE id = 7")
    else:
        sql(empty_db, f"UPDATE epochs SET {column} = 1000 WHERE run_id = 7 AND epoch = 10")
    report = bloxdb.export_release(tmp_path, empty_db, format="pickle")
    assert "seed 3: 39 of 40 runs have no ext data; ext lacks them" in report.notes
    (row,) = codecs.read(tmp_path / "blox-ext-3.pickle").rows()
    assert (
        row[0]
        == empty_db.rows("SELECT hash FROM archs JOIN runs ON archs.id = arch_id AND runs.id = 7")[0]["hash"]
    )


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
def test_seeds_to_export_can_be_written_in_many_ways(
    tiny_db: Database, tmp_path: Path, spelling: Callable[[int], Any]
) -> None:
    sql(tiny_db, "UPDATE runs SET seed = 4 WHERE id <= 10")
    report = bloxdb.export_release(tmp_path, tiny_db, seeds=spelling(4))
    names = [path.stem for path in report.files if path.stem.startswith("blox-base")]
    assert names == ["blox-base-4"]
    assert len(codecs.read(tmp_path / "blox-base-4.blox")) == 10


def test_progress_ends_at_the_whole(tiny_db: Database, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    bloxdb.export_release(tmp_path, tiny_db, progress=lambda *told: seen.append(told))
    whole = 91_125 + 40 * 10 + 40 + 40 + 2 * 40  # rows of info, epochs, ext, env, and two devices
    assert {step[1] for step in seen} == {whole}
    assert seen[-1][0] == whole
    done = [step[0] for step in seen]
    assert done == sorted(done)
    assert {"info", "base 3", "ext 3", "env 3", "bench desktop-cpu"} <= {step[2] for step in seen}
    assert any(what.startswith("base 3, ") and what.endswith(" rows/s") for _, _, what in seen)
