"""A single file under the original's name for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import bloxdb.compat as blox
from bloxdb import ReleaseError, codecs
from tests.dataset.helpers import SMALL


@pytest.mark.parametrize("ext", codecs.FORMATS)
def test_a_file_is_read_to_header_and_rows(golden: Path, ext: str) -> None:
    path = golden / SMALL / f"blox-base-1.{ext}"
    header, rows = blox.io.read_dataset_file(path)
    assert (header["seed"], header["epochs"], header["columns"][0]) == (1, 200, "model_hash")
    assert header["search_space"]["nodes"] == 2
    assert rows == codecs.read(golden / SMALL / "blox-base-1.csv").rows()
    assert blox.io.read_dataset_file(str(path), fast=False) == (header, rows)


@pytest.mark.parametrize("path", ["release-small", "release-tiny"])
def test_the_header_has_the_keys_of_the_file(golden: Path, path: str) -> None:
    import yaml

    files = sorted((golden / path).iterdir())
    assert len(files) >= 18
    for file in files:
        written = yaml.safe_load(file.read_bytes()[: codecs.header.MAX_BYTES].split(b"---\n")[1])
        header, _ = blox.io.read_dataset_file(file)
        assert header == written
        assert list(header) == list(written)
        assert ("column_types" in header) == (file.suffix == ".blox")


def test_compiled_code_reads_files() -> None:
    assert blox.io.has_C is True


def test_nobodys_home_is_a_name_like_any_other() -> None:
    place = "~nobody-is-called-so/blox-info.csv"
    with pytest.raises((ReleaseError, OSError), match="nobody-is-called-so"):
        blox.io.read_dataset_file(place)
    with pytest.raises(ReleaseError, match="there is no file ~nobody-is-called-so"):
        blox.StaticInfoDataset(place)
