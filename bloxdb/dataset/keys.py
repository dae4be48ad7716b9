"""From what a caller names an architecture by to its index, fast: a lookup is to cost microseconds."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from bloxdb import space
from bloxdb.codecs import Table
from bloxdb.space.keys import HashIndex, Ids

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
    """The architecture index of each row of a table; `BloxFormatError` for a hash of none."""
    return _index().ids(table, source)


@cache
def _index() -> HashIndex:
    return HashIndex(np.arange(space.NUM_ARCHS), space.all_digests())


def hash_of(index: int) -> str:
    """The model hash of an architecture index."""
    return bytes(space.all_digests()[index]).hex()
