"""Checkpoints: a run as it was after an epoch, in a file that is whole or not there.

A file is the SHA-256 of all that follows (32 bytes), then what `torch.save` makes of a dict of tensors and
plain values. It is loaded with `weights_only`, so nothing in it is ever run.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from bloxdb.care.checkpoints import SUFFIX, checkpoint_name
from bloxdb.errors import BloxError, TrainingError, spelled
from bloxdb.files import open_file
from bloxdb.writing import make_folder, replacing, workspace

_DIGEST = 32  # bytes
_MOST_THREADS = 1 << 12  # far more than a machine has cores, and than torch would start
_LATER = ("device_workers",)  # what states have that were not written from the start


class DamagedCheckpointError(BloxError, ValueError):
    """A checkpoint is not what was written, or of another run."""


class ForeignCheckpointError(BloxError, ValueError):
    """A checkpoint is whole, and not what this version of this program writes."""


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


def probe_folder(folder: Path) -> None:
    """Find out whether checkpoints could be written to a folder, and leave all as it was.

    Parameters
    ----------
    folder
        The folder, which need not be there.

    Raises
    ------
    TrainingError
        Nothing can be written there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        check_folder(folder)
    finally:
        for path in made:
            with suppress(OSError):  # it was not made, or somebody else has put something into it
                path.rmdir()


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
        self.path = folder / checkpoint_name(recipe_digest, arch_id, seed)
        self.key = self.path.name.removesuffix(SUFFIX)

    def save(self, state: dict[str, Any]) -> None:
        """Write the state; the file before stays until the new one is whole."""
        self.write(self.packed(state))

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The state, on a device; None if there is none.

        Raises
        ------
        DamagedCheckpointError
            The file is damaged or belongs to another run.
        ForeignCheckpointError
            It is no file, or whole, but not what this version writes.
        """
        data = self.read()
        return None if data is None else self.unpacked(data, device)

    def write(self, data: bytes) -> None:
        """Write what `packed` gave; the file before stays until the new one is whole."""
        make_folder(self.path.parent)
        with replacing(self.path) as temporary:
            temporary.write_bytes(data)

    def read(self) -> bytes | None:
        """What is in the file, which `unpacked` takes; None if there is none.

        Raises
        ------
        ForeignCheckpointError
            It is no file.
        """
        try:
            with open_file(self.path, ForeignCheckpointError) as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def packed(self, state: dict[str, Any]) -> bytes:
        """A state as it stands in the file."""
        stream = io.BytesIO()
        torch.save({"key": self.key, "state": state}, stream)
        data = stream.getvalue()
        return hashlib.sha256(data).digest() + data

    def unpacked(self, data: bytes, device: torch.device) -> dict[str, Any]:
        """The state that a file has, on a device.

        Raises
        ------
        DamagedCheckpointError
            It is damaged or belongs to another run.
        ForeignCheckpointError
            It is whole, but not what this version writes.
        """
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            raise DamagedCheckpointError(f"{self.path} is damaged")
        try:
            loaded = torch.load(io.BytesIO(data[_DIGEST:]), map_location=device, weights_only=True)
        except Exception as error:  # of whatever kind: torch has a dozen for what it did not write
            raise self.foreign(error) from error
        if not isinstance(loaded, dict) or not isinstance(loaded.get("state"), dict) or "key" not in loaded:
            raise self.foreign("it has no state of a run")
        if loaded["key"] != self.key:
            raise DamagedCheckpointError(f"{self.path} is the checkpoint of another run")
        state: dict[str, Any] = loaded["state"]
        epoch = state.get("epoch")
        if type(epoch) is not int or epoch < 0:
            raise self.foreign(f"its epoch is {spelled(epoch, 40)}")
        return state

    def foreign(self, why: object) -> ForeignCheckpointError:
        """The error for a whole file that this version of this program did not write.

        Parameters
        ----------
        why
            What shows that.
        """
        told = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else why
        return ForeignCheckpointError(
            f"{self.path} is whole, but another program, or another version of bloxdb, wrote it "
            f"({' '.join(str(told).split()):.100})"
        )

    def remove(self) -> None:
        """Forget it; the run is finished, or begins anew. Where that cannot be, `remove_ended` does later."""
        with suppress(OSError):
            self.path.unlink()


def misfit(state: dict[str, Any], fresh: dict[str, Any], parameters: Sequence[torch.Tensor]) -> str:
    """Why a run cannot go on from a state that was loaded, as a phrase; empty where it can.

    Parameters
    ----------
    state
        What `Checkpoint.load` gave.
    fresh
        The state of the same run before its first epoch.
    parameters
        Its network's parameters, in the order in which the optimiser has them.
    """
    lacking = [name for name in fresh if name not in state and name not in _LATER]
    if lacking:
        return f"it lacks {lacking[0]}"
    parts = {"network": "network", "generator": "generator", "best_weights": "network"}
    if state["best_weights"] is None:  # they are those of the network
        del parts["best_weights"]
    for name, like in parts.items():
        if problem := _unlike(state[name], fresh[like]):
            return f"{name}: {problem}"
    numbers = (state["train_time"], state["threads"])
    if not all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers):
        return f"a time or a number of threads is {spelled(numbers, 40)}"
    if type(state["threads"]) is not int or not 1 <= state["threads"] <= _MOST_THREADS:
        return f"it was trained by {spelled(state['threads'], 40)} threads"
    workers = state.get("device_workers")
    if workers is not None and (type(workers) is not int or workers < 1):
        return f"it shared its device with {spelled(workers, 40)} workers"
    return _optimiser_misfit(state["optimiser"], fresh["optimiser"], parameters)


def _unlike(found: object, like: object) -> str:
    """How tensors, or dicts of them, differ in what they must have in common."""
    if isinstance(like, torch.Tensor):
        is_like = isinstance(found, torch.Tensor) and (found.shape, found.dtype) == (like.shape, like.dtype)
        return "" if is_like else "a tensor has another shape or type"
    if not isinstance(like, dict) or not isinstance(found, dict) or found.keys() != like.keys():
        return "it has other names"
    return next((f"{name}: {told}" for name in like if (told := _unlike(found[name], like[name]))), "")


def _optimiser_misfit(found: object, fresh: dict[str, Any], parameters: Sequence[torch.Tensor]) -> str:
    if not isinstance(found, dict) or not isinstance(found.get("state"), dict):
        return "optimiser: it has no state"
    groups, like = found.get("param_groups"), fresh["param_groups"]
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        return "optimiser: it has no groups"
    if [group.get("params") for group in groups] != [group["params"] for group in like]:
        return "optimiser: its groups are others"
    for group, ours in zip(groups, like, strict=True):
        for name in ours.keys() - {"lr", "params"}:  # the rate is that of the epoch
            if name in group and (type(group[name]), group[name]) != (type(ours[name]), ours[name]):
                return f"optimiser: its {name} is another"
    shapes = {number: parameter.shape for number, parameter in enumerate(parameters)}
    for number, kept in found["state"].items():
        momentum = kept.get("momentum_buffer") if isinstance(kept, dict) else ()
        is_fine = momentum is None or (
            isinstance(momentum, torch.Tensor) and momentum.shape == shapes.get(number)
        )
        if not is_fine:
            return "optimiser: a momentum has another shape"
    return ""
