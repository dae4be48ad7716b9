"""What a caller gives, of whatever type a notebook has it, as what the rest of bloxdb reckons with.

A number out of a data frame is one of NumPy's or of pandas', and a database that gets such a number as it is
compares it as something else and answers wrongly. So each public entry passes its numbers through here.
"""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, SupportsFloat, TypeGuard

import numpy as np

from bloxdb.errors import QueryError, spelled, storable

LARGEST = 2**63 - 1
"""The largest integer that a database holds."""

MOST = 2**31 - 1
"""The largest count, as of epochs or images: a column of counts has 32 bits on a server."""


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
        raise QueryError(f"{what} is an integer, not {spelled(value)}")
    if not low <= found <= high:
        allowed = f"{low} or more" if found < low and high == LARGEST else f"in {low} … {high}"
        raise QueryError(f"{what} is {allowed}, not {spelled(found)}")
    return found


def digits(text: str) -> int | None:
    """The number that a text of ASCII digits is; None of any other text.

    `str.isdigit` says yes to digits that `int` takes for none, and `int` takes signs, spaces and underscores.

    Parameters
    ----------
    text
        Any text; of more than 18 digits, which a number of 64 bits always has room for, it is no number.

    Examples
    --------
    >>> digits("12"), digits("²"), digits("-1")
    (12, None, None)
    """
    return int(text) if _DIGITS.fullmatch(text) else None


_DIGITS = re.compile(r"[0-9]{1,18}")


def number(value: object, what: str, *, finite: bool = True) -> float | int:
    """A number of any type; an integer that a database can hold stays one.

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
    whole = as_index(value)
    if whole is not None and abs(whole) <= LARGEST:
        return whole
    found = None
    if isinstance(value, SupportsFloat) and not _only_looks_like_a_number(value):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        except _REFUSALS:
            found = math.nan if isinstance(value, Decimal) else None  # a signalling NaN
    if found is None:
        raise QueryError(f"{what} is a number, not {spelled(value)}")
    if finite and not math.isfinite(found):
        raise QueryError(f"{what} is a finite number of at most {sys.float_info.max}, not {spelled(value)}")
    return found


def text(value: object, what: str, *, longest: int | None = None, filled: bool = False) -> str:
    """A text that every database can hold and every file can spell.

    Parameters
    ----------
    value
        What the caller gave.
    what
        What it is, for the error, as ``'a message'``.
    longest
        How many characters there is room for; any number if None.
    filled
        Refuse a blank one.

    Returns
    -------
    str
        The same text.

    Raises
    ------
    QueryError
        It is no text, too long, blank, or has the character NUL or half of a pair of UTF-16.

    Examples
    --------
    >>> text(np.str_("cifar100"), "a data set")
    'cifar100'
    """
    if not isinstance(value, str):
        raise QueryError(f"{what} is a text, not {spelled(value)}")
    if longest is not None and len(value) > longest:
        raise QueryError(f"{what} has at most {longest} characters, not {len(value)}")
    found = str(value)
    if found != storable(found):
        raise QueryError(f"{what} has a character that no database holds: {storable(found)!r:.100}")
    if filled and not found.strip():
        raise QueryError(f"{what} is a text that says something, not {found!r:.100}")
    return found


def of_type(value: object, kind: type, what: str, *, or_none: bool = False) -> None:
    """Refuse a value of another type than is needed.

    Parameters
    ----------
    value
        What the caller gave.
    kind
        The type.
    what
        What it is, for the error, as ``'a run's result'``.
    or_none
        Whether None will do.

    Raises
    ------
    QueryError
        It is of another type.
    """
    if not (isinstance(value, kind) or (or_none and value is None)):
        raise QueryError(f"{what} is a {kind.__name__}{' or None' if or_none else ''}, not {spelled(value)}")


def is_several(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether an argument is several values: a text is one, bytes are, and so is an array without dimensions.

    Parameters
    ----------
    value
        What the caller gave.

    Examples
    --------
    >>> is_several((1, 2)), is_several("12"), is_several(np.array(12))
    (True, False, False)
    """
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes | bytearray | memoryview)
        and getattr(value, "shape", None) != ()
    )


