"""The search space under the original's names."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from bloxdb import space
from bloxdb.codecs.header import search_space


def get_search_space() -> dict[str, Any]:
    """Shape, nodes, stages and operations, as the headers of release files have them."""
    return search_space()


def get_model_hash(arch_vec: object) -> str | None:
    """The model hash of a vector; None if a cell has no path from input to output.

    Raises
    ------
    bloxdb.InvalidArchError
        The vector is malformed.
    """
    index = space.find_arch(arch_vec)
    return None if index is None else space.model_hash(index)


def get_all_architectures() -> Iterator[space.ArchVec]:
    """All 250,047 vectors that have a path, equivalent ones too."""
    for cells in product(space.blocks_by_cell(), repeat=space.STAGES):
        yield [space.nested(cell) for cell in cells]


def get_unique_architectures() -> Iterator[space.ArchVec]:
    """The canonical vectors of all 91,125 architectures, in index order."""
    return (space.arch_vec(index) for index in range(space.NUM_ARCHS))


def get_random_architectures(count: int, seed: int | None = None) -> list[space.ArchVec]:
    """Canonical vectors of so many different architectures, drawn by a seed."""
    indices = random.Random(seed).sample(range(space.NUM_ARCHS), count)  # noqa: S311
    return [space.arch_vec(index) for index in indices]


def arch_vec_to_names(arch_vec: object) -> list[list[Any]]:
    """A vector with the names of operations for their numbers: ``[[['conv'], ['mbconv', 1, 0, 0]], …]``."""
    return [
        [[space.OPS[op1]], [space.OPS[op2], prev, inp, skip]]
        for op1, op2, prev, inp, skip in space.parse(arch_vec)
    ]
