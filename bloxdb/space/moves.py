"""Moving about in the search space, and arrays for what learns from it."""

from __future__ import annotations

import random as stdlib_random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import as_index, integer
from bloxdb.errors import InvalidArchError, QueryError, spelled
from bloxdb.space.cells import BLOCKS, NUM_ARCHS, NUM_BLOCKS, OPS, STAGES, ArchVec, arch_vec, nested
from bloxdb.space.graphs import NODE_KINDS, NODES_AT_MOST, feature_of, graph
from bloxdb.space.keys import block_indices, cells_of

Generator = stdlib_random.Random | np.random.Generator | np.random.RandomState | ModuleType | int | None
"""What draws: a generator of Python or NumPy, the module ``random`` or ``numpy.random``, a seed, or None for
what nobody can foresee.
"""


def random(rng: Generator = None) -> ArchVec:
    """An architecture drawn at random, all 91,125 as likely.

    Parameters
    ----------
    rng
        What draws: a ``random.Random``, a NumPy ``Generator`` or ``RandomState``, one of the modules, an
        integer seed, or None.

    Returns
    -------
    ArchVec
        The canonical vector.

    Raises
    ------
    QueryError
        `rng` is none of these.
    """
    return arch_vec(_below(rng)(NUM_ARCHS))


def sample(n: int, rng: Generator = None) -> list[ArchVec]:
    """So many different architectures drawn at random, all choices as likely.

    Parameters
    ----------
    n
        How many, at most 91,125.
    rng
        What draws, as for `random`.

    Returns
    -------
    list[ArchVec]
        Canonical vectors, in the order in which they were drawn.

    Raises
    ------
    QueryError
        There are not so many, or `rng` is nothing that draws.

    Examples
    --------
    >>> len({str(vec) for vec in sample(1000, 7)})
    1000
    """
    count, below = integer(n, "the number of architectures", low=0, high=NUM_ARCHS), _below(rng)
    moved: dict[int, int] = {}  # a shuffle that stops after `count` places; only those that moved are kept
    drawn = []
    for place in range(count):
        other = place + below(NUM_ARCHS - place)
        drawn.append(moved.get(other, other))
        moved[other] = moved.get(place, place)
    return [arch_vec(index) for index in drawn]


def mutate(key: Any, rng: Generator = None) -> ArchVec:
    """An architecture that differs in one block, drawn at random, all such as likely.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.
    rng
        What draws, as for `random`.

    Returns
    -------
    ArchVec
        The canonical vector.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    QueryError
        `rng` is nothing that draws.
    """
    blocks, below = list(block_indices(key)), _below(rng)
    stage = below(STAGES)
    blocks[stage] = (blocks[stage] + 1 + below(NUM_BLOCKS - 1)) % NUM_BLOCKS
    return _vec(blocks)


def crossover(one: Any, other: Any, rng: Generator = None) -> ArchVec:
    """An architecture that has each block from one of two, drawn at random, both as likely.

    Parameters
    ----------
    one, other
        Vectors, model hashes or indices; the table in `bloxdb.space.keys` says what each kind gives.
    rng
        What draws, as for `random`.

    Returns
    -------
    ArchVec
        The canonical vector.

    Raises
    ------
    InvalidArchError
        A key is malformed, or there is no such architecture.
    QueryError
        `rng` is nothing that draws.
    """
    pairs, below = zip(block_indices(one), block_indices(other), strict=True), _below(rng)
    return _vec([pair[below(2)] for pair in pairs])


def distance(one: Any, other: Any) -> int:
    """In how many stages two architectures have different blocks: 0 for the same network, 3 at the most.

    Parameters
    ----------
    one, other
        Vectors, model hashes or indices; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    int
        The number of stages.

    Raises
    ------
    InvalidArchError
        A key is malformed, or there is no such architecture.
    """
    return sum(a != b for a, b in zip(block_indices(one), block_indices(other), strict=True))


