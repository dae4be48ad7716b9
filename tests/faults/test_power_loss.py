"""What is told as done is on the disk: whole files before they have their names, and names before it is told.

Nobody cuts the power here: strace shows what a command asks of the system, and in which order.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bloxdb.writing import is_workspace
from tests.faults.cases import CASES, COMMAND, Case, Seeds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace shows what a command does"),
]

ROOT = Path(__file__).parents[2]
_CALLS = (
    "write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"
)
_STRACE = ("strace", "-f", "-qq", "-y", "-s", "4096", "-e", f"trace={_CALLS}", "--seccomp-bpf")
_PATH = re.compile(r'<(/[^>]*)>|"((?:[^"\\]|\\.)*)"')
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")


WEIGHTS = Case(
    [*COMMAND, "train", "--db", "new/blox.db", "--dataset", "digits", "--arch", "405", "--epochs", "2",
     *("--batch", "256", "--gpus", "none", "--checkpoint-every", "1", "--keep-weights", "all")]
)  # fmt: skip
PROMISING = {**CASES, "train": WEIGHTS}


@pytest.fixture(scope="module")
def seeds(golden: Path, empty_file: Path, tiny_file: Path) -> Seeds:
    return Seeds(golden, empty_file, tiny_file)


@dataclass(frozen=True)
class Call:
    """Something that was asked of the system and done: its name, and the paths that it is about."""

    name: str
    paths: list[Path]
    is_told: bool  # on stdout


def calls(log: Path, folder: Path) -> Iterator[Call]:
    """What a command did with files, in the order in which it ended."""
    begun: dict[str, str] = {}
    for line in log.read_text(errors="replace").splitlines():
        process, _, told = line.partition(" ")
        told = told.strip()
        if told.endswith("<unfinished ...>"):
            begun[process] = told.removesuffix("<unfinished ...>")
            continue
        if resumed := _RESUMED.match(told):
            told = begun.pop(process) + told[resumed.end() :]
        name, _, arguments = told.partition("(")
        if ") = -1" in arguments or name not in _CALLS.split(","):
            continue
        is_told = name == "write" and arguments.startswith("1<")
        if name.endswith(("write64", "write", "writev")):
            arguments = arguments.partition(",")[0]
        found = [Path(folder, one or two) for one, two in _PATH.findall(arguments)]
        if name in ("renameat", "renameat2", "linkat", "unlinkat"):  # of which strace shows folders, too
            found = [Path(folder, two) for _, two in _PATH.findall(arguments) if two]
        yield Call(name, found, is_told)


def is_promised(path: Path, folder: Path) -> bool:
    """Whether it is in the folder, and under a name that others look for."""
    return path.is_relative_to(folder) and not any(is_workspace(part) for part in (path, *path.parents))


def is_of_a_wal(path: Path) -> bool:
    """Whether SQLite makes it anew, or brings it into the file, whenever it likes."""
    return path.name.endswith(("-shm", "-wal"))


def run(case: Case, folder: Path) -> list[Call]:
    log = folder.with_suffix(".log")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*_STRACE, "-o", str(log), *case.words], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(calls(log, folder))


@pytest.mark.parametrize("name", PROMISING)
def test_what_gets_a_name_is_on_the_disk_before_and_its_name_after(
    name: str, seeds: Seeds, tmp_path: Path
) -> None:
    case = PROMISING[name]
    folder = tmp_path / "work"
    folder.mkdir()
    case.prepare(folder, seeds)
    unsynced: set[Path] = set()  # files that were written to
    nameless: set[Path] = set()  # folders with a name that is not known to be on the disk
    named = []
    for call in run(case, folder):
        if call.name in ("write", "pwrite64", "writev", "ftruncate"):
            unsynced.update(path for path in call.paths if path.is_relative_to(folder))
            waiting = {path for path in unsynced if is_promised(path, folder) and not is_of_a_wal(path)}
            assert not (call.is_told and (nameless or waiting)), "it is told before it is on the disk"
        elif call.name in ("fsync", "fdatasync"):
            unsynced.difference_update(call.paths)
            nameless.difference_update(call.paths)
        elif call.name.startswith(("rename", "link")):
            source, target = call.paths
            inside = {path for path in unsynced if path == source or source in path.parents}
            if is_promised(target, folder):
                assert not inside, f"{target} got its name before it was on the disk"
                named.append(target.name)
                nameless.add(target.parent)
            unsynced -= inside
            unsynced.update(target / path.relative_to(source) for path in inside)  # under another name
        elif call.name.startswith("unlink"):
            unsynced.difference_update(call.paths)
            if call.paths[0].name.endswith("-journal") and is_promised(call.paths[0], folder):
                nameless.add(call.paths[0].parent)  # the commit, which a journal would take back
    assert not nameless
    assert not {path for path in unsynced if is_promised(path, folder) and not is_of_a_wal(path)}
    assert named or name in ("merge", "import into an empty database", "import into a half", "retry")
