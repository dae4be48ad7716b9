"""What is being written appears whole, and is removed where its writer was killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bloxdb.writing import appearing, is_workspace, replacing, replacing_all, workspace


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
from bloxdb.writing import appearing, replacing, replacing_all, workspace
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


def test_what_was_left_beside_a_folder_goes_with_the_next_that_writes_into_it(tmp_path: Path) -> None:
    """Whoever made the folder was killed behind that, and before its workspace was removed."""
    with at_work("workspace", tmp_path / "a.txt") as dead, at_work("workspace", tmp_path / "b.txt") as alive:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        (tmp_path / "out").mkdir()
        with replacing_all(tmp_path / "out") as place:
            (place / "file.txt").write_text("whole")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["file.txt"]
        assert len([path for path in tmp_path.iterdir() if is_workspace(path)]) == 1
        alive.communicate("")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


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


NO_LINKS = [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV]


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Let a call of the system fail, as on a disk that this machine has not."""

    def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(os, name, refused)


def make(target: Path) -> None:
    with appearing(target) as temporary:
        temporary.write_text("all")


@pytest.mark.parametrize("number", NO_LINKS, ids=errno.errorcode.get)
def test_a_disk_without_links_has_the_file_as_well(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "link", OSError(number, os.strerror(number)))
    make(tmp_path / "new.txt")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("new.txt", "all")]
    with pytest.raises(FileExistsError):
        make(tmp_path / "new.txt")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_else_is_wrong_with_a_link_is_told(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "link", OSError(number, os.strerror(number)))
    with pytest.raises(OSError, match=os.strerror(number)) as told:
        make(tmp_path / "new.txt")
    assert told.value.errno == number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(143), OSError(errno.EIO, "no disk")])
@pytest.mark.parametrize("is_behind", [False, True])
def test_an_interruption_on_a_disk_without_links_leaves_no_empty_file(
    tmp_path: Path, is_behind: bool, ending: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        if is_behind:
            rename(source, target)
        raise ending

    refuse(monkeypatch, "link", OSError(errno.EPERM, os.strerror(errno.EPERM)))
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(type(ending)):
        make(tmp_path / "new.txt")
    assert [path.read_text() for path in tmp_path.iterdir()] == (["all"] if is_behind else [])


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


def test_an_error_names_where_it_is_to_be_and_no_file_of_ours(tmp_path: Path) -> None:
    for error in (OSError(28, "No space left"), OSError(28, "No space left", str(tmp_path / "other"))):
        before = error.filename
        with pytest.raises(OSError, match="No space left") as info, workspace(tmp_path):
            raise error
        assert info.value.filename == (before or str(tmp_path))
    with pytest.raises(OSError, match="No such file") as info, workspace(tmp_path) as place:
        (place / "a" / "b").write_text("")
    assert info.value.filename == str(tmp_path)


def test_a_folder_in_the_place_of_a_file_is_told_before_any_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "b.txt").mkdir(parents=True)
    (folder / "a.txt").write_text("before")

    def write() -> None:
        with replacing_all(folder) as place:
            for name in ("a.txt", "b.txt"):
                (place / name).write_text("after")

    with pytest.raises(IsADirectoryError) as info:
        write()
    assert info.value.filename == str(folder / "b.txt")
    assert (folder / "a.txt").read_text() == "before"