def names(key: Any) -> list[list[list[Any]]]:
    """An architecture with the names of its operations in place of their numbers.

    Parameters
    ----------
    key
        A vector, a model hash or an index; of a vector that is not canonical, its own cells are named.

    Returns
    -------
    list
        Three cells, each ``[['conv'], ['mbconv', prev, input, skip]]``.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.

    Examples
    --------
    >>> names(405)
    [[['conv'], ['conv', 1, 0, 0]], [['conv'], ['conv', 0, 1, 0]], [['conv'], ['conv', 1, 0, 0]]]
    """
    return [[[OPS[op1]], [OPS[op2], *wiring]] for op1, op2, *wiring in cells_of(key)]


def from_names(named: Any) -> ArchVec:
    """The vector of an architecture whose operations are named, as `names` gives them.

    Parameters
    ----------
    named
        Three cells, each ``[['conv'], ['mbconv', prev, input, skip]]``.

    Returns
    -------
    ArchVec
        The same cells with numbers; `canonical` makes them canonical.

    Raises
    ------
    InvalidArchError
        It is no such list, or names no operation or no network.
    """

    def numbers(part: Any) -> Any:
        if isinstance(part, str):
            if part not in OPS:
                raise InvalidArchError(f"there is no operation {spelled(part)}; choose of: {', '.join(OPS)}")
            return OPS.index(part)
        return [numbers(one) for one in part] if isinstance(part, list | tuple) else part

    if not isinstance(named, list | tuple):
        raise InvalidArchError(
            f"the names of an architecture are a list of three cells, not {spelled(named, 80)}"
        )
    return [nested(cell) for cell in cells_of(numbers(named))]


def neighbours(key: Any) -> list[ArchVec]:
    """All architectures that differ in one block.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    list[ArchVec]
        The canonical vectors, 132 of them.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    blocks = block_indices(key)
    return [
        _vec([*blocks[:stage], other, *blocks[stage + 1 :]])
        for stage in range(STAGES)
        for other in range(NUM_BLOCKS)
        if other != blocks[stage]
    ]


def encode(key: Any) -> npt.NDArray[np.float32]:
    """The blocks of an architecture, one-hot; equal for vectors of the same network.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    numpy.ndarray
        A one for the block of each stage, float32 (135,): three times 45.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    code = np.zeros((STAGES, NUM_BLOCKS), dtype=np.float32)
    code[np.arange(STAGES), block_indices(key)] = 1
    return code.ravel()


def graph_arrays(key: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The network's graph, for a predictor.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    adjacency
        Shape (11, 11); 1 from a node to the next.
    features
        Shape (11, 14); the kind of each node, one-hot: input, output, then conv, mbconv, bconv and reduction
        of each stage. Nodes that a smaller graph does not have are zero in both.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    found = graph(key)
    adjacency = np.zeros((NODES_AT_MOST, NODES_AT_MOST), dtype=np.float32)
    features = np.zeros((NODES_AT_MOST, NODE_KINDS), dtype=np.float32)
    for a, b in found.edges:
        adjacency[a, b] = 1
    for node, label in enumerate(found.labels):
        features[node, feature_of(label)] = 1
    return adjacency, features


def _vec(blocks: Any) -> ArchVec:
    return [nested(BLOCKS[block].cell) for block in blocks]


def _below(rng: Any) -> Callable[[int], int]:
    """What draws an integer from 0 up to, not with, a limit."""
    if rng is None:
        return stdlib_random.Random().randrange  # noqa: S311
    is_old = rng is np.random or isinstance(rng, np.random.RandomState)
    for method in ("randint",) if is_old else ("randrange", "integers"):
        draw = getattr(rng, method, None)
        if draw is not None:
            return lambda limit: int(draw(limit))
    seed = as_index(rng)
    if seed is None:
        raise QueryError(
            "rng is a random.Random, a NumPy Generator or RandomState, one of the modules random and "
            f"numpy.random, an integer seed, or None, not {spelled(rng)}"
        )
    return generator(seed).randrange


def generator(seed: int) -> stdlib_random.Random:
    """What draws at random from a seed; `QueryError` for a negative one."""
    if seed < 0:
        raise QueryError(f"a seed is 0 or more, not {seed}: Python draws the same with {seed} and {-seed}")
    return stdlib_random.Random(seed)  # noqa: S311
