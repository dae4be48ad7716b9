"""`.gz` and `.xz` around a file, unpacked in memory, and no further than a real file would be."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO

from bloxdb.codecs.others import refuse_others
from bloxdb.errors import BloxFormatError

MOST_PER_BYTE = 100
"""What a packed byte may unpack to. A row has a hash, whose 16 bytes no packing makes fewer. Curves that were
measured shrink to a quarter, texts of environments to a 24th (20,000 rows, xz). Only ext files in which
nothing was measured shrink more, to a 139th, and the error says what to do with such a file."""

ALWAYS = 1 << 20
"""Bytes that a packed file may unpack to, however small it is."""

_STEP = 1 << 18  # bytes that are unpacked at once
_MOST_MEMORY = 80 << 20  # of the unpacker itself: what `xz -9` wrote needs 65 MiB
_MEMORY = "Memory usage limit exceeded"
_MAGIC = {"gz": b"\x1f\x8b", "xz": b"\xfd7zXZ\0"}

PACKINGS = tuple(_MAGIC)
"""How such files end."""


def unpacked(stream: BinaryIO, packing: str, size: int, most: int | None = None) -> BytesIO:
    """What a packed file holds, or the beginning of it.

    Parameters
    ----------
    stream
        The packed file, at its start.
    packing
        ``'gz'`` or ``'xz'``.
    size
        The bytes of the packed file.
    most
        How many bytes are enough; all if None.

    Returns
    -------
    BytesIO
        The bytes.

    Raises
    ------
    BloxFormatError
        It is damaged, or another kind of file, or unpacks to more than a release file would.
    """
    limit = ALWAYS + MOST_PER_BYTE * size
    parts, count = [], 0
    try:
        for part in _parts(stream, packing):
            parts.append(part)
            count += len(part)
            if count > limit:
                raise BloxFormatError(
                    f"its {size} bytes unpack to more than {limit}, as no release file does; if it is one, "
                    "unpack it first"
                )
            if most is not None and count >= most:
                break
    except (zlib.error, lzma.LZMAError) as error:
        if _MEMORY in str(error):  # lzma has no other sign of it
            raise BloxFormatError(
                f"to unpack it takes more than {_MOST_MEMORY >> 20} MiB of memory, which nothing takes that "
                "`xz -9` wrote; unpack it first"
            ) from error
        raise BloxFormatError(f"the .{packing} file is damaged: {error}") from error
    return BytesIO(b"".join(parts))


def _parts(stream: BinaryIO, packing: str) -> Iterator[bytes]:
    """All members of a packed file, one after the other, in parts of at most `_STEP` bytes."""
    given = stream.read(_STEP)
    if not given.startswith(_MAGIC[packing]):
        refuse_others(given)
        raise BloxFormatError(f"the name ends in .{packing}, but that is not what the file is")
    while given:
        unpacker = _Gunzip() if packing == "gz" else _unxz()
        while not unpacker.eof:
            part = unpacker.decompress(given, _STEP)
            if not (part or given or unpacker.eof) and unpacker.needs_input:
                raise BloxFormatError(f"the .{packing} file is cut off")
            given = stream.read(_STEP) if unpacker.needs_input and not unpacker.eof else b""
            yield part
        given = unpacker.unused_data.lstrip(b"\0")  # both formats allow for padding
        while not given and (more := stream.read(_STEP)):
            given = more.lstrip(b"\0")


def _unxz() -> Any:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)


class _Gunzip:
    """zlib's object with the face of lzma's."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, most: int) -> bytes:
        """The next bytes, at most `most`."""
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, most)

    @property
    def needs_input(self) -> bool:
        """Whether it has used all that it was given."""
        return not self._inflate.unconsumed_tail

    @property
    def eof(self) -> bool:
        """Whether a member has ended."""
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        """What follows the member."""
        return self._inflate.unused_data
