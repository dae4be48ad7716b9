"""Files that may be packed, and several packings of one file: equal ones are one, different ones an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bloxdb.codecs.packed import PACKINGS, unpacked
from bloxdb.errors import BloxFormatError, ReleaseError
from bloxdb.files import open_file


def packing_of(path: Path) -> str | None:
    """How a file is packed, as the end of its name says; None for a file as it is."""
    return next((packing for packing in PACKINGS if path.name.endswith(f".{packing}")), None)


def contents(path: Path, most: int | None = None) -> bytes:
    """What a file holds, unpacked.

    Parameters
    ----------
    path
        The file.
    most
        How many bytes are enough; all if None.

    Raises
    ------
    BloxFormatError
        The packing is damaged, or unpacks to more than it could.
    """
    packing = packing_of(path)
    try:
        with open_file(path, BloxFormatError) as stream:
            if packing is None:
                return stream.read() if most is None else stream.read(most)
            return unpacked(stream, packing, path.stat().st_size, most).getvalue()[:most]
    except BloxFormatError as error:
        error.source = error.source or str(path)
        raise


def others_of(path: Path, is_taken: Callable[[Path], object]) -> list[Path]:
    """The other packings of a file beside it, of those that are taken at all."""
    packing = packing_of(path)
    plain = path.name if packing is None else path.name.removesuffix(f".{packing}")
    names = (plain, *(f"{plain}.{packing}" for packing in PACKINGS))
    beside = [path.with_name(name) for name in names if name != path.name]
    return [other for other in beside if other.is_file() and is_taken(other)]


def check_same(path: Path, other: Path, difference: Callable[[Path, Path], str | None]) -> None:
    """Two packings of one file must hold the same, or nobody knows which is right.

    Parameters
    ----------
    path, other
        The files.
    difference
        Says where two files differ whose bytes are not equal; None if that means nothing.

    Raises
    ------
    ReleaseError
        They differ, or one is damaged.
    """
    told = f"{path} and {other.name} are packings of one file"
    try:
        if contents(path) == contents(other):
            return
        found = difference(path, other)
    except BloxFormatError as error:
        raise ReleaseError(f"{told}, and one is damaged: {error}; remove it if the other is right") from error
    if found is not None:
        raise ReleaseError(f"{told}, but differ: {found}; remove the wrong one")
