"""What commands share: options, tables, progress bars."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bloxdb.cli.terminal import clean, console, is_terminal, note, width, write, write_data
from bloxdb.files import expanded

if TYPE_CHECKING:
    from bloxdb.progress import Progress as Report

Row = dict[str, Any]
_T = TypeVar("_T")

_AT_ONCE = 1_000  # rows
_VEC = re.compile(r"vec(_\d+)?")
_FORM = "bloxdb.cli.form"  # where click's context keeps the one that is asked for


class _Home(click.Path):
    """A path in which ``~`` is a home folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(expanded(value), param, ctx)


class IntRange(click.IntRange):
    """A whole number in a range, of which click says what it is called in its code."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; an error in our words where there is none."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number{_range(self)}", param, ctx)
        return super().convert(value, param, ctx)


class FloatRange(click.FloatRange):
    """The same of any number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; an error in our words where there is none."""
        try:
            is_number = math.isfinite(float(value))
        except ValueError:
            is_number = False
        if not is_number:  # the bounds of a range let nan through
            self.fail(f"{value!r} is no number{_range(self)}", param, ctx)
        return super().convert(value, param, ctx)


def _range(kind: click.IntRange | click.FloatRange) -> str:
    return f" of {kind.min} or more" if kind.max is None else f" in {kind.min} ... {kind.max}"


PATH = _Home(path_type=Path)
"""The type of all options and arguments that are paths."""

db_option = click.option(
    "--db", metavar="PATH|URL", help="The database: a file, or a URL such as postgresql://host/name."
)


def _one_form(ctx: click.Context, param: click.Parameter, is_given: bool) -> bool:
    """An answer has one form: whoever asks for two must have made a mistake."""
    if is_given and ctx.meta.setdefault(_FORM, param.name) != param.name:
        raise click.UsageError("--json and --csv are two forms of one answer; give one of them", ctx)
    return is_given


json_option = click.option("--json", "as_json", is_flag=True, callback=_one_form, help="Print JSON.")

csv_option = click.option(
    "--csv", "as_csv", is_flag=True, callback=_one_form, help="Print CSV with a header line."
)


def show_rows(
    rows: Iterable[Row], columns: Sequence[str] = (), *, as_json: bool = False, as_csv: bool = False
) -> None:
    """Rows on stdout: a table on a terminal, tab-separated when piped, or what the options ask for.

    Any number of rows is written in flat memory, but for a table, whose columns are as wide as all its rows.

    Parameters
    ----------
    rows
        A dict a row, all with the same keys.
    columns
        The names of the columns, for where there are no rows.
    as_json, as_csv
        What the options say.
    """
    parts = _parts(rows)
    first = next(parts, [])
    columns = list(first[0]) if first else columns
    all_parts = chain([first] if first else [], parts)
    if as_json:
        _write_json(all_parts)
    elif as_csv:
        _write_csv(columns, all_parts)
    elif not first:
        note("(no rows)")
    elif is_terminal():
        from bloxdb.cli.tables import as_text

        listed = [list(row.values()) for part in all_parts for row in part]
        write(f"{as_text(columns, listed, width())}\n")
    else:
        write("\t".join(map(clean, columns)) + "\n")
        for part in all_parts:
            lines = (map(_field, row.values()) for row in part)
            write("".join("\t".join(clean(str(value)) for value in line) + "\n" for line in lines))


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows, as many together as are written at once."""
    given = iter(rows)
    return iter(lambda: list(islice(given, _AT_ONCE)), [])


def _write_csv(columns: Sequence[str], parts: Iterable[list[Row]]) -> None:
    for part in chain([None] if columns else [], parts):
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([columns] if part is None else (map(_field, row.values()) for row in part))
        if is_terminal():
            write("\n".join(map(clean, out.getvalue().split("\n"))))
        else:
            write_data(out.getvalue())


def _write_json(parts: Iterable[list[Row]]) -> None:
    """A list, as `show_json` writes it."""
    before = "["
    for part in parts:
        inside = _json(part)[2:-2]  # between its brackets and their lines
        write(f"{before}\n{inside}")
        before = ","
    write("[]\n" if before == "[" else "\n]\n")


def _field(value: object) -> object:
    """A value in a line of text: nothing where it is missing, hex for bytes."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return "" if value is None else value


def show_json(value: object) -> None:
    """Anything as JSON that every reader takes."""
    write(f"{_json(value)}\n")


def _json(value: object) -> str:
    return json.dumps(_jsonable(value), indent=2, default=str, allow_nan=False).replace("\x7f", "\\u007f")


def _jsonable(value: Any, name: str = "") -> Any:
    """Without what JSON has not: infinities and NaN are null, bytes hex; and a vector is lists."""
    if isinstance(value, dict):
        return {key: _jsonable(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    if isinstance(value, float | Decimal):
        number = float(value)  # of a decimal of PostgreSQL that is too large, infinite
        return number if math.isfinite(number) else None
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, str) and _VEC.fullmatch(name):
        with suppress(ValueError, RecursionError):
            found = json.loads(value)  # which takes NaN and Infinity, as JSON does not
            return _jsonable(found) if isinstance(found, list) else value
    return value


def in_the_one_there(do: Callable[[], _T], db: str | None, what: str) -> _T:
    """Do something in a database that may be made; where another process made it meanwhile, in that one."""
    from bloxdb.db.connection import locate, path_of
    from bloxdb.errors import DatabaseExistsError

    try:
        return do()
    except DatabaseExistsError:
        note(f"{path_of(locate(db))} was made by another process meanwhile; {what} it")
        return do()


@contextmanager
def progress_bar(title: str, *, of_bytes: bool = False) -> Iterator[Report]:
    """A bar with an ETA on stderr, gone at the end; a function to call with done, total and what goes on."""
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

    stderr = console()
    moves = stderr.is_terminal and not stderr.is_dumb_terminal
    columns = (
        TextColumn(title, markup=False),
        BarColumn(),
        *((DownloadColumn(), TransferSpeedColumn()) if of_bytes else (MofNCompleteColumn(),)),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not moves) as bar:
        task = bar.add_task("", total=None)

        def report(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=clean(what))

        yield report
