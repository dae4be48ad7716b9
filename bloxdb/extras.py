"""What is imported when it is needed: libraries that come with an extra, and what an upper floor makes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from bloxdb.errors import MissingExtraError


def library(name: str, extra: str) -> Any:
    """A module of another package.

    Parameters
    ----------
    name
        The module.
    extra
        The extra of bloxdb that brings it.

    Returns
    -------
    module
        The module.

    Raises
    ------
    MissingExtraError
        It is not installed; the error says how to install it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this needs {name.partition('.')[0]}: pip install 'bloxdb[{extra}]'"
        ) from error


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
    ModuleNotFoundError
        A library that it needs is not installed.
    """
    return _provided[name]()
