"""Commands are killed at random moments and between file operations; the next finds all or nothing.

`make faults` does so often, and kills training too; here each is killed a few times. A moment that fails is
in the name of the test: run that again with the same ``BLOXDB_FAULTS``.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, suppress
from itertools import zip_longest
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import pytest

from tests.faults.cases import CASES, COMMAND, NEXT, TRAIN, Case, Seeds, check, leftovers, state

pytestmark = pytest.mark.slow

MOMENTS = int(os.environ.get("BLOXDB_FAULTS", "1"))
"""How often each command is killed in each of two ways; if 1, in one of them."""

_ALL = MOMENTS > 1
AT_RANDOM = list(CASES) if _ALL else list(CASES)[::2]
BETWEEN = list(CASES) if _ALL else list(CASES)[1::2]
SIGNALLED = [name for name in (CASES if _ALL else AT_RANDOM[1:4]) if name != "upgrade"]

ROOT = Path(__file__).parents[2]
STRACE = ("strace", "-f", "-qq", "--seccomp-bpf")
_AGAIN = 5  # draws until one kills
_OPERATIONS = "pwrite64,write,rename,link,unlink,unlinkat,rmdir,mkdir,fsync,fdatasync,ftruncate,openat"


@pytest.fixture(scope="module")
def seeds(golden: Path, empty_file: Path, tiny_file: Path) -> Seeds:
    return Seeds(golden, empty_file, tiny_file)


def run(
    case: Case,
    folder: Path,
    *,
    by: tuple[str, ...] = (),
    after: float | None = None,
    number: signal.Signals = signal.SIGKILL,
) -> int:
    """Run the command of a case; send it and its children a signal after some seconds. Its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [*by, *case.words], cwd=folder, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            _, errors = process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, number)
            _, errors = process.communicate(timeout=100)
            assert b"Traceback" not in errors, errors.decode()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if after is None and not by:
            assert process.returncode == 0, errors.decode()
    return process.returncode


class Instant(NamedTuple):
    """A file operation: which one, and which of those of its thread."""

    call: str
    count: int


def instants_in(lines: list[str], folder: str) -> list[Instant]:
    """The operations of a log of strace, from the first on that names the folder.

    The kinds of operations take turns, so that the few links and renames come as often as the many writes.
    strace counts the calls of each kind in each thread apart.
    """
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[str, set[int]] = {}
    has_begun = False
    for line in lines:
        has_begun = has_begun or folder in line
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match:
            counts[match.groups()] += 1  # type: ignore[index]
            if has_begun:
                found.setdefault(match[2], set()).add(counts[match.groups()])  # type: ignore[index]
    draw = random.Random(len(found))
    kinds = [[Instant(call, count) for count in sorted(numbers)] for call, numbers in sorted(found.items())]
    for kind in kinds:
        draw.shuffle(kind)
    draw.shuffle(kinds)
    return [instant for turn in zip_longest(*kinds) for instant in turn if instant is not None]


class Undisturbed:
    """A case that nobody kills: the states before and after it, its seconds and its file operations."""

    def __init__(self, name: str, seeds: Seeds) -> None:
        self.case, self.seeds = CASES[name], seeds
        self._instants: list[Instant] = []
        folder = self.folder()
        self.before = state(folder)
        start = time.monotonic()
        if name in AT_RANDOM:
            run(self.case, folder)
        else:
            self._count(folder)
        self.seconds = time.monotonic() - start
        self.after = state(folder)
        assert leftovers(folder) == []
        shutil.rmtree(folder)

    def folder(self) -> Path:
        """A folder in which the command can be run."""
        folder = Path(mkdtemp(prefix="faults-"))
        self.case.prepare(folder, self.seeds)
        return folder

    def instants(self) -> list[Instant]:
        """What it asks of the system for files, in the order in which it is to be killed there."""
        if not self._instants:
            folder = self.folder()
            self._count(folder)
            shutil.rmtree(folder)
        return self._instants

    def _count(self, folder: Path) -> None:
        log = folder.with_suffix(".log")
        run(self.case, folder, by=(*STRACE, "-o", str(log), "-e", f"trace={_OPERATIONS}"))
        self._instants = instants_in(log.read_text().splitlines(), folder.name)
        log.unlink()

    def judge(self, folder: Path) -> None:
        """What is left is whole; and the same command then ends as if nothing had happened."""
        check(folder, self.before, self.after)
        if state(folder) != self.after or self.case.is_repeatable:
            run(self.case, folder)
        else:  # it was killed behind its last name, and refuses to make that once more
            run(NEXT, folder)
            (folder / "next.db").unlink()
        assert state(folder) == self.after
        assert leftovers(folder) == []
        shutil.rmtree(folder)


