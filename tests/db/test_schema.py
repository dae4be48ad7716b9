"""The ORM: looking architectures up, and what comes with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Arch, Database, Recipe, codecs, space


def test_an_architecture_is_found_by_vector_hash_and_index(empty_db: Database) -> None:
    vec = space.arch_vec(4711)
    keys = [vec, str(vec), np.array(vec[0][0] + vec[0][1] + vec[1][0] + vec[1][1] + vec[2][0] + vec[2][1]),
            space.model_hash(vec), space.model_hash(vec).upper(), 4711, "4711", np.int64(4711)]  # fmt: skip
    for key in keys:
        arch = Arch.get(key)
        assert arch is not None
        assert arch.id == 4711


def test_equivalent_vectors_find_the_same_architecture(empty_db: Database) -> None:
    one = Arch.get([2, 1, 0, 1, 1] * 3, empty_db)  # two branches side by side
    other = Arch.get([1, 2, 0, 1, 1] * 3, empty_db)
    assert one is not None
    assert one is other
    assert one.vec == [[[2], [1, 0, 1, 1]]] * 3


def test_what_is_not_there_is_none_and_what_is_no_architecture_is_an_error(empty_db: Database) -> None:
    assert Arch.get("0" * 32) is None
    assert Arch.get(91_125) is None
    assert Arch.get(-1) is None
    for key in ([1, 2], "hello", None, True, 1.5):
        with pytest.raises(bloxdb.InvalidArchError):
            Arch.get(key, empty_db)


def test_an_architecture_shows_the_values_of_the_release(tiny_db: Database, golden: Path) -> None:
    base, ext = (
        codecs.read(golden / "release-tiny" / f"blox-{part}-3.csv").rows() for part in ("base", "ext")
    )
    bench = codecs.read(golden / "release-tiny" / "blox-bench-jetson-nano.pickle").rows()
    info = codecs.read(golden / "release-tiny" / "blox-info.blox").rows()
    envs = codecs.read(golden / "release-tiny" / "blox-env-3.csv").rows()
    for b, e, env, (_, latency), (_, params, flops, vec) in zip(base, ext, envs, bench, info, strict=True):
        arch = Arch.get(b[0])
        assert arch is not None
        (run,) = arch.runs
        assert (arch.hash, arch.params, arch.flops, arch.vec) == (b[0], params, flops, vec)
        assert [epoch.val_top1 for epoch in arch.epochs] == b[1]
        assert [epoch.epoch for epoch in run.epochs] == list(range(1, 11))
        for name, values in zip(
            ("train_top1", "train_loss", "train_top5", "val_loss", "val_top5"), e[1:6], strict=True
        ):
            assert [getattr(epoch, name) for epoch in arch.epochs] == values
        assert (run.test_top1, run.train_time_s, run.test_loss, run.test_top5) == (b[2], b[3], e[6], e[7])
        assert run.val_top1 == max(b[1])
        assert run.epochs[run.best_epoch - 1].val_top1 == max(b[1])
        assert latency in [one.latency_ms for one in arch.latencies if one.device.name == "jetson-nano"]
        assert [block.id for block in arch.blocks] == list(space.block_indices(vec))
        assert run.env is not None
        assert [run.env.codebase_commit, run.env.gpu] == [env[1], env[5]]


def test_the_best_epoch_breaks_ties_by_lower_loss(tiny_db: Database) -> None:
    for run in tiny_db.reader.query(bloxdb.Run):
        best = max(run.epochs, key=lambda epoch: (epoch.val_top1, -epoch.val_loss, -epoch.epoch))
        assert run.best_epoch == best.epoch


def test_epochs_are_those_of_the_lowest_seed(empty_db: Database, golden: Path) -> None:
    bloxdb.import_release(golden / "release-small", empty_db)
    arch = Arch.get("6b958d13d8d346aebcc0ad10d1d2a5d9")
    assert arch is not None
    assert [run.seed for run in arch.runs] == [0, 1]
    assert len(arch.epochs) == 200
    assert arch.epochs[0].val_top1 == 9.58


def test_representations_say_something(tiny_db: Database) -> None:
    arch = Arch.get("dab44c12f79899d6de493c696c7ee8d1")
    assert arch is not None
    assert repr(arch).startswith(f"<Arch {arch.id} dab44c12… [[[1],[2,1,0,0]]")
    assert "225.6 MFLOPs, 2.26 M params, 1 run>" in repr(arch)
    assert "seed 3, finished, test_top1 72.37 %" in repr(arch.runs[0])
    assert repr(arch.blocks[0]) == "<Block 7: ST2(mbconv, bconv)>"
    assert "val_top1 29.12" in repr(arch.epochs[0])
    assert repr(arch.latencies[0].device) == "<Device desktop-cpu>"
    assert repr(arch.latencies[0]) == "<Latency on desktop-cpu: 2.714079 ms>"
    assert repr(arch.runs[0].recipe) == "<Recipe cifar100-10: cifar100, 10 epochs>"
    assert repr(arch.runs[0].env).startswith("<Env 1: ")
    assert repr(tiny_db).endswith("tiny.db>")


def test_looking_up_again_shows_what_has_come_since(empty_db: Database, golden: Path) -> None:
    arch = Arch.get("dab44c12f79899d6de493c696c7ee8d1", empty_db)
    assert arch is not None
    assert (arch.runs, arch.epochs) == ([], [])
    bloxdb.import_release(golden / "release-tiny", empty_db)
    assert Arch.get(arch.id, empty_db) is arch
    assert (len(arch.runs), len(arch.epochs)) == (1, 10)


def test_epochs_are_stored_by_their_keys_and_names_are_taken_once(tiny_db: Database) -> None:
    (table,) = tiny_db.rows("SELECT sql FROM sqlite_master WHERE name = 'epochs'")
    assert "WITHOUT ROWID" in table["sql"]
    twice = "INSERT INTO {0} (name{1}) SELECT name{1} FROM {0} LIMIT 1"
    for name, more in (("recipes", ", dataset, epochs"), ("devices", "")):
        with pytest.raises(bloxdb.DatabaseError, match="UNIQUE"), tiny_db.transaction() as session:
            session.execute(text(twice.format(name, more)))


def test_what_is_not_known_of_a_recipe_is_null(tiny_db: Database) -> None:
    with tiny_db.transaction() as session:
        session.add(Recipe(name="other", dataset="d", epochs=1, config=None))
    assert tiny_db.rows("SELECT count(*) AS n FROM recipes WHERE config IS NULL") == [{"n": 2}]


@pytest.mark.parametrize("index", [0, 405, 91_124])
def test_a_run_has_the_costs_of_its_architecture_unless_others_were_measured(
    index: int, empty_db: Database
) -> None:
    flops, params = space.all_costs()[index].tolist()
    with empty_db.transaction() as session:
        recipe = bloxdb.Recipe(name="r", dataset="d", epochs=1)
        session.add(recipe)
        session.flush()
        session.add(bloxdb.Run(arch_id=index, recipe_id=recipe.id, seed=0, status="pending"))
        session.add(
            bloxdb.Run(arch_id=index, recipe_id=recipe.id, seed=1, status="pending", flops=5, params=7)
        )
    found = empty_db.rows("SELECT seed, flops, params FROM runs ORDER BY seed")
    assert [tuple(row.values()) for row in found] == [(0, flops, params), (1, 5, 7)]
