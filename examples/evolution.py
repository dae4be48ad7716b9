"""Regularised evolution (Real et al., 2019): python examples/evolution.py blox.db [SECONDS] [SEED]."""

from __future__ import annotations

import random
import sys
from collections import deque

import bloxdb
from bloxdb import BudgetExhausted, Problem, space

POPULATION = 50
SAMPLE = 10


def evolve(problem: Problem, rng: random.Random) -> Problem:
    """Search until the budget is spent: the best of a sample is mutated, the oldest dies."""
    population: deque[tuple[float, space.ArchVec]] = deque(maxlen=POPULATION)
    try:
        while True:
            if len(population) < POPULATION:
                vec = space.random(rng)
            else:
                _, parent = max(rng.sample(list(population), SAMPLE), key=lambda member: member[0])
                vec = space.mutate(parent, rng)
            population.append((problem(vec), vec))
    except BudgetExhausted:
        return problem


def main(path: str, seconds: float = 2_000_000, seed: int = 0) -> Problem:
    """Search in a database, and tell what was found."""
    with bloxdb.open(path, read_only=True) as db:
        problem = evolve(Problem(db, budget_seconds=seconds), random.Random(seed))
    found = problem.best
    if found is None:
        sys.exit("the budget does not pay for a single architecture")
    print(f"{len(problem.trajectory)} evaluations in {found.seconds / 3600:,.0f} simulated hours")
    print(f"best validation top-1 {found.best:.2f} %, its test top-1 {found.test_top1:.2f} %")
    print(f"regret {found.regret:.2f}, architecture {space.vec_text(problem.best_vec or [])}")
    return problem


if __name__ == "__main__":
    main(sys.argv[1], *(float(text) for text in sys.argv[2:3]), *(int(text) for text in sys.argv[3:4]))
