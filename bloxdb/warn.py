"""Warnings that point at the line of whoever called bloxdb, through however many of our functions."""

from __future__ import annotations

import sys
import warnings

_OURS = __name__.partition(".")[0]


def caller(sentence: str) -> None:
    """Warn the first caller that is not of this package.

    Parameters
    ----------
    sentence
        What to say.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, stacklevel=level)
