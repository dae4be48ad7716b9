"""Databases with damages at random: each ends in a sentence, or in a copy whose rows are true or told to be lost.

BLOXDB_DAMAGES=2000 tries as many of each kind.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import bloxdb
from tests.care.damage import DAMAGES, PAGE, TABLES, damaged, small_database

QUICK = 2
MANY = int(os.environ.get("BLOXDB_DAMAGES", "15"))
Rows = dict[str, set[tuple[object, ...]]]
COPIED = {
    "runs": {"status", "best_epoch", "val_top1", "flops", "params", "message"}
}  # what a repair makes anew


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    return small_database(tmp_path_factory.mktemp("damages") / "small.db", empty_file)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)  # a copy has 17 MB


def rows_of(path: Path) -> Rows:
    """All rows of all tables, without what a repair copies anew."""
    found: Rows = {}
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            kept = [column for column in columns if column not in COPIED.get(table, ())]
            found[table] = set(connection.execute(f"SELECT {', '.join(kept)} FROM {table}"))
    return found


def bytes_wrong(content: bytes, draw: random.Random) -> bytes:
    """Some bytes are others."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 30, 300))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def end_of(path: Path, content: bytes) -> bloxdb.RepairReport | None:
    """What became of a damaged file; None if that was a sentence."""
    path.write_bytes(content)
    copy = path.with_name("copy.db")
    copy.unlink(missing_ok=True)
    try:
        bloxdb.check(path)
        report = bloxdb.repair(path, copy=copy)
    except bloxdb.BloxError as error:
        assert str(error)
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        return None
    assert path.read_bytes()[PAGE:] == content[PAGE:]
    return report


def is_like(row: tuple[object, ...], true: tuple[object, ...]) -> bool:
    """Whether a row is a true one but for what is told to be lost."""
    return all(value in (known, None) for value, known in zip(row, true, strict=True))


def check_true(report: bloxdb.RepairReport, true: Rows) -> None:
    """Every row of a copy is a true one, and if any is not there, something is said to be lost."""
    found = rows_of(report.copy)
    told = " ".join([*report.lost, *report.repaired])
    for table in TABLES:
        others = found[table] - true[table]
        if table == "recipes" and "the settings of recipe" in told:
            others = set()
        by_key = {row[0]: row for row in true[table]}
        wrong = [
            row
            for row in others
            if not (table != "epochs" and row[0] in by_key and is_like(row, by_key[row[0]]))
        ]
        assert wrong == [], (table, report)
        assert not others or told, table
        if true[table] - found[table]:
            assert told, table


def try_pages(small: Path, folder: Path, seed: int) -> None:
    content = damaged(small.read_bytes(), random.Random(f"pages {seed}"))
    report = end_of(folder / "damaged.db", content)
    if report is not None:
        check_true(report, rows_of(small))


def try_bytes(small: Path, folder: Path, seed: int) -> None:
    content = bytes_wrong(small.read_bytes(), random.Random(f"bytes {seed}"))
    report = end_of(folder / "damaged.db", content)
    if report is not None:  # a wrong byte within a number is seen by nobody, but no row comes of nowhere
        found, true = rows_of(report.copy), rows_of(small)
        assert {table: len(found[table]) <= len(true[table]) + 1 for table in TABLES} == dict.fromkeys(
            TABLES, True
        )


TRIES = {"pages": try_pages, "bytes": try_bytes}


@pytest.mark.parametrize("tried", TRIES.values(), ids=TRIES)
def test_a_few_damages(small: Path, folder: Path, tried: Callable[[Path, Path, int], None]) -> None:
    for seed in range(QUICK):
        tried(small, folder, seed)


@pytest.mark.slow
@pytest.mark.parametrize("tried", TRIES.values(), ids=TRIES)
def test_many_damages(small: Path, folder: Path, tried: Callable[[Path, Path, int], None]) -> None:
    for seed in range(QUICK, QUICK + MANY):
        tried(small, folder, seed)


def test_every_kind_of_damage_is_made(small: Path) -> None:
    content = small.read_bytes()
    for name, damage in DAMAGES.items():
        changed = bytearray(content)
        damage(changed, random.Random(name))
        assert bytes(changed) != content, name
