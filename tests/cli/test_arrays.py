"""Parts of the work, and whose they are in an array of a batch system."""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.cli.arrays import SYSTEMS, Part, part_of_array
from bloxdb.errors import QueryError
from bloxdb.space import NUM_ARCHS
from bloxdb.space.costs import all_costs


@pytest.fixture(autouse=True)
def no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of any batch system."""
    for array in SYSTEMS:
        for name in (array.index, array.count, *(array.bounds or ())):
            monkeypatch.delenv(name or "nothing", raising=False)


def put(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """Set variables, as ``'A=1 B=2'``."""
    for word in told.split():
        name, _, value = word.partition("=")
        monkeypatch.setenv(name, value)


@given(ids=st.lists(st.integers(0, NUM_ARCHS), unique=True, max_size=200), count=st.integers(1, 60))
def test_all_parts_are_the_whole_and_nothing_is_in_two(ids: list[int], count: int) -> None:
    parts = [Part(index, count).of(ids) for index in range(count)]
    assert sorted(chain(*parts)) == sorted(ids)
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1
    assert [one for one in ids if one in set(parts[0])] == parts[0]  # in their order


@pytest.mark.parametrize("count", [2, 10, 45, 90, 100, 500])
def test_parts_of_the_whole_space_are_about_equal_work(count: int) -> None:
    flops = all_costs()[:, 0].astype(float)
    work = [flops[Part(index, count).of(range(NUM_ARCHS))].sum() for index in range(count)]
    assert np.max(work) / np.min(work) < 1.02


def test_parts_are_counted_from_0_or_from_1() -> None:
    assert [Part(index, 3) for index in (0, 1, 2)] == [Part(index, 3) for index in (3, 1, 2)]


@pytest.mark.parametrize(("index", "count"), [(4, 3), (-1, 3), (0, 0), (1, 0)])
def test_what_is_no_part_is_refused(index: int, count: int) -> None:
    with pytest.raises(QueryError, match=f"{index} is none of 3 parts|there are no 0 parts"):
        Part(index, count)


SLURM = "SLURM_ARRAY_TASK_ID={} SLURM_ARRAY_TASK_MIN={} SLURM_ARRAY_TASK_MAX={} SLURM_ARRAY_TASK_STEP={}"
ARRAYS = {
    "Slurm": (f"{SLURM.format(7, 0, 9, 1)} SLURM_ARRAY_TASK_COUNT=10", (7, 10)),
    "Slurm, from 1": (f"{SLURM.format(1, 1, 10, 1)} SLURM_ARRAY_TASK_COUNT=10", (0, 10)),
    "Slurm, in steps": (f"{SLURM.format(8, 4, 12, 4)} SLURM_ARRAY_TASK_COUNT=3", (1, 3)),
    "Grid Engine": ("SGE_TASK_ID=3 SGE_TASK_FIRST=1 SGE_TASK_LAST=4 SGE_TASK_STEPSIZE=1", (2, 4)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_tells_its_bounds_tells_the_part(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told, (index, count) = ARRAYS[name]
    put(monkeypatch, told)
    assert part_of_array() == Part(index, count)


@pytest.mark.parametrize("array", SYSTEMS, ids=lambda array: array.system)
@pytest.mark.parametrize("index", [1, 17, 100])
def test_the_number_of_parts_can_be_said_and_the_index_is_that_of_the_part(
    array: object, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(array.index, str(index))  # type: ignore[attr-defined]
    assert part_of_array(100) == Part(index, 100)


WRONG = {
    "": "this is no task of an array, since none of .SLURM_ARRAY_TASK_ID, .* is set; say which part, as 3/100",
    "SGE_TASK_ID=undefined LSB_JOBINDEX=0": "this is no task of an array",
    "PBS_ARRAY_INDEX=3": "PBS does not tell how many tasks there are; say it, as array/100",
    "JOB_COMPLETION_INDEX=3": "Kubernetes does not tell how many",
    "LSB_JOBINDEX=three": r"\$LSB_JOBINDEX is 'three', which is no whole number",
    "SLURM_ARRAY_TASK_ID=3": r"\$SLURM_ARRAY_TASK_MIN is not set",
    f"{SLURM.format(3, 1, 7, 1)} SLURM_ARRAY_TASK_COUNT=3": "has 3 of the indices 1 to 7, so that it does not say",
    f"{SLURM.format(1, 1, 7, 1)} SLURM_ARRAY_TASK_COUNT=3": "has 3 of the indices 1 to 7",
    f"{SLURM.format(17, 17, 17, 1)} SLURM_ARRAY_TASK_COUNT=1": "has one task, which would train everything",
    f"{SLURM.format(9, 0, 7, 1)} SLURM_ARRAY_TASK_COUNT=8": "does not say which part is whose",
    f"{SLURM.format(1, 0, 7, 0)} SLURM_ARRAY_TASK_COUNT=8": "does not say which part is whose",
}


@pytest.mark.parametrize("told", WRONG)
def test_an_array_that_does_not_tell_the_part_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, told)
    with pytest.raises(QueryError) as error:
        part_of_array()
    assert re.search(WRONG[told], str(error.value))


def test_an_index_that_is_none_of_the_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBS_ARRAY_INDEX", "6")
    with pytest.raises(QueryError, match=r"\$PBS_ARRAY_INDEX is 6, which is none of 5 parts"):
        part_of_array(5)
