"""Cells, blocks, and architecture vectors."""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import MASKED, as_index, hides, integer
from bloxdb.counts import counted
from bloxdb.errors import InvalidArchError, spelled

OPS = ("conv", "mbconv", "bconv")
"""The operations, by their number in vectors; whatever depends on how many there are asks this tuple."""

STAGES = 3
"""Cells in a network."""

NODES = 2
"""Operations in a cell."""

Cell = tuple[int, int, int, int, int]
"""One raw cell as ``(op1, op2, prev, input, skip)``."""

ArchVec = list[list[list[int]]]
"""Three cells, each ``[[op1], [op2, prev, input, skip]]``."""

FIELDS = ("op1", "op2", "prev", "input", "skip")
"""The numbers of a cell, in the order of `Cell`."""

LIMITS = (len(OPS), len(OPS), 2, 2, 2)
"""For each of `FIELDS`, how many values it can have."""

_SERIAL_SCHEMES = {(0, 0): "ST2", (1, 0): "ST3", (0, 1): "ST4", (1, 1): "ST5"}


@dataclass(frozen=True)
class BlockKind:
    """One of the 45 distinct cells.

    Attributes
    ----------
    index
        0 … 44.
    scheme
        How the operations are wired, ``'ST1'`` … ``'ST6'``.
    op1, op2
        Names of the operations; `op2` is ``None`` for ST1.
    cell
        The canonical raw cell.
    """

    index: int
    scheme: str
    op1: str
    op2: str | None
    cell: Cell

    @property
    def ops(self) -> tuple[int, ...]:
        """Indices into `OPS` of the operations that the block runs."""
        names = (self.op1,) if self.op2 is None else (self.op1, self.op2)
        return tuple(OPS.index(name) for name in names)


def _cell_class(cell: Cell) -> tuple[str, int, int | None] | None:
    """Scheme and operations of the graph that a raw cell stands for; None without a path."""
    op1, op2, prev, inp, skip = cell
    if prev:
        return _SERIAL_SCHEMES[inp, skip], op1, op2
    if inp and skip:
        return "ST6", min(op1, op2), max(op1, op2)
    if inp:
        return "ST1", op2, None
    return ("ST1", op1, None) if skip else None


def _number_blocks() -> tuple[tuple[BlockKind, ...], dict[Cell, int]]:
    blocks: list[BlockKind] = []
    by_class: dict[tuple[str, int, int | None], int] = {}
    by_cell: dict[Cell, int] = {}
    for skip, inp, prev, op2, op1 in itertools.product(*(range(n) for n in reversed(LIMITS))):
        cell = (op1, op2, prev, inp, skip)
        kind = _cell_class(cell)
        if kind is None:
            continue
        if kind not in by_class:
            scheme, a, b = kind
            by_class[kind] = len(blocks)
            blocks.append(BlockKind(len(blocks), scheme, OPS[a], None if b is None else OPS[b], cell))
        by_cell[cell] = by_class[kind]
    return tuple(blocks), by_cell


BLOCKS, _BLOCK_OF_CELL = _number_blocks()
NUM_BLOCKS = len(BLOCKS)
NUM_ARCHS = NUM_BLOCKS**STAGES


def parse(vec: object) -> tuple[Cell, Cell, Cell]:
    """Check an architecture vector and return its three raw cells.

    Parameters
    ----------
    vec
        Nested lists ``[[[op1], [op2, prev, input, skip]], …]``, 15 flat integers in the same order (a
        NumPy array or a tensor of either will do), or the text of either as JSON.

    Returns
    -------
    tuple
        Three cells of five integers. A cell without a path is accepted here; see `find_arch`.

    Raises
    ------
    InvalidArchError
        The vector is malformed; the error names the cell and the number.

    Examples
    --------
    >>> parse([0, 0, 1, 0, 0] * 3)
    ((0, 0, 1, 0, 0), (0, 0, 1, 0, 0), (0, 0, 1, 0, 0))
    """
    if isinstance(vec, str):
        try:
            vec = json.loads(vec if vec.lstrip().startswith("[") else f"[{vec}]")
        except (ValueError, RecursionError) as error:
            raise InvalidArchError(
                f"{vec!r:.80} is not an architecture vector like {_EXAMPLE}, nor a model hash or "
                "its first 8 or more hex digits, nor an index"
            ) from error
    vec = _listed(vec)
    if not isinstance(vec, _LISTS):
        raise InvalidArchError(f"an architecture vector is a list like {_EXAMPLE}, not {spelled(vec)}")
    if len(vec) == STAGES * len(FIELDS):
        flat = list(vec)
    elif len(vec) == STAGES:
        flat = [number for stage, cell in enumerate(vec) for number in _flat(cell, stage)]
    else:
        raise InvalidArchError(
            f"an architecture vector has {STAGES} cells or {STAGES * len(FIELDS)} flat integers, "
            f"this one has {counted(len(vec), 'entry', 'entries')}; write it like {_EXAMPLE}"
        )
    numbers = [  # nearly all are plain integers in range, and a release has a million of them
        value
        if type(value) is int and 0 <= value < LIMITS[place % len(FIELDS)]
        else _check_number(value, place)
        for place, value in enumerate(flat)
    ]
    a, b, c = (tuple(numbers[i : i + len(FIELDS)]) for i in range(0, len(numbers), len(FIELDS)))
    return a, b, c  # type: ignore[return-value]


