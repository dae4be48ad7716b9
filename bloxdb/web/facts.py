"""What the page has to know of a database before it shows anything."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from bloxdb.db.database import Database
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES, Device, Env, Latency, Recipe, Run
from bloxdb.draw.palette import OP_COLOURS, SERIES
from bloxdb.labels import label
from bloxdb.measures import COSTS, ENVIRONMENT, LATENCY, RANKED_BY, Measure
from bloxdb.space.cells import BLOCKS, FIELDS, LIMITS, NUM_ARCHS, OPS, STAGES, blocks_by_cell
from bloxdb.space.costs import block_costs, skeleton_cost
from bloxdb.web.columns import ABSENT
from bloxdb.web.numbers import SHELF

CITATION = (
    "T. C. P. Chau, Ł. Dudziak, H. Wen, N. D. Lane, M. S. Abdelfattah. BLOX: Macro Neural Architecture "
    "Search Benchmark and Algorithms. NeurIPS 2022, Datasets and Benchmarks Track."
)
"""What whoever uses the benchmark's data cites."""

_EIGHTH = "#8a5fb0"  # for as many lines as are compared
_RECIPE = ("id", "name", "dataset", "epochs", "train_images", "val_images", "test_images",
           "first_epoch_is_best", "config")  # fmt: skip


def facts(db: Database, tables: str | None) -> dict[str, Any]:
    """Measures, recipes, seeds, devices, environments, and the search space, for the page.

    Parameters
    ----------
    db
        The database.
    tables
        Where its tables are shown, as the path of a URL; None in a static copy.

    Returns
    -------
    dict
        What JSON has. A seed is text: JavaScript has no integers of 64 bits.
    """
    reader = db.reader
    recipes = db.rows_of(select(*(getattr(Recipe, name) for name in _RECIPE)).order_by(Recipe.name))
    seeds = select(Run.recipe_id, Run.seed).distinct().order_by(Run.recipe_id, Run.seed)
    counts = select(Latency.device_id, func.count()).group_by(Latency.device_id)
    measured = {device: count for device, count in reader.execute(counts)}  # noqa: C416  # rows are no pairs
    devices = db.rows_of(select(Device.id, Device.name, Device.settings).order_by(Device.name))
    envs = db.rows_of(select(Env.id, *(getattr(Env, name) for name in ENVIRONMENT)))
    return {
        "title": db.path.stem if db.path else db.name.rpartition("/")[2],
        "tables": tables,
        "citation": CITATION,
        "ranked_by": RANKED_BY,
        "measures": [_measure(name, measure) for name, measure in RUN_MEASURES.items()],
        "latencies": [
            {**_measure(f"{LATENCY.name}:{row['name']}", LATENCY), "device": row["id"]} for row in devices
        ],
        "epoch_measures": [_measure(name, measure) for name, measure in EPOCH_MEASURES.items()],
        "recipes": recipes,
        "seeds": [{"recipe": row.recipe_id, "seed": str(row.seed)} for row in reader.execute(seeds)],
        "devices": [{**row, "archs": measured.get(row["id"], 0)} for row in devices],
        "envs": {str(row.pop("id")): row for row in envs},
        "space": {
            "archs": NUM_ARCHS,
            "stages": STAGES,
            "ops": list(OPS),
            "fields": dict(zip(FIELDS, LIMITS, strict=True)),
            "blocks": [
                {"scheme": block.scheme, "op1": block.op1, "op2": block.op2, "cell": block.cell}
                for block in BLOCKS
            ],
            "cells": {",".join(map(str, cell)): block for cell, block in blocks_by_cell().items()},
            "costs": list(COSTS_OF_PARTS),
            "block_costs": block_costs().tolist(),
            "skeleton": list(skeleton_cost()),
        },
        "colours": {"series": [*SERIES, _EIGHTH], "ops": OP_COLOURS},
        "absent": ABSENT,
        "shelf": SHELF,
    }


COSTS_OF_PARTS = ("flops", "params")
"""What the costs of parts are, in the order of `bloxdb.space.Cost`."""


def _measure(name: str, measure: Measure) -> dict[str, Any]:
    words, _, unit = label(name, measure).partition(" (")
    return {
        "name": name,
        "label": words,
        "unit": unit.removesuffix(")"),
        "decimals": measure.decimals,
        "higher": measure.higher_is_better,
        "cost": name in COSTS,
    }
