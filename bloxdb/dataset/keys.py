"""From what a caller names an architecture by to its index, fast: a lookup is to cost microseconds."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb import space
from bloxdb.codecs import Table
from bloxdb.errors import BloxFormatError, InvalidArchError

Ids = npt.NDArray[np.int64]

_BLOCK_OF = space.blocks_by_cell()
_SECOND = space.NUM_BLOCKS
_THIRD = space.NUM_BLOCKS**2


def arch_id(arch: Any) -> int | None:
    """The index of an architecture; None for a hash that is none of the search space's.

    Parameters
    ----------
    arch
        A vector, in any spelling that `bloxdb.space.parse` takes, a model hash, or an index.

    Raises
    ------
    InvalidArchError
        A vector is malformed or has no path, or an index is out of range.
    """
    try:
        (((a,), (b, c, d, e)), ((f,), (g, h, i, j)), ((k,), (m, n, o, p))) = arch
        return (
            _BLOCK_OF[a, b, c, d, e] + _SECOND * _BLOCK_OF[f, g, h, i, j] + _THIRD * _BLOCK_OF[k, m, n, o, p]
        )
    except (ValueError, TypeError, KeyError):
        return _slowly(arch)


def _slowly(arch: Any) -> int | None:
    if isinstance(arch, str):
        text = arch.strip().lower()
        if len(text) == 32 and "[" not in text:
            return _ids_of_hashes().get(text)
    elif hasattr(arch, "__index__") and not hasattr(arch, "__len__") and not isinstance(arch, bool):
        index = int(arch)
        space.blocks_of(index)
        return index
    return space.arch_index(arch)


@cache
def _ids_of_hashes() -> dict[str, int]:
    return {digits: index for index, digits in enumerate(space.all_model_hashes())}


def ids_of(table: Table, source: str) -> Ids:
    """The architecture index of each row of a table.

    Raises
    ------
    BloxFormatError
        A hash is not that of an architecture.
    """
    order, digests = _sorted_digests()
    wanted = np.ascontiguousarray(table["model_hash"]).view("S16").ravel()
    place = np.minimum(np.searchsorted(digests, wanted), len(digests) - 1)
    unknown = np.flatnonzero(digests[place] != wanted)
    if unknown.size:
        row = int(unknown[0])
        raise BloxFormatError(
            f"{table.hashes()[row]} is not the hash of an architecture of Blox",
            source=source,
            row=row,
            column="model_hash",
        )
    found: Ids = order[place]
    return found


@cache
def _sorted_digests() -> tuple[Ids, Any]:
    items = np.ascontiguousarray(space.all_digests()).view("S16").ravel()
    order = np.argsort(items)
    return order, items[order]


def hash_of(index: int) -> str:
    """The model hash of an architecture index."""
    return bytes(space.all_digests()[index]).hex()


def invalid_graph(hash_text: str) -> InvalidArchError:
    """The error for a hash that no architecture has."""
    return InvalidArchError(f"{hash_text!r} is not the hash of an architecture of Blox")
