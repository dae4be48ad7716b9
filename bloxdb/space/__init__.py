"""The search space: cells, blocks, architecture vectors, indices, graphs and hashes.

An architecture is three cells. A cell ``[[op1], [op2, prev, input, skip]]`` picks two operations and
wires the second one: with ``x`` the cell's input, ``h1 = op1(x)``, ``h2 = op2(prev*h1 + input*x)``,
``out = h2 + skip*h1``. The 72 raw cells fall into 45 classes of identical graphs, the *blocks*; nine
have no path from input to output. 45 blocks in each of three stages give 91,125 architectures.
"""

from bloxdb.space.cells import (
    BLOCKS,
    NUM_ARCHS,
    NUM_BLOCKS,
    OPS,
    STAGES,
    ArchVec,
    Block,
    Cell,
    arch_index,
    arch_vec,
    block_indices,
    block_of_stage,
    blocks_by_cell,
    blocks_of,
    canonical,
    cell_text,
    indices_of_cells,
    is_valid,
    parse,
    vec_text,
)
from bloxdb.space.graphs import Graph, all_digests, all_model_hashes, graph, model_hash
from bloxdb.space.moves import Generator, encode, graph_arrays, mutate, neighbours, random

__all__ = [
    "BLOCKS",
    "NUM_ARCHS",
    "NUM_BLOCKS",
    "OPS",
    "STAGES",
    "ArchVec",
    "Block",
    "Cell",
    "Generator",
    "Graph",
    "all_digests",
    "all_model_hashes",
    "arch_index",
    "arch_vec",
    "block_indices",
    "block_of_stage",
    "blocks_by_cell",
    "blocks_of",
    "canonical",
    "cell_text",
    "encode",
    "graph",
    "graph_arrays",
    "indices_of_cells",
    "is_valid",
    "model_hash",
    "mutate",
    "neighbours",
    "parse",
    "random",
    "vec_text",
]
