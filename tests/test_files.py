"""Files and memory: what is left of a file, and arrays of new memory."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.files import (
    appearing,
    as_name,
    expanded,
    from_name,
    is_workspace,
    new_array,
    replacing,
    replacing_all,
    rest_of,
    workspace,
)


def test_a_tilde_is_a_home_folder_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~") == expanded(Path("~")) == tmp_path
    assert expanded("~/a/~/b") == tmp_path / "a" / "~" / "b"
    for other in ("a/~", "~nobody-is-called-so/x", "a~", ".", "/~"):
        assert expanded(other) == Path(other)


@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 24) + 12_345, (1 << 25) + 1])
def test_the_rest_of_a_file_is_all_that_follows(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(0).bytes(100 + size)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as stream:
        assert stream.read(100) == data[:100]
        assert bytes(rest_of(stream)) == data[100:]
    memory = io.BytesIO(data)
    memory.seek(100)
    assert bytes(rest_of(memory)) == data[100:]


@pytest.mark.parametrize("shape", [(0,), (3, 5), (1 << 21, 1), (3, 1_000_003)])
def test_new_arrays_are_zero_and_can_be_written(shape: tuple[int, ...]) -> None:
    array = new_array(shape, np.int32)
    assert (array.shape, array.dtype) == (shape, np.int32)
    assert not array.any()
    array[...] = 7
    assert array.sum() == 7 * array.size


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_files_of_other_names_stay_when_a_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    (tmp_path / "a").write_text("old")
    with replacing_all(tmp_path) as staging:
        (staging / "a").write_text("new")
        (staging / "b").write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "note": "mine",
        "a": "new",
        "b": "new",
    }


@pytest.mark.parametrize("was_there", [True, False])
def test_an_error_leaves_a_folder_as_it_was(tmp_path: Path, was_there: bool) -> None:
    folder = tmp_path / "out"
    if was_there:
        folder.mkdir()

    def interrupted() -> None:
        with replacing_all(folder) as staging:
            (staging / "a").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.rglob("*")] == (["out"] if was_there else [])


WORK = """
import os, signal, sys
from pathlib import Path
from bloxdb.files import appearing, replacing, replacing_all, workspace
way = {"workspace": workspace, "appearing": appearing, "replacing": replacing, "replacing_all": replacing_all}
target = Path(sys.argv[2])
with way[sys.argv[1]](target if sys.argv[1] in ("appearing", "replacing") else target.parent) as place:
    (place.parent if place.suffix == ".txt" else place).joinpath("half.txt").write_text("half")
    print("at work", flush=True)
    sys.stdin.read()
"""


def at_work(way: str, target: Path) -> subprocess.Popen[str]:
    """A process that has written a half, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, way, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


@pytest.mark.parametrize("way", ["workspace", "appearing", "replacing", "replacing_all"])
def test_what_a_killed_process_left_is_removed_by_the_next_and_not_while_its_owner_lives(
    tmp_path: Path, way: str
) -> None:
    with at_work(way, tmp_path / "a.txt") as dead, at_work(way, tmp_path / "b.txt") as alive:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert len(list(tmp_path.iterdir())) == 2
        with workspace(tmp_path) as mine:
            left = [path for path in tmp_path.iterdir() if path != mine]
            assert len(left) == 1, "that of the process that lives"
            assert is_workspace(left[0])
        alive.communicate("")
    assert all(not is_workspace(path) for path in tmp_path.iterdir())


def test_folders_of_another_machine_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / ".bloxdb-00000000-0123456789abcdef.tmp"
    other.mkdir()
    with workspace(tmp_path):
        pass
    assert is_workspace(other)
    assert list(tmp_path.iterdir()) == [other]


def test_a_file_that_appeared_meanwhile_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "new.txt"

    def make(text: str) -> None:
        with appearing(target) as temporary:
            temporary.write_text(text)
            assert not target.exists()
            if text == "second":
                make("first")

    with pytest.raises(FileExistsError):
        make("second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_a_file_that_appears_has_the_mode_that_the_umask_says(tmp_path: Path, umask: int) -> None:
    target = tmp_path / "new.txt"
    before = os.umask(umask)
    try:
        with appearing(target) as temporary:
            temporary.write_text("all")
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask
    assert target.stat().st_nlink == 1


@given(st.text())
def test_any_text_is_a_name_within_one_folder_and_comes_back(text: str) -> None:
    name = as_name(text)
    assert from_name(name) == text
    assert not set(name) & set('/\\<>:"|?*')
    assert all(letter.isprintable() for letter in name)
    assert name not in (".", "..")
    assert not name.startswith(("-", ".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
