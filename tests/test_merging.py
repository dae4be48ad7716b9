"""Databases that were filled apart come together: what agrees, what contradicts, what is missing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update

import bloxdb
from bloxdb import Database, Epoch, Latency, Recipe, Run

MakeDb = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, tiny_file: Path) -> MakeDb:
    """Copies of release-tiny, with what a function does to them."""

    def make_one(name: str, change: Callable[[Database], None] = lambda db: None) -> Path:
        path = Path(shutil.copy(tiny_file, tmp_path / name))
        with bloxdb.open(path) as db:
            change(db)
        return path

    return make_one


@pytest.fixture
def ours(make: MakeDb) -> Iterator[Database]:
    """A database with the first half of the runs."""
    with bloxdb.open(make("ours.db", without("> 20"))) as db:
        yield db


def without(which: str) -> Callable[[Database], None]:
    """Remove runs and latencies by their place in the order of architectures."""

    def change(db: Database) -> None:
        ids = [row["id"] for row in db.rows("SELECT id FROM runs ORDER BY arch_id")]
        gone = [run_id for place, run_id in enumerate(ids, start=1) if eval(f"{place} {which}")]
        archs = [row["arch_id"] for row in db.rows("SELECT arch_id, id FROM runs") if row["id"] in gone]
        with db.transaction() as session:
            session.execute(delete(Epoch).where(Epoch.run_id.in_(gone)))
            session.execute(delete(Run).where(Run.id.in_(gone)))
            session.execute(delete(Latency).where(Latency.arch_id.in_(archs)))

    return change


def change_first(**values: object) -> Callable[[Database], None]:
    """Change columns of the run of the lowest architecture."""

    def change(db: Database) -> None:
        with db.transaction() as session:
            first = session.query(Run).order_by(Run.arch_id).first()
            assert first is not None
            session.execute(update(Run).where(Run.id == first.id).values(**values))

    return change


CONTENT = (
    "SELECT arch_id, seed, status, best_epoch, val_top1, test_top1, test_top5, test_loss, train_time_s, gpu, "
    "torch_version FROM runs LEFT JOIN envs ON envs.id = env_id ORDER BY arch_id",
    "SELECT arch_id, epoch, train_top1_milli, train_top5_milli, train_loss_micro, epochs.val_top1_milli, "
    "val_top5_milli, val_loss_micro FROM epochs JOIN runs ON runs.id = run_id ORDER BY arch_id, epoch",
    "SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON id = device_id ORDER BY arch_id, name",
)


def content(db: Database) -> list[list[dict[str, object]]]:
    """All that a merge is about."""
    return [db.rows(query) for query in CONTENT]


def test_two_halves_make_the_whole(make: MakeDb, ours: Database, tiny_file: Path) -> None:
    report = bloxdb.merge([make("theirs.db", without("<= 20"))], ours)
    with bloxdb.open(tiny_file, read_only=True, current=False) as whole:
        assert content(ours) == content(whole)
    assert (report.added, report.agreed, report.replaced) == (20 + 2 * 20, 0, 0)
    (found,) = report.gaps.values()
    assert sum(last - first + 1 for first, last in found) == 91_125 - 40
    assert ours.rows("PRAGMA foreign_key_check") == []


def test_duplicates_that_agree_are_counted(make: MakeDb, ours: Database) -> None:
    theirs = make("theirs.db")
    assert bloxdb.merge([theirs], ours).agreed == 20 + 2 * 20
    before = content(ours)
    report = bloxdb.merge([theirs, theirs], ours)
    assert (report.added, report.agreed) == (0, 2 * (40 + 2 * 40))
    assert content(ours) == before


def test_the_database_that_is_asked_stays_the_same(make: MakeDb, ours: Database) -> None:
    theirs = make("theirs.db")
    with bloxdb.open(ours.path) as again:
        bloxdb.merge([theirs], again)
        assert bloxdb.db.database.current() is again


def test_several_databases_come_in_together(make: MakeDb, tiny_file: Path, empty_db: Database) -> None:
    parts = [make(f"{n}.db", without(f"not in range({13 * n}, {13 * n + 15})")) for n in range(4)]
    report = bloxdb.merge(parts, empty_db)
    with bloxdb.open(tiny_file, read_only=True, current=False) as whole:
        assert content(empty_db) == content(whole)
    assert report.added == 40 + 2 * 40
    assert report.agreed > 0


def test_contradictions_are_listed_and_nothing_is_merged(make: MakeDb, ours: Database) -> None:
    before = content(ours)
    theirs = make("theirs.db", change_first(test_top1=12.5))
    with pytest.raises(bloxdb.ConflictError, match=r"1 value contradicts .* 12.5 in .*theirs.db"):
        bloxdb.merge([theirs], ours)
    assert content(ours) == before


def test_epochs_alone_can_contradict(make: MakeDb, ours: Database) -> None:
    def change(db: Database) -> None:
        with db.transaction() as session:
            session.execute(text("UPDATE epochs SET val_loss_micro = 1 WHERE run_id = 1 AND epoch = 7"))

    with pytest.raises(bloxdb.ConflictError, match="1 value contradicts"):
        bloxdb.merge([make("theirs.db", change)], ours)


@pytest.mark.parametrize(
    ("prefer", "ours_at", "theirs_at", "kept"),
    [
        ("first", 1, 2, "ours"),
        ("newest", 1, 2, "theirs"),
        ("newest", 2, 1, "ours"),
    ],
)
def test_a_preference_decides(make: MakeDb, prefer: str, ours_at: int, theirs_at: int, kept: str) -> None:
    def version(value: float, hour: int) -> Callable[[Database], None]:
        return change_first(test_top1=value, finished_at=datetime(2026, 1, 1, hour))

    ours = make("ours.db", version(11.0, ours_at))
    with bloxdb.open(ours) as db:
        report = bloxdb.merge([make("theirs.db", version(22.0, theirs_at))], db, prefer=prefer)
        found = db.rows("SELECT test_top1 FROM runs ORDER BY arch_id LIMIT 1")[0]["test_top1"]
        assert found == {"ours": 11.0, "theirs": 22.0}[kept]
        assert (report.kept, report.replaced) == ((1, 0) if kept == "ours" else (0, 1))
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]


@pytest.mark.parametrize("status", ["pending", "running", "failed"])
def test_a_finished_run_takes_the_place_of_one_that_is_not(
    make: MakeDb, status: str, tiny_file: Path
) -> None:
    ours = make("ours.db", change_first(status=status, test_top1=None, worker="elsewhere:1"))
    with bloxdb.open(ours) as db, bloxdb.open(tiny_file, read_only=True, current=False) as whole:
        report = bloxdb.merge([tiny_file], db)
        assert report.replaced == 1
        assert content(db) == content(whole)


def test_what_has_not_ended_stays_where_it_is(make: MakeDb, ours: Database) -> None:
    def change(db: Database) -> None:
        with db.transaction() as session:
            session.execute(update(Run).values(status="running"))

    before = ours.rows("SELECT count(*) AS n FROM runs")
    report = bloxdb.merge([make("theirs.db", change)], ours)
    assert report.unfinished == 40
    assert ours.rows("SELECT count(*) AS n FROM runs") == before


def test_runs_that_ended_early_come_with_the_epochs_they_have(make: MakeDb, empty_db: Database) -> None:
    def change(db: Database) -> None:
        with db.transaction() as session:
            session.execute(text("DELETE FROM epochs WHERE run_id % 3 = 0 AND epoch > 4"))
            session.execute(text("UPDATE runs SET status = 'diverged' WHERE id % 3 = 0"))

    theirs = make("theirs.db", change)
    bloxdb.merge([theirs], empty_db)
    with bloxdb.open(theirs, read_only=True, current=False) as other:
        assert content(empty_db) == content(other)


def test_a_run_with_a_hole_in_its_epochs_is_refused(make: MakeDb, empty_db: Database) -> None:
    def change(db: Database) -> None:
        with db.transaction() as session:
            session.execute(text("DELETE FROM epochs WHERE run_id = 5 AND epoch = 4"))

    with pytest.raises(bloxdb.ReleaseError, match="lacks some of its epochs"):
        bloxdb.merge([make("theirs.db", change)], empty_db)
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]


def test_another_recipe_of_the_same_name_is_refused(make: MakeDb, ours: Database) -> None:
    def change(db: Database) -> None:
        with db.transaction() as session:
            session.execute(update(Recipe).values(train_images=7))

    with pytest.raises(
        bloxdb.ReleaseError,
        match="another recipe named cifar100-10 already .images 45000, 5000, 10000 there, 7",
    ):
        bloxdb.merge([make("theirs.db", change)], ours)


def test_latencies_that_differ_contradict_too(make: MakeDb, ours: Database) -> None:
    def change(db: Database) -> None:
        with db.transaction() as session:
            session.execute(update(Latency).values(latency_ms=9.0))

    theirs = make("theirs.db", change)
    with pytest.raises(bloxdb.ConflictError, match="9.0 ms in"):
        bloxdb.merge([theirs], ours)
    assert bloxdb.merge([theirs], ours, prefer="first").kept == 40
    assert bloxdb.merge([theirs], ours, prefer="newest").replaced == 40
    assert ours.rows("SELECT DISTINCT latency_ms FROM latencies") == [{"latency_ms": 9.0}]


def test_an_unknown_preference_is_refused(ours: Database) -> None:
    with pytest.raises(bloxdb.QueryError, match="choose one of: newest, first, last"):
        bloxdb.merge([], ours, prefer="best")


def test_a_device_that_was_measured_otherwise_is_a_conflict(tiny_db: Database, empty_db: Database) -> None:
    def measured(db: Database, batch: int) -> None:
        with db.transaction() as session:
            session.execute(update(bloxdb.Device).values(settings={"batch": batch}))

    def known(db: Database) -> list[object]:
        return [device.settings["batch"] for device in db.reader.query(bloxdb.Device)]

    assert tiny_db.path is not None
    measured(tiny_db, 1)
    bloxdb.merge([tiny_db.path], empty_db)
    assert set(known(empty_db)) == {1}
    measured(empty_db, 2)
    with pytest.raises(
        bloxdb.ConflictError, match=r"how device .* was measured, in .*: batch 1 there, 2 here"
    ):
        bloxdb.merge([tiny_db.path], empty_db)
    bloxdb.merge([tiny_db.path], empty_db, prefer="first")
    assert set(known(empty_db)) == {2}


@pytest.mark.parametrize("which", [0, 1])
def test_the_damaged_one_of_several_is_named(
    empty_db: Database, tiny_file: Path, tmp_path: Path, which: int
) -> None:
    places = [Path(shutil.copy(tiny_file, tmp_path / f"other{number}.db")) for number in range(2)]
    with closing(sqlite3.connect(places[which])) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with places[which].open("r+b") as stream:
        stream.seek((root - 1) * size)
        stream.write(b"\xff" * size)
    with pytest.raises(bloxdb.DatabaseError, match=rf"^{places[which]} cannot be merged: .*malformed"):
        bloxdb.merge(places, empty_db)
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
