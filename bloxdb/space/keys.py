"""Whatever names an architecture to its index: vectors, hashes, indices, one or many.

Every entry of bloxdb that takes an architecture asks this module, so that a key means the same everywhere:

======================================================  ======================  ===========================
key                                                     `find_arch`             `arch_index`
======================================================  ======================  ===========================
a vector, nested or 15 flat integers: lists, an array,  its index               its index
a tensor, or the text of it
a model hash, 32 hex digits of either case, or the      its index               its index
first 8 or more of them
an index 0 … 91124: an integer of any type, its text,   itself                  itself
or an object with one, as `bloxdb.Arch`
a hash, or a beginning, that no architecture has        None                    `InvalidArchError`
an index outside 0 … 91124                              None                    `InvalidArchError`
a vector with a cell that has no path                   None                    `InvalidArchError`
a malformed vector, a bool, a float, None, other text   `InvalidArchError`      `InvalidArchError`
======================================================  ======================  ===========================

What looks something up and may say that there is nothing (`Arch.get`, the methods of a `Dataset` for one
architecture) goes by `find_arch`; what cannot go on without one (moves in the space, a `Problem`, a queue of
runs, `Dataset.table`, the command line) goes by `arch_index`. The explorer's page has `find_arch` for texts
once more, in JavaScript (bloxdb/web/site/js/keys.js): who changes one changes both, and a test asks both.
"""

from __future__ import annotations

import functools
import operator
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import MASKED, as_index, hides, is_several
from bloxdb.errors import InvalidArchError, spelled
from bloxdb.space.cells import (
    NUM_ARCHS,
    NUM_BLOCKS,
    STAGES,
    ArchVec,
    Cell,
    arch_vec,
    blocks_by_cell,
    blocks_of,
    integers_in,
    nested,
    out_of_range,
    parse,
)

Ids = npt.NDArray[np.int64]

KEY = "model_hash"
"""What release files and data sets call the key of an architecture."""

DIGEST_SIZE = 16
"""Bytes of a model hash."""

_INDEX = re.compile("[+-]?[0-9]{1,7}|[+-][0-9]{8,}|[0-9]{33,}")
_DIGITS = 100  # of an index that is told whole; longer ones are out of range whatever they are
_HASH = re.compile("[0-9a-fA-F]{8,32}")  # no two hashes begin with the same 8 digits
_BLOCK_OF = blocks_by_cell()
_NUMBERS = 5 * STAGES  # of a flat vector
_SECOND = NUM_BLOCKS
_THIRD = NUM_BLOCKS**2


def find_arch(key: Any) -> int | None:
    """The index of the architecture that a key names; None if there is no such architecture.

    Parameters
    ----------
    key
        A vector (any that describes the network), a model hash or an index; the table in `bloxdb.space.keys`
        says what each kind gives.

    Returns
    -------
    int or None
        0 … 91124. None for a hash that nobody has, an index out of range, and a vector without a path.

    Raises
    ------
    InvalidArchError
        The key is malformed.

    Examples
    --------
    >>> find_arch([[[0], [0, 1, 0, 0]], [[0], [0, 0, 1, 0]], [[0], [0, 1, 0, 0]]])
    405
    >>> find_arch("405"), find_arch("39554afd1b33a44663e653ad10137b9a"), find_arch(-1)
    (405, 0, None)
    """
    try:  # a lookup is to cost a microsecond, and most keys are nested lists
        (((a,), (b, c, d, e)), ((f,), (g, h, i, j)), ((k,), (m, n, o, p))) = key
        # a float or a bool can be equal to an integer, and is told below
        plain = type(a) is type(b) is type(c) is type(d) is type(e) is type(f) is type(g) is type(h) is int
        if not (plain and type(i) is type(j) is type(k) is type(m) is type(n) is type(o) is type(p) is int):
            return _index_or_none(key)
        return (
            _BLOCK_OF[a, b, c, d, e] + _SECOND * _BLOCK_OF[f, g, h, i, j] + _THIRD * _BLOCK_OF[k, m, n, o, p]
        )
    except (ValueError, TypeError, KeyError):
        return _index_or_none(key)


