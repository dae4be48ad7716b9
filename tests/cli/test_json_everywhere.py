"""What a command prints with --json is JSON, whatever the database holds: JSON has no NaN and no infinity."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click
import pytest

from bloxdb.cli.app import main
from tests.cli.helpers import bloxdb

INFINITE = (
    "UPDATE runs SET test_top1 = 9e999, val_top1 = -9e999, test_top5 = 9e999, test_loss = 9e999",
    "UPDATE runs SET message = 'NaN', worker = 'Infinity', status = 'failed' WHERE id = 3",
    "UPDATE latencies SET latency_ms = 9e999, spread_ms = -9e999",
    'UPDATE recipes SET config = \'{"lr": Infinity, "momentum": NaN}\'',
    "UPDATE devices SET settings = '{\"batch\": NaN}'",
    "UPDATE archs SET vec = '[Infinity, [NaN]]' WHERE id = 9",
)
COMMANDS: dict[str, list[list[str]]] = {
    "top": [["top"], ["top", "--by", "test_loss"], ["top", "--seed", "mean"], ["top", "--max-latency", "desktop-cpu", "1e308"]],
    "pareto": [["pareto"], ["pareto", "--x", "latency:desktop-cpu"]],
    "show": [["show", "3134"], ["show", "9"]],
    "status": [["status"]],
    "check": [["check"]],
    "backup": [["backup", "COPY"]],
    "merge": [["merge", "OTHER"]],
    "sql": [
        ["sql", "SELECT * FROM runs"],
        ["sql", "SELECT * FROM latencies"],
        ["sql", "SELECT * FROM recipes, devices"],
        ["sql", "SELECT 9e999 AS a, -9e999 AS b, '[Infinity]' AS vec, '[1e999]' AS vec2, 'NaN' AS c, x'00' AS d"],
        ["sql", "SELECT * FROM archs WHERE id = 9"],
        ["sql", f"SELECT '{'[' * 3000}{']' * 3000}' AS vec"],
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def infinite(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Path:
    path = Path(shutil.copy(tiny_file, tmp_path_factory.mktemp("infinite") / "blox.db"))
    with closing(sqlite3.connect(path)) as db, db:
        for sql in INFINITE:
            db.execute(sql)
    return path


def refused(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


def test_every_command_with_json_is_tried_here() -> None:
    context = click.Context(main)
    commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
    with_json = {
        name
        for name, command in commands.items()
        if command is not None and any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_json == set(COMMANDS)


@pytest.mark.parametrize(
    "arguments", [each for group in COMMANDS.values() for each in group], ids=lambda a: " ".join(a)[:50]
)
def test_json_never_has_infinity_or_nan(
    arguments: list[str], infinite: Path, empty_file: Path, tmp_path: Path
) -> None:
    places = {"COPY": str(tmp_path / "copy.db"), "OTHER": str(empty_file)}
    given = [places.get(word, word) for word in arguments]
    code = int(arguments[0] == "check")  # such values are findings
    done = bloxdb(*given, "--json", "--db", infinite, code=code)
    json.loads(done.stdout, parse_constant=refused)
