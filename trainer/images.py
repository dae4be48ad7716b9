"""What a data set is: images and labels as tensors, in three splits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bloxdb.db.recipes import Images


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, 3, H, W), and labels int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Split:
        """A copy on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class DataSet:
    """Three splits of one data set.

    Attributes
    ----------
    name
        What recipes call it.
    classes
        The number of classes.
    mean, std
        Mean and standard deviation of each channel, where 255 is 1.
    train, val, test
        The splits.
    digest
        SHA-256, as hex digits, of all images, labels and splits, where it is a data set of one's own; None of
        those that are known.
    """

    name: str
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    train: Split
    val: Split
    test: Split
    digest: str | None = None

    @property
    def sizes(self) -> Images:
        """How many images the splits have."""
        return Images(len(self.train), len(self.val), len(self.test))

    def to(self, device: torch.device) -> DataSet:
        """A copy on a device.

        Parameters
        ----------
        device
            The torch device.

        Returns
        -------
        DataSet
            The data set, all splits there.
        """
        splits = {name: getattr(self, name).to(device) for name in ("train", "val", "test")}
        return replace(self, **splits)
