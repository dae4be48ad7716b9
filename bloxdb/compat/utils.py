"""Nested lists: flat, counted, and in the structure of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bloxdb.counts import counted

__all__ = ["copy_structure", "count", "flatten"]


def flatten(nested: Any) -> list[Any]:
    """The values of nested lists and tuples, in order.

    Parameters
    ----------
    nested
        Lists or tuples in one another, or a single value.

    Returns
    -------
    list
        The values.

    Examples
    --------
    >>> flatten([[[0], [0, 1, 0, 0]], [[2], [1, 1, 1, 0]]])
    [0, 0, 1, 0, 0, 2, 1, 1, 1, 0]
    """
    return list(_leaves(nested))


def copy_structure(values: Any, structure: Any) -> Any:
    """Values in the structure of other nested lists.

    Parameters
    ----------
    values
        As many values as `structure` has, flat or nested in whatever way.
    structure
        Nested lists or tuples; their values do not matter.

    Returns
    -------
    list
        The values, nested as `structure` is.

    Raises
    ------
    ValueError
        There are more or fewer values.

    Examples
    --------
    >>> copy_structure([2, 1, 1, 0, 1], [[0], [0, 1, 0, 0]])
    [[2], [1, 1, 0, 1]]
    """
    flat = flatten(values)
    if len(flat) != count(structure):
        given = counted(len(flat), "value is", "values are")
        raise ValueError(f"the structure has {counted(count(structure), 'place')}, but {given} there")
    return _filled(iter(flat), structure)


def count(nested: Any) -> int:
    """How many values nested lists and tuples have.

    Parameters
    ----------
    nested
        Lists or tuples in one another, or a single value.

    Examples
    --------
    >>> count([[[0], [0, 1, 0, 0]], [[2], [1, 1, 1, 0]]])
    10
    """
    return sum(1 for _ in _leaves(nested))


def _leaves(nested: Any) -> Iterator[Any]:
    if isinstance(nested, list | tuple):
        for part in nested:
            yield from _leaves(part)
    else:
        yield nested


def _filled(values: Iterator[Any], structure: Any) -> Any:
    if isinstance(structure, list | tuple):
        return [_filled(values, part) for part in structure]
    return next(values)
