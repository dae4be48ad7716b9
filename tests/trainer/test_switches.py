"""Switches of the whole process: set for a recipe, and as they were afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from bloxdb.trainer import switches
from bloxdb.trainer.loop import Training

from bloxdb import space
from tests.trainer.helpers import QUICK, ROOT, digits_recipe, some_digits


@contextmanager
def set_to(**changes: object) -> Iterator[None]:
    """Switches as somebody else may have set them."""
    before = switches._switches()
    switches._set({**before, **changes})
    try:
        yield
    finally:
        switches._set(before)


OTHERS = {
    "deterministic": False,
    "warn_only": False,
    "fill": True,
    "benchmark": True,
    "matmul": "tf32",
    "conv": "tf32",
    "host_matmul": "bf16",
    "host_conv": "bf16",
    "dtype": torch.float64,
}
STRICT = {"deterministic": True, "warn_only": True, "fill": False, "benchmark": False, "matmul": "ieee", "conv": "none", "host_matmul": "none", "host_conv": "none", "dtype": torch.float32}  # fmt: skip


@pytest.mark.parametrize("outside", [OTHERS, STRICT])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_what_a_recipe_says_holds_within_and_what_was_before_afterwards(
    outside: dict[str, object], precision: str, deterministic: bool
) -> None:
    recipe = digits_recipe(1, precision=precision, deterministic=deterministic)
    products = "tf32" if precision == "tf32" else "ieee"
    within = {"deterministic": deterministic, "warn_only": False, "fill": False, "benchmark": not deterministic,
              "matmul": products, "conv": products, "host_matmul": "ieee", "host_conv": "ieee", "dtype": torch.float32}  # fmt: skip
    with set_to(**outside):
        with switches.configure(recipe):
            assert switches._switches() == within
        assert switches._switches() == outside
        with pytest.raises(KeyError), switches.configure(recipe):
            raise KeyError
        assert switches._switches() == outside


def test_a_training_leaves_the_process_as_it_was_and_does_not_heed_it() -> None:
    data = some_digits(64)
    curves = []
    for outside in (OTHERS, STRICT):
        with set_to(**outside):
            training = Training(space.arch_vec(QUICK), digits_recipe(1), data, 0)
            curves.append((training.train_epoch(), training.finish().test))
            assert switches._switches() == outside
    assert curves[0] == curves[1]


@pytest.mark.slow
@pytest.mark.parametrize(("given", "expected"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_products_on_a_gpu_have_a_workspace_that_makes_them_deterministic(
    given: str | None, expected: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    if given is not None:
        environment["CUBLAS_WORKSPACE_CONFIG"] = given
    code = (
        "import os; from bloxdb.trainer.recipe import default_recipe; from bloxdb.trainer.switches import configure\n"
        "with configure(default_recipe('digits')): print(os.environ['CUBLAS_WORKSPACE_CONFIG'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    assert done.stdout.split() == [expected]
