"""A Ray cluster, as the driver uses it: nodes and their room, runs that are sent there, what comes back."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bloxdb.arguments import digits
from bloxdb.counts import counted
from bloxdb.errors import QueryError, TrainingError, one_line
from bloxdb.extras import library

from .devices import HOST, Place
from .fleet import check_places
from .nodes import Share, versions
from .recipe import TrainingRecipe

# What Ray is told unless the environment says otherwise: it reports to nobody how it is used, and warns of no
# change to come.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_ANSWER = 10.0  # seconds
_LABEL = "ray.io/node-id"  # Ray gives it to each node
Stream = Any
"""What Ray gives for a run that was sent: its steps, as they come."""


@dataclass(frozen=True)
class Lost:
    """A run's worker or node is gone, with a phrase; or Ray ended it, since its node had no memory left."""

    told: str
    of_memory: bool = False


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Be the driver of a job of a cluster as long as the block lasts.

    Parameters
    ----------
    address
        The cluster's, as ``'10.0.0.1:6379'``; ``'auto'`` for ``$RAY_ADDRESS``, or the one that this machine
        is of. A process is of one cluster: within such a block the address is not looked at again.

    Yields
    ------
    module
        Ray.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    QueryError
        Its address is that of a client of Ray.
    TrainingError
        There is no cluster, or it lets nobody in.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    ray = library("ray", "ray", "--ray")
    if ray.is_initialized():
        yield ray
        return
    where = (os.environ.get("RAY_ADDRESS") or address) if address == "auto" else address
    if "://" in where:
        raise QueryError(
            f"{where} is the address of a client of Ray, to which no results stream: run this command on a "
            "machine of the cluster, with --ray auto"
        )
    _check_answers(where)
    try:
        with _own_signals():
            ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(where, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _no_cluster(address: str, error: Exception) -> TrainingError:
    return TrainingError(
        f"no Ray cluster takes us at {address} ({one_line(error, 200)}): is it there, and has this machine "
        "its token? `ray start --head` starts one here, `ray start --address HOST:6379` lets others join it"
    )


def _check_answers(address: str) -> None:
    """Refuse an address where nobody answers; Ray itself tries for minutes, with warnings."""
    host, _, port = address.rpartition(":")
    if host and (number := digits(port)) is not None:
        try:
            socket.create_connection((host.strip("[]"), number), timeout=_ANSWER).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """SIGTERM does afterwards what it did before; Ray has a handler of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _task() -> Callable[..., Iterator[Any]]:
    """What a node does; it travels whole, so that a node without bloxdb can say so."""

    def run(order: bytes, data: list[Any], theirs: dict[str, str], stops: Any) -> Iterator[Any]:
        import os
        import platform
        from importlib import import_module

        ray: Any = import_module("ray")
        node = ray.get_runtime_context().get_node_id()
        yield node, f"{platform.node()}:{os.getpid()}"
        try:
            from bloxdb.trainer.threads import wait_passively

            wait_passively()
            from bloxdb.trainer import nodes
        except ImportError as error:
            yield f"cannot import bloxdb's trainer ({error})"
            return
        if unlike := nodes.unlike(theirs):
            yield f"has {unlike}"
            return

        def is_to_stop() -> bool:
            try:
                return bool(ray.get(stops.are_asked.remote()))
            except ray.exceptions.RayError:  # the driver's node is gone
                return True

        resources = next(one["Resources"] for one in ray.nodes() if one["NodeID"] == node)
        yield from nodes.steps(order, ray.get(data[0]), resources, is_to_stop)

    return run


def _stops() -> type:
    """Where runs ask whether to stop after their epoch; it travels whole, as the task."""

    class Stops:
        def __init__(self) -> None:
            self.asked = False

        def ask(self) -> None:
            self.asked = True

        def are_asked(self) -> bool:
            return self.asked

    return Stops


class Cluster:
    """The cluster that this process is in.

    Parameters
    ----------
    ray
        Ray, as `joined` gives it.
    share
        What a run takes of a node.

    Attributes
    ----------
    share
        As given.
    avoided
        The ids of nodes that get no more runs.
    """

    def __init__(self, ray: Any, share: Share) -> None:
        self.share = share
        self.avoided: set[str] = set()
        self._ray = ray
        self._data: list[Any] = []
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._stops = ray.remote(num_cpus=0, scheduling_strategy=here)(_stops()).remote()
        # Ray itself would begin a stream that broke off from its first step. It prefers nodes that have the
        # data already, unless it is to spread.
        self._task = ray.remote(
            num_returns="streaming", max_retries=0, scheduling_strategy="SPREAD", **share.options()
        )(_task())

    def __str__(self) -> str:
        rooms = self.rooms()
        what = "GPUs" if self.share.per_gpu else "CPUs"
        at_once = counted(sum(rooms.values()), "run")
        return f"the {what} of {counted(len(rooms), 'node')} of a Ray cluster, {at_once} at once"

    def check(self, recipe: TrainingRecipe, graphs: bool | None) -> None:
        """Refuse what CPUs cannot do, where they are to train; what GPUs can do is known at their nodes."""
        if not self.share.per_gpu:
            check_places(recipe, [Place(HOST)], graphs)

    def rooms(self) -> dict[str, int]:
        """How many runs each node holds at once, of those that are there and get any."""
        found = {
            node["NodeID"]: self.share.room(node["Resources"]) for node in self._ray.nodes() if node["Alive"]
        }
        return {node: room for node, room in found.items() if room and node not in self.avoided}

    def keep(self, data: bytes) -> None:
        """Put the data set where nodes fetch it, each once."""
        self._data = [self._ray.put(data)]

    def send(self, order: bytes) -> Stream:
        """Let some node compute a run, when it has room."""
        others = {_LABEL: f"!in({','.join(sorted(self.avoided))})"} if self.avoided else {}
        task = self._task.options(label_selector=others) if others else self._task
        return task.remote(order, self._data, versions(), self._stops)

    def ready(self, streams: Sequence[Stream], seconds: float) -> list[Stream]:
        """Those that have something to tell, after so many seconds at most."""
        some, _ = self._ray.wait(streams, num_returns=1, timeout=seconds)
        if not some:
            return []
        found: list[Stream] = self._ray.wait(streams, num_returns=len(streams), timeout=0)[0]
        return found

    def next(self, stream: Stream) -> Any:
        """What one of them tells; `Lost` where it can tell nothing any more."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(next(stream))
        except StopIteration:
            return Lost("its worker ended without a result")
        except errors.OutOfMemoryError as error:
            return Lost(one_line(error, 200), of_memory=True)
        except errors.WorkerCrashedError:
            return Lost("its worker died")
        except errors.NodeDiedError:
            return Lost("its node is gone")
        except errors.RayError as error:
            return Lost(one_line(error, 200))

    def ask_to_stop(self) -> None:
        """Let each run stop after its epoch."""
        self._stops.ask.remote()

    def cancel(self, stream: Stream) -> None:
        """Let nobody compute a run any more."""
        self._ray.cancel(stream, force=True)


def share_of(ray: Any, gpus: str | None, per_gpu: int, threads: int | None) -> Share:
    """What each run takes, as the options of ``bloxdb train`` say it.

    Parameters
    ----------
    ray
        Ray, as `joined` gives it.
    gpus
        ``'all'`` or ``'none'``; GPUs where a node has any, else CPUs, if None.
    per_gpu, threads
        Runs that share a GPU; CPU threads of each.

    Raises
    ------
    QueryError
        GPUs are named, which Ray chooses.
    """
    if gpus not in (None, "all", "none"):
        raise QueryError(f"Ray chooses the GPUs: with --ray, --gpus is all or none, not {gpus}")
    there = any(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"])
    on_gpu = there if gpus is None else gpus == "all"
    return Share(per_gpu if on_gpu else 0, threads)
