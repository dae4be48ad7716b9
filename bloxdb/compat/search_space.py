"""The search space under the original's names."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, overload

from bloxdb import space
from bloxdb.arguments import as_index, integer
from bloxdb.errors import QueryError, spelled
from bloxdb.space.cells import LIMITS, Cell
from bloxdb.space.graphs import graph_of_cells
from bloxdb.space.hashing import fingerprint
from bloxdb.space.keys import is_vector
from bloxdb.space.moves import generator

__all__ = [
    "Vectors",
    "all_ops",
    "arch_vec_to_names",
    "default_nodes",
    "default_stages",
    "get_all_architectures",
    "get_model_hash",
    "get_random_architectures",
    "get_search_space",
    "get_unique_architectures",
]

all_ops = list(space.OPS)
"""The operations, by their number in vectors."""

default_nodes = space.NODES
"""Operations in a cell."""

default_stages = space.STAGES
"""Cells in a network."""

_STAGES_AT_MOST = 10  # a sequence of Python has less than 2**63 items, and 72**11 are more


class Vectors(Sequence[space.ArchVec]):
    """Vectors that are made when they are asked for, so that hundreds of thousands take no memory.

    Parameters
    ----------
    count
        How many there are.
    make
        Makes the vector at a place.
    """

    def __init__(self, count: int, make: Callable[[int], space.ArchVec]) -> None:
        self._places = range(count)
        self._make = make

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[space.ArchVec]:
        return map(self._make, self._places)

    @overload
    def __getitem__(self, place: int) -> space.ArchVec: ...

    @overload
    def __getitem__(self, place: slice) -> list[space.ArchVec]: ...

    def __getitem__(self, place: int | slice) -> space.ArchVec | list[space.ArchVec]:
        """The vector at a place, or a list of those of a slice."""
        found = self._places[place]
        return self._make(found) if isinstance(found, int) else [self._make(one) for one in found]

    def __repr__(self) -> str:
        return f"<{len(self):,} architecture vectors>"


def get_search_space(
    ops: Sequence[str] | None = None, nodes: int | None = None, stages: int | None = None
) -> list[Any]:
    """How many choices each number of a vector has, nested as a vector is.

    Parameters
    ----------
    ops
        Names of the operations to choose from; all three if None.
    nodes
        Operations in a cell; only 2 are known.
    stages
        Cells in a network; 3 if None.

    Returns
    -------
    list
        ``[[[3], [3, 2, 2, 2]], …]``.

    Raises
    ------
    QueryError
        There is no such operation, or `nodes` is not 2.
    """
    numbers, count = _chosen(ops, nodes, stages)
    return [space.nested(_limits(numbers)) for _ in range(count)]


def get_model_hash(arch_vec: Any, ops: Sequence[str] | None = None, minimize: bool = True) -> str | None:
    """The model hash of a vector; None if a cell has no path from input to output.

    Parameters
    ----------
    arch_vec
        The vector.
    ops
        Names of the operations that the numbers of the vector mean; all three if None.
    minimize
        Leave out nodes that are on no path. If not, equal networks may have different hashes, of which only
        those of a network without such nodes are keys of release files.

    Returns
    -------
    str or None
        32 hex digits.

    Raises
    ------
    InvalidArchError
        The vector is malformed.
    QueryError
        There is no such operation.
    """
    if not minimize:
        graph = graph_of_cells(cells_of(arch_vec, ops), minimize=False)
        return fingerprint(graph.labels, graph.edges).hex()
    vec = arch_vec if ops is None else [space.nested(cell) for cell in cells_of(arch_vec, ops)]
    index = space.find_arch(vec)
    return None if index is None else space.model_hash(index)


def get_all_architectures(
    ops: Sequence[str] | None = None, nodes: int | None = None, stages: int | None = None
) -> Vectors:
    """All vectors, those without a path and equivalent ones too: 373,248, the first number changing fastest.

    Parameters
    ----------
    ops
        Names of the operations to choose from; all three if None.
    nodes
        Operations in a cell; only 2 are known.
    stages
        Cells in a network; 3 if None. Vectors of another number can be looked at, and nothing else takes
        them, since they are none of Blox.

    Returns
    -------
    Vectors
        A sequence of vectors.

    Raises
    ------
    QueryError
        There is no such operation, or `nodes` is not 2.
    """
    numbers, count = _chosen(ops, nodes, stages)
    return _vectors(_raw_cells(numbers), count)


def get_unique_architectures(
    ops: Sequence[str] | None = None, nodes: int | None = None, stages: int | None = None
) -> Vectors:
    """The canonical vectors of all different architectures, 91,125 in index order.

    Parameters
    ----------
    ops
        Names of the operations to choose from; all three if None.
    nodes
        Operations in a cell; only 2 are known.
    stages
        Cells in a network; 3 if None. Vectors of another number can be looked at, and nothing else takes
        them, since they are none of Blox.

    Returns
    -------
    Vectors
        A sequence of vectors.

    Raises
    ------
    QueryError
        There is no such operation, or `nodes` is not 2.
    """
    return _unique(*_chosen(ops, nodes, stages))


def get_random_architectures(
    num: int,
    ops: Sequence[str] | None = None,
    nodes: int | None = None,
    stages: int | None = None,
    seed: int | None = None,
) -> list[space.ArchVec]:
    """Canonical vectors of different architectures, drawn at random.

    Parameters
    ----------
    num
        How many.
    ops
        Names of the operations to choose from; all three if None.
    nodes
        Operations in a cell; only 2 are known.
    stages
        Cells in a network; 3 if None. Vectors of another number can be looked at, and nothing else takes
        them, since they are none of Blox.
    seed
        A seed draws the same ones again; None what nobody can foresee.

    Returns
    -------
    list
        Vectors, in the order in which they were drawn.

    Raises
    ------
    QueryError
        There are not so many, there is no such operation, or `nodes` is not 2.
    """
    unique = _unique(*_chosen(ops, nodes, stages))
    wanted = integer(num, "the number of architectures", low=0, high=len(unique))
    index = as_index(seed)
    if seed is not None and index is None:
        raise QueryError(f"a seed is an integer or None, not {spelled(seed, 80)}")
    rng = random.Random() if index is None else generator(index)  # noqa: S311
    return [unique[place] for place in rng.sample(range(len(unique)), wanted)]


def arch_vec_to_names(arch_vec: Any, ops: Sequence[str] | None = None) -> list[list[Any]]:
    """A vector with the names of operations for their numbers: ``[[['conv'], ['mbconv', 1, 0, 0]], …]``.

    Parameters
    ----------
    arch_vec
        The vector; it need have no path.
    ops
        Names of the operations that the numbers mean; all three if None.

    Returns
    -------
    list
        Three cells.

    Raises
    ------
    InvalidArchError
        The vector is malformed.
    QueryError
        There is no such operation.
    """
    return [
        [[all_ops[op1]], [all_ops[op2], prev, inp, skip]]
        for op1, op2, prev, inp, skip in cells_of(arch_vec, ops)
    ]


def cells_of(arch: Any, ops: Sequence[str] | None = None) -> list[Cell]:
    """The raw cells of a vector as it is written, or the canonical ones of another key.

    With `ops`, the numbers of a vector are places in that list.
    """
    if not is_vector(arch):
        return list(space.cells_of(arch))
    cells = list(space.parse(arch))
    if ops is None:
        return cells
    numbers = _numbers(ops)
    if any(op >= len(numbers) for cell in cells for op in cell[:2]):
        raise QueryError(f"the vector has an operation of a number that ops={list(ops)} does not have")
    return [(numbers[op1], numbers[op2], *rest) for op1, op2, *rest in cells]  # type: ignore[misc]


def _numbers(ops: Sequence[str] | None) -> list[int]:
    """The number of each operation that is named."""
    names = all_ops if ops is None else list(ops)
    if not names or len(set(names)) < len(names) or not set(names) <= set(all_ops):
        raise QueryError(f"ops are different ones of {', '.join(all_ops)}, not {spelled(ops)}")
    return [all_ops.index(name) for name in names]


def _chosen(ops: Sequence[str] | None, nodes: int | None, stages: int | None) -> tuple[list[int], int]:
    """The numbers of the operations, and the number of stages."""
    if nodes is not None and nodes != default_nodes:
        raise QueryError(f"a cell of Blox has {default_nodes} operations, so nodes is {default_nodes}")
    count = default_stages
    if stages is not None:
        count = integer(stages, "the number of stages", low=1, high=_STAGES_AT_MOST)
    return _numbers(ops), count


def _limits(numbers: list[int]) -> Cell:
    return (len(numbers), len(numbers), *LIMITS[2:])


def _raw_cells(numbers: list[int]) -> list[Cell]:
    """All cells of some operations, `op1` changing fastest; their numbers are places in the list."""
    choices = [range(limit) for limit in reversed(_limits(numbers))]
    return [tuple(reversed(cell)) for cell in product(*choices)]  # type: ignore[misc]


def _vectors(cells: list[Cell], stages: int) -> Vectors:
    """All vectors of some cells, the first cell changing fastest."""
    each = len(cells)

    def make(place: int) -> space.ArchVec:
        vec = []
        for _ in range(stages):
            place, cell = divmod(place, each)
            vec.append(space.nested(cells[cell]))
        return vec

    return Vectors(each**stages, make)


def _unique(numbers: list[int], stages: int) -> Vectors:
    """The vectors of the blocks that do with these operations, each by the first cell that stands for it."""
    block_of = space.blocks_by_cell()
    cells: dict[int, Cell] = {}
    for cell in _raw_cells(numbers):
        op1, op2, *wiring = cell
        block = block_of.get((numbers[op1], numbers[op2], *wiring))  # type: ignore[arg-type]
        if block is not None:
            cells.setdefault(block, cell)
    return _vectors(list(cells.values()), stages)
