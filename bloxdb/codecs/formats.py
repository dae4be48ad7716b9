"""The formats of release files, what each must have, and reading and writing files in whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from bloxdb.codecs import blox, csv, header, packed, pickle
from bloxdb.codecs.bloxtypes import parse_types
from bloxdb.codecs.header import FileHeader, Header
from bloxdb.codecs.table import Table
from bloxdb.errors import BloxFormatError, QueryError, spelled
from bloxdb.files import expanded, open_file
from bloxdb.writing import replacing


class Format(Protocol):
    """What a module of this package must have to be a format.

    To add a format, write such a module and add it to `FORMATS`; nothing else names the formats one by one.

    Attributes
    ----------
    NAME
        What headers call it.
    SUFFIX
        How the names of its files end, with the dot.
    """

    NAME: str
    SUFFIX: str

    @staticmethod
    def decode(header: Header, column_types: Mapping[str, str] | None, body: BinaryIO) -> Table:
        """Read the table in the body of a file.

        It holds for hostile bytes too: it ends in a Table or in a `BloxFormatError` with the place, takes no
        more memory than header, row count and file size need together, and never runs anything.

        Parameters
        ----------
        header
            What the file's header says of the table.
        column_types
            The types of columns that the header names; None for a format without.
        body
            The file, standing right after the header.

        Returns
        -------
        Table
            The table.

        Raises
        ------
        BloxFormatError
            The body is damaged; the error names the place.
        """
        ...

    @staticmethod
    def encode(table: Table) -> tuple[dict[str, str] | None, list[bytes]]:
        """Write a table as the body of a file.

        What `decode` makes of it equals the table; what cannot be held is a `BloxFormatError`.

        Parameters
        ----------
        table
            The table to write.

        Returns
        -------
        tuple
            The types of columns for the header (None for a format without), and the body in parts.

        Raises
        ------
        BloxFormatError
            The format cannot hold the table.
        """
        ...


class Extension(NamedTuple):
    """A column that needed a type which the original reader rejects.

    Attributes
    ----------
    column
        The name of the column.
    type
        The type that it needed.
    """

    column: str
    type: str


FORMATS: dict[str, Format] = {"blox": blox, "pickle": pickle, "csv": csv}  # type: ignore[dict-item]
"""Formats by their extension, in the order in which one is preferred where a file is there in several."""


_PACKED = tuple(name for name in FORMATS if name != blox.SUFFIX[1:])  # .blox is compressed by itself

EXTENSIONS = {
    **{name: name for name in FORMATS},
    **{f"{name}.{packing}": name for name in _PACKED for packing in packed.PACKINGS},
}
"""How files end that can be read, and their formats; those that come first are preferred."""


def read(path: str | PathLike[str]) -> Table:
    """Read a release file; its extension says the format.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Table
        The table that the file holds.

    Raises
    ------
    BloxFormatError
        The file is damaged or no release file; the error names the file and the place.
    """
    file = expanded(path)
    codec, packing = _format_of(file)
    with open_file(file, BloxFormatError) as stream:
        return _decode(stream, str(file), codec, packing)


def decode(data: bytes, *, source: str = "data") -> Table:
    """Read a table from bytes, in whichever format their header names.

    Parameters
    ----------
    data
        The bytes of a release file.
    source
        What errors call the bytes.

    Returns
    -------
    Table
        The table that they hold.

    Raises
    ------
    BloxFormatError
        The bytes are damaged or no release file; the error names the place.
    QueryError
        They are no bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise QueryError(
            f"a release file is decoded from its bytes, not from {spelled(data)}; `read` takes a path"
        )
    return _decode(BytesIO(data), source, None, None)


def _decode(stream: BinaryIO, source: str, codec: Format | None, packing: str | None) -> Table:
    try:
        if packing:
            stream = packed.unpacked(stream, packing, Path(source).stat().st_size)
        head = header.parse(stream.read(header.LOOK))
        codec = _codec_named(head, codec)
        stream.seek(head.size)
        return codec.decode(head.header, head.column_types, stream)
    except BloxFormatError as error:
        error.source = error.source or source
        raise


