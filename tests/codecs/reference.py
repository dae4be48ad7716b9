"""The kernels' twins: the `.blox` body in plain Python, from its description, and what the standard library writes."""

from __future__ import annotations

import csv
import io
import math
import pickle
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from bloxdb import codecs
from bloxdb.codecs import Table


class WrongError(Exception):
    """What a reader took is not what the file says."""


def blox_rows(body: bytes, types: Mapping[str, str], epochs: int | None = None) -> list[list[Any]] | None:
    """Rows of the body of a `.blox` file, its lists of so many epochs, or of what each says of itself.

    None where zlib is stricter about codes that no byte uses than ISA-L; what ISA-L made of those has the right
    checksum all the same.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(body)
    except zlib.error as error:
        if re.search(r"invalid (distances|literal/lengths|code lengths) set", str(error)):
            return None
        raise
    if not inflater.eof or inflater.unused_data:
        raise WrongError("the stream does not end where the file does")
    count = struct.unpack_from("<I", data, 8)[0]
    at, rows = 12, []
    for _ in range(count):
        row = []
        for name, kind in types.items():
            value, at = _field(data, at, name, kind, epochs)
            row.append(value)
        rows.append(row)
    if at != len(data):
        raise WrongError("bytes are left")
    return rows


def _field(data: bytes, at: int, name: str, kind: str, epochs: int | None) -> tuple[Any, int]:
    if match := re.fullmatch(r"list(16)?\[(.+)\]", kind):
        size = 2 if match[1] else 1
        count = int.from_bytes(data[at : at + size], "little")
        if epochs not in (None, count):
            raise WrongError("a list of another length")
        return _elements(data, at + size, name, match[2], count)
    values, at = _elements(data, at, name, kind, 1)
    return values[0], at


def _elements(data: bytes, at: int, name: str, kind: str, count: int) -> tuple[list[Any], int]:
    if kind[:2] in ("b_", "m_"):
        low, high, bits = (int(part) for part in kind[2:].split("_"))
        size = (count * bits + 7) // 8
        number = int.from_bytes(_taken(data, at, size), "little")
        fields = [low + (number >> (i * bits) & (1 << bits) - 1) for i in range(count)]
        if number >> (count * bits) or max(fields, default=0) > high:
            raise WrongError("padding, or a value outside its type")
        if kind[0] == "m":
            return [field / 1000 for field in fields], at + size
        images = 45000 if "train" in name else 5000 if "val" in name else 10000
        return [round(field / images * 100, 3) for field in fields], at + size
    values = []
    for _ in range(count):
        value, at = _plain(data, at, kind)
        values.append(value)
    return values, at


def _taken(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise WrongError("cut off")
    return data[at : at + size]


def _plain(data: bytes, at: int, kind: str) -> tuple[Any, int]:
    if kind in ("str", "utf8"):
        prefix = 1 if kind == "str" else 4
        size = int.from_bytes(_taken(data, at, prefix), "little")
        text = _taken(data, at + prefix, size).decode("ascii" if kind == "str" else "utf-8")
        return text, at + prefix + size
    size = {"hash": 16, "int": 4, "float": 3, "f64": 8, "arch": 3}[kind]
    part = _taken(data, at, size)
    number = int.from_bytes(part, "little")
    if kind == "hash":
        return f"{number:032x}", at + size
    if kind == "arch":
        cells = [(b >> 3, b >> 2 & 1, b >> 1 & 1, b & 1) for b in part]
        return [[[ops // 3], [ops % 3, *wires]] for ops, *wires in cells], at + size
    return {"int": number, "float": number / 10**6, "f64": struct.unpack("<d", part)[0] if size == 8 else 0}[
        kind
    ], at + size


def split(data: bytes) -> tuple[bytes, bytes]:
    """Header and body of a file."""
    end = data.index(b"\n---\n", 4) + 5
    return data[:end], data[end:]


def same(a: object, b: object) -> bool:
    """Equal in value and type; NaN equals NaN, and -0.0 is not 0.0."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


def pickled(table: Table) -> bytes:
    return pickle.dumps(table.rows(), protocol=4)


def as_csv(table: Table) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table.rows())
    return out.getvalue().encode()


def written(table: Table, name: str) -> bytes:
    return b"".join(codecs.encode(table, name)[0][1:])
