"""What a device does with a batch, recorded once a shape and replayed: CUDA graphs.

A step is some 700 launches, each of which costs Python longer than many cost a GPU. A graph has them all in
one. It reads and writes the memory that it was recorded with, so weights, momentum, learning rate and sums
must stay where they are; what it allocates itself lies in a pool that goes with its recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bloxdb.errors import QueryError

from .devices import Recorder, Work, kind_name, kind_named
from .recipe import TrainingRecipe

BY_DEFAULT = True
"""Whether GPUs use graphs where nobody says, for recipes such as were measured: deterministic, not compiled.

On an H200 epochs are 1.05 times as fast in fp32, 1.7 to 2.2 in tf32, 2.8 to 3.0 in bf16, with the same rows
and weights bit for bit in all three.
"""

_FIRST = 2  # batches of a shape that are computed plainly: libraries load and choose their kernels with them

Step = Callable[[Tensor, Tensor], None]
"""Takes images and labels; what it gives, it leaves in memory that stays."""


def are_used(device: torch.device, recipe: TrainingRecipe, wanted: bool | None) -> bool:
    """Whether batches are recorded on a device.

    Parameters
    ----------
    device
        The device that trains.
    recipe
        How it trains.
    wanted
        Whether somebody asked for graphs; None for `BY_DEFAULT` on GPUs.

    Returns
    -------
    bool
        False where batches are computed plainly.

    Raises
    ------
    QueryError
        Graphs were asked for where there are none.
    """
    if kind_named(device).recorder is not None:
        measured = recipe.deterministic and not recipe.compile
        return (BY_DEFAULT and measured) if wanted is None else wanted
    if wanted:
        raise QueryError(f"graphs are of GPUs; leave --graphs out where a {kind_name(device)} computes")
    return False


def recorder_for(device: torch.device, recipe: TrainingRecipe, wanted: bool | None) -> Recorder | None:
    """What records on a device; None if `are_used` says that nothing is recorded."""
    recorder = kind_named(device).recorder
    return recorder(device) if recorder is not None and are_used(device, recipe, wanted) else None


@dataclass
class _Shape:
    """Where batches of one shape are put, how many were computed plainly, and what replays them."""

    images: Tensor
    labels: Tensor
    plain: int = 0
    replay: Work | None = None


class Replayed:
    """Runs steps on batches: the first of a shape plainly, the others from a recording.

    Parameters
    ----------
    recorder
        What records; its recordings go when this goes.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._shapes: dict[tuple[str, torch.Size], _Shape] = {}

    def __call__(self, step: Step, images: Tensor, labels: Tensor) -> None:
        """Do a step on a batch.

        Parameters
        ----------
        step
            The step; its name and the shape of the images say which recording is meant.
        images, labels
            The batch; it is copied to where the recording reads it.
        """
        key = step.__name__, images.shape
        if key not in self._shapes:
            self._shapes[key] = _Shape(torch.empty_like(images), torch.empty_like(labels))
        shape = self._shapes[key]
        shape.images.copy_(images)
        shape.labels.copy_(labels)

        def work() -> None:
            step(shape.images, shape.labels)

        if shape.plain < _FIRST:
            shape.plain += 1
            self._recorder.run(work)
            return
        if shape.replay is None:
            shape.replay = self._recorder.record(work)
        shape.replay()
