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
    """The canonical vector of an architecture, all 91,125 as likely.

    Parameters
    ----------
    rng
        A ``random.Random`` or a NumPy generator.
    """
    return arch_vec(_below(rng, NUM_ARCHS))


def mutate(key: Any, rng: Generator) -> ArchVec:
    """The canonical vector of an architecture that differs in one block, all such as likely."""
    blocks = list(block_indices(key))
    stage = _below(rng, STAGES)
    blocks[stage] = (blocks[stage] + 1 + _below(rng, NUM_BLOCKS - 1)) % NUM_BLOCKS
    return _vec(blocks)


def neighbours(key: Any) -> list[ArchVec]:
    """The canonical vectors of all 132 architectures that differ in one block."""
    blocks = block_indices(key)
    return [
        _vec([*blocks[:stage], other, *blocks[stage + 1 :]])
        for stage in range(STAGES)
        for other in range(NUM_BLOCKS)
        if other != blocks[stage]
    ]


def encode(key: Any) -> npt.NDArray[np.float32]:
    """One-hot blocks, shape (135,): three times 45; equal for vectors of the same network."""
    code = np.zeros((STAGES, NUM_BLOCKS), dtype=np.float32)
    code[np.arange(STAGES), block_indices(key)] = 1
    return code.ravel()


def graph_arrays(key: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The network's graph, for a predictor.

    Returns
    -------
    adjacency
        Shape (11, 11); 1 from a node to the next.
    features
        Shape (11, 14); the kind of each node, one-hot: input, output, then conv, mbconv, bconv and reduction
        of each stage. Nodes that a smaller graph does not have are zero in both.
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
