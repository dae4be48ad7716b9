"""Tables that try hard to break a codec, and small ones of a known shape."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE, BENCH, COLUMNS, ENV, EXT, INFO, Kind, images_counted, is_list
from bloxdb.errors import BloxFormatError

TEXTS = st.one_of(
    st.just(""),
    st.text(max_size=12),
    st.text(alphabet='a"\r\n,\t ', max_size=6),
    st.integers(250, 262).map(lambda n: "x" * n),
    st.just("ü" * 200),
)
U24 = st.integers(0, 2**24 - 1).map(lambda n: n / 1_000_000)
ODD_FLOATS = st.one_of(
    st.floats(0, allow_infinity=False), st.just(float("nan")), st.just(-0.0), st.just(16.777216)
)


def accuracies(name: str) -> st.SearchStrategy[float]:
    """Shares of a count of images, often extreme."""
    images = images_counted(name)
    counts = st.one_of(st.integers(0, images), st.sampled_from([0, 1, images - 1, images]))
    return counts.map(lambda count: round(count / images * 100, 3))


def narrow_counts(name: str) -> st.SearchStrategy[Any]:
    """A strategy of its own for counts that are all equal, or whose range is exactly a power of two."""
    images = images_counted(name)

    def values(low_and_span: tuple[int, int]) -> st.SearchStrategy[float]:
        low, span = low_and_span
        high = min(low + span, images)
        return st.sampled_from([low, high]).map(lambda count: round(count / images * 100, 3))

    spans = st.tuples(st.integers(0, images - 1), st.sampled_from([0, 1, 2, 4, 8, 16, 1024, 4096]))
    return spans.map(values)


@st.composite
def tables(draw: st.DrawFn, extreme: bool = True) -> Table:
    """A table of any kind, 0 to 6 rows, 1 to 300 epochs."""
    kind = draw(st.sampled_from(["static", "base", "ext", "env", "benchmarking"]))
    epochs = draw(st.one_of(st.integers(1, 20), st.sampled_from([255, 256, 300])))
    columns = {"static": INFO, "base": BASE, "ext": EXT, "env": ENV, "benchmarking": BENCH}[kind]
    if kind in ("base", "ext"):
        header = Header(
            "training",
            columns,
            seed=draw(st.integers(0, 2**40)),
            epochs=epochs,
            dataset="cifar100",
            part=kind,
        )
    elif kind == "env":
        header = Header("env", columns, seed=3)
    elif kind == "benchmarking":
        header = Header("benchmarking", columns, device="x-1")
    else:
        header = Header("static", columns)
    rows = draw(st.sampled_from([0, 1, 1, 2, 6]))
    hashes = draw(st.lists(st.integers(0, 2**128 - 1), min_size=rows, max_size=rows, unique=True))
    values = {name: draw(_column(name, rows, epochs, extreme)) for name in columns[1:]}
    return Table.from_rows(
        header, [[f"{hashes[i]:032x}", *(values[name][i] for name in columns[1:])] for i in range(rows)]
    )


@st.composite
def _column(draw: st.DrawFn, name: str, rows: int, epochs: int, extreme: bool) -> list[Any]:
    kind = COLUMNS[name]
    if kind is Kind.ARCH:
        cell = st.tuples(*(st.integers(0, n) for n in (2, 2, 1, 1, 1)))
        item = st.lists(cell, min_size=3, max_size=3).map(
            lambda cells: [[[c[0]], list(c[1:])] for c in cells]
        )
        return draw(st.lists(item, min_size=rows, max_size=rows))
    if kind is Kind.INT:
        return draw(st.lists(st.integers(0, 2**32 - 1), min_size=rows, max_size=rows))
    if kind is Kind.TEXT:
        return draw(st.lists(TEXTS, min_size=rows, max_size=rows))
    if kind is Kind.ACCURACY:
        choices = [accuracies(name), draw(narrow_counts(name))]
        if extreme:
            choices.append(st.integers(0, 100_000).map(lambda n: n / 1000))
            choices.append(st.floats(0, 100))
    else:
        choices = [U24, st.just(1.5)] + ([ODD_FLOATS] if extreme else [])
    value = draw(st.sampled_from(choices))
    if not is_list(name):
        return draw(st.lists(value, min_size=rows, max_size=rows))
    few = draw(st.lists(value, min_size=min(7, epochs), max_size=min(7, epochs)))
    # a few drawn values, repeated in different orders: long lists without a long wait
    return [[few[(i * (row + 1) + row) % len(few)] for i in range(epochs)] for row in range(rows)]


SMALL = ("blox-base-3", "blox-ext-3", "blox-env-3", "blox-info", "blox-bench-desktop-cpu")


HEAD = codecs.encode(Table.from_rows(Header("benchmarking", BENCH, device="x"), []), "pickle")[0][0]


def few_rows(golden: Path, stem: str) -> Table:
    table = codecs.read(golden / "release-tiny" / f"{stem}.blox")
    return Table.from_rows(table.header, table.rows()[:3])


def base_table(values: list[list[float]]) -> Table:
    header = Header("training", BASE, seed=0, epochs=len(values[0]), dataset="cifar100", part="base")
    return Table.from_rows(header, [[f"{i:032x}", row, 50.0, 7] for i, row in enumerate(values)])


def base(epochs: int, rows: int, times: list[int] | None = None) -> Table:
    header = Header("training", BASE, seed=0, epochs=epochs, dataset="d", part="base")
    draw = np.random.default_rng([epochs, rows])
    columns = {
        "model_hash": draw.integers(0, 256, (rows, 16)).astype(np.uint8),
        "val_top1": draw.integers(0, 100_001, (rows, epochs)).astype(np.int32),
        "test_top1": draw.integers(0, 100_001, rows).astype(np.int32),
        "train_time_s": np.resize(np.array(times or [1], dtype=np.int64), rows),
    }
    return Table(header, columns)


def peak_of(action: Callable[[], object]) -> int:
    """Peak of traced memory in bytes, while `action` fails with `BloxFormatError`."""
    tracemalloc.start()
    try:
        with pytest.raises(BloxFormatError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
