"""Where the trainer's checkpoints lie, what they are called, and which are of runs that have ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_NAME = re.compile(rf"(?P<digest>[0-9a-f]{{{_DIGITS}}})-(?P<arch>[0-9]{{1,6}})-(?P<seed>[0-9]{{1,19}})\.pt")


def checkpoints_folder(db: Database) -> Path:
    """Where the checkpoints of a database are if nothing is said: a folder of its own, beside its file."""
    if db.path is not None:
        return checkpoints_beside(db.path)
    return platformdirs.user_data_path("bloxdb") / "checkpoints"


def checkpoints_beside(path: Path) -> Path:
    """The folder for checkpoints of a database in a file, which need not be there yet."""
    return path.with_name(f"{path.name}.checkpoints")


def checkpoint_key(recipe_digest: str, arch_id: int, seed: int) -> str:
    """What the checkpoint of a run is called, without its suffix.

    Parameters
    ----------
    recipe_digest, arch_id, seed
        The run.
    """
    return f"{recipe_digest[:_DIGITS]}-{arch_id}-{seed}"


def of_ended_runs(folder: Path, session: Session) -> Iterator[Path]:
    """Checkpoints that nobody needs any more: their worker was killed before it could remove them.

    Parameters
    ----------
    folder
        The folder of all checkpoints of this database, which need not be there.
    session
        To ask for the runs.

    Yields
    ------
    pathlib.Path
        A file whose run is finished, or has diverged.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        found = _NAME.fullmatch(path.name)
        if found and int(found["seed"]) in SEEDS and path.is_file():
            run = select(Run.status).join(Recipe).where(Recipe.digest.startswith(found["digest"]))
            run = run.where(Run.arch_id == int(found["arch"]), Run.seed == int(found["seed"]))
            if session.scalar(run) in (FINISHED, DIVERGED):
                yield path
