"""Questions about all runs at once, of a database; beside them the same in plain sqlite3."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import measurement

import bloxdb

DEVICE = "desktop-cpu"
SHARES = (0, 0.0005, 0.005, 0.03, 0.1, 0.3, 0.6, 1)
FRONT = (
    "SELECT hash, flops, test_top1 FROM (SELECT *, max(test_top1) OVER (ORDER BY flops, test_top1 DESC, "
    "arch_id, seed ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best_before FROM leaderboard) "
    "AS ranked WHERE best_before IS NULL OR test_top1 > best_before ORDER BY flops"
)
LEADERBOARD = "SELECT * FROM leaderboard"
LEADERBOARD_COLUMNS = ("val_top1", "test_top1", "train_time_s", "flops", "params")
ONE_EPOCH = "SELECT arch_id, e.val_top1 FROM epochs e JOIN runs ON runs.id = run_id WHERE epoch = 12"


def median_of(action: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of a call, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def plain(work: Path, sql: str, *values: object) -> dict[str, float]:
    """A query in plain sqlite3."""
    connection = sqlite3.connect(work / "full.db")
    return {"seconds": median_of(lambda: connection.execute(sql, values).fetchall())}


def limits(work: Path) -> list[float]:
    """Latencies that leave few runs, many, and all."""
    sql = "SELECT latency_ms FROM latencies JOIN devices ON id = device_id WHERE name = ? ORDER BY latency_ms"
    found = [row[0] for row in sqlite3.connect(work / "full.db").execute(sql, (DEVICE,))]
    return [found[min(int(share * len(found)), len(found) - 1)] for share in SHARES]


@measurement("top 10, worst limit of latency, plain SQL", bound=0.5)
def top_latency_sql(work: Path) -> dict[str, float]:
    """The view, joined to latencies."""
    sql = (
        "SELECT l.* FROM leaderboard l JOIN latencies t ON t.arch_id = l.arch_id "
        "JOIN devices d ON d.id = t.device_id "
        "WHERE d.name = ? AND latency_ms <= ? ORDER BY test_top1 DESC, l.arch_id LIMIT 10"
    )
    return {"seconds": max(plain(work, sql, DEVICE, limit)["seconds"] for limit in limits(work))}


@measurement("top 10, worst limit of latency, Python", bound=0.005)
def top_latency(work: Path) -> dict[str, float]:
    """Ours."""
    with bloxdb.open(work / "full.db", read_only=True) as db:
        asks = [lambda limit=limit: bloxdb.top(10, db, max_latency=(DEVICE, limit)) for limit in limits(work)]
        return {"seconds": max(map(median_of, asks))}


@measurement("Pareto front of FLOPs and accuracy, plain SQL", bound=0.5)
def pareto_sql(work: Path) -> dict[str, float]:
    """The query of the README."""
    return plain(work, FRONT)


@measurement("Pareto front of FLOPs and accuracy, Python", bound=0.06)
def pareto(work: Path) -> dict[str, float]:
    """Ours."""
    with bloxdb.open(work / "full.db", read_only=True) as db:
        return {"seconds": median_of(lambda: bloxdb.pareto(db=db))}


@measurement("the whole leaderboard, plain SQL", bound=1.0)
def leaderboard_sql(work: Path) -> dict[str, float]:
    """As tuples."""
    return plain(work, LEADERBOARD)


@measurement("the whole leaderboard as arrays", bound=0.06)
def leaderboard_arrays(work: Path) -> dict[str, float]:
    """Its measures and costs, by a table of a data set; its val_top1 is that of the best epoch."""
    with bloxdb.open(work / "full.db", read_only=True) as db:
        data = bloxdb.from_database(db)
        return {"seconds": median_of(lambda: data.table(columns=LEADERBOARD_COLUMNS, best=True))}


@measurement("one epoch of all runs, plain SQL", bound=1.0)
def epoch_sql(work: Path) -> dict[str, float]:
    """As tuples."""
    return plain(work, ONE_EPOCH)


@measurement("one epoch of all runs, as an array", bound=0.25)
def epoch_table(work: Path) -> dict[str, float]:
    """By a table of a data set."""
    with bloxdb.open(work / "full.db", read_only=True) as db:
        data = bloxdb.from_database(db)
        return {
            "seconds": median_of(lambda: np.nansum(data.table(columns=["val_top1"], epoch=12)["val_top1"]))
        }
