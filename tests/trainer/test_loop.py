"""Training itself: the same numbers again, the best weights, and going on from a state."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import pytest
import torch
from bloxdb.trainer.augment import training_batches
from bloxdb.trainer.data import DataSet, Split
from bloxdb.trainer.loop import Training
from bloxdb.trainer.model import Network
from bloxdb.trainer.recipe import INIT_ORDERS, TrainingRecipe, default_recipe
from torch import Tensor

from bloxdb import space
from bloxdb.runs.results import EpochResult, RunResult
from tests.conftest import GOLDEN
from tests.trainer.helpers import QUICK, digits_recipe, seed_everything, some_digits

VEC = space.arch_vec(QUICK)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return some_digits()


def run(recipe: TrainingRecipe, data: DataSet, seed: int = 0) -> tuple[list[EpochResult], RunResult]:
    training = Training(VEC, recipe, data, seed)
    curve = [training.train_epoch() for _ in range(recipe.epochs)]
    return curve, training.finish()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(data: DataSet) -> None:
    recipe = digits_recipe(2, augment=True)
    (first, one), (second, two), (third, _) = (run(recipe, data, seed) for seed in (5, 5, 6))
    assert first == second
    assert one.test == two.test
    assert first[0] != third[0]


def test_with_a_seed_of_the_data_a_runs_seed_gives_its_initial_weights_only(data: DataSet) -> None:
    recipe = digits_recipe(1, augment=True, data_seed=0)
    first, second = (Training(VEC, recipe, data, seed) for seed in (5, 6))
    batches = [
        [images for images, _ in training_batches(data, recipe, training.generator)]
        for training in (first, second)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))
    weights = [training.network.state_dict()["stem.0.weight"] for training in (first, second)]
    assert not torch.equal(*weights)
    own = [Training(VEC, replace(recipe, data_seed=None), data, seed).generator for seed in (5, 6)]
    assert [generator.initial_seed() for generator in own] == [5, 6]


@pytest.mark.parametrize("order", INIT_ORDERS)
def test_initial_weights_are_drawn_from_the_runs_seed_in_the_recipes_order(data: DataSet, order: str) -> None:
    training = Training(VEC, digits_recipe(1, init_order=order), data, 7)
    seed_everything(7)
    expected = Network(VEC, 10, init_order=order).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in training.network.state_dict().items())


def test_a_recipe_of_the_paper_trains_the_paper_networks(data: DataSet) -> None:
    plain, paper = (Training(VEC, digits_recipe(1, variant=v), data, 0) for v in ("public", "paper"))
    before = plain.network.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in paper.network.state_dict().items())
    assert [cell.doubles for cell in paper.network.cells] == [True] * 3
    assert plain.train_epoch() != paper.train_epoch()


def test_the_learning_rate_is_the_releases(data: DataSet) -> None:
    golden = json.loads((GOLDEN / "recipe.json").read_text())["learning_rate_by_epoch"]
    few = Split(data.val.images[:2], data.val.labels[:2])
    recipe = replace(default_recipe("cifar100"), augment=False)
    training = Training(VEC, recipe, replace(data, train=few, val=few), 0)
    rates = []
    for training.epoch in range(0, 200, 20):
        training.train_epoch()
        rates.append(training.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx(golden[::20], rel=1e-12, abs=1e-17)


def test_the_loss_falls_and_the_learning_rate_goes_to_zero_on_a_cosine(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(4), data, 0)
    rates, losses = [], []
    for _ in range(4):
        losses.append(training.train_epoch().train.loss)
        rates.append(training.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(4)])
    assert losses[-1] < losses[0]
    assert training.optimiser.param_groups[0]["weight_decay"] == 5e-4
    assert not training.optimiser.param_groups[0]["nesterov"]


@pytest.mark.slow
def test_the_test_is_measured_with_the_best_epochs_weights(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(5, batch=16), data, 1)
    curve, tests = [], []
    for _ in range(4):  # the fourth is worse than the third
        curve.append(training.train_epoch())
        tests.append(training.evaluate(data.test))
    best = max(range(4), key=lambda e: (curve[e].val.top1, -curve[e].val.loss))
    assert best != 3
    result = training.finish()
    assert result.best == curve[best]
    assert result.test == tests[best] != tests[3]


def test_a_loss_that_is_not_a_number_is_no_epoch(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(3, lr=1e12), data, 0)
    result = training.train_epoch()
    assert not result.is_finite
    assert training.epoch == 0
    assert training.diverged().test is None


class Counted(Training):
    """A training whose losses are kept."""

    losses: list[float]

    def logits_and_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, loss = super().logits_and_loss(images, labels)
        if self.network.training:
            self.losses.append(loss.item())
        return logits, loss


def test_a_run_ends_with_the_batch_whose_loss_is_not_a_number(data: DataSet) -> None:
    training = Counted(VEC, digits_recipe(3, lr=1e12, batch=16), data, 0)
    training.losses = []
    result = training.train_epoch()
    assert 1 < len(training.losses) < len(data.train) // 16
    assert [math.isfinite(loss) for loss in training.losses] == [True] * (len(training.losses) - 1) + [False]
    assert math.isnan(result.val.loss)


def test_a_run_that_diverges_is_tested_with_the_best_weights_so_far(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(3), data, 0)
    best, test = training.train_epoch(), training.evaluate(data.test)
    training.recipe = replace(training.recipe, lr=1e12)
    assert not training.train_epoch().is_finite
    result = training.diverged()
    assert (result.diverged, result.best, result.test) == (True, best, test)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_training_goes_on_from_its_state_as_if_nothing_had_happened(data: DataSet, after: int) -> None:
    recipe = digits_recipe(4, augment=True)
    whole, result = run(recipe, data)
    training = Training(VEC, recipe, data, 0)
    for _ in range(after):
        training.train_epoch()
    stream = io.BytesIO()
    torch.save(training.state(), stream)
    torch.manual_seed(99)
    again = Training(VEC, recipe, data, 0)
    again.restore(torch.load(io.BytesIO(stream.getvalue()), weights_only=True))
    assert again.epoch == after
    assert [again.train_epoch() for _ in range(4 - after)] == whole[after:]
    finished = again.finish()
    assert (finished.best, finished.test) == (result.best, result.test)


@pytest.mark.parametrize(("first", "then", "most"), [(2, 1, 2), (1, 3, 3), (None, 2, 2), (None, None, None)])
def test_a_time_is_said_to_be_of_the_most_workers_that_shared_the_device(
    data: DataSet, first: int | None, then: int | None, most: int | None
) -> None:
    training, again = (Training(VEC, digits_recipe(2), data, 0) for _ in range(2))
    training.device_workers, again.device_workers = first, then
    state = training.state()
    if first is None:
        del state["device_workers"]  # as in checkpoints of the first version
    again.restore(state)
    assert again.diverged().device_workers == most


@pytest.mark.slow
def test_a_state_has_the_best_weights_only_where_they_are_not_the_last(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(5, batch=16), data, 1)
    assert training.state()["best_weights"] is None
    seen = set()
    for _ in range(4):  # the fourth is worse than the third
        training.train_epoch()
        assert training.best is not None
        is_last = training.best.epoch == training.epoch
        seen.add(is_last)
        state = training.state()
        assert (state["best_weights"] is None) is is_last
        again = Training(VEC, digits_recipe(5, batch=16), data, 2)
        again.restore(state)
        assert again.best == training.best
        for name, value in training.best_weights.items():
            assert torch.equal(value, again.best_weights[name])
            assert value.data_ptr() != again.network.state_dict()[name].data_ptr()
    assert seen == {True, False}


def test_further_measures_of_the_best_epoch_stay(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(2), data, 0)
    best = training.best = replace(training.train_epoch(), more={"gradient_norm": 2.5})
    again = Training(VEC, digits_recipe(2), data, 0)
    again.restore(training.state())
    assert again.best == best


@pytest.mark.slow
def test_bf16_trains_about_as_well(data: DataSet) -> None:
    (full, _), (half, _) = (run(digits_recipe(2, precision=p), data) for p in ("fp32", "bf16"))
    assert half[0] != full[0]
    assert half[1].train.loss == pytest.approx(full[1].train.loss, rel=0.1)


def test_metrics_are_those_of_plain_python(data: DataSet) -> None:
    training = Training(VEC, digits_recipe(1), data, 0)
    training.train_epoch()
    metrics = training.evaluate(data.test)
    training.network.eval()
    from bloxdb.trainer.augment import normalise

    with torch.no_grad():
        logits = training.network(normalise(data.test.images, data)).double()
    hits1 = hits5 = loss = 0.0
    for row, label in zip(logits.tolist(), data.test.labels.tolist(), strict=True):
        order = sorted(range(10), key=lambda k: -row[k])
        hits1 += order[0] == label
        hits5 += label in order[:5]
        loss += math.log(sum(math.exp(value) for value in row)) - row[label]
    expected = (100 * hits1 / 360, 100 * hits5 / 360, loss / 360)
    assert (metrics.top1, metrics.top5, metrics.loss) == pytest.approx(expected, abs=1e-4)


def test_a_training_goes_on_with_the_threads_that_it_had(data: DataSet) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        state = Training(VEC, digits_recipe(2), data, 0).state()
        torch.set_num_threads(2)
        Training(VEC, digits_recipe(2), data, 0).restore(state)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
