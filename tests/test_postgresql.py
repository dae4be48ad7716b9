"""The same schema and code on a PostgreSQL server; `tests/conftest.py` says when these run."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import text

import bloxdb
import bloxdb.measures
from bloxdb import Arch, Database, codecs, runs
from bloxdb.cli import main
from bloxdb.db.revisions import REVISION
from bloxdb.db.schema import RUN_MEASURES
from bloxdb.errors import BloxError, RunLostError
from bloxdb.runs.heartbeat import Heartbeat, Intervals
from bloxdb.runs.processes import shown
from bloxdb.runs.queue import RunQueue
from bloxdb.runs.results import EpochResult, Metrics, RunResult
from bloxdb.web.answers import answer
from bloxdb.web.numbers import SHELF
from tests.db.test_reading import by_stream
from tests.runs.helpers import RECIPE, finish, queue_of, write_epochs
from tests.runs.wrong import WRONG
from tests.servers import empty_on_server
from tests.trainer.helpers import digits_recipe, some_digits


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An empty database of the server, removed at the end."""
    with empty_on_server("whole") as found:
        yield found


@pytest.fixture(scope="module")
def db(url: str, golden: Path) -> Iterator[Database]:
    """A database with release-tiny."""
    with pytest.raises(bloxdb.NotADatabaseError, match="not a bloxdb database"):
        bloxdb.open(url)
    with bloxdb.create(url) as made:
        bloxdb.import_release(golden / "release-tiny", made)
        yield made


@pytest.mark.slow
def test_a_release_comes_back_equal(db: Database, golden: Path, tmp_path: Path) -> None:
    assert bloxdb.import_release(golden / "release-tiny", db).added == 0
    for name in codecs.FORMATS:
        report = bloxdb.export_release(tmp_path, db, format=name, strict=True)
        assert len(report.files) == 6
        for path in report.files:
            expected = codecs.read(golden / "release-tiny" / path.name).sorted()
            assert codecs.read(path).sorted().difference(expected) is None


def test_the_explorer_has_the_same_answers_as_on_sqlite(db: Database, tiny_file: Path) -> None:
    (row,) = db.rows("SELECT min(arch_id) AS first FROM runs")
    names = (
        "runs.bin",
        "means.bin",
        "latencies.bin",
        f"curves/{row['first'] // SHELF:04}.bin",
        "training.json",
    )
    with bloxdb.open(tiny_file, read_only=True) as lite:
        for name in names:
            assert answer(db, name) == answer(lite, name), name
        ours, theirs = (json.loads(answer(one, "about.json").body) for one in (db, lite))
        assert {**ours, "title": ""} == {**theirs, "title": ""}


@pytest.mark.slow
def test_a_server_is_explored_as_a_copy(db: Database, url: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["explore", "--db", url])
    assert done.exit_code == 1
    assert "only files can be explored" in done.output
    assert "--static" in done.output
    done = CliRunner().invoke(main, ["explore", "--db", url, "--static", str(tmp_path / "site")])
    assert done.exit_code == 0
    assert (tmp_path / "site" / "data" / "about.json").is_file()


def test_queries_answer_as_on_sqlite(db: Database, tiny_file: Path) -> None:
    with bloxdb.open(tiny_file, read_only=True) as lite:
        for by in RUN_MEASURES:
            assert bloxdb.top(20, by=by, max_flops=260e6, db=db) == bloxdb.top(
                20, by=by, max_flops=260e6, db=lite
            )
        assert bloxdb.pareto(db=db) == bloxdb.pareto(db=lite)
        assert runs.overview(db) == runs.overview(lite)
        for query in (
            "SELECT * FROM leaderboard ORDER BY arch_id",
            "SELECT * FROM epochs ORDER BY run_id, epoch",
        ):
            assert db.rows(query) == lite.rows(query)


