"""Curves of characters."""

from __future__ import annotations

import pytest

from bloxdb.cli.curve import draw_curve


def test_the_highest_fills_its_column_and_the_lowest_has_one_eighth() -> None:
    lines = draw_curve([0.0, 100.0, 50.0], height=2).splitlines()
    assert lines == ["  100.00  █▁", "    0.00 ▁██", "   epoch 1 3"]


def test_more_values_than_columns_are_averaged() -> None:
    lines = draw_curve([0, 0, 10, 10], width=2, height=1).splitlines()
    assert lines == ["    0.00 ▁█", "   epoch 14"]


@pytest.mark.parametrize("values", [[73.14], [5.0] * 200])
def test_values_that_are_all_equal_are_a_flat_line(values: list[float]) -> None:
    *bars, axis = draw_curve(values).splitlines()
    assert len(bars) == 8
    assert all("█" not in line for line in bars)
    assert bars[-1].endswith("▁" * min(72, len(values)))
    assert axis.startswith("   epoch 1")
    assert all(len(line) <= 9 + 72 for line in bars)
