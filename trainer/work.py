"""Training several architectures, one after the other, into a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bloxdb import space
from bloxdb.database import Database
from bloxdb.errors import QueryError
from trainer.data import DATASETS
from trainer.environment import environment
from trainer.loop import EpochResult, train_run
from trainer.recipe import RECIPES
from trainer.record import RunRecord, RunTakenError, store_environment, store_recipe


@dataclass(frozen=True)
class Step:
    """Something that happened to a run: an epoch, its end, or that it was passed over."""

    arch_id: int
    position: int
    message: str
    epoch: EpochResult | None = None


def train_archs(
    db: Database,
    arch_ids: Sequence[int],
    *,
    dataset: str,
    epochs: int,
    seed: int,
    on_step: Callable[[Step], None],
) -> None:
    """Train architectures; runs that are finished already are passed over.

    Raises
    ------
    QueryError
        There is no such data set.
    """
    if dataset not in DATASETS:
        raise QueryError(f"there is no data set {dataset!r}; choose one of: {', '.join(DATASETS)}")
    data = DATASETS[dataset]()
    recipe = RECIPES[dataset](epochs)
    recipe_id = store_recipe(db, recipe, data)
    env_id = store_environment(db, environment())
    for position, arch_id in enumerate(arch_ids):
        try:
            record = RunRecord.claim(db, arch_id, recipe_id, seed, env_id)
        except RunTakenError as reason:
            on_step(Step(arch_id, position, f"passed over: {reason}"))
            continue

        def on_epoch(
            result: EpochResult, record: RunRecord = record, arch: tuple[int, int] = (arch_id, position)
        ) -> None:
            record.epoch(result)
            on_step(Step(*arch, f"epoch {result.epoch}: val_top1 {result.val.top1:.2f} %", result))

        try:
            result = train_run(space.arch_vec(arch_id), recipe, data, seed, on_epoch)
        except KeyboardInterrupt:
            record.release()
            raise
        record.finish(result)
        end = "diverged" if result.test is None else f"test_top1 {result.test.top1:.2f} %"
        on_step(Step(arch_id, position, end))
