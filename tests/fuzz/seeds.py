"""Small honest files to lie with: a few rows of each kind, and their headers in each format."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from bloxdb import codecs, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs import header as headers
from bloxdb.codecs.columns import BASE, BENCH, COLUMNS, ENV, EXT, INFO, Kind, is_list
from bloxdb.codecs.header import FileHeader

HEADERS = (
    Header("static", INFO),
    Header("training", BASE, seed=3, epochs=3, dataset="cifar100", part="base"),
    Header("training", EXT, seed=3, epochs=2, dataset="cifar100", part="ext"),
    Header("env", ENV, seed=3),
    Header("benchmarking", BENCH, device="desktop-cpu"),
    Header("training", ("model_hash", "val_top1"), seed=0, epochs=300, dataset="d", part="base"),
    Header("benchmarking", BENCH, device="empty"),
)


@dataclass(frozen=True)
class Seed:
    """An honest file.

    Attributes
    ----------
    header
        Its header, as it was parsed.
    head, body
        Its bytes.
    rows
        What it says.
    """

    header: FileHeader
    head: bytes
    body: bytes
    rows: list[list[object]]


def _value(draw: random.Random, name: str) -> object:
    kind = COLUMNS[name]
    if kind is Kind.TEXT:
        return draw.choice(["", "linux", 'a "quoted", text', "two\r\nlines", "ü", "1.0", "x" * 300])
    if kind is Kind.INT:
        return draw.choice([0, 255, 256, 70_000, 2**32 - 1])
    if kind is Kind.ACCURACY:
        return draw.choice([0.0, 100.0, 50.0, 73.14, draw.randrange(5001) / 50])
    return draw.choice([0.0, 0.000001, 1.5, 16.777215, draw.randrange(10**7) / 10**6])


def _row(draw: random.Random, header: Header, index: int) -> list[object]:
    row: list[object] = []
    for name in header.columns:
        if COLUMNS[name] is Kind.HASH:
            row.append(space.all_digests()[index].tobytes().hex())
        elif COLUMNS[name] is Kind.ARCH:
            row.append(space.arch_vec(index))
        elif is_list(name):
            row.append([_value(draw, name) for _ in range(header.epochs or 0)])
        else:
            row.append(_value(draw, name))
    return row


@cache
def seeds(format: str) -> tuple[Seed, ...]:
    """Honest files of a format."""
    made = []
    draw = random.Random(7)
    for header in HEADERS:
        count = 0 if header.device == "empty" else 1 if header.epochs == 300 else 3
        rows = [_row(draw, header, draw.randrange(space.NUM_ARCHS)) for _ in range(count)]
        head, *body = codecs.encode(Table.from_rows(header, rows), format)[0]
        made.append(Seed(headers.parse(head), head, b"".join(body), rows))
    return tuple(made)
