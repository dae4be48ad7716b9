"""Release files to database."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from sqlalchemy import select, update

from bloxdb import codecs, space
from bloxdb.arguments import integer, one_or_more
from bloxdb.codecs import Header, Table
from bloxdb.db.database import Database, asked
from bloxdb.db.epochs import EpochWriter
from bloxdb.db.firsts import first_epochs, lost, reconsider
from bloxdb.db.recipes import RecipeFacts, new_name
from bloxdb.db.references import Environments, device_id, recipe_for
from bloxdb.db.schema import Latency, Recipe, Run
from bloxdb.errors import BloxFormatError, ReleaseError
from bloxdb.measures import COSTS, ENVIRONMENT, LATENCY, SEEDS, Array
from bloxdb.overwritten import FirstEpochs
from bloxdb.progress import Meter, Progress
from bloxdb.release.changes import Changes, ImportReport
from bloxdb.release.costs import take_costs
from bloxdb.release.folder import check_agreement, expand, left_out, steady
from bloxdb.release.names import checked_header
from bloxdb.release.original import ResultsImporter
from bloxdb.release.results import is_results
from bloxdb.release.training import RunData, RunStore, merge_parts, run_data

_KINDS = ("static", "training", "env", "benchmarking")


def import_release(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]],
    db: Database | None = None,
    *,
    replace: bool = False,
    recipe: str | None = None,
    seed: int | None = None,
    round: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Bring release files, or the original's training results, into a database, all of them or none.

    Values that are there already and agree change nothing.

    Parameters
    ----------
    paths
        Files, and folders of which every release file is taken (one format of each). Files of
        different formats may be mixed. An ext or env file needs its base file, here or in the database.
        Training results are `results_FIRST_END.pickle` and `results_random.pickle`, which a folder is
        searched for too, and a file of all of them combined.
    db
        The database; the current one if not given.
    replace
        Let the files' values override those that contradict them.
    recipe
        The name that the runs' recipe has or gets; ``DATASET-EPOCHS`` if not given. Combined training
        results need it.
    seed
        The seed of combined training results, which do not say it; other files do.
    round
        Round values of epochs that have more decimals than the database keeps, instead of refusing them.
    progress
        Called with the bytes of files that are done, all bytes, and what is going on.

    Returns
    -------
    ImportReport
        The files, and what became of their rows.

    Raises
    ------
    QueryError
        There are no paths, or no recipe can have this name.
    BloxFormatError
        A file is damaged.
    ReleaseError
        A file's name and its header do not agree, the files do not fit together or not into the database, or
        one was changed while it was read.
    ConflictError
        Values contradict the database.
    """
    db = asked(db)
    places = one_or_more(paths, "paths to import")
    recipe = None if recipe is None else new_name(recipe)
    seed = None if seed is None else integer(seed, "a seed", low=SEEDS[0])
    with steady(places) as check:
        files = expand(places)
        results = [path for path in files if is_results(path)]
        headers = {path: checked_header(path) for path in files if path not in results}
        check_agreement(headers)
        _check_seed(headers, seed)
        report = ImportReport(files=files, notes=left_out(places))
        changes = Changes(report, replace)
        meter = Meter(progress, sum(path.stat().st_size for path in files))
        with (
            db.scratch() as folder,
            db.bulk_transaction() as session,
            EpochWriter(session, folder, meter) as epochs,
        ):
            ResultsImporter(epochs, changes, meter, recipe, seed).run(results)
            _Importer(epochs, headers, recipe, changes, meter, round).run()
            check()
    meter.finish()
    return report


def _check_seed(headers: dict[Path, Header], seed: int | None) -> None:
    """A seed that is named may not be another than a release file says."""
    for path, head in headers.items():
        if None not in (seed, head.seed) and head.seed != seed:
            raise ReleaseError(f"{path} is of seed {head.seed}, not {seed}")


