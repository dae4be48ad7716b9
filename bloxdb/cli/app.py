"""The `bloxdb` command: its sub-commands, and what becomes of errors."""

from __future__ import annotations

import sys
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from bloxdb.cli import files, manage, query, quickstart, train
from bloxdb.errors import BloxError


class _Group(click.Group):
    """Turns errors into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BloxError as error:
            click.echo(f"Error: {_one_line(error)}", err=True)
            sys.exit(1)
        except DBAPIError as error:
            click.echo(f"Error: the database: {_one_line(error.orig)}", err=True)
            sys.exit(1)
        except OSError as error:
            click.echo(f"Error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
            sys.exit(1)


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="bloxdb")
def main() -> None:
    """The embedded database of the Blox macro-NAS benchmark.

    Without --db, commands use $BLOXDB_URL, else blox.db in your data folder.
    """


for command in (
    manage.init,
    manage.upgrade,
    manage.status,
    files.import_,
    files.export,
    files.verify,
    query.top,
    query.show,
    query.sql,
    train.train,
    quickstart.quickstart,
):
    main.add_command(command)
