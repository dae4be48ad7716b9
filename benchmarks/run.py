"""Measure bloxdb at full size, each operation against its baseline on the same bytes, in one run.

    python benchmarks/run.py WORKFOLDER [--archs 91125] [--epochs 200] [--repeats 3] [--only NAME] [--write]

Every measurement is a process of its own; the table shows medians, and the highest peak of resident memory.
Absolute seconds vary from machine to machine: the ratios are the point. `--write` puts the table into
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from measures import MEASURES, body_of, finish

from bloxdb import codecs, space

HERE = Path(__file__).resolve().parent
SEEDS = 3


@dataclass(frozen=True)
class Check:
    """A line of the table: `ours` in seconds against `bound` times `baseline`, or against `bound` seconds.

    `peak_mb` gives the most memory that ours may take, of what ours and the baseline told.
    """

    title: str
    ours: str
    bound: float
    baseline: str | None = None
    peak_mb: Callable[[dict[str, float], dict[str, float]], float] | None = None


CHECKS = [
    Check("read ext .blox", "read_blox", 0.8, "inflate", lambda m, _: 3 * m["inflated_mb"]),
    Check("write ext .blox", "write_blox", 0.3, "deflate"),
    Check("read ext .pickle", "read_pickle", 0.15, "pickle_loads", lambda m, _: 2 * m["file_mb"]),
    Check("write ext .pickle", "write_pickle", 0.4, "pickle_dumps"),
    Check("read ext .csv", "read_csv", 0.2, "csv_reader"),
    Check("write ext .csv", "write_csv", 0.1, "csv_writer"),
    Check("import a .blox release", "import_blox", 0.6, "executemany", lambda *_: 1500),
    Check("import a .pickle release", "import_pickle", 1.3, "import_blox"),
    Check("import a .csv release", "import_csv", 1.3, "import_blox"),
    Check("export the database as .blox", "export_blox", 1.0, "import_blox", lambda *_: 2000),
    Check("import two seeds", "two_seeds", 2.1, "one_seed", lambda _, base: 1.1 * base["peak_mb"]),
    Check("import three seeds", "three_seeds", 3.15, "one_seed", lambda _, base: 1.1 * base["peak_mb"]),
    Check("top 10, worst limit and measure, Python", "top_python", 0.005),
    Check("top 10, worst limit and measure, plain SQL", "top_sql", 0.005),
    Check("Arch.get(vec)", "arch_get", 0.0003),
    Check("arch.epochs", "arch_epochs", 0.003),
    Check("bloxdb top, cold process", "cold_top", 0.6),
    Check("bloxdb init", "init", 4.0),
    Check("dataset from a folder, everything", "load_folder", 3.5, peak_mb=lambda *_: 1300),
    Check("val_acc, test_acc from a folder", "acc_folder", 5e-6),
    Check("val_acc, test_acc over a database", "acc_database", 60e-6),
    Check("full_info from a folder", "full_info", 150e-6),
    Check("table of all architectures from a folder", "arrays", 0.02),
    Check("all epochs to Arrow", "arrow_epochs", 1.2, "adbc_epochs"),
]


def child(name: str, work: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, str(work), "--child", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def prepare(work: Path, archs: int, epochs: int) -> None:
    """The release in all formats; kept for the next run."""
    done = work / "sizes.json"
    wanted = {"archs": archs, "epochs": epochs, "seeds": SEEDS}
    if done.exists() and {key: json.loads(done.read_text()).get(key) for key in wanted} == wanted:
        return
    shutil.rmtree(work / "release", ignore_errors=True)
    formats = [part for name in codecs.FORMATS for part in ("--format", name)]
    size = ["--archs", str(archs), "--epochs", str(epochs)]
    script = str(HERE / "make_release.py")
    subprocess.run([sys.executable, script, str(work / "release"), *size, *formats], check=True)
    seeds = [sys.executable, script, str(work / "seeds"), *size, "--seeds", str(SEEDS), "--no-truth"]
    shutil.rmtree(work / "seeds", ignore_errors=True)
    subprocess.run(seeds, check=True)
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
        told = results[check.baseline][0] if check.baseline else {}
        most = check.peak_mb(runs[0], told) if check.peak_mb else None
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
    """Measure everything, in folder WORK (about 8 GB)."""
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
        f"{archs:,} architectures, {epochs} epochs, one seed where not said otherwise; median of {repeats}; "
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
