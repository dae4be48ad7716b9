"""What names a data set to train on: one that is known, an .npz file, or a function; without torch."""

from __future__ import annotations

import re
from pathlib import Path

from bloxdb.arguments import text
from bloxdb.db.recipes import DATASETS
from bloxdb.errors import QueryError

FILE = ".npz"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_LONGEST = 150  # characters, so that a recipe's name has room behind


def is_function(source: str) -> bool:
    """Whether it is written ``module:function``."""
    return _FUNCTION.fullmatch(source) is not None


def is_own(source: str) -> bool:
    """Whether it is a file or a function, and no data set that is known by name."""
    return source not in DATASETS and (source.endswith(FILE) or is_function(source))


def name_of(source: str) -> str:
    """What recipes call a data set: a file's name without its ending, or the text as it is.

    Raises
    ------
    QueryError
        It names no data set, or a file whose name another data set has.
    """
    text(source, "what names a data set")
    if source in DATASETS or is_function(source):
        name = source
    elif source.endswith(FILE):
        name = Path(source).name.removesuffix(FILE)
        if name in DATASETS:
            raise QueryError(f"{source} would be called {name!r}, which is another data set; rename the file")
    else:
        raise unknown(source)
    if not 0 < len(name.strip()) <= _LONGEST:
        raise QueryError(f"the name of a data set has 1 … {_LONGEST} characters, which {name!r:.200} has not")
    return name


def unknown(source: str) -> QueryError:
    """What is said of a text that names no data set."""
    return QueryError(
        f"there is no data set {source!r}; choose one of: {', '.join(DATASETS)}; one of your own is a file "
        f"NAME{FILE}, or MODULE:FUNCTION"
    )
