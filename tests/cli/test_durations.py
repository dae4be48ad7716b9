"""Times as people and batch systems write them."""

from __future__ import annotations

import time

import click
import pytest

from bloxdb.cli.durations import pause, seconds_of, time_left


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("90m", 5400),
        ("90min", 5400),
        ("10 min", 600),
        ("4h", 14_400),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("3:59:00", 14_340),
        ("0:00:01", 1),
        ("100:00:00", 360_000),
        ("1-12:00:00", 129_600),
    ],
)
def test_a_time_has_a_unit_or_is_as_a_clock_shows_it(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
    left = time_left(None, None, text)
    assert left == seconds


NONE = ["", "4", "3:59", "4 hours", "0s", "0:00:00", "-1h", "1:60:00", "nan", "1e3s", "999999999d", "four"]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert seconds_of(text) is None
    with pytest.raises(click.BadParameter, match="is no time; say it as 90m, 4h, 3:59:00"):
        time_left(None, None, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", (5, None)), ("60s", (None, 60)), ("10min", (None, 600)), ("2 h", (None, 7200)), ("1s", (None, 1))],
)
def test_a_pause_between_checkpoints_is_of_epochs_or_of_time(
    text: str, expected: tuple[int | None, float | None]
) -> None:
    assert pause(None, None, text) == expected


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "s", "5x", "1.5", "5 5", "five"])
def test_what_is_no_pause_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither a number of epochs nor a time such as 60s"):
        pause(None, None, text)


def test_a_slurm_job_says_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 600))
    left = time_left(None, None, "slurm")
    assert left is not None
    assert 500 < left <= 600
    assert time_left(None, None, None) is None


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, r"there is no \$SLURM_JOB_END_TIME, which Slurm sets in a job; say how long"),
        ("soon", r"\$SLURM_JOB_END_TIME is 'soon'"),
        ("1000", "is over since"),
    ],
)
def test_an_end_that_is_none_is_refused(
    told: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    if told is not None:
        monkeypatch.setenv("SLURM_JOB_END_TIME", told)
    with pytest.raises(click.BadParameter, match=message):
        time_left(None, None, "slurm")
