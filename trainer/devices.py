"""What depends on the device that trains: which there are, waiting for them, their memory, what they are
called, how they record work. Nothing else in the trainer asks what kind a device is.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from bloxdb.arguments import digits
from bloxdb.errors import QueryError, spelled

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

Work = Callable[[], None]


class Recorder(Protocol):
    """A device's way to record work: nothing is computed while it is recorded, only by what is given back."""

    def run(self, work: Work) -> None:
        """Compute plainly, in the place where the same work will be recorded."""

    def record(self, work: Work) -> Work:
        """Record, and give what computes it."""

    def milliseconds(self, replay: Work) -> float:
        """Compute what `record` gave, and tell what the device needed, without what Python needs to ask."""


class CudaGraphs:
    """Records on one GPU.

    Its graphs share one pool of memory: they never run at once, and none reads what another has left there.

    Parameters
    ----------
    device
        The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, work: Work) -> None:
        """Compute on the stream of the recordings, since gradients remember on which stream they began."""
        now = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(now)
        with torch.cuda.stream(self._stream):
            work()
        now.wait_stream(self._stream)

    def record(self, work: Work) -> Work:
        """Record a graph; what replays it keeps its memory."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            work()
        return graph.replay

    def milliseconds(self, replay: Work) -> float:
        """Between two events on the GPU, its own clock."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        replay()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of device; what a kind does not say is so for a GPU of which nothing more is known.

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
    is_host
        Whether it is the machine's own processor: sums depend on its threads, and nothing is sent to it.
    compiles
        Whether `torch.compile` is worth its time.
    pins
        Whether it is sent to from pinned memory without waiting, and writes there when it gets to it.
    at_once
        How many images are changed together.
    sums
        What counts and losses are added up in.
    recorder
        What records on one of them; None where nothing does.
    """

    count: Callable[[], int]
    synchronise: Callable[[], None]
    free: Callable[[], None]
    describe: Callable[[torch.device], dict[str, str]]
    choose: Callable[[torch.device], None]
    is_host: bool = False
    compiles: bool = True
    pins: bool = False
    at_once: int = 2048
    sums: torch.dtype = torch.float64
    recorder: Callable[[torch.device], Recorder] | None = None


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
    """The kind of a torch device that is to be used.

    Raises
    ------
    QueryError
        There is no such kind, or none of it that torch can use.
    """
    kind = kind_named(device)
    if not kind.count():
        raise QueryError(f"this machine has no {kind_name(device)} device that torch can use; choose {HOST}")
    return kind


def kind_named(device: torch.device | str) -> Kind:
    """The kind of a torch device, whether this machine has one of it or not.

    Raises
    ------
    QueryError
        There is no such kind.
    """
    name = kind_name(device)
    if name not in KINDS:
        raise QueryError(f"there is no device {spelled(name)}; choose one of: {', '.join(KINDS)}")
    return KINDS[name]


def kind_name(device: torch.device | str) -> str:
    """What torch calls the kind of a device, as ``'cuda'`` of ``'cuda:1'``."""
    return device.partition(":")[0] if isinstance(device, str) else device.type


def sent(drawn: Tensor, device: torch.device) -> Tensor:
    """What was drawn, on a device; from pinned memory where there is some, since any other is waited for."""
    return (drawn.pin_memory() if kind_named(device).pins else drawn).to(device, non_blocking=True)


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
    kind, there = _gpus()
    if gpus == "none" or (gpus is None and not there):
        devices = [HOST]
    else:
        devices = [f"{kind}:{number}" for number in _numbers(gpus or "all", there)]
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


def _gpus() -> tuple[str, int]:
    """The first kind beside the CPU of which this machine has any, and how many; the last and 0 if none."""
    found = "", 0
    for name, kind in KINDS.items():
        if not kind.is_host and not found[1]:
            found = name, kind.count()
    return found


def _numbers(gpus: str, there: int) -> list[int]:
    given = range(there) if gpus == "all" else (digits(part.strip()) for part in gpus.split(","))
    chosen = []
    for number in given:
        if number is None:
            raise QueryError(f"--gpus is all, none, or numbers such as 0,2, not {spelled(gpus)}")
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


HOST = "cpu"
"""The device that every machine has."""

# An H200 changes 189,000 images/s by 2,048 and 690,000 by 16,384, since each operation is a launch or ten,
# whatever their number; all 45,000 at once would take 1.2 GiB more, and the launches of most pieces are
# hidden by the steps before. A CPU's caches are small.
KINDS = {
    HOST: Kind(
        count=lambda: 1,
        synchronise=_nothing,
        free=_nothing,
        describe=_processor,
        choose=_nothing,
        is_host=True,
        compiles=False,
        at_once=2048,
    ),
    "cuda": Kind(
        count=torch.cuda.device_count,
        synchronise=torch.cuda.synchronize,
        free=torch.cuda.empty_cache,
        describe=_nvidia,
        choose=torch.cuda.set_device,
        pins=True,
        at_once=16_384,
        recorder=CudaGraphs,
    ),
}
"""The kinds of device, by torch's names for them. Add yours here; workers take the first that is there."""
