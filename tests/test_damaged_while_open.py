"""A file whose pages are damaged while it is open: the same sentence from whatever asks it.

The entries with ``db`` are found by their signatures; what was opened or loaded before is listed here.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

import bloxdb
from bloxdb import Arch, Database, Dataset, Run
from bloxdb.dataset import DatabaseSource
from bloxdb.db import RecipeFacts
from bloxdb.runs import EpochResult, Metrics, RunQueue, RunRecord, RunResult
from tests.cli.helpers import bloxdb as command
from tests.test_databases_everywhere import ENTRIES, call

ASKS_LATER = {"RunRecord", "RunQueue"}
"""What only keeps the database; its methods are below."""

RECIPE = RecipeFacts("cifar100-10", "cifar100", 10)


def damage(path: Path) -> None:
    """Every page but the first is nonsense, and the counter of changes says that no page in memory is right."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as stream:
        content = bytearray(stream.read())
        counter = int.from_bytes(content[24:28], "big") + 1
        for place in (24, 92):
            content[place : place + 4] = counter.to_bytes(4, "big")
        content[size:] = b"\xff" * (len(content) - size)
        stream.seek(0)
        stream.write(content)


class Opened:
    """A database that was damaged after all of this was opened and loaded."""

    def __init__(self, path: Path) -> None:
        self.db = db = bloxdb.open(path)
        self.queue = RunQueue(db, [7], RECIPE, 3)
        self.queue.fill()
        record = self.queue.claim(worker="somebody")
        assert record is not None
        self.record: RunRecord = record
        db.disconnect()  # the WAL is in the file, and gone
        self.run = db.reader.scalars(select(Run).where(Run.status == "finished").limit(1)).one()
        self.arch = Arch.get(int(self.run.arch_id), db)
        self.seed: int = db.rows("SELECT min(seed) AS seed FROM runs")[0]["seed"]
        self.source = DatabaseSource(db, seeds=self.seed)
        self.dataset: Dataset = Dataset(self.source)
        self.problem = bloxdb.Problem(db)
        self.session = Session(db.engine.execution_options(**db.engines.SNAPSHOT))
        self.of_session = self.session.scalars(select(Run).limit(1)).one()
        self.session.commit()
        damage(path)

    def close(self) -> None:
        self.session.close()
        self.db.close()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("damaged-while-open")
    found = Opened(Path(shutil.copy(tiny_file, folder / "tiny.db")))
    yield found
    found.close()
    shutil.rmtree(folder)


def told(opened: Opened) -> str:
    path = opened.db.name
    return (
        rf"{re.escape(path)} is damaged: .*(malformed|not a database)[^;]*; `bloxdb check --db {re.escape(path)}` "
        rf"says where, and `bloxdb check --repair --db {re.escape(path)}` makes a copy of what can be read"
    )


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name not in ASKS_LATER])
def test_every_entry_that_takes_a_database_says_it(
    entry: str, opened: Opened, tmp_path: Path, tiny_file: Path
) -> None:
    right = {"folder": tmp_path, "others": [tiny_file]}
    if entry == "import_parquet":
        with bloxdb.open(tiny_file, read_only=True, current=False) as whole:
            bloxdb.export_parquet(tmp_path, whole)
    with pytest.raises(bloxdb.DatabaseError, match=told(opened)):
        call(entry, opened.db, **right)


def in_transaction(opened: Opened) -> None:
    with opened.db.transaction() as session:
        session.add(Run(arch_id=5, recipe_id=1, seed=9, status="pending"))


def in_bulk(opened: Opened) -> None:
    with opened.db.bulk_transaction() as session:
        session.execute(text("DELETE FROM epochs WHERE epoch = 3"))


def in_snapshot(opened: Opened) -> None:
    with opened.db.snapshot() as session:
        session.scalars(select(Run)).all()


def in_snapshots(opened: Opened) -> None:
    with opened.db.snapshots(2) as sessions:
        sessions[0].scalars(select(Run)).all()


def in_autocommit(opened: Opened) -> None:
    with opened.db.autocommit() as connection:
        connection.execute(select(Run.__table__)).all()


def with_the_engine(opened: Opened) -> None:
    with opened.db.engine.connect() as connection:
        connection.execute(select(Run.__table__)).all()


METRICS = Metrics(50.0, 80.0, 1.0)

