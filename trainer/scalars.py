"""The usual scalars of a run, for TensorBoard."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from bloxdb.extras import needed
from bloxdb.files import as_name
from bloxdb.runs.results import EpochResult, RunResult


def writer() -> Any:
    """TensorBoard's writer.

    Raises
    ------
    MissingExtraError
        TensorBoard is not installed.
    """
    with needed("tensorboard", "--tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter


class Scalars:
    """Writes scalars of one run into a folder of its own; nothing without a folder.

    Where that cannot be, as on a full disk, it is said once, and what is trained goes on. TensorBoard's own
    writer has a thread that ends then, so that its records are written here.

    Parameters
    ----------
    folder
        The folder of all runs.
    recipe, arch_id, seed
        The run, which gives its folder's name.
    failed
        Called with a sentence as ``message`` where nothing can be written.

    Raises
    ------
    MissingExtraError
        TensorBoard is not installed.
    """

    def __init__(
        self, folder: Path | None, recipe: str, arch_id: int, seed: int, *, failed: Callable[..., None]
    ) -> None:
        self._stream: Any = None
        self._failed = failed
        if folder is None:
            return
        writer()
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{time.time():010.0f}.{platform.node()}.{os.getpid()}.{time.time_ns()}"
        self._path = folder / as_name(recipe) / f"{arch_id}-seed{seed}" / name
        self._event = Event
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("xb")
        except OSError as error:
            self._fail(error)
            return
        self._records = RecordWriter(self._stream)
        self._put([Event(wall_time=time.time(), file_version="brain.Event:2")])

    def __enter__(self) -> Scalars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def epoch(self, result: EpochResult) -> None:
        """Accuracies in percent and losses of an epoch."""
        self._add(result.measures(), result.epoch)

    def end(self, result: RunResult) -> None:
        """The test, at the best epoch."""
        if result.test is not None and result.best is not None:
            self._add(result.test.measures("test"), result.best.epoch)

    def _add(self, measures: dict[str, float], epoch: int) -> None:
        """Scalars that one chart has side by side, as ``top1/train`` and ``top1/val``."""
        if self._stream is None:
            return
        from torch.utils.tensorboard.summary import scalar

        events = []
        for measure, value in measures.items():
            part, _, name = measure.partition("_")
            summary = scalar(f"{name}/{part}", value)
            events.append(self._event(wall_time=time.time(), step=epoch, summary=summary))
        self._put(events)

    def _put(self, events: list[Any]) -> None:
        """Write records, so that TensorBoard sees them at once."""
        try:
            for event in events:
                self._records.write(event.SerializeToString())
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.close()
        told = f"its scalars cannot be written to {error.filename or self._path}: {error.strerror or error}"
        self._failed(message=f"{told}; it is trained without them")

    def close(self) -> None:
        """Write nothing more; also what the end of a ``with`` block does."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):  # what is left in memory was told before
                stream.close()
