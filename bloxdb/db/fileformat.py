"""What several know of the format of an SQLite file: https://www.sqlite.org/fileformat2.html"""

from __future__ import annotations

HEADER = 100
"""Bytes that the file begins with, before the first page's own content."""

LOCK_BYTE = 1 << 30
"""The byte that SQLite locks, whose page is never used."""

_SMALLEST_PAGE, _LARGEST_PAGE = 512, 65_536


def page_size_of(header: bytes) -> int | None:
    """The bytes of a page, for the largest of which the header has 1; None where it has none.

    Examples
    --------
    >>> page_size_of(b"SQLite format 3\\0" + bytes([16, 0])), page_size_of(bytes(100))
    (4096, None)
    """
    size = int.from_bytes(header[16:18], "big")
    size = _LARGEST_PAGE if size == 1 else size
    return size if size >= _SMALLEST_PAGE and not size & (size - 1) else None
