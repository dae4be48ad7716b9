"""Databases and what asks them in worker processes, and architectures that come back; with real processes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from sqlalchemy import make_url

import bloxdb
from bloxdb import Database
from bloxdb.db import database

SCRIPT = Path(__file__).with_name("travellers.py")
LOADER = """
import sys, warnings
import bloxdb
from torch.utils.data import DataLoader, Dataset
warnings.filterwarnings("ignore", "This DataLoader will create 2 worker processes")  # where there is one core

class Runs(Dataset):
    def __init__(self, db):
        self.db, self.dataset = db, bloxdb.from_database(db)
        self.ids = [row["arch_id"] for row in db.rows("SELECT arch_id FROM runs ORDER BY id")]
    def __len__(self):
        return len(self.ids)
    def __getitem__(self, at):
        return [self.ids[at], self.dataset.val_acc(self.ids[at]), bloxdb.Arch.get(self.ids[at], self.db).flops]

if __name__ == "__main__":
    with bloxdb.open(sys.argv[1], read_only=True) as db:
        runs = Runs(db)
        loader = DataLoader(runs, batch_size=None, num_workers=2, multiprocessing_context=sys.argv[2])
        assert list(loader) == [runs[at] for at in range(len(runs))]
"""
WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "cloudpickle": lambda thing: pickle.loads(cloudpickle.dumps(thing)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def run(*command: object) -> None:
    """Run a Python program that says nothing if all is well."""
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["spawn", "forkserver", "fork", "joblib", "cloudpickle"])
def test_workers_answer_as_the_process_that_sent_them(way: str, tiny_file: Path, golden: Path) -> None:
    run(SCRIPT, way, tiny_file, golden / "release-tiny")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader_ask_the_database(method: str, tiny_file: Path, tmp_path: Path) -> None:
    script = tmp_path / "loader.py"
    script.write_text(LOADER)
    run(script, tiny_file, method)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_that_travelled_is_another_connection_to_the_same_file(
    way: str, read_only: bool, empty_db: Database
) -> None:
    with bloxdb.open(empty_db.path, read_only=read_only) as db:
        twin = WAYS[way](db)
        assert database.current() is db
        assert (twin is not db, twin.url, twin.read_only) == (True, db.url, read_only)
        assert repr(twin) == repr(db)
        twin.disconnect()
        assert database.current() is db
    with empty_db.transaction() as session:
        session.add(bloxdb.Device(name="a"))
    assert twin.rows("SELECT name FROM devices") == [{"name": "a"}]
    twin.close()


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "a#b%20.db", "ü@x.db"])
def test_a_path_travels_as_it_is(name: str, tmp_path: Path, empty_file: Path) -> None:
    path = tmp_path / name
    path.write_bytes(empty_file.read_bytes())
    with bloxdb.open(path) as db, pickle.loads(pickle.dumps(db)) as twin:
        assert twin.path == db.path == path
        assert twin.rows("SELECT count(*) AS n FROM blocks") == [{"n": 45}]


def test_a_file_that_is_not_there_is_a_sentence(empty_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    path.write_bytes(empty_file.read_bytes())
    with bloxdb.open(path) as db:
        pickled = pickle.dumps(db)
    path.unlink()
    with pytest.raises(bloxdb.DatabaseNotFoundError, match=r"gone\.db here: .* bring the file to this place"):
        pickle.loads(pickled)


def test_a_server_that_cannot_be_reached_names_the_password_that_was_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    url = make_url("postgresql+psycopg://me:secret@127.0.0.1:1/blox?connect_timeout=2")
    pickled = pickle.dumps(Database(url))
    assert b"secret" not in pickled
    with pytest.raises(
        bloxdb.DatabaseError, match=r"connection .*; a password that \$PGPASSWORD or .* not in the"
    ):
        pickle.loads(pickled)


def test_a_password_that_nobody_gives_travels_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    db = Database(make_url("postgresql+psycopg://me:secret@127.0.0.1:1/blox"))
    with pytest.warns(UserWarning, match=r"the password of .*me:\*\*\*@.* is in the pickle") as warned:
        assert b"secret" in pickle.dumps(db)
    assert warned[0].filename == __file__
    for way in (copy.copy, copy.deepcopy):  # nothing leaves the process, so that there is nothing to warn of
        with pytest.raises(bloxdb.DatabaseError, match="connection"):
            way(db)


@pytest.mark.parametrize("way", WAYS)
def test_a_search_goes_on_where_it_was_and_by_itself(way: str, tiny_db: Database) -> None:
    first, second = (row["arch_id"] for row in tiny_db.rows("SELECT arch_id FROM runs ORDER BY id LIMIT 2"))
    problem = bloxdb.Problem(tiny_db, budget_seconds=1e6)
    problem(first, 4)
    twin = WAYS[way](problem)
    assert (twin.seconds, twin.trajectory, twin.cost(first, 4)) == (problem.seconds, problem.trajectory, 0)
    spent = problem.seconds
    twin(second)
    assert twin.seconds > spent
    assert (problem.seconds, len(problem.trajectory), len(twin.trajectory)) == (spent, 1, 2)
    assert problem.cost(second) == twin.seconds - spent


@pytest.mark.parametrize("way", WAYS)
def test_data_sets_answer_the_same(way: str, tiny_db: Database, golden: Path) -> None:
    for dataset in (
        bloxdb.from_database(tiny_db),
        bloxdb.from_folder(
            golden / "release-tiny", extended=True, include_static_info=True, include_env_info=True
        ),
    ):
        twin = WAYS[way](dataset)
        assert list(twin) == list(dataset)
        assert all(twin[key] == dataset[key] for key in dataset)


def test_errors_come_back_from_workers_as_they_were() -> None:
    for name, kind in vars(bloxdb.errors).items():
        if isinstance(kind, type) and issubclass(kind, bloxdb.BloxError):
            error = kind("what is wrong")
            if kind is bloxdb.BloxFormatError:
                error = kind("what is wrong", source="a.csv", row=3, column="val_top1", offset=7)
            twin = pickle.loads(pickle.dumps(error))
            assert (type(twin).__name__, str(twin), vars(twin)) == (name, str(error), vars(error))
