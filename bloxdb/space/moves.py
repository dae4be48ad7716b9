"""Moving about in the search space, and arrays for what learns from it."""

from __future__ import annotations

import random as stdlib_random
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.space.cells import BLOCKS, NUM_ARCHS, NUM_BLOCKS, STAGES, ArchVec, arch_vec, nested
from bloxdb.space.graphs import NODE_KINDS, NODES_AT_MOST, graph
from bloxdb.space.keys import block_indices

Generator = stdlib_random.Random | np.random.Generator


def random(rng: Generator) -> ArchVec:
    """An architecture drawn at random, all 91,125 as likely.

    Parameters
    ----------
    rng
        A ``random.Random`` or a NumPy generator.

    Returns
    -------
    ArchVec
        The canonical vector.
    """
    return arch_vec(_below(rng, NUM_ARCHS))


def mutate(key: Any, rng: Generator) -> ArchVec:
    """An architecture that differs in one block, drawn at random, all such as likely.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.
    rng
        A ``random.Random`` or a NumPy generator.

    Returns
    -------
    ArchVec
        The canonical vector.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    blocks = list(block_indices(key))
    stage = _below(rng, STAGES)
    blocks[stage] = (blocks[stage] + 1 + _below(rng, NUM_BLOCKS - 1)) % NUM_BLOCKS
    return _vec(blocks)


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
        features[node, label + 2 if label >= 0 else -1 - label] = 1
    return adjacency, features


def _vec(blocks: Any) -> ArchVec:
    return [nested(BLOCKS[block].cell) for block in blocks]


def _below(rng: Generator, limit: int) -> int:
    return rng.randrange(limit) if isinstance(rng, stdlib_random.Random) else int(rng.integers(limit))
