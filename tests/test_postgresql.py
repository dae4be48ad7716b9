"""The same schema and code on a PostgreSQL server; `tests/conftest.py` says when these run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

import bloxdb
from bloxdb import Arch, Database, codecs, progress, queries
from bloxdb.connection import locate
from tests.conftest import POSTGRESQL


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An empty schema on the server, removed at the end."""
    assert POSTGRESQL is not None
    engine = create_engine(locate(POSTGRESQL))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    yield POSTGRESQL
    engine.dispose()


@pytest.fixture(scope="module")
def db(url: str, golden: Path) -> Iterator[Database]:
    """A database with release-tiny."""
    with pytest.raises(bloxdb.NotADatabaseError, match="not a bloxdb database"):
        bloxdb.open(url)
    with bloxdb.create(url) as made:
        bloxdb.import_release(golden / "release-tiny", made)
        yield made


def test_a_release_comes_back_equal(db: Database, golden: Path, tmp_path: Path) -> None:
    assert bloxdb.import_release(golden / "release-tiny", db).added == 0
    for name in codecs.FORMATS:
        report = bloxdb.export_release(tmp_path, db, format=name, strict=True)
        assert len(report.files) == 6
        for path in report.files:
            expected = codecs.read(golden / "release-tiny" / path.name).sorted()
            assert codecs.read(path).sorted().difference(expected) is None


def test_queries_answer_as_on_sqlite(db: Database, tiny_file: Path) -> None:
    with bloxdb.open(tiny_file, read_only=True) as lite:
        for by in queries.MEASURES:
            assert bloxdb.top(20, by=by, max_flops=260e6, db=db) == bloxdb.top(
                20, by=by, max_flops=260e6, db=lite
            )
        assert bloxdb.pareto(db=db) == bloxdb.pareto(db=lite)
        assert progress.progress(db) == progress.progress(lite)
        for query in (
            "SELECT * FROM leaderboard ORDER BY arch_id",
            "SELECT * FROM epochs ORDER BY run_id, epoch",
        ):
            assert db.rows(query) == lite.rows(query)


def test_architectures_have_their_runs(db: Database) -> None:
    arch = Arch.get("dab44c12f79899d6de493c696c7ee8d1", db)
    assert arch is not None
    assert [epoch.val_top1 for epoch in arch.epochs][-1] == 72.76


def test_contradictions_leave_it_as_it_was(db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.ConflictError, match="2 values contradict"):
        bloxdb.import_release(golden / "release-small", db)
    assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]


def test_reading_only_refuses_writing(db: Database, url: str) -> None:
    with bloxdb.open(url, read_only=True) as reader:
        with pytest.raises(bloxdb.DatabaseError, match="read-only"):
            reader.rows("DELETE FROM epochs")
        assert reader.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]


def test_creating_twice_and_upgrading_the_newest(db: Database, url: str) -> None:
    with pytest.raises(bloxdb.DatabaseExistsError, match="already"):
        bloxdb.create(url)
    assert bloxdb.upgrade(url) is None
