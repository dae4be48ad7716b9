"""`train`: the trainer's command; torch is imported only when it runs."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bloxdb.care.checkpoints import checkpoints_beside, checkpoints_folder
from bloxdb.cli.archs import ArchCommand, arch_options, chosen_archs, taken
from bloxdb.cli.clusters import joined, ray_option
from bloxdb.cli.common import PATH, FloatRange, IntRange, db_option, in_the_one_there
from bloxdb.cli.durations import pause, time_left
from bloxdb.cli.live import Board, duration, shown
from bloxdb.cli.signals import CODE
from bloxdb.cli.terminal import note, say
from bloxdb.codecs.header import MAX_EPOCHS
from bloxdb.counts import Counts
from bloxdb.db import DATASETS, RELEASED, Database, open, open_or_create
from bloxdb.db.creation import file_to_make
from bloxdb.db.references import known_recipe
from bloxdb.errors import QueryError
from bloxdb.runs.heartbeat import Intervals
from bloxdb.runs.outages import PATIENCE
from bloxdb.runs.status import finished_archs, unfinished_count
from bloxdb.trainer import part
from bloxdb.trainer.estimate import Estimate, estimate
from bloxdb.trainer.identity import KEPT
from bloxdb.trainer.limits import TimeLimit
from bloxdb.trainer.naming import check_recipe
from bloxdb.trainer.recipe import PRECISIONS, VARIANTS, TrainingRecipe, default_recipe, make_recipe
from bloxdb.trainer.sources import is_own, name_of
from bloxdb.trainer.stopping import Stop
from bloxdb.trainer.threads import wait_passively

if TYPE_CHECKING:
    from bloxdb.trainer.images import DataSet

INTERRUPTED = 130
"""The exit code that a shell gives for Ctrl-C."""

TRY_AGAIN = 75
"""The exit code that says that runs are left: EX_TEMPFAIL of sysexits.h."""


def _default(setting: str) -> str:
    """A setting of the default recipe, and of the data sets whose own it is not."""
    values = {dataset: getattr(default_recipe(dataset), setting) for dataset in DATASETS}
    usual = values[RELEASED]
    others = [f", of {dataset} {value}" for dataset, value in values.items() if value != usual]
    return f"{usual}{''.join(others)}"


def data_source(
    context: click.Context | None, option: click.Parameter | None, text: str | None
) -> str | None:
    """What names a data set, as it was given, if it can be one."""
    if text is not None:
        try:
            name_of(text)
        except QueryError as error:
            raise click.BadParameter(str(error)) from error
    return text


@click.command(cls=ArchCommand)
@db_option
@click.option(
    "--dataset",
    callback=data_source,
    metavar="NAME|FILE.npz|MODULE:FUNCTION",
    help=f"What to train on: {', '.join(DATASETS)}, or images of your own.",
)
@arch_options
@click.option("--seed", type=IntRange(0), default=0, show_default=True, help="The runs' seed.")
@click.option("--epochs", type=IntRange(1, MAX_EPOCHS), help=f"Epochs a run; {_default('epochs')}.")
@click.option("--batch", type=IntRange(1), help=f"Images a step; {_default('batch')}.")
@click.option("--lr", type=FloatRange(0), help=f"The learning rate at the start; {_default('lr')}.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), help=f"How layers compute; {_default('precision')}."
)
@click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    help=f"Whose networks: of the public release, or of the paper's first one; {_default('variant')}.",
)
@click.option("--augment/--no-augment", default=None, help="Change training images at random, or not.")
@click.option("--fast", is_flag=True, help="Let algorithms differ in the last digits from time to time.")
@click.option("--compile", "compiled", is_flag=True, help="Let torch.compile make a GPU's kernels.")
@click.option(
    "--config",
    type=PATH,
    help="A TOML file with fields of a recipe; options override it.",
)
@click.option("--recipe-name", "called", metavar="NAME", help="What to call the recipe in the database.")
@click.option("--data-dir", type=PATH, help="Where data sets are.")
@click.option("--download", is_flag=True, help="Get the data set first if it is not there.")
@click.option("--gpus", metavar="all|none|N,N", help="Which GPUs; all if there are any, else the CPU.")
@click.option(
    "--per-gpu",
    type=IntRange(1, 256),
    default=1,
    show_default=True,
    help="Workers on each GPU; on the CPU, workers in all.",
)
@ray_option
@click.option(
    "--threads",
    type=IntRange(1),
    help="CPU threads of each worker; if not given, cores by workers, 1 for images as small as the digits.",
)
@click.option(
    "--checkpoint-dir",
    type=PATH,
    help="Where checkpoints are; beside the database if not given.",
)
@click.option(
    "--checkpoint-every",
    callback=pause,
    metavar="EPOCHS|TIME",
    default="60s",
    show_default=True,
    help="Time between two checkpoints, as 60s or 10min, or epochs, as 5.",
)
@click.option(
    "--heartbeat",
    type=FloatRange(0.05, 3600),
    default=Intervals.every,
    show_default=True,
    help="Seconds between two signs of life.",
)
@click.option(
    "--dead-after",
    type=FloatRange(0.2, 86_400),
    default=Intervals.dead_after,
    show_default=True,
    help="Seconds without one after which others take a run over.",
)
@click.option(
    "--patience",
    type=FloatRange(0, 604_800),
    metavar="SECONDS",
    default=PATIENCE,
    show_default=True,
    help="How long workers wait for a database server that is away.",
)
@click.option(
    "--grace",
    type=FloatRange(0.1, 604_800),
    metavar="SECONDS",
    help="How long workers that are to stop may take for their epoch; if not given, as long as it takes.",
)
@click.option(
    "--time-limit",
    callback=time_left,
    metavar="TIME|slurm",
    help="Be gone after a time, as 90m, 4h or 3:59:00, or when the Slurm job ends: begin no run that takes "
    "longer than what is left, and stop as by SIGTERM, --grace before the end, or 60s, or a tenth of it.",
)
@click.option(
    "--graphs/--no-graphs",
    default=None,
    help="Record a GPU's steps and replay them, which is the default, or not; the numbers are the same.",
)
@click.option(
    "--keep-weights",
    type=click.Choice(KEPT),
    help="Keep the trained weights of each run's best epoch, of its last one, or of all.",
)
@click.option("--weights-dir", type=PATH, help="Where weights are; beside the database if not given.")
@click.option("--tensorboard", type=PATH, metavar="DIR", help="Write scalars there.")
def train(
    db: str | None, dataset: str | None, config: Path | None, download: bool, seed: int, **options: Any
) -> None:
    """Train architectures and write each epoch into the database as it ends.

    Any number of these commands on one machine can share a file, and those of many machines a PostgreSQL
    database: each run is trained once.
    What is finished is passed over, so the same command goes on after an interruption. Ctrl-C or SIGTERM
    finishes the epoch and gives the runs back; once more, or after --grace, stops at once.

    The exit code is 0 when nothing is left of what was asked, 75 when runs are left (after SIGTERM, or the
    time limit) and the same command goes on with them, 130 after Ctrl-C.

    The database is created if there is none. Without other options, CIFAR-100 is trained as in the release.
    Options that change results make another recipe.
    """
    click.get_current_context().meta[CODE] = TRY_AGAIN
    chosen = taken(options)
    seconds = options.pop("time_limit")
    options["limit"] = None if seconds is None else TimeLimit.of(seconds, options["grace"])
    if options["weights_dir"] and not options["keep_weights"]:
        raise click.UsageError("--weights-dir is where --keep-weights puts them; say which are kept")
    fields = ("epochs", "batch", "lr", "precision", "variant", "augment", "called")
    changes = {name: options.pop(name) for name in fields}
    changes |= {
        "deterministic": False if options.pop("fast") else None,
        "compile": options.pop("compiled") or None,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    options["checkpoint_every"], options["checkpoint_seconds"] = options.pop("checkpoint_every")
    data = None
    source = dataset if dataset is not None and is_own(dataset) else None
    if source is not None:
        wait_passively()
        data = part("data").load_data(source)
        dataset, given["data_digest"] = data.name, data.digest
    recipe = make_recipe(dataset, config, given)
    if (place := file_to_make(db)) is not None:  # before there is one, which nothing could be trained into
        data = check_means(recipe, place, data=data, download=download, source=source, **options)

    def what_is_left() -> list[int]:
        with open_or_create(db) as (opened, is_new):  # for no longer: workers need it under its own name
            check_recipe(opened.reader, recipe)
            name = _name_in(opened, recipe)
            found = chosen_archs(opened, chosen, seed, lambda: finished_archs(name, seed, opened))
        if is_new:
            note(f"created {opened.name}")
        return found

    arch_ids = in_the_one_there(what_is_left, db, "training into")
    if not arch_ids:
        note("nothing is missing")
        return
    stop = Stop(grace=options["grace"], limit=options["limit"])
    with open(db) as again:
        options |= {"download": download, "source": source, "data": data}
        try:
            have_ended = train_shown(again, arch_ids, recipe, seed, stop=stop, **options)
        except KeyboardInterrupt:
            if not stop:
                raise
            have_ended = False
    if not have_ended:
        note("not all runs have ended; the same command goes on with them")
        sys.exit(INTERRUPTED if stop.by == signal.SIGINT else TRY_AGAIN)


def train_shown(
    db: Database,
    arch_ids: list[int],
    recipe: TrainingRecipe,
    seed: int,
    *,
    data: DataSet | None = None,
    download: bool = False,
    gpus: str | None = None,
    per_gpu: int = 1,
    threads: int | None = None,
    ray: str | None = None,
    checkpoint_dir: Path | None = None,
    heartbeat: float = Intervals.every,
    dead_after: float = Intervals.dead_after,
    limit: TimeLimit | None = None,
    stop: Stop | None = None,
    **options: Any,
) -> bool:
    """Train, shown as it goes on; whether all runs have ended."""
    wait_passively()
    devices, fleet, worker = (part(module) for module in ("devices", "fleet", "worker"))
    cluster = None if ray is None else joined(ray, gpus, per_gpu, threads)
    where = devices.places(gpus, per_gpu, threads) if cluster is None else []
    name = _name_in(db, recipe)
    board = Board(len(arch_ids), lambda: unfinished_count(arch_ids, name, seed, db))
    places = [place.device for place in where]
    if limit is not None and places and (found := estimated(db, recipe, len(places), places)) is not None:
        limit = replace(limit, expected=found.seconds)
    job = worker.Job(
        db=str(db.path) if db.path else db.url.render_as_string(hide_password=False),
        arch_ids=tuple(arch_ids),
        recipe=recipe,
        seed=seed,
        checkpoints=checkpoint_dir or checkpoints_folder(db),
        intervals=Intervals(heartbeat, dead_after),
        limit=limit,
        **options,
    )
    data = data or worker.data_of(job, download=download)
    if cluster is not None:
        say(f"{recipe.name} in {recipe.precision} on {cluster}: {Counts(runs=board.left)}")
        with shown(board) as tell:
            return bool(part("driver").train(job, cluster, tell, data, stop=stop))
    say(expected(db, recipe, board.left, places))
    with shown(board) as tell:
        finished: bool = fleet.train(job, where, tell, data=data, stop=stop)
    return finished


def check_means(
    recipe: TrainingRecipe,
    place: Path,
    *,
    data: DataSet | None = None,
    source: str | None = None,
    download: bool = False,
    gpus: str | None = None,
    per_gpu: int = 1,
    threads: int | None = None,
    ray: str | None = None,
    data_dir: Path | None = None,
    checkpoint_dir: Path | None = None,
    graphs: bool | None = None,
    heartbeat: float = Intervals.every,
    dead_after: float = Intervals.dead_after,
    tensorboard: Path | None = None,
    **others: Any,
) -> DataSet:
    """Refuse what cannot train here, before there is a database for it.

    Parameters
    ----------
    recipe
        How is to be trained.
    place
        The file that the database will be in.
    data
        The data set, where it is there already.
    source
        A data set of one's own.
    download
        Get the data set first if it is not there.
    gpus, per_gpu, threads
        Where, as the command's options say it.
    ray
        The address of a Ray cluster that is to train; None for this machine.
    data_dir
        The folder of the data set.
    checkpoint_dir
        The folder for checkpoints; beside the database if None.
    graphs
        Whether a GPU's steps are recorded.
    heartbeat, dead_after
        Seconds between signs of life, and without one.
    tensorboard
        The folder for scalars.
    others
        What the command is told besides.

    Returns
    -------
    DataSet
        What is trained on, on the CPU.

    Raises
    ------
    MissingExtraError
        torch is not installed, or TensorBoard, which is wanted.
    MissingDataError
        The data set is not there.
    QueryError
        There is no such GPU, or it cannot train so; the data set is another one; signs of life are too rare.
    TrainingError
        Checkpoints cannot be written, or there is no such cluster.
    """
    Intervals(heartbeat, dead_after)
    wait_passively()
    devices, fleet, worker = (part(module) for module in ("devices", "fleet", "worker"))
    if ray is None:
        fleet.check_places(recipe, devices.places(gpus, per_gpu, threads), graphs)
    else:
        joined(ray, gpus, per_gpu, threads).check(recipe, graphs)
    if tensorboard is not None:
        part("scalars").writer()
    part("checkpoint").probe_folder(checkpoint_dir or checkpoints_beside(place))
    found: DataSet = data or worker.data_for(recipe, source, folder=data_dir, download=download)
    return found


def _name_in(db: Database, recipe: TrainingRecipe) -> str:
    """What a database calls a recipe, or will."""
    found = known_recipe(db.reader, recipe.name, recipe.digest)
    return recipe.name if found is None else found.name


def estimated(db: Database, recipe: TrainingRecipe, runs: int, places: list[str]) -> Estimate | None:
    """How long runs take, where that is known.

    Parameters
    ----------
    db
        The database.
    recipe
        How is trained.
    runs
        How many runs are left.
    places
        The device of each worker, as torch calls it.
    """
    gpu = part("devices").name_of(min(places))
    return estimate(db, recipe, runs, gpu, workers=len(places), devices=len(set(places)))


def expected(db: Database, recipe: TrainingRecipe, runs: int, places: list[str]) -> str:
    """What is trained, in which precision, where, and how long that takes.

    Parameters
    ----------
    db
        The database.
    recipe
        How is trained.
    runs
        How many runs are left.
    places
        The device of each worker, as torch calls it.
    """
    used = sorted(set(places))
    gpu = part("devices").name_of(used[0])
    times = f"{len(used)} x " if len(used) > 1 else ""
    shared = f" with {len(places)} workers" if len(places) > 1 else ""
    text = f"{recipe.name} in {recipe.precision} on {times}{gpu}{shared}: {Counts(runs=runs)}"
    found = estimated(db, recipe, runs, places)
    if found is None:
        return f"{text}; how fast is not known before one has finished"
    return (
        f"{text} in about {duration(found.seconds)}, {found.images_per_second:,.0f} images/s, by {found.by}"
    )
