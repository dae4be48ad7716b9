"""A training in somebody's own process: its numbers are its own, and what it found set is as it was afterwards."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from bloxdb.trainer import loop
from bloxdb.trainer.loop import Training
from bloxdb.trainer.switches import configure

import bloxdb
from bloxdb import space
from tests.trainer.helpers import QUICK, digits_recipe, some_digits


@contextmanager
def dtype(wanted: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(wanted)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    matmul, before = torch.backends.mkldnn.matmul, torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    matmul.fp32_precision = name
    try:
        yield
    finally:
        matmul.fp32_precision = before


AROUND: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast in half": lambda: torch.autocast("cpu", torch.float16),
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "doubles": lambda: dtype(torch.float64),
    "halves": lambda: dtype(torch.bfloat16),
    "a device for all that is new": lambda: default_device("meta"),
    "a device for all that is new in a block": lambda: torch.device("meta"),
    "quick products": lambda: matmul_precision("bf16"),
}


def state() -> dict[str, Any]:
    return {
        "autocast": torch.is_autocast_enabled("cpu"),
        "autocast's type": torch.get_autocast_dtype("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "gradients": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "torch": torch.default_generator.get_state().tolist()
        if torch.get_default_device().type == "cpu"
        else None,
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state(legacy=True)],
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
    }


def trained(precision: str, seed: int = 3, epochs: int = 2) -> list[Any]:
    """All numbers of a training that is stopped after its first epoch and goes on in another one."""
    data, recipe = some_digits(96), digits_recipe(epochs, batch=32, precision=precision)
    first = Training(space.arch_vec(QUICK), recipe, data, seed)
    results = [first.train_epoch()]
    training = Training(space.arch_vec(QUICK), recipe, data, seed)
    training.restore(first.state())
    results += [training.train_epoch() for _ in range(epochs - 1)]
    final = training.finish()
    weights = [value.double().sum().item() for value in training.best_weights.values()]
    return [results, final.best, final.test, weights]


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def expected(request: pytest.FixtureRequest) -> tuple[str, list[Any]]:
    return request.param, trained(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("around", AROUND)
def test_what_is_set_around_a_training_changes_none_of_its_numbers_and_stays(
    around: str, expected: tuple[str, list[Any]]
) -> None:
    precision, numbers = expected
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    with AROUND[around]():
        before = state()
        found = trained(precision)
        assert state() == before
    assert found[:3] == numbers[:3]
    assert around.startswith("a device") or found[3] == numbers[3]  # sums of the test's own lie there


def test_an_error_within_puts_everything_back() -> None:
    before = state()
    with pytest.raises(KeyError), configure(digits_recipe(1)):
        raise KeyError
    with pytest.raises(bloxdb.InvalidArchError):
        Training([[[5]]], digits_recipe(1), some_digits(64), 0)
    assert state() == before


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("around", [None, "doubles", "no_grad"])
def test_trainings_in_threads_have_the_numbers_of_one_after_the_other(
    workers: int, around: str | None
) -> None:
    alone = [trained("fp32", seed) for seed in range(workers)]
    before = state()
    together = threading.Barrier(workers)

    def one(seed: int) -> list[Any]:
        together.wait()
        return trained("fp32", seed)

    with AROUND[around]() if around else torch.enable_grad(), ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(one, range(workers)))
    assert found == alone
    assert state() == before


@pytest.mark.parametrize("changes", [{"precision": "tf32"}, {"deterministic": False}])
def test_threads_that_need_other_switches_are_refused_and_disturb_nobody(changes: dict[str, Any]) -> None:
    before = state()
    recipe, data = digits_recipe(1, batch=32), some_digits(96)
    alone = Training(space.arch_vec(QUICK), recipe, data, 0).train_epoch()
    training = Training(space.arch_vec(QUICK), recipe, data, 0)
    refused: list[BaseException | None] = []

    def meanwhile() -> None:
        if not refused:
            with ThreadPoolExecutor(1) as pool:
                other = digits_recipe(1, batch=32, **changes)
                refused.append(pool.submit(Training, space.arch_vec(QUICK), other, data, 0).exception())

    training.check = meanwhile
    assert training.train_epoch() == alone
    assert isinstance(refused[0], bloxdb.QueryError)
    assert "another thread of this process trains or measures" in str(refused[0])
    Training(space.arch_vec(QUICK), digits_recipe(1, **changes), data, 0)  # when nobody else computes
    assert state() == before


@pytest.mark.parametrize("seed", [0, 7, 2**32, 2**63 - 1])
@pytest.mark.parametrize("kind", [np.int64, np.uint64, torch.tensor])
def test_an_integer_of_any_type_is_a_seed(kind: Callable[[int], Any], seed: int) -> None:
    recipe, data = digits_recipe(1), some_digits(64)
    one, other = (Training(space.arch_vec(QUICK), recipe, data, given) for given in (seed, kind(seed)))
    assert all(
        torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True)
    )
    assert torch.equal(one.generator.get_state(), other.generator.get_state())


WRONG = {
    "a text": ("3", "a seed is an integer, not '3'"),
    "a float": (3.0, r"a seed is an integer, not 3\.0"),
    "a bool": (True, "a seed is an integer, not True"),
    "None": (None, "a seed is an integer, not None"),
    "negative": (-1, "a seed is 0 or more, not -1"),
    "2^63": (2**63, "a seed is in 0 … 9223372036854775807, not a number of 64 bits"),
    "2^64": (2**64, "a seed is in 0 … 9223372036854775807, not a number of 65 bits"),
    "several": ([1, 2], r"a seed is an integer, not \[1, 2\]"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_seed_is_told(what: str) -> None:
    seed, message = WRONG[what]
    with pytest.raises(bloxdb.QueryError, match=f"^{message}$"):
        Training(space.arch_vec(QUICK), digits_recipe(1), some_digits(64), seed)


@pytest.mark.slow
@pytest.mark.parametrize("switches", [{}, {"precision": "tf32"}])
def test_a_child_of_a_process_in_which_a_thread_trains_has_its_own_switches(switches: dict[str, Any]) -> None:
    """The thread is not there, nor what it held."""
    inside, leave = threading.Event(), threading.Event()

    def compute() -> None:
        with configure(digits_recipe(1)), loop._drawing:
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=compute)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if not child:
        status = 1
        try:
            with configure(digits_recipe(1, **switches)):
                loop._drawing.acquire(timeout=5)
            status = int(torch.are_deterministic_algorithms_enabled())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert not torch.are_deterministic_algorithms_enabled()
