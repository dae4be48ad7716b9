"""Trained networks in files: whose they are, and that they give the test accuracy that is stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bloxdb.trainer import Training, load_data, load_network
from bloxdb.trainer.augment import plain_batches
from bloxdb.trainer.booking import Event
from bloxdb.trainer.identity import KEPT, weights_folder
from bloxdb.trainer.model import Network
from bloxdb.trainer.weights import metadata_of
from safetensors.torch import load_file, save_file
from sqlalchemy import update

import bloxdb
from bloxdb import Arch, Database, Run, space
from bloxdb.care.checkpoints import checkpoints_folder
from bloxdb.db import DATASETS
from bloxdb.runs import RunQueue, retry
from tests.trainer.helpers import QUICK, digits_recipe, job, seed_everything, train

EPOCHS = 3
RECIPE = digits_recipe(EPOCHS, lr=0.03)  # whose best epoch is not the last one


def trained(db: Database, which: str | None, archs: tuple[int, ...] = (QUICK,), **more: object) -> list[Run]:
    finished, _ = train(job(db, list(archs), RECIPE, keep_weights=which, **more))
    assert finished
    return runs(db)


def runs(db: Database) -> list[Run]:
    return [run for arch in (QUICK, QUICK + 1) for run in Arch.get(arch, db).runs]  # type: ignore[union-attr]


def files(db: Database, folder: str = "blox.db.weights") -> list[str]:
    assert db.path is not None
    return sorted(path.name for path in db.path.parent.glob(f"{folder}/*/*"))


def test_accuracy(network: torch.nn.Module) -> float:
    """In percent, of the digits' test images, with nothing of the trainer's loop."""
    data = load_data("digits")
    with torch.no_grad():
        hits = [(network(x).argmax(1) == y).sum().item() for x, y in plain_batches(data, data.test, 90)]
    return round(100 * sum(hits) / len(data.test), 3)


test_accuracy.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    """A database with a run whose epochs' weights are all kept; copy its folder, do not write to it."""
    path = tmp_path_factory.mktemp("kept") / "blox.db"
    shutil.copy(empty_file, path)
    with bloxdb.open(path, current=False) as db:
        trained(db, "all")
    return path


@pytest.fixture
def db(kept: Path, tmp_path: Path) -> object:
    shutil.copytree(kept.parent, tmp_path / "copy")
    with bloxdb.open(tmp_path / "copy" / "blox.db") as db:
        yield db


@pytest.mark.slow
def test_a_kept_network_gives_the_stored_test_accuracy(db: Database) -> None:
    (run,) = runs(db)
    network = run.load_network()
    assert isinstance(network, Network)
    assert not network.training
    assert test_accuracy(network) == run.test_top1
    assert run.best_epoch < EPOCHS  # or else the weights of the last one would do
    assert test_accuracy(run.load_network(epoch=EPOCHS)) != run.test_top1
    (path,) = (db.path.parent / "blox.db.weights").glob(f"*/{QUICK}-seed0-epoch{run.best_epoch}.safetensors")  # type: ignore[union-attr]
    assert test_accuracy(load_network(path)) == run.test_top1
    assert test_accuracy(run.load_network(path.parents[1])) == run.test_top1


LINKS: dict[str, tuple[str, str]] = {
    # through which name it trains, and through which it is asked
    "trained by its name": ("real/blox.db", "link.db"),
    "trained through a link": ("link.db", "real/blox.db"),
    "a link to a link": ("link.db", "other/again.db"),
    "a folder that is a link": ("linked/blox.db", "link.db"),
}


def linked(empty_file: Path, folder: Path) -> None:
    for name in ("real", "other"):
        (folder / name).mkdir()
    shutil.copy(empty_file, folder / "real" / "blox.db")
    (folder / "link.db").symlink_to(Path("real", "blox.db"))
    (folder / "other" / "again.db").symlink_to(folder / "link.db")
    (folder / "linked").symlink_to(folder / "real")


@pytest.mark.parametrize("how", LINKS)
def test_weights_and_checkpoints_are_beside_the_true_file(how: str, empty_file: Path, tmp_path: Path) -> None:
    linked(empty_file, tmp_path)
    places = set()
    for name in LINKS[how]:
        with bloxdb.open(tmp_path / name, current=False) as db:
            RunQueue(db, [QUICK], RECIPE.facts(DATASETS["digits"]), 0).fill()
            (run,) = runs(db)
            places.add((weights_folder(run).parent, checkpoints_folder(db)))
    assert places == {tuple(tmp_path / "real" / f"blox.db.{end}" for end in ("weights", "checkpoints"))}


