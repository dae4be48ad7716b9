"""Measures: natural values to stored integers and back, and what the scale cannot hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb import measures
from bloxdb.codecs import Header
from bloxdb.errors import BloxFormatError
from bloxdb.measures import (
    COSTS,
    EPOCH,
    EPOCHS,
    LATENCY,
    MEASURES,
    MILLI,
    MISSING,
    RUN,
    SEEDS,
    Measure,
    check,
    compact,
    first_of_curve,
    from_stored,
    nearest_stored,
    to_fixed,
    to_stored,
)
from tests.helpers import BAD

TOP1, LOSS, SECONDS = EPOCH["val_top1"], EPOCH["val_loss"], RUN["train_time_s"]


# from 2**51 on, dividing and multiplying may miss a decimal by a half, and it is refused
@given(st.sampled_from(MEASURES), st.lists(st.one_of(st.none(), st.integers(-(2**51), 2**51))))
def test_every_decimal_that_fits_comes_back_as_it_was(measure: Measure, numbers: list[int | None]) -> None:
    values = np.array([np.nan if n is None else n / measure.scale for n in numbers], dtype=np.float64)
    stored = to_stored(values, measure)
    assert stored.dtype == np.int64
    back = from_stored(stored, measure)
    assert np.array_equal(back, values, equal_nan=True)
    assert np.array_equal(stored == MISSING, [n is None for n in numbers])


def test_nan_is_not_measured_and_negative_zero_is_zero() -> None:
    assert to_stored(np.array([np.nan, -0.0, 73.14]), TOP1).tolist() == [MISSING, 0, 73_140]
    assert np.isnan(from_stored(np.array([MISSING]), TOP1)).all()
    assert from_stored(np.array([-(2**31)], dtype=np.int32), TOP1).tolist() == [-(2**31) / 1000]


def test_integers_are_taken_as_stored_ones() -> None:
    stored = np.array([1, MISSING])
    assert to_stored(stored, TOP1) is stored


@pytest.mark.parametrize("sign", [1, -1])
def test_two_to_the_53_is_one_too_many(sign: int) -> None:
    assert to_stored(np.array([sign * (2.0**53 - 1)]), SECONDS).tolist() == [sign * (2**53 - 1)]
    with pytest.raises(BloxFormatError, match=r"9007199254740992\.0 has more digits than the database keeps"):
        to_stored(np.array([sign * 2.0**53]), SECONDS)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (73.1415, "the value 73.1415 has more decimals than the 3 that the database keeps"),
        (np.inf, "the value inf is infinite; write nan where nothing was measured"),
        (-np.inf, "the value -inf is infinite"),
        (1e300, r"the value 1e\+300 has more digits"),
    ],
)
def test_what_the_scale_cannot_hold_is_refused_with_its_value_and_row(value: float, message: str) -> None:
    with pytest.raises(BloxFormatError, match=message) as caught:
        to_stored(np.array([1.5, value, value]), TOP1, "a.csv")
    error = caught.value
    assert (error.source, error.row, error.column) == ("a.csv", 1, "val_top1")
    assert "epoch" not in error.problem


def test_a_bad_value_of_an_epoch_is_named_with_its_epoch() -> None:
    values = np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 0.1234567]])
    with pytest.raises(BloxFormatError) as caught:
        to_stored(values, LOSS, "b.csv")
    text = str(caught.value)
    for part in ("b.csv", "row 1", "val_loss", "0.1234567 of epoch 3", "the 6 that"):
        assert part in text


@pytest.mark.parametrize("sign", [1, -1])
def test_fixed_point_ends_at_two_to_the_31(sign: int) -> None:
    last = to_fixed(np.array([sign * (2**31 - 1) / 1000]), 1000)
    assert last is not None
    assert (last.dtype, last.tolist()) == (np.int32, [sign * (2**31 - 1)])
    assert to_fixed(np.array([sign * 2**31 / 1000]), 1000) is None


@pytest.mark.parametrize("value", [-0.0, np.nan, np.inf, 0.0001, 1e300])
def test_what_is_not_exact_bit_for_bit_stays_a_float(value: float) -> None:
    values = np.array([1.0, value])
    assert to_fixed(values, 1000) is None
    assert compact(values, 1000) is values


def test_compact_makes_int32_where_it_can_and_leaves_integers() -> None:
    assert compact(np.array([0.001, 0.0]), 1000).tolist() == [1, 0]
    stored = np.array([7], dtype=np.int64)
    assert compact(stored, 1000) is stored


def test_one_value_is_natural_in_its_unit() -> None:
    assert [TOP1.natural(73_140), TOP1.natural(None), SECONDS.natural(7)] == [73.14, None, 7]
    assert type(SECONDS.natural(7)) is int
    assert TOP1.rounded(73.1416) == 73_142


def test_columns_of_epochs_say_their_scale() -> None:
    columns = [measure.column for measure in (TOP1, LOSS, SECONDS)]
    assert columns == ["val_top1_milli", "val_loss_micro", "train_time_s"]
    assert [measure.decimals for measure in (TOP1, LOSS, SECONDS)] == [3, 6, 0]


def test_each_measure_says_which_way_is_better_and_where_it_stands() -> None:
    better = {measure.name for measure in MEASURES if measure.higher_is_better}
    assert better == {"val_top1", "test_top1", "train_top1", "train_top5", "val_top5", "test_top5"}
    assert (LATENCY.column, LATENCY.of, set(COSTS)) == ("latency_ms", "device", {"params", "flops"})
    for measure in MEASURES:
        assert (measure.unit == "percent") == measure.name.partition("_")[2].startswith("top")


def test_the_original_overwrote_what_the_list_says_and_no_other_name_that_is_like_it() -> None:
    overwritten = {measure.name for measure in MEASURES if measure.overwritten}
    assert overwritten == {"val_top1", "val_loss", "val_top5"}
    assert not Measure("val_ece", "percent", MILLI, False, "epoch").overwritten
    assert not RUN["val_top1"].overwritten  # the result of a run, which is right


@pytest.mark.parametrize("name", EPOCH)
def test_a_curve_begins_with_epoch_2_where_epoch_1_has_the_best_value(name: str) -> None:
    assert first_of_curve(name, True) == (2 if name.startswith("val_") else 1)
    assert first_of_curve(name, True, wanted=True) == first_of_curve(name, False) == 1


@given(
    st.sampled_from(MEASURES),
    st.lists(
        st.floats(-1e9, 1e9)
        | st.integers(-(10**9), 10**9).map(lambda n: n / 10_000)  # the middle between two decimals, or nearly
        | st.integers(-(10**9), 10**9).map(lambda n: n / 10_000_000)
    ),
)
def test_what_was_measured_is_rounded_as_python_rounds(measure: Measure, values: list[float]) -> None:
    stored = nearest_stored(np.array(values, dtype=np.float64), measure)
    assert from_stored(stored, measure).tolist() == [round(value, measure.decimals) for value in values]


def test_what_cannot_be_stored_is_missing() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [1e300, 2**53 / TOP1.scale, 1.0]])
    assert nearest_stored(values, TOP1).tolist() == [[MISSING] * 3, [MISSING, MISSING, 1000]]


@pytest.mark.parametrize(("measure", "value", "problem"), BAD)
def test_a_value_that_there_cannot_be_is_refused(measure: Measure, value: float, problem: str) -> None:
    assert measure.problem(value) == problem
    good = [0.0, 1.0, np.nan, 100.0]
    assert {measure.problem(one) for one in good} == {""}
    check(np.array(good), measure)
    for values, epoch in (
        (np.array([*good, value]), ""),
        (np.array([[0.0, 0.0], [0.0, value]]), " of epoch 2"),
    ):
        with pytest.raises(BloxFormatError) as info:
            check(values, measure, "here")
        place = f"here, row {len(values) - 1}, column {measure.name}"
        assert str(info.value) == f"{place}: the value {value}{epoch} {problem}"


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: f"{measure.of}-{measure.name}")
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_stored_integers_are_held_to_the_same(measure: Measure, dtype: type) -> None:
    top = 100 * measure.scale
    check(np.array([], dtype=dtype), measure)
    check(np.array([0, top], dtype=dtype), measure)
    bad = {-1: "is negative"}
    if measure.unit == "percent":
        bad = dict.fromkeys([-1, top + 1], "is outside 0 … 100 percent")
    for stored, problem in bad.items():
        with pytest.raises(BloxFormatError) as info:
            check(np.array([0, stored, 0], dtype=dtype), measure)
        value = stored if measure.scale == 1 else stored / measure.scale
        assert str(info.value).endswith(f"the value {value} {problem}")
        assert info.value.row == 1


def test_what_was_not_measured_is_among_the_stored_integers_of_epochs_only() -> None:
    check(np.array([[0, MISSING]]), LOSS)
    for measure in (SECONDS, *COSTS.values()):
        with pytest.raises(BloxFormatError, match="is negative"):
            check(np.array([0, MISSING]), measure)


def test_seeds_are_what_a_database_holds() -> None:
    assert (SEEDS[0], SEEDS[-1]) == (0, 2**63 - 1)


@pytest.mark.parametrize("name", ["train_time_s", "flops"])
def test_a_whole_number_that_no_float_holds_is_refused(name: str) -> None:
    measure = {**RUN, **COSTS}[name]
    check(np.array([0, 2**53 - 1]), measure)
    for number in (2**53, 2**53 + 1, 2**63 - 1):
        with pytest.raises(
            BloxFormatError, match=f"the value {number} has more digits than the database keeps"
        ):
            check(np.array([0, number]), measure, "a file")


@pytest.mark.parametrize(("limit", "place"), [("2**63", "arguments.py"), ("2**53", "measures.py")])
def test_what_numbers_there_can_be_is_said_once(limit: str, place: str) -> None:
    files = Path(measures.__file__).parent.rglob("*.py")
    lines = {(path.name, line.partition("#")[0]) for path in files for line in path.read_text().split("\n")}
    assert {name for name, line in lines if limit in line} == {place}


def test_epochs_are_what_a_header_holds() -> None:
    assert (EPOCHS[0], EPOCHS[-1]) == (1, 2**16 - 1)
    for epochs in (EPOCHS[-1], EPOCHS[0]):
        Header("training", ("model_hash", "val_top1"), seed=0, epochs=epochs, dataset="d", part="base")
    for epochs in (EPOCHS[-1] + 1, EPOCHS[0] - 1):
        with pytest.raises(BloxFormatError, match=r"is outside 1 … 65535"):
            Header("training", ("model_hash", "val_top1"), seed=0, epochs=epochs, dataset="d", part="base")
