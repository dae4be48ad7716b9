"""Reading and writing in whichever format a name says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.formats import EXTENSIONS
from bloxdb.errors import BloxFormatError


def test_a_file_name_must_fit_the_header(golden: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "blox-info.csv"
    wrong.write_bytes((golden / "release-tiny" / "blox-info.pickle").read_bytes())
    with pytest.raises(BloxFormatError, match=r"blox-info.csv: the header says format 'pickle'"):
        codecs.read(wrong)
    with pytest.raises(BloxFormatError, match="must end in"):
        codecs.read(tmp_path / "blox-info.txt")


@pytest.mark.parametrize("name", ["pickle", "csv", "blox"])
def test_a_text_that_is_not_unicode_is_refused(name: str) -> None:
    table = Table.from_rows(Header("env", ("model_hash", "gpu"), seed=0), [["0" * 32, "\ud800"]])
    with pytest.raises(BloxFormatError, match="UTF-8"):
        codecs.encode(table, name)


SMALL = Table.from_rows(
    Header("training", ("model_hash", "val_top1"), seed=3, epochs=2, dataset="d", part="base"),
    [[f"{i:032x}", [50.0 + i, 60.5]] for i in range(3)],
)
HUGE = Table.from_rows(
    Header("training", ("model_hash", "val_loss"), seed=3, epochs=1, dataset="d", part="ext"),
    [["0" * 32, [400_000.25]]],
)  # more than the release's types hold


@pytest.mark.parametrize("name", codecs.FORMATS)
def test_what_is_written_is_read_by_name_and_by_header(name: str, tmp_path: Path) -> None:
    place = tmp_path / f"blox-base-3.{name}"
    assert codecs.write(SMALL, place) == []
    assert codecs.read(place).rows() == SMALL.rows()
    assert codecs.read_header(place) == SMALL.header
    parts, extensions = codecs.encode(SMALL, name)
    assert b"".join(parts) == place.read_bytes()
    assert extensions == []
    assert codecs.decode(place.read_bytes()).rows() == SMALL.rows()


def test_formats_are_preferred_in_their_order_and_packed_ones_come_last() -> None:
    assert list(EXTENSIONS) == ["blox", "pickle", "csv", "pickle.gz", "pickle.xz", "csv.gz", "csv.xz"]


def test_a_type_that_the_original_cannot_read_is_told_or_refused(tmp_path: Path) -> None:
    place = tmp_path / "blox-ext-3.blox"
    (extension,) = codecs.write(HUGE, place)
    assert extension.column == "val_loss"
    assert codecs.encode(HUGE, "blox")[1] == [extension]
    before = place.read_bytes()
    with pytest.raises(BloxFormatError, match=f"extension type {re.escape(extension.type)}") as info:
        codecs.write(HUGE, place, strict=True)
    assert (info.value.column, info.value.source) == ("val_loss", str(place))
    assert place.read_bytes() == before
    assert codecs.write(HUGE, tmp_path / "blox-ext-3.csv", strict=True) == []  # has no types


def test_errors_name_the_file_and_the_format(tmp_path: Path) -> None:
    place = tmp_path / "blox-base-3.csv"
    codecs.write(SMALL, place)
    data = place.read_bytes()
    place.write_bytes(data.replace(b"csv", b"x" * 60, 1))
    for read in (codecs.read, codecs.read_header):
        with pytest.raises(BloxFormatError, match=rf"an unknown format '{'x' * 40}'") as info:
            read(place)
        assert info.value.source == str(place)
    with pytest.raises(BloxFormatError, match="an unknown format") as info:
        codecs.decode(place.read_bytes(), source="what came in")
    assert info.value.source == "what came in"
    with pytest.raises(BloxFormatError, match=r"there is no format 'parquet'; choose blox, pickle, csv"):
        codecs.encode(SMALL, "parquet")


def test_packed_files_are_not_written(tmp_path: Path) -> None:
    place = tmp_path / "blox-base-3.csv.gz"
    with pytest.raises(BloxFormatError, match="packed files are only read; leave out .gz") as info:
        codecs.write(SMALL, place)
    assert info.value.source == str(place)
    assert list(tmp_path.iterdir()) == []
