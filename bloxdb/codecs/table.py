"""The narrow waist between files and the database: a header and NumPy columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.codecs.columns import COLUMNS, SCALES, Kind, is_list
from bloxdb.codecs.header import Header
from bloxdb.errors import BloxFormatError, InvalidArchError
from bloxdb.measures import MILLI, Array, compact, to_floats
from bloxdb.space import NUM_ARCHS, parse

_WORTH_THREADS = 100_000  # values of a column
_HEX_DIGITS = frozenset("0123456789abcdef")


class Table:
    """One release file in memory.

    Parameters
    ----------
    header
        What the file says of itself; `header.columns` gives the order of the columns.
    columns
        An array a column, ``n`` rows each, ``E = header.epochs``:

        ===========  ==========================================================================
        hash         uint8 (n, 16), as the hex digits spell them
        arch         uint8 (n, 3, 5): op1, op2, prev, input, skip of each cell
        int          int64 (n,)
        text         object (n,) of str
        accuracy     (n,) or (n, E): int32 thousandths of a percent, or float64 percent
        float        (n,) or (n, E): int32 millionths, or float64 as it is
        ===========  ==========================================================================

        Float64 measures are turned into int32 where that is exact. NaN means 'not measured'.

    Raises
    ------
    BloxFormatError
        A column is missing, has the wrong shape or type, or holds what no such column can; or one
        architecture has two rows.
    """

    def __init__(self, header: Header, columns: Mapping[str, Array]) -> None:
        if set(columns) != set(header.columns):
            raise BloxFormatError("the columns are not those that the header names")
        self.header = header
        self.columns: dict[str, Array] = {}
        for name in header.columns:
            kind = COLUMNS[name]
            array = compact(columns[name], SCALES[kind]) if kind in SCALES else columns[name]
            self._check(name, array)
            self.columns[name] = array
        self._check_keys()

    @classmethod
    def from_rows(cls, header: Header, rows: Iterable[Sequence[Any]]) -> Table:
        """Build a table from rows such as `rows` gives.

        Raises
        ------
        BloxFormatError
            A value is not what its column holds; the error names row and column.
        """
        listed = list(rows)
        for i, row in enumerate(listed):
            if not isinstance(row, list | tuple) or len(row) != len(header.columns):
                raise BloxFormatError(f"a row must be a list of {len(header.columns)} values", row=i)
        columns = {
            name: column_of(name, [row[c] for row in listed], header.epochs or 0)
            for c, name in enumerate(header.columns)
        }
        return cls(header, columns)

    def __len__(self) -> int:
        return len(self.columns["model_hash"])

    def __repr__(self) -> str:
        return f"<Table {self.header.stem}: {len(self)} rows of {', '.join(self.header.columns)}>"

    def __getitem__(self, name: str) -> Array:
        """The stored array of a column; measures may be fixed point, see `values`."""
        return self.columns[name]

    def values(self, name: str) -> Array:
        """A column in its natural units: percent and losses as float64."""
        array = self.columns[name]
        kind = COLUMNS[name]
        if kind in SCALES and array.dtype != np.float64:
            return to_floats(array, SCALES[kind])
        return array

    def rows(self) -> list[list[Any]]:
        """Exactly the rows that the original reader gives: str, int, float and lists."""
        columns = [self._python_column(name) for name in self.header.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def hashes(self) -> list[str]:
        """The `model_hash` of each row as 32 hex digits."""
        text = np.ascontiguousarray(self.columns["model_hash"]).tobytes().hex()
        return [text[i : i + 32] for i in range(0, len(text), 32)]

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        """A table of some of the rows, in the order given."""
        return Table(self.header, {name: array[rows] for name, array in self.columns.items()})

    def sorted(self) -> Table:
        """The same table in the order of its hashes."""
        return self.take(np.argsort(_keys(self.columns["model_hash"]), kind="stable"))

    def difference(self, other: Table) -> str | None:
        """The first place where two tables differ, as a sentence; None if they are equal.

        Headers, row order and every value count; two NaN are equal.
        """
        if self.header != other.header:
            return f"headers differ: {self.header} and {other.header}"
        if len(self) != len(other):
            return f"{len(self)} rows and {len(other)} rows"
        for name in self.header.columns:
            a, b = self.columns[name], other.columns[name]
            if a.dtype != b.dtype:
                a, b = self.values(name), other.values(name)
            same = a == b
            if a.dtype == np.float64:
                same |= np.isnan(a) & np.isnan(b)
            if not np.all(same):
                row = int(np.flatnonzero(~same.reshape(len(self), -1).all(axis=1))[0])
                key = self.hashes()[row]
                one, two = (np.asarray(t.values(name)[row]) for t in (self, other))
                at = np.flatnonzero(np.atleast_1d(one != two))[0]
                return (
                    f"row {row} ({key}), column {name}: "
                    f"{np.atleast_1d(one).ravel()[at]} and {np.atleast_1d(two).ravel()[at]}"
                )
        return None

    def _python_column(self, name: str) -> list[Any]:
        if COLUMNS[name] is Kind.HASH:
            return self.hashes()
        if COLUMNS[name] is Kind.ARCH:
            nested = self.columns[name].tolist()
            return [[[[cell[0]], cell[1:]] for cell in vec] for vec in nested]
        listed: list[Any] = self.values(name).tolist()
        return listed

    def _check(self, name: str, array: Array) -> None:
        kind = COLUMNS[name]
        tail: tuple[int, ...] = ()
        if kind is Kind.HASH:
            tail = (16,)
        elif kind is Kind.ARCH:
            tail = (3, 5)
        elif is_list(name):
            tail = (self.header.epochs or 0,)
        dtypes: dict[Kind, tuple[Any, ...]] = {
            Kind.HASH: (np.uint8,),
            Kind.ARCH: (np.uint8,),
            Kind.INT: (np.int64,),
            Kind.TEXT: (np.object_,),
        }
        if array.dtype not in dtypes.get(kind, (np.int32, np.float64)) or array.shape[1:] != tail:
            raise BloxFormatError(
                f"a column of shape {array.shape} and type {array.dtype} does not hold "
                f"{len(tail) and tail} values of kind {kind.value}",
                column=name,
            )
        _check_values(name, array)

    def _check_keys(self) -> None:
        sizes = {name: len(array) for name, array in self.columns.items()}
        if len(set(sizes.values())) > 1:
            raise BloxFormatError(f"the columns have different lengths: {sizes}")
        if len(self) > NUM_ARCHS:
            raise BloxFormatError(
                f"{len(self)} rows are more than the {NUM_ARCHS} architectures that there are"
            )
        keys = np.sort(_keys(self.columns["model_hash"]))
        if np.any(keys[1:] == keys[:-1]):
            twice = keys[1:][keys[1:] == keys[:-1]][0].ljust(16, b"\0").hex()
            raise BloxFormatError(
                f"architecture {twice} has two rows; keep one of them",
                row=[i for i, key in enumerate(self.hashes()) if key == twice][1],
                column="model_hash",
            )


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
        raise BloxFormatError(f"{rows} rows of {epochs} epochs cannot be told in {size} bytes")


def _keys(hashes: Array) -> Array:
    """Hashes as one sortable item each; NumPy drops an item's last zero bytes when it shows it."""
    return np.ascontiguousarray(hashes).view("S16").ravel()


