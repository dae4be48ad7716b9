"""The `.blox` body: damage under every checksum, bombs, and what it cannot hold."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.errors import BloxFormatError
from tests.codecs.reference import blox_rows, same, split
from tests.codecs.strategies import SMALL, few_rows, peak_of, tables


@settings(max_examples=150)
@given(tables())
def test_what_the_kernels_write_reads_alike_in_plain_python(table: Table) -> None:
    types, body = codecs.FORMATS["blox"].encode(table)
    assert types is not None
    assert same(blox_rows(b"".join(body), types), table.rows())
    inflated = zlib.decompress(b"".join(body))
    assert struct.unpack_from("<Q", inflated)[0] == 8 * (len(inflated) - 8)


@pytest.mark.slow
@pytest.mark.parametrize("stem", SMALL)
def test_flipped_bytes_of_a_blox_file_never_give_other_values(golden: Path, stem: str) -> None:
    table = few_rows(golden, stem)
    data = b"".join(codecs.encode(table, "blox")[0])
    draw = random.Random(7)
    for _ in range(1500):
        damaged = bytearray(data)
        place = draw.randrange(len(split(data)[0]), len(data))
        damaged[place] ^= 1 << draw.randrange(8)
        try:
            rows = codecs.decode(bytes(damaged), source="flipped").rows()
        except BloxFormatError as error:
            assert str(error).startswith("flipped")
        else:
            assert rows == table.rows()


def inflated_damage(golden: Path, stem: str, change: Callable[[bytearray], None]) -> bytes:
    """A file whose body was changed before it was deflated, so that the checksum is right."""
    data = b"".join(codecs.encode(few_rows(golden, stem), "blox")[0])
    head, body = split(data)
    raw = bytearray(zlib.decompress(body))
    change(raw)
    return head + zlib.compress(bytes(raw))


@pytest.mark.slow
@pytest.mark.parametrize("stem", SMALL)
def test_flips_under_a_right_checksum_give_an_error_or_a_sound_table(golden: Path, stem: str) -> None:
    draw = random.Random(13)
    seen = 0
    for _ in range(400):

        def flip(raw: bytearray) -> None:
            raw[draw.randrange(8, len(raw))] = draw.randrange(256)

        try:
            table = codecs.decode(inflated_damage(golden, stem, flip), source="flipped")
        except BloxFormatError:
            seen += 1
        else:
            assert Table.from_rows(table.header, table.rows()).difference(table) is None
    assert seen > 0


@pytest.mark.parametrize(
    ("count", "message"), [(2, "goes on"), (4, "cut off"), (91_125, "cut off"), (2**32 - 1, "more than")]
)
def test_lying_row_counts_are_found(golden: Path, count: int, message: str) -> None:
    for stem in SMALL:
        data = inflated_damage(golden, stem, lambda raw: struct.pack_into("<I", raw, 8, count))
        with pytest.raises(BloxFormatError, match=message):
            codecs.decode(data)


def test_the_bit_count_is_not_trusted(golden: Path) -> None:
    data = inflated_damage(golden, "blox-ext-3", lambda raw: struct.pack_into("<Q", raw, 0, 5))
    assert codecs.decode(data).rows() == few_rows(golden, "blox-ext-3").rows()


def test_a_range_that_hides_values_is_found(golden: Path) -> None:
    table = few_rows(golden, "blox-base-3")
    types, _ = codecs.FORMATS["blox"].encode(table)
    assert types is not None
    low, high, bits = (int(part) for part in types["val_top1"][7:-1].split("_"))
    data = b"".join(codecs.encode(table, "blox")[0])
    old = f"list[b_{low}_{high}_{bits}]".encode()
    for new in (
        f"list[b_{low}_{high - 1}_{bits}]",
        f"list[b_{high}_{low}_{bits}]",
        f"list[b_{low}_{high}_25]",
    ):
        with pytest.raises(BloxFormatError, match="outside its type|impossible range"):
            codecs.decode(data.replace(old, new.encode()))


@pytest.mark.slow
@pytest.mark.parametrize("stem", SMALL)
def test_an_inflate_bomb_stays_folded(golden: Path, stem: str) -> None:
    head, body = split((golden / "release-tiny" / f"{stem}.blox").read_bytes())
    honest = zlib.decompress(body)
    after_rows = head + zlib.compress(honest + bytes(200_000_000))
    assert peak_of(lambda: codecs.decode(after_rows)) < 4_000_000
    instead_of_rows = head + zlib.compress(honest[:8] + struct.pack("<I", 40) + bytes(200_000_000))
    assert peak_of(lambda: codecs.decode(instead_of_rows)) < 4_000_000


@pytest.mark.slow
def test_a_long_text_cannot_hide_a_bomb(golden: Path) -> None:
    head, _ = split((golden / "release-tiny" / "blox-env-3.blox").read_bytes())
    head = head.replace(b"gpu: str", b"gpu: utf8")
    row = bytes(16) + bytes(4) + b"\xff\xff\xff\x7f"
    data = head + zlib.compress(bytes(8) + struct.pack("<I", 1) + row + bytes(200_000_000))
    assert peak_of(lambda: codecs.decode(data)) < 8_000_000


def test_numbers_that_blox_cannot_hold_are_refused_with_their_place() -> None:
    header = Header("static", ("model_hash", "flops"))
    table = Table.from_rows(header, [["0" * 32, 1], ["1" * 32, 2**32]])
    with pytest.raises(BloxFormatError, match="row 1, column flops: 4294967296 is too large"):
        codecs.encode(table, "blox")
    assert codecs.decode(b"".join(codecs.encode(table, "csv")[0])).rows() == table.rows()
