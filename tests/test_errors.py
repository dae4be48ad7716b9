"""What other libraries say, in sentences of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bloxdb.errors import one_line, spelled


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("two\n  lines\tand a tab "), "two lines and a tab"),
        (ValueError(), "ValueError"),
        (RuntimeError(" \n"), "RuntimeError"),
        (ValueError("x" * 500), "x" * 500),
        (ValueError("x" * 10**6), "x" * 500),
        (KeyError("a"), "'a'"),
    ],
)
def test_an_error_is_told_in_one_line(error: Exception, told: str) -> None:
    assert one_line(error) == told


def test_a_line_is_cut_off_where_it_is_said() -> None:
    assert [one_line(ValueError("a b\nc"), most) for most in (3, 5, 9)] == ["a b", "a b c", "a b c"]


def within(kind: Callable[[list[object]], object], levels: int) -> object:
    """A container that holds another one twenty times, which holds a third one twenty times, and so on."""
    found: object = 1
    for _ in range(levels):
        found = kind([found] * 20)
    return found


@pytest.mark.parametrize(
    "kind", [list, tuple, lambda parts: dict(zip("abcdefghijklmnopqrst", parts, strict=True))]
)
def test_containers_within_one_another_are_written_no_further_than_anybody_reads(
    kind: Callable[[list[object]], object],
) -> None:
    assert len(spelled(within(kind, 200), 40)) == 40
    assert "1, 1" in spelled(within(kind, 1)) or "'b': 1" in spelled(within(kind, 1))


@pytest.mark.parametrize(
    "value", [[[[0], [0, 1, 0, 0]], [[0], [0, 0, 1, 0]]], {"b": 1.5}, "x" * 90, (), -1, {3}]
)
def test_what_is_short_is_written_whole(value: object) -> None:
    assert spelled(value) == repr(value)
