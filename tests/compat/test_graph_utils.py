"""Architectures as graphs of networkx."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import networkx
import numpy as np
import pytest

import bloxdb.compat as blox
from bloxdb import space
from bloxdb.errors import InvalidArchError, QueryError
from tests.compat.test_infos import NO_PATH
from tests.dataset.helpers import SMALL

utils = blox.graph_utils
FULL = [[[0], [1, 1, 1, 1]], [[2], [0, 1, 1, 1]], [[1], [2, 1, 1, 1]]]


def test_a_graph_has_the_nodes_and_edges_of_the_network() -> None:
    for index in range(0, space.NUM_ARCHS, 9973):
        graph, names = utils.get_model_graph(space.arch_vec(index))
        known = space.graph(index)
        assert tuple(names) == known.names
        assert [graph.nodes[node]["label"] for node in graph] == [*known.labels]
        assert set(graph.edges) == set(known.edges)
        assert networkx.is_directed_acyclic_graph(graph)
        assert utils.graph_hash(graph) == space.model_hash(index)


def test_the_hash_of_a_graph_is_the_model_hash_of_any_vector(golden: Path) -> None:
    for row in json.loads((golden / "raw_vectors.json").read_text())[:60]:
        graph = utils.get_model_graph(row["arch_vec"])[0]
        assert utils.graph_hash(graph) == row["model_hash"]
        assert utils.is_empty(graph) == (row["model_hash"] is None)


def test_a_graph_that_is_not_minimized_keeps_every_node() -> None:
    assert len(utils.get_model_graph(FULL)[0]) == len(utils.get_model_graph(FULL, minimize=False)[0]) == 11
    graph, names = utils.get_model_graph(NO_PATH, minimize=False)
    assert len(graph) == len(names) == 11
    assert utils.graph_hash(graph) == blox.search_space.get_model_hash(NO_PATH, minimize=False)
    assert utils.get_model_graph(NO_PATH)[1] == []


def test_operations_can_be_numbered_otherwise() -> None:
    ops = ["bconv", "conv", "mbconv"]
    graph = utils.get_model_graph([[[0], [1, 1, 0, 0]]] * 3, ops)[0]
    assert utils.graph_hash(graph) == space.model_hash([[[2], [0, 1, 0, 0]]] * 3)


def test_arrays_are_those_of_the_space_without_padding() -> None:
    for index in (0, 30, 405, 91_124):
        adjacency, features = utils.get_adjacency_and_features(utils.get_model_graph(index)[0])
        padded, kinds = space.graph_arrays(index)
        n = len(adjacency)
        assert (adjacency.dtype, features.shape) == (np.float32, (n, space.graphs.NODE_KINDS))
        assert np.array_equal(padded[:n, :n], adjacency)
        assert np.array_equal(kinds[:n], features)
        assert padded.sum() == adjacency.sum()


def test_a_data_set_finds_a_run_by_its_graph(golden: Path) -> None:
    dataset = blox.from_folder(golden / SMALL)
    for key, *_ in dataset:
        graph = utils.get_model_graph(key)[0]
        relabelled = networkx.relabel_nodes(graph, {node: f"node {node}" for node in graph})
        expected = dataset.full_info(key, seed=1)
        assert expected is not None
        assert dataset.full_info_by_graph(graph, seed=1) == expected
        assert dataset.full_info_by_graph(relabelled, 1) == expected
        assert dataset.full_info_by_graph(key, 1, return_dict=False)[0] == key
    graph.nodes[0]["label"] = 5
    assert dataset.full_info_by_graph(graph) is None


def test_what_is_no_graph_of_an_architecture_is_refused() -> None:
    with pytest.raises(QueryError, match="needs an int as its label"):
        utils.graph_hash(networkx.path_graph(3, create_using=networkx.DiGraph))
    with pytest.raises(InvalidArchError):
        utils.get_model_graph([1, 2, 3])
    for ask in (utils.graph_hash, utils.is_empty, utils.get_adjacency_and_features):
        for wrong in (None, FULL, "39554afd1b33a44663e653ad10137b9a", 5, {}):
            with pytest.raises(
                QueryError, match="a graph is one of networkx, as get_model_graph gives it, not"
            ):
                ask(wrong)


def test_without_networkx_the_error_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['networkx'] = None\n"
        "import bloxdb.compat as blox\n"
        "try:\n    blox.graph_utils.get_model_graph(0)\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "MissingExtraError a graph needs networkx: pip install 'bloxdb[compat]'\n"
