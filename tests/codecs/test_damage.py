"""Damaged files: an error with file and place, or the correct data; never a crash or a wrong value."""

from __future__ import annotations

import pickle
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BENCH
from bloxdb.errors import BloxFormatError

SMALL = ("blox-base-3", "blox-ext-3", "blox-env-3", "blox-info", "blox-bench-desktop-cpu")


def split(data: bytes) -> tuple[bytes, bytes]:
    """Header and body of a file."""
    end = data.index(b"\n---\n", 4) + 5
    return data[:end], data[end:]


def few_rows(golden: Path, stem: str) -> Table:
    table = codecs.read(golden / "release-tiny" / f"{stem}.blox")
    return Table.from_rows(table.header, table.rows()[:3])


@pytest.mark.parametrize("stem", SMALL)
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_a_file_cut_anywhere_is_an_error_or_a_true_beginning(golden: Path, stem: str, name: str) -> None:
    table = few_rows(golden, stem)
    data = b"".join(codecs.encode(table, name)[0])
    accepted = 0
    for size in range(len(data)):
        try:
            rows = codecs.decode(data[:size], "cut").rows()
        except BloxFormatError as error:
            assert str(error).startswith("cut")
            continue
        accepted += 1
        # only CSV, which does not count its rows, may be cut: between two lines
        assert name == "csv"
        assert data[:size].endswith((b"\r\n", b"---\n"))
        assert rows == table.rows()[: len(rows)]
    assert accepted == (3 if name == "csv" else 0)


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
            rows = codecs.decode(bytes(damaged), "flipped").rows()
        except BloxFormatError as error:
            assert str(error).startswith("flipped")
        else:
            assert rows == table.rows()


@pytest.mark.parametrize("stem", SMALL)
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_any_flipped_bytes_give_an_error_or_a_sound_table(golden: Path, stem: str, name: str) -> None:
    data = b"".join(codecs.encode(few_rows(golden, stem), name)[0])
    draw = random.Random(11)
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 8])):
            damaged[draw.randrange(len(data))] = draw.randrange(256)
        try:
            table = codecs.decode(bytes(damaged), "flipped")
        except BloxFormatError as error:
            assert str(error).startswith("flipped")
        else:
            assert Table.from_rows(table.header, table.rows()).difference(table) is None


def inflated_damage(golden: Path, stem: str, change: Callable[[bytearray], None]) -> bytes:
    """A file whose body was changed before it was deflated, so that the checksum is right."""
    data = b"".join(codecs.encode(few_rows(golden, stem), "blox")[0])
    head, body = split(data)
    raw = bytearray(zlib.decompress(body))
    change(raw)
    return head + zlib.compress(bytes(raw))


@pytest.mark.parametrize("stem", SMALL)
def test_flips_under_a_right_checksum_give_an_error_or_a_sound_table(golden: Path, stem: str) -> None:
    draw = random.Random(13)
    seen = 0
    for _ in range(400):

        def flip(raw: bytearray) -> None:
            raw[draw.randrange(8, len(raw))] = draw.randrange(256)

        try:
            table = codecs.decode(inflated_damage(golden, stem, flip), "flipped")
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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"epochs: 10", b"epochs: 11", "list of 10 values, but the header says 11|cut off"),
        (b"epochs: 10", b"epochs: 9", "goes on|list of 10 values|cut off"),
        (b"epochs: 10", b"epochs: ten", "'epochs' is not a whole number"),
        (b"epochs: 10", b"epochs: 0", "epochs 0 is outside"),
        (b"seed: 3", b"seed: -3", "'seed' is not a whole number"),
        (b"seed: 3", b"speed: 3", "unknown key 'speed'"),
        (b"part: base", b"part: best", "neither 'base' nor 'ext'"),
        (b"dataset_type: training", b"dataset_type: static", "must not have 'seed'|cannot have column"),
        (b"format: custom", b"format: zip", "unknown format"),
        (b"version: 1", b"version: 2", "version is not 1"),
        (b"nodes: 2", b"nodes: 3", "search_space"),
        (b"val_top1: list[b", b"val_top1: list[q", "unknown column type"),
        (b"test_top1: b", b"test_top1: int #", "does not fit"),
        (b"train_time_s: int", b"train_time_s: float", "does not fit"),
        (b"- test_top1", b"- test_top7", "no column 'test_top7'"),
        (b"- test_top1", b"- val_top1", "named twice"),
        (b"- model_hash\n", b"", "lacks the column 'model_hash'|column_types"),
        (b"seed: 3", b"seed: 3\nseed: 3", "a key twice"),
        (b"---\nversion", b"+++\nversion", "no header"),
    ],
)
def test_headers_that_lie_are_found(golden: Path, old: bytes, new: bytes, message: str) -> None:
    data = (golden / "release-tiny" / "blox-base-3.blox").read_bytes()
    assert old in data
    with pytest.raises(BloxFormatError, match=message):
        codecs.decode(data.replace(old, new, 1))


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


def test_bytes_after_the_body_are_found(golden: Path) -> None:
    for name in ("blox", "pickle"):
        data = b"".join(codecs.encode(few_rows(golden, "blox-info"), name)[0])
        with pytest.raises(BloxFormatError, match="1 bytes follow"):
            codecs.decode(data + b"\0")


