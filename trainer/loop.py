"""The training of one run, epoch by epoch, resumable between any two."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bloxdb.arguments import integer, of_type
from bloxdb.errors import QueryError
from bloxdb.measures import EPOCH, SEEDS
from bloxdb.runs.results import EpochResult, Metrics, RunResult

from .augment import plain_batches, training_batches
from .checkpoint import misfit
from .devices import HOST, Recorder, kind_name, kind_named
from .graphs import Replayed, Step
from .images import DataSet, Split
from .model import Network
from .recipe import TrainingRecipe
from .regions import Regions
from .sgd import SGD
from .switches import configure


class Training:
    """One architecture in training.

    Parameters
    ----------
    vec
        The architecture.
    recipe
        The settings of the training.
    data
        The data set; it lies on the device that trains.
    seed
        The seed of the initial weights, and of all that an epoch draws where the recipe has no `data_seed`.
        The generators of the process are as they were afterwards.
    recorder
        Records what the device does with a batch, and replays it; None to tell it each time. The numbers
        are the same.

    Attributes
    ----------
    epoch
        How many epochs are done.
    best, best_weights
        The best of these epochs, and the network's state after it.
    train_time
        Seconds that these epochs took.
    device_workers
        How many workers shared the device, the most at any time; None if nobody said.
    check
        Called before each batch of an epoch; what it raises ends the training.

    Raises
    ------
    QueryError
        The seed is no integer, or out of range; or another thread computes with other switches of torch.
    """

    def __init__(
        self,
        vec: object,
        recipe: TrainingRecipe,
        data: DataSet,
        seed: int,
        *,
        recorder: Recorder | None = None,
    ) -> None:
        of_type(recipe, TrainingRecipe, "the recipe of a training")
        seed = integer(seed, "a seed", low=SEEDS[0])
        self.recipe = recipe
        self.data = data
        self.device = data.train.images.device
        with configure(recipe):
            self._begin(vec, seed, recorder)

    def _begin(self, vec: object, seed: int, recorder: Recorder | None) -> None:
        recipe, data = self.recipe, self.data
        with _drawing_from(seed):
            network = Network(vec, data.classes, init_order=recipe.init_order, variant=recipe.variant)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = SGD(
            self.network.parameters(),
            _rate_on(self.device, recipe.lr),
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        if recipe.momentum:  # a recording knows no first step; after one from zeros it is the gradient, too
            for weights in self.network.parameters():
                self.optimiser.state[weights]["momentum_buffer"] = torch.zeros_like(weights)
        self.generator = torch.Generator(HOST).manual_seed(
            seed if recipe.data_seed is None else recipe.data_seed
        )
        self.forward: nn.Module = Regions(self.network) if recipe.compile else self.network
        self.epoch = 0
        self.best: EpochResult | None = None
        self.train_time = 0.0
        self.device_workers: int | None = None
        self.check: Callable[[], None] = _nothing
        self.best_weights = _copied(self.network)
        self._recorder = recorder
        self._replayed = None if recorder is None else Replayed(recorder)
        self._trained, self._measured = _Sums(self.device), _Sums(self.device)

    def train_epoch(self) -> EpochResult:
        """Train and validate for one epoch; what is not finite is not taken into account.

        The epoch ends with the batch whose loss is not finite. On a GPU, which nothing waits for, a few more
        may be on their way by then.
        """
        start = time.perf_counter()
        with configure(self.recipe):
            result = self._epoch()
        self.train_time += time.perf_counter() - start
        return result

    def _epoch(self) -> EpochResult:
        self.train_on(training_batches(self.data, self.recipe, self.generator))
        measured = self._trained.metrics()
        val = self.evaluate(self.data.val) if math.isfinite(measured.loss) else _NOT_MEASURED
        result = EpochResult(self.epoch + 1, measured, val)
        if result.is_finite:
            self.epoch += 1
            if result.is_better_than(self.best):
                self.best, self.best_weights = result, _copied(self.network)
        return result

    def train_on(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Train on batches at the epoch's learning rate; nothing in it waits for a GPU.

        Parameters
        ----------
        batches
            Images in channels last, (n, 3, height, width), and classes, int64 (n,).
        """
        rate = self.recipe.lr * (1 + math.cos(math.pi * self.epoch / self.recipe.epochs)) / 2
        with configure(self.recipe):
            for group in self.optimiser.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
            self.network.train()
            self._trained.clear()
            for images, labels in batches:
                self.check()
                self._do(self.step, images, labels)
                self._trained.images += len(labels)
                self._trained.send()
                if self._trained.is_known_to_diverge:
                    break

    def step(self, images: Tensor, labels: Tensor) -> None:
        """Go one step down the gradient, and add up what the batch gave before it.

        Parameters
        ----------
        images, labels
            A batch.
        """
        logits, loss = self.logits_and_loss(images, labels)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._trained.add(logits, labels, loss)

    def evaluate(self, split: Split) -> Metrics:
        """Measure a split with the weights as they are.

        Parameters
        ----------
        split
            The images and labels.

        Returns
        -------
        Metrics
            Top-1 and top-5 in percent, and the loss in nats.
        """
        with configure(self.recipe), torch.no_grad():
            self.network.eval()
            self._measured.clear()
            for images, labels in plain_batches(self.data, split, self.recipe.eval_batch):
                self._do(self._measure, images, labels)
                self._measured.images += len(labels)
            return self._measured.metrics()

    def _measure(self, images: Tensor, labels: Tensor) -> None:
        logits, loss = self.logits_and_loss(images, labels)
        self._measured.add(logits, labels, loss)

    def _do(self, step: Step, images: Tensor, labels: Tensor) -> None:
        if self._replayed is None:
            step(images, labels)
        else:
            self._replayed(step, images, labels)

    def finish(self) -> RunResult:
        """Test with the best epoch's weights."""
        return self._result(diverged=False, test=self._test())

    def diverged(self) -> RunResult:
        """The end of a run whose loss is not finite: the best epoch's weights are tested, if there is one."""
        test = None if self.best is None else self._test()
        return self._result(diverged=True, test=test)

    def _result(self, *, diverged: bool, test: Metrics | None) -> RunResult:
        best = None if self.best is None else kept_epoch(self.best)  # as it was written
        return RunResult(diverged, best, test, self.train_time, device_workers=self.device_workers)

    def _test(self) -> Metrics:
        with configure(self.recipe):
            self.network.load_state_dict(self.best_weights)
        return kept(self.evaluate(self.data.test))

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on, as tensors and plain values."""
        best_epoch = 0 if self.best is None else self.best.epoch
        return {
            "epoch": self.epoch,
            "train_time": self.train_time,
            "device_workers": self.device_workers,
            "threads": torch.get_num_threads(),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "best": None if self.best is None else asdict(self.best),
            # None where they are those of the network, so that they are not written twice
            "best_weights": None if self.epoch == best_epoch else self.best_weights,
        }

    def misfit(self, state: dict[str, Any]) -> str:
        """Why this run cannot go on from a state, as a phrase; empty where it can.

        Parameters
        ----------
        state
            What was loaded, from this version's `state` or from any other file.
        """
        problem = misfit(state, self.state(), list(self.network.parameters()))
        if problem or not 0 <= state["epoch"] <= self.recipe.epochs:
            return problem or f"it is of epoch {state['epoch']}"
        try:
            best = _best_in(state)
            is_later = best is not None and best.epoch > state["epoch"]
        except (KeyError, TypeError, QueryError) as error:
            return f"its best epoch is no result: {error}"
        return "its best epoch comes later" if is_later else ""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state; numbers go on as if nothing had happened.

        Parameters
        ----------
        state
            What `state` gave.
        """
        if kind_named(self.device).is_host:
            torch.set_num_threads(state["threads"])  # sums depend on who adds what
        with configure(self.recipe):
            self._restore(state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:
            group["lr"] = _rate_on(self.device, self.recipe.lr)
        if self._recorder is not None:  # the momentum lies elsewhere now
            self._replayed = Replayed(self._recorder)
        self.generator.set_state(state["generator"].cpu())
        self.best = _best_in(state)
        best_weights = state["best_weights"]
        self.best_weights = _copied(self.network) if best_weights is None else best_weights
        self.epoch, self.train_time = state["epoch"], state["train_time"]
        known = [n for n in (self.device_workers, state.get("device_workers")) if n is not None]
        self.device_workers = max(known, default=None)

    def logits_and_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network on a batch.

        Parameters
        ----------
        images
            A batch in channels last, (n, 3, height, width).
        labels
            The classes, int64 (n,).

        Returns
        -------
        tuple
            Logits, float32 (n, classes), and the mean cross-entropy in nats.
        """
        half = self.recipe.precision == "bf16"
        with torch.autocast(kind_name(self.device), torch.bfloat16, enabled=half, cache_enabled=False):
            logits: Tensor = self.forward(images)
        logits = logits.float()
        return logits, functional.cross_entropy(logits, labels)


def _nothing() -> None:
    """What nobody checks."""


_NOT_MEASURED = Metrics(math.nan, math.nan, math.nan)


class _Sums:
    """Adds up counts and losses on the device, in one place; nothing waits for it within an epoch."""

    def __init__(self, device: torch.device) -> None:
        self.images = 0
        kind = kind_named(device)
        self.sums = torch.zeros(3, dtype=kind.sums, device=device)
        # where a GPU writes the sum of losses when it gets there; on a CPU that is at once
        self._arrived = torch.zeros((), dtype=kind.sums, pin_memory=kind.pins)

    def clear(self) -> None:
        self.images = 0
        self.sums.zero_()
        self._arrived.zero_()

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        best = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
        self.sums += torch.stack([best[:, 0].sum(), best.sum(), loss.detach() * len(labels)])

    def send(self) -> None:
        """Let the device write the sum of losses to where `is_known_to_diverge` looks."""
        self._arrived.copy_(self.sums[2], non_blocking=True)

    @property
    def is_known_to_diverge(self) -> bool:
        """Whether a loss was not finite, of the batches that are known to be done."""
        return not math.isfinite(self._arrived.item())

    def metrics(self) -> Metrics:
        top1, top5, loss = (self.sums / self.images).tolist()
        return Metrics(100 * top1, 100 * top5, loss)


def kept(metrics: Metrics) -> Metrics:
    """What a database can keep: a loss of more than nine digits counts as not measured.

    A network that is about to diverge may have one, of images that its BatchNorms have not seen.
    """
    return metrics if EPOCH["val_loss"].keeps(metrics.loss) else replace(metrics, loss=math.nan)


def kept_epoch(result: EpochResult) -> EpochResult:
    """An epoch as a database can keep it, as `kept` says."""
    return replace(result, train=kept(result.train), val=kept(result.val))


def _rate_on(device: torch.device, rate: float) -> float | Tensor:
    """A learning rate; on a GPU a tensor there, so that a recorded step takes the value of its epoch."""
    if kind_named(device).is_host:
        return rate
    return torch.tensor(rate, dtype=torch.float32, device=device)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Let torch's own generator of the CPU begin with a seed, and put it back; of several threads one draws.

    Nothing else is drawn from the generators of the process.
    """
    with _drawing:
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_rng_state(before)


_drawing = threading.Lock()


def _after_fork() -> None:
    """In a child, no thread draws but the one that forked, which does not within `_drawing_from`."""
    global _drawing
    _drawing = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _best_in(state: dict[str, Any]) -> EpochResult | None:
    """The best epoch of a state that was loaded."""
    best = state["best"]
    if best is None:
        return None
    parts = {name: Metrics(**best[name]) for name in ("train", "val")}
    return EpochResult(**best | parts)