@pytest.mark.slow
def test_what_was_trained_through_a_link_is_found_by_its_name(empty_file: Path, tmp_path: Path) -> None:
    linked(empty_file, tmp_path)
    with bloxdb.open(tmp_path / "link.db", current=False) as db:
        trained(db, "best", checkpoints=checkpoints_folder(db))
    with bloxdb.open(tmp_path / "real" / "blox.db", current=False) as db:
        assert [run.load_network() is not None for run in runs(db)] == [True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.db", "linked", "other", "real"]


def test_loading_draws_nothing_and_the_network_can_be_trained_on(db: Database) -> None:
    (run,) = runs(db)
    seed_everything(3)
    expected = torch.rand(())
    seed_everything(3)
    network = run.load_network()
    assert torch.rand(()) == expected
    network.train()(torch.zeros(2, 3, 8, 8)).sum().backward()
    assert all(weights.grad is not None for weights in network.parameters())


def test_the_metadata_say_whose_weights_they_are(db: Database) -> None:
    (run,) = runs(db)
    assert db.path is not None
    folder = db.path.with_name("blox.db.weights") / RECIPE.digest[:16]
    found = metadata_of(folder / f"{QUICK}-seed0-epoch{run.best_epoch}.safetensors")
    expected = {
        "arch": str(QUICK),
        "hash": space.model_hash(QUICK),
        "vec": space.vec_text(space.arch_vec(QUICK)),
        "recipe": RECIPE.name,
        "recipe_digest": RECIPE.digest,
        "seed": "0",
        "epoch": str(run.best_epoch),
        "test_top1": str(run.test_top1),
        "torch": torch.__version__,
        "status": "finished",
        "run": str(run.id),
    }
    assert {name: found[name] for name in expected} == expected
    assert found["database"].endswith("blox.db")
    assert "test_top1" not in metadata_of(
        next(p for p in folder.iterdir() if f"epoch{run.best_epoch}." not in p.name)
    )


@pytest.mark.slow
def test_all_keeps_each_epochs_weights_of_the_very_training(db: Database) -> None:
    (run,) = runs(db)
    training = Training(space.arch_vec(QUICK), RECIPE, load_data("digits"), 0)
    for epoch in range(1, EPOCHS + 1):
        training.train_epoch()
        found = run.load_network(epoch=epoch).state_dict()
        for name, value in training.network.state_dict().items():
            assert torch.equal(found[name], value), (epoch, name)
        for number in (np.int8(epoch), np.uint64(epoch), torch.tensor(epoch)):
            again = load_network(run, epoch=number).state_dict()  # type: ignore[arg-type]
            assert all(torch.equal(again[name], value) for name, value in found.items())
    for wrong in (True, 1.0, "1", np.float64(1)):
        with pytest.raises(bloxdb.QueryError, match="an epoch is an integer, not "):
            run.load_network(epoch=wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_weights_of_a_run_whose_database_was_made_anew_stay(db: Database) -> None:
    assert db.path is not None
    before, path = files(db), db.path
    db.close()
    path.unlink()
    with bloxdb.create(path, current=False) as anew:
        with pytest.raises(bloxdb.WeightsError, match="which stay; move them away"):
            trained(anew, "all")
        assert files(anew) == before
        assert anew.rows("SELECT status FROM runs") == [{"status": "pending"}]


@pytest.mark.slow
@pytest.mark.parametrize("which", KEPT)
def test_what_is_kept_is_what_was_asked_for(empty_db: Database, which: str) -> None:
    (run,) = trained(empty_db, which)
    epochs = {"best": [run.best_epoch], "last": [EPOCHS], "all": [1, 2, 3]}[which]
    assert files(empty_db) == [f"{QUICK}-seed0-epoch{epoch}.safetensors" for epoch in epochs]
    if which == "last" and run.best_epoch != EPOCHS:
        with pytest.raises(bloxdb.MissingDataError, match=f"there are those of epoch {EPOCHS}, as epoch=N"):
            run.load_network()


@pytest.mark.slow
def test_nothing_is_kept_where_nobody_says(empty_db: Database) -> None:
    (run,) = trained(empty_db, None)
    assert files(empty_db) == []
    with pytest.raises(bloxdb.MissingDataError, match="weights are kept by `bloxdb train --keep-weights"):
        run.load_network()


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_the_best_weights_from_before(empty_db: Database, db: Database) -> None:
    """Stopped after its second epoch, with the weights in the checkpoint only."""
    from bloxdb.trainer.worker import Stop, Worker, prepare

    what = job(empty_db, [QUICK], RECIPE, keep_weights="best")
    data, stop = load_data("digits"), Stop()

    def tell(event: Event) -> None:
        stop.asked = event.kind == "epoch" and event.epoch == 2

    worker = Worker(what, data, tell, stop)
    record = prepare(empty_db, what, data).claim()
    assert record is not None
    worker.train(record)
    assert files(empty_db) == []
    (run,) = trained(empty_db, "best")
    (undisturbed,) = runs(db)
    assert run.test_top1 == undisturbed.test_top1
    for name, value in undisturbed.load_network().state_dict().items():
        assert torch.equal(run.load_network().state_dict()[name], value)


@pytest.mark.slow
def test_files_of_another_run_are_never_overwritten(empty_db: Database, db: Database) -> None:
    """A database that was made anew has runs of the same numbers, beside the old one's weights."""
    assert db.path is not None
    folder = db.path.with_name("blox.db.weights")
    before = {path: path.read_bytes() for path in folder.glob("*/*")}
    with pytest.raises(bloxdb.WeightsError, match=r"another run \(started_at .* which stay; move them away"):
        trained(empty_db, "best", weights_dir=folder)
    assert {path: path.read_bytes() for path in folder.glob("*/*")} == before
    assert empty_db.rows("SELECT status FROM runs") == [{"status": "pending"}]
    (run,) = trained(empty_db, "best")  # elsewhere
    with pytest.raises(bloxdb.WeightsError, match=f"of another run .* than run {run.id}"):
        run.load_network(folder)


@pytest.mark.slow
def test_an_attempt_that_never_ended_gives_way_to_the_next_one(db: Database) -> None:
    assert db.path is not None
    for epoch in (2, 3):  # as if it had failed in its second epoch
        for path in db.path.parent.glob(f"blox.db.weights/*/*epoch{epoch}.*"):
            path.unlink()
    (first,) = db.path.parent.glob("blox.db.weights/*/*")
    with_no_end = metadata_of(first)
    with_no_end.pop("status", None)
    save_file(load_file(first), first, {**with_no_end, "database": str(db.path)})
    with db.transaction() as session:
        session.execute(update(Run).values(status="failed"))
    retry("failed", db)
    (run,) = trained(db, "last")
    assert files(db) == [f"{QUICK}-seed0-epoch{EPOCHS}.safetensors"]
    assert run.status == "finished"


def test_a_run_in_a_merged_database_knows_its_weights(db: Database, tmp_path: Path) -> None:
    assert db.path is not None
    with bloxdb.create(tmp_path / "merged.db", current=False) as merged:
        bloxdb.merge([db.path], merged)
        (run,) = runs(merged)
        assert test_accuracy(run.load_network(db.path.with_name("blox.db.weights"))) == run.test_top1


def test_a_run_out_of_release_files_has_none(tiny_db: Database) -> None:
    run = tiny_db.reader.get_one(Run, 1)
    with pytest.raises(bloxdb.QueryError, match="came with release files, which have no weights"):
        run.load_network()


def test_a_damaged_file_a_foreign_one_and_none_are_told(db: Database, tmp_path: Path) -> None:
    (run,) = runs(db)
    assert db.path is not None
    folder = db.path.with_name("blox.db.weights") / RECIPE.digest[:16]
    path = folder / f"{QUICK}-seed0-epoch{run.best_epoch}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(bloxdb.WeightsError, match="is damaged, or no file of safetensors"):
        run.load_network()
    changed = bytearray(whole)
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(bloxdb.WeightsError, match="is damaged: its weights are not those"):
        run.load_network()
    path.write_bytes(b"")
    with pytest.raises(bloxdb.WeightsError, match="is damaged, or no file of safetensors"):
        load_network(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(bloxdb.WeightsError, match="no weights of bloxdb: its metadata lack vec, variant"):
        load_network(path)
    with pytest.raises(bloxdb.MissingDataError, match="there are no weights at"):
        load_network(tmp_path / "nothing.safetensors")
    with pytest.raises(bloxdb.MissingDataError, match=r"no weights of epoch 9 of run 1; .* epoch 1, 2, 3"):
        run.load_network(epoch=9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hash": "0" * 32}, "another run"),
        ({"seed": "1"}, "seed 1, not 0"),
        ({"recipe_digest": "0" * 64}, "recipe_digest 0"),
        ({"test_top1": "99.9"}, "test_top1 99.9, not"),
        ({"vec": space.vec_text(space.arch_vec(0))}, "its vector is not the architecture of its hash"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_weights_under_a_wrong_name_are_not_taken(db: Database, change: dict[str, str], told: str) -> None:
    (run,) = runs(db)
    (path,) = db.path.parent.glob(f"blox.db.weights/*/*epoch{run.best_epoch}.*")  # type: ignore[union-attr]
    save_file(load_file(path), path, metadata_of(path) | change)
    with pytest.raises(bloxdb.WeightsError, match=told):
        run.load_network()


def test_a_run_without_a_database_says_how_to_get_it_again(db: Database) -> None:
    (run,) = runs(db)
    db.reader.expunge_all()
    with pytest.raises(bloxdb.QueryError, match=r"get it again: db\.reader\.get\(bloxdb\.Run, 1\)"):
        run.load_network()


def test_there_is_no_other_choice(empty_db: Database) -> None:
    with pytest.raises(bloxdb.QueryError, match="choose one of: best, last, all, or None"):
        job(empty_db, [QUICK], RECIPE, keep_weights="some")


def test_metadata_are_texts_that_every_reader_of_safetensors_takes(db: Database) -> None:
    (path, *_) = db.path.parent.glob("blox.db.weights/*/*")  # type: ignore[union-attr]
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["format"] == "pt"
