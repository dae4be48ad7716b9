"""Commands that are killed, what they work on, and what has to be there afterwards.

Each case prepares a folder from its seeds, files that were made once, and has a command that is run there.
Whatever happens to it, the whole folder is as before or as after: all files of a release, or none.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import bloxdb
from bloxdb.writing import is_workspace
from tests.db.helpers import next_scripts

COMMAND = [sys.executable, "-c", "from bloxdb.cli import main; main(prog_name='bloxdb')"]
UPGRADE = [
    *(sys.executable, "-c"),
    "from pathlib import Path; from bloxdb.db import creation; from bloxdb.db.connection import locate; "
    "creation.upgrade_url(locate('blox.db'), Path('scripts'))",
]

NUMBERED = {"recipes": ["name"], "envs": None, "devices": ["name"], "runs": ["recipe_id", "arch_id", "seed"]}
"""Tables whose rows are numbered as they come, and what stands for a number; None for all of the row."""

CLOCKS = {"started_at", "finished_at", "heartbeat_at", "worker"}

State = dict[str, object]
Row = tuple[object, ...]
Numbers = dict[str, dict[object, Row]]

_KEPT = 20
_contents: dict[bytes, dict[str, list[Row]]] = {}


def content(path: Path) -> dict[str, list[Row]]:
    """All that a database holds, without numbers of ours and clocks; nothing of it may be broken.

    Most files come again and again, byte by byte: what one without a journal holds is looked up by its bytes.
    """
    if any(path.with_name(path.name + ending).exists() for ending in ("-journal", "-wal")):
        return _content(path)
    key = blake2b(path.read_bytes()).digest()
    if key not in _contents:
        _contents[key] = _content(path)
        if len(_contents) > _KEPT:
            del _contents[next(iter(_contents))]
    return _contents[key]


def _content(path: Path) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        numbers: Numbers = {}
        return {table: rows(connection, table, numbers) for table in tables(connection)}


def tables(connection: sqlite3.Connection) -> list[str]:
    """The tables of a database, those first whose numbers others have."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return list(dict.fromkeys([*NUMBERED, *(name for (name,) in connection.execute(query))]))


