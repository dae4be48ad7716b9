"""Which weights are kept, whose they are, and where they lie; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.orm import object_session

from bloxdb.arguments import digits
from bloxdb.db.connection import path_of
from bloxdb.db.names import beside
from bloxdb.db.passwords import hidden
from bloxdb.db.schema import Run
from bloxdb.db.statuses import FINISHED
from bloxdb.errors import MissingDataError, QueryError
from bloxdb.files import expanded

KEPT = ("best", "last", "all")
"""Which epochs' weights a run can keep: the best one's, the last one's, or every one's."""

SUFFIX = ".safetensors"

_COMPARED = ("hash", "recipe_digest", "seed", "started_at")
"""What two files of one run have in common, wherever the database was moved to or merged into."""


def identity_of(run: Run) -> dict[str, str]:
    """Whose weights a file has, as the texts of its metadata; '' for what the database does not know.

    Parameters
    ----------
    run
        A run of an open database.
    """
    started, url = run.started_at, _url_of(run)
    return {
        "database": str(path_of(url) or hidden(url)),
        "run": str(run.id),
        "arch": str(run.arch_id),
        "hash": run.arch.hash,
        "vec": run.arch.vec_text,
        "recipe": run.recipe.name,
        "recipe_digest": run.recipe.digest or "",
        "variant": str((run.recipe.config or {}).get("variant", "public")),
        "dataset": run.recipe.dataset,
        "epochs": str(run.recipe.epochs),
        "seed": str(run.seed),
        "started_at": "" if started is None else started.isoformat(timespec="milliseconds"),
    }


def differs(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Where two identities differ in what is known of both, as a phrase; empty if they are of one run."""
    for name in _COMPARED:
        pair = ours.get(name, ""), theirs.get(name, "")
        if all(pair) and pair[0] != pair[1]:
            return f"{name} {pair[1]}, not {pair[0]}"
    return ""


def is_given_up(ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    """Whether a file is of an earlier attempt at the same run that never finished, as before a retry."""
    is_result = theirs.get("status") == FINISHED or theirs.get("epoch") == theirs.get("epochs")
    return not is_result and all(ours[name] == theirs.get(name) for name in ("database", "run", "hash"))


NO_FOLDER = (
    "a database on a server has no folder beside it: say where weights are, with --weights-dir DIR or folder="
)
"""What is said where weights of a server's runs are kept or asked for without a folder."""


def weights_folder(run: Run, folder: Path | None = None) -> Path:
    """Where the weights of a run lie.

    Parameters
    ----------
    run
        The run.
    folder
        The folder of all weights; ``DATABASE.weights`` beside the file if None, as its checkpoints are: where
        a link names the file, beside what it leads to.

    Returns
    -------
    Path
        The folder of its recipe within it.

    Raises
    ------
    QueryError
        The database is on a server and no folder is named, or it does not know the recipe's settings.
    """
    if folder is None:
        file = path_of(_url_of(run))
        if file is None:
            raise QueryError(NO_FOLDER)
        folder = beside(file, ".weights")
    if run.recipe.digest is None:
        raise QueryError(
            f"run {run.id} came with release files, which have no weights; those of a file are given by "
            "bloxdb.trainer.load_network(path)"
        )
    return expanded(folder) / run.recipe.digest[:16]


def weights_file(folder: Path, arch_id: int, seed: int, epoch: int) -> Path:
    """The file of an epoch's weights in the folder of a recipe."""
    return folder / f"{arch_id}-seed{seed}-epoch{epoch}{SUFFIX}"


def weights_files(folder: Path, arch_id: int, seed: int) -> dict[int, Path]:
    """The files that there are of a run, in the order of epochs; no others that are called nearly so."""
    start = f"{arch_id}-seed{seed}-epoch"
    found = (digits(path.name[len(start) : -len(SUFFIX)]) for path in folder.glob(f"{start}*{SUFFIX}"))
    files = {epoch: weights_file(folder, arch_id, seed, epoch) for epoch in found if epoch is not None}
    return {epoch: files[epoch] for epoch in sorted(files) if files[epoch].exists()}


def chosen_file(run: Run, folder: Path | None, epoch: int | None) -> tuple[int, Path]:
    """The epoch that is meant of a run, which is the best one if None, and its file.

    Raises
    ------
    MissingDataError
        It is not there; the error says what is.
    QueryError
        The run has no best epoch yet.
    """
    place = weights_folder(run, folder)
    files = weights_files(place, run.arch_id, run.seed)
    there = f"there are those of epoch {', '.join(map(str, sorted(files)))}, as epoch=N" if files else ""
    if epoch is None and run.best_epoch is None:
        raise QueryError(f"run {run.id} is {run.status} and has no best epoch{there and f'; {there}'}")
    wanted = run.best_epoch if epoch is None else epoch
    if wanted not in files:
        advice = there or "weights are kept by `bloxdb train --keep-weights best`"
        raise MissingDataError(f"{place} has no weights of epoch {wanted} of run {run.id}; {advice}")
    return wanted, files[wanted]


def _url_of(run: Run) -> URL:
    session = object_session(run)
    if session is None:
        raise QueryError(
            f"run {run.id} has no open database any more; get it again: db.reader.get(bloxdb.Run, {run.id})"
        )
    return session.get_bind().engine.url
