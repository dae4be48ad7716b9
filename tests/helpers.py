"""What tests of many modules share."""

from __future__ import annotations

import importlib
import inspect
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import bloxdb
from bloxdb.measures import MEASURES, Measure

SEEDS: dict[str, Callable[[int], Any]] = {
    "int": lambda seed: seed,
    "NumPy integer": np.int64,
    "list": lambda seed: [seed],
    "tuple of NumPy integers": lambda seed: (np.int32(seed),),
    "array": lambda seed: np.array([seed, seed]),
    "iterator": lambda seed: iter([seed]),
}
"""Ways to write one seed, which must mean the same wherever seeds are given."""


def public_entries() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each public function, class and public method once, by a name such as ``'Arch.get'``.

    What `bloxdb.compat` has in its own way begins with ``'compat.'``.
    """
    seen: set[int] = set()
    for package in ("", *(f".{name}" for name in bloxdb._PACKAGES)):
        module = importlib.import_module(f"bloxdb{package}")
        for name in getattr(module, "__all__", ()):
            found = getattr(module, name)
            if id(found) in seen or not (inspect.isclass(found) or inspect.isfunction(found)):
                continue
            seen.add(id(found))
            label = f"compat.{name}" if found.__module__.startswith("bloxdb.compat") else name
            yield label, found
            for key, member in vars(found).items() if inspect.isclass(found) else ():
                is_public = key == "__call__" or not key.startswith("_")
                if is_public and isinstance(member, types.FunctionType | classmethod | staticmethod):
                    yield f"{label}.{key}", getattr(found, key)


def parameters_of(entry: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of an entry by name; none where Python knows no signature."""
    try:
        return dict(inspect.signature(entry).parameters)
    except ValueError:
        return {}


INFINITE = "is infinite; write nan where nothing was measured"
BAD: list[tuple[Measure, float, str]] = [
    *((measure, value, INFINITE) for measure in MEASURES for value in (math.inf, -math.inf)),
    *(
        (measure, value, "is outside 0 … 100 percent")
        for measure in MEASURES
        if measure.unit == "percent"
        for value in (-1.0, 100.5)
    ),
    *((measure, -1.0, "is negative") for measure in MEASURES if measure.unit != "percent"),
]
"""Values that measures cannot have, and what is wrong with each."""
