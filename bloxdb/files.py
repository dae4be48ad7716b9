"""Paths as people write them, files that appear whole or not at all, and large ones in memory."""

from __future__ import annotations

import math
import mmap
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bloxdb.counts import Counts

_WORTH_THREADS = 1 << 24  # bytes
_LARGE = 1 << 22  # bytes from which NumPy asks for huge pages


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path as a caller gives it: ``~`` is a home folder, which no shell has made of ``--out=~/x``."""
    place = Path(path)
    try:
        return place.expanduser()
    except RuntimeError:  # nobody is called so: it is a name like any other
        return place


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`; renamed onto it at the end, removed after an error."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_all(folder: Path) -> Iterator[Path]:
    """A temporary folder within `folder`; what was put into it takes its place there at the end.

    Files of other names stay. After an error nothing is left, nor folders that were not there before.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".export-{secrets.token_hex(4)}.tmp"
    staging.mkdir()
    try:
        yield staging
        for path in sorted(staging.iterdir()):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for place in made:
            if any(place.iterdir()):
                break
            place.rmdir()


@dataclass
class ExportReport:
    """What an export wrote.

    Attributes
    ----------
    files
        The paths.
    notes
        Sentences on what a reader should know: columns that the original package cannot read, runs that are
        not in the files.
    counts
        How many architectures, runs, epochs and latencies are in them.
    """

    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        told = f": {self.counts}" if self.counts else ""
        return f"{files(len(self.files))}{told}"

    def __repr__(self) -> str:
        notes = f", {len(self.notes)} notes" if self.notes else ""
        return f"<ExportReport: {self}{notes}>"


def files(count: int) -> str:
    """A number of files, in words."""
    return f"{count:,} file{'s' * (count != 1)}"


def rest_of(stream: BinaryIO) -> memoryview:
    """All that is left of a file, read once: `stream.read()` would join what is buffered and the rest."""
    here = stream.tell()
    if isinstance(stream, BytesIO):
        return stream.getbuffer()[here:].toreadonly()
    size = stream.seek(0, os.SEEK_END) - here
    data = new_array((size,), np.uint8).data
    if size >= _WORTH_THREADS and isinstance(stream, BufferedReader) and hasattr(os, "preadv"):
        middle = size // 2
        with ThreadPoolExecutor(
            2
        ) as pool:  # new memory takes as long as the copy, and each core makes its own
            first = pool.submit(_read_at, stream.fileno(), data[:middle], here)
            second = pool.submit(_read_at, stream.fileno(), data[middle:], here + middle)
            read = first.result() if first.result() < middle else middle + second.result()
    else:
        stream.seek(here)
        read = stream.readinto(data)  # type: ignore[attr-defined]
    return data[:read].toreadonly()


def _read_at(descriptor: int, data: memoryview, place: int) -> int:
    """Fill memory from a place of a file; how many bytes there were."""
    read = 0
    while read < len(data) and (part := os.preadv(descriptor, [data[read:]], place + read)):
        read += part
    return read


def new_array(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros in ordinary pages of memory.

    NumPy asks the system for huge pages, which have to be whole and so are mostly ones that were never used.
    On a virtual machine the host must then find memory for each: reading a full-size ext file took 0.8 to
    1.4 s with them, and 0.8 s without, where pages that another process has just given back serve as well.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _LARGE or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(shape, dtype=dtype)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(pages, dtype=dtype).reshape(shape)
