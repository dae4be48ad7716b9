"""Networks as graphs."""

from __future__ import annotations

from bloxdb import space
from bloxdb.space.cells import NUM_ARCHS
from bloxdb.space.graphs import NODE_KINDS, NODES_AT_MOST, feature_of, graph


def test_a_graph_leaves_out_what_no_path_uses() -> None:
    graph = space.graph([[[2], [1, 0, 1, 0]]] * 3)  # op1 is read by nobody
    assert graph.names[:3] == ("input", "stage1.op2:mbconv", "stage1.reduction")
    assert graph.labels == (-1, 1, 3, 5, 7, 9, 11, -2)
    assert graph.edges == tuple((i, i + 1) for i in range(7))


def test_labels_have_places_from_the_input_to_the_last_reduction() -> None:
    labels = [-1, -2, *range(12)]
    assert [feature_of(label) for label in labels] == list(range(NODE_KINDS))
    assert NODES_AT_MOST == 11
    assert max(len(graph(index).labels) for index in range(0, NUM_ARCHS, 997)) == NODES_AT_MOST


def test_nodes_are_named_after_stages_from_1() -> None:
    whole = graph([[[1], [0, 1, 1, 1]]] * 3)
    assert whole.names[:4] == ("input", "stage1.op1:mbconv", "stage1.op2:conv", "stage1.reduction")
    assert whole.names[-2:] == ("stage3.reduction", "output")
    assert [name.partition(".")[0] for name in whole.names[1:-1]] == [
        f"stage{n}" for n in (1, 2, 3) for _ in range(3)
    ]
