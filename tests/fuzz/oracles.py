"""Slow, plain decoders of the three formats, which share nothing with the readers that they judge.

Each gives the rows of a file, or raises whatever it likes: what a reader takes, its oracle must take too, with
the same values. What a reader refuses is not judged, but for honest files. `.csv` and `.pickle` are read by the
standard library, the pickles with nothing that could be called but what numbers are made of.
"""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import pickletools
import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import yaml

from tests.codecs.reference import WrongError

LISTS = ("val_top1", "train_top1", "train_loss", "train_top5", "val_loss", "val_top5")
PERCENT = ("val_top1", "test_top1", "train_top1", "train_top5", "val_top5", "test_top5")
WHOLE = ("params", "flops", "train_time_s")
FLOATS = (*PERCENT, "train_loss", "val_loss", "test_loss", "latency")
_SCALARS = {
    "numpy.core.multiarray.scalar": np._core.multiarray.scalar,  # type: ignore[attr-defined]
    "numpy._core.multiarray.scalar": np._core.multiarray.scalar,  # type: ignore[attr-defined]
    "numpy.dtype": np.dtype,
    "_codecs.encode": lambda text, encoding="latin-1": text.encode("latin-1"),
}


_OBJECTS = {"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "OBJ", "GLOBAL", "STACK_GLOBAL", "BINPERSID", "EXT1"}


def mapping_of(head: bytes) -> dict[str, Any]:
    """The header as YAML's plain texts, lists and mappings."""
    text = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").decode()
    found = yaml.load(text[4 : text.index("\n---\n", 3) + 1], yaml.CBaseLoader)
    if not isinstance(found, dict):
        raise WrongError("the header is no mapping")
    return found


class _Guarded(pickle.Unpickler):
    """Python's own, which may call nothing but what makes NumPy's numbers."""

    def find_class(self, module: str, name: str) -> Any:
        found = _SCALARS.get(f"{module}.{name}".replace("numpy.core.numeric", "numpy._core.numeric"))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return found

    def persistent_load(self, pid: object) -> Any:
        raise pickle.UnpicklingError("it asks for an object of its own")


def pickle_rows(body: bytes, columns: Sequence[str]) -> list[list[Any]] | None:
    """Rows of the body of a `.pickle` file; None where Python does not even make its objects."""
    parts = list(pickletools.genops(body))
    places = [at or 0 for _, _, at in parts]
    if places[-1] + 1 != len(body):
        raise WrongError("bytes are left")
    ends = [*places[1:], len(body)]
    unframed = b"".join(  # frames say how a stream is read, and nothing of what it holds
        body[a:b] for (opcode, _, _), a, b in zip(parts, places, ends, strict=True) if opcode.name != "FRAME"
    )
    try:
        found = _Guarded(io.BytesIO(unframed), encoding="latin-1").load()
    except WrongError:
        raise
    except Exception:
        if _OBJECTS.isdisjoint(opcode.name for opcode, _, _ in parts):
            raise
        return None  # it does something to an object that nobody asks for afterwards
    return [_row(row, columns) for row in _a_list(found)]


def _a_list(value: object) -> list[Any]:
    if type(value) is not list:
        raise WrongError(f"{value!r:.60} is no list")
    return value


def _row(row: object, columns: Sequence[str]) -> list[Any]:
    values = _a_list(row)
    if len(values) != len(columns):
        raise WrongError("a row of another length")
    return [_number(_unscaled(value), name) for value, name in zip(values, columns, strict=True)]


def _unscaled(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, list):
        return [_unscaled(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _number(value: Any, name: str) -> Any:
    """Whole numbers where a float is due count as the same."""
    if name in LISTS and isinstance(value, list):
        return [_number(item, "loss") for item in value]
    if (name in FLOATS or name == "loss") and type(value) is int:
        if int(float(value)) != value:
            raise WrongError("a whole number that no float holds")
        return float(value)
    return value


def csv_rows(body: bytes, columns: Sequence[str]) -> list[list[Any]]:
    """Rows of the body of a `.csv` file."""
    rows = []
    csv.field_size_limit(1 << 20)
    for fields in csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True):
        if len(fields) != len(columns):
            raise WrongError("a line of another length")
        rows.append([_parsed(field, name) for field, name in zip(fields, columns, strict=True)])
    return rows


def _parsed(field: str, name: str) -> Any:
    if name == "arch_vec":
        return json.loads(field)
    if name in WHOLE:
        return int(field)
    if name in LISTS:
        return [_float(item) for item in field.removeprefix("[").removesuffix("]").split(", ")]
    return _float(field) if name in FLOATS else field


def _float(text: str) -> float:
    """A float whose text has no digit that it has not."""
    value = float(text)
    if math.isnan(value):
        return value
    if math.isinf(value):
        raise WrongError(f"{text!r:.60} is infinite")
    digits = len(text.partition("e")[0].replace(".", "").lstrip("-0")) or 1
    if abs(Fraction(text) - Fraction(f"{value:.{max(digits - 1, 0)}e}")):
        raise WrongError(f"{text!r:.60} is no number of a float")
    return value


def check_rows(rows: list[list[Any]], columns: Sequence[str], epochs: int) -> None:
    """Every value is one that its column may have."""
    hashes = [row[columns.index("model_hash")] for row in rows]
    if len(set(hashes)) != len(hashes) or not all(re.fullmatch("[0-9a-f]{32}", text) for text in hashes):
        raise WrongError("a hash is there twice, or is none")
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            numbers = value if name in LISTS else [value]
            if name in LISTS and len(numbers) != epochs:
                raise WrongError(f"{name} has {len(numbers)} values")
            if name in FLOATS or name in LISTS:
                most = 100.0 if name in PERCENT else sys.float_info.max
                if not all(type(one) is float and (one != one or 0 <= one <= most) for one in numbers):
                    raise WrongError(f"{name} is {value!r:.60}")
            elif name in WHOLE and not (type(value) is int and 0 <= value < 2**53):
                raise WrongError(f"{name} is {value!r:.60}")
