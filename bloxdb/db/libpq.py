"""Where libpq, which every driver of PostgreSQL goes by, finds the password of a server.

https://www.postgresql.org/docs/current/libpq-pgpass.html
"""

from __future__ import annotations

import getpass
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL

_HOST_AND_PORT = re.compile(r"[a-zA-Z0-9.-]*:[0-9]*")
_FIELD = re.compile(r"((?:\\.|[^:\\])*)(?::|$)")


def found_passwords(url: URL) -> Iterator[str | None]:
    """What libpq finds for each host of a URL that has no password; None for one for which it finds none."""
    given = os.environ.get("PGPASSWORD")
    if given:
        yield given
    elif "service" in url.query or "PGSERVICE" in os.environ:
        yield None  # a third file, which could say something else
    else:
        lines = _lines(_option(url, "passfile", "PGPASSFILE") or "")
        user = url.username or _option(url, "user", "PGUSER") or getpass.getuser()
        database = url.database or _option(url, "dbname", "PGDATABASE") or user
        hosts = (url.host or _option(url, "host", "PGHOST") or _option(url, "hostaddr", "PGHOSTADDR")).split(
            ","
        )
        ports = str(url.port or _option(url, "port", "PGPORT") or 5432).split(",")
        pairs = [(host, port or "5432") for host, port in with_ports(url)] or zip(
            hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False
        )
        for host, port in pairs:
            yield _matching(lines, (host or "localhost", port, database, user))


def with_ports(url: URL) -> list[tuple[str, str]]:
    """The hosts among the options of a URL where each has its port with it; empty where they have not.

    SQLAlchemy takes them so where there are several, and one that is a name or an address of IPv4.

    Parameters
    ----------
    url
        The URL.

    Examples
    --------
    >>> from sqlalchemy import make_url
    >>> with_ports(make_url("postgresql:///blox?host=a:5433")), with_ports(make_url("postgresql:///blox?host=a"))
    ([('a', '5433')], [])
    """
    given = url.query.get("host", ())
    if isinstance(given, str):
        given = (given,) if "port" not in url.query and _HOST_AND_PORT.fullmatch(given) else ()
    parts = [host.partition(":") for host in given]
    return [(name, port) for name, _, port in parts]


def _option(url: URL, name: str, variable: str) -> str:
    return _text(url.query.get(name)) or os.environ.get(variable, "")


def _text(value: str | tuple[str, ...] | None) -> str:
    return ",".join(value) if isinstance(value, tuple) else value or ""


def _lines(passfile: str) -> list[str]:
    """The lines of a password file; none if others than its owner may read it, as libpq has it."""
    path = Path(passfile) if passfile else Path.home() / ".pgpass"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
            return []
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _matching(lines: list[str], wanted: tuple[str, ...]) -> str | None:
    """The password of the first line that fits host, port, database and user."""
    for line in lines:
        fields = _FIELD.findall(line)
        if line.startswith("#") or len(fields) <= len(wanted):
            continue
        if all(
            field in ("*", one) or _plain(field) == one for field, one in zip(fields, wanted, strict=False)
        ):
            return _plain(fields[len(wanted)])
    return None


def _plain(field: str) -> str:
    return re.sub(r"\\(.)", r"\1", field)
