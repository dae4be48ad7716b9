"""The original's training results into a database: recipes, runs, environments."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import bindparam, select, update

from bloxdb import space
from bloxdb.codecs.header import MAX_EPOCHS
from bloxdb.counts import Counts, counted
from bloxdb.db.epochs import EpochWriter
from bloxdb.db.recipes import DATASETS, RELEASED, Images, RecipeFacts, said_by
from bloxdb.db.references import Environments, known_recipe, recipe_for
from bloxdb.db.schema import Recipe, Run
from bloxdb.db.statuses import DIVERGED, FINISHED
from bloxdb.errors import BloxFormatError, ReleaseError, spelled
from bloxdb.measures import COSTS, RUN, SEEDS, from_stored
from bloxdb.progress import Meter
from bloxdb.release.changes import Changes
from bloxdb.release.costs import take_costs
from bloxdb.release.results import CURVES, TESTED, ResultsFile, ResultsRun, read_results
from bloxdb.release.training import RunData, RunStore
from bloxdb.space.costs import check_costs

_SETTINGS: dict[str, tuple[Any, Any]] = {
    # what decides a run besides data set, epochs and seed: the original's default, and the release's
    "lr": (0.01, 0.01),
    "momentum": (0.9, 0.9),
    "decay": (0.0005, 0.0005),
    "train_batch": (256, 256),
    "hflip": (False, 0.5),
    "random_crop_pad": (0, 4),
    "crop": (False, True),
    "cutout": (False, True),
    "cutout_length": (16, 16),
    "rand_aug": (0, 14),
    "rand_aug_num": (2, 2),
    "train_portion": (0.9, 0.9),
    "split_seed": (0, 0),
    "stem": (32, 32),
    "cells": (1, 1),
}
_UNUSUAL: dict[str, Any] = {
    # decides too, and was never changed: told only where it is
    "opt": "SGD",
    "lr_min": 0,
    "lr_schedule": "cosine",
    "lr_decay": None,
    "nesterov": False,
    "loss": "xentropy",
    "grad_clip": False,
    "auxiliary": False,
    "shuffle": True,
    "normalize": True,
    "rotate": False,
    "vflip": False,
    "pad": False,
    "cutout_holes": 1,
    "cutout_prob": 1.0,
    "val_split": None,
    "split_test": False,
    "blockwise": False,
    "apply_train_transforms_to_validation": False,
    "warmup_bn": False,
}
_OF_NETWORK = ("stem", "cells")  # settings that decide how large a network is


@dataclass(frozen=True)
class _Meant:
    """What a file's arguments, or whoever imports it, say of its runs; `epochs` is None if nobody does, and
    it is a guess where nobody says what the networks were.
    """

    name: str
    dataset: str
    epochs: int | None
    seed: int
    images: Images | None = None
    config: dict[str, Any] | None = None
    digest: str | None = None
    is_guess: bool = False

    @property
    def has_the_spaces_network(self) -> bool:
        """Whether what was trained certainly costs what the search space says: networks of the release's data
        set.
        """
        if self.is_guess:
            return False
        config = self.config or {}
        usual = {name: _SETTINGS[name][1] for name in _OF_NETWORK}
        return self.dataset == RELEASED and all(config.get(n, value) == value for n, value in usual.items())


class ResultsImporter:
    """Brings files of training results in, within one transaction.

    Parameters
    ----------
    writer
        Takes the epochs; its session is the transaction.
    changes
        Counts, and collects what contradicts.
    meter
        What to tell of the bytes of the files.
    recipe, seed
        What the caller says of the runs; a combined file does not say it itself.
    """

    def __init__(
        self, writer: EpochWriter, changes: Changes, meter: Meter, recipe: str | None, seed: int | None
    ) -> None:
        self.session = writer.session
        self.writer = writer
        self.changes = changes
        self.notes = changes.report.notes
        self.meter = meter
        self.recipe_name = recipe
        self.seed = seed
        self._told: set[str] = set()  # recipes whose number of epochs is not what is said
        self._envs = Environments(self.session)

    def run(self, paths: Iterable[Path]) -> None:
        """Import all files; the caller checks for contradictions, and flushes the epochs."""
        for path in paths:
            size = path.stat().st_size
            self.meter.begin(path.name, size)
            # the meter counts runs, and of those nobody knows the number: so far as many as bytes are read
            done = 0

            def tell(at: int, total: int) -> None:
                nonlocal done
                done += 1
                self.meter.rows(1, done * total // max(at, 1))

            self._file(read_results(path, tell))

    def _file(self, file: ResultsFile) -> None:
        meant = self._meant(file)
        self._note(file, meant)
        if not file.runs:
            return
        recipe = self._recipe(file, meant)
        ended: dict[tuple[bool, int], list[ResultsRun]] = {}
        for run in file.runs:
            ended.setdefault((run.is_whole and run.epochs == recipe.epochs, run.epochs), []).append(run)
        for (is_whole, _), runs in sorted(ended.items(), reverse=True):
            status = FINISHED if is_whole else DIVERGED
            store = RunStore(self.writer, recipe, meant.seed, self.changes, status=status)
            data = _data(file.path.name, runs)
            self.changes.told.runs(recipe.name, meant.seed, runs[0].epochs, data.ids)
            store.save(data, create=True)
        self._compare_costs(file, meant)
        self._save_environments(file, recipe, meant.seed)

    def _meant(self, file: ResultsFile) -> _Meant:
        """What is said of a file's runs."""
        path, arguments = file.path, file.arguments
        if arguments is None:
            if self.recipe_name is None or self.seed is None:
                raise ReleaseError(
                    f"{path} has results without the arguments of their training, as combined files have: "
                    "say the recipe and the seed of its runs (--recipe NAME --seed N)"
                )
            return self._named(self.recipe_name, self.seed)
        seed = _integer(path, arguments, "seed", SEEDS[0], SEEDS[-1])
        if self.seed not in (None, seed):
            raise ReleaseError(f"{path} was trained with seed {seed}, not {self.seed}")
        epochs = _integer(path, arguments, "epochs", 1, MAX_EPOCHS)
        dataset = arguments.get("dataset")
        if type(dataset) is not str or not re.fullmatch(r"[\w.+-]{1,100}", dataset):
            raise ReleaseError(f"{path}: its arguments have no data set that could be one")
        settings = {name: arguments.get(name, default) for name, (default, _) in _SETTINGS.items()}
        unusual = {
            n: arguments[n] for n, usual in _UNUSUAL.items() if n in arguments and arguments[n] != usual
        }
        name = f"{dataset}-{epochs}"
        images = _images(dataset, settings["train_portion"])
        if not unusual and all(settings[name] == given for name, (_, given) in _SETTINGS.items()):
            return _Meant(self.recipe_name or name, dataset, epochs, seed, images)
        config = {"dataset": dataset, "epochs": epochs, **settings, **unusual}
        try:
            text = json.dumps(config, sort_keys=True, allow_nan=False)
        except ValueError as error:
            wrong = [
                name for name in config if type(config[name]) is float and not math.isfinite(config[name])
            ]
            raise ReleaseError(
                f"{path}: its arguments have no finite number for {', '.join(wrong) or 'a setting'}"
            ) from error
        digest = hashlib.sha256(text.encode()).hexdigest()
        name = self.recipe_name or f"{name}-{digest[:8]}"
        return _Meant(name, dataset, epochs, seed, images, config, digest)

    def _named(self, name: str, seed: int) -> _Meant:
        """What the name of a recipe says: that of the database, else DATASET-EPOCHS, else nothing."""
        known = self.session.scalar(select(Recipe).where(Recipe.name == name))
        if known is not None:
            return _Meant(name, known.dataset, known.epochs, seed, config=known.config, digest=known.digest)
        dataset, epochs = said_by(name) or (RELEASED, None)
        return _Meant(name, dataset, epochs, seed, is_guess=True)

    def _recipe(self, file: ResultsFile, meant: _Meant) -> Recipe:
        """The recipe of a file's runs, with as many epochs as those have that went to their end."""
        known = known_recipe(self.session, meant.name, meant.digest)
        name = meant.name if known is None else known.name
        if self.recipe_name not in (None, name):
            self.notes.append(
                f"{file.path.name}: recipe {self.recipe_name} is not used: the same settings are known "
                f"as recipe {name} here, and the runs are of that one"
            )
        known_epochs = None if known is None else known.epochs
        whole = max((run.epochs for run in file.runs if run.is_whole), default=known_epochs or meant.epochs)
        most = max(run.epochs for run in file.runs)
        if whole is None or (meant.epochs is not None and most > meant.epochs):
            said = f"the recipe is of {meant.epochs}"
            if file.arguments is not None:
                said = f"the arguments of its training say {meant.epochs}"
            elif whole is None:
                said = "nobody says of how many the recipe is; name it as DATASET-EPOCHS"
            raise ReleaseError(f"{file.path}: a run has {Counts(epochs=most)}, and {said}")
        if meant.epochs not in (None, whole) and name not in self._told:
            self._told.add(name)
            self.notes.append(
                f"{file.path.name}: its recipe is said to be of {Counts(epochs=meant.epochs)}, but its runs "
                f"ended after {whole}; {name} is stored with {whole}"
            )
        facts = RecipeFacts(meant.name, meant.dataset, whole, meant.images, meant.config, meant.digest)
        return recipe_for(self.session, facts, "name another recipe for these files")

    def _note(self, file: ResultsFile, meant: _Meant) -> None:
        name = file.path.name
        if file.arguments is None:
            self.notes.append(
                f"{name}: a combined file, which says neither recipe, data set nor seed; {meant.name}, "
                f"{meant.dataset} and seed {meant.seed} are believed"
            )
        if file.without:
            self.notes.append(f"{name}: {Counts(architectures=file.without)} without results")
        absent = _absent(file)
        if absent:
            missing = counted(
                absent,
                "architecture of the range that it is of is not in it",
                "architectures of the range that it is of are not in it",
            )
            self.notes.append(f"{name}: {missing}")
        if file.gaps:
            self.notes.append(
                f"{name}: histories lack values of {Counts(epochs=file.gaps)} in "
                f"{Counts(runs=file.with_gaps)}; they are stored as NULL"
            )
        if file.besides:
            names = ", ".join(file.besides)
            self.notes.append(f"{name}: results have what is not known here, and is not kept: {names}")
        if file.unfit:
            unfit = counted(file.unfit, "value is", "values are")
            self.notes.append(f"{name}: {unfit} infinite or too long for the database, and stored as NULL")

    def _compare_costs(self, file: ResultsFile, meant: _Meant) -> None:
        ids = np.array([run.index for run in file.runs])
        costs = {name: np.array([getattr(run, name) for run in file.runs]) for name in COSTS}
        if meant.has_the_spaces_network:
            take_costs(self.session, ids, costs, self.changes, str(file.path))
            return
        try:
            check_costs(ids, costs)
        except BloxFormatError:
            self.notes.append(
                f"{file.path.name}: its networks have other classes, stems or cells than those of the search "
                "space, whose FLOPs and parameters the database keeps"
            )

    def _save_environments(self, file: ResultsFile, recipe: Recipe, seed: int) -> None:
        query = select(Run.arch_id, Run.id, Run.env_id).where(Run.recipe_id == recipe.id, Run.seed == seed)
        known = {row.arch_id: (row.id, row.env_id) for row in self.session.execute(query)}
        changes = []
        for run in file.runs:
            run_id, old = known[run.index]
            new = self._envs.id_of(run.env)
            if old == new:
                continue
            if old is not None:
                self.changes.differs(
                    f"{file.path.name}, architecture {run.index}, seed {seed}: environment", old, new
                )
            changes.append({"run": run_id, "env_id": new})
        if changes:
            table = Run.__table__
            change = update(table).where(table.c.id == bindparam("run"))  # type: ignore[arg-type]
            self.session.execute(change, changes)


