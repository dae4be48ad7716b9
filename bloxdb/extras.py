"""Libraries that come with an extra, imported when they are needed."""

from __future__ import annotations

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
