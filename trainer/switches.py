"""What torch keeps as switches of the whole process: set while a recipe computes, then as they were."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import torch

from bloxdb.errors import QueryError

from .devices import HOST, KINDS
from .recipe import TrainingRecipe

_COMPILER = "torch._inductor.config"
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


_lock = threading.RLock()
_before: dict[str, Any] = {}  # what the switches were before the first of those that compute set them
# which thread computes with which switches, the latest last
_computing: list[tuple[int, dict[str, Any]]] = []


@contextmanager
def configure(recipe: TrainingRecipe) -> Iterator[None]:
    """Let torch compute as a recipe says while the block lasts, whatever is set around it.

    Gradients are on, inference mode and autocast off, and new tensors are float32 on the CPU where nothing
    else is said, as in a process in which nobody has set anything.

    Parameters
    ----------
    recipe
        Its `precision` and `deterministic` are what counts.

    Yields
    ------
    None
        The switches are as they were before when the block ends. `CUBLAS_WORKSPACE_CONFIG`, without which
        products on a GPU are not deterministic, stays: it is read once, before the first of them.

    Raises
    ------
    QueryError
        Another thread computes with other switches just now; they are those of the whole process.
    """
    os.environ.setdefault(*_WORKSPACE)
    if recipe.compile:
        import_module(_COMPILER)
    precision = "tf32" if recipe.precision == "tf32" else "ieee"
    wanted = {
        "deterministic": recipe.deterministic,
        "warn_only": False,
        # fresh memory is written before it is read here: filling it first costs a pass over all of it
        "fill": False,
        "benchmark": not recipe.deterministic,
        "matmul": precision,
        "conv": precision,
        "host_matmul": "ieee",
        "host_conv": "ieee",
        "dtype": torch.float32,
    }
    with _of_the_process(wanted), _of_the_thread():
        yield


@contextmanager
def _of_the_process(wanted: dict[str, Any]) -> Iterator[None]:
    """Set what all threads have in common; of those that compute at once the last puts it back."""
    me = threading.get_ident()
    with _lock:
        if any(thread != me and switches != wanted for thread, switches in _computing):
            raise QueryError(
                "another thread of this process trains or measures with another precision, or is "
                "deterministic where this one is not, or the other way round, which torch has for the whole "
                "process; let one wait for the other, or train in processes"
            )
        if not _computing:
            _before.update(_switches())
        _computing.append((me, wanted))
        _set(wanted)
    try:
        yield
    finally:
        with _lock:
            mine = max(place for place, (thread, _) in enumerate(_computing) if thread == me)
            del _computing[mine]
            _set(_computing[-1][1] if _computing else _before)


@contextmanager
def _of_the_thread() -> Iterator[None]:
    """Set what each thread has for itself."""
    casts = {name: torch.is_autocast_enabled(name) for name in KINDS}
    with ExitStack() as stack:
        if torch.get_default_device() != torch.device(HOST):  # each call of torch is slower where one is set
            stack.enter_context(torch.device(HOST))
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        for name in casts:
            torch.set_autocast_enabled(name, False)
        try:
            yield
        finally:
            for name, was_on in casts.items():
                torch.set_autocast_enabled(name, was_on)


def _switches() -> dict[str, Any]:
    return {
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "benchmark": torch.backends.cudnn.benchmark,
        "matmul": torch.backends.cuda.matmul.fp32_precision,
        "conv": torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
        "host_matmul": torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
        "host_conv": torch.backends.mkldnn.conv.fp32_precision,  # type: ignore[attr-defined]
        "dtype": torch.get_default_dtype(),
    }


def _set(to: dict[str, Any]) -> None:
    _be_deterministic(to["deterministic"], warn_only=to["warn_only"])
    torch.utils.deterministic.fill_uninitialized_memory = to["fill"]  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = to["benchmark"]
    torch.backends.cuda.matmul.fp32_precision = to["matmul"]
    torch.backends.cudnn.conv.fp32_precision = to["conv"]  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul.fp32_precision = to["host_matmul"]  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv.fp32_precision = to["host_conv"]  # type: ignore[attr-defined]
    torch.set_default_dtype(to["dtype"])


def _be_deterministic(on: bool, *, warn_only: bool) -> None:
    """`torch.use_deterministic_algorithms`, which imports torch's compiler only to tell it: more than a
    second in each process, as long as an epoch of small images. Where nobody imported it, nobody is told.
    """
    if _COMPILER in sys.modules or (warn_only and not on):
        torch.use_deterministic_algorithms(on, warn_only=warn_only)
    else:
        torch.set_deterministic_debug_mode("warn" if warn_only else "error" if on else "default")


def _after_fork() -> None:
    """In a child, only the thread that forked goes on: what the others computed with ends there."""
    global _lock
    _lock = threading.RLock()
    me = threading.get_ident()
    if others := [entry for entry in _computing if entry[0] != me]:
        for entry in others:
            _computing.remove(entry)
        _set(_computing[-1][1] if _computing else _before)


os.register_at_fork(after_in_child=_after_fork)