def one_or_more(value: object, what: str) -> list[Any]:
    """An argument that is one value or several, as a list.

    Parameters
    ----------
    value
        What the caller gave.
    what
        What they are, for the error, as ``'paths to import'``.

    Returns
    -------
    list
        One value at least.

    Raises
    ------
    QueryError
        There is none.

    Examples
    --------
    >>> one_or_more("a", "names"), one_or_more(iter("ab"), "names")
    (['a'], ['a', 'b'])
    """
    found = list(value) if is_several(value) else [value]
    if not found:
        raise QueryError(f"there are no {what}: name one, or several")
    return found


def names(value: object, what: str, *, also: str = "") -> list[str]:
    """An argument that is one name or several, as a list in which each stands once.

    Parameters
    ----------
    value
        What the caller gave.
    what
        What they are, for the error, as ``'columns'``.
    also
        What else will do, for the error, as ``', or None for all'``.

    Returns
    -------
    list of str
        The names, in the order in which they were given.

    Raises
    ------
    QueryError
        One is no text.

    Examples
    --------
    >>> names("flops", "columns"), names(("flops", "params", "flops"), "columns")
    (['flops'], ['flops', 'params'])
    """
    found: list[Any] = list(value) if is_several(value) else [value]
    for one in found:
        if not isinstance(one, str):
            raise QueryError(f"{what} are a name, or several{also}, not {spelled(one)}")
    return list(dict.fromkeys(found))


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
    if is_several(epoch):
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
    if shape is not None:
        value = scalar_of(value)
    if isinstance(value, float) and math.isnan(value):
        raise QueryError(
            "a value of a query is not NaN, which no row has and nothing is less than; NULL is None"
        )
    return value


def as_index(value: object) -> int | None:
    """An integer of any type, or of what has an index; None for whatever else.

    Parameters
    ----------
    value
        What the caller gave.
    """
    if type(value) is int:
        return value
    if _only_looks_like_a_number(value):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except _REFUSALS:
        return None


_REFUSALS = (TypeError, ValueError, RuntimeError)
"""What libraries raise for what they cannot turn into a number, such as a tensor without data."""


def _only_looks_like_a_number(value: object) -> bool:
    """Whether it can be made a number and is none: a bool, a text, a date, an array, a masked value."""
    if isinstance(value, bool | str | bytes | complex) or getattr(value, "shape", ()) != ():
        return True
    if hides(value):
        return True
    kind = getattr(value, "dtype", None)
    if isinstance(kind, np.dtype):
        return kind.kind not in "iuf"
    return str(kind).endswith("bool") or "complex" in str(kind)


def hides(value: object) -> bool:
    """Whether an array has masked values, which whoever reads it plainly would take for what lies beneath.

    Parameters
    ----------
    value
        What the caller gave.

    Examples
    --------
    >>> hides(np.ma.array([1, 2], mask=[0, 1])), hides(np.ma.array([1, 2])), hides([1, 2])
    (True, False, False)
    """
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.is_masked(value))


MASKED = "has masked values; give what is known alone, as array.compressed() has it"
"""What is wrong with such an array, as the rest of a sentence."""


def scalar_of(value: Any) -> Any:
    """The scalar of a library as Python has it."""
    if hides(value):
        raise QueryError("a value of a query is not a masked one; NULL is None")
    if isinstance(getattr(value, "dtype", None), np.dtype) and value.dtype.kind in "mM":
        exact = value.astype(f"{value.dtype.kind}8[us]")  # what Python's dates and durations count in
        if exact != value and not np.isnat(value):
            raise QueryError(f"a value of a query has at most microseconds, not {value}")
        return exact.item()
    try:
        found = value.item()
    except _REFUSALS as error:
        raise QueryError(f"a value of a query is one number, text or date, not {spelled(value)}") from error
    return float(found) if isinstance(found, np.floating) else found  # a longdouble stays one