def _check_values(name: str, array: Array) -> None:
    """Refuse values that no such column can hold."""
    kind = COLUMNS[name]
    if array.size and array.dtype == np.int32 and array.min() >= 0 and array.max() <= 100 * MILLI:
        return
    if kind is Kind.ACCURACY:
        top = 100.0 if array.dtype == np.float64 else 100 * SCALES[kind]
        bad, problem = (array < 0) | (array > top), "an accuracy is outside 0 … 100 percent"
    elif kind is Kind.INT:
        bad, problem = array < 0, "the number is negative"
    elif kind is Kind.ARCH:
        bad = array > np.array([2, 2, 1, 1, 1], dtype=np.uint8)
        problem = "the vector is outside the search space"
    else:
        return
    if np.any(bad):
        raise BloxFormatError(problem, row=int(np.argwhere(bad)[0][0]), column=name)


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
        return np.frombuffer(b"".join(converted), dtype=np.uint8).reshape(-1, 16)
    if kind is Kind.ARCH:
        return np.array(converted, dtype=np.uint8).reshape(-1, 3, 5)
    if kind is Kind.TEXT:
        texts = np.empty(len(converted), dtype=object)
        texts[:] = converted
        return texts
    if kind is Kind.INT:
        return np.array(converted, dtype=np.int64)
    array = np.array(converted, dtype=np.float64)
    return array.reshape(-1, epochs) if is_list(name) else array


def _hash_bytes(value: object) -> bytes:
    if not isinstance(value, str) or len(value) != 32 or not _HEX_DIGITS.issuperset(value):
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
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"expected a whole number below 2^63, not {_short(value)}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, not {_short(value)}")
    return value


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, not {_short(value)}")
    number = float(value)
    if isinstance(value, int) and int(number) != value:
        raise ValueError(f"{_short(value)} has more digits than a float can hold")
    return number


def _floats_of_length(epochs: int) -> Callable[[object], list[float]]:
    def convert(value: object) -> list[float]:
        if not isinstance(value, list | tuple) or len(value) != epochs:
            size = f"{len(value)} values" if isinstance(value, list | tuple) else _short(value)
            raise ValueError(f"expected a list of {epochs} numbers, one an epoch, not {size}")
        return [_float(item) for item in value]

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
