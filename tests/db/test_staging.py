"""Files of epochs whose pages a kernel writes: SQLite must read them, and find nothing wrong."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.db._pages import Tree
from bloxdb.db.staging import STORED, Staging
from bloxdb.measures import MISSING, Array

EDGES = [
    0,
    1,
    2,
    *(sign * 2**bits + off for bits in (7, 15, 23, 31, 47, 62) for sign in (1, -1) for off in (-1, 0)),
]
NUMBERS = st.one_of(
    st.sampled_from([*EDGES, 2**63 - 1, -(2**63) + 1, MISSING]), st.integers(-(2**63), 2**63 - 1)
)


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    """All rows, after SQLite has checked the file."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT * FROM epochs").fetchall()


def expected(batches: list[tuple[Array, dict[str, Array]]]) -> list[tuple[Any, ...]]:
    """The same rows in plain Python."""
    rows = []
    for ids, measures in batches:
        epochs = next(iter(measures.values())).shape[1]
        for i, run_id in enumerate(ids.tolist()):
            for epoch in range(epochs):
                values = [measures[n][i, epoch].item() if n in measures else MISSING for n in STORED[2:]]
                rows.append((run_id, epoch + 1, *(None if v == MISSING else v for v in values)))
    return rows


def write(path: Path, batches: list[tuple[Array, dict[str, Array]]], page_size: int) -> None:
    with Staging(path, page_size) as staging:
        for ids, measures in batches:
            staging.add(ids, measures)
        staging.finish()


@st.composite
def batches_of_runs(draw: st.DrawFn) -> list[tuple[Array, dict[str, Array]]]:
    ids = sorted(draw(st.sets(st.integers(1, 2**62), min_size=1, max_size=8)))
    cut = draw(st.integers(0, len(ids) - 1))
    seed = draw(st.integers(0, 2**32))
    pool = np.array(draw(st.lists(NUMBERS, min_size=1, max_size=12)), dtype=np.int64)
    batches = []
    for part in (ids[:cut], ids[cut:]):
        if not part:
            continue
        shape = (len(part), draw(st.integers(1, 60)))
        names = draw(st.lists(st.sampled_from(STORED[2:]), min_size=1, unique=True))
        values = {name: np.random.default_rng([seed, i]).choice(pool, shape) for i, name in enumerate(names)}
        if draw(st.booleans()):
            values = {name: (array % 2**31).astype(np.int32) for name, array in values.items()}
        batches.append((np.array(part, dtype=np.int64), values))
    return batches


