"""Settings as JSON keeps them: of recipes, and of devices."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bloxdb.arguments import scalar_of, text
from bloxdb.errors import QueryError, spelled

MOST_LEVELS = 64
"""Lists and mappings within one another: whoever reads settings goes down as deep as they are, and Python,
SQLite and readers of Parquet stop at some hundred levels, each at others."""

TOO_DEEP = f"more than {MOST_LEVELS} levels of lists and mappings within one another"


def settings(value: object, what: str) -> dict[str, Any]:
    """Settings by name, as JSON gives them back: tuples are lists, and NumPy's numbers are Python's.

    Parameters
    ----------
    value
        What the caller gave: texts, finite numbers, bools, None, and lists and mappings of them, by text.
    what
        What they are, for the error, as ``'the settings of a recipe'``.

    Returns
    -------
    dict
        The same settings.

    Raises
    ------
    QueryError
        They are no mapping by texts, a value is none of these, or they have more than `MOST_LEVELS`.

    Examples
    --------
    >>> settings({"lr": np.float64(0.1), "steps": (1, 2)}, "the settings of a recipe")
    {'lr': 0.1, 'steps': [1, 2]}
    """
    if not isinstance(value, Mapping):
        raise QueryError(f"{what} are a mapping, not {spelled(value)}")
    try:
        written = json.dumps(_with_texts(value, what), allow_nan=False, default=_json)
    except QueryError:
        raise
    except (TypeError, ValueError) as error:
        raise QueryError(
            f"{what} are texts, finite numbers, bools, None, and lists and mappings of them: {error}"
        ) from error
    found: dict[str, Any] = json.loads(written)
    return found


def is_deep(value: Any) -> bool:
    """Whether what JSON gave has more than `MOST_LEVELS`.

    Parameters
    ----------
    value
        What JSON gave.

    Examples
    --------
    >>> is_deep([[[]]])
    False
    """
    below = [value]
    for _ in range(MOST_LEVELS):
        within = [one for one in below if isinstance(one, dict | list)]
        below = [part for one in within for part in (one.values() if isinstance(one, dict) else one)]
    return any(isinstance(one, dict | list) for one in below)


def _with_texts(value: Any, what: str, left: int = MOST_LEVELS) -> Any:
    """The same with texts that every database holds, and with texts as keys: JSON makes texts of others."""
    if left == 0 and isinstance(value, np.ndarray | list | tuple | Mapping):
        raise QueryError(f"{what} have {TOO_DEEP}")
    if isinstance(value, np.ma.MaskedArray) and np.any(value.mask):
        raise QueryError(f"{what} have a masked value; None is what is not known")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str):
        return text(value, f"a text in {what}")
    if isinstance(value, list | tuple):
        return [_with_texts(one, what, left - 1) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {text(key, f"a name in {what}"): _with_texts(one, what, left - 1) for key, one in value.items()}


def _json(value: object) -> Any:
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return scalar_of(value)
    raise TypeError(f"{spelled(value)} is none")


def without_nan(value: Any) -> Any:
    """What was read as JSON, as JSON has it: NaN and infinities, which SQL may have stored, are None."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
