"""What is the user's own in a database that is repaired: it comes over, or it is told to be lost."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import bloxdb
from bloxdb.care.own import definitions_of
from tests.care.damage import PAGE, overwrite, pages_of, small_database
from tests.care.test_checking import changed

DAMAGE = "UPDATE runs SET flops = 1 WHERE id = 2"
"""What has a repair done at all."""

KEPT = {
    "a table": (["CREATE TABLE mine (a, run_id REFERENCES runs (id))", "INSERT INTO mine VALUES ('x', 1), (x'00', 2), (1.5, NULL)"], "SELECT rowid, * FROM mine"),
    "a table without rowid": (['CREATE TABLE "my, own" ("a b" TEXT PRIMARY KEY, "c""d") WITHOUT ROWID', """INSERT INTO "my, own" VALUES ('k', 1)"""], 'SELECT * FROM "my, own"'),
    "a table with a column rowid": (["CREATE TABLE odd (rowid TEXT, oid)", "INSERT INTO odd VALUES ('r', 5)"], "SELECT _rowid_, * FROM odd"),
    "a table of computed columns": (["CREATE TABLE sums (a, b AS (a * 2), c AS (a * 3) STORED)", "INSERT INTO sums VALUES (4)"], "SELECT * FROM sums"),
    "numbers given once": (["CREATE TABLE once (id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO once VALUES (9)", "DELETE FROM once"], "SELECT * FROM sqlite_sequence"),
    "a strict table": (["CREATE TABLE fixed (a INTEGER) STRICT", "INSERT INTO fixed VALUES (3)"], "SELECT * FROM fixed"),
    "a text that is none": (["CREATE TABLE raw (a)", "INSERT INTO raw VALUES (CAST(x'ff41' AS TEXT)), (x'ff41')"], "SELECT typeof(a), hex(a) FROM raw"),
    "a column": (["ALTER TABLE runs ADD COLUMN note TEXT DEFAULT 'none' COLLATE NOCASE", "UPDATE runs SET note = 'N' || id WHERE id > 3"], "SELECT id, note FROM runs WHERE note <> 'n7'"),
    "a column of epochs": (["ALTER TABLE epochs ADD COLUMN \"my note\" NOT NULL DEFAULT 7", 'UPDATE epochs SET "my note" = 2.5 WHERE epoch = 3'], 'SELECT run_id, epoch, "my note" FROM epochs'),
    "a column of the search space": (["ALTER TABLE blocks ADD COLUMN liked REFERENCES runs (id)", "UPDATE blocks SET liked = 3 WHERE id = 4"], "SELECT id, liked FROM blocks"),
    "a computed column": (["ALTER TABLE recipes ADD COLUMN twice AS (epochs * 2)"], "SELECT id, twice FROM recipes"),
    "a view": (["CREATE VIEW best AS SELECT max(test_top1) AS top FROM runs"], "SELECT * FROM best"),
    "a view of what is not there": (["CREATE VIEW stale AS SELECT x FROM nowhere"], "SELECT sql FROM sqlite_master WHERE name = 'stale'"),
    "indices": (["CREATE UNIQUE INDEX one ON runs (arch_id, seed)", "CREATE INDEX two ON epochs (val_top1 * 2)"], "SELECT name, sql FROM sqlite_master WHERE name IN ('one', 'two')"),
    "full texts": (["CREATE VIRTUAL TABLE notes USING fts5(said)", "INSERT INTO notes VALUES ('a red net'), ('a blue one')"], "SELECT rowid, said FROM notes WHERE notes MATCH 'blue'"),
    "a tree of places": (["CREATE VIRTUAL TABLE spots USING rtree(id, low, high)", "INSERT INTO spots VALUES (1, 2, 3), (4, 5, 6)"], "SELECT * FROM spots WHERE low > 3"),
    "a trigger": (["CREATE TABLE seen (what)", "CREATE TRIGGER tells AFTER INSERT ON runs BEGIN INSERT INTO seen VALUES (new.id); END"], "SELECT (SELECT count(*) FROM seen), sql FROM sqlite_master WHERE name = 'tells'"),
    "a trigger that skips rows": (["CREATE TRIGGER skips BEFORE INSERT ON epochs BEGIN SELECT RAISE(IGNORE); END", "CREATE TRIGGER stops BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no'); END"], "SELECT sql FROM sqlite_master WHERE type = 'trigger'"),
    "a version": (["PRAGMA user_version = 77"], "PRAGMA user_version"),
}  # fmt: skip
"""What is made, and a query of it, which gives the same of the copy."""

LOST = {
    "a column with a default that changes": (["PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = replace(sql, 'message TEXT', 'message TEXT, made DEFAULT CURRENT_TIMESTAMP') WHERE name = 'runs'"], "the column made of runs with 40 values: Cannot add a column with non-constant default"),
    "a table of a module that is not here": (["CREATE TABLE m (a)", "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = 'CREATE VIRTUAL TABLE m USING nowhere(a)', rootpage = 0 WHERE name = 'm'"], "the table m: not authorized"),
    "a unique index of rows that are alike": (["CREATE INDEX one ON runs (recipe_id)", "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = replace(sql, 'CREATE INDEX', 'CREATE UNIQUE INDEX') WHERE name = 'one'"], "the index one: UNIQUE constraint failed: runs.recipe_id"),
    **{
        f"a definition that does something else: {sql[:30]}": (["CREATE TABLE m (a)", "PRAGMA writable_schema = ON", f"INSERT INTO sqlite_master VALUES ('{kind}', 'evil', 'evil', 0, '{sql}')"], f"the {kind} evil{said}")
        for kind, sql, said in (
            ("table", "CREATE TABLE evil (a); DELETE FROM runs", ""),
            ("view", "DELETE FROM runs", ": not authorized"),
            ("index", "UPDATE runs SET flops = 5", ": not authorized"),
            ("trigger", "ATTACH ''evil.db'' AS evil", ": "),
            ("view", "PRAGMA user_version = 5", ": not authorized"),
            ("view", "VACUUM INTO ''evil.db''", ": "),
        )
    },
    "rows against a rule": (["CREATE TABLE ruled (a CHECK (a > 0))", "INSERT INTO ruled VALUES (-1), (2)"], "1 row of ruled that its own rules refuse"),
    "rows of another type": (["CREATE TABLE ruled (a, b)", "INSERT INTO ruled VALUES ('x', 1), (2, 2), (CAST(x'ff' AS TEXT), 3), (4, 4)", "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = 'CREATE TABLE ruled (a INTEGER, b INTEGER) STRICT' WHERE name = 'ruled'"], "2 rows of ruled that its own rules refuse"),
}  # fmt: skip


@pytest.fixture
def path(tiny_file: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copy(tiny_file, tmp_path / "tiny.db"))
    for file in tmp_path.glob("*.db"):  # 17 MB each
        file.unlink()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_all_that_is_the_users_own_comes_over(path: Path) -> None:
    """All at once: what fires or speaks of another must be in nobody's way."""
    ours = ["SELECT * FROM epochs WHERE epoch < 99", "SELECT id, status, flops FROM runs", "SELECT * FROM latencies"]  # fmt: skip
    before = {query: rows(path, query) for query in ours}
    triggers = {kind: made for kind, made in KEPT.items() if "trigger" in kind}
    for made, _ in [made for kind, made in KEPT.items() if kind not in triggers]:
        changed(path, *made)
    changed(path, DAMAGE)
    for made, _ in triggers.values():
        changed(path, *made)
    due = {kind: rows(path, query) for kind, (_, query) in KEPT.items()}
    assert all(due.values())
    report = bloxdb.repair(path)
    assert (report.lost, report.left) == ([], [])
    assert {kind: rows(report.copy, query) for kind, (_, query) in KEPT.items()} == due
    width = {query: len(found[0]) for query, found in before.items()}
    after = {query: [row[: width[query]] for row in rows(report.copy, query)] for query in ours}
    assert after == before
    assert report.rows["mine"] == 3
    assert bloxdb.check(report.copy).findings == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEPT)
