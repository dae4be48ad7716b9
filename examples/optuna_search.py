"""TPE and random search with Optuna: python examples/optuna_search.py blox.db [TRIALS] [SEED]."""

from __future__ import annotations

import sys

import optuna

import bloxdb
from bloxdb import Problem, space
from bloxdb.space import OPS, STAGES


def suggest(trial: optuna.Trial) -> space.ArchVec:
    """A vector of categorical choices; cells without a path are pruned at once."""
    vec = []
    for stage in range(STAGES):
        op1, op2 = (trial.suggest_int(f"{name}_{stage}", 0, len(OPS) - 1) for name in ("op1", "op2"))
        bits = [trial.suggest_categorical(f"{name}_{stage}", [0, 1]) for name in ("prev", "input", "skip")]
        vec.append([[op1], [op2, *bits]])
    if not space.is_valid(vec):
        raise optuna.TrialPruned
    return vec


def search(problem: Problem, sampler: optuna.samplers.BaseSampler, trials: int) -> optuna.Study:
    """Ask the benchmark epoch by epoch; what is worse than the median half-way is given up."""

    def objective(trial: optuna.Trial) -> float:
        vec = suggest(trial)
        value = 0.0
        for quarter in (1, 2, 3, 4):
            epoch = max(1, problem.epochs * quarter // 4)
            value = problem(vec, epoch)
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    pruner = optuna.pruners.MedianPruner(n_startup_trials=10)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=trials)
    return study


def main(path: str, trials: int = 200, seed: int = 0) -> dict[str, Problem]:
    """Search in a database with both, and tell what each found."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {
        "TPE": optuna.samplers.TPESampler(seed=seed),
        "random": optuna.samplers.RandomSampler(seed=seed),
    }
    problems = {}
    with bloxdb.open(path, read_only=True) as db:
        for name, sampler in samplers.items():
            problem = problems[name] = Problem(db)
            study = search(problem, sampler, trials)
            pruned = len(study.get_trials(states=(optuna.trial.TrialState.PRUNED,)))
            print(
                f"{name}: best validation top-1 {study.best_value:.2f} % of {trials} trials, {pruned} "
                f"pruned, {problem.seconds / 3600:,.0f} simulated hours, "
                f"regret {problem.trajectory[-1].regret:.2f}"
            )
    return problems


if __name__ == "__main__":
    main(sys.argv[1], *(int(text) for text in sys.argv[2:4]))
