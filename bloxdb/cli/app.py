"""The `bloxdb` command: its sub-commands, and what becomes of errors."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from importlib import import_module
from traceback import walk_tb
from typing import Any, NoReturn

import click
from sqlalchemy.exc import DBAPIError

from bloxdb.cli.signals import begun, ended_by_signals, not_begun
from bloxdb.cli.terminal import STDOUT, end_by_sigpipe, note, streams
from bloxdb.errors import BloxError

_HOMES = {
    "init": "manage",
    "upgrade": "manage",
    "status": "manage",
    "import": "files",
    "export": "files",
    "verify": "files",
    "top": "query",
    "pareto": "query",
    "show": "query",
    "sql": "query",
    "draw": "look",
    "plot": "look",
    "explore": "explore",
    "train": "train",
    "retry": "manage",
    "merge": "manage",
    "backup": "care",
    "check": "care",
    "bench": "bench",
    "quickstart": "quickstart",
}
"""Commands and the modules they are in: only what is called is imported."""

_NEAR = 0.4  # how like a command a name has to be, 1 for the same letters, to be taken for a slip
_WHOLE = 1_000  # characters of a summary, which click would cut to what is left of the line


class _Group(click.Group):
    """Loads a command when it is called; turns errors into one line on stderr and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        with not_begun():
            module = import_module(f"bloxdb.cli.{_HOMES[cmd_name]}")
        command: click.Command = getattr(module, "import_" if cmd_name == "import" else cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _HOMES and not name.startswith("-") and not ctx.resilient_parsing:
            nearest = get_close_matches(name.lower(), _HOMES, n=1, cutoff=_NEAR)
            choice = f"do you mean {nearest[0]!r}?" if nearest else f"choose one of: {', '.join(_HOMES)}"
            raise click.UsageError(f"there is no command {name!r}; {choice}", ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            meant = [word for word in given if word in _HOMES and self._has(ctx, word, error.option_name)]
            if not meant:
                raise
            # a word before may be the option's value
            told = f"options stand after the command: bloxdb {meant[-1]} {error.option_name} ..."
            raise click.UsageError(told, ctx) from error

    def _has(self, ctx: click.Context, name: str, option: str) -> bool:
        command = self.get_command(ctx, name)
        return command is not None and any(option in known.opts for known in command.params)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(ctx, name)) for name in _HOMES])

    def _summary(self, ctx: click.Context, name: str) -> str:
        """The first sentence of a command's help, whole."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(_WHOLE) if command else ""

    def main(self, *args: Any, **extra: Any) -> Any:
        with not_begun(), streams():
            return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _told():  # --help and --version print here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with begun(), ended_by_signals(ctx.meta), _told(), _warned():
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    """What went wrong, as one line on stderr and exit code 1."""
    try:
        yield
    except BloxError as error:
        _fail(error)
    except DBAPIError as error:
        _fail(f"the database: {error.orig}")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        from bloxdb.care.blame import blamed

        if (said := blamed(error)) is None:
            raise
        _fail(said)
    except BrokenPipeError:
        end_by_sigpipe()
    except OSError as error:
        _fail(f"{error.filename or _unnamed(error)}: {error.strerror or error}")


@contextmanager
def _warned() -> Iterator[None]:
    """What bloxdb warns of, as a line on stderr without a place in its code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: note(f"Warning: {' '.join(str(message).split())}")
        yield


def _unnamed(error: OSError) -> str:
    """What an error is about that names no file: click, which prints help, writes to nothing but stdout."""
    frames = list(walk_tb(error.__traceback__))
    module = frames[-1][0].f_globals.get("__name__", "") if frames else ""
    return STDOUT if module.partition(".")[0] == "click" else "a file"


def _fail(error: object) -> NoReturn:
    with suppress(OSError):  # nobody is there to hear it
        note(f"Error: {' '.join(str(error).split())}")
    sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="bloxdb")
def main() -> None:
    """The embedded database of the Blox macro-NAS benchmark.

    Without --db, commands use $BLOXDB_URL, else blox.db in your data folder.
    """
    # after Ctrl-C SQLAlchemy would tell, with a traceback, that it closed what was closed already
    logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
