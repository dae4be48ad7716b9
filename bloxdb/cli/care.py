"""Looking after a database: copies, and whether it is whole."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from bloxdb.care.checking import LEFT, CheckReport
from bloxdb.care.checking import check as look
from bloxdb.care.places import file_to_repair, place_of_copy, tidy
from bloxdb.care.repairing import repair
from bloxdb.cli.common import PATH, db_option, json_option, progress_bar, show_json
from bloxdb.cli.terminal import note, say
from bloxdb.db.backups import backup as back_up
from bloxdb.db.database import open

_BESIDE = "\0"  # where no copy is named: no argument of a command can be that


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


@click.command()
@db_option
@click.option(
    "--repair",
    "copy",
    is_flag=False,
    flag_value=_BESIDE,
    metavar="[COPY]",
    help="Write what can be read and repaired into a new file, NAME.repaired.db if it is not named; "
    "remove what killed processes left, for which alone no file is written.",
)
@json_option
def check(db: str | None, copy: str | None, as_json: bool) -> None:
    """Look whether a database is whole: the file, references, epochs, copies and values.

    The exit code is 1 if something is wrong; with --repair, if something was lost or is wrong in the copy.
    The database itself is never changed.
    """
    if copy is not None:
        damaged = file_to_repair(db)
        copy = str(place_of_copy(damaged, None if copy == _BESIDE else copy))
    report = _looked_at(db)
    told: dict[str, Any] = {"database": report.database, "findings": report.findings}
    if not as_json:
        _print_findings(report)
    is_whole = not report.findings
    kinds = {finding.kind for finding in report.findings}
    if copy is not None and LEFT in kinds:
        told["removed"] = tidy(db)
        if not as_json:
            for path in told["removed"]:
                say(f"removed: {path}")
        is_whole = kinds == {LEFT} and not _looked_at(db).findings
    if copy is not None and kinds - {LEFT}:
        with progress_bar("repairing") as shown:
            repaired = repair(db, copy=copy, progress=shown)
        is_whole = repaired.is_whole
        told["repair"] = asdict(repaired)
        if not as_json:
            say(repaired.copy)
            for what, sentences in (("repaired", repaired.repaired), ("lost", repaired.lost)):
                for sentence in sentences:
                    say(f"{what}: {sentence}")
            for finding in repaired.left:
                say(f"still wrong: {finding}")
    if as_json:
        show_json({**told, "findings": [asdict(finding) for finding in report.findings]})
    if not is_whole:
        sys.exit(1)


def _looked_at(db: str | None) -> CheckReport:
    with progress_bar("checking") as shown:
        return look(db, progress=shown)


def _print_findings(report: CheckReport) -> None:
    for finding in report.findings:
        say(str(finding))
    note(str(report))
