"""What `run.py` measures, each in a process of its own: ours, and the baselines on the same bytes."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import pickle
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

import bloxdb
from bloxdb import codecs, dataset, space
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES
from bloxdb.space import costs

EXT = "blox-ext-0"
ROWS_INSERTED = 1_000  # runs whose epochs are one executemany
MEASURES: dict[str, Callable[[Path], dict[str, float]]] = {}


def measure(function: Callable[[Path], dict[str, float]]) -> Callable[[Path], dict[str, float]]:
    """Register something to measure; it returns `seconds` and what else is worth knowing."""
    MEASURES[function.__name__] = function
    return function


@contextmanager
def clock(result: dict[str, float]) -> Iterator[None]:
    """Add the seconds that the block takes."""
    start = time.perf_counter()
    yield
    result["seconds"] = result.get("seconds", 0.0) + time.perf_counter() - start


def file_of(work: Path, name: str) -> Path:
    """The ext file in one format."""
    return work / "release" / f"{EXT}.{name}"


def body_of(work: Path, name: str) -> bytes:
    """What follows the header of the ext file."""
    data = file_of(work, name).read_bytes()
    return data[data.index(b"\n---\n", 4) + 5 :]


def read(work: Path, name: str) -> dict[str, float]:
    """Read the ext file into a Table."""
    result: dict[str, float] = {"file_mb": file_of(work, name).stat().st_size / 1e6}
    with clock(result):
        codecs.read(file_of(work, name))
    return result


def write(work: Path, name: str) -> dict[str, float]:
    """Turn the ext Table into the bytes of a file."""
    table = codecs.read(file_of(work, "blox"))
    result: dict[str, float] = {}
    with clock(result):
        parts, _ = codecs.encode(table, name)
    result["file_mb"] = sum(map(len, parts)) / 1e6
    return result


@measure
def read_blox(work: Path) -> dict[str, float]:
    """Ours."""
    result = read(work, "blox")
    result["inflated_mb"] = json.loads((work / "sizes.json").read_text())["inflated_mb"]
    return result


@measure
def inflate(work: Path) -> dict[str, float]:
    """Only zlib."""
    body, result = body_of(work, "blox"), dict[str, float]()
    with clock(result):
        zlib.decompress(body)
    return result


@measure
def write_blox(work: Path) -> dict[str, float]:
    """Ours."""
    return write(work, "blox")


@measure
def deflate(work: Path) -> dict[str, float]:
    """Only zlib, level 6."""
    body, result = zlib.decompress(body_of(work, "blox")), dict[str, float]()
    with clock(result):
        deflated = zlib.compress(body, 6)
    result["file_mb"] = len(deflated) / 1e6
    return result


@measure
def read_pickle(work: Path) -> dict[str, float]:
    """Ours."""
    return read(work, "pickle")


@measure
def pickle_loads(work: Path) -> dict[str, float]:
    """The standard library, the collector off."""
    body, result = body_of(work, "pickle"), dict[str, float]()
    gc.disable()
    with clock(result):
        rows = pickle.loads(body)
    result["rows"] = len(rows)
    os._exit(finish(result))  # freeing a hundred million objects takes as long again


@measure
def write_pickle(work: Path) -> dict[str, float]:
    """Ours."""
    return write(work, "pickle")


@measure
def pickle_dumps(work: Path) -> dict[str, float]:
    """The standard library."""
    gc.disable()
    rows, result = pickle.loads(body_of(work, "pickle")), dict[str, float]()
    with clock(result):
        pickle.dumps(rows, protocol=4)
    os._exit(finish(result))


@measure
def read_csv(work: Path) -> dict[str, float]:
    """Ours."""
    return read(work, "csv")


@measure
def csv_reader(work: Path) -> dict[str, float]:
    """The standard library: `csv.reader`, and `float` on each value."""
    text, result = body_of(work, "csv").decode(), dict[str, float]()
    csv.field_size_limit(1 << 30)
    gc.disable()
    with clock(result):
        for _, *fields in csv.reader(io.StringIO(text, newline="")):
            for field in fields:
                if field[0] == "[":
                    [float(value) for value in field[1:-1].split(", ")]
                else:
                    float(field)
    return result


@measure
def write_csv(work: Path) -> dict[str, float]:
    """Ours."""
    return write(work, "csv")


@measure
def csv_writer(work: Path) -> dict[str, float]:
    """The standard library."""
    gc.disable()
    rows, result = pickle.loads(body_of(work, "pickle")), dict[str, float]()
    with clock(result):
        csv.writer(io.StringIO(newline="")).writerows(rows)
    os._exit(finish(result))


def cli(*arguments: object) -> dict[str, float]:
    """A command in a process of its own, from start to end."""
    result: dict[str, float] = {}
    command = [str(Path(sys.executable).with_name("bloxdb")), *map(str, arguments)]
    with clock(result):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return result


def import_(work: Path, name: str, db: str) -> dict[str, float]:
    """`bloxdb import` into a new file."""
    for path in work.glob(f"{db}*"):
        path.unlink()
    files = sorted((work / "release").glob(f"*.{name}"))
    result = cli("import", *files, "--db", work / db)
    result["file_mb"] = (work / db).stat().st_size / 1e6
    return result


@measure
def import_blox(work: Path) -> dict[str, float]:
    """Ours."""
    return import_(work, "blox", "full.db")


@measure
def import_pickle(work: Path) -> dict[str, float]:
    """Ours."""
    return import_(work, "pickle", "other.db")


@measure
def import_csv(work: Path) -> dict[str, float]:
    """Ours."""
    return import_(work, "csv", "other.db")


def import_seeds(work: Path, seeds: int) -> dict[str, float]:
    """`bloxdb import` of so many seeds into a new file."""
    for path in work.glob("seeds.db*"):
        path.unlink()
    files = [work / "seeds" / f"blox-{part}-{seed}.blox" for seed in range(seeds) for part in ("base", "ext")]
    result = cli("import", *files, "--db", work / "seeds.db")
    result["file_mb"] = (work / "seeds.db").stat().st_size / 1e6
    (work / "seeds.db").unlink()
    return result


@measure
def one_seed(work: Path) -> dict[str, float]:
    """Ours."""
    return import_seeds(work, 1)


@measure
def two_seeds(work: Path) -> dict[str, float]:
    """Ours."""
    return import_seeds(work, 2)


@measure
def three_seeds(work: Path) -> dict[str, float]:
    """Ours."""
    return import_seeds(work, 3)


@measure
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


@measure
def export_blox(work: Path) -> dict[str, float]:
    """Ours."""
    shutil.rmtree(work / "exported", ignore_errors=True)
    return cli("export", "--db", work / "full.db", "--out", work / "exported")


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


@measure
def top_python(work: Path) -> dict[str, float]:
    """`bloxdb.top` under a FLOPs limit."""
    with bloxdb.open(work / "full.db", read_only=True):
        return {"seconds": worst(lambda limit, by: bloxdb.top(10, max_flops=limit, by=by))}


@measure
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


@measure
def arch_get(work: Path) -> dict[str, float]:
    """The mean of many, by vector."""
    with bloxdb.open(work / "full.db", read_only=True):
        vecs = [space.arch_vec(index) for index in np.random.default_rng(0).integers(0, space.NUM_ARCHS, 600)]
        found = [bloxdb.Arch.get(vec) for vec in vecs[:100]]
        start = time.perf_counter()
        found += [bloxdb.Arch.get(vec) for vec in vecs[100:]]
        return {"seconds": (time.perf_counter() - start) / 500}


@measure
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


@measure
def cold_top(work: Path) -> dict[str, float]:
    """Start to end."""
    return cli("top", "10", "--db", work / "full.db", "--max-flops", "250e6")


@measure
def init(work: Path) -> dict[str, float]:
    """Start to end."""
    for path in work.glob("init.db*"):
        path.unlink()
    return cli("init", "--db", work / "init.db")


def from_folder(work: Path) -> dataset.Dataset:
    """The `.blox` files of the release, with everything."""
    return dataset.from_folder(
        work / "release", extended=True, include_static_info=True, include_env_info=True, preferred_ext="blox"
    )


@measure
def load_folder(work: Path) -> dict[str, float]:
    """Into memory."""
    result: dict[str, float] = {}
    with clock(result):
        from_folder(work)
    return result


def per_call(data: dataset.Dataset, ask: Callable[[dataset.Dataset, space.ArchVec], object]) -> float:
    """Seconds of a call, the mean of many vectors."""
    draw = np.random.default_rng(2).integers(0, space.NUM_ARCHS, 6_000).tolist()
    vecs = [space.arch_vec(index) for index in draw]
    for vec in vecs[:1_000]:
        ask(data, vec)
    start = time.perf_counter()
    for vec in vecs[1_000:]:
        ask(data, vec)
    return (time.perf_counter() - start) / 5_000


def accuracies(data: dataset.Dataset) -> dict[str, float]:
    """The slower of the two."""
    asks = (lambda d, vec: d.val_acc(vec), lambda d, vec: d.test_acc(vec))
    return {"seconds": max(per_call(data, ask) for ask in asks)}


@measure
def acc_folder(work: Path) -> dict[str, float]:
    """Of a folder in memory."""
    return accuracies(from_folder(work))


@measure
def acc_database(work: Path) -> dict[str, float]:
    """Of a database."""
    with bloxdb.open(work / "full.db", read_only=True) as db:
        return accuracies(bloxdb.from_database(db))


@measure
def full_info(work: Path) -> dict[str, float]:
    """Of a folder in memory."""
    return {"seconds": per_call(from_folder(work), lambda data, vec: data.full_info(vec))}


@measure
def arrow_epochs(work: Path) -> dict[str, float]:
    """All epochs as an Arrow table."""
    result: dict[str, float] = {}
    with bloxdb.open(work / "full.db", read_only=True) as db, clock(result):
        bloxdb.to_arrow("epochs", db)
    return result


@measure
def adbc_epochs(work: Path) -> dict[str, float]:
    """The same rows and columns by ADBC alone."""
    import adbc_driver_sqlite.dbapi as adbc

    measures = ", ".join(f"epochs.{name}" for name in EPOCH_MEASURES)
    result: dict[str, float] = {}
    with adbc.connect(str(work / "full.db")) as connection, connection.cursor() as cursor, clock(result):
        cursor.execute(
            f"SELECT arch_id, name, seed, epoch, {measures} FROM epochs "  # noqa: S608
            "JOIN runs ON runs.id = run_id JOIN recipes ON recipes.id = recipe_id WHERE status = 'finished'"
        )
        cursor.fetch_arrow_table()
    return result


@measure
def arrays(work: Path) -> dict[str, float]:
    """One measure and one result of all architectures."""
    data = from_folder(work)
    times = []
    for epoch in (50, 100, 150, 200, 12):
        start = time.perf_counter()
        data.table(columns=["val_top1", "test_top1"], epoch=epoch)
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times)}


def finish(result: dict[str, float]) -> int:
    """Print what was measured, with this process's peak."""
    result.setdefault("peak_mb", peak_mb())
    print(json.dumps(result), flush=True)
    return 0


def peak_mb() -> float:
    """This process's own peak; Linux hands ru_maxrss down from the parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise click.ClickException("the peak memory of a process is read from /proc, which is not here")
