"""Data sets as tensors: normalised images and labels, split once and for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bloxdb.errors import MissingExtraError

DIGITS_SPLIT = (1_257, 180, 360)
"""Training, validation and test images of the 1,797 digits."""


@dataclass(frozen=True)
class Split:
    """Images (N, 3, H, W) float32, normalised, and labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """Three splits of one data set, and its number of classes."""

    name: str
    classes: int
    train: Split
    val: Split
    test: Split


def load_digits() -> DataSet:
    """scikit-learn's bundled digits, 8x8 with three equal channels.

    The split is fixed: ``numpy.random.RandomState(0).permutation(1797)``, the first 1,257 train, the next
    180 validate, the last 360 test.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise MissingExtraError("the digits need scikit-learn: pip install 'bloxdb[train]'") from error
    bunch = load()
    pixels = np.asarray(bunch.images, dtype=np.float32) / 16  # grey levels are 0 … 16
    order = np.random.RandomState(0).permutation(len(pixels))
    train_pixels = pixels[order[: DIGITS_SPLIT[0]]]
    pixels = (pixels - train_pixels.mean()) / train_pixels.std()
    images = torch.from_numpy(pixels).unsqueeze(1).repeat(1, 3, 1, 1)
    labels = torch.from_numpy(np.asarray(bunch.target, dtype=np.int64))
    parts = torch.from_numpy(order).split(DIGITS_SPLIT)
    train, val, test = (Split(images[part].contiguous(), labels[part]) for part in parts)
    return DataSet("digits", 10, train, val, test)


DATASETS = {"digits": load_digits}
