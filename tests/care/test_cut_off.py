"""Databases that were cut off, or have a bad byte: what can be read is saved, and no run passes for whole."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import bloxdb
from bloxdb.care.repairing import RepairReport

pytestmark = pytest.mark.slow

PAGE = 4096
Runs = dict[tuple[int, int], tuple[Any, ...]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """A database of 120 runs of 200 epochs; copy it."""
    path = tmp_path_factory.mktemp("small") / "small.db"
    shutil.copy(empty_file, path)
    with bloxdb.open(path, current=False) as db:
        bloxdb.import_release(golden / "release-small", db)
    return path


def runs(path: Path) -> Runs:
    """Of each architecture and seed its status, its results and its epochs."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT arch_id, seed, id, status, test_top1, test_loss, best_epoch, message FROM runs"
        found = connection.execute(query).fetchall()
        query = "SELECT * FROM epochs WHERE run_id = ? ORDER BY epoch"
        return {row[:2]: (*row[3:], *connection.execute(query, row[2:3])) for row in found}


def check_honest(path: Path, whole: Path, report: RepairReport) -> Runs:
    """Every run that counts as finished is as it was, and what lacks something says so; the failed ones."""
    before, after = runs(whole), runs(report.copy)
    assert after.keys() <= before.keys()
    failed = {}
    for key, (status, top1, loss, best, message, *epochs) in after.items():
        _, old_top1, old_loss, old_best, _, *old_epochs = before[key]
        assert (top1, loss) == (old_top1, old_loss)
        if status == "finished":
            assert (best, epochs) == (old_best, old_epochs)
            continue
        assert status == "failed"
        assert set(epochs) < set(old_epochs)
        assert best in ((old_best,) if any(epoch[1] == old_best for epoch in epochs) else (None,))
        lost = sorted({epoch[1] for epoch in old_epochs} - {epoch[1] for epoch in epochs})
        assert message.startswith("epoch ") == (len(lost) == 1)
        assert message.startswith("epochs ") == (len(lost) > 1)
        assert str(lost[0]) in message
        assert str(lost[-1]) in message
        failed[key] = after[key]
    assert report.is_whole == (after == before)
    assert {found.kind for found in report.left} <= {"epochs"}  # gaps, of runs that have failed
    assert [file.name for file in path.parent.iterdir() if file not in (path, report.copy)] == []
    return failed


def pages_of(path: Path, name: str, kind: str = "leaf") -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path"
        return [page for (page,) in connection.execute(query, (name, kind))]


