"""Names of workers: whose process can be looked for, and that no two ever have one run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from bloxdb import Database, Run
from bloxdb.db.dialects import utc_now
from bloxdb.errors import RunLostError
from bloxdb.runs import workers
from bloxdb.runs.processes import claimed, lives, may_live, place_of, shown, this_place, worker_name
from bloxdb.runs.results import EpochResult
from tests.runs.helpers import INTERVALS, RESULT, claim, finish, queue_of

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the place")
NAME = "from bloxdb.runs import worker_name; print(worker_name(), flush=True)"


def named(*, stay: bool) -> tuple[subprocess.Popen[str], str]:
    """A process of this machine and its name; it stays, or has gone when this returns."""
    words = [sys.executable, "-c", NAME + ("; input()" if stay else "")]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    if not stay:
        process.communicate()
    return process, name


@LINUX
def test_a_process_of_this_place_that_is_gone_is_not_waited_for(empty_db: Database) -> None:
    _, name = named(stay=False)
    assert lives(name) is False
    queue = queue_of(empty_db, [1])
    assert claim(queue, name) is not None
    assert claim(queue, "elsewhere:2") is not None


@LINUX
def test_a_process_of_this_place_that_runs_lives_and_one_that_ended_unasked_does_not() -> None:
    process, name = named(stay=True)
    assert lives(name) is True
    assert lives(claimed(name)) is True
    process.kill()
    for _ in range(200):  # a zombie, which has its number still
        if lives(name) is False:
            break
        time.sleep(0.02)
    assert lives(name) is False
    process.communicate()
    assert lives(name) is False


@LINUX
def test_a_number_that_was_given_again_is_another_process() -> None:
    process, name = named(stay=True)
    before, _, start = name.rpartition(".")
    assert lives(f"{before}.{int(start) - 1}") is False
    process.communicate("")


@LINUX
@pytest.mark.parametrize(
    "place",
    [
        place_of("another boot", "machine", "pid:[1]"),
        place_of("boot", "another machine", "pid:[1]"),
        place_of("boot", "machine", "pid:[2]"),
        place_of("boot", "machine", "pid:[1]", "time:[2]"),
    ],
)
def test_a_process_of_another_place_is_judged_by_its_heartbeat_alone(place: str) -> None:
    assert place != place_of("boot", "machine", "pid:[1]")
    _, name = named(stay=False)
    here = this_place()
    assert here is not None
    assert lives(name) is False
    assert lives(name, place) is None
    elsewhere = name.replace(here, place)
    assert lives(elsewhere) is None
    assert may_live(elsewhere)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "node:abc",
        "elsewhere:1",
        "node:1#xyz.1",
        f"{os.uname().nodename}:{2**22 + 1}",
        "n:1#" + "0" * 16 + ".1",
    ],
)
def test_a_name_that_tells_no_place_of_ours_is_judged_by_its_heartbeat_alone(name: str) -> None:
    assert lives(name) is None
    assert may_live(name)


@LINUX
def test_a_number_that_no_process_can_have_is_gone() -> None:
    assert lives(f"node:{10**30}#{this_place()}.1") is False


@LINUX
def test_our_own_process_is_not_asked_whether_it_lives() -> None:
    assert lives(worker_name()) is False
    assert not may_live(worker_name())


def test_names_are_shown_without_what_tells_claims_apart(empty_db: Database) -> None:
    for name in (worker_name(), "mine", "a#b", ""):
        one, other = claimed(name), claimed(name)
        assert one != other
        assert shown(one) == shown(other) == shown(name)
    assert re.fullmatch(rf".*:{os.getpid()}", shown(worker_name()))
    assert claim(queue_of(empty_db, [1]), "node17:4711") is not None
    assert [row["worker"] for row in workers(empty_db)] == ["node17:4711"]


def test_two_workers_of_one_name_never_write_one_run(empty_db: Database) -> None:
    """Two containers with one host name, in each of which the worker is process 1."""
    queue = queue_of(empty_db, [1])
    old = claim(queue, "box:1")
    assert old is not None
    assert claim(queue, "box:1") is None, "it was stolen while its heartbeat went on"
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(1000)))
    new = claim(queue, "box:1")
    assert new is not None
    new.begin()
    new.epoch(EpochResult(1, RESULT, RESULT))
    for write in (
        old.begin,
        old.heartbeat,
        old.release,
        lambda: old.fail("x"),
        lambda: old.epoch(EpochResult(2, RESULT, RESULT)),
    ):
        with pytest.raises(RunLostError):
            write()
    assert [row["epoch"] for row in empty_db.rows("SELECT epoch FROM epochs")] == [1]
    finish(new)
    assert empty_db.rows("SELECT status, worker FROM runs") == [{"status": "finished", "worker": new.worker}]


CONTAINER = """
import sys, os, time
import bloxdb
from bloxdb.runs.processes import worker_name
from tests.runs.helpers import queue_of
with bloxdb.open(sys.argv[1]) as db:
    record = queue_of(db, [1]).claim()
    print(worker_name(), record is not None, flush=True)
    if sys.argv[2] == "stay":
        sys.stdin.readline()
"""


@LINUX
@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs another namespace")
def test_two_containers_of_one_host_name_do_not_steal_each_others_run(
    empty_file: Path, tmp_path: Path
) -> None:
    path = shutil.copy(empty_file, tmp_path / "blox.db")
    root = Path(__file__).parents[2]
    words = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", CONTAINER, str(path)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": root}
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False).returncode:
        pytest.skip("no namespaces here")
    with subprocess.Popen([*words, "stay"], **options) as one:  # type: ignore[call-overload]
        first = one.stdout.readline().split()
        second = subprocess.run([*words, "go"], timeout=60, check=True, **options).stdout.split()  # type: ignore[call-overload]
        one.communicate("\n")
    assert shown(first[0]) == shown(second[0]) == f"{os.uname().nodename}:1"
    assert first[0] != second[0]
    assert (first[1], second[1]) == ("True", "False")


@pytest.mark.parametrize("seconds", [-3600, -61])
def test_a_heartbeat_in_the_future_keeps_no_run_from_being_taken_over(
    empty_db: Database, seconds: int
) -> None:
    queue = queue_of(empty_db, [1])
    assert claim(queue) is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(seconds)))
    assert claim(queue, "elsewhere:2", INTERVALS) is not None


def test_a_run_without_any_heartbeat_is_taken_over(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    assert claim(queue) is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=None))
    assert claim(queue, "elsewhere:2") is not None


@LINUX
def test_a_clock_that_was_set_back_takes_no_run_from_a_process_that_is_seen_to_run(
    empty_db: Database,
) -> None:
    process, name = named(stay=True)
    queue = queue_of(empty_db, [1])
    assert claim(queue, name) is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(-3600)))
    assert claim(queue, "elsewhere:2") is None
    process.communicate("")
    assert claim(queue, "elsewhere:2") is not None


def test_runs_of_earlier_versions_are_taken_over_when_their_hearts_have_stopped(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    assert claim(queue) is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(worker=f"{os.uname().nodename}:{2**22 + 1}"))
    assert claim(queue, "elsewhere:2") is None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(1000)))
    assert claim(queue, "elsewhere:2") is not None