@pytest.mark.slow
@given(batches=batches_of_runs(), page_size=st.sampled_from([512, 1024, 4096]))
def test_sqlite_reads_what_the_kernel_writes(
    batches: list[tuple[Array, dict[str, Array]]], page_size: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "staged.db"
        write(path, batches, page_size)
        assert rows_of(path) == expected(batches)


@pytest.mark.parametrize("page_size", [512, 32768])
def test_a_tree_of_many_levels_is_whole(page_size: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    ids = np.cumsum(draw.integers(1, 50, 700))
    measures = {name: draw.integers(0, 2**31 - 1, (700, 60), dtype=np.int32) for name in STORED[2:]}
    batches = [
        (ids[part], {n: v[part] for n, v in measures.items()}) for part in (slice(300), slice(300, 700))
    ]
    write(tmp_path / "staged.db", batches, page_size)
    assert rows_of(tmp_path / "staged.db") == expected(batches)


def test_a_file_without_epochs_is_an_empty_table(tmp_path: Path) -> None:
    write(tmp_path / "staged.db", [(np.arange(1, 4), {STORED[2]: np.empty((3, 0), dtype=np.int32)})], 512)
    assert rows_of(tmp_path / "staged.db") == []


def test_the_page_of_the_lock_byte_stays_free(tmp_path: Path) -> None:
    """SQLite locks byte 2**30 and never uses its page, https://www.sqlite.org/fileformat2.html#the_lock_byte_page."""
    path, page = tmp_path / "staged.db", 512
    lock_page = 2**30 // page + 1
    ids, values = np.arange(1, 41), np.arange(40 * 30, dtype=np.int32).reshape(40, 30)
    with Staging(path, page) as staging:
        staging.finish()
    tree = Tree(page, lock_page - 5, MISSING)
    tree.add(ids, 30, [values, *[None] * (len(STORED) - 3)])
    root, pages = tree.root(), tree.take()
    assert pages[5 * page : 6 * page] == bytes(page)
    with path.open("r+b") as stream:  # sparse: the pages before are never written
        stream.seek(28)
        stream.write((lock_page - 6 + len(pages) // page).to_bytes(4, "big"))
        stream.seek(page)
        stream.write(root)
        stream.seek((lock_page - 6) * page)
        stream.write(pages)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT * FROM epochs").fetchall()
    assert rows == expected([(ids, {STORED[2]: values})])


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    ids, values = np.arange(1, 4), np.zeros((3, 5), dtype=np.int32)
    with Staging(tmp_path / "staged.db") as staging:
        for wrong in (values[:2], values[:, :3], values.astype(np.float64)):
            with pytest.raises(ValueError, match="int32 or int64 arrays"):
                staging.add(ids, {STORED[2]: values, STORED[3]: wrong})
        with pytest.raises(ValueError, match="must rise"):
            staging.add(ids[::-1], {STORED[2]: values})
        staging.add(ids, {STORED[2]: values})
        with pytest.raises(ValueError, match="above those before"):
            staging.add(ids, {STORED[2]: values})


@pytest.mark.parametrize("wrong", [[0, 1, 2], [1, 1, 2], [1, 3, 3], [3, 2, 1], [-1, 2, 3]])
def test_ids_of_runs_rise_from_1(wrong: list[int], tmp_path: Path) -> None:
    with Staging(tmp_path / "staged.db") as staging:
        with pytest.raises(ValueError, match="must rise, and be above those before"):
            staging.add(np.array(wrong), {STORED[2]: np.zeros((3, 5), dtype=np.int32)})
        assert (staging.rows, staging.last_run) == (0, 0)


def test_rows_are_counted_and_the_last_run_is_known(tmp_path: Path) -> None:
    with Staging(tmp_path / "staged.db") as staging:
        staging.add(np.array([2, 9]), {STORED[2]: np.zeros((2, 5), dtype=np.int32)})
        assert (staging.rows, staging.last_run) == (10, 9)
        for last in (8, 9):
            with pytest.raises(ValueError, match="above those before"):
                staging.add(np.array([last]), {STORED[2]: np.zeros((1, 5), dtype=np.int32)})
        staging.add(np.array([10]), {STORED[2]: np.zeros((1, 3), dtype=np.int64)})
        assert (staging.rows, staging.last_run) == (13, 10)
        staging.finish()
    assert len(rows_of(tmp_path / "staged.db")) == 13


@pytest.mark.parametrize("finishes", [True, False])
def test_neither_a_thread_nor_the_file_stays_open(finishes: bool, tmp_path: Path) -> None:
    before = threading.active_count()
    with Staging(tmp_path / "staged.db") as staging:
        staging.add(np.arange(1, 4), {STORED[2]: np.zeros((3, 5), dtype=np.int32)})
        if finishes:
            staging.finish()
    assert threading.active_count() == before
    assert staging._stream.closed


def test_what_is_handed_over_may_be_changed_after_waiting(tmp_path: Path) -> None:
    values = np.full((1000, 200), 7, dtype=np.int32)
    with Staging(tmp_path / "staged.db") as staging:
        staging.add(np.arange(1, 1001), {STORED[2]: values})
        staging.wait()
        values[:] = 8
        staging.add(np.arange(1001, 2001), {STORED[2]: values})  # which waits by itself
        staging.finish()
    assert [row[2] for row in rows_of(tmp_path / "staged.db")] == [7] * 200_000 + [8] * 200_000
