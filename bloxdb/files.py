"""Files that appear whole or not at all, and large ones in memory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np


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
    """All that is left of a file, read once and into large pages of memory where the system has them."""
    here = stream.tell()
    size = stream.seek(0, os.SEEK_END) - here
    stream.seek(here)
    data = np.empty(size, dtype=np.uint8)  # NumPy asks for large pages, bytes do not
    read = 0
    while read < size and (part := stream.readinto(data[read:].data)):  # type: ignore[attr-defined]
        read += part
    return data[:read].data.toreadonly()
