"""Every error that bloxdb raises on purpose.

::

    BloxError
    ├── InvalidArchError      (ValueError)   a vector outside the search space
    ├── BloxFormatError       (ValueError)   a release file that cannot be read or written
    ├── ReleaseError          (ValueError)   files that do not fit together, or not this database
    │   └── ConflictError                    values that contradict what the database holds
    ├── QueryError            (ValueError)   a question the database cannot be asked
    ├── BudgetExhausted       (RuntimeError) a search has spent what it may
    ├── DatabaseError         (RuntimeError) the database refused
    │   ├── NotADatabaseError                some other file
    │   ├── RevisionError                    an older or a newer database
    │   └── ServerAwayError                  a server that cannot be reached just now
    ├── TrainingError         (RuntimeError) a run that cannot be trained
    ├── RunLostError          (RuntimeError) a run that another worker has taken over
    ├── WeightsError          (ValueError)   a file of weights that is damaged, or of another run
    ├── MissingDataError      (FileNotFoundError) a data set, or weights, that are not there
    ├── DatabaseNotFoundError (FileNotFoundError)
    ├── DatabaseExistsError   (FileExistsError)
    └── MissingExtraError     (ImportError)  an optional part that is not installed
"""

from __future__ import annotations

from fractions import Fraction
from reprlib import Repr
from typing import Any


class BloxError(Exception):
    """The base of all errors of bloxdb; its text is a sentence to act on."""


class InvalidArchError(BloxError, ValueError):
    """An architecture vector is malformed or has no path from input to output."""


class BloxFormatError(BloxError, ValueError):
    """A release file is damaged, or a table does not fit a format.

    Parameters
    ----------
    problem
        What is wrong and what to do.
    source
        The file's name.
    row, column, offset
        Where: the row (from 0), the column's name, the byte offset in the file, or, for `.blox`,
        in the inflated body. ``None`` where it does not apply.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str = "",
        row: int | None = None,
        column: str | None = None,
        offset: int | None = None,
    ) -> None:
        self.problem = problem
        self.source = source
        self.row = row
        self.column = column
        self.offset = offset
        super().__init__(problem)

    def __str__(self) -> str:
        places = [self.source] if self.source else []
        if self.row is not None:
            places.append(f"row {self.row}")
        if self.column is not None:
            places.append(f"column {self.column}")
        if self.offset is not None:
            places.append(f"byte {self.offset}")
        return f"{', '.join(places)}: {self.problem}" if places else self.problem


class ReleaseError(BloxError, ValueError):
    """Release files do not fit together, or the database cannot take or give them."""


class ConflictError(ReleaseError):
    """Values to import contradict values that the database holds."""


class QueryError(BloxError, ValueError):
    """A query names something that does not exist or asks what cannot be answered."""


class BudgetExhausted(BloxError, RuntimeError):
    """A search would need more training time than it may spend; nothing was spent."""


class DatabaseError(BloxError, RuntimeError):
    """The database engine refused an operation."""


class NotADatabaseError(DatabaseError):
    """The file or URL is not a bloxdb database."""


class RevisionError(DatabaseError):
    """The database has another schema revision than this bloxdb."""


class ServerAwayError(DatabaseError):
    """A server ended the connection, or takes none just now; the same may go well a moment later."""


class TrainingError(BloxError, RuntimeError):
    """A run cannot be trained, for a reason that other runs would have too."""


class RunLostError(BloxError, RuntimeError):
    """Another worker has taken a run over, because this one gave no sign of life for too long."""


class WeightsError(BloxError, ValueError):
    """A file of weights is damaged, of another run, or cannot be written."""


class MissingDataError(BloxError, FileNotFoundError):
    """A data set to train on is not there, or damaged; or weights are not there."""


class DatabaseNotFoundError(BloxError, FileNotFoundError):
    """There is no database at the place given."""


class DatabaseExistsError(BloxError, FileExistsError):
    """There is already something where a new database should go."""


class MissingExtraError(BloxError, ImportError):
    """An optional part of bloxdb is not installed."""


__all__ = [
    "BloxError",
    "BloxFormatError",
    "BudgetExhausted",
    "ConflictError",
    "DatabaseError",
    "DatabaseExistsError",
    "DatabaseNotFoundError",
    "InvalidArchError",
    "MissingDataError",
    "MissingExtraError",
    "NotADatabaseError",
    "QueryError",
    "ReleaseError",
    "RevisionError",
    "RunLostError",
    "TrainingError",
    "WeightsError",
]


def one_line(error: BaseException, most: int = 500) -> str:
    """What an error of another library says, for a sentence of ours or a row of the database.

    Parameters
    ----------
    error
        The error; its text may have lines, or megabytes.
    most
        How many letters are enough.

    Returns
    -------
    str
        Its words on one line, cut off after so many letters; the name of its class where it says nothing.
    """
    return storable(" ".join(str(error).split())[:most]) or type(error).__name__


def storable(text: str) -> str:
    r"""A text with escapes for what no database and no UTF-8 has: the character NUL, and halves of UTF-16.

    Parameters
    ----------
    text
        Any text.

    Examples
    --------
    >>> storable("a\0b\udc80")
    'a\\x00b\\udc80'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class _Brief(Repr):
    """As `repr`, but of containers within one another no more than anybody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 12

    def repr_instance(self, x: Any, level: int) -> str:
        return repr(x)

    repr_str = repr_int = repr_instance


_BRIEF = _Brief()


def spelled(value: object, most: int = 100) -> str:
    """A value of whatever type as a message has it.

    Python refuses to write thousands of digits, and lists within a thousand others; a list of a file may hold
    another one ten times, which holds a third one ten times; an array has lines, and a class of somebody's
    may fail to show itself.

    Parameters
    ----------
    value
        Any value.
    most
        How many letters are enough.

    Examples
    --------
    >>> spelled([1, "x"]), spelled(10**5000)
    ("[1, 'x']", 'a number of 16610 bits')
    """
    if isinstance(value, int | Fraction) and int(value).bit_length() >= 64:
        return f"a number of {int(value).bit_length()} bits"
    try:
        return " ".join(line.strip() for line in _BRIEF.repr(value).splitlines())[:most]
    except RecursionError:
        return f"a {type(value).__name__} with very many others within one another"
    except Exception as error:  # of whatever kind: a class of somebody's shows itself
        if isinstance(error, ValueError) and "integer string conversion" in str(error):
            return f"a {type(value).__name__} with a number of thousands of digits"
        return f"a {type(value).__name__} that cannot be shown"
