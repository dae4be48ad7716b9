"""Reading single files."""

from __future__ import annotations

from os import PathLike
from typing import Any

from bloxdb import codecs
from bloxdb.codecs.header import header_dict


def read_dataset_file(path: str | PathLike[str]) -> tuple[dict[str, Any], list[list[Any]]]:
    """The header of a release file as a dict, and its rows as lists; `BloxFormatError` if it is damaged."""
    table = codecs.read(path)
    return header_dict(table.header), table.rows()
