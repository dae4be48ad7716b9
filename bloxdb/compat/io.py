"""Reading single files."""

from __future__ import annotations

from os import PathLike
from typing import Any

from bloxdb import codecs
from bloxdb.codecs.formats import read_file_header
from bloxdb.codecs.header import header_dict
from bloxdb.files import expanded

__all__ = ["has_C", "read_dataset_file"]

has_C = True  # noqa: N816
"""Whether files are read by compiled code: always, since bloxdb has no other readers."""


def read_dataset_file(path: str | PathLike[str], fast: bool = True) -> tuple[dict[str, Any], list[list[Any]]]:
    """The header of a release file as a dict, and its rows as lists.

    Parameters
    ----------
    path
        The file, in any format; ``~`` is the home folder.
    fast
        Use compiled code where it is there: it always is, so that this changes nothing.

    Returns
    -------
    tuple
        The header with the keys of the file, ``'format'`` and, for `.blox`, ``'column_types'`` among them;
        and a list a row.

    Raises
    ------
    BloxFormatError
        The file is damaged.
    """
    place = expanded(path)
    head = read_file_header(place)
    header = {**header_dict(head.header), "format": head.format}
    if head.column_types is not None:
        header["column_types"] = dict(head.column_types)
    return header, codecs.read(place).rows()
