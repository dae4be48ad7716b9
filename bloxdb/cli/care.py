"""Looking after a database: copies, and whether it is whole."""

from __future__ import annotations

from pathlib import Path

import click

from bloxdb.cli.common import PATH, db_option, json_option, progress_bar, show_json
from bloxdb.cli.terminal import say
from bloxdb.db.backups import backup as back_up
from bloxdb.db.database import open


@click.command()
@click.argument("target", type=PATH, metavar="DEST")
@db_option
@click.option("--compact", is_flag=True, help="Without the room of what was removed, which takes longer.")
@json_option
def backup(target: Path, db: str | None, compact: bool, as_json: bool) -> None:
    """Copy a database into a new file while others may be writing it.

    A plain copy of the file may lack the latest rows, or be damaged.
    """
    with open(db, read_only=True) as opened, progress_bar("backing up", of_bytes=True) as shown:
        report = back_up(target, opened, compact=compact, progress=shown)
        name = opened.name
    if as_json:
        show_json({"database": name, "backup": report.path, "bytes": report.bytes, "compact": compact})
    else:
        say(str(report))
