"""The handful of URLs that the page reads: a name, and how its answer is made from a database.

Whoever serves the page asks here: the plugin when it is asked, the static copy once for each. Names are
relative to the page, below ``data/``:

``about.json``
    what measures, recipes, seeds, devices, environments and blocks there are
``runs.bin``, ``means.bin``
    the finished runs, and their means over the seeds of an architecture (`bloxdb.web.columns`)
``latencies.bin``, ``hashes.bin``
    a column a device, by architecture; 16 bytes an architecture
``curves/NNNN.bin``
    all runs of `SHELF` architectures, with their epochs
``training.json``
    how far the training is
``drawing.json``, ``palette.css``
    what drawings are put together from, and their colours
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bloxdb.db.database import Database
from bloxdb.draw.networks import pieces
from bloxdb.draw.palette import DARK, LIGHT
from bloxdb.runs.status import failures, overview, workers
from bloxdb.settings import without_nan
from bloxdb.space.cells import NUM_ARCHS
from bloxdb.space.keys import all_digests
from bloxdb.web.facts import facts
from bloxdb.web.numbers import SHELF, curves, latencies, means, runs

_JSON, _BYTES, _CSS = "application/json; charset=utf-8", "application/octet-stream", "text/css; charset=utf-8"
_FAILURES = 200  # that are shown; all are a query away
_SHELF_NAME = re.compile(r"curves/([0-9]{4})\.bin")


@dataclass(frozen=True)
class Answer:
    """What one URL gives.

    Attributes
    ----------
    body
        The bytes.
    kind
        Their type, as HTTP says it.
    """

    body: bytes
    kind: str


def names() -> Iterator[str]:
    """All that a static copy has, one after the other."""
    yield from MADE
    yield from (f"curves/{shelf:04}.bin" for shelf in range(-(-NUM_ARCHS // SHELF)))


def is_answered(name: str) -> bool:
    """Whether there is an answer of this name."""
    found = _SHELF_NAME.fullmatch(name)
    return int(found[1]) * SHELF < NUM_ARCHS if found else name in MADE


def answer(db: Database, name: str, tables: str | None = None) -> Answer:
    """What is answered to a name.

    Parameters
    ----------
    db
        The database.
    name
        One that `is_answered`.
    tables
        Where the tables of the database are shown, as the path of a URL; None in a static copy.

    Raises
    ------
    KeyError
        There is no answer of this name.
    """
    found = _SHELF_NAME.fullmatch(name)
    if found:
        return Answer(curves(db, int(found[1])), _BYTES)
    return MADE[name](db, tables)


def _json(value: Any) -> Answer:
    try:
        said = json.dumps(value, allow_nan=False, default=_text)
    except ValueError:  # somebody's SQL has stored NaN in a recipe's settings
        said = json.dumps(without_nan(value), allow_nan=False, default=_text)
    return Answer(said.encode(), _JSON)


def _text(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"JSON has no {type(value).__name__}")
    return f"{value.isoformat(timespec='seconds')}Z"


def _training(db: Database, tables: str | None) -> Answer:
    failed = failures(db)
    return _json(
        {
            "overview": [{**row, "seed": str(row["seed"])} for row in overview(db)],
            "workers": [{**row, "seed": str(row["seed"])} for row in workers(db)],
            "failures": [{**row, "seed": str(row["seed"])} for row in failed[:_FAILURES]],
            "failed": len(failed),
        }
    )


def _palette(db: Database, tables: str | None) -> Answer:
    """The colours of drawings as variables, light and dark, and the classes that shapes have."""

    def variables(colours: dict[str, str]) -> str:
        return "".join(f"--{part}: {colour}; " for part, colour in colours.items())

    rules = "\n".join(
        f".bloxdb-f-{part} {{ fill: var(--{part}) }}\n.bloxdb-s-{part} {{ stroke: var(--{part}) }}"
        for part in LIGHT
    )
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {variables(DARK)}}} }}"
    return Answer(f":root {{ {variables(LIGHT)}}}\n{dark}\n{rules}\n".encode(), _CSS)


MADE: dict[str, Callable[[Database, str | None], Answer]] = {
    "about.json": lambda db, tables: _json(facts(db, tables)),
    "runs.bin": lambda db, tables: Answer(runs(db), _BYTES),
    "means.bin": lambda db, tables: Answer(means(db), _BYTES),
    "latencies.bin": lambda db, tables: Answer(latencies(db), _BYTES),
    "hashes.bin": lambda db, tables: Answer(all_digests().tobytes(), _BYTES),
    "training.json": _training,
    "drawing.json": lambda db, tables: _json(pieces()),
    "palette.css": _palette,
}
"""The answers that are one for the whole database, and how they are made."""
