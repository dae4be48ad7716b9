"""NSGA-II on accuracy and FLOPs: python examples/pymoo_search.py blox.db [GENERATIONS] [SEED]."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import ElementwiseProblem
from pymoo.indicators.hv import HV
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

import bloxdb
from bloxdb import Problem, space


class AccuracyAndFlops(ElementwiseProblem):  # type: ignore[misc]
    """The three blocks of a network; the error in percent and FLOPs in millions are to be low."""

    def __init__(self, problem: Problem, flops: dict[int, float]) -> None:
        super().__init__(n_var=3, n_obj=2, xl=0, xu=space.NUM_BLOCKS - 1, vtype=int)
        self.asked = problem
        self.flops = flops

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        index = int(x[0]) + space.NUM_BLOCKS * int(x[1]) + space.NUM_BLOCKS**2 * int(x[2])
        out["F"] = [100 - self.asked(index), self.flops[index]]


@dataclass(frozen=True)
class Outcome:
    """The hypervolume that the search reached, that of the true front, and the evaluations."""

    reached: float
    true: float
    evaluations: int


def true_front(db: bloxdb.Database, flops: dict[int, float]) -> npt.NDArray[np.float64]:
    """Errors and FLOPs of the architectures that no other beats in both, at the last epoch."""
    known = bloxdb.from_database(db).table(columns=["val_top1"])
    error = 100 - known["val_top1"]
    cost = np.array([flops[index] for index in known["arch_id"].tolist()])
    order = np.lexsort((error, cost))
    error, cost = error[order], cost[order]
    better = np.r_[True, error[1:] < np.minimum.accumulate(error)[:-1]]
    return np.stack([error[better], cost[better]], axis=1)


def main(path: str, generations: int = 40, seed: int = 0) -> Outcome:
    """Search in a database, and compare with its true Pareto front."""
    with bloxdb.open(path, read_only=True) as db:
        rows = db.rows("SELECT arch_id, flops FROM static_info")
        flops = {row["arch_id"]: row["flops"] / 1e6 for row in rows}
        true = true_front(db, flops)
        problem = Problem(db)
        algorithm = NSGA2(
            pop_size=40,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        asked = AccuracyAndFlops(problem, flops)
        found = minimize(asked, algorithm, ("n_gen", generations), seed=seed)
    volume = HV(ref_point=np.array([100.0, max(flops.values())]))
    outcome = Outcome(float(volume(found.F)), float(volume(true)), len(problem.trajectory))
    print(
        f"{len(found.F)} points on the front found, {len(true)} on the true one; hypervolume "
        f"{outcome.reached / outcome.true:.1%} of the true one's, with {outcome.evaluations} evaluations"
    )
    return outcome


if __name__ == "__main__":
    main(sys.argv[1], *(int(text) for text in sys.argv[2:4]))