def test_averages_latencies_and_tables_answer_as_on_sqlite(db: Database, tiny_file: Path) -> None:
    device = "latency:jetson-nano"
    with bloxdb.open(tiny_file, read_only=True, current=False) as lite:
        for ask in (
            lambda of: bloxdb.top(50, of, by=device),
            lambda of: bloxdb.top(50, of, max_latency=("jetson-nano", np.float32(9.5)), recipe="*"),
            lambda of: bloxdb.top(np.int64(7), of, max_params=np.int32(2_700_000), seeds=np.uint8(3)),
            *(
                lambda of, how=how, by=by: bloxdb.top(50, of, by=by, seeds=how, max_flops=250e6)
                for how in ("mean", "median")
                for by in ("test_top1", "test_loss", device)
            ),
            lambda of: bloxdb.pareto(device, "test_loss", of),
            lambda of: bloxdb.pareto(device, "test_top1", of, seeds="mean"),
            lambda of: bloxdb.Problem(of, seeds="median", epoch=np.int16(4))(bloxdb.top(1, of)[0]["hash"]),
            *(
                lambda of, best=best: {
                    name: repr(values.tolist())
                    for name, values in bloxdb.from_database(of)
                    .table(
                        columns=["val_top1", "val_loss", "test_top1", "flops", device],
                        epoch=[2, 10],
                        best=best,
                    )
                    .items()
                }
                for best in (True, False)
            ),
        ):
            answer = ask(db)
            assert answer == ask(lite)
            assert answer


def test_architectures_have_their_runs(db: Database) -> None:
    arch = Arch.get("dab44c12f79899d6de493c696c7ee8d1", db)
    assert arch is not None
    assert [epoch.val_top1 for epoch in arch.epochs][-1] == 72.76


def test_contradictions_leave_it_as_it_was(db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.ConflictError, match="2 values contradict"):
        bloxdb.import_release(golden / "release-small", db)
    assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("selec", 'syntax error at or near "selec"; a query begins with SELECT'),
        *(
            (nothing, "the statement gives no rows; a query begins with SELECT")
            for nothing in ("", "-- x", ";")
        ),
        ("SELECT selec", 'column "selec" does not exist'),
        ("/* SELECT 1", "syntax error: a comment is not closed"),
    ],
)
def test_a_slip_is_told_as_one(db: Database, query: str, told: str) -> None:
    for ask in (Database.rows, by_stream):
        with pytest.raises(bloxdb.DatabaseError) as info:
            ask(db, query)
        assert f": {told}" in str(info.value)


def test_the_command_of_a_backup_works_as_it_is_printed(db: Database, tmp_path: Path) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("there is no pg_dump")
    with pytest.raises(bloxdb.DatabaseError) as info:
        bloxdb.backup(tmp_path / "a copy", db)
    command = str(info.value)[str(info.value).index("pg_dump ") :]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    if "server version mismatch" not in done.stderr:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "a copy").read_bytes().startswith(b"PGDMP")


@pytest.mark.parametrize("options", [["--repair"], ["--repair", "copy.db"]])
def test_a_repair_of_a_server_is_answered_in_one_way(
    db: Database, url: str, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bloxdb.DatabaseError) as info:
        bloxdb.repair(url)
    done = CliRunner().invoke(main, ["check", "--db", url, *options])
    assert done.exit_code == 1
    assert str(info.value) in done.output
    assert "whole" not in done.output
    assert CliRunner().invoke(main, ["check", "--db", url]).exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM epochs",
        "WITH gone AS (DELETE FROM epochs RETURNING 1) SELECT count(*) FROM gone",
        "SET default_transaction_read_only = off",
        "COMMIT; DELETE FROM epochs",
        "SELECT 1; COMMIT; DELETE FROM epochs",
        "EXPLAIN ANALYZE DELETE FROM epochs",
        "COPY epochs TO '/tmp/epochs'",
        "SELECT nextval('runs_id_seq')",
        "SELECT 1 INTO new",
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_query_only_reads(db: Database, url: str, query: str, read_only: bool) -> None:
    with bloxdb.open(url, read_only=read_only) as reader:
        reader.rows("SELECT set_config('default_transaction_read_only', 'off', false)")
        for ask in (Database.rows, by_stream):
            with pytest.raises(bloxdb.DatabaseError, match="a query only reads|multiple commands"):
                ask(reader, query)
        assert reader.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]


def test_only_a_name_outside_of_literals_is_a_value(db: Database) -> None:
    query = (
        """SELECT 'a:b %s' AS "c:d", 1::text AS one, :x || '%' AS "one", E'\\':x' AS e, $$:y$$ AS f -- :z"""
    )
    for ask in (Database.rows, by_stream):
        assert ask(db, query, x="v") == [{"c:d": "a:b %s", "one": "1", "one_1": "v%", "e": "':x", "f": ":y"}]
    with pytest.raises(bloxdb.DatabaseError, match="x"):
        db.rows("SELECT :x")


