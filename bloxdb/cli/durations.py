"""Times as people and batch systems write them: 90s, 10min, 4h, 3:59:00, 2-12:00:00."""

from __future__ import annotations

import os
import re
import time

import click

Pause = tuple[int | None, float | None]

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_WITH_UNIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) *(s|min|m|h|d)")
_CLOCK = re.compile(r"(?:([0-9]{1,4})-)?([0-9]{1,5}):([0-5][0-9]):([0-5][0-9])")
_LONGEST = 1e9  # seconds, thirty years: more than a timer of the system takes is no limit
_END = "SLURM_JOB_END_TIME"


def seconds_of(text: str) -> float | None:
    """Seconds of a time with a unit, or as a clock shows it; None of any other text, and of no time at all.

    Parameters
    ----------
    text
        As ``90s``, ``90m``, ``90min``, ``1.5h``, ``2d``; ``H:MM:SS`` or ``D-HH:MM:SS``.

    Examples
    --------
    >>> seconds_of("1.5h"), seconds_of("3:59:00"), seconds_of("2-12:00:00"), seconds_of("3:59")
    (5400.0, 14340.0, 216000.0, None)
    """
    if found := _WITH_UNIT.fullmatch(text):
        seconds = float(found[1]) * _UNITS[found[2]]
    elif found := _CLOCK.fullmatch(text):
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = 86_400.0 * days + 3600 * hours + 60 * minutes + rest
    else:
        return None
    return seconds if 0 < seconds <= _LONGEST else None


def pause(context: click.Context | None, option: click.Parameter | None, text: str) -> Pause:
    """Epochs and None between two checkpoints, or None and seconds, from ``'5'`` or ``'60s'``."""
    if re.fullmatch(r"[0-9]{1,9}", text) and int(text):
        return int(text), None
    if (seconds := seconds_of(text)) is None:
        raise click.BadParameter(f"{text!r} is neither a number of epochs nor a time such as 60s or 10min")
    return None, seconds


def time_left(
    context: click.Context | None, option: click.Parameter | None, text: str | None
) -> float | None:
    """Seconds of a time limit, from now; those that a Slurm job has left for ``'slurm'``, None for None."""
    if text is None:
        return None
    if text == "slurm":
        return _left_of_the_job()
    if (seconds := seconds_of(text)) is None:
        raise click.BadParameter(
            f"{text!r} is no time; say it as 90m, 4h, 3:59:00 or 1-12:00:00, or slurm for the end of the job"
        )
    return seconds


def _left_of_the_job() -> float:
    told = os.environ.get(_END, "")
    if not re.fullmatch(r"[0-9]{1,12}", told):
        what = f"${_END} is {told!r}" if told else f"there is no ${_END}"
        raise click.BadParameter(f"{what}, which Slurm sets in a job; say how long, as --time-limit 4h")
    seconds = int(told) - time.time()
    if seconds <= 0:
        raise click.BadParameter(f"${_END} is over since {-seconds:.0f} s; is this the environment of a job?")
    return min(seconds, _LONGEST)