def rows(connection: sqlite3.Connection, table: str, numbers: Numbers) -> list[Row]:
    """The rows of a table; in `numbers`, what stands for each of them in those that come later."""
    refers = {row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
    cursor = connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    if table not in NUMBERED and not CLOCKS & set(names) and not set(refers.values()) & numbers.keys():
        return cursor.fetchall()
    kept, mine = [], {}
    for values in cursor:
        row = {
            name: numbers[refers[name]].get(value) if refers.get(name) in numbers else value
            for name, value in zip(names, values, strict=True)
            if name not in CLOCKS
        }
        if table in NUMBERED:
            number = row.pop("id")
            mine[number] = tuple(row[name] for name in NUMBERED[table] or row)
        kept.append(tuple(row.values()))
    if table in NUMBERED:
        numbers[table] = mine
    return sorted(kept, key=repr) if table in NUMBERED or set(refers.values()) & numbers.keys() else kept


def state(folder: Path) -> State:
    """What is in a folder: databases by what they hold, other files by their bytes."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if _is_unfinished(path):
            continue
        if path.suffix == ".db":
            of = content(path)  # or an error
            if not is_kept(path):
                found[name] = of
        elif path.is_file() and "scripts" not in path.parts:
            found[name] = path.read_bytes()
    return found


@dataclass(frozen=True)
class Seeds:
    """Files from which cases are prepared."""

    golden: Path
    empty: Path
    tiny: Path


@dataclass(frozen=True)
class Case:
    """A command and where it works.

    Attributes
    ----------
    words
        The command.
    prepare
        Makes what it works on, in a folder.
    is_repeatable
        Whether it ends in the same state again when it has ended once.
    """

    words: list[str]
    prepare: Callable[[Path, Seeds], object] = lambda folder, seeds: None
    is_repeatable: bool = True


def _database(name: str) -> Callable[[Path, Seeds], object]:
    return lambda folder, seeds: shutil.copy(getattr(seeds, name), folder / "blox.db")


def _release(folder: Path, seeds: Seeds) -> None:
    shutil.copytree(seeds.golden / "release-tiny", folder / "tiny")


def _into(name: str) -> Callable[[Path, Seeds], object]:
    return lambda folder, seeds: (_release(folder, seeds), _database(name)(folder, seeds))


def _into_half(folder: Path, seeds: Seeds) -> None:
    _into("empty")(folder, seeds)
    with bloxdb.open(folder / "blox.db", current=False) as db:
        bloxdb.import_release(folder / "tiny" / "blox-base-3.csv", db)


def _into_bases(folder: Path, seeds: Seeds) -> None:
    _database("empty")(folder, seeds)
    shutil.copy(seeds.tiny, folder / "other.db")


def _failed(folder: Path, seeds: Seeds) -> None:
    _database("tiny")(folder, seeds)
    with closing(sqlite3.connect(folder / "blox.db")) as connection, connection:
        connection.execute("UPDATE runs SET status = 'failed' WHERE id % 3 = 0")


def _wrong(folder: Path, seeds: Seeds) -> None:
    _database("tiny")(folder, seeds)
    with closing(sqlite3.connect(folder / "blox.db")) as connection, connection:
        connection.execute("UPDATE runs SET flops = 1 WHERE id % 3 = 0")


def _older(folder: Path, seeds: Seeds) -> None:
    _database("tiny")(folder, seeds)
    next_scripts(folder / "scripts")


CASES = {
    "init": Case([*COMMAND, "init", "--db", "blox.db"], is_repeatable=False),
    "import into a new database": Case([*COMMAND, "import", "tiny", "--db", "blox.db"], _release),
    "import into an empty database": Case([*COMMAND, "import", "tiny", "--db", "blox.db"], _into("empty")),
    "import into a half": Case([*COMMAND, "import", "tiny", "--db", "blox.db"], _into_half),
    "merge": Case([*COMMAND, "merge", "other.db", "--db", "blox.db"], _into_bases),
    "upgrade": Case(UPGRADE, _older),
    "retry": Case([*COMMAND, "retry", "--failed", "--db", "blox.db"], _failed),
    "backup": Case(
        [*COMMAND, "backup", "copy.db", "--db", "blox.db"], _database("tiny"), is_repeatable=False
    ),
    "repair": Case(
        [*COMMAND, "check", "--repair", "copy.db", "--db", "blox.db"], _wrong, is_repeatable=False
    ),
    **{
        f"export of {name}": Case(
            [*COMMAND, "export", "--db", "blox.db", "--format", name, "--out", "out"], _database("tiny")
        )
        for name in ("blox", "pickle", "csv", "parquet")
    },
}

NEXT = Case([*COMMAND, "init", "--db", "next.db"], is_repeatable=False)
"""A command that writes in the same folder, and so removes what was left there."""

TRAIN = Case(
    [
        *(*COMMAND, "train", "--db", "blox.db", "--dataset", "digits", "--random", "4", "--epochs", "2"),
        *(
            "--gpus",
            "none",
            "--per-gpu",
            "3",
            "--heartbeat",
            "0.2",
            "--dead-after",
            "2",
            "--checkpoint-every",
            "1",
        ),
    ],
    _database("empty"),
)


def check(folder: Path, before: State, after: State) -> None:
    """A killed command has left the whole folder as it was before or as it makes it, and nothing in between.

    Beside that there may be copies of a database, as `upgrade` keeps them, and what `leftovers` says.
    """
    for path in folder.rglob("*.db"):
        if _is_unfinished(path):
            continue
        if is_kept(path):
            assert content(path) == before["blox.db"], f"{path.name} is not the database as it was"
        else:
            _open(path)
    found = state(folder)
    if found not in (before, after):  # pytest would show all of both
        others = [sorted(_differing(found, whole)) for whole in (before, after)]
        raise AssertionError(f"not as before in {others[0]}, and not as after in {others[1]}")


def _differing(found: State, whole: State) -> set[str]:
    """The names that have something else in two states, or are in one of them only."""
    return {name for name in found.keys() | whole.keys() if found.get(name) != whole.get(name)}


def is_kept(path: Path) -> bool:
    """Whether it is the copy before an upgrade, whose name has its revision and the time."""
    return path.suffix == ".db" and ".000" in path.name


def _is_unfinished(path: Path) -> bool:
    """Whether a killed command was making it; nobody takes it for anything else, and the next removes it."""
    return any(is_workspace(part) for part in (path, *path.parents))


def _open(path: Path) -> None:
    """Every way of opening works, or says that another revision is needed."""
    for read_only in (True, False):
        try:
            bloxdb.open(path, read_only=read_only, current=False).close()
        except bloxdb.RevisionError:
            assert "scripts" in os.listdir(path.parent)  # noqa: PTH208


def leftovers(folder: Path) -> list[str]:
    """What should have been removed."""
    endings = ("-journal", "-wal", "-shm", ".tmp")
    return [str(path) for path in folder.rglob("*") if path.name.endswith(endings)]
