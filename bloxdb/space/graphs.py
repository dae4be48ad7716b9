"""Whole networks as graphs, and the hash that all vectors of a network share."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bloxdb import fingerprint
from bloxdb.space.cells import (
    BLOCKS,
    NUM_ARCHS,
    NUM_BLOCKS,
    OPS,
    STAGES,
    Cell,
    block_indices,
    block_of_stage,
    blocks_of,
    parse,
)

NODES_AT_MOST = 2 + 3 * STAGES
"""Of a graph: input, output, and two operations and a reduction a stage."""

NODE_KINDS = 2 + (len(OPS) + 1) * STAGES
"""Labels that nodes have: input, output, and each operation and the reduction of each stage."""


@dataclass(frozen=True)
class Graph:
    """An architecture as a graph, without the nodes that no path uses.

    Attributes
    ----------
    names
        A readable name a node, as ``'stage1.op2:mbconv'``.
    labels
        An int a node: input -1, output -2, an operation ``op + 4*stage``, a reduction ``3 + 4*stage``.
    edges
        Pairs ``(from, to)`` of node positions, ``from < to``.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]


def graph(vec: object) -> Graph:
    """The graph of a whole network, input to output.

    Raises
    ------
    InvalidArchError
        The vector is malformed or a cell has no path.
    """
    block_indices(vec)
    return _graph_of_cells(parse(vec))


def _graph_of_cells(cells: tuple[Cell, ...]) -> Graph:
    names, labels = ["input"], [-1]
    edges: list[tuple[int, int]] = []
    source = 0
    for stage, (op1, op2, prev, inp, skip) in enumerate(cells):
        first, second, reduction = len(labels), len(labels) + 1, len(labels) + 2
        names += [
            f"stage{stage + 1}.op1:{OPS[op1]}",
            f"stage{stage + 1}.op2:{OPS[op2]}",
            f"stage{stage + 1}.reduction",
        ]
        labels += [op1 + 4 * stage, op2 + 4 * stage, 3 + 4 * stage]
        edges.append((source, first))
        edges += [(first, second)] * prev + [(source, second)] * inp
        edges += [(first, reduction)] * skip + [(second, reduction)]
        source = reduction
    names.append("output")
    labels.append(-2)
    edges.append((source, len(labels) - 1))
    return _prune(names, labels, edges)


def _prune(names: list[str], labels: list[int], edges: list[tuple[int, int]]) -> Graph:
    """Keep the nodes that lie on some path from the first node to the last."""
    reached = {0}
    for a, b in sorted(edges):
        if a in reached:
            reached.add(b)
    useful = {len(labels) - 1}
    for a, b in sorted(edges, key=lambda edge: -edge[1]):
        if b in useful:
            useful.add(a)
    kept = sorted(reached & useful)
    position = {node: i for i, node in enumerate(kept)}
    return Graph(
        tuple(names[node] for node in kept),
        tuple(labels[node] for node in kept),
        tuple((position[a], position[b]) for a, b in edges if a in position and b in position),
    )


def model_hash(vec: object) -> str:
    """The key of an architecture in every release file: 32 hex digits.

    Equal for all vectors that describe the same network. The fingerprint is described in
    `bloxdb.fingerprint`.

    Examples
    --------
    >>> model_hash([0, 0, 1, 0, 0] * 3)
    '39554afd1b33a44663e653ad10137b9a'
    """
    found = graph(vec)
    labels = np.array([found.labels], dtype=np.int64)
    digest: bytes = fingerprint.digests(labels, found.edges)[0].tobytes()
    return digest.hex()


@functools.cache
def all_digests() -> npt.NDArray[np.uint8]:
    """The hashes of all architectures as bytes, shape (91125, 16), in index order; read-only."""
    digests = np.empty((NUM_ARCHS, 16), dtype=np.uint8)
    for indices in _same_wiring():
        graphs = _graph_of_cells(tuple(block.cell for block in blocks_of(int(indices[0]))))
        digests[indices] = fingerprint.digests(_labels(indices), graphs.edges)
    digests.flags.writeable = False
    return digests


def _same_wiring() -> Iterator[npt.NDArray[np.int64]]:
    """Architecture indices, in groups whose graphs differ in labels only."""
    schemes = sorted({block.scheme for block in BLOCKS})
    members = [np.array([b.index for b in BLOCKS if b.scheme == s], np.int64) for s in schemes]
    for m1, m2, m3 in itertools.product(members, repeat=STAGES):
        grid = m1[:, None, None] + NUM_BLOCKS * m2[:, None] + NUM_BLOCKS**2 * m3
        yield grid.ravel()


def _labels(indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Node labels of architectures that share one wiring, shape (len(indices), nodes)."""
    columns: list[npt.NDArray[np.int64]] = [np.full(len(indices), -1)]
    for stage in range(STAGES):
        blocks = block_of_stage(indices, stage).tolist()
        ops = np.array([BLOCKS[b].ops for b in blocks], dtype=np.int64) + 4 * stage
        columns += [*ops.T, np.full(len(indices), 3 + 4 * stage)]
    columns.append(np.full(len(indices), -2))
    return np.stack(columns, axis=1)


@functools.cache
def all_model_hashes() -> tuple[str, ...]:
    """`model_hash` of all 91,125 architectures, in index order."""
    text = all_digests().tobytes().hex()
    return tuple(text[i : i + 32] for i in range(0, len(text), 32))
