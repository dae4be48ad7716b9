"""Importing, exporting and verifying real release folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from bloxdb.release import verify_release

TINY, SMALL = "release-tiny", "release-small"
CONTENT = (
    "SELECT * FROM leaderboard ORDER BY arch_id, seed",
    "SELECT arch_id, seed, e.* FROM epochs e JOIN runs ON runs.id = run_id ORDER BY arch_id, seed, epoch",
    "SELECT arch_id, seed, test_top5, test_loss, best_epoch, gpu, platform FROM runs LEFT JOIN envs ON envs.id = env_id ORDER BY arch_id, seed",
    "SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON devices.id = device_id ORDER BY arch_id, name",
)


def content(db: Database) -> list[list[dict[str, object]]]:
    """All that a release brings, without ids that may differ."""
    tables = [db.rows(query) for query in CONTENT]
    return [[{k: v for k, v in row.items() if k != "run_id"} for row in rows] for rows in tables]


def changed(source: Path, target: Path, row: int, column: str, value: object) -> Path:
    """A copy of a release file with one other value."""
    table = codecs.read(source)
    rows = table.rows()
    rows[row][table.header.columns.index(column)] = value
    codecs.write(Table.from_rows(table.header, rows), target)
    return target


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


def test_formats_may_be_mixed_in_one_folder(
    empty_db: Database, tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    stems = sorted(path.stem for path in (golden / TINY).glob("*.csv"))
    for i, stem in enumerate(stems):
        suffix = list(codecs.FORMATS)[i % 3]
        shutil.copy(golden / TINY / f"{stem}.{suffix}", folder)
    (folder / "notes.txt").write_text("not a release file")
    bloxdb.import_release(folder, empty_db)
    assert content(empty_db) == content(tiny_db)


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
            assert report.notes == ["seed 3: 40 of 40 runs have no ext data, and are not in ext"]
    assert content(empty_db) == content(tiny_db)


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
        ("blox-info", "flops", 12, r"flops and params \(225621476, 2259332\) here"),
    ],
)
def test_contradictions_are_listed_and_replaced_only_on_demand(
    tiny_db: Database, golden: Path, tmp_path: Path, stem: str, column: str, value: object, sentence: str
) -> None:
    before = content(tiny_db)
    path = changed(golden / TINY / f"{stem}.csv", tmp_path / f"{stem}.csv", 0, column, value)
    with pytest.raises(
        bloxdb.ConflictError, match=f"1 values contradict.*{stem}.csv, architecture .*{sentence}|10 values"
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


def test_a_replaced_run_has_its_best_epoch_anew(tiny_db: Database, golden: Path, tmp_path: Path) -> None:
    path = changed(
        golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 0, "val_top1", [99.0, *[1.0] * 9]
    )
    bloxdb.import_release(path, tiny_db, replace=True)
    arch = bloxdb.Arch.get("dab44c12f79899d6de493c696c7ee8d1", tiny_db)
    assert arch is not None
    assert (arch.runs[0].best_epoch, arch.runs[0].val_top1) == (1, 99.0)
    assert arch.epochs[0].val_loss is not None  # what the file does not give stays


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


def test_files_of_different_experiments_are_not_mixed(empty_db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.ReleaseError, match="has epochs"):
        bloxdb.import_release([golden / TINY, golden / SMALL], empty_db)


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


def test_values_finer_than_the_database_keeps_are_refused(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    values = [1.0, 2.0001, *[3.0] * 8]
    path = changed(golden / TINY / "blox-base-3.csv", tmp_path / "blox-base-3.csv", 4, "val_top1", values)
    with pytest.raises(
        bloxdb.BloxFormatError, match="row 4, column val_top1: the value 2.0001 of epoch 2 has more decimals"
    ):
        bloxdb.import_release(path, empty_db)


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


def test_verify_finds_equal_formats(golden: Path) -> None:
    loaded, checks = verify_release(golden / TINY)
    assert len(loaded) == 18
    assert [(check.format, check.compared, check.equal) for check in checks] == [
        ("blox", 6, True),
        ("pickle", 6, True),
        ("csv", 6, True),
    ]


def test_verify_finds_damage_and_differences(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(golden / TINY, folder)
    changed(folder / "blox-base-3.csv", folder / "blox-base-3.csv", 5, "test_top1", 1.5)
    (folder / "blox-info.pickle").write_bytes(b"---\n")
    loaded, checks = verify_release(folder)
    assert [file.path.name for file in loaded if file.problem] == ["blox-info.pickle"]
    differences = {check.format: check.differences for check in checks}
    assert "blox-info.pickle does not load" in differences["pickle"]
    assert any("blox-base-3: .csv and .blox differ" in sentence for sentence in differences["csv"])
    assert not any(check.equal for check in checks)


def test_folders_without_release_files_say_so(empty_db: Database, tmp_path: Path) -> None:
    with pytest.raises(bloxdb.ReleaseError, match="holds no release files"):
        bloxdb.import_release(tmp_path, empty_db)
    with pytest.raises(bloxdb.ReleaseError, match="no file or folder"):
        bloxdb.import_release(tmp_path / "none", empty_db)
