"""Measure bloxdb at full size, each operation against its baseline on the same bytes, in one run.

    python benchmarks/run.py WORKFOLDER [--archs 91125] [--epochs 200] [--repeats 3] [--only NAME] [--write]

Every measurement is a process of its own; the table shows medians, and the highest peak of resident memory.
Absolute seconds vary from machine to machine: the ratios are the point. `--write` puts the table into
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import pickle
import platform
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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

import bloxdb
from bloxdb import codecs, costs, space

HERE = Path(__file__).resolve().parent
EXT = "blox-ext-0"
ROWS_INSERTED = 1_000  # runs whose epochs are one executemany
MEASURES: dict[str, Callable[[Path], dict[str, float]]] = {}


@dataclass(frozen=True)
class Check:
    """A line of the table: `ours` in seconds against `bound` times `baseline`, or against `bound` seconds."""

    title: str
    ours: str
    bound: float
    baseline: str | None = None
    peak_mb: Callable[[dict[str, float]], float] | None = None


CHECKS = [
    Check("read ext .blox", "read_blox", 0.8, "inflate", lambda m: 3 * m["inflated_mb"]),
    Check("write ext .blox", "write_blox", 0.3, "deflate"),
    Check("read ext .pickle", "read_pickle", 0.15, "pickle_loads", lambda m: 2 * m["file_mb"]),
    Check("write ext .pickle", "write_pickle", 0.4, "pickle_dumps"),
    Check("read ext .csv", "read_csv", 0.2, "csv_reader"),
    Check("write ext .csv", "write_csv", 0.1, "csv_writer"),
    Check("import a .blox release", "import_blox", 0.6, "executemany", lambda m: 1500),
    Check("import a .pickle release", "import_pickle", 1.3, "import_blox"),
    Check("import a .csv release", "import_csv", 1.3, "import_blox"),
    Check("export the database as .blox", "export_blox", 1.0, "import_blox", lambda m: 2000),
    Check("top 10, worst limit and measure, Python", "top_python", 0.005),
    Check("top 10, worst limit and measure, plain SQL", "top_sql", 0.005),
    Check("Arch.get(vec)", "arch_get", 0.0003),
    Check("arch.epochs", "arch_epochs", 0.003),
    Check("bloxdb top, cold process", "cold_top", 0.6),
    Check("bloxdb init", "init", 4.0),
]


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
    stored = ", ".join(bloxdb.schema.EPOCH_MEASURES[name] for name in names)
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
        for by in bloxdb.queries.MEASURES:
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


def child(name: str, work: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, str(work), "--child", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def prepare(work: Path, archs: int, epochs: int) -> None:
    """The release in all formats; kept for the next run."""
    done = work / "sizes.json"
    wanted = {"archs": archs, "epochs": epochs}
    if done.exists() and {key: json.loads(done.read_text())[key] for key in wanted} == wanted:
        return
    shutil.rmtree(work / "release", ignore_errors=True)
    formats = [part for name in codecs.FORMATS for part in ("--format", name)]
    size = ["--archs", str(archs), "--epochs", str(epochs)]
    script = str(HERE / "make_release.py")
    subprocess.run([sys.executable, script, str(work / "release"), *size, *formats], check=True)
    inflated = len(zlib.decompress(body_of(work, "blox"))) / 1e6
    done.write_text(json.dumps({**wanted, "inflated_mb": inflated}))


def machine() -> str:
    """What it ran on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, zlib {zlib.ZLIB_RUNTIME_VERSION}"
    )


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """The lines that were measured, as Markdown."""
    lines = [
        "| what | ours, s | baseline, s | ratio | bound | peak, MB | bound, MB | met |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for check in CHECKS:
        if check.ours not in results or (check.baseline and check.baseline not in results):
            continue
        runs = results[check.ours]
        ours = statistics.median(run["seconds"] for run in runs)
        peak = max(run["peak_mb"] for run in runs)
        most = check.peak_mb(runs[0]) if check.peak_mb else None
        if check.baseline:
            base = statistics.median(run["seconds"] for run in results[check.baseline])
            met = ours <= check.bound * base
            middle = f"{ours:.3g} | {base:.3g} | {ours / base:.3f} | {check.bound} x"
        else:
            met = ours <= check.bound
            middle = f"{ours:.3g} | | | {check.bound} s"
        met = met and (most is None or peak <= most)
        limit = "" if most is None else f"{most:.0f}"
        lines.append(f"| {check.title} | {middle} | {peak:.0f} | {limit} | {'yes' if met else '**no**'} |")
    return "\n".join(lines)


@click.command()
@click.argument("work", type=click.Path(path_type=Path, file_okay=False))
@click.option("--archs", default=space.NUM_ARCHS, show_default=True)
@click.option("--epochs", default=200, show_default=True)
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--only", multiple=True, help="Only lines whose measurement has this name; may be repeated.")
@click.option("--write", "write_results", is_flag=True, help="Put the table into RESULTS.md.")
@click.option("--child", "child_name", hidden=True)
def main(
    work: Path,
    archs: int,
    epochs: int,
    repeats: int,
    only: tuple[str, ...],
    write_results: bool,
    child_name: str | None,
) -> None:
    """Measure everything, in folder WORK (about 6 GB)."""
    if child_name:
        finish(MEASURES[child_name](work))
        return
    work.mkdir(parents=True, exist_ok=True)
    prepare(work, archs, epochs)
    chosen = [check for check in CHECKS if not only or check.ours in only]
    names = list(dict.fromkeys(name for c in chosen for name in (c.baseline, c.ours) if name))
    names = ["import_blox", *(name for name in names if name != "import_blox")]  # others need its database
    results: dict[str, list[dict[str, float]]] = {}
    for turn in range(repeats):
        for name in names:
            results.setdefault(name, []).append(child(name, work))
            click.echo(f"{turn + 1}/{repeats} {name}: {results[name][-1]['seconds']:.4g} s", err=True)
    shown = (
        f"{archs:,} architectures, {epochs} epochs, one seed; median of {repeats}; "
        f"{datetime.now(UTC):%Y-%m-%d}; {machine()}.\n\n{table(results)}\n"
    )
    click.echo(shown)
    for name, runs in results.items():
        sizes = {key: round(value, 1) for key, value in runs[-1].items() if key.endswith("_mb")}
        click.echo(f"{name}: {sizes}", err=True)
    if write_results:
        path = HERE / "RESULTS.md"
        text = path.read_text()
        start, end = text.index("<!-- table -->") + len("<!-- table -->\n"), text.index("<!-- end -->")
        path.write_text(text[:start] + "\n" + shown + "\n" + text[end:])


if __name__ == "__main__":
    main()