_EXAMPLE = "[[[0],[0,1,0,0]],[[1],[2,1,1,0]],[[0],[0,0,1,1]]]"


_LISTS = (list, tuple)


def _listed(value: Any) -> Any:
    """An array or a tensor as lists; anything else as it is."""
    if not hasattr(value, "tolist"):
        return value
    try:
        return value.tolist()
    except RuntimeError as error:  # a tensor that has no data, or is sparse
        raise InvalidArchError(
            f"an architecture vector has integers; {spelled(value, 80)} has none: {error}"
        ) from error


def _flat(cell: object, stage: int) -> list[object]:
    cell = _listed(cell)
    if isinstance(cell, _LISTS) and len(cell) == NODES:
        ops, wiring = _listed(cell[0]), _listed(cell[1])
        if isinstance(ops, _LISTS) and isinstance(wiring, _LISTS) and len(ops) == 1 and len(wiring) == 4:
            return [*ops, *wiring]
    raise InvalidArchError(
        f"cell {stage + 1} of {STAGES} must look like [[op1], [op2, prev, input, skip]], "
        f"but is {spelled(cell)}"
    )


def _check_number(value: object, place: int) -> int:
    stage, field = divmod(place, len(FIELDS))
    where = f"{FIELDS[field]} of cell {stage + 1} of {STAGES}"
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise InvalidArchError(f"{where} must be an integer, not {spelled(value)}") from error
    if isinstance(value, bool) or not 0 <= number < LIMITS[field]:
        raise InvalidArchError(f"{where} must be in 0 … {LIMITS[field] - 1}, not {spelled(value)}")
    return number


def blocks_of(index: int) -> tuple[BlockKind, BlockKind, BlockKind]:
    """The three blocks of an architecture.

    Parameters
    ----------
    index
        The architecture index, 0 … 91124.

    Returns
    -------
    tuple[BlockKind, BlockKind, BlockKind]
        The block of each stage, in their order.

    Raises
    ------
    InvalidArchError
        The index is out of range.
    """
    found = as_index(index)
    if found is None:
        raise InvalidArchError(
            f"an architecture index is an integer, not {spelled(index, 80)}; canonical takes other keys"
        )
    if not 0 <= found < NUM_ARCHS:
        raise InvalidArchError(out_of_range(found))
    rest, b1 = divmod(found, NUM_BLOCKS)
    b3, b2 = divmod(rest, NUM_BLOCKS)
    return BLOCKS[b1], BLOCKS[b2], BLOCKS[b3]


def out_of_range(index: int | str) -> str:
    """The sentence for an architecture index that nobody has."""
    told = index if isinstance(index, str) else spelled(index)
    return f"an architecture index is in 0 … {NUM_ARCHS - 1}, not {told}"


def arch_vec(index: int) -> ArchVec:
    """The canonical vector of the architecture with this index.

    Parameters
    ----------
    index
        The architecture index, 0 … 91124.

    Returns
    -------
    ArchVec
        Three cells, each ``[[op1], [op2, prev, input, skip]]``.

    Raises
    ------
    InvalidArchError
        The index is out of range.

    Examples
    --------
    >>> arch_vec(30)
    [[[0], [0, 0, 1, 1]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]]
    """
    return [nested(block.cell) for block in blocks_of(index)]


def vec_text(vec: Sequence[Sequence[Sequence[int]]]) -> str:
    """The compact text of a vector, as the database keeps it.

    Parameters
    ----------
    vec
        Three cells, each ``[[op1], [op2, prev, input, skip]]``.

    Returns
    -------
    str
        JSON without spaces.

    Raises
    ------
    InvalidArchError
        The vector is malformed.
    """
    return json.dumps([nested(cell) for cell in parse(vec)], separators=(",", ":"))


def cell_text(cell: Cell) -> str:
    """The compact text of one cell, a part of `vec_text`.

    Parameters
    ----------
    cell
        The raw cell ``(op1, op2, prev, input, skip)``.

    Returns
    -------
    str
        JSON without spaces.

    Raises
    ------
    InvalidArchError
        It is no five integers.
    """
    return json.dumps(nested(cell), separators=(",", ":"))


