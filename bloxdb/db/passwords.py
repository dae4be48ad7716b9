"""Passwords of servers: never shown, and in a pickle only where nobody would find them without it."""

from __future__ import annotations

import re
import warnings

from sqlalchemy import URL

from bloxdb.db.dialects import engines_of

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


def password_of(url: URL) -> str | None:
    """The password that is in a URL."""
    given = url.query.get("password", "")
    option = ",".join(given) if isinstance(given, tuple) else given
    return option or str(url.password or "") or None
