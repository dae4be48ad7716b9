"""The explorer as plain files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import bloxdb
from bloxdb import Database
from bloxdb.cli import main
from bloxdb.errors import QueryError
from bloxdb.web import page
from bloxdb.web.answers import answer, names
from bloxdb.web.copying import LIST, write_copy
from bloxdb.writing import is_workspace


@pytest.fixture(scope="module")
def copy(explored_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies") / "sub" / "site"
    with bloxdb.open(explored_file, read_only=True, current=False) as db:
        write_copy(folder, db)
    return folder


@pytest.mark.slow
def test_a_copy_has_the_page_and_every_answer(copy: Path, explored: Database) -> None:
    held = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert held == {*page.files(), *(f"data/{name}" for name in names()), LIST}
    assert {*json.loads((copy / LIST).read_text())["files"]} == held - {LIST}
    for name in [*names()][:9]:
        if name != "training.json":
            assert (copy / "data" / name).read_bytes() == answer(explored, name).body
    assert max(path.stat().st_size for path in copy.rglob("*")) < 100e6
    assert [path.name for path in copy.parent.iterdir()] == ["site"]


@pytest.fixture
def earlier(copy: Path, tmp_path: Path) -> Path:
    """A copy of an earlier version, which had a page more and a folder with two files."""
    target = tmp_path / "site"
    shutil.copytree(copy, target, copy_function=os.link)  # what is replaced is not written to
    listed = json.loads((copy / LIST).read_text())
    listed["files"] += ["old.html", "older/a.js", "older/b/c.js"]
    (target / LIST).unlink()
    (target / LIST).write_text(json.dumps(listed))
    for name in ("old.html", "older/a.js", "older/b/c.js"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("of an earlier version")
    return target


def contents(folder: Path) -> dict[str, str]:
    """All that lies in a folder, and what it is."""
    return {
        path.relative_to(folder).as_posix(): "folder"
        if path.is_dir() and not path.is_symlink()
        else path.readlink().as_posix()
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
    }


OWN = [".git/config", ".nojekyll", "CNAME", "mine.txt", "mine/deep/er.txt", "data/mine.txt", "data/curves/mine.bin",
       "js/mine.js", "vendor/mine/x.js", "older/b/mine.js"]  # fmt: skip


@pytest.mark.slow
def test_an_earlier_copy_is_replaced_and_nothing_else(copy: Path, earlier: Path, explored: Database) -> None:
    for name in OWN:
        (earlier / name).parent.mkdir(parents=True, exist_ok=True)
        (earlier / name).write_text(name)
    (earlier / "link").symlink_to("CNAME")
    (earlier / "empty").mkdir()
    before = (earlier / "data" / "about.json").stat().st_ino
    told: list[tuple[int, int, str]] = []
    report = write_copy(earlier, explored, progress=lambda *what: told.append(what))
    assert (earlier / "data" / "about.json").stat().st_ino != before
    assert all(path.is_file() for path in report.files)
    assert told[-1] == (len(report.files), len(report.files), "files")
    found = contents(earlier)
    for name in OWN:
        assert (earlier / name).read_text() == name
    assert (found.pop("link"), found.pop("empty")) == ("CNAME", "folder")
    own = {above for name in OWN for above in (name, *map(str, Path(name).parents))}
    expected = contents(copy)
    assert {name for name in found if name not in expected} == own - {*expected, "."}
    training = "data/training.json"  # has the seconds since a sign of life
    assert {**found, training: ""} == {name: found[name] for name in own - {"."}} | {**expected, training: ""}
    assert (earlier / "older").is_dir()  # it has a file of mine
    assert not (earlier / "older" / "a.js").exists()


@pytest.mark.parametrize(
    "there", [["mine.txt"], ["index.html"], ["data/about.json"], ["data/files.json"], ["js/app.js", "CNAME"]]
)
@pytest.mark.parametrize(
    "listed", [None, "[]", "{}", '["mine.txt"]', '{"by": "me", "files": ["mine.txt"]}', "\xff"]
)
def test_what_no_copy_has_listed_is_no_earlier_copy(
    explored: Database, tmp_path: Path, there: list[str], listed: str | None
) -> None:
    target = tmp_path / "site"
    for name in there:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("mine")
    if listed is not None:
        (target / LIST).parent.mkdir(exist_ok=True)
        (target / LIST).write_text(listed, encoding="latin-1")
    before = contents(tmp_path)
    with pytest.raises(
        QueryError, match=rf"there is something else in {target}: \w.* or name a folder that is"
    ):
        write_copy(target, explored)
    assert contents(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("inside", [[], [".git/config"], [".nojekyll", ".git"], ["data/"]])
def test_a_folder_of_nothing_but_hidden_files_is_taken(
    explored: Database, tmp_path: Path, inside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in inside:
        path = tmp_path / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(name)
    monkeypatch.chdir(tmp_path)
    write_copy(Path(), explored)
    assert (tmp_path / page.INDEX).is_file()
    assert all((tmp_path / name).read_text() == name for name in inside if not name.endswith("/"))
    assert not [path for path in tmp_path.iterdir() if is_workspace(path)]


def a_file(path: Path) -> None:
    path.write_text("mine")


def a_folder(path: Path) -> None:
    (path / "deep").mkdir(parents=True)


def a_link(path: Path) -> None:
    (path.parents[2] / "elsewhere").mkdir(exist_ok=True)
    path.symlink_to(path.parents[2] / "elsewhere")


@pytest.mark.parametrize(
    ("place", "make"),
    [("data", a_link), ("data", a_file), ("js", a_link), ("js", a_file), ("index.html", a_link), ("index.html", a_folder),
     ("data/curves", a_link), ("data/runs.bin", a_folder), ("data/runs.bin", a_link), ("data/files.json", a_folder),
     ("old.html", a_folder), ("old.html", a_link), ("older", a_link), ("older/b", a_file)],
)  # fmt: skip
def test_what_took_the_place_of_a_file_of_the_copy_is_named_and_stays(
    earlier: Path, explored: Database, place: str, make: Callable[[Path], None]
) -> None:
    path = earlier / place
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)
    before = contents(earlier.parent)
    with pytest.raises(QueryError, match="move it away, or name a folder that is not there yet") as raised:
        write_copy(earlier, explored)
    named = "older" if place == "data/files.json" else place
    assert named.partition("/")[0] in str(raised.value)
    assert contents(earlier.parent) == before


def test_a_file_of_mine_where_a_new_version_has_one_is_named_and_stays(
    earlier: Path, explored: Database
) -> None:
    listed = json.loads((earlier / LIST).read_text())
    listed["files"].remove("js/keys.js")
    (earlier / LIST).write_text(json.dumps(listed))
    before = contents(earlier)
    with pytest.raises(QueryError, match=r"js/keys\.js is where a file of the copy goes"):
        write_copy(earlier, explored)
    assert contents(earlier) == before


def test_a_list_never_leads_out_of_its_folder(earlier: Path, explored: Database, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("mine")
    for name in (
        "../outside.txt",
        str(tmp_path / "outside.txt"),
        "data/../../outside.txt",
        ".",
        "data/..",
        "a\0b",
    ):
        (earlier / LIST).write_text(json.dumps({"by": "bloxdb explore --static", "files": [name]}))
        with pytest.raises(QueryError, match="there is something else in"):
            write_copy(earlier, explored)
    assert (tmp_path / "outside.txt").read_text() == "mine"


STEPS = """
import json, os, sys
from pathlib import Path
import bloxdb
from bloxdb.web.copying import LIST, write_copy

