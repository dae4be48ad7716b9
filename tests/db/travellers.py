"""Databases and what asks them, sent to other processes and back: a script that `test_travel.py` runs.

It takes the way to the processes, a database with release-tiny, and the folder of release-tiny.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable
from typing import Any

import bloxdb
from bloxdb import Arch, Database

KEYS = list(range(0, 91_125, 9_000))


def answers(things: dict[str, Any], arch: Arch) -> dict[str, Any]:
    """What a process finds out with what was sent to it."""
    db, problem, key = things["db"], things["problem"], arch.hash
    return {
        "rows": db.rows("SELECT count(*) AS runs FROM runs"),
        "read only": db.read_only,
        "problem": [problem.cost(key), problem.seconds, problem(key, 9), problem.seconds, problem.trajectory],
        "dataset": things["dataset"].full_info(key),
        "folder": things["folder"].full_info(key),
        "epochs": [epoch.val_top1 for epoch in Arch.get(key, db).epochs],
        "repr": repr(arch),
        "vec": arch.vec,
    }


def found(db: Database, key: int) -> Arch:
    """An architecture with its runs, to be sent back."""
    arch = Arch.get(key, db)
    assert arch is not None
    assert len(arch.runs) == len(arch.epochs) / 10
    return arch


def call_with_multiprocessing(method: str, function: Callable[..., Any], calls: list[Any]) -> list[Any]:
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.starmap(function, calls, chunksize=1)


def call_with_joblib(function: Callable[..., Any], calls: list[Any]) -> list[Any]:
    import joblib

    return list(joblib.Parallel(n_jobs=2)(joblib.delayed(function)(*call) for call in calls))


def call_with_cloudpickle(function: Callable[..., Any], calls: list[Any]) -> list[Any]:
    import cloudpickle

    return [
        pickle.loads(cloudpickle.dumps(function))(*pickle.loads(cloudpickle.dumps(call))) for call in calls
    ]


def call(way: str, function: Callable[..., Any], calls: list[Any]) -> list[Any]:
    if way == "joblib":
        return call_with_joblib(function, calls)
    if way == "cloudpickle":
        return call_with_cloudpickle(function, calls)
    return call_with_multiprocessing(way, function, calls)


def main(way: str, path: str, folder: str) -> None:
    with bloxdb.open(path, read_only=True) as db:
        first, second = db.rows("SELECT arch_id FROM runs ORDER BY id LIMIT 2")
        problem = bloxdb.Problem(db, budget_seconds=1e6)
        problem(second["arch_id"], 3)
        things = {
            "db": db,
            "problem": problem,
            "dataset": bloxdb.from_database(db),
            "folder": bloxdb.from_folder(folder, extended=True, include_static_info=True),
        }
        arch = found(db, first["arch_id"])
        assert arch.flops
        theirs = call(way, answers, [(things, arch)] * 3)
        mine = answers(things, arch)
        assert mine["epochs"]
        for one in theirs:
            assert one == mine
        archs = call(way, found, [(db, key) for key in [*KEYS, first["arch_id"]]])
        assert [one.id for one in archs] == [*KEYS, first["arch_id"]]
        assert [epoch.val_top1 for epoch in archs[-1].epochs] == mine["epochs"]
        assert repr(archs[0].runs) == "[]"


if __name__ == "__main__":
    main(*sys.argv[1:])
