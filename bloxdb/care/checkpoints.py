"""Where the trainer's checkpoints lie, what they are called, and which are of runs that have ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs
from sqlalchemy import select
from sqlalchemy.orm import Session

from bloxdb.db.database import Database
from bloxdb.db.schema import Recipe, Run
from bloxdb.db.statuses import DIVERGED, FINISHED
from bloxdb.measures import SEEDS

SUFFIX = ".pt"

_DIGITS = 16  # of a recipe's digest in a name
_NAME = "{digest}-{arch}-{seed}{suffix}"
_NAMED = re.compile(
    _NAME.format(
        digest=f"(?P<digest>[0-9a-f]{{{_DIGITS}}})",
        arch="(?P<arch>[0-9]{1,6})",
        seed="(?P<seed>[0-9]{1,19})",
        suffix=re.escape(SUFFIX),
    )
)


def checkpoints_folder(db: Database) -> Path:
    """Where the checkpoints of a database are if nothing is said: a folder of its own, beside its file."""
    if db.path is not None:
        return checkpoints_beside(db.path)
    return platformdirs.user_data_path("bloxdb") / "checkpoints"


def checkpoints_beside(path: Path) -> Path:
    """The folder for checkpoints of a database in a file, which need not be there yet.

    It is beside the file itself, so that workers share it by whichever link they open the database.
    """
    real = path.resolve()
    return real.with_name(f"{real.name}.checkpoints")


def checkpoint_name(recipe_digest: str, arch_id: int, seed: int) -> str:
    """What the checkpoint of a run is called.

    Parameters
    ----------
    recipe_digest, arch_id, seed
        The run.
    """
    return _NAME.format(digest=recipe_digest[:_DIGITS], arch=arch_id, seed=seed, suffix=SUFFIX)


def of_ended_runs(folder: Path, session: Session) -> Iterator[tuple[Path, int]]:
    """Checkpoints that nobody needs any more: their worker was killed before it could remove them.

    Several recipes may have one digest, as after a merge; a checkpoint is needed as long as one of their runs
    has not ended.

    Parameters
    ----------
    folder
        The folder of all checkpoints of this database, which need not be there, or be readable.
    session
        To ask for the runs.

    Yields
    ------
    pathlib.Path
        A file whose runs are all finished, or have diverged.
    int
        Its bytes.
    """
    for path in _listed(folder):
        found = _NAMED.fullmatch(path.name)
        if found is None or int(found["seed"]) not in SEEDS:
            continue
        runs = select(Run.status).join(Recipe).where(Recipe.digest.startswith(found["digest"]))
        runs = runs.where(Run.arch_id == int(found["arch"]), Run.seed == int(found["seed"]))
        statuses = set(session.scalars(runs))
        if not statuses or not statuses <= {FINISHED, DIVERGED}:
            continue
        with suppress(OSError):  # its worker has removed it just now
            size = path.stat().st_size
            if path.is_file():
                yield path, size


def remove_ended(folder: Path, session: Session) -> list[Path]:
    """Remove checkpoints of runs that have ended, whose worker was killed before it could.

    Parameters
    ----------
    folder
        The folder of all checkpoints of this database; what another database has in it would be lost.
    session
        To ask for the runs.

    Returns
    -------
    list of pathlib.Path
        Those that were removed.
    """
    removed = []
    for path, _ in of_ended_runs(folder, session):
        with suppress(OSError):
            path.unlink()
            removed.append(path)
    return removed


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # there is none, or it is somebody else's
        return []
