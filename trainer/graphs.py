"""What a device does with a batch, recorded once a shape and replayed: CUDA graphs.

A step is some 700 launches, each of which costs Python longer than many cost a GPU. A graph has them all in
one. It reads and writes the memory that it was recorded with, so weights, momentum, learning rate and sums
must stay where they are; what it allocates itself lies in a pool that goes with its recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bloxdb.errors import QueryError

from .recipe import TrainingRecipe

BY_DEFAULT = True
"""Whether GPUs use graphs where nobody says, for recipes such as were measured: deterministic, not compiled.

On an H200 epochs are 1.05 times as fast in fp32, 1.7 to 2.2 in tf32, 2.8 to 3.0 in bf16, with the same rows
and weights bit for bit in all three.
"""

_FIRST = 2  # batches of a shape that are computed plainly: libraries load and choose their kernels with them

Work = Callable[[], None]
Step = Callable[[Tensor, Tensor], None]
"""Takes images and labels; what it gives, it leaves in memory that stays."""


class Recorder(Protocol):
    """A device's way to record work: nothing is computed while it is recorded, only by what is given back."""

    def run(self, work: Work) -> None:
        """Compute plainly, in the place where the same work will be recorded."""

    def record(self, work: Work) -> Work:
        """Record, and give what computes it."""


class Again:
    """Records nothing: what it gives is the work itself. On any device."""

    def run(self, work: Work) -> None:
        """Compute."""
        work()

    def record(self, work: Work) -> Work:
        """The work itself."""
        return work


class CudaGraphs:
    """Records on one GPU.

    Its graphs share one pool of memory: they never run at once, and none reads what another has left there.

    Parameters
    ----------
    device
        The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, work: Work) -> None:
        """Compute on the stream of the recordings, since gradients remember on which stream they began."""
        now = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(now)
        with torch.cuda.stream(self._stream):
            work()
        now.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """Record a graph; what replays it keeps its memory."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            work()
        return graph.replay


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
    if device.type == "cuda":
        measured = recipe.deterministic and not recipe.compile
        return (BY_DEFAULT and measured) if wanted is None else wanted
    if wanted:
        raise QueryError(f"graphs are of GPUs; leave --graphs out where a {device.type} computes")
    return False


def recorder_for(device: torch.device, recipe: TrainingRecipe, wanted: bool | None) -> Recorder | None:
    """What records on a device; None if `are_used` says that nothing is recorded."""
    return CudaGraphs(device) if are_used(device, recipe, wanted) else None


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
