"""What tests of releases share: all that a release brings, and files with one other value."""

from __future__ import annotations

from pathlib import Path

from bloxdb import Database, codecs
from bloxdb.codecs import Table

TINY, SMALL = "release-tiny", "release-small"

CONTENT = (
    "SELECT * FROM leaderboard ORDER BY arch_id, seed",
    "SELECT arch_id, seed, e.* FROM epochs e JOIN runs ON runs.id = run_id ORDER BY arch_id, seed, epoch",
    "SELECT arch_id, seed, test_top5, test_loss, best_epoch, gpu, platform FROM runs LEFT JOIN envs ON envs.id = env_id ORDER BY arch_id, seed",
    "SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON devices.id = device_id ORDER BY arch_id, name",
)


def content(db: Database) -> list[list[dict[str, object]]]:
    """All that a release brings, without ids that may differ."""
    tables = [db.rows(query) for query in CONTENT]
    return [[{k: v for k, v in row.items() if k != "run_id"} for row in rows] for rows in tables]


def changed(source: Path, target: Path, row: int, column: str, value: object) -> Path:
    """A copy of a release file with one other value."""
    table = codecs.read(source)
    rows = table.rows()
    rows[row][table.header.columns.index(column)] = value
    codecs.write(Table.from_rows(table.header, rows), target)
    return target
