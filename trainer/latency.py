"""How long an architecture takes for one batch of images on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from sqlalchemy import delete, insert

from bloxdb import space
from bloxdb.db.database import Database
from bloxdb.db.references import device_id
from bloxdb.db.schema import Latency
from bloxdb.measures import LATENCY

from . import devices
from .model import Network

_SIDE = 32  # pixels


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes
    ----------
    torch_device
        A key of `devices.KINDS`, as ``'cpu'`` or ``'cuda'``.
    batch
        Images at once.
    runs, warmup
        Forward passes that count, and those before that do not.
    classes
        Outputs of the network.
    """

    torch_device: str = "cpu"
    batch: int = 1
    runs: int = 30
    warmup: int = 5
    classes: int = 100

    def __post_init__(self) -> None:
        devices.kind_of(self.torch_device)


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one batch: the median, and the range of the middle half."""

    latency_ms: float
    spread_ms: float


def measure(vec: object, setting: Setting) -> Measured:
    """Time forward passes in evaluation mode, float32, of random images 3x32x32."""
    device, kind = torch.device(setting.torch_device), devices.kind_of(setting.torch_device)
    network = Network(vec, setting.classes).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(setting.batch, 3, _SIDE, _SIDE, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(setting.warmup):
            network(images)
        for _ in range(setting.runs):
            kind.synchronise()
            start = time.perf_counter()
            network(images)
            kind.synchronise()
            times.append((time.perf_counter() - start) * 1000)
    low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return Measured(*(LATENCY.rounded(value) / LATENCY.scale for value in (middle, high - low)))


def use_threads(threads: int | None) -> None:
    """Use so many CPU threads; as many as torch takes itself if None."""
    if threads is not None:
        torch.set_num_threads(threads)


def measure_all(
    db: Database,
    device_name: str,
    arch_ids: Iterable[int],
    setting: Setting,
    on_each: Callable[[int, Measured], None],
) -> None:
    """Measure architectures, and store each as it is measured, over what the device had before."""
    with db.transaction() as session:
        device = device_id(session, device_name)
    for arch_id in arch_ids:
        found = measure(space.arch_vec(arch_id), setting)
        with db.transaction() as session:
            session.execute(delete(Latency).where(Latency.arch_id == arch_id, Latency.device_id == device))
            session.execute(
                insert(Latency).values(
                    arch_id=arch_id,
                    device_id=device,
                    latency_ms=found.latency_ms,
                    spread_ms=found.spread_ms,
                )
            )
        on_each(arch_id, found)
