"""What nobody may say of runs, and the sentence that answers it, whatever the database."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bloxdb import Database, runs
from bloxdb.measures import COSTS
from bloxdb.runs import EpochResult, Intervals, Metrics, RecipeFacts, RunQueue, RunRecord, RunResult
from tests.runs.helpers import RESULT, claim

EPOCH = EpochResult(1, RESULT, RESULT)
NO_TEXTS: dict[str, tuple[Any, str]] = {
    "a number": (5, "is a text, not 5"),
    "bytes": (b"x", "is a text, not b'x'"),
    "NUL": ("a\0b", r"has a character that no database holds: 'a\\\\x00b'"),
    "half of a pair": ("a\ud800", r"has a character that no database holds: 'a\\\\ud800'"),
    "a list": (["x"], r"is a text, not \['x'\]"),
}
BLANK: dict[str, tuple[Any, str]] = {
    "an empty one": ("", "is a text that says something, not ''"),
    "a blank one": (" \t", "is a text that says something, not ' "),
}
NO_SETTINGS: dict[str, tuple[Any, str]] = {
    "NaN": ({"rate": float("nan")}, "finite numbers"),
    "an infinity": ({"rates": [1, {"deep": np.float32("inf")}]}, "finite numbers"),
    "an object": ({"rate": object()}, "object object at"),
    "a list": ([1], "are a mapping, not"),
    "a text": ("x", "are a mapping, not"),
    "names that are none": ({1: 2}, "a name in the settings of a recipe is a text, not 1"),
    "NUL": ({"rate": "a\0"}, "a character that no database holds"),
    "half of a pair": ({"rate": ["\udc00"]}, "a character that no database holds"),
}


def queue(db: Database, recipe: RecipeFacts | None = None) -> RunQueue:
    """A queue with a run that waits; its recipe has two epochs."""
    made = RunQueue(db, [7], recipe or RecipeFacts("wrong-2", "digits", 2), 0)
    made.fill()
    return made


def record(db: Database, epochs: int = 0, recipe: RecipeFacts | None = None) -> RunRecord:
    """A run that was begun, with so many epochs."""
    found = claim(queue(db, recipe))
    assert found is not None
    found.begin()
    for number in range(1, epochs + 1):
        found.epoch(EpochResult(number, RESULT, RESULT))
    return found


def with_a_better_second(db: Database) -> RunRecord:
    """A run of two epochs, of which the second is the best."""
    found = record(db, 1)
    found.epoch(EpochResult(2, RESULT, replace(RESULT, top1=RESULT.top1 + 1)))
    return found


Wrong = dict[str, tuple[Callable[[Database], object], str]]

OF_TEXTS: Wrong = {
    f"{what}: {kind}": (lambda db, say=say, value=value: say(db, value), message)
    for what, say in {
        "RecipeFacts(name)": lambda _, value: RecipeFacts(value, "digits", 2),
        "RecipeFacts(dataset)": lambda _, value: RecipeFacts("wrong-2", value, 2),
        "RecipeFacts(digest)": lambda _, value: RecipeFacts("wrong-2", "digits", 2, digest=value),
        "environment_id(facts)": lambda db, value: runs.environment_id({"gpu": value}, db),
        "RunQueue.claim(worker)": lambda db, value: queue(db).claim(worker=value),
        "RunRecord.fail(message)": lambda db, value: record(db).fail(value),
        "RunRecord.release(message)": lambda db, value: record(db).release(value),
    }.items()
    for kind, (value, message) in NO_TEXTS.items()
}

OF_BLANKS: Wrong = {
    f"{what}: {kind}": (lambda db, say=say, value=value: say(db, value), f"{which} {message}")
    for what, (say, which) in {
        "RecipeFacts(dataset)": (
            lambda _, value: RecipeFacts("wrong-2", value, 2),
            "the name of a data set",
        ),
        "RecipeFacts(digest)": (lambda _, value: RecipeFacts("w-2", "digits", 2, digest=value), "a digest"),
        "RunRecord.fail": (lambda db, value: record(db).fail(value), "a message"),
        "RunRecord.fail, once more": (lambda db, value: record(db).fail(value, once_more=True), "a message"),
        "RunRecord.release": (lambda db, value: record(db).release(value), "a message"),
    }.items()
    for kind, (value, message) in BLANK.items()
} | {
    "RunQueue.claim(worker), a blank one": (
        lambda db: queue(db).claim(worker=" "),
        "a worker's name is a text that says something, not ' '",
    )
}

OF_SETTINGS: Wrong = {
    f"RecipeFacts(config): {kind}": (
        lambda _, value=value: RecipeFacts("wrong-2", "digits", 2, config=value),
        message,
    )
    for kind, (value, message) in NO_SETTINGS.items()
}

OF_TYPES: Wrong = {
    "images, two": (lambda _: RecipeFacts("wrong-2", "digits", 2, images=(1, 2)), "three counts"),  # type: ignore[arg-type]
    "images, none": (lambda _: RecipeFacts("wrong-2", "digits", 2, images=5), "three counts"),  # type: ignore[arg-type]
    "images, too many": (
        lambda _: RecipeFacts("w", "digits", 2, images=(1, 2, 2**31)),
        "number of images is in",
    ),  # type: ignore[arg-type]
    "epochs, too many": (lambda _: RecipeFacts("w", "digits", 2**16), "number of epochs is in 0 … 65535"),
    "a name too long": (lambda db: queue(db, RecipeFacts("x" * 201, "digits", 2)), "at most 200 characters"),
    "a data set too long": (lambda _: RecipeFacts("x", "d" * 201, 2), "at most 200 characters, not 201"),
    "a digest too long": (lambda _: RecipeFacts("x", "d", 2, digest="d" * 65), "at most 64 characters"),
    "no environment": (lambda db: runs.environment_id(None, db), "is a mapping of names to texts, not None"),  # type: ignore[arg-type]
    "an environment's id": (lambda db: queue(db).claim(env_id=10**6), "no environment 1000000"),
    "statuses, none": (lambda db: runs.retry(None, db), "runs that are None are not tried again"),  # type: ignore[arg-type]
    "statuses, an empty list": (
        lambda db: runs.retry([], db),
        "there are no statuses of runs to try again: name one, or several",
    ),
    "statuses, an empty set": (lambda db: runs.retry(set(), db), "there are no statuses of runs to try"),
    "seeds, an empty list": (lambda db: runs.retry(db=db, seeds=[]), "seeds names no seed"),
    "statuses, a database": (lambda db: runs.retry(db), "not tried again; choose of: failed"),  # type: ignore[arg-type]
    "archs, bytes": (
        lambda db: RunQueue(db, b"abc", RecipeFacts("w", "digits", 2), 0),
        "put b'abc' into a list",
    ),  # type: ignore[arg-type]
    "train of an epoch": (lambda _: EpochResult(1, (1, 2, 3), RESULT), "train of an epoch is a Metrics"),  # type: ignore[arg-type]
    "val of an epoch": (lambda _: EpochResult(1, RESULT, None), "val of an epoch is a Metrics, not None"),  # type: ignore[arg-type]
    "more of an epoch": (lambda _: EpochResult(1, RESULT, RESULT, [1]), "more of an epoch is a Mapping"),  # type: ignore[arg-type]
    "diverged of a run": (
        lambda _: RunResult(1, None, None, 1.0),  # type: ignore[arg-type]
        "diverged of a run is a bool, not 1",
    ),
    "diverged of a run, a text": (
        lambda _: RunResult("no", None, None, 1.0),  # type: ignore[arg-type]
        "diverged of a run is a bool, not 'no'",
    ),
    "best of a run": (lambda _: RunResult(False, 1, RESULT, 1.0), "best epoch is a EpochResult or None"),  # type: ignore[arg-type]
    "test of a run": (lambda _: RunResult(False, None, (1, 2), 1.0), "test of a run is a Metrics or None"),  # type: ignore[arg-type]
    "more of a run": (lambda _: RunResult(False, None, None, 1.0, [1]), "more of a run is a Mapping"),  # type: ignore[arg-type]
    "an epoch, none": (lambda db: record(db).epoch(None), "an epoch's result is a EpochResult, not None"),  # type: ignore[arg-type]
    "an epoch, a mapping": (lambda db: record(db).epoch({"epoch": 1}), "is a EpochResult, not {'epoch': 1}"),  # type: ignore[arg-type]
    "an end, none": (lambda db: record(db).finish(None), "a run's result is a RunResult, not None"),  # type: ignore[arg-type]
    "heartbeats too far apart": (lambda _: Intervals(every=60, dead_after=60), "would be taken for dead"),
    "heartbeats for ever apart": (lambda _: Intervals(every=1e300), "at most 31622400, a year"),
    "death after for ever": (lambda _: Intervals(dead_after=1e300), "at most 31622400, a year"),
    "death at once": (lambda _: Intervals(dead_after=0), "more than 0"),
}

OF_EPOCHS: Wrong = {
    "beyond the recipe": (
        lambda db: record(db, 2).epoch(EpochResult(3, RESULT, RESULT)),
        "is in 1 … 2, not 3",
    ),
    "far beyond": (lambda db: record(db).epoch(EpochResult(2**40, RESULT, RESULT)), "is in 1 … 2, not 1099"),
    "done, more than there are": (lambda db: record(db).begin(3), "epochs that are done is in 0 … 2, not 3"),
    "twice": (
        lambda db: record(db, 1).epoch(EPOCH),
        r"epoch 1 of architecture 7 was measured, but 1 are written, and the next is 2; begin\(done\)",
    ),
    "a gap": (
        lambda db: record(db).epoch(EpochResult(2, RESULT, RESULT)),
        "0 are written, and the next is 1",
    ),
    "an end too early": (
        lambda db: record(db, 1).finish(RunResult(False, EPOCH, RESULT, 1.0)),
        "has 1 of 2 epochs, so that it is not finished",
    ),
    "an end without epochs": (
        lambda db: record(db).finish(RunResult(False, None, None, 1.0)),
        "has 0 of 2 epochs, so that it is not finished",
    ),
    "no best": (
        lambda db: record(db, 2).finish(RunResult(False, None, RESULT, 1.0)),
        "no best epoch is given",
    ),
    "a best that is not there": (
        lambda db: record(db, 2).finish(RunResult(False, EpochResult(3, RESULT, RESULT), RESULT, 1.0)),
        "has no epoch 3, its best, but 2",
    ),
    "a best that is not there, diverged": (
        lambda db: record(db).finish(RunResult(True, EPOCH, None, 1.0)),
        "has no epoch 1, its best, but 0",
    ),
}

OTHER = Metrics(51.0, 91.0, 1.4)
PARTS: dict[str, EpochResult] = {
    **{f"train_{name}": EpochResult(1, replace(RESULT, **{name: value}), RESULT) for name, value in vars(OTHER).items()},
    **{f"val_{name}": EpochResult(1, RESULT, replace(RESULT, **{name: value})) for name, value in vars(OTHER).items()},
}  # fmt: skip


NEEDED: dict[str, Any] = {"train_time": 1.0}
"""What a result has for each measure that release files cannot leave out."""

OF_BESTS: Wrong = {
    **{
        f"{name}, {'diverged' if diverged else 'finished'}": (
            lambda db, best=best, diverged=diverged: record(db, 2).finish(
                RunResult(diverged, best, RESULT, 1.0)
            ),
            f"{name} of epoch 1 of architecture 7, its best, is "
            r"\d+\.\d in the run's result, and was written as \d+\.\d; give the epoch as it was written",
        )
        for name, best in PARTS.items()
        for diverged in (False, True)
    },
    "not measured": (
        lambda db: record(db, 2).finish(
            RunResult(False, EpochResult(1, RESULT, replace(RESULT, loss=math.nan)), RESULT, 1.0)
        ),
        "val_loss of epoch 1 of architecture 7, its best, is not measured in the run's result, and was "
        "written as 1.5",
    ),
    "an epoch that is not the best": (
        lambda db: with_a_better_second(db).finish(RunResult(False, EPOCH, RESULT, 1.0)),
        "the best epoch of architecture 7 is 2 by its validation, and not 1; is_better_than finds it",
    ),
    **{
        f"more of a run, {name}": (
            lambda db, name=name: record(db, 2).finish(RunResult(False, EPOCH, RESULT, 1.0, {name: 49.0})),
            f"more of a run has {name}, which is {'computed' if name in COSTS else 'given otherwise'}: more",
        )
        for name in ("val_top1", "test_top1", "test_top5", "test_loss", "train_time_s", *COSTS)
    },
    **{
        f"more of an epoch, {name}": (
            lambda db, name=name: record(db, 1).epoch(EpochResult(2, RESULT, RESULT, {name: 49.0})),
            f"more of an epoch has {name}, which is given otherwise: more is for further measures",
        )
        for name in (*RESULT.measures("train"), *RESULT.measures("val"))
    },
    "no test": (
        lambda db: record(db, 2).finish(RunResult(False, EPOCH, None, 1.0)),
        "the run of architecture 7 is finished, and no test is given; give Metrics, with nan for what",
    ),
    **{
        f"no {name}": (
            lambda db, name=name: record(db, 2).finish(
                RunResult(False, EPOCH, RESULT, **NEEDED | {name: math.nan})
            ),
            f"the run of architecture 7 is finished, and its {name}(_s)? is nan, which release files cannot say; "
            "give what was measured, or 0",
        )
        for name in NEEDED
    },
    "no epochs": (
        lambda db: record(db, 0, RecipeFacts("none-0", "digits", 0)).finish(
            RunResult(False, None, RESULT, 1.0)
        ),
        "the run of architecture 7 cannot be finished: its recipe has 0 epochs",
    ),
}

WRONG: Wrong = {**OF_TEXTS, **OF_BLANKS, **OF_SETTINGS, **OF_TYPES, **OF_EPOCHS, **OF_BESTS}
