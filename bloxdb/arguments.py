"""What a caller gives, of whatever type a notebook has it, as what the rest of bloxdb reckons with.

A number out of a data frame is one of NumPy's or of pandas', and a database that gets such a number as it is
compares it as something else and answers wrongly. So each public entry passes its numbers through here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, SupportsFloat

import numpy as np

from bloxdb.errors import QueryError

LARGEST = 2**63 - 1
"""The largest integer that a database holds."""


def integer(value: object, what: str, *, low: int = -LARGEST - 1, high: int = LARGEST) -> int:
    """An integer of any type: Python's, NumPy's, an array or a tensor without dimensions.

    Parameters
    ----------
    value
        What the caller gave; a bool, a float or a text is no integer.
    what
        What it is, for the error, as ``'an epoch'``.
    low, high
        The least and the greatest that it may be.

    Returns
    -------
    int
        The same number.

    Raises
    ------
    QueryError
        It is no integer, or out of range.

    Examples
    --------
    >>> integer(np.uint8(3), "an epoch")
    3
    """
    found = as_index(value)
    if found is None:
        raise QueryError(f"{what} is an integer, not {value!r}")
    if not low <= found <= high:
        allowed = f"{low} or more" if found < low and high == LARGEST else f"in {low} … {high}"
        raise QueryError(f"{what} is {allowed}, not {found}")
    return found


def number(value: object, what: str, *, finite: bool = True) -> float | int:
    """A number of any type; an integer stays one.

    Parameters
    ----------
    value
        What the caller gave; a bool or a text is no number.
    what
        What it is, for the error, as ``'max_flops'``.
    finite
        Refuse NaN and infinities.

    Returns
    -------
    float or int
        The same number.

    Raises
    ------
    QueryError
        It is no number, or one that is refused.

    Examples
    --------
    >>> number(np.float32(2.5), "max_flops")
    2.5
    """
    found: float | int | None = as_index(value)
    if found is None and isinstance(value, SupportsFloat) and not _is_no_scalar(value):
        found = float(value)
    if found is None:
        raise QueryError(f"{what} is a number, not {value!r}")
    if finite and not math.isfinite(found):
        raise QueryError(f"{what} is a finite number, not {found}")
    return found


def listed_epochs(epoch: int | Iterable[int] | None, last: int) -> int | list[int]:
    """An epoch, or several, as integers; the last if None.

    Parameters
    ----------
    epoch
        What the caller gave.
    last
        How many epochs there are.

    Returns
    -------
    int or list of int
        The same, each from 1 to `last`.

    Raises
    ------
    QueryError
        There is no such epoch.
    """
    if epoch is None:
        return last
    if isinstance(epoch, Iterable) and not isinstance(epoch, str) and getattr(epoch, "shape", None) != ():
        return [integer(one, "an epoch", low=1, high=last) for one in epoch]
    return integer(epoch, "an epoch", low=1, high=last)


def plain(value: Any) -> Any:
    """A value for a query as Python has it, where it is a scalar of NumPy, pandas or a tensor library.

    Parameters
    ----------
    value
        Any value; what is no such scalar is given back as it is.

    Returns
    -------
    Any
        A Python number, text or date, or the value itself.

    Raises
    ------
    QueryError
        It is an array, which a driver would take for its bytes.
    """
    shape = getattr(value, "shape", None)
    if shape:
        raise QueryError(
            f"a value of a query is one number, text or date, not an array of shape {tuple(shape)}"
        )
    if shape is None:
        return value
    found = value.item()
    return float(found) if isinstance(found, np.floating) else found  # a longdouble stays one


def as_index(value: object) -> int | None:
    """An integer of any type, or of what has an index; None for whatever else.

    Parameters
    ----------
    value
        What the caller gave.
    """
    if type(value) is int:
        return value
    if _is_no_scalar(value):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _is_no_scalar(value: object) -> bool:
    """Whether it only looks like a number: a bool of any library, or an array of one."""
    is_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    return is_bool or getattr(value, "shape", ()) != ()
