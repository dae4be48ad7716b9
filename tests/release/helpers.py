"""What tests of releases share: all that a release brings, and files with one other value."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

from bloxdb import Database, codecs
from bloxdb.codecs import Table
from bloxdb.release.unpickling import Arguments, build, scan

TINY, SMALL, RAW = "release-tiny", "release-small", "raw-results"

HASH = "dab44c12f79899d6de493c696c7ee8d1"  # the first of results_0_15

Results = dict[str, Any]
Given = tuple[dict[str, Any], Results]

CONTENT = (
    "SELECT * FROM leaderboard ORDER BY arch_id, seed",
    "SELECT arch_id, seed, e.* FROM epochs e JOIN runs ON runs.id = run_id ORDER BY arch_id, seed, epoch",
    "SELECT arch_id, seed, test_top5, test_loss, best_epoch, gpu, platform FROM runs LEFT JOIN envs ON envs.id = env_id ORDER BY arch_id, seed",
    "SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON devices.id = device_id ORDER BY arch_id, name",
)


def content(db: Database) -> list[list[dict[str, object]]]:
    """All that a release brings, without ids that may differ."""
    tables = [db.rows(query) for query in CONTENT]
    return [[{k: v for k, v in row.items() if k != "run_id"} for row in rows] for rows in tables]


def changed(source: Path, target: Path, row: int, column: str, value: object) -> Path:
    """A copy of a release file with one other value."""
    table = codecs.read(source)
    rows = table.rows()
    rows[row][table.header.columns.index(column)] = value
    codecs.write(Table.from_rows(table.header, rows), target)
    return target


class Args:
    """The original's class, as far as a pickle knows it."""


Args.__module__, Args.__qualname__ = "blox.training.args", "Args"


class Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Names `Args` without looking whether it can be imported."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj is Args:
            self.save("blox.training.args")
            self.save("Args")
            self.write(pickle.STACK_GLOBAL)
            self.memoize(obj)
        else:
            super().save_global(obj, name)


def contents(path: Path) -> tuple[dict[str, Any], Results]:
    """Arguments and results of a golden file."""
    data = path.read_bytes()
    first, second = scan(data)
    arguments = build(data, first, lambda key, value, at: None)
    assert type(arguments) is Arguments
    results: Results = {}
    build(data, second, lambda key, value, at: results.__setitem__(key, value))
    assert arguments.fields is not None
    return arguments.fields, results


def write(path: Path, *parts: dict[str, Any]) -> Path:
    """A file of arguments (a dict with a seed) and results in turn."""
    with path.open("wb") as stream:
        for part in parts:
            if "seed" in part:
                arguments = Args()
                arguments.__dict__.update(part)
                Pickler(stream, 4).dump(arguments)
            else:
                ordered = {
                    key: OrderedDict(value) if type(value) is dict and value else value
                    for key, value in part.items()
                }
                pickle.dump(ordered, stream, 4)
    return path


def diverge(result: dict[str, Any], epochs: int, at: float) -> None:
    """What the original leaves of a run whose loss was not a number."""
    for part in ("train", "valid"):
        result[part] = {e: metrics for e, metrics in result[part].items() if e <= epochs}
    result["test"] = {at: result["test"][10]}
