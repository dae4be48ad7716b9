"""How long training will take, before it begins: by runs that have ended, or by what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import func, select

from bloxdb.counts import Counts
from bloxdb.db.database import Database
from bloxdb.db.recipes import DATASETS, RELEASED
from bloxdb.db.schema import Env, Recipe, Run
from bloxdb.db.statuses import FINISHED

from .recipe import TrainingRecipe, default_recipe

MEASURED: dict[tuple[str, str], float] = {
    ("NVIDIA H200", "fp32"): 5_966,
    ("NVIDIA H200", "tf32"): 16_533,
    ("NVIDIA H200", "bf16"): 19_994,
}
"""Training images a second of epochs with validation, by the GPU's name and the precision, one worker a GPU:
those at which all 91,125 architectures take as long as `benchmarks/train.py` says. Add yours here.
"""


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of some runs.

    Attributes
    ----------
    images_per_second
        Training images of all workers together.
    seconds
        How long the runs will take.
    by
        What it was estimated by.
    """

    images_per_second: float
    seconds: float
    by: str


def estimate(
    db: Database, recipe: TrainingRecipe, runs: int, gpu: str, *, workers: int, devices: int
) -> Estimate | None:
    """Estimate how long runs will take.

    Parameters
    ----------
    db
        The database, with the runs that have finished.
    recipe
        The recipe of the runs.
    runs
        How many there are to train.
    gpu
        The name of the device, as environments have it.
    workers
        How many runs are trained at once.
    devices
        On how many devices.

    Returns
    -------
    Estimate or None
        None where nothing of this recipe has finished on such a device, and it is in no table.
    """
    train = _train_images(db, recipe)
    if train is None:
        return None
    images = recipe.epochs * train
    finished, seconds = _finished(db, recipe, gpu, workers / devices)
    if finished and seconds:
        speed = devices * images * finished / seconds
        return Estimate(speed, runs * images / speed, f"{Counts(runs=finished)} that finished on one")
    if (gpu, recipe.precision) not in MEASURED or not _is_measured(recipe):
        return None
    speed = devices * MEASURED[gpu, recipe.precision]
    return Estimate(speed, runs * images / speed, "what benchmarks/train.py measured")


def _train_images(db: Database, recipe: TrainingRecipe) -> int | None:
    """How many images train; of a data set of one's own None before the database knows it."""
    if recipe.data_digest is None:
        return DATASETS[recipe.dataset].train
    return db.reader.scalar(select(Recipe.train_images).where(Recipe.digest == recipe.digest))


def _is_measured(recipe: TrainingRecipe) -> bool:
    """Whether a recipe is the release's but for its length and precision."""
    usual = default_recipe(RELEASED, recipe.epochs)
    return replace(recipe, precision=usual.precision) == usual


def _finished(db: Database, recipe: TrainingRecipe, gpu: str, sharing: float) -> tuple[int, float]:
    """How many runs of a recipe have finished on such a device, and the seconds of a whole device for them.

    Of a run that shared its device with others, its part of the time. Those that shared it with as many as
    now will are the ones that tell, if there are any; else all do, since workers of one device mostly share
    what it can do.
    """
    query = (
        select(Run.device_workers, func.count(), func.sum(Run.train_time_s))
        .join(Recipe, Run.recipe_id == Recipe.id)
        .join(Env, Run.env_id == Env.id)
        .where(Recipe.digest == recipe.digest, Env.gpu == gpu, Run.status == FINISHED)
        .where(Run.train_time_s.is_not(None))
        .group_by(Run.device_workers)
    )
    found = ((workers or 1, runs, took) for workers, runs, took in db.reader.execute(query))
    rows = [(workers, runs, float(took or 0) / workers) for workers, runs, took in found]
    told = [row for row in rows if row[0] == sharing] or rows
    return sum(runs for _, runs, _ in told), sum(seconds for *_, seconds in told)
