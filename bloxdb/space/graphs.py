"""Whole networks as graphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bloxdb.space.cells import NODES, OPS, STAGES, Cell, blocks_of
from bloxdb.space.keys import arch_index

NODES_AT_MOST = 2 + (NODES + 1) * STAGES
"""How many nodes a graph can have: input, output, and two operations and a reduction a stage."""

KINDS_A_STAGE = len(OPS) + 1
"""Labels of a stage's nodes: each operation, and the reduction."""

NODE_KINDS = 2 + KINDS_A_STAGE * STAGES
"""How many labels nodes have: input, output, and those of each stage."""


def feature_of(label: int) -> int:
    """The place of a node's label among all, 0 … `NODE_KINDS` - 1: input, output, then stage by stage."""
    return label + 2 if label >= 0 else -1 - label


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


def graph(key: Any) -> Graph:
    """The graph of a whole network, input to output; equal for all keys of an architecture.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.

    Returns
    -------
    Graph
        The graph of the canonical vector.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    """
    return graph_of_cells(block.cell for block in blocks_of(arch_index(key)))


def graph_of_cells(cells: Iterable[Cell], minimize: bool = True) -> Graph:
    """The graph of a network of raw cells; without nodes if one of them has no path.

    With `minimize=False` it has the nodes that no path uses, too.
    """
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
        own = KINDS_A_STAGE * stage
        labels += [own + op1, own + op2, own + len(OPS)]
        edges.append((source, first))
        edges += [(first, second)] * prev + [(source, second)] * inp
        edges += [(first, reduction)] * skip + [(second, reduction)]
        source = reduction
    names.append("output")
    labels.append(-2)
    edges.append((source, len(labels) - 1))
    return _prune(names, labels, edges) if minimize else Graph(tuple(names), tuple(labels), tuple(edges))


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
