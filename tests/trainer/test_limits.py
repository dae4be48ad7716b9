"""Time limits: what may begin, and what ends in time."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bloxdb.trainer import fleet
from bloxdb.trainer.devices import Place
from bloxdb.trainer.limits import SHARE, USUAL_GRACE, Pace, TimeLimit
from bloxdb.trainer.stopping import Stop
from bloxdb.trainer.worker import Event

from bloxdb import Database
from bloxdb.cli.train import TRY_AGAIN
from bloxdb.errors import QueryError, TrainingError
from tests.trainer.helpers import (
    QUICK,
    Started,
    ask,
    digits_recipe,
    ended,
    job,
    own_images,
    path_of,
    some_digits,
    start,
    train,
)


def over(grace: float = 0.0) -> TimeLimit:
    """A limit that is over by now."""
    now = time.monotonic()
    return TimeLimit(now - 100, now - 1, grace)


def left(seconds: float, expected: float | None = None) -> TimeLimit:
    """A limit of which so much is left."""
    now = time.monotonic()
    return TimeLimit(now - 100, now + seconds, 0, expected)


@pytest.mark.parametrize(
    ("seconds", "given", "grace"),
    [(100, None, SHARE * 100), (14_400, None, USUAL_GRACE), (14_400, 90, 90), (100, 0, 0)],
)
def test_the_grace_is_taken_from_the_time(seconds: float, given: float | None, grace: float) -> None:
    limit = TimeLimit.of(seconds, given)
    assert limit.grace == grace
    assert limit.end - limit.began == pytest.approx(seconds)
    assert 0 < seconds - grace - limit.left() < 60


@pytest.mark.parametrize(("seconds", "grace"), [(0, None), (-5, None), (60, 60), (60, 90), (60, -1)])
def test_a_time_that_leaves_none_to_train_in_is_refused(seconds: float, grace: float | None) -> None:
    with pytest.raises(QueryError, match="a time limit is more than 0 seconds|give a shorter grace, or more"):
        TimeLimit.of(seconds, grace)


def test_no_run_begins_that_takes_longer_than_what_is_left() -> None:
    pace = Pace(left(50, expected=60), epochs=10)
    assert pace.too_little() is None  # when it is asked first
    found = pace.too_little()
    assert found is not None
    assert found[0] <= 50
    assert found[1] == 60
    assert Pace(left(50, expected=40), 10).too_little() is None


def test_what_was_measured_here_counts_more_than_what_was_expected() -> None:
    pace = Pace(left(50, expected=1000), epochs=10)
    pace.too_little()
    pace.ended(12, epochs=10)
    pace.ended(4, epochs=2)  # the rest of a run that was begun elsewhere
    assert pace.run_seconds() == pytest.approx(16 / 12 * 10)
    assert pace.too_little() is None


def test_without_a_limit_or_a_measure_runs_begin() -> None:
    for pace in (Pace(None, 10), Pace(left(0.1), 10)):
        assert [pace.too_little() for _ in range(3)] == [None] * 3
    unlimited = Pace(None, 10)
    unlimited.ended(1000, 10)
    assert [unlimited.too_little() for _ in range(3)] == [None] * 3


def test_the_time_asks_also_where_no_signal_comes() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(bool, Stop(limit=over())).result()
    assert not Stop(limit=left(50))


@pytest.mark.slow
def test_a_worker_leaves_to_others_what_it_has_no_time_for(empty_db: Database) -> None:
    now = time.monotonic()
    limit = TimeLimit(now, now + 4000, 3970)
    events: list[Event] = []

    def slowly(event: Event) -> None:
        """Let the first run take longer than what is left then."""
        events.append(event)
        while event.kind == "epoch" and time.monotonic() - now < 2 + limit.left():
            time.sleep(0.1)

    what = job(empty_db, [QUICK, QUICK + 1], digits_recipe(1, batch=256), limit=limit)
    assert not fleet.train(what, [Place("cpu")], slowly, data=some_digits())
    assert [event.kind for event in events] == ["start", "epoch", "end", "note"]
    assert re.search(r"has \d+ s left, and begins no run, which takes about \d+ s", events[-1].message)
    rows = empty_db.rows("SELECT status FROM runs ORDER BY arch_id")
    assert rows == [{"status": "finished"}, {"status": "pending"}]


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "seconds"), [(1, 20), (2, 60)])
def test_a_limit_gives_runs_back_with_their_epochs(empty_db: Database, workers: int, seconds: int) -> None:
    path = path_of(empty_db)
    process = Started(
        [
            *("train", "--db", path, "--dataset", own_images(path.parent), "--epochs", 60_000),
            *("--range", 404, 404 + workers, "--per-gpu", workers, "--gpus", "none", "--threads", 1),
            *("--time-limit", f"{seconds}s", "--grace", seconds / 2),
        ]
    )
    code, output = ended(process)
    assert code == TRY_AGAIN
    assert output.count("stopped after epoch") == workers
    assert "the same command goes on" in output
    assert ask(path, "SELECT DISTINCT status, worker FROM runs") == [("pending", None)]
    assert len(list(path.with_name("blox.db.checkpoints").iterdir())) == workers


@pytest.mark.slow
def test_a_limit_that_no_epoch_fits_into_is_an_error_and_not_a_reason_to_try_again(
    empty_db: Database,
) -> None:
    what = job(empty_db, [QUICK], digits_recipe(1), limit=over())
    with pytest.raises(TrainingError, match="no epoch ended within the time limit of 99 s"):
        train(what)
    process = start(path_of(empty_db), "--arch", QUICK, "--batch", 1, "--time-limit", "0.1s")
    code, output = ended(process)
    assert code == 1
    assert "give it more time" in output
