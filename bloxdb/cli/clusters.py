"""Training on the nodes of a Ray cluster: the option of `train`, and what it changes."""

from __future__ import annotations

import sys
import threading
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

import click

from bloxdb.trainer import part

if TYPE_CHECKING:
    from bloxdb.trainer.cluster import Cluster

_JOINED = f"{__name__}.joined"  # where Click keeps it for the command

ray_option = click.option(
    "--ray",
    is_flag=False,
    flag_value="auto",
    metavar="[ADDRESS]",
    help="Let the nodes of a Ray cluster train; the one that this machine is of, if no ADDRESS is given.",
)


class _Ours:
    """The standard output without what Ray's threads write there of its nodes: we say what matters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, unless Ray does."""
        is_theirs = threading.current_thread().name.startswith("ray_")
        return len(text) if is_theirs else self._stream.write(text)


def joined(address: str, gpus: str | None, per_gpu: int, threads: int | None) -> Cluster:
    """The cluster at an address, until the command ends.

    Parameters
    ----------
    address
        Its address, or ``'auto'``.
    gpus, per_gpu, threads
        What a run takes of a node, as the command's options say it.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    QueryError
        GPUs are named, or the address is a client's.
    TrainingError
        There is no such cluster.
    """
    context = click.get_current_context()
    if _JOINED not in context.meta:
        context.with_resource(redirect_stdout(_Ours(sys.stdout)))
        module = part("cluster")
        ray = context.with_resource(module.joined(address))
        context.meta[_JOINED] = module.Cluster(ray, module.share_of(ray, gpus, per_gpu, threads))
    found: Cluster = context.meta[_JOINED]
    return found