file, target, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
own = {target / name for name in sys.argv[4:]}
step = 0

def look(event, args):
    global step
    changed = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0}.get(event)
    if changed is None or not os.path.isabs(args[changed]) or ".bloxdb-" in str(args[changed]):
        return
    step += 1
    if step == last:
        os.kill(os.getpid(), 9)
    if not all(map(os.path.exists, own)):
        print("lost", step)
    if step % 400 in (0, 1, 2, 3) or event in ("os.remove", "os.rmdir"):
        listed = {target / name for name in (LIST, *json.loads((target / LIST).read_text())["files"])}
        there = {path for path in target.rglob("*") if path.is_file() and ".bloxdb-" not in str(path)}
        if there - listed - own:
            print("unknown", step)

with bloxdb.open(file, read_only=True) as db:
    sys.addaudithook(look)
    write_copy(target, db)
print(step)
"""


@pytest.mark.slow
def test_a_copy_that_is_killed_at_any_moment_loses_nothing_and_goes_on(
    copy: Path, earlier: Path, explored_file: Path
) -> None:
    for name in OWN:
        (earlier / name).parent.mkdir(parents=True, exist_ok=True)
        (earlier / name).write_text(name)
    listed = json.loads((copy / LIST).read_text())["files"]
    every = 2 + 2 * len(listed) + 3 + 2 + 1
    for last in (
        2000,
        every - 2,
        -1,
    ):  # -1: as long as it takes, looking at all that there is before each step
        command = [sys.executable, "-c", STEPS, str(explored_file), str(earlier), str(last), *OWN]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        expected = (0, f"{every}\n") if last < 0 else (-9, "")
        assert (done.returncode, done.stdout) == expected, done.stderr
        assert all((earlier / name).read_text() == name for name in OWN)
        assert all((earlier / name).is_file() for name in listed)
    found = {name for name, what in contents(earlier).items() if what != "folder"}
    assert found == {*listed, LIST, *OWN}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["new", "below/new"])
def test_a_link_to_what_is_not_there_leads_to_the_place_of_the_copy(
    place: str, explored: Database, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / place)
    report = write_copy(link, explored)
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["link", place.split("/")[0]])
    assert all(path.is_file() for path in report.files)
    assert {path.resolve() for path in report.files} == {
        path for path in (tmp_path / place).rglob("*") if path.is_file()
    }
    write_copy(link, explored)  # and is an earlier copy then


def test_a_link_that_leads_back_to_itself_is_refused(explored: Database, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "link")
    with pytest.raises(bloxdb.QueryError, match="link is a link that leads back to itself; name another"):
        write_copy(tmp_path / "link", explored)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_no_folder(explored: Database, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(QueryError, match="is a file; name a folder"):
        write_copy(tmp_path / "mine.txt", explored)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_the_command_writes_one_without_datasette_and_says_how_to_look(
    explored_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    without = "import sys; sys.modules['datasette'] = None; from bloxdb.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", without, "explore", "--db", str(explored_file), "--static", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m http.server -d {folder}" in done.stdout
    assert (folder / page.INDEX).is_file()


def test_a_copy_has_no_address(explored_file: Path, tmp_path: Path) -> None:
    for option in (["--host", "0.0.0.0"], ["--port", "80"], ["--no-browser"]):
        done = CliRunner().invoke(
            main, ["explore", "--db", str(explored_file), "--static", str(tmp_path / "s"), *option]
        )
        assert done.exit_code == 2
        assert "--static serves nothing" in done.output
    assert not (tmp_path / "s").exists()
