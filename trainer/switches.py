"""What torch keeps as switches of the whole process: set while a recipe computes, then as they were."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from .recipe import TrainingRecipe

_COMPILER = "torch._inductor.config"
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


@contextmanager
def configure(recipe: TrainingRecipe) -> Iterator[None]:
    """Let torch compute as a recipe says while the block lasts.

    Parameters
    ----------
    recipe
        Its `precision` and `deterministic` are what counts.

    Yields
    ------
    None
        The switches are as they were before when the block ends. `CUBLAS_WORKSPACE_CONFIG`, without which
        products on a GPU are not deterministic, stays: it is read once, before the first of them.
    """
    os.environ.setdefault(*_WORKSPACE)
    if recipe.compile:
        import_module(_COMPILER)
    before = _switches()
    precision = "tf32" if recipe.precision == "tf32" else "ieee"
    _set(
        {
            "deterministic": recipe.deterministic,
            "warn_only": False,
            # fresh memory is written before it is read here: filling it first costs a pass over all of it
            "fill": False,
            "benchmark": not recipe.deterministic,
            "matmul": precision,
            "conv": precision,
        }
    )
    try:
        yield
    finally:
        _set(before)


def _switches() -> dict[str, Any]:
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "benchmark": torch.backends.cudnn.benchmark,
        "matmul": torch.backends.cuda.matmul.fp32_precision,
        "conv": torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
    }


def _set(to: dict[str, Any]) -> None:
    _be_deterministic(to["deterministic"], warn_only=to["warn_only"])
    torch.utils.deterministic.fill_uninitialized_memory = to["fill"]  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = to["benchmark"]
    torch.backends.cuda.matmul.fp32_precision = to["matmul"]
    torch.backends.cudnn.conv.fp32_precision = to["conv"]  # type: ignore[attr-defined]


def _be_deterministic(on: bool, *, warn_only: bool) -> None:
    """`torch.use_deterministic_algorithms`, which imports torch's compiler only to tell it: more than a
    second in each process, as long as an epoch of small images. Where nobody imported it, nobody is told.
    """
    if _COMPILER in sys.modules or (warn_only and not on):
        torch.use_deterministic_algorithms(on, warn_only=warn_only)
    else:
        torch.set_deterministic_debug_mode("warn" if warn_only else "error" if on else "default")
