"""The column types of `.blox`: their names, their sizes, and which one a column needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bloxdb.codecs import _blox
from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind, images_counted, is_list, measure_of
from bloxdb.codecs.header import Header
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError
from bloxdb.measures import MICRO, MILLI, Array, to_fixed, to_floats

MAX_TEXT = 1 << 20
"""Bytes of one `utf8` value at the most: a limit of ours, so that a bomb cannot hide in one."""

_MAX_LOW = 32_767
_MAX_BITS = 24
_NAME = re.compile(r"(b|m)_(\d{1,6})_(\d{1,6})_(\d{1,2})|hash|str|int|float|arch|f64|utf8")
_LIST = re.compile(r"list(16)?\[([^\[\]]+)\]")
_BYTES = {"hash": 16, "int": 4, "float": 3, "arch": 3, "f64": 8}
_TEXT_SIZES = {"str": -1, "utf8": -2}
_ALLOWED = {
    Kind.HASH: {"hash"},
    Kind.ARCH: {"arch"},
    Kind.INT: {"int"},
    Kind.TEXT: {"str", "utf8"},
    Kind.ACCURACY: {"b", "m", "float", "f64"},
    Kind.FLOAT: {"float", "f64"},
}


@dataclass(frozen=True)
class FieldType:
    """A column type: `base` is ``'b'``, ``'m'`` or a plain name, `prefix` the bytes of a list's length.

    `low`, `high` and `bits` belong to ``'b'`` and ``'m'``; a ``'float'`` is 24 bits from 0.
    """

    base: str
    low: int = 0
    high: int = 2**24 - 1
    bits: int = 24
    prefix: int = 0

    def __str__(self) -> str:
        name = f"{self.base}_{self.low}_{self.high}_{self.bits}" if self.is_range else self.base
        return {0: name, 1: f"list[{name}]", 2: f"list16[{name}]"}[self.prefix]

    @property
    def is_range(self) -> bool:
        """Whether it is a bit field with a range of its own."""
        return self.base in ("b", "m")

    @property
    def is_bits(self) -> bool:
        """Whether values are held as integers of less than a whole number of words."""
        return self.is_range or self.base == "float"

    @property
    def is_extension(self) -> bool:
        """Whether the original reader rejects it."""
        return self.base in ("m", "f64", "utf8") or self.prefix == 2

    def field_size(self, epochs: int) -> int:
        """Bytes of a field with its padding; -1 and -2 for texts with a u8 and a u32 length."""
        if self.base in _TEXT_SIZES:
            return _TEXT_SIZES[self.base]
        count = epochs if self.prefix else 1
        if self.is_range:
            return self.prefix + (count * self.bits + 7) // 8
        return self.prefix + count * _BYTES[self.base]

    def array_size(self, epochs: int) -> int:
        """Bytes that a field takes in a `Table`, or, of a text, a reference to it."""
        count = epochs if self.prefix else 1
        return {"hash": 16, "arch": 15}.get(self.base) or count * (4 if self.is_bits else 8)

    def least_size(self, epochs: int) -> int:
        """Bytes that the smallest field of this type has."""
        return {"str": 1, "utf8": 4}.get(self.base) or self.field_size(epochs)

    def most_size(self, epochs: int) -> int:
        """Bytes that the largest field of this type has."""
        return {"str": 256, "utf8": 4 + MAX_TEXT}.get(self.base) or self.field_size(epochs)


def parse_types(header: Header, column_types: Mapping[str, str]) -> dict[str, FieldType]:
    """The types that a header declares, checked against the columns they are for."""
    return {name: _parse(name, column_types[name], header.epochs) for name in header.columns}


def _parse(name: str, text: str, epochs: int | None) -> FieldType:
    prefix = 0
    element = text
    if listed := _LIST.fullmatch(text):
        prefix, element = (2 if listed[1] else 1), listed[2]
    match = _NAME.fullmatch(element)
    if match is None:
        raise BloxFormatError(f"unknown column type {text[:60]!r}", column=name)
    base = match[1] or element
    if base not in _ALLOWED[COLUMNS[name]] or bool(prefix) != is_list(name):
        raise BloxFormatError(
            f"type {text!r} does not fit a column that holds {COLUMNS[name].value}", column=name
        )
    if prefix and epochs is not None and epochs >= 1 << (8 * prefix):
        raise BloxFormatError(f"a {text!r} cannot hold {counted(epochs, 'epoch')}", column=name)
    if base not in ("b", "m"):
        return FieldType(base, prefix=prefix)
    low, high, bits = int(match[2]), int(match[3]), int(match[4])
    top = images_counted(name) if base == "b" else 100 * MILLI
    if not (low <= high <= top and 1 <= bits <= _MAX_BITS):
        raise BloxFormatError(f"type {text!r} has an impossible range", column=name)
    return FieldType(base, low, high, bits, prefix)


def counts_to_milli(counts: npt.NDArray[np.int32], images: int) -> npt.NDArray[np.int32]:
    """Thousandths of a percent, rounded as ``round(count / images * 100, 3)`` rounds them."""
    numerator = 100 * MILLI
    shared = int(np.gcd(numerator, images))
    return (counts * np.int32(numerator // shared) + images // shared // 2) // np.int32(images // shared)


def milli_to_counts(milli: npt.NDArray[np.int32], images: int) -> npt.NDArray[np.int32] | None:
    """Counts of correct images, or None where some value is not the share of a count."""
    known = counts_to_milli(np.arange(images + 1, dtype=np.int32), images)
    flat = np.ascontiguousarray(milli).ravel()
    counts = np.empty_like(flat)
    found = _blox.find_counts(flat, images / (100 * MILLI), known, counts)
    return counts.reshape(milli.shape) if found else None


def choose(name: str, array: Array, epochs: int | None) -> tuple[FieldType, Array]:
    """The first type that holds a column exactly, and the values to write with it.

    The original's own types come first. Measures come back as int32 for bit fields and as float64 for
    ``f64``; everything else comes back as it is.
    """
    kind = COLUMNS[name]
    prefix = 0 if not is_list(name) else (1 if (epochs or 0) <= 255 else 2)
    if kind is Kind.TEXT:
        short = all(len(text) <= 255 and text.isascii() for text in set(array.tolist()))
        return FieldType("str" if short else "utf8"), array
    if kind is Kind.INT and np.any(array >= 2**32):
        row = int(np.flatnonzero(array >= 2**32)[0])
        raise BloxFormatError(
            f"{array[row]} is too large for .blox, which holds whole numbers below 2^32",
            row=row,
            column=name,
        )
    if kind not in MEASURED:
        return FieldType({Kind.HASH: "hash", Kind.ARCH: "arch", Kind.INT: "int"}[kind]), array
    is_milli = kind is Kind.ACCURACY and array.dtype == np.int32 and measure_of(name).scale == MILLI
    if is_milli:
        counts = milli_to_counts(array, images_counted(name))
        if counts is not None:
            return _range("b", name, counts, prefix), counts
    is_micro = array.dtype == np.int32 and measure_of(name).scale == MICRO
    micro = array if is_micro else to_fixed(_floats(name, array), MICRO)
    if micro is not None and (micro.size == 0 or 0 <= micro.min() <= micro.max() < 2**24):
        return FieldType("float", prefix=prefix), micro
    if is_milli:
        return _range("m", name, array, prefix), array
    return FieldType("f64", prefix=prefix), _floats(name, array)


def _floats(name: str, array: Array) -> Array:
    return array if array.dtype == np.float64 else to_floats(array, measure_of(name).scale)


def _range(base: str, name: str, numbers: npt.NDArray[np.int32], prefix: int) -> FieldType:
    """The narrowest range that the original reader takes."""
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    low = min(low, _MAX_LOW)
    bits = max(1, (high - low).bit_length())
    if base == "b" and name.startswith("test_"):
        bits = -(-bits // 8) * 8  # the original stores single test accuracies in whole bytes
    return FieldType(base, low, high, bits, prefix)