def test_each_of_the_users_own_comes_over_alone(path: Path, kind: str) -> None:
    made, query = KEPT[kind]
    changed(path, DAMAGE, *made)
    due = rows(path, query)
    report = bloxdb.repair(path)
    assert (report.lost, report.left) == ([], [])
    assert rows(report.copy, query) == due


@pytest.mark.parametrize("kind", LOST)
def test_what_cannot_come_over_is_told(path: Path, kind: str) -> None:
    made, said = LOST[kind]
    changed(path, DAMAGE, *made)
    if "made" in said:
        changed(path, "UPDATE runs SET made = 'today'")
    report = bloxdb.repair(path)
    (lost,) = [line for line in report.lost if line.startswith(said)]
    assert said.endswith((": ", "evil")) or lost == said
    assert len(report.lost) == 1
    if "ruled" in said:
        assert {row[0] for row in rows(report.copy, "SELECT a FROM ruled")} <= {2, 4}
    assert not report.is_whole
    assert not list(path.parent.glob("evil*"))
    assert rows(report.copy, "SELECT count(*) FROM runs") == [(40,)]


def test_own_rows_of_runs_that_are_lost_stay_and_are_told(path: Path) -> None:
    changed(
        path,
        "CREATE TABLE mine (a, run_id REFERENCES runs (id))",
        "INSERT INTO mine VALUES ('x', 1), ('y', 2)",
        "ALTER TABLE runs ADD COLUMN note",
        "UPDATE runs SET note = id",
        "UPDATE runs SET arch_id = 'x' WHERE id = 2",
    )
    report = bloxdb.repair(path)
    assert "of mine 1 row refers to one that is not there" in [found.message for found in report.left]
    assert rows(report.copy, "SELECT a, note FROM mine LEFT JOIN runs ON id = run_id") == [("x", 1), ("y", None)]  # fmt: skip