def block_of_stage(indices: npt.NDArray[np.int64], stage: int) -> npt.NDArray[np.int64]:
    """The blocks of many architectures in one stage.

    Parameters
    ----------
    indices
        Architecture indices, int64 (n,).
    stage
        The stage, 0, 1 or 2.

    Returns
    -------
    numpy.ndarray
        Block indices, int64 (n,), each 0 … 44.

    Raises
    ------
    InvalidArchError
        They are no architecture indices.
    QueryError
        There is no such stage.
    """
    stage = integer(stage, "a stage", low=0, high=STAGES - 1)
    found = integers_in(indices, "architecture indices")
    for wrong in found[(found < 0) | (found >= NUM_ARCHS)][:1].tolist():
        raise InvalidArchError(out_of_range(wrong))
    blocks: npt.NDArray[np.int64] = found.astype(np.int64) // NUM_BLOCKS**stage % NUM_BLOCKS
    return blocks


def indices_of_cells(cells: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Architecture indices of many vectors at once; -1 where a cell has no path or is out of range.

    Parameters
    ----------
    cells
        The numbers op1, op2, prev, input, skip of each cell, uint8 (n, 3, 5).

    Returns
    -------
    numpy.ndarray
        Architecture indices, int64 (n,).

    Raises
    ------
    InvalidArchError
        They are no such array.

    Examples
    --------
    >>> indices_of_cells(np.array([[BLOCKS[2].cell, BLOCKS[1].cell, BLOCKS[0].cell]], dtype=np.uint8))
    array([47])
    """
    blocks = np.full(LIMITS, -1, dtype=np.int64)
    for cell, block in _BLOCK_OF_CELL.items():
        blocks[cell] = block
    cells = integers_in(cells, "vectors", STAGES, len(FIELDS))
    in_range = np.all((cells >= 0) & (cells < np.array(LIMITS)), axis=(1, 2))
    found = blocks[tuple(np.moveaxis(np.where(in_range[:, None, None], cells, 0), -1, 0))]
    exists = in_range & np.all(found >= 0, axis=1)
    return np.where(exists, found @ NUM_BLOCKS ** np.arange(STAGES), -1)


def is_valid(vec: object) -> bool:
    """Whether each cell of a vector has a path from input to output.

    Parameters
    ----------
    vec
        A vector, in any form that `parse` takes.

    Returns
    -------
    bool
        False if a cell has no path.

    Raises
    ------
    InvalidArchError
        The vector is malformed.
    """
    return all(cell in _BLOCK_OF_CELL for cell in parse(vec))


def blocks_by_cell() -> dict[Cell, int]:
    """The block index of each of the 63 raw cells that have a path."""
    return dict(_BLOCK_OF_CELL)


def nested(cell: Cell) -> list[list[int]]:
    """A raw cell in the form that it has in a vector.

    Parameters
    ----------
    cell
        The raw cell ``(op1, op2, prev, input, skip)``.

    Returns
    -------
    list[list[int]]
        The cell as ``[[op1], [op2, prev, input, skip]]``.

    Raises
    ------
    InvalidArchError
        It is no five integers; whether they are in range is not asked.
    """
    if type(cell) not in _LISTS or len(cell) != len(FIELDS) or any(type(one) is not int for one in cell):
        cell = _five(cell)
    return [[cell[0]], list(cell[1:])]


def _five(cell: object) -> Cell:
    listed = _listed(cell)
    numbers = [as_index(number) for number in listed] if isinstance(listed, _LISTS) else []
    if len(numbers) != len(FIELDS) or None in numbers:
        raise InvalidArchError(
            f"a raw cell is {len(FIELDS)} integers, ({', '.join(FIELDS)}), not {spelled(cell)}"
        )
    return tuple(numbers)  # type: ignore[return-value]


def integers_in(value: object, what: str, *each: int) -> npt.NDArray[Any]:
    """An array of integers, of the shape `each` for one of `what`; `InvalidArchError` for anything else."""
    if hides(value):
        raise InvalidArchError(f"the array of {what} {MASKED}")
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # lists of several lengths, or a tensor without data
        found = np.array(None)
    if found.shape == (0,):  # of which NumPy does not know what it has none of
        return np.zeros((0, *each), dtype=np.int64)
    if found.dtype.kind not in "iu" or found.ndim != 1 + len(each) or found.shape[1:] != each:
        shown = f"{found.dtype} of shape {found.shape}" if hasattr(value, "dtype") else spelled(value, 80)
        shape = ", ".join(("n", *map(str, each)))
        raise InvalidArchError(f"{what} are an array of integers of shape ({shape}), not {shown}")
    return found
