"""Commands that are killed, what they work on, and what has to be there afterwards.

Each case prepares a folder from its seeds, files that were made once, and has a command that is run there.
Whatever happens to it, a database is as before or as after, and a file of a release is whole or not there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import bloxdb
from bloxdb.files import is_workspace
from tests.db.helpers import next_scripts

COMMAND = [sys.executable, "-c", "from bloxdb.cli import main; main(prog_name='bloxdb')"]
UPGRADE = [
    *(sys.executable, "-c"),
    "from pathlib import Path; from bloxdb.db import creation; from bloxdb.db.connection import locate; "
    "creation.upgrade_url(locate('blox.db'), Path('scripts'))",
]

_CONTENT = (
    "SELECT name FROM devices ORDER BY name",
    "SELECT name, epochs FROM recipes ORDER BY name",
    "SELECT arch_id, seed, status, test_top1, best_epoch, env_id IS NULL FROM runs ORDER BY arch_id, seed",
    "SELECT arch_id, seed, e.* FROM epochs e JOIN runs ON runs.id = run_id ORDER BY arch_id, seed, epoch",
    "SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON id = device_id ORDER BY arch_id, name",
    "SELECT count(*), sum(flops) FROM static_info",
    "SELECT version_num FROM alembic_version",
)

State = dict[str, object]


def content(path: Path) -> list[list[tuple[object, ...]]]:
    """All that a database holds, without ids of ours; nothing of it may be broken."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        found = []
        for query in _CONTENT:
            cursor = connection.execute(query)
            at = [n for n, column in enumerate(cursor.description) if column[0] != "run_id"]
            found.append([tuple(row[n] for n in at) for row in cursor])
        return found


def state(folder: Path) -> State:
    """What is in a folder: databases by what they hold, other files by their bytes."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if _is_unfinished(path):
            continue
        if path.suffix == ".db":
            if ".000" in path.name:
                content(path)  # the copy before an upgrade, whose name has the time
                continue
            found[name] = content(path)
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
    **{
        f"export of {name}": Case(
            [*COMMAND, "export", "--db", "blox.db", "--format", name, "--out", "out"], _database("tiny")
        )
        for name in ("blox", "pickle", "csv", "parquet")
    },
}

TRAIN = Case(
    [
        *(*COMMAND, "train", "--db", "blox.db", "--dataset", "digits", "--random", "4", "--epochs", "2"),
        *(
            "--gpus",
            "none",
            "--per-gpu",
            "3",
            "--beat",
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
    """A killed command has left what was there before or all that it makes, and nothing in between."""
    for path in folder.rglob("*"):
        if _is_unfinished(path):
            continue
        name = str(path.relative_to(folder))
        if path.suffix == ".db" and ".000" not in path.name:
            _open(path)
            assert content(path) in (before.get(name), after.get(name)), f"{name} is half-made"
        elif path.is_file() and name in after:
            assert path.read_bytes() in (before.get(name), after[name]), f"{name} is half-made"


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
