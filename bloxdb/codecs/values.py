"""Values of columns: Python values to arrays, what each kind may hold, and how many can honestly be told."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bloxdb.arguments import LARGEST
from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind, is_list, measure_of
from bloxdb.codecs.header import Header
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError, InvalidArchError
from bloxdb.measures import NEEDED, NOT_MEASURED, Array, check
from bloxdb.space.cells import FIELDS, LIMITS, NUM_ARCHS, STAGES, parse
from bloxdb.space.keys import DIGEST_SIZE

INTEGER_AT_MOST = 16
"""Bytes of a whole number: twice those that a database holds, so that whoever refuses one can show it."""

TOO_MANY_DIGITS = "a whole number of so many digits does not belong here"
"""What is said of a number that is too long to be shown."""


_BITS = 8 * INTEGER_AT_MOST - 1  # beside the sign
_DIGITS = len(f"-{2**_BITS}\n")  # of the longest one, with a sign and the end of its line
_WORTH_THREADS = 100_000  # values of a column
_HEX_DIGITS = frozenset("0123456789abcdef")
_LISTS_WITHIN = {Kind.ARCH: 3}  # stages, nodes, operation and inputs


def whole_number(digits: str | bytes) -> int | None:
    """The whole number that is spelt; None where it has more than `INTEGER_AT_MOST` bytes.

    Parameters
    ----------
    digits
        Its digits, perhaps with a sign before and the end of a line after them.

    Examples
    --------
    >>> whole_number("17"), whole_number("9" * 39)
    (17, None)
    """
    if len(digits) > _DIGITS:
        return None
    number = int(digits)
    return number if -(2**_BITS) <= number < 2**_BITS else None


def read_columns(header: Header, rows: int, column: Callable[[int, str], Array]) -> dict[str, Array]:
    """What `column` gives for the position and the name of each column.

    Several at once where there are many rows: the kernels hold no lock.
    """
    names = header.columns
    if rows * (header.epochs or 1) < _WORTH_THREADS:
        return {name: column(c, name) for c, name in enumerate(names)}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(names, pool.map(column, range(len(names)), names), strict=True))


def check_size(header: Header, rows: int, size: int) -> None:
    """Refuse rows whose values, a byte each at the least, cannot all be in `size` bytes.

    Reading makes arrays of rows times epochs. A header may lie about epochs, and a pickle may name one list
    many times.
    """
    if rows > NUM_ARCHS:
        raise BloxFormatError(f"{rows} rows are more than the {NUM_ARCHS} architectures that there are")
    lists = sum(is_list(name) for name in header.columns)
    epochs = header.epochs or 0
    if rows * (len(header.columns) + lists * epochs) > size:
        many = f"{counted(rows, 'row')} of {counted(epochs, 'epoch')}"
        raise BloxFormatError(f"{many} cannot be told in {counted(size, 'byte')}")


class Unfolding:
    """The lists of one column as they are copied out of a pickle, which can name one list many times and so
    say much in few bytes.

    Parameters
    ----------
    header
        Says how many epochs a curve has.
    column
        The name of the column.
    size
        The bytes of the pickle; an item takes one at the least.
    """

    def __init__(self, header: Header, column: str, size: int) -> None:
        self.column = column
        self._epochs = header.epochs or 0
        self._size = self._left = size

    def take(self, count: int, depth: int, row: int) -> None:
        """Refuse a list of so many items, within so many others, before anything of it is copied."""
        kind, is_curve = COLUMNS[self.column], is_list(self.column)
        most = 1 if is_curve else _LISTS_WITHIN.get(kind, 0)
        self._left -= count
        if most == 0:
            problem = f"a list of {count} stands where one value is due: {kind.value}"
        elif depth >= most:
            problem = "lists within " * most + "lists do not belong here"
        elif is_curve and count != self._epochs:
            problem = _not_of_length(self._epochs, counted(count, "value"))
        elif self._left < 0:
            problem = f"the lists up to here say more than {self._size} bytes can hold"
        else:
            return
        raise BloxFormatError(problem, row=row, column=self.column)


def check_values(name: str, array: Array) -> None:
    """Refuse values that no such column can hold."""
    kind = COLUMNS[name]
    if kind is Kind.ARCH:
        bad = array >= np.array(LIMITS, dtype=np.uint8)
        for place in np.argwhere(bad)[:1].tolist():
            raise BloxFormatError("the vector is outside the search space", row=place[0], column=name)
    elif kind is Kind.INT or kind in MEASURED:
        check(array, measure_of(name))


def column_of(name: str, values: list[Any], epochs: int) -> Array:
    """Python values of one column as an array; `BloxFormatError` names the first that does not belong."""
    kind = COLUMNS[name]
    convert = _CONVERTERS[kind] if not is_list(name) else _floats_of_length(epochs)
    converted: list[Any] = []
    for i, value in enumerate(values):
        try:
            converted.append(convert(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise BloxFormatError(str(error), row=i, column=name) from error
    if kind is Kind.HASH:
        return np.frombuffer(b"".join(converted), dtype=np.uint8).reshape(-1, DIGEST_SIZE)
    if kind is Kind.ARCH:
        return np.array(converted, dtype=np.uint8).reshape(-1, STAGES, len(FIELDS))
    if kind is Kind.TEXT:
        texts = np.empty(len(converted), dtype=object)
        texts[:] = converted
        return texts
    if kind is Kind.INT:
        return np.array(converted, dtype=np.int64)
    array = np.array(converted, dtype=np.float64)
    return array.reshape(-1, epochs) if is_list(name) else array


def _hash_bytes(value: object) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * DIGEST_SIZE or not _HEX_DIGITS.issuperset(value):
        raise ValueError(f"a model hash is 32 digits 0-9 a-f, not {_short(value)}")
    return bytes.fromhex(value)


def _arch_cells(value: object) -> tuple[tuple[int, ...], ...]:
    if isinstance(value, str):
        raise ValueError(f"an architecture vector is nested lists, not {_short(value)}")
    try:
        return parse(value)
    except InvalidArchError as error:
        raise ValueError(str(error)) from error


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        is_negative = isinstance(value, int) and value < 0
        allowed = "of 0 or more" if is_negative else "below 2^63"
        is_absent = value is None or (isinstance(value, float) and math.isnan(value))
        advice = f": {NEEDED}" if is_absent else ""
        raise ValueError(f"expected a whole number {allowed}, not {_short(value)}{advice}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, not {_short(value)}")
    return value


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        advice = f"; {NOT_MEASURED}" if value is None else ""
        raise ValueError(f"expected a number, not {_short(value)}{advice}")
    number = float(value)
    if isinstance(value, int) and int(number) != value:
        raise ValueError(f"{_short(value)} has more digits than a float can hold")
    return number


def _not_of_length(epochs: int, found: str) -> str:
    return f"expected a list of {counted(epochs, 'number')}, one an epoch, not {found}"


def _floats_of_length(epochs: int) -> Callable[[object], list[float]]:
    def convert(value: object) -> list[float]:
        if not isinstance(value, list | tuple) or len(value) != epochs:
            size = counted(len(value), "value") if isinstance(value, list | tuple) else _short(value)
            raise ValueError(_not_of_length(epochs, size))
        floats = []
        for place, item in enumerate(value, start=1):
            try:
                floats.append(_float(item))
            except (ValueError, OverflowError) as error:
                raise ValueError(f"value {place} of {epochs}: {error}") from error
        return floats

    return convert


def _short(value: object) -> str:
    """A value as it may stand in a message, however large it is."""
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of very many digits"
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}…"


_CONVERTERS: dict[Kind, Callable[[object], Any]] = {
    Kind.HASH: _hash_bytes,
    Kind.ARCH: _arch_cells,
    Kind.INT: _whole,
    Kind.TEXT: _text,
    Kind.ACCURACY: _float,
    Kind.FLOAT: _float,
}
