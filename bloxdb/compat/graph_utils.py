"""Architectures as graphs of networkx: ``pip install 'bloxdb[compat]'``.

A node has the attributes ``name`` and ``label``, as `bloxdb.space.Graph` has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloxdb.compat.search_space import cells_of
from bloxdb.errors import QueryError, spelled
from bloxdb.extras import library
from bloxdb.space.graphs import NODE_KINDS, feature_of, graph_of_cells
from bloxdb.space.hashing import fingerprint

__all__ = ["get_adjacency_and_features", "get_model_graph", "graph_hash", "is_empty"]

if TYPE_CHECKING:
    import networkx


def get_model_graph(
    arch_vec: Any, ops: Sequence[str] | None = None, minimize: bool = True
) -> tuple[networkx.DiGraph, list[str]]:
    """The graph of a whole network, and the names of its nodes.

    Parameters
    ----------
    arch_vec
        A vector, a model hash or an index.
    ops
        Names of the operations that the numbers of a vector mean; all three if None.
    minimize
        Leave out nodes that are on no path from input to output.

    Returns
    -------
    tuple
        A `networkx.DiGraph` with nodes 0, 1, … in the order of the network, and a readable name a node. Both
        are empty if a cell has no path and the graph is minimized.

    Raises
    ------
    InvalidArchError
        The vector is malformed.
    MissingExtraError
        networkx is not installed.
    """
    networkx = library("networkx", "compat", "a graph")
    found = graph_of_cells(cells_of(arch_vec, ops), minimize)
    graph = networkx.DiGraph()
    for node, (name, label) in enumerate(zip(found.names, found.labels, strict=True)):
        graph.add_node(node, name=name, label=label)
    graph.add_edges_from(found.edges)
    return graph, list(found.names)


def graph_hash(graph: networkx.DiGraph) -> str | None:
    """The fingerprint of a graph: the model hash, for the minimized graph of an architecture.

    Parameters
    ----------
    graph
        A graph whose nodes have a label.

    Returns
    -------
    str or None
        32 hex digits; None for a graph without nodes.

    Raises
    ------
    QueryError
        It is no graph, or a node has no label.
    """
    if is_empty(graph):
        return None
    labels, edges = _parts(graph)
    return fingerprint(labels, edges).hex()


def is_empty(graph: networkx.DiGraph) -> bool:
    """Whether a graph has no nodes, as that of a network without a path.

    Parameters
    ----------
    graph
        The graph.

    Raises
    ------
    QueryError
        It is none of networkx.
    """
    if not _is_graph(graph):
        raise QueryError(f"a graph is one of networkx, as get_model_graph gives it, not {spelled(graph, 80)}")
    return len(graph) == 0


def get_adjacency_and_features(
    graph: networkx.DiGraph,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A graph as arrays for a network that learns from it.

    Parameters
    ----------
    graph
        A graph whose nodes have a label; of n nodes.

    Returns
    -------
    tuple
        The adjacency, float32 (n, n), 1 where an edge goes from row to column; and what each node is,
        one-hot, float32 (n, 14), in the order of `bloxdb.space.graph_arrays`.

    Raises
    ------
    QueryError
        It is no graph, or a node has no label.
    """
    is_empty(graph)  # which refuses what is none
    labels, edges = _parts(graph)
    adjacency = np.zeros((len(labels), len(labels)), dtype=np.float32)
    features = np.zeros((len(labels), NODE_KINDS), dtype=np.float32)
    for a, b in edges:
        adjacency[a, b] = 1
    for node, label in enumerate(labels):
        features[node, feature_of(label)] = 1
    return adjacency, features


def key_of_graph(graph: Any) -> Any:
    """What names an architecture: the hash of a graph, and any other key as it is."""
    if not _is_graph(graph):
        return graph
    found = graph_hash(graph)
    return "0" * 32 if found is None else found  # a hash that no architecture has, as that of no graph


def _is_graph(graph: object) -> bool:
    """Whether something is a graph, without networkx, which need not be there for what is none."""
    return hasattr(graph, "nodes") and hasattr(graph, "edges")


def _parts(graph: networkx.DiGraph) -> tuple[list[int], list[tuple[int, int]]]:
    """Labels and edges of a graph, its nodes numbered in their order."""
    place = {node: at for at, node in enumerate(graph.nodes)}
    labels = [graph.nodes[node].get("label") for node in graph.nodes]
    if any(not isinstance(label, int) for label in labels):
        raise QueryError("each node of the graph needs an int as its label; see get_model_graph")
    return labels, [(place[a], place[b]) for a, b in graph.edges]
