"""The names of a file: SQLite keeps a journal for each, so that it is read at most; and what has a part's name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import bloxdb
from bloxdb.db import access, creation
from bloxdb.db.names import PARTS, beside, other_names
from bloxdb.writing import appearing, workspace

OPENERS: dict[str, Callable[[Path], object]] = {
    "open": lambda path: bloxdb.open(path, current=False),
    "upgrade": creation.upgrade,
    "fill": lambda path: creation.open_or_create(path).__enter__(),
}


@pytest.fixture
def linked(tmp_path: Path, tiny_file: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "x.db", tmp_path / "y.db"
    shutil.copy(tiny_file, first)
    second.hardlink_to(first)
    return first, second


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("at", [0, 1])
def test_a_file_with_two_names_is_not_written(opener: str, at: int, linked: tuple[Path, Path]) -> None:
    with pytest.raises(bloxdb.DatabaseError, match=r"has 1 other name \(hard links\).* -samefile") as info:
        OPENERS[opener](linked[at])
    assert str(linked[at]) in str(info.value)
    linked[1 - at].unlink()
    with bloxdb.open(linked[at], current=False) as db, db.transaction() as session:
        session.add(bloxdb.Device(name="written"))


def test_it_is_read_with_a_warning_and_as_it_is(linked: tuple[Path, Path]) -> None:
    before = linked[0].read_bytes()
    for path in linked:
        with (
            pytest.warns(UserWarning, match="what is in a journal of another name is not seen"),
            bloxdb.open(path, read_only=True, current=False) as db,
        ):
            assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]
    assert linked[0].read_bytes() == before
    assert sorted(path.name for path in linked[0].parent.iterdir()) == ["x.db", "y.db"]


def test_a_journal_that_one_name_has_is_not_brought_in_by_a_reader(linked: tuple[Path, Path]) -> None:
    first, second = linked
    second.unlink()
    code = (
        "import bloxdb, os, sys; db = bloxdb.open(sys.argv[1])\n"
        "with db.transaction() as session: session.add(bloxdb.Device(name='last'))\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(first)], check=True, timeout=100)
    assert access.has_content(Path(f"{first}-wal"))
    second.hardlink_to(first)
    before = first.read_bytes()
    with pytest.raises(bloxdb.DatabaseError, match="read it by that one"), pytest.warns(match="hard links"):
        bloxdb.open(second, read_only=True, current=False)
    assert first.read_bytes() == before
    assert access.has_content(Path(f"{first}-wal"))


def test_a_file_that_is_just_getting_its_name_has_one(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with workspace(tmp_path) as place:
        (place / path.name).write_bytes(b"x")
        path.hardlink_to(place / path.name)
        assert path.stat().st_nlink == 2
        assert other_names(path) is None
        assert access.is_writable(path)
    (tmp_path / "more.db").hardlink_to(path)
    found = other_names(path)
    assert found is not None
    assert "1 other name (hard links)" in found.told


def test_a_name_that_goes_in_a_moment_is_waited_for(tmp_path: Path) -> None:
    path, other = tmp_path / "new.db", tmp_path / "elsewhere"
    with appearing(path) as place:
        place.write_bytes(b"x")
    other.hardlink_to(path)

    def remove() -> None:
        time.sleep(0.15)
        other.unlink()

    thread = threading.Thread(target=remove)
    thread.start()
    assert other_names(path) is None
    thread.join()


def can_mount() -> bool:
    """Whether this user may mount, as root in no container."""
    with TemporaryDirectory() as place:
        done = subprocess.run(["mount", "--bind", place, place], capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["umount", place], check=True)
    return done.returncode == 0


if shutil.which("mount") and can_mount():

    @pytest.fixture
    def mounted(tmp_path: Path, tiny_file: Path) -> Iterator[tuple[Path, Path]]:
        """A file, and where it is mounted by itself, as into a container."""
        first, second = tmp_path / "x.db", tmp_path / "inside" / "x.db"
        second.parent.mkdir()
        shutil.copy(tiny_file, first)
        second.touch()
        subprocess.run(["mount", "--bind", str(first), str(second)], check=True)
        yield first, second
        subprocess.run(["umount", str(second)], check=True)

    @pytest.mark.parametrize("opener", OPENERS)
    def test_a_file_that_is_mounted_itself_is_not_written_there(
        opener: str, mounted: tuple[Path, Path]
    ) -> None:
        with pytest.raises(bloxdb.DatabaseError, match=r"is mounted by itself.* Mount its folder instead"):
            OPENERS[opener](mounted[1])

    def test_a_file_that_is_mounted_itself_is_read_with_a_warning(mounted: tuple[Path, Path]) -> None:
        with (
            pytest.warns(UserWarning, match="what is in a journal of another name is not seen"),
            bloxdb.open(mounted[1], read_only=True, current=False) as db,
        ):
            assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]


def plug(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a pipe"),
        (plug, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_what_is_no_file_where_sqlite_has_one_is_told_and_never_waited_for(
    part: str, make: Callable[[Path], object], what: str, read_only: bool, tiny_file: Path
) -> None:
    with TemporaryDirectory() as folder:  # a socket's path has a hundred bytes
        path = Path(shutil.copy(tiny_file, folder))
        make(beside(path, part))
        with pytest.raises(bloxdb.DatabaseError, match=f"{part} is {what}, where SQLite keeps"):
            bloxdb.open(path, read_only=read_only, current=False)