def test_damaged_pages_of_an_own_table_and_column_are_told(empty_file: Path, tmp_path: Path) -> None:
    path = small_database(tmp_path / "small.db", empty_file)
    changed(
        path,
        "CREATE TABLE mine (a)",
        "INSERT INTO mine SELECT printf('%0100d', epoch) FROM epochs",
        "CREATE VIRTUAL TABLE notes USING fts5(said)",
        "INSERT INTO notes SELECT printf('%0100d', epoch) FROM epochs LIMIT 100",
        "ALTER TABLE latencies ADD COLUMN note",
        "UPDATE latencies SET note = arch_id",
    )
    content = bytearray(path.read_bytes())
    for name in ("mine", "notes_content", "latencies"):
        leaves = pages_of(path, name, "leaf")
        overwrite(content, leaves[len(leaves) // 2], b"\xff" * PAGE)
    path.write_bytes(content)
    report = bloxdb.repair(path)
    assert "the table notes, of which a part cannot be read" in report.lost
    place = r"after number (\d+) and before number (\d+) \((\d+) at the most\) cannot be read"
    told = [re.fullmatch(f"(?:rows of mine|the values of .*) {place}", lost) for lost in report.lost]
    mine, _ = ([int(number) for number in match.groups()] for match in told if match)
    assert rows(report.copy, f"SELECT max(rowid) FROM mine WHERE rowid < {mine[1]}") == [(mine[0],)]
    assert 1200 - report.rows["mine"] == mine[1] - mine[0] - 1 == mine[2] > 0
    assert rows(report.copy, "SELECT count(*) FROM latencies WHERE note <> arch_id") == [(0,)]
    assert rows(report.copy, "SELECT name FROM sqlite_master WHERE name LIKE 'notes%'") == []


def test_a_copy_is_read_by_nobody_who_could_not_read_the_original(path: Path) -> None:
    changed(path, DAMAGE)
    path.chmod(0o600)
    assert bloxdb.repair(path).copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sql", "name", "definition"),
    [
        ("CREATE TABLE t (id, note)", "note", "note"),
        ("CREATE TABLE t(id,[a, b] TEXT)", "a, b", "[a, b] TEXT"),
        ("CREATE TABLE t (id, `a``b` DEFAULT 'x, y' -- , no\n)", "a`b", "`a``b` DEFAULT 'x, y'"),
        ("CREATE TABLE t (id, /* , */ n INTEGER CHECK (n IN (1, 2)), PRIMARY KEY (id, n))", "n", "n INTEGER CHECK (n IN (1, 2))"),
        ("CREATE TABLE t (id, \"a\"\"b\" AS (id || '('))", 'a"b', "\"a\"\"b\" AS (id || '(')"),
    ],
)  # fmt: skip
def test_the_definition_of_a_column_is_found(sql: str, name: str, definition: str) -> None:
    assert definitions_of(sql)[name] == definition
