"""Values of columns: what does not belong is refused with its place."""

from __future__ import annotations

import math
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from bloxdb import codecs
from bloxdb.codecs import Header, Table, decode
from bloxdb.codecs.columns import BASE, COLUMNS, Kind
from bloxdb.codecs.values import Unfolding, check_size, check_values, column_of, read_columns
from bloxdb.errors import BloxFormatError


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["0" * 31, [1.0], 1.0, 1], "column model_hash: a model hash is 32 digits"),
        (
            ["0" * 32, [1.0, 2.0], 1.0, 1],
            "column val_top1: expected a list of 1 number, one an epoch, not 2 values",
        ),
        (["0" * 32, 1.0, 1.0, 1], "column val_top1: expected a list"),
        (["0" * 32, [1.0], "1.0", 1], "column test_top1: expected a number"),
        (["0" * 32, [1.0], 1.0, 1.5], "column train_time_s: expected a whole number"),
        (["0" * 32, [1.0], 1.0, -1], "column train_time_s: expected a whole number"),
        (["0" * 32, [101.0], 1.0, 1], "column val_top1: the value 101.0 of epoch 1 is outside"),
        (["0" * 32, [1.0], 1.0], "must be a list of 4 values"),
    ],
)
def test_values_that_do_not_belong_are_refused_with_their_place(row: list[object], message: str) -> None:
    header = Header("training", BASE, seed=0, epochs=1, dataset="cifar100", part="base")
    with pytest.raises(BloxFormatError, match=f"row 0.*{message}"):
        Table.from_rows(header, [row])


def test_rows_that_cannot_be_told_in_so_few_bytes_are_refused() -> None:
    header = Header("training", BASE, seed=0, epochs=10, dataset="cifar100", part="base")
    each = len(BASE) + 10
    check_size(header, 3, 3 * each)
    with pytest.raises(BloxFormatError, match="3 rows of 10 epochs cannot be told in 41 bytes"):
        check_size(header, 3, 3 * each - 1)


def test_more_rows_than_architectures_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    check_size(header, 91_125, 2**40)
    with pytest.raises(BloxFormatError, match="91126 rows are more than the 91125 architectures"):
        check_size(header, 91_126, 2**40)


def test_columns_have_the_type_of_their_kind() -> None:
    assert column_of("flops", [2**62 + 1], 0).tolist() == [2**62 + 1]
    texts = column_of("gpu", ["a", ""], 0)
    assert (texts.dtype, texts.tolist()) == (object, ["a", ""])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gpu", 1, "expected a text, not 1"),
        ("flops", True, "expected a whole number below 2^63, not True"),
        ("latency", 2**53 + 1, "has more digits than a float can hold"),
        ("flops", 2**700, "not a number of very many digits"),
        ("latency", [1.0] * 900, "expected a number, not a list of 900"),
        ("arch_vec", "[[[0]", "an architecture vector is nested lists, not "),
        ("model_hash", "x" * 5000, "a model hash is 32 digits 0-9 a-f, not 'x{60}'$"),
    ],
)
def test_a_value_is_shown_briefly_however_large_it_is(name: str, value: object, message: str) -> None:
    with pytest.raises(BloxFormatError) as caught:
        column_of(name, [value], 0)
    assert re.search(message.replace("^", r"\^"), caught.value.problem)
    assert (caught.value.row, caught.value.column) == (0, name)


BASE_OF_TEN = Header("training", BASE, seed=0, epochs=10, dataset="cifar100", part="base")


@pytest.mark.parametrize("rows", [0, 1, 9_999, 10_000, 50_000])
def test_columns_are_read_by_place_and_name_in_threads_where_that_is_worth_it(rows: int) -> None:
    threads = set()

    def column(place: int, name: str) -> np.ndarray:
        threads.add(threading.get_ident())
        return np.array([place, BASE.index(name)])

    found = read_columns(BASE_OF_TEN, rows, column)
    assert {name: values.tolist() for name, values in found.items()} == {
        name: [place, place] for place, name in enumerate(BASE)
    }
    assert (threads == {threading.get_ident()}) is (rows < 10_000)


@pytest.mark.parametrize("kind", [np.int32, np.float64])
@pytest.mark.parametrize(("percent", "fits"), [(0, True), (100, True), (-0.001, False), (100.001, False)])
def test_an_accuracy_is_from_0_to_100_percent(kind: type, percent: float, fits: bool) -> None:
    scale = 1000 if kind is np.int32 else 1
    array = np.array(
        [[50 * scale, 50 * scale], [50 * scale, round(percent * 1000) * scale / 1000]], dtype=kind
    )
    if fits:
        check_values("val_top1", array)
        return
    with pytest.raises(
        BloxFormatError, match=r"row 1, column val_top1: the value \S+ of epoch 2 is outside 0 … 100 percent"
    ):
        check_values("val_top1", array)


