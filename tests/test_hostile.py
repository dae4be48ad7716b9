"""Every case of the lying harness that failed once, and a few hundred of each target on the way."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bloxdb import codecs
from bloxdb.codecs import Table
from tests.codecs.reference import WrongError
from tests.fuzz.lie import HOSTILE, attempt, case
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import Reader, Target, targets

FILES = sorted(HOSTILE.glob("*-*"))


@cache
def target_of(name: str) -> Target:
    return targets()[name]()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_failed_once_ends_in_an_error_or_in_what_the_file_says(path: Path) -> None:
    fault = attempt(target_of(path.name.partition("-")[0]), path.read_bytes())[1]
    assert not fault, fault


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cases"),
    [("blox", 600), ("pickle", 600), ("csv", 600), ("recipe", 300), ("checkpoint", 40), ("parquet", 12)],
)
def test_lies_of_each_kind_end_in_an_error_or_in_what_the_file_says(name: str, cases: int) -> None:
    target, taken = target_of(name), 0
    for number in range(cases):
        was_taken, fault = attempt(target, case(target, 1, number))
        assert not fault, f"case {number} of seed 1: {fault}"
        taken += was_taken
    assert 0 < taken < cases


@pytest.mark.parametrize("format", codecs.FORMATS)
def test_honest_files_are_taken_and_a_wrong_value_of_one_is_seen(format: str) -> None:
    reader = Reader(format)
    for seed in seeds(format):
        assert reader.judge(seed.head + seed.body)
        if not seed.rows:
            continue
        header = seed.header.header
        other = [[*row] for row in seed.rows]
        other[0][0] = "0" * 32
        with pytest.raises(WrongError):
            reader._check(Table.from_rows(header, other), seed.header, seed.body)
