"""Checkpoints: a run as it was after an epoch, in a file that is whole or not there.

A file is the SHA-256 of all that follows (32 bytes), then what `torch.save` makes of a dict of tensors and
plain values. It is loaded with `weights_only`, so nothing in it is ever run.
"""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import select
from sqlalchemy.orm import Session

from bloxdb.db.schema import Recipe, Run
from bloxdb.db.statuses import DIVERGED, FINISHED
from bloxdb.errors import BloxError, TrainingError
from bloxdb.files import make_folder, replacing, workspace

_DIGEST = 32  # bytes
_NAME = re.compile(r"(?P<digest>[0-9a-f]{16})-(?P<arch>\d{1,6})-(?P<seed>\d{1,19})\.pt")


class DamagedCheckpointError(BloxError, ValueError):
    """A checkpoint is not what was written, or of another run."""


def check_folder(folder: Path) -> None:
    """Whether checkpoints can be written, and remove what killed processes left half-written.

    Raises
    ------
    TrainingError
        They cannot.
    """
    try:
        make_folder(folder)
        with workspace(folder) as place:
            (place / "a").write_bytes(bytes(4096))
    except OSError as error:
        raise TrainingError(
            f"checkpoints cannot be written to {folder}: {error.strerror}; "
            "name another folder with --checkpoint-dir DIR"
        ) from error


def sweep(folder: Path, session: Session) -> None:
    """Remove checkpoints of runs that have ended, whose worker was killed before it could.

    Parameters
    ----------
    folder
        The folder of all checkpoints.
    session
        To ask for the runs.
    """
    for path in folder.iterdir():
        if found := _NAME.fullmatch(path.name):
            run = select(Run.status).join(Recipe).where(Recipe.digest.startswith(found["digest"]))
            run = run.where(Run.arch_id == int(found["arch"]), Run.seed == int(found["seed"]))
            if session.scalar(run) in (FINISHED, DIVERGED):
                path.unlink(missing_ok=True)


class Checkpoint:
    """The checkpoint of one run.

    Parameters
    ----------
    folder
        The folder of all checkpoints; all workers that share a database should see the same one.
    recipe_digest, arch_id, seed
        The run.
    """

    def __init__(self, folder: Path, recipe_digest: str, arch_id: int, seed: int) -> None:
        self.key = f"{recipe_digest[:16]}-{arch_id}-{seed}"
        self.path = folder / f"{self.key}.pt"

    def save(self, state: dict[str, Any]) -> None:
        """Write the state; the file before stays until the new one is whole."""
        stream = io.BytesIO()
        torch.save({"key": self.key, "state": state}, stream)
        data = stream.getvalue()
        make_folder(self.path.parent)
        with replacing(self.path) as temporary:
            temporary.write_bytes(hashlib.sha256(data).digest() + data)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state, on a device; None if there is none.

        Raises
        ------
        DamagedCheckpointError
            The file is damaged or belongs to another run.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            raise DamagedCheckpointError(f"{self.path} is damaged")
        loaded = torch.load(io.BytesIO(data[_DIGEST:]), map_location=device, weights_only=True)
        if loaded["key"] != self.key:
            raise DamagedCheckpointError(f"{self.path} is the checkpoint of another run")
        state: dict[str, Any] = loaded["state"]
        return state

    def remove(self) -> None:
        """Forget it; the run is finished, or begins anew. Where that cannot be, `sweep` does so later."""
        with suppress(OSError):
            self.path.unlink()
