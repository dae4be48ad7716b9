"""Recorded steps: which batches are recorded, when, and that the numbers are those of plain ones."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from bloxdb.trainer.data import DataSet
from bloxdb.trainer.devices import Work
from bloxdb.trainer.graphs import BY_DEFAULT, Replayed, are_used, recorder_for
from bloxdb.trainer.loop import Training
from torch import Tensor

import bloxdb
from bloxdb import Database, space
from tests.trainer.helpers import QUICK, digits_recipe, job, some_digits, train

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


class Written:
    """Records nothing, on any device: what it gives is the work itself. It writes down what it is asked."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def run(self, work: Work) -> None:
        self.told.append("run")
        work()

    def record(self, work: Work) -> Work:
        self.told.append("record")
        return work

    def milliseconds(self, replay: Work) -> float:
        replay()
        return 0.0


def batch(images: int, value: float) -> tuple[Tensor, Tensor]:
    return torch.full((images, 3, 2, 2), value), torch.full((images,), int(value))


def test_the_first_batches_of_a_shape_are_plain_the_next_is_recorded_and_all_are_computed_once() -> None:
    recorder, seen = Written(), list[tuple[int, float, int]]()

    def step(images: Tensor, labels: Tensor) -> None:
        seen.append((len(images), images[0, 0, 0, 0].item(), int(labels[0])))

    replayed = Replayed(recorder)
    for value in range(4):
        replayed(step, *batch(3, value))
    assert recorder.told == ["run", "run", "record"]
    replayed(step, *batch(2, 9))
    assert recorder.told == ["run", "run", "record", "run"]
    replayed(step, *batch(3, 4))
    assert recorder.told[4:] == []
    assert seen == [(3, 0, 0), (3, 1, 1), (3, 2, 2), (3, 3, 3), (2, 9, 9), (3, 4, 4)]


def test_two_steps_on_batches_of_one_shape_have_a_recording_each_in_the_same_place_of_memory() -> None:
    recorder, places = Written(), dict[str, set[int]](one=set(), other=set())

    def one(images: Tensor, labels: Tensor) -> None:
        places["one"].add(images.data_ptr())

    def other(images: Tensor, labels: Tensor) -> None:
        places["other"].add(images.data_ptr())

    replayed = Replayed(recorder)
    for value in range(5):
        replayed(one, *batch(3, value))
        replayed(other, *batch(3, value))
    assert recorder.told == ["run"] * 4 + ["record"] * 2
    assert [len(place) for place in places.values()] == [1, 1]
    assert not places["one"] & places["other"]


@pytest.fixture(scope="module")
def data() -> DataSet:
    return some_digits(200)  # three whole batches of 64, and one of 8


def trained(training: Training, epochs: int) -> list[object]:
    curve = [training.train_epoch() for _ in range(epochs)]
    finished = training.finish()
    weights = [value.cpu() for value in training.network.state_dict().values()]
    return [curve, finished.test, [value.numpy().tobytes() for value in weights]]


def recorders(device: str) -> Callable[[], object]:
    return Written if device == "cpu" else lambda: recorder_for(torch.device(device), digits_recipe(1), True)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_recorded_training_gives_the_numbers_of_a_plain_one_bit_for_bit(
    data: DataSet, device: str, precision: str
) -> None:
    recipe = digits_recipe(3, augment=True, precision=precision, eval_batch=50)
    there = data.to(torch.device(device))
    recorder = recorders(device)()
    plain = trained(Training(space.arch_vec(QUICK), recipe, there, 0), 3)
    recorded = trained(Training(space.arch_vec(QUICK), recipe, there, 0, recorder=recorder), 3)  # type: ignore[arg-type]
    assert recorded == plain
    if isinstance(recorder, Written):  # of training and measuring, the whole batch and the last
        assert recorder.told.count("record") == 4


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_recorded_training_goes_on_from_a_plain_ones_state_and_the_other_way(
    data: DataSet, device: str
) -> None:
    after, recipe = 1, digits_recipe(4, augment=True)
    there, record = data.to(torch.device(device)), recorders(device)
    whole = trained(Training(space.arch_vec(QUICK), recipe, there, 0), 4)
    for first, second in ((None, record()), (record(), None), (record(), record())):
        training = Training(space.arch_vec(QUICK), recipe, there, 0, recorder=first)  # type: ignore[arg-type]
        curve = [training.train_epoch() for _ in range(after)]
        stream = io.BytesIO()
        torch.save(training.state(), stream)
        stream.seek(0)
        again = Training(space.arch_vec(QUICK), recipe, there, 0, recorder=second)  # type: ignore[arg-type]
        again.restore(torch.load(stream, map_location=device, weights_only=True))
        rest = trained(again, 4 - after)
        assert [curve + rest[0], *rest[1:]] == whole  # type: ignore[operator]


@pytest.mark.slow
def test_going_back_to_a_state_forgets_what_was_recorded(data: DataSet) -> None:
    recipe = digits_recipe(3)
    training = Training(space.arch_vec(QUICK), recipe, data, 0, recorder=Written())
    begun = io.BytesIO()
    torch.save(training.state(), begun)
    first = [training.train_epoch() for _ in range(3)]
    begun.seek(0)
    training.restore(torch.load(begun, weights_only=True))
    training.best = None
    assert [training.train_epoch() for _ in range(3)] == first


def test_graphs_are_of_gpus(empty_db: Database) -> None:
    cpu, recipe = torch.device("cpu"), digits_recipe(1)
    assert recorder_for(cpu, recipe, None) is recorder_for(cpu, recipe, False) is None
    with pytest.raises(bloxdb.QueryError, match="leave --graphs out where a cpu computes"):
        train(job(empty_db, [QUICK], digits_recipe(1), graphs=True))
    assert empty_db.rows("SELECT count(*) AS runs FROM runs") == [{"runs": 0}]


def test_gpus_use_graphs_where_somebody_asks_and_by_default_if_so_decided() -> None:
    gpu, recipe = torch.device("cuda:1"), digits_recipe(1)
    others = (digits_recipe(1, deterministic=False), digits_recipe(1, compile=True))  # nobody measured these
    for any_recipe in (recipe, *others):
        assert are_used(gpu, any_recipe, True)
        assert not are_used(gpu, any_recipe, False)
    assert are_used(gpu, recipe, None) is BY_DEFAULT
    assert not any(are_used(gpu, other, None) for other in others)