@pytest.mark.parametrize(
    ("value", "problem"),
    [(0, ""), (2**53 - 1, ""), (-1, "is negative"), (2**53, "has more digits"), (2**62, "has more digits")],
)
def test_whole_numbers_are_neither_negative_nor_more_than_a_float_holds(value: int, problem: str) -> None:
    array = np.array([5, value])
    if not problem:
        check_values("flops", array)
        return
    with pytest.raises(BloxFormatError, match=f"row 1, column flops: the value {value} {problem}"):
        check_values("flops", array)


@pytest.mark.parametrize(
    ("place", "limit"), [((0, 0), 3), ((1, 1), 3), ((2, 2), 2), ((2, 3), 2), ((2, 4), 2)]
)
def test_a_number_of_a_vector_is_below_its_limit(place: tuple[int, int], limit: int) -> None:
    vecs = np.zeros((2, 3, 5), dtype=np.uint8)
    vecs[1][place] = limit - 1
    check_values("arch_vec", vecs)
    vecs[1][place] = limit
    with pytest.raises(
        BloxFormatError, match="row 1, column arch_vec: the vector is outside the search space"
    ):
        check_values("arch_vec", vecs)


@pytest.mark.parametrize(("value", "fits"), [(2**63 - 1, True), (2**63, False), (0, True)])
def test_a_whole_number_is_below_2_to_the_63rd(value: int, fits: bool) -> None:
    if fits:
        assert column_of("flops", [value], 0).tolist() == [value]
        return
    with pytest.raises(
        BloxFormatError, match=r"expected a whole number below 2\^63, not 9223372036854775808"
    ):
        column_of("flops", [value], 0)


def test_vectors_become_cells_of_five() -> None:
    vec = [[[0], [1, 0, 1, 1]], [[2], [0, 1, 0, 0]], [[1], [2, 1, 1, 0]]]
    found = column_of("arch_vec", [vec, vec], 0)
    assert (found.shape, found.dtype) == ((2, 3, 5), np.uint8)
    assert found[1].tolist() == [[0, 1, 0, 1, 1], [2, 0, 1, 0, 0], [1, 2, 1, 1, 0]]
    with pytest.raises(
        BloxFormatError, match="row 1, column arch_vec: an architecture vector is nested lists"
    ):
        column_of("arch_vec", [vec, str(vec)], 0)


RUNS = Header("training", ("model_hash", "val_top1", "test_top1"), seed=0, epochs=4, dataset="d", part="base")


@pytest.mark.parametrize(
    ("column", "count", "depth", "problem"),
    [
        ("val_top1", 4, 0, ""),
        ("val_top1", 3, 0, "expected a list of 4 numbers, one an epoch, not 3 values"),
        ("val_top1", 5, 0, "expected a list of 4 numbers, one an epoch, not 5 values"),
        ("val_top1", 4, 1, "lists within lists do not belong here"),
        ("test_top1", 1, 0, "a list of 1 stands where one value is due: accuracy in percent"),
        ("model_hash", 1, 0, "a list of 1 stands where one value is due: model hash"),
        ("arch_vec", 3, 0, ""),
        ("arch_vec", 1, 1, ""),
        ("arch_vec", 2, 2, ""),
        ("arch_vec", 2, 3, "lists within lists within lists within lists do not belong here"),
    ],
)
def test_a_list_stands_where_one_belongs(column: str, count: int, depth: int, problem: str) -> None:
    lists = Unfolding(RUNS, column, 100)
    if problem:
        with pytest.raises(BloxFormatError, match=f"row 7, column {column}: {problem}$"):
            lists.take(count, depth, 7)
    else:
        lists.take(count, depth, 7)


def test_lists_say_no_more_than_the_bytes_of_their_file() -> None:
    lists = Unfolding(RUNS, "val_top1", 12)
    for row in range(3):
        lists.take(4, 0, row)
    with pytest.raises(
        BloxFormatError, match="row 3, .*: the lists up to here say more than 12 bytes can hold"
    ):
        lists.take(4, 0, 3)
    with pytest.raises(BloxFormatError, match="say more than 3 bytes"):
        Unfolding(RUNS, "val_top1", 3).take(4, 0, 0)


@pytest.mark.parametrize("value", [2**53, 2**70, 2**53 + 2, -(2**60)])
def test_a_whole_number_that_a_float_holds_is_one(value: int) -> None:
    assert column_of("latency", [value], 0).tolist() == [float(value)]


