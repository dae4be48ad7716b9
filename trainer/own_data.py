"""Data sets of one's own: three arrays out of an .npz file or from a function, checked, with their digest."""

from __future__ import annotations

import hashlib
import importlib
import lzma
import struct
import sys
import tokenize
import traceback
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bloxdb.errors import BloxError, MissingDataError, QueryError, one_line
from bloxdb.files import check_file, expanded

from .images import DataSet, Split
from .sources import FILE, is_function, name_of

ARRAYS = ("images", "labels", "splits")
SPLITS = ("train", "val", "test")
LEAST_SIDE = 8  # pixels: each of three reductions halves an image
_LONGEST = 1_000  # classes; more are labels of something else

_UNREADABLE = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(ValueError, TypeError, KeyError, OverflowError, SyntaxError, tokenize.TokenError),
    *(RuntimeError, MemoryError),  # an encrypted file, and an array of more bytes than there are
)
"""What NumPy and the readers of zip files raise of a file that is damaged."""

Array = npt.NDArray[Any]


def load_own(source: str) -> DataSet:
    """A data set of one's own.

    Parameters
    ----------
    source
        An ``.npz`` file, or ``module:function``; either gives arrays named `images` (uint8, NHWC with one or
        three channels), `labels` (integers from 0) and `splits` (``'train'``, ``'val'`` or ``'test'``), an
        image each.

    Returns
    -------
    DataSet
        On the CPU; mean and deviation are those of the training images.

    Raises
    ------
    MissingDataError
        There is no such file, module or function.
    QueryError
        What it gives is no data set; the error says what is wrong where.
    """
    found = _call(source) if is_function(source) else _read(expanded(source))
    missing = [name for name in ARRAYS if name not in found]
    if missing:
        raise QueryError(f"{source} has no {' and no '.join(missing)}; it must give {', '.join(ARRAYS)}")
    images, labels, splits = (_array(found[name], name, source) for name in ARRAYS)
    images = _images(images, source)
    labels, classes = _labels(labels, len(images), source)
    parts = _parts(splits, len(images), source)
    digest = hashlib.sha256(repr(images.shape).encode())
    for array in (images, labels, *parts):
        digest.update(np.ascontiguousarray(array).data)
    mean, std = _statistics(images[parts[0]], source)
    if images.shape[3] == 1:
        images = np.repeat(images, 3, axis=3)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    targets = torch.from_numpy(labels)
    train, val, test = (
        Split(pixels[torch.from_numpy(part)].contiguous(), targets[torch.from_numpy(part)]) for part in parts
    )
    return DataSet(name_of(source), classes, mean, std, train, val, test, digest.hexdigest())


def _read(path: Path) -> Mapping[str, Any]:
    check_file(path, MissingDataError)
    try:
        with path.open("rb") as file:  # NumPy does not close one that is damaged
            opened, found = np.load(file, allow_pickle=False), None
            if isinstance(opened, np.lib.npyio.NpzFile):
                with opened:
                    found = {name: opened[name] for name in ARRAYS if name in opened}
    except FileNotFoundError as error:
        raise MissingDataError(f"there is no file {path} to train on") from error
    except _UNREADABLE as error:
        raise MissingDataError(
            f"{path} cannot be read as an {FILE} file of NumPy: {one_line(error)}"
        ) from error
    if found is None:
        raise MissingDataError(f"{path} is a single array; write it with numpy.savez")
    return found


def _call(source: str) -> Mapping[str, Any]:
    module, _, name = source.partition(":")
    here = str(Path.cwd())  # as where `python -m` looks, so that a file beside is found
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        with _told(source, f"the module {module!r} cannot be imported"):
            found = importlib.import_module(module)
    finally:
        if added:
            sys.path.remove(here)
    with _told(source, f"the module {module!r} does not give {name!r}"):
        function = getattr(found, name, None)
    if function is None:
        raise MissingDataError(f"{source}: the module {module!r} has no {name!r}")
    if not callable(function):
        raise MissingDataError(f"{source}: {name!r} of the module {module!r} is no function")
    with _told(source, f"{name!r} fails"):
        given = function()
        if isinstance(given, Mapping):  # of which reading may be code of its own, too
            return {name: given[name] for name in ARRAYS if name in given}
    raise QueryError(f"{source} must give a dict of {', '.join(ARRAYS)}, not {type(given).__name__}")


