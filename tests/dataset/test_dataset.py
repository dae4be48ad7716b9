"""Every method against values computed straight from the rows of the golden release."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, codecs, space
from bloxdb.dataset import Dataset, from_folder
from bloxdb.dataset.source import COLUMNS
from bloxdb.db import Recipe
from tests.dataset.helpers import NOT_THERE, SMALL, rows_of

EPOCHS = 200

CURVES = {
    "val_acc": ("val_top1", True, max),
    "train_acc": ("train_top1", True, max),
    "train_top5": ("train_top5", True, max),
    "val_top5": ("val_top5", True, max),
    "train_loss": ("train_loss", False, min),
    "val_loss": ("val_loss", False, min),
}

RESULTS = {"test_acc": "test_top1", "test_top5": "test_top5", "test_loss": "test_loss"}


@pytest.mark.parametrize("method", list(CURVES))
def test_measures_of_epochs(dataset: Dataset, truth: dict[int, Any], method: str) -> None:
    name, best_by_default, best_of = CURVES[method]
    ask = getattr(dataset, method)
    for seed, rows in truth.items():
        for key, row in list(rows.items())[:12]:
            values = row[name]
            for epoch in (1, 2, 57, EPOCHS, None):
                last = EPOCHS if epoch is None else epoch
                assert ask(key, epoch=epoch, best=True, seed=seed) == best_of(values[:last])
                assert ask(key, epoch=epoch, best=False, seed=seed) == values[last - 1]
            default = best_of(values) if best_by_default else values[-1]
            assert ask(key, seed=seed) == default


@pytest.mark.parametrize("method", list(RESULTS))
def test_results(dataset: Dataset, truth: dict[int, Any], method: str) -> None:
    for seed, rows in truth.items():
        for key, row in rows.items():
            assert getattr(dataset, method)(key, seed=seed) == row[RESULTS[method]]


def test_training_time_is_linear_in_epochs(dataset: Dataset, truth: dict[int, Any]) -> None:
    for key, row in truth[1].items():
        assert dataset.train_time(key, seed=1) == row["train_time_s"]
        assert dataset.train_time(key, epoch=50, seed=1) == pytest.approx(row["train_time_s"] / 4)


def test_costs_vectors_latencies_and_environments(dataset: Dataset, golden: Path) -> None:
    info, env = rows_of(golden / SMALL, "blox-info"), rows_of(golden / SMALL, "blox-env-0")
    latencies = {name: rows_of(golden / SMALL, f"blox-bench-{name}") for name in dataset.devices}
    assert list(latencies) == ["desktop-cpu", "jetson-nano"]
    for key, row in info.items():
        assert (dataset.flops(key), dataset.params(key), dataset.arch_vec(key)) == (
            row["flops"],
            row["params"],
            row["arch_vec"],
        )
        expected = {name: rows[key]["latency"] for name, rows in latencies.items()}
        assert dataset.latency(key, return_dict=True) == expected
        assert dataset.latency(key) == list(expected.values())
        assert dataset.latency(key, "jetson-nano") == expected["jetson-nano"]
        assert dataset.latency(key, ["jetson-nano"]) == [expected["jetson-nano"]]
        full = dataset.full_info(key, seed=0)
        assert isinstance(full, dict)
        assert {"model_hash": key, **full["env"]} == env[key]
        assert {"model_hash": key, **full["info"]} == row


def test_full_info_has_all_columns(dataset: Dataset, truth: dict[int, Any]) -> None:
    for seed, rows in truth.items():
        for key, row in list(rows.items())[:9]:
            full = dataset.full_info(key, seed=seed)
            assert isinstance(full, dict)
            assert {name: full[name] for name in row} == row
            assert set(full) - set(row) == {"seed", "desktop-cpu", "jetson-nano", "info", "env"}
            assert full["seed"] == seed
            assert dataset.full_info_by_graph(key, seed=seed) == full
            assert dataset.full_info(key, seed=seed, return_dict=False) == list(full.values())
            less = dataset.full_info(
                key, seed=seed, devices=["desktop-cpu"], include_static_info=False, include_env_info=False
            )
            assert set(less) == {*row, "seed", "desktop-cpu"}  # type: ignore[arg-type]


def test_all_spellings_of_an_architecture_find_it(dataset: Dataset, truth: dict[int, Any]) -> None:
    key = next(iter(truth[0]))
    vec = dataset.arch_vec(key)
    assert vec is not None
    expected = truth[0][key]["test_top1"]
    flat = [number for cell in vec for part in cell for number in part]
    spellings = [vec, flat, np.array(flat), space.vec_text(vec), key, key.upper(), space.arch_index(vec)]
    swapped = [[[cell[1][0]], [cell[0][0], 0, 1, 1]] if cell[1][1:] == [0, 1, 1] else cell for cell in vec]
    for arch in [*spellings, swapped, tuple(map(tuple, vec))]:
        assert dataset.test_acc(arch, seed=0) == expected
        assert arch in dataset


def test_an_architecture_without_a_run_gives_none(dataset: Dataset, truth: dict[int, Any]) -> None:
    assert bloxdb.model_hash(NOT_THERE) not in truth[0]
    assert NOT_THERE not in dataset
    assert "0" * 32 not in dataset
    for method in (*CURVES, *RESULTS, "train_time", "full_info"):
        assert getattr(dataset, method)(NOT_THERE) is None, method
        assert getattr(dataset, method)("0" * 32) is None, method
    assert dataset.latency(NOT_THERE, "desktop-cpu") is None
    with pytest.raises(KeyError):
        dataset[bloxdb.model_hash(NOT_THERE)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.val_acc([[[3], [0, 1, 0, 0]]] * 3), r"op1 of cell 1 of 3 must be in 0 … 2, not 3"),
        (lambda d: d.test_acc("not a vector"), "not an architecture vector"),
        (lambda d: d.test_acc(True), "is a list like"),
        (lambda d: d.test_acc(0, seed=7), "seed 7 is not loaded; choose of: 0, 1"),
        (lambda d: d.val_acc(0, epoch=0), "an epoch is in 1 … 200, not 0"),
        (lambda d: d.val_acc(0, epoch=201), "not 201"),
        (lambda d: d.latency(0, "phone"), "'phone' are not loaded; choose of: desktop-cpu, jetson-nano"),
        (lambda d: d.table(columns=["top1"]), "there is no column 'top1'"),
    ],
)
def test_what_is_wrong_is_a_value_error_with_the_choices(dataset: Dataset, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(dataset)


def test_it_counts_and_iterates_its_architectures(dataset: Dataset, truth: dict[int, Any]) -> None:
    assert len(dataset) == len(truth[0]) == 60
    assert set(dataset) == set(truth[0])
    key = next(iter(dataset))
    assert dataset[key]["model_hash"] == key


def test_its_properties_are_those_of_the_headers(dataset: Dataset) -> None:
    assert (dataset.version, dataset.epochs, dataset.dataset) == (1, 200, "cifar100")
    assert (dataset.ops, dataset.nodes, dataset.stages) == (["conv", "mbconv", "bconv"], 2, 3)
    assert dataset.search_space["shape"] == [[[3], [3, 2, 2, 2]]] * 3
    assert (dataset.seeds, dataset.is_extended) == ([0, 1], True)
    assert set(dataset.columns) == {*codecs.columns.BASE, *codecs.columns.EXT}


def test_without_a_seed_one_is_drawn_from_a_generator_of_its_own(
    dataset: Dataset, truth: dict[int, Any]
) -> None:
    key = next(iter(truth[0]))
    before = random.getstate()
    dataset.rng = random.Random(5)
    drawn = [dataset.test_acc(key) for _ in range(30)]
    dataset.rng = random.Random(5)
    assert [dataset.test_acc(key) for _ in range(30)] == drawn
    assert set(drawn) == {truth[seed][key]["test_top1"] for seed in (0, 1)}
    assert random.getstate() == before


def test_tables_have_the_same_values(dataset: Dataset, truth: dict[int, Any]) -> None:
    columns = ["val_top1", "val_loss", "test_top1", "train_time_s"]
    table = dataset.table(columns=columns, epoch=33, seed=1)
    assert len(table["arch_id"]) == 60
    for place, index in enumerate(table["arch_id"].tolist()):
        row = truth[1][bloxdb.model_hash(space.arch_vec(index))]
        assert table["val_top1"][place] == row["val_top1"][32]
        assert table["val_loss"][place] == row["val_loss"][32]
        assert table["test_top1"][place] == row["test_top1"]
        assert table["train_time_s"][place] == row["train_time_s"]
    some = dataset.table([NOT_THERE, int(table["arch_id"][3])], ["test_top1"], seed=1)
    assert np.isnan(some["test_top1"][0])
    assert some["test_top1"][1] == table["test_top1"][3]


@pytest.fixture(scope="module")
def both(golden: Path, small_db: Database) -> tuple[Dataset, Dataset]:
    """The same release from its files and from a database, side by side."""
    files = from_folder(golden / SMALL, extended=True, include_static_info=True, include_env_info=True)
    return files, bloxdb.from_database(small_db)


def test_a_folder_and_a_database_give_full_info_alike_and_in_the_same_order(
    both: tuple[Dataset, Dataset],
) -> None:
    files, database = both
    assert list(files) == list(database)
    assert files.columns == database.columns
    for key in files:
        for seed in (0, 1):
            one, other = (data.full_info(key, seed=seed) for data in both)
            assert isinstance(one, dict)
            assert isinstance(other, dict)
            assert list(one) == list(other)
            assert one == other
            for part in ("env", "info"):
                assert list(one[part]) == list(other[part])
            assert [data.full_info(key, seed=seed, return_dict=False) for data in both] == [
                list(one.values())
            ] * 2


def test_a_folder_and_a_database_give_tables_alike(both: tuple[Dataset, Dataset]) -> None:
    one, other = (data.table([NOT_THERE, *data], data.columns[1:], epoch=57, seed=1) for data in both)
    assert list(one) == list(other)
    for name, values in one.items():
        assert values.dtype == other[name].dtype
        assert np.array_equal(values, other[name], equal_nan=name != "arch_id")


def test_a_seed_and_an_epoch_may_be_numpy_integers(dataset: Dataset) -> None:
    key = next(iter(dataset))
    seed, epoch = np.int64(1), np.int32(33)
    assert dataset.test_acc(key, seed=seed) == dataset.test_acc(key, seed=1)
    assert dataset.val_acc(key, epoch=epoch, seed=seed) == dataset.val_acc(key, epoch=33, seed=1)
    assert dataset.val_acc(key, epoch=epoch, best=False, seed=seed) == dataset.val_acc(key, 33, False, 1)
    assert dataset.train_time(key, epoch, seed) == dataset.train_time(key, 33, 1)
    assert dataset.full_info(key, seed=seed) == dataset.full_info(key, seed=1)
    one, other = dataset.table(epoch=epoch, seed=seed), dataset.table(epoch=33, seed=1)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_values_that_were_not_measured_are_alike_in_a_folder_and_a_database(
    golden: Path, empty_db: Database, tmp_path: Path
) -> None:
    nan = float("nan")
    tiny = golden / "release-tiny"
    table = codecs.read(tiny / "blox-ext-3.pickle")
    rows, columns = table.rows(), table.header.columns
    loss, top5 = columns.index("train_loss"), columns.index("test_top5")
    rows[0][loss] = [1.5, nan, 1.25, *[1.0] * 7]
    rows[1][loss] = [nan, 2.5, *[2.0] * 8]
    rows[2][loss] = [nan] * 10
    rows[3][top5] = nan
    codecs.write(codecs.Table.from_rows(table.header, rows), tmp_path / "blox-ext-3.pickle")
    shutil.copy(tiny / "blox-base-3.pickle", tmp_path)
    bloxdb.import_release(tmp_path, empty_db)
    files, database = from_folder(tmp_path, extended=True), bloxdb.from_database(empty_db)
    for place in range(4):
        key = rows[place][0]
        for epoch in (1, 2, 3, 10):
            for best in (True, False):
                found = [data.train_loss(key, epoch=epoch, best=best) for data in (files, database)]
                assert found[0] == found[1], (place, epoch, best)
        curves = [data.full_info(key)["train_loss"] for data in (files, database)]  # type: ignore[index,call-overload]
        assert curves[0] == curves[1]
        assert json.loads(json.dumps(curves[0], allow_nan=False)) == curves[0]
        arrays = [data.curve(key, "train_loss") for data in (files, database)]
        assert (curves[0] is None) is (arrays[0] is None) is (arrays[1] is None)
        if curves[0] is not None:
            assert np.array_equal(*arrays, equal_nan=True)  # type: ignore[misc,arg-type]
            assert [None if np.isnan(one) else one for one in arrays[0]] == curves[0]  # type: ignore[union-attr]
        assert files.test_top5(key) == database.test_top5(key)
    assert files.full_info(rows[2][0])["train_loss"] is None  # type: ignore[index,call-overload]
    assert files.train_loss(rows[0][0], epoch=2, best=False) is None
    assert files.train_loss(rows[1][0], epoch=1, best=True) is None


def test_a_table_of_architectures_beside_those_that_have_runs_is_nan(dataset: Dataset) -> None:
    there = dataset.table(seed=0)["arch_id"].tolist()
    for index in there[:5]:
        found = dataset.table([index - 1], ["test_top1", "val_top1"], seed=0)
        for name in ("test_top1", "val_top1"):
            assert np.isnan(found[name][0]) == (index - 1 not in there)
    assert {name: len(values) for name, values in dataset.table([], seed=0).items()} == {
        "arch_id": 0,
        "val_top1": 0,
        "test_top1": 0,
    }


def test_a_column_that_there_is_not_lists_all_that_there_are(dataset: Dataset) -> None:
    for wrong in ("top1", "model_hash", "latency"):
        with pytest.raises(bloxdb.QueryError) as caught:
            dataset.table(columns=[wrong])
        more = ("params", "flops", "latency:desktop-cpu", "latency:jetson-nano")
        assert str(caught.value).endswith(f"choose of: {', '.join((*COLUMNS, *more))}")


def test_new_data_sets_draw_the_same_seeds(both: tuple[Dataset, Dataset], golden: Path) -> None:
    key = next(iter(both[0]))
    one, other = (from_folder(golden / SMALL) for _ in range(2))
    assert [one.test_acc(key) for _ in range(20)] == [other.test_acc(key) for _ in range(20)]


@pytest.fixture
def uneven(golden: Path, tmp_path: Path) -> Path:
    """Two seeds, of which the second lacks every third architecture."""
    for seed in (0, 1):
        table = codecs.read(golden / SMALL / f"blox-base-{seed}.blox")
        rows = table.rows() if seed == 0 else [row for at, row in enumerate(table.rows()) if at % 3]
        codecs.write(codecs.Table.from_rows(table.header, rows), tmp_path / f"blox-base-{seed}.blox")
    return tmp_path


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_a_seed_is_drawn_of_those_that_an_architecture_has(
    kind: str, uneven: Path, empty_db: Database
) -> None:
    bloxdb.import_release(uneven, empty_db)
    if kind == "folder":
        with pytest.warns(
            UserWarning, match="blox-base-1 lacks 20 of 60 architectures that another seed has"
        ):
            data = from_folder(uneven)
    else:
        data = bloxdb.from_database(empty_db)
    table = data.table(seed=1)
    lacking = set(table["arch_id"][np.isnan(table["test_top1"])].tolist())
    assert len(lacking) == 20
    assert len(data) == len(list(data)) == 60
    for key in data:
        index = space.arch_index(key)
        assert key in data
        drawn = {data[key]["seed"] for _ in range(12)}
        assert drawn == {0} if index in lacking else drawn <= {0, 1}
        for ask in (data.val_acc, data.test_acc, data.train_time, data.full_info):
            assert all(ask(key) is not None for _ in range(6))
            assert (ask(key, seed=1) is None) is (index in lacking)
        curve = data.curve(key, "val_top1")
        assert curve is not None
        assert curve.shape == (200,)


@pytest.mark.parametrize("kind", ["folder", "database"])
@pytest.mark.parametrize("epoch", [None, 3, [1, 7, 200]])
def test_a_table_without_a_seed_lacks_no_architecture_that_any_seed_has(
    kind: str, epoch: int | list[int] | None, uneven: Path, empty_db: Database
) -> None:
    bloxdb.import_release(uneven, empty_db)
    if kind == "folder":
        with pytest.warns(UserWarning, match="blox-base-1 lacks 20 of 60"):
            data = from_folder(uneven)
    else:
        data = bloxdb.from_database(empty_db)
    columns = ("test_top1", "val_top1", "train_time_s")
    none = next(index for index in range(space.NUM_ARCHS) if space.model_hash(index) not in data)
    ids = [none, *data.table()["arch_id"].tolist(), none]
    of_seed = [data.table(ids, columns, epoch=epoch, seed=seed) for seed in (0, 1)]
    lacking = np.isnan(of_seed[1]["test_top1"])
    assert lacking.sum() == 22
    drawn = set()
    for _ in range(12):
        table = data.table(ids, columns, epoch=epoch)
        assert table["arch_id"].tolist() == ids
        seed = int(np.array_equal(table["test_top1"][~lacking], of_seed[1]["test_top1"][~lacking]))
        drawn.add(seed)
        for name in columns:
            assert np.array_equal(table[name][~lacking], of_seed[seed][name][~lacking])
            assert np.array_equal(table[name][lacking], of_seed[0][name][lacking], equal_nan=True)
    assert drawn == {0, 1}
    assert np.isnan(data.table([none], columns)["test_top1"]).all()
    assert data.table([], columns)["test_top1"].shape == (0,)


@pytest.mark.parametrize("wrong", ["test_top1", "top1", ""])
def test_a_curve_is_of_a_measure_of_epochs(dataset: Dataset, wrong: str) -> None:
    with pytest.raises(bloxdb.QueryError, match=f"no measure '{wrong}' of epochs; choose of: val_top1"):
        dataset.curve(0, wrong)
    assert dataset.curve("0" * 32, "val_top1") is None


@pytest.mark.parametrize("seed", [0, "mean", "median"])
@pytest.mark.parametrize("best", [True, False])
def test_a_table_is_what_one_after_the_other_gives(dataset: Dataset, seed: int | str, best: bool) -> None:
    archs = list(dataset)[:9]
    epochs = [1, 7, 200]
    columns = ["val_top1", "val_loss", "test_top1", "flops", "params", "latency:jetson-nano"]
    table = dataset.table(archs, columns, epoch=epochs, seed=seed, best=best)
    of = {"mean": np.mean, "median": np.median}.get(str(seed), np.mean)
    seeds = [seed] if isinstance(seed, int) else dataset.seeds
    for row, key in enumerate(archs):
        for c, epoch in enumerate(epochs):
            for name, ask in (("val_top1", dataset.val_acc), ("val_loss", dataset.val_loss)):
                values = [ask(key, epoch=epoch, best=best, seed=one) for one in seeds]
                assert table[name][row, c] == pytest.approx(of(values), rel=1e-14)
        assert table["test_top1"][row] == pytest.approx(of([dataset.test_acc(key, one) for one in seeds]))
        assert (table["flops"][row], table["params"][row]) == (dataset.flops(key), dataset.params(key))
        assert table["latency:jetson-nano"][row] == dataset.latency(key, "jetson-nano")
    assert (
        dataset.table(archs, ["val_top1"], epoch=7, seed=seed, best=best)["val_top1"].tolist()
        == table["val_top1"][:, 1].tolist()
    )


@pytest.mark.parametrize("seed", [0, "mean", "median"])
def test_no_epochs_are_a_table_without_columns(dataset: Dataset, seed: int | str) -> None:
    table = dataset.table(list(dataset)[:3], ["val_top1", "flops"], epoch=[], seed=seed)
    assert (table["val_top1"].shape, table["flops"].shape) == ((3, 0), (3,))


@pytest.mark.parametrize("seed", ["mean", "median"])
def test_runs_that_are_not_there_yet_have_no_average(empty_db: Database, seed: str) -> None:
    with empty_db.transaction() as session:
        session.add(Recipe(name="digits-3", dataset="digits", epochs=3))
    data = bloxdb.from_database(empty_db)
    table = data.table([0, 7], ["val_top1", "test_top1", "flops"], seed=seed)
    assert np.isnan([table["val_top1"], table["test_top1"]]).all()
    assert table["flops"].tolist() == [space.arch_cost(index).flops for index in (0, 7)]


def test_a_file_without_rows_has_no_values(tmp_path: Path, golden: Path) -> None:
    for name in ("blox-base-0", "blox-bench-jetson-nano", "blox-info"):
        whole = codecs.read(golden / SMALL / f"{name}.blox")
        codecs.write(whole.take(np.empty(0, dtype=np.int64)), tmp_path / f"{name}.blox")
    data = from_folder(tmp_path, include_static_info=True)
    found = data.table([0, 7], ["test_top1", "flops", "latency:jetson-nano"], seed=0)
    assert all(np.isnan(found[name]).all() for name in ("test_top1", "latency:jetson-nano"))
    assert found["flops"].tolist() == [space.arch_cost(index).flops for index in (0, 7)]  # which are computed
    assert data.latency(0, "jetson-nano") is None


def test_a_seed_is_drawn_of_those_that_have_the_value(empty_db: Database, golden: Path) -> None:
    bloxdb.import_release(golden / SMALL, empty_db)
    with empty_db.transaction() as session:
        session.execute(text("UPDATE runs SET test_top1 = NULL WHERE seed = 1"))
    data = bloxdb.from_database(empty_db)
    for key in list(data)[:3]:
        assert {data.test_acc(key) for _ in range(20)} == {data.test_acc(key, 0)}
        assert data.test_acc(key, 1) is None
        assert len({data.val_acc(key) for _ in range(20)}) == 2


def test_a_curve_leaves_out_an_epoch_that_tells_the_end(empty_db: Database, golden: Path) -> None:
    bloxdb.import_release(golden / SMALL, empty_db)
    plain = bloxdb.from_database(empty_db)
    key = next(iter(plain))
    before = {name: plain.curve(key, name, seed=0) for name, _, _ in CURVES.values()}
    with empty_db.transaction() as session:
        session.execute(text("UPDATE recipes SET first_epoch_is_best = 1"))
    data = bloxdb.from_database(empty_db)
    for name, values in before.items():
        told, whole = data.curve(key, name, seed=0), data.curve(key, name, seed=0, first_epoch=True)
        assert values is not None
        assert told is not None
        assert np.array_equal(whole, values)
        assert np.array_equal(told[1:], values[1:])
        assert np.isnan(told[0]) == name.startswith("val_")
