"""Values of another kind or range than their column's, which SQL can set: found, mended or lost, never a traceback.

Each column is given one kind of value, or with ``BLOXDB_VALUES=all`` every kind, which takes most of an hour.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import JSON, Column, DateTime

import bloxdb
from bloxdb import Database
from bloxdb.cli import main
from bloxdb.db.base import Base

ALL = os.environ.get("BLOXDB_VALUES") == "all"

VALUES = {
    "a text": "'abc'",
    "a blob": "x'00ff'",
    "huge": "9223372036854775807",
    "negative": "-3",
    "infinite": "9e999",
    "no UTF-8": "CAST(x'ff' AS TEXT)",
}
OF_JSON = {
    "NaN": """'{"a": NaN}'""",
    "infinite in JSON": """'{"a": 1e999}'""",
    "a list": "'[1]'",
    "half a letter": r"""'{"a": "\ud800"}'""",
}
OF_DATES = {
    "no day": "'2024-02-31 00:00:00.000000'",
    "the last instant": "'9999-12-31 23:59:59.999999'",
    "the year 0": "'0000-01-01 00:00:00.000000'",
    "a zone": "'2024-01-01T00:00:00+01:00'",
    "a time alone": "'12:00'",
    "now": "'now'",
}
COLUMNS = {
    f"{table.name}.{column.name}": column
    for table in Base.metadata.sorted_tables
    for column in table.columns
    if column.computed is None
}
QUICK = [
    ("recipes.epochs", "negative"),
    ("recipes.epochs", "huge"),
    ("runs.seed", "a text"),
    ("recipes.config", "NaN"),
    ("runs.heartbeat_at", "the last instant"),
]
FORMATS = ("blox", "pickle", "csv", "parquet")
COMMANDS: dict[str, list[str]] = {
    "status": ["status", "--json"],
    "top": ["top", "50"],
    "top --json": ["top", "1", "--json"],
    "pareto": ["pareto"],
    "show": ["show", "{arch}"],
    "sql": ["sql", "SELECT * FROM {table}", "--json"],
    **{f"export {name}": ["export", "--out", "{folder}/out", "--format", name] for name in FORMATS},
    "explore": ["explore", "--static", "{folder}/site"],
}


def objects(db: Database, arch: int) -> None:
    found = bloxdb.Arch.get(arch, db)
    assert found is not None
    _ = found.vec, found._repr_html_()
    for run in found.runs:
        _ = repr(run), repr(run.recipe), repr(run.env), [repr(epoch) for epoch in run.epochs]
    for latency in found.latencies:
        _ = repr(latency), repr(latency.device)


THINGS: dict[str, Callable[[Database, int], object]] = {
    "objects": objects,
    "a table": lambda db, _: bloxdb.from_database(db, seeds=3).table(None, ["val_top1", "test_top1"]),
    **{f"to_arrow {what}": lambda db, _, what=what: bloxdb.to_arrow(what, db) for what in ("runs", "epochs", "latencies")},  # type: ignore[misc]
}  # fmt: skip


def kinds_for(column: Column[Any]) -> dict[str, str]:
    return {
        **VALUES,
        **(OF_JSON if isinstance(column.type, JSON) else {}),
        **(OF_DATES if isinstance(column.type, DateTime) else {}),
    }


@pytest.fixture
def path(tiny_file: Path, tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "tiny.db"
    for file in tmp_path.glob("*.db"):  # 17 MB each
        file.unlink()


def lying(path: Path, tiny_file: Path, name: str, kind: str) -> tuple[int, bool]:
    """A copy with one value of a kind; an architecture that has a run, and whether SQLite has kept what it is."""
    shutil.copy(tiny_file, path)
    column = COLUMNS[name]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE recipes SET config = '{}'")
        connection.execute("UPDATE devices SET settings = '{}'")
        (arch,) = connection.execute("SELECT arch_id FROM runs WHERE id = 2").fetchone()
        where = {"runs": "id = 2", "epochs": "run_id = 2 AND epoch = 3", "archs": f"id = {arch}"}.get(
            column.table.name
        )
        if where is None:
            keys = ", ".join(key.name for key in column.table.primary_key)
            where = f"({keys}) = (SELECT {keys} FROM {column.table.name} ORDER BY {keys} LIMIT 1)"
        if "arch_id" in column.table.columns and column.table.name != "runs":
            where = f"arch_id = {arch}"
        try:
            connection.execute(
                f"UPDATE {column.table.name} SET {column.name} = {kinds_for(column)[kind]} WHERE {where}"
            )
        except sqlite3.IntegrityError:  # a key is a whole number
            return arch, False
        return arch, bool(connection.execute("SELECT changes()").fetchone()[0])


def asked(path: Path, arch: int, table: str) -> list[str]:
    """What ended in anything but an answer or a sentence."""
    wrong = []
    for name, words in COMMANDS.items():
        told = [word.format(arch=arch, table=table, folder=path.parent) for word in words]
        done = CliRunner().invoke(main, [*told, "--db", str(path)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            wrong.append(f"{name}: {done.exception!r}")
        for folder in ("out", "site"):
            shutil.rmtree(path.parent / folder, ignore_errors=True)
    for name, thing in THINGS.items():
        try:
            with bloxdb.open(path, read_only=True, current=False) as db:
                thing(db, arch)
        except bloxdb.BloxError:
            pass
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
    return wrong


def merged(path: Path, empty_file: Path) -> str:
    """What a merge of a database into an empty one ended in; an empty text if that was a sentence, or whole."""
    ours = Path(shutil.copy(empty_file, path.with_name("ours.db")))
    with bloxdb.open(ours, current=False) as db:
        try:
            bloxdb.merge([path], db)
        except bloxdb.BloxError:
            pass
        except Exception as error:
            return repr(error)
    return "; ".join(str(found) for found in bloxdb.check(ours).findings if found.kind == "value")


@pytest.mark.parametrize(("name", "kind"), QUICK)
def test_a_value_that_there_cannot_be_is_found_and_gone_and_no_traceback(
    name: str, kind: str, path: Path, tiny_file: Path, empty_file: Path
) -> None:
    arch, is_there = lying(path, tiny_file, name, kind)
    assert is_there
    table, column = name.split(".")
    found = [finding.message for finding in bloxdb.check(path).findings if finding.kind == "value"]
    assert found[0].startswith(f"1 row of {table} has a {column} that ")
    assert "; it is id " in found[0]
    assert asked(path, arch, table) == []
    assert merged(path, empty_file) == ""
    report = bloxdb.repair(path)
    assert f"1 row of {table} had a {column} " in " ".join([*report.repaired, *report.lost])
    assert report.left == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COLUMNS)
def test_no_value_of_any_column_ends_a_command_in_a_traceback(
    name: str, path: Path, tiny_file: Path, empty_file: Path
) -> None:
    column, wrong = COLUMNS[name], []
    kinds = list(kinds_for(column))
    place = list(COLUMNS).index(name)
    for kind in kinds if ALL else [kinds[place % len(kinds)]]:
        arch, is_there = lying(path, tiny_file, name, kind)
        if not is_there:
            continue
        wrong += [f"{kind}: {said}" for said in asked(path, arch, column.table.name)]
        if said := merged(path, empty_file):
            wrong.append(f"{kind}: merge: {said}")
        if not bloxdb.check(path).findings:
            continue  # SQLite made a right value of it, or it is one
        report = bloxdb.repair(path)
        wrong += [f"{kind}: left: {left}" for left in report.left if left.kind in ("value", "damage")]
        if not (report.repaired or report.lost or column.table.name in ("archs", "blocks", "static_info")):
            wrong.append(f"{kind}: nothing is told")
        report.copy.unlink()
    assert wrong == []
