"""Importing, exporting and asking a database, by the command line and from Python."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import baseline, cli, clock, measurement

import bloxdb
from bloxdb import space
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES
from bloxdb.space import costs

ROWS_INSERTED = 1_000  # runs whose epochs are one executemany


def import_(work: Path, name: str, db: str) -> dict[str, float]:
    """`bloxdb import` into a new file."""
    for path in work.glob(f"{db}*"):
        path.unlink()
    files = sorted((work / "release").glob(f"*.{name}"))
    result = cli("import", *files, "--db", work / db)
    result["file_mb"] = (work / db).stat().st_size / 1e6
    return result


@baseline
def executemany(work: Path) -> dict[str, float]:
    """Only the epochs, only their insertion, by the standard library, with its defaults."""
    path = work / "plain.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(f"file:{work / 'full.db'}?mode=ro", uri=True) as full:
        sql = full.execute("SELECT sql FROM sqlite_master WHERE name = 'epochs'").fetchone()[0]
    connection, result = sqlite3.connect(path), dict[str, float]()
    connection.execute(sql)
    truth = np.load(work / "release" / "truth-0.npz")
    names = [name for name in truth.files if truth[name].ndim == 2]
    columns = [truth[name] for name in names]
    stored = ", ".join(EPOCH_MEASURES[name].column for name in names)
    statement = f"INSERT INTO epochs (run_id, epoch, {stored}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    runs, epochs = columns[0].shape
    for first in range(0, runs, ROWS_INSERTED):
        ids = np.arange(first, min(first + ROWS_INSERTED, runs)) + 1
        values = [column[first : first + ROWS_INSERTED].ravel().tolist() for column in columns]
        keys = np.repeat(ids, epochs).tolist(), np.tile(np.arange(1, epochs + 1), len(ids)).tolist()
        rows = list(zip(*keys, *values, strict=True))
        with clock(result):
            connection.executemany(statement, rows)
    with clock(result):
        connection.commit()
    connection.close()
    path.unlink()
    return result


@measurement("import a .blox release", bound=0.35, against=executemany, peak_mb=lambda *_: 1500)
def import_blox(work: Path) -> dict[str, float]:
    """Ours."""
    return import_(work, "blox", "full.db")


@measurement("import a .pickle release", bound=1.3, against=import_blox)
def import_pickle(work: Path) -> dict[str, float]:
    """Ours."""
    return import_(work, "pickle", "other.db")


@measurement("import a .csv release", bound=1.3, against=import_blox)
def import_csv(work: Path) -> dict[str, float]:
    """Ours."""
    return import_(work, "csv", "other.db")


@measurement("export the database as .blox", bound=0.6, against=executemany, peak_mb=lambda *_: 2000)
def export_blox(work: Path) -> dict[str, float]:
    """Ours."""
    shutil.rmtree(work / "exported", ignore_errors=True)
    return cli("export", "--db", work / "full.db", "--out", work / "exported")


def import_seeds(work: Path, seeds: int) -> dict[str, float]:
    """`bloxdb import` of so many seeds into a new file."""
    for path in work.glob("seeds.db*"):
        path.unlink()
    files = [work / "seeds" / f"blox-{part}-{seed}.blox" for seed in range(seeds) for part in ("base", "ext")]
    result = cli("import", *files, "--db", work / "seeds.db")
    result["file_mb"] = (work / "seeds.db").stat().st_size / 1e6
    (work / "seeds.db").unlink()
    return result


@baseline
def one_seed(work: Path) -> dict[str, float]:
    """Ours."""
    return import_seeds(work, 1)


@measurement("import two seeds", bound=2.1, against=one_seed, peak_mb=lambda _, base: 1.1 * base["peak_mb"])
def two_seeds(work: Path) -> dict[str, float]:
    """Ours."""
    return import_seeds(work, 2)


@measurement(
    "import three seeds", bound=3.15, against=one_seed, peak_mb=lambda _, base: 1.1 * base["peak_mb"]
)
def three_seeds(work: Path) -> dict[str, float]:
    """Ours."""
    return import_seeds(work, 3)


def worst(action: Callable[[float, str], object]) -> float:
    """The slowest of all limits and measures, each the median of five."""
    flops = np.sort(costs.all_costs()[:, 0])
    slowest = 0.0
    for share in (0, 0.0005, 0.005, 0.03, 0.1, 0.3, 0.6, 1):
        limit = float(flops[min(int(share * len(flops)), len(flops) - 1)])
        for by in RUN_MEASURES:
            times = []
            for _ in range(5):
                start = time.perf_counter()
                action(limit, by)
                times.append(time.perf_counter() - start)
            slowest = max(slowest, statistics.median(times))
    return slowest


@measurement("top 10, worst limit and measure, Python", bound=0.005)
def top_python(work: Path) -> dict[str, float]:
    """`bloxdb.top` under a FLOPs limit."""
    with bloxdb.open(work / "full.db", read_only=True):
        return {"seconds": worst(lambda limit, by: bloxdb.top(10, max_flops=limit, by=by))}


@measurement("top 10, worst limit and measure, plain SQL", bound=0.005)
def top_sql(work: Path) -> dict[str, float]:
    """The same of the view, for the measures it has."""
    connection = sqlite3.connect(work / "full.db")

    def ask(limit: float, by: str) -> object:
        if by in ("test_top5", "test_loss"):
            by = "test_top1"  # not in the view
        order = "DESC" if by.endswith("top1") else "ASC"
        return connection.execute(
            f"SELECT * FROM leaderboard WHERE flops <= ? ORDER BY {by} {order} LIMIT 10",  # noqa: S608
            (limit,),
        ).fetchall()

    return {"seconds": worst(ask)}


@measurement("Arch.get(vec)", bound=0.0003)
def arch_get(work: Path) -> dict[str, float]:
    """The mean of many, by vector."""
    with bloxdb.open(work / "full.db", read_only=True):
        vecs = [space.arch_vec(index) for index in np.random.default_rng(0).integers(0, space.NUM_ARCHS, 600)]
        found = [bloxdb.Arch.get(vec) for vec in vecs[:100]]
        start = time.perf_counter()
        found += [bloxdb.Arch.get(vec) for vec in vecs[100:]]
        return {"seconds": (time.perf_counter() - start) / 500}


@measurement("arch.epochs", bound=0.003)
def arch_epochs(work: Path) -> dict[str, float]:
    """The mean of many."""
    with bloxdb.open(work / "full.db", read_only=True):
        indices = np.random.default_rng(1).integers(0, space.NUM_ARCHS, 60).tolist()
        archs = [bloxdb.Arch.get(index) for index in indices]
        times = []
        for arch in archs:
            start = time.perf_counter()
            count = len(arch.epochs) if arch else 0
            times.append(time.perf_counter() - start)
        return {"seconds": statistics.mean(times[10:]), "epochs": count}


@measurement("bloxdb top, cold process", bound=0.6)
def cold_top(work: Path) -> dict[str, float]:
    """Start to end."""
    return cli("top", "10", "--db", work / "full.db", "--max-flops", "250e6")


@measurement("bloxdb init", bound=4.0)
def init(work: Path) -> dict[str, float]:
    """Start to end."""
    for path in work.glob("init.db*"):
        path.unlink()
    return cli("init", "--db", work / "init.db")
