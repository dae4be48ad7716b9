"""Files of training results: which they are, and what is wrong with those that are not as they should be."""

from __future__ import annotations

import gzip
import os
import pickle
import re
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import bloxdb
from bloxdb import space
from bloxdb.measures import MISSING
from bloxdb.release.results import is_results, read_results, results_in
from tests.conftest import GOLDEN
from tests.release.helpers import HASH, RAW, TINY, Given, diverge, write


def test_files_of_results_are_told_from_release_files(golden: Path, tmp_path: Path) -> None:
    for path in (golden / RAW).iterdir():
        assert is_results(path)
    for path in (golden / TINY).iterdir():
        assert not is_results(path)
    (tmp_path / "results_0_2.pickle").touch()
    assert is_results(tmp_path / "results_0_2.pickle")  # that it is empty is told as it is read


def test_a_folder_is_searched_for_the_names_of_the_trainer_in_the_order_of_ranges(tmp_path: Path) -> None:
    names = ["results_random.pickle", "results_2_10.pickle", "results_10_20.pickle"]
    for name in [*names, "combined.pickle", "results_0_5.pickle.part", "args_0_5.pickle"]:
        (tmp_path / name).touch()
    (tmp_path / "results_5_6.pickle").mkdir()
    assert [path.name for path in results_in(tmp_path)] == names


def test_results_are_in_the_order_of_architectures(golden: Path) -> None:
    found = read_results(golden / RAW / "results_0_15.pickle")
    assert [run.index for run in found.runs] == sorted(run.index for run in found.runs)
    assert (len(found.runs), found.without, found.unfit) == (15, 2, 0)
    assert found.arguments is not None
    assert found.arguments["range"] == [0, 15]
    assert read_results(golden / RAW / "combined.pickle").arguments is None


def test_of_several_pairs_the_last_counts_and_the_others_are_looked_at(
    given: Given, golden: Path, tmp_path: Path
) -> None:
    arguments, results = given
    first = dict(list(results.items())[:1])
    path = write(tmp_path / "results_random.pickle", arguments, first, arguments | {"seed": 7}, results)
    found = read_results(path)
    assert len(found.runs) == 2
    assert found.arguments is not None
    assert found.arguments["seed"] == 7
    data = path.read_bytes()
    path.write_bytes(data.replace(b"collections", b"subprocesss", 1))
    with pytest.raises(bloxdb.BloxFormatError, match="it names subprocesss.OrderedDict"):
        read_results(path)


