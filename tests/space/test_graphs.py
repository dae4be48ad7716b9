"""Networks as graphs."""

from __future__ import annotations

from bloxdb import space


def test_a_graph_leaves_out_what_no_path_uses() -> None:
    graph = space.graph([[[2], [1, 0, 1, 0]]] * 3)  # op1 is read by nobody
    assert graph.names[:3] == ("input", "stage1.op2:mbconv", "stage1.reduction")
    assert graph.labels == (-1, 1, 3, 5, 7, 9, 11, -2)
    assert graph.edges == tuple((i, i + 1) for i in range(7))
