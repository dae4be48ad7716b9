"""A database on a disk that machines share has the workers of one machine; others are told what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.db.disks import check_alone
from bloxdb.runs.heartbeat import Intervals
from bloxdb.runs.processes import worker_name
from bloxdb.runs.queue import living_workers
from tests.db.test_disks import LINUX, pretend
from tests.runs.helpers import claim, queue_of
from tests.trainer.helpers import QUICK, digits_recipe, job, train

__all__ = ["pretend"]

pytestmark = [
    LINUX,
    pytest.mark.filterwarnings("ignore:.*where SQLite's locks cannot be relied on:UserWarning"),
]

ELSEWHERE = "elsewhere:7"
INSTEAD = r"For several workers use PostgreSQL .*`bloxdb merge`"


@pytest.fixture
def path(empty_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_file, tmp_path / "blox.db"))


def counts(db: Database) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in db.rows("SELECT status, count(*) FROM runs GROUP BY status")]


@pytest.mark.slow
def test_several_workers_of_one_machine_share_its_locks(path: Path, pretend: Callable[[str], None]) -> None:
    pretend("nfs4")
    with bloxdb.open(path, current=False) as db:
        beside = claim(queue_of(db, [9]), worker_name())  # of another command here
        assert beside is not None
        assert train(job(db, [QUICK, QUICK + 1], digits_recipe(1)), workers=2)[0]
        assert sorted(counts(db)) == [("finished", 2), ("running", 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "is_refused"), [("cifs", True), ("ext4", False), ("fuse.x", False)])
@pytest.mark.filterwarnings("ignore:.*may have no locks:UserWarning")
def test_a_worker_beside_one_of_another_machine_that_lives_is_refused(
    path: Path, pretend: Callable[[str], None], kind: str, is_refused: bool
) -> None:
    with bloxdb.open(path, current=False) as db:
        assert claim(queue_of(db, [9]), ELSEWHERE) is not None
    pretend(kind)
    with bloxdb.open(path, current=False) as db:
        what = job(db, [QUICK], digits_recipe(1))
        if not is_refused:
            assert train(what)[0]
            return
        told = (
            r"is on SMB, .*, and elsewhere:7 trains into it elsewhere. Whoever was killed counts as dead after 60 s "
            rf"without a sign of life \(`--dead-after`\): wait so long, .* requeued. {INSTEAD}"
        )
        with pytest.raises(bloxdb.DatabaseError, match=told):
            train(what)
        assert counts(db) == [("running", 1)]
        with db.transaction() as session:  # it has not shown life for long
            session.execute(text("UPDATE runs SET heartbeat_at = '2020-01-01 00:00:00.000000'"))
        assert train(what)[0]


def test_of_two_that_begin_together_the_second_one_is_refused_as_it_takes_a_run(
    path: Path, pretend: Callable[[str], None]
) -> None:
    pretend("nfs4")
    with bloxdb.open(path, current=False) as db:
        queues = [queue_of(db, [8, 9]) for _ in range(2)]  # both have looked, and seen nobody
        first = claim(queues[0], ELSEWHERE)
        assert first is not None
        ours = claim(queues[1])  # a thread of the same process, which has the same locks
        assert ours is not None
        for record in (first, ours):
            record.release("for the test")
        with db.transaction() as session:
            state = "status = 'running', worker = 'elsewhere:7', heartbeat_at = datetime('now')"
            session.execute(text(f"UPDATE runs SET {state} WHERE arch_id = 8"))
        with pytest.raises(bloxdb.DatabaseError, match="elsewhere:7 trains into it elsewhere"):
            claim(queues[1])
        assert counts(db) == [("pending", 1), ("running", 1)]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (["a:1"], "and a:1 trains into it elsewhere"),
        (["a:1", "b:2"], "and a:1, b:2 train into it elsewhere"),
        ([f"{name}:1" for name in "abcdef"], "and a:1, b:1, c:1 and 3 more train into it elsewhere"),
    ],
)
def test_all_who_live_are_told(
    path: Path, pretend: Callable[[str], None], others: list[str], told: str
) -> None:
    pretend("nfs4")
    with pytest.raises(bloxdb.DatabaseError, match=told):
        check_alone(path, others, dead_after=90)


def test_who_lives_is_told_by_name_and_who_is_dead_is_not(empty_db: Database) -> None:
    queue = queue_of(empty_db, [7, 8, 9])
    for worker in (ELSEWHERE, "another:8"):
        assert claim(queue, worker) is not None
    assert living_workers(empty_db.reader, intervals=Intervals()) == ["another:8", "elsewhere:7"]
    with empty_db.transaction() as session:
        session.execute(text("UPDATE runs SET heartbeat_at = NULL WHERE worker LIKE 'another%'"))
    assert living_workers(empty_db.reader, intervals=Intervals()) == ["elsewhere:7"]
    assert len(counts(empty_db)) == 2
