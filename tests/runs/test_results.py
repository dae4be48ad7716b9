"""What training gives, by the names of measures."""

from __future__ import annotations

import math

import pytest

from bloxdb.measures import EPOCH, RUN
from bloxdb.runs import EpochResult, Metrics, RunResult

TRAIN, VAL, TEST = Metrics(40.0, 70.0, 2.1), Metrics(38.5, 69.0, 2.2), Metrics(39.0, 68.0, 2.15)


def test_an_epochs_measures_are_those_of_the_list() -> None:
    found = EpochResult(1, TRAIN, VAL).measures()
    assert set(found) == set(EPOCH)
    assert (found["train_top1"], found["val_top5"], found["val_loss"]) == (40.0, 69.0, 2.2)


def test_a_runs_measures_are_those_of_the_list() -> None:
    found = RunResult(False, EpochResult(3, TRAIN, VAL), TEST, 12.5).measures()
    assert set(found) == set(RUN)
    assert (found["val_top1"], found["test_top1"], found["test_loss"]) == (38.5, 39.0, 2.15)
    assert found["train_time_s"] == 12.5


def test_what_a_run_did_not_measure_is_left_out() -> None:
    assert RunResult(True, None, None, 1.0).measures() == {"train_time_s": 1.0}
    best = EpochResult(1, TRAIN, VAL)
    assert RunResult(True, best, None, 1.0).measures() == {"val_top1": 38.5, "train_time_s": 1.0}


def test_further_measures_go_along() -> None:
    assert EpochResult(1, TRAIN, VAL, {"lr": 0.1}).measures()["lr"] == 0.1
    assert RunResult(False, None, TEST, 1.0, {"energy": 3.0}).measures()["energy"] == 3.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_epoch_is_finite_if_both_losses_are(value: float) -> None:
    broken = Metrics(40.0, 70.0, value)
    assert EpochResult(1, TRAIN, VAL).is_finite
    assert not EpochResult(1, broken, VAL).is_finite
    assert not EpochResult(1, TRAIN, broken).is_finite


@pytest.mark.parametrize(
    ("top1", "loss", "better"),
    [(38.6, 9.0, True), (38.4, 0.1, False), (38.5, 2.1, True), (38.5, 2.3, False), (38.5, 2.2, True)],
)
def test_the_higher_accuracy_is_better_then_the_lower_loss_then_the_later_epoch(
    top1: float, loss: float, better: bool
) -> None:
    other = EpochResult(1, TRAIN, VAL)
    assert EpochResult(2, TRAIN, Metrics(top1, 69.0, loss)).is_better_than(other) is better
    assert other.is_better_than(None)