def _integer(path: Path, arguments: dict[str, Any], name: str, low: int, high: int) -> int:
    value = arguments.get(name)
    if type(value) is not int or not low <= value <= high:
        has = f"not {spelled(value, 80)}" if name in arguments else "and have none"
        raise ReleaseError(f"{path}: its arguments need a whole number {low} … {high} for {name}, {has}")
    return value


def _images(dataset: str, portion: object) -> Images | None:
    """How many images train where a share of them does; the rest validates."""
    known = DATASETS.get(dataset)
    if known is None or type(portion) not in (int, float) or not 0 <= float(portion) <= 1:  # type: ignore[arg-type]
        return None
    total = known.train + known.val
    train = int(total * float(portion))  # type: ignore[arg-type]
    return Images(train, total - train, known.test)


def _absent(file: ResultsFile) -> int:
    """How many architectures of the range that was asked for are not in the file at all."""
    asked: Any = (file.arguments or {}).get("range")
    if type(asked) not in (list, tuple) or [type(end) for end in asked] != [int, int]:
        return 0
    size: int = min(asked[1], space.NUM_ARCHS) - max(asked[0], 0)
    return max(size - len(file.runs) - file.without, 0)


def _data(name: str, runs: list[ResultsRun]) -> RunData:
    """Runs of equally many epochs, as those of release files."""
    ids = np.array([run.index for run in runs], dtype=np.int64)
    tested = np.stack([run.tested for run in runs], axis=1)
    results = {key: from_stored(values, RUN[key]) for key, values in zip(TESTED, tested, strict=True)}
    results["train_time_s"] = np.array([run.seconds for run in runs], dtype=np.float64)
    measures = {}
    if runs[0].epochs:
        curves = np.stack([run.curves for run in runs], axis=1)
        measures = dict(zip(CURVES, curves, strict=True))
    return RunData(name, ids, results, measures)
