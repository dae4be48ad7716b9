"""What a data set answers, in memory and over a database."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import clock, measurement

import bloxdb
from bloxdb import dataset, space


def from_folder(work: Path) -> dataset.Dataset:
    """The `.blox` files of the release, with everything."""
    return dataset.from_folder(
        work / "release", extended=True, include_static_info=True, include_env_info=True, preferred_ext="blox"
    )


@measurement("dataset from a folder, everything", bound=3.5, peak_mb=lambda *_: 1300)
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


@measurement("val_acc, test_acc from a folder", bound=5e-6)
def acc_folder(work: Path) -> dict[str, float]:
    """Of a folder in memory."""
    return accuracies(from_folder(work))


@measurement("val_acc, test_acc over a database", bound=60e-6)
def acc_database(work: Path) -> dict[str, float]:
    """Of a database."""
    with bloxdb.open(work / "full.db", read_only=True) as db:
        return accuracies(bloxdb.from_database(db))


@measurement("full_info from a folder", bound=150e-6)
def full_info(work: Path) -> dict[str, float]:
    """Of a folder in memory."""
    return {"seconds": per_call(from_folder(work), lambda data, vec: data.full_info(vec))}


@measurement("table of all architectures from a folder", bound=0.02)
def arrays(work: Path) -> dict[str, float]:
    """One measure and one result of all architectures."""
    data = from_folder(work)
    times = []
    for share in (0.25, 0.5, 0.75, 1, 0.06):  # of 200 epochs: 50, 100, 150, 200 and 12
        epoch = max(1, round(share * data.epochs))
        start = time.perf_counter()
        data.table(columns=["val_top1", "test_top1"], epoch=epoch)
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times)}
