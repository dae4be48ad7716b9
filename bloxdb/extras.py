"""What is imported when it is needed: libraries that come with an extra, and what an upper floor makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bloxdb.errors import MissingExtraError, one_line


@contextmanager
def needed(extra: str, what: str = "this", *also: type[Exception]) -> Iterator[None]:
    """Import what an extra brings within the block.

    Parameters
    ----------
    extra
        The extra of bloxdb that brings it.
    what
        What needs it, as a sentence begins.
    also
        Further errors that mean that it is not there.

    Raises
    ------
    MissingExtraError
        It is not installed, or not so that it can be imported; the error says how to install it.
    """
    missing: tuple[type[Exception], ...] = (ImportError, *also)
    try:
        yield
    except missing as error:
        name = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, MissingExtraError) or name == "bloxdb":  # told already, or a mistake of ours
            raise
        gone = isinstance(error, ModuleNotFoundError) and name
        needs = f"{what} needs {name}" if gone else f"{what} cannot import what it needs ({one_line(error)})"
        raise MissingExtraError(f"{needs}: pip install 'bloxdb[{extra}]'") from error


def library(name: str, extra: str, what: str = "this") -> Any:
    """A module of another package.

    Parameters
    ----------
    name
        The module.
    extra
        The extra of bloxdb that brings it.
    what
        What needs it, as a sentence begins.

    Returns
    -------
    module
        The module.

    Raises
    ------
    MissingExtraError
        It is not installed; the error says how to install it.
    """
    with needed(extra, what):
        return import_module(name)


def place_of(name: str, extra: str, what: str = "this") -> Path:
    """The folder of another package, which is not imported.

    Parameters
    ----------
    name, extra, what
        As for `library`.

    Returns
    -------
    pathlib.Path
        Where its files are.

    Raises
    ------
    MissingExtraError
        It is not installed; the error says how to install it.
    """
    with needed(extra, what):
        found = find_spec(name)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return Path(found.origin).parent


_provided: dict[str, Callable[[], Any]] = {}


def provide(name: str, get: Callable[[], Any]) -> None:
    """Say where something comes from that a lower floor gives its callers, and an upper one makes.

    Parameters
    ----------
    name
        What it is called.
    get
        Gives it, when it is asked for; an upper floor is imported then.
    """
    _provided[name] = get


def provided(name: str) -> Any:
    """What an upper floor makes, by the name that `provide` was told.

    Parameters
    ----------
    name
        What it is called.

    Raises
    ------
    MissingExtraError
        A library that it needs is not installed.
    """
    return _provided[name]()
