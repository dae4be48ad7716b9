"""The data sets that are known by name: images as they are in the files, split once and for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
import torch

from bloxdb.db.recipes import DATASETS
from bloxdb.errors import MissingDataError
from bloxdb.extras import library, place_of
from bloxdb.files import expanded
from bloxdb.measures import Array

from .images import DataSet as DataSet
from .images import Split as Split
from .own_data import load_own
from .sources import name_of
from .vision import torchvision

_DIGITS = "datasets/data/digits.csv.gz"  # within scikit-learn

VALIDATION_SHARE = 10
"""One training image in so many of CIFAR validates: 5,000 of 50,000."""


def load_data(name: str, *, folder: Path | None = None, download: bool = False) -> DataSet:
    """A data set by its name, or one of one's own.

    Parameters
    ----------
    name
        A key of `LOADERS`; or an ``.npz`` file or ``module:function``, as docs/training.md describes them.
    folder
        The folder of the files; ``data`` in the user's data folder of bloxdb if not given.
    download
        Get them first if they are not there.

    Returns
    -------
    DataSet
        The data set, on the CPU.

    Raises
    ------
    MissingDataError
        They are not there, or damaged; the error says how to get them.
    QueryError
        There is no such data set, or one's own is not as it must be.
    """
    if name_of(name) not in LOADERS:
        return load_own(name)
    place = expanded(folder) if folder else platformdirs.user_data_path("bloxdb") / "data"
    return LOADERS[name](place, download)


def load_digits(folder: Path | None = None, download: bool = False) -> DataSet:
    """scikit-learn's bundled digits, 8x8 with three equal channels; their 17 grey levels go from 0 to 255.

    The split is fixed: ``numpy.random.RandomState(0).permutation(1797)``, the first 1,257 train, the next
    180 validate, the last 360 test.
    """
    levels, classes = _digits()
    sizes = DATASETS["digits"]
    pixels = np.rint(levels * (255 / 16)).astype(np.uint8)
    order = np.random.RandomState(0).permutation(len(pixels))
    train_pixels = pixels[order[: sizes.train]] / 255
    images = torch.from_numpy(pixels).unsqueeze(1).repeat(1, 3, 1, 1)
    labels = torch.from_numpy(classes)
    parts = torch.from_numpy(order).split(sizes)
    train, val, test = (Split(images[part].contiguous(), labels[part]) for part in parts)
    mean, std = float(train_pixels.mean()), float(train_pixels.std())
    return DataSet("digits", 10, (mean,) * 3, (std,) * 3, train, val, test)


def _digits() -> tuple[Array, npt.NDArray[np.int64]]:
    """Grey levels 0 … 16, float64 (1797, 8, 8), and classes, as scikit-learn's `load_digits` gives them.

    Its file is read where it lies, since to import scikit-learn takes more than a second in each process, as
    long as to train an epoch of digits.
    """
    path = Path(place_of("sklearn", "train", "the data set of digits"), _DIGITS)
    if not path.is_file():
        bunch = library("sklearn.datasets", "train", "the data set of digits").load_digits()
        return np.asarray(bunch.images), np.asarray(bunch.target, dtype=np.int64)
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)


def load_cifar100(folder: Path, download: bool = False) -> DataSet:
    """CIFAR-100: 50,000 images that train and validate, 10,000 that test, 32x32."""
    train, val, test = _cifar("CIFAR100", "cifar100", folder, download)
    mean, std = (0.5070588, 0.4866667, 0.4407843), (0.2674510, 0.2564706, 0.2760784)
    return DataSet("cifar100", 100, mean, std, train, val, test)


def load_cifar10(folder: Path, download: bool = False) -> DataSet:
    """CIFAR-10, of the same sizes."""
    train, val, test = _cifar("CIFAR10", "cifar10", folder, download)
    mean, std = (0.4913997, 0.4821583, 0.4465312), (0.2470323, 0.2434851, 0.2615877)
    return DataSet("cifar10", 10, mean, std, train, val, test)


def _cifar(class_name: str, name: str, folder: Path, download: bool) -> tuple[Split, Split, Split]:
    """The splits of the release: of ``RandomState(0).permutation``, the last tenth validates."""
    torchvision()
    from torchvision import datasets

    reader = getattr(datasets, class_name)
    try:
        first, second = (reader(folder, train=train, download=download) for train in (True, False))
    except (RuntimeError, OSError) as error:
        if download:
            raise MissingDataError(f"{class_name} could not be downloaded to {folder}: {error}") from error
        raise MissingDataError(
            f"there is no undamaged {class_name} in {folder}; get it with `bloxdb train --dataset {name} "
            f"--data-dir {folder} --download …`, or name the folder that has {reader.base_folder}"
        ) from error
    whole = _split(first.data, first.targets)
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(whole)))
    held_out = len(whole) // VALIDATION_SHARE
    train, val = order[: len(whole) - held_out], order[len(whole) - held_out :]
    return (
        Split(whole.images[train], whole.labels[train]),
        Split(whole.images[val], whole.labels[val]),
        _split(second.data, second.targets),
    )


def _split(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], labels: list[int]) -> Split:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(labels, dtype=torch.int64, device=images.device))


LOADERS: dict[str, Callable[[Path, bool], DataSet]] = {
    "cifar100": load_cifar100,
    "cifar10": load_cifar10,
    "digits": load_digits,
}
"""What loads the data sets of `bloxdb.db.DATASETS`, by their names. Add yours here."""