def read_header(path: str | PathLike[str]) -> Header:
    """Read only the header of a release file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Header
        What the file says of itself.

    Raises
    ------
    BloxFormatError
        The header is damaged, or there is none.
    """
    return read_file_header(path).header


def read_file_header(path: str | PathLike[str]) -> FileHeader:
    """The header of a release file with what belongs to its format; errors as those of `read_header`."""
    file = expanded(path)
    codec, packing = _format_of(file)
    try:
        with open_file(file, BloxFormatError) as stream:
            start: BinaryIO = stream
            if packing:
                start = packed.unpacked(stream, packing, file.stat().st_size, header.LOOK)
            head = header.parse(start.read(header.LOOK))
        _codec_named(head, codec)
    except BloxFormatError as error:
        error.source = error.source or str(file)
        raise
    return head


def encode(table: Table, format: str, *, strict: bool = False) -> tuple[list[bytes], list[Extension]]:
    """Write a table as the bytes of a release file.

    Parameters
    ----------
    table
        The table to write.
    format
        The format: ``'blox'``, ``'pickle'`` or ``'csv'``.
    strict
        Refuse extension types instead of using them.

    Returns
    -------
    tuple
        The bytes in parts, and the columns that needed an extension type.

    Raises
    ------
    BloxFormatError
        The format cannot hold the table, or, with `strict`, not without an extension type.
    """
    if format not in FORMATS:
        raise BloxFormatError(f"there is no format {spelled(format)}; choose {', '.join(FORMATS)}")
    codec = FORMATS[format]
    column_types, body = codec.encode(table)
    extensions = _extensions(table.header, column_types)
    if strict and extensions:
        raise BloxFormatError(
            f"the values need the extension type {extensions[0].type}, which the original package "
            "cannot read; leave out strict, or write pickle or csv",
            column=extensions[0].column,
        )
    return [header.dump(table.header, codec.NAME, column_types), *body], extensions


def write(table: Table, path: str | PathLike[str], *, strict: bool = False) -> list[Extension]:
    """Write a release file, whole or not at all; its extension says the format.

    Parameters
    ----------
    table
        The table to write.
    path
        The file; its extension names the format.
    strict
        Refuse extension types instead of using them.

    Returns
    -------
    list of Extension
        The columns that needed a type which the original package cannot read.

    Raises
    ------
    BloxFormatError
        The format cannot hold the table, or, with `strict`, not without an extension type.
    """
    file = expanded(path)
    try:
        codec, packing = _format_of(file)
        if packing:
            raise BloxFormatError(f"packed files are only read; leave out .{packing}")
        parts, extensions = encode(table, codec.SUFFIX[1:], strict=strict)
    except BloxFormatError as error:
        error.source = error.source or str(file)
        raise
    with replacing(file) as temporary, temporary.open("wb") as stream:
        stream.writelines(parts)
    return extensions


def _extensions(head: Header, column_types: Mapping[str, str] | None) -> list[Extension]:
    if column_types is None:
        return []
    types = parse_types(head, column_types)
    return [Extension(name, str(kind)) for name, kind in types.items() if kind.is_extension]


def _format_of(file: Path) -> tuple[Format, str | None]:
    """The format that a file's name says, and how it is packed."""
    for extension, name in EXTENSIONS.items():
        if file.name.endswith(f".{extension}"):
            return FORMATS[name], extension.removeprefix(name).removeprefix(".") or None
    suffixes = ", ".join(f".{extension}" for extension in EXTENSIONS)
    raise BloxFormatError(f"the name must end in {suffixes}", source=str(file))


def _codec_named(head: FileHeader, expected: Format | None) -> Format:
    """The codec that the header names; the file's name must not say another."""
    found = next((codec for codec in FORMATS.values() if head.format == codec.NAME), None)
    if found is None:
        raise BloxFormatError(f"the header names an unknown format {head.format[:40]!r}")
    if expected is not None and found is not expected:
        raise BloxFormatError(
            f"the header says format {head.format!r}, but the file's name ends in {expected.SUFFIX}"
        )
    return found
