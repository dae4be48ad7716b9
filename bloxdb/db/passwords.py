"""Passwords of servers: never shown, and in a pickle only where nobody would find them without it."""

from __future__ import annotations

import re
import warnings
from urllib.parse import quote, urlencode

from sqlalchemy import URL

from bloxdb.db.dialects import engines_of
from bloxdb.db.libpq import with_ports
from bloxdb.errors import DatabaseError

_USERS = re.compile(r"^([\w+.-]+:/{0,2}[^:/@]*):.*@", re.DOTALL)
_OPTION = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)
_STARS = "***"


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
    secret, engines = password_of(url), engines_of(url)
    if secret is not None and all(found == secret for found in engines.passwords(url)):
        without = URL.create(url.drivername, url.username, None, *url[3:])  # `set` cannot set None
        url = without.difference_update_query(["password"])
    elif secret is not None:
        warnings.warn(
            f"the password of {name} is in the pickle; it stays out where {engines.PASSWORDS} gives it",
            stacklevel=3,  # where the pickle is made
        )
    if engines.OF_A_KEY in url.query:
        warnings.warn(
            f"the {engines.OF_A_KEY} of {name} is in the pickle; a key without one needs none",
            stacklevel=3,
        )
    return url


def left_out(error: DatabaseError, url: URL) -> DatabaseError:
    """The error of a database that was opened from a pickle, with what may be the reason."""
    place = engines_of(url).PASSWORDS
    if not place or password_of(url) is not None:
        return error
    return DatabaseError(
        f"{error}; a password that {place} gave is not in the pickle: it has to be given here, too"
    )


def for_tools(url: URL) -> str:
    """A URL as the tools of its engine take it: of no driver, and without passwords, for which they ask.

    Parameters
    ----------
    url
        The URL, whose password may be among its options; so may be several hosts, each with its port.
    """
    secrets = ("password", engines_of(url).OF_A_KEY)
    options = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in url.query.items()
        if name not in secrets
    }
    if hosts := with_ports(url):
        options["host"] = ",".join(name for name, _ in hosts)
        if any(port for _, port in hosts):
            options["port"] = ",".join(port for _, port in hosts)  # nothing is the usual one
    user = "" if url.username is None else f"{quote(url.username, safe='')}@"
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    port = "" if url.port is None else f":{url.port}"
    asked = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"{url.get_backend_name()}://{user}{host}{port}/{quote(url.database or '', safe='')}{asked}"


def password_of(url: URL) -> str | None:
    """The password that is in a URL."""
    given = url.query.get("password", "")
    option = ",".join(given) if isinstance(given, tuple) else given
    return option or str(url.password or "") or None
