"""What depends on the device that trains: which there are, waiting for them, their memory, what they are
called.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bloxdb.arguments import digits
from bloxdb.errors import QueryError

# Pixels of an image. The layers of 8x8 images are so short that threads find each other when the work is
# about done: two take 1.4 times the processor time of one, and on busy cores no less time. CIFAR has 32x32.
_WORTH_THREADS = 16 * 16
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    # what CUDA's libraries say of it; cuDNN finds no engine where none has room for its workspace
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "unable to find an engine",
)
# Without it, memory that one architecture's sizes have cut into pieces does not fit the next one's.
_ALLOCATOR, _EXPANDABLE = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"), "expandable_segments:True"
_OF_A_DEVICE = ("cuda error", "cudnn error", "cudnn_status_", "cublas_status_")


@dataclass(frozen=True)
class Kind:
    """A kind of device.

    Attributes
    ----------
    count
        How many of it torch can use.
    synchronise
        Waits until the current one has done all that it was given.
    free
        Gives memory back that is not in use.
    describe
        The fields `gpu`, `cuda` and `driver` of an environment, for one of them.
    choose
        Makes one of them the current one.
    """

    count: Callable[[], int]
    synchronise: Callable[[], None]
    free: Callable[[], None]
    describe: Callable[[torch.device], dict[str, str]]
    choose: Callable[[torch.device], None]


@dataclass(frozen=True)
class Place:
    """Where a worker trains.

    Attributes
    ----------
    device
        A torch device, as ``'cuda:1'`` or ``'cpu'``.
    threads
        Threads of the worker on the CPU; None for as many as `threads_for` gives its images.
    workers
        How many workers share the device, this one counted.
    """

    device: str
    threads: int | None = None
    workers: int = 1

    def settle(self) -> None:
        """Make this process ready to train here."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if not any(name in os.environ for name in _ALLOCATOR):  # it is read when the first memory is taken
            os.environ[_ALLOCATOR[0]] = _EXPANDABLE
        kind_of(self.device).choose(torch.device(self.device))


def kind_of(device: torch.device | str) -> Kind:
    """The kind of a torch device.

    Raises
    ------
    QueryError
        There is no such kind, or none of it that torch can use.
    """
    name = torch.device(device).type if not isinstance(device, str) else device.partition(":")[0]
    if name not in KINDS:
        raise QueryError(f"there is no device {name!r}; choose one of: {', '.join(KINDS)}")
    if not KINDS[name].count():
        raise QueryError(f"this machine has no {name} device that torch can use; choose cpu")
    return KINDS[name]


def name_of(device: str) -> str:
    """What a device is called in environments."""
    return kind_of(device).describe(torch.device(device))["gpu"]


def places(gpus: str | None, per_gpu: int, threads: int | None) -> list[Place]:
    """Where workers go.

    Parameters
    ----------
    gpus
        ``'all'``, ``'none'`` or numbers as ``'0,2'``; all, or the CPU where there is none, if not given.
    per_gpu
        Workers on each GPU; without GPUs, workers in all.
    threads
        CPU threads of each; left to `threads_for` if not given.

    Raises
    ------
    QueryError
        There is no such GPU.
    """
    there = KINDS[_GPU].count()
    if gpus == "none" or (gpus is None and not there):
        devices = [_CPU]
    else:
        devices = [f"{_GPU}:{number}" for number in _numbers(gpus or "all", there)]
    return [Place(device, threads) for device in devices for _ in range(per_gpu)]


def threads_for(images: Tensor, workers: int) -> int:
    """CPU threads of each worker where nobody says how many.

    Parameters
    ----------
    images
        The images that it trains on, (n, 3, height, width).
    workers
        How many workers share the machine.

    Returns
    -------
    int
        The cores divided by the workers; 1 for small images.
    """
    height, width = images.shape[-2:]
    if height * width < _WORTH_THREADS:
        return 1
    return max(1, (os.cpu_count() or 1) // workers)


def _numbers(gpus: str, there: int) -> list[int]:
    given = range(there) if gpus == "all" else (digits(part.strip()) for part in gpus.split(","))
    chosen = []
    for number in given:
        if number is None:
            raise QueryError(f"--gpus is all, none, or numbers such as 0,2, not {gpus!r:.100}")
        chosen.append(number)
    if not chosen or max(chosen) >= there:
        raise QueryError(
            f"this machine has {there} GPUs that torch can use; train on the CPU with --gpus none"
        )
    return chosen


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory for a network, so that a smaller one may still fit."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def is_of_a_device(error: BaseException) -> bool:
    """Whether a device failed, and not what it was given; the process can use it no more."""
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OF_A_DEVICE)


def run(*command: str) -> str:
    """What a program prints; empty where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _nvidia(device: torch.device) -> dict[str, str]:
    """The driver's facts are those that the GPU's own tool tells."""
    driver = run("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()
    lines = [line for line in run("nvidia-smi", "--version").splitlines() if "CUDA" in line]
    return {
        "gpu": torch.cuda.get_device_name(device),
        "cuda": lines[0].rpartition(":")[2].strip() if lines else "",
        "driver": driver[0] if driver else "",
    }


def _processor(device: torch.device) -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    named = [line.partition(":") for line in (info.read_text().splitlines() if info.exists() else [])]
    models = [value.strip() for name, _, value in named if name.strip() == "model name"]
    name = models[0] if models else platform.processor() or platform.machine()
    return {"gpu": f"cpu: {name}", "cuda": "", "driver": ""}


def _nothing(device: torch.device | None = None) -> None:
    """A CPU is never behind, keeps no memory, and there is one."""


_CPU, _GPU = "cpu", "cuda"

KINDS = {
    _CPU: Kind(lambda: 1, _nothing, _nothing, _processor, _nothing),
    _GPU: Kind(
        torch.cuda.device_count,
        torch.cuda.synchronize,
        torch.cuda.empty_cache,
        _nvidia,
        torch.cuda.set_device,
    ),
}
"""The kinds of device, by torch's names for them. Add yours here."""
