"""What a node of a Ray cluster does with a run: the `course` of any worker, each step sent to the driver."""

from __future__ import annotations

import io
import pickle
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib import metadata

import torch

from .course import Ended, Plan, Step, Trained, course
from .devices import HOST, Place, places
from .environment import environment
from .faults import Fault, fault_of
from .images import DataSet, Split
from .weights import State

_SPLITS = ("train", "val", "test")
Environment = dict[str, str]


@dataclass(frozen=True)
class Share:
    """What a run takes of a node.

    Attributes
    ----------
    per_gpu
        How many runs share a GPU; 0 where they are trained on the CPU.
    threads
        Threads of the CPU; None for one, which Ray does not count where there is a GPU.
    """

    per_gpu: int
    threads: int | None = None

    def options(self) -> dict[str, float]:
        """The same as Ray has it."""
        cores = (0 if self.per_gpu else 1) if self.threads is None else self.threads
        gpus = int(10_000 / self.per_gpu) / 10_000 if self.per_gpu else 0  # Ray counts in ten-thousandths
        return {"num_cpus": cores, "num_gpus": gpus}

    def room(self, resources: Mapping[str, float]) -> int:
        """How many runs a node holds that has these resources."""
        wanted = self.options()
        pairs = ((resources.get("CPU", 0), wanted["num_cpus"]), (resources.get("GPU", 0), wanted["num_gpus"]))
        return int(min(there / each for there, each in pairs if each))


@dataclass(frozen=True)
class Order:
    """One run, as a node is told of it.

    Attributes
    ----------
    plan, arch_id
        What is trained, and how.
    saved
        The checkpoint to go on from; None to begin anew.
    share
        What it takes of the node.
    """

    plan: Plan
    arch_id: int
    saved: bytes | None
    share: Share


def versions() -> dict[str, str]:
    """What nodes and driver must have in common; a build of torch for other devices may differ."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        "bloxdb": metadata.version("bloxdb"),
        "torch": torch.__version__.partition("+")[0],
        "Python": python,
    }


def unlike(theirs: dict[str, str]) -> str:
    """How the versions here differ from those of the driver, as a phrase; empty where they do not."""
    ours = versions()
    differing = [f"{name} {ours[name]}, not {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    return ", ".join(differing)


def packed(data: DataSet) -> bytes:
    """A data set as it travels: the tensors with their layout, which sums depend on."""
    state = {one.name: getattr(data, one.name) for one in fields(DataSet)}
    for name in _SPLITS:
        state[name] = {"images": state[name].images, "labels": state[name].labels}
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def unpacked(data: bytes) -> DataSet:
    """What `packed` gave as a data set, on the CPU."""
    state = torch.load(io.BytesIO(data), weights_only=True)
    return DataSet(**{**state, **{name: Split(**state[name]) for name in _SPLITS}})


def steps(
    order: bytes, data: bytes, resources: Mapping[str, float], stop: Callable[[], bool]
) -> Iterator[Environment | Step | Fault]:
    """Compute a run.

    Parameters
    ----------
    order
        A pickled `Order`.
    data
        A packed `DataSet`.
    resources
        What the node has, as Ray counts it.
    stop
        Gives whether to stop, asked before each epoch.

    Yields
    ------
    dict, Step or Fault
        The environment of the run, the steps of its course, and what goes wrong, as the last.
    """
    try:
        told: Order = pickle.loads(order)
        place = _place(told.share)
        place.settle()
        device = torch.device(place.device)
        yield environment(device)
        images = unpacked(data).to(device)
        workers = told.share.per_gpu or told.share.room(resources)
        for step in course(told.plan, told.arch_id, images, told.saved, stop, device_workers=workers):
            yield _portable(step)
    except Exception as error:
        yield fault_of(error)


def _place(share: Share) -> Place:
    """Where to train; of GPUs Ray shows the one that is meant."""
    threads = share.threads or 1
    return places("all", 1, threads)[0] if share.per_gpu else Place(HOST, threads)


def _portable(step: Step) -> Step:
    """A step whose weights, if they are wanted, lie in the memory of the CPU."""
    if isinstance(step, Trained | Ended) and step.weights is not None:
        return replace(step, weights=_on_host(step.weights))
    return step


def _on_host(weights: State) -> State:
    return {name: value.detach().cpu().contiguous() for name, value in weights.items()}
