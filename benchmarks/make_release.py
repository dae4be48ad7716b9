"""Write a synthetic release of any size, to measure with: its results are invented, not trained.

    python benchmarks/make_release.py FOLDER [--archs 91125] [--epochs 200] [--seeds 1] [--format blox ...]

The learning curves are noisy and have the value ranges of real ones, so that files are as large, and deflate
as badly, as those of a real release. The data set in the headers is called `synthetic`, and so is the recipe
of a database that imports them. `truth-SEED.npz` beside the files has the same numbers as plain arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from bloxdb import codecs, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs.bloxtypes import counts_to_milli
from bloxdb.codecs.columns import BASE, BENCH, ENV, EXT, INFO, images_counted
from bloxdb.measures import ENVIRONMENT
from bloxdb.space import costs

Array = npt.NDArray[Any]

DATASET = "synthetic"
DEVICES = ("desktop-cpu", "jetson-nano")
LOSS_OF_GUESSING = 4.605  # ln 100
README = """\
A synthetic release, written by benchmarks/make_release.py of bloxdb: {archs} architectures, {epochs} epochs,
{seeds} seed(s). No network was trained for it; every accuracy, loss, time and latency is invented. Use it to
measure software, never to compare architectures.
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--archs", default=space.NUM_ARCHS, show_default=True, type=click.IntRange(1, space.NUM_ARCHS))
@click.option("--epochs", default=200, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1))
@click.option("--format", "formats", multiple=True, default=["blox"], type=click.Choice(list(codecs.FORMATS)))
@click.option("--truth/--no-truth", default=True, help="Write truth-SEED.npz, too.")
def main(folder: Path, archs: int, epochs: int, seeds: int, formats: tuple[str, ...], truth: bool) -> None:
    """Write a synthetic release into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.linspace(0, space.NUM_ARCHS - 1, archs).astype(np.int64)
    (folder / "README.txt").write_text(README.format(archs=archs, epochs=epochs, seeds=seeds))
    info, *latencies = static_tables(ids)
    tables = [info, *latencies]
    for table in tables:
        write(table, folder, formats)
    for seed in range(seeds):
        base, ext, env = seed_tables(ids, epochs, seed)
        for table in (base, ext, env):
            write(table, folder, formats)
        if truth:
            measures = {name: table[name] for table in (base, ext) for name in table.header.columns[1:]}
            np.savez(folder / f"truth-{seed}.npz", arch_id=ids, **measures)


def write(table: Table, folder: Path, formats: tuple[str, ...]) -> None:
    """One table in every format that is asked for."""
    for name in formats:
        path = folder / f"{table.header.stem}.{name}"
        codecs.write(table, path, strict=table.header.epochs is None or table.header.epochs <= 255)
        click.echo(f"{path}  {path.stat().st_size:,} bytes")


def static_tables(ids: Array) -> list[Table]:
    """The true costs, and latencies that grow with them."""
    hashes = digests(ids)
    flops, params = costs.all_costs()[ids].T
    cells = np.array([block.cell for block in space.BLOCKS], dtype=np.uint8)
    blocks = np.stack([space.block_of_stage(ids, stage) for stage in range(space.STAGES)], axis=1)
    columns = {"model_hash": hashes, "params": params, "flops": flops, "arch_vec": cells[blocks]}
    tables = [Table(Header("static", INFO), columns)]
    for d, device in enumerate(DEVICES):
        noise = np.random.default_rng([7, d]).lognormal(0, 0.1, len(ids))
        milliseconds = flops / 2e8 * (d + 1) * noise
        columns = {"model_hash": hashes, "latency": micro(milliseconds)}
        tables.append(Table(Header("benchmarking", BENCH, device=device), columns))
    return tables


def seed_tables(ids: Array, epochs: int, seed: int) -> tuple[Table, Table, Table]:
    """Base, ext and env of one seed."""
    draw = np.random.default_rng([11, seed])
    hashes = digests(ids)
    curves, final = learning_curves(ids, epochs, draw)
    tests = {
        "test_top1": share("test_top1", final + draw.normal(0, 0.004, len(ids))),
        "test_top5": share("test_top5", 1 - (1 - final) * draw.uniform(0.2, 0.26, len(ids))),
        "test_loss": micro(3.6 * (1 - final) + draw.normal(0, 0.02, len(ids))),
        "train_time_s": draw.integers(4_000, 30_000, len(ids)),
    }
    values = {"model_hash": hashes, **curves, **tests}

    def table(part: str, names: tuple[str, ...]) -> Table:
        header = Header("training", names, seed=seed, epochs=epochs, dataset=DATASET, part=part)
        return Table(header, {name: values[name] for name in names})

    env = Table(Header("env", ENV, seed=seed), {"model_hash": hashes, **environments(len(ids), draw)})
    return table("base", BASE), table("ext", EXT), env


def learning_curves(ids: Array, epochs: int, draw: np.random.Generator) -> tuple[dict[str, Array], Array]:
    """Per-epoch columns (archs, epochs) in fixed point, and the accuracy that each curve ends at."""
    flops = costs.all_costs()[ids, 0]
    size = (np.log(flops) - np.log(flops).mean()) / max(float(np.log(flops).std()), 1e-9)
    final = np.clip(0.66 + 0.03 * size + draw.normal(0, 0.01, len(ids)), 0.4, 0.8).astype(np.float32)
    time = np.linspace(0, 1, epochs, dtype=np.float32)
    rise = (1 - np.exp(-6 * time)) * 0.8 + 0.2 * time**4
    val = 0.04 + (final[:, None] - 0.04) * rise
    calm = (1.1 - time) ** 2  # a falling learning rate quiets the curve
    columns = {}
    for name, gain, noise in (("val_top1", 1.0, 0.015), ("train_top1", 1.25, 0.004)):
        columns[name] = share(
            name, np.minimum(val * np.float32(gain), 0.9999) + calm * normal(draw, val, noise)
        )
    for name, power, noise in (("val_top5", 2.5, 0.008), ("train_top5", 4.0, 0.002)):
        columns[name] = share(
            name, 1 - (1 - val) ** power * np.float32(0.95) + calm * normal(draw, val, noise)
        )
    for name, bend, noise in (("val_loss", 1.1, 0.05), ("train_loss", 1.4, 0.01)):
        columns[name] = micro(LOSS_OF_GUESSING * (1 - val) ** bend + calm * normal(draw, val, noise))
    return columns, final.astype(np.float64)


def normal(draw: np.random.Generator, like: Array, scale: float) -> Array:
    """Noise of the same shape."""
    return draw.standard_normal(like.shape, dtype=np.float32) * np.float32(scale)


def share(name: str, fractions: Array) -> Array:
    """Fractions as the accuracy of a count of images, in thousandths of a percent."""
    images = images_counted(name)
    return counts_to_milli(np.rint(np.clip(fractions, 0.005, 1) * images).astype(np.int32), images)


def micro(values: Array) -> Array:
    """Losses or milliseconds in millionths."""
    return np.rint(np.clip(values, 0.000_5, 16) * 1_000_000).astype(np.int32)


def environments(count: int, draw: np.random.Generator) -> dict[str, Array]:
    """The texts of a few invented machines."""
    which = draw.integers(0, 4, count)
    return {
        name: np.array([f"synthetic {name} {machine}" for machine in range(4)], dtype=object)[which]
        for name in ENVIRONMENT
    }


def digests(ids: Array) -> Array:
    """Model hashes as uint8 (n, 16)."""
    return space.all_digests()[ids]


if __name__ == "__main__":
    main()
