"""What a notebook shows of an architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bloxdb.draw.pages import Page, card
from bloxdb.errors import DatabaseError
from bloxdb.measures import RUN, first_of_curve

_OF_RUNS = ("seed", "status", "best_epoch", *RUN)
_CURVE = "val_top1"
_CURVES_AT_MOST = 20  # runs whose epochs are read to be drawn


def card_of(arch: Any) -> Page:
    """The drawing of an architecture, its costs, results and curves, as far as they are known.

    Parameters
    ----------
    arch
        A `bloxdb.Arch`, whose runs are read if they were not.
    """
    facts = [f"model hash {arch.hash}"]
    latencies = _loaded(lambda: list(arch.latencies), facts, "latencies")
    facts += [f"{latency.latency_ms} ms on {latency.device.name}" for latency in latencies]
    runs = _loaded(lambda: list(arch.runs), facts, "runs")
    rows = [{"recipe": run.recipe.name, **{name: getattr(run, name) for name in _OF_RUNS}} for run in runs]
    several = len({run.recipe_id for run in runs}) > 1
    values = {
        f"{run.recipe.name}, seed {run.seed}" if several else f"seed {run.seed}": _values(run, facts)
        for run in runs[:_CURVES_AT_MOST]
    }
    curves = {name: found for name, found in values.items() if any(value is not None for value in found)}
    return card(arch.id, facts, rows, curves, _CURVE)


def _values(run: Any, facts: list[str]) -> list[float | None]:
    epochs = _loaded(lambda: list(run.epochs), facts, "epochs")
    first = first_of_curve(_CURVE, run.recipe.first_epoch_is_best)
    last = max((epoch.epoch for epoch in epochs), default=0)
    found: list[float | None] = [None] * last
    for epoch in epochs:
        found[epoch.epoch - 1] = getattr(epoch, _CURVE) if epoch.epoch >= first else None
    return found


def _loaded(ask: Callable[[], list[Any]], facts: list[str], what: str) -> list[Any]:
    """What a database gives; where the object has none, nothing, and a sentence that says so."""
    try:
        return ask()
    except DatabaseError:
        facts.append(f"{what} were not loaded while the object had a database")
        return []
