"""How the three formats lie: mutations that know their structure, each drawn from one generator."""

from __future__ import annotations

import csv
import io
import pickle
import pickletools
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz.seeds import Seed

Draw = random.Random
_COLUMNS = (
    *("model_hash", "params", "flops", "arch_vec", "val_top1", "test_top1", "train_time_s", "train_top1"),
    *("train_loss", "train_top5", "val_loss", "val_top5", "test_loss", "test_top5", "latency", "gpu", "cuda"),
    *("", "x", "MODEL_HASH", "model_hash "),
)
_SCALARS = (
    *("0", "1", "2", "3", "255", "256", "65535", "65536", "4294967296", "9223372036854775807"),
    *(
        "9223372036854775808",
        "99999999999999999999",
        "-1",
        "+1",
        "007",
        "1.0",
        "1e3",
        "0x10",
        "1_0",
        "'3'",
        "~",
    ),
    *(
        "null",
        "true",
        ".inf",
        ".nan",
        "[]",
        "{}",
        "[1]",
        "{a: b}",
        "!!int '3'",
        "!!python/none",
        "&a 3",
        "*a",
    ),
    *(
        "*id001",
        "base",
        "ext",
        "static",
        "training",
        "env",
        "benchmarking",
        "custom",
        "pickle",
        "csv",
        "'a/b'",
    ),
    *('"\\0"', '"---"', "..", "con", "x" * 300, "ü", "\t", "|\n  x", ">\n  x", '"\\ud800"', "2026-01-01"),
)
_TYPES = (
    *(
        "hash",
        "str",
        "int",
        "float",
        "arch",
        "f64",
        "utf8",
        "list[float]",
        "list16[float]",
        "list[f64]",
        "",
        "x",
    ),
    *(
        "list16[f64]",
        "list[str]",
        "list[list[int]]",
        "b_0_5000_13",
        "b_0_0_1",
        "b_0_10000_16",
        "m_0_100000_17",
    ),
    *(
        "list[b_0_5000_13]",
        "list16[b_0_1_1]",
        "list[b_4999_5000_1]",
        "b_5_4_3",
        "b_0_99999_24",
        "m_0_0_0",
        "b_0_1_25",
    ),
    *("b_00_1_1", "list[m_0_1_1]", "b_32768_40000_13", "list[int]"),
)