def arch_index(key: Any) -> int:
    """The index of the architecture that a key names, ``b1 + 45*b2 + 2025*b3`` of its blocks.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    int
        0 … 91124.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.

    Examples
    --------
    >>> arch_index("[[[0],[0,1,0,0]],[[0],[0,0,1,0]],[[0],[0,1,0,0]]]")
    405
    """
    found = _look_up(key)
    if isinstance(found, str):
        raise InvalidArchError(found)
    return found


def find_archs(keys: Iterable[Any]) -> Ids:
    """The indices of many architectures, -1 where there is no such architecture.

    Parameters
    ----------
    keys
        Vectors, model hashes and indices; an array of integers is taken as indices, without a loop over
        them.

    Returns
    -------
    numpy.ndarray
        Architecture indices, int64 (n,).

    Raises
    ------
    InvalidArchError
        A key is malformed.

    Examples
    --------
    >>> find_archs(["39554afd1b33a44663e653ad10137b9a", 7, "0" * 32])
    array([ 0,  7, -1])
    """
    keys = _listed(keys)
    if isinstance(keys, np.ndarray) and keys.ndim == 1 and keys.dtype.kind in "iu":
        return np.where((keys >= 0) & (keys < NUM_ARCHS), keys, -1).astype(np.int64)
    found = (find_arch(key) for key in keys)
    return np.array([-1 if index is None else index for index in found], dtype=np.int64)


def arch_indices(keys: Iterable[Any]) -> Ids:
    """The indices of many architectures, all of which must exist.

    Parameters
    ----------
    keys
        Vectors, model hashes and indices; an array of integers is taken as indices, without a loop over
        them.

    Returns
    -------
    numpy.ndarray
        Architecture indices, int64 (n,).

    Raises
    ------
    InvalidArchError
        A key is malformed or names no architecture; the error is about the first.
    """
    listed = _listed(keys)
    indices = find_archs(listed)
    for place in np.flatnonzero(indices < 0)[:1].tolist():
        arch_index(listed[place])  # raises, and says why
    return indices


def _listed(keys: Any) -> Any:
    """Several keys as a list, or the array that they are.

    A frame is its rows, since it goes through its columns where it is gone through; one of a single column is
    that column. One vector is no list of 15 indices: those would be 0 … 2, some of them several times.
    """
    if isinstance(keys, Mapping):
        raise InvalidArchError(
            f"several architectures are a list, an array or a data frame of them, not {spelled(keys, 80)}"
        )
    if not is_several(keys):
        raise InvalidArchError(f"several architectures are wanted; put {spelled(keys, 80)} into a list")
    if hides(keys):
        raise InvalidArchError(f"the array of architectures {MASKED}")
    if not isinstance(keys, np.ndarray):
        given: Any = keys
        if hasattr(given, "to_numpy") and hasattr(given, "columns"):
            rows = given.to_numpy()
            keys = rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows
        else:
            keys = given.to_pylist() if hasattr(given, "to_pylist") else list(given)
    if len(keys) == _NUMBERS:
        try:
            vec = parse(list(keys))
        except InvalidArchError:
            return keys
        flat = [number for cell in vec for number in cell]
        raise InvalidArchError(f"several architectures are wanted; put the one {flat} into a list")
    return keys


def indices_of_digests(digests: npt.NDArray[np.uint8]) -> Ids:
    """The indices of many hashes at once, -1 where no architecture has it.

    Parameters
    ----------
    digests
        The bytes that the hex digits spell, uint8 (n, 16).

    Returns
    -------
    numpy.ndarray
        Architecture indices, int64 (n,).

    Raises
    ------
    InvalidArchError
        They are no such array.
    """
    given = integers_in(digests, "digests", DIGEST_SIZE)
    if given.dtype != np.uint8 and np.any((given < 0) | (given > 255)):
        raise InvalidArchError("digests are bytes, each 0 … 255")
    wanted = _items(given.astype(np.uint8, copy=False))
    order = _order()
    known = _items(all_digests())[order]
    place = np.minimum(np.searchsorted(known, wanted), NUM_ARCHS - 1)
    return np.where(known[place] == wanted, order[place], -1)


def block_indices(key: Any) -> tuple[int, int, int]:
    """The block of each stage of an architecture.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    tuple[int, int, int]
        Three block indices, each 0 … 44.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    b1, b2, b3 = (block.index for block in blocks_of(arch_index(key)))
    return b1, b2, b3


def cells_of(key: Any) -> tuple[Cell, Cell, Cell]:
    """The cells of an architecture: those of a vector as they are, otherwise the canonical ones.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    tuple
        Three cells of five integers.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    index = arch_index(key)
    return parse(key if is_vector(key) else arch_vec(index))


