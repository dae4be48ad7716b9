"""The `bloxdb` command: its sub-commands, and what becomes of errors."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from bloxdb.errors import BloxError

_HOMES = {
    "init": "manage",
    "upgrade": "manage",
    "status": "manage",
    "import": "files",
    "export": "files",
    "verify": "files",
    "top": "query",
    "show": "query",
    "sql": "query",
    "train": "train",
    "retry": "manage",
    "merge": "manage",
    "bench": "bench",
    "quickstart": "quickstart",
}
"""Commands and the modules they are in: only what is called is imported."""


class _Group(click.Group):
    """Loads a command when it is called; turns errors into one line on stderr and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        module = import_module(f"bloxdb.cli.{_HOMES[cmd_name]}")
        command: click.Command = getattr(module, "import_" if cmd_name == "import" else cmd_name)
        return command

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
    # after Ctrl-C SQLAlchemy would tell, with a traceback, that it closed what was closed already
    logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