def test_a_stream_has_what_a_query_has_and_may_be_left_early(db: Database) -> None:
    for query in (
        "SELECT * FROM archs ORDER BY id", "SELECT 1 AS a WHERE false", "EXPLAIN SELECT 1", "SHOW work_mem",
        "TABLE devices", "VALUES (1, 2)",
    ):  # fmt: skip
        assert by_stream(db, query) == db.rows(query)
        with db.stream(query) as (names, _):
            assert names == db.ask(query).names
    for _ in range(3):
        with db.stream("SELECT * FROM archs a CROSS JOIN blocks b") as (_, rows):
            next(rows)
        assert db.rows("SELECT count(*) AS n FROM blocks") == [{"n": 45}]


def test_creating_twice_and_upgrading_the_newest(db: Database, url: str) -> None:
    with pytest.raises(bloxdb.DatabaseExistsError, match="already"):
        bloxdb.create(url)
    assert bloxdb.upgrade(url) == bloxdb.UpgradeReport(REVISION, REVISION)


def test_the_dataset_and_frames_answer_as_on_sqlite(db: Database, tiny_file: Path) -> None:
    with bloxdb.open(tiny_file, read_only=True, current=False) as lite:
        ours, theirs = bloxdb.from_database(db), bloxdb.from_database(lite)
        assert list(ours) == list(theirs)
        for key in list(theirs)[:5]:
            assert ours.full_info(key) == theirs.full_info(key)
            assert ours.val_loss(key, epoch=4, best=True) == theirs.val_loss(key, epoch=4, best=True)
        columns = ["val_top1", "test_loss"]
        for name, values in ours.table(columns=columns, epoch=3).items():
            assert values.tolist() == theirs.table(columns=columns, epoch=3)[name].tolist()
        for what in ("runs", "leaderboard"):
            assert bloxdb.to_arrow(what, db).equals(bloxdb.to_arrow(what, lite))
        order = [("arch_id", "ascending"), ("epoch", "ascending")]
        epochs = [bloxdb.to_arrow("epochs", one).sort_by(order).to_pylist() for one in (db, lite)]
        assert epochs[0] == epochs[1]


def test_databases_merge_into_it(db: Database, tiny_file: Path) -> None:
    report = bloxdb.merge([tiny_file], db)
    assert (report.added, report.agreed) == (0, 120)


FORK = """
import os, sys, threading
import bloxdb

def count():
    return db.rows("SELECT count(*) AS n FROM runs")[0]["n"]

db = bloxdb.open(sys.argv[1])
runs, arch = count(), bloxdb.Arch.get(7)
asked, end = threading.Event(), threading.Event()
threading.Thread(target=lambda: (count(), asked.set(), end.wait()), daemon=True).start()
asked.wait()
with db.transaction() as session:
    session.add(bloxdb.Device(name="of a parent"))
    session.flush()
    child = os.fork()
    if not child:
        assert (count(), arch.runs) == (runs, bloxdb.Arch.get(7).runs)
        assert db.rows("SELECT * FROM devices WHERE name = 'of a parent'") == []
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
child = os.fork()
if not child:
    assert count() == runs
    with db.transaction() as session:
        session.add(bloxdb.Device(name="of a child"))
    sys.exit(0)  # all that Python does at an end must not reach the parent's connections
assert os.waitpid(child, 0)[1] == 0
assert count() == runs
with db.transaction() as session:
    for name in ("of a parent", "of a child"):
        session.delete(session.query(bloxdb.Device).filter_by(name=name).one())
"""


