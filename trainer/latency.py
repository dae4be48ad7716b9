"""How long an architecture takes for one batch of images on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.arguments import integer, text
from bloxdb.db.database import Database
from bloxdb.db.recipes import RELEASED, differing
from bloxdb.db.references import device_id
from bloxdb.db.schema import Device, Latency
from bloxdb.device_names import new_device_name
from bloxdb.errors import QueryError
from bloxdb.measures import LATENCY, SPREAD
from bloxdb.space.costs import CLASSES, IMAGE_SIZE

from . import devices
from .devices import Work
from .graphs import are_used, recorder_for
from .model import Network
from .recipe import checked, default_recipe
from .switches import configure


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
    precision
        As that of a recipe.
    graphs
        Whether a GPU replays a pass as a graph, timed by its own clock.

    Raises
    ------
    QueryError
        There is no such device or precision, the device has no graphs, or a number is too small.
    """

    torch_device: str = devices.HOST
    batch: int = 1
    runs: int = 30
    warmup: int = 5
    classes: int = CLASSES
    precision: str = "fp32"
    graphs: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", checked("precision", self.precision))
        for name, low in (("batch", 1), ("runs", 1), ("warmup", 0), ("classes", 1)):
            object.__setattr__(self, name, integer(getattr(self, name), f"{name} of a setting", low=low))
        devices.kind_of(self.torch_device)
        are_used(torch.device(self.torch_device), default_recipe(RELEASED), self.graphs)

    def facts(self) -> dict[str, Any]:
        """What a latency depends on beside the device, as JSON values."""
        return {
            "on": self.torch_device,
            "batch": self.batch,
            "threads": torch.get_num_threads(),
            "precision": self.precision,
            "layout": "channels_last",
            "graphs": self.graphs,
            "torch": str(torch.__version__),
        }


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one batch: the median, and the range of the middle half."""

    latency_ms: float
    spread_ms: float


def measure(vec: object, setting: Setting) -> Measured:
    """Time forward passes of random images 3x32x32 in evaluation mode."""
    device = torch.device(setting.torch_device)
    network = Network(vec, setting.classes).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(setting.batch, 3, IMAGE_SIZE, IMAGE_SIZE, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    half = setting.precision == "bf16"

    def work() -> None:
        with torch.autocast(devices.kind_name(device), torch.bfloat16, enabled=half):
            network(images)

    recipe = replace(default_recipe(RELEASED), precision=setting.precision, deterministic=False)
    recorder = recorder_for(device, recipe, setting.graphs)
    with configure(recipe), torch.inference_mode():
        if recorder is None:
            times = _time_calls(work, device, setting)
        else:
            times = _time_recorded(work, recorder, setting)
    low, middle, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return Measured(LATENCY.kept(middle), SPREAD.kept(high - low))


def _time_calls(work: Work, device: torch.device, setting: Setting) -> list[float]:
    """Milliseconds of each call."""
    kind, times = devices.kind_of(device), []
    for _ in range(setting.warmup):
        work()
    for _ in range(setting.runs):
        kind.synchronise()
        start = time.perf_counter()
        work()
        kind.synchronise()
        times.append((time.perf_counter() - start) * 1000)
    return times


def _time_recorded(work: Work, recorder: devices.Recorder, setting: Setting) -> list[float]:
    """Milliseconds that the device needs for each, by its own clock."""
    for _ in range(max(1, setting.warmup)):
        recorder.run(work)
    replay = recorder.record(work)
    replay()
    return [recorder.milliseconds(replay) for _ in range(setting.runs)]


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
    """Measure architectures, and store each as it is measured, over what the device had before.

    The device is added with its first latency.

    Raises
    ------
    QueryError
        What is there of this device was measured otherwise.
    """
    check_device(db, device_name, setting)
    for arch_id in arch_ids:
        found = measure(space.arch_vec(arch_id), setting)
        with db.transaction() as session:
            device = device_id(session, device_name, setting.facts())
            _refuse_others(session, device_name, setting)
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


def check_device(db: Database, device_name: str, setting: Setting) -> None:
    """Make sure that latencies of a device, if there are any, were measured so.

    Parameters
    ----------
    db
        The database.
    device_name
        What the device is called.
    setting
        How it is to be measured.

    Raises
    ------
    QueryError
        They were measured otherwise, or it is no name for a device.
    """
    known = select(Device.id).where(Device.name == text(device_name, "a device's name"))
    if db.reader.scalar(known) is None:
        new_device_name(device_name)
    _refuse_others(db.reader, device_name, setting)


def _refuse_others(session: Session, device_name: str, setting: Setting) -> None:
    settings = session.scalar(select(Device.settings).where(Device.name == device_name))
    differs = differing(settings, setting.facts())
    if differs:
        raise QueryError(
            f"latencies of {device_name} were measured otherwise ({differs}); use another --device-name"
        )
