"""`explore`: a page to look at a database with."""

from __future__ import annotations

from pathlib import Path

import click

from bloxdb.cli.common import PATH, IntRange, db_option, progress_bar
from bloxdb.cli.terminal import note, say
from bloxdb.db import open
from bloxdb.errors import QueryError
from bloxdb.web.copying import write_copy
from bloxdb.web.serving import HOST, PORT, is_loopback, serve


@click.command()
@db_option
@click.option(
    "--host",
    default=HOST,
    show_default=True,
    help="The address to serve at; any but a loopback address lets others read the database.",
)
@click.option(
    "--port",
    type=IntRange(0, 65_535),
    help=f"The port; the first free one from {PORT} on if not given, any free one if 0.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address of the page.")
@click.option(
    "--static",
    type=PATH,
    metavar="DIR",
    help="Write the page with all data into this folder instead, for any web server.",
)
@click.pass_context
def explore(
    ctx: click.Context, db: str | None, host: str, port: int | None, no_browser: bool, static: Path | None
) -> None:
    """Look at a database in the browser: all runs as a scatter, architectures, comparisons, training.

    Its tables are there too, with SQL, JSON and CSV, by Datasette. Nothing is written, and the page asks no
    other machine for anything. Ctrl-C ends it. It needs `pip install 'bloxdb[web]'`, with --static nothing.
    """
    if static is not None:
        for name in ("host", "port", "no_browser"):
            if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"--{name.replace('_', '-')} is for a server, and --static serves nothing"
                )
        with open(db, read_only=True) as opened, progress_bar("copying") as shown:
            report = write_copy(static, opened, progress=shown)
        size = sum(path.stat().st_size for path in report.files) / 1e6
        say(f"{report} in {static}, {size:,.0f} MB; look at it with: python -m http.server -d {static}")
        return
    with open(db, read_only=True) as opened:
        path, name = opened.path, opened.name
    if path is None:
        raise QueryError(
            f"{name} is on a server, and only files can be explored; `bloxdb explore --static DIR` writes "
            "the page with its data, and `bloxdb merge` brings it into a file"
        )
    if not is_loopback(host):
        note(
            f"Warning: whoever reaches this machine at {host} can read the whole database and query it; "
            "there is no password"
        )
    serve(path, host, port, opens_browser=not no_browser, tell=lambda url: say(f"{url}\nCtrl-C ends it"))