@pytest.mark.slow
def test_a_child_has_connections_of_its_own(db: Database, url: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, url], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_it_travels_to_workers_without_its_password(
    db: Database, url: str, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "swordfish")
    with bloxdb.open(db.url.set(password="swordfish").render_as_string(hide_password=False)) as mine:
        pickled = pickle.dumps(mine)
        assert b"swordfish" not in pickled
        with pickle.loads(pickled) as twin:
            assert twin.rows("SELECT count(*) AS n FROM runs") == mine.rows("SELECT count(*) AS n FROM runs")
    script = Path(__file__).parent / "db" / "travellers.py"
    command = [sys.executable, str(script), "spawn", url, str(golden / "release-tiny")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_workers_claim_show_life_and_finish(db: Database) -> None:
    data = some_digits(64)
    queue = RunQueue(db, [1, 2], digits_recipe(2).facts(data.sizes), 0)
    queue.fill()
    intervals = Intervals(0.1, 2.0)
    result = Metrics(50.0, 90.0, 1.5)
    first, second = (queue.claim(worker=f"elsewhere:{i}", intervals=intervals) for i in (1, 2))
    assert first is not None
    assert second is not None
    assert queue.claim(worker="elsewhere:3", intervals=intervals) is None
    (row, _) = runs.workers(db)
    assert (row["worker"], row["arch_id"]) == ("elsewhere:1", 1)
    assert 0 <= row["last_heartbeat_s"] < 2
    with Heartbeat(first, intervals=intervals):
        time.sleep(2.5)
        taken = queue.claim(worker="elsewhere:3", intervals=intervals)  # the second one showed no life
    assert taken is not None
    assert taken.arch_id == 2
    with pytest.raises(RunLostError):
        second.heartbeat()
    for record in (first, taken):
        record.begin(0)
        write_epochs(record, 2)
        record.finish(RunResult(False, EpochResult(1, result, result), result, 1.0))
    assert queue.left() == 0
    taken_rows = db.rows("SELECT status, worker FROM runs WHERE arch_id IN (1, 2) ORDER BY arch_id")
    assert [shown(row["worker"]) for row in taken_rows] == ["elsewhere:1", "elsewhere:3"]


def test_workers_that_fill_one_queue_at_once_all_find_it_filled(db: Database) -> None:
    facts = dict.fromkeys(bloxdb.measures.ENVIRONMENT, "the same")
    together = threading.Barrier(8)

    def fill(_: int) -> tuple[int, int]:
        together.wait()
        env_id = runs.environment_id(facts, db)
        queue = RunQueue(db, range(300), runs.RecipeFacts("at-once-2", "digits", 2), 0)
        return env_id, queue.fill().added

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(fill, range(8)))
    assert len({env_id for env_id, _ in told}) == 1
    assert sorted(added for _, added in told) == [0] * 7 + [300]
    found = bloxdb.check(db.url.render_as_string(hide_password=False)).findings
    assert {finding.kind for finding in found} <= {"epochs"}  # other tests finish runs after one epoch


@pytest.mark.slow
@pytest.mark.parametrize("way", ["merge", "parquet"])
def test_runs_that_were_merged_leave_room_for_others(
    db: Database, empty_db: Database, tmp_path: Path, way: str
) -> None:
    archs = [10, 20, 30] if way == "merge" else [40, 50, 60]
    queue = queue_of(empty_db, archs)
    while (record := queue.claim()) is not None:
        finish(record)
    if way == "merge":
        bloxdb.merge([empty_db.path], db)
    else:
        bloxdb.export_parquet(tmp_path / "parquet", empty_db)
        bloxdb.import_parquet(tmp_path / "parquet", db)
    queue = RunQueue(db, [arch + 1 for arch in archs], RECIPE, 0)
    assert queue.fill().added == 3  # at once, and not after many tries
    of_recipe = (
        "SELECT arch_id, runs.id FROM runs JOIN recipes ON recipes.id = recipe_id WHERE name = 'mine-2'"
    )
    ids = {row["arch_id"]: row["id"] for row in db.rows(of_recipe)}
    assert max(ids[arch] for arch in archs) < min(ids[arch + 1] for arch in archs)


@pytest.mark.parametrize("what", WRONG)
def test_what_nobody_may_say_of_runs_is_told_as_on_sqlite(db: Database, what: str) -> None:
    say, message = WRONG[what]
    with db.transaction() as session:
        session.execute(
            text("DELETE FROM epochs WHERE run_id IN (SELECT id FROM runs WHERE arch_id = 7 AND seed = 0)")
        )
        session.execute(text("DELETE FROM runs WHERE arch_id = 7 AND seed = 0"))
    with pytest.raises(BloxError, match=message):
        say(db)
