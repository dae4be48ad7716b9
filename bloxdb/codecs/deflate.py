"""zlib streams, through ISA-L where it is installed."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError

_fast: Any = zlib
try:
    from isal import isal_zlib

    _fast = isal_zlib
except ImportError:
    pass  # no wheel for this machine; the standard library reads and writes the same streams

_MOST_PER_BYTE = 1032  # deflate's limit: 258 bytes from two bits
ALWAYS = 1 << 24
"""Bytes that a stream may inflate to, and that arrays of what is in it may take, however short it is."""

_STEP = 1 << 18  # compressed bytes a call, so that what a call leaves over stays small
_AHEAD = 1 << 20  # bytes that a thread inflates at once
_JOBS = 2  # of them that it has before it, so that it never waits for whoever takes them


def deflate(chunks: Iterable[bytes | bytearray]) -> Iterator[bytes]:
    """One zlib stream of all chunks, in parts."""
    deflater = _fast.compressobj()
    for chunk in chunks:
        if part := deflater.compress(chunk):
            yield part
    yield deflater.flush()


class Inflater:
    """Inflates a stream only as far as it is asked to, so that a bomb stays folded.

    What `expect` says is inflated ahead by a thread, while the caller works on what is there. `data` is
    what is inflated and not yet dropped; `offset` is where it starts in the whole.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inflate: Any = _fast.decompressobj()
        self._error: type[Exception] = _fast.error
        self._pending: bytes = b""
        self._inflated = 0
        self._expected = 0
        self._held = 0
        self._limit = ALWAYS + self.most()
        self._thread = ThreadPoolExecutor(1)
        self._ahead: deque[Future[list[bytes]]] = deque()
        self._asked = 0
        self.data = bytearray()
        self.offset = 0

    def __enter__(self) -> Inflater:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.shutdown()

    def most(self) -> int:
        """Bytes that all of the stream can inflate to at the most."""
        return _MOST_PER_BYTE * _left(self._stream)

    def hold(self, size: int) -> None:
        """Refuse what would take `size` bytes more than a stream of this length honestly says.

        Bits that are all alike become four bytes each, so that 15 KB could ask for 441 MB. A hash in each row
        and what was measured take far more of a stream than an array's 1032nd part: curves of 200 epochs of
        which nothing was measured, as 64-bit NaN, are the shortest that were written, and take a 285th.
        """
        self._held += size
        if self._held > self._limit:
            raise BloxFormatError(
                f"its values would take more than {self._limit} bytes of memory, which so short a body does "
                "not honestly say; a table whose values are all alike can be told in .csv or .pickle"
            )

    def expect(self, size: int) -> None:
        """Let `size` bytes more than are taken be inflated ahead: there are more, or the file is damaged."""
        self._expected = self.offset + size

    def reach(self, size: int) -> bool:
        """Inflate until `data` has at least `size` bytes; False if the stream ends before."""
        while len(self.data) < size:
            if not self._advance(size - len(self.data)):
                return False
        return True

    def take(self, size: int) -> bytes:
        """The first `size` bytes of `data`, which are dropped."""
        with memoryview(self.data) as view:
            taken = bytes(view[:size])
        del self.data[:size]
        self.offset += size
        return taken

    def finish(self) -> None:
        """Check that the stream ends after what was taken, with a right checksum, and nothing after it."""
        while not self._inflate.eof and not self.data:
            if not self._advance(1):
                raise BloxFormatError("the compressed body is cut off")
        if self.data:
            raise BloxFormatError("the body goes on after its last row", offset=self.offset)
        left = len(self._inflate.unused_data) + _left(self._stream)
        if left:
            raise BloxFormatError(f"{counted(left, 'byte follows', 'bytes follow')} the compressed body")

    def _advance(self, limit: int) -> bool:
        """Add what was inflated ahead, or else at most `limit` bytes; False where no input is left."""
        parts = self._ahead.popleft().result() if self._ahead else self._inflate_some(limit)
        for part in parts:
            self.data += part
        self._asked = max(self._asked, self.offset + len(self.data))
        while len(self._ahead) < _JOBS and self._asked < self._expected:
            wanted = min(_AHEAD, self._expected - self._asked)
            self._ahead.append(self._thread.submit(self._inflate_some, wanted))
            self._asked += wanted
        return bool(parts)

    def _inflate_some(self, limit: int) -> list[bytes]:
        """The next bytes, at most `limit`; none at the end of the stream."""
        parts: list[bytes] = []
        while limit > 0 and not self._inflate.eof:
            if not self._pending:
                self._pending = self._stream.read(_STEP)
            is_last = not self._pending
            try:
                part = self._inflate.decompress(self._pending, limit)
            except (zlib.error, self._error) as error:
                offset = self._inflated + sum(len(part) for part in parts)
                raise BloxFormatError(f"the compressed body is damaged: {error}", offset=offset) from error
            self._pending = self._inflate.unconsumed_tail
            limit -= len(part)
            if part:
                parts.append(part)
            elif is_last:
                break
        self._inflated += sum(len(part) for part in parts)
        return parts


def _left(stream: BinaryIO) -> int:
    """Bytes from here to the end of a file."""
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end - here
