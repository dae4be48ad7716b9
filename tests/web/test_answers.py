"""What the page reads is what SQL gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bloxdb
from bloxdb import Database, space
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES
from bloxdb.draw.palette import DARK, LIGHT
from bloxdb.measures import EPOCH
from bloxdb.web.answers import answer, is_answered, names
from bloxdb.web.numbers import SHELF
from tests.web.conftest import DEVICE, DONE, FAILED, HOSTILE, RUNNING
from tests.web.helpers import unpack

TRAINED = [name for name in RUN_MEASURES if name not in ("flops", "params")]


def about(db: Database) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer(db, "about.json").body)
    return found


def test_all_finished_runs_are_there_with_the_very_numbers_of_sql(explored: Database) -> None:
    header, found = unpack(answer(explored, "runs.bin").body)
    groups = [(group["recipe"], group["seed"]) for group in header["groups"] for _ in range(group["rows"])]
    names_of = [name for name in ("best_epoch", *TRAINED) if name in found]
    rows = {
        (*group, int(index)): [None if np.isnan(value) else value for value in values]
        for group, index, *values in zip(
            groups, found["arch_id"], *(found[name] for name in names_of), strict=True
        )
    }
    expected = explored.rows("SELECT * FROM runs WHERE status = 'finished'")
    assert rows == {
        (row["recipe_id"], str(row["seed"]), row["arch_id"]): [row[name] for name in names_of]
        for row in expected
    }
    assert len(expected) > 100
    assert set(names_of) == {"best_epoch", *TRAINED}


def test_means_are_those_of_top(explored: Database) -> None:
    header, found = unpack(answer(explored, "means.bin").body)
    recipes = {row["id"]: row["name"] for row in explored.rows("SELECT id, name FROM recipes")}
    at = 0
    for group in header["groups"]:
        rows = slice(at, at + group["rows"])
        at += group["rows"]
        expected = bloxdb.top(10_000, explored, recipe=recipes[group["recipe"]], seeds="mean")
        values = dict(zip(found["arch_id"][rows].tolist(), found["test_top1"][rows].tolist(), strict=True))
        assert values == pytest.approx({row["arch_id"]: row["test_top1"] for row in expected}, rel=1e-6)
    assert at == header["rows"]


@pytest.mark.parametrize(
    "losses", [(1e300, 2e300), (1.7e308, 1.6e308), (1e39, 0.25), (1e300, 0.125), (1e-44, 3e-44)]
)
def test_losses_without_measure_are_told_as_they_are(
    tmp_path: Path, empty_file: Path, losses: tuple[float, float]
) -> None:
    """Filterwarnings make an error of what overflows."""
    with bloxdb.open(shutil.copy(empty_file, tmp_path / "big.db"), current=False) as db:
        with db.transaction() as session:
            recipe = bloxdb.Recipe(name="r", dataset="digits", epochs=1)
            session.add(recipe)
            session.flush()
            for arch, seed, loss in ((5, 0, losses[0]), (5, 1, losses[1]), (6, 0, 1.5), (7, 0, None)):
                session.add(
                    bloxdb.Run(
                        arch_id=arch,
                        recipe_id=recipe.id,
                        seed=seed,
                        status="finished",
                        test_top1=50.0,
                        test_loss=loss,
                    )
                )
        stored = [row["test_loss"] for row in db.rows("SELECT test_loss FROM runs ORDER BY seed, arch_id")]
        _, found = unpack(answer(db, "runs.bin").body)
        assert np.array_equal(found["test_loss"], [value or np.nan for value in stored], equal_nan=True)
        _, found = unpack(answer(db, "means.bin").body)
        mean = losses[0] / 2 + losses[1] / 2
        assert found["test_loss"].tolist() == pytest.approx([mean, 1.5, np.nan], rel=1e-7, abs=0, nan_ok=True)
        row = bloxdb.top(3, db, by="test_loss", recipe="r", seeds="mean")[-1]
        assert row["test_loss"] == pytest.approx(max(mean, 1.5), rel=1e-14)
        epochs = json.loads(answer(db, "training.json").body)["overview"]
        assert len(epochs) == 2
        assert len(unpack(answer(db, "curves/0000.bin").body)[0]["runs"]) == 4


def test_latencies_are_those_of_sql(explored: Database) -> None:
    _, found = unpack(answer(explored, "latencies.bin").body)
    assert f"latency:{DEVICE}" in found
    rows = explored.rows("SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON id = device_id")
    assert len(rows) == sum(np.count_nonzero(~np.isnan(values)) for values in found.values())
    for row in rows:
        assert found[f"latency:{row['name']}"][row["arch_id"]] == row["latency_ms"]


def test_a_shelf_has_all_runs_of_its_architectures_with_their_epochs(explored: Database) -> None:
    (most,) = explored.rows(
        f"SELECT arch_id / {SHELF} AS shelf FROM runs JOIN epochs ON run_id = id GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    )
    for shelf in (most["shelf"], RUNNING // SHELF):
        header, found = unpack(answer(explored, f"curves/{shelf:04}.bin").body)
        assert header["hashes"] == [
            space.model_hash(index) for index in range(shelf * SHELF, (shelf + 1) * SHELF)
        ]
        expected = explored.rows(
            "SELECT * FROM runs WHERE arch_id BETWEEN :low AND :high",
            low=shelf * SHELF,
            high=(shelf + 1) * SHELF - 1,
        )
        assert len(header["runs"]) == len(expected) > 0
        at = 0
        for run in header["runs"]:
            (row,) = (
                row
                for row in expected
                if [row["arch_id"], row["recipe_id"], str(row["seed"])]
                == [run["arch_id"], run["recipe_id"], run["seed"]]
            )
            assert {name: run[name] for name in (*TRAINED, "status", "message")} == {
                name: row[name] for name in (*TRAINED, "status", "message")
            }
            (recipe,) = explored.rows("SELECT * FROM recipes WHERE id = :id", id=row["recipe_id"])
            epochs = explored.rows("SELECT * FROM epochs WHERE run_id = :id ORDER BY epoch", id=row["id"])
            assert run["epochs"] == len(epochs)
            for name in EPOCH_MEASURES:
                values = [None if np.isnan(value) else value for value in found[name][at : at + len(epochs)]]
                wanted = [epoch[name] for epoch in epochs]
                if recipe["first_epoch_is_best"] and EPOCH[name].overwritten:
                    wanted[:1] = [None] * len(wanted[:1])
                assert values == wanted
            at += len(epochs)


def test_runs_that_go_on_are_on_their_shelf_too(explored: Database) -> None:
    header, _ = unpack(answer(explored, "curves/0000.bin").body)
    status = {
        run["arch_id"]: run["status"] for run in header["runs"] if run["arch_id"] in (FAILED, RUNNING, DONE)
    }
    assert status == {FAILED: "failed", RUNNING: "running", DONE: "finished"}


def test_costs_of_parts_add_up_to_those_of_architectures(explored: Database) -> None:
    found = about(explored)["space"]
    for index in (0, 30_181, space.NUM_ARCHS - 1):
        blocks = [int(space.block_of_stage(np.array([index]), stage)[0]) for stage in range(space.STAGES)]
        parts = [
            found["skeleton"],
            *(found["block_costs"][block][stage] for stage, block in enumerate(blocks)),
        ]
        assert [sum(part[which] for part in parts) for which in (0, 1)] == list(space.arch_cost(index))


def test_what_is_known_of_the_database_is_told(explored: Database) -> None:
    found = about(explored)
    assert found["title"] == "explored"
    assert [one["name"] for one in found["measures"]] == list(RUN_MEASURES)
    assert {one["name"]: one["higher"] for one in found["measures"]}["test_loss"] is False
    assert next(one for one in found["measures"] if one["name"] == "test_top1")["unit"] == "%"
    assert DEVICE in {one["name"] for one in found["devices"]}
    assert len(found["seeds"]) == len(explored.rows("SELECT DISTINCT recipe_id, seed FROM runs"))
    assert len(found["envs"]) == explored.rows("SELECT count(*) AS n FROM envs")[0]["n"]
    assert found["tables"] is None


def test_training_says_who_works_and_what_failed(explored: Database) -> None:
    found = json.loads(answer(explored, "training.json").body)
    assert [one["arch_id"] for one in found["workers"]] == [RUNNING]
    assert [(one["arch_id"], one["message"]) for one in found["failures"]] == [(FAILED, HOSTILE)]
    assert (
        sum(one["finished"] for one in found["overview"])
        == explored.rows("SELECT count(*) AS n FROM leaderboard")[0]["n"]
    )


def test_a_seed_of_64_bits_is_told_whole(tmp_path: Any, empty_file: Any) -> None:
    path = tmp_path / "big.db"
    path.write_bytes(empty_file.read_bytes())
    seeds = [2**63 - 1, 2**63 - 2]
    with bloxdb.open(path, current=False) as db:
        with db.transaction() as session:
            recipe = bloxdb.Recipe(name="r", dataset="digits", epochs=1)
            session.add(recipe)
            session.flush()
            session.add_all(
                bloxdb.Run(arch_id=5, recipe_id=recipe.id, seed=seed, status="finished", test_top1=50.0)
                for seed in seeds
            )
        header, _ = unpack(answer(db, "runs.bin").body)
        assert {group["seed"]: group["rows"] for group in header["groups"]} == {
            str(seed): 1 for seed in seeds
        }


def test_an_empty_database_has_answers_without_rows(tmp_path: Any, empty_file: Any) -> None:
    with bloxdb.open(empty_file, read_only=True, current=False) as db:
        for name in ("runs.bin", "means.bin"):
            header, found = unpack(answer(db, name).body)
            assert (header["rows"], header["groups"]) == (0, [])
            assert all(len(values) == 0 for values in found.values())
        assert unpack(answer(db, "latencies.bin").body)[1] == {}
        assert about(db)["recipes"] == []


def test_every_name_is_answered_and_no_other() -> None:
    every = list(names())
    assert len(every) == len(set(every)) == 8 + space.NUM_ARCHS // SHELF
    assert all(is_answered(name) for name in every)
    for other in ("curves/2025.bin", "curves/1.bin", "../about.json", "curves/0000.bin/", "", "runs"):
        assert not is_answered(other)


def test_colours_are_those_of_drawings(explored: Database) -> None:
    css = answer(explored, "palette.css").body.decode()
    for part in LIGHT:
        assert f"--{part}: {LIGHT[part]};" in css
        assert f"--{part}: {DARK[part]};" in css
        assert f".bloxdb-f-{part} {{ fill: var(--{part}) }}" in css