@pytest.mark.parametrize(("bits", "told"), [(200, r"\d{60,}|…"), (201, "a number of very many digits")])
def test_a_number_is_shown_while_it_is_short(bits: int, told: str) -> None:
    with pytest.raises(BloxFormatError, match=f"expected a whole number below 2\\^63, not .*({told})"):
        column_of("flops", [2**bits - 1], 0)


STATIC = Header("static", ("model_hash", "params", "flops"))


def with_number(kind: str, column: str, number: int) -> bytes:
    """A file whose second row has a number that no table takes."""
    head = codecs.encode(Table.from_rows(STATIC, []), kind)[0][0].rpartition(b"---\n")
    said = {"params": 5, "flops": 5} | {column: number}
    rows = [["ab" * 16, 5, 5], ["cd" * 16, said["params"], said["flops"]]]
    if kind == "pickle":
        return b"".join(head[:2]) + pickle.dumps(rows, protocol=4)
    return b"".join(head[:2]) + "".join(",".join(map(str, row)) + "\r\n" for row in rows).encode()


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 10**19, 10**20, 10**37, 10**38, 2**127 - 1])
@pytest.mark.parametrize("column", STATIC.columns[1:])
@pytest.mark.parametrize("kind", ["csv", "pickle"])
def test_a_number_of_more_than_64_bits_is_told_alike_in_all_formats(
    kind: str, column: str, number: int
) -> None:
    with pytest.raises(BloxFormatError) as told:
        codecs.decode(with_number(kind, column, number), source="x")
    said = f"expected a whole number below 2^63, not {number}"
    assert str(told.value) == f"x, row 1, column {column}: {said}"
    assert (told.value.row, told.value.column) == (1, column)


@pytest.mark.parametrize("kind", ["csv", "pickle"])
def test_a_number_of_more_than_16_bytes_is_refused_by_all_formats(kind: str) -> None:
    with pytest.raises(BloxFormatError, match="a whole number of (so many digits|more than 16 bytes)"):
        codecs.decode(with_number(kind, "flops", 2**127))


@pytest.mark.parametrize("number", [10**17, 2**63 - 1])
@pytest.mark.parametrize("kind", ["csv", "pickle"])
def test_a_number_that_no_database_keeps_is_told_alike_in_all_formats(kind: str, number: int) -> None:
    with pytest.raises(
        BloxFormatError, match=f"row 1, column flops: the value {number} has more digits than"
    ):
        codecs.decode(with_number(kind, "flops", number))


@pytest.mark.parametrize(
    "digits", ["9" * 39, str(2**127), *("7" * n for n in (40, 4_300, 4_301, 100_000))], ids=len
)
@pytest.mark.parametrize("column", STATIC.columns[1:])
def test_a_number_that_cannot_be_shown_is_told_with_its_place(column: str, digits: str) -> None:
    data = with_number("csv", column, 77).replace(b"77", digits.encode())
    with pytest.raises(BloxFormatError, match=f"row 1, column {column}: a whole number of so many digits"):
        codecs.decode(data)


WHOLE = [name for name, kind in COLUMNS.items() if kind is Kind.INT]


@pytest.mark.parametrize("absent", [None, math.nan])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_that_is_absent_gets_the_sentence_wherever_it_stands(
    name: str, absent: float | None, golden: Path
) -> None:
    """In rows, in pickles that the kernel reads, and in those of early tools."""
    file = "blox-base-3.pickle" if name == "train_time_s" else "blox-info.pickle"
    data = (golden / "release-tiny" / file).read_bytes()
    start = data.index(b"---\n", 4) + 4
    rows = pickle.loads(data[start:])
    header = decode(data).header
    rows[1][header.columns.index(name)] = absent
    told = re.escape(
        f"column {name}: expected a whole number below 2^63, not {absent}: it cannot be left out; write"
    )
    with pytest.raises(BloxFormatError, match=told):
        Table.from_rows(header, rows)
    for protocol in (2, 4):
        with pytest.raises(BloxFormatError, match=told):
            decode(data[:start] + pickle.dumps(rows, protocol))


@pytest.mark.parametrize("name", ["model_hash", "val_top1", "test_top1", "train_time_s"])
def test_a_masked_column_is_refused(name: str, golden: Path) -> None:
    table = decode((golden / "release-tiny" / "blox-base-3.pickle").read_bytes())
    array = table[name]
    mask = np.zeros(array.shape, dtype=bool)
    assert len(Table(table.header, {**table.columns, name: np.ma.array(array, mask=mask)})) == len(table)
    mask[1] = True
    with pytest.raises(
        BloxFormatError, match=f"column {name}: the column has masked values; give what is known"
    ):
        Table(table.header, {**table.columns, name: np.ma.array(array, mask=mask)})
