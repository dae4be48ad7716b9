"""What a device can be called: a release file is named after it, and a header must hold it.

One rule for whatever adds a device (imports, `merge`, Parquet files, `bench`), for `bloxdb check`, for
headers of files, and for exports, which tell a device that SQL has called otherwise.
"""

from __future__ import annotations

from collections.abc import Collection

from bloxdb.errors import QueryError, spelled
from bloxdb.files import as_name

DEVICE_NAMES = (
    "it has printable characters, is not blank, has no '---', and is not longer than a file's name can tell"
)
"""What `is_device_name` asks for, in words."""

_LONGEST = 200  # bytes; a file's name has 255, and three for each byte that it cannot have as it is
_END = "---"  # which ends a header


def is_device_name(name: str) -> bool:
    """Whether a device can be called so.

    Parameters
    ----------
    name
        The name.

    Examples
    --------
    >>> is_device_name("jetson nano"), is_device_name("a---b"), is_device_name(" ")
    (True, False, False)
    """
    is_plain = bool(name.strip()) and name.isprintable() and _END not in name
    return is_plain and len(as_name(name).encode()) <= _LONGEST


def new_device_name(name: object) -> str:
    """The name of a device that is added, by whichever way in.

    Parameters
    ----------
    name
        What it is to be called.

    Returns
    -------
    str
        The name as it is.

    Raises
    ------
    QueryError
        It is no text, or no name for a device.
    """
    if not isinstance(name, str) or not is_device_name(name):
        raise QueryError(f"{spelled(name)} is no name for a device: {DEVICE_NAMES}; choose another")
    return str(name)


def fitting_name(number: int, name: str, taken: Collection[str] = ()) -> str:
    r"""What a device of a database can be called instead of what it cannot.

    Parameters
    ----------
    number
        Its id.
    name
        What it is called.
    taken
        What others are called.

    Returns
    -------
    str
        The name with ``%`` and two hex digits for what cannot be in it; where that will not do, one of its
        number.

    Examples
    --------
    >>> fitting_name(3, "a\nb"), fitting_name(3, "a---b"), fitting_name(3, "")
    ('a%0Ab', 'a%2D%2D%2Db', 'device-3')
    """
    spelt = as_name(name).replace(_END, "%2D" * len(_END))
    numbered = (
        f"device-{number}{more}" for more in ("", *(f"-{again}" for again in range(2, len(taken) + 3)))
    )
    fits = (found for found in (spelt, *numbered) if is_device_name(found) and found not in taken)
    return next(fits)


def misnamed(number: int, name: str, taken: Collection[str] = ()) -> str:
    """What an export says of a device that no file can be named after: which it is, and what to do.

    Parameters
    ----------
    number
        Its id.
    name
        What it is called.
    taken
        What others are called.
    """
    instead = fitting_name(number, name, taken).replace("'", "''")
    change = f"UPDATE devices SET name = '{instead}' WHERE id = {number}"  # noqa: S608
    return (
        f"device {number} is called {spelled(name)}, which is no name for a device: {DEVICE_NAMES}; call it "
        f"otherwise (in SQL, {change}), or take the copy that `bloxdb check --repair` makes, in which it is"
    )
