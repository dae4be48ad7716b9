"""Reading and writing in whichever format a name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bloxdb import codecs
from bloxdb.codecs import Header, Table
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
