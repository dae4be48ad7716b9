"""Queries of a caller's own: nothing is ever written by one, and its text means what SQL says it means."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bloxdb
from bloxdb import Database
from bloxdb.db.reading import authorize, distinct

WRITING = [
    "DELETE FROM runs",
    "WITH one AS (SELECT 1) DELETE FROM runs",
    "/* SELECT */ UPDATE runs SET seed = 1",
    "INSERT INTO devices (name) VALUES ('a') RETURNING id",
    "REPLACE INTO devices (id, name) VALUES (1, 'a')",
    "EXPLAIN DELETE FROM runs",
    "CREATE TABLE new (x)",
    "CREATE TEMP TABLE new (x)",
    "CREATE TEMP VIEW new AS SELECT 1",
    "CREATE VIRTUAL TABLE new USING fts5(x)",
    "CREATE INDEX new ON runs (seed)",
    "DROP TABLE runs",
    "DROP VIEW leaderboard",
    "ALTER TABLE runs ADD COLUMN new",
    "ATTACH 'new.db' AS new",
    "ATTACH ':memory:' AS new",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO 'new.db'",
    "REINDEX",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT one",
    "SELECT load_extension('new')",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA query_only = OFF",
    "PRAGMA query_only(0)",
    "PRAGMA Foreign_Keys = off",
    "PRAGMA writable_schema = ON",
    "PRAGMA user_version = 3",
    "PRAGMA main.application_id = 3",
    "PRAGMA wal_checkpoint",
    "PRAGMA optimize",
    "PRAGMA incremental_vacuum",
    "SELECT * FROM pragma_wal_checkpoint",
]


def by_stream(db: Database, query: str, **values: object) -> list[dict[str, Any]]:
    with db.stream(query, **values) as (names, rows):
        return [dict(zip(names, row, strict=True)) for row in rows]


WAYS = pytest.mark.parametrize("ask", [Database.rows, by_stream])
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module", params=[True, False], ids=["read only", "for writing"])
def db(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_file: Path
) -> Iterator[Database]:
    """A database alone in its folder, which no test of this module changes."""
    path = shutil.copy(tiny_file, tmp_path_factory.mktemp("alone") / "blox.db")
    with bloxdb.open(path, read_only=request.param, current=False) as opened:
        yield opened


@WAYS
@pytest.mark.parametrize("query", WRITING)
def test_what_does_more_than_read_is_refused_with_how_to_write(
    query: str, ask: Ask, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert db.path is not None
    monkeypatch.chdir(db.path.parent)
    before = state(db)
    sentence = r"only reads; .*db\.transaction\(\)|no such table: pragma_"
    with pytest.raises(bloxdb.DatabaseError, match=sentence):
        ask(db, query)
    assert state(db) == before
    assert {path.name for path in db.path.parent.iterdir()} <= {"blox.db", "blox.db-wal", "blox.db-shm"}


def state(db: Database) -> list[Any]:
    settings = ("journal_mode", "query_only", "foreign_keys", "user_version", "application_id")
    return [
        db.rows("SELECT * FROM sqlite_master ORDER BY name"),
        db.rows("SELECT count(*) AS runs, sum(seed) FROM runs"),
        db.rows("SELECT * FROM devices"),
        db.rows("PRAGMA database_list"),
        *(db.rows(f"PRAGMA {name}") for name in settings),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM leaderboard",
        "VALUES (1, 2)",
        "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT i, sum(i) OVER () FROM r",
        "SELECT hash, rank() OVER (ORDER BY test_top1) FROM leaderboard",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT name FROM pragma_table_info('runs')",
        "SELECT name FROM sqlite_master",
        "EXPLAIN QUERY PLAN SELECT * FROM runs",
        "PRAGMA table_info(runs)",
        "PRAGMA index_list('runs')",
        "PRAGMA foreign_keys",
        "PRAGMA integrity_check",
        "PRAGMA main.page_size",
    ],
)
def test_what_reads_is_answered(query: str, db: Database) -> None:
    assert db.rows(query)
    assert by_stream(db, query) == db.rows(query)


@WAYS
@pytest.mark.parametrize("query", ["", ";", "  ", "-- nothing", "/* nothing */"])
def test_a_statement_without_rows_is_told_so(query: str, ask: Ask, db: Database) -> None:
    with pytest.raises(bloxdb.DatabaseError, match="gives no rows; a query begins with SELECT"):
        ask(db, query)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELEC 1", 'near "SELEC"'),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT :x", ":x"),
        ("SELECT ?", "Binding 1"),
        ("SELECT '\0'", "null character"),
        ("SELECT '\udc80'", "surrogates"),
        ("SELECT CAST(x'ff' AS TEXT)", "UTF-8"),
        ("SELECT absent FROM runs", "no such column: absent"),
        ("SELECT abs(-9223372036854775808 + (id = 9)) FROM blocks", "integer overflow"),
    ],
)
@WAYS
def test_a_query_that_is_none_is_a_sentence_of_one_line(
    query: str, sentence: str, ask: Ask, db: Database
) -> None:
    with pytest.raises(bloxdb.DatabaseError, match=sentence) as caught:
        ask(db, query)
    assert str(caught.value).startswith(f"{db.name}: ")
    assert "\n" not in str(caught.value)


def test_columns_of_one_name_all_stay(db: Database) -> None:
    query = (
        "SELECT r.id, a.id, b.id FROM runs r JOIN archs a ON a.id = arch_id JOIN blocks b ON b.id = block1_id"
    )
    (names, rows), dicts = db.ask(query), db.rows(query)
    assert names == ("id", "id_1", "id_2")
    assert [tuple(row.values()) for row in dicts] == rows
    assert len({row["id"] for row in dicts}) == len(rows) == 40
    assert db.ask("SELECT id, seed, id FROM runs WHERE 0") == (("id", "seed", "id_1"), [])


@given(st.lists(st.sampled_from(["id", "id_1", "id_1_1", "id_2", "seed"]), max_size=8))
def test_names_are_made_distinct_and_otherwise_stay(names: list[str]) -> None:
    found = distinct(names)
    assert len(set(found)) == len(found) == len(names)
    assert set(names) <= set(found)
    assert all(new == name or new.startswith(f"{name}_") for new, name in zip(found, names, strict=True))
    assert [found[names.index(name)] for name in names] == names


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT '12:30:45' AS x", "12:30:45"),
        ("SELECT ':x' || :x AS x", ":x1"),
        ("SELECT 'it''s :y' AS x", "it's :y"),
        (r"SELECT 'a\:b' AS x", r"a\:b"),
        ("SELECT '%s %(x)s %' AS x", "%s %(x)s %"),
        ("SELECT :x AS x -- :y, 'a", 1),
        ("SELECT /* :y */ :x AS x", 1),
        ('SELECT x FROM (SELECT 1 AS ":y", 2 AS [:z], 3 AS `:w`, 4 AS x)', 4),
    ],
)
def test_a_colon_in_a_literal_a_name_or_a_comment_is_text(query: str, value: object, db: Database) -> None:
    assert db.rows(query, x=1) == [{"x": value}]


def test_values_are_those_of_the_engine(db: Database) -> None:
    (row,) = db.rows("SELECT x'00ff' AS blob, 9e999 AS inf, NULL AS none, 1.5 AS float, 'é' AS text")
    assert row == {"blob": b"\x00\xff", "inf": math.inf, "none": None, "float": 1.5, "text": "é"}


@pytest.mark.parametrize("name", ["load_extension", "fts3_tokenizer"])
def test_functions_that_bring_foreign_code_are_refused(name: str) -> None:
    assert authorize(sqlite3.SQLITE_FUNCTION, None, name, None, None) == sqlite3.SQLITE_DENY
    assert authorize(sqlite3.SQLITE_FUNCTION, None, "max", None, None) == sqlite3.SQLITE_OK
    assert authorize(sqlite3.SQLITE_READ, "runs", name, "main", None) == sqlite3.SQLITE_OK  # a column


def test_an_error_in_the_middle_of_a_stream_comes_behind_the_rows_before_it(db: Database) -> None:
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT abs(CASE i WHEN 3500 THEN -9223372036854775808 ELSE i END) FROM n"
    seen = []

    def ask() -> None:
        with db.stream(query) as (_, rows):
            seen.extend(value for (value,) in rows)

    with pytest.raises(bloxdb.DatabaseError, match=r"blox\.db: integer overflow"):
        ask()
    assert seen == list(range(1, len(seen) + 1))
    assert 2000 <= len(seen) < 3500


def test_what_goes_wrong_where_rows_are_used_stays_as_it_is(db: Database) -> None:
    def use(error: BaseException) -> None:
        with db.stream("SELECT * FROM archs") as (_, rows):
            next(rows)
            raise error

    for error in (OverflowError("of mine"), UnicodeError("of mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            use(error)
        assert caught.value is error
    with db.stream("SELECT id FROM archs ORDER BY id") as (names, rows):
        assert names == ("id",)
        assert next(rows) == (0,)
    assert db.rows("SELECT count(*) AS n FROM archs") == [{"n": 91125}]


def test_a_closed_database_streams_nothing(empty_db: Database) -> None:
    empty_db.close()
    with pytest.raises(bloxdb.DatabaseError, match="was closed"), empty_db.stream("SELECT 1"):
        pass
