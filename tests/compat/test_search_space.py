"""The search space under the original's names."""

from __future__ import annotations

import bloxdb
import bloxdb.compat as blox
from bloxdb import space


def test_the_search_space_under_the_original_names() -> None:
    names = blox.search_space
    assert names.get_search_space()["ops"] == ["conv", "mbconv", "bconv"]
    assert names.get_model_hash([0, 0, 1, 0, 0] * 3) == bloxdb.model_hash([0, 0, 1, 0, 0] * 3)
    assert names.get_model_hash([[[0], [0, 0, 0, 0]]] * 3) is None
    assert sum(1 for _ in names.get_all_architectures()) == 63**3
    unique = list(names.get_unique_architectures())
    assert len(unique) == space.NUM_ARCHS
    assert unique[4711] == space.arch_vec(4711)
    drawn = names.get_random_architectures(50, seed=3)
    assert drawn == names.get_random_architectures(50, seed=3)
    assert len({space.arch_index(vec) for vec in drawn}) == 50
    assert names.arch_vec_to_names([[[0], [1, 1, 0, 0]]] * 3) == [[["conv"], ["mbconv", 1, 0, 0]]] * 3
