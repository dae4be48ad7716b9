"""The original's training results into a database: real files, and each way in which they are not as they should be."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bloxdb
from bloxdb import Database
from bloxdb.counts import Counts
from bloxdb.measures import COSTS
from bloxdb.release.unpickling import build, scan
from tests.release.helpers import HASH, RAW, TINY, Given, Results, content, diverge, write

RELEASED = {"hflip": 0.5, "random_crop_pad": 4, "crop": True, "cutout": True, "rand_aug": 14, "epochs": 10}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Iterator[Database]:
    """A database that files which are refused leave as it is."""
    path = shutil.copy(empty_file, tmp_path_factory.mktemp("untouched") / "blox.db")
    with bloxdb.open(path, current=False) as db:
        yield db


def runs(db: Database) -> list[dict[str, Any]]:
    return db.rows("SELECT r.*, a.hash FROM runs r JOIN archs a ON a.id = arch_id ORDER BY seed, arch_id")


@pytest.mark.parametrize("name", ["results_0_15", "results_15_30", "results_25_30", "results_random"])
def test_a_golden_file_has_the_values_that_pickle_reads_rounded_as_the_release(
    empty_db: Database, golden: Path, name: str
) -> None:
    path = golden / RAW / f"{name}.pickle"
    report = bloxdb.import_release(path, empty_db)
    data = path.read_bytes()
    results: Results = {}
    build(data, list(scan(data))[-1], lambda key, value, at: results.__setitem__(key, value))
    with_results = {key: value for key, value in results.items() if value}
    assert report.added == len(with_results) == len(runs(empty_db))
    for run in runs(empty_db):
        raw = with_results[run["hash"]]
        assert (run["seed"], run["status"]) == (3, "finished")
        assert run["test_top1"] == round(raw["test"][10]["top1"][0], 3)
        assert run["test_top5"] == round(raw["test"][10]["top5"][0], 3)
        assert run["test_loss"] == round(raw["test"][10]["loss"][0], 6)
        later = range(2, 11)
        best = max(later, key=lambda e: (raw["valid"][e]["top1"][0], -raw["valid"][e]["loss"][0]))
        assert run["best_epoch"] == best
        assert run["val_top1"] == round(raw["valid"][best]["top1"][0], 3)
        epochs = empty_db.rows("SELECT * FROM epochs WHERE run_id = :run ORDER BY epoch", run=run["id"])
        assert [epoch["epoch"] for epoch in epochs] == list(range(1, 11))
        for epoch in epochs:
            for part, ours in (("train", "train"), ("valid", "val")):
                for metric, decimals in (("top1", 3), ("top5", 3), ("loss", 6)):
                    expected = round(raw[part][epoch["epoch"]][metric][0], decimals)
                    is_lost = part == "valid" and epoch["epoch"] == 1
                    assert epoch[f"{ours}_{metric}"] == (None if is_lost else expected)
        [env] = empty_db.rows("SELECT * FROM envs WHERE id = :id", id=run["env_id"])
        assert env.pop("id") == run["env_id"]
        assert env == {**raw["env"], "gpu": raw["env"]["gpu"][0]}


def test_times_are_rounded_to_whole_seconds(empty_db: Database, given: Given, tmp_path: Path) -> None:
    arguments, results = given
    for text, seconds in [
        ("0:58:59", 3539),
        ("1:52:03.417", 6723),
        ("2:00:00.500001", 7201),
        ("1 day, 0:00:01", 86_401),
        ("2 days, 3:04:05.6", 183_846),
    ]:
        results[HASH]["time"] = text
        path = write(tmp_path / "results_0_2.pickle", arguments, results)
        bloxdb.import_release(path, empty_db, replace=True)
        assert next(run for run in runs(empty_db) if run["hash"] == HASH)["train_time_s"] == seconds


def test_the_release_command_line_is_the_release_recipe(
    empty_db: Database, golden: Path, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    write(tmp_path / "results_0_2.pickle", arguments | RELEASED | {"workers": 99, "datadir": "/x"}, results)
    bloxdb.import_release(tmp_path, empty_db)
    [recipe] = empty_db.rows("SELECT * FROM recipes")
    assert (recipe["name"], recipe["dataset"], recipe["epochs"], recipe["config"]) == (
        "cifar100-10", "cifar100", 10, None,
    )  # fmt: skip
    assert (recipe["train_images"], recipe["val_images"], recipe["test_images"]) == (45_000, 5_000, 10_000)


OTHERS = [
    {"lr": 0.02}, {"momentum": 0.8}, {"decay": 0.0}, {"train_batch": 128}, {"hflip": False}, {"crop": False},
    {"random_crop_pad": 0}, {"cutout": False}, {"cutout_length": 8}, {"rand_aug": 9}, {"rand_aug_num": 1},
    {"train_portion": 0.8}, {"split_seed": 1}, {"stem": 16}, {"cells": 2}, {"nesterov": True}, {"opt": "Adam"},
]  # fmt: skip


def test_other_settings_are_another_recipe_whose_name_says_so(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    path = tmp_path / "results_0_2.pickle"
    for number, change in enumerate([{}, *OTHERS]):
        write(path, arguments | RELEASED | change, results)
        assert bloxdb.import_release(path, empty_db).added == 2
        recipe = empty_db.rows("SELECT * FROM recipes ORDER BY id")[number]
        if not change:
            assert recipe["name"] == "cifar100-10"
            continue
        assert recipe["name"] == f"cifar100-10-{recipe['digest'][:8]}"
        assert json.dumps(change)[1:-1] in recipe["config"]
        train = 40_000 if "train_portion" in change else 45_000
        assert (recipe["train_images"], recipe["val_images"]) == (train, 50_000 - train)


def test_importing_again_and_in_overlapping_files_changes_nothing(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    files = [golden / RAW / f"results_{name}.pickle" for name in ("0_15", "15_30", "25_30", "random")]
    report = bloxdb.import_release(files, empty_db)
    assert (report.added, report.unchanged) == (31, 2)
    before = content(empty_db)
    for replace in (False, True):
        report = bloxdb.import_release(files, empty_db, replace=replace)
        assert (report.added, report.replaced, report.unchanged) == (0, 0, 33)
        assert content(empty_db) == before
    assert "results_0_15.pickle: 2 architectures without results" in report.notes


def test_a_combined_file_needs_recipe_and_seed_and_says_so(empty_db: Database, golden: Path) -> None:
    combined = golden / RAW / "combined.pickle"
    for options in ({}, {"recipe": "mine"}, {"seed": 3}):
        with pytest.raises(bloxdb.ReleaseError, match=r"combined.pickle .*--recipe NAME --seed N"):
            bloxdb.import_release(combined, empty_db, **options)
    bloxdb.import_release([golden / RAW / f"results_{n}.pickle" for n in ("0_15", "15_30")], empty_db)
    before = content(empty_db)
    [recipe] = empty_db.rows("SELECT name FROM recipes")
    report = bloxdb.import_release(combined, empty_db, recipe=recipe["name"], seed=3)
    assert (report.added, report.unchanged) == (0, 28)
    assert any("says neither recipe, data set nor seed" in note for note in report.notes)
    assert content(empty_db) == before
    report = bloxdb.import_release(combined, empty_db, recipe="mine", seed=4)
    assert report.added == 28
    assert empty_db.rows("SELECT dataset, epochs FROM recipes WHERE name = 'mine'") == [
        {"dataset": "cifar100", "epochs": 10}
    ]


@pytest.mark.parametrize(
    ("recipe", "dataset"), [("nosuch", "cifar100"), ("cifar10-10", "cifar10"), ("cifar10-10-mine", "cifar10")]
)
def test_a_combined_file_says_which_data_set_is_believed(
    recipe: str, dataset: str, empty_db: Database, golden: Path
) -> None:
    report = bloxdb.import_release(golden / RAW / "combined.pickle", empty_db, recipe=recipe, seed=3)
    believed = f"says neither recipe, data set nor seed; {recipe}, {dataset} and seed 3 are believed"
    assert [note for note in report.notes if note.endswith(believed)] == report.notes[:1]
    assert empty_db.rows("SELECT name, dataset FROM recipes") == [{"name": recipe, "dataset": dataset}]


@pytest.mark.parametrize("epochs", [10, 12])  # 12 as the arguments have it, and runs that ended after 10
@pytest.mark.parametrize("first", [None, "mine"])
@pytest.mark.parametrize("second", [None, "mine", "other"])
def test_settings_that_are_known_by_another_name_are_told(
    epochs: int, first: str | None, second: str | None, empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    path = write(
        tmp_path / "results_0_2.pickle", arguments | RELEASED | {"lr": 0.02, "epochs": epochs}, results
    )
    bloxdb.import_release(path, empty_db, recipe=first)
    [recipe] = empty_db.rows("SELECT name FROM recipes")
    notes = bloxdb.import_release(path, empty_db, recipe=second).notes
    assert empty_db.rows("SELECT name FROM recipes") == [recipe]
    used = (
        f"results_0_2.pickle: recipe {second} is not used: the same settings are known as recipe "
        f"{recipe['name']} here, and the runs are of that one"
    )
    assert (used in notes) == (second not in (None, recipe["name"]))
    assert sum(note.endswith(f"{recipe['name']} is stored with 10") for note in notes) == (epochs == 12)


def test_a_seed_that_is_not_the_files_is_refused(empty_db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.ReleaseError, match="was trained with seed 3, not 4"):
        bloxdb.import_release(golden / RAW / "results_0_15.pickle", empty_db, seed=4)
    with pytest.raises(bloxdb.ReleaseError, match="is of seed 3, not 4"):
        bloxdb.import_release(golden / "release-tiny" / "blox-base-3.blox", empty_db, seed=4)


def test_a_cut_off_file_imports_nothing_of_any_file(empty_db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.BloxFormatError, match=r"results_33_36.pickle, byte 6458: the file is cut off"):
        bloxdb.import_release(golden / RAW, empty_db)
    assert content(empty_db)[0] == []
    assert empty_db.rows("SELECT * FROM recipes") == []


def test_pairs_that_are_whole_before_the_cut_can_be_saved(
    empty_db: Database, golden: Path, tmp_path: Path
) -> None:
    data = (golden / RAW / "results_random.pickle").read_bytes()
    path = tmp_path / "results_random.pickle"
    path.write_bytes(data[:-100])
    with pytest.raises(bloxdb.BloxFormatError, match=r"the 2 pairs of .* `truncate -s 6406`"):
        bloxdb.import_release(path, empty_db)
    path.write_bytes(data[:6406])
    assert bloxdb.import_release(path, empty_db).added == 2


@pytest.mark.parametrize(("epochs", "at"), [(9, 9.5), (4, 4.0), (1, 1.25), (0, 0.125)])
def test_a_run_that_diverged_has_what_there_is(
    empty_db: Database, given: Given, tmp_path: Path, epochs: int, at: float
) -> None:
    arguments, results = given
    diverge(results[HASH], epochs, at)
    path = write(tmp_path / "results_0_2.pickle", arguments, results)
    bloxdb.import_release(path, empty_db)
    found = {run["hash"]: run for run in runs(empty_db)}
    assert sorted(run["status"] for run in found.values()) == ["diverged", "finished"]
    run = found[HASH]
    assert run["status"] == "diverged"
    assert (run["test_top1"], run["train_time_s"]) == (53.01, 6723)
    rows = empty_db.rows("SELECT * FROM epochs WHERE run_id = :id ORDER BY epoch", id=run["id"])
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))
    assert [row["val_top1"] is None for row in rows] == [True] * min(epochs, 1) + [False] * max(epochs - 1, 0)
    assert (run["best_epoch"] is None) == (epochs < 2)
    assert bloxdb.import_release(path, empty_db).unchanged == 2
    leaderboard = empty_db.rows("SELECT hash FROM leaderboard")
    assert HASH not in [row["hash"] for row in leaderboard]
    bloxdb.export_release(tmp_path / "out", empty_db, format="csv")


def test_values_that_were_not_measured_are_null_and_those_that_do_not_fit_are_told(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    valid = results[HASH]["valid"]
    valid[3]["loss"], valid[4]["loss"], valid[5]["loss"] = [float("nan")], [float("inf")], [1e300]
    report = bloxdb.import_release(write(tmp_path / "results_0_2.pickle", arguments, results), empty_db)
    losses = empty_db.rows(
        "SELECT val_loss FROM epochs e JOIN runs r ON r.id = run_id JOIN archs a ON a.id = arch_id "
        "WHERE hash = :hash AND epoch BETWEEN 3 AND 6 ORDER BY epoch",
        hash=HASH,
    )
    assert [row["val_loss"] is None for row in losses] == [True, True, True, False]
    assert any("2 values are infinite" in note for note in report.notes)
    assert any("histories lack values of 1 epoch in 1 run;" in note for note in report.notes)


def test_contradictions_are_told_and_replaced_only_on_demand(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    bloxdb.import_release(write(tmp_path / "results_0_2.pickle", arguments, results), empty_db)
    before = content(empty_db)
    other = copy.deepcopy(results)
    other[HASH]["test"][10]["top1"] = [12.5]
    other[HASH]["valid"][7]["loss"] = [0.5]
    other[HASH]["env"]["gpu"] = ["abacus"]
    path = write(tmp_path / "results_1_3.pickle", arguments, other)
    with pytest.raises(bloxdb.ConflictError) as caught:
        bloxdb.import_release(path, empty_db)
    for sentence in (
        "test_top1 is 53.01 here, 12.5 in the file",
        "val_loss of epoch 7 is",
        "environment",
    ):
        assert sentence in str(caught.value)
    assert content(empty_db) == before
    assert bloxdb.import_release(path, empty_db, replace=True).replaced == 3
    assert bloxdb.import_release(path, empty_db).unchanged == 2
    run = next(run for run in runs(empty_db) if run["hash"] == HASH)
    assert run["test_top1"] == 12.5


def test_files_that_contradict_each_other_are_told_too(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    write(tmp_path / "results_0_2.pickle", arguments, results)
    results[HASH]["test"][10]["top5"] = [12.5]
    write(tmp_path / "results_1_3.pickle", arguments, results)
    with pytest.raises(bloxdb.ConflictError, match=r"results_1_3.pickle, .*test_top5 is 84.58 here, 12.5"):
        bloxdb.import_release(tmp_path, empty_db)
    assert runs(empty_db) == []


def test_a_release_and_its_training_results_agree(empty_db: Database, given: Given, tmp_path: Path) -> None:
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", arguments | RELEASED, results)
    bloxdb.import_release(path, empty_db)
    bloxdb.export_release(tmp_path / "out", empty_db, format="csv")
    report = bloxdb.import_release([path, tmp_path / "out"], empty_db)
    assert (report.added, report.replaced) == (0, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": "3"}, "need a whole number 0 … .* for seed, not '3'"),
        ({"seed": True}, "need a whole number 0 … .* for seed, not True"),
        ({"seed": 2**70}, "need a whole number 0 … .* for seed, not a number of 71 bits"),
        ({"epochs": 0}, "need a whole number 1 … .* for epochs, not 0"),
        ({"epochs": 9}, "a run has 10 epochs, and the arguments of its training say 9"),
        ({"dataset": "\x1b[31m"}, "no data set that could be one"),
        ({"dataset": None}, "no data set that could be one"),
        ({"lr": float("nan")}, "no finite number for lr"),
        ({"betas": [[1]]}, "argument betas is no plain value"),
        ({"opt": ["a" * 4_096] * 65}, "argument opt is no plain value"),
    ],
)
def test_arguments_that_could_not_be_are_named(
    untouched: Database, given: Given, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", arguments | change, results)
    with pytest.raises((bloxdb.ReleaseError, bloxdb.BloxFormatError), match=sentence):
        bloxdb.import_release(path, untouched)
    assert runs(untouched) == []


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("column", COSTS)
def test_costs_that_the_search_space_has_not_are_refused_whatever_may_be_replaced(
    untouched: Database, given: Given, tmp_path: Path, column: str, replace: bool
) -> None:
    arguments, results = given
    results[HASH][column] = 1
    path = write(tmp_path / "results_0_2.pickle", arguments, results)
    with pytest.raises(bloxdb.BloxFormatError, match=rf"column {column}: it is 1, but architecture \d+ has"):
        bloxdb.import_release(path, untouched, replace=replace)
    assert runs(untouched) == []


@pytest.mark.parametrize("change", [{"dataset": "cifar10"}, {"stem": 16}, {"cells": 2}])
def test_networks_of_other_sizes_leave_the_costs_of_the_search_space(
    empty_db: Database, given: Given, tmp_path: Path, change: dict[str, Any]
) -> None:
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", arguments | change, results)
    assert bloxdb.import_release(path, empty_db).notes == []
    results[HASH]["params"] = 1
    write(path, arguments | change, results)
    (note,) = bloxdb.import_release(path, empty_db).notes
    assert note.startswith("results_0_2.pickle: its networks have other classes, stems or cells")
    assert empty_db.rows("SELECT * FROM runs WHERE params = 1") == []


@pytest.mark.parametrize("is_known", [True, False])
def test_a_combined_file_of_networks_of_other_sizes_goes_by_the_recipe_of_its_name(
    empty_db: Database, given: Given, tmp_path: Path, is_known: bool
) -> None:
    arguments, results = given
    results[HASH]["params"] = 1
    if is_known:
        path = write(tmp_path / "results_0_2.pickle", arguments | {"stem": 16}, results)
        bloxdb.import_release(path, empty_db, recipe="small")
    combined = write(tmp_path / "combined.pickle", results)
    report = bloxdb.import_release(combined, empty_db, recipe="small", seed=arguments["seed"])
    assert (report.added == 0) is is_known
    assert any("its networks have other classes, stems or cells" in note for note in report.notes)


def test_a_combined_file_of_the_release_s_recipe_has_the_costs_of_the_search_space(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", arguments | RELEASED, results)
    name = bloxdb.import_release(path, empty_db) and empty_db.rows("SELECT name FROM recipes")[0]["name"]
    results[HASH]["params"] = 1
    combined = write(tmp_path / "combined.pickle", results)
    with pytest.raises(bloxdb.BloxFormatError, match="column params: it is 1, but architecture"):
        bloxdb.import_release(combined, empty_db, recipe=name, seed=arguments["seed"])


def test_a_run_that_is_whole_takes_the_place_of_one_that_diverged_only_on_demand(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    short = copy.deepcopy(results)
    diverge(short[HASH], 4, 4.5)
    files = [write(tmp_path / "results_0_2.pickle", arguments, part) for part in (short,)]
    bloxdb.import_release(files, empty_db)
    before = content(empty_db)
    for part, status, epochs in ((results, "finished", 10), (short, "diverged", 4)):
        write(files[0], arguments, part)
        with pytest.raises(bloxdb.ConflictError, match=f"status is .* here, {status} in the file"):
            bloxdb.import_release(files, empty_db)
        assert content(empty_db) == before
        bloxdb.import_release(files, empty_db, replace=True)
        before = content(empty_db)
        run = next(run for run in runs(empty_db) if run["hash"] == HASH)
        assert run["status"] == status
        rows = empty_db.rows("SELECT * FROM epochs WHERE run_id = :id", id=run["id"])
        assert len(rows) == epochs


def test_the_best_epoch_is_the_best_of_those_that_are_believed(
    empty_db: Database, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    results[HASH]["valid"][1]["top1"] = [99.0]
    bloxdb.import_release(write(tmp_path / "results_0_2.pickle", arguments, results), empty_db)
    run = next(run for run in runs(empty_db) if run["hash"] == HASH)
    assert (run["best_epoch"], run["val_top1"]) == (10, 50.02)


def test_progress_comes_to_its_end(empty_db: Database, golden: Path) -> None:
    told: list[tuple[int, int, str]] = []
    paths = [golden / RAW / "results_0_15.pickle", golden / "release-tiny" / "blox-info.blox"]
    bloxdb.import_release(paths, empty_db, progress=lambda *step: told.append(step))
    total = sum(path.stat().st_size for path in paths)
    assert told[-1] == (total, total, "done")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert any("results_0_15.pickle, " in what for _, _, what in told)


def test_a_report_counts_the_runs_of_all_recipes_and_the_epochs_that_they_have(
    empty_db: Database, given: Given, golden: Path, tmp_path: Path
) -> None:
    arguments, results = given
    first = write(tmp_path / "results_0_2.pickle", arguments, results)
    other = copy.deepcopy(results)
    diverge(other[HASH], 3, 3.5)
    second = write(tmp_path / "results_2_4.pickle", {**arguments, "lr": 0.5}, other)
    report = bloxdb.import_release([first, second], empty_db)
    (there,) = empty_db.rows(
        "SELECT (SELECT count(DISTINCT arch_id) FROM runs) AS archs, (SELECT count(*) FROM runs) AS runs, "
        "(SELECT count(*) FROM epochs) AS epochs"
    )
    assert there == {"archs": 2, "runs": 4, "epochs": 33}
    assert report.counts == report.new == Counts(2, 4, 33)
    both = bloxdb.import_release([first, golden / TINY], empty_db)
    whole = empty_db.rows("SELECT count(*) AS n FROM epochs")[0]["n"]
    assert both.counts.epochs + 13 == whole


@pytest.mark.parametrize(
    ("asked", "absent"),
    [([0, 2], 0), ([0, 10], 8), ((3, 10), 5), ([-5, 10], 8), ([91_120, 10**9], 3), ([5, 3], 0), ([0, 1], 0),
     ([0, 2.5], 0), ([0], 0), ([0, 9, 9], 0), ("09", 0), (None, 0)],
)  # fmt: skip
def test_what_a_range_asks_for_and_a_file_lacks_is_counted(
    empty_db: Database, given: Given, tmp_path: Path, asked: Any, absent: int
) -> None:
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", arguments | {"range": asked}, results)
    told = [
        note for note in bloxdb.import_release(path, empty_db).notes if "of the range that it is of" in note
    ]
    counted = (
        "architecture of the range that it is of is"
        if absent == 1
        else "architectures of the range that it is of are"
    )
    assert told == ([f"results_0_2.pickle: {absent} {counted} not in it"] if absent else [])


@pytest.mark.parametrize(
    ("portion", "train"),
    [(0.9, 45_000), (1, 50_000), (0, 0), (0.5, 25_000), (1.5, None), (-0.1, None), ("0.9", None)],
)
def test_how_many_images_train_is_told_by_a_share_that_can_be_one(
    empty_db: Database, given: Given, tmp_path: Path, portion: Any, train: int | None
) -> None:
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", arguments | RELEASED | {"train_portion": portion}, results)
    bloxdb.import_release(path, empty_db)
    (found,) = empty_db.rows("SELECT train_images, val_images FROM recipes")
    expected = 45_000 if train is None else train  # as the data set is split where nothing is said
    assert (found["train_images"], found["val_images"]) == (expected, 50_000 - expected)
