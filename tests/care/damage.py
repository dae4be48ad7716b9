"""A small database with pages of half a kilobyte, so that its trees are deep, and ways to damage it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bloxdb.db.connection import APPLICATION_ID

PAGE = 512
RUNS, EPOCHS = 40, 30
TABLES = ("recipes", "envs", "devices", "runs", "epochs", "latencies")
STORED = "run_id, epoch, train_top1_milli, train_top5_milli, train_loss_micro, val_top1_milli, val_top5_milli, val_loss_micro"
_NUMBERS = "WITH RECURSIVE at(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM at WHERE n < 200) "


def small_database(path: Path, like: Path, *, runs: int = RUNS, epochs: int = EPOCHS) -> Path:
    """A database with the schema of another one and no search space, of finished runs, all unlike each other."""
    with closing(sqlite3.connect(like)) as connection:
        schema = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type = 'index', rowid"
        ).fetchall()
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for (statement,) in schema:
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))
        fields = [row[1] for row in connection.execute("PRAGMA table_info(envs)")][1:]
        for number in range(1, 4):
            texts = [f"{field} {number}" for field in fields]
            marks = ", ".join("?" * len(fields))
            connection.execute(f"INSERT INTO envs ({', '.join(fields)}) VALUES ({marks})", texts)
        connection.execute(
            "INSERT INTO recipes (id, name, dataset, epochs) VALUES (1, 'mine', 'digits', ?)", (epochs,)
        )
        connection.execute("INSERT INTO devices (id, name) VALUES (1, 'one'), (2, 'two')")
        connection.execute(
            f"{_NUMBERS} INSERT INTO runs (id, arch_id, recipe_id, seed, env_id, status, best_epoch, val_top1, "
            "test_top1, train_time_s, flops, params) SELECT n, n * 7, 1, 0, 1 + n % 3, 'finished', ?, "
            "(1000 * n + ?) / 1000.0, n / 4.0, n * 60, 0, 0 FROM at WHERE n <= ?",
            (epochs, epochs, runs),
        )
        connection.execute(
            f"{_NUMBERS} INSERT INTO epochs ({STORED}) SELECT id, n, 1000 * id + n - 1, 1000 * id + n + 1, 2000 * id + n, "
            "1000 * id + n, 1000 * id + n + 2, 9000 * id - n FROM runs, at WHERE n <= ?",
            (epochs,),
        )
        connection.execute(
            f"{_NUMBERS} INSERT INTO latencies (arch_id, device_id, latency_ms) SELECT n * 7, 1 + n % 2, n FROM at"
        )
    return path


def pages_of(path: Path, name: str, *types: str) -> list[int]:
    """The numbers of the pages of a table, or an index, that are of some types."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT pageno, pagetype FROM dbstat WHERE name = ? ORDER BY path", (name,)
        )
        return [page for page, kind in found if kind in types]


def overwrite(content: bytearray, page: int, data: bytes) -> None:
    content[(page - 1) * PAGE : page * PAGE] = data


def _garbled(content: bytearray, draw: random.Random) -> None:
    """Some pages are zeros, ones or noise."""
    for _ in range(draw.choice((1, 2, 5, 20))):
        data = draw.choice((bytes(PAGE), b"\xff" * PAGE, draw.randbytes(PAGE)))
        overwrite(content, draw.randrange(2, len(content) // PAGE + 1), data)


def _misplaced(content: bytearray, draw: random.Random) -> None:
    """Some pages have the content of others."""
    for _ in range(draw.choice((1, 2, 5))):
        there = len(content) // PAGE
        at = (draw.randrange(2, there + 1) - 1) * PAGE
        overwrite(content, draw.randrange(2, there + 1), content[at : at + PAGE])


def _cut(content: bytearray, draw: random.Random) -> None:
    """The end is not there."""
    del content[draw.randrange(len(content) // 3, len(content)) :]


def _pages_cut(content: bytearray, draw: random.Random) -> None:
    """The end is not there, from a page on."""
    del content[draw.randrange(len(content) // 3 // PAGE, len(content) // PAGE) * PAGE :]


DAMAGES: dict[str, Callable[[bytearray, random.Random], None]] = {
    "garbled": _garbled,
    "misplaced": _misplaced,
    "cut": _cut,
    "pages cut": _pages_cut,
}


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A file with one kind of damage, or two."""
    changed = bytearray(content)
    for name in draw.sample(sorted(DAMAGES), draw.choice((1, 1, 2))):
        DAMAGES[name](changed, draw)
    return bytes(changed)
