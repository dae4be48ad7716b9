"""A single file under the original's name for it."""

from __future__ import annotations

from pathlib import Path

import bloxdb.compat as blox
from bloxdb import codecs
from tests.dataset.helpers import SMALL


def test_a_file_is_read_to_header_and_rows(golden: Path) -> None:
    header, rows = blox.io.read_dataset_file(golden / SMALL / "blox-base-1.blox")
    assert (header["seed"], header["epochs"], header["columns"][0]) == (1, 200, "model_hash")
    assert header["search_space"]["nodes"] == 2
    assert rows == codecs.read(golden / SMALL / "blox-base-1.csv").rows()
