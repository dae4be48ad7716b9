"""What commands share: options, tables, progress bars."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bloxdb.files import expanded
from bloxdb.measures import COSTS

if TYPE_CHECKING:
    from bloxdb.progress import Progress as Report

Row = dict[str, Any]


class _Home(click.Path):
    """A path in which ``~`` is a home folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(expanded(value), param, ctx)


PATH = _Home(path_type=Path)
"""The type of all options and arguments that are paths."""

db_option = click.option(
    "--db", metavar="PATH|URL", help="The database: a file, or a URL such as postgresql://host/name."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

_NUMBERS = set(COSTS)


def show_rows(rows: Sequence[Row], *, as_json: bool = False, as_csv: bool = False) -> None:
    """Rows on stdout: a table on a terminal, tab-separated when piped, or what the options ask for."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2, default=str))
    elif as_csv:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([list(rows[0]), *(row.values() for row in rows)] if rows else [])
        click.echo(out.getvalue(), nl=False)
    elif not rows:
        click.echo("(no rows)", err=True)
    elif sys.stdout.isatty():
        _show_table(rows)
    else:
        for line in ([list(rows[0])] if rows else []) + [list(row.values()) for row in rows]:
            click.echo("\t".join("" if value is None else str(value) for value in line))


def _show_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for name, value in rows[0].items():
        justify: Literal["left", "right"] = "left" if isinstance(value, str) else "right"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "hash")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    Console().print(table)


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if name in _NUMBERS and isinstance(value, int) else str(value)


@contextmanager
def progress_bar(title: str, *, of_bytes: bool = False) -> Iterator[Report]:
    """A bar with an ETA on stderr, gone at the end; a function to call with done, total and what goes on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn(title),
        BarColumn(),
        *((DownloadColumn(), TransferSpeedColumn()) if of_bytes else (MofNCompleteColumn(),)),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def report(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield report


def note(text: str) -> None:
    """A message for a person, on stderr."""
    click.echo(text, err=True)
