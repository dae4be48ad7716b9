"""Every golden file reads, and writes back equal, in every format."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path

import pytest

from bloxdb import codecs
from tests.codecs.reference import blox_rows
from tests.conftest import GOLDEN

FILES = sorted(GOLDEN.glob("release-*/*"))


def body_of(data: bytes) -> bytes:
    """What follows the header."""
    return data[data.index(b"\n---\n", 4) + 5 :]


def original_rows(path: Path) -> list[list[object]]:
    """The rows that the original tools pickled for this file."""
    return pickle.loads(body_of(path.with_suffix(".pickle").read_bytes()))


def test_all_golden_files_are_here() -> None:
    assert len(FILES) == 45


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_golden_file_gives_the_original_rows_in_their_order(path: Path) -> None:
    rows = codecs.read(path).rows()
    assert rows == original_rows(path)
    flat = [type(value) for row in rows for value in row]
    assert flat == [type(value) for row in original_rows(path) for value in row]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_a_golden_file_survives_every_format(path: Path, name: str, tmp_path: Path) -> None:
    table = codecs.read(path)
    copy = tmp_path / f"{path.stem}.{name}"
    assert codecs.write(table, copy, strict=True) == []
    assert codecs.read(copy).difference(table) is None
    assert codecs.read(copy).rows() == original_rows(path)
    if path.suffix == copy.suffix and name != "blox":
        assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("release-*/*.blox")), ids=lambda path: path.name)
def test_a_written_blox_file_differs_from_the_golden_one_in_its_bit_count_at_most(path: Path) -> None:
    golden = path.read_bytes()
    written = b"".join(codecs.encode(codecs.read(path), "blox")[0])
    assert written[: -len(body_of(written))] == golden[: -len(body_of(golden))]
    assert zlib.decompress(body_of(written))[8:] == zlib.decompress(body_of(golden))[8:]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("release-*/*.blox")), ids=lambda path: path.name)
def test_a_written_blox_file_reads_alike_in_plain_python(path: Path) -> None:
    table = codecs.read(path)
    types, body = codecs.FORMATS["blox"].encode(table)
    assert types is not None
    assert blox_rows(b"".join(body), types) == original_rows(path)
