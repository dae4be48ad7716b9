"""A folder, a pipe, a socket or a device in place of a file is told at once, wherever a file can be named."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bloxdb.trainer import load_network
from bloxdb.trainer.own_data import load_own
from bloxdb.trainer.recipe import make_recipe

import bloxdb
from bloxdb import Database, codecs
from bloxdb.errors import BloxError, ReleaseError
from bloxdb.parquet import export_parquet, import_parquet
from bloxdb.release import left_out
from bloxdb.release.results import read_results
from tests.cli.helpers import bloxdb as command
from tests.release.helpers import SMALL


def plug(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has a hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


KINDS: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a socket": plug,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a release file": ("blox-info.blox", codecs.read),
    "its header": ("blox-info.csv", codecs.read_header),
    "a packed one": ("blox-info.pickle.gz", codecs.read),
    "a database": ("blox.db", bloxdb.open),
    "a new database": ("blox.db", bloxdb.create),
    "a recipe": ("r.toml", lambda path: make_recipe(None, path, {})),
    "a data set": ("own.npz", lambda path: load_own(str(path))),
    "weights": ("best.safetensors", load_network),
    "training results": ("results_random.pickle", read_results),
}


@contextmanager
def at_once() -> Iterator[None]:
    """Whatever waits for ever is ended."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_told_and_never_waited_for(tmp_path: Path, what: str, reader: str) -> None:
    name, ask = READERS[reader]
    KINDS[what](tmp_path / name)
    with at_once(), pytest.raises(BloxError, match=f"{name}.* is {what}"):
        ask(tmp_path / name)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("args", [("import", "{0}", "--db", "{1}"), ("verify", "{0}")], ids=" ".join)
def test_a_folder_with_something_else_under_a_name_of_the_release(
    tmp_path: Path, what: str, args: tuple[str, ...], golden: Path, empty_db: Database
) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    shutil.copy(golden / SMALL / "blox-base-0.csv", folder)
    KINDS[what](folder / "blox-info.csv")
    with at_once():
        assert left_out([folder]) == [f"blox-info.csv is not taken: it is {what}"]
        result = command(*(arg.format(folder, empty_db.path) for arg in args))
    assert f"it is {what}" in " ".join(result.stderr.split()) + " ".join(result.stdout.split())


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("name", ["runs", "epochs", "latencies"])
def test_something_else_among_parquet_files(tmp_path: Path, what: str, name: str, empty_db: Database) -> None:
    export_parquet(tmp_path / "out", empty_db)
    path = tmp_path / "out" / f"{name}.parquet"
    path.unlink()
    KINDS[what](path)
    with at_once(), pytest.raises(ReleaseError, match=f"{name}.parquet is {what}"):
        import_parquet(tmp_path / "out", empty_db)


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"\n")


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "written": (
        "blox-base-0.csv was changed",
        lambda folder: append(folder / "blox-base-0.csv"),
    ),
    "removed": ("blox-env-0.csv was removed", lambda folder: (folder / "blox-env-0.csv").unlink()),
    "added": ("blox-ext-9.csv was added", lambda folder: (folder / "blox-ext-9.csv").write_bytes(b"---\n")),
    "replaced": (
        "blox-env-0.csv was changed",
        lambda folder: shutil.copy(folder / "blox-env-1.csv", folder / "x").replace(
            folder / "blox-env-0.csv"
        ),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_folder_that_changes_while_it_is_read_is_an_error(
    name: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    told, change = CHANGES[name]
    folder = tmp_path / "release"
    shutil.copytree(golden / SMALL, folder)
    changed = []

    def once(*_: object) -> None:
        if not changed:
            changed.append(change(folder))

    with pytest.raises(ReleaseError, match=f"{told} while it was read"):
        bloxdb.import_release(folder, empty_db, progress=once)
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