@pytest.mark.parametrize("cut", [-40 * PAGE, -100])
def test_a_file_that_was_cut_off_gives_all_that_is_before(small: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "small.db"
    path.write_bytes(small.read_bytes()[:cut])
    there, due = (file.stat().st_size // PAGE for file in (path, small))
    messages = [found.message for found in bloxdb.check(path).findings if found.kind == "damage"]
    rest = " and a part of one" if cut % PAGE else ""
    assert any(
        message.startswith(f"the file was cut off: it has {there:,} of {due:,} pages{rest}")
        for message in messages
    )
    report = bloxdb.repair(path)
    failed = check_honest(path, small, report)
    assert len(runs(report.copy)) == 120
    assert 1 <= len(failed) <= 1 - cut // PAGE
    assert report.lost[0].startswith("rows of epochs after run_id ")
    told = [sentence for sentence in report.lost if "failed now: architecture" in sentence]
    assert sum(int(sentence.split(" of ")[1].split()[0]) for sentence in told) == len(failed)
    with bloxdb.open(report.copy, current=False) as db:
        bloxdb.merge(small, db)
    assert runs(report.copy) == runs(small)


def test_leaves_are_found_though_the_pages_that_led_to_them_were_cut_off(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    path.write_bytes(small.read_bytes()[: 4300 * PAGE])
    inner = [page for page in pages_of(small, "epochs", "internal") if page <= 4300]
    leaves = [page for page in pages_of(small, "epochs") if page <= 4300]
    assert len(inner) == 1  # of three; it leads to none of them
    report = bloxdb.repair(path)
    before, after = runs(small), runs(report.copy)
    assert {key: set(run[5:]) <= set(before[key][5:]) for key, run in after.items()} == dict.fromkeys(
        after, True
    )
    assert len(leaves) > 80
    assert 100 * len(leaves) < report.rows["epochs"] < 120 * len(leaves)
    assert any(
        said.endswith("rows of epochs came from pages that nothing leads to any more")
        for said in report.repaired
    )
    failed = sum(run[0] == "failed" for run in after.values())
    assert failed == 120 - sum(run[0] == "finished" for run in after.values())


def test_a_file_of_a_quarter_says_that_all_runs_are_lost(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    path.write_bytes(small.read_bytes()[: small.stat().st_size // 4])
    report = bloxdb.repair(path)
    assert report.rows == {"recipes": 1, "envs": 3, "devices": 2, "runs": 0, "epochs": 0, "latencies": 120}
    runs_lost, *epochs_lost = report.lost
    assert runs_lost == "rows of runs at any place cannot be read"
    assert epochs_lost  # an inner page of theirs is there, whose rows have no runs
    assert all("of epochs" in sentence for sentence in epochs_lost)
    check_honest(path, small, report)


@pytest.mark.parametrize("size", [100, 3 * PAGE])
def test_a_header_alone_gives_nothing_and_leaves_nothing(small: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "small.db"
    path.write_bytes(small.read_bytes()[:size])
    (found,) = bloxdb.check(path).findings
    assert found.kind == "damage"
    with pytest.raises(bloxdb.BloxError, match=r"nothing can be read of .*small.db"):
        bloxdb.repair(path)
    assert [file.name for file in tmp_path.iterdir()] == ["small.db"]


def test_rows_of_damaged_pages_come_from_indices(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    content = bytearray(small.read_bytes())
    for table in ("runs", "latencies", "envs"):
        leaves = pages_of(small, table)
        page = leaves[len(leaves) // 2]
        content[(page - 1) * PAGE : page * PAGE] = b"\xff" * PAGE
    path.write_bytes(content)
    report = bloxdb.repair(path)
    lost = "device_workers, started_at, finished_at, heartbeat_at, worker, message"
    told = [sentence.partition(" ")[2] for sentence in report.lost]
    assert told == [
        f"rows of runs came from an index, without env_id, best_epoch, {lost}",
        "rows of latencies came from an index, without spread_ms",
    ]
    assert "3 rows of envs came from an index" in report.repaired
    rows = {"runs": 120, "epochs": 24_000, "latencies": 120, "envs": 3}
    assert {name: report.rows[name] for name in rows} == rows
    assert runs(report.copy) == runs(small)
    assert report.left == []


@pytest.mark.parametrize(
    ("name", "taken"), [("cifar100-200", "200 epochs of cifar100"), ("mine", "200 epochs of unknown")]
)
def test_runs_of_a_recipe_that_cannot_be_read_are_kept(
    small: Path, tmp_path: Path, name: str, taken: str
) -> None:
    path = Path(shutil.copy(small, tmp_path / "small.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE recipes SET name = ?", (name,))
    (page,) = pages_of(path, "recipes")
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    path.write_bytes(content)
    report = bloxdb.repair(path)
    assert report.lost == [
        "rows of recipes at any place cannot be read",
        f"the settings of recipe {name}, which is taken for {taken} now",
    ]
    assert runs(report.copy) == runs(small)
    assert report.left == []


def test_a_row_with_a_bad_byte_in_a_text_loses_that_text_alone(small: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small, tmp_path / "small.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET worker = 'a worker whose name is long' WHERE id = 9")
    content = path.read_bytes()
    assert content.count(b"a worker whose") == 1
    path.write_bytes(content.replace(b"a worker whose", b"a w\xffrker whose"))
    assert ["not UTF-8" in found.message for found in bloxdb.check(path).findings] == [True]
    report = bloxdb.repair(path)
    assert (report.lost, report.repaired) == ([], ["1 row of runs had a worker of another kind"])
    assert runs(report.copy) == runs(small)


def test_a_row_of_epochs_with_a_bad_key_fails_its_run(small: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small, tmp_path / "small.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE epochs SET epoch = 'x' WHERE run_id = 9 AND epoch = 50")
    report = bloxdb.repair(path)
    (key,) = check_honest(path, small, report)
    assert report.lost == [
        "1 row of epochs had a epoch of another kind",
        f"epoch 50 of 1 run, which has failed now: architecture {key[0]}",
    ]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("runs SET started_at = 'yesterday' WHERE id = 9", "started_at"),
        ("recipes SET config = '{\"lr\": '", "config"),
    ],
)
def test_a_text_that_is_no_date_or_json_is_told_and_loses_that_text_alone(
    small: Path, tmp_path: Path, change: str, column: str
) -> None:
    path = Path(shutil.copy(small, tmp_path / "small.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {change}")
    table = change.partition(" ")[0]
    told = "the database has .* is due; `bloxdb check` says where, and `bloxdb check --repair` makes a copy"
    with bloxdb.open(path, current=False) as db:
        for ask in (lambda: bloxdb.to_arrow(table, db), lambda: bloxdb.export_parquet(tmp_path / "out", db)):
            with pytest.raises(bloxdb.DatabaseError, match=told):
                ask()
    report = bloxdb.repair(path)
    assert (report.lost, report.left) == ([], [])
    assert report.repaired == [f"1 row of {table} had a {column} that cannot be read"]
    assert runs(report.copy) == runs(small)
