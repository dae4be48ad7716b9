"""The usual scalars of a run, for TensorBoard."""

from __future__ import annotations

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

    Parameters
    ----------
    folder
        The folder of all runs.
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
        self._writer = writer()(str(folder / as_name(recipe) / f"{arch_id}-seed{seed}"))

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
        self._add(result.measures(), result.epoch)
        self._writer.flush()

    def end(self, result: RunResult) -> None:
        """The test, at the best epoch."""
        if self._writer is None or result.test is None or result.best is None:
            return
        self._add(result.test.measures("test"), result.best.epoch)

    def _add(self, measures: dict[str, float], epoch: int) -> None:
        """Scalars that one chart has side by side, as ``top1/train`` and ``top1/val``."""
        for measure, value in measures.items():
            part, _, name = measure.partition("_")
            self._writer.add_scalar(f"{name}/{part}", value, epoch)
