"""Passwords of servers, and whether a process finds them without being told.

The rules are those of libpq, which every driver of PostgreSQL follows:
https://www.postgresql.org/docs/current/libpq-pgpass.html
"""

from __future__ import annotations

import getpass
import os
import re
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL

_USERS = re.compile(r"^([\w+.-]+:/{0,2}[^:/@]*):.*@", re.DOTALL)
_OPTION = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)
_OF_A_KEY = "sslpassword"
_STARS = "***"
_FIELD = re.compile(r"((?:\\.|[^:\\])*)(?::|$)")


def hidden(url: URL) -> str:
    """A URL as it may be shown: with stars for its passwords, those among its options too."""
    return hidden_in(url.render_as_string(hide_password=True))


def hidden_in(text: str) -> str:
    """A text that was meant for a URL, as it may be shown."""
    return _OPTION.sub(rf"\1{_STARS}", _USERS.sub(rf"\1:{_STARS}@", text))


def for_a_pickle(url: URL, name: str) -> URL:
    """The URL without its password, where the environment or a password file gives the same one.

    Anywhere else it is the URL as it is, since nobody could connect without the password, and a warning.
    """
    secret = password_of(url)
    if secret is not None and all(found == secret for found in _found(url)):
        without = URL.create(url.drivername, url.username, None, *url[3:])  # `set` cannot set None
        url = without.difference_update_query(["password"])
    elif secret is not None:
        warnings.warn(
            f"the password of {name} is in the pickle; it stays out where $PGPASSWORD or a password file "
            "such as ~/.pgpass gives it",
            stacklevel=3,  # where the pickle is made
        )
    if _OF_A_KEY in url.query:
        warnings.warn(
            f"the {_OF_A_KEY} of {name} is in the pickle; a key without one needs none", stacklevel=3
        )
    return url


def password_of(url: URL) -> str | None:
    """The password that is in a URL."""
    return _text(url.query.get("password")) or str(url.password or "") or None


def _found(url: URL) -> Iterator[str | None]:
    """What libpq finds for each host of a URL that has no password."""
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
        for host, port in zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False):
            yield _matching(lines, (host or "localhost", port, database, user))


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