def peak_of(action: Callable[[], object]) -> int:
    """Peak of traced memory in bytes, while `action` fails with `BloxFormatError`."""
    tracemalloc.start()
    try:
        with pytest.raises(BloxFormatError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("stem", SMALL)
def test_an_inflate_bomb_stays_folded(golden: Path, stem: str) -> None:
    head, body = split((golden / "release-tiny" / f"{stem}.blox").read_bytes())
    honest = zlib.decompress(body)
    after_rows = head + zlib.compress(honest + bytes(200_000_000))
    assert peak_of(lambda: codecs.decode(after_rows)) < 4_000_000
    instead_of_rows = head + zlib.compress(honest[:8] + struct.pack("<I", 40) + bytes(200_000_000))
    assert peak_of(lambda: codecs.decode(instead_of_rows)) < 4_000_000


def test_a_long_text_cannot_hide_a_bomb(golden: Path) -> None:
    head, _ = split((golden / "release-tiny" / "blox-env-3.blox").read_bytes())
    head = head.replace(b"gpu: str", b"gpu: utf8")
    row = bytes(16) + bytes(4) + b"\xff\xff\xff\x7f"
    data = head + zlib.compress(bytes(8) + struct.pack("<I", 1) + row + bytes(200_000_000))
    assert peak_of(lambda: codecs.decode(data)) < 8_000_000


def test_an_alias_bomb_in_the_header_is_refused() -> None:
    levels = "".join(f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 16))
    data = f"---\nk0: &a0 [x, x, x]\n{levels}---\n".encode()
    assert len(data) < 1024
    assert peak_of(lambda: codecs.decode(data)) < 4_000_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * 900,
        "&a [*a]",
        "a: &a [*a]",
        "!!python/object:os.system x",
        "a: !!int ''",
        "? [a]\n: b",
        "\x00",
        "{a: b",
        "a: *nobody",
    ],
)
def test_odd_yaml_is_an_error(text: str) -> None:
    with pytest.raises(BloxFormatError):
        codecs.decode(f"---\n{text}\n---\n".encode())


HEAD = codecs.encode(Table.from_rows(Header("benchmarking", BENCH, device="x"), []), "pickle")[0][0]


class Evil:
    """Something that a pickle could run."""

    ran = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Evil, "ran", True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_would_run_something_is_refused_before_it_runs(protocol: int) -> None:
    for thing in (Evil(), [["0" * 32, Evil()]], int, b"bytes", {"a": 1}, None, {1, 2}):
        with pytest.raises(BloxFormatError, match="does not belong|list of rows"):
            codecs.decode(HEAD + pickle.dumps(thing, protocol=protocol))
    assert not Evil.ran


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x06].",
        b"I1\n.",
        b"\x80\x02(e.",
        b"\x80\x02a.",
        b"\x80\x02]a.",
        b"\x80\x02e.",
        b"\x80\x02h\x00.",
        b"\x80\x02(q\x00.",
        b"\x80\x02(.",
        b"\x80\x02]].",
        b"\x80\x02G\x00.",
        b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].",
        b"\x80\x04\x8c\x01\xff.",
        b"\x80\x02X\xff\xff\xff\xff.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02P1\n.",
        b"\x80\x02]q\x00h\x00a.",
    ],
)
def test_broken_pickles_are_errors(body: bytes) -> None:
    with pytest.raises(BloxFormatError):
        codecs.decode(HEAD + body)


def test_a_pickle_that_names_one_row_many_times_stays_small() -> None:
    header = Header("training", ("model_hash", "val_top1"), seed=0, epochs=60_000, dataset="d", part="base")
    head = codecs.encode(Table.from_rows(header, []), "pickle")[0][0]
    row = ["0" * 32, [1.0] * 60_000]
    data = head + pickle.dumps([row] * 50_000)
    assert peak_of(lambda: codecs.decode(data)) < 20_000_000


def test_a_csv_whose_header_lies_about_epochs_stays_small() -> None:
    header = Header("training", ("model_hash", "val_top1"), seed=0, epochs=65_535, dataset="d", part="base")
    head = codecs.encode(Table.from_rows(header, []), "csv")[0][0]
    lines = b"".join(f"{i:032x},[1.0]\r\n".encode() for i in range(20_000))
    assert peak_of(lambda: codecs.decode(head + lines)) < 20_000_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"0,1.5\r\n", "row 0, column model_hash"),
        (b"%b,1_5\r\n", "row 0, column latency: '1_5' is not the text of a loss"),
        (b"%b, 1.5\r\n", "column latency"),
        (b"%b,1.5,2\r\n", "3 fields"),
        (b"%b\r\n", "1 fields"),
        (b"%b,1.5", "does not end"),
        (b"%b,1.5\r", "does not end"),
        (b'%b,"1.5\r\n', "quote stands alone"),
        (b'%b,"1.5"x\r\n', "quote stands alone"),
        (b"%b,\xff\r\n", "not UTF-8"),
    ],
)
def test_broken_csv_lines_are_errors_with_their_place(line: bytes, message: str) -> None:
    head = HEAD.replace(b"pickle", b"csv")
    with pytest.raises(BloxFormatError, match=message):
        codecs.decode(head + line.replace(b"%b", b"ab" * 16))


def test_a_file_name_must_fit_the_header(golden: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "blox-info.csv"
    wrong.write_bytes((golden / "release-tiny" / "blox-info.pickle").read_bytes())
    with pytest.raises(BloxFormatError, match=r"blox-info.csv: the header says format 'pickle'"):
        codecs.read(wrong)
    with pytest.raises(BloxFormatError, match="must end in"):
        codecs.read(tmp_path / "blox-info.txt")
