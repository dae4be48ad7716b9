"""Measure bloxdb at full size, each operation against its baseline on the same bytes, in one run.

    python benchmarks/run.py WORKFOLDER [--archs 91125] [--epochs 200] [--repeats 3] [--only NAME] [--write]

Every measurement is a process of its own; the table shows medians, and the highest peak of resident memory.
Absolute seconds vary from machine to machine: the ratios are the point. `--write` puts the table into
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import click
from harness import child, finish, load, machine, table, today, write_between
from measure_files import body_of

from bloxdb import codecs, space

HERE = Path(__file__).resolve().parent
SEEDS = 3
MODULES = (
    "measure_files",
    "measure_database",
    "measure_questions",
    "measure_dataset",
    "measure_frames",
)  # in the order of the table


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
    declared = load(MODULES)
    if child_name:
        finish(declared[child_name].function(work))
        return
    work.mkdir(parents=True, exist_ok=True)
    prepare(work, archs, epochs)
    chosen = [
        line for line in declared.values() if line.bound is not None and (not only or line.name in only)
    ]
    names = list(dict.fromkeys(name for line in chosen for name in (line.against, line.name) if name))
    names = ["import_blox", *(name for name in names if name != "import_blox")]  # others need its database
    results: dict[str, list[dict[str, float]]] = {}
    for turn in range(repeats):
        for name in names:
            results.setdefault(name, []).append(child(__file__, work, name))
            click.echo(f"{turn + 1}/{repeats} {name}: {results[name][-1]['seconds']:.4g} s", err=True)
    shown = (
        f"{archs:,} architectures, {epochs} epochs, one seed where not said otherwise; median of {repeats}; "
        f"{today()}; {machine()}.\n\n{table(results)}\n"
    )
    click.echo(shown)
    for name, runs in results.items():
        sizes = {key: round(value, 1) for key, value in runs[-1].items() if key.endswith("_mb")}
        click.echo(f"{name}: {sizes}", err=True)
    if write_results:
        write_between("<!-- table -->", "<!-- end -->", shown)


if __name__ == "__main__":
    main()