@contextmanager
def _told(source: str, what: str) -> Iterator[None]:
    """Let whatever somebody's own code raises say what failed where."""
    module = source.partition(":")[0]
    try:
        yield
    except BloxError:
        raise
    except ModuleNotFoundError as error:
        raise MissingDataError(
            f"{source}: there is no module {error.name!r} in {Path.cwd()} or installed"
        ) from error
    except (Exception, SystemExit) as error:
        frames = traceback.walk_tb(error.__traceback__)
        own = [(frame, line) for frame, line in frames if frame.f_globals.get("__name__") == module]
        where = f" ({own[-1][0].f_code.co_filename}, line {own[-1][1]})" if own else ""
        told = f"{type(error).__name__}: {one_line(error)}"
        raise MissingDataError(f"{source}: {what}: {told}{where}") from error


def _array(given: object, name: str, source: str) -> Array:
    """An array of one's own, whatever has one; `QueryError` where there is none."""
    try:
        if np.ma.is_masked(given):
            raise ValueError("some of its values are masked")
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:  # of a list of lists, of a tensor on a GPU
        raise QueryError(f"{name} of {source} cannot be made an array: {one_line(error)}") from error


def _images(images: Array, source: str) -> Array:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise QueryError(
            f"images of {source} must be uint8 of shape (images, height, width, 1 or 3), not "
            f"{images.dtype} of {images.shape}"
        )
    height, width = images.shape[1:3]
    if min(height, width) < LEAST_SIDE:
        raise QueryError(
            f"images of {source} must have {LEAST_SIDE} x {LEAST_SIDE} pixels or more, not {height} x {width}"
        )
    return np.require(
        images, requirements=("C", "W")
    )  # as torch wants them; views and read-only ones are not


def _labels(labels: Array, count: int, source: str) -> tuple[npt.NDArray[np.int64], int]:
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise QueryError(
            f"labels of {source} must be {count} integers, one an image, not {labels.dtype} of {labels.shape}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= _LONGEST))
    if len(wrong):
        raise QueryError(f"label {wrong[0]} of {source} is {labels[wrong[0]]}; labels are 0 … {_LONGEST - 1}")
    found = np.unique(labels)
    classes = int(found[-1]) + 1 if count else 0
    if len(found) < classes:
        absent = np.setdiff1d(np.arange(classes), found)[0]
        raise QueryError(
            f"labels of {source} go to {classes - 1}, but no image has {absent}; count without gaps"
        )
    if classes < 2:
        raise QueryError(f"labels of {source} must be of two classes or more")
    return labels.astype(np.int64), classes


def _parts(splits: Array, count: int, source: str) -> list[npt.NDArray[np.int64]]:
    """The indices of images that train, validate and test."""
    if splits.dtype.kind != "U" or splits.shape != (count,):
        raise QueryError(
            f"splits of {source} must be {count} texts, one an image, not {splits.dtype} of {splits.shape}"
        )
    wrong = np.flatnonzero(~np.isin(splits, SPLITS))
    if len(wrong):
        raise QueryError(
            f"split {wrong[0]} of {source} is {str(splits[wrong[0]])!r}; choose of: {', '.join(SPLITS)}"
        )
    parts = [np.flatnonzero(splits == name) for name in SPLITS]
    for name, part in zip(SPLITS, parts, strict=True):
        if not len(part):
            raise QueryError(f"splits of {source} give no image to {name!r}")
    return parts


def _statistics(images: Array, source: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation of each channel, where 255 is 1, out of exact counts of each value."""
    values, found = np.arange(256) / 255, []
    for channel in range(images.shape[3]):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        mean = float(np.average(values, weights=counts))
        std = float(np.average((values - mean) ** 2, weights=counts)) ** 0.5
        if not np.count_nonzero(counts) > 1:
            raise QueryError(f"channel {channel} of {source} has one value in all images that train")
        found.append((mean, std))
    means, stds = zip(*(found * 3)[:3], strict=True)
    return means, stds
