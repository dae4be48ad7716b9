"""Whatever names an architecture, to its index and its hash."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bloxdb import space
from bloxdb.errors import InvalidArchError


def test_golden_architectures_have_their_index_vector_and_hash(golden: Path) -> None:
    with (golden / "archs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 406
    for row in rows:
        index = int(row["index"])
        assert space.arch_vec(index) == json.loads(row["arch_vec"])
        assert space.arch_index(row["arch_vec"]) == index
        assert space.model_hash(row["arch_vec"]) == row["model_hash"]


def test_raw_vectors_have_the_hash_of_their_canonical_ones(golden: Path) -> None:
    rows = json.loads((golden / "raw_vectors.json").read_text())
    assert len(rows) == 200
    for row in rows:
        if row["model_hash"] is None:
            with pytest.raises(InvalidArchError):
                space.model_hash(row["arch_vec"])
        else:
            assert space.model_hash(row["arch_vec"]) == row["model_hash"]
            assert space.model_hash(space.canonical(row["arch_vec"])) == row["model_hash"]


def test_all_hashes_have_the_golden_digest(golden: Path) -> None:
    digests = json.loads((golden / "digests.json").read_text())
    data = space.all_digests().tobytes()
    assert hashlib.sha256(data).hexdigest() == digests["sha256_of_all_hashes_in_index_order"]
    assert len(set(space.all_model_hashes())) == space.NUM_ARCHS
    assert space.all_model_hashes()[4711] == space.model_hash(space.arch_vec(4711))


def test_vectors_may_be_nested_flat_text_or_numpy() -> None:
    vec = [[[2], [1, 0, 1, 1]], [[0], [0, 1, 0, 0]], [[1], [2, 1, 1, 0]]]
    flat = [2, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 2, 1, 1, 0]
    index = space.arch_index(vec)
    assert index == space.arch_index(flat) == space.arch_index(tuple(flat))
    assert index == space.arch_index(np.array(flat)) == space.arch_index(str(vec))
    assert index == space.arch_index("2,1,0,1,1,0,0,1,0,0,1,2,1,1,0")


def test_every_index_survives_its_vector() -> None:
    for index in range(0, space.NUM_ARCHS, 97):
        assert space.arch_index(space.arch_vec(index)) == index
