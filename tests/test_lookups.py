"""What runs refer to as data frames: each table of the database is one, and says what it can be chosen by."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, frames, space
from bloxdb.db.schema import Base
from bloxdb.lookups import LOOKUPS
from bloxdb.measures import ENVIRONMENT

FRAMES = (bloxdb.to_arrow, bloxdb.to_pandas, bloxdb.to_polars)
OF_ARCHS = [what for what, table in LOOKUPS.items() if "archs" in table.chosen_by]
QUERIES = {
    "archs": "SELECT id AS arch_id, hash, vec, block1_id, block2_id, block3_id FROM archs ORDER BY id",
    "static_info": "SELECT arch_id, flops, params FROM static_info ORDER BY arch_id",
    "latencies": "SELECT arch_id, name AS device, latency_ms, spread_ms FROM latencies "
    "JOIN devices ON id = device_id ORDER BY arch_id, name",
    "envs": f"SELECT id AS env_id, {', '.join(ENVIRONMENT)} FROM envs ORDER BY id",
    "recipes": "SELECT name AS recipe, dataset, epochs, train_images, val_images, test_images, config, "
    "digest, first_epoch_is_best FROM recipes ORDER BY name",
    "devices": "SELECT name AS device, settings FROM devices ORDER BY name",
    "blocks": "SELECT id AS block_id, scheme, op1, op2, cell FROM blocks ORDER BY id",
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Iterator[Database]:
    """Two recipes, of seeds 0 and 1, and of 3; with settings, and a spread that is known."""
    with bloxdb.create(tmp_path_factory.mktemp("lookups") / "both.db", current=False) as made:
        bloxdb.import_release(golden / "release-small", made)
        tiny = [golden / "release-tiny" / f"blox-{kind}-3.blox" for kind in ("base", "env")]
        bloxdb.import_release(tiny, made)
        with made.transaction() as session:
            session.execute(text("UPDATE latencies SET spread_ms = 0.5 WHERE arch_id % 2"))
            session.execute(text("UPDATE recipes SET config = '{\"lr\": 0.1}' WHERE name = 'cifar100-10'"))
            settings = '{"batch": 1, "torch": "2"}'
            session.execute(text("UPDATE devices SET settings = :s WHERE id = 1"), {"s": settings})
            session.execute(text("UPDATE recipes SET first_epoch_is_best = 1 WHERE name = 'cifar100-10'"))
        yield made


def test_every_table_of_the_database_is_a_frame() -> None:
    assert set(Base.metadata.tables) - {"alembic_version"} == set(frames.FRAMES) - {"leaderboard"}
    assert set(LOOKUPS) == set(QUERIES)
    for what, table in LOOKUPS.items():
        model = Base.metadata.tables[what]
        keys = [key.split("_")[0] for key in table.columns]
        for column in model.columns:
            assert column.name in ("id", "name") or column.name.split("_")[0] in keys, (what, column.name)


@pytest.mark.slow
@pytest.mark.parametrize("what", LOOKUPS)
def test_a_frame_has_the_rows_of_its_table(what: str, db: Database) -> None:
    arrow, pandas, polars = (frame(what, db) for frame in FRAMES)
    rows = db.rows(QUERIES[what])
    assert rows
    for row in rows:
        if "first_epoch_is_best" in row:
            row["first_epoch_is_best"] = bool(row["first_epoch_is_best"])
    assert arrow.to_pylist() == rows
    assert list(pandas.columns) == polars.columns == arrow.column_names == list(rows[0])
    assert len(pandas) == len(polars) == len(rows)
    for name in arrow.column_names:
        assert polars[name].to_list() == [row[name] for row in rows]


@pytest.mark.slow
def test_columns_have_types_and_units(db: Database) -> None:
    latencies = bloxdb.to_arrow("latencies", db).schema
    assert latencies.field("device").type == pa.dictionary(pa.int32(), pa.string())
    assert (
        latencies.field("latency_ms").metadata
        == latencies.field("spread_ms").metadata
        == {b"unit": b"milliseconds"}
    )
    info = bloxdb.to_arrow("static_info", db).schema
    assert (info.field("arch_id").type, info.field("flops").type) == (pa.int32(), pa.int64())
    for what, table in LOOKUPS.items():
        for name in table.columns:
            kind = bloxdb.to_arrow(what, db).schema.field(name).type
            assert pa.types.is_floating(kind) == name.endswith("_ms"), (what, name)


@pytest.mark.slow
@pytest.mark.parametrize("what", LOOKUPS)
def test_columns_are_chosen_in_any_order(what: str, db: Database) -> None:
    whole = bloxdb.to_arrow(what, db)
    for columns in (whole.column_names[::-1], *([name] for name in whole.column_names)):
        assert bloxdb.to_arrow(what, db, columns=iter(columns)).equals(whole.select(columns))
    assert bloxdb.to_arrow(what, db, columns=whole.column_names[0]).num_columns == 1
    choices = ", ".join(whole.column_names)
    for frame in FRAMES:
        with pytest.raises(bloxdb.QueryError, match=f"there is no column 'x'; choose of: {choices}$"):
            frame(what, db, columns=["x"])
        with pytest.raises(bloxdb.QueryError, match="one column at the least"):
            frame(what, db, columns=[])


@pytest.mark.slow
@pytest.mark.parametrize("what", OF_ARCHS)
def test_architectures_are_chosen_in_whatever_way_they_are_named(what: str, db: Database) -> None:
    known = sorted(set(bloxdb.to_arrow("latencies", db)["arch_id"].to_pylist()))
    archs = [known[5], np.int64(known[2]), space.model_hash(known[7]), space.arch_vec(known[9]), known[5]]
    chosen = {known[at] for at in (2, 5, 7, 9)}
    expected = [row for row in db.rows(QUERIES[what]) if row["arch_id"] in chosen]
    for frame in FRAMES:
        found = frame(what, db, archs=archs)
        assert found["arch_id"].to_numpy().tolist() == [row["arch_id"] for row in expected]
        assert len(frame(what, db, archs=[])) == 0
        with pytest.raises(bloxdb.InvalidArchError, match="91125"):
            frame(what, db, archs=[1, 91_125])
    assert bloxdb.to_arrow(what, db, archs=archs).to_pylist() == expected
    whole = bloxdb.to_arrow(what, db)
    assert (
        bloxdb.to_arrow(what, db, archs=range(space.NUM_ARCHS))
        .combine_chunks()
        .equals(whole.combine_chunks())
    )


def envs_of(db: Database, where: str) -> list[dict[str, Any]]:
    ids = f"SELECT env_id FROM runs JOIN recipes ON recipes.id = recipe_id WHERE {where}"
    return db.rows(QUERIES["envs"].replace("ORDER", f"WHERE id IN ({ids}) ORDER"))


def test_environments_are_those_of_the_runs_that_are_asked_for(db: Database) -> None:
    for asked, where in (
        ({"recipe": "cifar100-200"}, "name = 'cifar100-200'"),
        ({"recipe": "cifar100-10"}, "name = 'cifar100-10'"),
        ({"seeds": 1}, "seed = 1"),
        ({"seeds": np.array([0, 3])}, "seed IN (0, 3)"),
        ({"recipe": "cifar100-200", "seeds": [0]}, "name = 'cifar100-200' AND seed = 0"),
        ({"recipe": "*"}, "1"),
    ):
        found = bloxdb.to_arrow("envs", db, **asked).to_pylist()
        assert found == envs_of(db, where)
        assert found
    with pytest.raises(bloxdb.QueryError, match="no run of recipe cifar100-10 with seed 0; choose of: 3"):
        bloxdb.to_pandas("envs", db, recipe="cifar100-10", seeds=0)


def test_a_recipe_is_one_row_and_its_settings_are_json(db: Database) -> None:
    (row,) = bloxdb.to_arrow("recipes", db, recipe="cifar100-10").to_pylist()
    assert (row["recipe"], row["epochs"], row["first_epoch_is_best"]) == ("cifar100-10", 10, True)
    assert json.loads(row["config"]) == {"lr": 0.1}
    with pytest.raises(bloxdb.QueryError, match="choose one of: cifar100-10, cifar100-200"):
        bloxdb.to_arrow("recipes", db, recipe="x")


GIVEN = {"archs": [1], "recipe": "cifar100-10", "seeds": 3}


@pytest.mark.parametrize("what", LOOKUPS)
def test_what_says_nothing_of_a_table_is_told_with_the_tables_that_it_is_for(what: str, db: Database) -> None:
    for frame in FRAMES:
        for name, value in GIVEN.items():
            if name in LOOKUPS[what].chosen_by:
                continue
            told = f"^{name}=… says nothing of '{what}', where a row is {LOOKUPS[what].row}; it is for 'runs'"
            with pytest.raises(bloxdb.QueryError, match=told) as caught:
                frame(what, db, **{name: value})
            for other in re.findall("'([a-z_]+)'", str(caught.value))[1:]:
                frame(other, db, **{name: value})
        with pytest.raises(
            bloxdb.QueryError, match=f"a row of '{what}' is {LOOKUPS[what].row}, not an epoch"
        ):
            frame(what, db, epochs=1)
        for average in ("mean", "median"):
            with pytest.raises(bloxdb.QueryError, match=r"averages; they|says nothing of"):
                frame(what, db, seeds=average)
    assert bloxdb.to_arrow(what, db, recipe="*").equals(bloxdb.to_arrow(what, db))


@pytest.mark.slow
def test_runs_and_what_they_refer_to_can_be_joined(db: Database) -> None:
    runs = bloxdb.to_pandas("runs", db).astype({"recipe": str})
    joined = (
        runs.merge(bloxdb.to_pandas("envs", db), on="env_id")
        .merge(bloxdb.to_pandas("archs", db), on="arch_id")
        .merge(bloxdb.to_pandas("blocks", db), left_on="block3_id", right_on="block_id")
        .merge(bloxdb.to_pandas("recipes", db).astype({"recipe": str}), on="recipe")
    )
    expected = db.rows(
        "SELECT r.arch_id, seed, gpu, scheme, dataset FROM runs r JOIN envs ON envs.id = env_id "
        "JOIN archs a ON a.id = r.arch_id JOIN blocks b ON b.id = block3_id "
        "JOIN recipes p ON p.id = recipe_id"
    )
    columns = ["arch_id", "seed", "gpu", "scheme", "dataset"]
    found = [dict(zip(columns, row, strict=True)) for row in joined[columns].itertuples(index=False)]

    def by_all(row: dict[str, Any]) -> str:
        return str([row[name] for name in columns])

    assert sorted(found, key=by_all) == sorted(expected, key=by_all)
    assert len(found) == len(runs)


@pytest.mark.parametrize("what", LOOKUPS)
def test_nothing_is_an_empty_frame_of_the_same_columns(what: str, db: Database, empty_db: Database) -> None:
    none, some = bloxdb.to_arrow(what, empty_db), bloxdb.to_arrow(what, db)
    assert none.schema == some.schema
    assert len(none) in (0, len(some))
