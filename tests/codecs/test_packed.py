"""`.gz` and `.xz` of the text formats: read like the files themselves, and never a bomb."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import random
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Table
from bloxdb.codecs.formats import EXTENSIONS
from bloxdb.codecs.packed import ALWAYS, MOST_PER_BYTE, unpacked
from bloxdb.errors import BloxFormatError
from bloxdb.release import release_files, verify_release
from tests.codecs.strategies import few_rows, peak_of, tables

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
}
PACKED = [extension for extension in EXTENSIONS if "." in extension]


def packed(data: bytes, extension: str) -> bytes:
    return PACK[extension.split(".")[1]](data)


def test_all_formats_but_the_one_that_is_compressed_by_itself_may_be_packed() -> None:
    assert sorted(PACKED) == ["csv.gz", "csv.xz", "pickle.gz", "pickle.xz"]


@pytest.mark.parametrize("extension", PACKED)
def test_a_packed_release_is_read_like_the_release(
    extension: str, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    name = EXTENSIONS[extension]
    for path in (golden / "release-tiny").glob(f"*.{name}"):
        place = tmp_path / f"{path.stem}.{extension}"
        place.write_bytes(packed(path.read_bytes(), extension))
        assert codecs.read(place).difference(codecs.read(path)) is None
        assert codecs.read_header(place) == codecs.read_header(path)
    assert {format for formats in release_files(tmp_path).values() for format in formats} == {name}
    assert all(file.problem is None for file in verify_release(tmp_path)[0])
    one = bloxdb.from_folder(tmp_path, extended=True, include_static_info=True, preferred_ext=name)
    other = bloxdb.from_folder(golden / "release-tiny", extended=True, include_static_info=True)
    assert one.full_info(16_544) == other.full_info(16_544)
    assert bloxdb.import_release(tmp_path, empty_db).added


@settings(max_examples=30)
@given(tables())
def test_any_table_comes_back(tmp_path_factory: pytest.TempPathFactory, table: Table) -> None:
    folder = tmp_path_factory.mktemp("packed")
    for extension in PACKED:
        data = b"".join(codecs.encode(table, EXTENSIONS[extension])[0])
        place = folder / f"{table.header.stem}.{extension}"
        place.write_bytes(packed(data, extension))
        assert codecs.read(place).difference(table) is None


def test_a_file_as_it_is_comes_before_a_packed_one(golden: Path, tmp_path: Path) -> None:
    data = (golden / "release-tiny" / "blox-info.csv").read_bytes()
    for extension in ("csv.xz", "csv", "csv.gz"):
        (tmp_path / f"blox-info.{extension}").write_bytes(
            packed(data, extension) if "." in extension else data
        )
    assert release_files(tmp_path)["blox-info"] == {"csv": tmp_path / "blox-info.csv"}
    (tmp_path / "blox-info.csv").unlink()
    assert release_files(tmp_path)["blox-info"] == {"csv": tmp_path / "blox-info.csv.gz"}


@pytest.mark.parametrize("packing", PACK)
def test_files_of_several_members_and_with_padding_are_read(
    packing: str, golden: Path, tmp_path: Path
) -> None:
    data = (golden / "release-small" / "blox-ext-0.csv").read_bytes()
    cuts = [0, 1, 1000, 1000, len(data) // 2, len(data)]
    members = [PACK[packing](data[a:b]) for a, b in pairwise(cuts)]
    place = tmp_path / f"blox-ext-0.csv.{packing}"
    for between in (b"", b"\0" * 512):
        place.write_bytes(between.join([*members, b""]))
        assert codecs.read(place).rows() == codecs.decode(data).rows()


@pytest.mark.parametrize("extension", PACKED)
@pytest.mark.parametrize("megabytes", [3, 30])
def test_a_bomb_stays_folded(extension: str, megabytes: int, golden: Path, tmp_path: Path) -> None:
    name = EXTENSIONS[extension]
    head = codecs.encode(few_rows(golden, "blox-base-3"), name)[0][0]
    place = tmp_path / f"blox-base-3.{extension}"
    make = gzip.compress if extension.endswith("gz") else lambda data: lzma.compress(data, preset=0)
    for filler in (b"0", b"]", b"0" * 32 + b",[0],0,0\r\n"):
        place.write_bytes(make(head + filler * (megabytes * 1_000_000 // len(filler))))
        most = ALWAYS + MOST_PER_BYTE * place.stat().st_size
        assert peak_of(lambda: codecs.read(place)) < 4 * most + 2_000_000
        tracemalloc.start()
        codecs.read_header(place)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000


def test_a_packed_file_unpacks_to_a_mebibyte_and_a_hundred_times_its_size() -> None:
    size = 10_000
    for more in (0, 1):
        whole = bytes((1 << 20) + 100 * size + more)
        data = gzip.compress(whole).ljust(size, b"\0")
        assert len(data) == size
        if more:
            with pytest.raises(BloxFormatError, match="unpack to more than"):
                unpacked(io.BytesIO(data), "gz", size)
        else:
            assert unpacked(io.BytesIO(data), "gz", size).read() == whole


def test_an_unpacker_that_asks_for_very_much_memory_is_refused(golden: Path, tmp_path: Path) -> None:
    data = (golden / "release-tiny" / "blox-info.csv").read_bytes()
    place = tmp_path / "blox-info.csv.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]
    place.write_bytes(lzma.compress(data, filters=filters))
    assert len(codecs.read(place)) == len(codecs.decode(data))
    place.write_bytes(lzma.compress(data, preset=9))
    assert len(codecs.read(place)) == len(codecs.decode(data))
    filters[0]["dict_size"] = 256 << 20
    place.write_bytes(lzma.compress(data, filters=filters))
    for read in (codecs.read, codecs.read_header):
        with pytest.raises(
            BloxFormatError, match="takes more than 80 MiB of memory.*unpack it first"
        ) as info:
            read(place)
        assert "damaged" not in str(info.value)


@pytest.mark.parametrize("extension", PACKED)
def test_a_damaged_packed_file_is_an_error_with_its_name(
    extension: str, golden: Path, tmp_path: Path
) -> None:
    whole = b"".join(codecs.encode(few_rows(golden, "blox-env-3"), EXTENSIONS[extension])[0])
    data = packed(whole, extension)
    place = tmp_path / f"blox-env-3.{extension}"
    for size in range(0, len(data), 7):
        place.write_bytes(data[:size])
        with pytest.raises(BloxFormatError, match=str(place)):
            codecs.read(place)
    draw = random.Random(3)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        place.write_bytes(damaged)
        try:
            assert codecs.read(place).rows() == codecs.decode(whole).rows()
        except BloxFormatError as error:
            assert str(error).startswith(str(place))
    place.write_bytes(data + os.urandom(30).replace(b"\0", b"x"))
    with pytest.raises(BloxFormatError, match="damaged"):
        codecs.read(place)


def test_what_is_not_what_its_name_says_is_told(golden: Path, tmp_path: Path) -> None:
    data = (golden / "release-tiny" / "blox-info.csv").read_bytes()
    for name, content, message in (
        ("blox-info.csv", gzip.compress(data), "packed with gzip; end its name in .gz"),
        ("blox-info.pickle", lzma.compress(data), "packed with xz; end its name in .xz"),
        ("blox-info.csv.gz", data, "ends in .gz, but that is not what the file is"),
        ("blox-info.csv.xz", gzip.compress(data), "packed with gzip"),
        ("blox-info.csv.gz", b"<!DOCTYPE html><html>", "an HTML page"),
        ("blox-info.pickle.gz", gzip.compress(data), "the header says format 'csv', but the file's name"),
    ):
        place = tmp_path / name
        place.write_bytes(content)
        with pytest.raises(BloxFormatError, match=f"{place}: .*{message}"):
            codecs.read(place)


def test_packed_files_are_only_read(golden: Path, tmp_path: Path) -> None:
    table = codecs.read(golden / "release-tiny" / "blox-info.csv")
    with pytest.raises(BloxFormatError, match="only read; leave out .gz"):
        codecs.write(table, tmp_path / "blox-info.csv.gz")
    for name in ("blox-info.blox.gz", "blox-info.gz", "blox-info.csv.bz2"):
        with pytest.raises(BloxFormatError, match="the name must end in .blox, .pickle, .csv"):
            codecs.write(table, tmp_path / name)
