"""The fingerprint, computed: what the hashes that are data must be equal to."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from bloxdb import space
from bloxdb.space.graphs import graph_of_cells
from bloxdb.space.hashing import fingerprint


def test_a_sample_of_the_hashes_is_what_is_computed() -> None:
    draw = random.Random(5)
    for index in [0, space.NUM_ARCHS - 1, *draw.sample(range(space.NUM_ARCHS), 200)]:
        graph = space.graph(index)
        assert fingerprint(graph.labels, graph.edges) == space.all_digests()[index].tobytes(), index


def test_the_hashes_have_the_golden_digest(golden: Path) -> None:
    digests = json.loads((golden / "digests.json").read_text())
    found = hashlib.sha256(space.all_digests().tobytes()).hexdigest()
    assert found == digests["sha256_of_all_hashes_in_index_order"]


def test_graphs_of_raw_vectors_have_the_golden_hashes(golden: Path) -> None:
    rows = json.loads((golden / "raw_vectors.json").read_text())
    computed = 0
    for row in rows:
        graph = graph_of_cells((op1[0], *rest) for op1, rest in row["arch_vec"])
        if row["model_hash"] is None:
            assert graph.labels == ()
        else:
            assert fingerprint(graph.labels, graph.edges).hex() == row["model_hash"]
            computed += 1
    assert computed > 100


def test_the_order_of_edges_does_not_count() -> None:
    graph = space.graph(4711)
    assert fingerprint(graph.labels, graph.edges[::-1]) == fingerprint(graph.labels, graph.edges)
