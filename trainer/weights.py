"""Trained networks in files: written while and when runs end, and given back.

A file is a state_dict as safetensors, in which nothing can be run, with the run's identity in its metadata.
It appears whole or not at all, and never takes the place of another run's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bloxdb import space
from bloxdb.arguments import integer
from bloxdb.db.schema import Run
from bloxdb.errors import InvalidArchError, MissingDataError, QueryError, WeightsError
from bloxdb.files import check_file, expanded
from bloxdb.measures import RUN
from bloxdb.runs.results import RunResult
from bloxdb.writing import make_folder, replacing

from .identity import (
    chosen_file,
    differs,
    identity_of,
    is_given_up,
    weights_file,
    weights_files,
    weights_folder,
)
from .model import Network

State = dict[str, Tensor]
_OUTPUTS = "head.2.bias"  # what has a number for each class in the state_dict of a network


def is_kept(which: str | None, epoch: int, epochs: int) -> bool:
    """Whether the weights of an epoch that has just ended are to be kept whatever follows.

    Parameters
    ----------
    which
        One of `identity.KEPT`; None to keep none.
    epoch, epochs
        The epoch, and how many the recipe has.
    """
    return which == "all" or (which == "last" and epoch == epochs)


class Keeper:
    """Keeps the weights of one run.

    Parameters
    ----------
    run
        The run.
    which
        One of `identity.KEPT`; None to keep none.
    folder
        The folder of all weights; beside the database if None.
    """

    def __init__(self, run: Run, which: str | None, folder: Path | None) -> None:
        self._which = which
        if which is not None:
            self._run = run.arch_id, run.seed
            self._epochs = run.recipe.epochs
            self._identity = identity_of(run)
            self._folder = weights_folder(run, folder)

    def begin(self, done: int) -> None:
        """Make sure that no other run's files are in the way, and remove this one's of later epochs.

        Parameters
        ----------
        done
            Epochs that are done already.

        Raises
        ------
        WeightsError
            There are another run's, all of which stay; or one cannot be read or removed.
        """
        if self._which is None:
            return
        given_up = []
        for epoch, path in weights_files(self._folder, *self._run).items():
            theirs = metadata_of(path)
            other = differs(self._identity, theirs)
            if other and not is_given_up(self._identity, theirs):
                raise WeightsError(
                    f"{path} has the weights of another run ({other}), which stay; move them away, or keep "
                    "these elsewhere with --weights-dir DIR"
                )
            if other or epoch > done:
                given_up.append(path)
        for path in given_up:  # not before all were looked at: one may show whose the others are
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise WeightsError(f"{path} is in the way and cannot be removed: {error}") from error

    def epoch(self, epoch: int, weights: State) -> None:
        """Keep an epoch that has just ended; `is_kept` says which are."""
        self._save(epoch, weights)

    def end(self, result: RunResult, best: State) -> None:
        """Keep the best epoch, with what the test said.

        Parameters
        ----------
        result
            The end of the run.
        best
            The weights of its best epoch.
        """
        if self._which is None or result.best is None or result.test is None:
            return
        if self._which == "last" and result.best.epoch != self._epochs:
            return
        top1 = RUN["test_top1"].kept(result.test.top1)
        self._save(result.best.epoch, best, test_top1=str(top1), status=result.status)

    def _save(self, epoch: int, state: Mapping[str, Tensor], **more: str) -> None:
        path = weights_file(self._folder, *self._run, epoch)
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        metadata = {
            "format": "pt",  # what readers of safetensors expect of torch's
            **self._identity,
            "epoch": str(epoch),
            "torch": str(torch.__version__),
            "sha256": _digest(tensors),
            **more,
        }
        try:
            make_folder(self._folder)
            with replacing(path) as temporary:
                save_file(tensors, temporary, metadata)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"the weights cannot be written to {path}: {error}") from error


def load_network(
    where: Run | str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    epoch: int | None = None,
) -> Network:
    """A trained network, from the file that ``bloxdb train --keep-weights`` wrote.

    Parameters
    ----------
    where
        A run of an open database, or a file of weights.
    folder
        The folder of a run's weights; ``DATABASE.weights`` beside the database if None.
    epoch
        The epoch of a run whose weights are meant; the best one, which was tested, if None.

    Returns
    -------
    Network
        The network on the CPU, in eval mode. It takes images as it was trained with: float32 (N, 3, H, W), of
        which 255 is 1, less the mean of the data set and divided by its standard deviation.

    Raises
    ------
    MissingDataError
        There is no such file.
    WeightsError
        It is damaged, of another run or epoch, or of no network of bloxdb.
    QueryError
        The run has no best epoch, or a server's database was given no folder.
    """
    if not isinstance(where, Run):
        return _network(expanded(where))
    place = None if folder is None else expanded(folder)
    wanted, path = chosen_file(where, place, None if epoch is None else integer(epoch, "an epoch", low=1))
    theirs, expected = metadata_of(path), identity_of(where)
    other = differs(expected, theirs)
    is_best = wanted == where.best_epoch and "test_top1" in theirs
    if not other and is_best and where.test_top1 not in (None, _number(theirs["test_top1"])):
        other = f"test_top1 {theirs['test_top1']}, not {where.test_top1}"
    if other:
        raise WeightsError(f"{path} has the weights of another run ({other}) than run {where.id}")
    if theirs["epoch"] != str(wanted):
        raise WeightsError(
            f"{path} has the weights of epoch {theirs['epoch']}, not of epoch {wanted} as its name says; "
            "load_network(path) takes a file by whatever name"
        )
    return _network(path)


def metadata_of(path: Path) -> dict[str, str]:
    """Whose weights a file has.

    Raises
    ------
    MissingDataError
        There is no such file.
    WeightsError
        It is none of ours.
    """
    return _read(path)[0]


def _network(path: Path) -> Network:
    metadata, tensors = _read(path, whole=True)
    try:
        if space.find_arch(metadata["vec"]) != space.find_arch(metadata["hash"]):
            raise WeightsError(f"{path} contradicts itself: its vector is not the architecture of its hash")
        with torch.device("meta"):  # nothing is drawn, so no generator moves
            network = Network(metadata["vec"], _classes(tensors), variant=metadata["variant"])
    except (InvalidArchError, QueryError) as error:
        raise WeightsError(f"{path} is of no network of bloxdb: {error}") from error
    wanted, found = _layout(network.state_dict()), _layout(tensors)
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise WeightsError(
                f"{path} has not the weights of its architecture: {name} is {found.get(name, 'missing')}, "
                f"where its network has {wanted.get(name, 'none of that name')}"
            )
    if _digest(tensors) != metadata["sha256"]:
        raise WeightsError(f"{path} is damaged: its weights are not those that were written")
    network.load_state_dict(tensors, assign=True)
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _classes(tensors: State) -> int:
    """How many outputs the network of some weights has; `QueryError` where they have no head."""
    bias = tensors.get(_OUTPUTS)
    if bias is None or bias.dim() != 1:
        raise QueryError(f"there are no weights {_OUTPUTS} with a number for each class")
    return len(bias)


def _layout(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """What each of some tensors is but for its numbers."""
    return {name: f"{value.dtype} of shape {tuple(value.shape)}" for name, value in tensors.items()}


def _number(text: str) -> float | None:
    """The number that a text of metadata is; None of another."""
    try:
        return float(text)
    except ValueError:
        return None


def _read(path: Path, *, whole: bool = False) -> tuple[dict[str, str], State]:
    check_file(path, WeightsError)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            names = file.keys() if whole else ()  # of all that a file has, its keys alone can be listed
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise MissingDataError(f"there are no weights at {path}") from error
    except (OSError, UnicodeError, SafetensorError) as error:  # it takes names of UTF-8 only
        raise WeightsError(f"{path} is damaged, or no file of safetensors: {error}") from error
    missing = [name for name in ("vec", "variant", "hash", "epoch", "sha256") if name not in metadata]
    if missing:
        raise WeightsError(f"{path} has no weights of bloxdb: its metadata lack {', '.join(missing)}")
    return metadata, tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, as hex digits, of all weights in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
