"""What other libraries say, in sentences of ours."""

from __future__ import annotations

import pytest

from bloxdb.errors import one_line


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
