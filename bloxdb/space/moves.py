"""Moving about in the search space, and arrays for what learns from it."""

from __future__ import annotations

import random as stdlib_random
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.space.cells import BLOCKS, NUM_ARCHS, NUM_BLOCKS, STAGES, ArchVec, arch_vec, block_indices
from bloxdb.space.graphs import NODE_KINDS, NODES_AT_MOST, graph

Generator = stdlib_random.Random | np.random.Generator


def random(rng: Generator) -> ArchVec:
    """The canonical vector of an architecture, all 91,125 as likely.

    Parameters
    ----------
    rng
        A ``random.Random`` or a NumPy generator.
    """
    return arch_vec(_below(rng, NUM_ARCHS))


def mutate(vec: object, rng: Generator) -> ArchVec:
    """The canonical vector of an architecture that differs in one block, all such as likely."""
    blocks = list(block_indices(vec))
    stage = _below(rng, STAGES)
    blocks[stage] = (blocks[stage] + 1 + _below(rng, NUM_BLOCKS - 1)) % NUM_BLOCKS
    return _vec(blocks)


def neighbours(vec: object) -> list[ArchVec]:
    """The canonical vectors of all 132 architectures that differ in one block."""
    blocks = block_indices(vec)
    return [
        _vec([*blocks[:stage], other, *blocks[stage + 1 :]])
        for stage in range(STAGES)
        for other in range(NUM_BLOCKS)
        if other != blocks[stage]
    ]


def encode(vec: object) -> npt.NDArray[np.float32]:
    """One-hot blocks, shape (135,): three times 45; equal for vectors of the same network."""
    code = np.zeros((STAGES, NUM_BLOCKS), dtype=np.float32)
    code[np.arange(STAGES), block_indices(vec)] = 1
    return code.ravel()


def graph_arrays(vec: object) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The network's graph, for a predictor.

    Returns
    -------
    adjacency
        Shape (11, 11); 1 from a node to the next.
    features
        Shape (11, 14); the kind of each node, one-hot: input, output, then conv, mbconv, bconv and reduction
        of each stage. Nodes that a smaller graph does not have are zero in both.
    """
    found = graph(vec)
    adjacency = np.zeros((NODES_AT_MOST, NODES_AT_MOST), dtype=np.float32)
    features = np.zeros((NODES_AT_MOST, NODE_KINDS), dtype=np.float32)
    for a, b in found.edges:
        adjacency[a, b] = 1
    for node, label in enumerate(found.labels):
        features[node, label + 2 if label >= 0 else -1 - label] = 1
    return adjacency, features


def _vec(blocks: Any) -> ArchVec:
    return [[[BLOCKS[block].cell[0]], list(BLOCKS[block].cell[1:])] for block in blocks]


def _below(rng: Generator, limit: int) -> int:
    return rng.randrange(limit) if isinstance(rng, stdlib_random.Random) else int(rng.integers(limit))
