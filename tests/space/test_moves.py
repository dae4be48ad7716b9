"""Moving about in the search space."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

import bloxdb
from bloxdb import space


def differing(a: object, b: object) -> int:
    """In how many blocks two architectures differ."""
    return sum(x != y for x, y in zip(space.block_indices(a), space.block_indices(b), strict=True))


RNGS: dict[str, Callable[[], Any]] = {
    "random.Random": lambda: random.Random(3),
    "Generator": lambda: np.random.default_rng(3),
    "RandomState": lambda: np.random.RandomState(3),
    "module random": lambda: random,
    "module numpy.random": lambda: np.random,
    "seed": lambda: 3,
    "NumPy seed": lambda: np.uint8(3),
    "nothing": lambda: None,
}
FORESEEN = [kind for kind in RNGS if "module" not in kind and kind != "nothing"]


@pytest.mark.parametrize("kind", RNGS)
def test_whatever_draws_is_taken(kind: str) -> None:
    drawn = [space.random(RNGS[kind]()), *space.sample(3, RNGS[kind]()), space.mutate(5, RNGS[kind]())]
    assert all(space.canonical(vec) == vec for vec in drawn)
    assert differing(drawn[-1], 5) == 1


@pytest.mark.parametrize("kind", FORESEEN)
def test_the_same_state_draws_the_same(kind: str) -> None:
    for draw in (space.random, lambda rng: space.sample(50, rng), lambda rng: space.mutate(7, rng)):
        assert draw(RNGS[kind]()) == draw(RNGS[kind]())


def test_seeds_of_one_number_are_one_seed_and_nothing_is_another_each_time() -> None:
    assert space.sample(20, 3) == space.sample(20, np.uint8(3)) != space.sample(20, 4)
    assert space.sample(20) != space.sample(20)


@pytest.mark.parametrize("wrong", ["seed", 2.5, True, [1], object(), np, torch])
@pytest.mark.parametrize(
    "draw", [space.random, lambda rng: space.sample(2, rng), lambda rng: space.mutate(1, rng)]
)
def test_what_does_not_draw_is_told(draw: Callable[[Any], Any], wrong: Any) -> None:
    with pytest.raises(bloxdb.QueryError, match=r"rng is a random\.Random, a NumPy Generator"):
        draw(wrong)


@pytest.mark.parametrize("rng", [random.Random(2), np.random.default_rng(2)])
def test_a_sample_has_different_architectures_all_as_likely(rng: space.Generator) -> None:
    counts = np.zeros(45)
    for _ in range(300):
        drawn = [space.arch_index(vec) for vec in space.sample(30, rng)]
        assert len(set(drawn)) == 30
        counts += np.bincount(space.block_of_stage(np.array(drawn), 2), minlength=45)
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.slow
def test_a_sample_of_all_is_a_shuffle() -> None:
    drawn = space.arch_indices(space.sample(space.NUM_ARCHS, 1))
    assert np.array_equal(np.sort(drawn), np.arange(space.NUM_ARCHS))
    assert np.mean(np.diff(drawn) > 0) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("wrong", [-1, space.NUM_ARCHS + 1, 2.0, True])
def test_a_sample_of_more_than_there_are_is_told(wrong: Any) -> None:
    with pytest.raises(bloxdb.QueryError, match=r"the number of architectures is "):
        space.sample(wrong, 1)


@pytest.mark.parametrize("rng", [random.Random(0), np.random.default_rng(0)])
def test_random_architectures_are_uniform(rng: space.Generator) -> None:
    indices = np.array([space.arch_index(space.random(rng)) for _ in range(9_000)])
    for stage in range(3):
        counts = np.bincount(space.block_of_stage(indices, stage), minlength=45)
        assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("rng", [random.Random(1), np.random.default_rng(1)])
def test_a_mutation_changes_one_block_and_all_are_as_likely(rng: space.Generator) -> None:
    vec = space.arch_vec(40_000)
    found = [space.mutate(vec, rng) for _ in range(13_200)]
    assert all(differing(vec, other) == 1 for other in found)
    counts: dict[int, int] = dict.fromkeys((space.arch_index(other) for other in space.neighbours(vec)), 0)
    for other in found:
        counts[space.arch_index(other)] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_neighbours_are_all_that_differ_in_one_block() -> None:
    vec = [[[1], [0, 0, 1, 1]], [[0], [2, 1, 1, 0]], [[2], [2, 0, 1, 0]]]
    found = space.neighbours(vec)
    assert len(found) == len({space.arch_index(other) for other in found}) == 3 * 44
    assert all(differing(vec, other) == 1 for other in found)


def test_the_code_is_one_hot_and_the_same_for_equivalent_vectors() -> None:
    one, other = [[[1], [0, 0, 1, 1]]] * 3, [[[0], [1, 0, 1, 1]]] * 3
    code = space.encode(one)
    assert code.shape == (135,)
    assert np.flatnonzero(code).tolist() == [
        45 * stage + block for stage, block in enumerate(space.block_indices(one))
    ]
    assert np.array_equal(code, space.encode(other))


def test_graph_arrays_are_the_graph() -> None:
    for index in (0, 30, 47, 20_295, 91_124):
        vec = space.arch_vec(index)
        graph = space.graph(vec)
        adjacency, features = space.graph_arrays(vec)
        assert (adjacency.shape, features.shape) == ((11, 11), (11, 14))
        assert {tuple(edge) for edge in np.argwhere(adjacency).tolist()} == set(graph.edges)
        n = len(graph.labels)
        assert np.array_equal(features.sum(axis=1), [1] * n + [0] * (11 - n))
        names = ["input", "output", *(f"{op}{s}" for s in (1, 2, 3) for op in (*space.OPS, "reduction"))]
        for node, name in enumerate(graph.names):
            kind = names[int(features[node].argmax())]
            stage = name[5] if name.startswith("stage") else ""
            what = name.rpartition(":")[2] if ":" in name else name.rpartition(".")[2]
            assert kind == f"{what}{stage}"


def test_a_child_has_each_block_from_one_of_both_and_both_are_as_likely() -> None:
    one, other = space.arch_vec(1 + 45 * 2 + 2025 * 3), space.arch_vec(4 + 45 * 5 + 2025 * 6)
    pairs = list(zip(space.block_indices(one), space.block_indices(other), strict=True))
    rng = random.Random(5)
    counts = np.zeros((3, 2))
    for _ in range(2_000):
        child = space.block_indices(space.crossover(one, other, rng))
        for stage, pair in enumerate(pairs):
            counts[stage, pair.index(child[stage])] += 1
    assert counts.sum() == 6_000
    for stage in range(3):
        assert chisquare(counts[stage]).pvalue > 1e-3
    assert space.crossover(7, 7) == space.arch_vec(7)


def test_distance_counts_blocks() -> None:
    draw = random.Random(6)
    for _ in range(200):
        one, other = draw.randrange(space.NUM_ARCHS), draw.randrange(space.NUM_ARCHS)
        assert (
            space.distance(one, space.arch_vec(other)) == space.distance(other, one) == differing(one, other)
        )
    assert {space.distance(9, other) for other in space.neighbours(9)} == {1}
    assert space.distance([[[0], [1, 0, 1, 1]]] * 3, [[[1], [0, 0, 1, 1]]] * 3) == 0


@pytest.mark.parametrize(
    "vec", [[[[0], [1, 0, 1, 1]]] * 3, [[[2], [0, 1, 0, 1]], [[1], [1, 1, 1, 0]], [[0], [2, 0, 1, 0]]]]
)
def test_names_lead_there_and_back(vec: Any) -> None:
    named = space.names(vec)
    assert space.from_names(named) == vec
    assert space.from_names(space.names(space.model_hash(vec))) == space.canonical(vec)
    assert {one for cell in named for part in cell for one in part if isinstance(one, str)} <= set(space.OPS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([[["conv"], ["pool", 1, 0, 0]]] * 3, "there is no operation 'pool'; choose of: conv, mbconv, bconv"),
        ([[["conv"], ["conv", 0, 0, 0]]] * 3, "no path"),
        ([[["conv"]]] * 3, "must look like"),
        ("conv", "are a list of three cells, not 'conv'"),
        (None, "are a list of three cells, not None"),
        (405, "are a list of three cells, not 405"),
    ],
)
def test_names_of_nothing_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(bloxdb.InvalidArchError, match=message):
        space.from_names(wrong)


def test_seeds_have_no_upper_end_and_are_not_negative() -> None:
    assert space.random(2**100) == space.random(2**100)
    assert space.sample(9, 2**100) != space.sample(9, 2**100 + 1)
    with pytest.raises(bloxdb.QueryError, match="a seed is 0 or more, not -1"):
        space.random(-1)
