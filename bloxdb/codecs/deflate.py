"""zlib streams, through ISA-L where it is installed."""

from __future__ import annotations

import zlib
from typing import Any

from bloxdb.errors import BloxFormatError

_fast: Any = zlib
try:
    from isal import isal_zlib

    _fast = isal_zlib
except ImportError:
    pass  # no wheel for this machine; the standard library reads and writes the same streams

_STEP = 1 << 18  # compressed bytes a call, so that what a call leaves over stays small


def compress(data: bytes | bytearray | memoryview) -> bytes:
    """One zlib stream."""
    return bytes(_fast.compress(data))


class Inflater:
    """Inflates a stream only as far as it is asked to, so that a bomb stays folded.

    `data` is what is inflated so far.
    """

    def __init__(self, stream: bytes | memoryview) -> None:
        self._stream = memoryview(stream)
        self._inflate: Any = _fast.decompressobj()
        self._error: type[Exception] = _fast.error
        self._read = 0
        self._pending: bytes | memoryview = b""
        self.data = bytearray()

    def reach(self, size: int) -> bool:
        """Inflate until `data` has at least `size` bytes; False if the stream ends before."""
        while len(self.data) < size:
            if not self._advance(size - len(self.data)):
                return False
        return True

    def finish(self, size: int) -> None:
        """Check that the stream ends after `size` bytes, with a right checksum, and nothing after it."""
        while not self._inflate.eof and len(self.data) <= size:
            if not self._advance(size + 1 - len(self.data)):
                raise BloxFormatError("the compressed body is cut off")
        if len(self.data) > size:
            raise BloxFormatError("the body goes on after its last row", offset=size)
        left = len(self._inflate.unused_data) + len(self._stream) - self._read
        if left:
            raise BloxFormatError(f"{left} bytes follow the compressed body")

    def _advance(self, limit: int) -> bool:
        """Inflate at most `limit` more bytes; False where no input is left."""
        if self._inflate.eof:
            return False
        if not self._pending:
            self._pending = self._stream[self._read : self._read + _STEP]
            self._read += len(self._pending)
        fed = len(self._pending)
        try:
            out = self._inflate.decompress(self._pending, limit)
        except (zlib.error, self._error) as error:
            raise BloxFormatError(
                f"the compressed body is damaged: {error}", offset=len(self.data)
            ) from error
        self._pending = self._inflate.unconsumed_tail
        self.data += out
        return bool(fed or out)
