"""Releases in which the best epoch was written over epoch 1: noticed, told once, kept, and not believed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import bloxdb
from bloxdb import Database, codecs, runs
from bloxdb.cli.app import main
from bloxdb.codecs import Table
from bloxdb.measures import EPOCH, MISSING, first_of_curve
from bloxdb.overwritten import first_epoch_is_best
from tests.cli.helpers import bloxdb as command

SMALL = "release-small"
VALIDATION = ("val_top1", "val_loss", "val_top5")


def best_epochs(top1: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """By the original's rule, epoch by epoch: an epoch that is no worse takes the place of the best."""
    best = np.zeros(len(top1), dtype=np.int64)
    for row in range(len(top1)):
        for epoch in range(top1.shape[1]):
            old, new = ((top1[row, at], -loss[row, at]) for at in (best[row], epoch))
            if new >= old:
                best[row] = epoch
    return best


def overwrite(source: Path, folder: Path, seeds: tuple[int, ...] = (0, 1)) -> Path:
    """A copy of a release whose epoch 1 has the best epoch's validation."""
    folder.mkdir()
    for seed in seeds:
        tables = {part: codecs.read(source / f"blox-{part}-{seed}.blox") for part in ("base", "ext")}
        places = {part: np.argsort(table.arch_ids("")) for part, table in tables.items()}
        curves = {
            name: tables[part].columns[name][places[part]]
            for part, names in (("base", ["val_top1"]), ("ext", ["val_loss"]))
            for name in names
        }
        best = best_epochs(curves["val_top1"], curves["val_loss"])
        for part, table in tables.items():
            columns = {name: values.copy() for name, values in table.columns.items()}
            for name in VALIDATION:
                if name in columns:
                    rows = places[part]
                    columns[name][rows, 0] = columns[name][rows, best]
            codecs.write(Table(table.header, columns), folder / f"blox-{part}-{seed}.blox")
    return folder


