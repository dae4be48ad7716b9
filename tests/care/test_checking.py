"""Databases that are damaged in every way that `check` knows, and what `repair` makes of them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.care import checking, repairing, salvage
from bloxdb.db import forking
from bloxdb.db.base import Base
from bloxdb.measures import EPOCH
from bloxdb.writing import workspace
from tests.db.programs import whole
from tests.runs.helpers import RESULT, claim, finish, queue_of

CONTENT = (
    "SELECT name, epochs FROM recipes ORDER BY name",
    "SELECT name FROM devices ORDER BY name",
    "SELECT * FROM envs ORDER BY id",
    "SELECT * FROM runs ORDER BY id",
    "SELECT * FROM epochs ORDER BY run_id, epoch",
    "SELECT * FROM latencies ORDER BY arch_id, device_id",
    "SELECT * FROM archs JOIN static_info ON id = arch_id ORDER BY id",
    "SELECT * FROM blocks",
)


def content(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(query).fetchall() for query in CONTENT]


def changed(path: Path, *statements: str) -> None:
    """Do to a file what bloxdb itself would not do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)


def on_leaf(path: Path, name: str, number: int, data: bytes) -> None:
    """Write over a page of a table or an index, of those that hold its rows."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    with path.open("r+b") as stream:
        while True:
            stream.seek((page - 1) * size)
            found = stream.read(size)
            if found[0] not in (2, 5):  # https://www.sqlite.org/fileformat2.html#b_tree_pages
                break
            cell = 12 + 2 * (number % int.from_bytes(found[3:5], "big"))
            at = int.from_bytes(found[cell : cell + 2], "big")
            page = int.from_bytes(found[at : at + 4], "big")
        stream.seek((page - 1) * size)
        stream.write(data.ljust(size, b"\xff")[:size])


@pytest.fixture
def path(tiny_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_file, tmp_path / "tiny.db"))


@pytest.mark.parametrize("name", ["release-tiny", "release-small"])
def test_what_bloxdb_makes_is_whole(empty_db: Database, golden: Path, name: str) -> None:
    bloxdb.import_release(golden / name, empty_db)
    queue = queue_of(empty_db, [1, 2, 3, 4])
    ours = [claim(queue, f"elsewhere:{i}") for i in range(4)]
    for record, end in zip(
        ours, (finish, lambda r: r.fail("no"), lambda r: r.begin(), lambda r: r.release()), strict=True
    ):
        assert record is not None
        end(record)  # type: ignore[no-untyped-call]
    report = bloxdb.check(empty_db.path)
    assert report.findings == []
    assert str(report) == f"{empty_db.path} is whole"


def nth(number: int) -> str:
    """One of the runs whose best epoch is not the first."""
    return f"(SELECT id FROM runs WHERE best_epoch > 1 ORDER BY id LIMIT 1 OFFSET {number})"


# What is done to a database, and the kind and the beginning of what is found.
REPAIRED = [
    (f"UPDATE runs SET flops = 1 WHERE id = {nth(0)}", "copy", "1 run has other flops than its architecture; it is of architecture "),
    ("UPDATE runs SET params = 1", "copy", "40 runs have other params than"),
    ("UPDATE archs SET hash = 'x' WHERE id = 7", "space", "2 rows of archs differ from the search space, the first of id 7, whose hash is 'x'"),
    ("UPDATE archs SET vec = '[]' WHERE id = 9", "space", "2 rows of archs differ"),
    ("UPDATE static_info SET flops = flops + 1 WHERE arch_id = 9", "space", "1 row of static_info differs from the search space, of arch_id 9"),
    ("UPDATE blocks SET op1 = 'x' WHERE id = 3", "space", "1 row of blocks differs"),
    ("DELETE FROM archs WHERE id = 91124", "space", "archs lacks 1 row, of id 91124"),
    ("INSERT INTO archs VALUES (91125, 'y', 0, 0, 0, '[]')", "space", "archs has beside those of the search space 1 row"),
    (f"UPDATE runs SET best_epoch = 99 WHERE id = {nth(1)}", "copy", "1 run has a best epoch that is not there"),
    (f"UPDATE runs SET best_epoch = NULL WHERE id = {nth(2)}", "copy", "1 run has no best epoch, and is finished"),
    (f"UPDATE runs SET val_top1 = 1.5 WHERE id = {nth(3)}", "copy", "1 run has another val_top1 than its best epoch"),
    ("DROP INDEX ix_runs_of_archs", "schema", "the table runs has no index ix_runs_of_archs"),
    ("DROP VIEW leaderboard", "schema", "there is no view leaderboard"),
]  # fmt: skip
"""All that a repair makes as it was."""

CHANGED = [
    ("UPDATE runs SET env_id = 77 WHERE id = 1", "reference", "1 row of runs refers to a row of envs that is not there: 77"),
    ("UPDATE epochs SET val_loss_micro = 'x' WHERE epoch = 1 AND run_id = 2", "value", "1 row of epochs has a val_loss_micro that is no integer; it is run_id 2, epoch 1"),
    ("UPDATE runs SET test_top1 = 12345 WHERE id = 6", "value", "1 row of runs has a test_top1 that there cannot be; it is id 6"),
    ("UPDATE runs SET train_time_s = -1 WHERE id = 6", "value", "1 row of runs has a train_time_s that there cannot be; it is id 6"),
    ("UPDATE epochs SET val_top5_milli = 100001 WHERE epoch < 3 AND run_id = 6", "value", "2 rows of epochs have a val_top5_milli that there cannot be; the first is run_id 6, epoch 1"),
    ("UPDATE runs SET train_time_s = NULL WHERE id = 7", "value", "1 run has no train_time_s, and is finished; it is of architecture "),
    ("UPDATE devices SET name = name || char(10) WHERE id = 1", "value", "1 row of devices has a name that no file can be named after; it is id 1"),
]  # fmt: skip
"""What a repair makes NULL, or otherwise than it was."""

LOST = [
    ("INSERT INTO epochs (run_id, epoch) VALUES (9999, 1), (9999, 2)", "reference", "2 rows of epochs refer to rows of runs that are not there, the first to 9999"),
    ("UPDATE runs SET recipe_id = 77 WHERE id = 3", "reference", "1 row of runs refers to a row of recipes that is not there: 77"),
    ("INSERT INTO latencies (arch_id, device_id, latency_ms) VALUES (1, 77, 1.0)", "reference", "1 row of latencies refers to a row of devices that is not there: 77"),
    ("UPDATE runs SET status = 'lost' WHERE id = 4", "damage", "CHECK constraint failed in runs"),
]  # fmt: skip
"""What has no place in a database."""

LEFT = [
    ("DELETE FROM epochs WHERE epoch = 2 AND run_id = 5", "epochs", "1 run has gaps among its epochs"),
    ("UPDATE recipes SET epochs = 500", "epochs", "runs have fewer epochs than their recipes, and are finished"),
]  # fmt: skip
"""What a repair leaves as it is."""


def damaged(path: Path, wrong: list[tuple[str, str, str]]) -> None:
    """Do all of it, and have it found, and not changed."""
    changed(path, *(statement for statement, _, _ in wrong))
    before = path.read_bytes()
    report = bloxdb.check(path)
    for _, kind, said in wrong:
        assert any(f.kind == kind and said in f.message for f in report.findings), (said, report.findings)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["tiny.db"]


ALIKE = [
    # what is done to as many runs or rows, what is found then of one, and of two
    ("UPDATE runs SET flops = 1 WHERE id IN ({})", "run has other flops than its architecture; it is of", "runs have other flops than their architectures; the first is of"),
    ("SELECT 1 -- of those that lack epoch 10", "run has a best epoch that is not there; it is", "runs have a best epoch that is not there; the first is"),
    ("UPDATE runs SET best_epoch = NULL WHERE id IN ({})", "run has no best epoch, and is finished; it is", "runs have no best epoch, and are finished; the first"),
    ("UPDATE runs SET best_epoch = 1, val_top1 = (SELECT val_top1 FROM epochs WHERE run_id = runs.id AND epoch = 1) WHERE id IN ({})", "run has a best epoch that is not the best of its own; it is", "runs have a best epoch that is not the best of their own; the"),
    ("UPDATE runs SET val_top1 = 1.5 WHERE id IN ({})", "run has another val_top1 than its best epoch; it is", "runs have another val_top1 than their best epochs; the"),
    ("DELETE FROM epochs WHERE epoch = 2 AND run_id IN ({})", "run has gaps among its epochs; it is", "runs have gaps among their epochs; the first"),
    ("INSERT INTO epochs (run_id, epoch) SELECT id, 11 FROM runs WHERE id IN ({})", "run has more epochs than its recipe; it is", "runs have more epochs than their recipes; the first"),
    ("DELETE FROM epochs WHERE epoch = 10 AND run_id IN ({})", "run has fewer epochs than its recipe, and is finished; it is", "runs have fewer epochs than their recipes, and are finished; the first"),
    ("UPDATE runs SET env_id = 77 WHERE id IN ({})", "row of runs refers to a row of envs that is not there: 77", "rows of runs refer to rows of envs that are not there, the first to 77"),
    ("UPDATE runs SET test_top1 = 12345 WHERE id IN ({})", "row of runs has a test_top1 that there cannot be", "rows of runs have a test_top1 that there cannot be"),
    ("UPDATE runs SET worker = x'00' WHERE id IN ({})", "row of runs has a worker that is no text", "rows of runs have a worker that is no text"),
    ("UPDATE runs SET message = CAST(x'ff' AS TEXT) WHERE id IN ({})", "row of runs has a message that is not UTF-8", "rows of runs have a message that is not UTF-8"),
    ("UPDATE static_info SET flops = flops + 1 WHERE arch_id < {count}", "row of static_info differs from the search space, of arch_id 0", "rows of static_info differ from the search space, the first of arch_id 0"),
    ("DELETE FROM archs WHERE id >= 91125 - {count}", "archs lacks 1 row, of id 91124", "archs lacks 2 rows, the first of id 91123"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_findings_of_one_and_of_two_are_told_as_such(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        runs = [row[0] for row in connection.execute("SELECT id FROM runs WHERE best_epoch = 10 ORDER BY id")]
    expected = []
    for number, (statement, *told) in enumerate(ALIKE):
        some = ", ".join(map(str, runs[2 * number : 2 * number + count]))
        changed(path, statement.format(some, count=count))
        expected.append(
            told[count - 1] if told[count - 1].startswith("archs") else f"{count} {told[count - 1]}"
        )
    messages = [found.message for found in bloxdb.check(path).findings]
    assert [said for said in expected if not any(message.startswith(said) for message in messages)] == [], (
        messages
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_repairs_of_one_and_of_two_are_told_as_such(path: Path, count: int) -> None:
    for column, value, first in (
        ("flops", "1", 1),
        ("best_epoch", "99", 11),
        ("env_id", "77", 21),
        ("worker", "x'00'", 31),
    ):
        changed(path, f"UPDATE runs SET {column} = {value} WHERE id >= {first} AND id < {first + count}")
    changed(path, f"UPDATE OR IGNORE latencies SET device_id = 77 WHERE rowid <= {count}")
    report = bloxdb.repair(path)
    assert report.repaired == [
        ["1 row of runs referred to a row of envs that is not there", "2 rows of runs referred to rows of envs that are not there"][count - 1],
        ["1 row of runs had a worker of another kind", "2 rows of runs had a worker of another kind"][count - 1],
        ["1 run has the costs of its architecture again", "2 runs have the costs of their architectures again"][count - 1],
        ["1 run has the best of its epochs again", "2 runs have the best of their epochs again"][count - 1],
    ]  # fmt: skip
    assert report.lost == [
        ["1 row of latencies referred to a row of devices that is not there", "2 rows of latencies referred to rows of devices that are not there"][count - 1]
    ]  # fmt: skip


@pytest.mark.slow
def test_what_stands_elsewhere_is_found_and_repaired(path: Path, tiny_file: Path) -> None:
    damaged(path, REPAIRED)
    before = path.read_bytes()
    report = bloxdb.repair(path)
    assert report.copy == path.with_name("tiny.repaired.db")
    assert report.is_whole, (report.lost, report.left)
    assert content(report.copy) == content(tiny_file)
    assert whole(report.copy) == "delete"
    assert path.read_bytes() == before


@pytest.mark.slow
def test_what_is_known_no_more_is_found_and_null_in_the_copy(path: Path) -> None:
    damaged(path, CHANGED)
    with closing(sqlite3.connect(path)) as connection:
        ((device,),) = connection.execute("SELECT name FROM devices WHERE id = 1")
    report = bloxdb.repair(path)
    assert report.is_whole
    assert report.repaired == [
        "1 row of runs referred to a row of envs that is not there",
        "1 row of runs had a test_top1 that there cannot be",
        "1 row of runs had a train_time_s that there cannot be",
        "1 row of epochs had a val_loss_micro of another kind",
        "2 rows of epochs had a val_top5_milli that there cannot be",
        f"device 1, {device!r}, is called {device[:-1]}%0A now, after which a file can be named",
        "2 finished runs have 0 for train_time_s, which was not known",
    ]
    with bloxdb.open(report.copy, current=False) as db:
        assert db.rows("SELECT env_id FROM runs WHERE id = 1") == [{"env_id": None}]
        query = "SELECT val_loss_micro FROM epochs WHERE epoch = 1 AND run_id = 2"
        assert db.rows(query) == [{"val_loss_micro": None}]


@pytest.mark.slow
def test_a_wrong_value_costs_that_value_alone(path: Path, tiny_file: Path) -> None:
    changed(
        path,
        "UPDATE envs SET gpu = x'ff00'",
        "UPDATE recipes SET dataset = x'07'",
        "UPDATE runs SET flops = 'x', worker = x'00', test_loss = 'high' WHERE id = 3",
        "UPDATE latencies SET spread_ms = 'x'",
        "UPDATE devices SET settings = '{'",
    )
    report = bloxdb.repair(path)
    assert (report.lost, report.left) == ([], [])
    before, after = content(tiny_file), content(report.copy)
    with closing(sqlite3.connect(report.copy)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(envs)")]
        at = names.index("gpu")
        assert after[2] == [(*row[:at], "", *row[at + 1 :]) for row in before[2]]
        assert connection.execute("SELECT DISTINCT dataset FROM recipes").fetchall() == [("unknown",)]
        query = "SELECT worker, test_loss FROM runs WHERE id = 3"
        assert connection.execute(query).fetchall() == [(None, None)]
    assert [row for row in after[3] if row[0] != 3] == [row for row in before[3] if row[0] != 3]
    assert [len(rows) for rows in after] == [len(rows) for rows in before]
    with bloxdb.open(report.copy, current=False) as db:
        flops = db.rows(
            "SELECT runs.flops = static_info.flops AS same FROM runs JOIN static_info USING (arch_id)"
        )
        assert {row["same"] for row in flops} == {1}


def test_an_open_database_is_checked_and_stays_open(path: Path) -> None:
    changed(path, REPAIRED[0][0])
    with bloxdb.open(path, current=False) as db:
        told = bloxdb.check(db)
        assert told == bloxdb.check(path)
        assert [found.kind for found in told.findings] == ["copy"]
        assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]
    with pytest.raises(bloxdb.DatabaseError, match="closed"):
        bloxdb.check(db)


@pytest.mark.slow
def test_an_open_database_is_repaired_and_stays_open(path: Path, tiny_file: Path) -> None:
    changed(path, REPAIRED[0][0])
    with bloxdb.open(path, current=False) as db:
        with db.transaction() as session:
            session.execute(text("UPDATE runs SET message = 'new' WHERE id = 9"))
        report = bloxdb.repair(db)
        assert (report.lost, report.left) == ([], [])
        assert report.copy == path.with_name("tiny.repaired.db")
        assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]
    with bloxdb.open(report.copy, current=False) as copy:
        assert copy.rows("SELECT message FROM runs WHERE id = 9") == [{"message": "new"}]


@pytest.mark.slow
def test_what_has_no_place_is_found_and_said_to_be_lost(path: Path) -> None:
    damaged(path, LOST)
    report = bloxdb.repair(path)
    assert not report.is_whole
    assert report.left == []
    assert report.lost == [
        "1 row of runs was there twice, or had a status that there is not",
        "12 rows of epochs referred to rows of runs that are not there",
        "1 row of latencies referred to a row of devices that is not there",
        "the settings of recipe lost-77, which is taken for 10 epochs of unknown now",
    ]
    assert (report.rows["runs"], report.rows["recipes"]) == (39, 2)


@pytest.mark.slow
def test_what_nobody_knows_better_is_found_and_left(path: Path) -> None:
    damaged(path, LEFT)
    report = bloxdb.repair(path)
    assert not report.is_whole
    assert report.lost == []
    assert len(report.left) == len(LEFT)


def test_more_epochs_than_the_recipe_and_a_best_epoch_that_is_not_the_best_are_found(path: Path) -> None:
    changed(
        path,
        "UPDATE recipes SET epochs = 3",
        "UPDATE runs SET best_epoch = 1, val_top1 = (SELECT val_top1 FROM epochs WHERE run_id = runs.id AND "
        "epoch = 1) WHERE id = (SELECT run_id FROM epochs a WHERE epoch = 1 AND val_top1 < "
        "(SELECT max(val_top1) FROM epochs b WHERE b.run_id = a.run_id) LIMIT 1)",
        "UPDATE latencies SET latency_ms = 9e999 WHERE rowid = (SELECT min(rowid) FROM latencies)",
    )
    told = [found.message for found in bloxdb.check(path).findings]
    assert told[0].startswith("40 runs have more epochs than their recipes; the first is of architecture ")
    assert any("a best epoch that is not the best of its own" in message for message in told)
    assert any("latencies has a latency_ms that there cannot be" in message for message in told)


@pytest.mark.slow
def test_nothing_is_lost_of_a_database_that_is_whole(path: Path, tiny_file: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    report = bloxdb.repair(path, copy=tmp_path / "other.db", progress=lambda *args: told.append(args))
    assert (report.lost, report.repaired, report.left) == ([], [], [])
    assert report.rows["runs"] == 40
    assert report.rows["epochs"] == 400
    assert content(report.copy) == content(tiny_file)
    steps = len(repairing._TABLES) + len(checking.CHECKS)
    assert told == [(done, steps, told[done][2]) for done in range(steps)] + [(steps, steps, "done")]
    with pytest.raises(bloxdb.DatabaseExistsError):
        bloxdb.repair(path, copy=report.copy)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sqlite_autoindex_archs_1", "archs"])
def test_a_damaged_page_of_the_search_space_costs_nothing(path: Path, tiny_file: Path, name: str) -> None:
    on_leaf(path, name, 3, b"")
    report = bloxdb.check(path)
    assert {found.kind for found in report.findings} >= {"damage"}
    repaired = bloxdb.repair(path)
    assert repaired.is_whole
    assert content(repaired.copy) == content(tiny_file)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "data"), [(0, b""), (1, b"\x00" * 4096)])
def test_a_damaged_page_of_rows_costs_those_rows_alone(
    empty_db: Database, golden: Path, number: int, data: bytes
) -> None:
    bloxdb.import_release(golden / "release-small", empty_db)
    path = empty_db.path
    assert path is not None
    empty_db.close()
    before = content(path)
    on_leaf(path, "epochs", number, data)
    assert any(found.kind == "damage" for found in bloxdb.check(path).findings)
    repaired = bloxdb.repair(path)
    after = content(repaired.copy)
    assert after[:3] == before[:3]
    assert after[5:] == before[5:]
    assert 0.98 * len(before[4]) < len(after[4]) < len(before[4])
    assert set(after[4]) < set(before[4])
    assert repaired.lost
    assert "rows of epochs" in repaired.lost[0]
    assert not repaired.is_whole
    lacking = {run for run, epoch, *_ in set(before[4]) - set(after[4])}
    for run in zip(before[3], after[3], strict=True):
        assert (run[0] == run[1], run[1][5]) in ((True, "finished"), (False, "failed"))
        assert (run[1][5] == "failed") == (run[1][0] in lacking)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["'x'", "2.5", "x'00'"])
@pytest.mark.parametrize(
    ("table", "column", "to"),
    [("epochs", "run_id", "run_id = 40 AND epoch = 10"), ("latencies", "arch_id", "device_id = 1")],
)
def test_a_row_without_a_number_costs_that_row_alone_and_is_said_to_be_lost(
    path: Path, table: str, column: str, to: str, key: str
) -> None:
    changed(
        path,
        f"UPDATE OR IGNORE {table} SET {column} = {key} WHERE {to} AND {column} = (SELECT max({column}) FROM {table} WHERE {to})",
    )
    before = content(path)
    repaired = bloxdb.repair(path)
    assert not repaired.is_whole
    assert [
        line
        for line in repaired.lost
        if line.startswith("1 row of") and line.endswith(f" had a {column} of another kind")
    ]
    after = content(repaired.copy)
    at = 4 if table == "epochs" else 5
    assert len(after[at]) == len(before[at]) - 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("runs SET started_at = 'yesterday'", "1 row of runs has a started_at that is no date"),
        ("runs SET finished_at = 7", "1 row of runs has a finished_at that is no date"),
        ("recipes SET config = '{'", "1 row of recipes has a config that is no JSON"),
        ("devices SET settings = x'00'", "1 row of devices has a settings that is no JSON"),
        ("runs SET message = CAST(x'ff' AS TEXT)", "1 row of runs has a message that is not UTF-8"),
        ("envs SET gpu = CAST(x'c3' AS TEXT)", "1 row of envs has a gpu that is not UTF-8"),
        ("runs SET seed = -5", "1 row of runs has a seed that there cannot be"),
        ("runs SET seed = 'x'", "1 row of runs has a seed that is no integer"),
        ("runs SET status = 'done'", "1 row of runs has a status that there is not"),
        ("runs SET worker = x'00'", "1 row of runs has a worker that is no text"),
        ("recipes SET epochs = 2.5", "1 row of recipes has a epochs that is no integer"),
    ],
)
def test_a_value_of_another_kind_is_found(path: Path, change: str, said: str) -> None:
    table = change.partition(" ")[0]
    changed(path, f"UPDATE {change} WHERE id = (SELECT min(id) FROM {table})")
    told = [found.message.partition(";")[0] for found in bloxdb.check(path).findings]
    assert said in told


@pytest.mark.slow
@pytest.mark.parametrize("name", EPOCH)
def test_a_fraction_among_integers_is_found(path: Path, name: str) -> None:
    changed(path, f"UPDATE epochs SET {EPOCH[name].column} = 7.5 WHERE run_id = 7 AND epoch = 2")
    said = f"1 row of epochs has a {EPOCH[name].column} that is no integer; it is run_id 7, epoch 2"
    assert said in [found.message for found in bloxdb.check(path).findings]


def test_a_finished_run_without_its_epochs_is_found(path: Path) -> None:
    changed(path, "DELETE FROM epochs WHERE run_id = 7")
    (found,) = bloxdb.check(path).findings
    assert "1 run has fewer epochs than its recipe, and is finished" in found.message


def test_a_file_that_is_locked_is_not_said_to_be_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(path, "UPDATE runs SET flops = 1 WHERE id = 1")
    monkeypatch.setattr(forking.Connection, "patience", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ExitStack() as stack:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(bloxdb.DatabaseError, match="was locked for .*; wait until that has ended"):
            stack.enter_context(salvage.damaged_file(path, path.parent))


def test_unfinished_runs_go_on_before_a_gap(empty_db: Database) -> None:
    from bloxdb.runs import EpochResult, RecipeFacts, RunQueue

    queue = RunQueue(empty_db, [1, 2], RecipeFacts("mine-9", "digits", 9), 0)
    queue.fill()
    record = queue.claim()
    assert record is not None
    record.begin()
    for number in range(1, 6):
        record.epoch(EpochResult(number, RESULT, RESULT))
    record.release()
    path = empty_db.path
    assert path is not None
    empty_db.close()
    changed(path, "DELETE FROM epochs WHERE epoch = 3")
    report = bloxdb.repair(path)
    assert report.is_whole
    assert report.repaired == ["1 unfinished run goes on before a gap in its epochs, without those after it"]
    with bloxdb.open(report.copy, current=False) as db:
        assert [row["epoch"] for row in db.rows("SELECT epoch FROM epochs")] == [1, 2]


@pytest.mark.slow
def test_what_a_killed_process_left_is_found_but_not_what_one_that_lives_uses(path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from bloxdb.writing import workspace\n"
        "with workspace(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path.parent)], check=False)
    (found,) = bloxdb.check(path).findings
    assert (found.kind, "was left by a killed process" in found.message) == ("left", True)
    with workspace(path.parent):
        assert bloxdb.check(path).findings == []
    elsewhere = path.with_name(".bloxdb-00000000-0123456789abcdef.tmp")
    elsewhere.mkdir()
    (found,) = bloxdb.check(path).findings
    assert found.message == (
        f"{elsewhere} was left by a process of another machine, or container; remove it if nothing works here "
        "any more"
    )


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path: path.unlink(), bloxdb.DatabaseNotFoundError),
        (lambda path: path.write_text("no database"), bloxdb.NotADatabaseError),
        (lambda path: changed(path, "UPDATE alembic_version SET version_num = '0001'"), bloxdb.RevisionError),
    ],
)
def test_what_is_no_database_of_this_bloxdb_is_an_error(
    path: Path, damage: Callable[[Path], object], error: type[Exception]
) -> None:
    damage(path)
    with pytest.raises(error):
        bloxdb.check(path)


def test_a_file_whose_schema_is_destroyed_is_a_finding_and_cannot_be_repaired(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * 3996
    path.write_bytes(data)
    (found,) = bloxdb.check(path).findings
    assert (found.kind, "cannot be read at all" in found.message) == ("damage", True)
    with pytest.raises(bloxdb.DatabaseError, match="nothing can be read of"):
        bloxdb.repair(path)
    assert [file.name for file in path.parent.iterdir()] == ["tiny.db"]


def test_every_table_is_copied_or_made_anew() -> None:
    made = {"blocks", "archs", "static_info"}
    assert {table.name for table in repairing._TABLES} | made == set(Base.metadata.tables)


def ask(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bloxdb", "check", "--db", str(path), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.slow
def test_the_command_tells_and_repairs(path: Path, tmp_path: Path) -> None:
    done = ask(path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{path} is whole\n"
    assert json.loads(ask(path, "--json").stdout) == {"database": str(path), "findings": []}
    changed(path, REPAIRED[0][0], LEFT[0][0])
    done = ask(path)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == f"{path}: 2 findings\n"
    told = json.loads(ask(path, "--json", "--repair", str(tmp_path / "new.db")).stdout)
    assert [found["kind"] for found in told["findings"]] == ["copy", "epochs"]
    assert told["repair"]["copy"] == str(tmp_path / "new.db")
    assert [found["kind"] for found in told["repair"]["left"]] == ["epochs"]
    changed(path, "INSERT INTO epochs (run_id, epoch) VALUES (5, 2)")
    done = ask(path, "--repair")
    assert done.returncode == 0
    assert "repaired: 1 run has the costs of its architecture again" in done.stdout
    assert path.with_name("tiny.repaired.db").exists()
