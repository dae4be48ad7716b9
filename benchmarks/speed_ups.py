"""What each speed-up of the trainer brings by itself: ours, and ours without it, turn about in one process.

Both train the same architecture from the same seed on the same batches. They must end with equal weights,
bit for bit: a speed-up that changes numbers is not one, and ends the measurement.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from bloxdb.trainer.images import DataSet
from bloxdb.trainer.loop import Training
from bloxdb.trainer.model import BatchNorm
from bloxdb.trainer.recipe import TrainingRecipe
from torch import Tensor, nn

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SpeedUp:
    """How a training does without it: by a change of the network, or of what gives the batches."""

    what: str
    undo: Callable[[nn.Module], None] = lambda network: None
    before: Callable[[Batches], Batches] = lambda batches: batches


def relu_in_new_memory(network: nn.Module) -> None:
    """Each ReLU writes a tensor of its own."""
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False


def batch_norm_that_counts(network: nn.Module) -> None:
    """Torch's own BatchNorm, which counts its batches."""
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.__class__ = nn.BatchNorm2d


def fresh_memory_filled(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Torch's default where algorithms are deterministic; set after ours has set its own."""
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield from batches


def all_undone(network: nn.Module) -> None:
    """What changes the network."""
    relu_in_new_memory(network)
    batch_norm_that_counts(network)


SPEED_UPS = [
    SpeedUp("ReLU in place", relu_in_new_memory),
    SpeedUp("BatchNorm without a counter", batch_norm_that_counts),
    SpeedUp("fresh memory not filled", before=fresh_memory_filled),
    SpeedUp("all three", all_undone, fresh_memory_filled),
]


def ratios(
    arch_id: int,
    recipe: TrainingRecipe,
    data: DataSet,
    batches: Batches,
    repeats: int,
    settle: Callable[[], None],
) -> list[tuple[str, float, float]]:
    """For each speed-up, seconds for the batches with it and without it, as medians.

    Parameters
    ----------
    arch_id, recipe, data, batches, repeats
        What is trained on which batches, and how often it is timed, after once that does not count.
    settle
        Waits for the device.

    Raises
    ------
    RuntimeError
        The weights differ.
    """
    found = []
    for speed_up in SPEED_UPS:
        ours, without = (Training(arch_id, recipe, data, 0) for _ in range(2))
        speed_up.undo(without.network)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(repeats + 1):
            for training, given, taken in (
                (ours, batches, times[0]),
                (without, speed_up.before(batches), times[1]),
            ):
                start = time.perf_counter()
                training.train_on(given)
                settle()
                taken.append(time.perf_counter() - start)
        check_equal(speed_up.what, ours.network, without.network)
        found.append((speed_up.what, statistics.median(times[0][1:]), statistics.median(times[1][1:])))
    return found


def check_equal(what: str, ours: nn.Module, other: nn.Module) -> None:
    """Weights and statistics, bit for bit; the counter, which ours does not keep, aside."""
    theirs = other.state_dict()
    for name, value in ours.state_dict().items():
        if not name.endswith("num_batches_tracked") and not torch.equal(value, theirs[name]):
            raise RuntimeError(f"{what} changes numbers: {name} differs")
