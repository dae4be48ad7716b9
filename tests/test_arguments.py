"""Numbers and values of any type: what is taken, and what is refused in a sentence."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import bloxdb
from bloxdb.arguments import LARGEST, digits, integer, is_several, number, of_type, plain, text
from bloxdb.errors import QueryError

NO_NUMBERS = [
    *(True, "5", None, [5], b"5", object()),
    *(1j, np.complex128(5), np.array(5j), torch.tensor(5j)),
    *(np.str_("5"), np.bytes_(b"5"), np.void(b"12345678"), np.array("5"), np.array(None)),
    *(np.ma.masked, np.ma.array(5, mask=True), np.ma.array(5.0, mask=True), pd.NA, pd.NaT),
    *(torch.empty((), device="meta"), torch.empty((), device="meta", dtype=torch.int64)),
    *(np.array([5.0]), torch.tensor([5.0]), np.bool_(True), torch.tensor(True)),
    *(np.datetime64("2026-01-01"), np.timedelta64(5, "s"), datetime.timedelta(5)),
]
NOT_FINITE = [
    *(float("nan"), float("inf"), -float("inf"), np.float16("inf"), torch.tensor(float("nan"))),
    *(Decimal("sNaN"), Decimal("NaN"), Decimal("Infinity"), Decimal("1e400")),
    *(10**400, -(10**5000), Fraction(10**400)),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(QueryError, match="a limit is a number, not "):
        number(value, "a limit")
    with pytest.raises(QueryError, match="a seed is an integer, not "):
        integer(value, "a seed")


@pytest.mark.parametrize("place", range(len(NOT_FINITE)))
def test_what_is_not_finite_is_refused(place: int) -> None:
    value = NOT_FINITE[place]
    with pytest.raises(QueryError, match="a limit is a finite number of at most 1.79.*e\\+308, not ") as told:
        number(value, "a limit")
    assert len(str(told.value)) < 200


@pytest.mark.parametrize("value", [2**63, -(2**64), 2**70, 10**300, Fraction(2**70), np.float64(2.0**70)])
def test_an_integer_that_no_database_holds_is_a_float(value: Any) -> None:
    found = number(value, "a limit")
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, 0, np.uint8(5), torch.tensor(7)])
def test_other_integers_stay_integers(value: Any) -> None:
    found = number(value, "a limit")
    assert type(found) is int
    assert found == int(value)


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
def test_dates_of_numpy_and_pandas_are_dates(unit: str) -> None:
    when = np.datetime64("2026-01-02T03:04:05", unit)
    found = plain(when)
    assert isinstance(found, datetime.datetime)
    assert np.datetime64(found) == when
    assert plain(np.array(when)) == found
    assert plain(np.ma.array(when)) == found
    assert plain(pd.Series([when]).iloc[0]) == found
    assert plain(np.datetime64("NaT", unit)) is None


def test_nanoseconds_are_not_cut_off() -> None:
    with pytest.raises(QueryError, match="at most microseconds, not 2026-01-02T03:04:05.000000001"):
        plain(np.datetime64("2026-01-02T03:04:05.000000001"))


@pytest.mark.parametrize(
    "value",
    [
        np.ma.masked,
        np.ma.array(3, mask=True),
        float("nan"),
        np.float32("nan"),
        torch.tensor(float("nan")),
        torch.empty((), device="meta"),
        np.arange(2),
        torch.zeros(1),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_what_is_no_value_of_a_query_is_refused(value: Any) -> None:
    with pytest.raises(QueryError, match="a value of a query (is|is not) .*"):
        plain(value)


@pytest.mark.parametrize("value", [None, "text", b"bytes", True, 2**70, np.ma.array(3)], ids=str)
def test_other_values_go_to_the_driver(value: Any) -> None:
    assert plain(value) == value


@pytest.mark.parametrize(
    "text", ["", " ", "²", "١", "１", "½", "-1", "+1", "1_0", "1 ", "\n1", "1\n", "0x1", "1.0", "9" * 19]
)
def test_a_text_that_is_no_number_of_ascii_digits_is_none(text: str) -> None:
    assert digits(text) is None


@pytest.mark.parametrize("number", [0, 7, 405, 10**18 - 1])
def test_a_text_of_digits_is_its_number(number: int) -> None:
    assert digits(str(number)) == digits(f"{number:018}") == number


@pytest.mark.parametrize("value", [[1, 2], (), {1}, range(3), np.array([1]), torch.tensor([1]), iter([1])])
def test_what_can_be_gone_through_is_several(value: object) -> None:
    assert is_several(value)


@pytest.mark.parametrize("value", [1, "12", b"12", np.array(3), torch.tensor(3), np.int64(3), None, 2.5])
def test_numbers_texts_and_arrays_without_dimensions_are_one(value: object) -> None:
    assert not is_several(value)


@pytest.mark.parametrize("value", ["", "x", "ä€𝒳", "two\nlines", np.str_("x"), "a" * 10_000])
def test_a_text_stays_as_it_is(value: str) -> None:
    found = text(value, "a message")
    assert type(found) is str
    assert found == value


@pytest.mark.parametrize(
    "value", [5, None, b"x", ["x"], object(), "a\0b", "\ud800", "\udfff x", np.bytes_(b"x")]
)
def test_what_no_database_holds_is_no_text(value: Any) -> None:
    with pytest.raises(
        QueryError, match="a message (is a text, not|has a character that no database holds: ) ?"
    ):
        text(value, "a message")


@pytest.mark.parametrize("value", ["", " ", "\t\n", "\u00a0"])
def test_a_text_that_has_to_say_something_is_not_blank(value: str) -> None:
    assert text(value, "a message") == value
    with pytest.raises(QueryError, match="a message is a text that says something, not '"):
        text(value, "a message", filled=True)
    assert text(f"{value}x", "a message", filled=True) == f"{value}x"


def test_a_text_has_room() -> None:
    assert text("x" * 7, "a name", longest=7) == "x" * 7
    with pytest.raises(QueryError, match="a name has at most 7 characters, not 8"):
        text("x" * 8, "a name", longest=7)


@pytest.mark.parametrize(("value", "or_none", "is_right"), [(5, False, True), (None, True, True), (None, False, False),
                                                            ("5", False, False), ("5", True, False)])  # fmt: skip
def test_a_type_is_asked_for(value: Any, or_none: bool, is_right: bool) -> None:
    if is_right:
        of_type(value, int, "a count", or_none=or_none)
        return
    said = f"a count is a int{' or None' if or_none else ''}, not {value!r}"
    with pytest.raises(QueryError, match=said):
        of_type(value, int, "a count", or_none=or_none)


@pytest.mark.parametrize("value", [b"ab", bytearray(b"ab"), memoryview(b"ab"), "ab", np.array(5), 5, None])
def test_what_is_one_value(value: Any) -> None:
    assert not is_several(value)


@pytest.mark.parametrize(
    "ask",
    [lambda db: bloxdb.import_release([], db), lambda db: bloxdb.merge((), db)],
    ids=["import_release", "merge"],
)
def test_to_bring_in_nothing_is_a_slip(
    ask: Callable[[bloxdb.Database], object], empty_db: bloxdb.Database
) -> None:
    with pytest.raises(bloxdb.QueryError, match=r"^there are no .*: name one, or several$"):
        ask(empty_db)


@pytest.mark.parametrize(
    "ask",
    [
        lambda db: bloxdb.export_release("nowhere", db, seeds=0),
        lambda db: bloxdb.export_parquet("nowhere", db, seeds=[0, 1]),
        lambda db: bloxdb.top(db=db, seeds=0),
    ],
    ids=["export_release", "export_parquet", "top"],
)
def test_a_seed_where_nothing_has_run_is_told_so(
    ask: Callable[[bloxdb.Database], object],
    empty_db: bloxdb.Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bloxdb.QueryError, match=r"^there are no runs yet, and so none with seed 0$"):
        ask(empty_db)
    assert not Path("nowhere").exists()
