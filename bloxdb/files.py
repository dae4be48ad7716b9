"""Files that appear whole or not at all, and large ones in memory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bloxdb.memory import new_array

_WORTH_THREADS = 1 << 24  # bytes


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`; renamed onto it at the end, removed after an error."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def rest_of(stream: BinaryIO) -> memoryview:
    """All that is left of a file, read once: `stream.read()` would join what is buffered and the rest."""
    here = stream.tell()
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