class _Importer:
    """One import, in one transaction."""

    def __init__(
        self,
        epochs: EpochWriter,
        headers: dict[Path, Header],
        recipe: str | None,
        changes: Changes,
        meter: Meter,
        rounds: bool,
    ) -> None:
        self.rounds = rounds
        self.session = epochs.session
        self.epochs = epochs
        self.meter = meter
        self.headers = headers
        self.recipe_name = recipe
        self.changes = changes
        self.report = changes.report
        self._envs = Environments(self.session)
        # recipes whose first epochs the database has to tell, and those of ext files without their base files
        self._in_doubt: dict[int, tuple[Recipe, str]] = {}
        self._ext_alone: set[int] = set()

    def run(self) -> None:
        """Import all files; `ConflictError` at the end if any value contradicts."""
        copying = 0  # half of what the training files are takes place at the end
        for step in self._steps():
            names = ", ".join(path.name for path in step)
            kind = self.headers[step[0]].dataset_type
            size = sum(path.stat().st_size for path in step)
            if kind == "training":
                copying += size - size // 2
                size //= 2
            self.meter.begin(names, size)
            if kind == "static":
                self._info(*step)
            elif kind == "training":
                self._training(step)
            elif kind == "env":
                self._env(*step)
            else:
                self._bench(*step)
        self.changes.conflicts.check()
        self.report.counts, self.report.new = self.changes.told.counts(), self.changes.new.counts()
        self.meter.begin("storing epochs", copying)
        self.epochs.flush()
        self._look_again()

    def _steps(self) -> list[list[Path]]:
        """Files in the order to import them; training files of a seed go together."""
        steps: dict[tuple[int, object, str], list[Path]] = {}
        for path, head in sorted(self.headers.items()):
            alone = "" if head.dataset_type == "training" else str(path)
            key = (_KINDS.index(head.dataset_type), head.seed or 0, alone)
            steps.setdefault(key, []).append(path)
        return [steps[key] for key in sorted(steps)]

    def _read(self, path: Path, columns: Iterable[str]) -> tuple[Table, Array]:
        table = codecs.read(path)
        lacking = [name for name in columns if name not in table.columns]
        if lacking:
            raise ReleaseError(f"{path} lacks the column {lacking[0]}")
        ids = table.arch_ids(str(path))
        self.changes.told.add(table.header, ids, self.recipe_name)
        return table, ids

    def _info(self, path: Path) -> None:
        table, ids = self._read(path, (*COSTS, "arch_vec"))
        wrong = space.indices_of_cells(table["arch_vec"]) != ids
        for row in np.flatnonzero(wrong)[:1].tolist():
            raise BloxFormatError(
                f"the vector is not that of the hash, which stands for {space.arch_vec(int(ids[row]))}",
                source=str(path),
                row=row,
                column="arch_vec",
            )
        costs = {name: table[name] for name in COSTS}
        others = take_costs(self.session, ids, costs, self.changes, str(path))
        self.report.unchanged += len(ids) - others

    def _training(self, paths: list[Path]) -> None:
        self.epochs.wait()  # so that memory holds the files of one seed
        recipe = self._recipe(self.headers[paths[0]])
        seed = self.headers[paths[0]].seed or 0
        parts: dict[str, list[Path]] = {"base": [], "ext": []}
        for path in paths:
            parts[self.headers[path].part or ""].append(path)
        store = RunStore(self.epochs, recipe, seed, self.changes)
        base, ext = ([self._part(path) for path in parts[part]] for part in ("base", "ext"))
        if len(base) == len(ext) == 1:
            merged, rest = merge_parts(base[0], ext[0])
            self._look_at_first_epochs(recipe, merged)
            store.save(merged, create=True)
            store.save(rest, create=False)
            return
        for data in base:
            self._look_at_first_epochs(recipe, data)
            store.save(data, create=True)
        for data in ext:
            store.save(data, create=False)
            self._ext_alone.add(recipe.id)  # it does not say which epoch is the best
            self._in_doubt[recipe.id] = recipe, data.name

    def _look_at_first_epochs(self, recipe: Recipe, data: RunData) -> None:
        """Say once, and keep with the recipe, that epoch 1 is not what it seems."""
        found = FirstEpochs(data.measures)
        if found.own and not found.are_best:
            self._in_doubt[recipe.id] = recipe, data.name
        if not recipe.first_epoch_is_best and found.are_best:
            self._say_it_is_best(recipe, data.name)

    def _say_it_is_best(self, recipe: Recipe, name: str) -> None:
        recipe.first_epoch_is_best = True
        self.report.notes.append(lost(name, recipe))

    def _look_again(self) -> None:
        """Ask the database for first epochs of which files do not tell whether they are the best ones."""
        for recipe, name in self._in_doubt.values():
            if not recipe.first_epoch_is_best and recipe.id not in self._ext_alone:
                continue
            found = first_epochs(self.session, recipe)
            if not recipe.first_epoch_is_best:
                if any(of_seed.are_touched for of_seed in found.values()):
                    self._say_it_is_best(recipe, name)
                continue
            if told := reconsider(recipe, found):
                self.report.notes.append(told)

    def _part(self, path: Path) -> RunData:
        table, ids = self._read(path, ())
        return run_data(table, ids, path, rounds=self.rounds)

    def _recipe(self, head: Header) -> Recipe:
        name = self.recipe_name or f"{head.dataset}-{head.epochs}"
        facts = RecipeFacts(name, head.dataset or "", head.epochs or 0)
        return recipe_for(self.session, facts, "name another recipe for these files")

    def _env_recipe(self, path: Path) -> Recipe:
        """The recipe whose runs an env file speaks of; the file itself does not say."""
        for head in self.headers.values():
            if head.dataset_type == "training":
                return self._recipe(head)
        recipes = list(self.session.scalars(select(Recipe).order_by(Recipe.name)))
        found = [one for one in recipes if self.recipe_name in (None, one.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(one.name for one in recipes) or "none yet"
        raise ReleaseError(
            f"{path} describes runs, but not of which recipe: import its base file with it, or name "
            f"the recipe (there are: {names})"
        )

    def _env(self, path: Path) -> None:
        table, ids = self._read(path, ENVIRONMENT)
        recipe = self._env_recipe(path)
        query = select(Run.arch_id, Run.id, Run.env_id).where(
            Run.recipe_id == recipe.id, Run.seed == table.header.seed
        )
        runs = {index: (run_id, env_id) for index, run_id, env_id in self.session.execute(query)}
        columns = [table[name].tolist() for name in ENVIRONMENT]
        changes = []
        for index, *values in zip(ids.tolist(), *columns, strict=True):
            if index not in runs:
                raise ReleaseError(
                    f"{path}: architecture {index} has no run of seed {table.header.seed} and recipe "
                    f"{recipe.name}; import its base file too"
                )
            run_id, old = runs[index]
            new = self._envs.id_of(values)
            if old == new:
                self.report.unchanged += 1
                continue
            if old is None:
                self.report.added += 1
            else:
                self.changes.differs(f"{path.name}, architecture {index}: environment", old, new)
            changes.append((run_id, new))
        if changes:
            self.epochs.engines.set_values(self.session, Run, "env_id", changes)

    def _bench(self, path: Path) -> None:
        table, ids = self._read(path, (LATENCY.name,))
        device = device_id(self.session, table.header.device or "")
        query = select(Latency.arch_id, Latency.latency_ms).where(Latency.device_id == device)
        known = {index: found for index, found in self.session.execute(query)}  # noqa: C416
        values = table.values(LATENCY.name)
        for row in np.flatnonzero(np.isnan(values))[:1].tolist():
            raise BloxFormatError(
                "the value nan says that nothing was measured; leave such rows out",
                source=str(path), row=row, column=LATENCY.name,
            )  # fmt: skip
        added, changes = [], []
        for index, latency in zip(ids.tolist(), values.tolist(), strict=True):
            if index not in known:
                added.append((index, device, latency))
            elif known[index] == latency:
                self.report.unchanged += 1
            else:
                changes.append({"arch_id": index, "device_id": device, "latency_ms": latency})
                self.changes.differs(f"{path.name}, architecture {index}: latency", known[index], latency)
        if added:
            names = ("arch_id", "device_id", "latency_ms")
            self.epochs.engines.add_rows(self.session, Latency, names, added)
        self.report.added += len(added)
        self.changes.new.latencies([index for index, _, _ in added])
        if changes:
            self.session.execute(update(Latency), changes)