def test_what_is_left_of_an_epoch_that_did_not_end_is_no_epoch(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    diverge(results[HASH], 4, 4.5)
    results[HASH]["train"][4.5] = results[HASH]["train"][1]
    run = read_results(write(tmp_path / "results_0_2.pickle", arguments, results)).runs
    assert sorted((one.epochs, one.is_whole) for one in run) == [(4, False), (10, True)]


def test_a_gap_in_a_history_is_an_epoch_that_was_not_measured(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    for epoch in (3, 5, 7):
        del results[HASH]["valid"][epoch]  # as if validated now and then
    found = read_results(write(tmp_path / "results_0_2.pickle", arguments, results))
    curves = next(run for run in found.runs if run.index == space.arch_index(HASH)).curves
    absent = (curves == MISSING).tolist()
    assert absent[:3] == [[False] * 10] * 3
    assert absent[3:] == [[epoch in (1, 3, 5, 7) for epoch in range(1, 11)]] * 3
    assert (found.gaps, found.with_gaps) == (3, 1)  # the first epoch's validation is in no history


def test_a_run_that_was_tested_without_a_history_is_none(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    results[HASH] |= {"train": {}, "valid": {}, "test": {0: results[HASH]["test"][10]}}
    with pytest.raises(bloxdb.BloxFormatError, match="has no epoch of training or validation"):
        read_results(write(tmp_path / "results_0_2.pickle", arguments, results))
    results[HASH]["test"] = {0.5: results[HASH]["test"].pop(0)}  # it diverged in its first epoch
    found = read_results(write(tmp_path / "results_0_2.pickle", arguments, results))
    assert sorted((run.epochs, run.is_whole) for run in found.runs) == [(0, False), (10, True)]


def test_what_is_not_known_is_noted_and_a_numpy_number_is_called_so(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    result = results[HASH]
    result["notes"] = "mine"
    result["env"]["host"] = "a"
    for epoch in (1, 2):
        result["train"][epoch]["f1"] = [0.5]
    path = write(tmp_path / "results_0_2.pickle", arguments, results)
    assert read_results(path).besides == ["notes", "env: host", "train: f1"]
    with bloxdb.create(tmp_path / "blox.db") as db:
        notes = bloxdb.import_release(path, db).notes
    told = "results_0_2.pickle: results have what is not known here, and is not kept: notes, env: host, train: f1"
    assert told in notes
    result["train"][1]["top1"] = [np.float64(15.66)]
    write(path, arguments, results)
    with pytest.raises(
        bloxdb.BloxFormatError, match=r"it names numpy\._?core\.multiarray\.scalar, which does"
    ):
        read_results(path)


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda result: result.pop("train"), "'train' is missing"),
        (lambda result: result.update(env=3), "'env' is of type int"),
        (lambda result: result.update(time="later"), "'time' is not as 1:02:03"),
        (lambda result: result.update(time="-1 day, 23:00:00"), "'time' is not as 1:02:03"),
        (lambda result: result.update(flops=1.5), "'flops' is 1.5, not a whole number"),
        (lambda result: result.update(flops=float("inf")), "'flops' is inf"),
        (lambda result: result.update(test={}), "'test' has 0 entries"),
        (lambda result: result.update(test={9: result["test"][10]}), "tested at epoch 9, but has 10 epochs"),
        (lambda result: result.update(test={4.3: result["test"][10]}), "at epoch 4.3, but has 10 epochs"),
        (lambda result: result.update(test={11.3: result["test"][10]}), "at epoch 11.3, but has 10 epochs"),
        (lambda result: result["train"].update({0: result["train"][1]}), "'train' has an epoch that is none"),
        (lambda result: result["train"].update({"1": {}}), "'train' has an epoch that is none"),
        (lambda result: result["train"].update({10.5: {}}), "'train' has epoch 10.5, where no test is"),
        (lambda result: result["valid"].update({3: []}), "valid, epoch 3: metrics are a dict"),
        (lambda result: result["valid"][3].update(top1=[1.0, 2.0]), "'top1' is not a list of one number"),
        (lambda result: result["valid"][3].update(top1=["1"]), "'top1' is not a list of one number"),
        (lambda result: result["valid"][3].pop("loss"), "'loss' is not a list of one number"),
        (lambda result: result["env"].update(gpu=3), "'gpu' of the environment is no text"),
        (lambda result: result["env"].update(gpu=["a" * 4_097]), "'gpu' of the environment is .* too long"),
        (lambda result: result["env"].update(gpu=["a"] * 65), "'gpu' of the environment is .* too long"),
        (lambda result: result["train"].update({65_535: result["train"][1]}), "more than its size can hold"),
    ],
)
def test_results_that_are_not_as_they_should_be_are_named(
    given: Given, tmp_path: Path, change: Change, sentence: str
) -> None:
    arguments, results = given
    change(results[HASH])
    if "size" in sentence:
        results[HASH]["test"] = {65_535: results[HASH]["test"][10]}
    path = write(tmp_path / "results_0_2.pickle", arguments, results)
    with pytest.raises(bloxdb.BloxFormatError, match=rf"results_0_2.pickle, byte \d+: {HASH}: .*{sentence}"):
        read_results(path)


def test_files_that_hold_something_else_are_named(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    path = tmp_path / "results_0_2.pickle"
    for parts, sentence in [
        ((), "the file is empty"),
        ((arguments,), "ends after arguments"),
        ((arguments, results, arguments), "ends after arguments"),
        ((results, results), "or arguments and results in turn"),
        ((results, arguments), "or arguments and results in turn"),
        ((arguments, {"ab" * 16: results[HASH]}), "not the hash of an architecture"),
        ((arguments, {"\x1b[31m": results[HASH]}), r"\\x1b\[31m: a result stands under a model hash"),
        ((arguments, {7: [1]}), "a key of type int: a result is a dict"),
    ]:
        write(path, *parts)
        with pytest.raises(bloxdb.BloxFormatError, match=sentence):
            read_results(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(bloxdb.BloxFormatError, match="neither arguments nor results"):
        read_results(path)


def test_one_result_may_not_stand_for_thousands(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    ordered = OrderedDict(results[HASH])
    path = write(tmp_path / "results_0_9.pickle", arguments)
    with path.open("ab") as stream:
        pickle.dump(dict.fromkeys(space.all_model_hashes()[:2_000], ordered), stream, 4)
    with pytest.raises(bloxdb.BloxFormatError, match="more than its size can hold"):
        read_results(path)


NAMES = ["results_0_15.pickle", "results_25_30.pickle", "results_random.pickle", "combined.pickle"]


@hypothesis.given(st.data())
def test_a_changed_file_gives_results_or_a_sentence_that_names_it(data: st.DataObject) -> None:
    source = GOLDEN / RAW / data.draw(st.sampled_from(NAMES))
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / source.name
        path.write_bytes(content)
        try:
            found = read_results(path)
        except bloxdb.BloxFormatError as error:
            assert str(error).startswith(str(path))
        else:
            assert sum(run.curves.size for run in found.runs) < len(content)


@pytest.mark.parametrize("pairs", [0, 1, 2])
@pytest.mark.parametrize("cut", ["arguments", "results"])
def test_what_is_said_of_a_file_that_is_cut_off_leaves_its_whole_pairs(
    given: Given, tmp_path: Path, pairs: int, cut: str
) -> None:
    arguments, results = given
    parts = [arguments, results] * pairs + [arguments, results][: 1 if cut == "arguments" else 2]
    path = write(tmp_path / "results_random.pickle", *parts)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(bloxdb.BloxFormatError) as told:
        read_results(path)
    if not pairs:
        assert "leave the file out, or take a whole copy of it" in str(told.value)
        return
    advice = re.search(
        rf"the {pairs} pairs? .* (?:is|are) whole, and `truncate -s (\d+)` on a copy leaves them",
        str(told.value),
    )
    assert advice is not None
    os.truncate(path, int(advice[1]))
    assert len(read_results(path).runs) == len(results)


def test_packings_of_one_file_that_differ_are_refused(tmp_path: Path) -> None:
    plain = tmp_path / "results_0_5.pickle"
    plain.write_bytes(b"\x80one")
    packed = tmp_path / "results_0_5.pickle.gz"
    packed.write_bytes(gzip.compress(b"\x80one"))
    assert results_in(tmp_path) == [plain]
    packed.write_bytes(gzip.compress(b"\x80two"))
    with pytest.raises(bloxdb.ReleaseError, match="their bytes are not the same"):
        results_in(tmp_path)


@pytest.mark.parametrize("gpu", [["a" * 4_096], ["a"] * 64])
def test_facts_of_the_environment_may_be_long(given: Given, tmp_path: Path, gpu: list[str]) -> None:
    arguments, results = given
    results[HASH]["env"]["gpu"] = gpu
    assert len(read_results(write(tmp_path / "results_0_2.pickle", arguments, results)).runs) == len(results)
