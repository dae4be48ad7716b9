"""The training loop of one run."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.data import DataSet, Split
from trainer.model import Network
from trainer.recipe import Recipe


@dataclass(frozen=True)
class Metrics:
    """Means over a split: top-1 and top-5 in percent, cross-entropy."""

    top1: float
    top5: float
    loss: float


@dataclass(frozen=True)
class EpochResult:
    """One epoch, counted from 1; training metrics are averaged over the epoch as it ran."""

    epoch: int
    train: Metrics
    val: Metrics


@dataclass(frozen=True)
class RunResult:
    """The end of a run.

    Attributes
    ----------
    diverged
        A loss was not finite; there is no test then.
    best
        The epoch of the highest validation top-1, ties by lower loss.
    test
        Measured once, with the weights of the best epoch.
    train_time
        Seconds of training and validation, without the test.
    """

    diverged: bool
    best: EpochResult | None
    test: Metrics | None
    train_time: float


class _Sums:
    """Adds up counts and losses on the device; nothing waits for it within an epoch."""

    def __init__(self) -> None:
        self.images = 0
        self.sums = torch.zeros(3, dtype=torch.float64)

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        best = logits.topk(5, dim=1).indices == labels[:, None]
        part = torch.stack([best[:, 0].sum(), best.sum(), loss * len(labels)])
        self.sums += part.detach()
        self.images += len(labels)

    def metrics(self) -> Metrics:
        top1, top5, loss = (self.sums / self.images).tolist()
        return Metrics(100 * top1, 100 * top5, loss)


def train_run(
    vec: object, recipe: Recipe, data: DataSet, seed: int, on_epoch: Callable[[EpochResult], None]
) -> RunResult:
    """Train one architecture.

    Parameters
    ----------
    vec
        The architecture.
    recipe, data
        How, and on what.
    seed
        Of Python, NumPy and torch.
    on_epoch
        Called as each epoch ends.
    """
    seed_everything(seed)
    network = Network(vec, data.classes)
    optimiser = torch.optim.SGD(
        network.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    best: EpochResult | None = None
    best_weights = network.state_dict()
    start = time.perf_counter()
    for epoch in range(1, recipe.epochs + 1):
        train = _train_epoch(network, optimiser, data.train, recipe.batch)
        val = evaluate(network, data.val, recipe.eval_batch)
        if not np.isfinite([train.loss, val.loss]).all():
            return RunResult(True, best, None, time.perf_counter() - start)
        schedule.step()
        result = EpochResult(epoch, train, val)
        on_epoch(result)
        if best is None or (val.top1, -val.loss) > (best.val.top1, -best.val.loss):
            best, best_weights = result, copy.deepcopy(network.state_dict())
    train_time = time.perf_counter() - start
    network.load_state_dict(best_weights)
    return RunResult(False, best, evaluate(network, data.test, recipe.eval_batch), train_time)


def seed_everything(seed: int) -> None:
    """Seed all generators, and choose deterministic algorithms."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)


def _train_epoch(network: nn.Module, optimiser: torch.optim.Optimizer, split: Split, batch: int) -> Metrics:
    network.train()
    sums = _Sums()
    for rows in torch.randperm(len(split)).split(batch):
        labels = split.labels[rows]
        logits = network(split.images[rows])
        loss = functional.cross_entropy(logits, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        sums.add(logits, labels, loss)
    return sums.metrics()


@torch.no_grad()
def evaluate(network: nn.Module, split: Split, batch: int) -> Metrics:
    """Metrics of a split in evaluation mode."""
    network.eval()
    sums = _Sums()
    for images, labels in zip(split.images.split(batch), split.labels.split(batch), strict=True):
        logits = network(images)
        sums.add(logits, labels, functional.cross_entropy(logits, labels))
    return sums.metrics()
