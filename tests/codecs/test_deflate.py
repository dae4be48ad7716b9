"""Streams that are inflated only as far as somebody asks."""

from __future__ import annotations

import zlib
from io import BytesIO

import pytest

from bloxdb.codecs import deflate
from bloxdb.codecs.deflate import ALWAYS, Inflater
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError

BODY = bytes(range(251)) * 4_000  # a million bytes, which are inflated in several calls


def inflater(data: bytes) -> Inflater:
    return Inflater(BytesIO(data))


def test_chunks_are_one_stream_whatever_their_sizes() -> None:
    chunks = [BODY[:1], b"", BODY[1:70_000], BODY[70_000:]]
    parts = list(deflate.deflate(chunks))
    assert zlib.decompress(b"".join(parts)) == BODY
    assert all(parts)


@pytest.mark.parametrize("expected", [0, 1_000, len(BODY), 3 * len(BODY)])
@pytest.mark.parametrize("step", [1, 997, len(BODY)])
def test_what_is_asked_for_comes_whole_and_in_order(step: int, expected: int) -> None:
    body = BODY[:4_000] if step == 1 else BODY
    with inflater(zlib.compress(body)) as stream:
        got = bytearray()
        while len(got) < len(body):
            assert stream.offset == len(got)
            stream.expect(expected)
            size = min(step, len(body) - len(got))
            assert stream.reach(size)
            assert len(stream.data) >= size
            got += stream.take(size)
        assert not stream.reach(1)
        stream.finish()
    assert got == body


def test_no_more_is_inflated_than_was_asked_for() -> None:
    with inflater(zlib.compress(bytes(10**8))) as stream:
        assert stream.reach(1_000)
        assert len(stream.data) == 1_000
        stream.expect(5_000)
        assert stream.reach(2_000)
        assert stream.reach(2_001)  # what a thread has inflated ahead
        assert len(stream.data) == 5_000


def test_what_is_expected_is_counted_from_what_was_taken() -> None:
    with inflater(zlib.compress(bytes(10**6))) as stream:
        stream.reach(1_000)
        stream.take(1_000)
        stream.expect(4_000)
        stream.reach(2_000)
        stream.reach(2_001)
        assert len(stream.data) == 4_000


def test_a_stream_that_is_no_longer_than_its_rows_is_read_to_its_checksum() -> None:
    data = zlib.compress(b"rows")
    with inflater(data) as stream:
        assert stream.take(4 * stream.reach(4)) == b"rows"
        stream.finish()

    def read(data: bytes) -> None:
        with inflater(data) as stream:
            stream.reach(4)
            stream.take(4)
            stream.finish()

    with pytest.raises(BloxFormatError, match="the compressed body is damaged"):
        read(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_a_stream_without_its_end_is_cut_off(cut: int) -> None:
    with inflater(zlib.compress(b"rows")[:-cut]) as stream:
        assert stream.reach(4)
        stream.take(4)
        with pytest.raises(BloxFormatError, match="the compressed body is cut off"):
            stream.finish()


@pytest.mark.parametrize("taken", [0, 2, 4])
def test_bytes_after_the_last_row_are_told_with_their_place(taken: int) -> None:
    with inflater(zlib.compress(b"rows+more")) as stream:
        stream.reach(taken)
        assert stream.take(taken) == b"rows+more"[:taken]
        with pytest.raises(BloxFormatError, match="goes on after its last row") as caught:
            stream.finish()
    assert caught.value.offset == taken


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_bytes_after_the_stream_are_counted_however_many(size: int) -> None:
    with inflater(zlib.compress(b"rows") + bytes(size)) as stream:
        stream.reach(4)
        stream.take(4)
        with pytest.raises(
            BloxFormatError, match=f"^{counted(size, 'byte follows', 'bytes follow')} the compressed body"
        ):
            stream.finish()


def stored(body: bytes) -> bytes:
    """A block of a stream that is not compressed."""
    return b"\x00" + len(body).to_bytes(2, "little") + (len(body) ^ 0xFFFF).to_bytes(2, "little") + body


@pytest.mark.parametrize("taken", [0, 4, 300_000])
@pytest.mark.parametrize("blocks", [0, 1, 7, 12])
def test_damage_is_told_with_its_place_in_what_was_inflated(blocks: int, taken: int) -> None:
    good = 50_000 * blocks
    data = b"\x78\x01" + stored(BODY[:50_000]) * blocks + b"\x00\x05\x00\x05\x00" + bytes(20)

    def read() -> None:
        with inflater(data) as stream:
            if taken <= good:
                stream.reach(taken)
                stream.take(taken)
            stream.reach(good + 1)

    with pytest.raises(BloxFormatError, match="the compressed body is damaged") as caught:
        read()
    assert caught.value.offset is not None
    assert good - deflate._STEP - 50_000 <= caught.value.offset <= good  # ISA-L gives up what the call had
    assert caught.value.offset >= 0


@pytest.mark.parametrize(
    ("size", "limit"), [(size, (1 << 24) + 1032 * size) for size in (0, 1, 1_000, 10**6)]
)
def test_what_a_stream_may_take_is_bounded_by_its_length(size: int, limit: int) -> None:
    assert ALWAYS == 1 << 24
    with inflater(bytes(size)) as stream:
        assert stream.most() == 1032 * size
        stream.hold(limit - 1)
        stream.hold(1)
        with pytest.raises(BloxFormatError, match=f"more than {limit} bytes of memory"):
            stream.hold(1)


def test_the_length_of_a_stream_is_what_is_left_of_its_file() -> None:
    file = BytesIO(b"header" + zlib.compress(b"rows"))
    file.seek(6)
    with Inflater(file) as stream:
        assert stream.most() == 1032 * (len(file.getvalue()) - 6)
        assert stream.reach(4)
        assert stream.data == b"rows"