@pytest.fixture(scope="module")
def trap(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return overwrite(golden / SMALL, tmp_path_factory.mktemp("trap") / "release")


@pytest.fixture
def trapped_db(trap: Path, empty_db: Database) -> Database:
    bloxdb.import_release(trap, empty_db)
    return empty_db


def test_it_is_noticed_told_once_and_kept_with_the_recipe(trap: Path, empty_db: Database) -> None:
    report = bloxdb.import_release(trap, empty_db)
    (sentence,) = report.notes
    assert "validation of epoch 1 equals the best of later epochs" in sentence
    assert empty_db.rows("SELECT name, first_epoch_is_best AS so FROM recipes") == [
        {"name": "cifar100-200", "so": 1}
    ]
    assert bloxdb.import_release(trap, empty_db).notes == []


OWN = "validation of epoch 1 of recipe cifar100-200 is its own now, and counts as any other"
MIXED = r"validation of epoch 1 is its own in {} of \d+ runs of seed {}, but not in others of recipe cifar100-200; so"


def flags(db: Database) -> list[object]:
    return [row["so"] for row in db.rows("SELECT first_epoch_is_best AS so FROM recipes")]


def test_true_first_epochs_that_replace_the_best_ones_count_again(
    trap: Path, trapped_db: Database, golden: Path
) -> None:
    for seed in (0, 1):
        files = [golden / SMALL / f"blox-{part}-{seed}.blox" for part in ("base", "ext")]
        report = bloxdb.import_release(files, trapped_db, replace=True)
        if seed == 0:
            assert [bool(re.match(MIXED.format(r"\d+", 0), note)) for note in report.notes] == [True]
            assert flags(trapped_db) == [1]
        else:
            assert report.notes == [OWN]
            assert flags(trapped_db) == [0]
    table = bloxdb.from_database(trapped_db).table(columns=VALIDATION, epoch=1, seed=0)
    files = bloxdb.from_folder(golden / SMALL, extended=True)
    known = files.table(table["arch_id"], VALIDATION, epoch=1, seed=0)
    for name in VALIDATION:
        assert np.array_equal(table[name], known[name])
    assert bloxdb.import_release(golden / SMALL, trapped_db).notes == []
    assert bloxdb.import_release(trap, trapped_db, replace=True).notes != []
    assert flags(trapped_db) == [1]


@pytest.mark.parametrize("part", ["base", "ext"])
def test_true_values_of_some_measures_do_not_make_the_others_true(
    part: str, trapped_db: Database, golden: Path
) -> None:
    files = [golden / SMALL / f"blox-{part}-{seed}.blox" for seed in (0, 1)]
    bloxdb.import_release(files, trapped_db, replace=True)
    assert flags(trapped_db) == [1]
    table = bloxdb.from_database(trapped_db).table(columns=VALIDATION, epoch=1)
    assert all(np.isnan(table[name]).all() for name in VALIDATION)


@pytest.mark.parametrize("first", ["base", "ext"])
def test_true_values_that_come_in_two_commands_count_in_the_end(
    first: str, trapped_db: Database, golden: Path
) -> None:
    for part in (first, "ext" if first == "base" else "base"):
        assert flags(trapped_db) == [1]
        files = [golden / SMALL / f"blox-{part}-{seed}.blox" for seed in (0, 1)]
        notes = bloxdb.import_release(files, trapped_db, replace=True).notes
    assert notes == [OWN]
    assert flags(trapped_db) == [0]


def test_an_ext_file_that_lost_its_first_epochs_is_noticed_though_the_base_file_has_not(
    trap: Path, golden: Path, empty_db: Database
) -> None:
    assert bloxdb.import_release(golden / SMALL / "blox-base-0.blox", empty_db).notes == []
    (note,) = bloxdb.import_release(trap / "blox-ext-0.blox", empty_db).notes
    assert note.startswith("blox-ext-0.blox: validation of epoch 1 equals the best of later epochs")
    assert flags(empty_db) == [1]
    assert bloxdb.import_release(trap / "blox-ext-0.blox", empty_db).notes == []


@pytest.mark.parametrize("replaced", [7, 40, 59])
def test_some_true_first_epochs_do_not_make_the_others_true(
    replaced: int, trap: Path, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    bloxdb.import_release([trap / f"blox-{part}-0.blox" for part in ("base", "ext")], empty_db)
    for part in ("base", "ext"):
        table = codecs.read(golden / SMALL / f"blox-{part}-0.blox").sorted()
        some = Table.from_rows(table.header, table.rows()[:replaced])
        codecs.write(some, tmp_path / f"blox-{part}-0.blox")
    (note,) = bloxdb.import_release(tmp_path, empty_db, replace=True).notes
    assert re.match(MIXED.format(replaced, 0), note)
    assert flags(empty_db) == [1]
    assert np.isnan(bloxdb.from_database(empty_db).table(columns=["val_top1"], epoch=1)["val_top1"]).all()


@pytest.mark.parametrize("overwritten", [0, 1])
def test_seeds_that_disagree_are_told(
    overwritten: int, golden: Path, tmp_path: Path, empty_db: Database
) -> None:
    folder = overwrite(golden / SMALL, tmp_path / "mixed", (overwritten,))
    own = 1 - overwritten
    for part in ("base", "ext"):
        shutil.copy(golden / SMALL / f"blox-{part}-{own}.blox", folder)
    notes = bloxdb.import_release(folder, empty_db).notes
    assert len(notes) == 2
    assert "equals the best of later epochs" in notes[0]
    assert re.match(MIXED.format(r"\d+", own), notes[1])
    assert flags(empty_db) == [1]


@pytest.mark.parametrize("release", ["release-small", "release-tiny"])
def test_other_releases_are_not_taken_for_one(release: str, golden: Path, empty_db: Database) -> None:
    assert bloxdb.import_release(golden / release, empty_db).notes == []
    assert empty_db.rows("SELECT DISTINCT first_epoch_is_best AS so FROM recipes") == [{"so": 0}]


def test_the_files_alone_tell_it_too(trap: Path, golden: Path, tmp_path: Path, empty_db: Database) -> None:
    for seed in (0, 1):
        table = codecs.read(trap / f"blox-base-{seed}.blox")
        codecs.write(table, tmp_path / f"blox-base-{seed}.csv")
    assert len(bloxdb.import_release(tmp_path, empty_db).notes) == 1
    bloxdb.import_release(sorted(trap.glob("blox-ext-*")), empty_db)
    assert empty_db.rows("SELECT count(*) AS n FROM runs WHERE best_epoch = 1") == [{"n": 0}]


def test_values_stay_as_they_are(trap: Path, trapped_db: Database, tmp_path: Path) -> None:
    bloxdb.export_release(tmp_path / "out", trapped_db)
    for path in sorted(trap.glob("*.blox")):
        one, other = codecs.read(path), codecs.read(tmp_path / "out" / path.name)
        assert {row[0]: row for row in one.rows()} == {row[0]: row for row in other.rows()}


def test_the_best_epoch_is_the_later_one(trap: Path, trapped_db: Database) -> None:
    for seed in (0, 1):
        base, ext = (codecs.read(trap / f"blox-{part}-{seed}.blox") for part in ("base", "ext"))
        losses = dict(zip(ext.hashes(), ext.values("val_loss"), strict=True))
        for key, top1 in zip(base.hashes(), base.values("val_top1"), strict=True):
            (best,) = best_epochs(top1[None], losses[key][None]) + 1
            arch = bloxdb.Arch.get(key, trapped_db)
            assert arch is not None
            assert arch.runs[seed].best_epoch == best > 1


def test_a_problem_does_not_see_the_end_at_the_beginning(trapped_db: Database, golden: Path) -> None:
    key = bloxdb.top(1, seeds=0)[0]["hash"]
    for metric in VALIDATION:
        for refused in (
            lambda metric=metric: bloxdb.Problem(metric=metric, epoch=1),
            lambda metric=metric: bloxdb.Problem(metric=metric)(key, 1),
            lambda metric=metric: bloxdb.Problem(metric=metric).cost(key, 1),
        ):
            with pytest.raises(
                bloxdb.QueryError, match="epoch 1 .* begin with epoch 2, or say first_epoch=True"
            ):
                refused()
    told = bloxdb.Problem(epoch=1, first_epoch=True)
    assert told(key) == bloxdb.from_database().val_acc(key, seed=0)
    assert bloxdb.Problem(metric="train_loss", epoch=1)(key) > 0
    assert bloxdb.Problem(epoch=2)(key) < told(key)


@pytest.mark.parametrize("kind", ["folder", "database"])
@pytest.mark.parametrize("seed", [0, "mean"])
def test_a_table_leaves_epoch_1_out(kind: str, seed: int | str, trap: Path, trapped_db: Database) -> None:
    found = bloxdb.from_folder(trap, extended=True) if kind == "folder" else bloxdb.from_database(trapped_db)
    epochs = (1, 2, 12, 200)
    table = found.table(columns=[*VALIDATION, "train_top1"], epoch=epochs, seed=seed, best=True)
    told = found.table(columns=VALIDATION, epoch=epochs, seed=seed, best=True, first_epoch=True)
    for name in VALIDATION:
        assert np.isnan(table[name][:, 0]).all()
        assert not np.isnan(table[name][:, 1:]).any()
        assert (table[name][:, 1] != told[name][:, 1]).mean() > 0.9
        assert np.array_equal(table[name][:, 3], told[name][:, 3])
    assert (told["val_top1"] == told["val_top1"][:, 3:]).all()
    assert not np.isnan(table["train_top1"]).any()
    at = found.table(columns=["val_top1"], epoch=1, seed=seed)["val_top1"]
    assert np.isnan(at).all()


@pytest.mark.parametrize("name", EPOCH)
@pytest.mark.parametrize("wanted", [False, True])
def test_whoever_shows_a_curve_begins_with_the_same_epoch(
    name: str, wanted: bool, trapped_db: Database
) -> None:
    key = bloxdb.top(1, seeds=0)[0]["arch_id"]
    first = first_of_curve(name, True, wanted=wanted)
    data = bloxdb.from_database()
    frame = bloxdb.to_arrow("epochs", archs=[key], seeds=0, columns=[name, "epoch"], first_epoch=wanted)
    found = {
        "curve": data.curve(key, name, seed=0, first_epoch=wanted),
        "table": data.table([key], [name], epoch=range(1, 201), seed=0, first_epoch=wanted)[name][0],
        "frame": frame.sort_by("epoch")[name].to_numpy(),
    }
    for values in found.values():
        assert len(values) == 200
        assert np.flatnonzero(np.isnan(values)).tolist() == list(range(first - 1))
    bloxdb.Problem(metric=name, epoch=first, first_epoch=wanted)
    if first > 1:
        with pytest.raises(bloxdb.QueryError, match="epoch 1"):
            bloxdb.Problem(metric=name, epoch=1, first_epoch=wanted)


def test_pages_and_the_command_draw_no_epoch_1(trapped_db: Database) -> None:
    arch = bloxdb.Arch.get(bloxdb.top(1)[0]["arch_id"])
    assert arch is not None
    curves = [part for part in arch._repr_html_().split("<path ") if 'data-curve="' in part]
    assert len(curves) == len(arch.runs)
    for curve in curves:
        assert curve.split('d="')[1].split('"')[0].count(".") == 2 * (200 - 1)  # two numbers a point
    shown = CliRunner().invoke(main, ["show", str(arch.id), "--db", str(trapped_db.path)])
    assert "val_top1 by epoch, but for epoch 1, which has the best epoch's value" in shown.output


@pytest.mark.slow
def test_merging_and_parquet_know_it_too(trapped_db: Database, tmp_path: Path) -> None:
    bloxdb.export_parquet(tmp_path / "parquet", trapped_db)
    with bloxdb.create(tmp_path / "merged.db", current=False) as merged:
        bloxdb.merge([trapped_db.path], merged)
        assert merged.rows("SELECT first_epoch_is_best AS so FROM recipes") == [{"so": 1}]
    with bloxdb.create(tmp_path / "arrow.db", current=False) as arrow:
        bloxdb.import_parquet(tmp_path / "parquet", arrow)
        assert arrow.rows("SELECT first_epoch_is_best AS so FROM recipes") == [{"so": 1}]


@pytest.fixture(scope="module")
def both(
    trap: Path, golden: Path, empty_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """Databases of the same runs, with the true first epochs and without, and each of one seed alone."""
    folder = tmp_path_factory.mktemp("both")
    found = {}
    for name, source, seeds in (
        ("own", golden / SMALL, (0, 1)),
        ("lost", trap, (0, 1)),
        ("own 0", golden / SMALL, (0,)),
    ):
        found[name] = Path(shutil.copy(empty_file, folder / f"{name}.db"))
        with bloxdb.open(found[name], current=False) as db:
            files = [source / f"blox-{part}-{seed}.blox" for part in ("base", "ext") for seed in seeds]
            bloxdb.import_release(files, db)
    yield found
    shutil.rmtree(folder)


LOST = "{}: validation of epoch 1 equals the best of later epochs, as in files that the original trainer made"
MERGES: dict[str, tuple[str | None, list[str], str | None, bool, list[str]]] = {
    # what is here, what comes in, whose values are taken; what is said then, and the notes
    "lost ones come into an empty database": (None, ["lost"], None, True, [LOST.format(".*lost.db")]),
    "own ones come into an empty database": (None, ["own"], None, False, []),
    "lost ones of which it is known": ("lost", ["lost"], None, True, []),
    "own ones take the place of lost ones": ("lost", ["own"], "last", False, [OWN]),
    "lost ones take the place of own ones": ("own", ["lost"], "last", True, [LOST.format(".*lost.db")]),
    "lost ones give way to own ones": ("own", ["lost"], "first", False, []),
    "own ones give way to lost ones": ("lost", ["own"], "first", True, []),
    "own ones of one seed": ("lost", ["own 0"], "last", True, [MIXED.format(r"\d+", 0)]),
    "lost and then own ones": (None, ["lost", "own"], "last", False, []),
    "own and then lost ones": (None, ["own", "lost"], "last", True, [LOST.format(".*lost.db")]),
}


@pytest.mark.parametrize("with_command", [False, True])
@pytest.mark.parametrize("case", MERGES)
def test_a_merge_has_the_rule_and_the_notes_of_an_import(
    case: str, with_command: bool, both: dict[str, Path], empty_file: Path, tmp_path: Path
) -> None:
    here, others, prefer, is_lost, notes = MERGES[case]
    path = Path(shutil.copy(empty_file if here is None else both[here], tmp_path / "here.db"))
    places = [both[name] for name in others]
    if with_command:
        chosen = ["--prefer", prefer] if prefer else []
        found = json.loads(command("merge", *places, "--db", path, *chosen, "--json").stdout)["notes"]
    else:
        with bloxdb.open(path, current=False) as db:
            found = bloxdb.merge(places, db, prefer=prefer).notes
    with bloxdb.open(path, current=False) as db:
        assert flags(db) == [int(is_lost)]
    assert len(found) == len(notes)
    assert all(re.match(expected, note) for expected, note in zip(notes, found, strict=True))


def test_the_command_prints_notes_of_a_merge(both: dict[str, Path], empty_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(empty_file, tmp_path / "here.db")
    done = command("merge", both["lost"], "--db", path)
    assert re.search(rf"^note: {LOST.format('.*lost.db')}", done.stderr, re.MULTILINE)


def test_our_own_runs_are_never_like_that(empty_db: Database) -> None:
    facts = runs.RecipeFacts("mine-4", "cifar100", 4)
    queue = runs.RunQueue(empty_db, range(5), facts, 0)
    queue.fill()
    while (run := queue.claim()) is not None:
        run.begin()
        best = None
        for number, top1 in enumerate((10.0, 30.0, 30.0, 20.0), start=1):
            metrics = runs.Metrics(top1, 50.0, 2.0)
            epoch = runs.EpochResult(number, metrics, metrics)
            run.epoch(epoch)
            best = epoch if epoch.is_better_than(best) else best
        run.finish(runs.RunResult(False, best, metrics, 5.0))
    rows = empty_db.rows("SELECT DISTINCT best_epoch, first_epoch_is_best AS so FROM runs JOIN recipes")
    assert rows == [{"best_epoch": 3, "so": 0}]
    assert bloxdb.Problem(empty_db, epoch=1)(0) == 10.0


@pytest.mark.slow
@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(3, 9), st.integers(0, 2**32 - 1), st.sampled_from(["int", "float"]))
def test_drawn_curves_are_told_apart(rows: int, epochs: int, seed: int, kind: str) -> None:
    draw = np.random.default_rng(seed)
    top1 = np.stack([draw.permutation(100_000)[:epochs] for _ in range(rows)])
    loss = np.stack([draw.permutation(10**6)[:epochs] for _ in range(rows)])
    top1[:, 0] = top1.min(axis=1) - 1
    over = {"val_top1": top1.copy(), "val_loss": loss.copy()}
    best = best_epochs(top1, loss)
    for values in over.values():
        values[:, 0] = values[np.arange(rows), best]
    as_kind = (lambda values: values / 1000) if kind == "float" else (lambda values: values)
    assert not first_epoch_is_best({"val_top1": as_kind(top1), "val_loss": as_kind(loss)})
    assert first_epoch_is_best({name: as_kind(values) for name, values in over.items()}) is (rows >= 3)
    assert not first_epoch_is_best(
        {"val_top1": over["val_top1"], "val_loss": loss + np.arange(epochs) * 10**7}
    )
    assert not first_epoch_is_best({"val_loss": over["val_loss"]})


@pytest.mark.parametrize("missing", [MISSING, np.nan])
def test_level_and_missing_curves_tell_nothing(missing: float) -> None:
    kind = np.int64 if missing == MISSING else np.float64
    level, absent = np.full((9, 5), 7, dtype=kind), np.full((9, 5), missing, dtype=kind)
    assert not first_epoch_is_best({"val_top1": level})
    assert not first_epoch_is_best({"val_top1": absent})
    over = np.array([[9, 1, 9, 3], [8, 8, 2, 3], [7, 3, 4, 7]], dtype=kind)
    assert first_epoch_is_best({"val_top1": over, "val_loss": np.full((3, 4), missing, dtype=kind)})
    both = np.concatenate([over, level[:, :4], absent[:, :4]])
    assert first_epoch_is_best({"val_top1": both})


@pytest.mark.parametrize(("others", "expected"), [(900, True), (1_100, True), (1_500, False), (6_000, False)])
def test_nearly_all_is_counted_over_all_runs_however_many(others: int, expected: bool) -> None:
    over = np.tile([9, 1, 9, 3], (11_000, 1))
    over[len(over) - others :, 0] = 2  # the last of them, which are looked at last
    assert first_epoch_is_best({"val_top1": over, "val_loss": np.ones_like(over)}) is expected
    assert first_epoch_is_best({"val_top1": over[::-1]}) is expected


VALUES = st.sampled_from([10_000, 20_000, 30_000, MISSING])


@settings(max_examples=200)
@given(st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=3, max_size=5), st.booleans())
def test_what_was_not_measured_says_the_same_of_files_and_of_a_database(
    later: list[list[int]], is_over: bool
) -> None:
    stored = np.array([[max(row) if is_over else 15_000, *row] for row in later], dtype=np.int64)
    floats = np.where(stored == MISSING, np.nan, stored / 1000)
    assert first_epoch_is_best({"val_top1": floats}) == first_epoch_is_best({"val_top1": stored})


def test_a_hole_in_each_curve_does_not_hide_it() -> None:
    over = np.array([[80.0, 10.0, np.nan, 80.0], [70.0, np.nan, 70.0, 60.0], [60.0, 60.0, 50.0, np.nan]])
    stored = np.where(np.isnan(over), MISSING, over * 1000).astype(np.int64)
    for values in (over, stored):
        assert first_epoch_is_best({"val_top1": values})
    level = np.array([[80.0, 80.0, np.nan, 80.0]] * 3)
    for values in (level, np.where(np.isnan(level), MISSING, level * 1000).astype(np.int64)):
        assert not first_epoch_is_best({"val_top1": values})
