"""Files of weights that are not what they are called, or not what was written, and files of other runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from bloxdb.trainer import load_network
from bloxdb.trainer.identity import weights_file, weights_folder
from bloxdb.trainer.model import Network
from bloxdb.trainer.weights import Keeper, metadata_of
from safetensors.torch import load_file, save_file
from sqlalchemy import select

import bloxdb
from bloxdb import Run
from tests.trainer.helpers import QUICK, digits_recipe, job, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Iterator[Run]:
    """A run whose epochs' weights are all kept; they are not written to."""
    path = tmp_path_factory.mktemp("kept") / "blox.db"
    shutil.copy(empty_file, path)
    with bloxdb.open(path, current=False) as db:
        finished, _ = train(job(db, [QUICK], digits_recipe(3, lr=0.03), keep_weights="all"))
        assert finished
        yield db.reader.scalars(select(Run)).one()


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """The same run, with a copy of its weights in `tmp_path`, which are small."""
    shutil.copytree(weights_folder(trained), weights_folder(trained, tmp_path))
    return trained


def path_of(run: Run, folder: Path, epoch: int | None) -> Path:
    """The file of an epoch; of the best one if None."""
    return weights_file(weights_folder(run, folder), run.arch_id, run.seed, epoch or run.best_epoch or 0)


def files(run: Run, folder: Path) -> list[str]:
    return sorted(path.name for path in weights_folder(run, folder).iterdir())


def written(path: Path, tensors: dict[str, torch.Tensor] | None = None, **metadata: str) -> None:
    """Write a file anew, changed, with the right sum of what it has then: anybody can do that."""
    tensors = load_file(path) if tensors is None else tensors
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    save_file(tensors, path, metadata_of(path) | {"sha256": digest.hexdigest()} | metadata)


@pytest.mark.parametrize(("name", "content"), [(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b])
def test_the_weights_of_another_epoch_are_not_those_that_the_name_says(
    run: Run, tmp_path: Path, name: int, content: int
) -> None:
    shutil.copy(path_of(run, tmp_path, content), path_of(run, tmp_path, name))
    told = f"has the weights of epoch {content}, not of epoch {name}"
    with pytest.raises(bloxdb.WeightsError, match=told):
        run.load_network(tmp_path, epoch=name)
    if name == run.best_epoch:
        with pytest.raises(bloxdb.WeightsError, match=told):
            run.load_network(tmp_path)
    assert isinstance(
        load_network(path_of(run, tmp_path, name)), Network
    )  # whoever names a file means what is in it


State = dict[str, torch.Tensor]
OTHERS: dict[str, Callable[[State], object]] = {
    **{
        f"without {name}": lambda state, name=name: state.pop(name)
        for name in ("head.2.bias", "head.2.weight", "stem.0.weight", "stem.1.running_var")
    },
    **{
        str(kind): lambda state, kind=kind: state.update({n: v.to(kind) for n, v in state.items()})
        for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64)
    },
    "fewer inputs": lambda state: state.update({"stem.0.weight": state["stem.0.weight"][:, :2].contiguous()}),
    "flat": lambda state: state.update({"stem.0.weight": state["stem.0.weight"].flatten()}),
    "one more": lambda state: state.update({"stem.9.weight": torch.zeros(2)}),
    "an output without number": lambda state: state.update({"head.2.bias": torch.tensor(1.0)}),
    "no outputs": lambda state: state.update(
        {"head.2.bias": torch.zeros(0), "head.2.weight": torch.zeros(0, 256)}
    ),
    "other numbers of outputs": lambda state: state.update({"head.2.bias": torch.zeros(11)}),
    "nothing": lambda state: state.clear(),
}


@pytest.mark.parametrize("change", OTHERS)
def test_weights_that_are_not_the_architectures_are_refused(run: Run, tmp_path: Path, change: str) -> None:
    path = path_of(run, tmp_path, None)
    state = load_file(path)
    OTHERS[change](state)
    written(path, state)
    for ask in (lambda: load_network(path), lambda: run.load_network(tmp_path)):
        with pytest.raises(
            bloxdb.WeightsError, match=f"{path} (has not the weights of its|is of no network of)"
        ):
            ask()


