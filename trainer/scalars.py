"""The usual scalars of a run, for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from bloxdb.errors import MissingExtraError
from bloxdb.runs.results import EpochResult, RunResult


class Scalars:
    """Writes scalars of one run into a folder of its own; nothing without a folder.

    Parameters
    ----------
    folder
        Of all runs.
    recipe, arch_id, seed
        The run, which gives its folder's name.

    Raises
    ------
    MissingExtraError
        TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None, recipe: str, arch_id: int, seed: int) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("--tensorboard needs: pip install 'bloxdb[tensorboard]'") from error
        self._writer = SummaryWriter(str(folder / recipe / f"{arch_id}-seed{seed}"))

    def __enter__(self) -> Scalars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def epoch(self, result: EpochResult) -> None:
        """Accuracies in percent and losses of an epoch."""
        if self._writer is None:
            return
        for part, metrics in (("train", result.train), ("val", result.val)):
            for name in ("top1", "top5", "loss"):
                self._writer.add_scalar(f"{name}/{part}", getattr(metrics, name), result.epoch)
        self._writer.flush()

    def end(self, result: RunResult) -> None:
        """The test, at the best epoch."""
        if self._writer is None or result.test is None or result.best is None:
            return
        for name in ("top1", "top5", "loss"):
            self._writer.add_scalar(f"{name}/test", getattr(result.test, name), result.best.epoch)