def is_vector(key: Any) -> bool:
    """Whether a key is written as a vector, well or badly, and not as a model hash or an index.

    Parameters
    ----------
    key
        Whatever names an architecture.

    Examples
    --------
    >>> is_vector([0, 0, 1, 0, 0] * 3), is_vector("+405"), is_vector("39554afd")
    (True, False, False)
    """
    if isinstance(key, str):
        return not (_INDEX.fullmatch(key.strip()) or _HASH.fullmatch(key.strip()))
    return as_index(key) is None


def canonical(key: Any) -> ArchVec:
    """The canonical vector among all that describe the same network.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    ArchVec
        Three cells, each ``[[op1], [op2, prev, input, skip]]``.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    return arch_vec(arch_index(key))


def model_hash(key: Any) -> str:
    """The key of an architecture in every release file: 32 hex digits.

    It is equal for all vectors that describe the same network. `bloxdb.space.hashing` says how it is
    computed.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    str
        32 digits 0-9 a-f.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.

    Examples
    --------
    >>> model_hash([0, 0, 1, 0, 0] * 3)
    '39554afd1b33a44663e653ad10137b9a'
    """
    return bytes(all_digests()[arch_index(key)]).hex()


@functools.cache
def all_digests() -> npt.NDArray[np.uint8]:
    """The hashes of all architectures as bytes, shape (91125, 16), in index order; read-only."""
    data = resources.files("bloxdb.space").joinpath("hashes.bin").read_bytes()
    return np.frombuffer(data, dtype=np.uint8).reshape(NUM_ARCHS, DIGEST_SIZE)


@functools.cache
def all_model_hashes() -> tuple[str, ...]:
    """`model_hash` of all 91,125 architectures, in index order."""
    text = all_digests().tobytes().hex()
    return tuple(text[i : i + 32] for i in range(0, len(text), 32))


def _index_or_none(key: Any) -> int | None:
    found = _look_up(key)
    return None if isinstance(found, str) else found


def _look_up(key: Any) -> int | str:
    """The index that a key names, or the sentence why there is none; an error for a malformed key."""
    if is_vector(key):
        return _index_of_vector(key)
    if not isinstance(key, str):
        return _in_range(operator.index(key))
    text = key.strip()
    if _HASH.fullmatch(text):
        return _index_of_hash(text.lower())
    return _in_range(int(text)) if len(text) <= _DIGITS else out_of_range(f"{text[:_DIGITS]}…")


def _index_of_hash(digits: str) -> int | str:
    """The index of a hash of which the first digits are given, or all."""
    if len(digits) == 2 * DIGEST_SIZE:
        index = _index_of_digest().get(bytes.fromhex(digits))
        return f"no architecture of Blox has the hash {digits}" if index is None else index
    known = _sorted_hashes()
    place = bisect_left(known, digits)
    if place < len(known) and known[place].startswith(digits):
        return arch_index(known[place])
    return f"no architecture of Blox has a hash that begins with {digits}"


def _in_range(index: int) -> int | str:
    return index if 0 <= index < NUM_ARCHS else out_of_range(index)


def _index_of_vector(vec: object) -> int | str:
    index = 0
    for stage, cell in enumerate(parse(vec)):
        block = _BLOCK_OF.get(cell)
        if block is None:
            return (
                f"cell {stage + 1} of {STAGES}, {nested(cell)}, has no path from its input to its output: "
                "set prev or input (op2 reads something) or skip (op1 joins the output)"
            )
        index += NUM_BLOCKS**stage * block
    return index


@functools.cache
def _index_of_digest() -> dict[bytes, int]:
    data = all_digests().tobytes()
    return {data[at : at + DIGEST_SIZE]: at // DIGEST_SIZE for at in range(0, len(data), DIGEST_SIZE)}


@functools.cache
def _sorted_hashes() -> list[str]:
    return sorted(all_model_hashes())


@functools.cache
def _order() -> Ids:
    """Indices in the order of their hashes."""
    return np.argsort(_items(all_digests()))


def _items(digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.bytes_]:
    """Hashes as one sortable item each."""
    return np.ascontiguousarray(digests).view(f"S{DIGEST_SIZE}").ravel()