def flipped(draw: Draw, data: bytes) -> bytes:
    """Bytes changed, cut out, doubled or put in anywhere."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(len(changed) + 1)
        some = draw.choice((1, 1, 2, 4, 8, 16, 40))
        what = draw.randrange(6)
        if what == 0 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif what == 1 and at < len(changed):
            changed[at] = draw.choice((0, 1, 9, 34, 44, 46, 48, 93, 127, 128, 255))
        elif what == 2:
            del changed[at : at + some]
        elif what == 3:
            changed[at:at] = changed[at : at + some]
        elif what == 4:
            changed[at:at] = draw.randbytes(some)
        else:
            changed = changed[:at]
    return bytes(changed)


def header(draw: Draw, head: bytes) -> bytes:
    """Fields of the YAML header by name: other values, none, twice, in another order, foreign ones."""
    lines = head.decode("utf-8", "surrogateescape").split("\n")[1:-2]
    starts = [i for i, line in enumerate(lines) if line and line[0] not in " -"] or [0]
    fields = ["\n".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    for _ in range(draw.choice((1, 1, 2, 3))):
        at = draw.randrange(len(fields)) if fields else 0
        name = fields[at].partition(":")[0] if fields else "x"
        what = draw.randrange(8)
        if what == 0:
            fields[at : at + 1] = [f"{name}: {draw.choice(_SCALARS)}"]
        elif what == 1 and fields:
            del fields[at]
        elif what == 2:
            fields.insert(draw.randrange(len(fields) + 1), fields[at] if fields else "a: b")
        elif what == 3:
            draw.shuffle(fields)
        elif what == 4:
            fields.insert(
                at,
                f"{draw.choice(('seed', 'epochs', 'device', 'part', 'dataset', 'x', name))}: {draw.choice(_SCALARS)}",
            )
        elif what == 5:
            inner = fields[at].split("\n") if fields else [""]
            inner.insert(draw.randrange(len(inner) + 1), draw.choice(inner))
            fields[at : at + 1] = ["\n".join(inner)]
        elif what == 6 and fields:
            fields[at] = fields[at].replace(draw.choice(_COLUMNS[:16]), draw.choice(_COLUMNS))
        elif fields:
            fields[at] = _retyped(draw, fields[at])
    text = "---\n" + "\n".join(fields) + "\n---\n"
    if draw.random() < 0.1:
        text = text.replace("\n", "\r\n")
    return draw.choice((b"", b"", b"", b"\xef\xbb\xbf", b"\n")) + text.encode("utf-8", "surrogateescape")


def _retyped(draw: Draw, field: str) -> str:
    lines = field.split("\n")
    at = draw.randrange(len(lines))
    if ": " in lines[at]:
        lines[at] = f"{lines[at].partition(': ')[0]}: {draw.choice(_TYPES)}"
    return "\n".join(lines)


def blox(draw: Draw, seed: Seed) -> bytes:
    """Counts, rows and bits of the inflated body, folded again in some way; or the folded bytes."""
    data = zlib.decompress(seed.body)
    what = draw.randrange(8)
    if what == 0:
        return flipped(draw, seed.body)
    start, rows = bytearray(data[:12]), data[12:]
    if what == 1:
        start[8:12] = struct.pack("<I", draw.choice((0, 1, 2, 3, 4, 5, 91_125, 91_126, 2**31, 2**32 - 1)))
    elif what == 2:
        start[:8] = draw.randbytes(8)
    elif what == 3 and seed.rows:
        rows = _other_rows(draw, rows, len(seed.rows), start)
    else:
        rows = flipped(draw, rows)
    return _folded(draw, bytes(start) + rows)


def _other_rows(draw: Draw, data: bytes, count: int, start: bytearray) -> bytes:
    """Rows swapped or doubled, which are of one size or not."""
    size = len(data) // count
    parts = [data[i * size : (i + 1) * size] for i in range(count)]
    if draw.random() < 0.5:
        parts.insert(draw.randrange(count + 1), draw.choice(parts))
        start[8:12] = struct.pack("<I", len(parts))
    else:
        draw.shuffle(parts)
    return b"".join(parts)


def _folded(draw: Draw, data: bytes) -> bytes:
    what = draw.randrange(12)
    body = zlib.compress(data, draw.choice((0, 1, 9)))
    if what == 0:
        return flipped(draw, body)
    if what == 1:
        return body + draw.choice((b"\0", body, b"x" * 9))
    if what == 2:
        return body[: draw.randrange(len(body) + 1)]
    if what == 3:
        return body[:-4] + draw.randbytes(4)
    if what == 4:
        deflater = zlib.compressobj(zdict=b"blox" * 8)
        return deflater.compress(data) + deflater.flush()
    if what == 5:
        deflater = zlib.compressobj()
        at = draw.randrange(len(data) + 1)
        return (
            deflater.compress(data[:at])
            + deflater.flush(zlib.Z_FULL_FLUSH)
            + deflater.compress(data[at:])
            + deflater.flush()
        )
    return body


_VALUES: tuple[Callable[[Draw], Any], ...] = (
    lambda draw: draw.choice((None, True, False, "", "x", b"x", (), [], {}, set(), 1j, ...)),
    lambda draw: draw.choice(
        (0, 1, -1, 255, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 2**127, 2**200)
    ),
    lambda draw: draw.choice(
        (0.0, -0.0, 1e-300, 1e300, 100.0, 100.00000000000001, float("nan"), float("inf"), -1.0)
    ),
    lambda draw: [draw.random() * 100 for _ in range(draw.randrange(5))],
    lambda draw: [[1, 2], [3]],
    lambda draw: draw.choice(
        (np.float64(1.5), np.float32(1.5), np.int64(3), np.bool_(True), np.float16(0.1), np.str_("x"))
    ),
    lambda draw: tuple(range(draw.randrange(4))),
    lambda draw: "x" * draw.choice((32, 255, 256, 70_000)),
    lambda draw: f"{draw.getrandbits(128):032x}",
    lambda draw: [[[0], [draw.randrange(4), 0, 1, 0]]] * 3,
    lambda draw: draw.choice((print, zlib.crc32, random.Random, type, slice(3), range(3))),
)


def changed_rows(draw: Draw, rows: list[list[Any]], value: Callable[[Draw], Any]) -> list[Any]:
    """Values, rows and columns that are changed, swapped, doubled, shared or left out."""
    found: list[Any] = [list(row) for row in rows]
    for _ in range(draw.choice((1, 1, 2))):
        if not found:
            return [[value(draw)]]
        i, what = draw.randrange(len(found)), draw.randrange(9)
        row = found[i]
        if not isinstance(row, list) or not row:
            continue
        c = draw.randrange(len(row))
        if what <= 2:
            row[c] = value(draw)
        elif what == 3 and isinstance(row[c], list) and row[c]:
            row[c] = list(row[c])
            row[c][draw.randrange(len(row[c]))] = value(draw)
        elif what == 4:
            found.insert(draw.randrange(len(found) + 1), row if draw.random() < 0.5 else value(draw))
        elif what == 5:
            other = draw.randrange(len(row))
            for each in found:
                if isinstance(each, list) and max(c, other) < len(each):
                    each[c], each[other] = each[other], each[c]
        elif what == 6:
            row.insert(c, value(draw)) if draw.random() < 0.5 else row.pop(c)
        elif what == 7:
            draw.shuffle(found)
        else:
            found[draw.randrange(len(found))] = list(found[i])
    return found


def pickled(draw: Draw, seed: Seed) -> bytes:
    """Other objects in protocols 0 to 5; opcodes that are swapped, doubled, foreign; or flipped bytes."""
    what = draw.randrange(4)
    if what == 0:
        return flipped(draw, seed.body)
    data = seed.body
    if what >= 2:
        rows = changed_rows(draw, seed.rows, lambda d: d.choice(_VALUES)(d))
        data = pickle.dumps(rows, protocol=draw.choice((0, 1, 2, 2, 3, 4, 4, 5)))
        if draw.random() < 0.2:
            data = pickletools.optimize(data)
        if draw.random() < 0.6:
            return data
    return opcodes(draw, data)


_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_ODD = (*b"()0125FIJKLMNPQRSTUVXabcdeghijlopqrstu}]", *range(0x80, 0x99))


def opcodes(draw: Draw, data: bytes) -> bytes:
    """A pickle with some opcodes left out, doubled, swapped, or others put in."""
    places = []
    try:
        places = [at or 0 for _, _, at in pickletools.genops(data)]
    except Exception:  # of whatever kind: an odd pickle is flipped instead
        return flipped(draw, data)
    parts = [data[a:b] for a, b in zip(places, [*places[1:], len(data)], strict=True)]
    for _ in range(draw.choice((1, 1, 2, 4))):
        at, what = draw.randrange(len(parts)), draw.randrange(5)
        if what == 0:
            del parts[at]
        elif what == 1:
            parts.insert(draw.randrange(len(parts) + 1), parts[at])
        elif what == 2:
            other = draw.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif what == 3:
            parts.insert(at, _opcode(draw))
        else:
            parts[at] = parts[at][:1] + draw.randbytes(max(0, len(parts[at]) - 1))
        if not parts:
            return b""
    return b"".join(parts)


def _opcode(draw: Draw) -> bytes:
    """Any opcode with an argument, mostly of its form."""
    code = draw.choice(_ODD)
    argument = _OPCODES[code].arg if code in _OPCODES else None
    if argument is None:
        return bytes((code,))
    if argument.n >= 0:
        return (
            bytes((code,))
            + draw.choice((b"\0" * argument.n, b"\1" + b"\0" * argument.n, draw.randbytes(8)))[: argument.n]
        )
    if argument.n == pickletools.UP_TO_NEWLINE:
        return bytes((code,)) + draw.choice(
            (b"0\n", b"builtins\nprint\n", b"'x'\n", b"1L\n", b"numpy\ndtype\n", b"\n\n")
        )
    size = {-2: 1, -3: 4, -4: 4, -5: 8}[argument.n]
    text = draw.choice((b"", b"x", b"\xff", b"ab" * 16, draw.randbytes(9)))
    count = (
        len(text)
        if draw.random() < 0.7
        else draw.choice((0, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
    )
    return bytes((code,)) + (count % 256**size).to_bytes(size, "little") + text


def number(draw: Draw) -> str:
    """A number by grammar, or nearly."""
    digits = "".join(
        draw.choice("0123456789") for _ in range(draw.choice((1, 2, 3, 9, 10, 17, 18, 19, 20, 40)))
    )
    tail = (
        "." + "".join(draw.choice("0159") for _ in range(draw.choice((1, 3, 6, 7, 18, 21))))
        if draw.random() < 0.5
        else ""
    )
    power = (
        draw.choice(("e", "e-", "e+", "E")) + str(draw.choice((0, 1, 6, 22, 308, 400, 9999, 10**5)))
        if draw.random() < 0.3
        else ""
    )
    text = draw.choice(("", "", "", "", "-", "+", " ", "0", "0x")) + digits + tail + power
    return draw.choice(
        (
            text,
            text,
            text,
            text + " ",
            "nan",
            "inf",
            "-inf",
            "NaN",
            "Infinity",
            "",
            ".",
            "1_0",
            "١",
            "0." + "0" * 500 + "1",
            "-0",
            "-0.0",
            "1e",
            "None",
            "True",
        )
    )


def _text_of(value: object) -> str:
    return str(value)


def csv_text(draw: Draw, seed: Seed) -> bytes:
    """Tokens by grammar in lines that are swapped, doubled or broken."""
    if draw.random() < 0.2:
        return flipped(draw, seed.body)

    def token(d: Draw) -> Any:
        what = d.randrange(5)
        if what == 0:
            return (
                "["
                + d.choice((", ", ", ", ",", ",  ", ";")).join(
                    number(d) for _ in range(d.choice((0, 1, 2, 3, 3)))
                )
                + d.choice(("]", "]", "", "]]"))
            )
        if what == 1:
            return d.choice(
                (
                    '"',
                    '""',
                    "a\nb",
                    "a\rb",
                    "\0",
                    "\ufeff",
                    "é",
                    "[[[0], [1, 0, 1, 0]]]",
                    "ab" * 16,
                    "AB" * 16,
                    "x" * 2000,
                )
            )
        return number(d)

    rows = changed_rows(draw, seed.rows, token)
    end = draw.choice(("\r\n", "\r\n", "\r\n", "\n", "\r", ""))
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, lineterminator=end, quoting=draw.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    )
    for row in rows:
        writer.writerow(row if isinstance(row, list) else [row])
    data = out.getvalue().encode("utf-8", "surrogatepass")
    return flipped(draw, data) if draw.random() < 0.1 else data
