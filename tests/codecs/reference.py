"""The kernels' twins: the `.blox` body in plain Python, from its description, and what the standard library writes."""

from __future__ import annotations

import csv
import io
import math
import pickle
import re
import struct
import zlib
from typing import Any

from bloxdb import codecs
from bloxdb.codecs import Table


def read_rows(data: bytes, types: dict[str, str]) -> list[list[Any]]:
    """Rows of the body of a `.blox` file, as the original reader gives them."""
    body = zlib.decompress(data)
    count = struct.unpack_from("<I", body, 8)[0]
    at, rows = 12, []
    for _ in range(count):
        row = []
        for name, kind in types.items():
            value, at = _read(body, at, name, kind)
            row.append(value)
        rows.append(row)
    assert at == len(body)
    assert struct.unpack_from("<Q", body)[0] == 8 * (len(body) - 8)
    return rows


def _read(body: bytes, at: int, name: str, kind: str) -> tuple[Any, int]:
    if match := re.fullmatch(r"list(16)?\[(.+)\]", kind):
        prefix = 2 if match[1] else 1
        count = int.from_bytes(body[at : at + prefix], "little")
        return _read_elements(body, at + prefix, name, match[2], count)
    values, at = _read_elements(body, at, name, kind, 1)
    return values[0], at


def _read_elements(body: bytes, at: int, name: str, kind: str, count: int) -> tuple[list[Any], int]:
    if kind[:2] in ("b_", "m_"):
        low, _, bits = (int(part) for part in kind[2:].split("_"))
        size = (count * bits + 7) // 8
        number = int.from_bytes(body[at : at + size], "little")
        fields = [low + (number >> (i * bits) & (1 << bits) - 1) for i in range(count)]
        if kind[0] == "m":
            return [field / 1000 for field in fields], at + size
        images = 45000 if "train" in name else 5000 if "val" in name else 10000
        return [round(field / images * 100, 3) for field in fields], at + size
    values = []
    for _ in range(count):
        value, at = _read_plain(body, at, kind)
        values.append(value)
    return values, at


def _read_plain(body: bytes, at: int, kind: str) -> tuple[Any, int]:
    if kind == "hash":
        return f"{int.from_bytes(body[at : at + 16], 'little'):032x}", at + 16
    if kind == "int":
        return int.from_bytes(body[at : at + 4], "little"), at + 4
    if kind == "float":
        return int.from_bytes(body[at : at + 3], "little") / 1_000_000, at + 3
    if kind == "f64":
        return struct.unpack_from("<d", body, at)[0], at + 8
    if kind == "arch":
        cells = [(b >> 3, b >> 2 & 1, b >> 1 & 1, b & 1) for b in body[at : at + 3]]
        return [[[ops // 3], [ops % 3, *wires]] for ops, *wires in cells], at + 3
    size = 1 if kind == "str" else 4
    length = int.from_bytes(body[at : at + size], "little")
    return body[at + size : at + size + length].decode(), at + size + length


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
