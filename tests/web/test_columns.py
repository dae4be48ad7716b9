from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.web.columns import Column, pack
from tests.web.helpers import unpack

STORED = st.one_of(st.none(), st.integers(-(2**31) + 2, 2**31 - 1))


@given(st.lists(STORED), st.sampled_from([1, 1000, 1_000_000]))
def test_a_column_comes_back_bit_for_bit(stored: list[int | None], scale: int) -> None:
    values = np.array([np.nan if one is None else one / scale for one in stored])
    header, found = unpack(pack({"a": Column(values, scale)}, said="so"))
    assert header["said"] == "so"
    assert found["a"].tobytes() == values.tobytes()
    assert header["columns"][0]["type"] == "int32"


@given(st.lists(st.floats(allow_infinity=False)))
def test_what_no_integer_holds_comes_back_too(values: list[float]) -> None:
    given_values = np.array(values)
    _, found = unpack(pack({"a": Column(given_values, 1000)}))
    assert np.array_equal(found["a"], given_values, equal_nan=True)


def test_averages_are_as_exact_as_a_screen() -> None:
    thirds = np.array([200 / 3, np.nan, 70.0])
    header, found = unpack(pack({"a": Column(thirds, 1000, exact=False)}))
    assert header["columns"][0]["type"] == "float32"
    assert np.allclose(found["a"], thirds, rtol=1e-7, atol=0, equal_nan=True)


LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("value", "kind"),
    [(200 / 3, "float32"), (-1 / 3, "float32"), (LARGEST, "float32"), (1.2e-38, "float32"), (np.nan, "float32"),
     (LARGEST * 1.0001, "float64"), (1e300, "float64"), (-1e300, "float64"), (1.7e308, "float64"), (1e-39 / 3, "float64"),
     (1e-50, "float64"), (5e-324, "float64")],
)  # fmt: skip
def test_an_average_that_is_too_large_or_small_for_32_bits_has_64(value: float, kind: str) -> None:
    given_values = np.array([1 / 3, value, np.nan])
    header, found = unpack(pack({"a": Column(given_values, 1000, exact=False)}))
    assert header["columns"][0]["type"] == kind
    exactly = 0 if kind == "float64" else 6e-8
    assert np.allclose(found["a"], given_values, rtol=exactly, atol=0, equal_nan=True)


@given(st.lists(st.floats(allow_infinity=False)))
def test_averages_have_seven_digits_whatever_they_are(values: list[float]) -> None:
    given_values = np.array(values)
    _, found = unpack(pack({"a": Column(given_values, 1000, exact=False)}))
    assert np.allclose(found["a"], given_values, rtol=6e-8, atol=0, equal_nan=True)


@pytest.mark.parametrize("values", [[], [5], [3, 3, 4, 90_000, 2]])
def test_ascending_integers_are_written_as_steps(values: list[int]) -> None:
    _, found = unpack(pack({"a": Column(np.array(values, dtype=float), steps=True)}))
    assert found["a"].tolist() == values


def test_columns_of_any_length_lie_side_by_side() -> None:
    columns = {
        name: Column(np.arange(float(count))) for name, count in zip("abcd", (1, 2, 0, 7), strict=True)
    }
    _, found = unpack(pack(columns))
    assert {name: len(values) for name, values in found.items()} == {"a": 1, "b": 2, "c": 0, "d": 7}


def test_the_same_columns_give_the_same_bytes() -> None:
    columns = {"a": Column(np.arange(1000.0))}
    assert pack(columns) == pack(columns)