TEXTS = ["", "²", "two", "-1", "nan", "[]", "[1]", "9" * 5000]


@pytest.mark.parametrize("name", ["variant", "vec", "hash", "sha256"])
@pytest.mark.parametrize("text", TEXTS)
def test_metadata_that_name_no_network_are_refused(run: Run, tmp_path: Path, name: str, text: str) -> None:
    path = path_of(run, tmp_path, None)
    written(path, **{name: text})
    for ask in (lambda: load_network(path), lambda: run.load_network(tmp_path)):
        with pytest.raises(bloxdb.WeightsError, match=str(path)):
            ask()


@pytest.mark.parametrize("name", ["epoch", "epochs", "test_top1", "status", "started_at"])
@pytest.mark.parametrize("text", TEXTS)
def test_metadata_of_no_number_are_refused_or_of_no_account(
    run: Run, tmp_path: Path, name: str, text: str
) -> None:
    path = path_of(run, tmp_path, None)
    written(path, **{name: text})
    if name in ("epoch", "test_top1") or (name == "started_at" and text):
        with pytest.raises(bloxdb.WeightsError, match=f"{path} has the weights of "):
            run.load_network(tmp_path)
    else:
        assert isinstance(run.load_network(tmp_path), Network)
    before = files(run, tmp_path)
    if name == "started_at" and text:
        with pytest.raises(bloxdb.WeightsError, match="which stay"):
            Keeper(run, "all", tmp_path).begin(0)
        assert files(run, tmp_path) == before
    else:
        Keeper(run, "all", tmp_path).begin(2)  # what goes by the name
        assert files(run, tmp_path) == [name for name in before if "epoch3" not in name]


@pytest.mark.parametrize("text", ["01", "²", "१", "+1", "-1", "1.5", "", "9" * 30, "best"])
def test_a_file_that_is_called_nearly_so_is_none_of_a_run(run: Run, tmp_path: Path, text: str) -> None:
    path = path_of(run, tmp_path, 1)
    name = f"{QUICK}-seed0-epoch{text}.safetensors"
    path.rename(path.with_name(name))
    with pytest.raises(bloxdb.MissingDataError, match=r"there are those of epoch 2, 3, as epoch=N"):
        run.load_network(tmp_path, epoch=1)
    Keeper(run, "all", tmp_path).begin(0)
    assert files(run, tmp_path) == [name]


@pytest.mark.parametrize("result", [1, 2, 3])
@pytest.mark.parametrize("epochs", [(1, 2, 3), (8, 9, 10), (99, 100, 101)], ids=str)
def test_of_another_run_with_a_result_no_file_is_given_up(
    run: Run, tmp_path: Path, result: int, epochs: tuple[int, ...]
) -> None:
    """Whichever of its files says that it is one, and whatever files are looked at first."""
    last = str(max(epochs) + 1)
    for place in (3, 2, 1):
        path, ended = (
            path_of(run, tmp_path, place),
            {"status": "finished"} if place == result else {"status": ""},
        )
        more = {"epoch": str(epochs[place - 1]), "epochs": last, "started_at": "2020-01-01T00:00:00.000"}
        written(path, **more, **ended)
        path.rename(path.with_name(f"{QUICK}-seed0-epoch{epochs[place - 1]}.safetensors"))
    before = files(run, tmp_path)
    with pytest.raises(
        bloxdb.WeightsError, match=r"another run \(started_at 2020-.* which stay; move them away"
    ):
        Keeper(run, "all", tmp_path).begin(0)
    assert files(run, tmp_path) == before
    written(
        path_of(run, tmp_path, epochs[result - 1]), status=""
    )  # without it, it is an attempt that never ended
    Keeper(run, "all", tmp_path).begin(0)
    assert files(run, tmp_path) == []
