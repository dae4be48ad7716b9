"""Columns of numbers as one compressed piece of bytes, which a page makes typed arrays of without looking.

Inflated (gzip), it is: the length of a header, uint32; the header, JSON in UTF-8, with spaces at its end; the
columns, each beginning at a multiple of eight bytes. All numbers are little-endian. The header has what its
writer wants to say, and ``columns``, a list of objects: ``name``; ``type``, ``int32``, ``float32`` or
``float64``; ``scale``, by which an integer is divided; ``at``, the byte from the end of the header on at
which it begins; ``length``; ``steps``, whether each integer is what is added to the one before.

A measure is an integer of its last decimal wherever that is exact, as it is in the database. The page then
has the very number that SQL gives, and the bytes compress well; means are float32 where that has their first
7 digits, and float64 otherwise. `ABSENT` stands for what was not measured.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bloxdb.measures import Array, to_fixed

ABSENT = int(np.iinfo(np.int32).min)
"""The integer that stands for what was not measured; among floats that is NaN."""

_LEVEL = 6  # of gzip: 9 takes four times as long for 1 % less
_ALIGNED = 8
_HALF_STEP = float(np.finfo(np.float32).eps) / 2  # by which rounding changes a number of its usual range


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    values
        Float64 (n,), NaN for what was not measured, or integers.
    scale
        How many integers a unit has.
    steps
        Whether the differences are written, which is small where integers ascend.
    exact
        Whether what no integer of this scale holds is written as float64; otherwise as float32, if that has
        each value to its 7 digits.
    """

    values: Array
    scale: int = 1
    steps: bool = False
    exact: bool = True

    def encoded(self) -> Array:
        """The numbers as they are written."""
        values = self.values.astype(np.float64)
        absent = np.isnan(values)
        fixed = to_fixed(np.where(absent, 0.0, values), self.scale)
        if fixed is None:
            return _floats(values, self.exact)
        fixed[absent] = ABSENT
        return (np.diff(fixed, prepend=np.int32(0)) if self.steps else fixed).astype("<i4")


def _floats(values: Array, is_exact: bool) -> Array:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # what overflows, is next to nothing or infinite is found below
        short = values.astype("<f4")
        holds = np.abs(short - values) <= np.abs(values) * _HALF_STEP
    is_short = not is_exact and bool(np.all(holds | np.isnan(values)))
    return short if is_short else values.astype("<f8")


def pack(columns: Mapping[str, Column], **said: Any) -> bytes:
    """Columns, and what is said of them.

    Parameters
    ----------
    columns
        The columns by name.
    **said
        What else stands in the header; anything that JSON has.

    Returns
    -------
    bytes
        What the page reads, compressed; the same for the same columns.
    """
    about, parts, at = [], [], 0
    for name, column in columns.items():
        encoded = column.encoded()
        data = encoded.tobytes()
        about.append(
            {
                "name": name,
                "type": encoded.dtype.name,
                "scale": column.scale if encoded.dtype.kind == "i" else 1,
                "at": at,
                "length": len(encoded),
                "steps": column.steps and encoded.dtype.kind == "i",
            }
        )
        parts.append(data + bytes(-len(data) % _ALIGNED))
        at += len(parts[-1])
    header = json.dumps({**said, "columns": about}, allow_nan=False).encode()
    header += b" " * (-(4 + len(header)) % _ALIGNED)
    whole = b"".join([len(header).to_bytes(4, "little"), header, *parts])
    return gzip.compress(whole, _LEVEL, mtime=0)