THINGS: dict[str, Callable[[Opened], object]] = {
    "rows": lambda o: o.db.rows("SELECT * FROM runs"),
    "ask": lambda o: o.db.ask("SELECT * FROM runs"),
    "rows_of": lambda o: o.db.rows_of(select(Run)),
    "reader": lambda o: o.db.reader.query(Run).all(),
    "a scalar of the reader": lambda o: o.db.reader.scalar(text("SELECT count(*) FROM epochs")),
    "transaction": in_transaction,
    "bulk_transaction": in_bulk,
    "snapshot": in_snapshot,
    "snapshots": in_snapshots,
    "autocommit": in_autocommit,
    "engine": with_the_engine,
    "a session of one's own": lambda o: o.session.scalars(select(Run)).all(),
    "a lazy attribute of a session of one's own": lambda o: list(o.of_session.epochs),
    "a lazy list of a run": lambda o: list(o.run.epochs),
    "a lazy object of a run": lambda o: o.run.recipe,
    "runs of an architecture": lambda o: list(o.arch.runs),
    "latencies of an architecture": lambda o: list(o.arch.latencies),
    "val_acc": lambda o: o.dataset.val_acc(o.run.arch_id),
    "train_loss": lambda o: o.dataset.train_loss(o.run.arch_id, epoch=2),
    "test_acc": lambda o: o.dataset.test_acc(o.run.arch_id),
    "train_time": lambda o: o.dataset.train_time(o.run.arch_id),
    "curve": lambda o: o.dataset.curve(o.run.arch_id, "val_top1"),
    "full_info": lambda o: o.dataset.full_info(o.run.arch_id),
    "table": lambda o: o.dataset.table([int(o.run.arch_id)], ["val_top1", "test_top1"]),
    "a table of all": lambda o: o.dataset.table(None, ["val_top1"]),
    "has of a source": lambda o: o.source.has(1, int(o.seed)),
    "arch_ids of a source": lambda o: o.source.arch_ids(int(o.seed)),
    "a problem": lambda o: o.problem(3134),
    "the cost of a problem": lambda o: o.problem.cost(3134),
    "fill": lambda o: o.queue.fill(),
    "claim": lambda o: o.queue.claim(worker="another"),
    "left": lambda o: o.queue.left(),
    "begin": lambda o: o.record.begin(),
    "epoch": lambda o: o.record.epoch(EpochResult(1, METRICS, METRICS)),
    "finish": lambda o: o.record.finish(RunResult(False, EpochResult(1, METRICS, METRICS), METRICS, 1.0)),
    "fail": lambda o: o.record.fail("it does not train"),
    "heartbeat": lambda o: o.record.heartbeat(),
    "release": lambda o: o.record.release(),
    "open": lambda o: bloxdb.open(o.db.name, current=False),
    "upgrade": lambda o: bloxdb.upgrade(o.db.name),
}


@pytest.mark.parametrize("thing", THINGS)
def test_what_was_open_before_says_it(thing: str, opened: Opened) -> None:
    with pytest.raises(bloxdb.DatabaseError, match=f"^{told(opened)}$"):
        THINGS[thing](opened)


def test_a_merge_says_which_of_several_it_is(opened: Opened, empty_db: Database) -> None:
    assert opened.db.path is not None
    with pytest.raises(bloxdb.DatabaseError, match=told(opened)):
        bloxdb.merge([opened.db.path], empty_db)
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]


COMMANDS = {
    "status": ["status"],
    "top": ["top"],
    "pareto": ["pareto"],
    "sql": ["sql", "SELECT * FROM runs"],
    "show": ["show", "3134"],
    "export": ["export", "--out", "there"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_say_it_in_one_line(name: str, opened: Opened, tmp_path: Path) -> None:
    done = command(*COMMANDS[name], "--db", opened.db.name, code=1, cwd=tmp_path)
    assert re.search(rf"^Error: {told(opened)}\n$", done.stderr)


@pytest.mark.parametrize("change", [b"\xff\xfe", b"\x80"])
def test_a_text_that_is_none_is_damage(change: bytes, tiny_db: Database) -> None:
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE recipes SET dataset = CAST(:bytes AS TEXT)"), {"bytes": change})
    asked: dict[str, Callable[[], Any]] = {
        "rows": lambda: tiny_db.rows("SELECT dataset FROM recipes"),
        "reader": lambda: tiny_db.reader.scalars(select(Run)).first().recipe.dataset,  # type: ignore[union-attr]
        "a data set": lambda: bloxdb.from_database(tiny_db, seeds=3),
    }
    for ask in asked.values():
        with pytest.raises(
            bloxdb.DatabaseError, match=f"^{re.escape(tiny_db.name)}(: | gave .*)Could not decode to UTF-8"
        ):
            ask()