_known: dict[str, Undisturbed] = {}


def undisturbed(name: str, seeds: Seeds) -> Undisturbed:
    if name not in _known:
        _known[name] = Undisturbed(name, seeds)
    return _known[name]


@pytest.mark.parametrize("name", AT_RANDOM)
@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_at_a_random_moment(name: str, number: int, seeds: Seeds) -> None:
    whole = undisturbed(name, seeds)
    folder = whole.folder()
    # nothing happens while Python starts
    moment = whole.seconds * random.Random(f"{name} {number}").uniform(0.3, 1)
    run(whole.case, folder, after=moment)
    whole.judge(folder)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills between file operations")
@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_between_two_file_operations(name: str, number: int, seeds: Seeds) -> None:
    whole = undisturbed(name, seeds)
    instants = whole.instants()
    for more in range(_AGAIN):
        call, count = instants[(number + more) % len(instants)]
        folder = whole.folder()
        inject = f"inject={call}:signal=SIGKILL:when={count}"
        code = run(whole.case, folder, by=(*STRACE, "-o", "/dev/null", "-e", inject))
        whole.judge(folder)
        if code == -signal.SIGKILL:
            return
        assert code == 0  # threads share their work otherwise each time: this one had fewer such calls
    pytest.fail(f"{name} was not killed at any of {instants[number : number + _AGAIN]}")


def test_kinds_of_operations_take_turns_and_are_counted_by_thread() -> None:
    log = """\
7 openat(AT_FDCWD, "/usr/lib/x") = 3
7 openat(AT_FDCWD, "/tmp/here/a") = 3
8 fsync(4) = 0
7 fsync(3 <unfinished ...>
7 <... fsync resumed>) = 0
8 link("/tmp/here/a", "/tmp/here/b") = 0
7 openat(AT_FDCWD, "c") = 3
7 openat(AT_FDCWD, "d") = 3
"""
    found = instants_in(log.splitlines(), "here")
    assert sorted(found[:3]) in ([("fsync", 1), ("link", 1), ("openat", n)] for n in (2, 3, 4))
    assert sorted(found) == [("fsync", 1), ("link", 1), ("openat", 2), ("openat", 3), ("openat", 4)]


@pytest.mark.parametrize("name", SIGNALLED)
@pytest.mark.parametrize("number", range(MOMENTS))
def test_a_signal_ends_it_as_cleanly_as_ctrl_c(name: str, number: int, seeds: Seeds) -> None:
    whole = undisturbed(name, seeds)
    draw = random.Random(f"signal {name} {number}")
    folder = whole.folder()
    ending = draw.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    code = run(whole.case, folder, after=whole.seconds * draw.uniform(0.6, 1), number=ending)
    # 1 of Ctrl-C, or the signal itself while modules are imported, as on a machine that has become slower
    assert code in (0, -ending, *([1] if ending == signal.SIGINT else []))
    assert leftovers(folder) == []
    check(folder, whole.before, whole.after)
    shutil.rmtree(folder)


if MOMENTS >= 10:  # training takes long: it is killed by `make faults` only

    @pytest.mark.parametrize("number", range(MOMENTS))
    def test_killed_in_training(number: int, seeds: Seeds, tmp_path: Path) -> None:
        TRAIN.prepare(tmp_path, seeds)
        path = tmp_path / "blox.db"
        run(TRAIN, tmp_path, after=random.Random(f"train {number}").uniform(2, 12))
        run(Case([*COMMAND, "status", "--db", "blox.db"]), tmp_path)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        run(TRAIN, tmp_path)
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT status, count(*) FROM runs GROUP BY 1"
            assert connection.execute(query).fetchall() == [("finished", 4)]
            query = "SELECT run_id, count(*), min(epoch), max(epoch) FROM epochs GROUP BY 1"
            assert [row[1:] for row in connection.execute(query)] == [(2, 1, 2)] * 4
        assert leftovers(tmp_path) == []
